"""How regular the gaps between purchases are."""

from datetime import date

import ibis
import ibis.expr.types as ir

from features.rfm import purchases

WEEK_DAYS = 7
WEEKLY = 0.9  # share of gaps of whole weeks from which on a store sells on one day of the week


def gap_facts(orders: ir.Table, as_of: date, clock: ir.Table | None = None) -> ir.Table:
    """Sum the statistics of regularity over all gaps between purchase days.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`; later orders are not looked at.
    as_of
        Last day whose orders are known.
    clock
        Operational time: ``order_date`` (date) and ``operational_day`` (float64, strictly rising), one
        row for every day of purchase. Gaps are differences of ``operational_day``. None = calendar
        days.

    Returns
    -------
    ir.Table
        One row: ``gaps``; ``log_gaps`` (sum of the natural logarithms of the gaps, in days); ``pairs``
        of neighboring gaps; over the pairs, ``pair_variance``, the mean of
        (first / (first + second) - 1/2)^2, and ``random_variance``, its mean under random purchases
        (both null without a pair).

    Notes
    -----
    Purchase days are whole days. Of a random buyer, given the sum S of two neighboring gaps in
    calendar days, the first is uniform on 1, ..., S - 1, so that its share has variance
    (1 - 2 / S) / 12, and not 1/12 as in continuous time. Where a store sells on one day of the week,
    the grid is of weeks: (1 - 14 / S) / 12.

    References
    ----------
    Wheat & Morrison (1990), Estimating Purchase Regularity with Two Interpurchase Times, Journal of
    Marketing Research 27(1), 87-93.
    """
    days = purchases(orders, as_of)
    of_customer = ibis.window(group_by="customer_id", order_by="order_date")
    if clock is not None:
        days = days.left_join(clock, "order_date").select(
            "customer_id", "order_date", "operational_day"
        )
    steps = days.mutate(
        days=days.order_date.delta(days.order_date.lag().over(of_customer), unit="day")
    )
    if clock is None:
        steps = steps.mutate(gap=steps.days.cast("float64"))
    else:
        before = steps.operational_day.lag().over(of_customer)
        steps = steps.mutate(gap=steps.operational_day - before)
    pairs = steps.mutate(
        both=steps.gap + steps.gap.lag().over(of_customer),
        both_days=steps.days + steps.days.lag().over(of_customer),
    )
    share = pairs.gap / pairs.both
    is_pair = share.notnull()
    both_days = pairs.both_days.cast("float64")
    facts = pairs.aggregate(
        gaps=pairs.gap.count(),
        log_gaps=pairs.gap.ln().sum().fill_null(0.0),
        pairs=share.count(),
        pair_variance=((share - 0.5) ** 2).mean(),
        random_variance=((1 - 2 / both_days) / 12).mean(where=is_pair),
        weekly_variance=((1 - 2 * WEEK_DAYS / both_days) / 12).mean(where=is_pair),
        weekly_share=(pairs.days % WEEK_DAYS == 0).cast("float64").mean(),
    )
    days, weeks = facts.random_variance, facts.weekly_variance
    is_weekly = facts.weekly_share.fill_null(0.0) > WEEKLY
    facts = facts.mutate(random_variance=ibis.ifelse(is_weekly, weeks, days))
    return facts.drop("weekly_variance", "weekly_share")
