"""Value over a horizon: discounting by hand, distinct states, coherence."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cells import distinct
from models.history import CALENDAR, CustomerHistory
from models.intervals import Levels, Outcomes
from models.operational_time import MEAN_YEAR_DAYS, OperationalTime, PaceIndex
from models.purchases import BGNBD, MBGCNBD, MBGNBD, NBD, ParetoNBD
from models.spend import Spend
from models.value import (
    LIKELY,
    Forecast,
    ForecastMultipliers,
    SecondOrder,
    discounted_orders,
    forecast,
)

PURCHASES = BGNBD(r=0.27, alpha=38.0, a=0.6, b=2.2)
SPEND = Spend(6.25, 3.74, 15.44)


def test_without_a_discount_value_is_orders_times_order_value():
    history = CustomerHistory.of([0, 3], [0, 200], [90, 300], [0.0, 20.0])
    f = forecast(PURCHASES, SPEND, history, horizon_days=365, annual_discount_rate=0.0)
    assert f.discount_factor.tolist() == [1.0, 1.0]
    assert f.expected_value == pytest.approx(f.expected_orders * f.expected_order_value)


def test_each_order_is_discounted_from_its_own_moment():
    """Against a sum over single days, each discounted from its middle."""
    x, t_x, T = [3.0], [200.0], [300.0]
    edges = np.arange(366)
    by_then = np.array([PURCHASES.expected_orders(day, x, t_x, T)[0] for day in edges])
    middles = (edges[:-1] + edges[1:]) / 2
    by_hand = (np.diff(by_then) * 1.10 ** (-middles / MEAN_YEAR_DAYS)).sum()
    _, actual = discounted_orders(
        PURCHASES, x, t_x, T, horizon_days=365, annual_discount_rate=0.10
    )
    assert actual == pytest.approx(by_hand, rel=1e-7)


def test_a_customer_is_scored_alike_alone_and_in_a_crowd():
    rng = np.random.default_rng(0)
    T = rng.integers(1, 500, 300)
    t_x = rng.integers(0, T + 1)
    x = np.where(t_x > 0, 1 + t_x // 30, 0)
    m = np.where(x > 0, rng.gamma(4, 8, 300), 0.0)
    options = {"horizon_days": 180, "annual_discount_rate": 0.1}
    together = forecast(PURCHASES, SPEND, CustomerHistory.of(x, t_x, T, m), **options)
    single = [CustomerHistory.of(x[[i]], t_x[[i]], T[[i]], m[[i]]) for i in range(300)]
    alone = [forecast(PURCHASES, SPEND, one, **options).expected_value[0] for one in single]
    assert together.expected_value.tolist() == alone


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


ONCE = CustomerHistory.of(np.zeros(3), np.zeros(3), [5.0, 90.0, 400.0], np.zeros(3))


def classified(chance, window=90, horizon=365):
    """Forecast three one-time buyers by a classifier's chances of a second order."""
    return forecast(
        PURCHASES, SPEND, ONCE, horizon_days=horizon, annual_discount_rate=0.1,
        second_order=SecondOrder(np.asarray(chance, dtype=float), window),
    )  # fmt: skip


def unclassified():
    return forecast(PURCHASES, SPEND, ONCE, horizon_days=365, annual_discount_rate=0.1)


@pytest.mark.parametrize(("window", "horizon"), [(90, 365), (90, 60), (200, 200), (30, 3650)])
def test_a_first_time_buyers_chances_agree_with_the_classifiers(window, horizon):
    f = classified([0.02, 0.3, 0.6], window, horizon)
    chances = {90: f.p_order_90d, horizon: f.p_order}
    if window in chances:
        assert chances[window] == pytest.approx([0.02, 0.3, 0.6])
    shorter, longer = (f.p_order, f.p_order_90d) if horizon < 90 else (f.p_order_90d, f.p_order)
    assert (shorter <= longer + 1e-12).all()
    assert (f.expected_orders >= f.p_order - 1e-12).all()
    median_in_90 = f.median_days <= 90
    assert (median_in_90 == (f.p_order_90d >= 0.5)).all()


