"""An order history larger than the engine's memory: ``python -m benchmarks.order_lines [LINES]``.

Writes Parquet files of order lines (five to an order, five orders to a customer; one line in a
hundred twice, one in fifty without a customer), reads them as orders on two threads with the
engine limited to 4 GB, and prints seconds, the process's peak memory and where the lines went.
"""

import resource
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import duckdb

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders

LINES, FILES, LIMIT = 50_000_000, 10, "4GB"
COLUMNS = {"order_id": "Invoice", "customer_id": "Customer", "ordered_at": "Day"}
LINE = """
SELECT 'I' || order_number AS Invoice,
    CASE WHEN hash(order_number, 1) % 50 > 0 THEN 'C' || hash(order_number, 2) % {customers} END AS Customer,
    TIMESTAMP '2023-07-01' + to_minutes((hash(order_number, 3) % 1576800)::BIGINT) AS Day,
    (1 + hash(line, 4) % 5)::BIGINT AS quantity,
    (100 + hash(line, 5) % 5000) / 100.0 AS unit_price,
    'P' || hash(line, 6) % 1000 AS product_id
FROM (SELECT range - (range % 100 = 0)::BIGINT AS line, line // 5 AS order_number
      FROM range({first}, {last}))
"""


def write(lines: int, folder: Path) -> None:
    """Write the order lines."""
    per_file = lines // FILES
    with duckdb.connect() as connection:
        for i in range(FILES):
            one = LINE.format(
                customers=max(lines // 25, 1), first=i * per_file, last=(i + 1) * per_file
            )
            connection.execute(f"COPY ({one}) TO '{folder}/lines{i}.parquet'")


def main() -> int:
    """Write, read, print."""
    lines = int(sys.argv[1]) if sys.argv[1:] else LINES
    with TemporaryDirectory() as scratch:
        source, built = Path(scratch) / "source", Path(scratch) / "built"
        source.mkdir()
        write(lines, source)
        begun = perf_counter()
        with open_engine("UTC", memory_limit=LIMIT, scratch=Path(scratch) / "spilled") as engine:
            history = read_orders(
                engine, OrderSource(str(source), COLUMNS), date(2026, 7, 1), built
            )
        seconds = perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"{lines:,} order lines in {seconds:.0f} s, at most {peak:.1f} GB, engine within {LIMIT}"
    )
    print(asdict(history.accounting))
    return 0


if __name__ == "__main__":
    sys.exit(main())
