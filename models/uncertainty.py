"""How sure a maximum likelihood estimate of positive parameters is."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP = 1e-4  # of a parameter's logarithm, between the gradients that the Hessian is made of


def log_covariance(
    slope: Callable[[Array], Array], best: Array, is_free: NDArray[np.bool_]
) -> Array:
    """Return the covariance of the parameters' logarithms at their maximum likelihood estimate.

    Parameters
    ----------
    slope
        Of the parameters' logarithms, shape (k,): the gradient of the summed log-likelihood in them.
    best
        Shape (k,): the estimate's logarithms.
    is_free
        Shape (k,): the parameters in which the likelihood has a peak; the others are held.

    Returns
    -------
    Array
        Shape (k, k), the inverse of the observed information; 0 where a parameter is held, NaN where
        the likelihood has no peak.
    """
    free = np.flatnonzero(is_free)
    information = np.empty((len(free), len(free)))
    for row, i in enumerate(free):
        move = np.zeros(len(best))
        move[i] = STEP
        information[row] = (slope(best - move) - slope(best + move))[free] / (2 * STEP)
    covariance = np.zeros((len(best), len(best)))
    try:
        np.linalg.cholesky((information + information.T) / 2)  # there is a peak
        covariance[np.ix_(free, free)] = np.linalg.inv((information + information.T) / 2)
    except np.linalg.LinAlgError:
        covariance[np.ix_(free, free)] = np.nan
    return covariance


def standard_errors(estimate: Array, covariance: Array) -> Array:
    """Return parameters' standard errors, shape (k,), by the delta method; NaN for one that is held.

    Parameters
    ----------
    estimate
        Shape (k,), all above 0.
    covariance
        Shape (k, k), of their logarithms.
    """
    variance = np.diag(covariance)
    return np.asarray(estimate * np.sqrt(np.where(variance > 0, variance, np.nan)))
