"""Journeys against a store whose future is known, and cohorts against pandas on a real one."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from benchmarks.online_retail import LAST_DAY, data_file, read
from connectors.engine import open_engine
from features import journeys, products
from models.survival import kaplan_meier
from perennial.simulation import simulate
from reports.measures import forecast
from reports.measures.cohorts import cohorts

START, KNOWN, END = date(2022, 1, 1), date(2023, 12, 31), date(2025, 1, 1)


@pytest.fixture(scope="module")
def store():
    """The textbook's store for three years, of which two are known."""
    world = simulate(4_000, START, END, 5, "textbook")
    with open_engine() as engine:
        frame = world.orders.to_pandas()
        frame["order_date"] = pd.to_datetime(frame["order_date"]).dt.date
        orders = engine.table(frame, "orders")
        actual = {
            day: engine.keep(journeys.journeys(orders, day), f"journeys_{day:%Y}")
            for day in (KNOWN, END)
        }
        yield engine, actual


def test_the_share_who_come_back_is_what_the_future_brings(store):
    """Half of the customers were seen for less than a year; a year later all of them were."""
    engine, actual = store
    gaps = engine.frame(journeys.gaps(actual[KNOWN], KNOWN))
    first = gaps[gaps["number"] == 1]
    curve = kaplan_meier(first["days"], first["is_event"], first["customers"])
    later = engine.frame(
        journeys.returned(actual[END].filter(actual[END].first_date <= KNOWN), END)
    )
    for days in (30, 90, 365):
        came = later[later["gap_days"] <= days]["customers"].sum() / later["customers"].sum()
        _, low, high = curve.at(days)
        assert low - 0.005 < came < high + 0.005
        assert high - low < 0.05


def test_the_forecast_of_new_customers_is_what_they_brought(store):
    engine, actual = store
    first = engine.frame(journeys.first_days(actual[KNOWN]))
    late = pd.to_datetime(first["date"]) > pd.Timestamp(KNOWN) - pd.Timedelta(days=90)
    returned = engine.frame(journeys.returned(actual[KNOWN], KNOWN))
    ages = pd.Series(np.repeat(returned["age_days"], returned["customers"]))
    by_age = engine.frame(journeys.by_age(actual[KNOWN], KNOWN))
    result, per_day = forecast.new_customers(by_age, first["customers"][late], ages)
    new = engine.frame(actual[END].filter(actual[END].first_date > KNOWN))
    new["days"] = [(pd.Timestamp(d).date() - KNOWN).days for d in new["order_date"]]
    assert per_day == pytest.approx((new["number"] == 1).sum() / 366, rel=0.1)
    for row in result:
        came = new[new["days"] <= row.days]
        assert row.orders == pytest.approx(came["is_purchase"].sum(), rel=0.15)
        assert row.revenue == pytest.approx(float(came["net_amount"].sum()), rel=0.2)


def test_nothing_after_the_day_is_known(store):
    engine, actual = store
    days = pd.to_datetime(engine.frame(actual[KNOWN])["order_date"])
    assert days.max() <= pd.Timestamp(KNOWN)
    frame = engine.frame(products.customers(actual[KNOWN], KNOWN))
    assert (frame["age_days"] >= 0).all()


@pytest.mark.skipif(not data_file().exists(), reason=f"no {data_file()}")
def test_cohorts_of_online_retail_are_pandas_own(tmp_path):
    history = read(str(data_file()), LAST_DAY, tmp_path).history
    with open_engine() as engine:
        actual = journeys.journeys(engine.parquet(history.orders), LAST_DAY)
        cells = engine.frame(journeys.cohort_cells(actual))
        first = engine.frame(journeys.first_days(actual))
    result = cohorts(cells, first, None, LAST_DAY, 0.5, 30)
    orders = pd.read_parquet(history.orders)
    orders = orders.groupby(["customer_id", "order_date"], as_index=False)["net_amount"].sum()
    orders["month"] = pd.to_datetime(orders["order_date"]).dt.to_period("M")
    bought = orders[orders["net_amount"].round(4) > 0]
    start = bought.groupby("customer_id")["month"].min().rename("cohort")
    bought, orders = bought.join(start, on="customer_id"), orders.join(start, on="customer_id")
    active = bought.groupby(["cohort", "month"])["customer_id"].nunique()
    revenue = orders.groupby(["cohort", "month"])["net_amount"].sum()
    size = bought.groupby("cohort")["customer_id"].nunique()
    assert len(result.months) == len(size) == 13
    for row in result.months:
        month = pd.Period(row.month, "M")
        assert row.customers == size[month]
        total = 0.0
        for age in row.ages:
            key = (month, month + age.age)
            total += revenue.get(key, 0.0)
            assert age.active.count == active.get(key, 0)
            assert age.revenue == pytest.approx(total / size[month], abs=1e-6)
    assert result.months[0].ages[-1].is_partial  # the last day is 9 December


def test_a_day_that_was_refunded_is_no_purchase(orders_of, engine):
    rows = [
        ("a", "2024-01-01", 10.0), ("a", "2024-01-05", 20.0), ("a", "2024-01-05", -20.0),
        ("a", "2024-02-01", 30.0), ("a", "2024-02-10", -5.0), ("b", "2024-01-03", -5.0),
    ]  # fmt: skip
    typed = [(c, pd.Timestamp(d).date(), a) for c, d, a in rows]
    frame = engine.frame(
        journeys.journeys(orders_of(typed), date(2024, 3, 1)).order_by("order_date")
    )
    assert frame["customer_id"].unique().tolist() == ["a"]
    assert frame["number"].tolist() == [1, 0, 2, 0]
    assert [float(a) for a in frame["net_amount"]] == [10, 0, 30, -5]
    assert pd.Timestamp(frame["next_date"].iloc[0]).date() == date(2024, 2, 1)
    assert frame["since_days"].tolist() == [0, 4, 31, 40]
