"""Whether it paid: what those who were invested in bought, beside those who were held out."""

from datetime import date
from pathlib import Path
from typing import Any

from perennial.pipeline.experiments.effects import keep_readout
from perennial.pipeline.experiments.readout import (
    compare,
    find_experiment,
    find_responders,
    learn_effects,
    record,
    watch,
)
from perennial.pipeline.ingestion.read import read_orders, workspace
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import read_settings
from segments.holdout import CONTROL


@flow
def measure(
    config: Path,
    as_of: date,
    shared: Path | None = None,
    *,
    program: str = CONTROL,
    early: bool = False,
) -> dict[str, Any]:
    """Compare the arms of an experiment, and keep what was learned of the effects."""
    settings = read_settings(config)
    with workspace(settings, shared) as work:
        experiment = find_experiment(settings, as_of, program, early=early)
        history = read_orders(settings, as_of, work)
        watched = watch(settings, experiment, history, as_of, work)
        found = compare(settings, experiment, watched, as_of)
        if program == CONTROL and not found["is_early"]:
            learn_effects(settings, watched, as_of)
            found["responders"] = find_responders(settings, watched, as_of)
        keep_readout(settings.state, found)
        record(settings, found, as_of)
        return found
