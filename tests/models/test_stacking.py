"""Corrections: none without signal, the planted one where there is a signal, and totals that stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from models.stacking import (
    BANDS,
    Correction,
    band_of,
    chance_columns,
    chance_intercept,
    fit_chance,
    fit_order_value,
    fit_orders,
    level_of,
    order_columns,
    orders_intercept,
    value_columns,
)

MANY = 1e9  # customers, of whose fits the error is nothing
N = 40_000


class Customers:
    """Customers of a past cutoff, with rival forecasts that carry no signal."""

    def __init__(self, seed, n=N):
        rng = self.rng = np.random.default_rng(seed)
        self.forecast = rng.gamma(0.7, 1.0, n)
        self.trees = self.forecast * np.exp(rng.normal(0, 0.5, n))
        self.revenue = rng.gamma(1.0, 200.0, n)
        self.age = rng.integers(0, 1_200, n)
        self.frequency = rng.poisson(1.5, n)
        self.band = band_of(self.age, self.frequency)
        self.lift = np.where(self.frequency == 0, np.exp(rng.normal(0, 0.3, n)), 1.0)
        self.chance = -np.expm1(-self.forecast)
        self.value = rng.gamma(9.0, 4.0, n)

    def order_columns(self, trees=None):
        means = np.array([self.forecast.mean(), self.revenue.mean()])
        return order_columns(
            self.forecast, self.trees if trees is None else trees, self.revenue, means, self.lift
        )

    def fit_orders(self, truth, overlap=1.0, trees=None):
        orders = self.rng.poisson(truth).astype(float)
        mean = np.full(len(truth), self.forecast.mean())
        return fit_orders(self.order_columns(trees), self.band, orders, mean, overlap)


def mean_effect(correction, band):
    """Return the mean of bands' effects over customers, whatever their sign."""
    return np.abs(np.asarray(correction.bands)[band]).mean()


@pytest.fixture
def customers():
    return Customers(1)


# Bands


def test_bands_are_by_last_day_of_tenure_and_most_repeat_orders():
    ages = [0, 30, 31, 90, 91, 180, 181, 365, 366, 730, 731, 9_999]
    assert band_of(ages, np.zeros(12)).tolist() == [0, 0, 3, 3, 6, 6, 9, 9, 12, 12, 15, 15]
    assert band_of(np.zeros(5), [0, 1, 2, 3, 400]).tolist() == [0, 1, 1, 2, 2]
    assert band_of([731], [3]).tolist() == [BANDS - 1]


# Columns


def test_columns_of_orders_are_logarithms_over_the_mean_by_hand():
    """Floors of 0.01 of the mean order and 0.05 of the mean revenue."""
    columns = order_columns(
        np.array([1.0]), np.array([2.0]), np.array([50.0]), np.array([1.0, 100.0]), np.array([1.5])
    )
    assert columns == pytest.approx(np.log([[1.01, 2.01, 0.55, 1.5]]))


def test_revenue_that_is_missing_or_negative_counts_as_none():
    one, means = np.ones(3), np.array([1.0, 100.0])
    columns = order_columns(one, one, np.array([np.nan, -50.0, 0.0]), means, one)
    assert columns[:, 2] == pytest.approx(np.full(3, np.log(0.05)))


def test_forecasts_of_nothing_and_sure_chances_stay_finite():
    none, means = np.zeros(2), np.array([0.5, 20.0])
    assert np.isfinite(order_columns(none, none, none, means, np.ones(2))).all()
    assert np.isfinite(chance_columns(np.array([0.0, 1.0]), np.array([1.0, 0.0]))).all()


# No signal: no correction


@pytest.mark.parametrize("seed", range(3))
def test_orders_drawn_from_the_forecast_itself_recover_no_correction(seed):
    customers = Customers(seed)
    correction = customers.fit_orders(customers.forecast)
    own, trees, past, lift = correction.weights  # within three standard errors
    assert own == pytest.approx(1.0, abs=0.03)
    assert (own, trees, past) == pytest.approx((1.0, 0.0, 0.0), abs=0.04)
    assert lift == pytest.approx(0.0, abs=0.13)
    assert mean_effect(correction, customers.band) < 0.03
    assert correction.intercept == pytest.approx(0.0, abs=0.03)
    line = correction.line(customers.order_columns(), customers.band)
    corrected = customers.forecast.mean() * np.exp(line)
    assert np.abs(corrected - customers.forecast).sum() < 0.05 * customers.forecast.sum()


