"""Fields of the newest versions of a stream's objects, without their payloads."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from connectors.live.parts import checked
from connectors.live.queries import Memory
from connectors.live.raw import RawStore
from connectors.live.records import JsonObject

FIELDS = """
    SELECT key, epoch_us(happened_at), sha256, is_deleted, fields FROM (
        SELECT key, happened_at, sha256, is_deleted, fields, row_number() OVER (
            PARTITION BY key ORDER BY updated_at DESC NULLS LAST, pull DESC, position DESC
        ) AS place
        FROM (
            SELECT key, updated_at, happened_at, sha256, is_deleted, pull, position,
                [{fields}] AS fields
            FROM read_parquet($parts, hive_partitioning = false)
            WHERE $since IS NULL OR updated_at IS NULL OR updated_at >= $since
        )
    ) WHERE place = 1
"""
FIELD = "CAST(json_extract(payload, $path_{number}) AS VARCHAR)"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROWS = 10_000  # fetched at once


@dataclass(frozen=True)
class NewestField:
    """An object's newest version, as far as it is looked at.

    Attributes
    ----------
    key
        The object's.
    fields
        JSON values of the fields that were asked for; None where there is none, and of a tombstone.
    sha256
        Of the payload's text; None of a tombstone.
    is_deleted
        Whether the platform has the object no more.
    happened_at
        As in the raw row.
    """

    key: str
    fields: tuple[Any, ...]
    sha256: str | None
    is_deleted: bool
    happened_at: datetime | None


class NewestFields:
    """Reads fields of newest versions, tombstones included.

    Parameters
    ----------
    memory
        What DuckDB may use.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory or Memory()

    def read(
        self, store: RawStore, *paths: str, since: datetime | None = None
    ) -> Iterator[NewestField]:
        """Yield fields of each object.

        Parameters
        ----------
        store
            The stream's.
        paths
            Of the fields, as DuckDB's ``json_extract`` has them: ``$.id``, or ``$.refunds[*].id`` for a list.
        since
            Only objects that changed then or later, or do not show when; None = all.
        """
        parts = [
            str(checked(store.folder / f"pull={one.pull}", part))
            for one in store.manifests()
            for part in one.parts
        ]
        if not parts:
            return
        fields = ", ".join(FIELD.format(number=number) for number in range(len(paths)))
        query = FIELDS.format(fields=fields or "CAST(NULL AS VARCHAR)")
        values: dict[str, Any] = {f"path_{number}": path for number, path in enumerate(paths)}
        moment = None if since is None else since.astimezone(UTC)
        with self._open(store.folder) as connection:
            cursor = connection.execute(query, values | {"parts": parts, "since": moment})
            while rows := cursor.fetchmany(ROWS):
                for key, happened, sha256, is_deleted, texts in rows:
                    values_of = tuple(None if text is None else json.loads(text) for text in texts)
                    at = None if happened is None else EPOCH + timedelta(microseconds=happened)
                    yield NewestField(key, values_of, sha256, is_deleted, at)

    @contextmanager
    def _open(self, folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        config: dict[str, str | bool | int | float | list[str]] = {
            "temp_directory": str(self._memory.scratch or folder / ".spill")
        }
        if self._memory.limit is not None:
            config["memory_limit"] = self._memory.limit
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection


def read_payloads(path: Path) -> Iterator[JsonObject]:
    """Yield the payloads of a file that :meth:`connectors.live.raw.RawStore.latest` wrote."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1_000, columns=["payload"]):
            for text in batch["payload"].to_pylist():
                yield json.loads(text)
