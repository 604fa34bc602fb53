"""Rates with what they rest on, and measures whose table is missing."""

from typing import Any

import numpy as np
import pandas as pd

from models.survival import Curve, wilson
from reports.records.kpis import Missing, Need, Rate


def rate(count: float, n: float, least: int) -> Rate:
    """Return a rate with its 95 % interval (Wilson); of fewer than `least` it is not said."""
    low, high = wilson(count, n)
    return _rate(count / n if n else None, (low, high), n, count, least)


def rate_by(curve: Curve, day: float, least: int) -> Rate:
    """Return the share to whom it has happened by a day (Kaplan-Meier), if anybody was watched so long."""
    value, low, high = curve.at(day)
    watched = value if curve.watched >= day else None
    return _rate(watched, (low, high), curve.n, curve.events, least)


def missing(needs: str, measure: str) -> Missing:
    """Say which table a measure needs."""
    return Missing(missing=Need(needs=needs, measure=measure))


def number(value: Any) -> float | None:  # noqa: ANN401  # a pandas value
    """Return a number, None where there is none."""
    return None if value is None or pd.isna(value) or not np.isfinite(value) else float(value)


def days_of(column: pd.Series) -> pd.Series:
    """Return a column of days as pandas' moments."""
    moments: pd.Series = pd.to_datetime(column)
    return moments.dt.tz_localize(None) if moments.dt.tz is not None else moments


def _rate(
    value: float | None, interval: tuple[float, float], n: float, count: float, least: int
) -> Rate:
    if value is None or n < least:
        why = "too few" if n < max(least, 1) else "too early"
        return Rate(value=None, low=None, high=None, n=int(n), count=int(count), why=why)
    low, high = interval
    return Rate(value=value, low=low, high=high, n=int(n), count=int(count))
