"""Operational time by hand: days weighted by the pace of purchases."""

from datetime import date

import numpy as np
import pytest

from models.operational_time import AHEAD_DAYS, WEEKS, OperationalTime, PaceIndex

DAY = date(2025, 3, 31)
EVEN = OperationalTime(DAY)


def index(**pace: float) -> PaceIndex:
    """A pace by week of the year, 1 where not given."""
    weeks = np.ones(WEEKS)
    for week, value in pace.items():
        weeks[int(week[1:])] = value
    return PaceIndex(DAY, tuple(weeks.tolist()))


def test_without_an_index_operational_days_are_calendar_days():
    days = np.array([0.0, 1.5, 400.0, 10_000.0])
    for time in (EVEN, OperationalTime(DAY, PaceIndex(DAY))):
        assert time.is_calendar
        assert (time.before(days) == days).all()
        assert (time.after(days) == days).all()
        assert (time.calendar_days(days) == days).all()
        assert time.days_before(30.0) == 30.0
        t_x, T = time.since_first([3, 0], [10, 5])
        assert (t_x == [3, 0]).all()
        assert (T == [10, 5]).all()


def test_a_day_counts_as_much_as_its_pace():
    # March 31 is the 90th day: of week 12, which has days 85 to 91; from April 2 to 8 it is week 13
    time = OperationalTime(DAY, index(w12=2.0, w13=0.5))
    assert time.after([1, 2, 9, 16]) == pytest.approx([2.0, 2.5, 6.5, 13.5])
    assert time.before([1, 6, 7, 8]) == pytest.approx([2.0, 12.0, 13.0, 14.0])
    assert time.after(0.5) == pytest.approx(1.0)


def test_a_customers_times_end_at_the_day():
    time = OperationalTime(DAY, index(w12=2.0))
    # first order 10 days ago; last one 3 days ago, on March 28, which counts double
    t_x, T = time.since_first([7], [10])
    assert pytest.approx([6 * 2 + 4]) == T
    assert t_x == pytest.approx([10 + 3 - 3])  # seven days, three of them in week 12
    t_x, T = time.since_first([10], [10])
    assert t_x == T


def test_calendar_days_undo_operational_ones():
    waves = 1 + 0.5 * np.sin(2 * np.pi * np.arange(WEEKS) / WEEKS)
    time = OperationalTime(DAY, PaceIndex(DAY, tuple(waves)))
    days = np.array([0.0, 0.3, 17.0, 365.0, 3_000.0, AHEAD_DAYS + 500.0])
    assert time.calendar_days(time.after(days)) == pytest.approx(days)
    assert time.calendar_days([np.inf]) == [np.inf]
    assert time.before(time.days_before(200.0)) == pytest.approx(200.0)


def test_a_year_has_as_many_operational_days_as_its_mean_pace():
    waves = 1 + 0.5 * np.sin(2 * np.pi * np.arange(WEEKS) / WEEKS)
    time = OperationalTime(DAY, PaceIndex(DAY, tuple(waves / waves.mean())))
    assert float(time.after(365)) == pytest.approx(365, rel=0.004)  # the last week has a day more


def test_the_trend_counts_for_the_past_and_ends_at_the_day():
    rising = PaceIndex(DAY, trend=0.2)
    time = OperationalTime(DAY, rising)
    assert time.after(100) == pytest.approx(100)
    age = np.arange(365.0)
    assert time.before(365) == pytest.approx(np.exp(-0.2 * age / 365.25).sum())
    earlier = OperationalTime(date(2024, 3, 31), rising)  # what the pace was a year before
    assert earlier.before(1) == pytest.approx(np.exp(-0.2 * 365 / 365.25))
    assert earlier.after(365) == pytest.approx(time.before(365))
    assert earlier.after(465) == pytest.approx(time.before(365) + 100)


def test_the_trend_is_not_extrapolated_beyond_what_it_was_learned_from():
    learned = PaceIndex(DAY, trend=-0.4, first=date(2020, 3, 31))
    time = OperationalTime(DAY, learned)
    five_years_before = (DAY - date(2020, 3, 31)).days
    more = float(time.before(five_years_before + 1_000) - time.before(five_years_before))
    assert more == pytest.approx(1_000 * np.exp(0.4 * five_years_before / 365.25))


def test_one_off_days_count_where_they_were():
    sale = PaceIndex(DAY, one_off=((date(2025, 3, 20), date(2025, 3, 21), 3.0),))
    time = OperationalTime(DAY, sale)
    assert time.before([10, 11, 12, 13]) == pytest.approx([10, 13, 16, 17])
    before = OperationalTime(date(2024, 12, 31), sale)
    assert before.after(365) == pytest.approx(365 + 4)
    assert time.after(365) == pytest.approx(365)


def test_an_index_survives_json():
    full = PaceIndex(
        DAY, (1.25,) * WEEKS, 0.1, ((date(2025, 1, 1), date(2025, 1, 7), 1.5),), date(2020, 1, 1)
    )
    assert PaceIndex.from_dict(full.to_dict()) == full
    assert full.has_season
    assert not PaceIndex(DAY).has_season
