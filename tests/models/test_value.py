"""Value over a horizon: discounting by hand, distinct states, coherence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cells import distinct
from models.purchases import BGNBD
from models.spend import Spend
from models.value import YEAR_DAYS, Learned, SecondOrder, discounted_orders, forecast

PURCHASES = BGNBD(r=0.27, alpha=38.0, a=0.6, b=2.2)
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
    _, found = discounted_orders(PURCHASES, x, t_x, T, horizon_days=365, annual_discount_rate=0.10)
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


def test_rows_that_are_not_whole_numbers_stay_apart():
    columns = [np.array([1.0, 1.0]), np.array([30.2, 30.9]), np.array([38.1, 38.9])]
    unique, where = distinct(*columns)
    assert len(unique[0]) == 2
    assert unique[1][where].tolist() == [30.2, 30.9]


T = np.array([5.0, 90.0, 400.0])
ONCE = (np.zeros(3), np.zeros(3), T, np.zeros(3))


def informed(chance, window=90, horizon=365):
    return forecast(
        PURCHASES, SPEND, *ONCE, horizon_days=horizon, annual_discount_rate=0.1,
        second_order=SecondOrder(np.asarray(chance, dtype=float), window),
    )  # fmt: skip


@pytest.mark.parametrize(("window", "horizon"), [(90, 365), (90, 60), (200, 200), (30, 3650)])
def test_a_first_time_buyers_chances_agree_with_the_classifiers(window, horizon):
    f = informed([0.02, 0.3, 0.6], window, horizon)
    chances = {90: f.p_order_90d, horizon: f.p_order}
    if window in chances:
        assert chances[window] == pytest.approx([0.02, 0.3, 0.6])
    shorter, longer = (f.p_order, f.p_order_90d) if horizon < 90 else (f.p_order_90d, f.p_order)
    assert (shorter <= longer + 1e-12).all()
    assert (f.expected_orders >= f.p_order - 1e-12).all()
    median_in_90 = f.median_days <= 90
    assert (median_in_90 == (f.p_order_90d >= 0.5)).all()


def test_a_classifier_that_says_what_the_model_says_changes_nothing():
    plain = forecast(PURCHASES, SPEND, *ONCE, horizon_days=365, annual_discount_rate=0.1)
    same = informed(PURCHASES.p_order(90, *ONCE[:3]))
    assert same.expected_value == pytest.approx(plain.expected_value)
    assert same.p_order == pytest.approx(plain.p_order)
    assert same.median_days == pytest.approx(plain.median_days)


def test_a_classifier_moves_value_down_as_well_as_up():
    low, high = informed([0.001] * 3), informed([0.9] * 3)
    plain = forecast(PURCHASES, SPEND, *ONCE, horizon_days=365, annual_discount_rate=0.1)
    assert (low.expected_value < plain.expected_value).all()
    assert (high.expected_value > plain.expected_value).all()


def seasonal(season, horizon, chance=0.2):
    same = np.full(3, season)
    return forecast(
        PURCHASES, SPEND, *ONCE, horizon_days=horizon, annual_discount_rate=0.1,
        second_order=SecondOrder(np.full(3, chance), 90), learned=Learned(same, same, same, season),
    )  # fmt: skip


def test_a_season_moves_first_time_buyers_too_but_not_what_the_classifier_says_of_its_window():
    neutral, high = seasonal(1.0, 180), seasonal(1.4, 180)
    assert high.p_order_90d == pytest.approx([0.2] * 3)
    assert np.log1p(-high.p_order) == pytest.approx(1.4 * np.log1p(-neutral.p_order))
    assert (high.expected_value > 1.3 * neutral.expected_value).all()
    own = seasonal(1.4, 90)
    assert own.p_order == pytest.approx([0.2] * 3)


def test_a_low_season_lowers_no_chance_below_that_of_a_shorter_window():
    low = seasonal(0.5, 100)
    assert low.p_order == pytest.approx(low.p_order_90d)
    assert (seasonal(0.5, 300).p_order < seasonal(1.0, 300).p_order).all()


def test_a_classifier_leaves_repeat_customers_as_they_are():
    args = (PURCHASES, SPEND, [2], [60], [90], [20.0])
    options = {"horizon_days": 365, "annual_discount_rate": 0.1}
    plain = forecast(*args, **options)
    told = forecast(*args, **options, second_order=SecondOrder(np.array([np.nan]), 90))
    assert (told.expected_value == plain.expected_value).all()
    assert (told.median_days == plain.median_days).all()


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_a_sure_classifier_stays_finite(chance):
    f = informed([chance] * 3)
    assert np.isfinite(f.expected_value).all()
    assert ((f.p_order >= 0) & (f.p_order <= 1)).all()
