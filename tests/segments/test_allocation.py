"""The multiple-choice knapsack: by hand, and against scipy's exact solver."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from segments.allocation import allocate, marginal_return, return_curve
from segments.allocation.choice import kept
from segments.allocation.exchange import exchange
from segments.allocation.funding import fund
from segments.allocation.places import find_prices
from segments.allocation.problem import posed
from segments.allocation.upgrades import list_upgrades, reached


def won(gains, choice):
    return gains[np.arange(len(gains)), choice].sum()


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
    solution = milp(
        -gains.ravel(), constraints=rules, bounds=Bounds(0, 1), integrality=np.ones(n * k)
    )
    return -solution.fun


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
    for budget, choice in wanted.items():
        assert allocate(gains, costs, budget).tolist() == choice


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


def largest_upgrade(gains, costs, budget):
    """Return what the best single step between two options that the budget reaches gains."""
    reach = np.where(costs <= budget, gains, 0.0)
    return (reach.max(axis=1) - reach.min(axis=1)).max(initial=0.0)


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 4), st.floats(0, 30))
def test_the_gain_is_within_one_upgrade_of_the_optimum(seed, n, k, budget):
    rng = np.random.default_rng(seed)
    costs = np.c_[np.zeros(n), np.round(rng.uniform(0, 6, (n, k - 1)), rng.integers(0, 5))]
    gains = np.c_[np.zeros(n), rng.normal(2, 4, (n, k - 1))]
    choice = allocate(gains, costs, budget)
    assert costs[np.arange(n), choice].sum() <= budget + 1e-6
    best, least = optimum(gains, costs, budget), largest_upgrade(gains, costs, budget)
    assert best - least - 1e-6 <= won(gains, choice) <= best + 1e-5


def test_whom_the_budget_can_never_reach_does_not_stop_it():
    """The steepest upgrade costs more than all there is; of 3,000 others 2,000 are paid for."""
    gains, costs = np.tile([0.0, 1.0], (3001, 1)), np.tile([0.0, 1.0], (3001, 1))
    gains[0, 1], costs[0, 1] = 1e7, 1e5
    choice = allocate(gains, costs, 2000.0)
    assert choice[0] == 0
    assert choice.sum() == 2000


def test_hulls_lean_on_what_the_budget_reaches():
    """The first one's 20 for 10 is out of reach: its 4 for 4 then comes before 2 for 4."""
    gains, costs = [[0.0, 4.0, 20.0], [0.0, 2.0, 0.0]], [0.0, 4.0, 10.0]
    assert fund(posed(gains, costs, 5.0)).tolist() == [1, 0]


@given(st.integers(0, 10**6))
def test_slopes_never_rise_along_a_hull_not_even_by_a_digit(seed):
    """All options lie on a line: as floats, the slopes between them differ in the last digit."""
    rng = np.random.default_rng(seed)
    costs = np.sort(rng.integers(0, 500, (40, 5)), axis=1) / 100
    costs[:, 0] = 0
    upgrades = list_upgrades(posed(costs * rng.uniform(0.1, 3.0, (40, 1)), costs))
    is_same = np.diff(upgrades.customer) == 0
    assert (np.diff(upgrades.slope)[is_same] <= 0).all()
    assert (np.diff(costs[upgrades.customer, upgrades.option])[is_same] > 0).all()


def test_an_option_below_the_hull_is_taken_where_its_end_costs_too_much():
    """6 for 6 twice, of which the budget reaches one: the other gets .1 for 2."""
    gains = [[0.0, 0.1, 6.0], [0.0, 0.1, 6.0]]
    assert fund(posed(gains, [0.0, 2.0, 6.0], 8.0)).tolist() == [2, 1]


def test_an_upgrade_is_not_taken_without_the_one_that_it_builds_on():
    """Of the second one, 5 more for 8 does not fit what the first leaves, and 1 more for 1 builds on it."""
    gains, costs = [[0.0, 9.0, 9.0], [0.0, 5.0, 5.6]], [[0.0, 3.0, 3.0], [0.0, 8.0, 9.0]]
    assert fund(posed(gains, costs, 10.0)).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("gains", "costs", "budget", "before", "after"),
    [
        ([[0, 6], [0, 7]], [[0, 5], [0, 6]], 6, [1, 0], [0, 1]),  # two changes at once
        ([[0, 3], [0, 3]], [0, 1], 1, [0, 0], [1, 0]),  # then the budget is spent
        ([[0, 4, 3], [0, 1, 0]], [0, 1, 1], 2, [0, 0], [1, 1]),  # two changes, of two customers
        ([[0, 0, 7], [0, 0, 5], [0, 1, 4]], [0, 1, 2], 9, [0, 2, 0], [2, 0, 1]),  # one place
        ([[0, 0, 7], [0, 0, 5], [0, 1, 4]], [0, 1, 2], 9, [0, 0, 0], [2, 0, 1]),  # still one
    ],
)  # fmt: skip
def test_customers_trade_budget_and_places(gains, costs, budget, before, after):
    caps = [np.inf, np.inf, 1] if len(gains[0]) == 3 else None
    problem = posed(gains, costs, budget, caps=caps)
    assert exchange(problem, np.array(before), problem.gain).tolist() == after


