"""Whatever names a person, and whatever goes on meanwhile, nothing under the home holds them afterwards."""

import os
import shutil
import sqlite3
import subprocess
from datetime import timedelta
from pathlib import Path
from random import Random

import pandas as pd
import pytest

from tests.small_home import AS_OF, COMMAND, ODD, run, write_home

pytestmark = pytest.mark.slow

SITUATIONS = int(os.environ.get("FORGET_SITUATIONS", "2"))  # make forgotten tries 100


def add_rejects(home: Path, person: pd.Series, random: Random) -> None:
    """Add rows that are refused and name a person, in the mapped columns and in others."""
    bad = {"order_id": "bad1", "day": "2025-05-01", "amount": "abc"}
    rows = [
        {**bad, "user": person["user"]},
        {**bad, "user": f"x{random.random()}", "mail": person["mail"].upper()},
        {**bad, "user": "y", "tel": person["tel"].replace(" ", "-")},
        {**bad, "user": "z", "remark": f"call {person['mail']}, please"},
    ]
    path = home / "export" / "bad.csv"
    columns = ["order_id", "day", "amount", "user", "mail", "tel", "remark"]
    pd.DataFrame(rows).reindex(columns=columns).to_csv(path, index=False)


def cells(path: Path) -> str:
    """Return what a file holds, as text."""
    if path.suffix == ".parquet":
        return (
            pd.read_parquet(path).astype("string").to_csv(index=False, quoting=3, escapechar="\\")
        )
    if path.suffix == ".db":
        with sqlite3.connect(path) as database:
            return "\n".join(database.iterdump())
    return path.read_bytes().decode("utf-8", "replace")


def mentions_of(home: Path, person: pd.Series) -> list[str]:
    """Return the files under a home that hold a person, the sources apart."""
    wanted = [person["mail"], person["mail"].upper(), person["tel"], person["second"]]
    wanted.append(person["tel"].replace(" ", ""))
    name = person["user"].strip()
    wanted += [name] if len(name) > 6 else []
    sources = (home / "export", home / "customers.csv")
    files = [
        p for p in home.rglob("*") if p.is_file() and not any(p.is_relative_to(s) for s in sources)
    ]
    held = [str(p.relative_to(home)) for p in files if any(one in cells(p) for one in wanted)]
    tables = [p for p in files if p.suffix == ".parquet"]
    rows = [
        p
        for p in tables
        if name in set(pd.read_parquet(p).get("customer_id", pd.Series(dtype="str")))
    ]
    return held + [str(p.relative_to(home)) for p in rows]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forgets") / "home"
    people = write_home(folder)
    done = run(folder, "run", "--as-of", AS_OF.isoformat())
    assert done.returncode == 0, done.stderr
    return folder, people


@pytest.mark.parametrize("seed", range(SITUATIONS))
def test_nothing_under_the_home_holds_the_forgotten(home, seed, tmp_path):
    base, people = home
    random = Random(seed)
    here = tmp_path / "home"
    shutil.copytree(base, here)
    published = set(
        pd.read_parquet(next(here.glob("exports/scores/*/*/scores.parquet")))["customer_id"]
    )
    past = people[people["user"].str.strip().isin(published)]
    odd = past[past["user"].isin(ODD)]
    person = (odd if random.random() < 0.5 else past).sample(1, random_state=seed).iloc[0]
    add_rejects(here, person, random)
    asked = person[random.choice(["user", "mail", "tel", "second"])]
    asked = asked.upper() if "@example" in asked and random.random() < 0.5 else asked
    tomorrow = (AS_OF + timedelta(days=1)).isoformat()
    beside = random.choice(
        [
            None,
            ("run", "--as-of", tomorrow),
            ("clean", "--apply"),
            ("run", "--as-of", AS_OF.isoformat(), "--force"),
        ]
    )
    other = None
    if beside is not None:
        other = subprocess.Popen(
            [*COMMAND, *beside, "--config", str(here / "perennial.toml")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        )
        try:
            other.wait(random.uniform(2, 9))
        except subprocess.TimeoutExpired:
            if random.random() < 0.3:
                other.kill()
    done = run(here, "forget", "--", asked)
    if other is not None:
        other.wait()
    assert done.returncode == 0, (asked, done.stdout, done.stderr)
    assert mentions_of(here, person) == [], (asked, beside)
    again = run(here, "run", "--as-of", tomorrow, "--force")
    assert again.returncode in (0, 10), again.stderr
    assert mentions_of(here, person) == [], (asked, beside)
