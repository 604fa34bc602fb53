"""The parts of the allocation, each by hand or against its own definition."""

import numpy as np
import pytest

from segments.allocation import allocate, return_curve
from segments.allocation.choice import _priced
from segments.allocation.funding import fund
from segments.allocation.places import Prices, _Dual, _total, find_prices, fund_within_caps
from segments.allocation.problem import posed
from tests.segments.test_allocation import store

COSTS = np.array([0.0, 1.0])


def rising(n):
    """Customers of whom the first gains 1 by the one action, the second 2, and so on."""
    return np.column_stack([np.zeros(n), np.arange(1.0, n + 1)])


def test_what_is_left_counts_what_an_option_costs_on_top_of_the_one_chosen():
    """Of 22, the best two take 20; option 2 of the first costs 2 more than its option 1, which it has."""
    gains = np.array([[0, 10, 10.5, 20], [0, 30, 0, 0]])
    costs = np.array([[0, 5, 7, 20], [0, 15, 90, 90]], dtype=float)
    assert fund(posed(gains, costs, 22)).tolist() == [2, 1]
    assert fund(posed(gains, costs, 21.9)).tolist() == [1, 1]


def test_the_price_of_the_budget_lies_where_it_runs_out():
    """A budget of 40 reaches the gains 61 to 100 of 100 customers."""
    problem = posed(rising(100), COSTS, 40)
    prices = find_prices(problem, 100)
    assert 59 < prices.budget < 62
    assert prices.places.tolist() == [0.0, 0.0]


def test_the_price_of_a_place_lies_where_places_run_out():
    problem = posed(rising(100), COSTS, np.inf, caps=[np.inf, 10])
    prices = find_prices(problem, 100)
    assert prices.budget == pytest.approx(0.0, abs=0.5)
    assert 89 < prices.places[1] < 92


def test_prices_found_of_a_sample_are_those_of_all():
    few, many = (posed(rising(100), COSTS, budget) for budget in (40, 400))
    assert find_prices(many, 1000).budget == pytest.approx(find_prices(few, 100).budget, rel=0.01)


def test_where_nobody_gains_all_is_free():
    problem = posed(-rising(5), COSTS, 2, caps=[np.inf, 1])
    prices = find_prices(problem, 5)
    assert (prices.budget, prices.places.tolist()) == (0.0, [0.0, 0.0])
    assert isinstance(prices, Prices)


def test_what_costs_nothing_still_has_a_price_of_its_places():
    problem = posed(rising(100), np.zeros(2), 40, caps=[np.inf, 10])
    assert 89 < find_prices(problem, 100).places[1] < 92


@pytest.mark.parametrize("softness", [0.5, 0.05])
def test_the_slopes_of_the_dual_are_those_of_its_value(softness):
    rng = np.random.default_rng(3)
    worth = np.column_stack([np.zeros(50), rng.gamma(2, 1, (50, 2))])
    dual = _Dual(worth, np.array([[0.0, 0.4, 1.7]]), np.array([2]), np.array([0.3, 0.2]))
    point, step = np.array([0.6, 0.4]), 1e-6
    _, slopes = dual.at(point, softness)
    for i, slope in enumerate(slopes):
        ahead, behind = (
            dual.at(point + sign * step * np.eye(2)[i], softness)[0] for sign in (1, -1)
        )
        assert slope == pytest.approx((ahead - behind) / (2 * step), rel=1e-5)


def test_the_dual_hardly_softened_is_the_gain_that_is_left_and_what_the_limits_are_worth():
    worth = np.array([[0.0, 3.0], [0.0, 1.0]])
    dual = _Dual(worth, np.array([[0.0, 2.0]]), np.array([1]), np.array([0.5, 0.25]))
    value, _ = dual.at(np.array([1.0, 0.5]), 1e-4)
    assert value == pytest.approx(np.mean([3 - 2 - 0.5, 0]) + 1.0 * 0.5 + 0.5 * 0.25)


def test_a_softened_dual_is_never_below_the_hard_one():
    """The softened maximum of k is at most softness times log k above the maximum."""
    worth = np.array([[0.0, 3.0], [0.0, 1.0]])
    dual = _Dual(worth, np.array([[0.0, 2.0]]), np.array([1]), np.array([0.5, 0.25]))
    hard, soft = (dual.at(np.array([1.0, 0.5]), softness)[0] for softness in (1e-4, 0.5))
    assert hard < soft <= hard + 0.5 * np.log(2)


def test_a_total_counts_what_is_gained_beyond_the_hurdle_by_those_who_are_not_held():
    problem = posed(rising(3), COSTS, np.inf, hurdle=0.5, held=[False, False, True])
    assert _total(problem, np.array([0, 1, 1])) == pytest.approx(2 - 0.5)


def test_a_gain_is_charged_with_what_the_first_upgrade_beyond_the_budget_brings_per_unit():
    """A budget of 4 reaches the gains 10 to 7; the next is 6. What is held out does not shift it."""
    held = np.zeros(10, dtype=bool)
    assert _priced(posed(rising(10), COSTS, 4, held=held))[:, 1].tolist() == list(range(-5, 5))
    held[-1] = True
    assert _priced(posed(rising(10), COSTS, 4, held=held))[:, 1].tolist() == list(range(-4, 6))


def test_a_gain_is_charged_with_the_hurdle_where_that_is_more():
    assert _priced(posed(rising(10), COSTS, 4, hurdle=8.0))[:, 1].tolist() == list(range(-7, 3))
    assert _priced(posed(rising(10), COSTS, 4, hurdle=0.5))[:, 1].tolist() == list(range(-5, 5))


def test_at_the_prices_of_budget_and_places_hardly_anybody_would_choose_otherwise():
    gains, costs = store(400, 7)
    caps = [np.inf, np.inf, 40, 10]
    choice, priced = fund_within_caps(posed(gains, costs, 150, caps=caps))
    short = priced.max(axis=1) - priced[np.arange(400), choice]
    assert np.mean(short <= 0.01 * gains.max()) > 0.95


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_unit_of_the_gains_does_not_matter(scale):
    gains, costs = store(200, 11)
    for caps in (None, [np.inf, np.inf, 20, 5], [np.inf, 1, 1, 1]):
        plain = allocate(gains, costs, 60, caps=caps)
        assert allocate(scale * gains, costs, 60, caps=caps).tolist() == plain.tolist()


def test_the_one_place_of_an_action_goes_to_whom_it_brings_most():
    assert allocate(rising(6), COSTS, np.inf, caps=[np.inf, 1]).tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("points", [10, 20, 61])
def test_a_curve_has_at_most_the_points_asked_for_and_its_start_and_keeps_its_ends(points):
    whole = return_curve(rising(62), COSTS, 1000)
    thin = return_curve(rising(62), COSTS, points)
    assert len(whole.budget) == 63
    assert points / 2 <= len(thin.budget) <= points + 1
    assert (thin.budget[0], thin.budget[-1]) == (0.0, 62.0)
    assert (thin.gain[0], thin.gain[-1]) == (0.0, 62 * 63 / 2)
    assert np.isin(thin.gain, whole.gain).all()


def test_a_curve_of_no_more_points_than_asked_for_is_whole():
    assert len(return_curve(rising(20), COSTS, 20).budget) == 21
