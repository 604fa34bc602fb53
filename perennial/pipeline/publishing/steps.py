"""The steps of a scored day that are not of one package: its model, and whether it is published."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from connectors.klaviyo.records import SyncPlan, SyncRefusal
from connectors.store import PublishedDay
from connectors.tracking import Tracking
from perennial.pipeline.runtime.steps import step


@dataclass(frozen=True)
class Model:
    """A registered model that may score a day.

    Attributes
    ----------
    version
        Of the registered model.
    folder
        Its files.
    """

    version: str
    folder: Path


@dataclass(frozen=True)
class Scored:
    """A published day, and whether this run published it.

    Attributes
    ----------
    day
        The day.
    is_new
        False where the same orders, settings and model had already published it.
    sync
        What a sync would send, or why none is planned; None where no account is set.
    """

    day: PublishedDay
    is_new: bool
    sync: SyncPlan | SyncRefusal | None = None


@step
def find_model(tracking: Tracking, as_of: date, training_digest: str) -> Model | None:
    """Resolve once which version scores a day: the champion, unless it knows later orders."""
    version = tracking.valid_on(as_of.isoformat(), training_digest)
    return None if version is None else Model(version, tracking.fetch(version) / "artifacts")
