"""A small store that is pulled in stages, each of which can be killed at any write and run again."""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from connectors.live.raw import RawStore
from connectors.live.records import PlannedPull, PullKind, RawRow, Window
from connectors.live.windows import Schedule, cover, plan_pulls

START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEDULE = Schedule(lag=timedelta(hours=1), overlap=timedelta(hours=2))
PAGE = 2
ERASED = "b@example.com"


def day(number):
    return START + timedelta(days=number)


def order(key, number, state="paid", updated=None, email="a@example.com"):
    payload = {"id": key, "state": state, "email": email}
    return RawRow(key, payload, day(number if updated is None else updated), day(number))


FIRST = [order(f"o{number}", number * 9 + 1) for number in range(5)]
FIRST += [order("e1", 3, email=ERASED), order("gone", 4)]
LATER = [
    order("o1", 10, "refunded", updated=45),
    order("new", 44),
    order("e1", 3, "refunded", updated=45, email=ERASED),
    order("e2", 45, email=ERASED),
]
FINAL = {"o0": "paid", "o1": "refunded", "o2": "paid", "o3": "paid", "o4": "paid", "new": "paid"}


class Program:
    """The stages of a pull; each begins with what is on disk."""

    def __init__(self, folder: Path, before_write: Callable[[str], None]):
        self.folder, self.before_write = folder, before_write

    def stages(self):
        return [self.backfill, self.night, self.reconcile, self.compact, self.again, self.forget]

    def store(self, number):
        return RawStore(self.folder, now=lambda: day(number), before_write=self.before_write)

    def backfill(self):
        self.pull(41, FIRST)

    def night(self):
        self.pull(46, LATER)

    def reconcile(self):
        store = self.store(47)
        pull = store.begin(PlannedPull(Window(day(0), day(31)), PullKind.RECONCILE), "v1")
        pull.delete(["gone", "never"])
        pull.finish()

    def compact(self):
        self.store(47).compact()

    def again(self):
        """Pull the night's rows again."""
        self.pull(48, [row for row in LATER if row.key == "new"])

    def forget(self):
        self.store(48).forget(lambda payload: payload["email"] == ERASED)

    def pull(self, number, rows):
        store = self.store(number)
        for planned in plan_pulls(store.history(), day(0), day(number), schedule=SCHEDULE):
            pull = store.begin(planned, "v1")
            listed = [row for row in rows if row.updated_at in planned.window]
            place = (pull.cursor or {"place": 0})["place"]
            while place < len(listed):
                pull.add(listed[place : place + PAGE])
                place += PAGE
                pull.checkpoint({"place": place}, force=True)
            pull.finish(len(listed))


def outcome(folder: Path):
    """Return what readers see of a store, after checking that nothing else is left."""
    store = RawStore(folder, now=lambda: day(50))
    path = folder.parent / "latest.parquet"
    store.latest(path)
    latest = {row["key"]: json.loads(row["payload"])["state"] for row in read(path)}
    manifests = store.manifests()
    for one in manifests:
        names = {file.name for file in (folder / f"pull={one.pull}").iterdir()}
        assert names == {"manifest.json", *(part.name for part in one.parts)}
    pulls = {f"pull={one.pull}" for one in manifests}
    assert {file.name for file in folder.iterdir()} - {".spill"} == pulls | {"erased.json"}
    everything = [row for path in folder.rglob("*.parquet") for row in read(path)]
    return latest, cover(manifests), sorted({row["key"] for row in everything})


def read(path):
    return pq.ParquetFile(path).read().to_pylist()


def main(folder: str, stage: str, fatal_step: str):
    steps = 0

    def before_write(step):
        nonlocal steps
        steps += 1
        if steps == int(fatal_step):
            os.kill(os.getpid(), signal.SIGKILL)

    getattr(Program(Path(folder), before_write), stage)()


if __name__ == "__main__":
    main(*sys.argv[1:])
