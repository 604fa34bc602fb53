"""A small shop on disk, and the command line in this process."""

import functools
import json
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FIRST_DAY = date(2023, 1, 1)
AS_OF = date(2024, 6, 30)

SETTINGS = """
[store]
name = "Tiny Teas"
currency = "EUR"
timezone = "Europe/Berlin"
margin = 0.5
[orders]
source = "orders.csv"
[model]
backtest_cutoffs = 1
[investment]
budget = 200.0
"""

# For tests of what is around a model: training takes half as long.
PLAIN = SETTINGS.replace("[model]", "[model]\nstacking = false")


def make_orders(customers: int = 400, seed: int = 1) -> pd.DataFrame:
    """Orders of customers who buy at random and leave at random, over two years."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        day = int(rng.integers(0, 500))
        rate, leave = rng.gamma(0.8, 1 / 40), rng.beta(0.8, 2.5)
        mean = rng.gamma(5, 6)
        while day < 730:
            rows.append((f"c{customer:04}", day, round(rng.gamma(4, mean / 4) + 0.01, 2)))
            if rng.random() < leave:
                break
            day += 1 + int(rng.exponential(1 / rate))
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "net_amount"])
    frame["ordered_at"] = [(FIRST_DAY + timedelta(days=d)).isoformat() for d in frame["day"]]
    frame["order_id"] = [f"o{i}" for i in range(len(frame))]
    return frame.drop(columns="day")


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.out)
        return record


@functools.cache
def _migrated_database() -> Path:
    """Make MLflow's tables once: each migration takes four seconds."""
    import mlflow  # takes seconds

    path = Path(tempfile.mkdtemp()) / "mlflow.db"
    uri = f"sqlite:///{path}"
    mlflow.MlflowClient(uri, uri).search_experiments()
    return path


def write_tracking(folder: Path) -> None:
    """Write an empty MLflow store into a home."""
    (folder / "mlruns").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_migrated_database(), folder / "mlruns" / "mlflow.db")


def write_shop(folder: Path, orders: pd.DataFrame | None = None, settings: str = SETTINGS) -> Path:
    """Write a shop's settings and orders, and an empty MLflow store; return the settings' file."""
    write_tracking(folder)
    (make_orders() if orders is None else orders).to_csv(folder / "orders.csv", index=False)
    config = folder / "perennial.toml"
    config.write_text(settings)
    return config
