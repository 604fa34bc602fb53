"""Fit the models to the orders known at the end of a day, try them on past days, and let the gate decide."""

import json
from datetime import date
from pathlib import Path

from perennial.pipeline.ingestion.read import read_orders, workspace
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
    settings = read_settings(config)
    with workspace(settings, shared) as work:
        history = read_orders(settings, as_of, work)
        champion = find_champion(settings, as_of)
        model = fit_models(settings, history, as_of, work)
        held_out = backtest_recipe(settings, history, champion, as_of, work)
        verdict = judge_model(model, held_out, champion, work)
        version = register_model(settings, history, model, held_out, verdict, as_of, trigger)
        trained = decide_champion(settings, model, version, champion, verdict)
        show_gate(settings, json.loads(verdict.read_text()), as_of, version, trained.run_id)
        return trained
