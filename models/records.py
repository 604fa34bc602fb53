"""Records that are kept as JSON: typed, frozen, and written as they are read."""

from typing import TYPE_CHECKING, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
)

if TYPE_CHECKING:
    import pandas as pd


class Record(BaseModel):
    """Values that are kept as JSON.

    Keys that another version wrote are ignored; numbers are finite, since JSON has no others.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
    )

    @classmethod
    def rows_of(cls, table: "pd.DataFrame") -> tuple[Self, ...]:
        """Return a table's rows."""
        return tuple(cls.model_validate(row) for row in table.to_dict("records"))

    def to_json(self) -> dict[str, JsonValue]:
        """Return the JSON values, in the order of the fields."""
        return self.model_dump(mode="json")


class SparseRecord(Record):
    """A record in which a value that is None has no key."""

    @model_serializer(mode="wrap")
    def _leave_out_none(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in serialize(self).items() if value is not None}
