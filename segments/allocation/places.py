"""A budget with caps: what a place is worth, who gets one, and the budget spent among those.

Prices of the budget and of the places are where Lagrange's dual of the problem is least. It has few
variables, but corners; a softened maximum rounds them, ever less [1]_. Places go to whom they bring
most at these prices, and the budget is then spent as if there were no caps, on whom has a place.

References
----------
.. [1] Nesterov (2005), Smooth minimization of non-smooth functions, Mathematical Programming 103, 127-152.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from segments.allocation.funding import fund
from segments.allocation.problem import UNITS, Array, Flags, Problem, Rows
from segments.allocation.upgrades import reached

SAMPLED = 10_000  # customers of whom prices are found: they err by a hundredth, what is chosen by its square
SOFTNESS = (0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4)  # of the maximum, as a share of the mean gain
TURNS = 6  # of handing on places that are not used


@dataclass(frozen=True)
class Prices:
    """What is paid on top of an action's cost, in gain.

    Attributes
    ----------
    budget
        Per unit of cost.
    places
        Shape (k,): of a place; 0 where there is no cap.
    """

    budget: float
    places: Array


def fund_within_caps(problem: Problem) -> tuple[Rows, Array]:
    """Choose columns within the budget and the caps.

    Returns
    -------
    tuple
        Columns, shape (n,), and gains less what is paid by the prices, shape (n, k).
    """
    open_ = replace(problem, gain=np.where(problem.caps > 0, problem.gain, 0.0))
    prices = find_prices(_sampled(open_), (~open_.held).sum())
    charged = open_.worth() - prices.budget * open_.cost
    best = fund(open_.only(_first_places(open_, charged, prices)))
    refused: Flags = np.zeros(charged.shape, dtype=bool)
    for _ in range(TURNS):
        new = _places_handed_on(open_, charged, best, refused)
        if not new[~open_.held].any():
            break
        choice = fund(open_.only(new | _used(open_, best)))
        if _total(open_, choice) > _total(open_, best):
            best, refused = choice, np.zeros_like(refused)
        else:
            refused |= new
    return best, charged - prices.places


def _total(problem: Problem, choice: Rows) -> float:
    worth = problem.gained(choice) - problem.hurdle * problem.paid(choice)
    return float(worth[~problem.held].sum())


def _sampled(problem: Problem) -> Problem:
    rows = np.flatnonzero(~problem.held)
    if len(rows) > SAMPLED:
        rows = np.sort(np.random.default_rng(0).choice(rows, SAMPLED, replace=False))
    return problem.of(rows)


def find_prices(sample: Problem, n: int) -> Prices:
    """Find what budget and places are worth.

    Parameters
    ----------
    sample
        Customers who stand for all, with the budget and caps of all.
    n
        Number of all.
    """
    worth, capped = sample.worth(), sample.capped
    cost = np.broadcast_to(sample.cost, worth.shape)
    by_gain = float(worth.max(axis=1, initial=0.0).mean()) if n else 0.0
    by_cost = float(cost.max(axis=1).mean()) if n else 0.0
    prices = np.zeros(len(sample.caps))
    if not by_gain:
        return Prices(0.0, prices)
    by_cost = by_cost or 1.0
    limits = np.r_[sample.limit / UNITS / by_cost, sample.caps[capped]] / n
    dual = _Dual(worth / by_gain, cost / by_cost, capped, np.minimum(limits, worth.shape[1]))
    point = np.zeros(1 + len(capped))
    for softness in SOFTNESS:
        point = minimize(
            dual.at, point, args=(softness,), jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(point)
        ).x  # fmt: skip
    prices[capped] = point[1:] * by_gain
    return Prices(float(point[0]) * by_gain / by_cost, prices)


@dataclass(frozen=True)
class _Dual:
    """Least gain per customer that prices promise: what limits are worth, and what is left to gain."""

    worth: Array
    cost: Array
    capped: Rows
    limits: Array

    def at(self, point: Array, softness: float) -> tuple[float, Array]:
        """Return it, softened, and its slopes, at prices of shape (1 + caps,)."""
        value = self.worth - point[0] * self.cost
        value[:, self.capped] -= point[1:]
        top = value.max(axis=1, keepdims=True)
        weight = np.exp((value - top) / softness)
        total = weight.sum(axis=1, keepdims=True)
        weight /= total
        n = len(value)
        used = np.r_[(weight * self.cost).sum(), weight[:, self.capped].sum(axis=0)] / n
        left_to_gain = float((top + softness * np.log(total)).mean())
        return left_to_gain + float(point @ self.limits), self.limits - used


def _first_places(problem: Problem, charged: Array, prices: Prices) -> Flags:
    """Give each action's places to whom it brings most above the next best at the prices."""
    paid = charged - prices.places
    allowed: Flags = np.ones(charged.shape, dtype=bool)
    for option in problem.capped:
        above = charged[:, option] - np.delete(paid, option, axis=1).max(axis=1)
        may = problem.gain[:, option] > 0
        allowed[:, option] = _admitted(above, may, int(problem.caps[option]), problem.held)
    return allowed


def _places_handed_on(problem: Problem, charged: Array, choice: Rows, refused: Flags) -> Flags:
    """Offer places that nobody uses to whom they bring most on top."""
    places, mine = problem.places_left(choice), charged[np.arange(len(choice)), choice]
    new: Flags = np.zeros(charged.shape, dtype=bool)
    for option in problem.capped[places[problem.capped] > 0]:
        may = (problem.gain[:, option] > 0) & (choice != option) & ~refused[:, option]
        above = charged[:, option] - mine
        new[:, option] = _admitted(above, may, int(places[option]), problem.held)
    return new


def _used(problem: Problem, choice: Rows) -> Flags:
    """Allow what has no cap, and what is chosen; shape (n, k)."""
    allowed: Flags = np.ones(problem.gain.shape, dtype=bool)
    allowed[:, problem.capped] = False
    allowed[np.arange(len(choice)), choice] = True
    return allowed


def _admitted(score: Array, may: Flags, places: int, held: Flags) -> Flags:
    """Admit the highest scores; held-out customers use no place, and get one where another would."""
    at = np.flatnonzero(may)
    is_in, _ = reached(score[at], np.ones(len(at), dtype=np.int64), places, ~held[at])
    admitted: Flags = np.zeros(len(score), dtype=bool)
    admitted[at[is_in]] = True
    return admitted
