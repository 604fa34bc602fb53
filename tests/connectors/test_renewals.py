"""Histories of subscriptions are refused, counted or left out, as the settings name it."""

import ibis
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.reading import check_renewals
from features.tables import DataError


def judged(orders, renewals, rule=None):
    numbers = [f"{i}" for i in range(orders)]
    flags = [i < renewals for i in range(orders)]
    return ibis.memtable(
        {"order_id": numbers, "is_renewal": flags, "rule": [rule] * orders},
        schema={"order_id": "string", "is_renewal": "boolean", "rule": "string"},
    )


def check(table, renewals="refuse"):
    with open_engine() as engine:
        return check_renewals(engine, table, OrderSource("", renewals=renewals))


def test_a_fifth_is_noted_and_more_is_refused():
    assert check(judged(10, 2)).startswith("2 of 10 orders renew a subscription and count")
    with pytest.raises(
        DataError, match=r"^3 of 10 orders renew .*orders.renewals = \"exclude\".*\"count\""
    ):
        check(judged(10, 3))


def test_renewals_that_count_are_noted_however_many_they_are():
    assert "10 of 10 orders" in check(judged(10, 10), "count")


def test_renewals_that_are_left_out_and_histories_without_any_need_no_note():
    assert check(judged(10, 10, "renewal"), "exclude") is None
    assert check(judged(10, 0)) is None


def test_orders_that_break_a_rule_do_not_count():
    assert check(judged(10, 10, "unpaid")) is None


def test_an_order_of_several_rows_is_one():
    rows = judged(4, 1)
    assert check(rows.union(rows.filter(rows.is_renewal)), "count").startswith("1 of 4 orders")
