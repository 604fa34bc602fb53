"""What the schedule runs each night: yesterday, as the slot sees it."""

from datetime import date
from pathlib import Path

from flows.run import run
from flows.settings import read_settings
from flows.slot import slot_day
from flows.steps import flow


@flow
def daily(config: Path, as_of: date | None = None, force: bool = False) -> None:
    """Publish a day, by default the one before the run's slot."""
    run(config, as_of or slot_day(read_settings(config)), force=force)
