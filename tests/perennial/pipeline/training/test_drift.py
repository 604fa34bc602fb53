"""Bins that were fixed at training, on a store that grows older and in which one thing changes."""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.engine import open_engine
from features.rfm import customer_state
from models.forecaster import Forecaster
from models.operational_time import PaceIndex
from models.order_value import OrderValue
from models.purchases import NBD
from models.spend import Spend
from perennial.pipeline.settings.store import build_settings
from perennial.pipeline.training.drift import FIGURES, SCORES, measure_drift, read_bins, write_bins

FIRST = date(2024, 1, 1)
TRAINED, NOW = FIRST + timedelta(days=359), FIRST + timedelta(days=719)
FORECASTER = Forecaster.plain(NBD(1.0, 120.0), OrderValue(Spend(6.0, 4.0, 15.0)))
PER_DAY = 14  # new customers: enough of each tenure to speak of


def settings_of(horizon=365):
    values = {"orders": {"source": "o.csv"}, "model": {"horizon_days": horizon}}
    return build_settings(values, Path())


def store():
    """Orders of customers who never change, but that first orders grow larger by half in the end."""
    rng = np.random.default_rng(4)
    n = PER_DAY * 720
    first = rng.integers(0, 720, n)
    rate = rng.gamma(1.0, 1 / 120, n)
    gaps = rng.exponential(1 / rate[:, None], (n, 12))
    days = np.column_stack([first, first[:, None] + np.ceil(np.cumsum(gaps, axis=1))])
    who, place = np.nonzero(days < 720)
    day = days[who, place].astype(int)
    amount = rng.gamma(4, 5, len(who))
    amount[(place == 0) & (day > 629)] *= 1.5
    at = pd.Timestamp(FIRST) + pd.to_timedelta(day, unit="D")
    return pd.DataFrame(
        {"order_id": np.arange(len(who)).astype(str), "customer_id": who.astype(str),
         "ordered_at": at.tz_localize("UTC"), "order_date": at.date, "gross_amount": amount,
         "discount_amount": 0.0, "refund_amount": 0.0, "net_amount": amount, "currency": "EUR",
         "channel": "web", "discount_code": "", "source": "o.csv"}
    )  # fmt: skip


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """What is found a year after training: under the same settings, under others, and without bins."""
    folder = tmp_path_factory.mktemp("drift")
    with open_engine() as engine:
        orders = engine.table(store(), "drifting_orders")
        path = write_bins(engine, orders, None, TRAINED, settings_of().model, FORECASTER, folder)
        state = engine.frame(customer_state(orders, NOW))
        reported = FORECASTER.expect(state, 365, 0.1)
        scores = state[["customer_id", "age_days"]].assign(
            **{name: getattr(reported, name) for name in SCORES}
        )
        scores.to_parquet(folder / "scores.parquet")
        bins = read_bins(folder)

        def measure(bins, settings):
            return measure_drift(
                engine, orders, folder / "scores.parquet", NOW, settings.model, bins
            )

        same, other = measure(bins, settings_of()), measure(bins, settings_of(180))
        return path, same, other, measure(None, settings_of()), read_bins(folder / "nothing")


def by_name(actual):
    return {row.name: row for row in actual.figures}


def test_what_changed_is_found(looked):
    figures = by_name(looked[1])
    assert list(figures) == list(FIGURES)
    assert figures["first_amount"].psi > 0.25
    assert min(figures["first_amount"].n_then, figures["first_amount"].n_now) > 1_000


def test_what_did_not_change_has_not_moved_although_customers_grew_older(looked):
    figures = by_name(looked[1])
    for name in ("frequency", "p_order_90d", "expected_orders", "expected_value", "p_alive"):
        assert figures[name].psi < 0.05, name
        assert not figures[name].is_mechanical
    for name in ("age_days", "recency_days"):
        assert figures[name].psi > 0.25, name
        assert figures[name].is_mechanical


def test_customers_beyond_the_training_are_counted(looked):
    """Half of the customers came in the first of two years; the other half are younger than any then."""
    assert looked[1].outside_share == pytest.approx(0.5, abs=0.03)


def test_scores_of_another_horizon_are_not_compared(looked):
    figures = by_name(looked[2])
    assert all(figures[name].psi is None for name in SCORES)
    assert figures["first_amount"].psi > 0.25


def test_a_model_without_bins_says_nothing(looked):
    assert looked[3].model_dump(mode="json") == {"figures": [], "outside_share": None}
    assert looked[4] is None


def test_bins_of_an_earlier_version_are_read(looked, tmp_path):
    """It wrote neither a digest nor which figures a season moves."""
    written = json.loads(looked[0].read_text())
    assert list(written) == ["schema", "as_of", "horizon_days", "annual_discount_rate", "customers",
                             "seasonal", "support", "bins", "digest"]  # fmt: skip
    assert list(written["bins"]["frequency"]) == ["edges", "shares", "n"]
    earlier = {key: value for key, value in written.items() if key not in ("digest", "seasonal")}
    (tmp_path / looked[0].name).write_text(json.dumps(earlier))
    assert read_bins(tmp_path) == read_bins(looked[0].parent)


@pytest.mark.parametrize(
    ("weeks", "horizon", "names"),
    [
        ((), 365, []),
        ((*[0.8] * 44, *[2.1] * 8), 365, ["p_order_90d"]),
        ((*[0.8] * 44, *[2.1] * 8), 90, ["p_order_90d", "expected_orders", "expected_value"]),
    ],
)
def test_scores_that_a_season_moves_are_not_compared(weeks, horizon, names, tmp_path):
    model = replace(FORECASTER, pace=PaceIndex(TRAINED, weeks))
    with open_engine() as engine:
        orders = engine.table(store(), "seasonal_orders")
        write_bins(engine, orders, None, TRAINED, settings_of(horizon).model, model, tmp_path)
        bins = read_bins(tmp_path)
        state = engine.frame(customer_state(orders, NOW))
        scores = state[["customer_id", "age_days"]].assign(**dict.fromkeys(SCORES, 0.5))
        scores.to_parquet(tmp_path / "scores.parquet")
        settings = settings_of(horizon)
        figures = measure_drift(
            engine, orders, tmp_path / "scores.parquet", NOW, settings.model, bins
        )
    assert list(bins.seasonal) == names
    compared = {row.name for row in figures.figures if row.psi is not None}
    assert set(SCORES) - compared == set(names)