def test_held_customers_do_not_trade():
    problem = posed([[0.0, 5.0], [0.0, 7.0]], [0.0, 1.0], 9.0, held=[True, False])
    assert exchange(problem, np.array([0, 0]), problem.gain).tolist() == [0, 1]


def test_what_the_greedy_rule_misses_by_one_trade_is_mended():
    """6 for 5 is steeper than 7 for 6, and leaves 1 of 6."""
    gains, costs = [[0.0, 6.0], [0.0, 7.0]], [[0.0, 5.0], [0.0, 6.0]]
    assert fund(posed(gains, costs, 6.0)).tolist() == [1, 0]
    assert allocate(gains, costs, 6.0).tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(3))
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
    choice = allocate(gains, costs, budget, caps=caps)
    assert (np.bincount(choice, minlength=4)[1:] <= caps[1:]).all()
    assert costs[np.arange(250), choice].sum() <= budget + 1e-6
    assert won(gains, choice) >= 0.99 * optimum(gains, costs, budget, caps)


@pytest.mark.parametrize("n", [400, 20_000])
def test_places_are_given_out_among_equals(n):
    """All gain 3 with the capped action and 1 with the other: whoever is first, all places are used."""
    gains, caps = np.tile([0.0, 1.0, 3.0], (n, 1)), [np.inf, np.inf, n // 2]
    everything = allocate(gains, [0.0, 1.0, 2.0], np.inf, caps=caps)
    assert np.bincount(everything).tolist() == [0, n // 2, n // 2]
    spent_out = allocate(gains, [0.0, 1.0, 2.0], 1.2 * n, caps=caps)
    assert np.bincount(spent_out).tolist() == [int(0.3 * n), int(0.2 * n), n // 2]


@pytest.mark.parametrize("seed", [1, 5, 15, 28, 29, 35])
def test_caps_cost_no_more_than_one_percent_among_four_kinds_of_customers(seed):
    """Everyone of a kind is equal, so that prices alone cannot tell who gets a place.

    Of forty seeds the ones that suffer most without the trades (5, 29), or without handing places on.
    """
    rng = np.random.default_rng(seed)
    cost = np.array([0.0, 1.0, 3.0, 6.0])
    kinds = rng.gamma(2, 30, (4, 1)) * np.array([0.0, 0.05, 0.12, 0.2]) - cost
    gains = kinds[rng.integers(0, 4, 300)]
    caps, budget = np.r_[np.inf, rng.integers(10, 100, 3)], float(rng.integers(50, 600))
    choice = allocate(gains, cost, budget, caps=caps)
    assert (np.bincount(choice, minlength=4) <= caps).all()
    best = optimum(gains, np.tile(cost, (300, 1)), budget, caps)
    assert won(gains, choice) >= 0.99 * best


def test_prices_of_places_from_a_sample_serve_all():
    """Any prices bound what can be gained (weak duality), whoever found them: so do the sample's."""
    gains, costs = store(60_000, 8)
    caps = np.array([np.inf, np.inf, 3000.0, 1000.0])
    choice = allocate(gains, costs[0], 20_000.0, caps=caps)
    assert np.bincount(choice)[2:].tolist() == [3000, 1000]
    assert allocate(gains, costs, 20_000.0, caps=caps).tolist() == choice.tolist()
    problem = posed(gains, costs[0], 20_000.0, caps=caps)
    prices = find_prices(problem.of(np.arange(0, 60_000, 10)), 60_000)
    left_to_gain = (gains - prices.budget * costs - prices.places).max(axis=1).sum()
    bound = prices.budget * 20_000 + prices.places[2:] @ caps[2:] + left_to_gain
    assert 0.999 * bound < won(gains, choice) <= bound


def test_a_cap_that_nobody_reaches_changes_nothing():
    gains, costs = store(300, 9)
    free = allocate(gains, costs, 200.0)
    assert allocate(gains, costs, 200.0, caps=[0, 300, 300, 300]).tolist() == free.tolist()


def test_a_cap_of_nobody_leaves_the_action_out():
    gains, costs = store(100, 1)
    choice = allocate(gains, costs, 1e9, caps=[np.inf, np.inf, np.inf, 0])
    assert 3 not in choice
    assert 2 in choice


def test_the_hurdle_is_met_by_every_upgrade():
    gains, costs = store(500, 2)
    choice = allocate(gains, costs, 1e9, hurdle=1.0)
    taken = choice > 0
    assert taken.any()
    assert (gains[taken, choice[taken]] >= costs[taken, choice[taken]] - 1e-9).all()


@pytest.mark.parametrize("caps", [None, [np.inf, np.inf, 40, 10]])
def test_nobody_could_gain_the_hurdle_on_top_or_falls_short_of_it(caps):
    """With budget for all: of the open options the best net of the hurdle, for each customer."""
    gains, costs = store(200, 10)
    choice = allocate(gains, costs, np.inf, hurdle=1.5, caps=caps)
    net = gains - 1.5 * costs
    mine = net[np.arange(200), choice]
    assert (mine >= -1e-9).all()
    assert (mine >= net[:, :2].max(axis=1) - 1e-9).all()
    if caps is None:
        assert (mine >= net.max(axis=1) - 1e-9).all()


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
    choice = allocate(gains, costs, 500.0, caps=[np.inf, np.inf, np.inf, 10], held=held)
    assert (choice[~held] == 3).sum() == 10
    assert (choice[held] == 3).any()


def test_held_customers_get_no_place_where_there_is_none():
    gains, costs = store(50, 4)
    held = np.arange(50) < 25
    gains[0] = [0.0, 1.0, 2.0, 900.0]  # more than anyone who could be refused the place
    choice = allocate(gains, costs, np.inf, caps=[np.inf, np.inf, np.inf, 0], held=held)
    assert 3 not in choice
    assert not allocate(gains, costs, 0.0, held=held).any()


def test_a_held_customer_gets_what_its_twin_gets():
    """Every second one is the first's twin; the price may fall between a few of them."""
    gains, costs = (np.repeat(table, 2, axis=0) for table in store(2000, 11))
    held = np.arange(4000) % 2 == 1
    for caps in (None, [np.inf, np.inf, 150, 40]):
        choice = allocate(gains, costs, 700.0, caps=caps, held=held)
        assert (choice[::2] != choice[1::2]).sum() <= 20
        assert (choice[1::2] == 3).any()


def test_all_customers_may_be_held():
    gains, costs = store(20, 4)
    choice = allocate(gains, costs, 10.0, held=True)
    assert choice.any()


def test_many_customers_are_served_as_the_curve_says():
    """Nothing is sorted whole: the price at which the budget runs out is looked for."""
    gains, costs = store(40_000, 5)
    choice = allocate(gains, costs, 3000.0)
    spent = costs[np.arange(40_000), choice].sum()
    assert 2999 < spent <= 3000 + 1e-6
    upper = np.interp(3000.0, *return_curve(gains, costs, points=100_000))
    assert upper * 0.9999 < won(gains, choice) <= upper + 1e-6


def test_the_price_is_found_wherever_the_budget_runs_out():
    """Against a full sort: slopes with many equals, costs that differ."""
    rng = np.random.default_rng(12)
    slope, cost = rng.integers(1, 40, 5000) / 8, rng.integers(1, 9, 5000)
    uses = rng.random(5000) < 0.8
    order = np.argsort(-slope, kind="stable")
    used = np.cumsum((cost * uses)[order])
    for limit in (0, 1, 7, 500, 9_999, used[-1] - 1, used[-1], used[-1] + 1):
        over = np.flatnonzero((used > limit) & uses[order])
        wanted = np.zeros(5000, dtype=bool)
        wanted[order[: over[0] if len(over) else 5000]] = True
        actual, is_cut = reached(slope, cost, int(limit), uses)
        assert (actual == wanted).all()
        assert is_cut == bool(len(over))


def test_the_order_of_customers_does_not_matter():
    gains, costs = store(400, 6)
    turned = np.random.default_rng(0).permutation(400)
    choice = allocate(gains, costs, 90.0)
    assert allocate(gains[turned], costs[turned], 90.0).tolist() == choice[turned].tolist()


@pytest.mark.parametrize("budget", [0.3, 0.7, 1e6 + 0.1])
def test_a_floats_last_digit_neither_overruns_nor_undershoots_the_budget(budget):
    """Seven times .1 is less than .7 as floats, three times .1 more than .3."""
    n = min(round(budget * 10), 50)
    cost = 0.1 if budget < 1 else budget / n
    choice = allocate([[0.0, 1.0]] * 60, [0.0, cost], budget)
    assert choice.sum() in ((n,) if budget < 1 else (n - 1, n))


@pytest.mark.parametrize("cost", [0.1, 2.01, 4.03, 19.99])
def test_cents_are_counted_as_cents(cost):
    """As floats, 4.03 is more than 4,030,000 millionths, and 2.01 is less than 2,010,000."""
    assert allocate([[0.0, 1.0]] * 3, [0.0, cost], cost).sum() == 1
    assert allocate([[0.0, 1.0]] * 3, [0.0, cost], round(2 * cost, 2)).sum() == 2


def test_costs_below_a_millionth_are_counted_as_one():
    choice = allocate(np.tile([0.0, 1.0], (10_000, 1)), [0.0, 4e-7], 1e-3)
    assert choice.sum() == 1000


def test_a_choice_that_overruns_the_budget_or_a_cap_is_refused():
    problem = posed([[0.0, 1.0, 1.0]] * 3, [0.0, 1.0, 5.0], 3.0, caps=[np.inf, 2, np.inf])
    assert kept(problem, np.array([1, 1, 0])).tolist() == [1, 1, 0]
    with pytest.raises(RuntimeError, match="a budget is kept"):
        kept(problem, np.array([2, 0, 0]))
    with pytest.raises(RuntimeError, match="caps are kept"):
        kept(problem, np.array([1, 1, 1]))


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


def test_the_curve_starts_at_what_is_free_and_ends_with_all():
    gains = [[0.0, 5.0, 6.0], [0.0, 5.0, 8.0]]
    spent, gained = return_curve(gains, [0.0, 0.0, 1.0])
    assert spent.tolist() == [0.0, 1.0, 2.0]
    assert gained.tolist() == [10.0, 13.0, 14.0]


def test_held_customers_are_left_out_of_curve_and_margin():
    gains, held = [[0.0, 9.0], [0.0, 4.0], [0.0, 2.0]], [True, False, False]
    assert return_curve(gains, [0.0, 1.0], held=held).gain.tolist() == [0.0, 4.0, 6.0]
    assert marginal_return(gains, [0.0, 1.0], 1.0, held=held) == 2.0


def test_the_next_unit_brings_what_the_first_unfunded_upgrade_does():
    gains = np.array([[0.0, 4.0], [0.0, 2.0]])
    assert marginal_return(gains, [0.0, 1.0], 1.0) == 2.0
    assert marginal_return(gains, [0.0, 1.0], 0.0) == 4.0
    assert np.isnan(marginal_return(gains, [0.0, 1.0], 5.0))


def test_no_customers_get_nothing():
    assert allocate(np.zeros((0, 3)), np.zeros(3), 5.0).tolist() == []
    capped = allocate(np.zeros((0, 3)), np.zeros((0, 3)), 5.0, caps=[0, 0, 0])
    assert capped.tolist() == []
    assert return_curve(np.zeros((0, 3)), np.zeros(3)).budget.tolist() == [0.0]
    assert np.isnan(marginal_return(np.zeros((0, 3)), np.zeros(3), 0.0))


def test_with_no_action_nothing_is_done():
    assert allocate(np.zeros((2, 1)), [0.0], 5.0).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("gains", "costs", "budget", "message"),
    [
        ([1.0], [1.0], 1.0, "a row per customer"),
        ([[0.0, 1.0]], [0.0], 1.0, "costs have the gains' shape"),
        ([[0.0, np.nan]], [0.0, 1.0], 1.0, "those of 1 of 1 customers are not"),
        ([[0.0, 1.0]], [0.0, -1.0], 1.0, "costs are finite and 0 or more"),
        ([[0.0, 1.0]], [0.0, np.nan], 1.0, "costs are finite and 0 or more"),
        ([[0.0, 1.0]], [0.0, 1e13], 1.0, "larger unit"),
        ([[1.0, 1.0]], [0.0, 1.0], 1.0, "gains something"),
        ([[0.0, 1.0]], [0.5, 1.0], 1.0, "costs something"),
        ([[0.0, 1.0]], [0.0, 1.0], -1.0, "a budget is 0 or more"),
        ([[0.0, 1.0]], [0.0, 1.0], np.nan, "a budget is 0 or more"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(gains, costs, budget, message):
    with pytest.raises(ValueError, match=message):
        allocate(gains, costs, budget)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"caps": [np.inf]}, "caps are 2 numbers"),
        ({"caps": [np.inf, np.nan]}, "caps are 2 numbers"),
        ({"caps": [np.inf, -1.0]}, "caps are 2 numbers"),
        ({"hurdle": np.nan}, "a hurdle is a number"),
        ({"held": [True, False]}, "one flag per customer"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        allocate([[0.0, 1.0]], [0.0, 1.0], 1.0, **how)
