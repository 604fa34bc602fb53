"""Discounts and refunds lower a value, whichever sign they are written with."""

from datetime import date

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders

COLUMNS = {
    "order_id": "id",
    "customer_id": "who",
    "ordered_at": "day",
    "gross_amount": "gross",
    "discount_amount": "off",
    "refund_amount": "back",
}
BEFORE = "1,a,2025-01-01,500,0,0\n"  # a return needs an order by then


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("20,2,0", 18), ("20,-2,0", 18), ("20,,", 20), ("20,0,5", 15), ("20,0,-5", 15), ("20,-2,-5", 13),
        ("-20,2,0", -18), ("-20,-2,0", -18),
    ],
)  # fmt: skip
def test_a_discount_and_a_refund_lower_the_value_with_either_sign(row, value, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(f"id,who,day,gross,off,back\n{BEFORE}2,a,2025-01-02,{row}\n")
    with open_engine("UTC") as engine:
        source = OrderSource(str(path), COLUMNS)
        history = read_orders(engine, source, date(2025, 6, 30), tmp_path / "read")
    orders = pd.read_parquet(history.orders).set_index("order_id")
    assert float(orders.loc["2", "net_amount"]) == value
