"""Bring the published scores to Klaviyo: plan what differs, send it, believe what is confirmed."""

from datetime import date
from pathlib import Path
from typing import Any

from perennial.pipeline.activation.account import open_hands
from perennial.pipeline.activation.sync import find_day, sync_day
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import read_settings


@flow
def sync(
    config: Path, as_of: date, *, apply: bool = False, create_missing: bool = False
) -> dict[str, Any]:
    """Plan a sync of the published day, and with `apply` carry it out; return its counts."""
    settings = read_settings(config)
    day = find_day(settings, as_of)
    with open_hands(settings, needs_key=apply) as hands:
        return sync_day(settings, day, hands, config, apply=apply, create_missing=create_missing)
