"""An interval that may be looked at every day: it holds at all looks together.

References
----------
.. [1] Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-Uniform Central Limit Theory and
   Asymptotic Confidence Sequences, Annals of Statistics 52(6), arXiv:2103.06476: the Gaussian mixture
   boundary, and where it is narrowest.
.. [2] Robbins (1970), Statistical Methods Related to the Law of the Iterated Logarithm, Annals of
   Mathematical Statistics 41(5): the normal mixture.
.. [3] Slepian (1962), The One-Sided Barrier Problem for Gaussian Noise, Bell System Technical Journal
   41(2).
"""

from dataclasses import replace
from math import exp

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import lambertw

from models.lift.average import Lift
from models.lift.checks import Array, LiftError, positive, share
from models.lift.design import LEVEL

LEAST_AT_LOOK = 200  # customers of either arm: the interval holds by the central limit


def always_valid(lift: Lift, planned_share: float, level: float = LEVEL) -> Lift:
    r"""Widen a lift's interval so that it holds at every look together.

    Parameters
    ----------
    lift
        As measured at this look, by :func:`models.lift.average_lift`.
    planned_share
        How much of what the plan will know this look knows, above 0: the variance of the sum (not the
        mean) of outcomes over what it will be on the planned day. Customers observed for their whole
        window over those planned; or, for one cohort whose outcomes still grow, the square of this
        look's standard error over that planned. It is the boundary's one tuning parameter,
        :math:`t \rho^2` up to a constant: the interval is narrowest about 1, and holds whatever the plan,
        as long as one plan serves all looks.
    level
        Chance that the interval misses the lift at any look, ever.

    Returns
    -------
    Lift
        With ``low``, ``high`` and ``p_value`` that hold at every look: stop whenever you like.

    Raises
    ------
    ValueError
        A share of 0 or less, or a level that is none.
    LiftError
        Fewer than 200 customers in an arm.

    Notes
    -----
    The theorem is of customers who arrive one after the other. Where one cohort's outcomes grow, those
    who bought before buy more again; looks are then more alike than the theorem's, and the chance to
    miss at any of them is smaller, by Slepian's inequality [3]_.
    """
    if min(lift.n_treated, lift.n_control) < LEAST_AT_LOOK:
        raise LiftError(
            f"an early look needs {LEAST_AT_LOOK} customers in each arm: {lift.n_treated:,} are treated, "
            f"{lift.n_control:,} held out. Look again later"
        )
    low, high, p_value = always_valid_interval(
        lift.estimate, lift.standard_error, planned_share, level
    )
    return replace(lift, low=float(low), high=float(high), p_value=float(p_value))


def always_valid_interval(
    estimate: ArrayLike, standard_error: ArrayLike, planned_share: ArrayLike, level: float = LEVEL
) -> tuple[Array, Array, Array]:
    r"""Return ends and p-value of the confidence sequence at one or many looks.

    Parameters
    ----------
    estimate, standard_error
        Arrays of shape (looks,), in the outcome's unit a customer.
    planned_share, level
        As in :func:`always_valid`; shape (looks,), and one number.

    Returns
    -------
    tuple
        Low, high and p-value, of shape (looks,): the estimate ± its standard error times
        :math:`\sqrt{(1 + 1/\nu) \log((1 + \nu) / \alpha^2)}`, where :math:`\nu = t \rho^2` is the
        share times what makes the interval narrowest at 1 [1]_. The p-value is the inverse of the
        mixture's likelihood ratio [2]_, at most 1.

    Raises
    ------
    ValueError
        A standard error or share of 0 or less, or a level that is none.
    """
    error = positive("standard_error", standard_error)
    nu = positive("planned_share", planned_share) * _narrowest(level)
    center = np.asarray(estimate, dtype=np.float64)
    margin = error * np.sqrt((1 + 1 / nu) * (np.log1p(nu) - 2 * np.log(level)))
    evidence = np.square(center / error) / 2 * nu / (1 + nu) - np.log1p(nu) / 2
    return center - margin, center + margin, np.exp(-np.maximum(evidence, 0.0))


def _narrowest(level: float) -> float:
    """Return nu = t rho^2 for which the boundary is narrowest at t."""
    return float(-lambertw(-(share("level", level) ** 2) * exp(-1), -1).real) - 1
