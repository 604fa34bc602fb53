"""Trees of outcomes: they learn the signal that there is, and refuse too few outcomes."""

import numpy as np
import pytest

from models.evaluation import normalized_gini
from models.trees import STATE, TreesError, design, fit_trees

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
    trees = fit_trees(features, orders, value)
    fresh, came, brought, truth = world(20_000)
    forecast = trees.predict(fresh)
    expected = forecast.orders * forecast.order_value
    assert normalized_gini(expected, brought) > normalized_gini(truth, brought) - 0.01
    assert forecast.chance.mean() == pytest.approx(came.mean(), abs=0.01)
    assert forecast.orders.sum() == pytest.approx(came.sum(), rel=0.02)


def test_chances_and_orders_follow_the_feature_of_orders_and_order_value_its_own():
    features, orders, value, _ = world(20_000)
    trees = fit_trees(features, orders, value)
    ends = np.array([[-2.0, 0, 0, 0], [2.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 1.0, 0, 0]])
    forecast = trees.predict(ends)
    chances = 1 / (1 + np.exp([4, -4, 0, 0]))
    assert forecast.chance == pytest.approx(chances, abs=0.05)
    assert forecast.orders == pytest.approx(chances, abs=0.06)
    assert np.log(forecast.order_value) == pytest.approx([3, 3, 2, 4], abs=0.2)


def test_orders_of_several_days_are_counted_and_their_value_is_that_of_one():
    rng = np.random.default_rng(8)
    features = rng.normal(size=(20_000, 2))
    orders = rng.poisson(np.exp(0.5 * features[:, 0])).astype(float)
    trees = fit_trees(features, orders, orders * 20.0)
    fresh = rng.normal(size=(20_000, 2))
    forecast, rate = trees.predict(fresh), np.exp(0.5 * fresh[:, 0])
    for group in np.array_split(np.argsort(rate), 4):
        assert forecast.orders[group].mean() == pytest.approx(rate[group].mean(), rel=0.05)
        chance = -np.expm1(-rate[group]).mean()
        assert forecast.chance[group].mean() == pytest.approx(chance, abs=0.02)
    assert forecast.order_value == pytest.approx(np.full(20_000, 20.0), rel=1e-6)


def test_no_customers_have_no_forecast():
    features, orders, value, _ = world(3_000)
    forecast = fit_trees(features, orders, value).predict(np.empty((0, 4)))
    assert [len(part) for part in forecast] == [0, 0, 0]


def test_the_same_rows_give_the_same_trees_to_the_last_digit():
    features, orders, value, _ = world(3_000)
    one, two = (fit_trees(features, orders, value).predict(features) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, two, strict=True))


def test_a_customer_is_predicted_alike_alone_and_in_a_crowd():
    features, orders, value, _ = world(3_000)
    trees = fit_trees(features, orders, value)
    crowd = np.stack(trees.predict(features[:50]))
    alone = np.hstack([np.stack(trees.predict(features[i : i + 1])) for i in range(50)])
    assert (crowd == alone).all()


def test_a_column_that_is_nowhere_given_does_no_harm():
    features, orders, value, _ = world(3_000)
    holes = np.column_stack([features, np.full(3_000, np.nan)])
    assert np.isfinite(np.stack(fit_trees(holes, orders, value).predict(holes))).all()


@pytest.mark.parametrize("active", [0, 99, 2_901, 3_000])
def test_too_few_outcomes_are_refused(active):
    features = RNG.normal(size=(3_000, 2))
    orders = np.r_[np.ones(active), np.zeros(3_000 - active)]
    with pytest.raises(TreesError, match="100 histories"):
        fit_trees(features, orders, orders * 10)


def test_silence_stands_beside_the_own_rhythm():
    state = {name: np.zeros(2) for name in STATE}
    state |= {
        "frequency": np.array([4.0, 0.0]),
        "recency_days": np.array([39.0, 0.0]),
        "age_days": np.array([59.0, 20.0]),
    }
    features = design(state, ("not_given",), [np.array([0.1, 0.2])])
    silent, own, by_model = features[:, -3], features[:, -2], features[:, -1]
    assert silent.tolist() == [20.0, 20.0]
    assert own.tolist() == [2.0, 10.0]  # of a gap of ten days; of half an order in one day
    assert by_model.tolist() == [0.1, 0.2]
    assert np.isnan(features[:, len(STATE)]).all()
