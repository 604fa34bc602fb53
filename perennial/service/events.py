"""What `perennial up` reports: one record per event."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, JsonValue


class ServedDeployment(BaseModel):
    """A deployment, as the worker reports it to the supervisor.

    Attributes
    ----------
    deployment, id
        Full name and Prefect's id.
    again
        Whether a run that was cut off runs once more.
    given_up
        Whether a run was cut off twice.
    cron, event
        What starts it; None = another thing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployment: str
    id: str
    again: bool = False
    given_up: bool = False
    cron: str | None
    event: str | None


@dataclass(frozen=True)
class Event:
    """Something that happened; a name and what belongs to it."""

    name: ClassVar[str]

    def to_dict(self) -> dict[str, JsonValue]:
        """Return what belongs to it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class ComingRun:
    """When a deployment runs next.

    Attributes
    ----------
    deployment
        Full name.
    cron, event
        What starts it.
    next
        Slot of the next run, ISO 8601 in the store's time zone; None = none is scheduled.
    """

    deployment: str
    cron: str | None
    event: str | None
    next: str | None


@dataclass(frozen=True)
class Serving(Event):
    """The store is served."""

    name: ClassVar[str] = "serving"

    ui: str
    api_url: str
    home: str
    timezone: str
    deployments: tuple[ComingRun, ...]


@dataclass(frozen=True)
class RunAgain(Event):
    """A run that was cut off runs once more."""

    name: ClassVar[str] = "again"

    deployment: str


@dataclass(frozen=True)
class ChildDied(Event):
    """A child ended; `again_in` seconds later it is started again."""

    name: ClassVar[str] = "died"

    what: str
    how: str
    last_words: str
    again_in: float
    log: str

    def to_dict(self) -> dict[str, JsonValue]:
        """Return it as JSON values; what the child said last is under ``said``."""
        return {
            "said" if key == "last_words" else key: value for key, value in asdict(self).items()
        }


@dataclass(frozen=True)
class ChildRestarted(Event):
    """A child runs again."""

    name: ClassVar[str] = "restarted"

    what: str


@dataclass(frozen=True)
class ServerUnanswered(Event):
    """Prefect's server did not answer."""

    name: ClassVar[str] = "unanswered"

    api_url: str
    error: str


@dataclass(frozen=True)
class Complaint(Event):
    """Something that a person must look at."""

    name: ClassVar[str] = "warning"

    what: str
    facts: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return it as JSON values, the facts beside what they belong to."""
        return {"what": self.what, **self.facts}


@dataclass(frozen=True)
class Stopped(Event):
    """The store is not served any more."""

    name: ClassVar[str] = "stopped"
