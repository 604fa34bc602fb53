"""Speed and memory beside the peers and the engine's own limit: ``python -m benchmarks [--full]``.

Every side runs in a process of its own, imports and all, in turn; the median counts. Prints a table
for each size and writes it to ``docs/benchmarks.md``, where figures of sizes not run now stay.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.histories import write_history

DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
SMALL, FULL = (10_000, 100_000), (10_000, 100_000, 1_000_000, 10_000_000)
LARGEST_OF = {"lifetimes": 1_000_000, "pandas": 1_000_000, "pymc": 10_000} | dict.fromkeys(
    ("learned", "night", "learned_night"), 1_000_000
)
ROUNDS, FEW = 3, 1  # of ten million, one round
TITLES = {
    "engine": "bare engine: DuckDB scans, groups, writes",
    "pandas": "plain pandas: recency, frequency, money",
    "lifetimes": "lifetimes: summary, fits, value",
    "pymc": "pymc-marketing: the same, MAP",
    "perennial": "**Perennial**: orders to published scores, fits included",
    "learned": "Perennial: the same with a learned champion, training apart",
    "night": "Perennial: a whole night, training apart",
    "learned_night": "Perennial: a whole night, learned champion",
}


@dataclass(frozen=True)
class Runs:
    """One side's runs."""

    side: str
    seconds: list[float]
    gigabytes: float
    steps: dict[str, float]

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)


def run_once(side: str, folder: Path) -> dict[str, Any]:
    """Run one side in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.sides", side, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-2000:]}")
    record: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return record


def compare(customers: int, sides: list[str], rounds: int, folder: Path) -> list[Runs]:
    """Run every side in turn, some rounds."""
    actual: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for number in range(rounds):
        for side, runs in actual.items():
            runs.append(run_once(side, folder))
            text = f"{runs[-1]['seconds']:.2f} s, {runs[-1]['gigabytes']:.2f} GB"
            print(f"  {customers:,} round {number + 1} {side}: {text}", flush=True)
    return [
        Runs(
            side,
            [run["seconds"] for run in runs],
            max(run["gigabytes"] for run in runs),
            runs[0]["steps"] | runs[-1]["steps"],
        )
        for side, runs in actual.items()
    ]


def table(sizes: str, runs: list[Runs], rounds: int) -> Iterator[str]:
    """Yield a Markdown table of one size."""
    medians = {run.side: run.median for run in runs}
    yield f"{sizes}; median of {rounds}, {date.today():%B %Y}:"  # noqa: DTZ011  # a date for people
    yield ""
    yield "| side | seconds | least to most | peak GB | over engine | lifetimes over it |"
    yield "|---|--:|--:|--:|--:|--:|"
    for run in runs:
        script = medians.get("lifetimes")
        ratio = "" if script is None else f"{script / run.median:.2f}"
        yield (
            f"| {TITLES[run.side]} | {run.median:.2f} | {min(run.seconds):.2f} to {max(run.seconds):.2f} "
            f"| {run.gigabytes:.2f} | {run.median / medians['engine']:.2f} | {ratio} |"
        )
    for run in runs:
        if run.steps:
            result = ", ".join(f"{name} {seconds:g}" for name, seconds in run.steps.items())
            yield ""
            yield f"{run.side}, last round, seconds: {result}."


def write_section(customers: int, lines: list[str]) -> None:
    """Put a size's table between its marks, in place of the one before."""
    begin, end = f"<!-- {customers} -->", f"<!-- /{customers} -->"
    section = "\n".join([begin, "", *lines, "", end])
    text = DOCS.read_text()
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(text):
        text = text.rstrip() + "\n\n" + section + "\n"
    DOCS.write_text(pattern.sub(lambda _: section, text))


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="up to ten million customers")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of customers")
    parser.add_argument("--sides", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--keep", type=Path, help="folder for the order histories, used again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for customers in given.sizes or (FULL if given.full else SMALL):
            folder = (given.keep or Path(scratch)) / str(customers)
            command = [sys.executable, "-m", "benchmarks.histories", str(customers), str(folder)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # memory of its own
            sizes = write_history(customers, folder)
            print(sizes, flush=True)
            sides = [side for side in given.sides if customers <= LARGEST_OF.get(side, customers)]
            if find_spec("pymc_marketing") is None and "pymc" in sides:
                print("  pymc-marketing is not installed: pip install 'perennial[bench]'")
                sides.remove("pymc")
            rounds = given.rounds or (ROUNDS if customers < max(FULL) else FEW)
            lines = list(table(str(sizes), compare(customers, sides, rounds, folder), rounds))
            print("\n".join(lines), flush=True)
            write_section(customers, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
