"""The append-only raw store: every pull's rows as the platform sent them, and the newest version of each.

Layout under ``state/live/PLATFORM/ACCOUNT/``::

    lease.json
    STREAM/erased.json
    STREAM/pull=20261129T030000Z-000017/{part-00000.parquet, ..., manifest.json}

A pull without a manifest did not happen; ``progress.json`` in it lets it resume. Nothing is changed in place:
compaction writes a pull that replaces the others, and erasure writes parts and then the manifest that names them.
Everything is readable by its owner only.
"""

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote, unquote

import pyarrow as pa

from connectors.lease import Holder, Lease, LeaseLostError
from connectors.live.erased import ErasedKeys
from connectors.live.parts import (
    BeforeWrite,
    checked,
    read_batches,
    write_part,
    write_private,
)
from connectors.live.pulls import MANIFEST, PROGRESS, Pull, PullRules, drop_strays
from connectors.live.queries import Memory, Newest, RawQueries, StoredCount
from connectors.live.records import (
    FORMAT,
    JsonObject,
    Manifest,
    Part,
    PlannedPull,
    Progress,
    PullHistory,
    PullKind,
    Record,
    Window,
)
from connectors.live.windows import cover, horizon
from connectors.store import flush
from features.tables import DataError

R = TypeVar("R", bound=Record)
DROPPED = ".dropped-"  # a folder that is being removed
COMPACTED_BATCHES = 200  # in a part of a compaction


def nobody(payload: JsonObject) -> bool:  # noqa: ARG001
    """Tell that a payload is of nobody who asked to be forgotten."""
    return False


def always(step: str) -> None:
    """Allow every write."""


