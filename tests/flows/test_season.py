"""The season, on a store whose season is known."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from connectors.engine import open_engine
from flows import season as season_module
from flows.season import learn_season
from models.purchases import fit_purchases

FIRST, DAYS = date(2021, 1, 1), 1_400


def store(season: float, month: int, customers: int = 3_000) -> pd.DataFrame:
    """Orders of customers who never leave; from `month` to December each is `season` times as likely."""
    rng = np.random.default_rng(11)
    rate = rng.gamma(1.5, 1 / 60, customers)
    months = pd.date_range(FIRST, periods=DAYS).month.to_numpy()
    often = np.where(months >= month, season, 1.0)
    first = rng.integers(0, 700, customers)
    bought = rng.random((customers, DAYS)) < np.outer(rate, often)
    bought[np.arange(customers), first] = True
    bought &= np.arange(DAYS) >= first[:, None]
    who, day = np.nonzero(bought)
    return pd.DataFrame(
        {
            "customer_id": who.astype(str),
            "order_date": (pd.Timestamp(FIRST) + pd.to_timedelta(day, unit="D")).date,
            "order_id": np.arange(len(who)).astype(str),
            "net_amount": 10.0,
            "gross_amount": 10.0,
            "discount_amount": 0.0,
        }
    )


def found(season: float, as_of: date, horizon: int = 90, first: date = FIRST, month: int = 10):
    frame = store(season, month)
    with open_engine() as engine:
        orders = engine.table(frame, "orders_of_store")
        known = frame[frame["order_date"] <= as_of]
        ends = known.groupby("customer_id")["order_date"].agg(["min", "max", "nunique"])
        x = ends["nunique"].to_numpy() - 1.0
        t_x = np.array([(b - a).days for a, b in zip(ends["min"], ends["max"], strict=True)])
        T = np.array([(as_of - a).days for a in ends["min"]])
        fit = fit_purchases(x, t_x, T)
        return learn_season(engine, orders, first, as_of, fit.model, horizon), fit.model, frame


def test_a_store_with_a_season_gets_its_multiplier():
    as_of = date(2023, 9, 30)
    season, model, frame = found(3.0, as_of)
    assert 1.3 < season.multiplier < 3.0
    assert season.metrics["with_season"] < 0.9 * season.metrics["without"]
    known = frame[frame["order_date"] <= as_of].groupby("customer_id")["order_date"]
    ends = known.agg(["min", "max", "nunique"])
    state = (
        ends["nunique"].to_numpy() - 1.0,
        np.array([(b - a).days for a, b in zip(ends["min"], ends["max"], strict=True)]),
        np.array([(as_of - a).days for a in ends["min"]]),
    )
    expected = model.expected_orders(90, *state).sum()
    later = frame[(frame["order_date"] > as_of) & frame["customer_id"].isin(ends.index)]
    came = (later["order_date"] <= date(2023, 12, 29)).sum()
    assert abs(np.log(came / (season.multiplier * expected))) < 0.5 * abs(np.log(came / expected))


def test_a_season_proves_itself_on_the_same_window_a_year_before(monkeypatch):
    """The windows just before are quiet and noisy; last year's season was as the one before it."""
    as_of = date(2023, 9, 30)
    said = {date(2022, 9, 30): 1.6, date(2021, 9, 30): 1.5}

    def ratio(engine, orders, day, purchases, days):
        return said.get(day, 1.05 if day.year == 2022 else 0.98)

    monkeypatch.setattr(season_module, "_ratio", ratio)
    season = learn_season(None, None, date(2021, 1, 1), as_of, None, 90)
    assert season.multiplier == 1.6
    quiet, last = abs(np.log(0.98)), np.log(1.6)
    assert season.metrics["without"] == pytest.approx((3 * quiet + last) / 4)
    said[date(2021, 9, 30)] = 1 / 1.6
    season = learn_season(None, None, date(2021, 1, 1), as_of, None, 90)
    assert season.multiplier == 1


def test_a_store_without_one_gets_none():
    season, *_ = found(1.0, date(2023, 9, 30))
    assert season.multiplier == pytest.approx(1.0, abs=0.1)


def test_a_history_shorter_than_a_year_declines_and_says_so():
    season, *_ = found(3.0, date(2023, 9, 30), first=date(2022, 12, 1))
    assert season.multiplier == 1
    assert "no such window a year before" in season.note


def test_a_horizon_of_a_year_has_every_season_in_it():
    season, *_ = found(3.0, date(2023, 9, 30), horizon=365)
    assert season.multiplier == 1
    assert "about a year" in season.note
