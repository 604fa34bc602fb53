"""Several lifts, and what was believed before: normal with normal.

References
----------
.. [1] Paule & Mandel (1982), Consensus Values and Weighting Factors, Journal of Research of the National
   Bureau of Standards 87(5); DerSimonian & Kacker (2007), Contemporary Clinical Trials 28(2).
.. [2] Morris (1983), Parametric Empirical Bayes Inference, JASA 78(381): deviations that know that the
   whole was learned from the same estimates.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from models.lift.checks import Array, finite, positive


def shrink(estimates: ArrayLike, standard_errors: ArrayLike) -> tuple[Array, Array]:
    """Draw each segment's lift towards the whole, the more the less is known of it.

    Parameters
    ----------
    estimates, standard_errors
        Arrays of shape (k,), in the outcome's unit a customer.

    Returns
    -------
    tuple
        Means and standard deviations of the lifts given all estimates, shape (k,). The variance between
        segments is Paule and Mandel's [1]_, none where the estimates differ no more than by chance.

    Raises
    ------
    ValueError
        Wrong shapes, no segments, unknown values, or a standard error of 0 or less.
    """
    y = finite("estimates", estimates)
    s2 = positive("standard_errors", finite("standard_errors", standard_errors, len(y))) ** 2
    if not len(y):
        raise ValueError("shrinking needs segments: there are none. Measure one at least")
    if len(y) == 1:
        return y, np.sqrt(s2)
    between = _between(y, s2)
    weights = 1 / (s2 + between)
    whole = float(weights @ y / weights.sum())
    towards = s2 / (s2 + between)
    unsure = towards**2 / weights.sum() + _unsure_of_between(y - whole, towards)
    return whole + (1 - towards) * (y - whole), np.sqrt((1 - towards) * s2 + unsure)


def posterior(
    prior_mean: ArrayLike,
    prior_deviation: ArrayLike,
    estimate: ArrayLike,
    standard_error: ArrayLike,
) -> tuple[Array, Array]:
    """Return what is known of a lift once what was assumed has been measured.

    Parameters
    ----------
    prior_mean, prior_deviation
        What was assumed, in the outcome's unit a customer. One number or shape (k,).
    estimate, standard_error
        What was measured. One number or shape (k,).

    Returns
    -------
    tuple
        Mean and standard deviation, of the arguments' shape: each counts by the inverse of its
        variance, so that a large experiment replaces the assumption.

    Raises
    ------
    ValueError
        Unknown values, or a deviation or standard error of 0 or less.
    """
    assumed = positive("prior_deviation", prior_deviation) ** -2
    measured = positive("standard_error", standard_error) ** -2
    means = [np.asarray(value, dtype=np.float64) for value in (prior_mean, estimate)]
    if not all(np.isfinite(mean).all() for mean in means):
        raise ValueError("a posterior needs known means: one is NaN or infinite. Leave it out")
    precision = assumed + measured
    return (assumed * means[0] + measured * means[1]) / precision, precision**-0.5


def _between(y: Array, s2: Array) -> float:
    """Return the variance between segments at which the estimates differ as expected."""

    def excess(between: float) -> float:
        weights = 1 / (s2 + between)
        return float(weights @ (y - weights @ y / weights.sum()) ** 2) - (len(y) - 1)

    if excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, float(np.square(y - y.mean()).sum())))


def _unsure_of_between(apart: Array, towards: Array) -> Array:
    """Return the variance that comes of not knowing the one between segments [2]_."""
    k = len(apart)
    return 2 / (k - 3) * np.square(towards * apart) if k > 3 else np.zeros(k)
