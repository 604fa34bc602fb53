"""The multiple-choice knapsack, against an exact solver."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from segments.allocation import allocate, marginal_return, return_curve


def won(gains, chosen):
    return gains[np.arange(len(gains)), chosen].sum()


def optimum(gains, costs, budget, caps=None):
    """Solve it exactly, by scipy's branch and cut."""
    n, k = gains.shape
    one_each = np.kron(np.eye(n), np.ones(k))
    rules = [
        LinearConstraint(one_each, 1, 1),
        LinearConstraint(costs.reshape(1, -1), -np.inf, budget),
    ]
    for option in range(1, k) if caps is not None else ():
        counted = np.zeros((n, k))
        counted[:, option] = 1
        rules.append(LinearConstraint(counted.reshape(1, -1), -np.inf, min(caps[option], n)))
    found = milp(
        -gains.ravel(), constraints=rules, bounds=Bounds(0, 1), integrality=np.ones(n * k)
    )
    return -found.fun


def store(n, seed, costs=(0, 0.3, 2.0, 6.0)):
    """Customers whose gains rise less than costs do, and differ."""
    rng = np.random.default_rng(seed)
    cost = np.tile(np.array(costs), (n, 1))
    effect = np.array([0, 0.02, 0.08, 0.18]) * rng.uniform(0.5, 1.5, (n, 4))
    gain = rng.gamma(1, 60, (n, 1)) * effect - cost
    gain[:, 0] = 0
    return gain, cost


def test_the_best_upgrade_of_all_is_taken_first():
    """Two actions: 1 for 4 net and 3 for 7 net, or 1 for 2 net; upgrades bring 4, 1.5 and 2 per unit."""
    gains = np.array([[0.0, 4.0, 7.0], [0.0, 2.0, 2.5]])
    costs = np.array([0.0, 1.0, 3.0])
    wanted = {0: [0, 0], 1: [1, 0], 2: [1, 1], 4: [2, 1], 9: [2, 2]}
    for budget, chosen in wanted.items():
        assert allocate(gains, costs, budget).tolist() == chosen


def test_an_action_that_a_mix_of_its_neighbors_beats_is_skipped():
    gains = np.array([[0.0, 0.1, 6.0], [0.0, 0.1, 6.0]])
    assert allocate(gains, [0.0, 2.0, 6.0], 8.0).tolist() == [
        2,
        1,
    ]  # 2 are left, and buy something
    assert allocate(gains, [0.0, 2.0, 6.0], 6.0).tolist() == [2, 0]


def test_what_is_left_is_spent_on_what_still_fits():
    gains = np.array([[0.0, 10.0], [0.0, 9.0], [0.0, 1.0]])
    costs = np.array([[0.0, 5.0], [0.0, 5.0], [0.0, 1.0]])
    assert allocate(gains, costs, 7.0).tolist() == [1, 0, 1]


def test_what_is_free_and_gains_is_taken_without_a_budget():
    assert allocate([[0.0, 1.0], [0.0, -1.0]], [0.0, 0.0], 0.0).tolist() == [1, 0]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(2, 4), st.floats(0, 30))
def test_the_gain_is_within_one_upgrade_of_the_optimum(seed, n, k, budget):
    rng = np.random.default_rng(seed)
    costs = np.c_[np.zeros(n), rng.uniform(0.2, 6, (n, k - 1))]
    gains = np.c_[np.zeros(n), rng.normal(2, 4, (n, k - 1))]
    chosen = allocate(gains, costs, budget)
    assert costs[np.arange(n), chosen].sum() <= budget + 1e-6
    best = optimum(gains, costs, budget)
    assert best - gains.max() - 1e-6 <= won(gains, chosen) <= best + 1e-6


@pytest.mark.parametrize("seed", range(6))
def test_of_three_hundred_customers_next_to_nothing_is_missed(seed):
    gains, costs = store(300, seed)
    for budget in (150.0, 600.0):
        assert won(gains, allocate(gains, costs, budget)) >= 0.998 * optimum(gains, costs, budget)


@pytest.mark.parametrize("seed", range(6))
def test_caps_are_kept_at_one_percent_of_the_optimum(seed):
    rng = np.random.default_rng(seed)
    gains, costs = store(250, seed)
    caps = np.array([np.inf, rng.integers(20, 120), rng.integers(10, 70), rng.integers(5, 40)])
    budget = rng.uniform(60, 400)
    chosen = allocate(gains, costs, budget, caps=caps)
    assert (np.bincount(chosen, minlength=4)[1:] <= caps[1:]).all()
    assert costs[np.arange(250), chosen].sum() <= budget + 1e-6
    assert won(gains, chosen) >= 0.99 * optimum(gains, costs, budget, caps)


