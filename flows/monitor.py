"""Whether what was expected came true: matured weeks, how inputs moved, and what to do about it."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from models.monitoring import MonitoringReport, RetrainRequest
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
    save_monitoring,
)
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import read_settings


@dataclass(frozen=True)
class Monitored:
    """What monitoring reports of a day, and asks for.

    Attributes
    ----------
    report
        Of the day.
    request
        The last request to train again; None where none was ever made.
    """

    report: MonitoringReport
    request: RetrainRequest | None


@flow
def monitor(config: Path, as_of: date, shared: Path | None = None) -> Monitored:
    """Count what came, look at what goes in, judge, keep, and ask to train again where that helps."""
    settings = read_settings(config)
    with open_run(settings, as_of, shared) as run:
        newest = find_newest(run)
        history = read_orders(run)
        weeks = count_weeks(run, history)
        inputs = look_at_inputs(run, history, newest)
        report = judge_forecasts(run, weeks, inputs)
        if save_monitoring(run.state, report):
            log_monitoring(run.tracking, report, as_of)
        cooldown = settings.monitoring.cooldown_days
        return Monitored(report, ask_to_train(run.state, report, as_of, cooldown))
