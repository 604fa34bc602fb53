"""The tables hold what the orders' truth is, by the rules that files are read by."""

import random
from datetime import timedelta

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.live.errors import UnexpectedAnswerError
from connectors.live.shopify.projection import SCHEMAS, number, order_rows
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from tests.live.shopify_double import SCOPES
from tests.live.shopify_schema import MISSING, SCHEMA
from tests.live.shopify_store import Sold, gid

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)
CENT = 0.005


def busy_shop(open_shop, *, taxes_included=False, includes_tax=True):
    """Open a shop in which everything has happened that can happen to an order."""
    store = {"taxes_included": taxes_included, "refund_subtotals_include_tax": includes_tax}
    shop = open_shop(60, store)
    rng = random.Random(3)
    for _ in range(120):
        shop.clock.advance(20_000)
        shop.store.step(rng)
    shop.clock.advance(3600)
    shop.pull()
    return shop


def read(shop, as_of, out):
    folder = shop.project()[0].parent
    source = OrderSource(
        location=str(folder), preset="fivetran", currency="EUR", keep_zero_amount=True
    )
    with open_engine(str(shop.store.zone)) as engine:
        history = read_orders(engine, source, as_of, out)
    return history, pd.read_parquet(history.orders).set_index("order_id")


@pytest.mark.parametrize(
    ("taxes_included", "includes_tax"), [(False, True), (True, True), (True, False)]
)
def test_the_tables_are_the_stores_truth(open_shop, tmp_path, taxes_included, includes_tax):
    shop = busy_shop(open_shop, taxes_included=taxes_included, includes_tax=includes_tax)
    truth = {number(key): one for key, one in shop.store.truth().items()}
    last = shop.store.day_of(shop.clock.now())
    for days in (0, 15):
        as_of = last - timedelta(days=days)
        history, orders = read(shop, as_of, tmp_path / f"out{days}")
        assert history.accounting.is_balanced
        for key, row in orders.iterrows():
            true = truth[key]
            assert row["net_amount"] == pytest.approx(float(true.net_on(as_of)), abs=CENT)
            assert pd.Timestamp(row["order_date"]).date() == true.day
            assert row["gross_amount"] == pytest.approx(float(true.gross), abs=0.02)
            back = sum(float(amount) for day, amount in true.refunds if day <= as_of)
            assert row["refund_amount"] == pytest.approx(back, abs=CENT)
            assert not true.is_void_on(as_of)
            assert row["channel"] == true.channel
        expected = {
            key
            for key, one in truth.items()
            if one.day <= as_of
            and not one.is_void_on(as_of)
            and (one.customer_id or one.email or one.phone)
            and one.products  # else gift cards only
        }
        assert set(orders.index) == expected
        assert len(expected) > 40


def tables_of(shop):
    shop.clock.advance(3600)
    shop.pull()
    return {path.stem: pd.read_parquet(path) for path in shop.project()}


def test_what_the_preset_does_not_read_is_kept_for_later(open_shop):
    shop = open_shop(0)
    store = shop.store
    beans, _, card, _ = store.products.values()
    eve = store.add_customer("eve@example.com", consent="UNSUBSCRIBED", consent_at=store.now())
    codes = {
        "discount_codes": ("WELCOME10", "B"),
        "tags": ("a", "b"),
        "presentment_currency": "USD",
    }
    order = store.add_order([Sold(beans, 2, discount=100), Sold(card)], eve, shipping=490, **codes)
    guest = store.add_order([Sold(beans)], None, email=None)
    store.refund(order, {order.lines[0].id: 1}, amount=50, shipping=90)
    tables = tables_of(shop)
    rows = tables["order"].set_index("id")
    row, other = rows.loc[str(order.id)], rows.loc[str(guest.id)]
    assert (row["discount_code"], row["discount_codes"], row["tags"]) == (
        "WELCOME10",
        "WELCOME10,B",
        "a,b",
    )
    assert (row["email_marketing_state"], row["buyer_accepts_marketing"]) == (
        "UNSUBSCRIBED",
        False,
    )
    assert row["email_marketing_updated_at"] == eve.consent_at
    assert (row["currency"], row["presentment_currency"]) == ("EUR", "USD")
    assert pd.isna(other["buyer_accepts_marketing"])
    assert pd.isna(other["email"])
    refund = tables["refund"].iloc[0]
    assert (refund["adjustment_amount"], refund["shipping_amount"]) == (-0.5, 0.9)
    line = tables["order_line"].set_index("id").loc[str(order.lines[0].id)]
    assert (line["product_id"], line["sku"]) == (str(beans.id), "BEAN-250")
    assert tables["order_line"]["gift_card"].tolist().count(True) == 1
    assert tables["order_line"]["unit_cost"].isna().all()


def test_products_go_by_sku_then_title_where_their_ids_are_not_shown(open_shop):
    shop = open_shop(0)
    shop.double.scopes = frozenset(SCOPES) - {"read_products"}
    loose = shop.store.add_product("Loose Tea", 500)
    beans = shop.store.products[min(shop.store.products)]
    shop.store.add_order([Sold(beans), Sold(loose)])
    assert tables_of(shop)["order_line"]["product_id"].tolist() == ["BEAN-250", "Loose Tea"]


def test_a_customers_email_stands_in_where_an_order_has_none(open_shop):
    shop = open_shop(0)
    beans = next(iter(shop.store.products.values()))
    ada = shop.store.add_customer("ada@example.com", phone="+15005550006")
    shop.store.add_order([Sold(beans)], ada, email=None, phone=None)
    row = tables_of(shop)["order"].iloc[0]
    assert (row["email"], row["phone"]) == ("ada@example.com", "+15005550006")


def test_a_units_cost_is_projected_where_it_was_read(open_shop):
    shop = open_shop(1)
    shop.pull()
    (order,) = shop.latest().values()
    for line in order["lineItems"]["nodes"]:
        line["variant"]["inventoryItem"] = {"unitCost": {"amount": "4.8", "currencyCode": "EUR"}}
    (line, *_) = order_rows(order, includes_tax=True)["order_line"]
    assert (line["unit_cost"], line["unit_cost_currency"]) == (4.8, "EUR")


def test_an_order_of_another_version_is_refused(open_shop):
    shop = open_shop(1)
    shop.pull()
    (order,) = shop.latest().values()
    for name in ("lineItems", "refunds", "taxesIncluded", "customer", "totalTaxSet"):
        with pytest.raises(UnexpectedAnswerError, match="lacks what its tables need"):
            order_rows({key: one for key, one in order.items() if key != name}, includes_tax=True)


def test_the_files_are_their_owners_only_and_replace_older_ones(open_shop):
    shop = open_shop(3)
    shop.pull()
    for _ in range(2):
        paths = shop.project()
        assert [path.stem for path in paths] == list(SCHEMAS)
        assert set(paths) == set(paths[0].parent.iterdir())
        assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
        shop.store.add_order([])
        shop.clock.advance(7200)
        shop.pull()
    assert len(pd.read_parquet(shop.project()[0])) == len(shop.store.orders)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(gid("Order", 12), "12"), ("gid://shopify/RefundLineItem/3?x=1", "3"), (None, None)],
)
def test_ids_are_numbers(text, expected):
    assert number(text) == expected
