"""Trade places and budget between customers who are near to indifferent."""

from dataclasses import dataclass

import numpy as np

from segments.allocation.problem import Array, Flags, Problem, Rows, Units, in_units

EACH = 12  # changes of each kind that are tried together
CORE = 50  # changes of each kind whose customers may trade
TRADES = 300
LEAST = 1e-9  # of the largest gain: what a trade must bring, or rounding would trade forever


@dataclass(frozen=True)
class _Changes:
    """One customer's from an option to another: arrays of shape (m,). The first changes nothing."""

    customer: Rows
    old: Rows
    new: Rows
    worth: Array
    cost: Units


def exchange(problem: Problem, choice: Rows, priced: Array) -> Rows:
    """Make the best pair of changes, again and again, for as long as one gains.

    Parameters
    ----------
    problem
        What is asked.
    choice
        Shape (n,): within the budget and the caps.
    priced
        Shape (n, k): gains less what budget and places are worth; who is near to indifferent by them
        is looked at.

    Returns
    -------
    NDArray
        Shape (n,): within the budget and the caps, and gaining no less.

    Notes
    -----
    The greedy rule errs by few items, as many as there are limits: what two customers can mend is
    most of it.
    """
    choice = choice.copy()
    free = np.flatnonzero(~problem.held)
    rows = free[np.unique(_near(priced[free], choice[free], CORE)[0])]
    core, at = problem.of(rows), choice[rows]
    worth, priced = core.worth(), priced[rows]
    left, places = problem.left(choice), problem.places_left(choice)
    least = LEAST * float(worth.max(initial=0.0))
    for _ in range(TRADES):
        changes = _changes(core, at, worth, priced)
        together = np.where(
            _fits(changes, left, places), np.add.outer(changes.worth, changes.worth), 0
        )
        pair = np.unravel_index(np.argmax(together), together.shape)
        if together[pair] <= least:
            break
        for one in (int(index) for index in pair if index):
            at[changes.customer[one]] = changes.new[one]
            places[changes.old[one]] += 1
            places[changes.new[one]] -= 1
            left -= int(changes.cost[one])
    choice[rows] = at
    return choice


def _near(priced: Array, choice: Rows, most: int) -> tuple[Rows, Rows]:
    """Return, for every two options, the customers who lose least by going from one to the other."""
    changes = [(np.zeros(0, np.intp), np.zeros(0, np.intp))]
    for old in range(priced.shape[1]):
        at = np.flatnonzero(choice == old)
        for new in range(priced.shape[1] if len(at) else 0):
            if new != old:
                loss = priced[at, old] - priced[at, new]
                least = np.argpartition(loss, min(most, len(at)) - 1)[:most]
                changes.append((at[least], np.full(len(least), new)))
    customer, option = (np.concatenate(part) for part in zip(*changes, strict=True))
    return customer, option


def _changes(core: Problem, at: Rows, worth: Array, priced: Array) -> _Changes:
    customer, new = _near(priced, at, EACH)
    old = at[customer]
    where = 0 if len(core.cost) == 1 else customer
    return _Changes(
        np.r_[-1, customer],
        np.r_[-1, old],
        np.r_[0, new],
        np.r_[0.0, worth[customer, new] - worth[customer, old]],
        np.r_[0, in_units(core.cost[where, new] - core.cost[where, old])],
    )


def _fits(changes: _Changes, left: int, places: Array) -> Flags:
    """Say of every two changes, shape (m, m), whether they can be made together."""
    fits = np.add.outer(changes.cost, changes.cost) <= left
    fits &= np.not_equal.outer(changes.customer, changes.customer)
    needed = 1 + np.equal.outer(changes.new, changes.new)
    freed = np.equal.outer(changes.new, changes.old)
    has_place = places[changes.new][:, None] + freed >= needed
    return np.asarray(fits & has_place & has_place.T)
