"""History in order: each day with the model that was valid then, and nobody told."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from features.tables import DataError
from flows.run import train_if_needed
from flows.score import score
from perennial.pipeline.runtime.context import open_run
from perennial.pipeline.runtime.purpose import Purpose
from perennial.pipeline.runtime.steps import flow, progress
from perennial.pipeline.settings.store import read_settings


@dataclass(frozen=True)
class Backfilled:
    """What a backfill did.

    Attributes
    ----------
    published
        Days that it published.
    there
        Days that were published before.
    refused
        Days that were refused, and why.
    """

    published: tuple[date, ...]
    there: tuple[date, ...]
    refused: dict[date, str] = field(default_factory=dict)


@flow
def backfill(config: Path, as_of: date, until: date) -> Backfilled:
    """Publish the days from `as_of` to `until`, both included, as history.

    Nothing is committed to anybody, readers keep the day that they see, and no sync is planned. A day
    that is published already is left as it is; one that is refused holds nobody up.
    """
    settings = read_settings(config)
    published: list[date] = []
    there: list[date] = []
    refused: dict[date, str] = {}
    days = [as_of + timedelta(days=n) for n in range((until - as_of).days + 1)]
    with open_run(settings, as_of) as run:
        for number, day in enumerate(days, 1):
            progress(f"{day}, {number} of {len(days)}")
            try:
                train_if_needed(run.on(day), config, "backfill")
                scored = score(config, day, run.folder, purpose=Purpose.HISTORY)
            except DataError as error:
                refused[day] = str(error)
                continue
            (published if scored.is_new else there).append(day)
    return Backfilled(tuple(published), tuple(there), refused)
