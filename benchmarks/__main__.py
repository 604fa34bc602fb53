"""Speed and memory beside the script that a user would write: pandas and lifetimes on raw rows.

Both start from the same Parquet file of orders and end with every customer's expected value; each
runs in a process of its own, in turn, and the median counts. ``python -m benchmarks [CUSTOMERS]``
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

AS_OF = date(2024, 12, 31)
ROUNDS = 3
HORIZON_DAYS = 365


def write_orders(path: Path, customers: int) -> int:
    """Write orders of customers who buy and leave at random over two years; return how many."""
    rng = np.random.default_rng(0)
    rate, leave = rng.gamma(0.8, 1 / 30, customers), rng.beta(0.8, 2.5, customers)
    mean = rng.gamma(5, 6, customers)
    now, who, parts = rng.integers(0, 500, customers).astype(float), np.arange(customers), []
    while len(who):
        parts.append((who, now[who]))
        who = who[rng.random(len(who)) >= leave[who]]
        now[who] += 1 + rng.exponential(1 / rate[who])
        who = who[now[who] < 730]
    customer, day = (np.concatenate(column) for column in zip(*parts, strict=True))
    pd.DataFrame(
        {
            "order_id": np.arange(len(customer)).astype(str),
            "customer_id": customer.astype(str),
            "ordered_at": pd.Timestamp("2023-01-01") + pd.to_timedelta(day.astype(int), unit="D"),
            "net_amount": np.round(rng.gamma(4, mean[customer] / 4) + 0.01, 2),
        }
    ).to_parquet(path, index=False)
    return len(customer)


def ours(path: Path) -> None:
    """Import with every rule, state, fits on grouped states, forecast."""
    from connectors.engine import open_engine
    from connectors.orders import OrderSource, read_orders
    from features.rfm import customer_state, spend_cells, state_cells
    from models.purchases import fit_purchases
    from models.spend import fit_spend
    from models.value import forecast

    with open_engine() as engine:
        history = read_orders(engine, OrderSource(str(path)), AS_OF, path.parent / "ours")
        state = engine.keep(customer_state(engine.parquet(history.orders), AS_OF), "state")
        cells, spends = engine.frame(state_cells(state)), engine.frame(spend_cells(state))
        customers = engine.frame(state)
    purchases = fit_purchases(*(cells[c] for c in cells.columns)).model
    spend = fit_spend(*(spends[c] for c in spends.columns)).model
    columns = ("frequency", "recency_days", "age_days", "monetary_value")
    forecast(
        purchases,
        spend,
        *(customers[c] for c in columns),
        horizon_days=HORIZON_DAYS,
        annual_discount_rate=0.1,
    )


def script(path: Path) -> None:
    """Do the same with lifetimes on raw rows, as its documentation does."""
    from lifetimes import BetaGeoFitter, GammaGammaFitter
    from lifetimes.utils import summary_data_from_transaction_data

    frame = summary_data_from_transaction_data(
        pd.read_parquet(path),
        "customer_id",
        "ordered_at",
        "net_amount",
        observation_period_end=pd.Timestamp(AS_OF),
    )
    history = (frame["frequency"], frame["recency"], frame["T"])
    purchases = BetaGeoFitter().fit(*history)
    repeat = frame[(frame["frequency"] > 0) & (frame["monetary_value"] > 0)]
    spend = GammaGammaFitter().fit(repeat["frequency"], repeat["monetary_value"])
    purchases.conditional_probability_alive(*history)
    purchases.conditional_expected_number_of_purchases_up_to_time(HORIZON_DAYS, *history)
    spend.customer_lifetime_value(
        purchases, *history, frame["monetary_value"], time=12, discount_rate=0.008, freq="D"
    )


def measure(name: str, path: Path) -> dict[str, float]:
    """Run one side in a process of its own; return its seconds and peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks", name, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print both sides and their ratio."""
    if len(sys.argv) > 2:
        started = time.perf_counter()
        {"ours": ours, "script": script}[sys.argv[1]](Path(sys.argv[2]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": time.perf_counter() - started, "megabytes": peak}))
        return
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.parquet"
        print(
            f"{customers:,} customers, {write_orders(path, customers):,} orders, {ROUNDS} rounds"
        )
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "script": []}
        for _ in range(ROUNDS):
            for name, found in runs.items():
                found.append(measure(name, path))
    medians = {
        name: {k: statistics.median(run[k] for run in found) for k in ("seconds", "megabytes")}
        for name, found in runs.items()
    }
    for name, found in runs.items():
        seconds = sorted(run["seconds"] for run in found)
        print(
            f"{name:<7}{medians[name]['seconds']:7.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f})"
            f"{medians[name]['megabytes']:8.0f} MB"
        )
    ratio = medians["script"]["seconds"] / medians["ours"]["seconds"]
    print(f"lifetimes script / ours: {ratio:.1f} times the time")


if __name__ == "__main__":
    main()
