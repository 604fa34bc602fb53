"""What Klaviyo has confirmed of each customer: state that only grows by what Klaviyo said."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from connectors.kept import CHECKSUMS, read_arrow
from connectors.klaviyo.errors import readable
from connectors.mentions import matches
from connectors.store import replace_file

SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("row_hash", pa.int64()),
        ("segment", pa.string()),
        ("scored_date", pa.date32()),
        ("profile_id", pa.string()),
    ]
)


LOST = "Bring it back from a backup, or remove it and sync again: everybody is sent again then"
IN_DOUBT = 0  # a row hash that no row has: what Klaviyo says of the customer is not known


class SyncedProfiles:
    """The confirmed rows of an account.

    Parameters
    ----------
    path
        Parquet file: ``customer_id``, ``row_hash``, ``segment``, ``scored_date`` and Klaviyo's
        ``profile_id`` where it was looked up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> pd.DataFrame:
        """Return the confirmed rows, one per customer."""
        if not self.path.exists():
            return no_rows()
        with readable(self.path, LOST):
            table = read_arrow(self.path, schema=SCHEMA)
        frame: pd.DataFrame = table.to_pandas(date_as_object=False)
        return frame

    def add(self, rows: pd.DataFrame) -> None:
        """Replace the customers' rows by newer ones, all at once or not at all."""
        if len(rows):
            self._write(newest(self.read(), rows))

    def forget(self, customers: set[str]) -> int:
        """Remove customers; return how many there were."""
        if not self.path.exists():
            return 0
        profiles = self.read()
        gone = matches(profiles["customer_id"], customers)
        if gone.any():
            self._write(profiles[~gone])
        return int(gone.sum())

    def _write(self, rows: pd.DataFrame) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pandas(rows[SCHEMA.names], schema=SCHEMA, preserve_index=False)
        replace_file(self.path, lambda draft: pq.write_table(table, draft, **CHECKSUMS))


def no_rows() -> pd.DataFrame:
    """Return confirmed rows without a row."""
    frame: pd.DataFrame = SCHEMA.empty_table().to_pandas(date_as_object=False)
    return frame


def newest(profiles: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return known rows with those that newer ones replace."""
    rows = rows[SCHEMA.names].assign(scored_date=pd.to_datetime(rows["scored_date"]))
    if profiles.empty:
        return rows
    kept = profiles[~profiles["customer_id"].isin(rows["customer_id"])]
    return pd.concat([kept, rows], ignore_index=True)


def age_days(scored: pd.Series, as_of: date) -> NDArray[np.int64]:
    """Return for how many days what was confirmed has been known."""
    days = scored.to_numpy(dtype="datetime64[D]")
    return np.asarray((np.datetime64(as_of) - days).astype(np.int64))
