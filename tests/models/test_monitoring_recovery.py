"""Simulated stores of the purchase model's story: calm is left alone, a fall is noticed.

Customers grow older, new ones come, and the model that was fitted once grows old with them.
"""

import numpy as np
import pytest

from benchmarks.monitoring import (
    BEFORE,
    WEEKS,
    World,
    calm,
    fitted,
    measure,
    noticed_after,
    requests,
)
from models.monitoring import Rule, band, is_frozen

SEEDS = (1, 2)


@pytest.fixture(scope="module")
def stores():
    """Two stores of 2,000 orders a week, each with its model."""
    drawn = [World.draw(2_000, seed) for seed in SEEDS]
    return [(world, fitted(world)) for world in drawn]


@pytest.fixture(scope="module")
def calm_weeks(stores):
    return [calm(world, model, WEEKS) for world, model in stores]


def test_they_sell_about_2000_orders_a_week(calm_weeks):
    for weeks in calm_weeks:
        assert 1_500 < np.mean([week.actual for week in weeks]) < 2_500


def test_in_100_calm_weeks_fewer_than_two_false_requests_are_made(calm_weeks):
    asked = [len(requests(weeks, Rule(), cooldown=1)) for weeks in calm_weeks]
    assert np.mean(asked) < 2


def test_calm_does_not_freeze(calm_weeks):
    for weeks in calm_weeks:
        assert not any(is_frozen(weeks[: k + 1], Rule()) for k in range(len(weeks)))


def test_the_band_holds_calm_weeks_once_the_models_own_error_is_taken_off(calm_weeks):
    """What is left beside the mean ratio is luck: the band must hold about 95 in 100."""
    inside = 0
    for weeks in calm_weeks:
        level = sum(w.actual for w in weeks) / sum(w.expected for w in weeks)
        assert level == pytest.approx(1.0, abs=0.05)
        expected = np.array([level * week.expected for week in weeks])
        ends = band(expected, [week.variance for week in weeks])
        actual = np.array([week.actual for week in weeks]) / expected
        inside += int(((ends.low <= actual) & (actual <= ends.high)).sum())
    assert 180 <= inside <= 198  # of 200


def test_a_fall_of_a_fifth_is_noticed_within_four_matured_weeks(stores):
    starts = [BEFORE + 7 * k for k in range(0, 80, 8)]
    seen = [noticed_after(world, model, start, 4) for world, model in stores for start in starts]
    assert sum(actual is not None for actual in seen) >= 0.9 * len(seen)


def test_a_small_store_waits_longer_and_is_not_alarmed_by_luck():
    world = World.draw(100, 3)
    model = fitted(world)
    weeks = calm(world, model, WEEKS)
    assert len(requests(weeks, Rule(), cooldown=1)) < 2
    widths = [band([w.expected], [w.variance]) for w in weeks]
    assert np.mean([float(w.high[0] - w.low[0]) / 2 for w in widths]) > 0.15


def test_the_benchmark_prints_a_row():
    cells = [cell.strip() for cell in measure(30, 1).strip("|").split("|")]
    assert cells[0] == "30"
    assert len(cells) == 10
    assert float(cells[2].rstrip("%")) > 25
