"""When customers bought between their first and their last purchase: what a season index is learned from."""

from datetime import date

import ibis
import ibis.expr.types as ir

from features.rfm import purchases


def purchase_spans(
    orders: ir.Table, as_of: date, since: date | None = None, regularity: float = 1.0
) -> ir.Table:
    """Count purchases between customers' first and last ones, by the days that they are spread over.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`; later orders are not looked at.
    as_of
        Last day whose orders are known.
    since
        Purchases before this day are not counted; None = all are.
    regularity
        k of the Erlang distribution of gaps, 1 = random: the more regular, the farther from the first
        and the last purchase the others lie.

    Returns
    -------
    ir.Table
        ``first_order_date, last_order_date, cut_days, purchases``: how many purchase days lie strictly
        between the two days, and more than `cut_days` from either; spans without any are left out.
        Ordered.

    Notes
    -----
    Of x gaps in a span of length L, the purchases between are uniform over it where they are random.
    With Erlang-k gaps their density in the middle is (x - 1/k) / L, so that they lie as if uniform over
    all but (1 - 1/k) / (x - 1/k) of L, half of it at either end: by the renewal function, t / gap -
    (1 - 1/k) / 2 for large t (Cox 1962, Renewal Theory, section 4.2).
    """
    between = _between(orders, as_of, since, regularity)
    by = ("first_order_date", "last_order_date", "cut_days")
    return between.group_by(*by).aggregate(purchases=between.count()).order_by(*by)


def purchases_between(
    orders: ir.Table, as_of: date, since: date | None = None, regularity: float = 1.0
) -> ir.Table:
    """Count the same purchases by their own day: ``order_date, purchases``, ordered.

    Parameters
    ----------
    orders, as_of, since, regularity
        As for :func:`purchase_spans`.
    """
    between = _between(orders, as_of, since, regularity)
    days = between.group_by("order_date").aggregate(purchases=between.count())
    return days.order_by("order_date")


def _between(orders: ir.Table, as_of: date, since: date | None, regularity: float) -> ir.Table:
    """List purchase days between the customer's first and last one, with the span that they lie in."""
    days = purchases(orders, as_of).select("customer_id", "order_date")
    of_customer = ibis.window(group_by="customer_id")
    days = days.mutate(
        first_order_date=days.order_date.min().over(of_customer),
        last_order_date=days.order_date.max().over(of_customer),
        gaps=days.order_date.count().over(of_customer) - 1,
    )
    first, last = days.first_order_date, days.last_order_date
    inside = days.filter((days.order_date > first) & (days.order_date < last))
    length = inside.last_order_date.delta(inside.first_order_date, unit="day")
    share = (1 - 1 / regularity) / (inside.gaps - 1 / regularity)
    inside = inside.mutate(cut_days=(length * share / 2).floor().cast("int64"))
    after_first = inside.order_date.delta(inside.first_order_date, unit="day")
    before_last = inside.last_order_date.delta(inside.order_date, unit="day")
    is_inside = (after_first > inside.cut_days) & (before_last > inside.cut_days)
    if since is not None:
        is_inside &= inside.order_date >= since
    return inside.filter(is_inside)
