"""What the measures of a day are made of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import ibis.expr.types as ir
import pandas as pd

from connectors.engine import Engine
from connectors.optional import read_table
from connectors.orders import History
from features import journeys, products
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.settings.decisions import KpiSettings
from reports.measures import products as bought

MOST_PRODUCTS = 100  # of which cycles are estimated


@dataclass(frozen=True)
class Day:
    """What the measures are made of."""

    settings: KpiSettings
    ahead_days: int
    margin: float
    engine: Engine
    as_of: date
    orders: ir.Table
    journeys: ir.Table
    customers: ir.Table
    lines: ir.Table | None
    tables: dict[str, ir.Table]
    _cycles: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def least(self) -> int:
        """Customers below whom a rate is not said."""
        return self.settings.least_customers

    @cached_property
    def baskets(self) -> ir.Table | None:
        """What was bought by customer, day and product; None where there are no order lines."""
        if self.lines is None:
            return None
        return self.engine.keep(products.baskets(self.lines, self.orders, self.as_of), "baskets")

    @cached_property
    def names(self) -> pd.DataFrame:
        """What products are called; nothing where there are no order lines."""
        columns = ["product_id", "product_name", "category"]
        none = pd.DataFrame(columns=columns, dtype=str)
        return none if self.lines is None else self.fetch(products.names(self.lines))

    @cached_property
    def refills(self) -> ir.Table | None:
        """Whom a refill of a product is due for, or soon will be; None where there are no order lines."""
        if self.baskets is None:
            return None
        measured = self.cycles("product_id").dropna(subset=["median_days"])
        typed = measured[["product_id", "median_days"]].astype(
            {"product_id": str, "median_days": float}
        )
        cycles = self.engine.table(typed, "product_cycles")
        return self.engine.keep(
            products.refills(self.baskets, cycles, self.as_of, self.ahead_days), "refills"
        )

    def cycles(self, by: str) -> pd.DataFrame:
        """Estimate how long products or categories last: the column `by`, median days and interval."""
        if by not in self._cycles:
            baskets = self.baskets
            most = self.engine.keep(products.most_bought(baskets, by, MOST_PRODUCTS), f"most_{by}")
            gaps = self.fetch(products.reorder_gaps(baskets, most, by, self.as_of))
            self._cycles[by] = bought.cycles(gaps, by, self.fetch(most), self.least)
        return self._cycles[by]

    def fetch(self, table: ir.Table) -> pd.DataFrame:
        """Compute a small table."""
        return self.engine.frame(table)


@contextmanager
def opened(run: RunContext, history: History) -> Iterator[Day]:
    """Open what the measures are made of: purchases in order, customers, and the tables there are."""
    settings, as_of = run.settings, run.as_of
    with run.engine() as engine:
        orders = engine.parquet(history.orders)
        numbered = engine.keep(journeys.journeys(orders, as_of), "journeys")
        given = {k: v for k, v in settings.optional_tables.items() if k != "order_lines"}
        tables = {
            name: engine.parquet(read_table(engine, name, where, as_of, run.folder / "kpis").path)
            for name, where in given.items()
        }
        lines = None if history.order_lines is None else engine.parquet(history.order_lines)
        yield Day(
            settings=settings.kpis,
            ahead_days=settings.triggers.ahead_days,
            margin=settings.store.margin,
            engine=engine,
            as_of=as_of,
            orders=orders,
            journeys=numbered,
            customers=engine.keep(products.customers(numbered, as_of), "journey_customers"),
            lines=lines,
            tables=tables,
        )
