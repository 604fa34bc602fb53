"""What every record of a published day has in common: it is read from JSON and written as JSON."""

from typing import Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, JsonValue


class Record(BaseModel):
    """A part of a day's record, frozen.

    Days stay readable when a later version leaves a field out: what is not declared is ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @classmethod
    def rows_of(cls, table: pd.DataFrame) -> tuple[Self, ...]:
        """Return a table's rows."""
        return tuple(cls.model_validate(row) for row in table.to_dict("records"))

    def to_json(self) -> dict[str, JsonValue]:
        """Return it as JSON values, in the order of the fields."""
        values: dict[str, JsonValue] = self.model_dump(mode="json", by_alias=True)
        return values
