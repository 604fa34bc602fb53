"""When customers bought between their first and their last purchase: what a season index is learned from."""

from datetime import date

import ibis
import ibis.expr.types as ir

from features.rfm import purchases


def purchase_spans(orders: ir.Table, as_of: date, since: date | None = None) -> ir.Table:
    """Count purchases between first and last one, by the days of these two.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`; later orders are not looked at.
    as_of
        Last day whose orders are known.
    since
        Purchases before this day are not counted; None = all are.

    Returns
    -------
    ir.Table
        ``first_order_date, last_order_date, purchases``: how many purchase days lie strictly between
        the two; spans without any are left out. Ordered.
    """
    between = _between(orders, as_of, since)
    spans = between.group_by("first_order_date", "last_order_date").aggregate(
        purchases=between.count()
    )
    return spans.order_by("first_order_date", "last_order_date")


def purchases_between(orders: ir.Table, as_of: date, since: date | None = None) -> ir.Table:
    """Count the same purchases by their own day: ``order_date, purchases``, ordered.

    Parameters
    ----------
    orders, as_of, since
        As for :func:`purchase_spans`.
    """
    between = _between(orders, as_of, since)
    return (
        between.group_by("order_date").aggregate(purchases=between.count()).order_by("order_date")
    )


def _between(orders: ir.Table, as_of: date, since: date | None) -> ir.Table:
    """List purchase days that are neither the customer's first nor the last one."""
    days = purchases(orders, as_of).select("customer_id", "order_date")
    of_customer = ibis.window(group_by="customer_id")
    days = days.mutate(
        first_order_date=days.order_date.min().over(of_customer),
        last_order_date=days.order_date.max().over(of_customer),
    )
    is_between = (days.order_date > days.first_order_date) & (
        days.order_date < days.last_order_date
    )
    if since is not None:
        is_between &= days.order_date >= since
    return days.filter(is_between)
