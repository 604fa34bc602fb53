"""The status of a store, as ``perennial status --json`` prints it."""

from datetime import date

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
    """

    current: CurrentDay | None
    refused: tuple[Refusal, ...]
    missing: tuple[date, ...]
    at_work: Holder | None
    is_stale: bool
    model: ModelStatus | None = None

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the record as JSON values."""
        return self.model_dump(mode="json", exclude={"model"} if self.model is None else None)
