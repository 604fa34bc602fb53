"""Forecast from past days with what was known then, and compare with what happened."""

from datetime import date
from pathlib import Path

from models.evaluation import BacktestReport
from perennial.pipeline.runtime.context import open_run
from perennial.pipeline.runtime.steps import flow, step
from perennial.pipeline.settings.store import read_settings
from perennial.pipeline.training.backtest import evaluate_cutoffs


@flow
def backtest(
    config: Path, as_of: date, horizon_days: int | None = None, cutoffs: int = 1
) -> BacktestReport:
    """Backtest the champion's recipe beside the baselines, at `as_of` and equal steps before it."""
    settings = read_settings(config)
    horizon = horizon_days or settings.model.horizon_days
    with open_run(settings, as_of) as run:
        results = step(evaluate_cutoffs)(run, horizon, cutoffs)
        return BacktestReport.model_validate_json(results.read_text())
