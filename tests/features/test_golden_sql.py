"""Features compile for every engine and warehouse; what they compile to is committed, so a change is seen.

``python -m tests.features.test_golden_sql`` writes the files again.
"""

from datetime import date
from pathlib import Path

import ibis
import pytest

from connectors.engine.duckdb_dialect import WholeDuckDBCompiler
from connectors.engine.postgresql_dialect import PostgreSQLCompiler
from connectors.engine.spark_dialect import SparkCompiler
from features.labels import outcomes
from features.recent import recent
from features.rfm import customer_state, spend_cells, state_cells
from features.tables import CustomerState, Orders
from features.window import Window

GOLDEN = Path(__file__).with_name("golden")
OURS = {  # what the engines run
    "duckdb": WholeDuckDBCompiler,
    "postgres": PostgreSQLCompiler,
    "spark": SparkCompiler,
}
DIALECTS = ("bigquery", "snowflake", "databricks", *OURS)
AS_OF = date(2026, 11, 21)


def queries() -> dict[str, ibis.Table]:
    orders = ibis.table(Orders.schema(), name="orders")
    state = ibis.table(CustomerState.schema(), name="customer_state")
    return {
        "customer_state": customer_state(orders, AS_OF),
        "outcomes": outcomes(orders, state, Window(date(2026, 11, 22), date(2027, 11, 22))),
        "state_cells": state_cells(state),
        "spend_cells": spend_cells(state),
        "recent": recent(orders, AS_OF),
    }


def compiled(name: str, dialect: str) -> str:
    query = queries()[name]
    if dialect not in OURS:
        return str(ibis.to_sql(query, dialect=dialect)) + "\n"
    assert ibis.pyspark.name == "pyspark"  # Ibis knows a dialect's options once it is named
    compiler = OURS[dialect]()
    return compiler.to_sqlglot(query).sql(compiler.dialect, pretty=True) + "\n"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", queries())
def test_a_query_compiles_to_the_committed_sql(name, dialect):
    assert compiled(name, dialect) == (GOLDEN / f"{name}.{dialect}.sql").read_text()


if __name__ == "__main__":
    for name in queries():
        for dialect in DIALECTS:
            (GOLDEN / f"{name}.{dialect}.sql").write_text(compiled(name, dialect))
