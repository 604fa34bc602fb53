"""A budget without caps: the best upgrades first, then what still fits."""

from dataclasses import replace

import numpy as np

from segments.allocation.problem import UNITS, Array, Flags, Problem, Rows, in_units
from segments.allocation.upgrades import Upgrades, list_upgrades, reached

ROUNDS = (
    100  # of filling up; each needs a customer whom what is left does not reach, so few are used
)


def fund(problem: Problem) -> Rows:
    """Choose columns, shape (n,), within the budget; caps are not looked at.

    Notes
    -----
    Along the hulls first; what is left then goes to options below them.
    """
    choice = _along_the_hulls(_within_reach(problem))
    for _ in range(ROUNDS):
        left = problem.left(choice)
        rows = np.flatnonzero(_can_rise(problem, choice, left))
        if not len(rows):
            break
        step = _along_the_hulls(_on_top(problem, choice, rows, left))
        if not step.any():
            break
        choice[rows] = np.where(step > 0, step, choice[rows])
    return choice


def _along_the_hulls(problem: Problem) -> Rows:
    """Take the steepest upgrades; pass over what costs more than is left, and what builds on it."""
    choice, left = np.zeros(len(problem.gain), dtype=np.intp), problem.limit
    upgrades = list_upgrades(problem)
    for _ in range(ROUNDS):
        upgrades = _affordable(upgrades, left)
        uses = ~problem.held[upgrades.customer]
        taken, is_cut = reached(upgrades.slope, upgrades.cost, left, uses)
        choice[upgrades.customer[taken]] = upgrades.option[taken]  # the last of a customer's stays
        left -= int(upgrades.cost[taken & uses].sum())
        upgrades = upgrades.where(~taken)
        if not is_cut:
            break
    return choice


def _affordable(upgrades: Upgrades, left: int) -> Upgrades:
    """Leave out what costs more than is left, and a customer's upgrades after it."""
    dear = np.flatnonzero(upgrades.cost > left)[::-1]
    if not len(dear):
        return upgrades
    first = np.full(int(upgrades.customer[-1]) + 1, len(upgrades.cost))
    first[upgrades.customer[dear]] = dear
    return upgrades.where(np.arange(len(upgrades.cost)) < first[upgrades.customer])


def _within_reach(problem: Problem) -> Problem:
    """Leave out what costs more than the budget, or less than nothing: hulls lean on what can be had."""
    if problem.cost.max(initial=0.0) * UNITS <= problem.limit and not (problem.cost < 0).any():
        return problem
    allowed = (in_units(problem.cost) <= problem.limit) & (problem.cost >= 0)
    return problem.only(np.broadcast_to(allowed, problem.gain.shape))


def _can_rise(problem: Problem, choice: Rows, left: int) -> Flags:
    """Say who has an option that gains more, and that what is left reaches."""
    here, spent = problem.gained(choice), problem.paid(choice)
    can: Flags = np.zeros(len(choice), dtype=bool)
    for gain, cost in zip(problem.gain.T[1:], problem.cost.T[1:], strict=True):
        can |= _is_rise(gain - here, cost - spent, left, problem.hurdle)
    return can & ~problem.held


def _is_rise(more: Array, extra: Array, left: int, hurdle: float) -> Flags:
    affordable = (extra >= 0) & (in_units(extra) <= left)
    return np.asarray((more > 0) & affordable & (more >= hurdle * extra))


def _on_top(problem: Problem, choice: Rows, rows: Rows, left: int) -> Problem:
    """Return the problem of what each option gains and costs on top of the chosen one."""
    part, now = problem.of(rows), choice[rows]
    gain, cost = part.gain - part.gained(now)[:, None], part.cost - part.paid(now)[:, None]
    return _within_reach(replace(part, gain=gain, cost=cost, limit=left))
