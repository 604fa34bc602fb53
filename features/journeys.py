"""From one purchase to the next: what repeat rates, cohorts and series are counted from."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from features.rfm import by_day, is_purchase

STEPS = 3  # from the first order to the second, to the third, to the fourth
CURVE_DAYS = 365
ARRIVALS_DAYS = 730  # of whom the curve of revenue by age is taken


def journeys(orders: ir.Table, as_of: date) -> ir.Table:
    """List each customer's days, purchases numbered, each with the next one.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`; later orders are not looked at.
    as_of
        Last day whose orders are known.

    Returns
    -------
    ir.Table
        ``customer_id, order_date, is_purchase, number`` (1 = first purchase), ``first_date,
        next_date`` (null = none yet), ``since_days`` (since the first purchase), ``net_amount,
        discount_amount`` (decimals). Days that are no purchase carry refunds only; those before the
        first purchase are left out.
    """
    days = by_day(orders.filter(orders.order_date <= as_of))
    days = days.mutate(is_purchase=is_purchase(days))
    own = ibis.window(group_by=["customer_id", "is_purchase"], order_by="order_date")
    days = days.mutate(
        number=(ibis.row_number().over(own) + 1).cast("int64"),
        next_date=days.order_date.lead().over(own),
    )
    first = (
        days.filter(days.is_purchase)
        .group_by("customer_id")
        .aggregate(first_date=lambda t: t.order_date.min())
    )
    dated = days.join(first, "customer_id").filter(lambda t: t.order_date >= t.first_date)
    return dated.select(
        "customer_id",
        "order_date",
        "is_purchase",
        "first_date",
        "net_amount",
        "discount_amount",
        number=ibis.ifelse(dated.is_purchase, dated.number, 0),
        next_date=ibis.ifelse(dated.is_purchase, dated.next_date, ibis.null("date")),
        since_days=dated.order_date.delta(dated.first_date, unit="day"),
    )


def gaps(journeys: ir.Table, as_of: date) -> ir.Table:
    """Count how long customers waited for the next purchase, by the purchases so far.

    Parameters
    ----------
    journeys
        What :func:`journeys` returns.
    as_of
        Last day whose orders are known: whoever has not come back is watched until then.

    Returns
    -------
    ir.Table
        ``number, days, is_event, customers``.
    """
    bought = journeys.filter(journeys.is_purchase & (journeys.number <= STEPS))
    until = ibis.coalesce(bought.next_date, ibis.date(as_of))
    waited = bought.mutate(
        days=until.delta(bought.order_date, unit="day"), is_event=bought.next_date.notnull()
    )
    return waited.group_by("number", "days", "is_event").aggregate(customers=waited.count())


def returned(journeys: ir.Table, as_of: date) -> ir.Table:
    """Count customers by the day of their first purchase and the days until the second.

    Parameters
    ----------
    journeys
        What :func:`journeys` returns.
    as_of
        Last day whose orders are known.

    Returns
    -------
    ir.Table
        ``age_days, gap_days`` (null = not yet) and ``customers``.
    """
    first = journeys.filter(journeys.is_purchase & (journeys.number == 1))
    seen = first.mutate(
        age_days=ibis.date(as_of).delta(first.order_date, unit="day"),
        gap_days=first.next_date.delta(first.order_date, unit="day"),
    )
    return seen.group_by("age_days", "gap_days").aggregate(customers=seen.count())


def cohort_cells(journeys: ir.Table) -> ir.Table:
    """Count active customers and sum their revenue by month of the first purchase and months since.

    Parameters
    ----------
    journeys
        What :func:`journeys` returns.

    Returns
    -------
    ir.Table
        ``first_month`` (its first day), ``age`` (calendar months), ``active`` (customers with a
        purchase) and ``net_amount`` (refunds taken off).
    """
    first, now = journeys.first_date, journeys.order_date
    age = (now.year() - first.year()) * 12 + now.month() - first.month()
    each = journeys.mutate(first_month=first.truncate("M"), age=age.cast("int64"))
    each = each.group_by("customer_id", "first_month", "age").aggregate(
        net_amount=each.net_amount.sum(), bought=each.is_purchase.any()
    )
    return each.group_by("first_month", "age").aggregate(
        active=each.bought.sum(), net_amount=each.net_amount.sum().cast("float64")
    )


def first_days(journeys: ir.Table) -> ir.Table:
    """Count new customers by day, and what they paid first.

    Parameters
    ----------
    journeys
        What :func:`journeys` returns.

    Returns
    -------
    ir.Table
        ``date, customers, net_amount``.
    """
    first = journeys.filter(journeys.is_purchase & (journeys.number == 1))
    return first.group_by(date=first.order_date).aggregate(
        customers=first.count(), net_amount=first.net_amount.sum().cast("float64")
    )


def by_age(journeys: ir.Table, as_of: date) -> ir.Table:
    """Sum what newer customers brought by days since their first purchase.

    Parameters
    ----------
    journeys
        What :func:`journeys` returns.
    as_of
        Last day whose orders are known; of customers who came within two years of it.

    Returns
    -------
    ir.Table
        ``since_days`` (0 to 365), ``orders, net_amount``.
    """
    recent = journeys.filter(
        (journeys.first_date > as_of - timedelta(days=ARRIVALS_DAYS))
        & (journeys.since_days <= CURVE_DAYS)
    )
    return recent.group_by("since_days").aggregate(
        orders=recent.is_purchase.sum(), net_amount=recent.net_amount.sum().cast("float64")
    )


def early_revenue(journeys: ir.Table, as_of: date, days: int) -> ir.Table:
    """Sum what customers brought in their first days, by how long ago they came.

    Parameters
    ----------
    journeys
        What :func:`journeys` returns.
    as_of
        Last day whose orders are known.
    days
        After the first purchase, itself included.

    Returns
    -------
    ir.Table
        ``age_days, customers, amount, squares`` (sums of each customer's amount and of its square).
    """
    early = journeys.filter(journeys.since_days <= days)
    each = early.group_by("customer_id", "first_date").aggregate(amount=early.net_amount.sum())
    cents = (each.amount * 100).round().cast("int64")  # whole numbers: the same in any order
    each = each.mutate(
        age_days=ibis.date(as_of).delta(each.first_date, unit="day"), squared=cents * cents
    )
    return each.group_by("age_days").aggregate(
        customers=each.count(),
        amount=each.amount.sum().cast("float64"),
        squares=each.squared.sum().cast("float64") / 10_000,
    )


def returners(journeys: ir.Table, as_of: date) -> ir.Table:
    """Sum what customers who came back brought after the first order, within a year of it.

    Parameters
    ----------
    journeys
        What :func:`journeys` returns.
    as_of
        Last day whose orders are known; customers seen for a year count.

    Returns
    -------
    ir.Table
        One row: ``customers, orders, net_amount``.
    """
    seen = journeys.filter(
        journeys.is_purchase
        & (journeys.number > 1)
        & (journeys.since_days <= CURVE_DAYS)
        & (journeys.first_date <= as_of - timedelta(days=CURVE_DAYS))
    )
    return seen.aggregate(
        customers=seen.customer_id.nunique(),
        orders=seen.count(),
        net_amount=seen.net_amount.sum().cast("float64"),
    )


def daily(journeys: ir.Table, since: date) -> ir.Table:
    """Sum purchases by day.

    Parameters
    ----------
    journeys
        What :func:`journeys` returns.
    since
        First day.

    Returns
    -------
    ir.Table
        ``date, orders`` (purchases), ``repeat_orders`` (but for first ones), ``net_amount,
        discounted`` (purchases with a discount), ``priced`` (whose discount is known).
    """
    late = journeys.filter(journeys.is_purchase & (journeys.order_date >= since))
    return late.group_by(date=late.order_date).aggregate(
        orders=late.count(),
        repeat_orders=(late.number > 1).sum(),
        net_amount=late.net_amount.sum().cast("float64"),
        discounted=(late.discount_amount > 0).sum(),
        priced=late.discount_amount.notnull().sum(),
    )


def second_gaps(journeys: ir.Table, since: date) -> ir.Table:
    """Count second purchases by their day and by days since the first.

    Parameters
    ----------
    journeys
        What :func:`journeys` returns.
    since
        First day.

    Returns
    -------
    ir.Table
        ``date, days, customers``.
    """
    late = journeys.filter(
        journeys.is_purchase & (journeys.number == 2) & (journeys.order_date >= since)
    )
    return late.group_by(date=late.order_date, days=late.since_days).aggregate(
        customers=late.count()
    )


def discounted_revenue(journeys: ir.Table, segments: ir.Table) -> ir.Table:
    """Sum the revenue of repeat purchases, and what of it was bought with a discount, by segment.

    Parameters
    ----------
    journeys
        What :func:`journeys` returns.
    segments
        ``customer_id, segment``.

    Returns
    -------
    ir.Table
        ``segment, orders, priced`` (whose discount is known), ``net_amount, discounted_amount``.
    """
    repeat = journeys.filter(journeys.is_purchase & (journeys.number > 1)).join(
        segments, "customer_id"
    )
    zero = ibis.literal(0).cast(repeat.net_amount.type())
    return repeat.group_by("segment").aggregate(
        orders=repeat.count(),
        priced=repeat.discount_amount.notnull().sum(),
        net_amount=repeat.net_amount.sum().cast("float64"),
        discounted_amount=ibis.ifelse(repeat.discount_amount > 0, repeat.net_amount, zero)
        .sum()
        .cast("float64"),
    )
