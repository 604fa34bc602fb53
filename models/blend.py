"""Several forecasts in one: weights learned on past days whose outcomes are known.

Values are blended in their logarithms, chances in their log odds, with weights of 0 or more: a rise
of one forecast never lowers the blend. The blend ranks customers; its level is set to that of the
purchase model, whose level does not depend on the season that the weights were learned in.

References
----------
.. [1] Ranjan & Gneiting (2010), Combining Probability Forecasts, JRSS B 72(1), 71-91.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit

Array = NDArray[np.float64]

LEAST_SHARE = 1e-3  # of a forecast's mean: what is less is no more told apart
EDGE = 1e-6  # of chances


@dataclass(frozen=True)
class Blend:
    """Weights of several forecasts.

    Attributes
    ----------
    value_weights, value_floors
        Of each forecast of value: the power that it is raised to, and the least it counts as.
    value_level
        What the product is multiplied by.
    chance_weights, chance_level
        Of each forecast of ordering: the weight of its log odds; and what is added to their sum.
    orders_level
        What the purchase model's expected orders, changed as the chances are, are multiplied by.
    """

    value_weights: tuple[float, ...]
    value_floors: tuple[float, ...]
    chance_weights: tuple[float, ...]
    value_level: float = 1.0
    chance_level: float = 0.0
    orders_level: float = 1.0

    def value(self, forecasts: Array) -> Array:
        """Blend forecasts of value, shape (n, forecasts), to shape (n,)."""
        return np.asarray(np.exp(self._log_value(forecasts)) * self.value_level)

    def chance(self, forecasts: Array) -> Array:
        """Blend chances of an order, shape (n, forecasts), to shape (n,)."""
        return np.asarray(expit(self._log_odds(forecasts) + self.chance_level))

    def leveled(self, values: Array, chances: Array, total: float, active: float) -> "Blend":
        """Return the blend whose values and chances sum to what is given.

        Parameters
        ----------
        values, chances
            Shapes (n, forecasts).
        total, active
            Sums of value and of chances to come to, both above 0 and `active` below n.
        """
        log_odds = self._log_odds(chances)
        ends = (-50.0, 50.0)
        level = brentq(lambda add: float(expit(log_odds + add).sum()) - active, *ends)
        raw = float(np.exp(self._log_value(values)).sum())
        return replace(self, value_level=total / raw, chance_level=float(level))

    def _log_value(self, forecasts: Array) -> Array:
        found = np.zeros(len(forecasts))
        for i, (weight, floor) in enumerate(
            zip(self.value_weights, self.value_floors, strict=True)
        ):
            found += weight * np.log(np.maximum(forecasts[:, i], floor))
        return found

    def _log_odds(self, forecasts: Array) -> Array:
        found = np.zeros(len(forecasts))
        for i, weight in enumerate(self.chance_weights):
            found += weight * logit(np.clip(forecasts[:, i], EDGE, 1 - EDGE))
        return found


def fit_blend(values: Array, value: Array, chances: Array, is_active: Array) -> Blend:
    """Learn the weights of forecasts that did not know the outcomes.

    Parameters
    ----------
    values
        Shape (n, forecasts): expected net amounts.
    value
        Shape (n,): net amounts that came; below 0 counts as nothing.
    chances
        Shape (n, forecasts): chances of an order.
    is_active
        Shape (n,): 1 where one came.

    Returns
    -------
    Blend
        The weights of least Poisson deviance of value and of least log loss of ordering; the levels
        are not set.

    Raises
    ------
    ValueError
        No value came, or everybody ordered or nobody did.
    """
    gain = np.maximum(value, 0.0)
    if not gain.sum() > 0 or not 0 < is_active.mean() < 1:
        raise ValueError("weights need customers who ordered and customers who did not")
    floors = LEAST_SHARE * np.maximum(values.mean(axis=0), 1e-12)
    log_values = np.log(np.maximum(values, floors))
    log_odds = logit(np.clip(chances, EDGE, 1 - EDGE))
    return Blend(
        tuple(_weights(log_values, gain / gain.mean(), np.exp, np.exp).tolist()),
        tuple(floors.tolist()),
        tuple(_weights(log_odds, is_active, _softplus, expit).tolist()),
    )


def _softplus(at: Array) -> Array:
    return np.logaddexp(0, at)


def _weights(
    columns: Array,
    outcome: Array,
    potential: Callable[[Array], Array],
    mean: Callable[[Array], Array],
) -> Array:
    """Fit a generalized linear model with its own link and weights of 0 or more; return the weights."""
    middle = columns.mean(axis=0)
    centered, count = columns - middle, columns.shape[1]

    def loss(at: Array) -> tuple[float, Array]:
        line = np.clip(at[0] + centered @ at[1:], -30, 30)
        error = mean(line) - outcome
        slope = np.r_[error.mean(), (error[:, None] * centered).mean(axis=0)]
        return float((potential(line) - outcome * line).mean()), slope

    start = np.r_[0.0, np.full(count, 1 / count)]
    bounds = [(None, None), *[(0.0, None)] * count]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
    return np.asarray(found.x[1:])
