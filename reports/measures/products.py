"""Products: their cycles, what the first one leads to, breadth, bundles, discounts."""

from typing import Any

import pandas as pd

from features.products import CLOSES
from models.survival import kaplan_meier
from reports.measures.rates import Json, missing, number, rate

SHOWN = 20
PARTS = 3  # products that a bundle is described by
BOXES = {
    (True, True): ("scale", "feature it in retention campaigns and in the refill reminder"),
    (True, False): ("upgrade", "it sticks but earns little: offer a version with a dearer part"),
    (False, True): ("fix the habit", "it earns but is not repeated: find what breaks the habit"),
    (False, False): ("retire", "rebuild it, or take it out"),
}


def cycles(gaps: pd.DataFrame, by: str, customers: pd.DataFrame, least: int) -> pd.DataFrame:
    """Estimate the median days until the same is bought again.

    Parameters
    ----------
    gaps
        What :func:`features.products.reorder_gaps` counted.
    by
        ``product_id`` or ``category``.
    customers
        What :func:`features.products.most_bought` counted: the order.
    least
        Customers below whom it is not said.

    Returns
    -------
    DataFrame
        The column `by`, ``customers, median_days, low, high``.
    """
    medians = {}
    for key, of in gaps.groupby(by, sort=False):
        curve = kaplan_meier(of["days"], of["is_event"], of["customers"])
        medians[key] = curve.median()
    rows: list[Json] = []
    for row in _records(customers):
        found = medians.get(row[by], (None, None, None))
        known = found if row["customers"] >= least else (None, None, None)
        middle, low, high = known
        rows.append({**row, "median_days": middle, "low": low, "high": high})
    return pd.DataFrame(rows, columns=[by, "customers", "median_days", "low", "high"])


def product_section(
    by_product: pd.DataFrame,
    by_category: pd.DataFrame,
    first: pd.DataFrame,
    following: pd.DataFrame,
    breadth: pd.DataFrame,
    due: pd.DataFrame,
    names: pd.DataFrame,
    least: int,
) -> Json:
    """Put the products' measures together.

    Parameters
    ----------
    by_product, by_category
        What :func:`cycles` returned.
    first, following, breadth, due, names
        What the functions of :mod:`features.products` counted.
    least
        Customers below whom nothing is said.
    """
    known = names.set_index("product_id")
    after = following.sort_values(["customers", "next_id"], ascending=[False, True])
    after = after.drop_duplicates("product_id").set_index("product_id")
    came = following.groupby("product_id")["customers"].sum()
    firsts = []
    top = first.sort_values(["customers", "product_id"], ascending=[False, True]).head(SHOWN)
    for row in top.to_dict("records"):
        key = row["product_id"]
        is_known = key in after.index and came[key] >= least
        firsts.append(
            {
                "product_id": key,
                "product_name": _name(known, key),
                "customers": int(row["customers"]),
                "repeat": rate(row["returned"], row["seen"], least),
                "value_90d": row["value_90d"] / row["seen"] if row["seen"] >= least else None,
                "next_product": _name(known, after.loc[key, "next_id"]) if is_known else None,
                "next_share": float(after.loc[key, "customers"] / came[key]) if is_known else None,
            }
        )
    whole, each = _by_key(due, "product_id")
    return {
        "cycles": [
            {
                **_numbers(row, "product_id"),
                "product_name": _name(known, row["product_id"]),
                "category": _text(known["category"].get(row["product_id"])),
                "due": None
                if number(row["median_days"]) is None
                else int(each.get(row["product_id"], 0)),
            }
            for row in _records(by_product)
        ],
        "categories": [_numbers(row, "category") for row in _records(by_category)],
        "first_products": firsts,
        "breadth": _breadth(breadth, least),
        "refill_due": {"customers": whole, "products": len(each)},
    }


def bundle_section(
    share: pd.DataFrame,
    reorders: pd.DataFrame,
    first: pd.DataFrame,
    gateways: pd.DataFrame,
    parts: pd.DataFrame,
    windows: pd.DataFrame,
    due: pd.DataFrame,
    names: pd.DataFrame,
    overall: Json,
    least: int,
) -> Json:
    """Put the bundles' measures together.

    Parameters
    ----------
    share, reorders, first, gateways, parts, due, names
        What the functions of :mod:`features.bundles` and :func:`features.products.names` counted.
    windows
        What :func:`refill_windows` returned.
    overall
        Rate of all customers who came back within 90 days: above it, a bundle is reordered often.
    least
        Customers below whom nothing is said.
    """
    values = first.set_index(first["bundle_id"].fillna(""))
    single = values.loc[""] if "" in values.index else None
    base = None
    if single is not None and single["customers"] >= least:
        base = single["value"] / single["customers"]
    rows = []
    all_due, each_due = _by_key(due, "bundle_id")
    days = windows.set_index("bundle_id")
    called = names.set_index("product_id")
    for row in reorders.sort_values("customers", ascending=False).to_dict("records"):
        again = rate(row["reordered"], row["seen"], least)
        own = values.loc[row["bundle_id"]] if row["bundle_id"] in values.index else None
        times = None
        if own is not None and base and own["customers"] >= least:
            times = float(own["value"] / own["customers"] / base)
        box, action = "", ""
        if times is not None and again["value"] is not None and overall["value"] is not None:
            box, action = BOXES[again["value"] >= overall["value"], times >= 1]
        rows.append(
            {"bundle_id": row["bundle_id"], "parts": _parts(parts, row["bundle_id"], called),
             "customers": int(row["customers"]), "reorder_90d": again, "value_multiplier": times,
             "box": box, "action": action, "due": int(each_due.get(row["bundle_id"], 0)),
             **{name: int(days.loc[row["bundle_id"], name]) for name in ("from_day", "to_day")}}
        )  # fmt: skip
    return {
        "attach": rate(share["bundled"].sum(), share["orders"].sum(), least),
        "list": rows,
        "gateway": _gateway(gateways, least),
        "single_buyers": {
            "customers": int(first["customers"][first["bundle_id"].isna()].sum()),
            "value_180d": base,
        },
        "refill_due": {"customers": all_due},
    }