def test_a_classifier_of_the_models_own_chances_changes_nothing():
    plain, same = unclassified(), classified(PURCHASES.p_order(90, *ONCE.times))
    assert same.expected_value == pytest.approx(plain.expected_value)
    assert same.p_order == pytest.approx(plain.p_order)
    assert same.median_days == pytest.approx(plain.median_days)


def test_a_classifier_alone_raises_orders_to_its_chance_and_lowers_the_chance_only():
    """Orders move by `ForecastMultipliers.orders`; without it only the chance bounds them from below."""
    low, high, plain = classified([0.001] * 3), classified([0.9] * 3), unclassified()
    assert (low.p_order < plain.p_order).all()
    assert low.expected_value == pytest.approx(plain.expected_value)
    assert high.expected_orders == pytest.approx(np.maximum(plain.expected_orders, high.p_order))
    assert (high.p_order > plain.expected_orders).any()


WINTER = PaceIndex(date(2025, 6, 30), (1.6, *[1.0] * 25, *[0.6] * 13, *[1.2] * 13))
SUMMER = OperationalTime(date(2025, 6, 30), WINTER)  # the low season is ahead


def in_time(time, horizon, second=None, **options):
    history = CustomerHistory.of(*TIMES, MEANS, time=time)
    return forecast(
        PURCHASES, SPEND, history, horizon_days=horizon, annual_discount_rate=0.0,
        second_order=second, **options,
    )  # fmt: skip


@pytest.mark.parametrize("horizon", [7, 30, 90, 180, 365])
def test_a_horizon_is_measured_in_operational_time(horizon):
    f, days = in_time(SUMMER, horizon), float(SUMMER.after(horizon))
    assert f.p_order == pytest.approx(PURCHASES.p_order(days, *TIMES))
    assert f.p_order_90d == pytest.approx(PURCHASES.p_order(float(SUMMER.after(90)), *TIMES))
    assert f.expected_orders == pytest.approx(PURCHASES.expected_orders(days, *TIMES))
    low, high = Outcomes(PURCHASES, SPEND, days).interval(MIXED, 0.1, 0.9)
    ends = in_time(SUMMER, horizon, levels=Levels())
    likely = f.p_order > LIKELY
    assert ends.value_low[likely] == pytest.approx(np.minimum(low, f.expected_value)[likely])
    assert ends.value_high[likely] == pytest.approx(np.maximum(high, f.expected_value)[likely])


@pytest.mark.parametrize("hazard", [1.0, 1.7])
def test_the_median_is_a_day_of_the_calendar(hazard):
    """An order by the median day is as likely as not, whatever the season until then."""
    one = np.ones(3)
    f = in_time(SUMMER, 365, multipliers=ForecastMultipliers(hazard * one, one, one))
    some = np.isfinite(f.median_days)
    assert some.any()
    days = SUMMER.after(f.median_days[some])
    own = PURCHASES.p_order(days, *(t[some] for t in np.asarray(TIMES, dtype=float)))
    assert 1 - (1 - own) ** hazard == pytest.approx(np.full(some.sum(), 0.5), abs=1e-6)
    calendar = in_time(CALENDAR, 365, multipliers=ForecastMultipliers(hazard * one, one, one))
    assert (f.median_days[some] != calendar.median_days[some]).all()


def test_a_longer_window_has_no_lower_chance_in_any_season():
    chances = [in_time(SUMMER, days).p_order for days in range(1, 400, 13)]
    assert (np.diff(chances, axis=0) > 0).all()


