"""Random numbers without a stream: uniform, independent, and a function of what they are for."""

import numpy as np
import pytest
from scipy import stats

from perennial.simulation.draws import Draws

MANY = np.arange(100_000)


def test_the_mixing_is_the_published_one():
    # SplitMix64 from state 0 (Steele, Lea & Flood 2014; the reference code's first three outputs).
    from perennial.simulation.draws import GOLDEN, _mix

    states = (np.arange(1, 4, dtype=np.uint64)) * GOLDEN
    assert [int(bits) for bits in _mix(states)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_numbers_do_not_depend_on_their_neighbors():
    draws = Draws(7)
    whole = draws.uniform("gap", MANY, 3)
    assert (draws.uniform("gap", MANY[500:510], 3) == whole[500:510]).all()
    assert (draws.uniform("gap", MANY[::-1], 3) == whole[::-1]).all()


@pytest.mark.parametrize("other", [("gap", MANY, 4), ("leave", MANY, 3), ("gap", MANY + 1, 3)])
def test_another_purpose_person_or_turn_has_independent_numbers(other):
    one, two = Draws(7).uniform("gap", MANY, 3), Draws(7).uniform(*other)
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / np.sqrt(len(MANY))
    assert (one == two).sum() == 0


def test_another_seed_has_independent_numbers():
    one, two = Draws(7).uniform("gap", MANY), Draws(8).uniform("gap", MANY)
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / np.sqrt(len(MANY))


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (lambda d: d.uniform("a", MANY), stats.uniform()),
        (lambda d: d.normal("a", MANY), stats.norm()),
        (lambda d: d.exponential("a", MANY), stats.expon()),
        (lambda d: d.gamma(2.5, "a", MANY), stats.gamma(2.5)),
        (lambda d: d.beta(0.8, 2.5, "a", MANY), stats.beta(0.8, 2.5)),
        (lambda d: d.uniform("a", 5, MANY), stats.uniform()),
    ],
    ids=["uniform", "normal", "exponential", "gamma", "beta", "turns of one person"],
)
def test_each_distribution_is_what_it_says(actual, expected):
    assert stats.kstest(actual(Draws(3)), expected.cdf).pvalue > 1e-3


def test_a_choice_keeps_the_weights():
    counts = np.bincount(Draws(3).choice([1, 0, 3], "what", MANY), minlength=3) / len(MANY)
    assert counts == pytest.approx([0.25, 0, 0.75], abs=0.01)