def refill_windows(
    parts: pd.DataFrame, by_product: pd.DataFrame, usual: tuple[int, int]
) -> pd.DataFrame:
    """Say when a bundle is due for a refill: when its first product runs out, for a cycle.

    Parameters
    ----------
    parts
        What :func:`features.bundles.bundle_parts` counted.
    by_product
        What :func:`cycles` returned.
    usual
        First and last day where the cycle of none of its products is known.

    Returns
    -------
    DataFrame
        ``bundle_id, from_day, to_day``.
    """
    own = parts.merge(by_product[["product_id", "median_days"]], on="product_id", how="left")
    first = own.groupby("bundle_id")["median_days"].min()
    starts = first.round().fillna(usual[0]).astype(int)
    ends = (CLOSES * first).round().fillna(usual[1]).astype(int)
    return pd.DataFrame({"from_day": starts, "to_day": ends}).reset_index()


def discount_section(found: pd.DataFrame, least: int) -> Json:
    """Say what share of the repeat revenue was bought with a discount, of all and by segment.

    Parameters
    ----------
    found
        What :func:`features.journeys.discounted_revenue` summed.
    least
        Orders below which it is not said.
    """
    whole = found[["orders", "priced", "net_amount", "discounted_amount"]].sum()
    if whole["orders"] and not whole["priced"]:
        return missing("orders.discount_amount", "Repeat revenue bought with a discount")

    def share(row: Any) -> float | None:  # noqa: ANN401  # a row
        enough = row["orders"] >= least and row["net_amount"] > 0
        return float(row["discounted_amount"] / row["net_amount"]) if enough else None

    rows = found.sort_values("segment").to_dict("records")
    return {
        "share_of_repeat_revenue": share(whole),
        "n": int(whole["orders"]),
        "by_segment": [
            {"segment": row["segment"], "share": share(row), "n": int(row["orders"])}
            for row in rows
        ],
    }


def _gateway(found: pd.DataFrame, least: int) -> Json | None:
    """Name the bundle that most often follows a single product."""
    n = found["customers"].sum()
    bundles = found[found["bundle_id"].notna()].sort_values("customers", ascending=False)
    if bundles.empty or n < least:
        return None
    top = bundles.iloc[0]
    name = top["bundle_id"]
    return {"bundle_id": name, "rate": rate(top["customers"], n, least)}


def _by_key(due: pd.DataFrame, key: str) -> tuple[int, dict[str, int]]:
    """Part what is due of all (a null key) from what is due of each."""
    is_all = due[key].isna()
    each = due[~is_all].set_index(key)["customers"].to_dict()
    return int(due["customers"][is_all].sum()), {str(k): int(n) for k, n in each.items()}


def _parts(parts: pd.DataFrame, bundle: str, called: pd.DataFrame) -> list[str]:
    """Name the products that a bundle is mostly made of."""
    of = parts[parts["bundle_id"] == bundle]
    most = of.sort_values(["customers", "product_id"], ascending=[False, True])
    return [_name(called, key) for key in most["product_id"].head(PARTS)]


def _breadth(found: pd.DataFrame, least: int) -> list[Json]:
    rows = found.sort_values("categories").to_dict("records")
    each = {
        int(row["categories"]): row["revenue"] / row["customers"]
        for row in rows
        if row["customers"] >= least
    }
    return [
        {
            "categories": "3 or more" if row["categories"] == 3 else str(int(row["categories"])),
            "customers": int(row["customers"]),
            "revenue_per_customer": each.get(int(row["categories"])),
            "multiplier": each[int(row["categories"])] / each[1]
            if int(row["categories"]) in each and each.get(1)
            else None,
        }
        for row in rows
    ]


def _numbers(row: Json, by: str) -> Json:
    numbers = {name: number(row[name]) for name in ("median_days", "low", "high")}
    return {by: row[by], "customers": int(row["customers"]), **numbers}


def _records(frame: pd.DataFrame) -> list[Json]:
    rows: list[Json] = frame.to_dict("records")  # type: ignore[assignment]
    return rows


def _name(known: pd.DataFrame, key: str) -> str:
    return _text(known["product_name"].get(key)) or str(key)


def _text(found: Any) -> str | None:  # noqa: ANN401  # a pandas value
    return None if found is None or pd.isna(found) else str(found)
