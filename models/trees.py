"""Gradient-boosted trees of what customers do within a window: any order, orders, and order value.

They see what a purchase model does not: what a customer did of late, how the last silence compares
with their own rhythm, how their orders grow. The purchase model's own forecast is among the features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from features.tables import HISTORY

Array = NDArray[np.float64]

STATE = (
    *HISTORY,
    "monetary_value",
    "revenue",
    "first_amount",
    "first_discount_share",
)
TREES: dict[str, Any] = {
    "max_iter": 100,
    "max_leaf_nodes": 8,
    "learning_rate": 0.07,
    "early_stopping": False,
    "random_state": 0,
}
LEAST_ACTIVE = 100  # customers who ordered, and who did not, below which trees only fit noise
MOST_ROWS = 100_000  # rows that trees are fitted to


class TreesError(ValueError):
    """Too few outcomes to fit trees to."""


class TreeForecast(NamedTuple):
    """What trees predict; arrays of shape (n,).

    Attributes
    ----------
    chance
        Chance of any order within the window.
    orders
        Purchase days within the window.
    order_value
        Net amount of a purchase day, store's currency.
    """

    chance: Array
    orders: Array
    order_value: Array


@dataclass(frozen=True)
class OutcomeTrees:
    """Fitted trees.

    Attributes
    ----------
    any_order
        scikit-learn's classifier of any order within the window.
    orders
        Its regressor of the number of purchase days (Poisson loss).
    log_value
        Its regressor of the logarithm of the mean order value of those who ordered.
    """

    any_order: Any
    orders: Any
    log_value: Any

    def predict(self, features: Array) -> TreeForecast:
        """Predict from the features of :func:`design`, shape (n, k)."""
        if not len(features):
            return TreeForecast(*np.zeros((3, 0)))
        return TreeForecast(
            np.asarray(self.any_order.predict_proba(features)[:, 1]),
            np.asarray(self.orders.predict(features)),
            np.exp(self.log_value.predict(features)),
        )


def design(
    state: Mapping[str, ArrayLike], recent: Sequence[str], by_purchases: Sequence[Array]
) -> Array:
    """Lay out the features of the trees.

    Parameters
    ----------
    state
        Columns by name, each of shape (n,): :data:`STATE` and `recent`; NaN, or no column = not given.
    recent
        Names of the columns of recent orders and amounts.
    by_purchases
        Arrays of shape (n,): the forecast of the purchase and spend models.

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


def fit_trees(features: Array, orders: Array, value: Array) -> OutcomeTrees:
    """Fit the trees.

    Parameters
    ----------
    features
        Shape (n, k), of :func:`design`, at past cutoffs.
    orders, value
        Arrays of shape (n,): purchase days and net amount of the window after each.

    Returns
    -------
    OutcomeTrees
        The same for the same rows in the same order.

    Raises
    ------
    TreesError
        Fewer than 100 of the customers ordered, or did not.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    rows = _sample(len(features))
    features, orders, value = features[rows], orders[rows], value[rows]
    is_active = orders > 0
    is_paid = is_active & (value > 0)
    if min(is_paid.sum(), (~is_active).sum()) < LEAST_ACTIVE:
        raise TreesError(
            f"trees need {LEAST_ACTIVE} histories at past cutoffs that an order follows and {LEAST_ACTIVE} "
            f"that none follows: there are {int(is_paid.sum()):,} and {int((~is_active).sum()):,}"
        )
    features = np.where(np.isnan(features).all(axis=0), 0.0, features)  # nowhere given: no split
    return OutcomeTrees(
        HistGradientBoostingClassifier(**TREES).fit(features, is_active),
        HistGradientBoostingRegressor(loss="poisson", **TREES).fit(features, orders),
        HistGradientBoostingRegressor(**TREES).fit(
            features[is_paid], np.log(value[is_paid] / orders[is_paid])
        ),
    )


def _sample(count: int) -> Any:  # noqa: ANN401  # an index
    """Choose the rows to fit to, always the same ones."""
    if count <= MOST_ROWS:
        return slice(None)
    return np.sort(np.random.default_rng(0).choice(count, MOST_ROWS, replace=False))
