"""Customer state: recency, frequency and money as known at the end of a day.

Orders of one customer on one day are one purchase. Money is summed as decimals, since parallel
sums of floats differ in their last digits from run to run.
"""

from datetime import date

import ibis
import ibis.expr.types as ir

from features.first_order import FIRST_ORDER_FEATURES
from features.tables import HISTORY, CustomerState

MONEY = "decimal(18, 4)"
AMOUNTS = ("net_amount", "gross_amount", "discount_amount")


def purchases(orders: ir.Table, as_of: date) -> ir.Table:
    """Merge the orders known at the end of `as_of` to one row per customer and day of purchase.

    Refunds of the same day are taken off it, and a day that is wholly refunded is none. A later
    refund lowers revenue on its own day, and is no purchase.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`.
    as_of
        Last day whose orders are known.

    Returns
    -------
    ir.Table
        ``customer_id, order_date, orders, net_amount, gross_amount, discount_amount``.
    """
    days = by_day(orders.filter(orders.order_date <= as_of))
    return days.filter(is_purchase(days)).drop("refunds")


def by_day(orders: ir.Table, *, has_refunds: bool = True) -> ir.Table:
    """Sum orders and refunds by customer and day, and the amounts that the table has."""
    is_refund = orders.net_amount < 0
    counts = {
        "orders": orders.count(where=~is_refund if has_refunds else None),
        **({"refunds": orders.count(where=is_refund)} if has_refunds else {}),
    }
    sums = {name: orders[name].cast(MONEY).sum() for name in AMOUNTS if name in orders.columns}
    return orders.group_by("customer_id", "order_date").aggregate(**counts, **sums)


def is_purchase(days: ir.Table) -> ir.BooleanColumn:
    """Tell days of purchase: worth something, or with orders of no value that were never refunded."""
    return (days.net_amount > 0) | ((days.net_amount == 0) & (days.refunds == 0))


def customer_state(orders: ir.Table, as_of: date, *, has_refunds: bool = True) -> ir.Table:
    """Say what is known of each customer at the end of `as_of`.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`; later orders are not looked at. Gross amounts and
        discounts may be lacking, where none are given: what is not summed costs nothing.
    as_of
        Last day whose orders are known.
    has_refunds
        Whether orders may be worth less than nothing; where none is, every day is one of purchase.

    Returns
    -------
    ir.Table
        Table :class:`features.tables.CustomerState`, one row per customer with an order by then.

    References
    ----------
    Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, section 2: (x, t_x, T).
    """
    days = by_day(orders.filter(orders.order_date <= as_of), has_refunds=has_refunds)
    bought, day = is_purchase(days) if has_refunds else None, days.order_date
    seen = days.group_by("customer_id").aggregate(
        purchase_days=days.count(where=bought),
        orders=days.orders.sum(where=bought),
        bought=days.net_amount.sum(where=bought),
        revenue=days.net_amount.sum(),  # later refunds lower revenue, not the purchases
        first_order_date=day.min(where=bought),
        last_order_date=day.max(where=bought),
        **{
            f"first_{name}": days[name].argmin(day, where=bought)
            for name in AMOUNTS
            if name in days
        },
    )
    lacking = [f"first_{name}" for name in AMOUNTS if name not in days]
    seen = seen.filter(seen.purchase_days > 0).mutate(**dict.fromkeys(lacking, ibis.null(MONEY)))
    today = ibis.date(as_of)
    frequency = seen.purchase_days - 1
    repeat_revenue = (seen.bought - seen.first_net_amount).cast("float64")
    state = seen.mutate(
        as_of=today,
        frequency=frequency,
        recency_days=seen.last_order_date.delta(seen.first_order_date, unit="day"),
        age_days=today.delta(seen.first_order_date, unit="day"),
        monetary_value=ibis.ifelse(frequency > 0, repeat_revenue / frequency, 0.0),
        **{feature.__name__: feature(seen) for feature in FIRST_ORDER_FEATURES},
    )
    return state.select(
        **{name: state[name].cast(kind) for name, kind in CustomerState.schema().items()}
    )


def state_cells(state: ir.Table) -> ir.Table:
    """Count the customers that share a state: the sufficient statistics of every purchase model.

    Parameters
    ----------
    state
        Table :class:`features.tables.CustomerState`.

    Returns
    -------
    ir.Table
        ``frequency, recency_days, age_days, customers``, ordered.
    """
    cells = state.group_by(*HISTORY).aggregate(customers=state.count())
    return cells.order_by(*HISTORY)


def spend_cells(state: ir.Table) -> ir.Table:
    """Count repeat customers that share frequency and mean spend; non-positive means are left out.

    Parameters
    ----------
    state
        Table :class:`features.tables.CustomerState`.

    Returns
    -------
    ir.Table
        ``frequency, monetary_value, customers``, ordered.
    """
    repeat = state.filter((state.frequency > 0) & (state.monetary_value > 0))
    cells = repeat.group_by("frequency", "monetary_value").aggregate(customers=repeat.count())
    return cells.order_by("frequency", "monetary_value")
