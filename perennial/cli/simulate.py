"""A simulated store on disk: its tables, its truth, and settings that read it."""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import ValidationError

from models.records import Record
from perennial.pipeline.settings.store import SettingsError
from perennial.simulation import PIECE, World, expected_customers, simulate_pieces
from perennial.simulation.forms import FORMS
from perennial.simulation.forms.ledger import Planted
from perennial.simulation.profiles import SimulationError, find_profile

RECORD = "simulation.json"
CONFIG = "perennial.toml"
SETTINGS = """\
# Written with a simulated store. Try: perennial run --config {config} --as-of {as_of}
[store]
name = "{name}"
currency = "{currency}"
timezone = "{timezone}"
margin = {margin:.2f}                    # what the simulated goods leave

[orders]
source = "orders.parquet"

[tables]
order_lines = "order_lines.parquet"
customers = "customers.parquet"
marketing_spend = "marketing_spend.parquet"
referrals = "referrals.parquet"
nps = "nps.parquet"
reviews = "reviews.parquet"
loyalty_events = "loyalty_events.parquet"
touches = "touches.parquet"

[paths]
home = "."
"""


@dataclass(frozen=True)
class Simulation:
    """What is asked of the simulation; the same again gives the same files.

    Attributes
    ----------
    profile
        Name of a profile.
    customers
        Expected new customers in the first 365 days.
    start, end
        The days [start, end).
    seed
        Any whole number from 0 on.
    form
        Another system's form of the orders to write beside the tables; None = none.
    """

    profile: str = "coffee"
    customers: int = 5_000
    start: date = date(2023, 7, 1)
    end: date = date(2026, 7, 1)
    seed: int = 1
    form: str | None = None

    @property
    def last_day(self) -> date:
        """Last simulated day."""
        return self.end - timedelta(days=1)

    @property
    def store(self) -> str:
        """Name of the store."""
        return f"Simulated {self.profile} store ({self.customers:,} customers a year, seed {self.seed})"

    @property
    def folder(self) -> str:
        """Name of a folder for it."""
        return f"{self.profile}-{self.customers}-{self.seed}"


class SimulationRecord(Record):
    """A simulation that was written, as ``simulation.json`` holds it.

    Attributes
    ----------
    asked
        What was simulated.
    rows
        Rows by table.
    planted
        Traps in the other system's form.
    files
        Names, from the folder.
    """

    asked: Simulation
    rows: dict[str, int]
    planted: tuple[Planted, ...]
    files: tuple[str, ...]


def write_simulation(
    asked: Simulation, out: Path, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> SimulationRecord:
    """Simulate a store into a folder: all of it, or nothing.

    Parameters
    ----------
    asked
        What to simulate.
    out
        A folder that is not there yet, is empty, or has the same simulation.
    progress
        Told how many pieces are done, and of how many.

    Returns
    -------
    SimulationRecord
        What was written.

    Raises
    ------
    SettingsError
        Impossible arguments, or a folder that has something else or only a part of it.
    """
    written = _written(asked, out)
    if written is not None:
        return written
    try:
        pieces = simulate_pieces(
            asked.customers,
            asked.start,
            asked.end,
            asked.seed,
            asked.profile,
            piece=None if asked.form else PIECE,
        )
    except SimulationError as error:
        raise SettingsError(str(error)) from error
    with _folder(out.resolve()) as folder:
        count = math.ceil(
            expected_customers(asked.customers, asked.start, asked.end, asked.profile) / PIECE
        )
        rows, planted = _write_tables(
            asked, pieces, folder, lambda done: progress(done, max(count, done))
        )
        (folder / CONFIG).write_text(_settings(asked, out / CONFIG))
        record = SimulationRecord(
            asked=asked, rows=rows, planted=planted, files=tuple(_files(folder))
        )
        (folder / RECORD).write_text(json.dumps(record.to_json(), indent=2) + "\n")
    return record


def _written(asked: Simulation, out: Path) -> SimulationRecord | None:
    """Return the record of a simulation that is in a folder whole; None, if the folder is free."""
    path = out / RECORD
    if path.is_file():
        record = _read_record(path)
        if record.asked == asked:
            missing = [name for name in record.files if not (out / name).is_file()]
            if missing:
                raise SettingsError(
                    f"a simulated store is whole: {len(missing):,} of {len(record.files):,} files of "
                    f"{out} are gone, such as {missing[0]}. Empty the folder and simulate again"
                )
            return record
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingsError(
            f"a simulation needs a folder of its own: {out} has something else. Name another folder, "
            "or empty it"
        )
    return None


def _settings(asked: Simulation, config: Path) -> str:
    """Return the settings that read the store, as they are written to `config`."""
    profile = find_profile(asked.profile)
    return SETTINGS.format(
        name=asked.store,
        currency=profile.currency,
        timezone=profile.timezone,
        margin=1 - profile.cost_share,
        config=config,
        as_of=asked.last_day,
    )


def _read_record(path: Path) -> SimulationRecord:
    try:
        return SimulationRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SettingsError(
            f"{RECORD} is what a simulation wrote: {path} is something else. Empty the folder and "
            "simulate again"
        ) from error


def _files(folder: Path) -> list[str]:
    """Return the files under a folder, as they are named in its record."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """Give a folder that becomes `out` when all went well, and is gone otherwise."""
    out.parent.mkdir(parents=True, exist_ok=True)
    is_locked = out.is_dir() and not os.access(out.parent, os.W_OK)
    folder = Path(tempfile.mkdtemp(dir=out if is_locked else out.parent, prefix=f".{out.name}-"))
    try:
        yield folder
        # A mount cannot be replaced, and whoever works in a replaced folder is nowhere.
        if is_locked or out.is_mount() or (out.exists() and out.samefile(Path.cwd())):
            _move(folder, out)
        else:
            folder.chmod(0o777 & ~_umask())
            folder.replace(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(folder: Path, out: Path) -> None:
    """Move what is in a folder into an empty one: the record last, and nothing if anything fails."""
    names = sorted((path.name for path in folder.iterdir()), key=lambda name: name == RECORD)
    try:
        for name in names:
            shutil.move(folder / name, out / name)
    except BaseException:
        for name in names:
            _remove(out / name)
        raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _write_tables(
    asked: Simulation, pieces: Iterator[World], folder: Path, progress: Callable[[int], None]
) -> tuple[dict[str, int], tuple[Planted, ...]]:
    """Write every table as one Parquet file, piece after piece, and the form asked for."""
    rows: dict[str, int] = {}
    planted: tuple[Planted, ...] = ()
    with ExitStack() as files:
        writers: dict[str, pq.ParquetWriter] = {}
        for done, world in enumerate(pieces, start=1):
            for name, table in world.tables.items():
                if name not in writers:
                    writer = pq.ParquetWriter(
                        folder / f"{name}.parquet", table.schema, compression="zstd"
                    )
                    writers[name] = files.enter_context(writer)
                writers[name].write_table(table)
                rows[name] = rows.get(name, 0) + table.num_rows
            if asked.form:
                planted = _write_form(asked.form, world, folder)
            progress(done)
    return rows, planted


def _write_form(name: str, world: World, folder: Path) -> tuple[Planted, ...]:
    """Write another system's files into a folder of its name, with what must come of them."""
    form = FORMS[name](world)
    (folder / name).mkdir()
    for file, frame in form.files.items():
        path = folder / name / file
        if path.suffix == ".csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
    form.expected.to_parquet(folder / f"{name}_expected.parquet", index=False)
    return tuple(form.planted)
