"""What a sync planned and what it did, as ``klaviyo/plan.json`` and ``outcome.json`` have it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
)

from connectors.klaviyo.lists import ListCounts
from connectors.klaviyo.segments import SegmentCounts


@dataclass(frozen=True)
class SyncCounts:
    """How many customers a plan counts, by what happens to them.

    Attributes
    ----------
    to_send
        Profiles that are sent.
    created
        Profiles that are made in Klaviyo.
    customers_before
        Customers of the last sync.
    customers
        Customers of the published day.
    compared
        Customers with a confirmed row who may be told, without the held-out.
    unchanged, new, changed, refreshed
        Customers by what differs from the confirmed row.
    moved
        Customers whose segment changes.
    held_out
        Customers in the control group.
    erased
        Customers on the erasure list.
    no_key, unreadable_key, shared_key, unknown_profile
        Customers who cannot be told, by cause.
    """

    to_send: int = 0
    created: int = 0
    customers_before: int = 0
    customers: int = 0
    compared: int = 0
    unchanged: int = 0
    new: int = 0
    changed: int = 0
    refreshed: int = 0
    moved: int = 0
    held_out: int = 0
    erased: int = 0
    no_key: int = 0
    unreadable_key: int = 0
    shared_key: int = 0
    unknown_profile: int = 0


@dataclass(frozen=True)
class Delivery:
    """What became of the rows of a sync.

    Attributes
    ----------
    sent, confirmed, rejected
        Profiles.
    events_unverified
        Events that Klaviyo accepted; it reports no result of them.
    """

    sent: int = 0
    confirmed: int = 0
    rejected: int = 0
    events_unverified: int = 0


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return self.model_dump(mode="json")


class KeyCheck(_Record):
    """What was checked of the key.

    Attributes
    ----------
    scopes_checked
        False where the settings allow any key; then there is nothing else.
    denied, unclear
        Scopes that Klaviyo refused a read for, and those that its answers leave open.
    not_visible
        Scopes that no read shows.
    """

    scopes_checked: bool
    denied: tuple[str, ...] | None = None
    unclear: tuple[str, ...] | None = None
    not_visible: str | None = None

    @model_serializer(mode="wrap")
    def _without_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class SyncPlan(_Record):
    """What a sync would send.

    Attributes
    ----------
    as_of, run_id
        The published day.
    looked_up
        Whether Klaviyo was asked whom it knows.
    counts
        Customers by what happens to them.
    jobs, least_jobs
        Import jobs, and the fewest that could hold the rows.
    megabytes
        Size of all rows.
    refused
        Why a guard refuses the plan; None = it does not.
    files
        Where the plan is, by what is in the file.
    """

    status: Literal["planned"] = "planned"
    as_of: date
    run_id: str
    looked_up: bool
    counts: SyncCounts
    jobs: int
    least_jobs: int
    megabytes: float
    refused: str | None = None
    files: Mapping[str, Path]


CountsOrNone = Annotated[  # {} = None, in JSON
    SyncCounts | None,
    BeforeValidator(lambda counts: counts or None),
    PlainSerializer(lambda counts: {} if counts is None else asdict(counts)),
]


class SyncOutcome(_Record):
    """What a sync did.

    Attributes
    ----------
    as_of, run_id
        The published day.
    resumed
        Whether an earlier sync of the day was finished, and nothing was planned.
    counts
        Customers as the plan counts them; None = the sync was resumed.
    sent, confirmed, rejected, events_unverified
        See :class:`Delivery`.
    segments
        Names of segments, by what was done to them.
    lists
        What was done to each list.
    key
        What was checked of the key.
    requests
        Number of requests to each endpoint.
    files
        Where the rejects are.
    """

    status: Literal["synced"] = "synced"
    as_of: date
    run_id: str
    resumed: bool
    counts: CountsOrNone = None
    sent: int
    confirmed: int
    rejected: int
    events_unverified: int = 0
    segments: SegmentCounts
    lists: Mapping[str, ListCounts]
    key: KeyCheck
    requests: Mapping[str, int]
    files: Mapping[str, Path]


class SyncRefusal(_Record):
    """Why no sync was planned."""

    status: Literal["refused"] = "refused"
    refused: str


Sync = SyncPlan | SyncOutcome | SyncRefusal
_SYNC: TypeAdapter[Sync] = TypeAdapter(Annotated[Sync, Field(discriminator="status")])


def read_sync(record: Mapping[str, Any]) -> Sync:
    """Read what ``to_dict`` returned, with whatever else stands beside it."""
    return _SYNC.validate_python(record)
