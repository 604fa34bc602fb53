"""Bands, the rule and bins by hand, and expected counts beside what the models say elsewhere."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from scipy.stats import binom, nbinom, poisson

from models.history import CustomerHistory
from models.monitoring import (
    Bins,
    Rule,
    Week,
    band,
    bin_shares,
    cell_sums,
    cells_of,
    expected_counts,
    is_frozen,
    is_retrain_due,
    is_silence,
    measure_bins,
    psi,
    ratio,
    slope_through,
    standing,
    tenth_starts,
)
from models.operational_time import OperationalTime, PaceIndex
from models.purchases import BGNBD, MBGCNBD, MBGNBD, NBD, ParetoNBD
from models.spend import Spend
from models.value import ForecastMultipliers, SecondOrder, forecast

MODELS = [
    BGNBD(0.8, 30, 0.7, 2),
    MBGNBD(0.9, 45, 0.5, 1.5),
    MBGCNBD(1.2, 12, 0.5, 1.5, k=2),
    ParetoNBD(0.7, 40, 0.6, 120),
    NBD(0.6, 40),
]
X, T_X, T = (np.array(v, dtype=float) for v in ([0, 0, 2, 40], [0, 0, 60, 300], [5, 400, 90, 310]))
SPEND = Spend(6.0, 4.0, 15.0)
MEANS = np.array([0.0, 0.0, 25.0, 40.0])
HISTORY = CustomerHistory.of(X, T_X, T, MEANS)


def named(model):
    return model.title


@pytest.mark.parametrize("days", [7, 28])
@pytest.mark.parametrize("model", MODELS, ids=named)
def test_moments_are_those_of_the_distribution_of_counts(model, days):
    chances = model.distribution(days, X, T_X, T, 150)
    n = np.arange(151)
    any_, mean, pairs = model.moments(days, X, T_X, T)
    assert any_ == pytest.approx(1 - chances[:, 0], rel=1e-6)
    assert mean == pytest.approx(chances @ n, rel=1e-6)
    assert pairs == pytest.approx(chances @ (n * (n - 1)), rel=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=named)
def test_the_variance_is_that_of_the_distribution_of_counts(model):
    chances, n = model.distribution(28, X, T_X, T, 150), np.arange(151)
    counts = expected_counts(model, SPEND, HISTORY, windows=[7, 28])[28]
    mean = chances @ n
    assert counts.variance == pytest.approx(chances @ n**2 - mean**2, rel=1e-5)
    amounts = SPEND.expected_order_value(X, MEANS)
    assert counts.value == pytest.approx(counts.orders * amounts)


def test_the_nbd_variance_is_in_closed_form():
    """Of a negative binomial with shape r + x and odds h / (alpha + T): mean (1 + odds)."""
    model = NBD(0.6, 40)
    counts = expected_counts(model, SPEND, HISTORY, windows=[7, 28])[28]
    assert counts.variance == pytest.approx(counts.orders * (1 + 28 / (40 + T)))


MULTIPLIERS = ForecastMultipliers(
    *np.array([[0.5, 1, 2, 1.2], [0.6, 1, 1.5, 1.1], [0.7, 1, 2, 1.3]])
)
SECOND = SecondOrder(np.array([0.5, 0.02, np.nan, np.nan]), 90)


@pytest.mark.parametrize("second", [None, SECOND])
@pytest.mark.parametrize("multipliers", [None, MULTIPLIERS])
def test_corrections_count_as_in_every_other_forecast(second, multipliers):
    model = MBGNBD(0.9, 45, 0.5, 1.5)
    counts = expected_counts(
        model, SPEND, HISTORY, windows=[7, 28], second_order=second,
        multipliers=multipliers,
    )[28]  # fmt: skip
    same = forecast(
        model, SPEND, HISTORY, horizon_days=28, annual_discount_rate=0.0, second_order=second,
        multipliers=multipliers,
    )  # fmt: skip
    assert counts.orders == pytest.approx(same.expected_orders, rel=1e-6)
    assert counts.value == pytest.approx(same.expected_value, rel=1e-6)
    assert (counts.variance > 0).all()


@pytest.mark.parametrize("second", [None, SECOND])
@pytest.mark.parametrize("days", [7, 28, 90])
def test_a_season_counts_as_in_every_other_forecast(second, days):
    model = MBGNBD(0.9, 45, 0.5, 1.5)
    index = PaceIndex(date(2025, 11, 1), (*[0.8] * 44, *[2.0] * 8))
    history = replace(HISTORY, time=OperationalTime(date(2025, 11, 1), index))
    counts = expected_counts(model, SPEND, history, windows=[days], second_order=second)[days]
    same = forecast(
        model, SPEND, history, horizon_days=days, annual_discount_rate=0.0, second_order=second
    )
    assert counts.orders == pytest.approx(same.expected_orders, rel=1e-6)
    assert counts.value == pytest.approx(same.expected_value, rel=1e-6)
    usual = expected_counts(model, SPEND, HISTORY, windows=[days], second_order=second)[days]
    assert (counts.orders > usual.orders).all()


def test_a_corrected_variance_is_that_of_a_rate_that_is_as_much_higher():
    """Of NBD's negative binomial with shape r + x: f m + (f m)^2 / (r + x)."""
    model, one = NBD(0.6, 40), np.ones(4)
    multipliers = ForecastMultipliers(one, 3 * one, one)
    counts = expected_counts(model, SPEND, HISTORY, windows=[28], multipliers=multipliers)
    mean = 3 * model.expected_orders(28, X, T_X, T)
    assert counts[28].orders == pytest.approx(mean)
    assert counts[28].variance == pytest.approx(mean + mean**2 / (0.6 + X))


