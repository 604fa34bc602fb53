"""Operational time: days weighted by the pace at which customers buy on them.

A day on which customers buy at 1.3 times their usual pace counts as 1.3 days. Measured so, a customer's
pace is the same all year, and purchase models hold in it as they are [1]_.

References
----------
.. [1] Feller (1971), An Introduction to Probability Theory and Its Applications, vol. 2, section X.7:
   operational time makes a process with a varying intensity a homogeneous one.
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Days = NDArray[np.datetime64]

WEEK_DAYS, WEEKS = 7, 52  # of a year; the last week has the days that are left
MEAN_YEAR_DAYS = 365.25  # leap years counted
AHEAD_DAYS = 3_653  # that are looked up; further ahead a day counts as one


def weeks_of(days: Days) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the week of the year, 0 to 51, and the year of days; arrays of shape (n,)."""
    index = pd.DatetimeIndex(days)
    week = (index.dayofyear.to_numpy() - 1) // WEEK_DAYS
    return np.minimum(week, WEEKS - 1).astype(np.intp), index.year.to_numpy().astype(np.intp)


@dataclass(frozen=True)
class PaceIndex:
    """The pace of purchases over the calendar, relative to the usual one on the last day it was learned from.

    Attributes
    ----------
    as_of
        Last day that it was learned from.
    weeks
        Pace by week of the year, mean 1 over a year; empty = no season is used.
    trend
        Logarithm by which the pace rises in a year, from `first` to `as_of`; before and after it stays.
    one_off
        Past days that stand out, in ascending order: the first, the last, and their pace beyond season and
        trend; other days have 1.
    first
        First day that the trend was learned from; None = it holds for all the past.
    """

    as_of: date
    weeks: tuple[float, ...] = ()
    trend: float = 0.0
    one_off: tuple[tuple[date, date, float], ...] = ()
    first: date | None = None

    @property
    def has_season(self) -> bool:
        """Whether a season is used."""
        return bool(self.weeks)

    @property
    def is_even(self) -> bool:
        """Whether every day counts as one."""
        return not (self.weeks or self.trend or self.one_off)

    def pace(self, days: Days) -> Array:
        """Return the pace on days, shape (n,): season, and up to `as_of` trend and one-off weeks."""
        pace = np.ones(len(days))
        if self.weeks:
            pace = np.asarray(self.weeks)[weeks_of(days)[0]]
        if self.trend:
            age = (np.datetime64(self.as_of, "D") - days).astype(np.float64)
            longest = np.inf if self.first is None else float((self.as_of - self.first).days)
            pace = pace * np.exp(-self.trend * np.clip(age, 0.0, longest) / MEAN_YEAR_DAYS)
        for first, last, of_days in self.one_off:
            is_inside = (days >= np.datetime64(first, "D")) & (days <= np.datetime64(last, "D"))
            pace = np.where(is_inside, pace * of_days, pace)
        return pace

    def to_dict(self) -> dict[str, Any]:
        """Return the index as JSON values."""
        return {
            "as_of": self.as_of.isoformat(),
            "weeks": list(self.weeks),
            "trend": self.trend,
            "first": None if self.first is None else self.first.isoformat(),
            "one_off": [[a.isoformat(), b.isoformat(), pace] for a, b, pace in self.one_off],
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "PaceIndex":
        """Read what :meth:`to_dict` returned."""
        return cls(
            date.fromisoformat(record["as_of"]),
            tuple(record["weeks"]),
            record["trend"],
            tuple(
                (date.fromisoformat(a), date.fromisoformat(b), pace)
                for a, b, pace in record["one_off"]
            ),
            date.fromisoformat(record["first"]) if record["first"] else None,
        )


@dataclass(frozen=True)
class OperationalTime:
    """Calendar days before and after a day, measured in operational days.

    Attributes
    ----------
    as_of
        The day: its orders are known. What followed a past day is measured by the pace that it had.
    index
        The pace of purchases; None = every day counts as one.
    """

    as_of: date
    index: PaceIndex | None = None

    @property
    def is_calendar(self) -> bool:
        """Whether every day counts as one."""
        return self.index is None or self.index.is_even

    def before(self, days: ArrayLike) -> Array:
        """Measure the time from the end of the day so many whole days ago to the end of `as_of`.

        Parameters
        ----------
        days
            Shape (n,), 0 or more.

        Returns
        -------
        Array
            Shape (n,), operational days.
        """
        ago = np.asarray(days, dtype=np.float64)
        if self.is_calendar:
            return ago
        longest = int(np.ceil(ago.max(initial=0.0)))
        return np.interp(ago, np.arange(longest + 1.0), self._cumulated(longest))

    def days_before(self, operational: float) -> float:
        """Return how many calendar days ago so many operational ones began."""
        if self.is_calendar:
            return operational
        days = int(2 * operational) + WEEK_DAYS
        while (table := self._cumulated(days))[-1] < operational and days < AHEAD_DAYS:
            days *= 2
        return float(np.interp(operational, table, np.arange(days + 1.0)))

    def since_first(self, recency_days: ArrayLike, age_days: ArrayLike) -> tuple[Array, Array]:
        """Measure customers' ``t_x`` and ``T`` in operational days; shapes (n,).

        Parameters
        ----------
        recency_days, age_days
            Shape (n,): whole days from the first purchase to the last, and to `as_of`.
        """
        recency, age = (np.asarray(d, dtype=np.float64) for d in (recency_days, age_days))
        if self.is_calendar:
            return recency, age
        observed = self.before(age)
        return observed - self.before(age - recency), observed

    def after(self, days: ArrayLike) -> Array:
        """Measure the next so many days; shape of `days`, operational days."""
        ahead = np.asarray(days, dtype=np.float64)
        if self.is_calendar:
            return ahead
        beyond = self._ahead[-1] + np.maximum(ahead - AHEAD_DAYS, 0.0)
        near = np.interp(ahead, np.arange(AHEAD_DAYS + 1.0), self._ahead)
        return np.asarray(np.where(ahead > AHEAD_DAYS, beyond, near))

    def calendar_days(self, operational: ArrayLike) -> Array:
        """Return after how many calendar days so many operational ones have passed; infinite stays so."""
        ahead = np.asarray(operational, dtype=np.float64)
        if self.is_calendar:
            return ahead
        with np.errstate(invalid="ignore"):
            beyond = AHEAD_DAYS + (ahead - self._ahead[-1])
        near = np.interp(ahead, self._ahead, np.arange(AHEAD_DAYS + 1.0))
        return np.asarray(np.where(ahead > self._ahead[-1], beyond, near))

    def _cumulated(self, days: int) -> Array:
        """Return the operational days of the last 0, 1, ..., `days` days, shape (days + 1,)."""
        if self.index is None:
            return np.arange(days + 1.0)
        today = np.datetime64(self.as_of, "D")
        past = self.index.pace(today - np.arange(days))
        return np.concatenate([[0.0], np.cumsum(past)])

    @cached_property
    def _ahead(self) -> Array:
        """Operational days of the next 0, 1, ... days, shape (AHEAD_DAYS + 1,)."""
        if self.index is None:
            return np.arange(AHEAD_DAYS + 1.0)
        days = np.datetime64(self.as_of, "D") + np.arange(1, AHEAD_DAYS + 1)
        return np.concatenate([[0.0], np.cumsum(self.index.pace(days))])
