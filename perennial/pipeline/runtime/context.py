"""What a run works with, opened once: its settings, its day, its clock and its folder."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from connectors.engine import Engine, open_engine
from connectors.lease import Holder, Lease
from connectors.state import bring_up_to_date
from connectors.store import Store
from connectors.tracking import Tracking
from perennial.pipeline.runtime.files import DayFiles, TrainingFiles
from perennial.pipeline.runtime.steps import progress
from perennial.pipeline.settings.store import Settings

HOLDING = "lease"  # file of a run's folder: the name that it holds the lease by


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """A run of a flow.

    Attributes
    ----------
    settings
        The store's.
    as_of
        The day that the run works for.
    now
        When it began.
    folder
        Its files, gone when it is over.
    """

    settings: Settings
    as_of: date
    now: datetime
    folder: Path

    @cached_property
    def tracking(self) -> Tracking:
        """MLflow, where the settings keep it."""
        return open_tracking(self.settings)

    @property
    def store(self) -> Store:
        """The published days."""
        return Store(self.settings.exports)

    @property
    def state(self) -> Path:
        """Folder of what outlives a day."""
        return self.settings.state

    @property
    def files(self) -> DayFiles:
        """What the steps of a scored day leave to each other."""
        return DayFiles(self.folder, self.as_of)

    @property
    def training_files(self) -> TrainingFiles:
        """What the steps of a training leave to each other."""
        return TrainingFiles(self.folder)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Open the engine that the settings name, spilling into the run's folder."""
        selected = self.settings.engine
        with open_engine(
            self.settings.store.timezone,
            backend=selected.backend,
            url=selected.url,
            memory_limit=selected.memory_limit,
            scratch=self.folder / "spill",
        ) as engine:
            yield engine

    def on(self, day: date) -> "RunContext":
        """Return the same run for another day."""
        return replace(self, as_of=day)

    def check_lease(self) -> None:
        """Make sure that this run still holds the lease."""
        lease_of(self.state).check((self.folder / HOLDING).read_text())


@contextmanager
def open_run(settings: Settings, as_of: date, shared: Path | None = None) -> Iterator[RunContext]:
    """Give a run a folder of its own under the home folder, gone when the run is over.

    One run at a time works in a home: another waits, and then finds what the first published. With
    `shared`, the folder of the flow that calls this one: what is read there is read once.
    """
    now = datetime.now(UTC)
    if shared is not None:
        yield RunContext(settings=settings, as_of=as_of, now=now, folder=shared)
        return
    parent = settings.home / "scratch"
    parent.mkdir(parents=True, exist_ok=True)
    with lease_of(settings.state).hold(_say_who) as name:
        bring_up_to_date(settings.state)
        for left in parent.glob("run-*"):  # of runs that were killed: nobody else is at work
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
        try:
            (folder / HOLDING).write_text(name)
            yield RunContext(settings=settings, as_of=as_of, now=now, folder=folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def home_context(
    settings: Settings,
    as_of: date | None = None,
    *,
    folder: Path | None = None,
    now: datetime | None = None,
) -> RunContext:
    """Return a context for what reads or writes a home without being a run of its own.

    Parameters
    ----------
    settings
        The store's.
    as_of
        The day; by default the last that is over.
    folder
        For its files; by default the home.
    now
        The moment; by default the clock's.
    """
    moment = now or datetime.now(UTC)
    day = settings.yesterday(moment) if as_of is None else as_of
    where = settings.home if folder is None else folder
    return RunContext(settings=settings, as_of=day, now=moment, folder=where)


@contextmanager
def waiting_lease(state: Path) -> Iterator[None]:
    """Hold the lease of a run without being one: what is under way ends first, and none begins."""
    with lease_of(state).hold(_say_who):
        yield


def lease_of(state: Path) -> Lease:
    """Return the lease that a run holds while it works in a home."""
    return Lease(state / "lease.json", lambda: datetime.now(UTC))


def open_tracking(settings: Settings) -> Tracking:
    """Open MLflow where the settings keep it; a database is filled if need be.

    A server keeps its own artifacts; those of a database, also one of a team, are under the home folder.
    """
    is_server = settings.tracking_uri.startswith(("http:", "https:", "databricks"))
    return Tracking(settings.tracking_uri, None if is_server else settings.mlruns)


def _say_who(holder: Holder) -> None:
    progress(f"waiting for process {holder.pid} on {holder.host}, at work since {holder.since}")
