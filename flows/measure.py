"""Whether it paid: the orders of customers with an investment compared with those held out."""

from datetime import date
from pathlib import Path

from models.lift import Readout
from perennial.pipeline.experiments.effects import save_readout
from perennial.pipeline.experiments.readout import (
    compare,
    find_experiment,
    fit_uplift_targeting,
    learn_effects,
    record,
    watch,
)
from perennial.pipeline.ingestion.read import read_orders
from perennial.pipeline.runtime.context import open_run
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
) -> Readout:
    """Compare the arms of an experiment, and save the measured effects."""
    with open_run(read_settings(config), as_of, shared) as run:
        experiment = find_experiment(run, program, early=early)
        history = read_orders(run)
        watched = watch(run, experiment, history)
        readout = compare(run, experiment, watched)
        if program == CONTROL and not readout.is_early:
            learn_effects(run.state, watched, as_of)
            uplift_targeting = fit_uplift_targeting(run, watched)
            readout = readout.model_copy(update={"uplift_targeting": uplift_targeting})
        save_readout(run.state, readout)
        record(run, readout)
        return readout
