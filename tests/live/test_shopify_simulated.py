"""A simulated store becomes a Shopify store day by day, and nothing is lost on the way."""

from datetime import UTC, date, datetime, timedelta

import pytest

from perennial.simulation import simulate
from tests.live.double import Clock
from tests.live.shopify_simulated import WorldFeed


@pytest.fixture(scope="module")
def world():
    return simulate(700, date(2025, 1, 1), date(2026, 1, 1), 3)


def assert_true(feed):
    truth, expected = feed.store.truth(), feed.expected()
    assert len(truth) == len(expected)
    for row in expected.itertuples():
        true = truth[row.shopify_id]
        assert true.ordered_at == row.ordered_at
        assert true.day == row.order_date
        assert true.email == row.email
        assert true.customer_id == row.shopify_customer_id
        assert float(true.net) == row.net_amount
        inexact = 0.002 * row.gross_amount if feed.store.taxes_included else 0
        assert float(true.gross) == pytest.approx(row.gross_amount, abs=0.001 + inexact)
        assert [day for day, _ in true.refunds] == [row.refunded_on] * (row.refund_amount > 0)
        assert float(sum(amount for _, amount in true.refunds)) == row.refund_amount
    return expected


@pytest.mark.parametrize("inclusive", [False, True])
def test_the_store_is_worth_what_the_simulation_is_worth(world, inclusive):
    feed = WorldFeed(world, Clock(datetime(2026, 3, 1, tzinfo=UTC)), taxes_included=inclusive)
    feed.load()
    expected = assert_true(feed)
    orders = world.orders.to_pandas()
    assert list(expected["order_id"]) == list(orders["order_id"])
    back = expected["refund_amount"] + expected["money_back"]
    assert back.tolist() == pytest.approx(orders["refund_amount"].tolist())
    assert (expected["refund_amount"] > 0).sum() > 2
    assert (expected["money_back"] > 0).sum() > 2
    products = world.order_lines.to_pandas()["product_id"].nunique()
    assert len(feed.store.products) == products
    assert all(0 < product.unit_cost < product.price for product in feed.store.products.values())


def test_days_pass(world):
    clock = Clock(datetime(2025, 5, 1, 4, tzinfo=UTC))
    feed = WorldFeed(world, clock)
    first, later, moved = feed.load(), 0, set()
    assert len(assert_true(feed)) < len(world.orders) / 2
    for _ in range(150):
        before = {order.id: order.updated_at for order in feed.store.orders.values()}
        clock.advance(86_400)
        later += feed.load()
        orders = feed.store.orders
        assert max(order.updated_at for order in orders.values()) <= clock.now()
        moved |= {number for number, at in before.items() if orders[number].updated_at != at}
    assert_true(feed)
    assert min(first, later) > len(moved) > 2
    assert all(feed.store.orders[number].refunds for number in moved)
    assert feed.load(clock.now() - timedelta(days=9)) == 0
