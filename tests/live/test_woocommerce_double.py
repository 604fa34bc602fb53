"""The double of WooCommerce obeys the platform's rules, and its hosting misbehaves as planned."""

import json
import random
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from perennial.simulation import simulate
from tests.live.double import Clock, Faults, Server
from tests.live.shapes import differences, payload, payload_text
from tests.live.woocommerce_double import HOSTING_KINDS, KEY, SECRET, Hosting, WooCommerceDouble
from tests.live.woocommerce_records import Billing, Shop
from tests.live.woocommerce_store import (
    RARE_WEIGHTS,
    WEIGHTS,
    Checkout,
    Item,
    WooCommerceStore,
    load,
)

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loads none: a client in no time
ORDERS, REFUNDS = "/wp-json/wc/v3/orders", "/wp-json/wc/v3/refunds"
ALL = {"status": "any", "per_page": 100, "dates_are_gmt": "true"}
SWEEP = {**ALL, "orderby": "modified", "order": "asc"}


@contextmanager
def serve(double: WooCommerceDouble, **options) -> Iterator[httpx.Client]:
    options = {"auth": (KEY, SECRET), "verify": NO_CERTIFICATES} | options
    with Server(double) as server, httpx.Client(base_url=server.url, **options) as client:
        yield client


@pytest.fixture
def store() -> WooCommerceStore:
    return WooCommerceStore(Clock())


@pytest.fixture
def double(store) -> WooCommerceDouble:
    return WooCommerceDouble(store)


@pytest.fixture
def client(double) -> Iterator[httpx.Client]:
    with serve(double) as client:
        yield client


def ids(response: httpx.Response) -> list[int]:
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json()]


def sweep(client: httpx.Client, **query) -> list[dict]:
    """Read all rows by pages."""
    rows, page = [], 1
    while more := client.get(ORDERS, params=SWEEP | query | {"page": page}).json():
        rows, page = rows + more, page + 1
    return rows


# Shapes


def rich_order(store: WooCommerceStore) -> int:
    """Order two products with a coupon and shipping; a part of it was refunded."""
    items = (
        Item("House Beans", Decimal(12), 2, 11, Decimal("2.40")),
        Item("Paper Filter", Decimal(8), 1, 12),
    )
    checkout = Checkout(items, coupon="welcome10", shipping=Decimal(5), status="completed")
    order_id = store.place(checkout)
    store.clock.advance(86_400)
    store.refund(order_id, Decimal("0.5"), reason="damaged")
    return order_id


def test_orders_have_the_shape_of_the_vendor_s(store, client):
    rich_order(store)
    theirs = payload("woocommerce", "orders.page1.json")
    assert differences(theirs, client.get(ORDERS, params=ALL).json()) == []


@pytest.mark.parametrize("dp", [2, 4])
def test_refunds_have_the_shape_of_the_vendor_s(store, client, dp):
    order_id = rich_order(store)
    of_all = client.get(REFUNDS, params={"dp": dp}).json()
    of_one = client.get(f"{ORDERS}/{order_id}/refunds", params={"dp": dp}).json()
    assert differences(payload("woocommerce", "refunds.page1.json"), of_all) == []
    assert differences(payload("woocommerce", "order_7001_refunds.json"), of_one) == []
    assert of_all[0]["parent_id"] == order_id


def test_headers_are_the_vendor_s(store, client):
    rich_order(store)
    theirs = payload("woocommerce", "orders.headers.json")["200"]
    headers = client.get(ORDERS, params=ALL | {"per_page": 1, "page": 2}).headers
    assert [name for name in theirs if name not in headers] == []
    assert headers["Content-Type"] == theirs["Content-Type"]


def test_errors_are_the_vendor_s(store, double):
    double.hosting.broken_orders = {store.place()}
    double.past_end = "400"
    store.shop = replace(store.shop, version="8.9.1")
    with serve(double, auth=None) as client:
        nobody = client.get(ORDERS)
        no_route = client.get(REFUNDS)
        wrong = client.get(ORDERS, auth=(KEY, "cs_wrong"))
        broken = client.get(ORDERS, auth=(KEY, SECRET))
        past = client.get(ORDERS, params={"page": 9}, auth=(KEY, SECRET))
    for response, name in (
        (nobody, "error.401.json"),
        (wrong, "error.401.signature.json"),
        (no_route, "error.404.no_route.json"),
        (broken, "error.500.critical.json"),
        (past, "error.400.page.json"),
    ):
        body = payload("woocommerce", name)
        assert response.json() == body
        assert response.status_code == body["data"]["status"]


