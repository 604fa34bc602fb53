"""An order history in figures that a person can compare with the shop's own."""

from typing import Any

import ibis.expr.types as ir

from connectors.engine import Engine

Facts = dict[str, Any]


def summarize(engine: Engine, orders: ir.Table) -> Facts:
    """Count customers, orders and revenue, in all and by month.

    Parameters
    ----------
    engine
        Where the orders are.
    orders
        The kept orders, ``features.tables.Orders``; those of negative value are refunds.

    Returns
    -------
    dict
        ``customers``, ``returning_customers`` (purchases on two days or more), ``orders``,
        ``revenue`` (less refunds), ``first_day``, ``last_day``, and ``months``: ``month, orders,
        revenue`` of each.
    """
    is_order = orders.net_amount >= 0
    by_customer = orders.group_by("customer_id").aggregate(
        days=orders.order_date.nunique(where=is_order)
    )
    people = engine.frame(
        by_customer.aggregate(
            customers=(by_customer.days > 0).sum(), returning=(by_customer.days > 1).sum()
        )
    ).iloc[0]
    month = orders.order_date.truncate("M")
    by_month = engine.frame(
        orders.group_by(month=month)
        .aggregate(
            orders=is_order.sum(),
            revenue=orders.net_amount.cast("float64").sum(),
            first=orders.order_date.min(),
            last=orders.order_date.max(),
        )
        .order_by("month")
    )
    months = [
        {
            "month": f"{row.month:%Y-%m}",
            "orders": int(row.orders),
            "revenue": round(row.revenue, 2),
        }
        for row in by_month.itertuples(index=False)
    ]
    return {
        "customers": int(people["customers"]),
        "returning_customers": int(people["returning"]),
        "orders": int(by_month["orders"].sum()),
        "revenue": round(float(by_month["revenue"].sum()), 2),
        "first_day": f"{by_month['first'].min():%Y-%m-%d}",
        "last_day": f"{by_month['last'].max():%Y-%m-%d}",
        "months": months,
    }
