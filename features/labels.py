"""What happened later: outcomes of a window that starts after everything a feature may know."""

import ibis.expr.types as ir

from features.rfm import by_day, is_purchase
from features.window import Window


def outcomes(orders: ir.Table, state: ir.Table, window: Window) -> ir.Table:
    """Count what each known customer bought in a window.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`.
    state
        Table :class:`features.tables.CustomerState`: whom to look at. Customers first seen inside
        the window are not among them.
    window
        Days to look at.

    Returns
    -------
    ir.Table
        Table :class:`features.tables.Outcomes`; customers without an order have zeros.
    """
    inside = orders.filter((orders.order_date >= window.start) & (orders.order_date < window.end))
    return _bought(state, inside)


def outcomes_since(orders: ir.Table, starts: ir.Table, days: int) -> ir.Table:
    """Count what each customer bought in the days after a day of their own.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`.
    starts
        ``customer_id`` and ``start_date``, one row per customer.
    days
        To look at, from the day after the start on.

    Returns
    -------
    ir.Table
        Table :class:`features.tables.Outcomes`; customers without an order have zeros.
    """
    own = starts.select(starter="customer_id", start_date="start_date")
    both = orders.inner_join(own, orders.customer_id == own.starter)
    since = both.order_date.delta(both.start_date, unit="day")
    return _bought(starts, both.filter((since >= 1) & (since <= days)).select(*orders.columns))


def beside(orders: ir.Table, customers: ir.Table, window: Window) -> ir.Table:
    """Count the purchase days in a window of customers who are not among the known.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`.
    customers
        ``customer_id`` of whom a forecast spoke.
    window
        Days to look at.

    Returns
    -------
    ir.Table
        One row: ``new_orders``, of customers whose first purchase lies in the window, and ``unmatched_orders``,
        of customers who bought before it and whom the forecast did not know.
    """
    days = by_day(orders.filter(orders.order_date < window.end))
    bought = days.filter(is_purchase(days)).anti_join(customers, "customer_id")
    seen = bought.group_by("customer_id").aggregate(
        first=bought.order_date.min(),
        later=(bought.order_date >= window.start).sum(),
    )
    is_new = seen.first >= window.start
    return seen.aggregate(
        new_orders=seen.later.sum(where=is_new).fill_null(0),
        unmatched_orders=seen.later.sum(where=~is_new).fill_null(0),
    )


def _bought(who: ir.Table, orders: ir.Table) -> ir.Table:
    days = by_day(orders)
    bought = days.group_by("customer_id").aggregate(
        later_orders=is_purchase(days).sum(),
        later_value=days.net_amount.sum().cast("float64"),
    )
    outcomes = who.select("customer_id").left_join(bought, "customer_id")
    return outcomes.select(
        customer_id=outcomes.customer_id,
        later_orders=outcomes.later_orders.fill_null(0),
        later_value=outcomes.later_value.fill_null(0.0),
    )
