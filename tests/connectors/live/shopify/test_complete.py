"""The second pass reads lists whole, and as of the same change as the order."""

import pytest

from connectors.live.errors import PlatformDownError
from connectors.live.shopify.complete import SecondPass, groups
from connectors.live.shopify.queries import Reach, page_query
from tests.connectors.live.shopify.shop import state_of, true_state
from tests.live.shopify_schema import MISSING, SCHEMA
from tests.live.shopify_store import Sold, gid

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)


def read(shop, on_page=lambda: None):
    """Read the store's orders in one page, let something happen, and complete them."""
    client = shop.client()
    page = client.page(page_query("created_at", Reach()), "", first=25, after=None)
    assert page.after is None
    on_page()
    orders = list(SecondPass(client, Reach()).complete(page.orders))
    assert len({one["id"] for one in orders}) == len(orders)
    return {one["id"]: one for one in orders}


def assert_true(shop, orders):
    truth = {gid("Order", one.id): true_state(one) for one in shop.store.orders.values()}
    assert {key: state_of(one) for key, one in orders.items()} == truth


def long_order(shop, lines=120):
    beans = next(iter(shop.store.products.values()))
    return shop.store.add_order([Sold(beans, 2) for _ in range(lines)])


def test_refunds_have_their_lines(open_shop):
    shop = open_shop()
    paid = [one for one in shop.store.orders.values() if one.payment == "PAID"]
    for order in paid:
        shop.store.refund_all(order)
    assert_true(shop, read(shop))


def test_lists_that_are_longer_than_a_page_are_read_to_their_end(open_shop):
    shop = open_shop(3)
    order = long_order(shop)
    shop.store.refund_all(order)
    orders = read(shop)
    assert_true(shop, orders)
    long = orders[gid("Order", order.id)]
    assert len(long["lineItems"]["nodes"]) == 120
    assert len(long["refunds"][0]["refundLineItems"]["nodes"]) == 120


def test_an_order_that_changed_meanwhile_is_read_again_whole(open_shop):
    shop = open_shop(3)
    order = long_order(shop, 2)
    shop.store.refund(order, {order.lines[0].id: 1})
    shop.clock.advance(60)

    def change():
        shop.store.refund(order, {order.lines[1].id: 1})
        shop.store.tag(order, "later")

    assert_true(shop, read(shop, change))


def test_an_order_that_is_gone_meanwhile_is_left_out(open_shop):
    shop = open_shop(3)
    orders = [long_order(shop, 2), long_order(shop, 60)]
    shop.store.refund_all(orders[0])
    assert_true(shop, read(shop, lambda: [shop.store.delete(one) for one in orders]))


def test_an_order_that_never_stands_still_is_tried_again_later(open_shop):
    shop = open_shop(3)
    order = long_order(shop)

    def change(_):
        shop.clock.advance(1)
        shop.store.tag(order, "again")

    shop.double.hooks.append(change)
    with pytest.raises(PlatformDownError, match="changes faster"):
        read(shop)


def test_groups_have_all_rows():
    assert list(groups(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(groups([], 2)) == []
