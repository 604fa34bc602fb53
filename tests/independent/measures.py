"""What is measured of a store's forecasts, as plain numbers that JSON keeps."""

from typing import Any

import numpy as np
import pandas as pd

from tests.independent.generator import HORIZON, Store
from tests.independent.product import RULES, Predictions

BANDS = {
    "0-30": 30,
    "31-90": 90,
    "91-180": 180,
    "181-365": 365,
    "366-730": 730,
    "over 730": np.inf,
}
NEW_DAYS, NEW_CHANCE = 90, 0.6  # newcomers whose upper end is checked
TOP_SHARE = 5  # one of so many one-time buyers belongs to those likeliest to order again
SIGNAL_DAYS = 180  # newcomers whose first basket should tell
GROUPS = {
    "good, no discount": (True, False),
    "good, discount": (True, True),
    "ordinary, no discount": (False, False),
    "ordinary, discount": (False, True),
}


def measure(store: Store, predictions: Predictions) -> dict[str, Any]:
    """Compare forecasts with the truth of a store.

    Parameters
    ----------
    store
        The store, with its truth and one future.
    predictions
        What the product forecasts for it.
    """
    table, truth = predictions.table, store.truth
    return {
        "customers": len(table),
        "true": {name: float(truth[name].sum()) for name in truth.columns},
        "product": _sums(table, "expected_value", "expected_orders", "orders_90"),
        "plain": _sums(table, "plain_value", "plain_orders"),
        "bands": _by_tenure(table, truth["value_365"]),
        "largest_order": float(store.orders["net_amount"].max()),
        "largest_order_value": float(table["expected_order_value"].max()),
        "product_error": max(
            product_error(table),
            product_error(predictions.discounted) if "discount_factor" in table else 0.0,
        ),
        "gini": {
            name: ranking_gini(table[column], truth["value_365"])
            for name, column in {
                "product": "expected_value",
                "plain": "plain_value",
                **{rule: rule for rule in RULES},
            }.items()
        },
        "covered": float(table["covered"].sum()),
        "next_order": next_orders(table, store.future),
        "second_order_top": second_order_top(table, truth["p_order_90"]),
        "k": predictions.regularity,
        "has_season": predictions.has_season,
        "newcomers": _newcomers(table, store.future["value_365"]),
        "signal": None if store.lines is None else _signal(store, table),
        "notes": list(predictions.notes),
    }


def ranking_gini(prediction: pd.Series, truth: pd.Series) -> float:
    """Return the Gini coefficient of `truth` ranked by `prediction`, relative to the best ranking; ties share."""

    def area(by: pd.Series) -> float:
        _, cell, customers = np.unique(-by, return_inverse=True, return_counts=True)
        gained = np.cumsum(np.bincount(cell, weights=truth)) / truth.sum()
        share = np.cumsum(customers) / len(truth)
        return float(np.trapezoid([0.0, *gained], [0.0, *share])) - 0.5

    return area(prediction) / area(truth)


def product_error(table: pd.DataFrame) -> float:
    """Return the largest relative error of value as orders times order value times discount factor."""
    factor = table.get("discount_factor", 1.0)
    product = table["expected_orders"] * table["expected_order_value"] * factor
    scale = np.maximum(table["expected_value"].abs(), np.finfo(float).tiny)
    return float(((product - table["expected_value"]).abs() / scale).max())


def next_orders(table: pd.DataFrame, future: pd.DataFrame) -> dict[str, int]:
    """Count customers whose next order is forecast within the horizon, and those who ordered by then.

    Parameters
    ----------
    table
        ``median_days``; infinite or NaN = no forecast date.
    future
        ``first_order_day`` and ``first_order_time`` of one future.

    Returns
    -------
    dict
        ``customers``; ``ordered`` by the published date, which is rounded up to a whole day;
        ``ordered_unrounded`` by the median itself, half of them where forecasts are right.
    """
    median = table["median_days"]
    is_dated = median <= HORIZON
    by_date = future["first_order_day"] <= np.ceil(median)
    by_median = future["first_order_time"] <= median
    return {
        "customers": int(is_dated.sum()),
        "ordered": int((is_dated & by_date).sum()),
        "ordered_unrounded": int((is_dated & by_median).sum()),
    }


