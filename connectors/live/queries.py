"""What DuckDB finds out about raw rows, under its memory limit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa

from connectors.live.parts import BATCH_ROWS, SCHEMA, write_rows
from connectors.live.records import Window
from connectors.store import replace_file

# of the thin columns, so that payloads are never sorted
NEWEST = """
    CREATE TEMP TABLE newest AS
    SELECT key, updated_at, happened_at, pull, position, is_deleted FROM (
        SELECT key, updated_at, happened_at, pull, position, is_deleted, row_number() OVER (
            PARTITION BY key ORDER BY updated_at DESC NULLS LAST, pull DESC, position DESC
        ) AS place
        FROM read_parquet($parts, hive_partitioning = false)
    ) WHERE place = 1
"""
FACTS = """
    SELECT count(*), count(DISTINCT key), count(*) FILTER (is_deleted),
        epoch_us(min(updated_at)), epoch_us(max(updated_at))
    FROM read_parquet($parts, hive_partitioning = false)
"""
# DuckDB's own COPY holds whole row groups of payloads in memory per thread: rows are streamed instead
LATEST = """
    SELECT raw.* EXCLUDE (is_deleted)
    FROM read_parquet($parts, hive_partitioning = false) AS raw
    SEMI JOIN (FROM newest WHERE NOT is_deleted) AS live
        ON raw.pull = live.pull AND raw.position = live.position
"""
NEWEST_ROWS = """
    SELECT raw.* FROM read_parquet($parts, hive_partitioning = false) AS raw
    SEMI JOIN newest ON raw.pull = newest.pull AND raw.position = newest.position
"""
NEWEST_OF = """
    SELECT key, epoch_us(updated_at), epoch_us(happened_at) FROM newest
    WHERE NOT is_deleted AND key IN (SELECT unnest($keys))
"""
KEYS = """
    SELECT key FROM newest
    WHERE NOT is_deleted AND happened_at >= $start AND happened_at < $end
"""
COUNTS = """
    SELECT date_trunc($span, happened_at)::DATE, count(*) FILTER (NOT is_deleted),
        count(*) FILTER (is_deleted)
    FROM newest WHERE happened_at IS NOT NULL GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Memory:
    """What DuckDB may use.

    Attributes
    ----------
    limit
        For instance ``"4GB"``; by default 80 % of the machine's.
    scratch
        Folder that it spills to; by default the stream's own.
    """

    limit: str | None = None
    scratch: Path | None = None


@dataclass(frozen=True)
class RowFacts:
    """What a manifest records of a pull's rows."""

    rows: int = 0
    keys: int = 0
    tombstones: int = 0
    min_updated_at: datetime | None = None
    max_updated_at: datetime | None = None


@dataclass(frozen=True)
class Newest:
    """The newest version of an object, without its payload."""

    updated_at: datetime | None
    happened_at: datetime | None


@dataclass(frozen=True)
class StoredCount:
    """Objects of a span, by their newest version.

    Attributes
    ----------
    live
        Those that the platform has.
    deleted
        Those with a tombstone.
    """

    live: int = 0
    deleted: int = 0


class RawQueries:
    """Queries over part files.

    Parameters
    ----------
    memory
        What DuckDB may use.
    folder
        The stream's; it spills below it where nothing else is set.
    """

    def __init__(self, memory: Memory, folder: Path) -> None:
        self._memory, self._folder = memory, folder

    def facts(self, parts: Sequence[Path]) -> RowFacts:
        """Return what a manifest records."""
        if not parts:
            return RowFacts()
        with self._open() as connection:
            (row,) = connection.execute(FACTS, _named(parts)).fetchall()
        rows, keys, tombstones, first, last = row
        return RowFacts(rows, keys, tombstones, _moment(first), _moment(last))

    def write_latest(self, parts: Sequence[Path], path: Path) -> int:
        """Write the newest version of every object that is not deleted; return their number."""
        schema = pa.schema([field for field in SCHEMA if field.name != "is_deleted"])
        rows = 0

        def write(draft: Path) -> None:
            nonlocal rows
            with self._stream(LATEST, parts) as batches:
                rows = write_rows(draft, schema, (batch.cast(schema) for batch in batches))

        replace_file(path, write)
        return rows

    @contextmanager
    def newest_rows(self, parts: Sequence[Path]) -> Iterator[Iterator[pa.RecordBatch]]:
        """Open the newest version of every object, tombstones included, in batches."""
        with self._stream(NEWEST_ROWS, parts) as batches:
            yield (batch.cast(SCHEMA) for batch in batches)

    def newest_of(self, parts: Sequence[Path], keys: Sequence[str]) -> dict[str, Newest]:
        """Return the newest versions of some objects, those that are deleted left out."""
        if not parts or not keys:
            return {}
        with self._newest(parts) as connection:
            rows = connection.execute(NEWEST_OF, {"keys": list(keys)}).fetchall()
        return {
            key: Newest(_moment(updated), _moment(happened)) for key, updated, happened in rows
        }

    def keys(self, parts: Sequence[Path], window: Window) -> set[str]:
        """Return the keys of a window's objects, those that are deleted left out."""
        if not parts:
            return set()
        ends = {"start": window.start, "end": window.end}
        with self._newest(parts) as connection:
            rows = connection.execute(KEYS, ends).fetchall()
        return {key for (key,) in rows}

    def counts(
        self, parts: Sequence[Path], span: Literal["day", "month"]
    ) -> dict[date, StoredCount]:
        """Return how many objects each UTC day or month has, by the first day of the span."""
        if not parts:
            return {}
        with self._newest(parts) as connection:
            rows = connection.execute(COUNTS, {"span": span}).fetchall()
        return {day: StoredCount(live, deleted) for day, live, deleted in rows}

    @contextmanager
    def _stream(self, query: str, parts: Sequence[Path]) -> Iterator[Iterator[pa.RecordBatch]]:
        if not parts:
            yield iter(())
            return
        with self._newest(parts) as connection:
            yield iter(connection.execute(query, _named(parts)).to_arrow_reader(BATCH_ROWS))

    @contextmanager
    def _newest(self, parts: Sequence[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a connection that has the table of the newest versions, without payloads."""
        with self._open() as connection:
            connection.execute(NEWEST, _named(parts))
            yield connection

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        scratch = self._memory.scratch or self._folder / ".spill"
        config: dict[str, str | bool | int | float | list[str]] = {"temp_directory": str(scratch)}
        if self._memory.limit is not None:
            config["memory_limit"] = self._memory.limit
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection


def _named(parts: Sequence[Path]) -> dict[str, list[str]]:
    return {"parts": [str(part) for part in parts]}


def _moment(microseconds: int | None) -> datetime | None:
    if microseconds is None:
        return None
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
