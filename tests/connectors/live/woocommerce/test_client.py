"""A WooCommerce shop's hosting: what is waited for, worked around, cut, followed or refused."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.live.errors import AccessRefusedError, PlatformDownError, UnexpectedAnswerError
from connectors.live.http import strict_json
from connectors.live.records import PullKind
from connectors.live.woocommerce.client import Keys, WooCommerceClient
from connectors.live.woocommerce.hosting import json_start, moved_address
from tests.connectors.live.woocommerce.shop_chaos import (
    differences,
    fast_disk,
    newest,
    pull,
    puller_of,
    true_orders,
)
from tests.live.double import Clock, Server
from tests.live.shapes import payload_text
from tests.live.woocommerce_double import KEY, SECRET, WARNING, Hosting, WooCommerceDouble
from tests.live.woocommerce_store import WooCommerceStore

ORDERS = [{"id": 1, "line_items": [{"id": 3, "name": "a>[1]"}], "meta_data": []}] * 20
WHOLE = WARNING + json.dumps(ORDERS, separators=(",", ":")).encode()
ALWAYS = 1_000_000  # in a row


@pytest.fixture(autouse=True, scope="module")
def no_sync():
    with fast_disk():
        yield


@pytest.fixture
def store():
    store = WooCommerceStore(Clock())
    for _ in range(40):
        store.place()
        store.clock.advance(3_600)
    return store


@pytest.fixture
def double(store):
    return WooCommerceDouble(store)


@pytest.fixture
def url(double):
    with Server(double) as server:
        yield server.url


def facts_of(url, store, folder):
    with puller_of(url, folder, store.clock) as puller:
        return puller.preflight()


# Before the JSON


@pytest.mark.parametrize("kind", ["bom", "warning"])
def test_what_stands_before_whole_json_is_cut_with_a_warning(store, double, url, tmp_path, kind):
    double.hosting = Hosting(rates={kind: 1}, most_in_row=ALWAYS)
    summary = pull(double, url, tmp_path)
    assert differences(store, tmp_path) == []
    assert any("before their JSON" in warning for warning in summary.warnings)


def test_json_that_ends_in_its_middle_is_never_read(double, url, tmp_path):
    double.hosting = Hosting(rates={"warning_cut": 1}, most_in_row=ALWAYS)
    with pytest.raises(UnexpectedAnswerError, match="maintenance or security page"):
        pull(double, url, tmp_path)


@given(st.integers(0, len(WHOLE) - 1))
def test_no_beginning_of_an_answer_is_taken_for_one(length):
    start = json_start(WHOLE[:length])
    if start is not None:
        with pytest.raises(json.JSONDecodeError):
            strict_json(WHOLE[start:length])


def test_json_begins_after_the_warning():
    start = json_start(WHOLE)
    assert start == len(WARNING)
    assert strict_json(WHOLE[start:]) == ORDERS
    assert json_start(WARNING + b"[]") == len(WARNING)


@pytest.mark.parametrize(
    "name", ["fault.200_bom_before_json.txt", "fault.200_warning_before_json.txt"]
)
def test_the_vendor_s_own_bodies_are_read(store, url, name):
    body = payload_text("woocommerce", name)
    with WooCommerceClient(url, Keys(KEY, SECRET), clock=store.clock) as client:
        assert isinstance(client._decode(body), list)
        assert client.cut.total() == 1


# Pages of others


@pytest.mark.parametrize("kind", ["html_403", "html_406"])
def test_a_firewall_that_stays_is_named(double, url, tmp_path, kind):
    double.hosting = Hosting(rates={kind: 1}, most_in_row=ALWAYS)
    with pytest.raises(AccessRefusedError, match="firewall"):
        pull(double, url, tmp_path)


@pytest.mark.parametrize("kind", ["html_403", "html_406", "html_200"])
def test_a_firewall_that_passes_is_waited_for(store, double, url, tmp_path, kind):
    double.hosting = Hosting(at={kind: [1, 4, 9]})
    pull(double, url, tmp_path)
    assert double.hosting.counts[kind] == 3
    assert differences(store, tmp_path) == []


def test_a_refusal_that_is_cut_on_its_way_is_asked_for_again(store, double, url, tmp_path):
    store.shop = replace(store.shop, version="8.9.1")
    double.hosting = Hosting(at={"warning_cut": [4]})
    pull(double, url, tmp_path)
    assert double.requests[3].path.endswith("/refunds")
    assert differences(store, tmp_path) == []


def test_maintenance_that_asks_for_a_long_wait_ends_the_pull(double, url, tmp_path):
    double.hosting = Hosting(at={"html_503": [6]})
    with pytest.raises(PlatformDownError, match="600 s"):
        pull(double, url, tmp_path)


def test_plain_permalinks_are_named(double, url, tmp_path):
    double.hosting.has_permalinks = False
    with pytest.raises(AccessRefusedError, match="Permalinks"):
        pull(double, url, tmp_path)


def test_a_cache_is_passed_by(store, double, url, tmp_path):
    double.hosting = Hosting(cache_seconds=1_000_000, cache_obeys=False)
    pull(double, url, tmp_path)
    store.edit(min(store.orders), note="changed")
    store.clock.advance(3_600)
    pull(double, url, tmp_path)
    assert differences(store, tmp_path) == []


# Where the shop is, and how the key gets there


@pytest.mark.parametrize("message", [None, "Consumer key is missing."])
def test_a_stripped_header_is_replaced_by_the_query(store, double, url, tmp_path, message):
    double.hosting.strips_authorization, double.hosting.stripped_message = True, message
    assert any("Authorization" in note for note in facts_of(url, store, tmp_path).notes)
    pull(double, url, tmp_path)
    assert differences(store, tmp_path) == []


def test_a_key_stays_in_the_header_where_that_works(store, double, url, tmp_path):
    pull(double, url, tmp_path)
    assert not any("consumer_key" in request.query for request in double.requests)


def test_a_moved_shop_is_followed_without_the_key(store, double, url, tmp_path):
    double.hosting.moved_to = "localhost"
    pull(double, url, tmp_path)
    assert double.hosting.counts["moved"] == 1
    assert "authorization" not in double.requests[0].headers
    assert differences(store, tmp_path) == []


@pytest.mark.parametrize(
    ("url", "location", "root"),
    [
        ("https://shop.example", "https://www.shop.example/wp-json/", "https://www.shop.example"),
        ("https://www.shop.example", "https://shop.example/wp-json/", "https://shop.example"),
        ("https://shop.example", "http://shop.example/wp-json/", None),
        ("https://shop.example", "https://other.example/wp-json/", None),
        ("https://shop.example", "https://shop.example.evil.example/wp-json/", None),
        ("https://shop.example", "https://shop.example/login", None),
        ("https://shop.example/a", "https://shop.example/b/wp-json/", "https://shop.example/b"),
        ("https://shop.example", None, None),
    ],
)
def test_only_the_same_shop_is_followed(url, location, root):
    assert moved_address(url, location) == root


# What WooCommerce does not manage


def test_large_pages_are_halved_where_the_host_does_not_manage_them(store, double, url, tmp_path):
    double.hosting.most_rows = 7
    pull(double, url, tmp_path)
    assert double.hosting.counts["too_big"] > 0
    assert differences(store, tmp_path) == []


@pytest.mark.parametrize("place", [0, 17, -1])
def test_a_broken_order_is_named_and_left_out_until_it_is_mended(
    store, double, url, tmp_path, place
):
    broken = sorted(store.orders)[place]
    double.hosting.broken_orders = {broken}
    summary = pull(double, url, tmp_path)
    assert any(f"Order {broken} cannot be read" in warning for warning in summary.warnings)
    assert set(newest(tmp_path, "orders")) == set(true_orders(store)) - {str(broken)}
    double.hosting.broken_orders = set()
    store.clock.advance(3_600)
    pull(double, url, tmp_path, PullKind.RECONCILE)
    assert differences(store, tmp_path) == []


def test_a_shop_that_fails_at_everything_is_down(double, url, tmp_path):
    double.hosting = Hosting(rates={"critical": 1}, most_in_row=ALWAYS)
    with pytest.raises(PlatformDownError):
        pull(double, url, tmp_path)


def test_limits_are_waited_for(store, double, url, tmp_path):
    double.hosting.most_per_minute, double.hosting.retry_after = 5, None
    pull(double, url, tmp_path)
    assert double.hosting.counts["limited"] > 0
    assert differences(store, tmp_path) == []


# What a preflight shows


def test_a_preflight_shows_the_shop(store, url, tmp_path):
    facts = facts_of(url, store, tmp_path)
    assert (facts.name, facts.currency, facts.timezone) == ("Example Shop", "EUR", "Europe/Berlin")
    assert facts.first_order_at == min(order.created for order in store.orders.values())
    assert any("Read/Write" in note for note in facts.notes)


def test_a_shop_without_a_city_has_the_zone_of_its_offset(store, url, tmp_path):
    store.shop = replace(store.shop, zone="", gmt_offset=2)
    facts = facts_of(url, store, tmp_path)
    assert facts.timezone == "Etc/GMT-2"
    assert any("summer time" in note for note in facts.notes)


def test_a_currency_that_the_key_may_not_see_is_the_newest_order_s(store, double, url, tmp_path):
    double.sees_settings = False
    facts = facts_of(url, store, tmp_path)
    assert facts.currency == "EUR"
    assert any("newest order's" in note for note in facts.notes)


def test_an_empty_shop_passes_the_preflight_and_says_so(url, tmp_path, double):
    double.store.orders.clear()
    facts = facts_of(url, double.store, tmp_path)
    assert facts.first_order_at is None
    assert any("no order" in note for note in facts.notes)
