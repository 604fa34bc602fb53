"""A store of sixty people, trained in seconds, whose orders name them in every way."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd

from perennial.simulation import simulate
from tests.shops import write_tracking

AS_OF = date(2025, 6, 30)
ODD = [
    "=1+cmd",
    "+49 170 555",
    "o'neil",
    "a,b",
    'q"uote',
    "ünï çødé",
    "@home",
    "-7x",
    "tab\tbed",
    " spaced ",
]
SETTINGS = """
[orders]
source = "export/*.csv"
[orders.columns]
customer_id = "user"
email = "mail"
phone = "tel"
net_amount = "amount"
ordered_at = "day"
[tables]
customers = "customers.csv"
[model]
stacking = false
backtest_cutoffs = 1
"""
COMMAND = [sys.executable, "-P", "-m", "perennial.cli.main"]


def write_home(home: Path) -> pd.DataFrame:
    """Write a store whose people have e-mails and phone numbers in its orders; return who they are."""
    orders = simulate(60, date(2024, 1, 1), date(2025, 7, 1), 3, "coffee").orders.to_pandas()
    ids = sorted(orders["customer_id"].unique())
    odd = dict(zip(ids[:: len(ids) // len(ODD)], ODD, strict=False))
    people = pd.DataFrame({"user": [odd.get(one, one) for one in ids]}, index=ids)
    people["mail"] = [f"person{i}.o'x@example.com" for i in range(len(ids))]
    people["tel"] = [f"+49 170 {1000000 + i}" for i in range(len(ids))]
    people["second"] = [f"other{i}@example.org" for i in range(len(ids))]  # in the shop's table
    rows = orders[["order_id", "customer_id", "ordered_at", "net_amount"]]
    rows = rows.rename(columns={"net_amount": "amount", "ordered_at": "day"})
    rows["day"] = rows["day"].dt.strftime("%Y-%m-%d %H:%M:%S")
    rows = rows.join(people[["user", "mail", "tel"]], on="customer_id").drop(columns="customer_id")
    rows["remark"] = ""
    (home / "export").mkdir(parents=True)
    rows.to_csv(home / "export" / "orders.csv", index=False)
    table = pd.DataFrame({"customer_id": people["user"].str.strip(), "email": people["second"]})
    table.to_csv(home / "customers.csv", index=False)
    (home / "perennial.toml").write_text(SETTINGS)
    write_tracking(home)
    return people.reset_index(drop=True)


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, words[0], "--config", str(home / "perennial.toml"), *words[1:]],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
