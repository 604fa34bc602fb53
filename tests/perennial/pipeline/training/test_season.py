"""A season is learned from orders, used where it proves itself, and counted in every forecast."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.engine import open_engine
from models.forecaster import Forecaster
from models.operational_time import PaceIndex
from models.order_value import OrderValue
from models.price_level import PriceLevel
from models.purchases import MBGNBD
from models.spend import Spend
from perennial.pipeline.scoring.incremental_value import incremental_value
from perennial.pipeline.settings.store import build_settings
from perennial.pipeline.training.model_files import load_forecaster, save_forecaster
from perennial.pipeline.training.pictures import season
from perennial.pipeline.training.season import StorePace, learn_pace

FIRST, DAYS = date(2022, 1, 1), 3 * 365
AS_OF = FIRST + timedelta(days=DAYS - 1)
CALENDAR = pd.date_range(FIRST, periods=DAYS)
PEAK = np.asarray((CALENDAR.month == 12) | (CALENDAR.month == 11))


def orders(pace: np.ndarray, customers: int = 1_500, seed: int = 11) -> pd.DataFrame:
    """Orders of customers who arrive evenly and never leave, at their own rate times the pace."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(1.5, 1 / 60, customers)
    arrival = rng.integers(0, DAYS, customers)
    bought = rng.random((customers, DAYS)) < np.outer(rate, pace)
    bought &= np.arange(DAYS) > arrival[:, None]
    bought[np.arange(customers), arrival] = True
    who, day = np.nonzero(bought)
    return pd.DataFrame(
        {
            "customer_id": who.astype(str),
            "order_date": CALENDAR[day].date,
            "order_id": np.arange(len(who)).astype(str),
            "net_amount": 10.0,
            "gross_amount": 10.0,
            "discount_amount": 0.0,
        }
    )


def learn(pace: np.ndarray, first: date = FIRST, as_of: date = AS_OF, **options) -> StorePace:
    with open_engine() as engine:
        table = engine.table(orders(pace).query("order_date >= @first"), "season_orders")
        return learn_pace(engine, table, first, as_of, **options)


def test_a_season_that_comes_every_year_is_used():
    pace = learn(np.where(PEAK, 2.5, 1.0))
    assert pace.has_season
    weeks = np.array(pace.index.weeks)
    assert weeks[44:51].mean() / weeks[:42].mean() == pytest.approx(2.5, rel=0.1)
    assert pace.metrics["gain"] > 0
    assert pace.metrics["log_bayes_factor"] > 3
    assert "a season is used" in pace.note
    time = pace.at(date(2024, 10, 31))
    assert float(time.after(61)) > 1.8 * float(time.before(61))


def test_without_a_season_none_is_used():
    pace = learn(np.ones(DAYS))
    assert not pace.has_season
    assert pace.note.startswith("no season is used: ")
    assert abs(pace.at(AS_OF).after(90) - 90) < 1e-9


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("season_gain", lambda *_: -1.0, "what was learned before did not tell"),
        ("STRONG", np.inf, "the evidence for one is weak"),
    ],
)
def test_a_season_needs_strong_evidence_and_later_days_that_confirm_it(
    name, value, reason, monkeypatch
):
    monkeypatch.setattr(f"perennial.pipeline.training.season.{name}", value)
    pace = learn(np.where(PEAK, 2.5, 1.0))
    assert not pace.has_season
    assert reason in pace.note


def test_regular_buyers_of_late_are_no_fall_of_the_pace():
    """Their last purchases keep the others away from the as-of day."""
    rng = np.random.default_rng(2)
    arrival = rng.integers(0, DAYS - 40, 1_500)
    gaps = np.maximum(rng.gamma(10, 3.0, (1_500, 40)), 1.0)
    days = np.floor(arrival[:, None] + np.column_stack([np.zeros(1_500), gaps.cumsum(axis=1)]))
    who, place = np.nonzero(days < DAYS)
    frame = pd.DataFrame(
        {
            "customer_id": who.astype(str),
            "order_date": CALENDAR[days[who, place].astype(int)].date,
            "order_id": np.arange(len(who)).astype(str),
            "net_amount": 10.0,
            "gross_amount": 10.0,
            "discount_amount": 0.0,
        }
    )
    with open_engine() as engine:
        table = engine.table(frame, "regular_orders")
        regular, as_random = (
            learn_pace(engine, table, FIRST, AS_OF, regularity=k) for k in (10.0, 1.0)
        )
    assert float(regular.at(AS_OF).before(30)) == pytest.approx(30, rel=0.1)
    assert float(as_random.at(AS_OF).before(30)) < 27


def test_a_peak_of_one_year_is_no_season():
    once = np.where(PEAK & (CALENDAR.year == 2024), 2.5, 1.0)
    pace = learn(once)
    assert not pace.has_season
    assert float(pace.at(AS_OF).after(365)) == pytest.approx(365)
    assert float(pace.at(AS_OF).before(61)) > 1.5 * 61  # in the past it counts


def test_peaks_of_the_settings_are_no_season():
    peaks = [(date(year, 11, 1), date(year, 12, 31)) for year in (2022, 2023, 2024, 2025)]
    assert not learn(np.where(PEAK, 2.5, 1.0), peaks=peaks).has_season


