"""Who responds: rankings by hand, learners against a known truth, rules against what they bring."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.lift import LiftError, Uplift, average_lift, policy_value, qini
from models.lift import uplift as learners


def area(uplift, is_treated, outcome):
    """Area between curve and line, summed over the trapezes of the curve."""

    def curve(arm):
        order = np.argsort(-uplift[arm], kind="stable")
        reached = np.concatenate([[0.0], np.cumsum(outcome[arm][order])]) / arm.sum()
        return np.interp(grid, np.linspace(0, 1, arm.sum() + 1), reached)

    grid = np.linspace(0, 1, is_treated.sum() * (~is_treated).sum() + 1)
    above = curve(is_treated) - curve(~is_treated)
    return np.trapezoid(above - grid * above[-1], grid)


def world(rng, n, share_control=0.5):
    """Return uplift, arms and outcomes: heavy-tailed, of a level unrelated to the uplift."""
    uplift, level = rng.random((2, n))
    is_treated = rng.random(n) >= share_control
    buys = rng.random(n) < 0.15 + 0.2 * level + 0.1 * uplift * is_treated
    return uplift, is_treated, buys * rng.lognormal(4.0, 0.8, n)


def taught(seed, n=4_000):
    """Return features, arms, outcomes and the true uplift: 20 where the first feature is positive."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4))
    features[rng.random(n) < 0.2, 1] = np.nan
    features[:, 3] = np.nan
    is_treated = rng.random(n) < 0.8
    uplift = np.where(features[:, 0] > 0, 20.0, 0.0)
    level = 10 * np.nan_to_num(features[:, 1]) + 50
    return features, is_treated, level + uplift * is_treated + rng.normal(0, 20, n), uplift


@pytest.fixture(scope="module")
def fitted():
    features, is_treated, outcome, _ = taught(1)
    return Uplift.fit(features, is_treated, outcome)


def test_qini_by_hand():
    # treated 4, 0 and held out 0, 2, best first: the curve 0, 2 - 0, 2 - 1; the line 0, .5, 1
    uplift, treated = np.array([2.0, 1.0, 2.0, 1.0]), np.array([True, True, False, False])
    outcome = np.array([4.0, 0.0, 0.0, 2.0])
    actual = qini(uplift, treated, outcome)
    assert actual.estimate == pytest.approx((0.5 * 2.0 / 2 + 0.5 * (2.0 + 1.0) / 2) - 0.5)
    assert actual.estimate == pytest.approx(area(uplift, treated, outcome))
    assert actual.low <= actual.estimate <= actual.high


def test_qini_is_the_area_under_arms_of_unequal_size():
    rng = np.random.default_rng(2)
    uplift, treated, outcome = world(rng, 60, 0.2)
    assert qini(uplift, treated, outcome).estimate == pytest.approx(
        area(uplift, treated, outcome), rel=1e-9
    )


