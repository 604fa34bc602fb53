"""What order values of the past are worth at today's price level, and whether the level is used.

The level is estimated twice: with order values that change with the number of a customer's order
beside the level, and without. Where later orders are larger and prices steady, only the former is
right. Where a history begins in the middle of customers' lives, or large orders are followed by long
gaps, numbers of orders mislead, and a trend per order and one of prices of opposite signs can arise.
A level is used only if both estimates are clear and agree in sign, and the smaller one is taken.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.operational_time import MEAN_YEAR_DAYS
from models.price_evidence import (
    LevelEstimate,
    PriceSums,
    average_level,
    gaussian_evidence,
)

Array = NDArray[np.float64]

STRONG_EVIDENCE = 6.0  # of 2 ln B: "strong" by Kass & Raftery
LEAST_ERRORS, LEAST_CHANGE = 2.0, 0.01  # of today's level compared with the average past order
LEAST_ORDERS = 100  # repeat orders
USED, UNUSED = "order values are taken at today's price level", "no price level"


@dataclass(frozen=True)
class PriceLevel:
    """Levels of order value by period, relative to the last period.

    Attributes
    ----------
    log_levels
        Natural logarithm of each period's level over the last one's, the earliest period first; the
        last element is 0.
    last_day
        Day at whose end the last period ends.
    period_days
        Length of each period.
    """

    log_levels: tuple[float, ...]
    last_day: date
    period_days: int

    @classmethod
    def steady(cls) -> "PriceLevel":
        """Return a level that never moves."""
        return cls((0.0,), date(1970, 1, 1), 1)

    @property
    def is_steady(self) -> bool:
        """Whether every factor is 1."""
        return not any(self.log_levels)

    @property
    def factors(self) -> Array:
        """What an amount of each period is multiplied by, shape (periods,), the earliest first."""
        return np.asarray(np.exp(-np.array(self.log_levels)))

    @property
    def first_day(self) -> int:
        """First day of the first period, a proleptic Gregorian ordinal as by `date.toordinal`."""
        return self.last_day.toordinal() + 1 - len(self.log_levels) * self.period_days

    def factor(self, days: ArrayLike) -> Array:
        """Return what an amount of a day is multiplied by to be at the level of the last period.

        Parameters
        ----------
        days
            Days as ordinals (`date.toordinal`), any shape.

        Returns
        -------
        Array
            The shape of `days`: 1 after the last period; before the first period, the first one's.
        """
        period = (np.asarray(days, dtype=np.int64) - self.first_day) // self.period_days
        factors = np.append(self.factors, 1.0)
        return np.asarray(factors[np.clip(period, 0, len(self.log_levels))])

    def mean_factor(self, first: ArrayLike, last: ArrayLike) -> Array:
        """Return the mean of :meth:`factor` over the days from `first` to `last`, both included.

        Parameters
        ----------
        first, last
            Days as ordinals (`date.toordinal`), shapes that broadcast; `last` is not before `first`.

        Returns
        -------
        Array
            The common shape.

        Raises
        ------
        ValueError
            If a last day is before its first.
        """
        first, last = np.asarray(first, dtype=np.int64), np.asarray(last, dtype=np.int64)
        days = last - first + 1
        if (days < 1).any():
            raise ValueError("the last day of a mean factor is before its first")
        return np.asarray((self._sum_before(last + 1) - self._sum_before(first)) / days)

    def _sum_before(self, days: NDArray[np.int64]) -> Array:
        """Sum the factors from the first period to the day before each; negative for earlier days."""
        periods, since = len(self.log_levels), days - self.first_day
        sums = np.concatenate([[0.0], np.cumsum(self.factors) * self.period_days])
        period = np.clip(since // self.period_days, 0, periods)
        rest = since - period * self.period_days
        return np.asarray(sums[period] + rest * self.factor(days))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {
            "log_levels": list(self.log_levels),
            "last_day": self.last_day.isoformat(),
            "period_days": self.period_days,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PriceLevel":
        """Return the level that :meth:`to_dict` was called on."""
        return cls(
            tuple(float(level) for level in values["log_levels"]),
            date.fromisoformat(values["last_day"]),
            int(values["period_days"]),
        )


@dataclass(frozen=True)
class PriceLevelFit:
    """A price level, and the evidence for it.

    Attributes
    ----------
    level
        The level to use: steady where the evidence is not strong.
    log_change
        Estimated logarithm of today's level over that of the average past order, before it is
        decided whether the level is used.
    standard_error
        Posterior standard deviation of `log_change`.
    evidence
        2 ln B for a level that moved against a steady one.
    repeat_orders
        Number of orders after the customer's first.
    notes
        What a reader should know of the level.
    """

    level: PriceLevel
    log_change: float
    standard_error: float
    evidence: float
    repeat_orders: int
    notes: tuple[str, ...]

    @property
    def metrics(self) -> dict[str, float]:
        """Figures of the fit by name."""
        return {
            "price_level_change": float(np.expm1(self.log_change)),
            "price_level_standard_error": self.standard_error,
            "price_level_evidence": self.evidence,
            "price_level_repeat_orders": float(self.repeat_orders),
            "price_level_used": float(not self.level.is_steady),
        }


def fit_price_level(sums: PriceSums, last_day: date, period_days: int) -> PriceLevelFit:
    """Estimate the price level of each period, and decide whether it is used.

    Parameters
    ----------
    sums
        What orders of returning customers tell about each period.
    last_day
        Day at whose end the last period ends.
    period_days
        Length of each period.

    Returns
    -------
    PriceLevelFit
        The smaller of both estimates, each a posterior mean over all priors. The level is steady
        unless, by both, the evidence is strong and today's level differs from the average past
        order's by two standard errors and 1 %.
    """
    count = sums.repeat_orders
    if count < LEAST_ORDERS:
        return _unused(count, f"{count:,} repeat orders, and {LEAST_ORDERS} are needed")
    data = [gaussian_evidence(sums, by_order=by_order) for by_order in (False, True)]
    estimates = [average_level(each, period_days) for each in data if each is not None]
    if len(estimates) < len(data):
        return _unused(count, "a customer's orders do not differ in value")
    smaller = min(estimates, key=lambda estimate: abs(estimate.change))
    log_levels = np.round(smaller.log_levels - smaller.log_levels[-1], 6)
    level = PriceLevel(tuple(log_levels.tolist()), last_day, period_days)
    is_used = all(_is_clear(each) and each.change * smaller.change > 0 for each in estimates)
    return PriceLevelFit(
        level if is_used else PriceLevel.steady(),
        smaller.change,
        smaller.standard_error,
        min(estimate.evidence for estimate in estimates),
        count,
        (
            _note(level, smaller.change)
            if is_used
            else f"{UNUSED}: order values did not clearly change",
        ),
    )


def _is_clear(estimate: LevelEstimate) -> bool:
    """Tell whether a level clearly moved, and today's differs from the average past order's."""
    least = max(LEAST_ERRORS * estimate.standard_error, LEAST_CHANGE)
    return estimate.evidence > STRONG_EVIDENCE and abs(estimate.change) > least


def _unused(count: int, reason: str) -> PriceLevelFit:
    """Return a steady level without an estimate."""
    return PriceLevelFit(PriceLevel.steady(), 0.0, 0.0, 0.0, count, (f"{UNUSED}: {reason}",))


def _note(level: PriceLevel, change: float) -> str:
    """State how the level moved within the last year, before it, or against the average order's."""
    year = round(MEAN_YEAR_DAYS / level.period_days) + 1
    moves = {"since the first orders": level.log_levels[0]}
    if len(level.log_levels) > year:
        moves = {"within the last year": level.log_levels[-year]} | moves
    for since, before in moves.items():
        if abs(before) >= LEAST_CHANGE:
            return f"{USED}: it {'rose' if before < 0 else 'fell'} by {_percent(before)} {since}"
    side = "above" if change > 0 else "below"
    return f"{USED}: it is {_percent(-change)} {side} that of the average past order"


def _percent(before: float) -> str:
    """Write the size of a change from the logarithm of the earlier level over the later one."""
    return f"{abs(100 * np.expm1(-before)):.0f} %"