def test_a_cap_of_nobody_leaves_the_action_out():
    gains, costs = store(100, 1)
    chosen = allocate(gains, costs, 1e9, caps=[np.inf, np.inf, np.inf, 0])
    assert 3 not in chosen
    assert 2 in chosen


def test_the_hurdle_is_met_by_every_upgrade():
    gains, costs = store(500, 2)
    chosen = allocate(gains, costs, 1e9, hurdle=1.0)
    taken = chosen > 0
    assert taken.any()
    assert (gains[taken, chosen[taken]] >= costs[taken, chosen[taken]] - 1e-9).all()


def test_a_negative_hurdle_never_pays_for_a_loss():
    assert allocate([[0.0, -0.5]], [0.0, 1.0], 10.0, hurdle=-1.0).tolist() == [0]


@pytest.mark.parametrize("n", [300, 40_000])
def test_held_customers_use_nothing_and_change_nothing_for_others(n):
    gains, costs = store(n, 3)
    held = np.arange(n) % 3 == 0
    budget = 0.2 * n
    together = allocate(gains, costs, budget, held=held)
    alone = allocate(gains[~held], costs[~held], budget)
    assert together[~held].tolist() == alone.tolist()
    assert (together[held] > 0).mean() == pytest.approx((alone > 0).mean(), abs=0.1)
    assert costs[np.arange(n), together][~held].sum() > budget - 6


def test_held_customers_take_no_place_under_a_cap():
    gains, costs = store(300, 4)
    held = np.arange(300) % 2 == 0
    chosen = allocate(gains, costs, 500.0, caps=[np.inf, np.inf, np.inf, 10], held=held)
    assert (chosen[~held] == 3).sum() == 10
    assert (chosen[held] == 3).any()


def test_many_customers_are_served_as_if_all_were_sorted():
    """Beyond ten thousand upgrades only those within reach are sorted."""
    gains, costs = store(40_000, 5)
    chosen = allocate(gains, costs, 3000.0)
    spent = costs[np.arange(40_000), chosen].sum()
    assert 2999 < spent <= 3000 + 1e-6
    upper = np.interp(3000.0, *return_curve(gains, costs, points=100_000))
    assert upper * 0.9999 < won(gains, chosen) <= upper + 1e-6


def test_the_order_of_customers_does_not_matter():
    gains, costs = store(400, 6)
    turned = np.random.default_rng(0).permutation(400)
    chosen = allocate(gains, costs, 90.0)
    assert allocate(gains[turned], costs[turned], 90.0).tolist() == chosen[turned].tolist()


def test_of_equals_who_comes_first_is_served():
    assert allocate([[0.0, 1.0]] * 4, [0.0, 1.0], 2.0).tolist() == [1, 1, 0, 0]


def test_the_curve_rises_ever_less_and_ends_where_all_is_funded():
    gains, costs = store(400, 7)
    spent, gained = return_curve(gains, costs)
    assert (spent[0], gained[0]) == (0, 0)
    slopes = np.diff(gained) / np.diff(spent)
    assert (np.diff(slopes) <= 1e-9).all()
    everything = allocate(gains, costs, np.inf)
    assert gained[-1] == pytest.approx(won(gains, everything))
    assert spent[-1] == pytest.approx(costs[np.arange(400), everything].sum(), abs=1e-3)
    assert len(spent) <= 201


def test_the_next_unit_brings_what_the_first_unfunded_upgrade_does():
    gains = np.array([[0.0, 4.0], [0.0, 2.0]])
    assert marginal_return(gains, [0.0, 1.0], 1.0) == 2.0
    assert marginal_return(gains, [0.0, 1.0], 0.0) == 4.0
    assert np.isnan(marginal_return(gains, [0.0, 1.0], 5.0))


def test_nobody_gets_nothing():
    assert allocate(np.zeros((0, 3)), np.zeros(3), 5.0).tolist() == []


@pytest.mark.parametrize(
    ("gains", "costs", "budget", "finding"),
    [
        ([1.0], [1.0], 1.0, "a row per customer"),
        ([[0.0, 1.0]], [0.0], 1.0, "costs have the gains' shape"),
        ([[0.0, np.nan]], [0.0, 1.0], 1.0, "known numbers"),
        ([[0.0, 1.0]], [0.0, -1.0], 1.0, "costs 0 or more"),
        ([[1.0, 1.0]], [0.0, 1.0], 1.0, "column 0"),
        ([[0.0, 1.0]], [0.5, 1.0], 1.0, "column 0"),
        ([[0.0, 1.0]], [0.0, 1.0], -1.0, "a budget is 0 or more"),
        ([[0.0, 1.0]], [0.0, 1.0], np.nan, "a budget is 0 or more"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(gains, costs, budget, finding):
    with pytest.raises(ValueError, match=finding):
        allocate(gains, costs, budget)
