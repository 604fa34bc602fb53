"""What an experiment can detect, whether its arms are sound, early looks, and segments together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.lift import (
    SUSPICIOUS,
    LiftError,
    always_valid,
    always_valid_interval,
    average_lift,
    customers_needed,
    posterior,
    sample_ratio,
    shrink,
    smallest_lift,
)


def of_rates(treated, control):
    return np.sqrt(treated * (1 - treated)), np.sqrt(control * (1 - control))


@pytest.mark.parametrize(
    ("base", "relative", "share_control", "customers"),
    [
        (0.2, 0.10, 0.05, 66_000),
        (0.2, 0.10, 0.10, 35_000),
        (0.2, 0.10, 0.20, 20_000),
        (0.2, 0.20, 0.05, 16_600),
        (0.2, 0.20, 0.10, 8_800),
        (0.2, 0.20, 0.20, 5_000),
        (0.2, 0.05, 0.05, 265_000),
        (0.2, 0.05, 0.10, 140_000),
        (0.2, 0.05, 0.20, 79_000),
        (0.1, 0.20, 0.05, 37_500),
        (0.1, 0.20, 0.10, 20_000),
        (0.1, 0.20, 0.20, 11_400),
    ],
)
def test_customers_needed_are_those_of_the_notes_on_experiments(
    base, relative, share_control, customers
):
    lift = base * relative
    actual = customers_needed(lift, of_rates(base + lift, base), share_control)
    assert actual == pytest.approx(customers, rel=0.013)
    rough = customers_needed(lift, np.sqrt(base * (1 - base)), share_control)
    assert rough == pytest.approx(customers, rel=0.04)


@pytest.mark.parametrize(("n", "points"), [(2, 8.4), (10, 3.7), (50, 1.7), (250, 0.75)])
def test_the_smallest_lift_is_that_of_the_notes_on_experiments(n, points):
    actual = 100 * smallest_lift(900 * n, 100 * n, 0.4)
    assert actual == pytest.approx(points, abs=0.051)


def test_with_as_many_as_needed_the_lift_is_found_as_often_as_said():
    n = customers_needed(0.5, 2.0, 0.2, power=0.9)
    rng = np.random.default_rng(1)
    treated = np.arange(n) >= round(0.2 * n)
    actual = [average_lift(rng.normal(0.5 * treated, 2.0), treated).p_value for _ in range(1_000)]
    assert np.mean(np.array(actual) < 0.05) == pytest.approx(0.9, abs=0.03)


@given(difference=st.floats(0.001, 10), deviation=st.floats(0.1, 100), held=st.floats(0.02, 0.98))
def test_the_smallest_lift_of_as_many_as_needed_is_the_lift(difference, deviation, held):
    n = customers_needed(difference, deviation, held)
    smallest = smallest_lift((1 - held) * n, held * n, deviation)
    assert smallest <= difference * (1 + 1e-9)
    assert smallest == pytest.approx(difference, rel=1 / n + 1e-9)
    assert customers_needed(-difference, (deviation, deviation), held) == n


def test_an_impossible_plan_is_refused():
    with pytest.raises(ValueError, match="the size of difference is above 0"):
        customers_needed(0.0, 1.0, 0.1)
    with pytest.raises(ValueError, match="share_control lies between 0 and 1: got 10"):
        customers_needed(1.0, 1.0, 10)
    with pytest.raises(ValueError, match="deviation is above 0: the least is 0"):
        smallest_lift(10, 10, 0.0)
    with pytest.raises(ValueError, match=r"treated and held out: got \(3,\)"):
        smallest_lift(10, 10, (1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="n_control is above 0"):
        smallest_lift(10, 0, 1.0)
    with pytest.raises(ValueError, match="power lies between 0 and 1: got 1"):
        smallest_lift(10, 10, 1.0, power=1)


def test_a_sample_ratio_is_that_of_the_exact_binomial():
    assert sample_ratio(4, 0, 0.5) == pytest.approx(2 / 16)
    assert sample_ratio(9, 1, 0.1) == pytest.approx(1.0)
    chi2 = stats.chisquare([90_300, 9_700], [90_000, 10_000]).pvalue
    assert sample_ratio(90_300, 9_700, 0.1) == pytest.approx(chi2, rel=0.05)


def test_a_ratio_as_drawn_is_not_suspicious_and_one_of_half_a_point_in_a_million_is():
    assert sample_ratio(899_800, 100_200, 0.1) > 0.1
    assert sample_ratio(895_000, 105_000, 0.1) < SUSPICIOUS
    assert sample_ratio(100_200, 899_800, 0.1) < SUSPICIOUS


def test_a_sample_ratio_needs_counts_and_a_share():
    with pytest.raises(ValueError, match="there are none"):
        sample_ratio(0, 0, 0.1)
    with pytest.raises(ValueError, match="n_treated counts customers: got -1"):
        sample_ratio(-1, 5, 0.1)
    with pytest.raises(ValueError, match=r"n_control counts customers: got 0\.5"):
        sample_ratio(1, 0.5, 0.1)
    with pytest.raises(ValueError, match="share_control lies between"):
        sample_ratio(5, 5, 0.0)


def looks(runs, n, share_control, rate=0.25, effect=0.05):
    """Simulate customers who arrive one by one; return estimates and errors after each of them."""
    rng = np.random.default_rng(2)
    treated = rng.random((runs, n)) >= share_control
    buys = rng.random((runs, n)) < rate + effect * treated
    outcome = buys * rng.lognormal(4.0, 1.0, (runs, n))
    counts, means, variances = [], [], []
    for arm in (treated, ~treated):
        count = np.maximum(np.cumsum(arm, axis=1), 2)
        mean = np.cumsum(arm * outcome, axis=1) / count
        square = np.cumsum(arm * outcome**2, axis=1) / count
        counts.append(count)
        means.append(mean)
        variances.append((square - mean**2) * count / (count - 1))
    error = np.sqrt(variances[0] / counts[0] + variances[1] / counts[1])
    is_look = np.minimum(*counts) >= 200  # always_valid refuses earlier ones
    return means[0] - means[1], np.where(is_look, error, 1e9), np.arange(1, n + 1) / n


@pytest.mark.parametrize("share_control", [0.5, 0.2])
def test_the_always_valid_interval_covers_the_truth_at_all_of_thousands_of_looks(share_control):
    estimate, error, share = looks(500, 4_000, share_control)
    truth = 0.05 * np.exp(4.5)
    low, high, _ = always_valid_interval(estimate, error, share)
    assert ((low <= truth) & (truth <= high)).all(axis=1).mean() >= 0.95
    fixed = (np.abs(estimate - truth) <= 1.96 * error).all(axis=1).mean()
    assert fixed < 0.8  # what looking every day does to the other interval


def test_without_lift_hardly_any_run_of_looks_ever_finds_one():
    estimate, error, share = looks(500, 4_000, 0.5, effect=0.0)
    p = always_valid_interval(estimate, error, share)[2]
    assert (p.min(axis=1) < 0.05).mean() <= 0.05


def test_it_covers_at_all_looks_at_one_cohort_whose_outcomes_grow():
    rng = np.random.default_rng(3)
    runs, n, days = 300, 1_500, 60
    rate = rng.gamma(0.5, 2.0, (runs, n)) / days  # some buy again and again: days are alike
    treated = np.arange(n) < 1_000
    total, estimates, errors = np.zeros((runs, n)), [], []
    for _ in range(days):
        total += rng.poisson(rate * np.where(treated, 1.2, 1.0))
        arms = total[:, treated], total[:, ~treated]
        estimates.append(arms[0].mean(axis=1) - arms[1].mean(axis=1))
        errors.append(np.sqrt(arms[0].var(axis=1) / 1_000 + arms[1].var(axis=1) / 500))
    estimate, error = np.array(estimates).T, np.array(errors).T
    truth = (rate * 0.2).mean() * np.arange(1, days + 1)
    low, high, _ = always_valid_interval(estimate, error, (error / error[:, -1:].mean()) ** 2)
    assert ((low <= truth) & (truth <= high)).all(axis=1).mean() >= 0.95


def test_the_boundary_is_the_papers_and_narrowest_at_the_planned_share():
    shares = np.linspace(0.5, 2.0, 301)
    low, high, _ = always_valid_interval(np.zeros(301), 1 / np.sqrt(shares), shares)
    # t and rho^2 of the paper, with t = 1 at the plan
    rho2 = shares[0] and 8.2
    paper = np.sqrt(
        (shares * rho2 + 1) / (shares**2 * rho2) * np.log((shares * rho2 + 1) / 0.05**2)
    )
    assert high == pytest.approx(paper, rel=1e-3)
    assert low == pytest.approx(-high)
    widths = [
        always_valid_interval(0.0, 1.0, plan)[1].item() for plan in (0.25, 0.5, 1.0, 2.0, 4.0)
    ]
    assert int(np.argmin(widths)) == 2
    assert widths[2] == pytest.approx(3.04, abs=0.01)  # standard errors, instead of 1.96


@given(z=st.floats(-8, 8), share=st.floats(0.01, 10))
def test_the_always_valid_p_value_is_below_the_level_where_the_interval_misses_zero(z, share):
    low, high, p = always_valid_interval(z, 1.0, share)
    assert 0 < p <= 1
    assert (p < 0.05) == (low > 0 or high < 0)


def test_an_early_look_widens_the_interval_and_keeps_the_estimate():
    rng = np.random.default_rng(4)
    treated = np.arange(1_000) < 500
    lift = average_lift(rng.gamma(1.0, 1.0, 1_000) + treated, treated)
    early = always_valid(lift, 0.5)
    assert early == replace(lift, low=early.low, high=early.high, p_value=early.p_value)
    assert early.high - early.low > 1.5 * (lift.high - lift.low)
    assert lift.p_value < early.p_value < 0.05
    assert always_valid(lift, 0.5, level=0.2).low > early.low


def test_an_early_look_at_few_customers_or_without_a_plan_is_refused():
    lift = average_lift(np.arange(300.0), np.arange(300) % 300 < 150)
    with pytest.raises(LiftError, match="needs 200 customers in each arm: 150 are treated"):
        always_valid(lift, 0.5)
    with pytest.raises(ValueError, match="planned_share is above 0"):
        always_valid_interval(1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="standard_error is known"):
        always_valid_interval(1.0, np.nan, 1.0)
    with pytest.raises(ValueError, match="level lies between 0 and 1"):
        always_valid_interval(1.0, 1.0, 1.0, level=1.0)


def test_segments_that_differ_by_chance_only_are_all_the_whole():
    means, deviations = shrink([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    assert means == pytest.approx([2.0, 2.0, 2.0])
    assert deviations == pytest.approx(np.full(3, np.sqrt(4 / 3)))


def test_equal_errors_shrink_by_the_variance_between_segments():
    # by hand: the estimates' variance 4 is 1 of error and 3 between; a quarter towards the mean 2
    means, deviations = shrink([0.0, 2.0, 4.0], [1.0, 1.0, 1.0])
    assert means == pytest.approx([0.5, 2.0, 3.5])
    assert deviations == pytest.approx(np.full(3, np.sqrt(3 / 4 + (1 / 4) ** 2 * 4 / 3)))


def test_the_less_is_known_of_a_segment_the_more_it_is_shrunk():
    means, deviations = shrink([10.0, 0.0, 5.0, 10.0], [1.0, 1.0, 1.0, 10.0])
    assert means[3] < means[0] < 10.0
    assert deviations[3] > deviations[0]


def test_one_segment_is_itself_and_none_are_refused():
    assert [x.tolist() for x in shrink([3.0], [2.0])] == [[3.0], [2.0]]
    with pytest.raises(ValueError, match="there are none"):
        shrink([], [])
    with pytest.raises(ValueError, match="standard_errors is above 0"):
        shrink([1.0, 2.0], [1.0, 0.0])
    with pytest.raises(ValueError, match=r"standard_errors has shape \(2,\): got \(1,\)"):
        shrink([1.0, 2.0], [1.0])


def test_shrunk_segments_lie_nearer_the_truth_and_their_intervals_cover_it():
    rng = np.random.default_rng(5)
    raw, shrunk, inside = [], [], []
    for _ in range(500):
        truth, error = rng.normal(2.0, 1.0, 10), rng.uniform(0.5, 2.0, 10)
        estimate = rng.normal(truth, error)
        means, deviations = shrink(estimate, error)
        raw.append(((estimate - truth) ** 2).mean())
        shrunk.append(((means - truth) ** 2).mean())
        inside.append((np.abs(means - truth) < 1.96 * deviations).mean())
    assert np.mean(shrunk) < 0.6 * np.mean(raw)
    assert 0.90 <= np.mean(inside) <= 0.97


def test_the_posterior_weighs_by_inverse_variances():
    mean, deviation = posterior(0.0, 1.0, 5.0, 2.0)
    assert mean == pytest.approx(1.0)
    assert deviation == pytest.approx(np.sqrt(0.8))
    means, deviations = posterior([0.1, 0.1], 0.05, [0.2, 0.2], [1e-6, 1e6])
    assert means == pytest.approx([0.2, 0.1])
    assert deviations == pytest.approx([1e-6, 0.05])


def test_a_posterior_of_unknown_values_is_refused():
    with pytest.raises(ValueError, match="one is NaN"):
        posterior(0.0, 1.0, np.nan, 1.0)
    with pytest.raises(ValueError, match="prior_deviation is above 0"):
        posterior(0.0, 0.0, 1.0, 1.0)