# Amounts and dates


def test_amounts_are_texts_that_add_up(store, client):
    order_id = rich_order(store)
    order = client.get(f"{ORDERS}/{order_id}", params={"dp": 4}).json()
    lines = sum(Decimal(line["total"]) for line in order["line_items"])
    assert lines == Decimal("29.60")
    assert sum(Decimal(line["subtotal"]) for line in order["line_items"]) == Decimal(32)
    assert Decimal(order["discount_total"]) == Decimal("2.40")
    assert Decimal(order["total"]) == lines + Decimal(5) + Decimal(order["total_tax"])
    assert order["line_items"][0]["total"] == "21.6000"
    assert [refund["total"] for refund in order["refunds"]] == ["-17.7600"]
    assert "date_created" not in order["refunds"][0]


def test_prices_with_tax_need_four_decimals(store, client):
    store.shop = replace(store.shop, prices_include_tax=True, tax_rate=Decimal("0.19"))
    order_id = store.place(Checkout((Item("Dark Roast", Decimal("9.99"), 3, 14),)))
    exact = client.get(f"{ORDERS}/{order_id}", params={"dp": 4}).json()
    usual = client.get(f"{ORDERS}/{order_id}").json()
    assert exact["line_items"][0]["total"] == "25.1849"
    assert usual["line_items"][0]["total"] == "25.18"
    assert usual["total"] == "29.97"


@pytest.mark.parametrize(
    ("currency", "decimals", "total"), [("JPY", 0, "1480"), ("KWD", 3, "1480.488")]
)
def test_amounts_have_the_shop_s_decimals(store, client, currency, decimals, total):
    store.shop = Shop(currency=currency, decimals=decimals)
    store.place(Checkout((Item(price=Decimal("1233.74")),)))
    (row,) = client.get(ORDERS).json()
    assert (row["total"], row["currency"]) == (total, currency)


def test_dates_are_local_and_gmt_without_offsets(store, client):
    order_id = store.place(Checkout(created=datetime(2026, 7, 1, 22, 30, tzinfo=UTC)))
    order = client.get(f"{ORDERS}/{order_id}").json()
    assert order["date_created"] == "2026-07-02T00:30:00"
    assert order["date_created_gmt"] == "2026-07-01T22:30:00"
    assert store.truths()[order_id].day == date(2026, 7, 2)


def test_filters_use_the_local_column_unless_dates_are_gmt(store, client):
    store.place()  # at 02:00 GMT, 03:00 in Berlin
    local = {"modified_after": "2026-11-29T02:30:00"}
    assert len(ids(client.get(ORDERS, params=local))) == 1
    assert ids(client.get(ORDERS, params=local | {"dates_are_gmt": "true"})) == []


@pytest.mark.parametrize("offset", ["Z", "+00:00", "-05:00"])
def test_offsets_in_dates_are_ignored_or_turned_into_local_time(store, double, client, offset):
    store.place()
    query = {"modified_after": "2026-11-29T01:30:00" + offset, "dates_are_gmt": "true"}
    assert len(ids(client.get(ORDERS, params=query))) == 1
    double.offsets = "local"  # 01:30 GMT becomes 02:30 in Berlin, compared with GMT
    assert ids(client.get(ORDERS, params=query)) == []


def test_bounds_are_exclusive_to_the_second(store, client):
    order_id = store.place()
    at = store.orders[order_id].modified
    for name, sign in (("modified_after", -1), ("modified_before", 1), ("after", -1)):
        equal = {**ALL, name: at.strftime("%Y-%m-%dT%H:%M:%S")}
        beyond = (at + timedelta(seconds=sign)).strftime("%Y-%m-%dT%H:%M:%S")
        assert ids(client.get(ORDERS, params=equal)) == []
        assert ids(client.get(ORDERS, params={**ALL, name: beyond})) == [order_id]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"per_page": 101}, "per_page"),
        ({"per_page": 0}, "per_page"),
        ({"page": 0}, "page"),
        ({"page": "x"}, "page"),
        ({"orderby": "total"}, "orderby"),
        ({"order": "up"}, "order"),
        ({"status": "shipped"}, "status"),
        ({"modified_after": "yesterday"}, "modified_after"),
        ({"dates_are_gmt": "maybe"}, "dates_are_gmt"),
    ],
)
def test_wrong_parameters_are_refused(client, query, name):
    response = client.get(ORDERS, params=query)
    assert response.status_code == 400
    assert response.json()["code"] == "rest_invalid_param"
    assert list(response.json()["data"]["params"]) == [name]


