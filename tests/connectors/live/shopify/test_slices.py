"""A window is read in bulk or by pages, halved where that fails, and resumed where it was killed."""

from datetime import timedelta

import pytest

from connectors.live.records import PlannedPull, PullKind, Window
from connectors.live.shopify.queries import API_VERSION, Reach
from connectors.live.shopify.slices import Cursor, SliceReader
from tests.connectors.live.shopify.shop import NOW, assert_equal_to_store
from tests.live.double import Killed, KillSwitch
from tests.live.shopify_schema import MISSING, SCHEMA

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)
YEAR = Window(NOW - timedelta(days=365), NOW)
PLANNED = PlannedPull(YEAR, PullKind.BACKFILL, YEAR)


def read(shop, tmp_path, *, few=0, transport=None, planned=PLANNED):
    """Read a window into a pull and finish it; return the reader."""
    reader = SliceReader(
        shop.client(transport=transport), shop.clock, reach=Reach(), scratch=tmp_path, few=few
    )
    account = shop.account()
    with account.hold():
        pull = account.stream("orders").begin(planned, API_VERSION)
        reader.read(pull, "created_at", planned.window)
        pull.finish()
    return reader


def test_few_orders_are_read_by_pages_and_more_in_bulk_with_equal_payloads(open_shop, tmp_path):
    shop = open_shop(30)
    for order in shop.store.orders.values():
        if order.payment == "PAID":
            shop.store.refund(order, {order.lines[0].id: 1})
    read(shop, tmp_path, few=250)
    assert shop.double.bulks == {}
    by_pages = shop.latest()
    read(shop, tmp_path, few=0)
    assert len(shop.double.bulks) == 1
    assert shop.latest() == by_pages
    assert_equal_to_store(shop)


def test_a_window_that_fails_in_bulk_is_halved(open_shop, tmp_path):
    shop = open_shop()
    shop.double.bulk_outcomes = ["failed", "timeout"]
    reader = read(shop, tmp_path)
    assert len(shop.double.bulks) in (3, 4, 5)
    assert reader.warnings == set()
    assert_equal_to_store(shop)


def test_a_window_of_two_hours_that_fails_is_read_by_pages(open_shop, tmp_path):
    shop = open_shop(2)
    shop.double.bulk_outcomes = ["failed_bare"] * 99
    reader = read(shop, tmp_path)
    assert 99 - len(shop.double.bulk_outcomes) > 10
    assert "read by pages" in " ".join(reader.warnings)
    assert_equal_to_store(shop)


def test_orders_are_read_by_pages_where_bulk_is_refused(open_shop, tmp_path):
    shop = open_shop()
    shop.double.most_bulks = 0
    reader = read(shop, tmp_path)
    assert shop.double.bulks == {}
    assert "LIMIT_REACHED" in " ".join(reader.warnings)
    assert_equal_to_store(shop)


def test_pages_that_cost_too_much_become_smaller(open_shop, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.live.shopify_double.MOST_COST", 200)
    shop = open_shop(40)
    read(shop, tmp_path, few=250)
    assert max(shop.double.costs) <= 200
    assert_equal_to_store(shop)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_pull_killed_at_any_request_goes_on_with_the_same_bulk_operation(
    open_shop, tmp_path, when
):
    for number in range(1, 9):
        shop = open_shop(8)
        switch = KillSwitch(number, when, shop.transport())
        try:
            read(shop, tmp_path, transport=switch)
        except Killed:
            read(shop, tmp_path)
        assert len(shop.double.bulks) == 1
        assert_equal_to_store(shop)


def test_a_cursor_of_pages_that_is_refused_begins_its_window_again(
    open_shop, tmp_path, monkeypatch
):
    monkeypatch.setattr("connectors.live.pulls.PART_ROWS", 10)
    shop = open_shop(40)
    store = shop.account()
    with pytest.raises(Killed):
        read(shop, tmp_path, few=250, transport=KillSwitch(3, transport=shop.transport()))
    with store.hold():
        pull = store.stream("orders").begin(PLANNED, API_VERSION)
        assert Cursor.model_validate(pull.cursor).after is not None
        pull.checkpoint({**pull.cursor, "after": "bm9uc2Vuc2U="}, force=True)
    read(shop, tmp_path, few=250)
    assert_equal_to_store(shop)


@pytest.mark.parametrize("cursor", [{}, {"windows": 1}, {"page": 2}])
def test_a_cursor_that_cannot_be_read_begins_its_window_again(open_shop, tmp_path, cursor):
    shop = open_shop(4)
    store = shop.account()
    with store.hold():
        store.stream("orders").begin(PLANNED, API_VERSION).checkpoint(cursor, force=True)
    read(shop, tmp_path)
    assert_equal_to_store(shop)
