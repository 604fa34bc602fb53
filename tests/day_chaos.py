"""Nights in which everything goes wrong, and what must be published all the same.

``python -m tests.day_chaos --nights 30 --kills 100`` lives a small shop through nights: orders come
late, a server is down, slots come out of order and twice, the source is empty one night and doubled
another, a training dies, the disk is full, and runs are killed (SIGKILL) at random moments and begun
again. Every day must end published once, as a run that nothing happened to publishes it from the same
arrivals; or be refused, with its reason. What readers see never moves back.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from connectors.store import Store
from features.tables import DataError
from flows.daily import daily
from flows.score import score
from flows.train import train
from perennial.pipeline.publishing.checks import DayRefusedError, refusals
from perennial.pipeline.settings.store import read_settings
from tests.shops import AS_OF, PLAIN, make_orders, write_shop

DONE, BROKEN, REFUSED, LATE = 0, 1, 20, 30
DISK = 3
DOWN, EMPTY, DOUBLED, SWAPPED, TWICE, FULL, TRAIN = 2, 4, 6, 8, 10, 11, 13
LATE_SHARE, LATEST = 0.05, 3  # of the orders arrive up to so many nights after their own
LIMITS = "[checks]\nmost_switched = 1.0\nmost_share_change = 1.0\nmost_value_change = 10.0\n"


@dataclass
class Outcome:
    """What the nights left behind.

    Attributes
    ----------
    kills
        How often a run was killed while it was at work.
    refused
        Reasons by day, as they were given on the night.
    faults
        What should not have happened.
    """

    kills: int = 0
    refused: dict[date, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Arrivals:
    """The orders as they arrive, night by night."""

    def __init__(self, seed: int) -> None:
        self.orders = make_orders()
        rng = random.Random(seed)
        day = pd.to_datetime(self.orders["ordered_at"]).dt.date
        late = [
            rng.randint(1, LATEST) if rng.random() < LATE_SHARE else 0 for _ in range(len(day))
        ]
        self.night = [d + timedelta(days=n) for d, n in zip(day, late, strict=True)]

    def by(self, night: date) -> pd.DataFrame:
        """Return what has arrived by the end of a day."""
        return self.orders[[arrived <= night for arrived in self.night]]

    def write(self, home: Path, night: int) -> None:
        """Write the night's source: whole, empty, or every order twice under another name."""
        actual = self.by(AS_OF + timedelta(days=night))
        if night == EMPTY:
            actual = actual.head(0)
        if night == DOUBLED:
            actual = pd.concat([actual, actual.assign(order_id="again-" + actual["order_id"])])
        actual.to_csv(home / "orders.csv", index=False)


def expected_days(night: int) -> list[int]:
    """Return the days that a night publishes, by number."""
    if night in (DOWN, EMPTY, DOUBLED, SWAPPED):
        return []
    return [night - 1, night] if night - 1 in (DOWN, EMPTY, DOUBLED, SWAPPED) else [night]


def prepare(folder: Path, arrivals: Arrivals) -> Path:
    """Write the shop as of the day before the first night, trained and published."""
    config = write_shop(folder, arrivals.by(AS_OF), PLAIN)
    config.write_text(config.read_text() + LIMITS)
    in_child(lambda: (train(config, AS_OF), daily(config, AS_OF)))
    return config


def in_child(work: Callable[[], object], kill_after: float | None = None) -> int:
    """Do something in a forked process, killed after some seconds if asked; return its exit code."""
    child = os.fork()
    if child == 0:
        os._exit(_code_of(work))
    if kill_after is not None:
        deadline = time.monotonic() + kill_after
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _code_of(work: Callable[[], object]) -> int:
    try:
        work()
    except DayRefusedError as error:
        return LATE if error.is_late else REFUSED
    except DataError:
        return REFUSED
    except OSError:
        return DISK
    except BaseException as error:  # noqa: BLE001  # a child says what broke it, whatever it is
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return DISK if "disk" in str(error) or "File too large" in str(error) else BROKEN
    return DONE


