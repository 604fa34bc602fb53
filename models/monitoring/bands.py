"""Actual over expected, and how far luck alone would take it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import nbinom, poisson

Array = NDArray[np.float64]

SURE = 0.95  # chance that luck alone stays inside a band
NEARLY_SURE = 0.9973  # the same of three standard deviations
MORE = 1e-3  # share of the mean by which a variance is above it to be told apart from a Poisson's


@dataclass(frozen=True)
class Band:
    """Where actual over expected lies if the forecast is right; each of shape (n,).

    Attributes
    ----------
    low, high
        Ends of the band, as ratios; NaN where nothing is expected.
    """

    low: Array
    high: Array


@dataclass(frozen=True)
class Slope:
    """How differences between groups came, beside how they were expected.

    Attributes
    ----------
    estimate
        1 where groups differ as expected, less where forecasts lie too far apart.
    low, high
        Ends of its 95 % interval, as far as luck goes.
    """

    estimate: float
    low: float
    high: float


def band(expected: ArrayLike, variance: ArrayLike, chance: float = SURE) -> Band:
    """Return the band of actual over expected that luck alone explains.

    Parameters
    ----------
    expected, variance
        Arrays of shape (n,): mean and variance of a count.
    chance
        Of lying inside.

    Returns
    -------
    Band
        Quantiles of a negative binomial distribution with that mean and variance, and of a Poisson's
        where the variance is not above the mean: what all customers have in common on a day, the
        model does not know, so that a band is never narrower.
    """
    mean = np.asarray(expected, dtype=np.float64)
    spread = np.asarray(variance, dtype=np.float64)
    is_known = mean > 0
    safe = np.where(is_known, mean, 1.0)
    is_wide = is_known & (spread > (1 + MORE) * safe)
    share = np.where(is_wide, safe / np.where(is_wide, spread, 1.0), 0.5)
    ends = []
    for at in ((1 - chance) / 2, (1 + chance) / 2):
        wide = nbinom.ppf(at, safe * share / (1 - share), share)
        count = np.where(is_wide, wide, poisson.ppf(at, safe))
        ends.append(np.where(is_known, count / safe, np.nan))
    return Band(*ends)


def ratio(actual: float, expected: float) -> float | None:
    """Return actual over expected; None where nothing was expected."""
    return actual / expected if expected > 0 else None


def slope_through(
    customers: ArrayLike, expected: ArrayLike, actual: ArrayLike, variance: ArrayLike
) -> Slope | None:
    """Regress what groups brought per customer on what was expected, by least squares.

    Parameters
    ----------
    customers, expected, actual, variance
        Arrays of shape (n,): of each group its size, the sums of what was expected and of what came,
        and the variance of the sum.

    Returns
    -------
    Slope or None
        None where groups do not differ.
    """
    size, total, came, spread = (
        np.asarray(v, dtype=np.float64) for v in (customers, expected, actual, variance)
    )
    size, total, came, spread = (v[size > 0] for v in (size, total, came, spread))
    if not len(size):
        return None
    per = total / size
    centered = per - np.average(per, weights=size)
    weight = float((size * centered**2).sum())
    if not weight > 1e-12 * float(total.sum()):
        return None
    estimate = float((centered * came).sum()) / weight
    error = float(np.sqrt((centered**2 * np.maximum(spread, total)).sum())) / weight
    return Slope(estimate, estimate - 1.96 * error, estimate + 1.96 * error)
