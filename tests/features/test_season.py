"""Purchases between first and last ones, against pandas."""

from datetime import date

import pandas as pd
import pytest

from connectors.engine import Engine, open_engine
from features.season import purchase_spans, purchases_between

ORDERS = [  # customer, day, amount
    ("a", "2025-01-01", 10.0),
    ("a", "2025-02-01", 10.0),
    ("a", "2025-02-01", 10.0),  # the same purchase day
    ("a", "2025-03-01", 10.0),
    ("a", "2025-04-01", 10.0),
    ("b", "2025-01-01", 10.0),
    ("b", "2025-02-01", 10.0),
    ("b", "2025-04-01", 10.0),
    ("b", "2025-03-15", -10.0),  # a refund is no purchase
    ("c", "2025-01-05", 10.0),
    ("c", "2025-03-05", 10.0),
    ("d", "2025-01-01", 10.0),
    ("d", "2025-03-02", 10.0),
    ("d", "2025-05-01", 10.0),  # later than the day
]


@pytest.fixture(scope="module")
def engine():
    with open_engine() as opened:
        yield opened


def table(engine: Engine):
    frame = pd.DataFrame(ORDERS, columns=["customer_id", "order_date", "net_amount"])
    frame["order_date"] = pd.to_datetime(frame["order_date"]).dt.date
    frame["order_id"] = [str(i) for i in range(len(frame))]
    return engine.table(frame.assign(gross_amount=10.0, discount_amount=0.0), "season_orders")


def rows(frame: pd.DataFrame) -> list[tuple]:
    for name in frame.columns.drop(["purchases", "cut_days"], errors="ignore"):
        frame[name] = pd.to_datetime(frame[name]).dt.strftime("%m-%d")
    return list(frame.itertuples(index=False, name=None))


def test_purchases_strictly_between_first_and_last_are_counted(engine: Engine) -> None:
    orders, as_of = table(engine), date(2025, 4, 1)
    assert rows(engine.frame(purchase_spans(orders, as_of))) == [("01-01", "04-01", 0, 3)]
    assert rows(engine.frame(purchases_between(orders, as_of))) == [("02-01", 2), ("03-01", 1)]


def test_a_later_day_moves_the_last_purchase(engine: Engine) -> None:
    orders = table(engine)
    assert rows(engine.frame(purchase_spans(orders, date(2025, 5, 1)))) == [
        ("01-01", "04-01", 0, 3),
        ("01-01", "05-01", 0, 1),
    ]
    assert rows(engine.frame(purchase_spans(orders, date(2025, 3, 1)))) == [
        ("01-01", "03-01", 0, 1)
    ]


def test_purchases_before_a_day_are_left_out(engine: Engine) -> None:
    orders, as_of, since = table(engine), date(2025, 4, 1), date(2025, 2, 2)
    assert rows(engine.frame(purchase_spans(orders, as_of, since))) == [("01-01", "04-01", 0, 1)]
    assert rows(engine.frame(purchases_between(orders, as_of, since))) == [("03-01", 1)]


def test_regular_purchases_keep_away_from_first_and_last_ones(engine: Engine) -> None:
    """Three gaps in 90 days with k = 2: 90 x (1 - 1/2) / (3 - 1/2) = 18 days are cut, 9 at either end."""
    frame = pd.DataFrame(
        {
            "customer_id": ["a"] * 4,
            "order_date": pd.to_datetime(
                ["2025-01-01", "2025-01-08", "2025-02-10", "2025-04-01"]
            ).date,
            "order_id": list("1234"),
            "net_amount": 10.0,
            "gross_amount": 10.0,
            "discount_amount": 0.0,
        }
    )
    orders, as_of = engine.table(frame, "regular_orders"), date(2025, 4, 1)
    spans = engine.frame(purchase_spans(orders, as_of, None, 2.0))
    assert rows(spans) == [("01-01", "04-01", 9, 1)]  # January 8 lies too near the first one
    assert rows(engine.frame(purchases_between(orders, as_of, None, 2.0))) == [("02-10", 1)]
