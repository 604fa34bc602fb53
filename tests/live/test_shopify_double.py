"""The double of Shopify refuses what Shopify refuses, and answers in its shapes."""

import json
import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest

from tests.live.double import Clock, Faults, Server
from tests.live.shopify_double import (
    API_PATH,
    CLIENT_ID,
    CLIENT_SECRET,
    LEGACY_TOKEN,
    SCOPES,
    TOKEN_PATH,
    GraphQLFaults,
    ShopifyDouble,
)
from tests.live.shopify_schema import MISSING, SCHEMA, SHARED
from tests.live.shopify_store import Adjustment, Sold, Store, gid, stock

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)
PAYLOADS = SHARED / "payloads" / "shopify"
QUERIES = SHARED / "shopify"


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def payload(name):
    return json.loads((PAYLOADS / name).read_text())


def saved_query(name, operation=None):
    """Return a saved file of queries, or one operation of it."""
    text = (QUERIES / name).read_text()
    if operation is None:
        return text
    starts = [match.start() for match in re.finditer(r"^(query|mutation) ", text, re.MULTILINE)]
    pieces = [text[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
    return next(piece for piece in pieces if operation + "(" in piece or operation + " " in piece)


def paged_store():
    """Make the store of the payloads: a part refund, and a foreign guest with a gift card."""
    store = Store(Clock(moment("2026-11-29T02:00:00")), taxes_included=True)
    stock(store)
    beans, filters, card, _ = store.products.values()
    ada = store.add_customer("ada.sample@example.com", phone="+15005550006")
    first = store.add_order(
        [Sold(beans, 2, discount=240), Sold(filters, discount=80)],
        ada,
        moment("2026-11-20T09:15:00"),
        taxes_included=False,
        shipping=500,
        phone=None,
        discount_codes=("WELCOME10",),
    )
    second = store.add_order(
        [Sold(beans), Sold(card)],
        None,
        moment("2026-11-21T22:40:00"),
        source_name="pos",
        presentment_currency="USD",
        presentment_rate=40.2 / 37,
    )
    store.refund(first, {1: 1}, at=moment("2026-11-25T11:00:00"))
    store.refund(second, amount=500, at=moment("2026-11-26T09:00:00"))
    for order in (first, second):
        order.updated_at += timedelta(seconds=1)
    return store


@dataclass
class Api:
    """A client without any care."""

    url: str
    client: httpx.Client
    token: str = LEGACY_TOKEN

    def post(self, document, /, **variables):
        return self.client.post(
            self.url + API_PATH,
            json={"query": document, "variables": variables},
            headers={"X-Shopify-Access-Token": self.token},
        )

    def ask(self, document, /, **variables):
        answer = self.post(document, **variables)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def bulk(self, query):
        """Start an operation, and return its payload."""
        answer = self.ask(saved_query("operations.graphql", "PerennialBulk"), query=query)
        return answer["data"]["bulkOperationRunQuery"]

    def poll(self, started):
        query = saved_query("operations.graphql", "PerennialBulkState")
        return self.ask(query, id=started["bulkOperation"]["id"])["data"]["bulkOperation"]


@pytest.fixture(scope="module")
def client():
    with httpx.Client() as client:
        yield client


@pytest.fixture
def serve(client):
    """Serve stores, until the test ends."""
    servers = []

    def start(store=None, **more):
        double = ShopifyDouble(store or paged_store(), **more)
        servers.append(Server(double))
        return double, Api(servers[-1].url, client)

    yield start
    for server in servers:
        server.close()


def shape(value):
    """Return a JSON value's names and types; rows of a list are alike if their shapes are."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def without_cursors(value):
    if isinstance(value, dict):
        return {name: without_cursors(v) for name, v in value.items() if name != "endCursor"}
    return [without_cursors(v) for v in value] if isinstance(value, list) else value


# Shapes of the saved payloads


def test_the_paged_query_gives_the_saved_payload(serve):
    double, api = serve()
    for day in range(3):  # more than a page
        double.store.add_order([], created_at=moment(f"2026-11-2{day + 7}T00:00:00"))
    body = api.ask(saved_query("orders_paged.graphql"), query="", first=2, after=None)
    expected = payload("orders.paged.json")
    assert without_cursors(body["data"]) == without_cursors(expected["data"])
    assert shape(body) == shape(expected)


def test_the_second_pass_gives_the_saved_refunds(serve):
    _, api = serve()
    ids = [gid("Order", 5_000_001), gid("Order", 999)]
    body = api.ask(saved_query("orders_refunds.graphql"), ids=ids)
    expected = payload("orders.refunds.json")
    assert without_cursors(body["data"]) == without_cursors(expected["data"])
    assert shape(body) == shape(expected)


def test_the_bulk_query_gives_the_saved_lines_in_another_order(serve):
    double, api = serve()
    started = api.bulk(saved_query("orders_bulk.graphql"))
    double.clock.advance(3600)
    done = api.poll(started)
    text = api.client.get(done["url"]).text
    expected = (PAYLOADS / "bulk.result.jsonl").read_text()
    assert sorted(text.splitlines()) == sorted(expected.splitlines())
    assert done["objectCount"] == "6"
    assert done["rootObjectCount"] == "2"
    assert done["fileSize"] == str(len(text.encode()))


def test_preflight_gives_the_saved_payload(serve):
    double, api = serve()
    double.scopes = frozenset(["read_orders", "read_all_orders", "read_customers"])
    store = double.store
    eve = store.add_customer("eve.sample@example.com")
    eve.id = 8_000_000
    order = store.add_order([], eve, moment("2019-03-04T10:00:00"))
    order.id = 1_000_001
    body = api.ask(saved_query("operations.graphql", "PerennialPreflight"))
    assert body["data"] == payload("preflight.json")["data"]


def test_the_count_gives_the_saved_payload(serve):
    _, api = serve()
    query = saved_query("operations.graphql", "PerennialCount")
    body = api.ask(query, query="created_at:>='2026-11-01T00:00:00Z'")
    assert body["data"] == payload("orders_count.json")["data"]
    body = api.ask(query, query="created_at:>='2026-11-21T00:00:00Z'")
    assert body["data"]["ordersCount"]["count"] == 1


EMPTY = "{ orders(query: \"created_at:<'2001-01-01'\") { edges { node { id } } } }"


@pytest.mark.parametrize(
    ("query", "outcome", "after", "name"),
    [
        (None, "completed", 10, "bulk.running.json"),
        (None, "completed", 3600, "bulk.completed.json"),
        (EMPTY, "completed", 3600, "bulk.completed.empty.json"),
        (None, "failed", 3600, "bulk.failed.partial.json"),
    ],
)
def test_polls_of_a_bulk_operation_have_the_saved_shapes(serve, query, outcome, after, name):
    double, api = serve()
    double.bulk_outcomes = [outcome]
    query = query or saved_query("orders_bulk.graphql")
    started = api.ask(saved_query("operations.graphql", "PerennialBulk"), query=query)
    assert shape(started) == shape(payload("bulk.created.json"))
    double.clock.advance(after)
    state, expected = api.poll(started["data"]["bulkOperationRunQuery"]), payload(name)
    expected = expected["data"]["bulkOperation"]
    assert shape(state) == shape(expected)
    assert state["status"] == expected["status"]
    assert state["errorCode"] == expected["errorCode"]


def test_tokens_and_plain_refusals_have_the_saved_bodies(serve):
    double, api = serve()
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID}
    right = api.client.post(api.url + TOKEN_PATH, data=form | {"client_secret": CLIENT_SECRET})
    double.scopes -= {"read_products"}
    assert shape(right.json()) == shape(payload("token.ok.json"))
    wrong = api.client.post(api.url + TOKEN_PATH, data=form | {"client_secret": "x"})
    assert (wrong.status_code, wrong.json()) == (400, payload("token.denied.json"))
    api.token = CLIENT_ID
    assert api.post("{ shop { id } }").status_code == 401
    assert api.post("{ shop { id } }").json() == payload("error.http_401.json")
    double.shop_state = "gone"
    assert api.post("{ shop { id } }").json() == payload("error.http_404_shop.json")


# Access


def test_a_token_ends_after_a_day_and_an_old_one_does_not(serve):
    double, api = serve()
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET}  # fmt: skip
    api.token = api.client.post(api.url + TOKEN_PATH, data=form).json()["access_token"]
    double.clock.advance(86_000)
    assert api.post("{ shop { id } }").status_code == 200
    double.clock.advance(400)
    assert api.post("{ shop { id } }").status_code == 401
    api.token = LEGACY_TOKEN
    assert api.post("{ shop { id } }").status_code == 200


def test_credentials_are_form_encoded(serve):
    _, api = serve()
    body = {"grant_type": "client_credentials", "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET}  # fmt: skip
    assert api.client.post(api.url + TOKEN_PATH, json=body).status_code == 400
    assert (
        api.client.post(api.url + TOKEN_PATH, data=body | {"grant_type": "x"}).status_code == 400
    )


@pytest.mark.parametrize(
    ("state", "status"), [("frozen", 402), ("forbidden", 403), ("gone", 404), ("locked", 423)]
)
def test_a_shop_that_is_closed_answers_nothing(serve, state, status):
    double, api = serve()
    double.shop_state = state
    assert api.post("{ shop { id } }").status_code == status


def test_orders_need_their_scope(serve):
    double, api = serve()
    double.scopes = frozenset(["read_customers"])
    body = api.ask("{\n  orders(first: 1) { nodes { id } } }")
    expected = payload("error.denied.object.json")
    assert body["data"] == expected["data"]
    assert body["errors"] == expected["errors"]


@pytest.mark.parametrize(
    ("scope", "field", "denied"),
    [
        ("read_customers", "customer { id }", "customer"),
        ("read_products", "lineItems(first: 1) { nodes { product { id } } }", "product"),
    ],
)
def test_each_object_needs_its_scope(serve, scope, field, denied):
    double, api = serve()
    double.scopes = frozenset(SCOPES) - {scope}
    body = api.ask(f"{{ orders(first: 1) {{ nodes {{ id {field} }} }} }}")
    assert [error["path"][-1] for error in body["errors"]] == [denied]
    assert body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert body["data"]["orders"]["nodes"][0]["id"] == gid("Order", 5_000_001)


def test_a_protected_field_is_null_beside_an_error(serve):
    double, api = serve()
    double.protected -= {"email"}
    body = api.ask("{ orders(first: 1) { nodes { id createdAt email customer { id } } } }")
    expected = payload("error.denied.protected_field.json")
    assert body["data"] == expected["data"]
    assert body["errors"] == expected["errors"]


def test_a_protected_field_that_is_never_null_takes_its_object_away(serve):
    double, api = serve()
    double.protected -= {"phone"}
    query = "{ orders(first: 1) { nodes { customer { id defaultPhoneNumber { phoneNumber } } } } }"
    body = api.ask(query)
    assert body["data"]["orders"]["nodes"][0]["customer"]["defaultPhoneNumber"] is None


@pytest.mark.parametrize(("lost", "kind"), [("read_orders", "scopes"), ("email", "protected")])
def test_a_bulk_operation_without_access_fails(serve, lost, kind):
    double, api = serve()
    setattr(double, kind, getattr(double, kind) - {lost})
    started = api.bulk(saved_query("orders_bulk.graphql"))
    double.clock.advance(3600)
    state, expected = api.poll(started), payload("bulk.failed.denied.json")
    assert shape(state) == shape(expected["data"]["bulkOperation"])
    assert state["errorCode"] == "ACCESS_DENIED"


def test_sixty_days_only_without_a_word(serve):
    double, api = serve()
    old = double.store.add_order([], created_at=double.store.now() - timedelta(days=61))
    query = """query Q($id: ID!) {
      orders(first: 9) { nodes { id } } ordersCount { count } nodes(ids: [$id]) { id } }"""
    assert api.ask(query, id=gid("Order", old.id))["data"]["ordersCount"]["count"] == 3
    double.scopes -= {"read_all_orders"}
    body = api.ask(query, id=gid("Order", old.id))
    assert "errors" not in body
    assert len(body["data"]["orders"]["nodes"]) == body["data"]["ordersCount"]["count"] == 2
    assert body["data"]["nodes"] == [None]
    started = api.bulk("{ orders { edges { node { id } } } }")
    double.clock.advance(3600)
    assert api.poll(started)["objectCount"] == "2"


# Searching and paging


def numbers(body):
    return [int(node["id"].rsplit("/", 1)[1]) for node in body["data"]["orders"]["nodes"]]


SEARCH = "query Q($q: String) { orders(first: 50, query: $q, sortKey: ID) { nodes { id } } }"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("created_at:>='2026-11-20T09:15:00Z' created_at:<'2026-11-21T22:40:00Z'", [5_000_001]),
        ("updated_at:>'2026-11-25T11:00:01Z'", [5_000_002]),
        ("updated_at:>=2026-11-25T11:00:00Z AND updated_at:<2026-11-25T11:00:02Z", [5_000_001]),
        ("financial_status:partially_refunded", [5_000_001, 5_000_002]),
        ("id:5000002", [5_000_002]),
        ("test:true", []),
    ],
)
def test_orders_are_searched(serve, query, expected):
    _, api = serve()
    body = api.ask(SEARCH, q=query)
    assert numbers(body) == expected
    assert "search" not in body["extensions"]


@pytest.mark.parametrize("query", ["updatedAt:>'2030-01-01'", "created_at:>yesterday", "words"])
def test_a_search_that_is_not_understood_warns_and_finds_everything(serve, query):
    _, api = serve()
    body = api.ask(SEARCH, q=query)
    assert numbers(body) == [5_000_001, 5_000_002]
    assert body["extensions"]["search"][0]["warnings"]


def test_the_index_follows_behind(serve):
    store = Store(Clock(), lag=30)
    double, api = serve(store)
    order = store.add_order([])
    assert numbers(api.ask(SEARCH, q="")) == []
    double.clock.advance(31)
    assert numbers(api.ask(SEARCH, q="")) == [order.id]
    before = store.now()
    double.clock.advance(60)
    store.tag(order, "gift")
    query = f"updated_at:>'{before:%Y-%m-%dT%H:%M:%SZ}'"
    assert numbers(api.ask(SEARCH, q=query)) == []
    double.clock.advance(31)
    assert numbers(api.ask(SEARCH, q=query)) == [order.id]


PAGE = """query P($after: String, $first: Int) {
  orders(first: $first, after: $after, sortKey: UPDATED_AT) {
    nodes { id } pageInfo { hasNextPage endCursor } } }"""


def test_pages_go_on_after_a_place_though_orders_move_to_the_end(serve):
    double, api = serve(Store(Clock()))
    store = double.store
    made = []
    for _ in range(7):
        made.append(store.add_order([]))
        double.clock.advance(1)
    body = api.ask(PAGE, first=3)
    store.tag(made[1], "moved")
    assert numbers(body) == [order.id for order in made[:3]]
    seen = []
    while body["data"]["orders"]["pageInfo"]["hasNextPage"]:
        body = api.ask(PAGE, first=3, after=body["data"]["orders"]["pageInfo"]["endCursor"])
        seen += numbers(body)
    assert seen == [order.id for order in [*made[3:], made[1]]]


@pytest.mark.parametrize(
    "query",
    [
        "{ orders { nodes { id } } }",
        "{ orders(first: 251) { nodes { id } } }",
        '{ orders(first: 1, after: "bm9wZQ==") { nodes { id } } }',
        "{ orders(first: 1) { nodes { id lineItems { nodes { id } } } } }",
        '{ nodes(ids: ["5000001"]) { id } }',
        "{ orders(first: 1) { nodes { nothing } } }",
        "{ orders(first: 1 { nodes { id } } }",
        'mutation { orderDelete(orderId: "x") { deletedId } }',
    ],
)
def test_a_wrong_query_is_an_error_with_status_200(serve, query):
    _, api = serve()
    body = api.ask(query)
    assert body["errors"][0]["message"]
    assert not (body.get("data") or {}).get("orders")


def test_a_request_without_a_query_is_refused(serve):
    _, api = serve()
    headers = {"X-Shopify-Access-Token": LEGACY_TOKEN}
    assert api.client.post(api.url + API_PATH, json={}, headers=headers).status_code == 400
    assert api.client.post(api.url + API_PATH, content="x", headers=headers).status_code == 400
    assert api.client.get(api.url + API_PATH, headers=headers).status_code == 404
    wrong = api.url + API_PATH.replace("2026-10", "2020-01")
    assert (
        api.client.post(wrong, json={"query": "{ shop { id } }"}, headers=headers).status_code
        == 404
    )


def test_a_count_has_a_limit(serve):
    _, api = serve()
    body = api.ask("{ ordersCount(limit: 1) { count precision } }")
    assert body["data"]["ordersCount"] == {"count": 1, "precision": "AT_LEAST"}


# Costs


def test_the_bucket_empties_and_fills_again(serve):
    double, api = serve(restore_rate=20)
    dear = partial(api.ask, saved_query("orders_paged.graphql"), query="", first=2, after=None)
    double.available = 120.0
    body = dear()
    expected = payload("error.throttled.json")
    assert shape(body) == shape(expected)
    assert body["errors"] == expected["errors"]
    cost = body["extensions"]["cost"]
    wait = cost["requestedQueryCost"] - cost["throttleStatus"]["currentlyAvailable"]
    double.clock.advance(wait / 20 - 1)
    assert "data" not in dear()
    double.clock.advance(1)
    assert dear()["data"]["orders"]["nodes"]
    assert double.throttled == 2
    double.clock.advance(1e6)
    assert api.ask("{ shop { id } }")["extensions"]["cost"]["throttleStatus"] == {
        "maximumAvailable": 400.0,
        "currentlyAvailable": 399.0,
        "restoreRate": 20.0,
    }


def test_a_query_that_costs_too_much_is_refused_until_it_is_halved(serve):
    _, api = serve()
    ask = partial(api.ask, saved_query("orders_paged.graphql"), query="", after=None)
    body, expected = ask(first=250), payload("error.max_cost.json")
    assert shape(body) == shape(expected)
    sizes = [size for size in (250, 125, 62, 31, 15, 7, 3, 1) if "data" in ask(first=size)]
    assert 1 < max(sizes) < 125
    assert sizes[-1] == 1


# Bulk operations

WRONG_BULK = {
    "{ orders { edges { node { id refunds { refundLineItems { edges { node { id } } } } } } } }": "edges",
    "{ orders { edges { node { id refunds { refundLineItems { nodes { id } } } } } } }": "list field",
    "{ shop { id } }": "at least one connection",
    "{ orders { edges { node { id } } } shop { id } }": "top-level",
    "{ orders { edges { node { name lineItems { edges { node { id } } } } } } }": "'id'",
    "{ orders { edges { node { id customer { id orders { edges { node { id lineItems { edges { node "
    "{ id } } } } } } } } } } }": "depth",
    "{ orders { edges { node { id a: lineItems { edges { node { id } } } b: lineItems { edges { node "
    "{ id } } } c: lineItems { edges { node { id } } } d: lineItems { edges { node { id } } } "
    "e: lineItems { edges { node { id } } } } } } }": "more than 5",
    "query Q($q: String) { orders(query: $q) { edges { node { id } } } }": "variables",
    "mutation { bulkOperationCancel(id: 1) { userErrors { message } } }": "one query",
    "{ orders { edges { node { nothing } } } }": "nothing",
    "{ orders": "Syntax",
}


@pytest.mark.parametrize(("query", "reason"), WRONG_BULK.items())
def test_a_query_that_bulk_does_not_run_is_refused(serve, query, reason):
    double, api = serve()
    started = api.bulk(query)
    expected = payload("bulk.user_error.json")["data"]["bulkOperationRunQuery"]
    assert started["bulkOperation"] is None
    assert started["userErrors"][0]["code"] == "INVALID"
    assert started["userErrors"][0].keys() == expected["userErrors"][0].keys()
    assert reason in started["userErrors"][0]["message"]
    assert not double.bulks


def test_a_sixth_operation_is_refused_until_one_ends(serve):
    double, api = serve()
    query = "{ orders { edges { node { id } } } }"
    for _ in range(5):
        assert api.bulk(query)["userErrors"] == []
    assert api.bulk(query) == payload("bulk.limit.json")["data"]["bulkOperationRunQuery"]
    double.clock.advance(3600)
    assert api.bulk(query)["userErrors"] == []
    double.most_bulks = 1
    expected = payload("bulk.user_error.json")["data"]["bulkOperationRunQuery"]
    assert api.bulk(query) == expected


def test_an_operation_passes_through_its_states(serve):
    double, api = serve()
    started = api.bulk(saved_query("orders_bulk.graphql"))
    states = [(state := api.poll(started))["status"]]
    for _ in range(3):
        double.clock.advance(70)
        states.append((state := api.poll(started))["status"])
    assert states == ["CREATED", "RUNNING", "RUNNING", "COMPLETED"]
    assert state["completedAt"] == "2026-11-29T02:03:10Z"
    listed = api.ask(saved_query("operations.graphql", "PerennialBulks"), first=5)
    assert [node["id"] for node in listed["data"]["bulkOperations"]["nodes"]] == [state["id"]]
    assert listed["data"]["bulkOperations"]["nodes"][0]["query"] == state["query"]


def test_inner_lists_have_pages_too(serve):
    double, api = serve()
    for _ in range(3):
        api.bulk(EMPTY)
        double.clock.advance(1)
    query = """query Q($after: String) {
      bulkOperations(first: 2, after: $after, reverse: true) {
        nodes { id } pageInfo { hasNextPage endCursor } } }"""
    first = api.ask(query)["data"]["bulkOperations"]
    second = api.ask(query, after=first["pageInfo"]["endCursor"])["data"]["bulkOperations"]
    ids = [node["id"] for node in first["nodes"] + second["nodes"]]
    assert ids == [gid("BulkOperation", 9_000_000 + number) for number in (3, 2, 1)]
    assert [first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]] == [True, False]
    lines = """query Q($id: ID!, $after: String) { nodes(ids: [$id]) { ... on Order {
      lineItems(first: 1, after: $after) { nodes { id } pageInfo { endCursor } } } } }"""
    order = gid("Order", 5_000_001)
    cursor = None
    for number in (1, 2):
        [node] = api.ask(lines, id=order, after=cursor)["data"]["nodes"]
        assert node["lineItems"]["nodes"] == [{"id": gid("LineItem", number)}]
        cursor = node["lineItems"]["pageInfo"]["endCursor"]


def test_a_result_is_downloaded_without_a_token_for_a_week(serve):
    double, api = serve()
    started = api.bulk(saved_query("orders_bulk.graphql"))
    double.clock.advance(3600)
    url = api.poll(started)["url"]
    assert api.client.get(url).status_code == 200
    assert api.client.get(url.replace("signature=", "signature=0")).status_code == 403
    assert double.leaked_tokens == 0
    api.client.get(url, headers={"X-Shopify-Access-Token": LEGACY_TOKEN})
    assert double.leaked_tokens == 1
    double.clock.advance(7 * 86_400)
    assert api.client.get(url).status_code == 400


def test_children_come_after_their_parents_and_not_next_to_them(serve):
    double, api = serve(grown(200))
    started = api.bulk(saved_query("orders_bulk.graphql"))
    double.clock.advance(3600)
    rows = [
        json.loads(line) for line in api.client.get(api.poll(started)["url"]).text.splitlines()
    ]
    place = {row["id"]: i for i, row in enumerate(rows)}
    children = [(i, place[row["__parentId"]]) for i, row in enumerate(rows) if "__parentId" in row]
    assert len(children) > 150
    assert all(child > parent for child, parent in children)
    assert sum(child - parent > 5 for child, parent in children) > len(children) / 2


@pytest.mark.parametrize(("outcome", "code"), [("failed", "INTERNAL_SERVER_ERROR"), ("timeout", "TIMEOUT")])  # fmt: skip
def test_a_failed_operation_shows_partial_data_later_that_end_in_an_order(serve, outcome, code):
    double, api = serve(grown(50))
    double.bulk_outcomes = [outcome]
    started = api.bulk(saved_query("orders_bulk.graphql"))
    double.clock.advance(200)
    state = api.poll(started)
    assert (state["status"], state["errorCode"]) == ("FAILED", code)
    assert (state["url"], state["partialDataUrl"]) == (None, None)
    double.clock.advance(240)
    text = api.client.get(api.poll(started)["partialDataUrl"]).text
    *whole, last = text.splitlines()
    assert all(json.loads(line) for line in whole)
    with pytest.raises(json.JSONDecodeError):
        json.loads(last)
    assert api.poll(api.bulk(EMPTY))["status"] == "CREATED"  # the next one does not fail


def test_an_operation_is_canceled(serve):
    double, api = serve()
    cancel = saved_query("operations.graphql", "PerennialBulkCancel")
    started = api.bulk("{ orders { edges { node { id } } } }")
    body = api.ask(cancel, id=started["bulkOperation"]["id"])
    assert body["data"]["bulkOperationCancel"]["bulkOperation"]["status"] == "CANCELING"
    double.clock.advance(30)
    assert api.poll(started)["status"] == "CANCELED"
    again = api.ask(cancel, id=started["bulkOperation"]["id"])
    assert "canceled" in again["data"]["bulkOperationCancel"]["userErrors"][0]["message"]
    nothing = api.ask(cancel, id=gid("BulkOperation", 1))["data"]["bulkOperationCancel"]
    assert nothing["bulkOperation"] is None


def test_an_operation_that_never_ends_expires(serve):
    double, api = serve()
    double.bulk_outcomes = ["stuck"]
    started = api.bulk("{ orders { edges { node { id } } } }")
    double.clock.advance(9 * 86_400)
    assert api.poll(started)["status"] == "RUNNING"
    double.clock.advance(86_400)
    assert api.poll(started)["status"] == "EXPIRED"


# Faults


def test_an_internal_error_has_the_saved_body(serve):
    _, api = serve(errors=GraphQLFaults(at={"INTERNAL_SERVER_ERROR": [1], "PARTIAL": [2]}))
    assert api.ask("{ shop { id } }") == payload("error.internal.json")
    body = api.ask(SEARCH, q="")
    assert body["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert numbers(body) == [5_000_001]
    assert numbers(api.ask(SEARCH, q="")) == [5_000_001, 5_000_002]


def test_a_download_is_cut(serve):
    double, api = serve(faults=Faults(at={"cut_in": [3]}))
    started = api.bulk(saved_query("orders_bulk.graphql"))
    double.clock.advance(3600)
    url = api.poll(started)["url"]
    with pytest.raises(httpx.RemoteProtocolError):
        api.client.get(url)
    assert api.client.get(url).status_code == 200


# The store and its oracle


def grown(steps, seed=4, **more):
    """Make a store in which some things happened, a minute to a day apart."""
    store, rng = Store(Clock(moment("2026-09-01T00:00:00")), **more), random.Random(seed)
    for _ in range(steps):
        store.clock.advance(rng.randrange(60, 86_400))
        store.step(rng)
    return store


def cents(bag):
    return round(100 * float(bag["shopMoney"]["amount"]))


def net_from_api(node, *, inclusive):
    """Return an order's net amount and its refunds as the paged query shows them, in cents."""
    lines = [line for line in node["lineItems"]["nodes"] if not line["isGiftCard"]]
    goods = {line["id"] for line in lines}
    net = sum(cents(line["priceAfterAllDiscountsBeforeTaxesSet"]) for line in lines)
    refunds = []
    for refund in node["refunds"]:
        back = [
            cents(part["subtotalSet"]) - (cents(part["totalTaxSet"]) if inclusive else 0)
            for part in refund["refundLineItems"]["nodes"]
            if part["lineItem"]["id"] in goods
        ]
        if back:
            refunds.append((refund["createdAt"], sum(back)))
    return net, refunds


@pytest.mark.parametrize("inclusive", [False, True])
def test_what_the_api_shows_adds_up_to_the_oracle(serve, inclusive):
    store = grown(300, taxes_included=inclusive)
    _, api = serve(store)
    body = api.ask(saved_query("orders_paged.graphql"), query="", first=25, after=None)
    truth = store.truth()
    refunded = 0
    for node in body["data"]["orders"]["nodes"]:
        net, refunds = net_from_api(node, inclusive=inclusive)
        true = truth[node["id"]]
        assert net == round(100 * true.net)
        days = [(store.day_of(datetime.fromisoformat(at)), amount) for at, amount in refunds]
        assert days == [(day, round(100 * amount)) for day, amount in true.refunds]
        assert true.gross - true.discount - sum(a for _, a in true.refunds) == true.net
        assert true.net_on(true.day - timedelta(days=1)) == true.gross - true.discount
        refunded += len(refunds)
    assert refunded > 2


def test_units_and_money_add_up_whatever_happens():
    store = grown(2000)
    for order in store.orders.values():
        for line in order.lines:
            assert 0 <= line.current <= line.kept <= line.quantity
        goods = sum(line.subtotal for refund in order.refunds for line in refund.lines)
        assert order.subtotal - goods == order.current_subtotal
        assert order.updated_at == max(updated for _, updated in order.index)
    truth = store.truth()
    assert len(truth) == len(store.orders) > 500
    kinds = {order.void for order in truth.values()}
    assert (
        kinds == {None, "test", "cancelled", "refunded", "pending", "authorized", "voided"} & kinds
    )
    assert {None, "test", "cancelled", "refunded", "pending"} <= kinds
    assert store.deletions()
    assert store.merged
    assert not truth.keys() & store.deletions().keys()
    assert any(len(order.lines) and order.edited for order in store.orders.values())


def test_the_same_seed_gives_the_same_store():
    assert grown(400, seed=9).truth() == grown(400, seed=9).truth()
    assert grown(400, seed=9).truth() != grown(400, seed=10).truth()


def test_a_deleted_order_is_gone_from_everywhere(serve):
    double, api = serve()
    order = double.store.orders[5_000_001]
    double.store.delete(order)
    assert numbers(api.ask(SEARCH, q="")) == [5_000_002]
    query = "query Q($id: ID!) { nodes(ids: [$id]) { id } ordersCount { count } }"
    body = api.ask(query, id=gid("Order", order.id))
    assert body["data"] == {"nodes": [None], "ordersCount": {"count": 1}}
    assert list(double.store.deletions()) == [gid("Order", order.id)]


def test_a_merge_moves_orders_and_not_their_change(serve):
    double, api = serve()
    store = double.store
    order = store.orders[5_000_001]
    gone, before = order.customer, order.updated_at
    survivor = store.add_customer("ada@other.example.com")
    store.merge(gone, survivor)
    assert order.customer is survivor
    assert order.updated_at == before
    query = "query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    body = api.ask(query, ids=[gid("Customer", gone.id), gid("Customer", survivor.id)])
    assert body["data"]["nodes"] == [None, {"id": gid("Customer", survivor.id)}]


def test_orders_are_void_from_their_day():
    store = paged_store()
    order = store.orders[5_000_001]
    day = store.day_of(order.created_at)
    assert store.truth_of(order).void is None
    store.clock.advance(86_400)
    store.cancel(order)
    true = store.truth_of(order)
    assert (true.void, true.void_day) == ("cancelled", store.day_of(store.now()))
    assert not true.is_void_on(day)
    assert true.is_void_on(true.void_day)
    assert true.net == 0
    assert order.financial_status == "REFUNDED"


def test_a_store_changes_between_the_requests_of_a_client(serve):
    store, rng = grown(60), random.Random(1)
    double, api = serve(store)
    happened = []
    double.hooks.append(lambda _: happened.append(store.step(rng)))
    for _ in range(40):
        api.ask(SEARCH, q="")
    assert len(happened) == 40
    assert len(set(happened)) > 4


def test_money_is_given_back_without_units():
    store = paged_store()
    order = store.orders[5_000_002]
    assert order.refunds[0].adjustments == (Adjustment(1, -500),)
    assert order.refunds[0].total == 500
    assert store.truth_of(order).refunds == ()
