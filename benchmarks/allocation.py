"""Whom a budget goes to, a million customers at once: ``python -m benchmarks.allocation [CUSTOMERS]``.

Four actions and nothing; beside a full sort of the same upgrades with pandas and, on few customers,
beside scipy's exact solver. Each run is a process of its own, in turn; drawing customers is not counted.
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
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, eye_array, kron

from segments.allocation import allocate

CUSTOMERS, RUNS, FEW = 1_000_000, 5, 400
COSTS = np.array([0.0, 0.3, 2.0, 6.0, 12.0])
EFFECTS = np.array([0.0, 0.02, 0.08, 0.18, 0.25])
CAPS = np.array([np.inf, np.inf, 0.05, 0.03, 0.01])  # share of the customers
BUDGETS = {"tight": 0.3, "ample": 1.0, "endless": 1_000.0}  # per customer
Array = NDArray[np.float64]
Rows = NDArray[np.intp]


def gains_of(customers: int, seed: int = 1) -> Array:
    """Draw net gains, shape (customers, 5)."""
    rng = np.random.default_rng(seed)
    margin = rng.gamma(1, 60, (customers, 1))
    gains = margin * EFFECTS * rng.uniform(0.5, 1.5, (customers, len(COSTS))) - COSTS
    gains[:, 0] = 0
    return np.asarray(gains)


def plain(gains: Array, budget: float) -> Rows:
    """Sort all upgrades by gain per unit and take them until the budget is spent, as a script would."""
    n, k = gains.shape
    rows, at, steps = np.arange(n), np.zeros(n, dtype=np.intp), []
    for _ in range(k - 1):
        extra = COSTS[None, :] - COSTS[at][:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(extra > 0, (gains - gains[rows, at][:, None]) / extra, -np.inf)
        best = np.argmax(slope, axis=1)
        worth = slope[rows, best] > 0
        columns = (rows, best, slope[rows, best], extra[rows, best])
        steps.append(
            pd.DataFrame(
                dict(
                    zip(
                        ("customer", "option", "slope", "extra"),
                        [c[worth] for c in columns],
                        strict=True,
                    )
                )
            )
        )
        at = np.where(worth, best, at)
    frame = pd.concat(steps).sort_values("slope", ascending=False, kind="stable")
    taken = frame[frame["extra"].cumsum() <= budget].groupby("customer")["option"].max()
    choice = np.zeros(n, dtype=np.intp)
    choice[taken.index] = taken.to_numpy()
    return choice


def optimum(gains: Array, budget: float, caps: Array) -> float:
    """Solve it by branch and cut, to one ten-thousandth."""
    n, k = gains.shape
    counts = kron(np.ones((1, n)), eye_array(k))
    solution = milp(
        -gains.ravel(),
        constraints=[
            LinearConstraint(kron(eye_array(n), np.ones((1, k))), 1, 1),
            LinearConstraint(csr_array(np.tile(COSTS, n)[None]), -np.inf, budget),
            LinearConstraint(counts, -np.inf, np.minimum(caps, n)),
        ],
        bounds=Bounds(0, 1),
        integrality=np.ones(n * k),
        options={"mip_rel_gap": 1e-4},
    )
    return float(-solution.fun)


def run_one(who: str, budget: float, customers: int) -> dict[str, float]:
    """Allocate once; seconds, peak memory and what was gained."""
    gains = gains_of(customers)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    started = time.perf_counter()
    if who == "plain":
        choice = plain(gains, budget * customers)
    else:
        caps = np.floor(CAPS * customers) if who == "capped" else None
        choice = allocate(gains, COSTS, budget * customers, caps=caps)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    gain = float(gains[np.arange(customers), choice].sum())
    return {"seconds": seconds, "gigabytes": peak, "before": before, "gain": gain}


def compare_speed(customers: int) -> None:
    """Print medians and spread of each side at each budget."""
    print(f"{customers:,} customers, {len(COSTS) - 1} actions, median of {RUNS} runs in turn")
    for name, budget in BUDGETS.items():
        actual: dict[str, list[dict[str, float]]] = {"ours": [], "plain": [], "capped": []}
        for _ in range(RUNS):
            for who, runs in actual.items():
                command = [sys.executable, "-m", "benchmarks.allocation", str(customers), who]
                done = subprocess.run(
                    [*command, str(budget)], capture_output=True, text=True, check=True
                )
                runs.append(json.loads(done.stdout))
        for who, runs in actual.items():
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            spread = [run["seconds"] for run in runs]
            print(
                f"  {name:<8} {who:<7}{middle['seconds']:6.2f} s ({min(spread):.2f} to {max(spread):.2f})"
                f"{middle['gigabytes']:6.2f} GB ({middle['before']:.2f} before)   gain {middle['gain']:,.0f}",
                flush=True,
            )


def compare_gain() -> None:
    """Print how far from the exact optimum the choice for few customers is."""
    print(f"{FEW} customers, share of scipy's exact optimum that is missed, 10 draws")
    for name, caps in (("no caps", np.full(5, np.inf)), ("caps", np.floor(CAPS * FEW))):
        missed = []
        for seed in range(10):
            gains, budget = gains_of(FEW, seed), FEW * (0.1 + 0.1 * seed)
            choice = allocate(gains, COSTS, budget, caps=caps)
            gained = float(gains[np.arange(FEW), choice].sum())
            missed.append(1 - gained / optimum(gains, budget, caps))
        print(f"  {name:<8} median {statistics.median(missed):.3%}, most {max(missed):.3%}")


def main() -> int:
    """Print both comparisons."""
    customers = int(sys.argv[1]) if sys.argv[1:] else CUSTOMERS
    if sys.argv[2:]:
        print(json.dumps(run_one(sys.argv[2], float(sys.argv[3]), customers)))
        return 0
    compare_speed(customers)
    compare_gain()
    return 0


if __name__ == "__main__":
    sys.exit(main())
