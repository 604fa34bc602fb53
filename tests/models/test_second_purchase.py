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


def test_where_the_first_order_tells_nothing_the_base_rate_by_days_is_used_and_said():
    fit = fit_second_purchase(_by_days_alone(np.random.default_rng(4)))
    assert fit.metrics["logloss"] >= fit.metrics["logloss_by_days"]
    assert "beyond how long ago it was" in fit.notes[0]
    some, others = np.zeros((2, 22)), np.zeros((2, 22))
    others[:, 2:] = 3.0  # whatever the rest says
    chances = [fit.classifier.predict_proba(rows)[:, 1] for rows in (some, others)]
    assert chances[0] == pytest.approx(chances[1])


def test_a_level_that_moved_is_set_on_the_latest_day():
    rng = np.random.default_rng(5)
    *earlier, (features, _) = _landmarks(rng, days=4)
    chance = 1 / (1 + np.exp(3.5 - 2 * features[:, 0]))  # fewer came back of late
    latest = (features, (rng.random(len(features)) < chance).astype(float))
    fit = fit_second_purchase([*earlier, latest])
    found = fit.classifier.predict_proba(features)[:, 1]
    assert found.mean() == pytest.approx(latest[1].mean(), abs=0.005)
    assert fit.metrics["logloss_by_rhythm"] > fit.metrics["logloss"]


def test_one_class_has_no_metrics():
    assert evaluate(np.zeros(5), np.full(5, 0.1)) == {}


def test_earlier_days_on_which_everybody_came_back_are_no_test():
    pilot = (np.ones((3, 2)), np.ones(3))
    later = _landmarks(np.random.default_rng(3), days=1)
    fit = fit_second_purchase([pilot, *later])
    assert fit.metrics == {}
    assert fit.notes == ()
