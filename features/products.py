"""What customers buy: product cycles, first products, breadth and bundles."""

from datetime import date

import ibis
import ibis.expr.types as ir

from features.rfm import MONEY

WINDOW_DAYS = 90
VALUE_DAYS = 180
CLOSES = 2  # cycles after which a refill is no longer due: the customer is to be won back


def customers(journeys: ir.Table, as_of: date) -> ir.Table:
    """Say of each customer when they first came back and what they brought.

    Parameters
    ----------
    journeys
        What :func:`features.journeys.journeys` returns.
    as_of
        Last day whose orders are known.

    Returns
    -------
    ir.Table
        ``customer_id, first_date, age_days, gap_days`` (to the second purchase; null = none),
        ``revenue`` (so far), ``value_90d, value_180d`` (of the first days), decimals.
    """
    early = {
        f"value_{days}d": ibis.ifelse(journeys.since_days <= days, journeys.net_amount, _zero())
        for days in (WINDOW_DAYS, VALUE_DAYS)
    }
    is_second = journeys.is_purchase & (journeys.number == 2)
    by = journeys.group_by("customer_id", "first_date").aggregate(
        gap_days=ibis.ifelse(is_second, journeys.since_days, ibis.null("int64")).min(),
        revenue=journeys.net_amount.sum(),
        **{name: value.sum() for name, value in early.items()},
    )
    return by.mutate(age_days=ibis.date(as_of).delta(by.first_date, unit="day"))


def first_quarters(customers: ir.Table, since: date) -> ir.Table:
    """Sum by the day on which new customers' first 90 days are over.

    Parameters
    ----------
    customers
        What :func:`customers` returns.
    since
        First day.

    Returns
    -------
    ir.Table
        ``date, customers, returned`` (within the 90 days), ``value_90d`` (sum).
    """
    over = customers.filter(customers.age_days >= WINDOW_DAYS)
    over = over.mutate(date=over.first_date + ibis.interval(days=WINDOW_DAYS))
    late = over.mutate(date=over.date.cast("date")).filter(lambda t: t.date >= since)
    return late.group_by("date").aggregate(
        customers=late.count(),
        returned=(late.gap_days <= WINDOW_DAYS).fill_null(False).sum(),
        value_90d=late.value_90d.sum().cast("float64"),
    )


def _zero() -> ir.Value:
    return ibis.literal(0).cast(MONEY)


def baskets(lines: ir.Table, orders: ir.Table, as_of: date) -> ir.Table:
    """Merge order lines to one row per customer, day, product and bundle.

    Parameters
    ----------
    lines
        Table :class:`features.tables.OrderLines`.
    orders
        Table :class:`features.tables.Orders`; later orders are not looked at.
    as_of
        Last day whose orders are known.

    Returns
    -------
    ir.Table
        ``customer_id, order_date, product_id, bundle_id, category, net_amount``.
    """
    past_orders = orders.filter((orders.order_date <= as_of) & (orders.net_amount >= 0))
    bought = lines.join(past_orders.select("order_id", "customer_id", "order_date"), "order_id")
    return bought.group_by("customer_id", "order_date", "product_id", "bundle_id").aggregate(
        category=bought.category.min(), net_amount=bought.net_amount.cast(MONEY).sum()
    )


def names(lines: ir.Table) -> ir.Table:
    """Name the products: ``product_id, product_name, category``."""
    return lines.group_by("product_id").aggregate(
        product_name=lines.product_name.min(), category=lines.category.min()
    )


def most_bought(bought: ir.Table, by: str, most: int) -> ir.Table:
    """Return the products or categories with most customers: the column `by`, and ``customers``."""
    each = bought.filter(bought[by].notnull()).select("customer_id", by).distinct()
    counted = each.group_by(by).aggregate(customers=each.count())
    return counted.order_by(counted.customers.desc(), counted[by]).limit(most)


def reorder_gaps(bought: ir.Table, selected: ir.Table, by: str, as_of: date) -> ir.Table:
    """Count how long customers waited until they bought the same again.

    Parameters
    ----------
    bought
        What :func:`baskets` returns.
    selected
        Products or categories to look at: the column `by`.
    by
        ``product_id`` or ``category``.
    as_of
        Last day whose orders are known: whoever has not bought again is watched until then.

    Returns
    -------
    ir.Table
        The column `by`, ``days, is_event, customers``.
    """
    days = bought.semi_join(selected, by).select("customer_id", by, "order_date").distinct()
    own = ibis.window(group_by=["customer_id", by], order_by="order_date")
    each = days.mutate(next_date=days.order_date.lead().over(own))
    until = ibis.coalesce(each.next_date, ibis.date(as_of))
    waited = each.mutate(
        days=until.delta(each.order_date, unit="day"), is_event=each.next_date.notnull()
    )
    return waited.group_by(by, "days", "is_event").aggregate(customers=waited.count())


