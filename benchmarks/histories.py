"""Order histories of any size, from the simulated store: ``python -m benchmarks.histories CUSTOMERS FOLDER``.

A coffee store whose customers stay longer and buy more at once: five orders to a customer, 2.3
lines to an order. Written in pieces, so ten million customers need the memory of a few.
"""

import sys
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from perennial.simulation import PROFILES, expected_customers, simulate_pieces

START, END = date(2023, 7, 1), date(2026, 7, 1)
AS_OF = END - timedelta(days=1)
STORE = replace(PROFILES["coffee"], name="busy coffee", b=3.5, mean_spend=90.0)
WITH_FRIENDS = 1.127  # customers for each who came unreferred
ORDER_COLUMNS = ["order_id", "customer_id", "ordered_at", "net_amount", "discount_amount"]


@dataclass(frozen=True)
class Sizes:
    """What a history holds."""

    customers: int
    orders: int
    lines: int

    def __str__(self) -> str:
        return f"{self.customers:,} customers, {self.orders:,} orders, {self.lines:,} order lines"


def write_history(customers: int, folder: Path) -> Sizes:
    """Write ``orders.parquet`` and ``order_lines.parquet`` of about so many customers, unless they are there."""
    orders, lines = folder / "orders.parquet", folder / "order_lines.parquet"
    if not orders.exists():
        _simulate(customers, folder)
    return Sizes(
        _customers(orders), *(pq.read_metadata(path).num_rows for path in (orders, lines))
    )


def _simulate(customers: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    a_year = round(customers / (WITH_FRIENDS * expected_customers(1, START, END, STORE)))
    kept = [folder / f"{name}.parquet" for name in ("orders", "order_lines")]
    drafts = [path.with_suffix(".draft") for path in kept]
    writers: list[pq.ParquetWriter] = []
    for world in simulate_pieces(a_year, START, END, 1, STORE):
        tables = (world.orders.select(ORDER_COLUMNS), world.order_lines)
        if not writers:
            pairs = zip(drafts, tables, strict=True)
            writers = [pq.ParquetWriter(path, table.schema) for path, table in pairs]
        for writer, table in zip(writers, tables, strict=True):
            writer.write_table(table)
    for writer in writers:
        writer.close()
    for draft, path in zip(drafts, kept, strict=True):
        draft.rename(path)


def _customers(orders: Path) -> int:
    """Count the customers, a part at a time."""
    import duckdb

    actual = duckdb.read_parquet(str(orders)).aggregate("count(DISTINCT customer_id)").fetchone()
    return int(actual[0]) if actual else 0


if __name__ == "__main__":
    print(write_history(int(sys.argv[1]), Path(sys.argv[2])))
