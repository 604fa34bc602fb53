"""Which action for whom."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from segments.allocation.exchange import exchange
from segments.allocation.funding import fund
from segments.allocation.places import fund_within_caps
from segments.allocation.problem import UNITS, Array, Problem, Rows, posed
from segments.allocation.upgrades import list_upgrades, next_slope

FEW = 5_000  # customers among whom one upgrade more or less is still worth a search


def allocate(
    gains: ArrayLike,
    costs: ArrayLike,
    budget: float,
    *,
    caps: ArrayLike | None = None,
    hurdle: float = 0.0,
    held: ArrayLike | None = None,
) -> Rows:
    """Choose at most one action for each customer, gaining most within the budget.

    Parameters
    ----------
    gains
        Shape (n, k): what each action gains, net of its cost. Column 0 is to do nothing: all 0.
    costs
        Shape (n, k) or (k,), 0 or more; column 0 is all 0. Counted in millionths, rounded up.
    budget
        Most that the chosen actions may cost together; infinite = no limit.
    caps
        Shape (k,): most customers who may get each action; infinite = no cap. Column 0 has none.
    hurdle
        Least net gain per unit of cost on top that an upgrade must bring; what gains nothing is
        never chosen, even where it is below 0.
    held
        Shape (n,): customers who get what they would get at the same price, but use neither budget
        nor places.

    Returns
    -------
    NDArray
        Shape (n,): column chosen for each customer. Of equals, customers who stand first.

    Raises
    ------
    ValueError
        Wrong shapes, unknown gains, costs, caps, budget or hurdle, negative costs, caps or budget.

    Notes
    -----
    A heavier action is an upgrade of a lighter one: what counts is what it gains and costs on top.
    Only the upgrades on the upper convex hull of gain against cost are ever worth funding, and along
    it each brings less per unit than the one before. Taking the steepest upgrades of all customers
    until the budget is spent is within one upgrade of the optimum [1]_. Caps: see
    :mod:`segments.allocation.places`.

    References
    ----------
    .. [1] Sinha & Zoltners (1979), The Multiple-Choice Knapsack Problem, Operations Research 27(3), 503-515.
    """
    problem = posed(gains, costs, budget, caps=caps, hurdle=hurdle, held=held)
    choice = fund(problem)
    if (problem.places_left(choice) < 0).any():
        choice, priced = fund_within_caps(problem)
        choice = exchange(problem, choice, priced)
    elif len(choice) <= FEW:
        choice = exchange(problem, choice, _priced(problem))
    return kept(problem, choice)


def _priced(problem: Problem) -> Array:
    """Return gains less what the budget is worth: what it brings where it runs out."""
    free = replace(problem, hurdle=0.0)
    price = next_slope(list_upgrades(free), problem.limit, ~problem.held)
    return np.asarray(problem.gain - np.fmax(price, problem.hurdle) * problem.cost)


def kept(problem: Problem, choice: Rows) -> Rows:
    """Return the columns if they keep the budget and the caps.

    Raises
    ------
    RuntimeError
        They do not.
    """
    if problem.left(choice) < 0:
        raise RuntimeError(
            f"a budget is kept: {-problem.left(choice) / UNITS:,.2f} more than "
            f"{problem.limit / UNITS:,.2f} would be spent. Report it: this is a fault of ours"
        )
    over = np.flatnonzero(problem.places_left(choice) < 0)
    if len(over):
        raise RuntimeError(
            f"caps are kept: columns {over.tolist()} have too many customers. "
            "Report it: this is a fault of ours"
        )
    return choice
