"""The whole way on an order history that everybody has: a real one, or a simulated store.

CDNOW was an online music store: the purchases of the 23,570 customers who first bought in January
to March 1997, up to June 1998. The file ships inside the `lifetimes` package and is found without
importing it.

References
----------
.. [1] Fader & Hardie (2001), Forecasting Repeat Sales at CDNOW: A Case Study, Interfaces 31(3).
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.metadata import files
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.store import Store
from features.tables import DataError
from perennial.cli.terminal import progress_bar
from perennial.pipeline.publishing.records import read_record

if TYPE_CHECKING:
    from perennial.cli.simulate import Simulation

STORE = "CDNOW"
AS_OF = date(1998, 6, 30)
SETTINGS = """\
# Written by `perennial demo`. Try: perennial backtest --config {path}
[store]
name = "CDNOW"
currency = "USD"
timezone = "America/New_York"

[orders]
source = "orders.csv"
keep_zero_amount = false   # 80 orders of no value are left out

[paths]
home = "{home}"
"""


@dataclass(frozen=True)
class Demo:
    """An order history to show: the settings that read it, and the day to score."""

    config: Path
    as_of: date


def write_cdnow(home: Path) -> Demo:
    """Write CDNOW's orders and the settings that read them.

    Parameters
    ----------
    home
        Folder that the demo publishes in.

    Raises
    ------
    DataError
        The folder publishes another store, whose page the demo would replace.
    """
    current = Store(home / "exports").current()
    if current is not None and read_record(current).store != STORE:
        raise DataError(
            f"the demo publishes in a folder of its own: {home / 'exports'} has another store's days. "
            "Choose an empty one with --home"
        )
    folder = home / "demo" / "cdnow"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "orders.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["order_id", "customer_id", "ordered_at", "net_amount"])
        writer.writerows(_cdnow_orders())
    config = folder / "perennial.toml"
    config.write_text(SETTINGS.format(path=config, home="../.."))
    return Demo(config, AS_OF)


def write_store(home: Path, asked: "Simulation") -> Demo:
    """Simulate a store into the folder that the demo publishes in.

    Raises
    ------
    SettingsError
        Impossible arguments, or a folder that has something else.
    """
    from perennial.cli.simulate import (  # the simulation takes a second to import
        CONFIG,
        write_simulation,
    )

    with progress_bar("simulate") as progress:
        write_simulation(asked, home, progress)
    return Demo(home / CONFIG, asked.last_day)


def _cdnow_orders() -> Iterator[tuple[str, str, str, str]]:
    """Yield order number, customer, day and dollar value of each line of the master file."""
    shipped = files("lifetimes") or []
    path = next(Path(str(f.locate())) for f in shipped if f.name == "CDNOW_master.txt")
    with path.open() as lines:
        next(lines)  # the header
        for number, line in enumerate(lines, start=1):
            customer, day, _, dollars = line.split()
            yield f"{number:05}", customer, f"{day[:4]}-{day[4:6]}-{day[6:]}", dollars
