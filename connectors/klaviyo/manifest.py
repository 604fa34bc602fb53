"""A sync on disk: what is to be sent, and how far each job is, so that a killed one goes on.

A sync is written beside its place and renamed when it is whole. From then on every step of a job is
on disk before the next begins: a try before it is made, a job's id before it is asked for, what was
confirmed before anything else is done.

Layout of a sync::

    sync.json                      whose it is, and how many jobs it has
    rows-0001.parquet, ...         the rows of each job with their bodies
    job-0001.json, ...             how far each job is; one that was split shares its rows' file
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.kept import CHECKSUMS, read_arrow
from connectors.klaviyo.errors import readable
from connectors.klaviyo.synced_profiles import no_rows
from connectors.mentions import matches
from connectors.store import flush, flush_tree, replace_file

ROWS = pa.schema(
    [
        ("row", pa.int64()),
        ("customer_id", pa.string()),
        ("kind", pa.string()),
        ("key", pa.string()),
        ("email", pa.string()),
        ("row_hash", pa.int64()),
        ("segment", pa.string()),
        ("previous_segment", pa.string()),
        ("is_holdout", pa.bool_()),
        ("profile_id", pa.string()),
        ("body", pa.binary()),
    ]
)


BROKEN = (
    "Wait an hour, so that no job of it is at work any more; then remove the folder {folder} and sync again: what "
    "it had confirmed is sent again then"
)


@dataclass(frozen=True)
class SyncHeader:
    """Whose a sync is.

    Attributes
    ----------
    as_of, run_id
        The published day.
    account
        Klaviyo's id of the account.
    jobs
        How many import jobs it has.
    terms
        Digest of the settings and options that it was planned by.
    metric
        Name of the event that tells of a change of segment; empty = none is told.
    slices
        Of jobs that were split: file, first row and the row after the last (null: to the end), by number.
    """

    as_of: str
    run_id: str
    account: str
    jobs: int
    terms: str = ""
    metric: str = ""
    slices: dict[str, tuple[int, int, int | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class JobState:
    """How far a job is.

    Attributes
    ----------
    tries, answered
        Requests to create it, and how many were answered: whatever had no answer may be at work.
    first_try_at
        Moment of the first, ISO 8601.
    job_id
        Klaviyo's, once it is accepted.
    sent, sizes
        Rows in it, and in each try so far.
    lost
        Jobs that Klaviyo canceled or forgot.
    faults
        Rows that are not confirmed: code, detail and pointer by row number.
    is_verified
        Whether Klaviyo's word on every row is in.
    events
        First row whose event is not handed in.
    events_accepted
        Events that Klaviyo accepted (202); it says nothing of what became of them.
    """

    tries: int = 0
    answered: int = 0
    first_try_at: str = ""
    job_id: str = ""
    sent: int = 0
    sizes: tuple[int, ...] = ()
    lost: int = 0
    faults: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    is_verified: bool = False
    events: int = 0
    events_accepted: int = 0

    @property
    def may_run_twice(self) -> bool:
        """Whether a try without an answer may have left a job behind."""
        return self.tries > self.answered


class Manifest:
    """A sync that is under way.

    Parameters
    ----------
    folder
        Where it is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with self._readable("sync.json") as path:
            self.header = SyncHeader(**json.loads(path.read_text()))
            date.fromisoformat(self.header.as_of)

    @classmethod
    def open(cls, folder: Path) -> "Manifest | None":
        """Return the sync that a folder keeps, if there is one."""
        return cls(folder) if (folder / "sync.json").exists() else None

    @classmethod
    def create(cls, folder: Path, header: SyncHeader, parts: list[pd.DataFrame]) -> "Manifest":
        """Write a sync, all of it or nothing; `parts` are the rows of each job."""
        stage = folder.with_name(f".{folder.name}.stage")
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        for number, rows in enumerate(parts, start=1):
            _write_rows(rows, stage / _rows_file(number))
        (stage / "sync.json").write_text(json.dumps(asdict(header)))
        flush_tree(stage)
        stage.rename(folder)
        flush(folder.parent)
        return cls(folder)

    @property
    def as_of(self) -> date:
        """Day of the scores."""
        return date.fromisoformat(self.header.as_of)

    @property
    def numbers(self) -> range:
        """Numbers of the jobs."""
        return range(1, self.header.jobs + 1)

    def rows(self, number: int) -> pd.DataFrame:
        """Return the rows of a job, with their bodies."""
        file, start, stop = self._slice(number)
        rows = self._read(file)
        is_of_job = rows["row"] >= start
        if stop is not None:
            is_of_job &= rows["row"] < stop
        return rows if is_of_job.all() else rows[is_of_job].reset_index(drop=True)

    def split(self, number: int, first: int) -> None:
        """Make two jobs of one: its rows from a number on become the last job; on disk when this returns."""
        file, start, stop = self._slice(number)
        last = self.header.jobs + 1
        state = self.state(number)
        later = {row: fault for row, fault in state.faults.items() if int(row) >= first}
        self.note(last, JobState(faults=later))
        slices = {str(number): (file, start, first), str(last): (file, first, stop)}
        header = replace(self.header, jobs=last, slices={**self.header.slices, **slices})
        text = json.dumps(asdict(header))
        replace_file(self.folder / "sync.json", lambda draft: draft.write_text(text))
        self.header = header
        earlier = {row: fault for row, fault in state.faults.items() if row not in later}
        self.note(number, state, faults=earlier)

    @property
    def splits(self) -> int:
        """How often jobs were split."""
        return len(self.header.slices)

    def _slice(self, number: int) -> tuple[int, int, int | None]:
        return self.header.slices.get(str(number), (number, 0, None))

    def _read(self, file: int) -> pd.DataFrame:
        with self._readable(_rows_file(file)) as path:
            table = read_arrow(path, schema=ROWS)
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def state(self, number: int) -> JobState:
        """Return how far a job is."""
        with self._readable(f"job-{number:04}.json") as path:
            if not path.exists():
                return JobState()
            record: dict[str, Any] = json.loads(path.read_text())
            record["faults"] = {row: tuple(fault) for row, fault in record["faults"].items()}
            record["sizes"] = tuple(record["sizes"])
            return JobState(**record)

    def note(self, number: int, state: JobState, **changes: Any) -> JobState:  # noqa: ANN401  # its fields
        """Keep how far a job is; it is on disk when this returns."""
        state = replace(state, **changes)
        path = self.folder / f"job-{number:04}.json"
        replace_file(path, lambda draft: draft.write_text(json.dumps(asdict(state))))
        return state

    def confirmed(self, number: int) -> pd.DataFrame:
        """Return the rows of a job that Klaviyo confirmed, as they are remembered."""
        state = self.state(number)
        if not state.is_verified:
            return no_rows()
        rows = self.rows(number)
        good = ~rows["row"].astype(str).isin(list(state.faults))
        return rows[good].assign(scored_date=self.as_of)

    def faults(self) -> Iterator[tuple[str, str, tuple[str, str, str]]]:
        """Give every customer and key that was not confirmed, with code, detail and pointer."""
        for number in self.numbers:
            state = self.state(number)
            if state.faults:
                rows = self.rows(number)[["row", "customer_id", "key"]]
                for row, customer, key in rows.itertuples(index=False):
                    if str(row) in state.faults:
                        yield customer, key, state.faults[str(row)]

    def forget(self, customers: set[str]) -> bool:
        """Remove customers' rows, and what was said of them; tell whether Klaviyo may still be at them."""
        may_come = False
        for number in self.numbers:
            rows = self.rows(number)
            gone = pd.Series(data=False, index=rows.index)
            for name in ("customer_id", "key", "email"):
                gone |= matches(rows[name], customers)
            if gone.any():
                state, names = self.state(number), set(rows["row"][gone].astype(str))
                may_come |= bool(state.tries) and not state.is_verified
                faults = {row: fault for row, fault in state.faults.items() if row not in names}
                self.note(number, state, faults=faults)
                file = self._slice(number)[0]
                whole = self._read(file)
                kept = whole[~whole["row"].isin(rows["row"][gone])]
                path = self.folder / _rows_file(file)
                replace_file(path, lambda draft, kept=kept: _write_rows(kept, draft))  # type: ignore[misc]
        return may_come

    @contextmanager
    def _readable(self, name: str) -> Iterator[Path]:
        """Give a file's path, to be read."""
        path = self.folder / name
        with readable(path, BROKEN.format(folder=self.folder)):
            yield path

    def close(self) -> None:
        """Remove the sync: what it confirmed is remembered elsewhere by now."""
        gone = self.folder.with_name(f".{self.folder.name}.closed")
        shutil.rmtree(gone, ignore_errors=True)
        self.folder.rename(gone)
        shutil.rmtree(gone)


def _rows_file(number: int) -> str:
    return f"rows-{number:04}.parquet"


def _write_rows(rows: pd.DataFrame, path: Path) -> None:
    table = pa.Table.from_pandas(rows[ROWS.names], schema=ROWS, preserve_index=False)
    pq.write_table(table, path, **CHECKSUMS)