def test_a_classifiers_window_is_operational_too():
    """What it says of 90 operational days holds for as many calendar ones as these take."""
    second = SecondOrder(np.full(3, 0.2), 90)
    days = int(np.ceil(SUMMER.calendar_days(90.0)))
    history = CustomerHistory.of([0.0] * 3, [0.0] * 3, [10.0, 40.0, 300.0], [0.0] * 3, time=SUMMER)
    f = forecast(
        PURCHASES, SPEND, history, horizon_days=days, annual_discount_rate=0.0,
        second_order=second,
    )  # fmt: skip
    assert days > 90
    assert f.p_order == pytest.approx(np.full(3, 0.2), rel=0.02)
    assert (f.p_order_90d < f.p_order).all()


@pytest.mark.parametrize("horizon", [30, 365])
def test_orders_are_discounted_by_the_day_that_they_come_on(horizon):
    moments = horizon * np.linspace(0, 1, 4_001) ** 2
    by_then = np.stack([PURCHASES.expected_orders(t, *TIMES) for t in SUMMER.after(moments)])
    factors = 1.1 ** (-(moments[1:] + moments[:-1]) / 2 / 365.25)
    orders, discounted = discounted_orders(
        PURCHASES, *TIMES, horizon_days=horizon, annual_discount_rate=0.1, time=SUMMER
    )
    assert orders == pytest.approx(by_then[-1])
    assert discounted == pytest.approx(
        (np.diff(by_then, axis=0).T * factors).sum(axis=1), rel=1e-5
    )


def test_a_classifier_leaves_repeat_customers_as_they_are():
    history = CustomerHistory.of([2], [60], [90], [20.0])
    options = {"horizon_days": 365, "annual_discount_rate": 0.1}
    plain = forecast(PURCHASES, SPEND, history, **options)
    same = forecast(
        PURCHASES, SPEND, history, **options, second_order=SecondOrder(np.array([np.nan]), 90)
    )
    assert (same.expected_value == plain.expected_value).all()
    assert (same.p_alive == plain.p_alive).all()
    assert (same.median_days == plain.median_days).all()


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_a_sure_classifier_stays_finite(chance):
    f = classified([chance] * 3)
    assert np.isfinite(f.expected_value).all()
    assert ((f.p_order >= 0) & (f.p_order <= 1)).all()


TIMES = ([0.0, 2.0, 9.0], [0.0, 60.0, 350.0], [90.0, 90.0, 400.0])
MEANS = [0.0, 20.0, 35.0]
MIXED = CustomerHistory.of(*TIMES, MEANS)
PLAIN = {"horizon_days": 180, "annual_discount_rate": 0.0}


def plainly(**options):
    """Forecast three customers without a correction."""
    return forecast(PURCHASES, SPEND, MIXED, **{**PLAIN, **options})


def corrected(hazard=1.0, orders=1.0, order_value=1.0, **options):
    """Forecast three customers with the same correction of each."""
    of_each = (np.full(3, one) for one in (hazard, orders, order_value))
    return plainly(**options, multipliers=ForecastMultipliers(*of_each))


def test_without_a_correction_every_figure_is_the_fitted_models():
    f = plainly()
    assert f.p_alive == pytest.approx(PURCHASES.p_alive(*TIMES))
    assert f.p_order == pytest.approx(PURCHASES.p_order(180, *TIMES))
    assert f.p_order_90d == pytest.approx(PURCHASES.p_order(90, *TIMES))
    assert f.expected_orders == pytest.approx(PURCHASES.expected_orders(180, *TIMES))
    assert f.expected_order_value == pytest.approx(SPEND.expected_order_value(TIMES[0], MEANS))
    assert f.median_days == pytest.approx(PURCHASES.median_days(*TIMES))
    assert f.stretch.tolist() == [1.0] * 3
    assert f.value_low is None
    assert f.value_high is None