def test_customers_of_equal_uplift_count_as_in_every_order():
    treated = np.array([True] * 3 + [False] * 3)
    outcome = np.array([3.0, 1.0, 5.0, 2.0, 0.0, 7.0])
    tied = np.array([1.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    orders = [
        area(tied - 0.01 * np.array(places), treated, outcome) for places in permutations(range(6))
    ]
    assert qini(tied, treated, outcome).estimate == pytest.approx(np.mean(orders))


def test_one_uplift_for_all_has_no_area():
    _, treated, outcome = world(np.random.default_rng(3), 100)
    actual = qini(np.full(100, 0.3), treated, outcome)
    assert (actual.estimate, actual.low, actual.high) == (0.0, 0.0, 0.0)


@given(seed=st.integers(0, 1_000), shift=st.floats(-1_000, 1_000), scale=st.floats(0.1, 10))
def test_qini_ignores_the_outcomes_level_and_turns_with_the_ranking_and_with_the_arms(
    seed, shift, scale
):
    uplift, treated, outcome = world(np.random.default_rng(seed), 80, 0.3)
    actual = qini(uplift, treated, outcome, draws=40).estimate
    assert qini(np.exp(uplift), treated, scale * outcome + shift, draws=40).estimate == (
        pytest.approx(scale * actual, rel=1e-6, abs=1e-8)
    )
    assert qini(-uplift, treated, outcome, draws=40).estimate == pytest.approx(-actual, abs=1e-8)
    assert qini(uplift, ~treated, outcome, draws=40).estimate == pytest.approx(-actual, abs=1e-8)


@pytest.mark.parametrize("share_control", [0.5, 0.2])
def test_the_qini_interval_covers_the_truth_and_of_a_random_ranking_zero(share_control):
    rng = np.random.default_rng(4)
    truth = 0.1 * np.exp(4.32) / 12  # the uplift's rank and size are uniform: their covariance
    own, random = [], []
    for _ in range(150):
        uplift, treated, outcome = world(rng, 2_000, share_control)
        own.append(qini(uplift, treated, outcome))
        random.append(qini(rng.random(2_000), treated, outcome))
    assert np.mean([q.estimate for q in own]) == pytest.approx(truth, abs=0.2)
    assert np.mean([q.low <= truth <= q.high for q in own]) >= 0.89
    assert np.mean([q.low <= 0 <= q.high for q in random]) >= 0.89


def test_a_perfect_ranking_is_above_zero_and_its_reverse_below():
    uplift, treated, outcome = world(np.random.default_rng(5), 60_000, 0.3)
    assert qini(uplift, treated, outcome).low > 0
    assert qini(-uplift, treated, outcome).high < 0


def test_the_qini_interval_is_as_wide_as_that_of_ranking_each_sample_anew():
    rng = np.random.default_rng(6)
    uplift, treated, outcome = world(rng, 1_000, 0.3)
    arms = [np.flatnonzero(treated), np.flatnonzero(~treated)]
    drawn = []
    for _ in range(200):
        rows = np.concatenate([rng.choice(arm, len(arm)) for arm in arms])
        drawn.append(area(uplift[rows], treated[rows], outcome[rows]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    actual = qini(uplift, treated, outcome)
    assert actual.high - actual.low == pytest.approx(high - low, rel=0.25)


def test_qini_refuses_one_arm_and_unknown_uplift():
    uplift, treated, outcome = world(np.random.default_rng(7), 20)
    with pytest.raises(LiftError, match="20 are treated, 0 held out"):
        qini(uplift, treated | True, outcome)
    with pytest.raises(ValueError, match="uplift is known of every customer: 20 of 20"):
        qini(uplift * np.nan, treated, outcome)
    with pytest.raises(ValueError, match="is_treated is True or False"):
        qini(uplift, treated * 1.0, outcome)


def test_uplift_is_found_for_customers_of_the_fit_and_for_new_ones(fitted):
    _, is_treated, outcome, uplift = taught(1)
    assert np.corrcoef(fitted.cross_fitted, uplift)[0, 1] > 0.8
    new = taught(2)
    predictions = fitted.predict(new[0])
    assert np.corrcoef(predictions, new[3])[0, 1] > 0.8
    assert predictions.mean() == pytest.approx(10.0, abs=2.0)
    assert qini(fitted.cross_fitted, is_treated, outcome).low > 0
    assert set(fitted.risks) == {"x", "transformed"}
    assert fitted.risks[fitted.learner] == min(fitted.risks.values())


def test_where_nobody_responds_differently_honest_predictions_have_no_qini():
    features, is_treated, outcome, uplift = taught(3)
    outcome = outcome - uplift * is_treated + 5 * is_treated
    model = Uplift.fit(features, is_treated, outcome)
    actual = qini(model.cross_fitted, is_treated, outcome)
    assert actual.low <= 0 <= actual.high
    seen = qini(model.predict(features), is_treated, outcome)
    assert seen.low > 0  # what predictions of their own teachers would claim


@pytest.mark.parametrize("name", list(learners.LEARNERS))
def test_each_learner_finds_size_and_sign_of_the_uplift(name):
    features, is_treated, outcome, _ = taught(4)
    new, _, _, truth = taught(5)
    with learners._one_thread():
        actual = learners.LEARNERS[name](features, is_treated, outcome)(new)
    assert actual[truth > 0].mean() == pytest.approx(20.0, abs=5.0)
    assert actual[truth == 0].mean() == pytest.approx(0.0, abs=5.0)


def test_the_same_rows_teach_the_same(fitted):
    features, is_treated, outcome, _ = taught(1)
    again = Uplift.fit(features, is_treated, outcome)
    assert again == fitted
    assert (again.cross_fitted == fitted.cross_fitted).all()
    assert (again.predict(features) == fitted.predict(features)).all()


def test_of_very_many_customers_a_part_teaches_and_the_others_are_predicted(monkeypatch):
    monkeypatch.setattr(learners, "MOST_ROWS", 1_500)
    features, is_treated, outcome, uplift = taught(6, 3_000)
    model = Uplift.fit(features, is_treated, outcome)
    others = np.delete(np.arange(3_000), learners._some(3_000))
    assert len(others) == 1_500
    assert (model.cross_fitted[others] == model.predict(features)[others]).all()
    assert np.corrcoef(model.cross_fitted, uplift)[0, 1] > 0.6


def test_folds_hold_each_customer_out_once_with_arms_alike():
    is_treated = np.arange(1_003) % 10 > 0
    folds = list(learners._folds(is_treated, 5))
    assert sorted(np.concatenate([held for held, _ in folds])) == list(range(1_003))
    for held, others in folds:
        assert not set(held) & set(others)
        assert (~is_treated[held]).sum() in {20, 21}


def test_uplift_refuses_what_it_cannot_learn_from(fitted):
    features, is_treated, outcome, _ = taught(1, 300)
    with pytest.raises(LiftError, match="each arm needs 100 customers"):
        Uplift.fit(features, is_treated, outcome)
    with pytest.raises(ValueError, match=r"features has shape \(300, k\): got \(299, 4\)"):
        Uplift.fit(features[1:], is_treated, outcome)
    with pytest.raises(ValueError, match="300 values are infinite"):
        Uplift.fit(np.where(np.arange(4) == 1, np.inf, features), is_treated, outcome)
    with pytest.raises(ValueError, match="features have the fit's 4 columns: got 3"):
        fitted.predict(features[:, :3])
    assert fitted.predict(np.zeros((0, 4))).shape == (0,)


def test_a_rules_value_by_hand():
    # matched: the first and the last, each for two of four; .5 * (2 * 8 + 2 * 2) / 2
    actual = policy_value([1, 0, 1, 0], np.full(4, 0.5), [8.0, 5.0, 1.0, 2.0], [1, 1, 0, 0])
    assert actual.estimate == pytest.approx(5.0)
    assert actual.n_matched == 2
    uneven = policy_value(
        [1, 0, 1, 0],
        [0.25, 0.5, 0.5, 0.5],
        [8.0, 5.0, 1.0, 2.0],
        [1, 1, 0, 0],
        is_self_normalized=True,
    )
    assert uneven.estimate == pytest.approx((4 * 8 + 2 * 2) / (4 + 2))


def test_treating_everybody_less_nobody_is_the_lift():
    _, treated, outcome = world(np.random.default_rng(8), 500, 0.3)
    p = np.where(treated, 0.7, 0.3)
    everybody, nobody = (
        policy_value(treated, p, outcome, np.full(500, action), is_self_normalized=True)
        for action in (True, False)
    )
    lift = average_lift(outcome, treated)
    assert everybody.estimate - nobody.estimate == pytest.approx(lift.estimate)
    assert everybody.high - everybody.estimate == pytest.approx(
        1.965 * outcome[treated].std() / np.sqrt(treated.sum()), rel=0.02
    )


@pytest.mark.parametrize("is_self_normalized", [False, True])
def test_a_rules_interval_covers_its_value(is_self_normalized):
    rng = np.random.default_rng(9)
    inside = []
    for _ in range(1_000):
        kind = rng.integers(0, 3, 1_000)
        chances = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])[kind]
        action = (rng.random(1_000)[:, None] > np.cumsum(chances, axis=1)).sum(axis=1)
        outcome = 5.0 + action * kind + rng.gamma(0.5, 4.0, 1_000)
        actual = policy_value(
            action,
            np.take_along_axis(chances, action[:, None], axis=1)[:, 0],
            outcome,
            kind,
            is_self_normalized=is_self_normalized,
        )
        inside.append(actual.low <= 5.0 + 5 / 3 + 2.0 <= actual.high)
    assert 0.93 <= np.mean(inside) <= 0.97


def test_a_rule_that_nobody_happened_to_get_has_no_value():
    with pytest.raises(LiftError, match="1 of 3 did"):
        policy_value(["a", "a", "b"], [0.5] * 3, [1.0, 2.0, 3.0], ["b", "b", "b"])
    with pytest.raises(ValueError, match=r"propensity is above 0 and at most 1: got 0 to 0\.5"):
        policy_value([0, 0], [0.0, 0.5], [1.0, 2.0], [0, 0])
    with pytest.raises(ValueError, match=r"policy has shape \(2,\): got \(3,\)"):
        policy_value([0, 0], [0.5, 0.5], [1.0, 2.0], [0, 0, 1])
    with pytest.raises(ValueError, match="action is known of every customer"):
        policy_value([0, np.nan], [0.5, 0.5], [1.0, 2.0], [0.0, 0.0])
