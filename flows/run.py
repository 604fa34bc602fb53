"""The daily way: train if no model fits the day, score, publish, and plan what marketing gets."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from connectors.klaviyo.errors import SyncRefusedError
from connectors.store import PublishedDay
from features.tables import DataError
from flows.score import score
from flows.train import train
from models.gate import FAILED
from perennial.pipeline.activation.sync import find_day, sync_day
from perennial.pipeline.ingestion.read import workspace
from perennial.pipeline.publishing.steps import Scored, find_model
from perennial.pipeline.runtime.steps import flow, step
from perennial.pipeline.settings.store import Settings, read_settings


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
    with workspace(settings, shared) as work:
        train_if_needed(settings, config, as_of, work, "daily run")
        scored = score(config, as_of, work, force=force, accepted=accepted)
    return replace(
        scored, sync=plan_marketing(config, scored.day) if settings.klaviyo.is_configured else None
    )


def train_if_needed(
    settings: Settings, config: Path, as_of: date, work: Path, trigger: str
) -> None:
    """Train where no model may score the day.

    Raises
    ------
    DataError
        The gate refuses the new model.
    """
    if find_model(settings, as_of) is not None:
        return
    trained = train(config, as_of, work, trigger)
    if trained.gate == FAILED:
        raise DataError(
            f"no model may score {as_of}: the gate refused version {trained.model_version}: "
            f"{'; '.join(trained.reasons)}. To use it all the same: `perennial promote "
            f'{trained.model_version} --because "…"`'
        )


@step
def plan_marketing(config: Path, day: PublishedDay) -> dict[str, Any]:
    """Say what a sync would send, without a word to Klaviyo; a refusal is told and stops nothing."""
    settings = read_settings(config)
    try:
        find_day(settings, day.as_of)
        return sync_day(settings, day, None, apply=False, create_missing=False)
    except SyncRefusedError as error:
        return {"status": "refused", "refused": str(error)}
