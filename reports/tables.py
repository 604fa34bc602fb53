"""Scores -> the small tables that people read."""

import numpy as np
import pandas as pd

from reports.records.run import Totals
from segments.investment import TIERS
from segments.lifecycle import SEGMENTS
from segments.newcomers import WINDOW

ORDER_LABELS = ["1", "2", "3", "4-5", "6-9", "10+"]
SILENT_LABELS = ["0-30", "31-60", "61-90", "91-180", "181-365", "over 365"]


def totals(scores: pd.DataFrame) -> Totals:
    """Sum up all customers.

    Parameters
    ----------
    scores
        Table :class:`features.tables.Scores`.
    """
    return Totals(
        share_once=float((scores["frequency"] == 0).mean()),
        orderers_90d=float(scores["p_order_90d"].sum()),
        held_out=float(scores["is_holdout"].sum()),
        expected_orders=float(scores["expected_orders"].sum()),
        expected_value=float(scores["expected_value"].sum()),
        expected_margin=float(scores["expected_margin"].sum()),
    )


def segment_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Sum up each segment.

    Parameters
    ----------
    scores
        Table :class:`features.tables.Scores`.

    Returns
    -------
    DataFrame
        One row per segment that has customers, in the order of :data:`SEGMENTS`: ``segment,
        meaning, customers, share, revenue, p_order_90d, expected_value, expected_margin, heavy,
        standard, light, held_out``; chances and values are means, revenue and counts are sums.
    """
    by = scores.groupby("segment", sort=False)
    table = pd.DataFrame(
        {
            "customers": by.size(),
            "revenue": by["revenue"].sum(),
            "p_order_90d": by["p_order_90d"].mean(),
            "expected_value": by["expected_value"].mean(),
            "expected_margin": by["expected_margin"].sum(),
            "held_out": by["is_holdout"].sum(),
        }
    )
    invested = scores[~scores["is_holdout"]]
    counts = pd.crosstab(invested["segment"], invested["investment_tier"])
    counts = counts.reindex(index=table.index, columns=list(TIERS[:-1]), fill_value=0)
    table = table.join(counts).reindex([name for name in SEGMENTS if name in table.index])
    table.insert(0, "meaning", [SEGMENTS[name].definition for name in table.index])
    table.insert(2, "share", table["customers"] / len(scores))
    return table.rename_axis(index="segment", columns=None).reset_index()


def budget_table(commitments: pd.DataFrame) -> pd.DataFrame:
    """Sum up what is in force by segment, best return first.

    Parameters
    ----------
    commitments
        Table :class:`features.tables.Commitments`.

    Returns
    -------
    DataFrame
        One row per segment in which somebody is invested in: ``segment, action, heavy, standard,
        light, customers, held_out, cost, gain, low, high`` (of the gain, 80 %), ``expected_return``
        and ``is_measured`` (all of it); amounts over the customers who are not held out.
    """
    columns = {
        "expected_cost": "cost",
        "expected_gain": "gain",
        "gain_low": "low",
        "gain_high": "high",
    }
    held = commitments["is_holdout"].astype(bool)
    invested = commitments[~held]
    by = invested.groupby("segment", sort=True)
    table = by[list(columns)].sum().rename(columns=columns)
    counts = pd.crosstab(invested["segment"], invested["investment_tier"])
    table = table.join(counts.reindex(columns=list(TIERS[:-1]), fill_value=0))
    table["customers"] = by.size()
    table["held_out"] = commitments[held].groupby("segment").size().reindex(table.index).fillna(0)
    table["expected_return"] = table["gain"] / table["cost"]
    table["is_measured"] = by["is_measured"].all()
    table["action"] = [SEGMENTS[name].action for name in table.index]
    table = table.sort_values("expected_return", ascending=False, kind="stable")
    return table.astype({"held_out": int}).rename_axis(columns=None).reset_index()


def rfm_grid(scores: pd.DataFrame) -> pd.DataFrame:
    """Count customers by quintile of recency (rows) and of frequency.

    Returns
    -------
    DataFrame
        25 rows: ``recency, frequency`` (5 = best), ``customers`` and ``expected_margin`` (mean; None
        where there are none).
    """
    digits = scores["rfm_score"].astype(str)
    by = scores["expected_margin"].groupby([digits.str[0].astype(int), digits.str[1].astype(int)])
    whole = pd.MultiIndex.from_product([range(5, 0, -1)] * 2, names=["recency", "frequency"])
    table = pd.DataFrame({"customers": by.size(), "expected_margin": by.mean()}).reindex(whole)
    table["customers"] = table["customers"].fillna(0).astype(int)
    return _with_none(table.reset_index())


def order_matrix(scores: pd.DataFrame) -> pd.DataFrame:
    """Average the chance of an order in 90 days by orders so far and by days since the last.

    Returns
    -------
    DataFrame
        One row per cell: ``orders, silent_days`` (labels), ``customers`` and ``p_order_90d`` (mean;
        None where there are none).
    """
    orders = pd.cut(scores["frequency"] + 1, [0, 1, 2, 3, 5, 9, np.inf], labels=ORDER_LABELS)
    silent_days = scores["age_days"] - scores["recency_days"]
    silent = pd.cut(silent_days, [-1, 30, 60, 90, 180, 365, np.inf], labels=SILENT_LABELS)
    by = scores["p_order_90d"].groupby([orders, silent], observed=False)
    table = pd.DataFrame({"customers": by.size(), "p_order_90d": by.mean()})
    return _with_none(table.rename_axis(["orders", "silent_days"]).reset_index())


def _with_none(table: pd.DataFrame) -> pd.DataFrame:
    """Return it with None for what is not known, as JSON says it."""
    whole = table.astype(object)
    return whole.where(whole.notna(), None)


def newcomer_table(scores: pd.DataFrame, named: pd.DataFrame) -> pd.DataFrame:
    """Compare the first-time buyers who are named with the others in the post-purchase window.

    Parameters
    ----------
    scores
        Table :class:`features.tables.Scores`.
    named
        As :func:`segments.newcomers.top_newcomers` returns them.

    Returns
    -------
    DataFrame
        Rows ``top`` and ``others``: ``group, customers, p_second_order, expected_margin, margin_share``
        (their part of the expected margin of both, 0 to 1); means are None where there are none.
    """
    window = scores[scores["segment"].isin(WINDOW)]
    is_top = window["customer_id"].isin(named["customer_id"])
    margin = float(window["expected_margin"].sum())
    rows = [
        {
            "group": group,
            "customers": len(part),
            "p_second_order": float(part["p_second_order"].mean()) if len(part) else None,
            "expected_margin": float(part["expected_margin"].mean()) if len(part) else None,
            "margin_share": float(part["expected_margin"].sum()) / margin if margin else None,
        }
        for group, part in (("top", window[is_top]), ("others", window[~is_top]))
    ]
    return pd.DataFrame(rows, dtype=object)


def tier_table(commitments: pd.DataFrame) -> pd.DataFrame:
    """Sum up each investment tier.

    Parameters
    ----------
    commitments
        Table :class:`features.tables.Commitments`: what is in force.

    Returns
    -------
    DataFrame
        One row per tier but ``none``: ``tier, customers, held_out, cost, gain, expected_return``;
        cost and gain (incremental margin before cost) over the customers not held out.
    """
    rows = []
    for tier in TIERS[:-1]:
        of_tier = commitments[commitments["investment_tier"] == tier]
        invested = of_tier[~of_tier["is_holdout"].astype(bool)]
        cost, gain = (float(invested[name].sum()) for name in ("expected_cost", "expected_gain"))
        rows.append(
            {
                "tier": tier,
                "customers": len(invested),
                "held_out": len(of_tier) - len(invested),
                "cost": cost,
                "gain": gain,
                "expected_return": gain / cost if cost else None,
            }
        )
    return pd.DataFrame(rows, dtype=object)  # floats would turn None into NaN