def test_unknown_parameters_are_ignored(store, client):
    order_id = store.place()
    assert ids(client.get(ORDERS, params={"nocache": "17"})) == [order_id]


def test_filters_that_the_double_lacks_are_not_ignored(double):
    with pytest.raises(RuntimeError, match="the double failed"), serve(double) as client:
        client.get(ORDERS, params={"customer": 31})
    assert "['customer']" in str(double.failures[0])


def test_orderby_modified_may_be_unknown(double, client):
    double.has_orderby_modified = False
    assert client.get(ORDERS, params={"orderby": "modified"}).status_code == 400


def test_fields_are_picked(store, client):
    store.place()
    query = {"_fields": "id,date_modified_gmt,billing.email,line_items.total"}
    (row,) = client.get(ORDERS, params=query).json()
    assert row.keys() == {"id", "date_modified_gmt", "billing", "line_items"}
    assert row["billing"] == {"email": "ben@example.com"}
    assert row["line_items"] == [{"total": "12.00"}]


# Lists that change


def test_totals_and_pages_are_counted(store, client):
    for _ in range(5):
        store.place()
    response = client.get(ORDERS, params={"per_page": 2, "page": 2})
    assert (response.headers["X-WP-Total"], response.headers["X-WP-TotalPages"]) == ("5", "3")
    assert 'rel="prev"' in response.headers["Link"]
    assert 'rel="next"' in response.headers["Link"]
    assert ids(response) == sorted(store.orders, reverse=True)[2:4]
    assert ids(client.get(ORDERS, params={"per_page": 2, "page": 4})) == []
    empty = client.get(ORDERS, params={"after": "2030-01-01T00:00:00"})
    assert (empty.headers["X-WP-Total"], empty.headers["X-WP-TotalPages"]) == ("0", "0")


def test_pages_drift_when_an_order_changes_between_them(store, double, client):
    for _ in range(4):
        store.place()
        store.clock.advance(1)
    first = min(store.orders)
    double.hooks.append(lambda request: store.open(first) if request.number == 2 else None)
    seen = [row["id"] for row in sweep(client, per_page=2)]
    skipped = sorted(store.orders)[2]
    assert skipped not in seen
    assert seen.count(first) == 2


def test_a_keyset_over_the_first_page_misses_nothing(store, double, client):
    rng = random.Random(3)
    for _ in range(250):
        store.step(rng)
        store.clock.advance(rng.choice([0, 0, 1, 5]))

    def live(request):
        if request.number <= 20:
            store.step(rng)
            store.clock.advance(1)

    double.hooks.append(live)
    seen: dict[int, dict] = {}
    after = datetime(2026, 1, 1, tzinfo=UTC)
    while True:
        query = SWEEP | {"modified_after": after.strftime("%Y-%m-%dT%H:%M:%S"), "per_page": 50}
        rows = client.get(ORDERS, params=query).json()
        changed = [row for row in rows if seen.get(row["id"]) != row]
        seen |= {row["id"]: row for row in rows}
        if not changed:
            break
        last = datetime.fromisoformat(rows[-1]["date_modified_gmt"] + "+00:00")
        after = last - timedelta(seconds=1)
    there = {row["id"]: row for row in sweep(client)}
    assert {key: seen[key] for key in there} == there
    assert store.truths().keys() == there.keys()


def test_ties_may_move_between_requests(store, double, client):
    for _ in range(20):
        store.place()
    stable = [ids(client.get(ORDERS, params=SWEEP)) for _ in range(2)]
    assert stable[0] == stable[1] == sorted(store.orders)
    double.has_stable_ties = False
    moving = [ids(client.get(ORDERS, params=SWEEP)) for _ in range(2)]
    assert moving[0] != moving[1]


def test_a_view_bumps_the_modification_date_and_nothing_else(store, client):
    order_id = store.place()
    before = client.get(f"{ORDERS}/{order_id}").json()
    store.clock.advance(60)
    store.open(order_id)
    after = client.get(f"{ORDERS}/{order_id}").json()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"date_modified", "date_modified_gmt"}
    store.open_bumps = False
    store.clock.advance(60)
    store.open(order_id)
    assert client.get(f"{ORDERS}/{order_id}").json() == after


