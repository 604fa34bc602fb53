"""Fit the models to the orders known at the end of a day, and make them the champion."""

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from connectors.engine import Engine
from connectors.orders import History
from connectors.tracking import Run, Tracking
from features.labels import outcomes
from features.rfm import customer_state, spend_cells, state_cells
from features.window import outcome_window
from flows.backtest import evaluate_cutoffs
from flows.forecaster import EXAMPLE, INPUTS, OUTPUTS, Forecaster, first_order_design, model_files
from flows.prepare import (
    build_customer_state,
    engine_for,
    open_tracking,
    read_orders,
    workspace,
)
from flows.settings import Settings, read_settings
from flows.steps import flow, step
from models.purchases import fit_purchases
from models.second_purchase import SecondPurchaseFit, fit_second_purchase
from models.spend import fit_spend
from reports.charts import decile_chart

MAX_LANDMARKS = 4
SERVED_WITH = ("perennial", "mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True)
class Trained:
    """A registered model.

    Attributes
    ----------
    model_version
        Version of the registered model.
    run_id
        MLflow run that it was trained in.
    is_champion
        Whether it scores from now on.
    notes
        What a reader must know.
    """

    model_version: str
    run_id: str
    is_champion: bool
    notes: tuple[str, ...]


@flow
def train(config: Path, as_of: date, shared: Path | None = None) -> Trained:
    """Read, fit, backtest, register."""
    settings = read_settings(config)
    with workspace(settings, shared) as work:
        history = read_orders(settings, as_of, work)
        state = build_customer_state(settings, history, as_of, work)
        model = fit_models(settings, history, state, as_of, work)
        horizon = holdout_days(settings, history, as_of)
        cutoff = as_of - timedelta(days=horizon)
        held_out = horizon and evaluate_cutoffs(settings, history, cutoff, horizon, 1, work)
        return register_model(settings, history, model, held_out or None, as_of)


def holdout_days(settings: Settings, history: History, as_of: date) -> int:
    """Choose how many days to hold out: a third of the history, at most the horizon; 0 = too short."""
    days = (as_of - history.first_date).days
    horizon = min(settings.model.horizon_days, days // 3)
    return horizon if horizon >= 7 and history.last_date >= as_of - timedelta(days=7) else 0


@step
def fit_models(settings: Settings, history: History, state: Path, as_of: date, work: Path) -> Path:
    """Fit every part of the model; return its folder."""
    folder = work / "model"
    with engine_for(settings, work) as engine:
        known = engine.parquet(state)
        cells, spends = engine.frame(state_cells(known)), engine.frame(spend_cells(known))
        purchases = fit_purchases(*(cells[c] for c in cells.columns))
        spend = fit_spend(*(spends[c] for c in spends.columns))
        second, note = _fit_second_purchase(engine, settings, history, as_of)
    forecaster = Forecaster(
        purchases.model,
        spend.model,
        second.classifier if second else None,
        settings.model.second_purchase_days,
        as_of,
    )
    forecaster.save(folder)
    parts: dict[str, dict[str, Any]] = {
        "purchases": {
            "params": purchases.model.to_dict(),
            "metrics": {
                "log_likelihood": purchases.log_likelihood,
                "customers": purchases.customers,
                "distinct_states": len(cells),
            },
        },
        "spend": {
            "params": spend.model.to_dict(),
            "metrics": {
                "log_likelihood": spend.log_likelihood,
                "repeat_customers": spend.customers,
                "mean_order_value": spend.model.mean,
            },
        },
    }
    if second:
        counts = {"customers": second.customers, "second_orders": second.second_orders}
        window = {"second_purchase_days": settings.model.second_purchase_days}
        parts["second_purchase"] = {"params": window, "metrics": {**counts, **second.metrics}}
    notes = [*purchases.notes, *(second.notes if second else ()), *note]
    (folder / "fits.json").write_text(json.dumps({"parts": parts, "notes": notes}, indent=2))
    return folder


def _fit_second_purchase(
    engine: Engine, settings: Settings, history: History, as_of: date
) -> tuple[SecondPurchaseFit | None, tuple[str, ...]]:
    """Fit the classifier on first-time buyers as known on several past days."""
    window = settings.model.second_purchase_days
    orders = engine.parquet(history.orders)
    landmarks = []
    for k in range(MAX_LANDMARKS, 0, -1):
        day = as_of - timedelta(days=k * window)
        if day < history.first_date:
            continue
        state = engine.keep(customer_state(orders, day), "landmark")
        once = state.filter(state.frequency == 0)
        later = engine.frame(
            outcomes(orders, once, outcome_window(day, window)).order_by("customer_id")
        )
        features = first_order_design(engine.frame(once.order_by("customer_id")))
        landmarks.append((features, (later["later_orders"] > 0).to_numpy().astype(np.float64)))
    if not sum(len(labels) for _, labels in landmarks):
        note = (
            f"no second-purchase classifier: nobody bought for the first time {window} days or more "
            "before the as-of day, so the purchase model's own chance is used"
        )
        return None, (note,)
    return fit_second_purchase(landmarks), ()


@step
def register_model(
    settings: Settings, history: History, model: Path, held_out: Path | None, as_of: date
) -> Trained:
    """Log everything to MLflow, register the model and make it champion unless a later day's is."""
    fits = json.loads((model / "fits.json").read_text())
    tracking = open_tracking(settings)
    tags = {"as_of": as_of.isoformat(), "data_digest": history.digest, "kind": "train"}
    with tracking.run(f"train {as_of}", tags) as run:
        run.log(params=settings.model.model_dump(), metrics=_counts(history))
        run.log_data("orders", settings.orders.source, history.digest, "training")
        run.log_json(fits, "fits.json")
        for name, part in fits["parts"].items():
            with tracking.run(name, {**tags, "part": name}, parent=run) as child:
                child.log(params=part["params"], metrics=part["metrics"])
        if held_out is not None:
            _log_backtest(tracking, run, json.loads(held_out.read_text()), tags)
        version = tracking.register(
            run,
            code=Path(__file__).with_name("pyfunc.py"),
            artifacts=model_files(model),
            signature={
                "inputs": INPUTS,
                "outputs": dict.fromkeys(OUTPUTS, True),
                "params": {
                    "horizon_days": settings.model.horizon_days,
                    "annual_discount_rate": settings.model.annual_discount_rate,
                },
            },
            example=EXAMPLE,
            requirements=[f"{name}=={installed(name)}" for name in SERVED_WITH],
            tags=tags,
        )
    champion = tracking.champion()
    is_latest = champion is None or tracking.tags(champion)["as_of"] <= as_of.isoformat()
    if is_latest:
        tracking.promote(version)
    return Trained(version, run.id, is_latest, tuple(fits["notes"]))


def _counts(history: History) -> dict[str, float]:
    accounting = asdict(history.accounting)
    rejected = accounting.pop("rejected")
    merged = accounting.pop("merged")
    return {
        **accounting,
        "rows_rejected": sum(rejected.values()),
        "rows_merged": sum(merged.values()),
    }


def _log_backtest(
    tracking: Tracking, run: Run, found: dict[str, Any], tags: dict[str, str]
) -> None:
    """Log each cutoff as a child run, its deciles as a picture with the numbers beside it."""
    run.log_json(found, "backtest.json")
    for cutoff in found["cutoffs"]:
        name = f"backtest {cutoff['as_of']}"
        with tracking.run(name, {**tags, "part": "backtest"}, parent=run) as child:
            child.log(params={"cutoff": cutoff["as_of"], "horizon_days": found["horizon_days"]})
            for model, metrics in cutoff["models"].items():
                child.log(metrics={f"{model}.{key}": value for key, value in metrics.items()})
            child.log_figure(decile_chart(pd.DataFrame(cutoff["deciles"])), "value_by_decile.png")
            child.log_json(cutoff["deciles"], "value_by_decile.json")
    champion = {f"holdout.{k}": v for k, v in found["mean"]["champion"].items()}
    run.log(metrics=champion)
