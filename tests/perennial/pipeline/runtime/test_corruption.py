"""A file under the home that broke is named with the way back, or changes no published number."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest

from connectors.store import PublishedDay, Store
from tests.small_home import AS_OF, run, write_home

pytestmark = pytest.mark.slow

CORRUPTIONS = int(os.environ.get("CORRUPTIONS", "4"))  # make corruptions tries 100
YESTERDAY, TODAY, TOMORROW = (AS_OF + timedelta(days=n) for n in (-1, 0, 1))
COMMANDS = [
    ("run", "--as-of", TOMORROW.isoformat()),
    ("train", "--as-of", TODAY.isoformat()),
    ("score", "--as-of", TOMORROW.isoformat()),
    ("status",),
    ("monitor", "--as-of", TODAY.isoformat()),
    ("forget", "person5.o'x@example.com"),
    ("clean", "--apply"),
]
LASTING = {".json", ".parquet", ".db", ".csv", ".skops", ".html", ".yaml", ".toml", ""}
REMEDIES = ("Bring", "Remove", "move", "Install", "perennial train")


def cut(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(max(1, len(content)))]


def zero(content: bytes, random: Random) -> bytes:
    start = random.randrange(max(1, len(content)))
    return content[:start] + bytes(min(200, len(content) - start)) + content[start + 200 :]


def flip(content: bytes, random: Random) -> bytes:
    """Turn over single bits: what a disk does that fails slowly."""
    flipped = bytearray(content)
    for _ in range(random.choice([1, 20]) if content else 0):
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
    return bytes(flipped)


FAULTS: dict[str, Callable[[bytes, Random], bytes]] = {
    "cut": cut,
    "zero": zero,
    "flip": flip,
    "empty": lambda *_: b"",
    "garbage": lambda *_: b"garbage",
}


def numbers(day: PublishedDay) -> dict[str, Any]:
    """Return what a publication states, but for when and by which run."""
    scores = pd.read_parquet(day.file("scores.parquet")).drop(columns=["model_version", "run_id"])
    return {
        "scores": scores.to_csv(index=False),
        "segments": day.file("segments.csv").read_text(),
        "kpis": json.loads(day.file("kpis.json").read_text()),
        "budget": day.record()["budget"],
        "tiers": day.record()["tiers"],
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with two published days, and a store of what each command publishes on it undamaged."""
    folder = tmp_path_factory.mktemp("corrupted") / "home"
    write_home(folder)
    for day in (YESTERDAY, TODAY):
        done = run(folder, "run", "--as-of", day.isoformat())
        assert done.returncode == 0, done.stderr
    return folder, {}


def published(home: Path) -> PublishedDay:
    day = Store(home / "exports").current()
    assert day is not None
    return day


def expected_of(home: Path, command: tuple[str, ...], past: dict[Any, Any], folder: Path) -> Any:
    if command not in past:
        whole = folder / "whole"
        shutil.copytree(home, whole)
        done = run(whole, *command)
        assert done.returncode in (0, 10, 20), (
            done.stderr
        )  # a training may end with no better model
        past[command] = (done.returncode, numbers(published(whole)))
    return past[command]


@pytest.mark.parametrize("seed", range(CORRUPTIONS))
def test_a_broken_file_is_named_or_changes_nothing(home, seed, tmp_path):
    base, past = home
    random = Random(seed)
    command = random.choice(COMMANDS)
    code, expected = expected_of(base, command, past, tmp_path)
    here = tmp_path / "home"
    shutil.copytree(base, here)
    kept = [here / "state", here / "exports", here / "mlruns", here / ".prefect"]
    files = sorted(
        path
        for folder in kept
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in LASTING
    )
    folder = random.choice([folder for folder in kept if folder.exists()])
    path = random.choice([path for path in files if path.is_relative_to(folder)])
    fault = random.choice(sorted(FAULTS))
    path.write_bytes(FAULTS[fault](path.read_bytes(), random))
    days_before = set(here.glob("exports/scores/*/*"))
    pointer = (here / "exports/CURRENT.json").read_bytes()

    done = run(here, *command)

    ended = f"{done.returncode}: {done.stderr[-900:]}"
    case = f"{command} after {fault} of {path.relative_to(here)} ended with {ended}"
    assert "Traceback" not in done.stderr + done.stdout, case
    if done.returncode == code:
        if set(here.glob("exports/scores/*/*")) != days_before:
            assert numbers(published(here)) == expected, case
        return
    assert path.name in done.stderr or str(path.parent) in done.stderr, case
    assert any(words in done.stderr for words in REMEDIES), case
    assert set(here.glob("exports/scores/*/*")) == days_before, case
    assert (here / "exports/CURRENT.json").read_bytes() == pointer, case