@pytest.mark.parametrize("seed", range(3))
def test_chances_drawn_from_the_forecast_itself_recover_no_correction(seed):
    customers = Customers(seed)
    active = (customers.rng.random(N) < customers.chance).astype(float)
    noise = expit(logit(customers.chance) + customers.rng.normal(0, 0.5, N))
    columns = chance_columns(customers.chance, noise)
    correction = fit_chance(columns, customers.band, active, 1.0)
    assert correction.weights == pytest.approx((1.0, 0.0), abs=0.06)
    assert mean_effect(correction, customers.band) < 0.05
    assert correction.intercept == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_order_values_drawn_around_the_forecast_recover_no_correction(seed):
    customers = Customers(seed)
    rng = customers.rng
    orders = 1.0 + rng.poisson(0.5, N)
    ratio = rng.gamma(2.0 * orders, 1 / (2.0 * orders))
    noise, own = (customers.value * np.exp(rng.normal(0, 0.3, N)) for _ in range(2))
    columns = value_columns(customers.value, noise, own)
    correction = fit_order_value(columns, customers.band, ratio, orders, 1.0)
    assert correction.weights == pytest.approx((0.0, 0.0), abs=0.03)
    assert mean_effect(correction, customers.band) < 0.015
    assert correction.intercept == pytest.approx(0.0, abs=0.03)


def test_few_customers_move_no_weight_far_from_its_prior():
    customers = Customers(4, n=60)
    correction = customers.fit_orders(customers.trees)
    assert correction.weights[0] == pytest.approx(1.0, abs=0.3)
    assert all(weight <= 0.3 for weight in correction.weights[1:3])


def test_the_more_cutoffs_share_a_window_the_nearer_a_correction_is_to_none():
    away = []
    for overlap in (1.0, 4.0, 100.0):
        customers = Customers(5, n=1_500)
        correction = customers.fit_orders(customers.trees, overlap)
        away.append(correction.weights[1])
    assert away[0] > away[1] > away[2] > 0


# A planted signal: its correction


@pytest.mark.parametrize("exponent", [0.6, 0.8, 1.2])
def test_a_planted_exponent_of_the_forecast_is_recovered(customers, exponent):
    truth = (
        customers.forecast.mean() * (customers.forecast / customers.forecast.mean()) ** exponent
    )
    correction = customers.fit_orders(truth)
    assert correction.weights[0] == pytest.approx(exponent, abs=0.05)
    assert correction.weights[1:] == pytest.approx((0.0, 0.0, 0.0), abs=0.03)


def test_trees_that_are_the_truth_get_the_weight_of_orders(customers):
    correction = customers.fit_orders(customers.trees)
    own, trees, past, lift = correction.weights
    assert (own, trees) == pytest.approx((0.0, 1.0), abs=0.1)
    assert (past, lift) == pytest.approx((0.0, 0.0), abs=0.05)


def test_a_lift_that_is_the_truth_is_applied_to_orders(customers):
    correction = customers.fit_orders(customers.forecast * customers.lift)
    assert correction.weights[3] == pytest.approx(1.0, abs=0.15)
    assert correction.weights[:3] == pytest.approx((1.0, 0.0, 0.0), abs=0.05)


@pytest.mark.parametrize("effect", [-0.3, 0.3])
def test_a_planted_effect_of_a_band_is_recovered_and_others_stay_at_none(customers, effect):
    planted = int(band_of([200], [1])[0])
    truth = customers.forecast * np.exp(np.where(customers.band == planted, effect, 0.0))
    correction = customers.fit_orders(truth)
    assert correction.bands[planted] - np.mean(correction.bands) == pytest.approx(effect, abs=0.07)
    others = np.delete(correction.bands, planted)
    assert np.abs(others).max() < 0.12
    assert correction.weights == pytest.approx((1.0, 0.0, 0.0, 0.0), abs=0.05)


def test_a_planted_slope_of_chances_is_recovered(customers):
    truth = expit(0.7 * logit(customers.chance))
    active = (customers.rng.random(N) < truth).astype(float)
    columns = chance_columns(customers.chance, customers.rng.permutation(customers.chance))
    correction = fit_chance(columns, customers.band, active, 1.0)
    assert correction.weights[0] == pytest.approx(0.7, abs=0.05)
    assert correction.weights[1] == pytest.approx(0.0, abs=0.05)


