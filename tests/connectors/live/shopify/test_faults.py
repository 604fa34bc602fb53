"""Whatever fails or is killed, a calm pull leaves the store as it is, to the last order, refund and deletion."""

import pytest

from tests.connectors.live.shopify.faults import ERRORS, RATES, pull_stores, pull_with_faults
from tests.connectors.live.shopify.shop import Shop, assert_equal_to_store, make_store
from tests.live.shopify_schema import MISSING, SCHEMA

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)


def test_no_order_is_lost_or_doubled_under_faults_and_kills(tmp_path):
    happened = pull_stores(2, tmp_path)
    assert all(happened[f"fault {kind}"] > 0 for kind in [*RATES, *ERRORS]), happened
    assert happened["kills"] > 2
    assert happened["orders deleted"] > 2
    assert happened["refunds at the end"] > 10


def test_the_same_holds_over_the_network(tmp_path):
    happened = pull_with_faults(tmp_path, 0, is_served=True)
    assert happened["fault cut_in"] > 0


def test_the_comparison_sees_a_lost_order_a_lost_refund_and_one_too_many(tmp_path):
    shop = Shop(tmp_path, make_store(8))
    shop.pull()
    assert_equal_to_store(shop)
    first, *_, last = shop.store.orders.values()
    for change in (
        lambda: shop.store.refund_all(first),
        lambda: shop.store.add_order([]),
        lambda: shop.store.delete(last),
    ):
        change()
        with pytest.raises(AssertionError):
            assert_equal_to_store(shop)
        shop.clock.advance(3600)
        if last.id in shop.store.orders:
            shop.pull()
            assert_equal_to_store(shop)
    shop.close()
