"""How order values of returning customers deviate from their own mean over a store's history."""

from datetime import date

import ibis
import ibis.expr.types as ir

from features.rfm import purchases

PERIOD_DAYS = 30  # of a period; the last one ends at the end of the as-of day
EXACT = "decimal(18, 6)"  # parallel sums of floats differ in their last digits from run to run
FINER = "decimal(24, 12)"  # of deviations, whose halves are no ties that engines round differently
DEVIATIONS = ("log_amount", "is_first", "log_number", "number")


def price_changes(orders: ir.Table, as_of: date) -> ir.Table:
    """Sum the purchase days of returning customers by period, as deviations from the customer's mean.

    Periods have :data:`PERIOD_DAYS` days and are counted back from `as_of`: period 0 is the last one.
    Only purchase days with a positive amount count, of customers with two or more.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`; later orders are not used.
    as_of
        Last day whose orders are known.

    Returns
    -------
    ir.Table
        One row per period, ordered: ``period``; ``repeat_days``, the number of purchase days after the
        customer's first; the sums of ``log_amount`` (natural
        logarithm of the net amount), ``number`` (1, 2, 3, ... for the customer's first, second, third,
        ...), ``log_number`` (its natural logarithm) and ``is_first`` (1 where it is 1, else 0), each less its mean over the customer's purchase days; and the sums of their products,
        ``log_amount_log_amount``, ``log_amount_is_first`` and so on.
    """
    days = _returning(orders, as_of)
    of_customer = ibis.window(group_by="customer_id")
    deviations = days.select(
        "period",
        is_repeat=days.is_first == 0,
        **{
            name: days[name].cast("float64")
            - days[name].sum().over(of_customer).cast("float64") / days.purchase_days
            for name in DEVIATIONS
        },
    )
    products = {
        f"{name}_{other}": deviations[name] * deviations[other]
        for place, name in enumerate(DEVIATIONS)
        for other in DEVIATIONS[place:]
    }
    sums = {name: deviations[name] for name in DEVIATIONS} | products
    return (
        deviations.group_by("period")
        .aggregate(
            repeat_days=deviations.is_repeat.sum(),
            **{name: value.cast(FINER).sum().cast("float64") for name, value in sums.items()},
        )
        .order_by("period")
    )


def shared_periods(orders: ir.Table, as_of: date) -> ir.Table:
    """Count how far customers buy in two periods: what links the levels of both.

    Parameters
    ----------
    orders, as_of
        As for :func:`price_changes`.

    Returns
    -------
    ir.Table
        One row per pair of periods with a common customer, ordered: ``period``, ``other_period`` and
        ``weight``, the sum over customers of purchase days in the one times those in the other, over
        all of the customer's purchase days. A period's weights add up to its purchase days.
    """
    days = _returning(orders, as_of)
    by_period = days.group_by("customer_id", "period", "purchase_days").aggregate(
        in_period=days.count()
    )
    other = by_period.select("customer_id", other_period="period", in_other="in_period")
    both = by_period.join(other, "customer_id")
    weight = both.in_period * both.in_other / both.purchase_days.cast("float64")
    weights = both.group_by("period", "other_period").aggregate(
        weight=weight.cast(FINER).sum().cast("float64")
    )
    return weights.order_by("period", "other_period")


def _returning(orders: ir.Table, as_of: date) -> ir.Table:
    """Return the purchase days of customers with two or more: period and number of each."""
    past_orders = purchases(orders, as_of)
    paid = past_orders.filter(past_orders.net_amount > 0)
    of_customer = ibis.window(group_by="customer_id")
    in_order = ibis.window(group_by="customer_id", order_by="order_date")
    number = ibis.row_number().over(in_order) + 1
    age = ibis.date(as_of).delta(paid.order_date, unit="day")
    days = paid.select(
        "customer_id",
        period=(age / PERIOD_DAYS).floor().cast("int64"),
        purchase_days=paid.count().over(of_customer),
        log_amount=paid.net_amount.cast("float64").ln().cast(EXACT),
        is_first=(number == 1).cast("int64").cast(EXACT),
        log_number=number.cast("float64").ln().cast(EXACT),
        number=number.cast(EXACT),
    )
    return days.filter(days.purchase_days > 1)
