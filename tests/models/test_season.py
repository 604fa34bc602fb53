"""The pace of purchases, recovered from stores whose pace is set."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from models.operational_time import WEEKS, PaceIndex, weeks_of
from models.season import PaceFit, PurchaseSpans, fit_pace, season_gain

FIRST, DAYS = date(2022, 1, 1), 3 * 365
AS_OF = FIRST + timedelta(days=DAYS - 1)
CALENDAR = np.datetime64(FIRST) + np.arange(DAYS)
WEEK, YEAR = weeks_of(CALENDAR)
WAVES = np.exp(0.3 * np.sin(2 * np.pi * (WEEK + 0.5) / WEEKS))


def simulate(
    pace: np.ndarray,
    customers: int = 2_500,
    rate: float = 0.02,
    leaves: float = 0.15,
    seed: int = 0,
) -> pd.DataFrame:
    """Customers arrive evenly, buy at their own rate times the pace, and may leave after each order."""
    rng = np.random.default_rng(seed)
    per_day = rng.gamma(1.2, rate / 1.2, customers)
    arrival = rng.integers(0, DAYS, customers)
    bought = rng.random((customers, DAYS)) < np.outer(per_day, pace)
    bought &= np.arange(DAYS) > arrival[:, None]
    stays = rng.geometric(leaves, customers) - 1  # orders after the first until one leaves
    bought &= np.cumsum(bought, axis=1) <= stays[:, None]
    who, day = np.nonzero(bought)
    return pd.DataFrame(
        {
            "customer_id": np.concatenate([np.arange(customers), who]),
            "order_date": CALENDAR[np.concatenate([arrival, day])],
        }
    )


def spans_of(orders: pd.DataFrame, as_of: date, since: date | None = None) -> PurchaseSpans:
    days = orders[orders["order_date"] <= pd.Timestamp(as_of)]
    by_customer = days.groupby("customer_id")["order_date"]
    days = days.assign(first=by_customer.transform("min"), last=by_customer.transform("max"))
    inside = days[(days["order_date"] > days["first"]) & (days["order_date"] < days["last"])]
    if since is not None:
        inside = inside[inside["order_date"] >= pd.Timestamp(since)]
    spans = inside.groupby(["first", "last"]).size().reset_index(name="purchases")
    between = inside.groupby("order_date").size().reset_index(name="purchases")
    spans = spans.rename(columns={"first": "first_order_date", "last": "last_order_date"})
    spans = spans.assign(cut_days=0)
    return PurchaseSpans.of(spans, between, since)


def fit(pace: np.ndarray, seed: int = 0, **options) -> PaceFit:
    return fit_pace(spans_of(simulate(pace, seed=seed), AS_OF), FIRST, AS_OF, **options)


def test_a_yearly_wave_is_recovered():
    weeks = np.mean([np.log(fit(WAVES, seed=seed).index.weeks) for seed in range(4)], axis=0)
    true = 0.3 * np.sin(2 * np.pi * (np.arange(WEEKS) + 0.5) / WEEKS)
    assert np.sqrt(np.mean((weeks - weeks.mean() - true) ** 2)) < 0.03


def test_a_peak_of_six_weeks_is_recovered_by_week():
    peak = np.where((WEEK >= 45) & (WEEK < 51), 2.2, 1.0)
    weeks = np.array(fit(peak).index.weeks)
    usual = weeks[:43].mean()
    assert weeks[45:51].mean() / usual == pytest.approx(2.2, rel=0.08)
    assert np.std(np.log(weeks[:43])) < 0.12


def test_a_trend_is_told_from_a_season():
    trend = fit(WAVES * np.exp(0.2 * (np.arange(DAYS) - DAYS) / 365.25))
    assert trend.index.trend == pytest.approx(0.2, abs=3 * trend.trend_error)
    assert np.log(trend.index.weeks).std() == pytest.approx(0.3 / np.sqrt(2), abs=0.04)


def test_millions_of_purchases_have_no_trend_where_there_is_none():
    rng = np.random.default_rng(1)
    low = rng.integers(0, DAYS - 60, 400)
    high = low + 30 + (rng.random(400) * (DAYS - low - 31)).astype(int)
    counts = np.zeros(DAYS)
    for begin, end in zip(low, high, strict=True):
        size = end - begin + 1
        counts[begin : end + 1] += rng.multinomial(6_000, np.full(size, 1 / size))
    spans = PurchaseSpans(CALENDAR[low], CALENDAR[high], np.full(400, 6e3), CALENDAR, counts)
    fit = fit_pace(spans, FIRST, AS_OF)
    assert fit.trend_error < 0.003
    assert abs(fit.trend) < 3 * fit.trend_error
    assert not fit.index.has_season


def test_a_wild_history_has_a_pace_all_the_same():
    """Purchases on a handful of days only: steps of Newton's method would be far too long."""
    rng = np.random.default_rng(1)
    days = np.sort(rng.choice(DAYS, 12, replace=False))
    first, last = np.meshgrid(days, days)
    inside = last - first > 40
    low, high = first[inside] + 1, last[inside] - 1
    between = np.array([((days >= a) & (days <= b)).sum() for a, b in zip(low, high, strict=True)])
    counts = np.zeros(DAYS)
    for begin, end in zip(low, high, strict=True):
        counts[days[(days >= begin) & (days <= end)]] += 500
    some = between > 0
    spans = PurchaseSpans(
        CALENDAR[low[some]], CALENDAR[high[some]], 500.0 * between[some], CALENDAR, counts
    )
    pace = fit_pace(spans, FIRST, AS_OF).index.pace(CALENDAR)
    assert np.isfinite(pace).all()
    assert (pace > 0).all()
    assert np.median(pace[days]) > np.median(pace)


