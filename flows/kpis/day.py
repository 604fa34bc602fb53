"""What the measures of a day are made of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd

from connectors.engine import Engine
from connectors.optional import read_table
from connectors.orders import History
from features import journeys, products
from flows.prepare import engine_for
from flows.settings import Settings


@dataclass(frozen=True)
class Day:
    """What the measures are made of."""

    settings: Settings
    engine: Engine
    as_of: date
    orders: ir.Table
    journeys: ir.Table
    customers: ir.Table
    lines: ir.Table | None
    tables: dict[str, ir.Table]

    @property
    def least(self) -> int:
        """Customers below whom a rate is not said."""
        return self.settings.kpis.least_customers

    @cached_property
    def baskets(self) -> ir.Table | None:
        """What was bought by customer, day and product; None where there are no order lines."""
        if self.lines is None:
            return None
        return self.engine.keep(products.baskets(self.lines, self.orders, self.as_of), "baskets")

    def fetch(self, table: ir.Table) -> pd.DataFrame:
        """Compute a small table."""
        return self.engine.frame(table)


@contextmanager
def opened(settings: Settings, history: History, as_of: date, work: Path) -> Iterator[Day]:
    """Open what the measures are made of: purchases in order, customers, and the tables there are."""
    with engine_for(settings, work) as engine:
        orders = engine.parquet(history.orders)
        found = engine.keep(journeys.journeys(orders, as_of), "journeys")
        given = {k: v for k, v in settings.optional_tables.items() if k != "order_lines"}
        tables = {
            name: engine.parquet(read_table(engine, name, where, as_of, work / "kpis").path)
            for name, where in given.items()
        }
        lines = None if history.order_lines is None else engine.parquet(history.order_lines)
        known = engine.keep(products.customers(found, as_of), "journey_customers")
        yield Day(settings, engine, as_of, orders, found, known, lines, tables)
