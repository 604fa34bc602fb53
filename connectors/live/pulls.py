"""A pull while it is written."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.live.erased import ErasedKeys
from connectors.live.parts import (
    BATCH_ROWS,
    SCHEMA,
    BeforeWrite,
    payload_text,
    text_hash,
    utc,
    write_part,
    write_private,
)
from connectors.live.queries import Newest
from connectors.live.records import JsonObject, Manifest, Part, Progress, RawRow

MANIFEST, PROGRESS = "manifest.json", "progress.json"
PART_ROWS = 20_000
PART_BYTES = 32_000_000  # of payloads, before compression
Version = tuple[str, datetime | None, datetime | None, str | None]  # key, moments, payload's text


@dataclass(frozen=True)
class PullRules:
    """What the store of a stream gives its pulls.

    Attributes
    ----------
    erased
        Keys that may not come back.
    is_erased
        Tells whether a payload is of a person who asked to be forgotten.
    newest_of
        Looks up the newest whole versions of keys.
    complete
        Makes the manifest of a pull whose parts are all written, and writes it.
    before_write
        Called before each write.
    """

    erased: ErasedKeys
    is_erased: Callable[[JsonObject], bool]
    newest_of: Callable[[list[str]], dict[str, Newest]]
    complete: Callable[[Path, Progress, int | None], Manifest]
    before_write: BeforeWrite


class Pull:
    """A pull that is being written; it happens when :meth:`finish` returns, all of it.

    Use: ``add`` rows, ``checkpoint`` after each page with the cursor of the next, then ``finish``. After a kill,
    :meth:`connectors.live.raw.RawStore.begin` gives the same pull again, whose :attr:`cursor` is where to go on.

    Parameters
    ----------
    folder
        The pull's.
    progress
        How far it is.
    rules
        Of its stream.
    """

    def __init__(self, folder: Path, progress: Progress, rules: PullRules) -> None:
        self._folder, self._rules = folder, rules
        self._progress = progress
        self._parts = progress.parts
        self._position = progress.position
        self._buffer: list[tuple[Version, int]] = []
        self._filtered: dict[str, datetime | None] = {}
        self._size = 0
        drop_strays(folder, progress.parts, keep={PROGRESS})

    @property
    def id(self) -> str:
        """The pull's id; later pulls have greater ones."""
        return self._progress.pull

    @property
    def cursor(self) -> dict[str, Any] | None:
        """The last checkpoint's cursor that is on disk; None at the beginning."""
        return self._progress.cursor

    @property
    def is_resumed(self) -> bool:
        """Whether a checkpoint of it is on disk."""
        return self._progress.cursor is not None

    @property
    def rows(self) -> int:
        """Rows added so far, filtered ones included, earlier processes' too."""
        return self._position

    def add(self, rows: Iterable[RawRow]) -> None:
        """Add versions of objects; those that were erased are left out.

        Raises
        ------
        ValueError
            A row has no key, a moment without a time zone, or a payload that is no JSON.
        """
        for row in rows:
            if not row.key:
                raise ValueError("a raw row has a key")
            happened = utc(row.happened_at)
            if row.key not in self._rules.erased:
                if self._rules.is_erased(row.payload):
                    self._filtered[row.key] = happened
                else:
                    text = payload_text(row.payload)
                    self._append((row.key, utc(row.updated_at), happened, text))
            self._position += 1

    def delete(self, keys: Iterable[str]) -> int:
        """Add a tombstone for each key that has a version in a whole pull; return their number.

        A tombstone has the times of the version that it hides. A later pull that reads the object again, even
        unchanged, brings it back.
        """
        newest = self._rules.newest_of(sorted(set(keys)))
        for key in sorted(newest):
            self._append((key, newest[key].updated_at, newest[key].happened_at, None))
            self._position += 1
        return len(newest)

    def checkpoint(self, cursor: dict[str, Any], *, force: bool = False) -> bool:
        """Note that everything before a cursor is added; return whether the note is on disk.

        It is written with a part, when there are enough rows for one: after a kill, the rows since the last
        one on disk are read again.

        Parameters
        ----------
        cursor
            Where to ask next. JSON; no secrets.
        force
            Write it now, however few rows there are: for instance a bulk operation's id.
        """
        is_due = force or self._size >= PART_BYTES or len(self._buffer) >= PART_ROWS
        if is_due or self._parts != self._progress.parts:
            self._flush()
            self._save(cursor)
            return True
        return False

    def restart(self) -> None:
        """Drop everything added, for instance where the platform refuses the cursor."""
        start = self._progress.model_copy(update={"parts": (), "position": 0, "cursor": None})
        write_private(
            self._folder / PROGRESS, start.model_dump_json(indent=2), self._rules.before_write
        )
        self._progress, self._parts, self._position = start, (), 0
        self._filtered = {}
        self._clear_buffer()
        drop_strays(self._folder, (), keep={PROGRESS})

    def finish(self, platform_count: int | None = None) -> Manifest:
        """Make the pull happen: write what is left, then its manifest.

        Parameters
        ----------
        platform_count
            Objects in the window by the platform's own count, where it was asked.
        """
        self._flush()
        whole = self._progress.model_copy(
            update={"parts": self._parts, "position": self._position}
        )
        return self._rules.complete(self._folder, whole, platform_count)

    def _append(self, version: Version) -> None:
        self._buffer.append((version, self._position))
        self._size += len(version[3] or "")
        if self._size >= 2 * PART_BYTES or len(self._buffer) >= 2 * PART_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._filtered:
            self._rules.erased.add(self._filtered)
            self._filtered = {}
        if self._buffer:
            name = f"part-{len(self._parts):05d}.parquet"
            part = write_part(self._folder, name, self._batches(), self._rules.before_write)
            self._parts = (*self._parts, part)
            self._clear_buffer()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for start in range(0, len(self._buffer), BATCH_ROWS):
            yield _batch(self.id, self._buffer[start : start + BATCH_ROWS])

    def _save(self, cursor: dict[str, Any]) -> None:
        progress = self._progress.model_copy(
            update={"parts": self._parts, "position": self._position, "cursor": cursor}
        )
        write_private(
            self._folder / PROGRESS, progress.model_dump_json(indent=2), self._rules.before_write
        )
        self._progress = progress

    def _clear_buffer(self) -> None:
        self._buffer, self._size = [], 0


def drop_strays(folder: Path, parts: Iterable[Part], keep: set[str]) -> None:
    """Remove from a pull's folder what neither its record names nor `keep`."""
    named = {part.name for part in parts} | keep
    for path in folder.iterdir():
        if path.name not in named:
            path.unlink()


def _batch(pull: str, rows: list[tuple[Version, int]]) -> pa.RecordBatch:
    texts = [version[3] for version, _ in rows]
    columns = {
        "key": [version[0] for version, _ in rows],
        "updated_at": [version[1] for version, _ in rows],
        "happened_at": [version[2] for version, _ in rows],
        "pull": [pull] * len(rows),
        "position": [position for _, position in rows],
        "sha256": [None if text is None else text_hash(text) for text in texts],
        "payload": texts,
        "is_deleted": [text is None for text in texts],
    }
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)
