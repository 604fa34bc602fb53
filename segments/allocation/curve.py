"""What a budget brings."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from segments.allocation.problem import UNITS, Array, Problem, posed
from segments.allocation.upgrades import Upgrades, list_upgrades, next_slope


class Frontier(NamedTuple):
    """The most that budgets bring: arrays of shape (m,), rising.

    Attributes
    ----------
    budget
        From 0 on.
    gain
        Net of cost; between two budgets it rises in a straight line.
    """

    budget: Array
    gain: Array


def return_curve(
    gains: ArrayLike, costs: ArrayLike, points: int = 200, *, held: ArrayLike | None = None
) -> Frontier:
    """Return the net gain against the budget, along the hulls and without caps.

    Parameters
    ----------
    gains, costs, held
        As for :func:`segments.allocation.allocate`; held-out customers are left out.
    points
        At most so many, and the start.
    """
    problem = posed(gains, costs, held=held)
    problem = problem.of(np.flatnonzero(~problem.held))
    upgrades = list_upgrades(problem)
    order = np.argsort(-upgrades.slope, kind="stable")
    budget = np.r_[0, np.cumsum(upgrades.cost[order])] / UNITS
    gain = np.r_[0.0, np.cumsum(_gained_on_top(problem, upgrades)[order])]
    is_last = np.r_[np.diff(budget) > 0, True]  # what is free comes with what is before it
    return Frontier(*_thinned(budget[is_last], gain[is_last], points))


def marginal_return(
    gains: ArrayLike, costs: ArrayLike, budget: float, *, held: ArrayLike | None = None
) -> float:
    """Return the net gain per unit of cost of the first upgrade that `budget` does not reach.

    NaN where it reaches all; held-out customers are left out.
    """
    problem = posed(gains, costs, budget, held=held)
    return next_slope(list_upgrades(problem), problem.limit, ~problem.held)


def _gained_on_top(problem: Problem, upgrades: Upgrades) -> Array:
    before = np.r_[0, upgrades.option[:-1]]
    before[np.flatnonzero(np.diff(upgrades.customer, prepend=-1))] = 0
    gain = problem.gain
    return np.asarray(gain[upgrades.customer, upgrades.option] - gain[upgrades.customer, before])


def _thinned(budget: Array, gain: Array, points: int) -> tuple[Array, Array]:
    """Keep points that lie evenly along both axes: the curve is steep first, and flat later."""
    if len(budget) <= points + 1:
        return budget, gain
    each = points // 2 + 1
    ends = [np.searchsorted(axis, np.linspace(axis[0], axis[-1], each)) for axis in (budget, gain)]
    shown = np.unique(np.concatenate(ends))
    return budget[shown], gain[shown]