def test_the_order_value_is_that_of_the_orders_its_mean_is_taken_over_times_the_scale():
    counted = CustomerHistory.of(*TIMES, [30.0, 20.0, 35.0], [1.0, 3.0, 10.0], [0.5, 1.0, 2.0])
    f = forecast(PURCHASES, SPEND, counted, **PLAIN)
    by_hand = SPEND.expected_order_value([1.0, 3.0, 10.0], [30.0, 20.0, 35.0])
    assert f.expected_order_value == pytest.approx(by_hand * [0.5, 1.0, 2.0])
    assert f.expected_orders == pytest.approx(plainly().expected_orders)


def test_a_correction_by_one_changes_nothing():
    plain, same = plainly(), corrected()
    for name in ("p_order", "p_order_90d", "median_days", "p_alive"):
        assert (getattr(same, name) == getattr(plain, name)).all()
    for name in ("expected_orders", "expected_order_value", "expected_value", "stretch"):
        assert getattr(same, name) == pytest.approx(getattr(plain, name))


def test_corrections_of_orders_and_of_order_value_multiply_each_alone_and_value_by_both():
    plain, both = plainly(), corrected(1.0, 3.0, 1.5)
    assert both.expected_orders == pytest.approx(3 * plain.expected_orders)
    assert both.expected_order_value == pytest.approx(1.5 * plain.expected_order_value)
    assert both.expected_value == pytest.approx(4.5 * plain.expected_value)


def test_orders_that_a_correction_lowers_stay_at_the_chance_of_any():
    low = corrected(1.0, 0.01, 2.0)
    assert low.expected_orders == pytest.approx(low.p_order)
    assert low.expected_order_value == pytest.approx(2 * plainly().expected_order_value)


@pytest.mark.parametrize("discount", [0.0, 0.3])
def test_a_correction_leaves_the_discount_factor_which_is_one_without_a_discount(discount):
    plain = plainly(annual_discount_rate=discount)
    assert ((plain.discount_factor == 1.0) == (discount == 0)).all()
    for one in (corrected(0.7, 0.6, 0.5, annual_discount_rate=discount),
                corrected(2.5, 3.0, 4.0, annual_discount_rate=discount)):  # fmt: skip
        assert (one.discount_factor == plain.discount_factor).all()
        product = one.expected_orders * one.expected_order_value * one.discount_factor
        assert one.expected_value == pytest.approx(product, rel=1e-12)


def test_a_corrected_hazard_moves_the_chances_and_the_median_by_hand():
    """Of a customer active for sure, or not, the chance of no order is raised to the hazard's power."""
    plain, raised = plainly(), corrected(1.8)
    assert 1 - raised.p_order == pytest.approx((1 - plain.p_order) ** 1.8)
    assert 1 - raised.p_order_90d == pytest.approx((1 - plain.p_order_90d) ** 1.8)
    reached = np.isfinite(raised.median_days)
    assert reached.any()
    at_median = [
        PURCHASES.p_order(days, *([column[i]] for column in TIMES))[0]
        for i, days in enumerate(raised.median_days)
        if reached[i]
    ]
    assert (1 - np.array(at_median)) ** 1.8 == pytest.approx(np.full(reached.sum(), 0.5), rel=1e-3)


def test_a_corrected_hazard_moves_the_chance_of_being_active_alike_and_a_sure_one_not():
    plain, raised, lowered = plainly(), corrected(1.8), corrected(0.4)
    assert plain.p_alive[0] == raised.p_alive[0] == lowered.p_alive[0] == 1.0
    assert 1 - raised.p_alive[1:] == pytest.approx((1 - plain.p_alive[1:]) ** 1.8)
    assert 1 - lowered.p_alive[1:] == pytest.approx((1 - plain.p_alive[1:]) ** 0.4)


def test_of_repeat_customers_multipliers_count_and_not_the_classifier():
    both = corrected(1.8, second_order=SecondOrder(np.full(3, 0.3), 90))
    alone = corrected(1.8)
    assert both.p_order_90d[1:] == pytest.approx(alone.p_order_90d[1:])
    assert both.p_order_90d[0] == pytest.approx(0.3)


