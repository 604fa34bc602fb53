"""How fresh the source of the orders is. Light: `perennial up` looks at it each minute."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.live.address import LiveAddress
from connectors.source_files import newest_file
from perennial.pipeline.ingestion.pull_record import read_failure, read_pull
from perennial.pipeline.settings.store import SourcePlace
from perennial.pipeline.status.records import SourceStatus

NEW_EXPORT = (
    "put a new export that overlaps the last weeks into the folder of the orders, or set a live source in "
    "orders.source, such as shopify://my-shop.myshopify.com"
)
NEW_PULL = "run `perennial pull`: it shows what is wrong"


@dataclass(frozen=True)
class SourceProblem:
    """Why orders may be old.

    Attributes
    ----------
    subject
        The problem, in one line.
    facts
        What else there is to know, by name.
    fix
        What to do.
    """

    subject: str
    facts: dict[str, str]
    fix: str

    def __str__(self) -> str:
        facts = "; ".join(f"{name}: {value}" for name, value in self.facts.items())
        return f"{self.subject} ({facts}). To fix it, {self.fix}"


def source_status(place: SourcePlace) -> SourceStatus:
    """Return how fresh a source is."""
    if place.address is not None:
        return _live(place.address, Path(place.location))
    if "://" in place.location:
        return SourceStatus(kind="database")
    newest = newest_file(place.location)
    if newest is None:
        return SourceStatus(kind="files")
    path, seconds = newest
    modified_at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)
    return SourceStatus(kind="files", file=path.name, modified_at=modified_at)


def _live(address: LiveAddress, folder: Path) -> SourceStatus:
    record, failure = read_pull(folder), read_failure(folder)
    status = SourceStatus(kind="live", account=str(address))
    if record is not None:
        status = status.model_copy(
            update={
                "pulled_at": record.pulled_at,
                "complete_until": record.horizon,
                "pull_kind": record.kind.value,
                "warnings": record.warnings,
            }
        )
    if failure is not None:
        update = {
            "failed_at": failure.failed_at,
            "error": failure.error,
            "is_out_of_reach": failure.is_late,
        }
        status = status.model_copy(update=update)
    return status


def source_problem(status: SourceStatus, now: datetime, limit: timedelta) -> SourceProblem | None:
    """Return why a source's orders may be old; None where nothing is wrong.

    A platform that was out of reach is a problem only when the last pull is old too: scheduled runs try again. A
    database is not looked at, nor is a source without a file: each run refuses that.

    Parameters
    ----------
    status
        Of the source.
    now
        The moment.
    limit
        From which age on the newest file, or the last pull, is old.
    """
    facts = {**_last_pull(status), **_last_error(status)}
    if status.error is not None and not status.is_out_of_reach:
        return SourceProblem(f"the last pull of {status.account} failed", facts, NEW_PULL)
    if status.pulled_at is not None and now - status.pulled_at > limit:
        subject = f"{status.account} was not pulled since {_minute(status.pulled_at)}"
        return SourceProblem(subject, facts, NEW_PULL)
    if status.modified_at is not None and now - status.modified_at > limit:
        return SourceProblem(
            f"no new export of orders since {_minute(status.modified_at)}",
            {"newest file": str(status.file)},
            NEW_EXPORT,
        )
    return None


def _last_pull(status: SourceStatus) -> dict[str, str]:
    if status.pulled_at is None:
        return {}
    until = status.complete_until
    complete = {} if until is None else {"complete until": _minute(until)}
    return {"last pull": _minute(status.pulled_at), **complete}


def _last_error(status: SourceStatus) -> dict[str, str]:
    if status.error is None or status.failed_at is None:
        return {}
    return {"failed": _minute(status.failed_at), "error": status.error}


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