def live(config: Path, arrivals: Arrivals, nights: int, kills: int, seed: int) -> Outcome:
    """Live through the nights; tell what went wrong."""
    settings, rng, outcome = read_settings(config), random.Random(seed), Outcome()
    seconds = 6.0
    for night in range(1, nights + 1):
        arrivals.write(config.parent, night)
        seen = _current(settings)
        if night in (DOWN, SWAPPED):
            continue
        day = AS_OF + timedelta(days=night)

        def run(day: date = day) -> object:
            return daily(config, day)

        if night == TRAIN:
            outcome.kills += (
                in_child(lambda day=day: train(config, day), rng.uniform(1, 8)) == -signal.SIGKILL
            )
        if night == FULL and in_child(lambda: _on_full_disk(run)) == DONE:
            outcome.faults.append(f"night {night}: published on a full disk")
        while outcome.kills < round(kills * night / nights):
            code = in_child(run, rng.uniform(0, seconds))
            seen = _check_current(settings, seen, night, outcome)
            if code != -signal.SIGKILL:
                break  # it was faster: the next night is killed more often
            outcome.kills += 1
        if night == TWICE:
            _at_once(run, run)
        began = time.monotonic()
        code = in_child(run)
        seconds = 0.5 * seconds + 0.5 * (time.monotonic() - began)
        if night - 1 == SWAPPED:
            in_child(lambda day=day: daily(config, day - timedelta(days=1)))
        wanted = {EMPTY: (REFUSED,), DOUBLED: (REFUSED,)}.get(night, (DONE,))
        if code not in wanted:
            outcome.faults.append(f"night {night}: ended with {code}, not {wanted[0]}")
        outcome.refused |= {refusal.as_of: refusal.why for refusal in refusals(settings.state)}
        _check_current(settings, seen, night, outcome)
    return outcome


def _on_full_disk(work: Callable[[], object]) -> object:
    """Let no file grow beyond what a database already has: the first that would fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    return work()


def _at_once(*works: Callable[[], object]) -> None:
    """Begin several runs in the same moment."""
    children = []
    for work in works:
        child = os.fork()
        if child == 0:
            os._exit(_code_of(work))
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def _current(settings: Any) -> date:
    day = Store(settings.exports).current()
    return date.min if day is None else day.as_of


def _check_current(settings: Any, seen: date, night: int, outcome: Outcome) -> date:
    now = _current(settings)
    if now < seen:
        outcome.faults.append(f"night {night}: readers were moved back from {seen} to {now}")
    return now


def live_quietly(config: Path, arrivals: Arrivals, nights: int) -> None:
    """Publish the same days from the same arrivals, one after the other, with nothing in the way."""
    for night in range(1, nights + 1):
        arrivals.write(config.parent, night)
        for number in expected_days(night):
            day = AS_OF + timedelta(days=number)
            code = in_child(lambda day=day: score(config, day))
            assert code == DONE, f"the quiet run of {day} ended with {code}"


def compare(config: Path, quiet: Path, nights: int) -> list[str]:
    """Tell where the nights left something else than the quiet run."""
    ours, theirs = (Store(read_settings(c).exports) for c in (config, quiet))
    faults = []
    for number in range(nights + 1):
        day = AS_OF + timedelta(days=number)
        runs, wanted = ours.days(day), theirs.days(day)
        if len(runs) != len(wanted):
            faults.append(f"{day}: published {len(runs)} times, not {len(wanted)}")
            continue
        for one, other in zip(runs, wanted, strict=True):
            for name in ("scores.parquet", "commitments.parquet"):
                left, right = (
                    pd.read_parquet(actual.file(name)).drop(columns="run_id", errors="ignore")
                    for actual in (one, other)
                )
                if not left.equals(right):
                    faults.append(f"{day}: {name} is not as it is on a quiet night")
    paths = (read_settings(c).state / "assignments.parquet" for c in (config, quiet))
    drawn, quietly = (pd.read_parquet(path).sort_values("customer_id") for path in paths)
    if not drawn.reset_index(drop=True).equals(quietly.reset_index(drop=True)):
        faults.append("the draws are not those of quiet nights")
    left = [path.name for path in config.parent.rglob(".stage-*")]
    return faults + [f"a stage was left: {name}" for name in left]


def nights_of(folder: Path, nights: int, kills: int, seed: int) -> Outcome:
    """Live through nights in a folder, and compare with quiet ones."""
    arrivals = Arrivals(seed)
    config = prepare(folder / "shop", arrivals)
    first = folder / "first"
    shutil.copytree(config.parent, first)  # MLflow's paths are absolute: the place stays the same
    outcome = live(config, arrivals, nights, kills, seed)
    lived = folder / "lived"
    config.parent.rename(lived)
    first.rename(config.parent)
    live_quietly(config, arrivals, nights)
    outcome.faults += compare(lived / config.name, config, nights)
    return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Live through the nights, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = nights_of(Path(folder), asked.nights, asked.kills, asked.seed)
    messages = [f"refused {day}: {why}" for day, why in sorted(outcome.refused.items())]
    messages += [f"FAULT {fault}" for fault in outcome.faults]
    messages.append(
        f"{asked.nights} nights, {outcome.kills} runs killed, {len(outcome.refused)} days refused, "
        f"{len(outcome.faults)} faults, {time.monotonic() - began:.0f} s"
    )
    sys.stdout.write("\n".join(messages) + "\n")
    return min(len(outcome.faults), 1)


if __name__ == "__main__":
    sys.exit(main())
