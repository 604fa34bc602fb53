"""The daily way: train if no model fits the day, score, publish, and plan what marketing gets."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

from connectors.klaviyo.errors import SyncRefusedError
from connectors.klaviyo.records import SyncPlan, SyncRefusal
from connectors.store import PublishedDay
from features.tables import DataError
from flows.score import score
from flows.sync import plan_day
from flows.train import train
from models.gate import FAILED
from perennial.pipeline.activation.sync import find_day
from perennial.pipeline.ingestion.pull import pull_orders
from perennial.pipeline.publishing.steps import Scored, find_model
from perennial.pipeline.runtime.context import RunContext, home_context, open_run
from perennial.pipeline.runtime.steps import flow, step
from perennial.pipeline.settings.store import read_settings


@flow
def run(
    config: Path,
    as_of: date,
    shared: Path | None = None,
    *,
    force: bool = False,
    accepted: Mapping[str, str] | None = None,
) -> Scored:
    """Train if need be, score, publish, plan the sync; the orders are read once."""
    settings = read_settings(config)
    with open_run(settings, as_of, shared) as work:
        pull_orders(work)
        train_if_needed(work, config, "daily run")
        scored = score(config, as_of, work.folder, force=force, accepted=accepted)
    return replace(
        scored, sync=plan_marketing(config, scored.day) if settings.klaviyo.is_configured else None
    )


def train_if_needed(run: RunContext, config: Path, trigger: str) -> None:
    """Train where no model may score the day.

    Raises
    ------
    DataError
        The gate refuses the new model.
    """
    if find_model(run.tracking, run.as_of, run.settings.training_digest) is not None:
        return
    trained = train(config, run.as_of, run.folder, trigger)
    if trained.gate == FAILED:
        raise DataError(
            f"no model may score {run.as_of}: the gate refused version {trained.model_version}: "
            f"{'; '.join(trained.reasons)}. To use it all the same: `perennial promote "
            f'{trained.model_version} --because "…"`'
        )


@step
def plan_marketing(config: Path, day: PublishedDay) -> SyncPlan | SyncRefusal:
    """Plan what a sync would send, without reading Klaviyo; a refusal is returned and stops nothing."""
    run = home_context(read_settings(config), day.as_of)
    try:
        find_day(run)
        return plan_day(run, day)
    except SyncRefusedError as error:
        return SyncRefusal(refused=str(error))
