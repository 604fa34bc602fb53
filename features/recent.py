"""What a customer did of late, as known at the end of a day: what a learned model sees beyond the state."""

from datetime import date, timedelta

import ibis.expr.types as ir

from features.rfm import MONEY, by_day, purchases
from features.tables import RECENT_DAYS, Recent


def recent(orders: ir.Table, as_of: date) -> ir.Table:
    """Count and sum each customer's last 30 to 365 days.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`; later orders are not looked at.
    as_of
        Last day whose orders are known.

    Returns
    -------
    ir.Table
        Table :class:`features.tables.Recent`, one row per customer with an order by then.
    """
    bought, whole = purchases(orders, as_of), by_day(orders.filter(orders.order_date <= as_of))
    seen = bought.group_by("customer_id").aggregate(
        last_amount=bought.net_amount.argmax(bought.order_date),
        largest_amount=bought.net_amount.max(),
        **{
            f"orders_{days}d": bought.count(where=bought.order_date > as_of - timedelta(days=days))
            for days in RECENT_DAYS
        },
    )
    spent = whole.group_by("customer_id").aggregate(
        **{
            f"amount_{days}d": whole.net_amount.sum(
                where=whole.order_date > as_of - timedelta(days=days)
            )
            .fill_null(0)
            .cast(MONEY)
            for days in RECENT_DAYS
        }
    )
    both = seen.join(spent, "customer_id")
    return both.select(**{name: both[name].cast(kind) for name, kind in Recent.schema().items()})
