"""Fit the models to the orders known at the end of a day, try them on past days, and let the gate decide."""

from datetime import date
from pathlib import Path

from perennial.pipeline.ingestion.read import read_orders
from perennial.pipeline.runtime.context import open_run
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import read_settings
from perennial.pipeline.training.gate_artifact import show_gate
from perennial.pipeline.training.steps import (
    Trained,
    backtest_recipe,
    decide_champion,
    find_champion,
    fit_models,
    judge_model,
    register_model,
)


@flow
def train(
    config: Path, as_of: date, shared: Path | None = None, trigger: str = "command"
) -> Trained:
    """Read, fit, backtest, judge, register; `trigger` says what asked for it."""
    with open_run(read_settings(config), as_of, shared) as run:
        history = read_orders(run)
        champion = find_champion(run)
        fit_models(run, history)
        backtest_recipe(run, history, champion)
        verdict = judge_model(run, champion)
        version = register_model(run, history, verdict, trigger)
        trained = decide_champion(run, version, champion, verdict)
        show_gate(run, verdict, version=version, run_id=trained.run_id)
        return trained
