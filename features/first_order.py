"""What was known at the first order. A feature is a function named as its column."""

from collections.abc import Callable

import ibis.expr.types as ir


def first_amount(first: ir.Table) -> ir.Column:
    """Net amount of the first purchase day, store's currency."""
    return first.first_net_amount


def first_discount_share(first: ir.Table) -> ir.Column:
    """Discount as a share of the first day's gross amount, 0 to 1; null where either is not given."""
    gross = first.first_gross_amount.cast("float64")
    return first.first_discount_amount.cast("float64") / gross.nullif(0)


FIRST_ORDER_FEATURES: tuple[Callable[[ir.Table], ir.Column], ...] = (
    first_amount,
    first_discount_share,
)
