"""Records of a pull: what was asked for, what is in the raw files, what is reported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

FORMAT = 1
JsonObject = Mapping[str, Any]  # of a platform, as it sent it


@dataclass(frozen=True, order=True)
class Window:
    """A range of time, half-open: [start, end), in UTC.

    Attributes
    ----------
    start, end
        With a time zone; `start` is before `end`.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window's ends have a time zone")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.start >= self.end:
            raise ValueError(f"a window ends after its start: {self}")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def __str__(self) -> str:
        return f"[{self.start.isoformat()}, {self.end.isoformat()})"


class PullKind(StrEnum):
    """Why a pull is made."""

    BACKFILL = "backfill"  # a slice of the history
    NIGHT = "night"  # what changed since the last pull
    REPAIR = "repair"  # a night with a long overlap
    RECONCILE = "reconcile"  # spans whose counts differ from the platform's, and deletions
    COMPACTION = "compaction"  # one pull in place of all before it; the platform is not asked

    @property
    def is_cover(self) -> bool:
        """Whether a pull of this kind has read its whole window."""
        return self in (PullKind.BACKFILL, PullKind.NIGHT, PullKind.REPAIR)


@dataclass(frozen=True)
class PlannedPull:
    """A pull to make.

    Attributes
    ----------
    window
        What is read.
    kind
        Why.
    plan
        Of a backfill: the whole range that its slices belong to. Its end is set when the first slice
        begins, so that a backfill that takes days misses no change made meanwhile.
    """

    window: Window
    kind: PullKind
    plan: Window | None = None


@dataclass(frozen=True)
class RawRow:
    """A version of a platform's object.

    Attributes
    ----------
    key
        The platform's id of the object; unique in its stream.
    payload
        Its JSON object, as the platform sent it.
    updated_at
        When the platform changed it last; None where the platform does not show it (Klaviyo's events): then the
        version that was pulled last is the newest.
    happened_at
        When it happened by the platform's clock: what counts per day or month go by.
    """

    key: str
    payload: JsonObject = field(repr=False)
    updated_at: datetime | None = None
    happened_at: datetime | None = None


class Record(BaseModel):
    """A record that is written as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Part(Record):
    """A Parquet file of a pull.

    Attributes
    ----------
    name
        In the pull's folder.
    rows, size_bytes
        How much it holds.
    sha256
        Of the file.
    """

    name: str
    rows: int
    size_bytes: int
    sha256: str


class Progress(Record):
    """How far an unfinished pull is; what it does not name is dropped on resuming.

    Attributes
    ----------
    format
        Of this record.
    pull
        The pull's id.
    planned
        What it reads.
    api_version
        The platform's.
    started_at
        When it began.
    parts
        Its parts that are whole.
    position
        Rows added up to `cursor`, filtered ones included.
    cursor
        Where the platform is asked next, by the platform's own client; no secrets.
    """

    format: int = FORMAT
    pull: str
    planned: PlannedPull
    api_version: str
    started_at: datetime
    parts: tuple[Part, ...] = ()
    position: int = 0
    cursor: dict[str, Any] | None = None


class Manifest(Record):
    """A whole pull. A pull without one did not happen.

    Attributes
    ----------
    format
        Of this record.
    pull
        The pull's id; later pulls have greater ones.
    kind, window, plan
        As planned.
    api_version
        The platform's.
    started_at, finished_at
        When it was made.
    rows, keys, tombstones
        Rows, distinct keys and tombstones among the rows.
    min_updated_at, max_updated_at
        Of its rows.
    parts
        Its files.
    platform_count
        Objects in the window by the platform's own count; None where it was not asked.
    horizon
        End of the contiguous cover of all whole pulls, this one included.
    replaces
        Of a compaction: the pulls whose rows it holds; they are void.
    covered
        Of a compaction: the windows that they had read.
    """

    format: int = FORMAT
    pull: str
    kind: PullKind
    window: Window
    plan: Window | None = None
    api_version: str
    started_at: datetime
    finished_at: datetime
    rows: int = Field(ge=0)
    keys: int = Field(ge=0)
    tombstones: int = Field(ge=0)
    min_updated_at: datetime | None = None
    max_updated_at: datetime | None = None
    parts: tuple[Part, ...] = ()
    platform_count: int | None = None
    horizon: datetime | None = None
    replaces: tuple[str, ...] = ()
    covered: tuple[Window, ...] = ()

    @property
    def cover(self) -> tuple[Window, ...]:
        """The windows that this pull has read whole."""
        if self.kind is PullKind.COMPACTION:
            return self.covered
        return (self.window,) if self.kind.is_cover else ()


@dataclass(frozen=True)
class PullHistory:
    """The pulls of a stream.

    Attributes
    ----------
    manifests
        Of its whole pulls, oldest first.
    unfinished
        What a killed pull was reading; None where there is none.
    """

    manifests: tuple[Manifest, ...] = ()
    unfinished: PlannedPull | None = None


@dataclass(frozen=True)
class AccountFacts:
    """What a preflight shows of an account.

    Attributes
    ----------
    platform, account
        As in the source's address: ``shopify``, ``shop.myshopify.com``.
    name
        The store's own name.
    currency, timezone
        ISO 4217 code and IANA name; None where the platform does not show them.
    first_order_at
        The oldest order that the key can read; None where there is none.
    permissions
        Those of the key, as far as the platform shows them.
    is_test
        Whether the account is for tests.
    notes
        What a person should know, one sentence each; nothing secret, no person.
    """

    platform: str
    account: str
    name: str
    currency: str | None = None
    timezone: str | None = None
    first_order_at: datetime | None = None
    permissions: tuple[str, ...] = ()
    is_test: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StreamSummary:
    """What a pull did to a stream.

    Attributes
    ----------
    stream
        Its name.
    pulls
        Ids of the pulls that became whole.
    rows
        Rows that were written.
    tombstones
        Objects that the platform does not have any more.
    horizon
        Up to when the stream is whole; None while nothing is.
    """

    stream: str
    pulls: tuple[str, ...] = ()
    rows: int = 0
    tombstones: int = 0
    horizon: datetime | None = None


@dataclass(frozen=True)
class PullSummary:
    """What a pull of an account did.

    Attributes
    ----------
    platform, account
        As in the source's address.
    kind
        Why it was made.
    streams
        Per stream.
    requests
        Sent to the platform, tries included.
    warnings
        One sentence each; no person.
    """

    platform: str
    account: str
    kind: PullKind
    streams: tuple[StreamSummary, ...] = ()
    requests: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def horizon(self) -> datetime | None:
        """Up to when all streams are whole; None while one of them is not."""
        ends = [one.horizon for one in self.streams]
        whole = [one for one in ends if one is not None]
        return min(whole) if whole and len(whole) == len(ends) else None
