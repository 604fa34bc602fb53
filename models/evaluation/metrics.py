"""How good a forecast was: predictions compared with what happened, the same for every model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.evaluation.ranking import capture, normalized_gini, ranking, ratio
from models.evaluation.report import CoverageRow, Decile, Metrics

Array = NDArray[np.float64]
WANTED = 0.8  # of outcomes, inside the interval

METRICS = {
    "orders_ratio": "purchase days that happened over those expected; 1 = the level is right",
    "mae_orders": "mean absolute error of a customer's purchase days",
    "rmse_orders": "root of the mean squared error of a customer's purchase days",
    "value_ratio": "net amount that came over that expected, undiscounted; 1 = the level is right",
    "mae_value": "mean absolute error of a customer's net amount, store's currency, undiscounted",
    "gini_value": "Gini of later value ranked by prediction over that of the perfect ranking; negative "
    "outcomes count as zero, ties are broken by a seeded shuffle; 1 = perfect, 0 = by chance",
    "capture_top20": "share of all later value that the top fifth by prediction brought",
    "auc_active": "chance that a customer who ordered was given a higher chance than one who did not",
    "logloss_active": "mean negative log-likelihood of ordering or not",
    "brier_active": "mean squared error of the chance of ordering",
    "accuracy_active": "share of customers for whom a chance over one half meant an order",
    "calibration_slope": "slope of later value on prediction through the tenths by prediction; 1 = those "
    "expected to bring twice as much do",
    "coverage_80": "share of net amounts inside the 80 % interval, by the randomized transform, since "
    "most are 0; null where the model predicts no interval",
    "coverage_80_repeat": "the same, of customers with three or more repeat purchases",
    "coverage_80_likely": "share of net amounts between the interval's ends, of customers whose chance of "
    "no order is below 0.1; null where there are none",
    "coverage_80_top": "the same, of the tenth of highest expected value",
}


@dataclass(frozen=True)
class Prediction:
    """One model's predictions; every array has shape (n,), and None where it makes none.

    Attributes
    ----------
    orders
        Expected purchase days.
    value
        Expected net amount, undiscounted, store's currency.
    p_active
        Chance of at least one order.
    covered
        Chance that the net amount lies in the interval, see :func:`models.intervals.covered`.
    low, high
        Ends of the interval of the net amount.
    frequency
        Repeat purchases before.
    """

    orders: Array
    value: Array
    p_active: Array | None = None
    covered: Array | None = None
    low: Array | None = None
    high: Array | None = None
    frequency: Array | None = None


def evaluate(prediction: Prediction, orders: ArrayLike, value: ArrayLike) -> Metrics:
    """Compare predictions with what happened to the same customers.

    Parameters
    ----------
    prediction
        What the model said.
    orders, value
        Arrays of shape (n,): purchase days and net amount (store's currency) in the window.

    Returns
    -------
    Metrics
        None where the model makes no such prediction or the outcome has no spread.
    """
    orders, value = np.asarray(orders, dtype=np.float64), np.asarray(value, dtype=np.float64)
    error = orders - prediction.orders
    return Metrics(
        orders_ratio=ratio(orders.sum(), prediction.orders.sum()),
        mae_orders=float(np.abs(error).mean()),
        rmse_orders=float(np.sqrt((error**2).mean())),
        value_ratio=ratio(value.sum(), prediction.value.sum()),
        mae_value=float(np.abs(value - prediction.value).mean()),
        gini_value=normalized_gini(prediction.value, value),
        capture_top20=capture(prediction.value, value),
        calibration_slope=calibration_slope(prediction.value, value),
        **_activity(prediction.p_active, orders > 0),
        **_coverage(prediction, value),
    )


def decile_table(prediction: ArrayLike, actual: ArrayLike) -> list[Decile]:
    """Compare the mean prediction and the mean outcome of ten groups of equal size.

    Parameters
    ----------
    prediction, actual
        Arrays of shape (n,).

    Returns
    -------
    list of Decile
        The highest prediction first; fewer than ten of fewer customers.
    """
    prediction, actual = (np.asarray(v, dtype=np.float64) for v in (prediction, actual))
    groups = np.array_split(ranking(prediction), 10)
    return [
        Decile(
            decile=10 - i,
            customers=len(group),
            expected=float(prediction[group].mean()),
            actual=float(actual[group].mean()),
        )
        for i, group in enumerate(groups)
        if len(group)
    ]


def coverage_table(prediction: Prediction) -> list[CoverageRow]:
    """Return the share of outcomes inside the interval by tenth of expected value, 10 = highest."""
    if prediction.covered is None:
        return []
    rows = decile_table(prediction.value, prediction.covered)
    return [CoverageRow(decile=row.decile, inside=row.actual, wanted=WANTED) for row in rows]


def calibration_slope(prediction: ArrayLike, actual: ArrayLike) -> float | None:
    """Regress outcomes on predictions, through the tenths by prediction.

    Parameters
    ----------
    prediction, actual
        Arrays of shape (n,).

    Returns
    -------
    float or None
        1 where differences between customers come as large as predicted, less where predictions lie
        too far apart; None where they do not differ.
    """
    table = decile_table(prediction, actual)
    expected = np.array([row.expected for row in table])
    happened = np.array([row.actual for row in table])
    centered = expected - expected.mean()
    spread = float((centered**2).sum())
    return float((centered * happened).sum() / spread) if spread > 1e-12 else None


def mean_metrics(metrics: Sequence[Metrics]) -> Metrics:
    """Average each metric over cutoffs; None where any cutoff has none."""
    return Metrics.model_validate(
        {name: _mean_of([one.value(name) for one in metrics]) for name in Metrics.model_fields}
    )


def _mean_of(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if len(numbers) == len(values) else None


def _coverage(prediction: Prediction, value: Array) -> dict[str, float | None]:
    names = ("coverage_80", "coverage_80_repeat", "coverage_80_likely", "coverage_80_top")
    shares: dict[str, float | None] = dict.fromkeys(names)
    covered, low, high = prediction.covered, prediction.low, prediction.high
    if covered is None or low is None or high is None:
        return shares
    gain = np.maximum(value, 0)
    inside = ((low <= gain) & (gain <= high)).astype(np.float64)
    top = ranking(prediction.value)[: max(1, len(prediction.value) // 10)]
    shares |= {"coverage_80": _mean(covered), "coverage_80_top": _mean(inside[top])}
    if prediction.frequency is not None:
        shares["coverage_80_repeat"] = _mean(covered[prediction.frequency >= 3])
    if prediction.p_active is not None:
        shares["coverage_80_likely"] = _mean(inside[prediction.p_active > 0.9])
    return shares


def _mean(values: Array) -> float | None:
    return float(values.mean()) if len(values) else None


def _activity(p: Array | None, is_active: NDArray[np.bool_]) -> dict[str, float | None]:
    from sklearn.metrics import log_loss, roc_auc_score  # scikit-learn costs a second

    if p is None or is_active.all() or not is_active.any():
        return dict.fromkeys(("auc_active", "logloss_active", "brier_active", "accuracy_active"))
    return {
        "auc_active": float(roc_auc_score(is_active, p)),
        "logloss_active": float(log_loss(is_active, p)),
        "brier_active": float(((p - is_active) ** 2).mean()),
        "accuracy_active": float(((p > 0.5) == is_active).mean()),
    }
