"""Who responds: each customer's uplift, learned from a randomized history.

References
----------
.. [1] Künzel, Sekhon, Bickel & Yu (2019), Metalearners for Estimating Heterogeneous Treatment Effects
   Using Machine Learning, PNAS 116(10): the X-learner.
.. [2] Athey & Imbens (2016), Recursive Partitioning for Heterogeneous Causal Effects, PNAS 113(27): the
   transformed outcome.
.. [3] Schuler, Baiocchi, Tibshirani & Shah (2018), A Comparison of Methods for Model Selection when
   Estimating Individual Treatment Effects, arXiv:1804.05146: risks by which to choose.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.lift.checks import Array, Bools, both_arms, finite, flags, matrix

SEED = 20_260_101
FOLDS = 5
HALVES = 2  # by which the outcome to be expected is learned inside a fold
LEAST_TO_LEARN = 100  # customers of either arm: fewer carry no trees
MOST_ROWS = 200_000  # that trees are grown from
TREES: dict[str, Any] = {
    "max_iter": 80,
    "max_leaf_nodes": 6,
    "min_samples_leaf": 40,
    "learning_rate": 0.05,
    "l2_regularization": 10.0,
    "early_stopping": False,
    "random_state": 0,
}

Predictor = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Effect:
    """A weighted sum of trees: scikit-learn's parts, so that they can be kept without pickle.

    Attributes
    ----------
    trees
        Fitted regressors of the same columns.
    weights
        One a regressor.
    """

    trees: tuple[Any, ...]
    weights: tuple[float, ...]

    def __call__(self, x: Array) -> Array:
        """Predict from features, shape (n, k)."""
        total = np.zeros(len(x))
        for tree, weight in zip(self.trees, self.weights, strict=True):
            total += weight * tree.predict(x)
        return total


@dataclass(frozen=True)
class Uplift:
    """A fitted model of each customer's uplift.

    Attributes
    ----------
    learner
        ``x`` or ``transformed``: which did better on customers it had not seen.
    risks
        Of each learner on those: mean squared distance of its uplift from the transformed outcome.
        Only differences mean anything, most of it is noise [3]_.
    columns
        Of features.
    cross_fitted
        Shape (n,), in the outcome's unit: uplift of the customers of the fit, each predicted by models
        that have not seen it. By these :func:`models.lift.qini` judges.
    effect
        What predicts it.
    """

    learner: str
    risks: dict[str, float]
    columns: int
    cross_fitted: Array = field(repr=False, compare=False)
    effect: Effect = field(repr=False, compare=False)

    @classmethod
    def fit(cls, features: ArrayLike, is_treated: ArrayLike, outcome: ArrayLike) -> "Uplift":
        """Learn from customers whose arm was drawn at random, with one chance for all.

        Parameters
        ----------
        features
            Shape (n, k), as known before the draw; NaN = not given.
        is_treated
            Shape (n,), True or False: the arm that each was assigned to.
        outcome
            Shape (n,), any unit.

        Returns
        -------
        Uplift
            The same for the same rows in the same order. Of more than 200,000 customers a drawn part
            teaches, and the others are predicted by what it taught.

        Raises
        ------
        ValueError
            Wrong shapes, infinite features, unknown outcomes, an arm that is not True or False.
        LiftError
            Fewer than 100 customers in an arm.
        """
        y = finite("outcome", outcome)
        x, treated = matrix("features", features, len(y)), flags("is_treated", is_treated, len(y))
        both_arms(treated, LEAST_TO_LEARN)
        rows = _some(len(y))
        with _one_thread():
            return cls._learned(x, treated, y, rows)

    @classmethod
    def _learned(cls, x: Array, treated: Bools, y: Array, rows: NDArray[np.intp]) -> "Uplift":
        own_x, own_treated, own_y = x[rows], treated[rows], y[rows]
        effects, risks = _cross_fitted(own_x, own_treated, own_y)
        best = min(risks, key=lambda name: risks[name])
        effect = LEARNERS[best](own_x, own_treated, own_y)
        everyone = np.empty(len(y))
        everyone[rows] = effects[best]
        others = np.delete(np.arange(len(y)), rows)
        if len(others):
            everyone[others] = effect(x[others])
        return cls(best, risks, x.shape[1], everyone, effect)

    def predict(self, features: ArrayLike) -> Array:
        """Predict the uplift of customers who were not in the fit.

        Parameters
        ----------
        features
            Shape (n, k), the fit's columns; NaN = not given.

        Returns
        -------
        Array
            Shape (n,), in the outcome's unit.

        Raises
        ------
        ValueError
            Another number of columns, or infinite values.
        """
        x = matrix("features", features)
        if x.shape[1] != self.columns:
            raise ValueError(
                f"features have the fit's {self.columns} columns: got {x.shape[1]}. Pass the same ones"
            )
        with _one_thread():
            return self.effect(x) if len(x) else np.zeros(0)


def _x_learner(x: Array, is_treated: Bools, y: Array) -> Effect:
    """Impute what each would have brought in the other arm, and learn the differences [1]_.

    Each arm is imputed by a model of the other, which has not seen it.
    """
    treated, control = _trees(x[is_treated], y[is_treated]), _trees(x[~is_treated], y[~is_treated])
    of_treated = _grown(x[is_treated], y[is_treated] - control(x[is_treated]))
    of_control = _grown(x[~is_treated], treated(x[~is_treated]) - y[~is_treated])
    share = float(is_treated.mean())
    return Effect((of_control, of_treated), (share, 1 - share))


def _transformed_learner(x: Array, is_treated: Bools, y: Array) -> Effect:
    """Learn an outcome whose mean is the uplift, less the noise that is foreseen [2]_."""
    expected = np.empty(len(y))
    for held, others in _folds(is_treated, HALVES):
        expected[held] = _trees(x[others], y[others])(x[held])
    return Effect((_grown(x, _transformed(is_treated, y - expected)),), (1.0,))


LEARNERS: dict[str, Callable[[Array, Bools, Array], Effect]] = {
    "x": _x_learner,
    "transformed": _transformed_learner,
}


def _cross_fitted(
    x: Array, is_treated: Bools, y: Array
) -> tuple[dict[str, Array], dict[str, float]]:
    """Predict each customer by learners that have not seen it, and return how far off they were."""
    effects = {name: np.empty(len(y)) for name in LEARNERS}
    response = np.empty(len(y))
    for held, others in _folds(is_treated, FOLDS):
        response[held] = y[held] - _trees(x[others], y[others])(x[held])
        for name, learner in LEARNERS.items():
            effects[name][held] = learner(x[others], is_treated[others], y[others])(x[held])
    target = _transformed(is_treated, response)
    return effects, {name: float(np.mean((target - tau) ** 2)) for name, tau in effects.items()}


def _transformed(is_treated: Bools, y: Array) -> Array:
    """Weight outcomes so that their mean is the uplift; what is foreseen of both arms may be gone."""
    share = float(is_treated.mean())
    return y * (is_treated - share) / (share * (1 - share))


def _trees(x: Array, y: Array) -> Predictor:
    predict: Predictor = _grown(x, y).predict
    return predict


def _grown(x: Array, y: Array) -> Any:  # noqa: ANN401  # scikit-learn has no types
    from sklearn.ensemble import HistGradientBoostingRegressor  # scikit-learn costs a second

    # A column given for nobody here cannot be split by, and scikit-learn refuses it
    filled = np.where(np.isnan(x).all(axis=0), 0.0, x)
    return HistGradientBoostingRegressor(**TREES).fit(filled, y)


def _folds(is_treated: Bools, count: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield each fold's rows and the others, arms alike in all, the same on every run."""
    fold = np.empty(len(is_treated), dtype=np.intp)
    rng = np.random.default_rng(SEED)
    for arm in (is_treated, ~is_treated):
        fold[arm] = rng.permutation(int(arm.sum())) % count
    for k in range(count):
        yield np.flatnonzero(fold == k), np.flatnonzero(fold != k)


def _some(count: int) -> NDArray[np.intp]:
    """Choose rows to learn from, always the same ones."""
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).choice(count, MOST_ROWS, replace=False))


def _one_thread() -> AbstractContextManager[object]:
    """Keep trees to one thread.

    Threads of many small fits spend their time waiting for each other, ten times as long where other
    work keeps the cores busy; and sums come in one order on every machine.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn's own

    limited: AbstractContextManager[object] = threadpool_limits(1, user_api="openmp")
    return limited
