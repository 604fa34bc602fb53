"""Plant faults in models/ and segments/, and count those that the tests find. ``make mutation`` does it.

Each fault is one small change of the code (mutmut's): another operator, number, argument or word. One
that no test finds either matters to nobody, a message's wording for instance, or shows where a test is
lacking. What was tried is kept in ``mutants/``; the same again goes on where it was stopped.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).parents[1]
SAMPLE = ("segments.holdout*", "segments.allocation*", "models.value*", "models.lift.average*")
FOUND = ("killed", "timeout", "suspicious", "caught by type check")
LOST = ("survived", "no tests")


def plant(names: Sequence[str], minutes: float) -> None:
    """Try the faults of the functions that are named, quick ones first, for so long at most."""
    command = [sys.executable, "-m", "mutmut", "run", *names]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        if run.wait(60 * minutes):
            sys.exit(f"make mutation: mutmut ended with {run.returncode}")
    except subprocess.TimeoutExpired:
        print(f"\nmake mutation: stopped after {minutes:g} minutes", flush=True)
    finally:
        if run.poll() is None:  # with the tests that it started; what was tried is written down
            os.killpg(run.pid, signal.SIGTERM)
            run.wait()


def count(names: Sequence[str], mutants: Path = ROOT / "mutants") -> dict[str, Counter[str]]:
    """Return by module how many faults were found, lost, and not tried."""
    counts = {}
    for file in sorted(mutants.glob("**/*.meta")):
        outcomes = json.loads(file.read_text())["exit_code_by_key"]
        by_outcome = Counter(
            status_by_exit_code[code]
            for fault, code in outcomes.items()
            if any(fnmatch(fault, name) for name in names)
        )
        if by_outcome:
            counts[str(file.relative_to(mutants).with_suffix(""))] = by_outcome
    return counts


def table(counts: dict[str, Counter[str]]) -> str:
    """Return the counts as Markdown, with the share that was found of those tried."""
    everything = sum(counts.values(), Counter[str]())
    lines = ["| module | faults tried | found | share |\n|---|--:|--:|--:|\n"]
    for module, outcomes in (*counts.items(), ("all", everything)):
        killed, lost = sum(outcomes[one] for one in FOUND), sum(outcomes[one] for one in LOST)
        share = f"{killed / (killed + lost):.1%}" if killed + lost else ""
        lines.append(f"| {module} | {killed + lost:,} | {killed:,} | {share} |\n")
    left = everything.total() - sum(everything[one] for one in (*FOUND, *LOST))
    return "".join(lines) + (f"\nNot tried in the time: {left:,}\n" if left else "")


def main() -> None:
    """Plant, count and tell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=SAMPLE, help="functions, as mutmut names them")
    parser.add_argument("--minutes", type=float, default=60)
    asked = parser.parse_args()
    plant(asked.names, asked.minutes)
    print(table(count(asked.names)), end="")


if __name__ == "__main__":
    main()
