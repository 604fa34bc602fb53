"""Whether what was expected came true: matured weeks, how inputs moved, and what to do about it."""

from datetime import date
from pathlib import Path
from typing import Any

from perennial.pipeline.ingestion.read import read_orders, workspace
from perennial.pipeline.monitoring.steps import (
    ask_to_train,
    count_weeks,
    find_newest,
    judge_forecasts,
    log_monitoring,
    look_at_inputs,
)
from perennial.pipeline.runtime.monitoring_state import (
    keep_monitoring,
)
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import read_settings


@flow
def monitor(config: Path, as_of: date, shared: Path | None = None) -> dict[str, Any]:
    """Count what came, look at what goes in, judge, keep, and ask to train again where that helps."""
    settings = read_settings(config)
    with workspace(settings, shared) as work:
        newest = find_newest(settings, as_of)
        history = read_orders(settings, as_of, work)
        weeks = count_weeks(settings, history, as_of, work)
        inputs = look_at_inputs(settings, history, newest, as_of, work)
        found = judge_forecasts(settings, weeks, inputs, as_of)
        if keep_monitoring(settings.state, found):
            log_monitoring(settings, found, as_of)
        return {**found, "retrain": ask_to_train(settings, found, as_of)}
