"""How many come back, and when."""

from collections.abc import Iterator
from datetime import date, timedelta
from math import fsum

import numpy as np
import pandas as pd

from features.window import YEAR_DAYS
from models.survival import Curve, kaplan_meier, mean_difference, rate_difference
from reports.measures.rates import rate, rate_by
from reports.records.kpis import (
    CohortAlarm,
    CurvePoint,
    OrderStep,
    Rate,
    Repeat,
    SecondOrder,
    ValueAlarm,
)

MARKS = (30, 60, 90)
POINTS, SHOWN_DAYS = 120, 400  # of the curve
LATE_CYCLES = 2.0
RECENT_DAYS = 91  # of first orders that the alarm looks at
ALARM_DAYS = (30, 90)  # shortest and longest age at which cohorts are compared


def repeat(
    returned: pd.DataFrame, gaps: pd.DataFrame, benchmark: float | None, least: int
) -> Repeat:
    """Say how many come back.

    Parameters
    ----------
    returned
        What :func:`features.journeys.returned` counted.
    gaps
        What :func:`features.journeys.gaps` counted.
    benchmark
        Share of customers who come back within a year elsewhere; None = not given.
    least
        Customers below whom a rate is not said.
    """
    first = gaps[gaps["number"] == 1]
    curve = kaplan_meier(first["days"], first["is_event"], first["customers"])
    return Repeat(
        rate_12m=_within(returned, YEAR_DAYS, least),
        estimate_12m=rate_by(curve, YEAR_DAYS, least),
        benchmark=benchmark,
        returned={str(days): _within(returned, days, least) for days in MARKS},
    )


def _within(returned: pd.DataFrame, days: int, least: int) -> Rate:
    seen = returned[returned["age_days"] >= days]
    came = seen[seen["gap_days"] <= days]
    return rate(came["customers"].sum(), seen["customers"].sum(), least)


def second_order(gaps: pd.DataFrame, cycle_days: float) -> SecondOrder:
    """Say how long it takes from the first purchase to the second.

    Parameters
    ----------
    gaps
        What :func:`features.journeys.gaps` counted.
    cycle_days
        Natural cycle.
    """
    first = gaps[gaps["number"] == 1]
    curve = kaplan_meier(first["days"], first["is_event"], first["customers"])
    median, low, high = curve.median()
    limit = LATE_CYCLES * cycle_days
    late = curve.at(limit)[2] < 0.5 if median is None else median > limit
    watched = bool(len(first)) and float(first["days"].max()) >= limit
    return SecondOrder(
        median_days=median,
        low=low,
        high=high,
        is_late=bool(late and watched),
        curve=tuple(_points(curve)),
    )


def _points(curve: Curve) -> Iterator[CurvePoint]:
    """Yield the start of a curve and its first days, thinned out."""
    yield CurvePoint(day=0.0, share=0.0, low=0.0, high=0.0, at_risk=int(curve.n))
    inside = int(np.searchsorted(curve.days, SHOWN_DAYS, side="right"))
    shown = np.unique(np.linspace(0, max(inside - 1, 0), POINTS).astype(int))
    for k in shown if len(curve.days) else ():
        yield CurvePoint(
            day=float(curve.days[k]),
            share=float(curve.share[k]),
            low=float(curve.low[k]),
            high=float(curve.high[k]),
            at_risk=int(curve.at_risk[k]),
        )


def steps(gaps: pd.DataFrame, least: int) -> tuple[OrderStep, ...]:
    """Say how many go from each order to the next within a year (Kaplan-Meier).

    Parameters
    ----------
    gaps
        What :func:`features.journeys.gaps` counted.
    least
        Customers below whom a rate is not said.
    """
    return tuple(
        OrderStep(from_order=number, to_order=number + 1, rate=_next_rate(gaps, number, least))
        for number in (1, 2, 3)
    )


def _next_rate(gaps: pd.DataFrame, number: int, least: int) -> Rate:
    of = gaps[gaps["number"] == number]
    curve = kaplan_meier(of["days"], of["is_event"], of["customers"])
    return rate_by(curve, YEAR_DAYS, least)


def cohort_alarm(
    returned: pd.DataFrame, as_of: date, cycle_days: float, least: int
) -> CohortAlarm:
    """Compare the newest cohorts with those of a year before, at equal age.

    Parameters
    ----------
    returned
        What :func:`features.journeys.returned` counted.
    as_of
        Last day whose orders are known.
    cycle_days
        Natural cycle: the age at which they are compared, kept between 30 and 90 days.
    least
        Customers below whom nothing is compared.

    Returns
    -------
    CohortAlarm
        Without a value; where nothing can be compared, ``difference`` is None and ``why`` says so.
    """
    age = alarm_age(cycle_days)
    recent = _cohort(returned, age, 0, least)
    before = _cohort(returned, age, YEAR_DAYS, least)
    alarm = CohortAlarm(
        age_days=age,
        recent=recent,
        before=before,
        is_alarm=False,
        difference=None,
        low=None,
        high=None,
    )
    if min(recent.n, before.n) < least:
        until = as_of - timedelta(days=age)
        why = (
            f"Cohorts a year apart are compared when both have {least} customers: of the three months to "
            f"{until} there are {recent.n:,}, of those a year before {before.n:,}."
        )
        return alarm.model_copy(update={"why": why})
    difference, low, high = rate_difference(recent.count, recent.n, before.count, before.n)
    return alarm.model_copy(
        update={"difference": difference, "low": low, "high": high, "is_alarm": high < 0}
    )


def alarm_age(cycle_days: float) -> int:
    """Return the age at which cohorts are compared: a natural cycle, from 30 to 90 days."""
    return int(np.clip(round(cycle_days), *ALARM_DAYS))


def cohort_value_alarm(early: pd.DataFrame, age: int, least: int) -> ValueAlarm:
    """Compare what the newest cohorts brought with those of a year before, at equal age.

    Parameters
    ----------
    early
        What :func:`features.journeys.early_revenue` summed, of so many days as `age` has.
    age
        What :func:`alarm_age` returned.
    least
        Customers below whom nothing is compared.

    Returns
    -------
    ValueAlarm
        Figures are None where there are too few customers.
    """
    (mean, variance, n), other = (_amounts(early, age, back) for back in (0, YEAR_DAYS))
    if min(n, other[2]) < max(least, 2):
        return ValueAlarm(
            recent=None,
            before=None,
            n=n,
            n_before=other[2],
            difference=None,
            low=None,
            high=None,
            is_alarm=False,
        )
    difference, low, high = mean_difference(mean, variance, n, *other)
    return ValueAlarm(
        recent=mean,
        before=other[0],
        n=n,
        n_before=other[2],
        difference=difference,
        low=low,
        high=high,
        is_alarm=high < 0,
    )


def _amounts(early: pd.DataFrame, age: int, back: int) -> tuple[float, float, int]:
    """Return mean, variance and number of a cohort's customers' amounts."""
    since = early["age_days"] - back - age
    inside = early[(since >= 0) & (since < RECENT_DAYS)]
    n, total, squares = (fsum(inside[c]) for c in ("customers", "amount", "squares"))
    mean = total / n if n else 0.0
    variance = max(squares - n * mean**2, 0.0) / (n - 1) if n > 1 else 0.0
    return mean, variance, int(n)


def _cohort(returned: pd.DataFrame, age: int, back: int, least: int) -> Rate:
    since = returned["age_days"] - back - age
    inside = returned[(since >= 0) & (since < RECENT_DAYS)]
    came = inside[inside["gap_days"] <= age]
    return rate(came["customers"].sum(), inside["customers"].sum(), least)
