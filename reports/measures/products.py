"""Products: their cycles, what the first one leads to, breadth, bundles, discounts."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any

import pandas as pd

from features.products import CLOSES
from models.survival import kaplan_meier
from reports.measures.rates import missing, number, rate
from reports.records.kpis import (
    BreadthRow,
    BundleRefills,
    BundleRow,
    Bundles,
    CategoryCycle,
    Discounts,
    FirstProduct,
    Gateway,
    Missing,
    ProductCycle,
    ProductRefills,
    Products,
    Rate,
    SegmentDiscount,
    SingleBuyers,
)

Row = Mapping[Hashable, Any]  # of a frame

SHOWN = 20
PARTS = 3  # products that a bundle is described by
UNKNOWN = (None, None, None)  # median and its interval
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
    rows = []
    for row in customers.to_dict("records"):
        is_enough = row["customers"] >= least
        middle, low, high = medians.get(row[by], UNKNOWN) if is_enough else UNKNOWN
        rows.append({**row, "median_days": middle, "low": low, "high": high})
    return pd.DataFrame(rows, columns=[by, "customers", "median_days", "low", "high"])


@dataclass(frozen=True)
class ProductCounts:
    """What is counted of products.

    Attributes
    ----------
    by_product, by_category
        What :func:`cycles` returned.
    first, following, breadth, due, names
        What the functions of :mod:`features.products` counted.
    """

    by_product: pd.DataFrame
    by_category: pd.DataFrame
    first: pd.DataFrame
    following: pd.DataFrame
    breadth: pd.DataFrame
    due: pd.DataFrame
    names: pd.DataFrame


def product_section(counts: ProductCounts, least: int) -> Products:
    """Put the products' measures together.

    Parameters
    ----------
    counts
        What they are made of.
    least
        Customers below whom nothing is said.
    """
    names = counts.names.set_index("product_id")
    whole, each = _by_key(counts.due, "product_id")
    cycles_of_products = counts.by_product.to_dict("records")
    return Products(
        cycles=tuple(_cycle(row, names, each) for row in cycles_of_products),
        categories=tuple(
            CategoryCycle(
                category=row["category"], customers=int(row["customers"]), **_median(row)
            )
            for row in counts.by_category.to_dict("records")
        ),
        first_products=tuple(_first_products(counts, names, least)),
        breadth=_breadth(counts.breadth, least),
        refill_due=ProductRefills(customers=whole, products=len(each)),
    )


def _cycle(row: Row, names: pd.DataFrame, due: Mapping[str, int]) -> ProductCycle:
    key, median = row["product_id"], _median(row)
    return ProductCycle(
        product_id=key,
        customers=int(row["customers"]),
        **median,
        product_name=_name(names, key),
        category=_text(names["category"].get(key)),
        due=None if median["median_days"] is None else int(due.get(key, 0)),
    )


def _median(row: Row) -> dict[str, float | None]:
    return {name: number(row[name]) for name in ("median_days", "low", "high")}


def _first_products(
    counts: ProductCounts, names: pd.DataFrame, least: int
) -> Iterator[FirstProduct]:
    """Yield the first products of most customers, and what each leads to."""
    ranked = counts.following.sort_values(["customers", "next_id"], ascending=[False, True])
    after = ranked.drop_duplicates("product_id").set_index("product_id")
    came_back = counts.following.groupby("product_id")["customers"].sum()
    top = counts.first.sort_values(["customers", "product_id"], ascending=[False, True])
    for row in top.head(SHOWN).to_dict("records"):
        key = row["product_id"]
        has_next = key in after.index and came_back[key] >= least
        yield FirstProduct(
            product_id=key,
            product_name=_name(names, key),
            customers=int(row["customers"]),
            repeat=rate(row["returned"], row["seen"], least),
            value_90d=row["value_90d"] / row["seen"] if row["seen"] >= least else None,
            next_product=_name(names, after.loc[key, "next_id"]) if has_next else None,
            next_share=float(after.loc[key, "customers"] / came_back[key]) if has_next else None,
        )


@dataclass(frozen=True)
class BundleCounts:
    """What is counted of bundles.

    Attributes
    ----------
    share, reorders, first, gateways, parts, due, names
        What the functions of :mod:`features.bundles` and :func:`features.products.names` counted.
    windows
        What :func:`refill_windows` returned.
    """

    share: pd.DataFrame
    reorders: pd.DataFrame
    first: pd.DataFrame
    gateways: pd.DataFrame
    parts: pd.DataFrame
    windows: pd.DataFrame
    due: pd.DataFrame
    names: pd.DataFrame

    def single_value(self, least: int) -> float | None:
        """Return what a customer brings who began with a single product; None of too few."""
        single = self.first[self.first["bundle_id"].isna()]
        if single.empty or single["customers"].iloc[0] < least:
            return None
        return float(single["value"].iloc[0] / single["customers"].iloc[0])

    def multiplier(self, bundle: str, base: float | None, least: int) -> float | None:
        """Return what a customer brings who began with a bundle, times `base`; None of too few."""
        own = self.first[self.first["bundle_id"] == bundle]
        if own.empty or not base or own["customers"].iloc[0] < least:
            return None
        return float(own["value"].iloc[0] / own["customers"].iloc[0] / base)


def bundle_section(counts: BundleCounts, overall: Rate, least: int) -> Bundles:
    """Put the bundles' measures together.

    Parameters
    ----------
    counts
        What they are made of.
    overall
        Rate of all customers who came back within 90 days: above it, a bundle is reordered often.
    least
        Customers below whom nothing is said.
    """
    base = counts.single_value(least)
    whole, each = _by_key(counts.due, "bundle_id")
    days = counts.windows.set_index("bundle_id")
    names = counts.names.set_index("product_id")
    rows = []
    for row in counts.reorders.sort_values("customers", ascending=False).to_dict("records"):
        key = row["bundle_id"]
        again = rate(row["reordered"], row["seen"], least)
        multiplier = counts.multiplier(key, base, least)
        box, action = _box(again.value, overall.value, multiplier)
        rows.append(
            BundleRow(
                bundle_id=key,
                parts=tuple(_parts(counts.parts, key, names)),
                customers=int(row["customers"]),
                reorder_90d=again,
                value_multiplier=multiplier,
                box=box,
                action=action,
                due=int(each.get(key, 0)),
                from_day=int(days.loc[key, "from_day"]),
                to_day=int(days.loc[key, "to_day"]),
            )
        )
    is_single = counts.first["bundle_id"].isna()
    return Bundles(
        attach=rate(counts.share["bundled"].sum(), counts.share["orders"].sum(), least),
        rows=tuple(rows),
        gateway=_gateway(counts.gateways, least),
        single_buyers=SingleBuyers(
            customers=int(counts.first["customers"][is_single].sum()), value_180d=base
        ),
        refill_due=BundleRefills(customers=whole),
    )


def _box(again: float | None, overall: float | None, multiplier: float | None) -> tuple[str, str]:
    """Return what to do with a bundle; nothing where a figure is not available."""
    if again is None or overall is None or multiplier is None:
        return "", ""
    return BOXES[again >= overall, multiplier >= 1]


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


def discount_section(sums: pd.DataFrame, least: int) -> Discounts | Missing:
    """Say what share of the repeat revenue was bought with a discount, of all and by segment.

    Parameters
    ----------
    sums
        What :func:`features.journeys.discounted_revenue` summed.
    least
        Orders below which it is not said.
    """
    whole = sums[["orders", "priced", "net_amount", "discounted_amount"]].agg(fsum)
    if whole["orders"] and not whole["priced"]:
        return missing("orders.discount_amount", "Repeat revenue bought with a discount")

    def share(row: Any) -> float | None:  # noqa: ANN401  # a row
        enough = row["orders"] >= least and row["net_amount"] > 0
        return float(row["discounted_amount"] / row["net_amount"]) if enough else None

    rows = sums.sort_values("segment").to_dict("records")
    return Discounts(
        share_of_repeat_revenue=share(whole),
        n=int(whole["orders"]),
        by_segment=tuple(
            SegmentDiscount(segment=row["segment"], share=share(row), n=int(row["orders"]))
            for row in rows
        ),
    )


def _gateway(counts: pd.DataFrame, least: int) -> Gateway | None:
    """Name the bundle that most often follows a single product."""
    n = counts["customers"].sum()
    bundles = counts[counts["bundle_id"].notna()].sort_values("customers", ascending=False)
    if bundles.empty or n < least:
        return None
    top = bundles.iloc[0]
    return Gateway(bundle_id=top["bundle_id"], rate=rate(top["customers"], n, least))


def _by_key(due: pd.DataFrame, key: str) -> tuple[int, dict[str, int]]:
    """Part what is due of all (a null key) from what is due of each."""
    is_all = due[key].isna()
    each = due[~is_all].set_index(key)["customers"].to_dict()
    return int(due["customers"][is_all].sum()), {str(k): int(n) for k, n in each.items()}


def _parts(parts: pd.DataFrame, bundle: str, names: pd.DataFrame) -> list[str]:
    """Name the products that a bundle is mostly made of."""
    of = parts[parts["bundle_id"] == bundle]
    most = of.sort_values(["customers", "product_id"], ascending=[False, True])
    return [_name(names, key) for key in most["product_id"].head(PARTS)]


def _breadth(counts: pd.DataFrame, least: int) -> tuple[BreadthRow, ...]:
    rows = counts.sort_values("categories").to_dict("records")
    each = {
        int(row["categories"]): row["revenue"] / row["customers"]
        for row in rows
        if row["customers"] >= least
    }
    one = each.get(1)
    return tuple(
        BreadthRow(
            categories="3 or more" if row["categories"] == 3 else str(int(row["categories"])),
            customers=int(row["customers"]),
            revenue_per_customer=own,
            multiplier=own / one if own is not None and one else None,
        )
        for row in rows
        for own in [each.get(int(row["categories"]))]
    )


def _name(names: pd.DataFrame, key: str) -> str:
    return _text(names["product_name"].get(key)) or str(key)


def _text(value: Any) -> str | None:  # noqa: ANN401  # a pandas value
    return None if value is None or pd.isna(value) else str(value)
