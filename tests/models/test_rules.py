"""Simple rules: their scores by hand, and steps that never fall."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rules import LEAST_CHANCE, RULES, Steps, fit_steps, rule_score

STATE = {
    "age_days": [100.0, 400.0],
    "recency_days": [60.0, 0.0],
    "revenue": [90.0, float("nan")],
    "amount_30d": [1.0, 2.0],
    "amount_60d": [3.0, 4.0],
    "amount_90d": [5.0, 6.0],
    "amount_180d": [7.0, float("nan")],
    "amount_365d": [9.0, 10.0],
}


def test_the_scores_of_each_rule_by_hand():
    scores = {rule: rule_score(rule, STATE, 90).tolist() for rule in RULES}
    assert scores == {
        "total_past": [90.0, 0.0],  # revenue that is not given counts as none
        "last_period": [5.0, 6.0],
        "recency": [-40.0, -400.0],  # the longer the silence, the lower
    }


@pytest.mark.parametrize(
    ("days", "column"),
    [
        (7, 30),
        (30, 30),
        (42, 30),
        (43, 60),
        (90, 90),
        (122, 90),
        (180, 180),
        (273, 365),
        (730, 365),
    ],
)
def test_the_last_period_is_the_window_whose_length_is_nearest_by_ratio(days, column):
    state = {name: np.array(values) for name, values in STATE.items()}
    expected = np.nan_to_num(state[f"amount_{column}d"])
    assert rule_score("last_period", state, days).tolist() == expected.tolist()


def test_isotonic_regression_pools_neighbours_that_fall_by_hand():
    """Outcomes 1, 3, 2, 2 and 5: the middle three pool to 7 / 3."""
    steps = fit_steps([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 2.0, 2.0, 5.0])
    assert steps([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx([1, 7 / 3, 7 / 3, 7 / 3, 5])
    assert steps([1.5, 4.5]) == pytest.approx([(1 + 7 / 3) / 2, (7 / 3 + 5) / 2])


def test_scores_beyond_those_of_the_past_have_the_outermost_values():
    steps = fit_steps([0.0, 10.0], [0.2, 0.9])
    assert steps([-1e9, -1.0, 11.0, 1e9]) == pytest.approx([0.2, 0.2, 0.9, 0.9])


def test_where_nobody_ordered_a_little_chance_is_left():
    assert fit_steps([0.0, 1.0, 2.0], [0.0, 0.0, 1.0])([0.0]) == pytest.approx([LEAST_CHANCE])
    assert fit_steps([0.0, 1.0], [0.0, 0.0])([0.0, 1.0]) == pytest.approx([LEAST_CHANCE] * 2)


def test_one_score_of_everybody_has_their_mean():
    assert fit_steps([3.0, 3.0, 3.0, 3.0], [0.0, 1.0, 0.0, 1.0])([3.0, 9.0]) == pytest.approx(
        [0.5, 0.5]
    )


past = st.lists(st.tuples(st.integers(-500, 500), st.integers(0, 20)), min_size=1, max_size=60)


@given(past, st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=20))
def test_steps_never_fall_and_stay_within_past_outcomes(rows, scores):
    score, outcome = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    steps = fit_steps(score, outcome)
    values = steps(sorted(scores))
    assert (np.diff(values) >= -1e-9).all()
    assert (values >= max(outcome.min(), LEAST_CHANCE) - 1e-9).all()
    assert (values <= max(outcome.max(), LEAST_CHANCE) + 1e-9).all()


@given(past)
def test_steps_keep_the_total_of_what_they_are_fitted_to(rows):
    score, outcome = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    total = fit_steps(score, outcome)(score).sum()
    floor = LEAST_CHANCE * len(rows)
    assert outcome.sum() - 1e-6 <= total <= outcome.sum() + floor + 1e-6


@given(past, st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=10))
def test_steps_are_the_same_after_a_round_trip_through_json(rows, scores):
    steps = fit_steps(*(np.array(column, dtype=float) for column in zip(*rows, strict=True)))
    record = json.loads(json.dumps(asdict(steps)))
    again = Steps(tuple(record["at"]), tuple(record["value"]))
    assert again == steps
    assert again(scores).tolist() == steps(scores).tolist()


def test_the_rate_of_orders_by_score_is_recovered():
    rng = np.random.default_rng(6)
    score = rng.uniform(0, 10, 20_000)
    steps = fit_steps(score, rng.poisson(0.1 + 0.05 * score).astype(float))
    at = np.arange(1.0, 10.0)
    assert steps(at) == pytest.approx(0.1 + 0.05 * at, abs=0.06)