def test_a_short_history_says_why_there_is_no_season():
    short = learn(np.where(PEAK, 2.5, 1.0), first=date(2024, 3, 1))
    assert short.note == "no season is used: a history of 304 days is shorter than a year"
    assert short.at(AS_OF).is_calendar
    unproved = learn(np.where(PEAK, 2.5, 1.0), first=date(2023, 11, 1))
    assert (
        unproved.note
        == "no season is used: a history of 15 months and more is needed to prove one"
    )
    assert not unproved.has_season


def test_orders_after_the_day_are_not_looked_at():
    pace = np.where(PEAK, 2.5, 1.0)
    day = date(2024, 6, 30)
    with open_engine() as engine:
        frame = orders(pace)
        both = (frame, frame[frame["order_date"] <= day])
        one, other = (
            learn_pace(engine, engine.table(each, f"orders_{i}"), FIRST, day)
            for i, each in enumerate(both)
        )
    assert one == other


STATE = pd.DataFrame(
    {
        "frequency": [0.0, 2.0, 5.0],
        "recency_days": [0.0, 100.0, 300.0],
        "age_days": [20.0, 150.0, 320.0],
        "monetary_value": [0.0, 30.0, 40.0],
        "first_amount": [25.0, 25.0, 25.0],
    }
)


def test_a_forecast_counts_by_the_season_of_its_own_day():
    index = PaceIndex(date(2024, 12, 31), (*[0.8] * 44, *[2.1] * 8))
    model = Forecaster.plain(
        MBGNBD(0.9, 45.0, 0.5, 1.5), OrderValue(Spend(6.0, 4.0, 15.0)), pace=index
    )
    january, november = (
        model.expect(STATE, 30, as_of=day) for day in (date(2025, 1, 1), date(2025, 11, 1))
    )
    assert (november.expected_orders > 1.5 * january.expected_orders).all()
    trained = model.expect(STATE, 30)
    by_default = model.expect(STATE, 30, as_of=date(2024, 12, 31))
    assert (trained.expected_orders == by_default.expected_orders).all()


def test_pace_and_prices_survive_saving(tmp_path):
    index = PaceIndex(date(2024, 12, 31), (*[0.8] * 44, *[2.1] * 8), 0.1)
    price = PriceLevel((-0.3, 0.0), date(2024, 12, 31), 30)
    model = Forecaster.plain(
        MBGNBD(0.9, 45.0, 0.5, 1.5), OrderValue(Spend(6.0, 4.0, 15.0), price=price), pace=index
    )
    save_forecaster(model, tmp_path)
    again = load_forecaster(tmp_path)
    assert (again.pace, again.order_value) == (index, model.order_value)
    options = {"horizon_days": 90, "annual_discount_rate": 0.1, "as_of": date(2025, 2, 1)}
    pd.testing.assert_frame_equal(
        again.predict(STATE, **options), model.predict(STATE, **options), check_exact=True
    )
    nominal = Forecaster.plain(model.purchases, OrderValue(Spend(6.0, 4.0, 15.0)), pace=index)
    dearer, usual = (
        each.expect(STATE, 90, as_of=date(2025, 2, 1)).expected_order_value
        for each in (model, nominal)
    )
    assert dearer[0] == usual[0]  # who bought first after the rise
    assert (dearer[1:] > usual[1:]).all()


class Coin:
    """A classifier for which every chance is a half."""

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.full((len(X), 2), 0.5)


def test_a_second_order_within_90_days_is_an_order_within_90_days():
    """The classifier says 1/2 for 90 operational days; what is published is of 90 calendar days."""
    index = PaceIndex(date(2024, 10, 31), (*[0.8] * 44, *[2.1] * 8))
    plain = Forecaster.plain(
        MBGNBD(0.9, 45.0, 0.5, 1.5), OrderValue(Spend(6.0, 4.0, 15.0)), pace=index
    )
    model = replace(plain, classifier=Coin(), second_purchase_days=90)
    f = model.predict(STATE, horizon_days=365, annual_discount_rate=0.1)
    assert f["p_second_order"].iloc[0] == pytest.approx(f["p_order_90d"].iloc[0])
    assert f["p_second_order"].iloc[0] > 0.55  # 90 days of high season are more
    assert f["p_second_order"].iloc[1:].isna().all()


def test_what_an_action_can_win_counts_by_the_season():
    index = PaceIndex(date(2024, 10, 31), (*[0.8] * 44, *[2.1] * 8))
    model = Forecaster.plain(
        MBGNBD(0.9, 45.0, 0.5, 1.5), OrderValue(Spend(6.0, 4.0, 15.0)), pace=index
    )
    settings = build_settings({"orders": {"source": "o.csv"}}, Path())
    options = {"horizon_days": 365, "annual_discount_rate": 0.1}
    won = {}
    for day in (date(2024, 10, 31), date(2025, 1, 31)):
        predicted = model.predict(STATE, as_of=day, **options)
        won[day] = incremental_value(settings.policy, STATE, predicted, model, None, 365, day)
        time, works = model.time(day), settings.investment.works_days
        soon = -np.log1p(-predicted["p_order_90d"]) * time.after(works) / time.after(90)
        assert won[day].orders_soon == pytest.approx(soon.to_numpy())
    high, low = won.values()
    assert (high.orders_soon > 1.2 * low.orders_soon).all()


def test_mlflow_keeps_the_whole_index_beside_the_picture():
    index = PaceIndex(date(2024, 12, 31), (*[0.8] * 44, *[2.1] * 8), 0.1)
    figure, numbers = season(index)["season"]
    assert numbers == index.to_dict()
    line = figure.axes[0].get_lines()[0]
    assert line.get_ydata().tolist() == list(index.weeks)