def refills(bought: ir.Table, cycles: ir.Table, as_of: date, ahead_days: int) -> ir.Table:
    """List who runs out of a product soon, or ran out and has not bought it again for a cycle.

    Parameters
    ----------
    bought
        What :func:`baskets` returns.
    cycles
        ``product_id, median_days``.
    as_of
        Last day whose orders are known.
    ahead_days
        Products that run out within so many days are listed.

    Returns
    -------
    ir.Table
        ``customer_id, product_id, last_date, median_days, is_due`` (today; else it comes up).
    """
    last = bought.group_by("customer_id", "product_id").aggregate(
        last_date=bought.order_date.max()
    )
    candidates = last.join(cycles, "product_id")
    silent = ibis.date(as_of).delta(candidates.last_date, unit="day")
    listed = candidates.mutate(is_due=silent >= candidates.median_days)
    soon = (silent + ahead_days >= candidates.median_days) & (
        silent <= CLOSES * candidates.median_days
    )
    return listed.filter(soon).select(
        "customer_id", "product_id", "last_date", "median_days", "is_due"
    )


def due(listed: ir.Table) -> ir.Table:
    """Count whom a refill is due for: ``product_id`` (null = of all products) and ``customers``.

    Parameters
    ----------
    listed
        What :func:`refills` returns.
    """
    now = listed.filter(listed.is_due)
    whole = now.aggregate(product_id=ibis.null("string"), customers=now.customer_id.nunique())
    return now.group_by("product_id").aggregate(customers=now.count()).union(whole)


def main_products(bought: ir.Table, journeys: ir.Table) -> ir.Table:
    """Name the product on which most was spent on the first and on the second purchase day.

    Parameters
    ----------
    bought
        What :func:`baskets` returns.
    journeys
        What :func:`features.journeys.journeys` returns.

    Returns
    -------
    ir.Table
        ``customer_id, product_id`` and ``next_id`` (null = has not come back, or not known); of equal
        ones, the first by its id.
    """
    early = journeys.filter(journeys.is_purchase & (journeys.number <= 2))
    inside = bought.join(
        early.select("customer_id", "order_date", "number"), ["customer_id", "order_date"]
    )
    spent = inside.group_by("customer_id", "number", "product_id").aggregate(
        amount=inside.net_amount.sum()
    )
    top = spent.group_by("customer_id", "number").aggregate(amount=spent.amount.max())
    main = spent.join(top, ["customer_id", "number", "amount"])
    main = main.group_by("customer_id", "number").aggregate(product_id=main.product_id.min())
    first, second = main.filter(main.number == 1), main.filter(main.number == 2)
    following = second.select(returning_id="customer_id", next_id="product_id")
    both = first.left_join(following, first.customer_id == following.returning_id)
    return both.select("customer_id", "product_id", "next_id")


def first_products(main: ir.Table, customers: ir.Table) -> ir.Table:
    """Count by first product who came back within 90 days and what they brought by then.

    Parameters
    ----------
    main
        What :func:`main_products` returns.
    customers
        What :func:`customers` returns.

    Returns
    -------
    ir.Table
        ``product_id, customers, seen`` (for 90 days or longer), ``returned`` and ``value_90d`` (sum),
        both of those.
    """
    both = main.join(customers, "customer_id")
    is_seen = both.age_days >= WINDOW_DAYS
    return both.group_by("product_id").aggregate(
        customers=both.count(),
        seen=is_seen.sum(),
        returned=(is_seen & (both.gap_days <= WINDOW_DAYS)).fill_null(False).sum(),
        value_90d=ibis.ifelse(is_seen, both.value_90d, _zero()).sum().cast("float64"),
    )


def next_products(main: ir.Table) -> ir.Table:
    """Count what is bought after a first product: ``product_id, next_id, customers``."""
    came = main.filter(main.next_id.notnull())
    return came.group_by("product_id", "next_id").aggregate(customers=came.count())


def breadth(bought: ir.Table, customers: ir.Table) -> ir.Table:
    """Count customers by the number of categories they bought: ``categories`` (3 = 3 or more).

    Returns
    -------
    ir.Table
        ``categories, customers, revenue``.
    """
    by = (
        bought.filter(bought.category.notnull())
        .group_by("customer_id")
        .aggregate(n=lambda t: t.category.nunique())
    )
    both = by.join(customers, "customer_id")
    both = both.mutate(categories=ibis.least(both.n, 3))
    return both.group_by("categories").aggregate(
        customers=both.count(), revenue=both.revenue.sum().cast("float64")
    )