def test_reading_one_order_may_bump_it(store, double, client):
    order_id = store.place()
    double.api_open_bumps = True
    store.clock.advance(60)
    client.get(f"{ORDERS}/{order_id}")
    assert store.orders[order_id].modified == store.now()


def test_any_is_without_the_trash_and_emptied_orders_leave_no_trace(store, client):
    kept, trashed, gone = store.place(), store.place(), store.place()
    store.refund(trashed, Decimal("0.5"))
    store.refund(gone, Decimal("0.5"))
    store.trash(gone)
    store.empty_trash()
    store.trash(trashed)
    assert ids(client.get(ORDERS, params=ALL)) == [kept]
    assert ids(client.get(ORDERS, params={"status": "trash"})) == [trashed]
    assert ids(client.get(REFUNDS)) == []
    assert client.get(f"{ORDERS}/{trashed}").json()["status"] == "trash"
    missing = client.get(f"{ORDERS}/{gone}")
    assert missing.status_code == 404
    assert missing.json()["code"] == "woocommerce_rest_shop_order_invalid_id"
    assert ids(client.get(f"{ORDERS}/{gone}/refunds")) == []
    assert store.emptied.keys() == {gone}
    assert store.truths().keys() == {kept}
    store.untrash(trashed)
    assert set(ids(client.get(ORDERS, params=ALL))) == {kept, trashed}


def test_the_trash_changes_the_modification_date_and_gives_the_status_back(store):
    order_id = store.place(Checkout(status="on-hold"))
    store.clock.advance(60)
    store.trash(order_id)
    assert store.orders[order_id].modified == store.now()
    store.clock.advance(60)
    store.untrash(order_id)
    order = store.orders[order_id]
    assert (order.status, order.modified) == ("on-hold", store.now())


def test_statuses_of_a_plugin_go_with_it(store, client):
    order_id = store.place(Checkout(status="partial-shipped"))
    assert ids(client.get(ORDERS, params={"status": "processing,partial-shipped"})) == [order_id]
    store.shop = replace(store.shop, statuses=store.shop.statuses[:-1])
    assert ids(client.get(ORDERS, params=ALL)) == []
    assert client.get(ORDERS, params={"status": "partial-shipped"}).status_code == 400


def test_refunds_have_dates_only_on_their_own_routes(store, client):
    order_id = store.place(Checkout((Item(price=Decimal(10), quantity=4),)))
    store.clock.advance(86_400 * 3)
    by_lines = store.refund(order_id, Decimal("0.25"))
    by_amount = store.refund(order_id, Decimal("0.25"), by_amount=True)
    (row,) = client.get(ORDERS).json()
    assert {one["id"] for one in row["refunds"]} == {by_lines, by_amount}
    lined, typed = client.get(REFUNDS, params={"order": "asc"}).json()
    assert lined["date_created_gmt"] == "2026-12-02T02:00:00"
    line = lined["line_items"][0]
    assert (line["quantity"], line["total"], lined["amount"]) == (-1, "-10.00", "12.00")
    assert line["meta_data"][0]["value"] == str(row["line_items"][0]["id"])
    assert (typed["line_items"], typed["amount"]) == ([], "9.00")


def test_refunds_need_version_nine(store, client):
    order_id = store.place()
    store.refund(order_id)
    store.shop = replace(store.shop, version="8.9.3")
    assert client.get(REFUNDS).status_code == 404
    assert len(ids(client.get(f"{ORDERS}/{order_id}/refunds"))) == 1


# Keys


def test_a_key_in_the_query_is_read_too_and_comes_back_in_links(double, store):
    for _ in range(11):
        store.place()
    double.hosting.strips_authorization = True
    with serve(double) as client:
        stripped = client.get(ORDERS)
    assert (stripped.status_code, stripped.json()["message"]) == (401, "Consumer key is missing.")
    with serve(double, auth=None) as client:
        query = client.get(ORDERS, params={"consumer_key": KEY, "consumer_secret": SECRET})
    assert len(ids(query)) == 10
    assert SECRET in query.headers["Link"]
    assert double.hosting.counts["stripped"] == 1


