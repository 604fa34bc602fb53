"""Fitted parts of forecasters, made once."""

import numpy as np
import pytest

from models.corrections import StackedModel, plain_forecast, tree_features
from models.trees import fit_trees
from tests.perennial.pipeline.training.forecasters import (
    CORRECTIONS,
    DAYS,
    ORDER_VALUE,
    PURCHASES,
    customers,
)


@pytest.fixture(scope="session")
def trees():
    state = customers(3_000, seed=9)
    plain = plain_forecast(PURCHASES, ORDER_VALUE, state, DAYS)
    rng = np.random.default_rng(10)
    orders = rng.poisson(plain.orders).astype(float)
    value = orders * plain.order_value * rng.gamma(4.0, 0.25, len(orders))
    return fit_trees(tree_features(state, plain), orders, value)


@pytest.fixture(scope="session")
def stacked(trees):
    return StackedModel(DAYS, trees, CORRECTIONS, (0.4, 75.0))


@pytest.fixture(scope="session")
def classifiers():
    """A second-purchase classifier and its base rate by days, of random first orders."""
    from models.second_purchase import design, fit_second_purchase

    rng, landmarks = np.random.default_rng(4), []
    for _ in range(3):
        n = 3_000
        rate = rng.random(n)
        columns = {
            "p_by_rhythm": np.full(n, 0.2), "age_days": rng.integers(0, 400, n).astype(float),
            "first_product_rate": rate,
        }  # fmt: skip
        landmarks.append((design(columns), (rng.random(n) < 0.5 * rate).astype(float)))
    fit = fit_second_purchase(landmarks)
    return fit.classifier, fit.by_days
