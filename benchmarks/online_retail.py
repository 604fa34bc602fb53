"""UCI's Online Retail history through the plain preset: ``python -m benchmarks.online_retail``.

Writes ``docs/online-retail.md``. The file ``online_retail_2010_2011.parquet`` is looked for under
``$PERENNIAL_DATA/online_retail``; it is https://archive.ics.uci.edu/dataset/352/online+retail as
Parquet (Chen, Sain & Guo 2012, CC BY 4.0).
"""

import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import History, read_orders
from features.rfm import customer_state

FILE = "online_retail/online_retail_2010_2011.parquet"
ZONE, LAST_DAY = "Europe/London", date(2011, 12, 9)
COLUMNS = {
    "order_id": "InvoiceNo",
    "customer_id": "CustomerID",
    "ordered_at": "InvoiceDate",
    "quantity": "Quantity",
    "unit_price": "UnitPrice",
    "product_id": "StockCode",
    "product_name": "Description",
}


@dataclass(frozen=True)
class Found:
    """What came of the file as of a day: where every row went, orders and refunds, customers."""

    history: History
    orders: int
    refunds: int
    customers: int
    one_time: int


def data_file() -> Path:
    """Return where the file should be."""
    return Path(os.environ.get("PERENNIAL_DATA", "../shared/data")) / FILE


def read(location: str, as_of: date, folder: Path) -> Found:
    """Read the history as known at the end of a day."""
    with open_engine(ZONE) as engine:
        source = OrderSource(location, COLUMNS, currency="GBP")
        history = read_orders(engine, source, as_of, folder)
        state = engine.frame(customer_state(engine.parquet(history.orders), as_of))
    amounts = pq.read_table(history.orders, columns=["net_amount"])["net_amount"].to_numpy()
    one_time = int((state["frequency"] == 0).sum())
    return Found(history, int((amounts > 0).sum()), int((amounts < 0).sum()), len(state), one_time)


def page(actual: Found) -> str:
    """Return the counts as Markdown."""
    record: dict[str, Any] = asdict(actual.history.accounting)
    merged, rejected = record["merged"], record["rejected"]
    rows = [
        ("order lines in the file", record["rows_in"]),
        ("= orders kept, one row each", record["orders"]),
        ("+ further lines, summed to their orders", merged["lines_summed"]),
        ("+ exact duplicates of a line, merged", merged["exact_duplicates"]),
        ("+ lines of canceled invoices, netted on their day", merged["refunds_netted"]),
        *((f"+ rejected: {rule.replace('_', ' ')}", count) for rule, count in rejected.items()),
        ("canceled invoices netted", actual.refunds),
        ("customers with a purchase", actual.customers),
        ("of them with one purchase day", actual.one_time),
    ]
    table = "".join(f"| {what} | {count:,} |\n" for what, count in rows)
    warnings = "".join(f"- {warning}\n" for warning in actual.history.quality.warnings)
    return (
        "# UCI Online Retail, line by line\n\n"
        "Written by `make online-retail` from the 541,909 order lines of a British gift shop, December "
        "2010 to December 2011 ([source](https://archive.ics.uci.edu/dataset/352/online+retail), Chen, "
        "Sain & Guo 2012, CC BY 4.0), read through the `plain` preset. The file has 5,268 exact "
        "duplicate lines; those that are not merged below have no customer and are rejected for that.\n\n"
        f"| | |\n|---|--:|\n{table}\nWhat the import says of the history:\n\n{warnings}"
    )


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        actual = read(str(data_file()), LAST_DAY, Path(folder))
        Path("docs/online-retail.md").write_text(page(actual))


if __name__ == "__main__":
    main()
