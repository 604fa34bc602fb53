"""The status of a store, as ``perennial status --json`` prints it."""

from datetime import date, datetime
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from connectors.lease import Holder
from models.checks import Check
from perennial.pipeline.publishing.refusal import Refusal


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class CurrentDay(_Record):
    """The day that readers see.

    Attributes
    ----------
    as_of
        The day.
    published_at
        ISO 8601.
    hours
        Since it was published.
    days_behind
        Days from it to the last that is over.
    customers
        Number of customers.
    checks
        The checks of the day.
    """

    as_of: date
    published_at: str
    hours: float
    days_behind: int
    customers: int
    checks: tuple[Check, ...]


class ModelStatus(_Record):
    """The model that scored the current day.

    Attributes
    ----------
    version
        Of the registered model.
    trained_as_of
        Last day of its orders; None = MLflow does not have the version.
    age_days
        Days from there to the current day.
    gate
        Verdict of the gate; None = there is none.
    champion
        Version that is the champion now.
    """

    version: str
    trained_as_of: date | None = None
    age_days: int | None = None
    gate: str | None = None
    champion: str | None = None

    @model_serializer(mode="wrap")
    def _without_champion(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave the champion out where nothing is registered of the version."""
        fields: dict[str, object] = handler(self)
        if self.trained_as_of is None:
            fields.pop("champion")
        return fields


class SourceStatus(_Record):
    """How fresh the source of the orders is; what does not apply to its kind is None.

    Attributes
    ----------
    kind
        What it is.
    newest_order
        Day of the last order that the current day counts.
    problem
        Why the orders may be old, and what to do; None = nothing is wrong.
    account, pulled_at, complete_until, pull_kind, warnings
        Of a live source: its address, and when, until when and why it was last pulled, and what was noticed.
    failed_at, error, is_out_of_reach
        Of a live source: when and how the last pull failed, and whether the platform was only out of reach; no error =
        it did not fail.
    file, modified_at
        Of files: the newest one's name, and when it was written.
    """

    kind: Literal["live", "files", "database"]
    newest_order: date | None = None
    problem: str | None = None
    account: str | None = None
    pulled_at: datetime | None = None
    complete_until: datetime | None = None
    pull_kind: str | None = None
    warnings: tuple[str, ...] = ()
    failed_at: datetime | None = None
    error: str | None = None
    is_out_of_reach: bool = False
    file: str | None = None
    modified_at: datetime | None = None


class Status(_Record):
    """The status of a store.

    Attributes
    ----------
    current
        The day that readers see; None = nothing is published.
    refused
        Days that are refused and not published, the newest first.
    missing
        Days that should be published and are not.
    at_work
        Who holds the store's lease.
    is_stale
        Whether the current day is older than was asked.
    model
        The model of the current day.
    source
        How fresh the orders' source is; None in a status of an earlier version.
    """

    current: CurrentDay | None
    refused: tuple[Refusal, ...]
    missing: tuple[date, ...]
    at_work: Holder | None
    is_stale: bool
    model: ModelStatus | None = None
    source: SourceStatus | None = None

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the record as JSON values."""
        return self.model_dump(mode="json", exclude={"model"} if self.model is None else None)
