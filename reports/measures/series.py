"""The dashboard's measures by week and by month."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from reports.measures.rates import days_of, missing
from reports.records.kpis import DashboardRow, MissingRow, Point

WEEKS, MONTHS = 9, 13  # whole ones, the last included
ODD_DEVIATIONS = 3.0
LEAST_BEFORE = 5  # values that say what is usual


@dataclass(frozen=True)
class Daily:
    """A measure's parts by day: the ratio of two sums, or a sum.

    Attributes
    ----------
    quadrant, measure, unit
        As the dashboard shows them.
    top, bottom
        Sums by day; without `bottom` the measure is the sum of `top`.
    least
        Of `bottom`, below which nothing is said.
    scale
        By which the ratio is multiplied.
    """

    quadrant: str
    measure: str
    unit: str
    top: pd.Series
    bottom: pd.Series | None = None
    least: int = 0
    scale: float = 1.0


def by_date(frame: pd.DataFrame, column: str) -> pd.Series:
    """Return a column by day, from a frame with the column ``date``."""
    series = pd.Series(frame[column].to_numpy(np.float64), index=days_of(frame["date"]))
    summed: pd.Series = series.groupby(level=0).sum()
    return summed


def row(daily: Daily, as_of: date) -> DashboardRow:
    """Sum a measure up by whole weeks (from Monday on) and whole months."""
    weeks, months = (
        tuple(_point(daily, start, end) for start, end in spans)
        for spans in (_weeks(as_of), _months(as_of))
    )
    return DashboardRow(
        quadrant=daily.quadrant,
        measure=daily.measure,
        unit=daily.unit,
        weeks=weeks,
        months=months,
        is_anomaly_week=is_odd([point.value for point in weeks]),
        is_anomaly_month=is_odd([point.value for point in months]),
    )


def lacking(quadrant: str, measure: str, needs: str) -> MissingRow:
    """Say which table a measure needs."""
    need = missing(needs, measure).missing
    return MissingRow(quadrant=quadrant, measure=measure, missing=need)


def is_odd(values: list[float | None]) -> bool:
    """Say whether the last value is further from the median of those before than they usually are.

    Notes
    -----
    Three standard deviations by the median absolute deviation (times 1.4826, as for a normal
    distribution), and never for less than a hundredth of the median.
    """
    before = [value for value in values[:-1] if value is not None]
    if not values or values[-1] is None or len(before) < LEAST_BEFORE:
        return False
    middle = float(np.median(before))
    usual = 1.4826 * float(np.median(np.abs(np.array(before) - middle)))
    return abs(values[-1] - middle) > ODD_DEVIATIONS * max(usual, 0.01 * abs(middle), 1e-12)


def _point(daily: Daily, start: date, end: date) -> Point:
    top = _sum(daily.top, start, end)
    if daily.bottom is None:
        return Point(start=start.isoformat(), value=top, n=int(top))
    n = _sum(daily.bottom, start, end)
    value = daily.scale * top / n if n > 0 and n >= daily.least else None
    return Point(start=start.isoformat(), value=value, n=int(n))


def _sum(series: pd.Series, start: date, end: date) -> float:
    inside = (series.index >= pd.Timestamp(start)) & (series.index < pd.Timestamp(end))
    return float(series[inside].sum())


def _weeks(as_of: date) -> list[tuple[date, date]]:
    end = as_of + timedelta(days=1)
    end -= timedelta(days=end.weekday())
    return [
        (end - timedelta(weeks=k + 1), end - timedelta(weeks=k)) for k in range(WEEKS - 1, -1, -1)
    ]


def _months(as_of: date) -> list[tuple[date, date]]:
    now = pd.Period(as_of + timedelta(days=1), freq="M")
    months = [now - k for k in range(MONTHS, 0, -1)]
    return [(m.start_time.date(), (m + 1).start_time.date()) for m in months]


def first_day(as_of: date) -> date:
    """Return the first day that the dashboard looks at."""
    return min(_months(as_of)[0][0], _weeks(as_of)[0][0])
