"""Publish a day atomically, and read what is published.

A day is staged beside its place, checked, flushed to disk and renamed in one step; then
``CURRENT.json`` is replaced. Readers trust only ``CURRENT.json``: whatever moment a process dies
at, it points to a whole day.

Layout under ``exports/``::

    CURRENT.json
    scores/as_of=2026-11-21/run=ID/{scores.parquet, segments.csv, ..., run.json}

``scores.parquet`` may be a folder of part files.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from connectors.formats import upgraded
from connectors.published import POINTER, PublishedFile
from features.renamed import old_file
from features.tables import DataError

REQUIRED_FILES = tuple(PublishedFile)


@dataclass(frozen=True)
class PublishedDay:
    """A whole published day.

    Attributes
    ----------
    as_of
        The day.
    run_id
        MLflow run that made it.
    folder
        Where its files are.
    """

    as_of: date
    run_id: str
    folder: Path

    def file(self, name: str) -> Path:
        """Return the path of one of the day's files, under its old name in a day of before."""
        path, renamed = self.folder / name, old_file(name)
        before = None if renamed is None else self.folder / renamed.old
        return path if before is None or path.exists() or not before.exists() else before

    def record(self) -> dict[str, Any]:
        """Return what ``run.json`` says, in today's format: inputs, counts, timings."""
        return upgraded(json.loads(self.file(PublishedFile.RECORD).read_text()))

    def published_at(self) -> datetime:
        """Return when the day was published, by its own record: files may be rewritten later."""
        try:
            return datetime.fromisoformat(self.record()["published_at"]).astimezone(UTC)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            path = self.file(PublishedFile.RECORD)
            raise DataError(
                f"a publication's record must be readable: {path} is not. Bring {self.folder} back from a backup, or "
                "move it away and run the day again"
            ) from error


class Store:
    """The published days under a folder.

    Parameters
    ----------
    exports
        The folder; made when something is published.
    """

    def __init__(self, exports: Path) -> None:
        self.exports = exports
        self.pointer = exports / POINTER

    def current(self) -> PublishedDay | None:
        """Return the day that readers see, if there is one."""
        if not self.pointer.exists():
            return None
        try:
            record = json.loads(self.pointer.read_text())
            day = PublishedDay(
                date.fromisoformat(record["as_of"]),
                record["run_id"],
                self.exports / record["path"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"CURRENT.json names a published day: {self.pointer} cannot be read. Remove it and run "
                "the newest day again: what is published is found and made current"
            ) from error
        if not day.file(PublishedFile.RECORD).is_file():
            raise DataError(
                f"CURRENT.json names a published day: {day.folder} is not whole. Bring it back, or remove "
                f"{self.pointer} and run the newest day again"
            )
        return day

    def days(self, as_of: date) -> list[PublishedDay]:
        """Return every whole publication of a day, oldest first."""
        folder = self._day_folder(as_of)
        runs = [path for path in folder.glob("run=*") if (path / PublishedFile.RECORD).exists()]
        days = [PublishedDay(as_of, path.name.removeprefix("run="), path) for path in runs]
        return sorted(days, key=lambda day: (day.published_at(), day.run_id))

    def published_days(self, since: date, until: date) -> list[PublishedDay]:
        """Return the newest publication of each day from one to another, both included, in order."""
        folders = self.exports.glob("scores/as_of=*")
        named = {date.fromisoformat(path.name.removeprefix("as_of=")) for path in folders}
        published = [self.days(day) for day in sorted(named) if since <= day <= until]
        return [of_day[-1] for of_day in published if of_day]

    def publish(
        self,
        as_of: date,
        run_id: str,
        write: Callable[[Path], None],
        *,
        is_current: bool = True,
        fence: Callable[[], None] | None = None,
    ) -> PublishedDay:
        """Publish a day, all of it or nothing.

        Parameters
        ----------
        as_of
            The day.
        run_id
            Name of this publication; none of the day's may have it.
        write
            Writes the day's files into the folder it is given.
        is_current
            Whether readers are pointed to it, unless they see a later one; else it is history only.
        fence
            Called last: raises where this run may not publish any more.

        Raises
        ------
        DataError
            A file of a day is missing, or the publication exists.
        """
        final = self._day_folder(as_of) / f"run={run_id}"
        stage = final.with_name(f".stage-{run_id}")
        self.exports.mkdir(parents=True, exist_ok=True)
        with FileLock(self.exports / ".publish.lock"):
            if final.exists():
                raise DataError(
                    f"a publication is written once: {final} exists. Use another run id"
                )
            _clear_stages(final.parent)
            stage.mkdir(parents=True)
            try:
                write(stage)
                _check_whole(stage)
                flush_tree(stage)
                if fence is not None:
                    fence()
                stage.rename(final)
            except BaseException:
                shutil.rmtree(stage, ignore_errors=True)  # on a full disk it would keep the space
                raise
            flush(final.parent)
            day = PublishedDay(as_of, run_id, final)
            if is_current:
                self._point_to(day)
        return day

    def make_current(self, day: PublishedDay) -> None:
        """Let readers see a day that is published, unless they see a later one."""
        with FileLock(self.exports / ".publish.lock"):
            self._point_to(day)

    def _point_to(self, day: PublishedDay) -> None:
        current = self.current()
        if current is not None and current.as_of > day.as_of:
            return
        record = {
            "as_of": day.as_of.isoformat(),
            "run_id": day.run_id,
            "path": day.folder.relative_to(self.exports).as_posix(),
        }
        text = json.dumps(record, indent=2) + "\n"
        replace_file(self.pointer, lambda draft: draft.write_text(text))

    def _day_folder(self, as_of: date) -> Path:
        return self.exports / "scores" / f"as_of={as_of.isoformat()}"


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file at once: whatever moment the process dies at, it is there as before or as after."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        write(draft)
        flush(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)  # on a full disk it would keep the space
        raise
    flush(path.parent)


def copy_file(source: Path, path: Path) -> None:
    """Replace a file by a copy of another, at once."""
    replace_file(path, lambda draft: shutil.copyfile(source, draft))


def _check_whole(folder: Path) -> None:
    missing = [name for name in REQUIRED_FILES if not (folder / name).exists()]
    if missing:
        raise DataError(f"a published day is whole: {', '.join(missing)} was not written")


def _clear_stages(folder: Path) -> None:
    """Remove what a killed process left; nobody else is writing while the lock is held."""
    for left in folder.glob(".stage-*"):
        shutil.rmtree(left)


def flush_tree(folder: Path) -> None:
    """Wait until everything in a folder is on disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        flush(path)
    flush(folder)


def flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
