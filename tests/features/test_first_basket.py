"""First baskets by hand, and blind to the future."""

from datetime import date, timedelta

import pandas as pd
import pytest

from features.first_basket import PRIOR, first_baskets
from features.tables import FirstBasket

START = date(2024, 1, 1)
AS_OF = date(2024, 6, 30)


def order(number, who, day, **more):
    """An order at noon, so many days after the first of January 2024, a Monday."""
    on = START + timedelta(days=day)
    usual = {"net_amount": 10.0, "gross_amount": 20.0, "refund_amount": 0.0, "channel": "web"}
    given = {"order_id": number, "customer_id": who, "order_date": on}
    return {**given, "ordered_at": pd.Timestamp(on) + pd.Timedelta(hours=12), **usual, **more}


def line(number, product, category="food", quantity=1, net_amount=10.0):
    return {
        "order_id": number, "product_id": product, "category": category, "quantity": quantity,
        "net_amount": net_amount,
    }  # fmt: skip


@pytest.fixture
def baskets(engine, orders_of):
    def describe(orders, lines=None, as_of=AS_OF, window=30):
        table = None if lines is None else engine.table(pd.DataFrame(lines), "some_lines")
        actual = first_baskets(orders_of(orders), table, as_of, window)
        assert list(actual.columns) == list(FirstBasket.schema())
        return engine.frame(actual).set_index("customer_id")

    return describe


def test_a_first_day_is_described(baskets):
    orders = [order("1", "ann", 2, refund_amount=5.0), order("2", "ann", 2), order("3", "ann", 40)]
    lines = [line("1", "beans", quantity=3), line("2", "mug", "ware", 2), line("3", "tea", "leaf")]
    ann = baskets(orders, lines).loc["ann"]
    assert (ann["first_orders"], ann["first_hour"]) == (2, 12)
    assert (ann["first_weekday"], ann["first_month"]) == (2, 1)
    assert ann["first_refund_share"] == 5 / 40
    assert (ann["first_items"], ann["first_categories"]) == (5, 2)


def test_what_is_not_given_is_null(baskets):
    bare = order("1", "ann", 0, refund_amount=None, gross_amount=None, channel=None)
    ann = baskets([bare]).loc["ann"]
    missing = ["first_refund_share", "first_items", "first_categories", "first_channel_rate"]
    assert ann[missing].isna().all()
    assert ann["first_orders"] == 1


def test_a_products_rate_is_of_those_whose_window_is_over_and_shrunk_to_all(baskets):
    """Of three old buyers of beans two came back in 30 days, of three of mugs none; Zoe is new."""
    orders, lines = [], []
    for i, (who, product) in enumerate(zip("abcdef", ["beans"] * 3 + ["mug"] * 3, strict=True)):
        orders.append(order(f"1{i}", who, i))
        lines.append(line(f"1{i}", product))
    orders += [order("20", "a", 20), order("21", "b", 29), order("22", "c", 90)]
    orders.append(order("30", "zoe", 170))
    lines.append(line("30", "beans"))
    actual = baskets(orders, lines)
    overall = 2 / 6
    beans = (2 + PRIOR * overall) / (3 + PRIOR)
    assert actual.loc["zoe", "first_product_rate"] == pytest.approx(beans)
    assert actual.loc["d", "first_product_rate"] == pytest.approx(PRIOR * overall / (3 + PRIOR))
    assert actual["first_channel_rate"].to_numpy() == pytest.approx((2 + PRIOR / 3) / (6 + PRIOR))


def test_later_orders_change_nothing(baskets):
    past = [order("1", "ann", 0), order("2", "bob", 100), order("3", "ann", 20)]
    later = [order("4", "bob", 125), order("5", "cem", 130)]
    day = START + timedelta(days=120)
    before = baskets(past, as_of=day).sort_index()
    after = baskets(past + later, as_of=day).sort_index()
    pd.testing.assert_frame_equal(before, after)
