"""Weights of forecasts: what is best gets the weight, and the level is the one that is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.blend import fit_blend

RNG = np.random.default_rng(5)
N = 20_000
TRUTH = RNG.gamma(1.0, 30.0, N)
VALUE = RNG.gamma(0.5, TRUTH / 0.5)
CHANCE = RNG.beta(1.0, 2.0, N)
ACTIVE = (RNG.random(N) < CHANCE).astype(float)
NOISE = RNG.gamma(1.0, 30.0, N)


def fitted(values, chances):
    return fit_blend(np.column_stack(values), VALUE, np.column_stack(chances), ACTIVE)


def test_the_true_forecast_gets_the_weight_and_noise_gets_none():
    blend = fitted([NOISE, TRUTH], [RNG.permutation(CHANCE), CHANCE])
    assert blend.value_weights == pytest.approx((0.0, 1.0), abs=0.05)
    assert blend.chance_weights == pytest.approx((0.0, 1.0), abs=0.05)


def test_two_halves_of_the_truth_share_the_weight():
    half = np.exp(RNG.normal(0, 0.7, N))
    blend = fitted([TRUTH * half, TRUTH / half], [CHANCE, CHANCE])
    assert blend.value_weights == pytest.approx((0.5, 0.5), abs=0.05)


def test_levels_are_the_sums_that_are_asked_for():
    values, chances = np.column_stack([NOISE, TRUTH]), np.column_stack([CHANCE, CHANCE])
    blend = fit_blend(values, VALUE, chances, ACTIVE).leveled(values, chances, 1e6, 5_000.0)
    assert blend.value(values).sum() == pytest.approx(1e6)
    assert blend.chance(chances).sum() == pytest.approx(5_000.0)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 1e4), st.floats(1.01, 50.0), st.integers(0, 1))
def test_a_rise_of_one_forecast_never_lowers_the_blend(value, factor, which):
    blend = fitted([NOISE, TRUTH], [CHANCE, CHANCE])
    before = np.full((1, 2), value)
    after = before.copy()
    after[0, which] *= factor
    assert blend.value(after)[0] >= blend.value(before)[0]


def test_forecasts_of_nothing_are_no_end():
    blend = fitted([TRUTH, NOISE], [CHANCE, CHANCE])
    none = np.zeros((3, 2))
    assert (blend.value(none) > 0).all()
    assert np.isfinite(blend.chance(np.array([[0.0, 1.0]]))).all()


def test_weights_need_somebody_who_ordered():
    with pytest.raises(ValueError, match="customers who ordered"):
        fit_blend(np.ones((5, 2)), np.zeros(5), np.full((5, 2), 0.5), np.zeros(5))