def test_a_stripped_header_may_look_like_no_key(double):
    double.hosting.strips_authorization, double.hosting.stripped_message = True, None
    with serve(double) as client:
        assert client.get(ORDERS).json()["code"] == "woocommerce_rest_cannot_view"


def test_a_key_does_what_it_may(double, store, client):
    order_id = store.place()
    before = dict(store.orders)
    for method in ("POST", "PUT", "DELETE"):
        response = client.request(method, f"{ORDERS}/{order_id}")
        assert response.status_code == 401
        assert "write permissions" in response.json()["message"]
    assert store.orders == before
    double.permissions = "write"
    assert "read permissions" in client.get(ORDERS).json()["message"]
    double.permissions, double.sees_orders, double.sees_settings = "read", False, False
    assert client.get(ORDERS).status_code == 403
    assert client.get("/wp-json/wc/v3/system_status").status_code == 403


# Preflight


def test_a_preflight_learns_currency_zone_and_version(store, client):
    index = client.get("/wp-json/", auth=httpx.USE_CLIENT_DEFAULT).json()
    assert (index["name"], index["timezone_string"]) == ("Example Shop", "Europe/Berlin")
    assert index["gmt_offset"] == 1
    status = client.get("/wp-json/wc/v3/system_status").json()
    assert status["environment"]["version"] == "10.3.0"
    assert status["environment"]["default_timezone"] == "UTC"  # PHP's
    assert status["settings"]["currency"] == "EUR"
    general = client.get("/wp-json/wc/v3/settings/general").json()
    assert {row["id"]: row["value"] for row in general}["woocommerce_currency"] == "EUR"
    one = client.get("/wp-json/wc/v3/settings/general/woocommerce_currency").json()
    assert one["value"] == "EUR"
    assert client.get("/wp-json/wc/v3/settings/general/nothing").status_code == 404
    assert client.get("/wp-json/wc/v3/data/currencies/current").json()["code"] == "EUR"


def test_a_shop_may_have_an_offset_in_place_of_a_zone(store, client):
    store.shop = Shop(zone="", gmt_offset=5.5)
    order_id = store.place()
    index = client.get("/wp-json").json()
    assert (index["timezone_string"], index["gmt_offset"]) == ("", 5.5)
    assert client.get(f"{ORDERS}/{order_id}").json()["date_created"] == "2026-11-29T07:30:00"


def test_totals_by_status_are_those_of_the_store(store, client):
    store.place()
    store.trash(store.place())
    store.place(Checkout(status="on-hold"))
    rows = client.get("/wp-json/wc/v3/reports/orders/totals").json()
    totals = {row["slug"]: row["total"] for row in rows if row["total"]}
    assert totals == {"processing": 1, "on-hold": 1}


# Hosting


def test_every_planned_fault_happens_and_is_counted(store):
    store.place()
    kinds = list(HOSTING_KINDS)
    hosting = Hosting(at={kind: [i + 1] for i, kind in enumerate(kinds)})
    with serve(WooCommerceDouble(store, hosting=hosting)) as client:
        answers = {kind: client.get(ORDERS) for kind in kinds}
        calm = client.get(ORDERS)
    assert hosting.counts == dict.fromkeys(kinds, 1)
    statuses = [answers[kind].status_code for kind in kinds]
    assert statuses == [200, 403, 406, 503, 200, 200, 200, 500]
    for kind in ("html_200", "html_403", "html_406", "html_503"):
        assert answers[kind].headers["Content-Type"].startswith("text/html")
    assert answers["bom"].content == b"\xef\xbb\xbf" + calm.content
    assert answers["warning"].content.endswith(calm.content)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answers["warning"].content)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answers["warning_cut"].content.partition(b"<br />\n[")[2])


def test_pages_of_hosting_are_as_stored(store):
    store.place()
    hosting = Hosting(at={"html_200": [1], "warning": [2], "bom": [3]})
    with serve(WooCommerceDouble(store, hosting=hosting)) as client:
        html, warning, bom = (client.get(ORDERS).content for _ in range(3))
    assert html == payload_text("woocommerce", "fault.200_html.html").rstrip()
    before = payload_text("woocommerce", "fault.200_warning_before_json.txt").partition(b"[")[0]
    assert warning.startswith(before)
    assert bom[:4] == payload_text("woocommerce", "fault.200_bom_before_json.txt")[:4]


