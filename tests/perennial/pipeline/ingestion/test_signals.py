"""What the optional tables tell, from files on disk."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.engine import open_engine
from features.tables import OrderLines, Orders
from perennial.pipeline.ingestion.signals import read_refunded, read_signals, read_upgrades

START, AS_OF = date(2024, 1, 1), date(2024, 12, 31)


@dataclass(frozen=True)
class Written:
    """Files of an order history."""

    orders: Path
    order_lines: Path | None


def write_history(folder, customers=40):
    """Everybody buys beans every 30 days for a year; half of them a kit the second time."""
    rows = [(f"c{i:02}", i % 7 + 30 * k, k, i) for i in range(customers) for k in range(12)]
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "turn", "number"])
    frame = frame[(frame["number"] < 30) | (frame["turn"] == 0)]
    order_id = [str(n) for n in range(len(frame))]
    on = [START + timedelta(days=int(day)) for day in frame["day"]]
    orders = frame[["customer_id"]].assign(
        order_id=order_id, order_date=on, ordered_at=pd.to_datetime(on), net_amount=10.0,
        gross_amount=10.0, discount_amount=0.0, refund_amount=0.0,
    )  # fmt: skip
    is_kit = ((frame["turn"] == 1) & (frame["number"] < 20)).to_numpy()
    lines = pd.DataFrame(
        {"order_id": order_id, "product_id": "beans", "product_name": "Beans", "category": "food",
         "bundle_id": np.where(is_kit, "kit", None), "quantity": 1, "net_amount": 10.0,
         "cost_amount": np.nan}
    )  # fmt: skip
    orders = orders.reindex(columns=list(Orders.schema()))
    strings = {name: "string" for name, kind in Orders.schema().items() if kind == "string"}
    orders.astype(strings).to_parquet(folder / "orders.parquet", index=False)
    lines[list(OrderLines.schema())].to_parquet(folder / "lines.parquet", index=False)
    return Written(folder / "orders.parquet", folder / "lines.parquet")


@pytest.fixture
def engine():
    with open_engine() as opened:
        yield opened


def test_order_lines_say_what_comes_next(tmp_path, engine):
    history = write_history(tmp_path)
    upgrades = read_upgrades(engine, history, AS_OF, 15)
    owned = upgrades.set_index("customer_id")["is_owned"]
    assert upgrades["bundle"].unique().tolist() == ["kit"]
    assert owned[[f"c{i:02}" for i in range(20)]].all()
    assert not owned[[f"c{i:02}" for i in range(20, 40)]].any()


def test_without_order_lines_nothing_comes_next(tmp_path, engine):
    history = Written(tmp_path / "orders.parquet", None)
    assert read_upgrades(engine, history, AS_OF, 15) is None


def test_tables_are_read_as_known_by_the_day_and_once(tmp_path, engine):
    nps = tmp_path / "nps.csv"
    nps.write_text("customer_id,answered_at,score\na,2024-12-30,9\nb,2025-01-02,10\n")
    tables = {"nps": str(nps)}
    first = read_signals(engine, tables, AS_OF, tmp_path)
    assert first.nps["customer_id"].tolist() == ["a"]
    assert first.reviews is None
    nps.unlink()
    assert read_signals(engine, tables, AS_OF, tmp_path).nps["score"].tolist() == [9]


def test_whose_money_was_given_back_is_known_by_the_day(tmp_path, engine):
    history = write_history(tmp_path)
    orders = pd.read_parquet(history.orders)
    orders.loc[
        (orders["customer_id"] == "c01") & (orders["order_date"] < AS_OF), "refund_amount"
    ] = 5
    orders.loc[orders["customer_id"] == "c02", ["refund_amount", "order_date"]] = (
        5,
        date(2025, 1, 1),
    )
    orders.to_parquet(history.orders, index=False)
    assert read_refunded(engine, history, AS_OF).tolist() == ["c01"]
