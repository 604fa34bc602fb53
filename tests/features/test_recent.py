"""What a customer did of late, by hand."""

from datetime import date

import pandas as pd
import pytest

from connectors.engine import open_engine
from features.recent import recent
from features.tables import Recent

AS_OF = date(2024, 6, 30)
ROWS = [  # customer, day, net amount
    ("a", "2023-07-01", 10.0),  # 365 days before: outside
    ("a", "2023-07-02", 20.0),  # the 365th day
    ("a", "2024-05-31", 30.0),  # 30 days before: outside the last 30
    ("a", "2024-06-01", 40.0),  # the 30th day
    ("a", "2024-06-20", -5.0),  # a refund lowers the amount and is no purchase
    ("b", "2024-06-30", 7.0),
    ("b", "2024-06-30", 8.0),  # one purchase day
    ("b", "2024-07-01", 99.0),  # later
    ("c", "2024-07-01", 99.0),  # not known yet
]


@pytest.fixture(scope="module")
def actual():
    frame = pd.DataFrame(ROWS, columns=["customer_id", "order_date", "net_amount"])
    frame["order_date"] = pd.to_datetime(frame["order_date"]).dt.date
    frame["order_id"] = [str(i) for i in range(len(frame))]
    frame["gross_amount"] = frame["net_amount"]
    frame["discount_amount"] = 0.0
    with open_engine() as engine:
        table = engine.frame(
            recent(engine.table(frame, "some_orders"), AS_OF).order_by("customer_id")
        )
    return table.set_index("customer_id")


def test_the_columns_are_the_tables(actual):
    assert [actual.index.name, *actual.columns] == list(Recent.schema())
    assert actual.index.tolist() == ["a", "b"]


def test_windows_end_with_the_day_and_are_half_open(actual):
    a = actual.loc["a"]
    assert [a[f"orders_{d}d"] for d in (30, 60, 90, 180, 365)] == [1, 2, 2, 2, 3]
    assert [a[f"amount_{d}d"] for d in (30, 60, 90, 180, 365)] == [35, 65, 65, 65, 85]
    assert (a["last_amount"], a["largest_amount"]) == (40, 40)


def test_orders_of_one_day_are_one_and_later_ones_none(actual):
    b = actual.loc["b"]
    assert (b["orders_30d"], b["amount_30d"], b["last_amount"]) == (1, 15, 15)
