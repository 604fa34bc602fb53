"""The dashboard's weeks and months, the forecast, and the program's trend, by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.survival import kaplan_meier
from reports.measures import forecast
from reports.measures.advocacy import loyalty_section, nps_trend
from reports.measures.rates import rate, rate_by
from reports.measures.series import Daily, first_day, is_odd, row


def by_day(values, start="2024-01-01"):
    return pd.Series(values, index=pd.date_range(start, periods=len(values)), dtype=float)


def test_a_rate_of_too_few_is_not_said():
    assert rate(3, 29, 30).value is None
    assert rate(3, 30, 30).value == pytest.approx(0.1)
    assert rate(0, 0, 0).value is None


def test_a_chance_beyond_the_longest_wait_is_not_said():
    curve = kaplan_meier([10, 100], [True, False], [20, 20])
    assert rate_by(curve, 100, 30).value == pytest.approx(0.5)
    assert rate_by(curve, 101, 30).value is None


def test_weeks_begin_on_monday_and_only_whole_ones_count():
    """2024-06-30 is a Sunday: the week from the 24th is over. A day earlier it is not."""
    ones = by_day(np.ones(182))
    actual = row(Daily("acquisition", "New", "count", ones), date(2024, 6, 30))
    assert [w.start for w in actual.weeks][-2:] == ["2024-06-17", "2024-06-24"]
    assert [w.value for w in actual.weeks] == [7.0] * 9
    assert [m.start for m in actual.months][-1] == "2024-06-01"
    assert [m.value for m in actual.months][-3:] == [30, 31, 30]
    earlier = row(Daily("acquisition", "New", "count", ones), date(2024, 6, 29))
    assert earlier.weeks[-1].start == "2024-06-17"
    assert earlier.months[-1].start == "2024-05-01"
    assert first_day(date(2024, 6, 30)) == date(2023, 6, 1)


def test_a_ratio_is_of_the_sums_and_not_said_of_too_few():
    top, bottom = by_day(np.ones(182)), by_day(np.full(182, 4.0))
    actual = row(Daily("retention", "Share", "share", top, bottom, 28), date(2024, 6, 30))
    assert [w.value for w in actual.weeks] == [0.25] * 9
    few = row(Daily("retention", "Share", "share", top, bottom, 29), date(2024, 6, 30))
    assert few.weeks[-1].value is None
    assert few.months[-1].value == 0.25


def test_the_last_value_is_odd_beyond_three_robust_deviations():
    """Median 10, median deviation 1: 1.4826, so beyond 14.45."""
    before = [9.0, 11.0, 10.0, 9.0, 11.0]
    assert not is_odd([*before, 14.4])
    assert is_odd([*before, 14.5])
    assert is_odd([*before, 5.5])
    assert not is_odd([*before[1:], 99.0])
    assert not is_odd([*before, None])
    assert not is_odd([])


def test_the_net_promoter_score_with_its_interval():
    """60 of 100 promote, 20 detract: 40; variance .8 - .16 = .64, so 40 give or take 15.68."""
    frame = pd.DataFrame(
        {"month": ["2024-05-01"], "answers": [100], "promoters": [60], "detractors": [20]}
    )
    (actual,) = nps_trend(frame, 30)
    assert (actual.month, actual.score, actual.n) == ("2024-05", pytest.approx(40), 100)
    assert (actual.low, actual.high) == pytest.approx((24.32, 55.68))
    assert nps_trend(frame, 101)[0].score is None


def test_a_sleepy_program_is_flagged():
    members = pd.DataFrame({"enrolled": [100], "active": [14], "risen": [5]})
    assert loyalty_section(members, 200, 0.15, 30).is_low
    assert not loyalty_section(members.assign(active=15), 200, 0.15, 30).is_low
    assert not loyalty_section(members, 200, 0.15, 101).is_low


def test_the_interval_of_a_total_is_how_far_past_totals_were_off():
    """Off by a factor of e^.1 and e^-.1: exp(1.2816 x .1) either way; never less than a twentieth."""
    ratios = [float(np.exp(0.1)), float(np.exp(-0.1))]
    (actual,) = forecast.existing({30: (5.0, 100.0)}, ratios)
    assert (actual.low, actual.high) == pytest.approx((87.97, 113.67), abs=0.01)
    (sure,) = forecast.existing({30: (5.0, 100.0)}, [1.0])
    assert sure.high == pytest.approx(100 * np.exp(1.2816 * 0.05))
    (unknown,) = forecast.existing({30: (5.0, 100.0)}, [])
    assert unknown.low is None


def test_new_customers_bring_what_recent_ones_did_at_each_age():
    """Two a day pay 10 at once and 5 a day later: in 30 days 60 customers, of whom 58 lived the second day."""
    by_age = pd.DataFrame(
        {"since_days": [0, 1], "orders": [100, 50], "net_amount": [1000.0, 500.0]}
    )
    arrivals, ages = pd.Series([180.0]), pd.Series(np.full(100, 400))
    (month, *_), per_day = forecast.new_customers(by_age, arrivals, ages)
    assert per_day == 2
    assert month.customers == 60
    assert month.revenue == pytest.approx(60 * 10 + 58 * 5)
    assert month.orders == pytest.approx(60 + 58 * 0.5)


def test_five_more_points_are_five_of_a_hundred_new_customers():
    """Two a day are 730 a year: 36.5 more come back, each bringing 30 in 2 orders."""
    actual = forecast.five_points(
        pd.DataFrame({"customers": [10], "orders": [20], "net_amount": [300.0]}), 2.0, 10
    )
    assert actual.to_json() == pytest.approx(
        {"customers": 36.5, "revenue": 1095, "orders": 73, "n": 10}
    )
    few = forecast.five_points(
        pd.DataFrame({"customers": [9], "orders": [20], "net_amount": [300.0]}), 2.0, 10
    )
    assert (few.customers, few.revenue) == (36.5, None)
    none = forecast.five_points(
        pd.DataFrame({"customers": [0], "orders": [0], "net_amount": [None]}), 2.0, 1
    )
    assert none.revenue is None
