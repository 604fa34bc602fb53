"""A bulk operation is begun once, waited for, and its result read whole."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from connectors.live.errors import AccessRefusedError, PlatformDownError, UnexpectedAnswerError
from connectors.live.records import Window
from connectors.live.shopify.bulk import BulkOperations, is_whole, read_orders
from connectors.live.shopify.client import BulkState
from connectors.live.shopify.errors import BulkFailedError, BulkRefusedError
from connectors.live.shopify.queries import Reach, bulk_query
from tests.live.double import Faults
from tests.live.shopify_double import PROTECTED
from tests.live.shopify_schema import MISSING, SCHEMA

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)
YEAR = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
QUERY = bulk_query("created_at", YEAR, Reach())


def bulks_of(shop):
    return BulkOperations(shop.client(), shop.clock)


def result_of(shop, folder, query=QUERY):
    bulks = bulks_of(shop)
    operation = bulks.start(query, shop.clock.now(), may_run=False)
    state = bulks.wait(operation)
    path = folder / "bulk.jsonl"
    return path if bulks.download(operation, state, path) else None


@pytest.mark.parametrize("fault", ["lost", "cut_in", "truncated", "cut_before", "500"])
def test_an_operation_whose_answer_is_lost_is_not_begun_twice(open_shop, fault):
    shop = open_shop(faults=Faults(at={fault: [1]}))
    bulks_of(shop).start(QUERY, shop.clock.now(), may_run=False)
    assert len(shop.double.bulks) == 1


def test_an_operation_of_a_killed_pull_is_used(open_shop):
    shop = open_shop()
    asked_at = shop.clock.now()
    first = bulks_of(shop).start(QUERY, asked_at, may_run=False)
    shop.clock.advance(3600)
    assert bulks_of(shop).start(QUERY, asked_at, may_run=True) == first
    shop.double.bulks[9_000_001].outcome = "failed"
    shop.double.bulks[9_000_001].error_code = "TIMEOUT"
    assert bulks_of(shop).start(QUERY, asked_at, may_run=True) != first


def test_it_waits_for_other_operations_and_then_gives_up(open_shop):
    shop = open_shop()
    client = shop.client()
    for day in range(1, 6):
        end = datetime(2026, 2, day, tzinfo=UTC)
        client.start_bulk(bulk_query("created_at", Window(YEAR.start, end), Reach()))
    bulks_of(shop).start(QUERY, shop.clock.now(), may_run=False)
    assert shop.clock.seconds >= 185
    shop.double.most_bulks = 0
    other = bulk_query("updated_at", YEAR, Reach())
    with pytest.raises(BulkRefusedError, match="LIMIT_REACHED"):
        bulks_of(shop).start(other, shop.clock.now(), may_run=False)


@pytest.mark.parametrize("outcome", ["failed", "timeout", "failed_bare", "stuck"])
def test_what_fails_leaves_nothing_to_use(open_shop, outcome):
    shop = open_shop()
    shop.double.bulk_outcomes = [outcome]
    bulks = bulks_of(shop)
    operation = bulks.start(QUERY, shop.clock.now(), may_run=False)
    began = shop.clock.now()
    with pytest.raises(BulkFailedError):
        bulks.wait(operation)
    assert shop.clock.now() - began < timedelta(hours=3)
    if outcome == "stuck":
        shop.clock.advance(60)
        assert bulks._client.bulk(operation).status == "CANCELED"


def test_a_field_that_is_denied_in_bulk_is_refused(open_shop):
    shop = open_shop()
    shop.double.protected = frozenset(PROTECTED) - {"email"}
    bulks = bulks_of(shop)
    operation = bulks.start(QUERY, shop.clock.now(), may_run=False)
    with pytest.raises(AccessRefusedError, match="denies the key a field"):
        bulks.wait(operation)


def test_a_result_that_is_cut_is_downloaded_again(open_shop, tmp_path):
    shop = open_shop()
    shop.double.faults = Faults(
        rates={"truncated": 0.4, "cut_in": 0.3}, paths=["/bulk/"], most_in_row=3
    )
    path = result_of(shop, tmp_path)
    assert len(list(read_orders(path, tmp_path))) == len(shop.store.orders)
    shop.double.faults = Faults(rates={"truncated": 1.0}, paths=["/bulk/"], most_in_row=99)
    with pytest.raises(PlatformDownError, match="no whole result"):
        result_of(shop, tmp_path)


def test_a_result_without_orders_and_one_that_has_expired(open_shop, tmp_path):
    shop = open_shop()
    empty = Window(datetime(2010, 1, 1, tzinfo=UTC), datetime(2010, 2, 1, tzinfo=UTC))
    assert result_of(shop, tmp_path, bulk_query("created_at", empty, Reach())) is None
    bulks = bulks_of(shop)
    operation = bulks.start(QUERY, shop.clock.now(), may_run=False)
    state = bulks.wait(operation)
    shop.clock.advance(8 * 86_400)
    with pytest.raises(BulkFailedError, match="expired"):
        bulks.download(operation, state, tmp_path / "x")


@pytest.mark.parametrize("bucket_bytes", [10**9, 2000, 300])
def test_lines_are_given_to_their_orders_in_parts_of_any_size(open_shop, tmp_path, bucket_bytes):
    shop = open_shop(30)
    path = result_of(shop, tmp_path)
    orders = list(read_orders(path, tmp_path, bucket_bytes))
    ids = [order["id"] for order in orders]
    assert len(set(ids)) == len(ids) == len(shop.store.orders)
    for order in orders:
        true = shop.store.orders[int(order["id"].rpartition("/")[2])]
        numbers = {int(line["id"].rpartition("/")[2]) for line in order["lineItems"]["nodes"]}
        assert numbers == {line.id for line in true.lines}
        assert all("__parentId" not in line for line in order["lineItems"]["nodes"])
    assert [one["id"] for one in read_orders(path, tmp_path, bucket_bytes)] == ids
    assert [file.name for file in tmp_path.glob("*.jsonl")] == ["bulk.jsonl"]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([{"id": "l", "__parentId": "o"}], "lines without their order"),
        (['{"id": "o"'], "no object"),
        (["[]"], "no object"),
        (['{"name": "#1"}'], "no object"),
    ],
)
def test_a_result_that_is_not_understood_is_refused(tmp_path, rows, match):
    path = tmp_path / "bulk.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    with pytest.raises(UnexpectedAnswerError, match=match):
        list(read_orders(path, tmp_path))


def test_a_result_is_whole_by_its_size_or_its_lines(tmp_path):
    path = tmp_path / "x"
    path.write_text("1\n2\n")
    assert is_whole(path, 4, BulkState("COMPLETED", None, 9, 9, 4, None))
    assert not is_whole(path, 3, BulkState("COMPLETED", None, 2, 2, 4, None))
    assert is_whole(path, 4, BulkState("COMPLETED", None, 2, 2, None, None))
    assert not is_whole(path, 4, BulkState("COMPLETED", None, 3, 3, None, None))
