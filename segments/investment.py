"""Who gets the investment: incremental margin per unit of cost, funded until the budget is spent.

An action's gain for a customer is its lift times the margin expected of the customer, less what
the action costs. Ranking by risk would put the lapsed first, whose money is already lost; ranking
by gain per cost puts those first whom the money moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

TIERS = ("heavy", "standard", "light", "none")


@dataclass(frozen=True)
class Action:
    """What an investment tier costs and brings.

    Attributes
    ----------
    tier
        ``heavy``, ``standard`` or ``light``.
    cost
        Per customer and period, store's currency, above 0.
    assumed_lift
        Share by which it is assumed to raise a customer's margin, until a holdout has measured it.
    """

    tier: str
    cost: float
    assumed_lift: float


@dataclass(frozen=True)
class Investment:
    """What each customer gets.

    Attributes
    ----------
    tier
        Shape (n,), one of :data:`TIERS`.
    expected_return
        Shape (n,): margin gained per unit of currency spent, NaN for ``none``.
    cost
        Spent on all customers who are not held out, store's currency.
    """

    tier: NDArray[np.object_]
    expected_return: Array
    cost: float


def invest(
    expected_margin: ArrayLike,
    is_holdout: ArrayLike,
    actions: Sequence[Action],
    *,
    budget: float,
) -> Investment:
    """Give each customer the action that gains most, best return first, within a budget.

    Parameters
    ----------
    expected_margin
        Array of shape (n,): margin expected without any action, store's currency.
    is_holdout
        Array of shape (n,): held-out customers get the tier they would have, and use no budget.
    actions
        What can be done.
    budget
        Per period, store's currency.

    Returns
    -------
    Investment
        Never an action whose gain does not exceed its cost, never more cost than the budget.

    Raises
    ------
    ValueError
        A cost that is not positive.
    """
    margin = np.asarray(expected_margin, dtype=np.float64)
    held = np.asarray(is_holdout, dtype=bool)
    if any(action.cost <= 0 for action in actions):
        raise ValueError("an action costs more than 0: set investment.actions.*.cost")
    costs = np.array([0.0] + [action.cost for action in actions])
    lifts = np.array([0.0] + [action.assumed_lift for action in actions])
    names = np.array(["none"] + [action.tier for action in actions], dtype=object)
    best = np.argmax(np.multiply.outer(margin, lifts) - costs, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        returns = np.where(best > 0, margin * lifts[best] / costs[best], -np.inf)
    order = np.argsort(-returns, kind="stable")
    spent = np.where(held, 0.0, costs[best])[order]
    is_funded = np.zeros(len(margin), dtype=bool)
    is_funded[order] = (np.cumsum(spent) <= budget) & (returns[order] > -np.inf)
    chosen = np.where(is_funded, best, 0)
    return Investment(
        tier=names[chosen],
        expected_return=np.where(chosen > 0, returns, np.nan),
        cost=float(costs[chosen][~held].sum()),
    )
