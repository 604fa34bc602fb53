"""Simple rules as models: what customers with such a score did after past cutoffs.

A rule gives each customer a score, for instance revenue so far. Isotonic regression turns the score
into expected orders and into the chance of any; order value stays Gamma-Gamma's.

References
----------
.. [1] Barlow, Bartholomew, Bremner & Brunk (1972), Statistical Inference under Order Restrictions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.history import States

Array = NDArray[np.float64]

RULES = {
    "total_past": "revenue so far",
    "last_period": "revenue of the last horizon, or of the nearest of 30 to 365 days",
    "recency": "days since the last order",
}
LEAST_CHANCE = 1e-6


@dataclass(frozen=True)
class Steps:
    """A function that never falls, linear between points.

    Attributes
    ----------
    at, value
        Of equal length: places, ascending, and values.
    """

    at: tuple[float, ...]
    value: tuple[float, ...]

    def __call__(self, score: ArrayLike) -> Array:
        """Return the values at scores of shape (n,)."""
        return np.interp(np.asarray(score, dtype=np.float64), self.at, self.value)


def rule_score(rule: str, state: States, days: float) -> Array:
    """Return the scores of a rule of :data:`RULES`, shape (n,); NaN counts as 0.

    Parameters
    ----------
    rule
        Its name.
    state
        Columns of customer state and recent amounts, arrays of shape (n,).
    days
        Length of the window that is forecast.
    """
    if rule == "recency":
        T, t_x = (
            np.asarray(state[name], dtype=np.float64) for name in ("age_days", "recency_days")
        )
        return t_x - T
    column = "revenue"
    if rule == "last_period":
        lengths = (30, 60, 90, 180, 365)
        column = f"amount_{min(lengths, key=lambda length: abs(np.log(length / days)))}d"
    return np.nan_to_num(np.asarray(state[column], dtype=np.float64))


def fit_steps(score: ArrayLike, outcome: ArrayLike) -> Steps:
    """Fit isotonic regression [1]_ of outcomes on scores, arrays of shape (n,)."""
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=LEAST_CHANCE, out_of_bounds="clip").fit(score, outcome)
    return Steps(tuple(model.X_thresholds_.tolist()), tuple(model.y_thresholds_.tolist()))
