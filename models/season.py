"""Learn the pace of purchases over the calendar: season, trend, and weeks that stand out.

Between a customer's first and last purchase the others are spread like the pace, whatever the customer's
own rate and whenever customers leave: given the number of events, the times of a Poisson process are
independent draws from its intensity [1]_. So the pace of the store is told by those purchases alone, by
a likelihood with no customer's rate in it.

The logarithm of the pace of each week is the sum of a trend, two waves of the year, a deviation of the
week of the year, and one of the week itself: a Gaussian process, whose variances are those of the highest
evidence, with Laplace's approximation [2]_. A variance of 0 leaves a part out.

References
----------
.. [1] Cox & Lewis (1966), The Statistical Analysis of Series of Events, chapter 3.
.. [2] Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, sections 3.4 and 5.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.operational_time import MEAN_YEAR_DAYS, WEEK_DAYS, WEEKS, PaceIndex, weeks_of
from models.order_value import shrunk

Array = NDArray[np.float64]
Places = NDArray[np.intp]

WAVES = (1, 2)  # per year
SEASON_SD = (0.0, 0.05, 0.1, 0.2, 0.4)  # tried, of the yearly wave and of the week of the year
WEEK_SD = (0.0, 0.03, 0.06, 0.12, 0.25, 0.5)  # tried, of a week itself
TREND_SD = 0.3  # of the logarithm per year
PEAK_SD = 1.5  # of days that the settings name
PILOT = (0.2, 0.1, 0.1)  # standard deviations by which the evidence is approximated
STEPS, CLOSE = 50, 1e-4  # of Newton's method, and where it ends
WIDEST = 20.0  # range of the log pace beyond which a step is halved
STANDS_OUT = 0.1  # logarithm from which on a week counts as one that stands out
ONE_OFF = 0.3  # from which on it is taken out of the season, as if the settings named it


@dataclass(frozen=True)
class PurchaseSpans:
    """Purchases between customers' first and last ones, and the days that they are spread over.

    Attributes
    ----------
    first, last
        Shape (spans,): first and last of these days, as numpy days.
    purchases
        Shape (spans,): how many purchases lie on them.
    days, counts
        Shape (days,): the days of these purchases, and how many there are on each.
    since
        Purchases before this day are not counted; None = all are.
    """

    first: NDArray[np.datetime64]
    last: NDArray[np.datetime64]
    purchases: Array
    days: NDArray[np.datetime64]
    counts: Array
    since: date | None = None

    @classmethod
    def of(
        cls, spans: pd.DataFrame, between: pd.DataFrame, since: date | None = None
    ) -> "PurchaseSpans":
        """Take over the tables of :mod:`features.season`."""
        first, last, days = (
            pd.to_datetime(column).to_numpy().astype("datetime64[D]")
            for column in (
                spans["first_order_date"],
                spans["last_order_date"],
                between["order_date"],
            )
        )
        cut = 1 + spans["cut_days"].to_numpy(np.int64)
        of_spans, of_days = (t["purchases"].to_numpy(np.float64) for t in (spans, between))
        return cls(first + cut, last - cut, of_spans, days, of_days, since)

    @property
    def total(self) -> float:
        """How many purchases there are."""
        return float(self.counts.sum())


@dataclass(frozen=True)
class PaceFit:
    """A pace that was learned.

    Attributes
    ----------
    index
        The pace.
    wave_sd, week_of_year_sd, week_sd
        Standard deviations of the highest evidence, of logarithms.
    log_bayes_factor
        Log evidence less that of the best deviations without a season.
    trend, trend_error
        Logarithm per year before it is shrunk, and its standard error.
    """

    index: PaceIndex
    wave_sd: float
    week_of_year_sd: float
    week_sd: float
    log_bayes_factor: float
    trend: float
    trend_error: float


def fit_pace(
    spans: PurchaseSpans, first: date, as_of: date, peaks: Sequence[tuple[date, date]] = ()
) -> PaceFit:
    """Learn the pace of purchases.

    Parameters
    ----------
    spans
        The purchases to learn from.
    first, as_of
        First and last day to learn from.
    peaks
        First and last days of promotions and other peaks: they get a pace of their own, and are left out of
        the season.

    Returns
    -------
    PaceFit
        Its index has no season where the evidence is for none.
    """
    weeks = _Weeks.of(spans, first, as_of, peaks)
    best, factor = _deviations(weeks)
    weights, information = weeks.posterior(weeks.kernel(*best))
    is_one_off = np.abs(weeks.own(weights, best[2])) > ONE_OFF
    if (is_one_off & ~weeks.is_peak).any():  # a sale tells nothing of how weeks usually differ
        beside = np.convolve(is_one_off, np.ones(3), mode="same") > 0
        weeks = replace(weeks, is_peak=weeks.is_peak | beside)
        best, factor = _deviations(weeks)
        weights, information = weeks.posterior(weeks.kernel(*best))
    kernel = weeks.kernel(*best)
    trend, error = weeks.trend(weights, information, kernel)
    index = PaceIndex(
        as_of,
        weeks.season(weights, best[0], best[1]),
        shrunk(trend, error**2),
        weeks.one_off(weights, best[2]),
        first,
    )
    return PaceFit(index, *best, factor, trend, error)


def season_gain(spans: PurchaseSpans, index: PaceIndex) -> float:
    """Compare a season with none on purchases that it was not learned from.

    Parameters
    ----------
    spans
        Those purchases: of days since ``spans.since``.
    index
        Learned from earlier days.

    Returns
    -------
    float
        By how much the log-likelihood rises.
    """
    first = spans.since or pd.Timestamp(spans.first.min()).date()
    weeks = _Weeks.of(spans, first, pd.Timestamp(spans.last.max()).date(), ())
    log_pace = np.log(replace(index, trend=0.0, one_off=()).pace(weeks.begins))
    return weeks.log_likelihood(log_pace) - weeks.log_likelihood(np.zeros(len(log_pace)))


def _deviations(weeks: "_Weeks") -> tuple[tuple[float, float, float], float]:
    """Return the standard deviations of the highest evidence, and the log Bayes factor of a season.

    Of equal evidence, it is the smaller ones.
    """
    information, target = weeks.approximation(weeks.kernel(*PILOT))
    best, highest, without = (0.0, 0.0, 0.0), -np.inf, -np.inf
    for sd in product(SEASON_SD, SEASON_SD, WEEK_SD):
        evidence = _evidence(weeks.kernel(*sd), information, target)
        if sd[:2] == (0.0, 0.0):
            without = max(without, evidence)
        if evidence > highest + 1e-9:
            best, highest = sd, evidence
    return best, highest - without


def _evidence(kernel: Array, information: Array, target: Array) -> float:
    """Return the log evidence of a Gaussian process, but for a constant."""
    matrix = np.eye(len(kernel)) + information @ kernel
    fit = kernel @ np.linalg.solve(matrix, target)
    return float(target @ fit - np.linalg.slogdet(matrix)[1]) / 2


@dataclass(frozen=True)
class _Weeks:
    """Weeks of the history, and the likelihood of their pace.

    Attributes
    ----------
    first
        The first day.
    of_day
        Shape (days,): each day's week.
    begins
        Shape (weeks,): first days. A week that a peak divides is several.
    week, is_peak
        Shape (weeks,): week of the year, and whether the settings name its days.
    years
        Shape (weeks,): years from the last day to the middle, 0 or less.
    counts
        Shape (weeks,): purchases.
    low, high, purchases
        Shape (spans,): first day inside each span, first day after it, and purchases inside.
    """

    first: np.datetime64
    of_day: Places
    begins: NDArray[np.datetime64]
    week: Places
    is_peak: NDArray[np.bool_]
    years: Array
    counts: Array
    low: Places
    high: Places
    purchases: Array

    @classmethod
    def of(
        cls, spans: PurchaseSpans, first: date, as_of: date, peaks: Sequence[tuple[date, date]]
    ) -> "_Weeks":
        start = np.datetime64(first, "D")
        days = np.arange(start, np.datetime64(as_of, "D") + 1)
        week, year = weeks_of(days)
        peak = np.zeros(len(days), dtype=np.intp)
        for number, (begin, end) in enumerate(peaks, 1):
            peak[(days >= np.datetime64(begin, "D")) & (days <= np.datetime64(end, "D"))] = number
        key = (year * WEEKS + week) * (len(peaks) + 1) + peak
        is_new = np.concatenate([[True], np.diff(key) != 0])
        of_day = np.cumsum(is_new) - 1
        counts = np.zeros(len(days))
        inside = spans.days >= start
        np.add.at(counts, (spans.days[inside] - start).astype(np.intp), spans.counts[inside])
        middle = np.bincount(of_day, np.arange(len(days))) / np.bincount(of_day)
        return cls(
            start,
            of_day,
            days[is_new],
            week[is_new],
            peak[is_new] > 0,
            (middle - len(days)) / MEAN_YEAR_DAYS,
            np.bincount(of_day, counts).astype(np.float64),
            np.maximum((spans.first - start).astype(np.intp), 0),
            (spans.last - start).astype(np.intp) + 1,
            spans.purchases,
        )

    def kernel(self, wave_sd: float, week_of_year_sd: float, week_sd: float) -> Array:
        """Return the prior covariance of the logarithms of the weeks' pace, shape (weeks, weeks)."""
        usual = ~self.is_peak
        season = self._season_kernel(self.week, wave_sd, week_of_year_sd)
        own = np.where(self.is_peak, PEAK_SD**2, week_sd**2)
        trend = TREND_SD**2 * np.outer(self.years, self.years)
        return np.asarray(trend + season * np.outer(usual, usual) + np.diag(own))

    def _season_kernel(self, week: Places, wave_sd: float, week_of_year_sd: float) -> Array:
        apart = 2 * np.pi * WEEK_DAYS / MEAN_YEAR_DAYS * (week[:, None] - self.week[None, :])
        waves = sum(np.cos(k * apart) / k**2 for k in WAVES)
        return np.asarray(
            wave_sd**2 * waves + week_of_year_sd**2 * (week[:, None] == self.week[None, :])
        )

    def _spans(self, log_pace: Array) -> tuple[Array, Array]:
        """Return the operational length of each span, and the pace of each day."""
        pace = np.exp(log_pace)[self.of_day]
        cumulated = np.concatenate([[0.0], np.cumsum(pace)])
        length = np.maximum(cumulated[self.high] - cumulated[self.low], 1e-12)
        return np.asarray(length), pace

    def log_likelihood(self, log_pace: Array) -> float:
        """Return the log-likelihood of the purchases' days, given each span's number of them."""
        length, _ = self._spans(log_pace)
        return float(self.counts @ log_pace - self.purchases @ np.log(length))

    def expected(self, log_pace: Array) -> Array:
        """Return how many purchases each week is expected to have, shape (weeks,)."""
        length, pace = self._spans(log_pace)
        per_day = self.purchases / length
        size = len(pace) + 1
        density = np.bincount(self.low, per_day, size) - np.bincount(self.high, per_day, size)
        return np.bincount(self.of_day, pace * np.cumsum(density)[:-1]).astype(np.float64)

    def information(self, log_pace: Array) -> Array:
        """Return the information on the weeks' log pace, shape (weeks, weeks); spans count by whole weeks."""
        length, _ = self._spans(log_pace)
        count = len(self.week)
        ends = np.zeros((count, count))
        begin = self.of_day[np.minimum(self.low, len(self.of_day) - 1)]
        end = self.of_day[np.maximum(self.high - 1, 0)]
        np.add.at(ends, (begin, end), self.purchases / length**2)
        covering = np.cumsum(np.cumsum(ends, axis=0)[:, ::-1], axis=1)[:, ::-1]
        covering = np.triu(covering) + np.triu(covering, 1).T
        days = np.exp(log_pace) * np.bincount(self.of_day)
        both = covering * np.outer(days, days)
        return np.asarray(np.diag(both.sum(axis=1)) - both)

    def mode(self, kernel: Array) -> tuple[Array, Array]:
        """Return the most likely log pace by Newton's method, and the weights whose product with the kernel it is.

        Both have shape (weeks,).
        """
        weights = np.zeros(len(kernel))
        log_pace, height = kernel @ weights, self._height(weights, kernel)
        for _ in range(STEPS):
            information = self.information(log_pace)
            target = information @ log_pace + self.counts - self.expected(log_pace)
            matrix = np.eye(len(kernel)) + information @ kernel
            step = np.asarray(np.linalg.solve(matrix, target), dtype=np.float64) - weights
            while np.abs(kernel @ step).max() > CLOSE:
                higher = self._height(weights + step, kernel)
                if higher > height:
                    break
                step = step / 2
            else:
                break
            weights, height = weights + step, higher
            log_pace = kernel @ weights
        return log_pace, weights

    def _height(self, weights: Array, kernel: Array) -> float:
        """Return the logarithm of the posterior density, but for a constant; far off, minus infinity."""
        log_pace = kernel @ weights
        if np.ptp(log_pace) > WIDEST:
            return -np.inf
        return self.log_likelihood(log_pace) - float(weights @ log_pace) / 2

    def approximation(self, kernel: Array) -> tuple[Array, Array]:
        """Return the information at the mode, and what it is of: that of a Gaussian likelihood."""
        mode, _ = self.mode(kernel)
        information = self.information(mode)
        return information, information @ mode + self.counts - self.expected(mode)

    def posterior(self, kernel: Array) -> tuple[Array, Array]:
        """Return the weights of the mode, and the information there."""
        mode, weights = self.mode(kernel)
        return weights, self.information(mode)

    def trend(self, weights: Array, information: Array, kernel: Array) -> tuple[float, float]:
        """Return the trend's mean, logarithm per year, and its standard error."""
        matrix = np.eye(len(kernel)) + information @ kernel
        weight = self.years @ np.linalg.solve(matrix, information @ self.years)
        variance = TREND_SD**2 - TREND_SD**4 * float(weight)
        return TREND_SD**2 * float(self.years @ weights), float(np.sqrt(max(variance, 0.0)))

    def season(self, weights: Array, wave_sd: float, week_of_year_sd: float) -> tuple[float, ...]:
        """Return the pace by week of the year, mean 1 over a year; empty where it does not vary."""
        if wave_sd == week_of_year_sd == 0:
            return ()
        usual = np.where(self.is_peak, 0.0, weights)
        weeks = np.arange(WEEKS)
        pace = np.exp(self._season_kernel(weeks, wave_sd, week_of_year_sd) @ usual)
        days = np.full(WEEKS, float(WEEK_DAYS))
        days[-1] = MEAN_YEAR_DAYS - WEEK_DAYS * (WEEKS - 1)
        return tuple((pace / np.average(pace, weights=days)).tolist())

    def own(self, weights: Array, week_sd: float) -> Array:
        """Return the weeks' log pace beyond season and trend, relative to a usual week, shape (weeks,)."""
        own = np.where(self.is_peak, PEAK_SD**2, week_sd**2) * weights
        usual = own[~self.is_peak]
        return np.asarray(own - (float(np.median(usual)) if len(usual) else 0.0))

    def one_off(self, weights: Array, week_sd: float) -> tuple[tuple[date, date, float], ...]:
        """List the weeks that stand out beyond season and trend."""
        own = self.own(weights, week_sd)
        sizes = np.bincount(self.of_day)
        return tuple(
            (begin, begin + timedelta(days=int(size) - 1), float(np.exp(log)))
            for begin, size, log in zip(self.begins.astype(object), sizes, own, strict=True)
            if abs(log) > STANDS_OUT
        )
