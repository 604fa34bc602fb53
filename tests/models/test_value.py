"""Value over a horizon: discounting by hand, distinct states, coherence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cells import distinct
from models.intervals import Levels, Outcomes
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


MIXED = ([0.0, 2.0, 9.0], [0.0, 60.0, 350.0], [90.0, 90.0, 400.0])
MEANS = [0.0, 20.0, 35.0]
PLAIN = {"horizon_days": 180, "annual_discount_rate": 0.0}


def told(hazard=1.0, orders=1.0, value=1.0, season=1.0, **options):
    """Forecast three customers of whom a learned model says the same."""
    of_each = (np.full(3, one) for one in (hazard, orders, value))
    return forecast(
        PURCHASES, SPEND, *MIXED, MEANS, **{**PLAIN, **options}, learned=Learned(*of_each, season)
    )


def test_where_nobody_else_speaks_all_is_as_the_fitted_models_say():
    f = forecast(PURCHASES, SPEND, *MIXED, MEANS, **PLAIN)
    assert f.p_alive == pytest.approx(PURCHASES.p_alive(*MIXED))
    assert f.p_order == pytest.approx(PURCHASES.p_order(180, *MIXED))
    assert f.p_order_90d == pytest.approx(PURCHASES.p_order(90, *MIXED))
    assert f.expected_orders == pytest.approx(PURCHASES.expected_orders(180, *MIXED))
    assert f.expected_order_value == pytest.approx(SPEND.expected_order_value(MIXED[0], MEANS))
    assert f.median_days == pytest.approx(PURCHASES.median_days(*MIXED))
    assert f.stretch.tolist() == [1.0] * 3
    assert f.value_low is None
    assert f.value_high is None


def test_a_learned_model_that_says_nothing_new_changes_nothing():
    plain, same = forecast(PURCHASES, SPEND, *MIXED, MEANS, **PLAIN), told()
    for name in ("p_order", "p_order_90d", "median_days"):
        assert (getattr(same, name) == getattr(plain, name)).all()
    for name in ("expected_orders", "expected_order_value", "expected_value", "stretch"):
        assert getattr(same, name) == pytest.approx(getattr(plain, name))


def test_what_a_learned_model_knows_of_orders_and_value_multiplies_them():
    plain, known = forecast(PURCHASES, SPEND, *MIXED, MEANS, **PLAIN), told(1.0, 3.0, 1.5)
    assert known.expected_orders == pytest.approx(3 * plain.expected_orders)
    assert known.expected_value == pytest.approx(1.5 * plain.expected_value)
    assert known.expected_order_value == pytest.approx(plain.expected_order_value / 2)


@pytest.mark.parametrize("discount", [0.0, 0.3])
def test_orders_times_their_value_stays_the_value_whoever_speaks(discount):
    """Undiscounted it is the value; discounted it exceeds it by what the discount takes from the plain one."""
    plain = forecast(
        PURCHASES, SPEND, *MIXED, MEANS, horizon_days=180, annual_discount_rate=discount
    )
    for known in (told(0.7, 0.6, 0.5, annual_discount_rate=discount),
                  told(2.5, 3.0, 4.0, annual_discount_rate=discount)):  # fmt: skip
        shrunk = known.expected_value / (known.expected_orders * known.expected_order_value)
        own = plain.expected_value / (plain.expected_orders * plain.expected_order_value)
        assert shrunk == pytest.approx(own)
        assert (shrunk == pytest.approx(1.0)) == (discount == 0)


def test_a_learned_hazard_moves_the_chances_and_the_median_by_hand():
    """Of a customer active for sure, or not, the chance of no order is raised to the hazard's power."""
    plain, known = forecast(PURCHASES, SPEND, *MIXED, MEANS, **PLAIN), told(1.8)
    assert 1 - known.p_order == pytest.approx((1 - plain.p_order) ** 1.8)
    assert 1 - known.p_order_90d == pytest.approx((1 - plain.p_order_90d) ** 1.8)
    reached = np.isfinite(known.median_days)
    assert reached.any()
    at_median = [
        PURCHASES.p_order(days, *([column[i]] for column in MIXED))[0]
        for i, days in enumerate(known.median_days)
        if reached[i]
    ]
    assert (1 - np.array(at_median)) ** 1.8 == pytest.approx(np.full(reached.sum(), 0.5), rel=1e-3)


