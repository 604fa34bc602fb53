"""Parquet files of raw rows."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.live.records import JsonObject, Part
from connectors.store import replace_file
from features.tables import DataError

MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),  # the platform's id
        pa.field("updated_at", MOMENT),
        pa.field("happened_at", MOMENT),
        pa.field("pull", pa.string(), nullable=False),  # the pull that read this version
        pa.field("position", pa.int64(), nullable=False),  # in that pull, from 0
        pa.field("sha256", pa.string()),  # of the payload's text
        pa.field("payload", pa.string()),  # JSON text; null in a tombstone
        pa.field("is_deleted", pa.bool_(), nullable=False),  # a tombstone
    ]
)
BATCH_ROWS = 1_000  # in memory at once while rows are copied
GROUP_ROWS, GROUP_BYTES = 20_000, 16_000_000  # of a row group: what a reader has in memory at once
BeforeWrite = Callable[[str], None]  # gets the step's name; raises where nothing may be written


def payload_text(payload: JsonObject) -> str:
    """Return a payload's one JSON text: keys sorted, no spaces, so that equal payloads have equal hashes."""
    text = json.dumps(
        payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text


def text_hash(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_part(
    folder: Path, name: str, batches: Iterable[pa.RecordBatch], before_write: BeforeWrite
) -> Part:
    """Write a part, whole or not at all, for its owner's eyes only."""
    path, rows = folder / name, 0

    def write(draft: Path) -> None:
        nonlocal rows
        rows = write_rows(draft, SCHEMA, batches)
        before_write(f"{name} drafted")

    before_write(name)
    replace_file(path, write)
    before_write(f"{name} written")
    return Part(name=name, rows=rows, size_bytes=path.stat().st_size, sha256=file_hash(path))


def write_rows(draft: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write rows as Parquet for their owner's eyes only, in row groups that are small; return their number."""
    rows, group = 0, list[pa.RecordBatch]()
    draft.touch(mode=0o600)
    with pq.ParquetWriter(draft, schema, compression="zstd") as file:
        for batch in batches:
            group.append(batch)
            rows += batch.num_rows
            if sum(one.nbytes for one in group) >= GROUP_BYTES or _rows_of(group) >= GROUP_ROWS:
                file.write_table(pa.Table.from_batches(group, schema))
                group = []
        if group:
            file.write_table(pa.Table.from_batches(group, schema))
    return rows


def write_private(path: Path, text: str, before_write: BeforeWrite) -> None:
    """Replace a text file at once, for its owner's eyes only."""

    def write(draft: Path) -> None:
        draft.touch(mode=0o600)
        draft.write_text(text)
        before_write(f"{path.name} drafted")

    before_write(path.name)
    replace_file(path, write)
    before_write(f"{path.name} written")


def checked(folder: Path, part: Part) -> Path:
    """Return a part's path, after comparing it with its manifest.

    Raises
    ------
    DataError
        It is missing, or differs.
    """
    path = folder / part.name
    advice = (
        f"Bring {folder} back from a backup, or delete that folder and pull again: its window is read again. "
        "A part never changes after its pull"
    )
    if not path.is_file():
        raise DataError(f"{path} is missing, and its manifest names it. {advice}")
    if path.stat().st_size != part.size_bytes or file_hash(path) != part.sha256:
        raise DataError(
            f"{path} is not the file that its manifest names (SHA-256 differs). {advice}"
        )
    return path


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield a part's rows, as many at once as fit into memory anywhere."""
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=BATCH_ROWS)


def utc(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC.

    Raises
    ------
    ValueError
        It has no time zone.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a raw row's moments have a time zone")
    return moment.astimezone(UTC)


def _rows_of(batches: Iterable[pa.RecordBatch]) -> int:
    return sum(batch.num_rows for batch in batches)
