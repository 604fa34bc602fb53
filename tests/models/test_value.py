"""Value over a horizon: discounting by hand, distinct states, coherence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.purchases import Purchases
from models.spend import Spend
from models.value import YEAR_DAYS, discounted_orders, distinct, forecast

PURCHASES = Purchases(r=0.27, alpha=38.0, a=0.6, b=2.2)
SPEND = Spend(6.25, 3.74, 15.44)


def test_without_a_discount_value_is_orders_times_order_value():
    f = forecast(
        PURCHASES, SPEND, [0, 3], [0, 200], [90, 300], [0.0, 20.0], horizon_days=365,
        annual_discount_rate=0.0,
    )  # fmt: skip
    assert f.expected_value == pytest.approx(f.expected_orders * f.expected_order_value)


def test_each_order_is_discounted_from_its_own_moment():
    """Against a sum over single days, each discounted from its middle."""
    x, t_x, T = [3.0], [200.0], [300.0]
    edges = np.arange(366)
    by_then = np.array([PURCHASES.expected_orders(day, x, t_x, T)[0] for day in edges])
    middles = (edges[:-1] + edges[1:]) / 2
    by_hand = (np.diff(by_then) * 1.10 ** (-middles / YEAR_DAYS)).sum()
    found = discounted_orders(PURCHASES, x, t_x, T, horizon_days=365, annual_discount_rate=0.10)
    assert found == pytest.approx(by_hand, rel=1e-7)


def test_a_customer_is_scored_alike_alone_and_in_a_crowd():
    rng = np.random.default_rng(0)
    T = rng.integers(1, 500, 300)
    t_x = rng.integers(0, T + 1)
    x = np.where(t_x > 0, 1 + t_x // 30, 0)
    m = np.where(x > 0, rng.gamma(4, 8, 300), 0.0)
    options = {"horizon_days": 180, "annual_discount_rate": 0.1}
    together = forecast(PURCHASES, SPEND, x, t_x, T, m, **options).expected_value
    alone = [
        forecast(PURCHASES, SPEND, x[[i]], t_x[[i]], T[[i]], m[[i]], **options).expected_value[0]
        for i in range(300)
    ]
    assert together.tolist() == alone


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 1_000_000)] * 3), min_size=1, max_size=40))
def test_distinct_rows_and_places_give_the_rows_back(rows):
    columns = [np.array(column, dtype=float) for column in zip(*rows, strict=True)]
    unique, where = distinct(*columns)
    assert len(set(rows)) == len(unique[0])
    for column, values in zip(columns, unique, strict=True):
        assert (values[where] == column).all()