def test_a_one_off_sale_is_no_season_and_no_trend():
    sale = np.where((np.arange(DAYS) >= DAYS - 60) & (np.arange(DAYS) < DAYS - 46), 3.0, 1.0)
    fits = [fit(sale, seed=seed) for seed in range(3)]
    assert all(np.std(np.log(each.index.weeks or (1.0,))) < 0.06 for each in fits)
    assert all(abs(each.trend) < 3 * each.trend_error for each in fits)
    around = slice(DAYS - 67, DAYS - 39)  # the weeks that the sale has days of
    paces = np.array([each.index.pace(CALENDAR) for each in fits])
    assert (paces[:, around] - 1).sum(axis=1).mean() == pytest.approx(14 * 2, rel=0.2)
    assert np.median(paces) == pytest.approx(1.0, abs=0.06)


def test_peaks_of_the_settings_are_left_out_of_the_season():
    days = np.arange(DAYS)
    starts = [300, 665, 1030]  # each year at the same time
    sale = np.where(np.isin(days, np.add.outer(starts, np.arange(10))), 2.5, 1.0)
    peaks = [(FIRST + timedelta(days=s), FIRST + timedelta(days=s + 9)) for s in starts]
    assert np.std(np.log(fit(sale).index.weeks)) > 0.1
    index = fit(sale, peaks=peaks).index
    assert np.std(np.log(index.weeks or (1.0,))) < 0.04
    assert len(index.one_off) >= 3
    assert index.pace(CALENDAR)[starts[0] + 5] == pytest.approx(2.5, rel=0.2)


@pytest.mark.parametrize("leaves", [0.05, 0.5])
def test_customers_who_leave_do_not_look_like_a_season(leaves: float):
    orders = (simulate(np.ones(DAYS), leaves=leaves, seed=seed) for seed in range(3))
    fits = [fit_pace(spans_of(each, AS_OF), FIRST, AS_OF) for each in orders]
    assert np.median([np.std(np.log(each.index.weeks or (1.0,))) for each in fits]) < 0.03
    assert all(abs(each.trend) < 3 * each.trend_error for each in fits)


def test_a_few_purchases_give_no_season():
    few = spans_of(simulate(WAVES, customers=40), AS_OF)
    assert np.std(np.log(fit_pace(few, FIRST, AS_OF).index.weeks or (1.0,))) < 0.3


