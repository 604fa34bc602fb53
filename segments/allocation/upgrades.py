"""Upgrades along each customer's upper convex hull of gain against cost, and how far a limit reaches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segments.allocation.problem import Array, Flags, Problem, Rows, Units, in_units

CHUNK = 1 << 14  # customers whose hulls fit the processor's cache
SAMPLE = 1_001  # of which the median is a pivot


@dataclass(frozen=True)
class Upgrades:
    """Upgrades that are worth their cost: arrays of shape (m,), by customer, in the order of taking.

    Attributes
    ----------
    customer, option
        Who, and the column that is upgraded to.
    slope
        Net gain per unit of cost on top; never rising along a hull, infinite where it is free.
    cost
        On top of the customer's upgrade before, millionths.
    """

    customer: Rows
    option: Rows
    slope: Array
    cost: Units

    def where(self, keep: Flags) -> "Upgrades":
        """Return those to keep."""
        return Upgrades(self.customer[keep], self.option[keep], self.slope[keep], self.cost[keep])


def list_upgrades(problem: Problem) -> Upgrades:
    """List the upgrades along the hulls that gain something, and per unit no less than the hurdle."""
    chunks = [
        _chunk(problem.of(np.arange(start, min(start + CHUNK, len(problem.gain)))), start)
        for start in range(0, max(len(problem.gain), 1), CHUNK)
    ]
    columns = ("customer", "option", "slope", "cost")
    return Upgrades(
        *(np.concatenate([getattr(part, name) for part in chunks]) for name in columns)
    )


def _chunk(problem: Problem, start: int) -> Upgrades:
    """List those of customers who stand together; a customer's come one after the other."""
    n, k = problem.gain.shape
    option, cost = np.zeros((n, k - 1), np.intp), np.zeros((n, k - 1), np.int64)
    slope = np.zeros((n, k - 1))
    for step, (who, *values) in enumerate(_steps(problem)):
        option[who, step], slope[who, step], cost[who, step] = values
    is_worth = slope > 0
    customer = np.flatnonzero(is_worth) // max(k - 1, 1) + start
    return Upgrades(customer, option[is_worth], slope[is_worth], cost[is_worth])


def _steps(problem: Problem) -> Iterator[tuple[Rows, Rows, Array, Units]]:
    """Walk along the hulls of all customers at once: who, where to, slope and cost of each step."""
    gains, costs = np.ascontiguousarray(problem.gain.T), np.ascontiguousarray(problem.cost.T)
    who = np.arange(gains.shape[1])
    here, spent, ceiling = np.zeros(len(who)), np.zeros(len(who)), np.full(len(who), np.inf)
    for _ in range(len(gains) - 1):
        option, slope = _steepest(gains, costs, here, spent)
        np.minimum(slope, ceiling, out=slope)  # rounding could let it rise
        goes = np.flatnonzero((slope > 0) & (slope >= problem.hurdle))
        who, option, ceiling, before = who[goes], option[goes], slope[goes], spent[goes]
        gains, costs = gains[:, goes], costs if costs.shape[1] == 1 else costs[:, goes]
        at = np.arange(len(goes))
        here, spent = gains[option, at], costs[option, 0 if costs.shape[1] == 1 else at]
        yield who, option, ceiling, in_units(spent) - in_units(before)


def _steepest(gains: Array, costs: Array, here: Array, spent: Array) -> tuple[Rows, Array]:
    """Find each customer's best upgrade from where it stands; slope 0 = there is none."""
    option, slope = np.zeros(len(here), np.intp), np.zeros(len(here))
    for column in range(1, len(gains)):
        more, extra = gains[column] - here, costs[column] - spent
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            rise = more / extra
        better = (rise > slope) & (more > 0) & (extra >= 0)
        np.copyto(option, column, where=better)
        np.copyto(slope, rise, where=better)
    return option, slope


def reached(slope: Array, cost: Units, limit: int, uses: Flags) -> tuple[Flags, bool]:
    """Say which come, steepest first, before the first that `limit` does not reach.

    Parameters
    ----------
    slope, cost
        Shape (m,). Of equally steep ones, those that stand first come first.
    limit
        Most that they may cost.
    uses
        Shape (m,): who uses any of the limit. Who does not is never the first refused.

    Returns
    -------
    tuple
        Shape (m,): those before it; and whether any is refused.

    Notes
    -----
    A weighted selection, in time of order m: the limit runs out among those steeper than a pivot,
    as steep, or less steep, and only those are looked at again.
    """
    at, left = np.flatnonzero(uses), limit
    if int(cost[at].sum()) <= limit:
        return np.ones(len(slope), dtype=bool), False
    while True:
        steep = slope[at]
        pivot = _middle(steep)
        is_above, is_equal = steep > pivot, steep == pivot
        above, equal = int(cost[at[is_above]].sum()), int(cost[at[is_equal]].sum())
        if above > left:
            at = at[is_above]
        elif above + equal <= left:
            left -= above + equal
            at = at[~(is_above | is_equal)]
        else:
            break
    at = at[is_equal]
    first = at[np.searchsorted(np.cumsum(cost[at]), left - above, side="right")]
    is_before = slope > pivot
    ties = np.flatnonzero(slope[:first] == pivot)
    is_before[ties] = True
    return is_before, True


def _middle(values: Array) -> float:
    sample = values[:: max(len(values) // SAMPLE, 1)]
    return float(np.partition(sample, len(sample) // 2)[len(sample) // 2])


def next_slope(upgrades: Upgrades, limit: int, uses_by_customer: Flags) -> float:
    """Return the slope of the first upgrade that `limit` does not reach; NaN = it reaches all."""
    uses = uses_by_customer[upgrades.customer]
    before, is_cut = reached(upgrades.slope, upgrades.cost, limit, uses)
    return float(upgrades.slope[uses & ~before].max()) if is_cut else float("nan")
