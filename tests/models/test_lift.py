"""Average lift and its interval: by hand, against scipy, and against a known truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr

from models.lift import LiftError, average_lift, bootstrap_lift, winsorized
from models.lift.arms import LEAST_IN_CELL

TREATED = np.array([True, True, True, False, False])
OUTCOME = np.array([1.0, 2.0, 6.0, 1.0, 0.0])
RATE, EFFECT, ORDER = (
    0.25,
    0.05,
    np.exp(4.5),
)  # of buying; added by treatment; mean lognormal order
TRUTH = EFFECT * ORDER


def revenue(rng, n, share_control):
    """Return arms and outcomes of which most are 0 and the others lognormal; the lift is TRUTH."""
    is_treated = rng.random(n) >= share_control
    buys = rng.random(n) < RATE + EFFECT * is_treated
    return is_treated, buys * rng.lognormal(4.0, 1.0, n)


def covered(lifts, truth):
    return np.mean([lift.low <= truth <= lift.high for lift in lifts])


def test_the_lift_is_the_difference_in_means_and_its_interval_welchs():
    lift = average_lift(OUTCOME, TREATED)
    assert lift.estimate == pytest.approx(3.0 - 0.5)
    assert (lift.n_treated, lift.n_control, lift.variance_left) == (3, 2, 1.0)
    assert lift.standard_error**2 == pytest.approx(7 / 3 + 0.5 / 2)
    welch = stats.ttest_ind(OUTCOME[TREATED], OUTCOME[~TREATED], equal_var=False)
    assert lift.p_value == pytest.approx(welch.pvalue)
    assert (lift.low, lift.high) == pytest.approx(tuple(welch.confidence_interval(0.95)))


def test_a_covariates_slope_is_the_one_within_arms_and_costs_a_degree_of_freedom():
    outcome = np.array([1.0, 2.0, 5.0, 7.0, 1.0, 3.0, 2.0, 0.0])
    covariate = np.array([0.0, 1.0, 3.0, 4.0, 2.0, 4.0, 3.0, 1.0])
    treated = np.array([True] * 4 + [False] * 4)
    x = covariate - np.where(treated, covariate[treated].mean(), covariate[~treated].mean())
    theta = (x @ outcome) / (x @ x)
    adjusted = outcome - theta * covariate
    a, b = adjusted[treated], adjusted[~treated]
    lift = average_lift(outcome, treated, covariate)
    assert lift.estimate == pytest.approx(a.mean() - b.mean())
    variance = (a.var(ddof=1) / 4 + b.var(ddof=1) / 4) * 6 / 5
    assert lift.standard_error**2 == pytest.approx(variance)
    before = outcome[treated].var(ddof=1) / 4 + outcome[~treated].var(ddof=1) / 4
    assert lift.variance_left == pytest.approx(variance / before)


def test_strata_count_by_their_share_of_all_customers():
    rng = np.random.default_rng(1)
    strata = np.repeat(["new", "loyal"], [300, 100])
    treated = rng.random(400) < np.where(strata == "new", 0.5, 0.8)
    outcome = rng.gamma(1.0, np.where(strata == "new", 10.0, 100.0))
    own = [average_lift(outcome[strata == s], treated[strata == s]) for s in ("new", "loyal")]
    lift = average_lift(outcome, treated, strata=strata)
    assert lift.estimate == pytest.approx(0.75 * own[0].estimate + 0.25 * own[1].estimate)
    error = np.hypot(0.75 * own[0].standard_error, 0.25 * own[1].standard_error)
    assert lift.standard_error == pytest.approx(error)
    evenly = rng.random(400) < 0.5
    assert average_lift(outcome, evenly, strata=strata).variance_left < 0.95


def test_strata_too_small_are_taken_together():
    rng = np.random.default_rng(2)
    treated, outcome = revenue(rng, 600, 0.5)
    large = np.repeat(["a", "b"], [200, 400])
    tiny = large.copy()
    tiny[200:210], tiny[300:330] = "c", "d"
    rest = large.copy()
    rest[200:210] = rest[300:330] = "rest"
    if min(treated[rest == "rest"].sum(), (~treated[rest == "rest"]).sum()) < LEAST_IN_CELL:
        rest[rest == "rest"] = "a"  # the next smallest
    assert average_lift(outcome, treated, strata=tiny) == average_lift(
        outcome, treated, strata=rest
    )


def test_a_single_stratum_and_strata_all_too_small_change_nothing():
    treated, outcome = revenue(np.random.default_rng(3), 100, 0.3)
    plain = average_lift(outcome, treated)
    assert average_lift(outcome, treated, strata=np.zeros(100)) == plain
    assert average_lift(outcome, treated, strata=np.arange(100)) == plain


def test_a_stratum_that_was_never_held_out_is_refused():
    treated, outcome = revenue(np.random.default_rng(4), 400, 0.5)
    strata = np.repeat(["drawn", "all treated"], [360, 40])
    treated[360:] = True
    with pytest.raises(LiftError, match="of 'all treated' 40 are treated and 0 held out"):
        average_lift(outcome, treated, strata=strata)


def test_an_arm_without_spread_is_given_the_others():
    outcome, treated = np.zeros(40), np.arange(40) < 30
    outcome[:3] = 50.0
    lift = average_lift(outcome, treated)
    assert lift.standard_error**2 == pytest.approx(outcome[:30].var(ddof=1) * (1 / 30 + 1 / 10))
    assert lift.low < 0 < lift.high


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_an_outcome_that_is_the_same_for_all_is_refused(value):
    with pytest.raises(LiftError, match=r"needs outcomes that differ: in either arm all 50"):
        average_lift(np.full(50, value), np.arange(50) < 25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((OUTCOME[:, None], TREATED), r"outcome has shape \(n,\): got \(5, 1\)"),
        ((OUTCOME, TREATED[:4]), r"is_treated has shape \(5,\): got \(4,\)"),
        ((OUTCOME, TREATED.astype(int)), "is_treated is True or False: got int64"),
        (
            (np.where(TREATED, np.nan, 1.0), TREATED),
            "outcome is known of every .*: 3 of 5 are NaN",
        ),
        ((["a"] * 5, TREATED), "outcome holds numbers"),
        ((OUTCOME, TREATED, OUTCOME[:3]), r"covariate has shape \(5,\): got \(3,\)"),
        ((OUTCOME, TREATED, OUTCOME + np.inf), "covariate is known of every customer"),
        ((OUTCOME, TREATED, None, ["a", "b"]), r"strata have shape \(5,\): got \(2,\)"),
        (
            (OUTCOME, TREATED, None, np.array(["a", None] * 2 + ["b"])),
            "strata are known.*: 2 have",
        ),
        ((OUTCOME, np.ones(5, bool)), "each arm needs 2 customers: 5 are treated, 0 held out"),
        ((OUTCOME, np.arange(5) < 1), "each arm needs 2 customers: 1 are treated, 4 held out"),
    ],
)
@pytest.mark.parametrize("measure", [average_lift, bootstrap_lift])
def test_what_is_not_an_experiment_is_refused_in_one_line(measure, arguments, message):
    with pytest.raises(ValueError, match=message) as refused:
        measure(*arguments)
    assert "\n" not in str(refused.value)


@given(
    seed=st.integers(0, 10_000),
    scale=st.floats(0.01, 100),
    shift=st.floats(-100, 100),
    is_stratified=st.booleans(),
)
def test_the_lift_scales_with_its_unit_ignores_the_level_and_turns_with_the_arms(
    seed, scale, shift, is_stratified
):
    rng = np.random.default_rng(seed)
    treated, outcome = revenue(rng, 300, 0.4)
    score = outcome + rng.normal(0, 50, 300)
    strata = rng.integers(0, 2, 300) if is_stratified else None
    lift = average_lift(outcome, treated, score, strata)
    other = average_lift(scale * outcome + shift, treated, score * 7 - 3, strata)
    assert other.estimate == pytest.approx(scale * lift.estimate, rel=1e-6, abs=1e-6)
    assert other.p_value == pytest.approx(lift.p_value, rel=1e-5)
    assert other.variance_left == pytest.approx(lift.variance_left, rel=1e-6)
    turned = average_lift(outcome, ~treated, score, strata)
    assert (turned.low, turned.high) == pytest.approx((-lift.high, -lift.low))


def test_a_constant_covariate_tells_nothing():
    treated, outcome = revenue(np.random.default_rng(5), 200, 0.5)
    assert average_lift(outcome, treated, np.full(200, 0.1)) == average_lift(outcome, treated)


@pytest.mark.parametrize("share_control", [0.5, 0.2])
def test_the_fixed_horizon_interval_covers_the_truth_in_93_to_97_percent_of_2000_runs(
    share_control,
):
    rng = np.random.default_rng(11)
    lifts = [
        average_lift(outcome, treated)
        for treated, outcome in (revenue(rng, 2_000, share_control) for _ in range(2_000))
    ]
    assert 0.93 <= covered(lifts, TRUTH) <= 0.97
    assert np.mean([lift.estimate for lift in lifts]) == pytest.approx(TRUTH, rel=0.05)
    errors = np.mean([lift.standard_error for lift in lifts])
    assert errors == pytest.approx(np.std([lift.estimate for lift in lifts]), rel=0.05)


def test_with_covariate_and_strata_it_still_does():
    rng = np.random.default_rng(12)
    lifts = []
    for _ in range(2_000):
        kind = rng.integers(0, 3, 1_000)
        scale = np.array([1.0, 3.0, 10.0])[kind]
        treated = rng.random(1_000) < 0.7
        rate = rng.gamma(2.0, 0.5, 1_000)
        outcome = scale * (rng.poisson(rate) + 0.3 * treated * rng.gamma(1.0, 1.0, 1_000))
        lifts.append(average_lift(outcome, treated, rate, kind))
    assert 0.93 <= covered(lifts, 0.3 * np.mean([1.0, 3.0, 10.0])) <= 0.97
    assert np.mean([lift.variance_left for lift in lifts]) < 0.8


@pytest.mark.parametrize("rho", [0.3, 0.68, 0.9])
def test_a_covariate_leaves_one_less_its_squared_correlation_of_the_variance(rho):
    rng = np.random.default_rng(13)
    score, noise = rng.normal(size=(2, 20_000))
    treated = rng.random(20_000) < 0.8
    outcome = rho * score + np.sqrt(1 - rho**2) * noise + 0.1 * treated
    assert average_lift(outcome, treated, score).variance_left == pytest.approx(
        1 - rho**2, abs=0.02
    )


def test_no_lift_is_found_at_its_own_rate():
    rng = np.random.default_rng(14)
    p = [
        average_lift(rng.gamma(0.5, 10.0, 500), np.arange(500) < 250).p_value for _ in range(1_000)
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(p) == pytest.approx(0.5, abs=0.03)


def test_the_bootstrap_is_the_same_on_every_run_and_keeps_all_but_the_interval():
    treated, outcome = revenue(np.random.default_rng(6), 500, 0.3)
    score = outcome + np.random.default_rng(7).normal(0, 40.0, 500)
    strata = np.arange(500) % 3
    one = bootstrap_lift(outcome, treated, score, strata, draws=200)
    assert one == bootstrap_lift(outcome, treated, score, strata, draws=200)
    assert one.low != bootstrap_lift(outcome, treated, score, strata, draws=200, seed=1).low
    plain = average_lift(outcome, treated, score, strata)
    for name in ("estimate", "standard_error", "n_treated", "n_control", "variance_left"):
        assert getattr(one, name) == getattr(plain, name)


@pytest.mark.parametrize("n", [1_000, 50_000])
def test_the_bootstrap_agrees_with_welch_where_tails_are_light(n):
    rng = np.random.default_rng(7)
    treated = rng.random(n) < 0.6
    outcome, strata = rng.normal(5.0, 2.0, n) + 0.1 * treated, rng.integers(0, 2, n)
    own, welch = bootstrap_lift(outcome, treated, None, strata), average_lift(outcome, treated)
    width = welch.high - welch.low
    assert (own.low, own.high) == pytest.approx((welch.low, welch.high), abs=0.08 * width)


def test_the_bootstraps_p_value_agrees_with_its_interval():
    rng = np.random.default_rng(8)
    for _ in range(40):
        treated, outcome = revenue(rng, 300, 0.5)
        lift = bootstrap_lift(outcome, treated, draws=400)
        if abs(lift.p_value - 0.05) > 0.02:
            assert (lift.p_value < 0.05) == (not lift.low <= 0 <= lift.high)


def test_the_bootstrap_covers_a_heavy_tail_of_a_small_holdout_as_well_as_welch():
    rng = np.random.default_rng(9)
    runs = [revenue(rng, 1_000, 0.2) for _ in range(300)]
    own = covered([bootstrap_lift(y, t) for t, y in runs], TRUTH)
    assert own >= covered([average_lift(y, t) for t, y in runs], TRUTH) - 0.03
    assert own >= 0.90


def test_too_few_draws_are_refused():
    with pytest.raises(ValueError, match="needs 40 draws: got 39"):
        bootstrap_lift(OUTCOME, TREATED, draws=39)


def test_winsorizing_caps_at_the_quantile_and_misses_what_the_largest_brought():
    assert winsorized([0.0, 1.0, 2.0, 3.0, 100.0], 0.75).tolist() == [0.0, 1.0, 2.0, 3.0, 3.0]
    treated, outcome = revenue(np.random.default_rng(10), 200_000, 0.5)
    own, capped = average_lift(outcome, treated), average_lift(winsorized(outcome), treated)
    assert own.low <= TRUTH <= own.high
    assert capped.high < TRUTH
    cap = np.log(winsorized(outcome).max())
    below = np.exp(4.5) * ndtr(cap - 5.0) + np.exp(cap) * ndtr(4.0 - cap)  # a buyer's capped mean
    assert capped.low <= EFFECT * below <= capped.high
    assert EFFECT * below < 0.92 * TRUTH


def test_winsorizing_refuses_a_quantile_that_is_none():
    with pytest.raises(ValueError, match="quantile lies between 0 and 1: got 99"):
        winsorized(OUTCOME, 99)
    with pytest.raises(ValueError, match="there are none"):
        winsorized([])
