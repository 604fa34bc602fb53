"""The second-purchase classifier: right where first orders carry a signal, none where time alone does as well."""

import numpy as np
import pytest

from models.second_purchase import (
    LEAST_GAIN,
    NO_LIFT,
    NOT_TRIED,
    design,
    evaluate,
    fit_second_purchase,
)


def _landmarks(rng, n=4000, signal=2.0, days=3):
    """Landmarks of which the third column carries the signal; the first two, of time, carry none."""
    made = []
    for _ in range(days):
        features = np.column_stack([np.full(n, -2.0), rng.normal(size=(n, 3))])
        chance = 1 / (1 + np.exp(2 - signal * features[:, 2]))
        made.append((features, (rng.random(n) < chance).astype(float)))
    return made


def test_a_true_signal_is_proved_on_a_day_it_was_not_trained_on():
    fit = fit_second_purchase(_landmarks(np.random.default_rng(0)))
    assert fit.classifier is not None
    assert fit.notes == ()
    assert fit.metrics["gain_standard_errors"] > 10
    assert fit.metrics["logloss"] < min(
        fit.metrics["logloss_by_days"], fit.metrics["logloss_by_rhythm"]
    )
    assert fit.metrics["auc"] > 0.85
    assert fit.metrics["logloss"] < fit.metrics["logloss_base_rate"]
    assert fit.metrics["lift_top20"] > 2


def test_chances_recover_the_truth():
    fit = fit_second_purchase(_landmarks(np.random.default_rng(1), n=30_000))
    rows = np.array([[-2.0, 0.0, 0.0, 0.0], [-2.0, 0.0, 1.0, 0.0]])
    chances = fit.classifier.predict_proba(rows)[:, 1]
    assert chances == pytest.approx([1 / (1 + np.exp(2)), 0.5], abs=0.02)
    base = fit.by_days.predict_proba(rows)[:, 1]
    assert base == pytest.approx([fit.metrics["base_rate"]] * 2, abs=0.01)


def test_permuted_labels_rank_no_better_than_chance_and_give_no_classifier():
    rng = np.random.default_rng(2)
    shuffled = [(features, rng.permutation(labels)) for features, labels in _landmarks(rng)]
    fit = fit_second_purchase(shuffled)
    assert fit.metrics["auc"] == pytest.approx(0.5, abs=0.04)
    assert (fit.classifier, fit.by_days, fit.notes) == (None, None, (NO_LIFT,))


@pytest.mark.parametrize("seed", range(8))
def test_a_weak_signal_gives_a_classifier_only_where_its_gain_exceeds_a_standard_error(seed):
    fit = fit_second_purchase(_landmarks(np.random.default_rng(seed), n=1500, signal=0.12))
    assert (fit.classifier is not None) == (fit.metrics["gain_standard_errors"] > LEAST_GAIN)
    assert (fit.by_days is not None) == (fit.classifier is not None)
    assert fit.notes == (() if fit.classifier is not None else (NO_LIFT,))


def test_a_weak_signal_is_sometimes_proved_and_sometimes_not():
    fits = [
        fit_second_purchase(_landmarks(np.random.default_rng(seed), n=1500, signal=0.12))
        for seed in range(8)
    ]
    assert {fit.classifier is None for fit in fits} == {True, False}


def test_the_gain_is_over_the_better_of_both_rivals():
    """Where the purchase model's chance is the truth, nothing is gained however poor time alone is."""
    rng, landmarks = np.random.default_rng(9), []
    for _ in range(3):
        odds = rng.normal(-1.5, 1.5, 4000)
        labels = (rng.random(4000) < 1 / (1 + np.exp(-odds))).astype(float)
        landmarks.append((np.column_stack([odds, rng.normal(size=(4000, 3))]), labels))
    fit = fit_second_purchase(landmarks)
    assert fit.metrics["auc"] > 0.75
    assert fit.metrics["auc_by_rhythm"] == pytest.approx(fit.metrics["auc"], abs=0.01)
    assert fit.classifier is None


@pytest.mark.parametrize("events", [0, 3])
@pytest.mark.parametrize("days", [1, 4])
def test_too_few_second_orders_give_no_classifier_and_a_note(events, days):
    labels = np.zeros(200)
    labels[:events] = 1
    fit = fit_second_purchase([(np.ones((200, 2)), labels)] * days)
    assert (fit.classifier, fit.by_days, fit.metrics) == (None, None, {})
    assert (fit.customers, fit.second_orders) == (200 * days, events * days)
    assert fit.notes == (NOT_TRIED,)


def test_a_single_landmark_gives_no_classifier_however_strong_its_signal():
    fit = fit_second_purchase(_landmarks(np.random.default_rng(0), days=1))
    assert (fit.classifier, fit.metrics, fit.notes) == (None, {}, (NOT_TRIED,))


def test_no_first_time_buyers_is_an_error_in_words():
    with pytest.raises(ValueError, match="there are none"):
        fit_second_purchase([(np.empty((0, 2)), np.empty(0))])


def test_what_is_not_given_is_told_from_none():
    rows = design(
        {
            "p_by_rhythm": [0.5, 0.5],
            "age_days": [0, 0],
            "first_discount_share": [np.nan, 0.0],
            "first_product_rate": [0.5, np.nan],
        }
    )
    assert rows.shape == (2, 26)
    assert rows[:, :16] == pytest.approx(0)
    assert rows[:, 16:].tolist() == [
        [0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    ]


def test_a_year_begins_where_it_ends():
    months = design({"p_by_rhythm": [0.5] * 2, "age_days": [1, 1], "first_month": [12, 0]})
    assert months[0] == pytest.approx(months[1])


def _by_days_alone(rng, n=6000, days=4):
    """Landmarks whose first two columns tell all that there is to tell."""
    made = []
    for _ in range(days):
        age = rng.uniform(0, 5, n)
        noise = rng.normal(size=(n, 20))
        labels = (rng.random(n) < 1 / (1 + np.exp(1 + age / 2))).astype(float)
        made.append((np.column_stack([-1 - age / 2, age, noise]), labels))
    return made


def test_where_the_first_order_tells_nothing_there_is_no_classifier():
    fit = fit_second_purchase(_by_days_alone(np.random.default_rng(4)))
    assert fit.metrics["gain_standard_errors"] <= LEAST_GAIN
    assert fit.metrics["logloss"] >= fit.metrics["logloss_by_days"]
    assert (fit.classifier, fit.by_days, fit.notes) == (None, None, (NO_LIFT,))


def test_a_level_that_moved_is_set_on_the_latest_day():
    rng = np.random.default_rng(5)
    *earlier, (features, _) = _landmarks(rng, days=4)
    chance = 1 / (1 + np.exp(3.5 - 2 * features[:, 2]))  # fewer came back of late
    latest = (features, (rng.random(len(features)) < chance).astype(float))
    fit = fit_second_purchase([*earlier, latest])
    for classifier in (fit.classifier, fit.by_days):
        chances = classifier.predict_proba(features)[:, 1]
        assert chances.mean() == pytest.approx(latest[1].mean(), abs=0.005)
    assert fit.metrics["logloss_by_rhythm"] > fit.metrics["logloss"]


def test_one_class_has_no_metrics():
    assert evaluate(np.zeros(5), np.full(5, 0.1)) == {}


def test_earlier_days_on_which_everybody_came_back_are_no_test():
    pilot = (np.ones((3, 4)), np.ones(3))
    later = _landmarks(np.random.default_rng(3), days=1)
    fit = fit_second_purchase([pilot, *later])
    assert (fit.classifier, fit.metrics, fit.notes) == (None, {}, (NOT_TRIED,))
