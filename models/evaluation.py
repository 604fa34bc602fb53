"""How good a forecast was: what was predicted beside what happened, the same for every model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SEED = 20_260_101  # ties are broken by a shuffle; the same on every run
TOP_SHARE = 0.20
GAIN_SHARES = tuple(round(0.05 * k, 2) for k in range(21))
DRAWS = 200  # samples of customers behind an interval

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


def evaluate(
    prediction: Prediction, orders: ArrayLike, value: ArrayLike
) -> dict[str, float | None]:
    """Compare predictions with what happened to the same customers.

    Parameters
    ----------
    prediction
        What the model said.
    orders, value
        Arrays of shape (n,): purchase days and net amount (store's currency) in the window.

    Returns
    -------
    dict
        :data:`METRICS` by name. None where the model makes no such prediction or the outcome has
        no spread.
    """
    orders, value = np.asarray(orders, dtype=np.float64), np.asarray(value, dtype=np.float64)
    error = orders - prediction.orders
    return {
        "orders_ratio": _ratio(orders.sum(), prediction.orders.sum()),
        "mae_orders": float(np.abs(error).mean()),
        "rmse_orders": float(np.sqrt((error**2).mean())),
        "value_ratio": _ratio(value.sum(), prediction.value.sum()),
        "mae_value": float(np.abs(value - prediction.value).mean()),
        "gini_value": normalized_gini(prediction.value, value),
        "capture_top20": capture(prediction.value, value),
        "calibration_slope": calibration_slope(prediction.value, value),
        **_activity(prediction.p_active, orders > 0),
        **_coverage(prediction, value),
    }


def normalized_gini(prediction: ArrayLike, value: ArrayLike) -> float | None:
    """Gini coefficient of the ranking by prediction over that of the perfect ranking.

    Parameters
    ----------
    prediction, value
        Arrays of shape (n,). Negative outcomes count as zero; ties are broken by a seeded shuffle.

    Returns
    -------
    float or None
        1 for the perfect ranking, about 0 for a random one; None if nobody brought anything, or
        everybody the same.
    """
    gain = np.maximum(np.asarray(value, dtype=np.float64), 0)
    best = _gini(gain, _ranking(gain))
    if best is None or best < 1e-9:  # nobody brought anything, or everybody the same
        return None
    return _ratio(_gini(gain, _ranking(prediction)), best)


def capture(prediction: ArrayLike, value: ArrayLike) -> float | None:
    """Share of all value that the top fifth by prediction brought.

    Parameters
    ----------
    prediction, value
        Arrays of shape (n,). Negative outcomes count as zero; ties are broken by a seeded shuffle.

    Returns
    -------
    float or None
        0 to 1; None if nobody brought anything.
    """
    gain = np.maximum(np.asarray(value, dtype=np.float64), 0)
    top = _ranking(prediction)[: max(1, round(TOP_SHARE * len(gain)))]
    return _ratio(gain[top].sum(), gain.sum())


def decile_table(prediction: ArrayLike, actual: ArrayLike) -> list[dict[str, float]]:
    """Compare the mean prediction and the mean outcome of ten groups of equal size.

    Parameters
    ----------
    prediction, actual
        Arrays of shape (n,).

    Returns
    -------
    list of dict
        ``decile`` (10 = highest prediction), ``customers``, ``expected``, ``actual``.
    """
    prediction, actual = (np.asarray(v, dtype=np.float64) for v in (prediction, actual))
    groups = np.array_split(_ranking(prediction), 10)
    return [
        {
            "decile": 10 - i,
            "customers": len(group),
            "expected": float(prediction[group].mean()),
            "actual": float(actual[group].mean()),
        }
        for i, group in enumerate(groups)
        if len(group)
    ]


def gain_curve(prediction: ArrayLike, value: ArrayLike) -> list[float]:
    """Share of all value that the best :data:`GAIN_SHARES` of the customers by prediction brought.

    Parameters
    ----------
    prediction, value
        Arrays of shape (n,). Negative outcomes count as zero.

    Returns
    -------
    list of float
        From 0 to 1, never falling; all 0 where nobody brought anything.
    """
    gain = np.maximum(np.asarray(value, dtype=np.float64), 0)
    reached = np.concatenate([[0.0], np.cumsum(gain[_ranking(prediction)])])
    places = np.round(np.array(GAIN_SHARES) * len(gain)).astype(int)
    return [float(share) for share in reached[places] / max(reached[-1], 1e-300)]


def coverage_table(prediction: Prediction) -> list[dict[str, float]]:
    """Return the share of outcomes inside the interval by tenth of expected value, 10 = highest."""
    if prediction.covered is None:
        return []
    rows = decile_table(prediction.value, prediction.covered)
    return [{"decile": r["decile"], "inside": r["actual"], "wanted": 0.8} for r in rows]


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
    expected = np.array([row["expected"] for row in table])
    came = np.array([row["actual"] for row in table])
    centered = expected - expected.mean()
    spread = float((centered**2).sum())
    return float((centered * came).sum() / spread) if spread > 1e-12 else None


def paired_differences(
    prediction: ArrayLike, others: Mapping[str, ArrayLike], value: ArrayLike
) -> dict[str, dict[str, dict[str, float]]]:
    """Compare how a forecast and others rank the same customers, with the chance of the draw.

    Parameters
    ----------
    prediction
        Array of shape (n,).
    others
        Arrays of shape (n,), by name.
    value
        Array of shape (n,): what came.

    Returns
    -------
    dict
        By name ``gini_value`` and ``capture_top20``, each ``difference`` (the first forecast's less the
        other's), ``low`` and ``high``, the ends of its 95 % interval; empty by name where nobody
        brought anything.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13; customers are weighted by
    Poisson(1) draws.
    """
    gain = np.maximum(np.asarray(value, dtype=np.float64), 0)
    if not gain.sum() > 0:
        return {name: {} for name in others}
    own, best = _ranking(prediction), _ranking(gain)
    rankings = {name: _ranking(other) for name, other in others.items()}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in others}
    for weight in _samples(len(gain)):
        if not (weight * gain).sum() > 0:
            continue
        ours, perfect = (_weighted(gain[rank], weight[rank]) for rank in (own, best))
        top = perfect[0] if abs(perfect[0]) > 1e-9 else 1.0
        for name, rank in rankings.items():
            theirs = _weighted(gain[rank], weight[rank])
            found[name].append(((ours[0] - theirs[0]) / top, ours[1] - theirs[1]))
    return {
        name: {
            metric: _interval(list(values))
            for metric, values in zip(
                ("gini_value", "capture_top20"), zip(*pairs, strict=True), strict=True
            )
        }
        for name, pairs in found.items()
    }


def _samples(count: int) -> Iterator[Array]:
    """Yield how often each customer is in a sample: first once each, then by the draw."""
    yield np.ones(count)
    rng = np.random.default_rng(SEED)
    for _ in range(DRAWS):
        yield rng.poisson(1.0, count).astype(np.float64)


def _weighted(gain: Array, weight: Array) -> tuple[float, float]:
    """Return Gini and the top fifth's share of ranked gains, of which each stands for several."""
    before = np.cumsum(weight)
    reached = np.cumsum(gain * weight)
    total, customers = reached[-1], before[-1]
    middle = reached - gain * weight / 2
    gini = float(2 * (weight * middle).sum() / (customers * total) - 1)
    return gini, float(np.interp(TOP_SHARE * customers, before, reached) / total)


def _interval(values: list[float]) -> dict[str, float]:
    low, high = np.quantile(values[1:] or values, (0.025, 0.975))
    return {"difference": values[0], "low": float(low), "high": float(high)}


def mean_metrics(metrics: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Average each metric over cutoffs; None where any cutoff has none."""
    return {
        name: None
        if any(m[name] is None for m in metrics)
        else float(np.mean([m[name] for m in metrics]))
        for name in metrics[0]
    }


def _coverage(prediction: Prediction, value: Array) -> dict[str, float | None]:
    names = ("coverage_80", "coverage_80_repeat", "coverage_80_likely", "coverage_80_top")
    found: dict[str, float | None] = dict.fromkeys(names)
    covered, low, high = prediction.covered, prediction.low, prediction.high
    if covered is None or low is None or high is None:
        return found
    gain = np.maximum(value, 0)
    inside = ((low <= gain) & (gain <= high)).astype(np.float64)
    top = _ranking(prediction.value)[: max(1, len(prediction.value) // 10)]
    found |= {"coverage_80": _mean(covered), "coverage_80_top": _mean(inside[top])}
    if prediction.frequency is not None:
        found["coverage_80_repeat"] = _mean(covered[prediction.frequency >= 3])
    if prediction.p_active is not None:
        found["coverage_80_likely"] = _mean(inside[prediction.p_active > 0.9])
    return found


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


def _ranking(prediction: ArrayLike) -> NDArray[np.intp]:
    """Order from the highest to the lowest; ties in seeded random order."""
    prediction = np.asarray(prediction, dtype=np.float64)
    shuffled = np.random.default_rng(SEED).permutation(len(prediction))
    return shuffled[np.argsort(-prediction[shuffled], kind="stable")]


def _gini(gain: Array, ranking: NDArray[np.intp]) -> float | None:
    total = gain.sum()
    if total == 0:
        return None
    n = len(gain)
    return float(2 * np.cumsum(gain[ranking]).sum() / (n * total) - (n + 1) / n)


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None or b == 0 else float(a) / float(b)
