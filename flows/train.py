"""Fit the models to the orders known at the end of a day, and make them the champion."""

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pandas as pd

from connectors.orders import History
from connectors.tracking import Run, Tracking
from features.tables import DataError
from flows.backtest import evaluate_cutoffs
from flows.fit import fit_recipe
from flows.forecaster import EXAMPLE, INPUTS, OUTPUTS, model_files
from flows.prepare import engine_for, open_tracking, read_orders, workspace
from flows.settings import Settings, read_settings
from flows.steps import flow, step
from models.purchases import FitError
from reports.charts import decile_chart

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
        model = fit_models(settings, history, as_of, work)
        held_out = backtest_recipe(settings, history, as_of, work)
        return register_model(settings, history, model, held_out, as_of)


@step
def fit_models(settings: Settings, history: History, as_of: date, work: Path) -> Path:
    """Fit every part of the model; return its folder."""
    folder = work / "model"
    with engine_for(settings, work) as engine:
        orders = engine.parquet(history.orders)
        fits = fit_recipe(
            engine,
            orders,
            None if history.order_lines is None else engine.parquet(history.order_lines),
            as_of,
            settings.model.second_purchase_days,
            settings.model.horizon_days,
        )
    fits.forecaster.save(folder)
    said = {"parts": fits.parts(), "notes": fits.notes}
    (folder / "fits.json").write_text(json.dumps(said, indent=2, allow_nan=False))
    return folder


@step
def backtest_recipe(settings: Settings, history: History, as_of: date, work: Path) -> Path:
    """Hold out a third of the history, at most the horizon; the file says why where that cannot be."""
    days = min(settings.model.horizon_days, (as_of - history.first_date).days // 3)
    path = work / "held_out.json"
    try:
        cutoff = as_of - timedelta(days=days)
        found = evaluate_cutoffs(settings, cutoff, max(days, 1), 1, work)
        path.write_text(found.read_text())
    except (DataError, FitError) as error:
        path.write_text(json.dumps({"not_backtested": str(error)}))
    return path


@step
def register_model(
    settings: Settings, history: History, model: Path, held_out: Path, as_of: date
) -> Trained:
    """Log everything to MLflow, register the model and make it champion unless a later day's is."""
    fits = json.loads((model / "fits.json").read_text())
    backtest = json.loads(held_out.read_text())
    if "not_backtested" in backtest:
        fits["notes"].append(f"not backtested: {backtest['not_backtested']}")
    tracking = open_tracking(settings)
    tags = {
        "kind": "train",
        "as_of": as_of.isoformat(),
        "data_digest": history.digest,
        "training_digest": settings.training_digest,
    }
    with tracking.run(f"train {as_of}", tags) as run:
        run.log(params=settings.model.model_dump(), metrics=_counts(history))
        run.log_data("orders", settings.orders.source, history.digest, "training")
        run.log_json(fits, "fits.json")
        for name, part in fits["parts"].items():
            with tracking.run(name, {**tags, "part": name}, parent=run) as child:
                child.log(params=part["params"], metrics=part["metrics"])
        if "cutoffs" in backtest:
            _log_backtest(tracking, run, backtest, tags)
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
    rival = {} if champion is None else tracking.tags(champion)
    is_rival = rival.get("training_digest") == settings.training_digest
    is_latest = not is_rival or rival["as_of"] <= as_of.isoformat()
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