def test_a_season_raises_the_likelihood_of_later_days_and_noise_does_not():
    cutoff = AS_OF - timedelta(days=365)
    noise = PaceIndex(cutoff, tuple(np.exp(0.2 * np.cos(np.arange(WEEKS))).tolist()))
    for pace, is_season in ((WAVES, True), (np.ones(DAYS), False)):
        orders = simulate(pace, seed=3)
        learned = fit_pace(spans_of(orders, cutoff), FIRST, cutoff)
        later = spans_of(orders, AS_OF, cutoff + timedelta(days=1))
        assert (season_gain(later, learned.index if is_season else noise) > 0) is is_season
        assert (learned.log_bayes_factor > 3) is is_season


def test_the_bayes_factor_of_a_flat_store_is_seldom_strong():
    """By Markov's inequality, at most 1 of 20 is 20 or more."""
    orders = (simulate(np.ones(DAYS), customers=800, seed=seed) for seed in range(20))
    factors = [fit_pace(spans_of(each, AS_OF), FIRST, AS_OF).log_bayes_factor for each in orders]
    assert np.sum(np.array(factors) > 3) <= 1


def test_the_likelihood_is_that_of_independent_draws():
    """Two purchases between days 0 and 10 of one customer, pace doubled on days 7 to 13."""
    first = date(2023, 1, 1)
    days = np.array(["2023-01-03", "2023-01-09"], dtype="datetime64[D]")
    one = np.array(["2023-01-01"], dtype="datetime64[D]")
    spans = PurchaseSpans(one + 1, one + 9, np.array([2.0]), days, np.ones(2), first)
    weeks = np.ones(WEEKS)
    weeks[1] = 2.0
    gain = season_gain(spans, PaceIndex(date(2023, 1, 11), tuple(weeks)))
    # inside are January 2 to 10: six days of week 0 and three of week 1, which count double
    assert gain == pytest.approx(np.log(2 / (12 / 9) ** 2))


def test_a_trend_within_its_error_is_none():
    fits = [fit(np.ones(DAYS), seed=seed) for seed in range(3)]
    small = [each for each in fits if abs(each.trend) < each.trend_error]
    assert small
    assert all(each.index.trend == 0 for each in small)


def test_the_gain_is_the_seasons_alone():
    spans = spans_of(simulate(WAVES, customers=500), AS_OF, FIRST)
    other = PaceIndex(AS_OF, (), 0.5, ((date(2024, 3, 1), date(2024, 3, 14), 4.0),))
    assert season_gain(spans, other) == pytest.approx(0.0, abs=1e-9)


def test_the_pace_of_a_year_is_1_on_average():
    weeks = np.array(fit(WAVES).index.weeks)
    days = np.append(np.full(WEEKS - 1, 7.0), 365.25 - 7 * (WEEKS - 1))
    assert np.average(weeks, weights=days) == pytest.approx(1.0)


def test_cut_days_are_no_part_of_a_span():
    frame = pd.DataFrame(
        {
            "first_order_date": ["2024-01-01"],
            "last_order_date": ["2024-03-01"],
            "cut_days": [9],
            "purchases": [2],
        }
    )
    between = pd.DataFrame({"order_date": ["2024-02-01"], "purchases": [2]})
    spans = PurchaseSpans.of(frame, between)
    assert spans.first[0] == np.datetime64("2024-01-11")
    assert spans.last[0] == np.datetime64("2024-02-20")


@pytest.mark.parametrize("strength", [8.0, 20.0, 200.0])
def test_a_huge_week_is_one_off_and_leaves_the_season_alone(strength: float):
    huge = WAVES * np.where((np.arange(DAYS) >= 700) & (np.arange(DAYS) < 707), strength, 1.0)
    index = fit(huge, seed=2).index
    assert np.isfinite(index.pace(CALENDAR)).all()
    assert np.log(index.weeks).std() == pytest.approx(0.3 / np.sqrt(2), abs=0.06)
    assert (
        index.pace(CALENDAR)[700:707].max() > 0.3 * strength
    )  # a customer buys once a day at most
    assert abs(index.trend) < 0.15
