"""Two-part trees: they find what there is to find, and say when there is too little."""

import numpy as np
import pytest
from models.two_part import STATE, TwoPartError, design, fit_two_part

from models.evaluation import normalized_gini

RNG = np.random.default_rng(3)


def world(n):
    """Return features of which two matter, orders and values."""
    features = RNG.normal(size=(n, 4))
    orders = (RNG.random(n) < 1 / (1 + np.exp(-2 * features[:, 0]))).astype(float)
    value = orders * np.exp(3 + features[:, 1] + 0.5 * RNG.normal(size=n))
    truth = 1 / (1 + np.exp(-2 * features[:, 0])) * np.exp(3 + features[:, 1] + 0.125)
    return features, orders, value, truth


def test_new_customers_are_ranked_almost_as_the_truth_ranks_them():
    features, orders, value, _ = world(20_000)
    trees = fit_two_part(features, orders, value)
    fresh, came, brought, truth = world(20_000)
    chance, expected = trees.predict(fresh)
    assert normalized_gini(expected, brought) > normalized_gini(truth, brought) - 0.01
    assert chance.mean() == pytest.approx(came.mean(), abs=0.01)
    assert expected.sum() == pytest.approx(brought.sum(), rel=0.05)


def test_the_same_rows_give_the_same_trees_to_the_last_digit():
    features, orders, value, _ = world(3_000)
    one, two = (fit_two_part(features, orders, value).predict(features) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, two, strict=True))


def test_a_customer_is_predicted_alike_alone_and_in_a_crowd():
    features, orders, value, _ = world(3_000)
    trees = fit_two_part(features, orders, value)
    crowd = np.stack(trees.predict(features[:50]))
    alone = np.hstack([np.stack(trees.predict(features[i : i + 1])) for i in range(50)])
    assert (crowd == alone).all()


def test_a_column_that_is_nowhere_given_does_no_harm():
    features, orders, value, _ = world(3_000)
    holes = np.column_stack([features, np.full(3_000, np.nan)])
    assert np.isfinite(fit_two_part(holes, orders, value).predict(holes)[1]).all()


@pytest.mark.parametrize("active", [0, 99, 2_901, 3_000])
def test_too_few_outcomes_are_refused(active):
    features = RNG.normal(size=(3_000, 2))
    orders = np.r_[np.ones(active), np.zeros(3_000 - active)]
    with pytest.raises(TwoPartError, match="100 customers"):
        fit_two_part(features, orders, orders * 10)


def test_silence_stands_beside_the_own_rhythm():
    state = {name: np.zeros(2) for name in STATE}
    state |= {
        "frequency": np.array([4.0, 0.0]),
        "recency_days": np.array([39.0, 0.0]),
        "age_days": np.array([59.0, 20.0]),
    }
    found = design(state, ("not_given",), [np.array([0.1, 0.2])])
    silent, own, said = found[:, -3], found[:, -2], found[:, -1]
    assert silent.tolist() == [20.0, 20.0]
    assert own.tolist() == [2.0, 10.0]  # of a gap of ten days; of half an order in one day
    assert said.tolist() == [0.1, 0.2]
    assert np.isnan(found[:, len(STATE)]).all()
