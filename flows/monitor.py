"""Whether what was expected came true: matured weeks, how inputs moved, and what to do about it."""

from datetime import date
from pathlib import Path
from typing import Any

from perennial.pipeline.ingestion.read import read_orders
from perennial.pipeline.monitoring.steps import (
    ask_to_train,
    count_weeks,
    find_newest,
    judge_forecasts,
    log_monitoring,
    look_at_inputs,
)
from perennial.pipeline.runtime.context import open_run
from perennial.pipeline.runtime.monitoring_state import (
    keep_monitoring,
)
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import read_settings


@flow
def monitor(config: Path, as_of: date, shared: Path | None = None) -> dict[str, Any]:
    """Count what came, look at what goes in, judge, keep, and ask to train again where that helps."""
    settings = read_settings(config)
    with open_run(settings, as_of, shared) as run:
        newest = find_newest(run)
        history = read_orders(run)
        weeks = count_weeks(run, history)
        inputs = look_at_inputs(run, history, newest)
        report = judge_forecasts(run, weeks, inputs)
        if keep_monitoring(run.state, report):
            log_monitoring(run.tracking, report, as_of)
        cooldown = settings.monitoring.cooldown_days
        return {**report, "retrain": ask_to_train(run.state, report, as_of, cooldown)}
