"""Learn the pace of purchases over the calendar, and prove its season on days that it was not learned from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from connectors.engine import Engine
from features.season import purchase_spans, purchases_between
from features.window import YEAR_DAYS
from models.operational_time import OperationalTime, PaceIndex
from models.season import (
    PaceFit,
    PurchaseSpans,
    fit_pace,
    season_gain,
)

MOST_DAYS = 5 * YEAR_DAYS  # of the history that is looked at
LEAST_PROOF_DAYS = 91  # that a season is proved on
LEAST_PURCHASES = 100  # between first and last ones
STRONG = (
    3.0  # log Bayes factor: where there is no season, it is as high in at most 1 of 20 histories
)

Peaks = Sequence[tuple[date, date]]  # first and last days


@dataclass(frozen=True)
class StorePace:
    """The pace of a store's purchases.

    Attributes
    ----------
    index
        What operational time is measured by.
    note
        What it was learned from, or why a season is not used.
    metrics
        Standard deviations, the trend, the season's gain; empty where nothing could be learned.
    """

    index: PaceIndex
    note: str
    metrics: dict[str, float]

    @property
    def has_season(self) -> bool:
        """Whether a season is used."""
        return self.index.has_season

    def at(self, day: date) -> OperationalTime:
        """Return operational time around a day."""
        return OperationalTime(day, self.index)


def timed(cells: pd.DataFrame, time: OperationalTime) -> pd.DataFrame:
    """Measure counted customer states, :func:`features.rfm.state_cells`, in operational time."""
    t_x, T = time.since_first(cells["recency_days"], cells["age_days"])
    return cells.assign(recency_days=t_x, age_days=T)


def clock(engine: Engine, time: OperationalTime, first: date) -> ir.Table | None:
    """Return the operational day of each day since the first, as :func:`features.regularity.gap_facts` takes it.

    None where every day counts as one.
    """
    if time.is_calendar:
        return None
    ago = np.arange((time.as_of - first).days, -1, -1)
    days = [time.as_of - timedelta(days=int(each)) for each in ago]
    rows = pd.DataFrame({"order_date": days, "operational_day": -time.before(ago)})
    return engine.table(rows, "operational_days")


def even_pace(as_of: date, reason: str) -> StorePace:
    """Return a pace by which every day counts as one."""
    return StorePace(PaceIndex(as_of), f"no season is used: {reason}", {})


def learn_pace(
    engine: Engine,
    orders: ir.Table,
    first: date,
    as_of: date,
    peaks: Peaks = (),
    regularity: float = 1.0,
) -> StorePace:
    """Learn the pace, and use its season where it tells when purchases come on later days.

    Parameters
    ----------
    engine
        Computes the tables.
    orders
        Table :class:`features.tables.Orders`; orders after `as_of` are not looked at.
    first, as_of
        Day of the first order, and last day whose orders are known.
    peaks
        First and last days of promotions and other peaks, which are no season.
    regularity
        k of the gaps between purchases, 1 = random.
    """
    days = (as_of - first).days
    if days < YEAR_DAYS:
        return even_pace(as_of, f"a history of {days} days is shorter than a year")
    start = max(first, as_of - timedelta(days=MOST_DAYS))
    source = _Source(engine, orders, max(regularity, 1.0) if np.isfinite(regularity) else 1.0)
    spans = source.spans(as_of, start)
    if spans.total < LEAST_PURCHASES:
        return even_pace(as_of, "too few customers bought three times and more")
    fit = fit_pace(spans, start, as_of, peaks)
    metrics = {
        "wave_sd": fit.wave_sd,
        "week_of_year_sd": fit.week_of_year_sd,
        "week_sd": fit.week_sd,
        "log_bayes_factor": fit.log_bayes_factor,
        "trend": fit.index.trend,
        "trend_error": fit.trend_error,
        "one_off_weeks": float(len(fit.index.one_off)),
    }
    if not fit.index.has_season:
        return StorePace(fit.index, "no season is used: orders come evenly over the year", metrics)
    proof_days = min(YEAR_DAYS, days - YEAR_DAYS)
    if proof_days < LEAST_PROOF_DAYS:
        reason = "a history of 15 months and more is needed to prove one"
    else:
        metrics["gain"] = _gain(source, start, as_of, peaks, proof_days)
        if metrics["gain"] > 0 and fit.log_bayes_factor > STRONG:
            return StorePace(fit.index, _note(fit), metrics)
        reason = (
            "the evidence for one is weak"
            if fit.log_bayes_factor <= STRONG
            else f"on the last {proof_days} days, what was learned before did not tell when orders come"
        )
    return StorePace(replace(fit.index, weeks=()), f"no season is used: {reason}", metrics)


@dataclass(frozen=True)
class _Source:
    """Orders, and how regular customers buy."""

    engine: Engine
    orders: ir.Table
    regularity: float

    def spans(self, as_of: date, since: date) -> PurchaseSpans:
        """Return the purchases between first and last ones, from a day on."""
        of = (self.orders, as_of, since, self.regularity)
        spans, between = purchase_spans(*of), purchases_between(*of)
        return PurchaseSpans.of(self.engine.frame(spans), self.engine.frame(between), since)


def _gain(source: _Source, start: date, as_of: date, peaks: Peaks, days: int) -> float:
    """Compare a season learned without the last days with none on these days, by log-likelihood."""
    cutoff = as_of - timedelta(days=days)
    earlier = source.spans(cutoff, start)
    if earlier.total < LEAST_PURCHASES:
        return 0.0
    fit = fit_pace(earlier, start, cutoff, peaks)
    later = source.spans(as_of, cutoff + timedelta(days=1))
    if not fit.index.has_season or not later.total:
        return 0.0
    return season_gain(later, fit.index)


def _note(fit: PaceFit) -> str:
    weeks = np.array(fit.index.weeks)
    day = date(2023, 1, 1)  # of a common year
    high, low = (
        (day + timedelta(days=7 * int(place))).strftime("%B %-d")
        for place in (weeks.argmax(), weeks.argmin())
    )
    return (
        f"a season is used: orders come {weeks.max():.2f} times as fast as usual in the week of {high}, "
        f"{weeks.min():.2f} times in that of {low}"
    )