def test_a_planted_exponent_of_order_value_is_recovered(customers):
    rng = customers.rng
    own = customers.value * np.exp(rng.normal(0, 0.5, N))
    orders = 1.0 + rng.poisson(0.5, N)
    ratio = (own / customers.value) ** 0.4 * rng.gamma(4.0 * orders, 1 / (4.0 * orders))
    noise = customers.value * np.exp(rng.normal(0, 0.5, N))
    columns = value_columns(customers.value, noise, own)
    correction = fit_order_value(columns, customers.band, ratio, orders, 1.0)
    assert correction.weights == pytest.approx((0.0, 0.4), abs=0.03)


def test_order_values_of_returned_orders_are_fitted_too(customers):
    """A ratio below 0: more came back than was bought."""
    ratio = np.where(customers.rng.random(N) < 0.05, -0.5, 1.0)
    columns = value_columns(customers.value, customers.value, customers.value)
    correction = fit_order_value(columns, customers.band, ratio, np.ones(N), 1.0)
    assert np.exp(correction.intercept) == pytest.approx(ratio.mean(), abs=0.02)


def test_a_rival_that_misleads_gets_no_negative_weight(customers):
    against = 1 / (customers.forecast + 0.1)
    correction = customers.fit_orders(customers.forecast, trees=against)
    assert min(correction.weights) >= 0.0


def test_a_rise_of_a_forecast_lowers_no_correction(customers):
    truth = customers.trees * (customers.forecast / customers.forecast.mean()) ** -0.3
    assert min(customers.fit_orders(truth).weights) >= 0


# Bands without customers


def test_bands_without_customers_take_the_effect_of_the_next_shorter_tenure():
    customers = Customers(2)
    customers.age = customers.rng.integers(
        31, 365, N
    )  # nobody of 30 days or fewer, or over a year
    customers.band = band_of(customers.age, customers.frequency)
    oldest = band_of([200] * 3, [0, 1, 3])
    truth = customers.forecast * np.exp(np.where(np.isin(customers.band, oldest), 0.3, 0.0))
    effects = np.reshape(customers.fit_orders(truth).bands, (-1, 3))
    assert effects[3].min() > 0.15
    assert effects[4].tolist() == effects[3].tolist()
    assert effects[5].tolist() == effects[3].tolist()
    assert effects[0].tolist() == [0.0, 0.0, 0.0]


def test_a_gap_between_tenures_is_filled_by_frequency():
    customers = Customers(3)
    customers.age = np.where(customers.rng.random(N) < 0.5, 60, 500)
    customers.frequency = np.where(customers.age == 500, 1, customers.frequency)
    customers.band = band_of(customers.age, customers.frequency)
    effects = np.reshape(customers.fit_orders(customers.forecast * 1.3).bands, (-1, 3))
    assert effects[2].tolist() == effects[3].tolist() == effects[1].tolist()
    assert effects[4, [0, 2]].tolist() == effects[1, [0, 2]].tolist()
    assert effects[4, 1] != effects[1, 1]
    assert effects[5].tolist() == effects[4].tolist()


# Lines, and totals that stay


def test_a_line_is_intercept_band_and_weighted_columns_by_hand():
    bands = tuple(np.arange(BANDS) / 10)
    correction = Correction((2.0, -1.0), bands, 0.5)
    columns = np.array([[1.0, 3.0], [0.5, 0.0]])
    assert correction.line(columns, np.array([0, 4])) == pytest.approx([-0.5, 1.9])


def test_a_customer_is_corrected_alike_alone_and_in_a_crowd(customers):
    correction = customers.fit_orders(customers.trees)
    columns, band = customers.order_columns(), customers.band
    crowd = correction.line(columns[:200], band[:200])
    alone = [correction.line(columns[[i]], band[[i]])[0] for i in range(200)]
    assert crowd.tolist() == alone


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.floats(1.3, 50.0))
def test_orders_no_fewer_than_the_chance_of_any_sum_to_the_total(seed, n, more):
    rng = np.random.default_rng(seed)
    line, chance = rng.normal(-1, 3, n), rng.beta(0.3, 1.0, n)
    total = more * chance.sum()
    add = orders_intercept(line, chance, total)
    assert np.maximum(np.exp(line + add), chance).sum() == pytest.approx(total, rel=1e-9)


def test_a_total_just_above_the_chances_is_reached():
    line, chance = np.array([6.0, 0.0, 0.0]), np.array([0.001, 0.5, 0.5])
    add = orders_intercept(line, chance, 1.0011)
    assert np.maximum(np.exp(line + add), chance).sum() == pytest.approx(1.0011)


