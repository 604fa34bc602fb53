"""What was in a customer's first basket, as known at the end of a day."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from features.rfm import purchases
from features.tables import FirstBasket

PRIOR = (
    20  # first-time buyers at the store's own rate that a product's or channel's rate starts with
)


def first_baskets(
    orders: ir.Table, lines: ir.Table | None, as_of: date, window_days: int
) -> ir.Table:
    """Describe the first purchase day of each customer.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`; later orders are not looked at.
    lines
        Table :class:`features.tables.OrderLines`; None = not given.
    as_of
        Last day whose orders are known.
    window_days
        A repeat rate is of second purchases within so many days of the first.

    Returns
    -------
    ir.Table
        Table :class:`features.tables.FirstBasket`, one row per customer; what is not given is null.
    """
    past_orders = orders.filter((orders.order_date <= as_of) & (orders.net_amount >= 0))
    days = purchases(orders, as_of)
    first = days.group_by("customer_id").aggregate(first_order_date=days.order_date.min())
    of_first = past_orders.join(first, "customer_id").filter(
        lambda t: t.order_date == t.first_order_date
    )
    baskets = of_first.group_by("customer_id").aggregate(
        first_order_date=of_first.first_order_date.min(),
        first_orders=of_first.count(),
        first_hour=of_first.ordered_at.hour().cast("float64").mean(),
        first_channel=of_first.channel.min(),
        refunded=of_first.refund_amount.sum(),
        gross=of_first.gross_amount.sum(),
    )
    baskets = baskets.mutate(
        first_weekday=baskets.first_order_date.day_of_week.index(),
        first_month=baskets.first_order_date.month(),
        first_refund_share=baskets.refunded / baskets.gross.nullif(0),
    )
    baskets = _with_lines(baskets, of_first, lines)
    came_back = _came_back(days, first, as_of, window_days)
    for name in ("first_channel", "first_product"):
        baskets = _with_rate(baskets, came_back, name)
    return baskets.select(
        "customer_id",
        **{
            name: baskets[name].cast(kind)
            for name, kind in FirstBasket.schema().items()
            if name != "customer_id"
        },
    )


def _with_lines(baskets: ir.Table, of_first: ir.Table, lines: ir.Table | None) -> ir.Table:
    """Add items, categories and the product that most was spent on."""
    if lines is None:
        return baskets.mutate(
            first_items=ibis.null("float64"),
            first_categories=ibis.null("float64"),
            first_product=ibis.null("string"),
        )
    bought = lines.join(of_first.select("order_id", "customer_id"), "order_id")
    inside = bought.group_by("customer_id").aggregate(
        first_items=bought.quantity.sum(),
        first_categories=bought.category.nunique().nullif(0),
        most=bought.net_amount.max(),
    )
    dearest = bought.join(inside.select("customer_id", "most"), "customer_id")
    dearest = dearest.filter(dearest.net_amount == dearest.most)
    product = dearest.group_by("customer_id").aggregate(first_product=dearest.product_id.min())
    return (
        baskets.left_join(inside.drop("most"), "customer_id")
        .drop("customer_id_right")
        .left_join(product, "customer_id")
        .drop("customer_id_right")
    )


def _came_back(days: ir.Table, first: ir.Table, as_of: date, window_days: int) -> ir.Table:
    """Say who came back within a window that is over by the end of `as_of`."""
    over = first.filter(first.first_order_date <= as_of - timedelta(days=window_days))
    later = days.join(over, "customer_id")
    gap = later.order_date.delta(later.first_order_date, unit="day")
    return later.group_by("customer_id").aggregate(
        came_back=((gap > 0) & (gap <= window_days)).any().cast("float64")
    )


def _with_rate(baskets: ir.Table, came_back: ir.Table, name: str) -> ir.Table:
    """Add the share of earlier first-time buyers of the same kind who came back, shrunk to all's."""
    seen = baskets.select("customer_id", name).join(came_back, "customer_id")
    overall = seen.aggregate(overall=seen.came_back.mean())
    of_kind = seen.group_by(name).aggregate(back=seen.came_back.sum(), known=seen.count())
    of_kind = of_kind.filter(of_kind[name].notnull()).cross_join(overall)
    rates = of_kind.select(
        kind=of_kind[name],
        **{f"{name}_rate": (of_kind.back + PRIOR * of_kind.overall) / (of_kind.known + PRIOR)},
    )
    return baskets.left_join(rates, baskets[name] == rates.kind).drop("kind")