def test_of_repeat_customers_the_learned_model_has_the_last_word_not_the_classifier():
    both = told(1.8, second_order=SecondOrder(np.full(3, 0.3), 90))
    alone = told(1.8)
    assert both.p_order_90d[1:] == pytest.approx(alone.p_order_90d[1:])
    assert both.p_order_90d[0] == pytest.approx(0.3)


def test_one_with_a_repeat_purchase_on_its_first_day_is_no_first_time_buyer():
    args = (PURCHASES, SPEND, [1.0], [0.0], [90.0], [20.0])
    plain = forecast(*args, **PLAIN)
    asked = forecast(*args, **PLAIN, second_order=SecondOrder(np.array([0.9]), 90))
    assert asked.p_order == pytest.approx(plain.p_order)
    one = np.ones(1)
    options = {"second_order": SecondOrder(np.array([0.9]), 90), "learned": Learned(one, one, one, 2.0)}  # fmt: skip
    assert forecast(*args, **PLAIN, **options).p_order == pytest.approx(plain.p_order)


def test_the_interval_is_that_of_the_outcome_at_the_levels_asked_for():
    low, high = Outcomes(PURCHASES, SPEND, 180).interval(*MIXED, MEANS, 0.1, 0.9)
    f = forecast(PURCHASES, SPEND, *MIXED, MEANS, **PLAIN, levels=Levels())
    assert f.value_low == pytest.approx(low)
    assert f.value_high == pytest.approx(high)
    assert (high > low).all()
    plain = forecast(PURCHASES, SPEND, *MIXED, MEANS, **PLAIN)
    assert (f.expected_value == plain.expected_value).all()


def test_the_interval_s_levels_go_by_the_expected_value():
    plain = forecast(PURCHASES, SPEND, *MIXED, MEANS, **PLAIN)
    middle = float(np.sort(plain.expected_value)[1])
    levels = Levels((middle,), (0.1, 0.3), (0.6, 0.95))
    is_much = plain.expected_value >= middle
    ends = Outcomes(PURCHASES, SPEND, 180).interval(
        *MIXED, MEANS, np.where(is_much, 0.3, 0.1), np.where(is_much, 0.95, 0.6)
    )
    f = forecast(PURCHASES, SPEND, *MIXED, MEANS, **PLAIN, levels=levels)
    assert f.value_low == pytest.approx(ends[0])
    assert f.value_high == pytest.approx(ends[1])


def test_the_interval_is_discounted_as_the_value_is():
    now = forecast(PURCHASES, SPEND, *MIXED, MEANS, **PLAIN, levels=Levels())
    later = forecast(
        PURCHASES,
        SPEND,
        *MIXED,
        MEANS,
        horizon_days=180,
        annual_discount_rate=0.5,
        levels=Levels(),
    )
    share = later.expected_value / now.expected_value
    assert (share < 0.95).all()
    assert later.value_high == pytest.approx(share * now.value_high)
    assert later.value_low == pytest.approx(share * now.value_low)


def test_the_interval_of_who_is_known_better_is_the_model_s_own_of_those_who_order_and_stretched():
    """By hand: below the informed chance of nothing it is nothing; the rest is shared out as before."""
    known = told(1.8, 2.0, 3.0, levels=Levels())
    plain = forecast(PURCHASES, SPEND, *MIXED, MEANS, **PLAIN)
    own = [1 - (1 - level) * plain.p_order / known.p_order for level in (0.1, 0.9)]
    low, high = Outcomes(PURCHASES, SPEND, 180).interval(*MIXED, MEANS, *own)
    stretch = 3.0 * plain.p_order / known.p_order
    assert known.stretch == pytest.approx(stretch)
    assert known.value_low == pytest.approx(stretch * low)
    assert known.value_high == pytest.approx(stretch * high)


def test_over_the_classifier_s_own_horizon_no_chance_is_below_that_of_90_days():
    """A horizon of exactly 90 days is the soon window itself."""
    low = forecast(
        PURCHASES, SPEND, *ONCE, horizon_days=90, annual_discount_rate=0.0,
        second_order=SecondOrder(np.full(3, 0.2), 30),
        learned=Learned(np.full(3, 0.5), np.full(3, 0.5), np.full(3, 0.5), 0.5),
    )  # fmt: skip
    assert low.p_order.tolist() == low.p_order_90d.tolist()