def test_one_with_a_repeat_purchase_on_its_first_day_is_no_first_time_buyer():
    history = CustomerHistory.of([1.0], [0.0], [90.0], [20.0])
    plain = forecast(PURCHASES, SPEND, history, **PLAIN)
    second = SecondOrder(np.array([0.9]), 90)
    same = forecast(PURCHASES, SPEND, history, **PLAIN, second_order=second)
    assert same.p_order == pytest.approx(plain.p_order)
    one = np.ones(1)
    twice = ForecastMultipliers(2 * one, one, one)
    higher = forecast(PURCHASES, SPEND, history, **PLAIN, second_order=second, multipliers=twice)
    assert 1 - higher.p_order == pytest.approx((1 - plain.p_order) ** 2)


def test_the_interval_is_that_of_the_outcome_at_the_levels_asked_for():
    low, high = Outcomes(PURCHASES, SPEND, 180).interval(MIXED, 0.1, 0.9)
    f = plainly(levels=Levels())
    assert f.value_low == pytest.approx(low)
    assert f.value_high == pytest.approx(high)
    assert (high > low).all()
    assert (f.expected_value == plainly().expected_value).all()


def test_the_interval_s_levels_go_by_the_expected_value():
    plain = plainly()
    middle = float(np.sort(plain.expected_value)[1])
    levels = Levels((middle,), (0.1, 0.3), (0.7, 0.95))
    is_much = plain.expected_value >= middle
    ends = Outcomes(PURCHASES, SPEND, 180).interval(
        MIXED, np.where(is_much, 0.3, 0.1), np.where(is_much, 0.95, 0.7)
    )
    f = plainly(levels=levels)
    assert f.value_low == pytest.approx(ends[0])
    assert f.value_high == pytest.approx(ends[1])


def test_an_interval_that_misses_the_mean_is_moved_to_it_where_an_order_is_likely():
    plain = plainly()
    likely = plain.p_order > LIKELY
    assert likely.any()
    assert not likely.all()
    for levels in (Levels((), (0.01,), (0.02,)), Levels((), (0.98,), (0.99,))):
        low, high = Outcomes(PURCHASES, SPEND, 180).interval(MIXED, levels.low[0], levels.high[0])
        f = plainly(levels=levels)
        mean = plain.expected_value
        assert f.value_low == pytest.approx(np.where(likely, np.minimum(low, mean), 0.0))
        assert f.value_high == pytest.approx(np.where(likely, np.maximum(high, mean), high))


def test_the_interval_is_discounted_as_the_value_is():
    now, later = plainly(levels=Levels()), plainly(levels=Levels(), annual_discount_rate=0.5)
    share = later.expected_value / now.expected_value
    assert (share < 0.95).all()
    assert later.discount_factor == pytest.approx(share)
    assert later.value_high == pytest.approx(share * now.value_high)
    assert later.value_low == pytest.approx(share * now.value_low)


def test_a_corrected_interval_is_the_models_own_of_those_who_order_and_stretched():
    """By hand: below the corrected chance of nothing it is nothing; the rest is shared out as before."""
    plain, f = plainly(), corrected(1.8, 2.0, 3.0, levels=Levels())
    own = [1 - (1 - level) * plain.p_order / f.p_order for level in (0.1, 0.9)]
    low, high = Outcomes(PURCHASES, SPEND, 180).interval(MIXED, *own)
    orders = np.maximum(2.0 * plain.expected_orders, f.p_order) / plain.expected_orders
    stretch = 3.0 * orders * plain.p_order / f.p_order
    assert f.stretch == pytest.approx(stretch)
    likely, mean = f.p_order > LIKELY, f.expected_value
    ends = np.minimum(stretch * low, mean), np.maximum(stretch * high, mean)
    assert f.value_low == pytest.approx(np.where(likely, ends[0], 0.0))
    assert f.value_high == pytest.approx(np.where(likely, ends[1], stretch * high))