def test_cells_by_hand():
    expected = np.arange(20.0)
    starts = tenth_starts(expected)
    ages = np.array([0, 30, 31, 90, 91, 365, 366, 730, 731, 5000] * 2)
    cells = cells_of(ages, expected, starts)
    assert cells[0] == 0  # youngest, lowest tenth
    assert cells[9] == 5 * 10 + 4
    assert list(np.divmod(cells, 10)[0][:10]) == [0, 0, 1, 1, 2, 3, 4, 4, 5, 5]
    assert list(np.divmod(cells, 10)[1]) == [k // 2 for k in range(20)]
    customers, total = cell_sums(cells, expected)
    assert customers.sum() == 20
    assert total.sum() == expected.sum()
    assert customers[0] == 2


def test_equal_expectations_are_in_one_tenth():
    expected = np.array([0.1] * 15 + [0.5] * 5)
    places = cells_of(np.zeros(20), expected, tenth_starts(expected))
    assert len(set(places[:15])) == 1
    assert len(set(places[15:])) == 1
    assert places[0] < places[15]


def test_bands_are_quantiles_of_poisson_and_negative_binomial():
    actual = band([100.0, 100.0, 0.0, 100.0], [100.0, 150.0, 0.0, 60.0])
    assert actual.low[0] * 100 == poisson.ppf(0.025, 100)
    assert actual.high[0] * 100 == poisson.ppf(0.975, 100)
    wide = nbinom(200, 100 / 150)  # mean 100, variance 150
    assert (wide.mean(), wide.var()) == pytest.approx((100, 150))
    assert actual.high[1] * 100 == wide.ppf(0.975)
    assert np.isnan(actual.low[2])
    assert actual.low[3] == actual.low[0]  # never narrower than a Poisson's


@pytest.mark.parametrize(("orders", "half"), [(100, 0.2), (400, 0.1), (2500, 0.04)])
def test_the_band_widens_as_one_over_the_root_of_the_orders(orders, half):
    actual = band([orders], [orders])
    assert (actual.high - actual.low) / 2 == pytest.approx(1.96 / np.sqrt(orders), rel=0.03)
    assert (actual.high[0] - actual.low[0]) / 2 == pytest.approx(half, rel=0.05)


def test_slope_by_hand():
    size = [10, 10, 10]
    same = slope_through(size, [10, 20, 30], [10, 20, 30], [10, 20, 30])
    assert same.estimate == pytest.approx(1.0)
    assert same.low < 1 < same.high
    flat = slope_through(size, [10, 20, 30], [15, 20, 25], [10, 20, 30])
    assert flat.estimate == pytest.approx(0.5)
    assert slope_through(size, [10, 10, 10], [5, 10, 15], [10, 10, 10]) is None
    assert slope_through([0], [0], [0], [0]) is None


def test_the_slopes_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(3)
    expected = np.linspace(20, 400, 10)
    actual = [
        slope_through(np.full(10, 100), expected, rng.poisson(expected), expected)
        for _ in range(2000)
    ]
    inside = sum(one.low < 1 < one.high for one in actual)
    assert binom.ppf(1e-4, 2000, 0.95) <= inside <= binom.ppf(1 - 1e-4, 2000, 0.95)


def week(actual, expected=2000.0, variance=2100.0, **more):
    return Week(actual, expected, variance, **more)


@pytest.mark.parametrize(
    ("actuals", "is_due"),
    [
        ([1600, 2000, 1600], True),
        ([2000, 1600, 1600], True),
        ([1600, 1600, 2000], False),  # the latest is not off
        ([1600, 2000, 2000, 1600], False),  # too long ago
        ([1600], False),
        ([2400, 2000, 1600], False),  # to different sides
        ([1850, 1850, 1850], False),  # within tolerance
        ([2400, 2400], True),
        ([], False),
    ],
)
def test_two_of_the_last_three_weeks_the_latest_included_ask_for_training(actuals, is_due):
    assert is_retrain_due([week(actual) for actual in actuals], Rule()) is is_due


def test_a_week_within_luck_is_not_off_however_far_from_the_expected():
    assert standing(week(80, 100.0, 110.0), 0.1) == 0
    assert standing(week(79, 100.0, 110.0), 0.1) == -1
    assert standing(week(800, 1000.0, 1100.0), 0.1) == -1
    assert standing(week(5, 0.0, 0.0), 0.1) == 0


def test_overdispersed_orders_need_more():
    assert standing(week(880, 1000.0, 1000.0), 0.1) == -1
    assert standing(week(880, 1000.0, 9000.0), 0.1) == 0


def test_peaks_are_passed_over():
    odd = week(4000, is_peak=True)
    assert not is_retrain_due([odd, odd], Rule())
    assert not is_frozen([week(2000), odd], Rule())
    assert is_retrain_due([week(1600), odd, week(1600)], Rule())


def test_weeks_whose_orders_are_missing_freeze_and_do_not_ask_for_training():
    lost = week(0, is_partial=True)
    assert not is_retrain_due([lost, lost], Rule())
    assert is_frozen([week(2000), lost], Rule())


@pytest.mark.parametrize(
    ("expected", "silent_days", "is_one"),
    [
        (15, 7, True),
        (15, 4, False),
        (2000, 1, True),
        (2000, 0, False),
        (15, -3, False),
        (9, 70, False),
    ],
)
def test_a_silence_that_luck_does_not_explain_is_told_from_a_quiet_day(
    expected, silent_days, is_one
):
    """None of 9.2 expected orders comes by chance once in 10,000."""
    assert is_silence(expected, 7, silent_days) is is_one


@pytest.mark.parametrize(
    ("weeks", "frozen"),
    [
        ([week(1400)], True),
        ([week(2700)], True),
        ([week(1600)], False),  # off, but not so far
        ([week(1400), week(2000)], False),  # the latest counts
        ([week(14, 20.0, 20.0)], False),  # three standard deviations of 20 are 13
        ([], False),
    ],
)
def test_the_sync_is_frozen_where_the_latest_week_is_over_a_quarter_off(weeks, frozen):
    assert is_frozen(weeks, Rule()) is frozen


def test_ratio_of_nothing_is_not_known():
    assert ratio(5, 0) is None
    assert ratio(5, 10) == 0.5


def test_bins_hold_a_tenth_each_and_ties_share_one():
    bins = measure_bins(np.r_[np.arange(1000.0), np.nan])
    assert bins.n == 1000
    assert bins.shares == pytest.approx([0.1] * 10, abs=0.002)
    many = measure_bins([0.0] * 900 + [1.0] * 100)
    assert many.shares == (0.9, 0.1)
    assert many.edges == (1.0,)
    assert measure_bins([np.nan]) == Bins(edges=(), shares=(0.0,), n=0)


def test_psi_by_hand():
    bins = Bins(edges=(0.5,), shares=(0.5, 0.5), n=1000)
    now = np.r_[np.zeros(750), np.ones(250)]
    assert psi(bins, np.r_[now, now]) == (pytest.approx(0.25 * np.log(3)), 2000)
    assert bin_shares(bins.edges, [0.0, 0.5, 0.7]) == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize(("then", "now"), [(999, 5000), (5000, 999)])
def test_psi_of_too_few_is_not_said(then, now):
    bins = measure_bins(np.arange(float(then)))
    assert psi(bins, np.arange(float(now))) == (None, now)


def test_psi_without_drift_is_what_theory_says():
    """Yurdakul & Naranjo (2020): (B - 1) (1 / n + 1 / m)."""
    rng = np.random.default_rng(5)
    actual = [
        psi(measure_bins(rng.normal(size=2000)), rng.normal(size=3000))[0] for _ in range(300)
    ]
    assert np.mean(actual) == pytest.approx(9 * (1 / 2000 + 1 / 3000), rel=0.1)


def test_an_empty_bin_does_not_make_it_infinite():
    bins = measure_bins(np.arange(2000.0))
    value, _ = psi(bins, np.full(2000, 10.0))
    assert 5 < value < 20
