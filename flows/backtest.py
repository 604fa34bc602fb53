"""Forecast from past days with what was known then, and compare with what happened."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from connectors.engine import Engine
from connectors.orders import History
from features.labels import outcomes
from features.rfm import customer_state, spend_cells, state_cells
from features.tables import DataError
from features.window import outcome_window, previous_window
from flows.prepare import engine_for, read_orders, workspace
from flows.settings import Settings, read_settings
from flows.steps import flow, step
from models.baselines import cell_means, rfm_cells
from models.evaluation import Prediction, decile_table, evaluate, mean_metrics
from models.purchases import Purchases, fit_purchases
from models.spend import Spend, fit_spend
from models.value import forecast

CANDIDATE = "bg_nbd_gamma_gamma"
LATE_DAYS = 7  # how far before a window's end the last order may be


@dataclass(frozen=True)
class Origin:
    """What was known of the customers on a day, and what they did in the window after it."""

    as_of: date
    state: pd.DataFrame
    orders: pd.Series
    value: pd.Series


@flow
def backtest(
    config: Path, as_of: date, horizon_days: int | None = None, cutoffs: int = 1
) -> dict[str, Any]:
    """Backtest the champion's recipe beside the baselines, at `as_of` and equal steps before it."""
    settings = read_settings(config)
    horizon = horizon_days or settings.model.horizon_days
    with workspace(settings) as work:
        history = read_orders(settings, as_of + timedelta(days=horizon), work)
        results = evaluate_cutoffs(settings, history, as_of, horizon, cutoffs, work)
        found: dict[str, Any] = json.loads(results.read_text())
    return found


@step
def evaluate_cutoffs(
    settings: Settings, history: History, as_of: date, horizon_days: int, cutoffs: int, work: Path
) -> Path:
    """Evaluate every model at each cutoff that has enough history; return the JSON file."""
    end = as_of + timedelta(days=horizon_days)
    if history.last_date < end - timedelta(days=LATE_DAYS):
        raise DataError(
            f"a backtest as of {as_of} over {horizon_days} days needs orders up to {end}: the last "
            f"is of {history.last_date}. Choose an earlier --as-of or fewer --horizon-days"
        )
    if history.first_date >= as_of:
        raise DataError(
            f"a backtest as of {as_of} needs orders before that day: the first is of "
            f"{history.first_date}. Choose a later --as-of"
        )
    days = [as_of - timedelta(days=k * horizon_days) for k in reversed(range(cutoffs))]
    usable = [day for day in days if day > history.first_date + timedelta(days=horizon_days // 2)]
    with engine_for(settings, work) as engine:
        results = [
            _evaluate_cutoff(engine, history, day, horizon_days) for day in usable or days[-1:]
        ]
    names = results[0]["models"]
    found = {
        "horizon_days": horizon_days,
        "cutoffs": results,
        "mean": {name: mean_metrics([r["models"][name] for r in results]) for name in names},
    }
    path = work / "backtest.json"
    path.write_text(json.dumps(found, indent=2, allow_nan=False))
    return path


def _evaluate_cutoff(
    engine: Engine, history: History, as_of: date, horizon: int
) -> dict[str, Any]:
    now = _origin(engine, history, as_of, horizon)
    purchases, spend = _refit(engine, history, as_of)
    champion = _predict(purchases, spend, now.state, horizon)
    models: dict[str, Prediction | None] = {
        "champion": champion,
        CANDIDATE: champion,
        "last_period": _last_period(engine, history, now, horizon),
        "rfm": _rfm_means(engine, history, now, horizon),
    }
    metrics = {
        name: dict.fromkeys(evaluate(champion, now.orders, now.value))
        if prediction is None
        else evaluate(prediction, now.orders, now.value)
        for name, prediction in models.items()
    }
    return {
        "as_of": as_of.isoformat(),
        "customers": len(now.state),
        "models": metrics,
        "deciles": decile_table(champion.value, now.value.to_numpy()),
    }


def _origin(engine: Engine, history: History, as_of: date, horizon: int) -> Origin:
    orders = engine.parquet(history.orders)
    state = engine.keep(customer_state(orders, as_of), f"state_{as_of:%Y%m%d}")
    later = engine.frame(
        outcomes(orders, state, outcome_window(as_of, horizon)).order_by("customer_id")
    )
    frame = engine.frame(state.order_by("customer_id"))
    return Origin(as_of, frame, later["later_orders"], later["later_value"])


def _refit(engine: Engine, history: History, as_of: date) -> tuple[Purchases, Spend]:
    state = customer_state(engine.parquet(history.orders), as_of)
    cells, spends = engine.frame(state_cells(state)), engine.frame(spend_cells(state))
    purchases = fit_purchases(*(cells[c] for c in cells.columns)).model
    return purchases, fit_spend(*(spends[c] for c in spends.columns)).model


def _predict(purchases: Purchases, spend: Spend, state: pd.DataFrame, horizon: int) -> Prediction:
    columns = ("frequency", "recency_days", "age_days", "monetary_value")
    f = forecast(
        purchases,
        spend,
        *(state[name] for name in columns),
        horizon_days=horizon,
        annual_discount_rate=0.0,
    )
    return Prediction(f.expected_orders, f.expected_value, f.p_order)


def _last_period(engine: Engine, history: History, now: Origin, horizon: int) -> Prediction:
    """Predict that each customer repeats what the equal window before brought."""
    orders = engine.parquet(history.orders)
    state = customer_state(orders, now.as_of)
    window = previous_window(now.as_of, horizon)
    before = engine.frame(outcomes(orders, state, window).order_by("customer_id"))
    return Prediction(
        before["later_orders"].to_numpy(dtype=float), before["later_value"].to_numpy(dtype=float)
    )


def _rfm_means(engine: Engine, history: History, now: Origin, horizon: int) -> Prediction | None:
    """Predict the mean of the same RFM quintiles one horizon earlier; None without a day before it."""
    day = now.as_of - timedelta(days=horizon)
    if day <= history.first_date:
        return None
    before = _origin(engine, history, day, horizon)

    def cells(state: pd.DataFrame) -> Any:  # noqa: ANN401  # integer array
        silent = state["age_days"] - state["recency_days"]
        return rfm_cells(silent, state["frequency"], state["revenue"])

    known, at = cells(before.state), cells(now.state)
    outcome = (before.orders, before.value, before.orders > 0)
    return Prediction(*(cell_means(known, column, at) for column in outcome))
