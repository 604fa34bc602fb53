"""How fast the budget is spent: ``python -m benchmarks.allocation``.

A million customers with four actions and nothing, each run in a process of its own, beside a plain
greedy that sorts every upgrade with pandas.
"""

import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segments.allocation import allocate

CUSTOMERS, RUNS = 1_000_000, 5
COSTS = np.array([0.0, 0.3, 2.0, 6.0, 12.0])
EFFECTS = np.array([0.0, 0.02, 0.08, 0.18, 0.25])
BUDGETS = {"one in twenty": 300_000.0, "everybody": 1e9}
Array = NDArray[np.float64]


def gains_of(customers: int) -> Array:
    """Draw net gains, shape (customers, 5)."""
    rng = np.random.default_rng(1)
    margin = rng.gamma(1, 60, (customers, 1))
    gains = margin * EFFECTS * rng.uniform(0.5, 1.5, (customers, len(COSTS))) - COSTS
    gains[:, 0] = 0
    return np.asarray(gains)


def plain(gains: Array, budget: float) -> NDArray[np.int64]:
    """Fund single actions by gain per cost, as a notebook would: no upgrades, everything sorted."""
    rows = pd.DataFrame(
        {
            "customer": np.repeat(np.arange(len(gains)), len(COSTS) - 1),
            "option": np.tile(np.arange(1, len(COSTS)), len(gains)),
            "gain": gains[:, 1:].ravel(),
            "cost": np.tile(COSTS[1:], len(gains)),
        }
    )
    rows = rows[rows["gain"] > 0]
    rows = rows.assign(back=rows["gain"] / rows["cost"]).sort_values("back", ascending=False)
    rows = rows.drop_duplicates("customer")
    taken = rows[rows["cost"].cumsum() <= budget]
    chosen = np.zeros(len(gains), dtype=np.int64)
    chosen[taken["customer"]] = taken["option"]
    return chosen


def run_one(who: str, budget: float) -> dict[str, float]:
    """Allocate once; seconds, peak memory and what was gained."""
    gains = gains_of(CUSTOMERS)
    started = time.perf_counter()
    chosen = allocate(gains, COSTS, budget) if who == "ours" else plain(gains, budget)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {
        "seconds": seconds,
        "gigabytes": peak,
        "gain": float(gains[np.arange(len(gains)), chosen].sum()),
    }


def main() -> None:
    """Print the medians."""
    if len(sys.argv) > 1:
        print(json.dumps(run_one(sys.argv[1], float(sys.argv[2]))))
        return
    print(f"{CUSTOMERS:,} customers, {len(COSTS) - 1} actions, median of {RUNS} runs in turn")
    for name, budget in BUDGETS.items():
        found: dict[str, list[dict[str, float]]] = {"ours": [], "plain": []}
        for _ in range(RUNS):
            for who, runs in found.items():
                command = [sys.executable, "-m", "benchmarks.allocation", who, str(budget)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                runs.append(json.loads(done.stdout))
        medians = {
            who: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            for who, runs in found.items()
        }
        for who, values in medians.items():
            spread = [run["seconds"] for run in found[who]]
            print(
                f"{name:<14} {who:<6} {values['seconds']:.2f} s ({min(spread):.2f} to {max(spread):.2f}), "
                f"{values['gigabytes']:.2f} GB, gain {values['gain']:,.0f}"
            )
        ratio = medians["plain"]["seconds"] / medians["ours"]["seconds"]
        print(f"{name:<14} plain takes {ratio:.1f} times as long")


if __name__ == "__main__":
    main()