def second_order_top(table: pd.DataFrame, p_order_90: pd.Series) -> dict[str, float]:
    """Compare the second-order chances of the one-time buyers who are likeliest to order again.

    Parameters
    ----------
    table
        ``frequency`` and ``p_second_order``.
    p_order_90
        True chance of an order within 90 days.

    Returns
    -------
    dict
        ``customers`` of the fifth with the highest predictions, their mean prediction ``product`` and
        mean true chance ``true``; NaN without one-time buyers.
    """
    once = table.loc[table["frequency"] == 0, "p_second_order"]
    top = once.nlargest(-(-len(once) // TOP_SHARE))
    return {
        "customers": len(top),
        "product": float(top.mean()),
        "true": float(p_order_90[top.index].mean()),
    }


def _sums(table: pd.DataFrame, *columns: str) -> dict[str, float]:
    names = ("value_365", "orders_365", "orders_90")
    return {name: float(table[column].sum()) for name, column in zip(names, columns, strict=False)}


def _by_tenure(table: pd.DataFrame, value: pd.Series) -> dict[str, dict[str, float]]:
    band = np.searchsorted(list(BANDS.values()), table["age_days"])
    columns = {"true": value, "product": table["expected_value"], "plain": table["plain_value"]}
    return {
        name: {of: float(column[band == i].sum()) for of, column in columns.items()}
        for i, name in enumerate(BANDS)
    }


def _newcomers(table: pd.DataFrame, realized: pd.Series) -> dict[str, int]:
    """Count likely newcomers, and those whose realized value lies above the interval."""
    is_new = (table["age_days"] <= NEW_DAYS) & (table["frequency"] == 0)
    is_new &= 1 - table["churn_probability"] > NEW_CHANCE
    is_above = is_new & (realized > table["value_high"])
    return {"customers": int(is_new.sum()), "above": int(is_above.sum())}


def _signal(store: Store, table: pd.DataFrame) -> dict[str, Any]:
    """Compare newcomers by what their first basket shows."""
    is_new = (table["age_days"] <= SIGNAL_DAYS) & (table["frequency"] == 0)
    new, latent, truth = table[is_new], store.latent[is_new], store.truth[is_new]
    columns = {
        "true": truth["value_365"],
        "product": new["expected_value"],
        "unclassified": new["unclassified_value"],
        "true orders": truth["orders_365"],
        "product orders": new["expected_orders"],
    }
    groups = {}
    for name, (is_good, is_discounted) in GROUPS.items():
        inside = (latent["is_good"] == is_good) & (latent["is_discounted"] == is_discounted)
        sums = {of: float(column[inside].sum()) for of, column in columns.items()}
        groups[name] = {"customers": int(inside.sum()), **sums}
    ranked = {
        "product": new["expected_value"],
        "unclassified": new["unclassified_value"],
        "plain": new["plain_value"],
        "oracle": _oracle(store, new, latent),
    }
    ginis = {name: ranking_gini(by, truth["value_365"]) for name, by in ranked.items()}
    return {"groups": groups, "gini": ginis}


def _oracle(store: Store, new: pd.DataFrame, latent: pd.DataFrame) -> pd.Series:
    """Rank newcomers by the closed form of whoever knew the parameters and each group's return chance.

    The chance of being active after `age_days` without an order, times the rate that is expected then,
    times the order value that is expected after the first one.
    """
    spec, age = store.spec, new["age_days"]
    silent = (1 - latent["leave_first"]) * (spec.alpha / (spec.alpha + age)) ** spec.r
    p_active = silent / (silent + latent["leave_first"])
    orders = p_active * HORIZON * spec.r / (spec.alpha + age)
    return orders * spec.p * (spec.gamma + new["first_amount"]) / (spec.p + spec.q - 1)