def test_over_the_classifier_s_own_horizon_no_chance_is_below_that_of_90_days():
    """A horizon of exactly 90 days is the soon window itself."""
    half = np.full(3, 0.5)
    low = forecast(
        PURCHASES, SPEND, ONCE, horizon_days=90, annual_discount_rate=0.0,
        second_order=SecondOrder(np.full(3, 0.2), 30),
        multipliers=ForecastMultipliers(half, half, half),
    )  # fmt: skip
    assert low.p_order.tolist() == low.p_order_90d.tolist()


# Coherence, of whatever history, model and correction

MODELS = [
    PURCHASES,
    MBGNBD(0.9, 45.0, 0.5, 1.5),
    MBGCNBD(1.2, 12.0, 0.5, 1.5, k=2),
    ParetoNBD(0.7, 40.0, 0.6, 120.0),
    NBD(0.6, 40.0),
]
histories = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 5), st.integers(0, 200)),  # x
        st.floats(0.0, 1.0),  # t_x over T
        st.integers(1, 3000),  # T
        st.floats(0.5, 5_000.0),  # mean order
    ),
    min_size=1,
    max_size=12,
)
factor = st.floats(0.05, 20.0)


def history_of(rows):
    x, share, T, mean = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    t_x = np.where(x > 0, np.maximum(np.floor(share * T), 1.0), 0.0)
    return CustomerHistory.of(x, t_x, T, mean, x + 1)


def coherent(f: Forecast):
    """Hold a forecast to the sums and bounds that every reader relies on."""
    product = f.expected_orders * f.expected_order_value * f.discount_factor
    np.testing.assert_allclose(f.expected_value, product, rtol=1e-9)
    assert (f.expected_orders >= f.p_order * (1 - 1e-9)).all()
    assert (f.p_alive >= f.p_order * (1 - 1e-9)).all()
    assert ((f.discount_factor > 0) & (f.discount_factor <= 1)).all()
    for chance in (f.p_alive, f.p_order, f.p_order_90d):
        assert ((chance >= 0) & (chance <= 1)).all()
    likely = f.p_order > LIKELY
    assert (f.value_low <= f.value_high).all()
    assert (f.value_low[likely] <= f.expected_value[likely]).all()
    assert (f.expected_value[likely] <= f.value_high[likely]).all()
    assert (f.value_low[~likely] == 0).all()


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(MODELS), histories, st.integers(7, 730), st.sampled_from([0.0, 0.1, 1.0]),
)  # fmt: skip
def test_a_plain_forecast_adds_up(model, rows, horizon, rate):
    history = history_of(rows)
    f = forecast(
        model, SPEND, history, horizon_days=horizon, annual_discount_rate=rate, levels=Levels()
    )
    coherent(f)
    _, discounted = discounted_orders(
        model, *history.times, horizon_days=horizon, annual_discount_rate=rate
    )
    np.testing.assert_allclose(
        f.expected_value, discounted * f.expected_order_value, rtol=1e-9, atol=1e-290
    )


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(MODELS), histories, st.integers(7, 730),
    st.tuples(factor, factor, factor),
    st.none() | st.tuples(st.floats(0.0, 1.0), st.sampled_from([30, 90, 365])),
)  # fmt: skip
def test_a_corrected_forecast_adds_up(model, rows, horizon, factors, second):
    history = history_of(rows)
    ones = np.ones(len(history))
    with np.errstate(divide="ignore"):  # of NBD's median, see the test after this one
        f = forecast(
            model,
            SPEND,
            history,
            horizon_days=horizon,
            annual_discount_rate=0.1,
            second_order=None if second is None else SecondOrder(second[0] * ones, second[1]),
            multipliers=ForecastMultipliers(*(one * ones for one in factors)),
            levels=Levels(),
        )
    coherent(f)


