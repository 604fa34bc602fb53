"""Who was drawn into which arm, and what was committed to whom: what a later run must not do again.

Draws are kept in ``state/assignments.parquet``, for ever. Commitments are a file of each published
day, so that a day and what it spends are published together or not at all.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.kept import CHECKSUMS, read_parquet
from connectors.published import PublishedFile
from connectors.store import Store, replace_file
from features.tables import Assignments, Commitments, Table

COMMITMENTS = PublishedFile.COMMITMENTS


class Programs:
    """The draws and the commitments of a store.

    Parameters
    ----------
    state
        Folder of what outlives a day.
    store
        The published days.
    """

    def __init__(self, state: Path, store: Store) -> None:
        self.path = state / "assignments.parquet"
        self.store = store

    def assignments(self) -> pd.DataFrame:
        """Return every draw so far, :class:`features.tables.Assignments`."""
        return read_parquet(self.path) if self.path.exists() else empty(Assignments)

    def add_assignments(self, new: pd.DataFrame) -> None:
        """Keep new draws beside those there are."""
        if new.empty:
            return
        assignments = self.assignments()
        whole = new if assignments.empty else pd.concat([assignments, new], ignore_index=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, lambda draft: write_table(whole, Assignments, draft))

    def commitments(self, since: date, until: date, *, but: date | None = None) -> pd.DataFrame:
        """Return what was committed from one day to another, both included, but for one day's.

        Of a day that was published again, the newest publication counts.
        """
        days = self.store.published_days(since, until)
        files = [day.file(COMMITMENTS) for day in days if day.as_of != but]
        frames = [read_parquet(path) for path in files if path.exists()]
        frames = [frame for frame in frames if len(frame)]
        return pd.concat(frames, ignore_index=True) if frames else empty(Commitments)


def since(as_of: date, days: int) -> date:
    """Return the first of the `days` days that end on a day."""
    return as_of - timedelta(days=days - 1)


ARROW_TYPES = {
    "string": pa.string(),
    "date": pa.date32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "boolean": pa.bool_(),
}


def arrow_schema(table: type[Table]) -> pa.Schema:
    """Return a table's columns as Parquet keeps them."""
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in table.schema().items()])


def write_table(frame: pd.DataFrame, table: type[Table], path: Path) -> None:
    """Write a table as Parquet, in exactly its columns and types."""
    schema = arrow_schema(table)
    rows = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    pq.write_table(rows, path, **CHECKSUMS)


def write_batches(batches: Iterable[pa.Table], table: type[Table], path: Path) -> None:
    """Write batches of a table, one after the other, as one Parquet file."""
    schema = arrow_schema(table)
    # Amounts and ids seldom repeat: to look whether they do takes longer than to write them.
    repeats = [f.name for f in schema if f.type != pa.float64() and f.name != "customer_id"]
    with pq.ParquetWriter(path, schema, use_dictionary=repeats, **CHECKSUMS) as writer:
        for batch in batches:
            writer.write_table(batch)


def write_parts(
    batches: Iterable[pa.Table], table: type[Table], folder: Path, part_rows: int
) -> None:
    """Write batches of a table as a folder of Parquet files, named in the order of their rows.

    A file has whole batches, of together `part_rows` rows or more; the last one has the rest.
    """
    folder.mkdir()
    number, waiting = 0, list[pa.Table]()
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= part_rows:
            write_batches(waiting, table, folder / f"part-{number:05}.parquet")
            number, waiting = number + 1, []
    if waiting or number == 0:
        write_batches(waiting, table, folder / f"part-{number:05}.parquet")


def empty(table: type[Table]) -> pd.DataFrame:
    """Return a table without rows."""
    frame: pd.DataFrame = arrow_schema(table).empty_table().to_pandas()
    return frame
