"""How many orders a day should have, by its weekday, and whether it has them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import poisson

from models.checks.check import PASSED, verdict_of

WEEK, WEEKS = 7, 8
LEAST_WEEKS = 3  # of the same weekday, before anything is expected of it
MANY = 30.0  # orders from which a share of them is a sounder yardstick than chance
IMPROBABLE = 1e-4


@dataclass(frozen=True)
class Volume:
    """Orders of a day beside those expected.

    Attributes
    ----------
    orders
        Orders of the day.
    expected
        Median of the same weekday of the weeks before; NaN where too few are known.
    chance
        Chance of so few orders or fewer (Poisson), where fewer than 30 are expected; else NaN.
    verdict
        ``passed``, ``warned`` or ``refused``.
    """

    orders: int
    expected: float
    chance: float
    verdict: str


def expected_orders(daily: ArrayLike) -> float:
    """Return the orders to expect of the day after the last of `daily`: the same weekday's median.

    Parameters
    ----------
    daily
        Array of shape (n,): orders of the days before, the latest last, closed days as zeros.

    Returns
    -------
    float
        Orders; NaN where fewer than three days of that weekday are known.
    """
    counts = np.asarray(daily, dtype=np.float64)
    same = counts[::-1][WEEK - 1 :: WEEK][:WEEKS]
    return float(np.median(same)) if len(same) >= LEAST_WEEKS else float("nan")


def judge_volume(
    orders: int, expected: float, *, least_share: float = 0.4, usual_share: float = 0.3
) -> Volume:
    """Judge a day's orders by those expected.

    Where 30 or more are expected, fewer than `least_share` of them are refused, and a day that is off by
    more than `usual_share` is warned of. Where fewer are expected, chance alone may bring none: refused is
    what a Poisson count falls to less than once in ten thousand days.

    Parameters
    ----------
    orders
        Orders of the day.
    expected
        What :func:`expected_orders` says.
    least_share, usual_share
        Shares, 0 to 1.
    """
    if np.isnan(expected):
        return Volume(orders, expected, float("nan"), PASSED)
    if expected >= MANY:
        verdict = verdict_of(
            refuses=orders < least_share * expected,
            warns=abs(orders - expected) > usual_share * expected,
        )
        return Volume(orders, expected, float("nan"), verdict)
    chance = float(poisson.cdf(orders, expected))
    return Volume(orders, expected, chance, verdict_of(refuses=chance < IMPROBABLE))
