"""Times that are not over for everybody yet, and rates, with their intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

Array = NDArray[np.float64]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Curve:
    """Share to whom an event has happened, by days waited: arrays of shape (m,), days rising.

    Attributes
    ----------
    days
        At which events happened.
    share, low, high
        0 to 1: the estimate and its interval.
    at_risk
        Still watched just before.
    n, events
        Customers, and events, altogether.
    watched
        Days that the longest wait lasted: nothing is known of later ones.
    """

    days: Array
    share: Array
    low: Array
    high: Array
    at_risk: Array
    n: float
    events: float
    watched: float

    def at(self, day: float) -> tuple[float, float, float]:
        """Return share, low and high by a day; 0 before the first event."""
        k = int(np.searchsorted(self.days, day, side="right")) - 1
        if k < 0:
            return 0.0, 0.0, 0.0
        return float(self.share[k]), float(self.low[k]), float(self.high[k])

    def median(self) -> tuple[float | None, float | None, float | None]:
        """Return the median and its interval in days; None where half is not reached."""
        middle, early, late = (
            float(self.days[np.argmax(line >= 0.5)]) if (line >= 0.5).any() else None
            for line in (self.share, self.high, self.low)
        )
        return middle, early, late


def kaplan_meier(days: ArrayLike, is_event: ArrayLike, counts: ArrayLike) -> Curve:
    """Estimate the share to whom an event has happened, from times some of which are cut off.

    Parameters
    ----------
    days
        Shape (n,): days waited, 0 or more.
    is_event
        Shape (n,): whether the event ended the wait; else it goes on.
    counts
        Shape (n,): customers with this time.

    Returns
    -------
    Curve
        With the complementary log-log interval, which stays within 0 and 1.

    References
    ----------
    Kaplan & Meier (1958), Nonparametric Estimation from Incomplete Observations, JASA 53, 457-481;
    variance by Greenwood (1926); interval by Kalbfleisch & Prentice (2002), section 1.4.
    """
    times, where = np.unique(np.asarray(days, dtype=np.float64), return_inverse=True)
    counts = np.asarray(counts, dtype=np.float64)
    ended = np.bincount(where, counts * np.asarray(is_event, dtype=bool), len(times))
    left = np.bincount(where, counts, len(times))
    at_risk = left[::-1].cumsum()[::-1]
    longest = float(times[-1]) if len(times) else 0.0
    has = ended > 0
    times, ended, risk = times[has], ended[has], at_risk[has]
    staying = np.cumprod(1 - ended / risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(ended / (risk * (risk - ended)))
        error = np.sqrt(greenwood) / np.abs(np.log(staying))
        spread = np.exp(norm.ppf((1 + CONFIDENCE) / 2) * error)
        low, high = 1 - staying ** (1 / spread), 1 - staying**spread
    is_finite = np.isfinite(spread)
    share = 1 - staying
    return Curve(
        times,
        share,
        np.where(is_finite, low, share),
        np.where(is_finite, high, 1.0),
        risk,
        float(counts.sum()),
        float(ended.sum()),
        longest,
    )


def wilson(count: float, n: float) -> tuple[float, float]:
    """Return the score interval of a rate, 0 to 1; 0 and 1 where there is nobody.

    Parameters
    ----------
    count, n
        Of so many, so many did.

    References
    ----------
    Wilson (1927), Probable Inference, the Law of Succession, and Statistical Inference, JASA 22, 209-212.
    """
    if n <= 0:
        return 0.0, 1.0
    z = norm.ppf((1 + CONFIDENCE) / 2)
    p, weight = count / n, z * z / n
    middle = p + weight / 2
    half = z * np.sqrt(p * (1 - p) / n + weight / (4 * n))
    return float((middle - half) / (1 + weight)), float((middle + half) / (1 + weight))


def mean_difference(
    mean: float,
    variance: float,
    n: float,
    other_mean: float,
    other_variance: float,
    other_n: float,
) -> tuple[float, float, float]:
    """Return how much higher the first mean is, and the interval of that.

    Parameters
    ----------
    mean, variance, n, other_mean, other_variance, other_n
        Of samples large enough for a normal distribution of their means.

    References
    ----------
    Welch (1947), The Generalization of "Student's" Problem When Several Different Population
    Variances Are Involved, Biometrika 34, 28-35.
    """
    difference = mean - other_mean
    half = norm.ppf((1 + CONFIDENCE) / 2) * float(np.sqrt(variance / n + other_variance / other_n))
    return difference, float(difference - half), float(difference + half)


def rate_difference(
    count: float, n: float, other_count: float, other_n: float
) -> tuple[float, float, float]:
    """Return how much higher the first rate is, and the interval of that.

    Parameters
    ----------
    count, n, other_count, other_n
        Of so many, so many did; n above 0.

    References
    ----------
    Newcombe (1998), Interval Estimation for the Difference Between Independent Proportions, method 10,
    Statistics in Medicine 17, 873-890.
    """
    p, q = count / n, other_count / other_n
    (low, high), (other_low, other_high) = wilson(count, n), wilson(other_count, other_n)
    difference = p - q
    return (
        difference,
        difference - float(np.hypot(p - low, other_high - q)),
        difference + float(np.hypot(high - p, q - other_low)),
    )
