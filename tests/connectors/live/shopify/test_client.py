"""Answers are used whole or not at all; what may pass is tried again."""

import logging
from datetime import UTC, datetime

import pytest

from connectors.live.errors import AccessRefusedError, PlatformDownError, UnexpectedAnswerError
from connectors.live.records import Window
from connectors.live.shopify import queries
from connectors.live.shopify.client import moment
from connectors.live.shopify.credentials import Credentials
from connectors.live.shopify.errors import BulkRefusedError, StaleCursorError, TooDearError
from connectors.live.shopify.queries import Reach, bulk_query, page_query
from tests.connectors.live.shopify.shop import LEGACY, OF_APP
from tests.live.double import Faults
from tests.live.shopify_double import LEGACY_TOKEN, GraphQLFaults
from tests.live.shopify_schema import MISSING, SCHEMA

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)
PAGES = page_query("created_at", Reach())
WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
QUERY = bulk_query("created_at", WINDOW, Reach())


def test_a_token_is_asked_for_once_and_again_when_it_has_ended(open_shop):
    shop = open_shop()
    client = shop.client(OF_APP)
    for _ in range(3):
        client.count("")
    assert shop.double.tokens_given == 1
    shop.clock.advance(86_400)
    client.count("")
    shop.double.revoke_tokens()
    client.count("")
    assert shop.double.tokens_given == 3


def test_wrong_keys_are_refused_without_showing_them(open_shop):
    shop = open_shop()
    with pytest.raises(AccessRefusedError, match="401") as raised:
        shop.client(Credentials(token="shpat_wrong")).count("")  # noqa: S106
    assert "shpat_wrong" not in str(raised.value)
    with pytest.raises(AccessRefusedError, match="gives no token") as raised:
        shop.client(Credentials(client_id="i", client_secret="wrong-secret")).count("")  # noqa: S106
    assert "wrong-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ("frozen", "frozen .402"),
        ("gone", "No store .*404"),
        ("locked", "locked .423"),
        ("forbidden", "403"),
    ],
)
@pytest.mark.parametrize("credentials", [LEGACY, OF_APP])
def test_a_store_that_is_closed_is_refused_with_the_way_out(open_shop, state, match, credentials):
    shop = open_shop()
    shop.double.shop_state = state
    with pytest.raises(AccessRefusedError, match=match):
        shop.client(credentials).count("")
    assert len(shop.double.requests) == 1


def test_data_beside_an_error_are_not_used(open_shop):
    shop = open_shop(errors=GraphQLFaults(at={"PARTIAL": [1, 2]}))
    page = shop.client().page(PAGES, "", first=50, after=None)
    assert len(page.orders) == len(shop.store.orders)
    assert shop.double.errors.counts["PARTIAL"] == 2
    shop.double.errors = GraphQLFaults(rates={"PARTIAL": 1.0}, most_in_row=99)
    with pytest.raises(PlatformDownError, match="INTERNAL_SERVER_ERROR"):
        shop.client().page(PAGES, "", first=50, after=None)


def test_a_throttled_query_waits_for_its_points(open_shop):
    shop = open_shop(restore_rate=20)
    client = shop.client()
    for _ in range(5):
        client.page(PAGES, "", first=25, after=None)
    assert shop.double.throttled <= 1
    asked = sum(shop.double.costs)
    assert asked > shop.double.most_available
    assert 0 < sum(shop.clock.sleeps) < 3 * asked / shop.double.restore_rate


def test_a_query_that_costs_too_much_is_named(open_shop):
    with pytest.raises(TooDearError):
        open_shop().client().page(PAGES, "", first=250, after=None)


def test_a_cursor_that_is_refused_is_named(open_shop):
    with pytest.raises(StaleCursorError):
        open_shop().client().page(PAGES, "", first=2, after="bm9uc2Vuc2U=")


def test_a_search_that_is_left_out_in_part_is_refused(open_shop):
    with pytest.raises(UnexpectedAnswerError, match="left out a part of a search"):
        open_shop().client().count("creatd_at:>'2026-01-01'")


def test_a_query_that_is_not_understood_is_refused(open_shop):
    with pytest.raises(UnexpectedAnswerError, match="undefinedField"):
        open_shop().client().nodes("query($ids: [ID!]!) { nodes(ids: $ids) { nothing } }", [])


def test_a_bulk_operation_is_sent_once_and_found_by_its_text(open_shop):
    shop = open_shop(faults=Faults(at={"lost": [2]}))
    client, before = shop.client(), shop.clock.now()
    assert client.find_bulk(QUERY, before) is None
    with pytest.raises(PlatformDownError):
        client.start_bulk(QUERY)
    operation = client.find_bulk(QUERY, before)
    assert operation is not None
    assert len(shop.double.bulks) == 1
    other = bulk_query("updated_at", WINDOW, Reach())
    assert client.find_bulk(other, before) is None
    shop.clock.advance(3600)
    assert client.find_bulk(QUERY, shop.clock.now()) is None
    assert client.bulk("gid://shopify/BulkOperation/1") is None


def test_a_bulk_operation_that_is_refused_is_named(open_shop):
    shop = open_shop()
    with pytest.raises(BulkRefusedError, match="INVALID") as raised:
        shop.client().start_bulk("{ shop { name } }")
    assert not raised.value.is_busy
    shop.double.most_bulks = 0
    with pytest.raises(BulkRefusedError, match="LIMIT_REACHED") as raised:
        shop.client().start_bulk(QUERY)
    assert raised.value.is_busy


def test_results_come_from_known_hosts_only_and_without_the_token(open_shop, tmp_path):
    shop = open_shop()
    with pytest.raises(UnexpectedAnswerError, match="none of its hosts"):
        shop.client().download("https://example.org/x", tmp_path / "x")
    client = shop.client()
    operation = client.start_bulk(QUERY)
    shop.clock.advance(600)
    state = client.bulk(operation)
    assert client.download(state.url, tmp_path / "x") == state.size_bytes
    assert shop.double.leaked_tokens == 0
    assert "signature" not in repr(state)


def test_nothing_secret_and_no_person_is_logged(open_shop, caplog):
    caplog.set_level(logging.DEBUG)
    shop = open_shop(is_served=True)
    shop.pull(credentials=OF_APP, few=0)
    logged = caplog.text
    assert LEGACY_TOKEN not in logged
    assert not any(word in logged for word in ("shpss_", "shpat_", "@example.com", "signature="))


@pytest.mark.parametrize("text", ["yesterday", "2026-01-01T00:00:00", None])
def test_a_moment_that_cannot_be_read_is_refused(text):
    assert moment("2026-01-01T00:00:00Z") == datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(UnexpectedAnswerError):
        moment(text)


def test_only_these_queries_are_mutations():
    texts = {name: text for name, text in vars(queries).items() if isinstance(text, str)}
    mutations = {name for name, text in texts.items() if text.startswith("mutation")}
    assert mutations == {"START_BULK", "CANCEL_BULK"}
