"""Maximum likelihood of positive parameters: from several starts, and how sure the result is."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]
Loss = Callable[[Array], tuple[float, Array]]  # of log parameters: the loss, and its gradient

ROUGH = {"ftol": 1e-9, "gtol": 1e-6, "maxiter": 100}
EXACT = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500}
RIVAL = 1e-3  # share of the loss by which a second peak may be worse, roughly, and is climbed too
STEP = 1e-4  # of a parameter's logarithm, between the gradients that a Hessian is made of
NEAR = 1e-9  # a step of the logarithms that is no more worth taking
STEPS = 25
EDGE = 0.1  # of a logarithm: what is nearer to a bound has no peak inside


def most_likely(
    rough: Loss, exact: Loss, starts: Sequence[Array], low: Array, high: Array
) -> tuple[Array, float]:
    """Find the parameters of least loss.

    Parameters
    ----------
    rough
        Mean negative log-likelihood of a few histories that stand for all, with its gradient, in the
        parameters' logarithms: the starts are judged by it.
    exact
        The same of all histories.
    starts
        Logarithms of the parameters to start from, each of shape (k,).
    low, high
        Bounds of the logarithms, shape (k,).

    Returns
    -------
    tuple
        The best logarithms, shape (k,), and the loss there.
    """
    inside = [np.clip(start, low + EDGE, high - EDGE) for start in starts]
    ranked = sorted((_climb(rough, start, low, high, ROUGH) for start in inside), key=_loss_of)
    (best, loss), *others = ranked
    rivals = [
        point
        for point, other in others
        if other - loss < RIVAL * abs(loss) and np.abs(point - best).max() > 0.5
    ]
    optima = [_polish(rough, exact, point, low, high) for point in (best, *rivals[:1])]
    return min(optima, key=_loss_of)


def _loss_of(optimum: tuple[Array, float]) -> float:
    return optimum[1]


def _climb(
    loss: Loss, start: Array, low: Array, high: Array, options: dict[str, float]
) -> tuple[Array, float]:
    """Minimize a loss from a start, inside the bounds."""
    bounds = list(zip(low, high, strict=True))
    optimum = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return optimum.x, float(optimum.fun)


def _polish(
    rough: Loss, exact: Loss, start: Array, low: Array, high: Array
) -> tuple[Array, float]:
    """Go from the rough optimum to the exact one: by Newton's steps, whose Hessian is the rough one's.

    Where they do not lead downhill, or to a bound, the exact loss is climbed down from there.
    """
    curve = log_covariance(lambda at: -rough(at)[1], start, np.ones(len(start), dtype=np.bool_))
    at, (loss, slope) = start, exact(start)
    if np.isfinite(curve).all():
        for _ in range(STEPS):
            move = -curve @ slope
            if np.abs(move).max() < NEAR:
                return at, loss
            further = at + move
            if (further <= low).any() or (further >= high).any():
                break
            next_loss, slope = exact(further)
            if not next_loss <= loss + 1e-14 * abs(loss):
                break
            at, loss = further, next_loss
    return _climb(exact, at, low, high, EXACT)


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
