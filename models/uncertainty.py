"""How sure a maximum likelihood estimate is."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP = 1e-3  # of a parameter's logarithm: the error of the second difference is about 1e-6 of it


def standard_errors(log_likelihood: Callable[[Array], float], estimate: Array) -> Array:
    """Return the standard errors of positive parameters at their maximum likelihood estimate.

    Parameters
    ----------
    log_likelihood
        Of the parameters, shape (k,), summed over customers.
    estimate
        Shape (k,), all above 0.

    Returns
    -------
    Array
        Shape (k,), in the parameters' units; NaN where the likelihood has no peak.

    Notes
    -----
    From the observed information: the second derivatives in the parameters' logarithms, by central
    differences, inverted and brought back by the delta method.
    """
    k = len(estimate)
    information = np.empty((k, k))

    def at(*moves: tuple[int, float]) -> float:
        log_params = np.log(estimate)
        for index, step in moves:
            log_params[index] += step
        return log_likelihood(np.exp(log_params))

    for i in range(k):
        for j in range(i + 1):
            corners = [
                sign_i * sign_j * at((i, sign_i * STEP), (j, sign_j * STEP))
                for sign_i in (1, -1)
                for sign_j in (1, -1)
            ]
            information[i, j] = information[j, i] = -sum(corners) / (4 * STEP**2)
    try:
        variance = np.diag(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        return np.full(k, np.nan)
    return np.asarray(estimate * np.sqrt(np.where(variance > 0, variance, np.nan)))