def test_faults_at_random_spare_a_request_in_a_row_of_three(store):
    hosting = Hosting(seed=4, rates={"html_503": 0.5, "warning": 0.4})
    with serve(WooCommerceDouble(store, hosting=hosting)) as client:
        good = [client.get(ORDERS).content == b"[]" for _ in range(60)]
    assert sum(hosting.counts.values()) == good.count(False) > 20
    assert all(any(good[i : i + 3]) for i in range(58))


def test_unknown_kinds_of_fault_are_refused():
    with pytest.raises(ValueError, match="no fault"):
        Hosting(rates={"fire": 1})


def test_one_broken_order_breaks_every_page_with_it(store, double, client):
    order_ids = [store.place() for _ in range(4)]
    double.hosting.broken_orders = {order_ids[2]}
    by_one = [
        client.get(ORDERS, params={"order": "asc", "orderby": "id", "per_page": 1, "page": page})
        for page in (1, 2, 3, 4)
    ]
    assert [response.status_code for response in by_one] == [200, 200, 500, 200]
    assert client.get(ORDERS).status_code == 500
    assert client.get(f"{ORDERS}/{order_ids[2]}").status_code == 500
    assert double.hosting.counts["broken"] == 3


def test_big_pages_time_out(store, double, client):
    for _ in range(60):
        store.place()
    double.hosting.most_rows = 20
    statuses = [
        client.get(ORDERS, params={"per_page": size}).status_code for size in (100, 50, 20)
    ]
    assert statuses == [502, 504, 200]
    assert double.hosting.counts["too_big"] == 2


def test_a_shop_that_moved_redirects(store, double, client):
    store.place()
    double.hosting.moved_to = "localhost"
    response = client.get(ORDERS, params={"per_page": 1})
    assert response.status_code == 301
    assert response.headers["Location"].startswith("http://localhost:")
    assert response.headers["Location"].endswith(f"{ORDERS}?per_page=1")
    there = client.get(ORDERS, headers={"Host": "localhost"})
    assert there.status_code == 200
    assert double.hosting.counts["moved"] == 1


@pytest.mark.parametrize("obeys", [True, False])
def test_a_cache_answers_with_what_was(store, double, client, obeys):
    double.hosting.cache_seconds, double.hosting.cache_obeys = 600, obeys
    assert ids(client.get(ORDERS)) == []
    store.place()
    assert ids(client.get(ORDERS)) == []
    no_cache = client.get(ORDERS, headers={"Cache-Control": "no-cache"})
    assert len(ids(no_cache)) == (1 if obeys else 0)
    assert len(ids(client.get(ORDERS, params={"_": "2"}))) == 1
    assert double.hosting.counts["stale"] == (1 if obeys else 2)
    store.clock.advance(601)
    assert len(ids(client.get(ORDERS))) == 1


