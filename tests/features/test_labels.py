from datetime import date

from features.labels import outcomes
from features.rfm import customer_state
from features.window import outcome_window

AS_OF = date(2024, 1, 31)
ROWS = [
    ("ann", date(2024, 1, 1), 10.0),
    ("ann", date(2024, 1, 31), 10.0),
    ("ann", date(2024, 2, 1), 20.0),
    ("ann", date(2024, 2, 1), 5.0),
    ("ann", date(2024, 2, 10), 30.0),
    ("ann", date(2024, 2, 11), 99.0),
    ("bob", date(2024, 1, 9), 7.0),
    ("new", date(2024, 2, 2), 8.0),
]


def test_purchase_days_and_value_of_the_ten_days_after(engine, orders_of):
    orders = orders_of(ROWS)
    state = customer_state(orders, AS_OF)
    frame = engine.frame(
        outcomes(orders, state, outcome_window(AS_OF, 10)).order_by("customer_id")
    )
    assert frame.to_dict("records") == [
        {"customer_id": "ann", "later_orders": 2, "later_value": 55.0},
        {"customer_id": "bob", "later_orders": 0, "later_value": 0.0},
    ]
