"""Will a first-time buyer come back: the chance of a second order within a window.

The step from the first to the second order is the steepest. The purchase model sees only how long
ago a first-time buyer bought; the classifier also sees what that first order was like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

Array = NDArray[np.float64]

BY_DAYS = 2  # the design's first columns say only how long ago the first order was
CHANCES = ("first_channel_rate", "first_product_rate")
COUNTS = ("first_amount", "first_orders", "first_items", "first_categories")
SHARES = ("first_discount_share", "first_refund_share")
CYCLES = {"first_hour": 24.0, "first_weekday": 7.0, "first_month": 12.0}
FEATURES = ("p_by_rhythm", "age_days", *COUNTS, *SHARES, *CHANCES, *CYCLES)
MIN_EVENTS = 50  # second orders below which a base rate is all that the data carry
LEAST_GAIN = (
    1.0  # standard errors of log loss by which the classifier must beat chances by time alone
)
NO_LIFT = (
    "no second-purchase classifier: first orders predict second ones no better than the time since the "
    "first order does, so the forecast of orders is used"
)
NOT_TRIED = (
    "no second-purchase classifier: the history has too few second orders to try it on a later day, so "
    "the forecast of orders is used"
)


class Classifier(Protocol):
    """What scikit-learn's classifiers offer."""

    def predict_proba(self, X: Array) -> Array:
        """Return the chance of each class, shape (n, 2)."""
        ...


@dataclass(frozen=True)
class SecondPurchaseFit:
    """A classifier and how its kind did on the latest landmark, trained and calibrated before it.

    Attributes
    ----------
    classifier
        Fitted on every landmark but the latest and calibrated on that; None where it was not better
        than chances by time alone.
    by_days
        The base rate by days since the first order, fitted and calibrated alike; None without a
        classifier.
    customers, second_orders
        Rows and positives of all landmarks.
    metrics
        ``base_rate``, ``auc``, ``logloss``, ``brier`` and ``lift_top20`` on the latest landmark; the
        base rate's ``logloss_base_rate``; ``auc``, ``logloss`` and ``lift_top20`` of the base rate by
        days (``_by_days``) and of the purchase model's own chance (``_by_rhythm``);
        ``gain_standard_errors``, by how many the classifier's log loss is lower than the better of
        both; empty where there are too few landmarks or second orders.
    notes
        What a reader must know, for instance why there is no classifier.
    """

    classifier: Classifier | None
    by_days: Classifier | None
    customers: int
    second_orders: int
    metrics: Mapping[str, float]
    notes: tuple[str, ...] = ()


def design(columns: Mapping[str, ArrayLike]) -> Array:
    """Lay out what is known of first-time buyers for the classifier.

    Parameters
    ----------
    columns
        :data:`FEATURES` by name, each of shape (n,), NaN = not given; only the first two must be
        there: the purchase model's chance of an order within the window, and days since the first
        order.

    Returns
    -------
    Array
        Shape (n, 26): log odds of chances, logarithms of days, amounts and counts, shares, and places
        on the cycles of day, week and year, 0 where not given; and for each column that may be
        missing whether it is given.
    """
    p = np.asarray(columns["p_by_rhythm"], dtype=np.float64)
    age = np.asarray(columns["age_days"], dtype=np.float64)
    made, given = [_log_odds(p), np.log1p(age)], []
    for name in FEATURES[2:]:
        values = np.asarray(columns.get(name, np.full(len(p), np.nan)), dtype=np.float64)
        is_given = np.isfinite(values)
        filled = np.where(is_given, values, 0.0)
        if name in COUNTS:
            parts = [np.log1p(np.maximum(filled, 0))]
        elif name in SHARES:
            parts = [filled]
        elif name in CHANCES:
            parts = [_log_odds(np.where(is_given, values, 0.5))]
        else:
            angle = 2 * np.pi * filled / CYCLES[name]
            parts = [np.sin(angle) * is_given, np.cos(angle) * is_given]
        made += parts
        if name != "first_amount":
            given.append(is_given.astype(np.float64))
    return np.column_stack([*made, *given])


def fit_second_purchase(landmarks: Sequence[tuple[Array, Array]]) -> SecondPurchaseFit:
    """Fit the classifier on several past days at once.

    Parameters
    ----------
    landmarks
        Oldest first: features of shape (n, k) as known on a day, :func:`design`'s, and labels of shape
        (n,), 1 where a second order came within the window after it.

    Returns
    -------
    SecondPurchaseFit
        Without a classifier where it was not proved better than time alone on the latest landmark.

    Raises
    ------
    ValueError
        No landmarks or no customers.
    """
    if not landmarks or not sum(len(labels) for _, labels in landmarks):
        raise ValueError(
            "a second-purchase classifier needs first-time buyers observed for a whole window: "
            "there are none. Add older orders or shorten model.second_purchase_days"
        )
    _, labels = _stack(landmarks)
    events = int(labels.sum())
    metrics = _on_latest(landmarks) if len(landmarks) > 1 else {}
    if not metrics:
        return SecondPurchaseFit(None, None, len(labels), events, {}, (NOT_TRIED,))
    if metrics["gain_standard_errors"] <= LEAST_GAIN:
        return SecondPurchaseFit(None, None, len(labels), events, metrics, (NO_LIFT,))
    classifier, by_days = _calibrated(landmarks), _calibrated(landmarks, BY_DAYS)
    return SecondPurchaseFit(classifier, by_days, len(labels), events, metrics)