@pytest.mark.parametrize("retry_after", [30, None])
def test_too_many_requests_are_limited_by_the_minute(double, client, retry_after):
    double.hosting.most_per_minute, double.hosting.retry_after = 2, retry_after
    responses = [client.get(ORDERS) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert responses[2].headers.get("Retry-After") == (str(retry_after) if retry_after else None)
    double.clock.advance(60)
    assert client.get(ORDERS).status_code == 200
    assert double.hosting.counts["limited"] == 1


def test_faults_of_the_connection_have_pages_of_the_host(store):
    faults = Faults(at={"429": [1], "502": [2], "500": [3], "429_bare": [4]})
    with serve(WooCommerceDouble(store, faults)) as client:
        limited, gateway, critical, bare = (client.get(ORDERS) for _ in range(4))
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    assert "Retry-After" not in bare.headers
    assert gateway.headers["Content-Type"].startswith("text/html")
    assert critical.json()["code"] == "internal_server_error"


def test_without_permalinks_there_is_no_api(double, client):
    double.hosting.has_permalinks = False
    response = client.get("/wp-json/")
    assert (response.status_code, response.headers["Content-Type"][:9]) == (404, "text/html")
    assert double.hosting.counts["plain"] == 1


# The oracle


def test_net_revenue_is_goods_less_refunds_up_to_a_day(store):
    items = (Item(price=Decimal(20), quantity=2), Item("Gift Card 25", Decimal(25), 1, 99))
    order_id = store.place(Checkout(items, shipping=Decimal(5), fee=Decimal("1.50")))
    store.clock.advance(86_400)
    store.refund(order_id, Decimal("0.5"))
    truth = store.truths()[order_id]
    assert (truth.goods, truth.gift_cards, truth.fees) == (40, 25, Decimal("1.50"))
    assert truth.net(date(2026, 11, 29)) == 40
    assert truth.net(date(2026, 11, 30)) == truth.net() == 20
    store.refund(order_id)
    assert store.truths()[order_id].net() == 0
    assert store.truths()[order_id].status == "refunded"


def test_a_second_refund_is_of_what_is_left(store):
    order_id = store.place(Checkout((Item(price=Decimal(100)),)))
    store.refund(order_id, Decimal("0.5"))
    store.refund(order_id, Decimal("0.5"))
    assert [one.goods for one in store.truths()[order_id].refunds] == [50, 25]
    store.refund(order_id)
    assert [one.amount for one in store.truths()[order_id].refunds] == [60, 30, 30]


def test_a_refund_may_leave_the_order_s_date_alone(store):
    order_id = store.place()
    store.refund_bumps = False
    store.clock.advance(60)
    store.refund(order_id, Decimal("0.5"))
    assert store.orders[order_id].modified < store.now()


def test_a_typed_refund_takes_its_share_of_goods(store):
    order_id = store.place(Checkout((Item(price=Decimal(100)),)))
    store.refund(order_id, Decimal("0.25"), by_amount=True)  # 30 of 120 with tax
    (refund,) = store.truths()[order_id].refunds
    assert (refund.amount, refund.goods) == (30, 25)


@pytest.mark.parametrize("seed", range(5))
def test_a_random_shop_stays_consistent(seed):
    rng, store = random.Random(seed), WooCommerceStore(Clock())
    counts = dict.fromkeys(RARE_WEIGHTS, 0)
    for _ in range(400):
        counts[store.step(rng, RARE_WEIGHTS)] += 1
        store.clock.advance(rng.randint(0, 3600))
    assert min(counts.values()) > 0
    assert store.emptied
    assert store.deleted_refunds
    assert not store.emptied.keys() & store.orders.keys()
    for truth in store.truths().values():
        assert 0 <= truth.net() <= truth.goods
        assert sum(one.amount for one in truth.refunds) <= truth.total
    assert "delete_refund" not in WEIGHTS


def test_the_same_seed_gives_the_same_shop():
    def run() -> WooCommerceStore:
        rng, store = random.Random(9), WooCommerceStore(Clock())
        for _ in range(100):
            store.step(rng)
        return store

    assert run().orders == run().orders


def test_what_the_api_lists_is_what_the_oracle_lists(store, client):
    rng = random.Random(1)
    for _ in range(120):
        store.step(rng)
        store.clock.advance(rng.randint(0, 86_400))
    truths = store.truths()
    rows = {row["id"]: row for row in sweep(client, dp=4)}
    assert rows.keys() == truths.keys()
    for order_id, row in rows.items():
        lines = [one for one in row["line_items"] if not one["name"].startswith("Gift Card")]
        assert sum(Decimal(one["total"]) for one in lines) == truths[order_id].goods
        assert row["date_created"][:10] == truths[order_id].day.isoformat()
    listed = ids(client.get(REFUNDS, params={"per_page": 100}))
    assert set(listed) == store.refund_truths().keys()
    assert ids(client.get(ORDERS, params={"status": "trash", "per_page": 100})) == sorted(
        store.trashed(), key=lambda one: (store.orders[one].created, one), reverse=True
    )


def test_a_simulated_store_is_loaded_with_its_amounts():
    world = simulate(30, date(2025, 1, 1), date(2026, 1, 1), 7)
    shop = Shop(currency=world.profile.currency, zone=world.profile.timezone)
    store = WooCommerceStore(Clock(datetime(2026, 1, 2, tzinfo=UTC)), shop)
    order_ids = load(store, world)
    truths = store.truths()
    assert len(order_ids) == world.orders.num_rows == len(truths)
    for row in world.orders.to_pylist():
        truth = truths[order_ids[row["order_id"]]]
        assert float(truth.net()) == pytest.approx(row["net_amount"], abs=1e-9)
        assert truth.day == row["order_date"]
        assert truth.is_paid
        assert all(one.at >= truth.at for one in truth.refunds)
    assert any(truth.refunds for truth in truths.values())


def test_billing_may_be_empty(store, client):
    order_id = store.place(Checkout(billing=Billing()))
    assert client.get(f"{ORDERS}/{order_id}").json()["billing"]["email"] == ""
