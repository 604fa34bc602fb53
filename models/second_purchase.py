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

FEATURES = ("p_by_rhythm", "first_amount", "first_discount_share")
MIN_EVENTS = 50  # second orders below which a base rate is all that the data carry


class Classifier(Protocol):
    """What scikit-learn's classifiers offer."""

    def predict_proba(self, X: Array) -> Array:
        """Return the chance of each class, shape (n, 2)."""
        ...


@dataclass(frozen=True)
class SecondPurchaseFit:
    """A classifier and how it did on the latest landmark, which it was not trained on.

    Attributes
    ----------
    classifier
        Fitted on every landmark.
    customers, second_orders
        Rows and positives it was fitted on.
    metrics
        ``auc``, ``logloss``, ``brier`` and ``lift_top20`` on the latest landmark, and the base
        rate's ``logloss_base_rate``; empty where there are too few landmarks.
    notes
        What a reader must know, for instance that only a base rate could be fitted.
    """

    classifier: Classifier
    customers: int
    second_orders: int
    metrics: Mapping[str, float]
    notes: tuple[str, ...] = ()


def design(columns: Mapping[str, ArrayLike]) -> Array:
    """Lay out first-order features for the classifier.

    Parameters
    ----------
    columns
        :data:`FEATURES` by name, each of shape (n,): the purchase model's chance of an order within
        the window (it knows how long ago the first order was), the first order's net amount (store's
        currency), its discount share (0 to 1, NaN = not given).

    Returns
    -------
    Array
        Shape (n, 4): log odds, log amount, discount share or 0, whether the share is given.
    """
    p, amount, share = (np.asarray(columns[name], dtype=np.float64) for name in FEATURES)
    given = np.isfinite(share)
    return np.column_stack(
        [
            logit(np.clip(p, 1e-9, 1 - 1e-9)),
            np.log1p(np.maximum(amount, 0)),
            np.where(given, share, 0.0),
            given,
        ]
    )


def fit_second_purchase(landmarks: Sequence[tuple[Array, Array]]) -> SecondPurchaseFit:
    """Fit the classifier on several past days at once.

    Parameters
    ----------
    landmarks
        Oldest first: features of shape (n, k) as known on a day, and labels of shape (n,), 1 where
        a second order came within the window after it.

    Returns
    -------
    SecondPurchaseFit
        With fewer than 50 second orders in all, a constant base rate that says so.

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
    features, labels = _stack(landmarks)
    events = int(labels.sum())
    if min(events, len(labels) - events) < MIN_EVENTS:
        note = f"base rate only: {events} second orders among {len(labels):,} first-time buyers"
        return SecondPurchaseFit(_base_rate(features, labels), len(labels), events, {}, (note,))
    metrics = _on_latest(landmarks) if len(landmarks) > 1 else {}
    return SecondPurchaseFit(_logistic(features, labels), len(labels), events, metrics)


def _on_latest(landmarks: Sequence[tuple[Array, Array]]) -> dict[str, float]:
    """Train on all landmarks but the latest and evaluate there; nothing where too few came back."""
    features, labels = _stack(landmarks[:-1])
    if min(labels.sum(), (1 - labels).sum()) < MIN_EVENTS:
        return {}
    test_features, test_labels = landmarks[-1]
    return evaluate(test_labels, _logistic(features, labels).predict_proba(test_features)[:, 1])


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


def _stack(landmarks: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    return np.vstack([f for f, _ in landmarks]), np.concatenate([y for _, y in landmarks])


def _logistic(features: Array, labels: Array) -> Classifier:
    from sklearn.linear_model import LogisticRegression  # scikit-learn costs a second
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model: Classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(features, labels)  # type: ignore[attr-defined, no-any-return]


def _base_rate(features: Array, labels: Array) -> Classifier:
    """Return a constant chance, half an event added to either side so that it is never 0 or 1."""
    from sklearn.dummy import DummyClassifier

    model: Classifier = DummyClassifier(strategy="prior")
    rows, classes = np.vstack([features, features[:1], features[:1]]), np.r_[labels, 0.0, 1.0]
    weight = np.r_[np.ones(len(labels)), 0.5, 0.5]
    return model.fit(rows, classes, sample_weight=weight)  # type: ignore[attr-defined, no-any-return]
