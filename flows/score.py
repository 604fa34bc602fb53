"""Score every customer as of a day, decide who gets which investment, and publish."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from features.tables import DataError
from perennial.pipeline.ingestion.people import save_contacts
from perennial.pipeline.ingestion.read import (
    build_customer_state,
    read_orders,
)
from perennial.pipeline.publishing.checks import check_decided, check_orders
from perennial.pipeline.publishing.mirrored import mirror_exports
from perennial.pipeline.publishing.publish import find_published, publish
from perennial.pipeline.publishing.run_record import past_ratios
from perennial.pipeline.publishing.steps import Scored, find_model
from perennial.pipeline.runtime.context import open_run
from perennial.pipeline.runtime.purpose import Purpose
from perennial.pipeline.runtime.steps import flow, in_prefect
from perennial.pipeline.scoring.decide import decide
from perennial.pipeline.scoring.kpis import measure_retention
from perennial.pipeline.scoring.triggers import list_triggers
from perennial.pipeline.settings.store import read_settings
from perennial.pipeline.training.model_files import load_forecaster


@flow
def score(
    config: Path,
    as_of: date,
    shared: Path | None = None,
    *,
    force: bool = False,
    accepted: Mapping[str, str] | None = None,
    purpose: Purpose = Purpose.CURRENT,
) -> Scored:
    """Read, check, score with the model valid that day, check again, publish.

    `accepted` says why a person lets a check pass, by its name.

    Raises
    ------
    DataError
        No model was trained with these settings on orders up to that day.
    """
    settings, accepted = read_settings(config), accepted or {}
    with open_run(settings, as_of, shared) as run:
        history = read_orders(run)
        model = find_model(run.tracking, as_of, settings.training_digest)
        if model is None:
            raise DataError(
                f"scoring {as_of} needs a model trained with these settings on orders up to that "
                f"day: there is none. Run `perennial train --as-of {as_of}`"
            )
        version = model.version
        if purpose is Purpose.CURRENT:
            save_contacts(run.state, history)
        published = find_published(run, history, version, force=force, purpose=purpose)
        if published is not None:
            mirror_exports(settings.exports, run.state, settings.paths.mirror)
            return Scored(published, is_new=False)
        check_orders(run, history, version, accepted)
        further = load_forecaster(model.folder).needs_extended_features
        build_customer_state(run, history, needs_extended_features=further)
        decide(run, model.folder, purpose=purpose)
        check_decided(run, version, accepted)
        measure_retention(run, history, model.folder, past_ratios(run.tracking, version))
        list_triggers(run, history)
        day = publish(run, history, version, purpose=purpose)
        mirror_exports(settings.exports, run.state, settings.paths.mirror)
        if in_prefect():
            from perennial.pipeline.publishing.artifacts import show_day

            show_day(day)
        return Scored(day, is_new=True)
