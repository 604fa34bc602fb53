"""The second-purchase classifier: honest where it can learn nothing, right where it can."""

import numpy as np
import pytest

from models.second_purchase import design, evaluate, fit_second_purchase


def _landmarks(rng, n=4000, signal=2.0, days=3):
    made = []
    for _ in range(days):
        features = rng.normal(size=(n, 2))
        chance = 1 / (1 + np.exp(2 - signal * features[:, 0]))
        made.append((features, (rng.random(n) < chance).astype(float)))
    return made


def test_a_true_signal_is_found_on_a_day_it_was_not_trained_on():
    fit = fit_second_purchase(_landmarks(np.random.default_rng(0)))
    assert fit.metrics["auc"] > 0.85
    assert fit.metrics["logloss"] < fit.metrics["logloss_base_rate"]
    assert fit.metrics["lift_top20"] > 2


def test_chances_recover_the_truth():
    fit = fit_second_purchase(_landmarks(np.random.default_rng(1), n=30_000))
    found = fit.classifier.predict_proba(np.array([[0.0, 0.0], [1.0, 0.0]]))[:, 1]
    assert found == pytest.approx([1 / (1 + np.exp(2)), 0.5], abs=0.02)


def test_permuted_labels_rank_no_better_than_chance():
    rng = np.random.default_rng(2)
    shuffled = [(features, rng.permutation(labels)) for features, labels in _landmarks(rng)]
    assert fit_second_purchase(shuffled).metrics["auc"] == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("events", [0, 3])
def test_too_few_second_orders_give_a_base_rate_that_says_so(events):
    labels = np.zeros(200)
    labels[:events] = 1
    fit = fit_second_purchase([(np.ones((200, 2)), labels)])
    assert "base rate only" in fit.notes[0]
    chances = fit.classifier.predict_proba(np.zeros((4, 2)))[:, 1]
    assert chances == pytest.approx((events + 0.5) / 201)


def test_no_first_time_buyers_is_an_error_in_words():
    with pytest.raises(ValueError, match="there are none"):
        fit_second_purchase([(np.empty((0, 2)), np.empty(0))])


def test_a_discount_share_that_is_not_given_is_told_from_none():
    rows = design(
        {
            "p_by_rhythm": [0.5, 0.5],
            "first_amount": [0.0, 99.0],
            "first_discount_share": [np.nan, 0.0],
        }
    )
    assert rows == pytest.approx(np.array([[0, 0, 0, 0], [0, np.log(100), 0, 1]]))


def test_one_class_has_no_metrics():
    assert evaluate(np.zeros(5), np.full(5, 0.1)) == {}


def test_earlier_days_on_which_everybody_came_back_are_no_test():
    pilot = (np.ones((3, 2)), np.ones(3))
    later = _landmarks(np.random.default_rng(3), days=1)
    fit = fit_second_purchase([pilot, *later])
    assert fit.metrics == {}
    assert fit.notes == ()
