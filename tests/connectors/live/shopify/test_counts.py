"""Months whose counts differ are read again, or their deletions noted; an outage deletes nothing."""

import json
from datetime import UTC, datetime

import pytest

from connectors.live.errors import UnexpectedAnswerError
from connectors.live.reconcile import Limits
from connectors.live.records import PullKind, Window
from connectors.live.shopify.counts import months
from connectors.live.shopify.puller import ORDERS
from tests.connectors.live.shopify.shop import LENIENT, assert_equal_to_store
from tests.live.shopify_schema import MISSING, SCHEMA
from tests.live.shopify_store import gid

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)


def test_months_are_cut_at_the_windows_ends():
    window = Window(datetime(2025, 11, 1, tzinfo=UTC), datetime(2026, 1, 20, 3, tzinfo=UTC))
    cut = [(one.start.isoformat()[:10], one.end.isoformat()[:13]) for one in months(window)]
    assert cut == [
        ("2025-11-01", "2025-12-01T00"),
        ("2025-12-01", "2026-01-01T00"),
        ("2026-01-01", "2026-01-20T03"),
    ]


def test_deleted_orders_get_a_tombstone(open_shop):
    shop = open_shop(60)
    shop.pull()
    orders = list(shop.store.orders.values())
    for order in (orders[10], orders[30], orders[-1]):
        shop.store.delete(order)
    shop.clock.advance(7200)
    assert shop.pull().streams[0].tombstones == 0  # a night does not see them
    summary = shop.pull(PullKind.RECONCILE, limits=LENIENT)
    assert summary.streams[0].tombstones == 3
    assert_equal_to_store(shop)
    assert shop.pull(PullKind.RECONCILE, limits=LENIENT).streams[0].tombstones == 0


def test_orders_that_lack_here_are_read_again(open_shop):
    shop = open_shop(30)
    shop.pull()
    middle = list(shop.store.orders.values())[12]
    account = shop.account()
    with account.hold():  # as if a pull had missed it
        manifests = account.stream(ORDERS).manifests()
        (pull,) = [one for one in manifests if _is_slice_of(one, middle)]
        folder = account.stream(ORDERS).folder / f"pull={pull.pull}"
        record = json.loads((folder / "manifest.json").read_text())
        empty = record | {"parts": [], "rows": 0, "keys": 0}
        (folder / "manifest.json").write_text(json.dumps(empty))
    assert gid("Order", middle.id) not in shop.latest()
    shop.clock.advance(7200)
    summary = shop.pull(PullKind.RECONCILE)
    assert summary.streams[0].rows > 0
    assert_equal_to_store(shop)


def _is_slice_of(manifest, order):
    return manifest.kind is PullKind.BACKFILL and order.created_at in manifest.window


def test_a_month_whose_few_orders_are_all_deleted_is_no_outage(open_shop):
    shop = open_shop(30)
    months_of = {}
    for order in shop.store.orders.values():
        months_of.setdefault(order.created_at.month, []).append(order)
    shop.pull()
    few = next(orders for orders in list(months_of.values())[1:] if len(orders) <= 3)
    for order in few:
        shop.store.delete(order)
    shop.clock.advance(7200)
    assert shop.pull(PullKind.RECONCILE).streams[0].tombstones == len(few)
    assert_equal_to_store(shop)


def test_an_outage_deletes_nothing(open_shop):
    shop = open_shop(60)
    shop.pull()
    whole = shop.latest()
    orders = list(shop.store.orders.values())
    for order in orders[::3]:
        shop.store.delete(order)
    shop.clock.advance(7200)
    shop.store.add_order([])
    shop.clock.advance(7200)
    with pytest.raises(UnexpectedAnswerError, match=r"would be deleted.*looks like an outage"):
        shop.pull(PullKind.RECONCILE)
    assert whole.keys() < shop.latest().keys()  # what was pulled stays, the new order too
    shop.pull(PullKind.RECONCILE, limits=Limits(deleted_share=1.0))
    assert_equal_to_store(shop)


def test_erased_orders_are_counted_and_do_not_come_back(open_shop):
    shop = open_shop(20)
    shop.pull()
    gone = gid("Order", list(shop.store.orders)[7])
    account = shop.account()
    with account.hold():
        account.stream(ORDERS).forget([gone])
    shop.clock.advance(7200)
    summary = shop.pull(PullKind.RECONCILE)
    assert (summary.streams[0].tombstones, summary.warnings) == (0, ())
    assert shop.latest().keys() == {gid("Order", key) for key in shop.store.orders} - {gone}
