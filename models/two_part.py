"""A learned forecast of value: the chance of any order, times the value given one.

Gradient-boosted trees see what a purchase model does not: what a customer did of late, how the last
silence compares with their own rhythm, how their orders grow. The purchase model's own answers are
among what they see.

References
----------
.. [1] Duan, Manning, Morris & Newhouse (1983), A Comparison of Alternative Models for the Demand for
   Medical Care, Journal of Business & Economic Statistics 1(2): the two parts.
.. [2] Duan (1983), Smearing Estimate: A Nonparametric Retransformation Method, JASA 78(383).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

STATE = (
    "frequency",
    "recency_days",
    "age_days",
    "monetary_value",
    "revenue",
    "first_amount",
    "first_discount_share",
)
TREES: dict[str, Any] = {
    "max_iter": 150,
    "max_leaf_nodes": 8,
    "learning_rate": 0.05,
    "early_stopping": False,
    "random_state": 0,
}
LEAST_ACTIVE = 100  # customers who ordered later, and who did not: fewer carry no trees
MOST_ROWS = 200_000  # that trees are grown from


class TwoPartError(ValueError):
    """Too few outcomes to learn from: says the rule and the finding."""


@dataclass(frozen=True)
class TwoPart:
    """A fitted two-part model.

    Attributes
    ----------
    any_order, log_value
        scikit-learn's classifier of ordering at all, and regressor of the log net amount given that.
    smear
        What the exponential of a mean logarithm is multiplied by [2]_.
    """

    any_order: Any
    log_value: Any
    smear: float

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Predict from :func:`design`'s features, shape (n, k).

        Returns
        -------
        tuple
            Arrays of shape (n,): the chance of any order, and the expected net amount, undiscounted.
        """
        if not len(features):
            return np.zeros(0), np.zeros(0)
        p = np.asarray(self.any_order.predict_proba(features)[:, 1])
        return p, p * self.smear * np.exp(self.log_value.predict(features))


def design(
    state: Mapping[str, ArrayLike], recent: Sequence[str], by_purchases: Sequence[Array]
) -> Array:
    """Lay out what is known of customers for the trees.

    Parameters
    ----------
    state
        Columns by name, each of shape (n,): :data:`STATE` and `recent`; NaN, or no column = not given.
    recent
        Names of the columns that tell of late.
    by_purchases
        Arrays of shape (n,): what purchase and spend models say.

    Returns
    -------
    Array
        Shape (n, 7 + 2 + number of the others). The two are the days of silence, and the same over the
        customer's own mean gap.
    """
    x, t_x, T = (np.asarray(state[name], dtype=np.float64) for name in STATE[:3])
    none = np.full(len(x), np.nan)
    given = [np.asarray(state.get(name, none), dtype=np.float64) for name in (*STATE, *recent)]
    silent = T - t_x
    own = silent * np.maximum(x, 0.5) / (t_x + 1)
    return np.column_stack([*given, silent, own, *by_purchases])


def fit_two_part(features: Array, orders: Array, value: Array) -> TwoPart:
    """Grow the trees.

    Parameters
    ----------
    features
        Shape (n, k), :func:`design`'s, as known on past days.
    orders, value
        Arrays of shape (n,): purchase days and net amount of the window after each.

    Returns
    -------
    TwoPart
        The same for the same rows in the same order.

    Raises
    ------
    TwoPartError
        Fewer than 100 of the customers ordered, or did not.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    rows = _some(len(features))
    features, orders, value = features[rows], orders[rows], value[rows]
    is_active = orders > 0
    few = min(int(is_active.sum()), int((~is_active).sum()))
    worth = is_active & (value > 0)
    if few < LEAST_ACTIVE or worth.sum() < LEAST_ACTIVE:
        raise TwoPartError(
            f"trees need {LEAST_ACTIVE} customers who ordered and {LEAST_ACTIVE} who did not: "
            f"there are {int(is_active.sum()):,} and {int((~is_active).sum()):,}"
        )
    features = np.where(np.isnan(features).all(axis=0), 0.0, features)  # nowhere given: no split
    any_order = HistGradientBoostingClassifier(**TREES).fit(features, is_active)
    log_value = HistGradientBoostingRegressor(**TREES).fit(features[worth], np.log(value[worth]))
    fitted = np.exp(log_value.predict(features[is_active]))
    smear = float(np.maximum(value[is_active], 0).sum() / fitted.sum())
    return TwoPart(any_order, log_value, smear)


def _some(count: int) -> Any:  # noqa: ANN401  # an index
    """Choose rows to learn from, always the same ones."""
    if count <= MOST_ROWS:
        return slice(None)
    return np.sort(np.random.default_rng(0).choice(count, MOST_ROWS, replace=False))
