"""Who gets the investment: what it adds per unit of cost, funded until the budget is spent.

An action makes a customer buy faster for a while, and keeps some of those who would have left. What
that adds depends on the customer: nothing can be won of the lapsed, whose money is already lost, and
little of those who buy anyway. Ranking by risk pays for the first, ranking by value for the second.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from segments.allocation import Frontier, allocate, marginal_return, return_curve
from segments.offers import (
    UNCERTAINTY,
    Action,
    Array,
    EffectEstimate,
    EffectEstimates,
    Granted,
    IncrementalValue,
    Offered,
    Offers,
    Plan,
)

__all__ = [
    "TIERS",
    "UNCERTAINTY",
    "Action",
    "EffectEstimate",
    "EffectEstimates",
    "Frontier",
    "Funded",
    "Granted",
    "IncrementalValue",
    "Investment",
    "Offered",
    "Offers",
    "Plan",
    "allocate",
    "fund",
    "invest",
]

TIERS = ("heavy", "standard", "light", "none")
CURVE_POINTS = 40


@dataclass(frozen=True)
class Funded:
    """What a budget pays for.

    Attributes
    ----------
    choice
        Shape (n,): the column chosen for each customer.
    spent
        Cost of all customers who are not held out.
    next_return
        What one more unit of budget would bring back; NaN where there is nothing left to fund.
    curve, curve_spent
        What budgets would gain net of cost, without caps, for customers outside the test share, and what of
        `spent` is theirs; None and 0 where there are none.
    """

    choice: NDArray[np.int8]
    spent: float
    next_return: float
    curve: Frontier | None
    curve_spent: float


@dataclass(frozen=True)
class Investment(Granted):
    """What each customer gets, and what that costs: as :class:`Granted` and :class:`Funded` say.

    Attributes
    ----------
    spent, next_return, curve, curve_spent
        See :class:`Funded`.
    """

    spent: float
    next_return: float
    curve: Frontier | None
    curve_spent: float


def invest(
    incremental_value: IncrementalValue,
    actions: Sequence[Action],
    is_holdout: ArrayLike,
    plan: Plan,
    *,
    effects: EffectEstimates | None = None,
    multiples: Mapping[str, Array] | None = None,
    is_eligible: ArrayLike = True,
    is_explorer: ArrayLike = False,
) -> Investment:
    """Fund what adds most per unit of cost first, until the budget is spent.

    Parameters
    ----------
    incremental_value
        What there is to win of n customers.
    actions
        What can be done, at most one for each customer.
    is_holdout
        Shape (n,): held-out customers get the tier that they would have, and use no budget.
    plan
        How the budget is to be used.
    effects
        Measured effects; the others are assumed.
    multiples
        By tier, shape (n,): what an effect was measured to be for each customer, as a multiple of the
        assumed one, in place of the mean of the customer's segment.
    is_eligible
        Shape (n,): whether something may be done for the customer now.
    is_explorer
        Shape (n,): for whom effects are drawn; matters where ``plan.exploration`` is above 0.

    Returns
    -------
    Investment
        Never an action that is taken to bring back less than the hurdle, never more cost than the
        budget.

    Raises
    ------
    ValueError
        A cost that is not positive.

    Notes
    -----
    The multiple-choice knapsack, see :func:`segments.allocation.allocate`.
    """
    code, segments = pd.factorize(np.asarray(incremental_value.segment, dtype=object), sort=True)
    n = len(code)
    held, eligible, explores = (
        np.broadcast_to(np.asarray(flag, dtype=bool), n)
        for flag in (is_holdout, is_eligible, is_explorer)
    )
    explores = explores & (plan.exploration > 0)
    offers = Offers.of(actions, list(segments), plan, effects or {})
    offered = offers.to(incremental_value, code, multiples)
    net = offered.net(explores)
    net[~eligible, 1:] = -1.0
    funded = fund(net, offered.costs, offers, held=held, explores=explores)
    granted = offered.granted(funded.choice.astype(np.intp))
    totals = {name: value for name, value in vars(funded).items() if name != "choice"}
    return Investment(**vars(granted), **totals)


def fund(
    net: Array,
    costs: Array,
    offers: Offers,
    *,
    held: NDArray[np.bool_],
    explores: NDArray[np.bool_],
) -> Funded:
    """Choose what each of n customers gets; the test share has a budget of its own.

    Parameters
    ----------
    net
        Shape (n, k): what each action gains above what its cost counts for; below 0 where there is
        nothing to be had.
    costs
        Shape (n, k).
    offers
        The actions, their caps, and the plan.
    held, explores
        Shape (n,): who uses no budget, and who is in the test share.
    """
    plan, n = offers.plan, len(net)
    share = plan.exploration if explores.any() else 0.0
    choice = np.zeros(n, dtype=np.int8)
    next_return, curve, curve_spent = np.nan, None, 0.0
    gains_any = (net[:, 1:] > 0).any(axis=1)  # of the others nothing is to be chosen
    for is_drawn, part in ((False, 1.0 - share), (True, share)):
        if not (explores == is_drawn).any():
            continue
        here = np.flatnonzero((explores == is_drawn) & gains_any)
        gain, cost, out = net[here], costs[here], held[here]
        budget = plan.budget * part
        with ThreadPoolExecutor() as pool:  # NumPy lets them work beside each other
            taken = pool.submit(
                allocate,
                gain,
                cost,
                budget,
                caps=_shared(offers.caps, part),
                hurdle=plan.hurdle - plan.base,
                held=out,
            )
            if not is_drawn:
                more = pool.submit(marginal_return, gain, cost, budget, held=out)
                over_cost = gain - (1 - plan.base) * cost
                curve = return_curve(over_cost, cost, CURVE_POINTS, held=out)
                next_return = plan.base + more.result()
            choice[here] = taken.result()
        if not is_drawn:
            curve_spent = _paid(cost, choice[here], out)
    return Funded(choice, _paid(costs, choice, held), next_return, curve, curve_spent)


def _paid(costs: Array, choice: NDArray[np.int8], held: NDArray[np.bool_]) -> float:
    paid = costs[np.arange(len(choice)), choice]
    return float(paid[~held].sum())


def _shared(caps: Array, share: float) -> Array:
    """Return a share of the places; no cap stays none."""
    is_capped = np.isfinite(caps)
    return np.where(is_capped, np.floor(share * np.where(is_capped, caps, 0)), np.inf)
