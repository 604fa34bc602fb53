"""An order history in figures that a person can compare with the shop's own."""

from dataclasses import dataclass
from datetime import date

import ibis.expr.types as ir
import pandas as pd

from connectors.engine import Engine


@dataclass(frozen=True)
class MonthSummary:
    """A month of an order history.

    Attributes
    ----------
    month
        Such as ``2026-11``.
    orders
        Number of orders.
    revenue
        Less refunds, in the store's currency.
    """

    month: str
    orders: int
    revenue: float


@dataclass(frozen=True)
class Summary:
    """An order history in figures.

    Attributes
    ----------
    customers, returning_customers
        Customers with purchases on a day or more, and on two days or more.
    orders
        Number of orders.
    revenue
        Less refunds, in the store's currency.
    first_day, last_day
        Days of the first and the last order.
    months
        Each month that has orders.
    """

    customers: int
    returning_customers: int
    orders: int
    revenue: float
    first_day: date
    last_day: date
    months: tuple[MonthSummary, ...]


def summarize(engine: Engine, orders: ir.Table) -> Summary:
    """Count customers, orders and revenue, in all and by month.

    Parameters
    ----------
    engine
        Where the orders are.
    orders
        The kept orders, ``features.tables.Orders``; those of negative value are refunds.
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
    months = tuple(
        MonthSummary(f"{row['month']:%Y-%m}", int(row["orders"]), round(float(row["revenue"]), 2))
        for row in by_month.to_dict("records")
    )
    return Summary(
        customers=int(people["customers"]),
        returning_customers=int(people["returning"]),
        orders=int(by_month["orders"].sum()),
        revenue=round(float(by_month["revenue"].sum()), 2),
        first_day=pd.Timestamp(by_month["first"].min()).date(),
        last_day=pd.Timestamp(by_month["last"].max()).date(),
        months=months,
    )
