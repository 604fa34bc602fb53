"""A simulated store, pulled from the double day by day, is the store that was simulated."""

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.live.records import PullKind
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from perennial.simulation import simulate
from tests.connectors.live.shopify.shop import Shop
from tests.live.double import Clock
from tests.live.shopify_schema import MISSING, SCHEMA
from tests.live.shopify_simulated import SOURCES, WorldFeed

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)
CENT = 0.005


@pytest.fixture(scope="module")
def world():
    return simulate(400, date(2025, 1, 1), date(2026, 1, 1), 3)


@pytest.fixture(params=["tax on top", "tax included", "tax included, refunds without"])
def feed(request, world):
    return WorldFeed(
        world,
        Clock(datetime(2025, 11, 1, 4, tzinfo=UTC)),
        taxes_included=request.param != "tax on top",
        refund_subtotals_include_tax="without" not in request.param,
    )


def canonical(shop, feed, as_of, out):
    """Return the history and the orders that the projection is read as."""
    source = OrderSource(
        location=str(shop.project()[0].parent),
        preset="fivetran",
        currency=feed.store.currency,
        columns={"discount_code": "discount_code"},
    )
    with open_engine(str(feed.store.zone)) as engine:
        history = read_orders(engine, source, as_of, out)
    return history, pd.read_parquet(history.orders).set_index("order_id")


def expected_of(feed, as_of):
    """Return the simulated orders by Shopify's number, as known at the end of a day."""
    expected = feed.expected()
    expected["id"] = expected["shopify_id"].str.rpartition("/")[2]
    is_later = pd.to_datetime(expected["refunded_on"]) > pd.Timestamp(as_of)
    expected["net_amount"] += expected["refund_amount"].where(is_later, 0)
    expected["refund_amount"] = expected["refund_amount"].where(~is_later, 0)
    return expected[expected["order_date"] <= as_of].set_index("id")


def assert_same(history, orders, feed, as_of):
    expected = expected_of(feed, as_of)
    assert history.accounting.is_balanced
    rejected = dict(history.accounting.rejected)
    rejected.pop("after_as_of", None)
    # an order that gave back all it was worth is no purchase by the rules of files either
    assert rejected.keys() <= {"refunded_in_full", "zero_amount"}
    gone = expected.index.difference(orders.index)
    assert len(gone) == sum(rejected.values()) < 0.05 * len(expected)
    assert (expected.loc[gone, "net_amount"].abs() < CENT).all()
    assert not orders.index.difference(expected.index).size
    both = orders.join(expected, rsuffix="_expected")
    for name in ("net_amount", "refund_amount"):
        assert (both[name] - both[f"{name}_expected"]).abs().max() < CENT, name
    # with tax included, list prices without tax are rounded in the store
    inexact = 0.002 * both["gross_amount"] if feed.store.taxes_included else 0
    for name in ("gross_amount", "discount_amount"):
        assert ((both[name] - both[f"{name}_expected"]).abs() < CENT + inexact).all(), name
    days = pd.to_datetime(both["order_date"])
    assert (days == pd.to_datetime(both["order_date_expected"])).all()
    people = both[["customer_id", "shopify_customer_id"]].drop_duplicates()
    assert people["customer_id"].is_unique
    assert people["shopify_customer_id"].is_unique
    assert (both["channel"] == both["channel_expected"].map(SOURCES)).all()
    assert (both["discount_code"].fillna("") == both["discount_code_expected"].fillna("")).all()
    lines = pd.read_parquet(history.order_lines)
    by_lines = lines.groupby("order_id")["net_amount"].sum().reindex(both.index)
    assert (by_lines - both["net_amount"]).abs().max() < CENT
    return both


def test_the_pulled_orders_are_the_simulated_ones_to_the_cent_and_day(feed, tmp_path):
    feed.load()
    shop = Shop(tmp_path, feed.store)
    try:
        shop.pull()
        middle = shop.clock.now().date()
        for _ in range(3):
            shop.clock.advance(20 * 86_400)
            feed.load()
            shop.pull(PullKind.RECONCILE)
        shop.clock.advance(3600)  # the last hour's orders are older than the window's end
        shop.pull()
        end = shop.clock.now().date()
        whole = assert_same(*canonical(shop, feed, end, tmp_path / "end"), feed, end)
        assert_same(*canonical(shop, feed, middle, tmp_path / "middle"), feed, middle)
    finally:
        shop.close()
    assert (whole["refund_amount"] > 0).sum() > 2
    assert (whole["money_back"] > 0).sum() > 2
    assert (whole["discount_amount"] > 0).sum() > 2


def test_products_and_consent_are_projected(world, tmp_path):
    feed = WorldFeed(world, Clock(datetime(2026, 3, 1, tzinfo=UTC)))
    feed.load()
    shop = Shop(tmp_path, feed.store)
    try:
        shop.pull()
        order, line, refund, each = (pd.read_parquet(path) for path in shop.project())
    finally:
        shop.close()
    products = world.order_lines.to_pandas()["product_id"]
    assert line["product_id"].nunique() == products.nunique()
    assert len(line) == len(products)
    people = world.customers.to_pandas().set_index("email")["accepts_marketing"]
    by_email = order.groupby("email")["buyer_accepts_marketing"].first()
    assert (by_email == people.reindex(by_email.index)).all()
    assert set(order["email_marketing_state"]) == {"SUBSCRIBED", "NOT_SUBSCRIBED"}
    assert set(each["refund_id"]) <= set(refund["id"])
    assert (refund["adjustment_amount"] < 0).sum() > 2