class RawStore:
    """The pulls of one stream of an account.

    Reading needs nothing; whoever writes holds the account's lease.

    Parameters
    ----------
    folder
        The stream's.
    now
        Tells the time, with its zone.
    memory
        What DuckDB may use.
    is_erased
        Tells whether a payload is of a person who asked to be forgotten: such rows are never written.
    before_write
        Called with the step's name before and after each write; raises where nothing may be written any more.
    """

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], datetime],
        memory: Memory | None = None,
        is_erased: Callable[[JsonObject], bool] = nobody,
        before_write: BeforeWrite = always,
    ) -> None:
        self.folder = folder
        self._now = now
        self._queries = RawQueries(memory or Memory(), folder)
        self._is_erased = is_erased
        self._before_write = before_write

    def manifests(self) -> list[Manifest]:
        """Return the whole pulls, oldest first, those that a compaction replaced left out.

        Raises
        ------
        DataError
            A manifest cannot be read, or a newer Perennial wrote it.
        """
        paths = sorted(self.folder.glob(f"pull=*/{MANIFEST}"))
        whole = [_read(path, Manifest) for path in paths]
        replaced = {name for one in whole for name in one.replaces}
        return [one for one in whole if one.pull not in replaced]

    def history(self) -> PullHistory:
        """Return the stream's pulls, for :func:`connectors.live.windows.plan_pulls`."""
        progress = self._unfinished()
        planned = None if progress is None else progress.planned
        return PullHistory(tuple(self.manifests()), planned)

    def horizon(self) -> datetime | None:
        """Return up to when the stream is whole; None while nothing is."""
        return horizon(self.manifests())

    def begin(self, planned: PlannedPull, api_version: str) -> Pull:
        """Begin a pull, or resume it where the unfinished one has the same plan and version.

        Any other unfinished pull is dropped: a stream has one at most.
        """
        self._tidy()
        progress = self._unfinished()
        if progress is not None and (progress.planned, progress.api_version) == (
            planned,
            api_version,
        ):
            return self._pull(progress)
        self.drop_unfinished()
        progress = Progress(
            pull=self._next_id(),
            planned=planned,
            api_version=api_version,
            started_at=self._now().astimezone(UTC),
        )
        folder = self._make_folder(progress.pull)
        write_private(folder / PROGRESS, progress.model_dump_json(indent=2), self._before_write)
        return self._pull(progress)

    def drop_unfinished(self) -> None:
        """Remove the unfinished pull, if there is one."""
        for folder in self._folders():
            if not (folder / MANIFEST).exists():
                self._drop(folder)

    def latest(self, path: Path) -> int:
        """Write the newest version of every object that is not deleted, as Parquet; return their number.

        The newest version has the latest `updated_at`, then the latest pull, then the latest position in it.
        Columns: as :data:`connectors.live.parts.SCHEMA` without `is_deleted`.

        Raises
        ------
        DataError
            A part differs from its manifest.
        """
        return self._queries.write_latest(self._parts(), path)

    def counts(self, span: Literal["day", "month"]) -> dict[date, StoredCount]:
        """Return how many objects happened in each UTC day or month, by the first day of the span."""
        return self._queries.counts(self._parts(), span)

    def keys(self, window: Window) -> set[str]:
        """Return the keys of the objects that happened in a window, those that are deleted left out."""
        return self._queries.keys(self._parts(), window)

    def erased(self) -> ErasedKeys:
        """Return the erased objects: the platform may still count them."""
        return ErasedKeys(self.folder, self._before_write)

    def compact(self) -> Manifest | None:
        """Write one pull in place of all whole ones: newest versions and tombstones; None where there is one.

        A kill at any moment leaves the old pulls or the new one.
        """
        self._tidy()
        old = self.manifests()
        if len(old) < 2:
            return None
        windows, plans = [one.window for one in old], [one.plan for one in old if one.plan]
        progress = Progress(
            pull=self._next_id(),
            planned=PlannedPull(
                _hull(windows), PullKind.COMPACTION, _hull(plans) if plans else None
            ),
            api_version=old[-1].api_version,
            started_at=self._now().astimezone(UTC),
        )
        folder = self._make_folder(progress.pull)
        with self._queries.newest_rows(self._parts()) as batches:
            parts = tuple(self._write_parts(folder, batches))
        manifest = self._complete(
            folder,
            progress.model_copy(update={"parts": parts}),
            replaces=tuple(one.pull for one in old),
            covered=tuple(cover(old)),
        )
        self._tidy()
        return manifest

    def forget(self, matches: Callable[[JsonObject], bool] | Collection[str]) -> int:
        """Erase objects, all versions of each, and keep them out of later pulls; return their number.

        Parts with an erased object are written again without it, then the manifest that names them. The
        unfinished pull is dropped. After a kill, call it again.

        Parameters
        ----------
        matches
            Tells whether a payload is to be erased: an object is, if any version of it is. Or keys of objects.
        """
        self._tidy()
        self.drop_unfinished()
        erased = self.erased()
        keys = self._matched(matches)
        erased.add(keys)
        for manifest in self.manifests():
            self._rewrite(manifest, erased)
        self._tidy()
        return len(keys)

    def _matched(
        self, matches: Callable[[JsonObject], bool] | Collection[str]
    ) -> dict[str, datetime | None]:
        """Return the keys to erase, with the times of their objects."""
        moments: dict[str, datetime | None] = {}
        if not callable(matches):
            moments = dict.fromkeys(matches)
        for key, happened, payload in self._versions():
            is_match = key in moments
            if callable(matches) and not is_match:
                is_match = payload is not None and matches(json.loads(payload))
            if is_match:
                moments[key] = moments.get(key) or happened
        return moments

    def _versions(self) -> Iterator[tuple[str, datetime | None, str | None]]:
        for path in self._parts():
            for batch in read_batches(path):
                columns = (batch[name].to_pylist() for name in ("key", "happened_at", "payload"))
                yield from zip(*columns, strict=True)

    def _rewrite(self, manifest: Manifest, erased: ErasedKeys) -> None:
        """Write a pull's parts again without what is erased, where they have any of it."""
        folder = self._folder_of(manifest.pull)
        parts = tuple(self._without(folder, part, erased) for part in manifest.parts)
        if parts == manifest.parts:
            return
        facts = self._queries.facts([checked(folder, part) for part in parts])
        changed = manifest.model_copy(update={"parts": parts, **vars(facts)})
        write_private(folder / MANIFEST, changed.model_dump_json(indent=2), self._before_write)

    def _without(self, folder: Path, part: Part, erased: ErasedKeys) -> Part:
        path = checked(folder, part)
        if not any(_has_erased(batch, erased) for batch in read_batches(path)):
            return part
        start = part.name.partition(".")[0]
        names = (f"{start}.{number}.parquet" for number in range(1, 1_000_000))
        name = next(one for one in names if one != part.name and not (folder / one).exists())
        batches = (_kept(batch, erased) for batch in read_batches(path))
        return write_part(folder, name, batches, self._before_write)

    def _write_parts(self, folder: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[Part]:
        for number, first in enumerate(batches):
            whole = chain([first], islice(batches, COMPACTED_BATCHES - 1))
            yield write_part(folder, f"part-{number:05d}.parquet", whole, self._before_write)

    def _pull(self, progress: Progress) -> Pull:
        rules = PullRules(
            erased=self.erased(),
            is_erased=self._is_erased,
            newest_of=self._newest_of,
            complete=lambda folder, whole, count: self._complete(
                folder, whole, platform_count=count
            ),
            before_write=self._before_write,
        )
        return Pull(self._folder_of(progress.pull), progress, rules)

    def _newest_of(self, keys: list[str]) -> dict[str, Newest]:
        return self._queries.newest_of(self._parts(), keys)

    def _complete(
        self,
        folder: Path,
        progress: Progress,
        platform_count: int | None = None,
        *,
        replaces: tuple[str, ...] = (),
        covered: tuple[Window, ...] = (),
    ) -> Manifest:
        """Write the manifest of a pull whose parts are on disk."""
        facts = self._queries.facts([folder / part.name for part in progress.parts])
        planned = progress.planned
        manifest = Manifest(
            pull=progress.pull,
            kind=planned.kind,
            window=planned.window,
            plan=planned.plan,
            api_version=progress.api_version,
            started_at=progress.started_at,
            finished_at=self._now().astimezone(UTC),
            **vars(facts),
            parts=progress.parts,
            platform_count=platform_count,
            replaces=replaces,
            covered=covered,
        )
        others = [one for one in self.manifests() if one.pull not in replaces]
        manifest = manifest.model_copy(update={"horizon": horizon([*others, manifest])})
        write_private(folder / MANIFEST, manifest.model_dump_json(indent=2), self._before_write)
        (folder / PROGRESS).unlink(missing_ok=True)
        return manifest

    def _parts(self) -> list[Path]:
        """Return the files of all whole pulls, after comparing each with its manifest."""
        return [
            checked(self._folder_of(one.pull), part)
            for one in self.manifests()
            for part in one.parts
        ]

    def _unfinished(self) -> Progress | None:
        paths = (folder / PROGRESS for folder in self._folders())
        left = [one for one in paths if one.exists() and not one.with_name(MANIFEST).exists()]
        return _read(left[-1], Progress) if left else None

    def _folders(self) -> list[Path]:
        return sorted(self.folder.glob("pull=*"))

    def _folder_of(self, pull: str) -> Path:
        return self.folder / f"pull={pull}"

    def _make_folder(self, pull: str) -> Path:
        _make_private(self.folder)
        folder = self._folder_of(pull)
        self._before_write(folder.name)
        folder.mkdir(mode=0o700)
        flush(self.folder)
        return folder

    def _next_id(self) -> str:
        """Return an id that is greater than all before it, whatever the clock shows."""
        names = [folder.name.removeprefix("pull=") for folder in self._folders()]
        stamp = self._now().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        last_stamp, _, last_number = max(names, default="").partition("-")
        return f"{max(stamp, last_stamp)}-{int(last_number or 0) + 1:06d}"

    def _tidy(self) -> None:
        """Remove what a killed writer left: drafts, parts that nothing names, replaced pulls."""
        for left in self.folder.glob(f"{DROPPED}*"):
            shutil.rmtree(left)
        current = {one.pull: one for one in self.manifests()}
        for folder in self._folders():
            manifest = current.get(folder.name.removeprefix("pull="))
            if manifest is not None:
                drop_strays(folder, manifest.parts, keep={MANIFEST})
            elif (folder / MANIFEST).exists() or not (folder / PROGRESS).exists():
                self._drop(folder)

    def _drop(self, folder: Path) -> None:
        self._before_write(f"{folder.name} dropped")
        aside = folder.with_name(f"{DROPPED}{folder.name}")
        shutil.rmtree(aside, ignore_errors=True)  # of a killed process
        shutil.rmtree(folder.rename(aside))


class RawAccount:
    """The raw stores of one account: a folder per stream, and one lease.

    Parameters
    ----------
    state
        Folder of what outlives a day.
    platform, account
        As in the source's address.
    now
        Tells the time, with its zone.
    memory
        What DuckDB may use.
    """

    def __init__(
        self,
        state: Path,
        platform: str,
        account: str,
        *,
        now: Callable[[], datetime],
        memory: Memory | None = None,
    ) -> None:
        self._root = state / "live"
        self.folder = self._root / _segment(platform) / _segment(account)
        self._now, self._memory = now, memory
        self._lease = Lease(self.folder / "lease.json", now)
        self._holding: str | None = None

    @contextmanager
    def hold(self, on_wait: Callable[[Holder], None] | None = None) -> Iterator[None]:
        """Hold the account's lease: one process at a time writes.

        Parameters
        ----------
        on_wait
            Gets the holder that is waited for, once.
        """
        _make_private(self._root, self.folder.parent, self.folder)
        with self._lease.hold(on_wait) as name:
            self._holding = name
            try:
                yield
            finally:
                self._holding = None

    def streams(self) -> list[str]:
        """Return the names of the streams that have pulls."""
        folders = self.folder.iterdir() if self.folder.exists() else iter(())
        return sorted(unquote(one.name) for one in folders if any(one.glob("pull=*")))

    def stream(self, name: str, is_erased: Callable[[JsonObject], bool] = nobody) -> RawStore:
        """Return the store of a stream; what writes to it needs :meth:`hold`.

        Parameters
        ----------
        name
            The stream's.
        is_erased
            Tells whether a payload is of a person who asked to be forgotten.
        """
        return RawStore(
            self.folder / _segment(name),
            now=self._now,
            memory=self._memory,
            is_erased=is_erased,
            before_write=self._check_lease,
        )

    def _check_lease(self, step: str) -> None:
        if self._holding is None:
            raise LeaseLostError(
                f"The account's lease is not held ({step}). Write within `hold()`: one process at a time writes"
            )
        self._lease.check(self._holding)


def _segment(name: str) -> str:
    """Return a name as one folder's."""
    if not name or name.startswith("."):
        raise ValueError(f"{name!r} names no folder")
    return quote(name, safe="@ ")


def _make_private(*folders: Path) -> None:
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)


def _read(path: Path, kind: type[R]) -> R:
    try:
        text = path.read_text()
        version = json.loads(text)["format"]
        record = kind.model_validate_json(text) if version <= FORMAT else None
    except (ValueError, KeyError, TypeError) as error:  # pydantic's are ValueErrors
        raise DataError(
            f"{path} cannot be read ({type(error).__name__}). Bring {path.parent} back from a backup, or delete "
            "that folder and pull again: its window is read again"
        ) from None
    if record is None:
        raise DataError(
            f"{path} has format {version}, and this Perennial reads up to {FORMAT}. Install a newer one"
        )
    return record


def _hull(windows: Iterable[Window]) -> Window:
    listed = list(windows)
    return Window(min(one.start for one in listed), max(one.end for one in listed))


def _has_erased(batch: pa.RecordBatch, erased: ErasedKeys) -> bool:
    return any(key in erased for key in batch["key"].to_pylist())


def _kept(batch: pa.RecordBatch, erased: ErasedKeys) -> pa.RecordBatch:
    return batch.filter(pa.array([key not in erased for key in batch["key"].to_pylist()]))
