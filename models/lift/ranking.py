"""Whether a ranking by uplift finds those who respond, and what a rule would be worth.

References
----------
.. [1] Radcliffe (2007), Using Control Groups to Target on Predicted Lift, Direct Marketing Analytics
   Journal; Devriendt, Van Belle, Guns & Verbeke (2020), Learning to Rank for Uplift Modeling, IEEE TKDE:
   of their curves the one ranked by arm, relative to each arm's size.
.. [2] Hoeffding (1948), A Class of Statistics with Asymptotically Normal Distribution, Annals of
   Mathematical Statistics 19(3): what each customer adds to a statistic of ranks.
.. [3] Owen (2013), Monte Carlo Theory, Methods and Examples, chapter 9: importance sampling, plain and
   self-normalized.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from models.lift.arms import LEAST_IN_ARM
from models.lift.average import DRAWS, SEED, bootstrap_lift
from models.lift.checks import Array, LiftError, both_arms, finite, flags
from models.lift.design import LEVEL


@dataclass(frozen=True)
class Qini:
    """Area between the uplift curve and the random line, in the outcome's unit a customer.

    Attributes
    ----------
    estimate
        Above 0 where those ranked first respond more.
    low, high
        Ends of the 95 % interval.
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class PolicyValue:
    """What a rule would bring, in the outcome's unit a customer.

    Attributes
    ----------
    estimate
        Mean outcome if the rule chose for everybody.
    low, high
        Ends of the 95 % interval.
    n_matched
        Customers who happened to get what the rule chooses: only these are evidence.
    """

    estimate: float
    low: float
    high: float
    n_matched: int


def qini(
    uplift: ArrayLike,
    is_treated: ArrayLike,
    outcome: ArrayLike,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Qini:
    r"""Return the area between the uplift curve and the random line.

    The curve :math:`Q(s)` is what treating the share s of customers ranked first brings, a customer of
    all: the outcomes of the first s of those treated over the number treated, less the outcomes of the
    first s of those held out over the number held out [1]_. Each arm is ranked by itself, so that arms of
    any sizes compare and an outcome that is the same for all adds nothing. Customers of equal uplift
    share their ranks, as if in random order. The curve ends at the average lift; the random line leads
    straight there. The area is :math:`\int_0^1 Q(s) - s\,Q(1)\,ds`, which by each customer's rank share
    r (0 first, 1 last) in its arm is the treated's mean of :math:`(1/2 - r)\,y` less that of the held out.

    Parameters
    ----------
    uplift
        Shape (n,): by which to rank, the highest first. Predictions must not have seen these outcomes.
    is_treated
        Shape (n,), True or False.
    outcome
        Shape (n,), any unit.
    draws, seed
        As in :func:`models.lift.bootstrap_lift`.

    Returns
    -------
    Qini
        With the bootstrap-t interval of what each customer adds to the area, ranks included [2]_;
        without ends where all of an arm add the same, which tells nothing of chance.

    Raises
    ------
    ValueError
        Wrong shapes, unknown values, an arm that is not True or False.
    LiftError
        An arm of fewer than two customers.
    """
    y = finite("outcome", outcome)
    score, treated = finite("uplift", uplift, len(y)), flags("is_treated", is_treated, len(y))
    both_arms(treated, LEAST_IN_ARM)
    added = np.empty(len(y))
    for arm in (treated, ~treated):
        added[arm] = _added(score[arm], y[arm])
    if not np.ptp(added) > 1e-9 * np.abs(y).max(initial=0.0):  # one rank for all, or one outcome
        return Qini(0.0, 0.0, 0.0)
    if not max(np.ptp(added[treated]), np.ptp(added[~treated])) > 0:
        return Qini(float(added[treated].mean() - added[~treated].mean()), -np.inf, np.inf)
    lift = bootstrap_lift(added, treated, draws=draws, seed=seed)
    return Qini(lift.estimate, lift.low, lift.high)


def policy_value(
    action: ArrayLike,
    propensity: ArrayLike,
    outcome: ArrayLike,
    policy: ArrayLike,
    *,
    is_self_normalized: bool = False,
) -> PolicyValue:
    """Estimate what a rule would have brought, from actions that were drawn at random.

    Parameters
    ----------
    action
        Shape (n,): what each customer got.
    propensity
        Chance with which each was to get that, above 0 and at most 1. Shape (n,).
    outcome
        Shape (n,), any unit.
    policy
        Shape (n,): what the rule chooses for each, of the same type as `action`. It must not have seen
        these outcomes.
    is_self_normalized
        Whether to divide by the weights that came instead of those expected [3]_: less noise where
        outcomes lie far from 0, for a bias that vanishes with n.

    Returns
    -------
    PolicyValue
        The mean of the outcomes of those who got what the rule chooses, weighted by the inverse of
        their chance, with its normal interval.

    Raises
    ------
    ValueError
        Wrong shapes, unknown values, chances outside 0 to 1.
    LiftError
        Fewer than two customers got what the rule chooses.
    """
    y = finite("outcome", outcome)
    p = finite("propensity", propensity, len(y))
    if not ((p > 0) & (p <= 1)).all():
        raise ValueError(
            f"a propensity is above 0 and at most 1: got {p.min():g} to {p.max():g}. "
            "Pass the chance of the action that each got"
        )
    got, wanted = (
        _actions(name, a, len(y)) for name, a in (("action", action), ("policy", policy))
    )
    matched = got == wanted
    if matched.sum() < 2:
        raise LiftError(
            f"a rule's value needs customers who got what it chooses: {int(matched.sum())} of "
            f"{len(y):,} did. Draw more actions at random"
        )
    weight = matched / p
    value = float((weight @ y) / (weight.sum() if is_self_normalized else len(y)))
    added = weight * (y - value) / weight.mean() if is_self_normalized else weight * y - value
    error = float(np.sqrt(added @ added / (len(y) - 1) / len(y)))
    margin = float(stdtrit(int(matched.sum()) - 1, 1 - LEVEL / 2)) * error
    return PolicyValue(value, value - margin, value + margin, int(matched.sum()))


def _added(score: Array, y: Array) -> Array:
    """Return what each customer adds to an arm's area, whose mean is the area; shape (n,)."""
    _, group, sizes = np.unique(-score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - sizes / 2) / len(score)
    outcomes = np.bincount(group, y)
    # The ranks are the sample's own: a customer also moves all those ranked after it
    after = (outcomes.sum() - np.cumsum(outcomes) + outcomes / 2) / len(score)
    r = ranks[group]
    return np.asarray((0.5 - r) * y - after[group] + float(r @ y) / len(score))


def _actions(name: str, values: ArrayLike, count: int) -> NDArray[np.generic]:
    actions: NDArray[np.generic] = np.asarray(values)
    if actions.shape != (count,):
        raise ValueError(
            f"{name} has shape ({count:,},): got {actions.shape}. Pass one a customer"
        )
    if actions.dtype.kind == "f":
        return finite(name, actions)
    return actions
