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
    """Fund what gains most per unit of cost first, until the budget is spent.

    Parameters
    ----------
    expected_margin
        Array of shape (n,): margin expected without any action, store's currency.
    is_holdout
        Array of shape (n,): held-out customers get the tier they would have, and use no budget.
    actions
        What can be done, at most one for each customer.
    budget
        Per period, store's currency.

    Returns
    -------
    Investment
        Never an action that gains less than it costs, never more cost than the budget.

    Raises
    ------
    ValueError
        A cost that is not positive.

    Notes
    -----
    A heavier action is an upgrade of a lighter one: what counts is what it gains and costs on top.
    Only the upgrades on the upper convex hull of gain against cost are ever worth funding, and
    along it each gains less per unit than the one before (the greedy rule for the multiple-choice
    knapsack; Sinha & Zoltners, 1979, Operations Research 27(3)).
    """
    margin = np.asarray(expected_margin, dtype=np.float64)
    held = np.asarray(is_holdout, dtype=bool)
    if any(action.cost <= 0 for action in actions):
        raise ValueError("an action costs more than 0: set investment.actions.*.cost")
    ranked = sorted(actions, key=lambda action: action.cost)
    costs = np.array([0.0] + [action.cost for action in ranked])
    lifts = np.array([0.0] + [action.assumed_lift for action in ranked])
    customer, option, gain_per_cost, extra_cost = _upgrades(
        np.multiply.outer(margin, lifts), costs
    )
    order = np.argsort(-gain_per_cost, kind="stable")
    funded = order[_is_affordable(extra_cost[order], held[customer[order]], budget)]
    chosen = np.zeros(len(margin), dtype=np.intp)
    np.maximum.at(chosen, customer[funded], option[funded])
    with np.errstate(invalid="ignore"):
        returns = margin * lifts[chosen] / costs[chosen]
    names = np.array(["none"] + [action.tier for action in ranked], dtype=object)
    return Investment(names[chosen], returns, float(costs[chosen][~held].sum()))


def _upgrades(
    gains: Array, costs: Array
) -> tuple[NDArray[np.intp], NDArray[np.intp], Array, Array]:
    """List each customer's upgrades along the hull that gain more than they cost.

    Parameters
    ----------
    gains
        Shape (n, k): before cost; column 0 is to do nothing.
    costs
        Shape (k,), ascending from 0.

    Returns
    -------
    tuple
        Customer, option, gain per unit of extra cost and extra cost of each upgrade; a customer's
        upgrades come in the order in which they are taken.
    """
    n, k = gains.shape
    rows = np.arange(n)
    at = np.zeros(n, dtype=np.intp)
    steps = []
    for _ in range(k - 1):
        extra = costs[None, :] - costs[at][:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(extra > 0, (gains - gains[rows, at][:, None]) / extra, -np.inf)
        # Of equally steep upgrades the farthest: the hull has no corner between them.
        best = k - 1 - np.argmax(slope[:, ::-1], axis=1)
        worth = slope[rows, best] > 1
        steps.append(
            (rows[worth], best[worth], slope[rows, best][worth], extra[rows, best][worth])
        )
        at = np.where(worth, best, at)
    customer, option, slope, extra = (np.concatenate(part) for part in zip(*steps, strict=True))
    return customer, option, slope, extra


def _is_affordable(
    extra_cost: Array, is_held: NDArray[np.bool_], budget: float
) -> NDArray[np.bool_]:
    """Say which upgrades, best first, the budget reaches before the first that it does not.

    Those of held-out customers use nothing up, and are reached where their own cost would still fit.
    Summed in millionths, since sums of floats would overrun a budget by their last digit.
    """
    millionths = np.round(extra_cost * 1e6).astype(np.int64)
    used = np.where(is_held, 0, millionths)
    fits = np.cumsum(used) - used + millionths <= round(budget * 1e6)
    stopped = np.logical_or.accumulate(~fits & ~is_held)
    return fits & ~stopped
