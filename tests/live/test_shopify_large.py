"""A large store writes what graphql-core would have made of its orders."""

import json

import graphql
import httpx
import numpy as np
import pytest

from tests.live.double import Server
from tests.live.shopify_bulk import flatten, write_json
from tests.live.shopify_double import API_PATH, LEGACY_TOKEN, PROTECTED, SCOPES, ShopifyDouble
from tests.live.shopify_large import LargeStore
from tests.live.shopify_schema import MISSING, SCHEMA, SHARED, Access, Asked, execute
from tests.live.shopify_search import parse_search
from tests.live.shopify_store import gid

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)
QUERY = SHARED / "shopify" / "orders_bulk.graphql"


def asked_of(store):
    return Asked(store, Access(frozenset(SCOPES), frozenset(PROTECTED)), is_bulk=True)


@pytest.mark.parametrize(("inclusive", "orders"), [(False, 1000), (True, 300)])
def test_the_written_lines_are_those_of_graphql(tmp_path, inclusive, orders):
    store = LargeStore(orders, taxes_included=inclusive)
    query = QUERY.read_text()
    objects, roots = store.write_bulk(query, tmp_path / "bulk.jsonl", asked_of(store))
    written = (tmp_path / "bulk.jsonl").read_text().splitlines()
    result = execute(asked_of(store), graphql.parse(query), None, None)
    assert result.errors is None
    expected = [text for text, _ in flatten(result.data or {})]
    assert len(written) == objects == len(expected) > 1.4 * orders
    assert roots == orders
    assert sorted(written) == sorted(expected)
    assert all(write_json(json.loads(line)) == line for line in written)


def test_the_written_window_is_the_one_that_is_asked_for(tmp_path):
    store = LargeStore(2000)
    first, last = store.order(500).created_at, store.order(700).created_at
    store.delete(np.array([600]))
    text = f"created_at:>='{first.isoformat()}' created_at:<'{last.isoformat()}'"
    query = f'{{ orders(query: "{text}") {{ edges {{ node {{ id name }} }} }} }}'
    file = tmp_path / "bulk.jsonl"
    assert store.write_bulk(query, file, asked_of(store)) == (199, 199)
    ids = [json.loads(line)["id"] for line in file.read_text().splitlines()]
    rows = [row for row in range(500, 700) if row != 600]
    assert ids == [gid("Order", 5_000_001 + row) for row in rows]
    assert store.count(parse_search(text)) == 199


def test_consent_is_written_as_graphql_gives_it(tmp_path):
    store = LargeStore(20)
    inner = (
        "customer { id defaultEmailAddress { emailAddress marketingState marketingUpdatedAt } }"
    )
    query = f"{{ orders {{ edges {{ node {{ id {inner} }} }} }} }}"
    store.write_bulk(query, tmp_path / "bulk.jsonl", asked_of(store))
    written = (tmp_path / "bulk.jsonl").read_text().splitlines()
    result = execute(asked_of(store), graphql.parse(query), None, None)
    assert sorted(written) == sorted(text for text, _ in flatten(result.data or {}))


def test_a_field_without_a_column_is_refused(tmp_path):
    store = LargeStore(10)
    query = "{ orders { edges { node { id note } } } }"
    with pytest.raises(NotImplementedError, match=r"Order\.note"):
        store.write_bulk(query, tmp_path / "bulk.jsonl", asked_of(store))


def test_the_truth_of_columns_is_that_of_single_orders():
    store = LargeStore(500)
    truth = store.truth()
    store.delete(np.array([3]))
    assert len(store.truth()) == 499
    for place, row in enumerate(truth.itertuples()):
        true = store._model.truth_of(store.order(place))
        assert row.net_cents == round(100 * true.net)
        assert row.refund_cents == round(100 * sum(amount for _, amount in true.refunds))
        assert row.is_void == (true.void == "refunded")


def test_the_double_streams_the_file_and_pages_single_orders(tmp_path):
    store = LargeStore(3000)
    double = ShopifyDouble(store, folder=tmp_path)
    with Server(double) as server, httpx.Client() as client:

        def ask(document, **variables):
            return client.post(
                server.url + API_PATH,
                json={"query": document, "variables": variables},
                headers={"X-Shopify-Access-Token": LEGACY_TOKEN},
            ).json()["data"]

        run = (
            "mutation M($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { id } } }"
        )
        number = ask(run, q=QUERY.read_text())["bulkOperationRunQuery"]["bulkOperation"]["id"]
        store.clock.advance(3600)
        state = "query S($id: ID!) { bulkOperation(id: $id) { status url objectCount fileSize } }"
        done = ask(state, id=number)["bulkOperation"]
        text = client.get(done["url"]).content
        assert done["status"] == "COMPLETED"
        assert int(done["fileSize"]) == len(text)
        assert int(done["objectCount"]) == text.count(b"\n") > 4000

        page = """query P($after: String) { orders(first: 2, after: $after, sortKey: UPDATED_AT) {
          nodes { id updatedAt } pageInfo { endCursor } } ordersCount(limit: null) { count } }"""
        first = ask(page)
        second = ask(page, after=first["orders"]["pageInfo"]["endCursor"])
        assert first["ordersCount"]["count"] == 3000
        nodes = first["orders"]["nodes"] + second["orders"]["nodes"]
        assert len({node["id"] for node in nodes}) == 4
        moments = [node["updatedAt"] for node in nodes]
        assert moments == sorted(moments)
        refunded = int(np.flatnonzero(store.refunded_at)[0])
        answer = ask(
            "query N($id: ID!) { nodes(ids: [$id]) { ... on Order { refunds { "
            "refundLineItems(first: 5) { nodes { quantity } } } } } }",
            id=gid("Order", 5_000_001 + refunded),
        )
        assert answer["nodes"] == [
            {"refunds": [{"refundLineItems": {"nodes": [{"quantity": 1}]}}]}
        ]