def test_a_total_below_the_chances_is_not_reached_and_orders_are_the_chances():
    line, chance = np.array([0.0, -1.0, 1.0]), np.array([0.5, 0.2, 0.9])
    add = orders_intercept(line, chance, 0.8)
    assert np.maximum(np.exp(line + add), chance).tolist() == chance.tolist()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.floats(0.001, 0.999))
def test_chances_sum_to_the_total(seed, n, share):
    line = np.random.default_rng(seed).normal(-2, 3, n)
    add = chance_intercept(line, share * n)
    assert expit(line + add).sum() == pytest.approx(share * n, rel=1e-8)


@pytest.mark.parametrize("total", [0.0, 5.0])
def test_chances_of_nobody_or_everybody_stay_finite(total):
    line = np.array([-1.0, 0.0, 1.0, 2.0, 3.0])
    chance = expit(line + chance_intercept(line, total))
    assert chance.sum() == pytest.approx(total, abs=1e-4)


# Level


def test_the_level_of_windows_that_agree_is_close_to_their_mean():
    """Mean -0.235, two windows; (2 * 0.1^2 + 0.0109 / 2) / 3 over one degree of freedom."""
    level = level_of([-0.29, -0.26, -0.24, -0.15], overlap=2.0, days=120, customers=MANY)
    variance = (2 * 0.01 + 0.0109 / 2) / 3
    assert level == pytest.approx(-0.235 * (1 - variance / 0.235**2))
    assert -0.235 < level < -0.19


@pytest.mark.parametrize("ratios", [[], [-0.3], [-0.3, -0.3, -0.3], [-0.3, -0.3, -0.3, np.nan]])
def test_fewer_than_two_separate_windows_have_no_level(ratios):
    assert level_of(ratios, overlap=2.0, days=120, customers=MANY) == 0.0


@pytest.mark.parametrize("ratios", [[-0.4, -0.3, 0.3, 0.4], [0.5, 0.4, -0.1, -0.2], [0.0] * 4])
def test_windows_that_disagree_have_no_level(ratios):
    assert level_of(ratios, overlap=2.0, days=120, customers=MANY) == 0.0


@pytest.mark.parametrize(("days", "is_level"), [(28, False), (89, False), (90, True), (365, True)])
def test_windows_under_90_days_have_no_level_as_a_season_agrees_with_itself(days, is_level):
    assert (
        level_of([-0.29, -0.26, -0.24, -0.15], overlap=2.0, days=days, customers=MANY) != 0
    ) == is_level


def test_a_small_level_of_two_windows_is_as_good_as_none():
    """0.055^2 is less than its variance, (2 * 0.1^2 + 0.00005) / 3."""
    assert level_of([0.05, 0.06, 0.05, 0.06], overlap=2.0, days=120, customers=MANY) == 0.0
    assert 0 < level_of([0.05, 0.06, 0.05, 0.06], overlap=1.0, days=120, customers=MANY) < 0.055


def test_more_windows_that_agree_leave_more_of_the_level():
    levels = [
        level_of([0.2] * count, overlap=1.0, days=120, customers=MANY)
        for count in (2, 3, 4, 8, 40)
    ]
    assert (np.diff(levels) > 0).all()
    assert levels[-1] == pytest.approx(0.2, abs=0.001)


@settings(deadline=None)
@given(st.lists(st.integers(-1000, 1000), max_size=8), st.floats(1.0, 4.0))
def test_a_level_is_between_none_and_the_mean_and_turns_with_its_sign(thousandths, overlap):
    ratios = [one / 1000 for one in thousandths]
    level = level_of(ratios, overlap, 120, MANY)
    mean = float(np.mean(ratios)) if ratios else 0.0
    assert min(0.0, mean) - 1e-12 <= level <= max(0.0, mean) + 1e-12
    assert level_of([-one for one in ratios], overlap, 120, MANY) == pytest.approx(-level)
    assert level_of([*ratios, np.inf], overlap, 120, MANY) == level


def test_the_level_of_a_small_store_is_not_believed_however_well_its_windows_agree():
    """A fit to 150 customers is off by .28, at every cutoff alike; one to 8,000 by .04."""
    ratios = [-0.29, -0.26, -0.24, -0.15]
    levels = [level_of(ratios, 2.0, 120, customers) for customers in (150, 700, 8_000)]
    assert levels[0] == 0.0
    assert levels[2] < levels[1] < 0.0
    assert levels[2] == pytest.approx(-0.18, abs=0.03)
