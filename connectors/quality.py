"""What a person should know of an order history before trusting what is said of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir
import pandas as pd

from connectors.engine import Engine
from connectors.rules import UNWRITTEN

SHORT_DAYS = (50, 70)  # an API without the right to older orders gives the last 60
FIRSTS = 3  # months with orders, from which on days that are all one day of a month are no chance
MOST_GAPS = 3  # that are named
GAP_ORDERS = 30  # a gap that swallowed as many orders as usual days have is said
SUDDEN_SHARE = 0.5  # of the later daily orders, in the first week
SUDDEN_ORDERS = 5  # a day: below, half of the usual number in the first week is no surprise
OUTSIZE_SHARE = 0.1  # of all revenue, by one customer
GIANT = 20.0  # times the median order


@dataclass(frozen=True)
class Quality:
    """The problems of a source.

    Attributes
    ----------
    warnings
        One line each: the problem and its meaning.
    examples
        Order numbers of some rejected rows, by rule.
    customers_merged
        Identities that turned out to be of another's customer.
    """

    warnings: tuple[str, ...]
    examples: Mapping[str, tuple[str, ...]]
    customers_merged: int


def look_at_orders(
    engine: Engine,
    orders: ir.Table,
    judged: ir.Table,
    merged: ir.Table,
    customers_merged: int,
    notes: tuple[str, ...],
    *,
    has_rejects: bool,
) -> Quality:
    """Look for what spoils a history without breaking a rule.

    Parameters
    ----------
    engine
        Where the tables are.
    orders
        The kept orders, ``features.tables.Orders``.
    judged, merged
        Rows and orders with the rules that they break.
    customers_merged
        Identities that turned out to be of another's customer.
    notes
        What the preset says of how it read the source.
    has_rejects
        Whether any row broke a rule.
    """
    bought = orders.filter(orders.net_amount > 0)
    by_day = engine.frame(bought.group_by("order_date").aggregate(orders=bought.count()))
    messages = [*notes, *_days(by_day), *_sizes(engine, bought)]
    if customers_merged:
        messages.append(
            f"{customers_merged:,} customer ids, e-mails and phone numbers were linked to other customers by an id, e-mail or "
            "phone that they share"
        )
    examples = _examples(engine, judged, merged) if has_rejects else {}
    return Quality(tuple(messages), examples, customers_merged)


def _days(by_day: pd.DataFrame) -> list[str]:
    """Say what the days tell: a history that was cut off, that starts suddenly, or has gaps."""
    days = pd.to_datetime(by_day["order_date"])
    daily = (
        pd.Series(by_day["orders"].to_numpy(), index=days).sort_index().asfreq("D", fill_value=0)
    )
    messages = []
    same_day = _same_day_of_month(days)
    if len(days) >= FIRSTS and same_day:
        return [
            f"all orders are dated on {same_day} of a month ({len(days):,} months), so the time between "
            "orders is lost. Export the orders with their days"
        ]
    if SHORT_DAYS[0] <= len(daily) <= SHORT_DAYS[1]:
        messages.append(
            f"the history spans only {len(daily)} days. Some exports stop at 60 days unless all orders may be read; "
            "every customer then looks new. Export the whole history"
        )
    week, usual = daily.iloc[:7].mean(), daily.iloc[7:].median()
    if len(daily) > 60 and usual >= SUDDEN_ORDERS and week >= SUDDEN_SHARE * usual:
        messages.append(
            f"the history starts suddenly, with {week:.0f} orders a day from {daily.index[0].date()}: earlier "
            "orders are probably missing, and some customers who look new are not. Add the earlier orders"
        )
    gaps = _gaps(daily)
    if len(gaps) > MOST_GAPS:
        more = f"{len(gaps) - MOST_GAPS:,} more such gaps: check that no export is missing"
        gaps = [*gaps[:MOST_GAPS], more]
    return messages + gaps


def _same_day_of_month(days: pd.Series) -> str | None:
    """Name the one day of a month that all days are; None = they are several."""
    if (days.dt.day == 1).all():
        return "the first day"
    if days.dt.is_month_end.all():
        return "the last day"
    return f"day {days.dt.day.iloc[0]}" if days.dt.day.nunique() == 1 else None


def _gaps(daily: pd.Series) -> list[str]:
    """Say which runs of days have no orders where many were to be expected."""
    empty = daily == 0
    weekdays = pd.Series(pd.DatetimeIndex(daily.index).dayofweek, index=daily.index)
    run = (empty != empty.shift()).cumsum()[empty]
    messages = []
    for _, days in run.groupby(run):
        around = daily.loc[
            days.index[0] - pd.Timedelta(days=28) : days.index[-1] + pd.Timedelta(days=28)
        ]
        usual = around[around > 0].groupby(weekdays).mean()
        expected = float(weekdays[days.index].map(usual).fillna(0).sum())
        if expected >= GAP_ORDERS and len(days) >= 2:
            messages.append(
                f"no orders from {days.index[0].date()} to {days.index[-1].date()}, where about "
                f"{expected:,.0f} would be usual: check that no export is missing"
            )
    return messages


def _sizes(engine: Engine, bought: ir.Table) -> list[str]:
    """Say whether one customer, or a few orders, are far larger than the others."""
    by_customer = bought.group_by("customer_id").aggregate(value=bought.net_amount.sum())
    median = bought.aggregate(median=bought.net_amount.median())
    beside = bought.cross_join(median)
    is_giant = beside.net_amount > GIANT * beside["median"]
    giants = beside.aggregate(
        giants=is_giant.sum(), giant_value=is_giant.ifelse(beside.net_amount, 0.0).sum()
    )
    most = by_customer.aggregate(
        customers=by_customer.count(), most=by_customer.value.max(), total=by_customer.value.sum()
    )
    facts = engine.frame(most.cross_join(giants)).iloc[0]
    if not facts["customers"]:
        return []
    messages = []
    if facts["customers"] >= 10 and facts["most"] / facts["total"] >= OUTSIZE_SHARE:
        messages.append(
            f"one customer brought {facts['most'] / facts['total']:.0%} of all revenue. A reseller or a till? "
            "orders.ignored_identities takes ids that identify no customer"
        )
    if facts["giants"] > 0:
        giants, share = int(facts["giants"]), facts["giant_value"] / facts["total"]
        are = "1 order is" if giants == 1 else f"{giants:,} orders are"
        may = (
            "It may be wholesale; it counts"
            if giants == 1
            else "They may be wholesale; they count"
        )
        messages.append(
            f"{are} over {GIANT:.0f} times the median ({share:.0%} of revenue). {may} as usual"
        )
    return messages


def _examples(engine: Engine, judged: ir.Table, merged: ir.Table) -> dict[str, tuple[str, ...]]:
    """Name some orders that each rule refused."""
    bad = judged.select("rule", "order_id").union(merged.select("rule", "order_id"))
    bad = bad.filter(bad.rule.notnull() & ~bad.rule.isin(UNWRITTEN))
    ends = bad.group_by("rule").aggregate(first=bad.order_id.min(), last=bad.order_id.max())
    return {
        rule: tuple(dict.fromkeys(str(one) for one in ids if not pd.isna(one)))
        for rule, *ids in engine.frame(ends.order_by("rule")).itertuples(index=False)
    }
