"""The customer state compiles for warehouses; what it compiles to is committed, so a change is seen.

``python -m tests.features.test_golden_sql`` writes the files again.
"""

from datetime import date
from pathlib import Path

import ibis
import pytest

from features.labels import outcomes
from features.rfm import customer_state
from features.tables import CustomerState, Orders
from features.window import Window

GOLDEN = Path(__file__).with_name("golden")
DIALECTS = ("bigquery", "snowflake", "databricks", "postgres")
AS_OF = date(2026, 11, 21)


def queries() -> dict[str, ibis.Table]:
    orders = ibis.table(Orders.schema(), name="orders")
    state = ibis.table(CustomerState.schema(), name="customer_state")
    return {
        "customer_state": customer_state(orders, AS_OF),
        "outcomes": outcomes(orders, state, Window(date(2026, 11, 22), date(2027, 11, 22))),
    }


def compiled(name: str, dialect: str) -> str:
    return str(ibis.to_sql(queries()[name], dialect=dialect)) + "\n"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", queries())
def test_a_query_compiles_to_the_committed_sql(name, dialect):
    assert compiled(name, dialect) == (GOLDEN / f"{name}.{dialect}.sql").read_text()


if __name__ == "__main__":
    for name in queries():
        for dialect in DIALECTS:
            (GOLDEN / f"{name}.{dialect}.sql").write_text(compiled(name, dialect))