@pytest.mark.parametrize("model", MODELS, ids=[model.title for model in MODELS])
def test_the_median_of_a_hazard_near_0_is_centuries_off_without_a_warning(model):
    """Half a chance at a hundredth of the hazard is a chance of 1 - 2^-100: 1 in floating point."""
    small = np.full(3, 0.01)
    one = np.ones(3)
    f = forecast(model, SPEND, MIXED, **PLAIN, multipliers=ForecastMultipliers(small, one, one))
    assert (f.median_days > 100_000).all()


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_the_parts_of_customers_who_have_almost_surely_left_add_up_too(rate):
    """Of 8 to 12 orders in 60 days and years of silence, hardly one in 10^15 is active."""
    x = np.array([8.0, 9.0, 12.0, 9.0])
    history = CustomerHistory.of(
        x, [60.0, 60.0, 90.0, 60.0], [2_500.0, 3_000.0, 4_000.0, 6_000.0], np.full(4, 40.0), x + 1
    )
    model = MBGNBD(2.0, 8.0, 0.5, 1.5)
    assert (model.p_alive(*history.times) < 1e-12).all()
    assert (model.p_alive(*history.times) < 1e-15).any()
    f = forecast(
        model, SPEND, history, horizon_days=365, annual_discount_rate=rate, levels=Levels()
    )
    coherent(f)
    assert (f.expected_orders > 0).all()
    orders, discounted = discounted_orders(
        model, *history.times, horizon_days=365, annual_discount_rate=rate
    )
    np.testing.assert_allclose(f.expected_orders, orders, rtol=1e-9)
    np.testing.assert_allclose(f.expected_value, discounted * f.expected_order_value, rtol=1e-9)
    assert (f.discount_factor > 0.9).all()
    ones = np.ones(4)
    for factors in ((5.0, 0.1, 2.0), (0.2, 8.0, 0.5)):
        f = forecast(
            model,
            SPEND,
            history,
            horizon_days=365,
            annual_discount_rate=rate,
            multipliers=ForecastMultipliers(*(one * ones for one in factors)),
            levels=Levels(),
        )
        coherent(f)


# lifetimes, on CDNOW


@pytest.fixture(scope="module")
def cdnow():
    """CDNOW's customers (weeks) and lifetimes' fits of BG/NBD and Gamma-Gamma."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes import BetaGeoFitter, GammaGammaFitter
        from lifetimes.datasets import load_cdnow_summary_data_with_monetary_value

        frame = load_cdnow_summary_data_with_monetary_value()
        repeat = frame[frame["frequency"] > 0]
        purchases = BetaGeoFitter().fit(frame["frequency"], frame["recency"], frame["T"])
        spend = GammaGammaFitter().fit(repeat["frequency"], repeat["monetary_value"])
    return frame, purchases, spend


@pytest.mark.parametrize("weeks", [13, 39, 78])
def test_with_every_correction_off_orders_and_spend_are_those_of_lifetimes(cdnow, weeks):
    frame, theirs, spends = cdnow
    times = [frame[name] for name in ("frequency", "recency", "T")]
    ours = BGNBD(*(float(theirs.params_[name]) for name in ("r", "alpha", "a", "b")))
    spend = Spend(*(float(spends.params_[name]) for name in ("p", "q", "v")))
    f = forecast(
        ours, spend, CustomerHistory.of(*times, frame["monetary_value"]),
        horizon_days=weeks, annual_discount_rate=0.0,
    )  # fmt: skip
    orders = theirs.conditional_expected_number_of_purchases_up_to_time(weeks, *times)
    np.testing.assert_allclose(f.expected_orders, orders, rtol=1e-8)
    alive = np.ravel(theirs.conditional_probability_alive(*times))
    np.testing.assert_allclose(f.p_alive, alive, rtol=1e-9)
    amounts = spends.conditional_expected_average_profit(
        frame["frequency"], frame["monetary_value"]
    )
    np.testing.assert_allclose(f.expected_order_value, amounts, rtol=1e-9)
    np.testing.assert_allclose(f.expected_value, orders * amounts, rtol=1e-8)
