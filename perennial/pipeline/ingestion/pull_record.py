"""What is remembered of pulls: the last whole one, and the error that the last one ended with."""

from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.addresses import redacted
from connectors.live.errors import LiveError
from connectors.live.records import PullKind
from connectors.store import replace_file
from features.tables import DataError
from perennial.pipeline.settings.store import PULL_RECORD

FAILURE = "failure.json"  # beside the record, until a pull succeeds
Record = TypeVar("Record", bound=BaseModel)


class PullRecord(BaseModel):
    """The last pull of a live source; written when the pulled orders can be read.

    Attributes
    ----------
    source
        The account's address.
    pulled_at
        When the pull began.
    horizon
        Until when orders are complete; None = not yet.
    kind
        Why the pull was made.
    rows, deleted
        Versions of orders and events that were read, and objects that the platform no longer has.
    requests
        Sent to the platform.
    warnings
        One sentence each.
    repaired_at, reconciled_at
        When recent weeks were read again, and when all counts were compared with the platform's.
    folder
        Name of the folder with the orders.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    pulled_at: datetime
    horizon: datetime | None = None
    kind: PullKind
    rows: int = 0
    deleted: int = 0
    requests: int = 0
    warnings: tuple[str, ...] = ()
    repaired_at: datetime | None = None
    reconciled_at: datetime | None = None
    folder: str


class PullFailure(BaseModel):
    """How the last pull failed.

    Attributes
    ----------
    failed_at
        When the pull began.
    error
        Its message; no key, no person.
    is_late
        Whether the platform was only out of reach, so that another try may succeed.
    """

    model_config = ConfigDict(frozen=True)

    failed_at: datetime
    error: str
    is_late: bool = False


def read_pull(folder: Path) -> PullRecord | None:
    """Return the record of an account's last whole pull; None where nothing was pulled."""
    return _read(folder / PULL_RECORD, PullRecord)


def read_failure(folder: Path) -> PullFailure | None:
    """Return how an account's last pull failed; None where it did not."""
    return _read(folder / FAILURE, PullFailure)


def save_failure(folder: Path, failed_at: datetime, error: LiveError) -> None:
    """Remember that a pull failed."""
    failure = PullFailure(
        failed_at=failed_at,
        error=redacted(str(error)),
        is_late=getattr(error, "is_late", False),
    )
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    text = failure.model_dump_json(indent=2)
    replace_file(folder / FAILURE, lambda draft: draft.write_text(text))


def clear_failure(folder: Path) -> None:
    """Forget how an earlier pull failed: a later one succeeded."""
    (folder / FAILURE).unlink(missing_ok=True)


def _read(path: Path, record: type[Record]) -> Record | None:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        return record.model_validate_json(text)
    except ValidationError:
        raise DataError(
            f"{path} cannot be read. Delete it and run `perennial pull`: what was pulled stays"
        ) from None
