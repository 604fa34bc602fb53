"""Forecast from past days with what was known then, and compare with what happened."""

import json
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from connectors.engine import Engine
from connectors.orders import History
from features.labels import outcomes
from features.rfm import customer_state
from features.tables import DataError
from features.window import outcome_window, previous_window
from flows.fit import fit_recipe
from flows.forecaster import Forecaster
from flows.prepare import engine_for, read_orders, with_first_baskets, workspace
from flows.settings import Settings, read_settings
from flows.steps import flow, step
from models.baselines import cell_means, rfm_cells
from models.cells import distinct
from models.evaluation import Prediction, decile_table, evaluate, mean_metrics
from models.intervals import Array, Outcomes, covered, informed_position
from models.purchases import PurchaseModel
from models.spend import Spend

LATE_DAYS = 7  # how far before a window's end the last order may be


@dataclass(frozen=True)
class Orders:
    """What was known on a day, and all that came to be known later."""

    known: ir.Table
    all: ir.Table


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
        results = step(evaluate_cutoffs)(settings, as_of, horizon, cutoffs, work)
        found: dict[str, Any] = json.loads(results.read_text())
    return found


def evaluate_cutoffs(
    settings: Settings, as_of: date, horizon_days: int, cutoffs: int, work: Path
) -> Path:
    """Evaluate every model at each cutoff that has enough history; return the JSON file."""
    history = read_orders(settings, as_of + timedelta(days=horizon_days), work)
    _check_window(history, as_of, horizon_days)
    days = [as_of - timedelta(days=k * horizon_days) for k in reversed(range(cutoffs))]
    enough = history.first_date + timedelta(days=horizon_days // 2)
    usable = [day for day in days if day > enough] or days[-1:]
    results = []
    for day in usable:
        known = read_orders(settings, day, work)
        with engine_for(settings, work) as engine:
            orders = Orders(engine.parquet(known.orders), engine.parquet(history.orders))
            results.append(_evaluate_cutoff(engine, settings, orders, known, day, horizon_days))
    names = [name for name in results[0]["models"] if all(name in r["models"] for r in results)]
    found = {
        "horizon_days": horizon_days,
        "cutoffs": results,
        "mean": {name: mean_metrics([r["models"][name] for r in results]) for name in names},
    }
    path = work / "backtest.json"
    path.write_text(json.dumps(found, indent=2, allow_nan=False))
    return path


def _check_window(history: History, as_of: date, horizon_days: int) -> None:
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


def _evaluate_cutoff(
    engine: Engine, settings: Settings, orders: Orders, known: History, as_of: date, horizon: int
) -> dict[str, Any]:
    window = settings.model.second_purchase_days
    lines = None if known.order_lines is None else engine.parquet(known.order_lines)
    now = _origin(engine, orders.known, orders.all, as_of, horizon)
    baskets = with_first_baskets(
        customer_state(orders.known, as_of), orders.known, lines, as_of, window
    )
    now = replace(now, state=engine.frame(baskets.order_by("customer_id")))
    fits = fit_recipe(engine, orders.known, lines, as_of, window, horizon)
    champion = _predict(fits.forecaster, now, horizon)
    candidates = {
        f"{fit.title}_gamma_gamma": _by_models(fit.model, fits.spend.model, now, horizon)
        for fit in fits.purchases
    }
    models: dict[str, Prediction | None] = {
        "champion": champion,
        **candidates,
        "last_period": _last_period(engine, orders.known, now, horizon),
        "rfm": _rfm_means(engine, orders.known, known.first_date, now, horizon),
    }
    metrics: dict[str, dict[str, float | None]] = {
        name: evaluate(prediction, now.orders, now.value)
        for name, prediction in models.items()
        if prediction is not None
    }
    unknown = dict.fromkeys(metrics["champion"])
    return {
        "as_of": as_of.isoformat(),
        "customers": len(now.state),
        "models": {name: metrics.get(name, unknown) for name in models},
        "deciles": decile_table(champion.value, now.value.to_numpy()),
    }


def _origin(engine: Engine, known: ir.Table, later: ir.Table, as_of: date, horizon: int) -> Origin:
    state = engine.keep(customer_state(known, as_of), f"state_{as_of:%Y%m%d}")
    window = outcome_window(as_of, horizon)
    bought = engine.frame(outcomes(later, state, window).order_by("customer_id"))
    frame = engine.frame(state.order_by("customer_id"))
    return Origin(as_of, frame, bought["later_orders"], bought["later_value"])


def _predict(forecaster: Forecaster, now: Origin, horizon: int) -> Prediction:
    """Predict undiscounted, as outcomes are counted."""
    f = forecaster.predict(now.state, horizon_days=horizon, annual_discount_rate=0.0)
    return Prediction(
        f["expected_orders"].to_numpy(),
        f["expected_value"].to_numpy(),
        1 - f["churn_probability"].to_numpy(),
        covered=_covered(forecaster, now, f, horizon),
        low=f["value_low"].to_numpy(),
        high=f["value_high"].to_numpy(),
        frequency=now.state["frequency"].to_numpy(),
    )


def _by_models(purchases: PurchaseModel, spend: Spend, now: Origin, horizon: int) -> Prediction:
    """Predict by a purchase model and a spend model alone; no interval, which takes longest."""
    x, t_x, T, m = (
        now.state[name].to_numpy(np.float64)
        for name in ("frequency", "recency_days", "age_days", "monetary_value")
    )
    states, where = distinct(x, t_x, T)
    orders = purchases.expected_orders(horizon, *states)[where]
    p_active = purchases.p_order(horizon, *states)[where]
    return Prediction(orders, orders * spend.expected_order_value(x, m), p_active)


def _covered(forecaster: Forecaster, now: Origin, f: pd.DataFrame, horizon: int) -> Array:
    """Say which outcomes lie in the interval; of nothing, which has a chance of its own, how likely."""
    x, t_x, T, m = (
        now.state[name] for name in ("frequency", "recency_days", "age_days", "monetary_value")
    )
    own = forecaster.purchases.p_order(horizon, x, t_x, T)
    place = Outcomes(forecaster.purchases, forecaster.spend, horizon).position(
        x, t_x, T, m, now.value
    )
    below, up_to = informed_position(*place, own, 1 - f["churn_probability"])
    return covered(below, up_to, *forecaster.levels.of(f["expected_value"]))


def _last_period(engine: Engine, known: ir.Table, now: Origin, horizon: int) -> Prediction:
    """Predict that each customer repeats what the equal window before brought."""
    state = customer_state(known, now.as_of)
    window = previous_window(now.as_of, horizon)
    before = engine.frame(outcomes(known, state, window).order_by("customer_id"))
    columns = (before["later_orders"], before["later_value"])
    return Prediction(*(column.to_numpy().astype(float) for column in columns))


def _rfm_means(
    engine: Engine, known: ir.Table, first_date: date, now: Origin, horizon: int
) -> Prediction | None:
    """Predict the mean of the same RFM quintiles one horizon earlier; None without a day before it."""
    day = now.as_of - timedelta(days=horizon)
    if day <= first_date:
        return None
    before = _origin(engine, known, known, day, horizon)

    def cells(state: pd.DataFrame) -> Any:  # noqa: ANN401  # integer array
        silent = state["age_days"] - state["recency_days"]
        return rfm_cells(silent, state["frequency"], state["revenue"])

    earlier, at = cells(before.state), cells(now.state)
    outcome = (before.orders, before.value, before.orders > 0)
    return Prediction(*(cell_means(earlier, column, at) for column in outcome))
