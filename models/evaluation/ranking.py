"""How well a forecast ranks customers, and how sure it is that it ranks them better than another."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.evaluation.report import Comparison, Lead

Array = NDArray[np.float64]

SEED = 20_260_101  # ties are broken by a shuffle; the same on every run
TOP_SHARE = 0.20
GAIN_SHARES = tuple(round(0.05 * k, 2) for k in range(21))
DRAWS = 200  # samples of customers behind an interval


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
    best = _gini(gain, ranking(gain))
    if best is None or best < 1e-9:  # nobody brought anything, or everybody the same
        return None
    return ratio(_gini(gain, ranking(prediction)), best)


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
    top = ranking(prediction)[: max(1, round(TOP_SHARE * len(gain)))]
    return ratio(gain[top].sum(), gain.sum())


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
    reached = np.concatenate([[0.0], np.cumsum(gain[ranking(prediction)])])
    places = np.round(np.array(GAIN_SHARES) * len(gain)).astype(int)
    return [float(share) for share in reached[places] / max(reached[-1], 1e-300)]


def paired_differences(
    prediction: ArrayLike, others: Mapping[str, ArrayLike], value: ArrayLike
) -> dict[str, Comparison]:
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
        By name the leads of the first forecast over the other; without leads where nobody brought
        anything.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13; customers are weighted by
    Poisson(1) draws.
    """
    gain = np.maximum(np.asarray(value, dtype=np.float64), 0)
    if not gain.sum() > 0:
        return {name: Comparison() for name in others}
    own, best = ranking(prediction), ranking(gain)
    rankings = {name: ranking(other) for name, other in others.items()}
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in others}
    for weight in _samples(len(gain)):
        if not (weight * gain).sum() > 0:
            continue
        ours, perfect = (_weighted(gain[rank], weight[rank]) for rank in (own, best))
        top = perfect[0] if abs(perfect[0]) > 1e-9 else 1.0
        for name, rank in rankings.items():
            theirs = _weighted(gain[rank], weight[rank])
            pairs[name].append(((ours[0] - theirs[0]) / top, ours[1] - theirs[1]))
    return {name: _compared(leads) for name, leads in pairs.items()}


def ranking(prediction: ArrayLike) -> NDArray[np.intp]:
    """Order from the highest to the lowest; ties in seeded random order."""
    prediction = np.asarray(prediction, dtype=np.float64)
    shuffled = np.random.default_rng(SEED).permutation(len(prediction))
    return shuffled[np.argsort(-prediction[shuffled], kind="stable")]


def ratio(a: float | None, b: float | None) -> float | None:
    """Return a / b; None where either is None or b is 0."""
    return None if a is None or b is None or b == 0 else float(a) / float(b)


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


def _compared(leads: list[tuple[float, float]]) -> Comparison:
    gini, top = zip(*leads, strict=True)
    return Comparison(gini_value=_interval(gini), capture_top20=_interval(top))


def _interval(values: Sequence[float]) -> Lead:
    low, high = np.quantile(values[1:] or values, (0.025, 0.975))
    return Lead(difference=values[0], low=float(low), high=float(high))


def _gini(gain: Array, order: NDArray[np.intp]) -> float | None:
    total = gain.sum()
    if total == 0:
        return None
    n = len(gain)
    return float(2 * np.cumsum(gain[order]).sum() / (n * total) - (n + 1) / n)
