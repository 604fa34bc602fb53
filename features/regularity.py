"""How regular the gaps between purchases are."""

from datetime import date

import ibis
import ibis.expr.types as ir

from features.rfm import purchases


def gap_facts(orders: ir.Table, as_of: date) -> ir.Table:
    """Sum what tells how regular customers buy, over all gaps between purchase days.

    Parameters
    ----------
    orders
        Table :class:`features.tables.Orders`; later orders are not looked at.
    as_of
        Last day whose orders are known.

    Returns
    -------
    ir.Table
        One row: ``gaps``, ``log_gaps`` (sum of the natural logarithms of the gaps, in days), ``pairs``
        of neighboring gaps, and ``pair_variance``, the mean of (first / (first + second) - 1/2)^2
        over them (null without a pair).

    References
    ----------
    Wheat & Morrison (1990), Estimating Purchase Regularity with Two Interpurchase Times, Journal of
    Marketing Research 27(1), 87-93.
    """
    days = purchases(orders, as_of)
    of_customer = ibis.window(group_by="customer_id", order_by="order_date")
    steps = days.select(
        "customer_id",
        "order_date",
        gap=days.order_date.delta(days.order_date.lag().over(of_customer), unit="day"),
    )
    pairs = steps.mutate(before=steps.gap.lag().over(of_customer))
    share = pairs.gap.cast("float64") / (pairs.gap + pairs.before)
    return pairs.aggregate(
        gaps=pairs.gap.count(),
        log_gaps=pairs.gap.cast("float64").ln().sum().fill_null(0.0),
        pairs=share.count(),
        pair_variance=((share - 0.5) ** 2).mean(),
    )