def _on_latest(landmarks: Sequence[tuple[Array, Array]]) -> dict[str, float]:
    """Train and calibrate on all landmarks but the latest and evaluate there; nothing where too few came back."""
    _, labels = _stack(landmarks[:-1])
    features, later = landmarks[-1]
    if not _is_enough(labels) or not 0 < later.mean() < 1:
        return {}
    chances = {
        "": _calibrated(landmarks[:-1]).predict_proba(features)[:, 1],
        "_by_days": _calibrated(landmarks[:-1], BY_DAYS).predict_proba(features)[:, 1],
        "_by_rhythm": 1 / (1 + np.exp(-features[:, 0])),
    }
    metrics = evaluate(later, chances[""])
    for rival in ("_by_days", "_by_rhythm"):
        figures = evaluate(later, chances[rival])
        metrics |= {f"{name}{rival}": figures[name] for name in ("auc", "logloss", "lift_top20")}
    losses = {
        name: -np.log(np.clip(np.where(later == 1, p, 1 - p), 1e-12, 1))
        for name, p in chances.items()
    }
    best = min(losses["_by_days"], losses["_by_rhythm"], key=np.mean)
    gain = best - losses[""]
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    metrics["gain_standard_errors"] = float(gain.mean()) / error if error > 0 else 0.0
    return metrics


def evaluate(labels: Array, p: Array) -> dict[str, float]:
    """Compare predicted chances with what happened, beside the base rate.

    Parameters
    ----------
    labels, p
        Arrays of shape (n,): 0 or 1, and the predicted chance of 1.

    Returns
    -------
    dict
        ``base_rate``, ``auc``, ``logloss``, ``logloss_base_rate``, ``brier`` and ``lift_top20``
        (rate among the top fifth by prediction over the base rate); empty for a single class.
    """
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    rate = float(labels.mean()) if len(labels) else 0.0
    if not 0 < rate < 1:
        return {}
    top = np.argsort(-p, kind="stable")[: max(1, len(p) // 5)]
    return {
        "base_rate": rate,
        "auc": float(roc_auc_score(labels, p)),
        "logloss": float(log_loss(labels, p)),
        "logloss_base_rate": float(log_loss(labels, np.full(len(p), rate))),
        "brier": float(brier_score_loss(labels, p)),
        "lift_top20": float(labels[top].mean() / rate),
    }


def _log_odds(p: Array) -> Array:
    return np.asarray(logit(np.clip(p, 1e-9, 1 - 1e-9)))


def _is_enough(labels: Array) -> bool:
    return bool(min(labels.sum(), (1 - labels).sum()) >= MIN_EVENTS)


def _stack(landmarks: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    return np.vstack([f for f, _ in landmarks]), np.concatenate([y for _, y in landmarks])


def _calibrated(
    landmarks: Sequence[tuple[Array, Array]], columns: int | None = None
) -> Classifier:
    """Fit on all landmarks but the latest, then set level and slope of the log odds on that one."""
    features, labels = _stack(landmarks[:-1] if landmarks[1:] else landmarks)
    latest, later = landmarks[-1]
    if not _is_enough(labels) or not _is_enough(later):
        return _logistic(*_stack(landmarks), columns)
    classifier = _logistic(features, labels, columns)
    odds = _log_odds(classifier.predict_proba(latest)[:, 1])[:, None]
    level = _logistic(odds, later)
    scaler, line = level.steps[0][1], level.steps[1][1]  # type: ignore[attr-defined]
    slope = line.coef_[0, 0] / scaler.scale_[0]
    last = classifier.steps[-1][1]  # type: ignore[attr-defined]
    last.coef_ = slope * last.coef_
    last.intercept_ = line.intercept_ + slope * (last.intercept_ - scaler.mean_[0])
    return classifier


def _logistic(features: Array, labels: Array, columns: int | None = None) -> Classifier:
    """Fit a logistic regression, on the first columns only where their number is given."""
    from sklearn.linear_model import LogisticRegression  # scikit-learn costs a second
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    used = features.copy()
    if columns is not None:
        used[:, columns:] = 0.0  # a column without variance gets no weight
    fitted: Classifier = model.fit(used, labels)
    return fitted
