"""The client: pages, cursors, totals, and answers that are refused."""

import json
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from connectors.live.errors import AccessRefusedError, UnexpectedAnswerError
from connectors.live.klaviyo_events.client import (
    CursorRefusedError,
    Totals,
    connect_klaviyo,
    events_query,
)
from connectors.live.records import Window
from tests.live.double import Clock, Server
from tests.live.klaviyo_events_caller import DAY, HOUR, sample_store, store_of
from tests.live.klaviyo_events_double import KEY, SCOPES, KlaviyoEvents

WINDOW = Window(DAY, DAY + timedelta(days=5))


@pytest.fixture
def double():
    return KlaviyoEvents(store_of(7))


@pytest.fixture
def server(double):
    with Server(double) as server:
        yield server


@pytest.fixture
def client(double, server):
    with connect_klaviyo(server.url, KEY, clock=double.clock) as client:
        yield client


def scripted(answer):
    """Return a client that gets one answer, whatever it asks."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    return connect_klaviyo("https://a.klaviyo.com", KEY, clock=Clock(), transport=transport)


def event(**changes):
    one = {
        "id": "4x",
        "attributes": {"datetime": "2026-11-20T10:00:00+00:00", "event_properties": {}},
        "relationships": {"metric": {"data": {"id": "SHPlac"}}, "profile": {"data": None}},
    }
    return {"data": [one | changes], "links": {"next": None}}


def test_pages_follow_at_our_own_address(double, client):
    query, keys = events_query("SHPlac", WINDOW, size=3), []
    while query is not None:
        page = client.events("SHPlac", query)
        keys += [row.key for row in page.rows]
        query = page.following
    assert keys == [one.id for one in double.store.visible("SHPlac")]
    assert client.requests == 3


def test_a_row_is_the_event_as_sent_and_its_person_beside_it(double, client):
    row = client.events("SHPlac", events_query("SHPlac", WINDOW)).rows[0]
    assert row.payload["event"] == double.documents("SHPlac")[row.key]
    assert row.payload["profile"]["email"] == "person1@example.com"
    assert row.happened_at == DAY + HOUR
    assert row.updated_at is None


def test_a_window_is_half_open(client):
    window = Window(DAY + 2 * HOUR, DAY + 4 * HOUR)
    rows = client.events("SHPlac", events_query("SHPlac", window)).rows
    assert [row.happened_at for row in rows] == [DAY + 2 * HOUR, DAY + 3 * HOUR]


def test_an_expired_cursor_is_an_error_of_its_own(double, client):
    page = client.events("SHPlac", events_query("SHPlac", WINDOW, size=3))
    double.expire_cursors()
    with pytest.raises(CursorRefusedError):
        client.events("SHPlac", page.following)


def test_an_account_and_its_metrics_are_read(client):
    account = client.account()
    assert (account.id, account.timezone, account.currency) == ("ABC123", "Europe/Berlin", "EUR")
    placed = [one for one in client.metrics() if one.name == "Placed Order"]
    assert [(one.id, one.integration) for one in placed] == [
        ("SHPlac", "shopify"),
        ("WOPlac", "woocommerce"),
        ("APPlac", "api"),
    ]


def test_totals_are_by_day_and_currency(client):
    totals = client.totals("SHPlac", WINDOW, has_value=True)
    assert totals.counts[date(2026, 11, 20)] == 7
    assert (totals.count, totals.by_currency) == (7, {"EUR": 7})


def test_totals_of_many_years_are_asked_in_parts(double, client):
    window = Window(datetime(2023, 1, 1, tzinfo=UTC), DAY + timedelta(days=5))
    assert client.totals("SHPlac", window).count == 7
    assert len(double.requests) == 4
    assert sum(double.refused.values()) == 0


def test_totals_without_events_are_none():
    attributes = {"dates": ["2026-11-20T00:00:00+00:00"], "data": []}
    answer = {"data": {"attributes": attributes}, "links": {"next": None}}
    assert scripted(answer).totals("SHPlac", WINDOW) == Totals({})


def test_properties_are_names_and_types(client):
    kinds = {one.name: one.kind for one in client.properties("SHPlac")}
    assert (kinds["$extra"], kinds["$value"]) == ("Object", "Numeric")


@pytest.mark.parametrize("key", ["", "ABC123", "shpat_1"])
def test_only_a_private_key_is_sent(key):
    with pytest.raises(AccessRefusedError, match="pk_"):
        connect_klaviyo("https://a.klaviyo.com", key, clock=Clock())


@pytest.mark.parametrize(
    ("scope", "call"),
    [
        ("accounts:read", lambda client: client.account()),
        ("metrics:read", lambda client: client.metrics()),
        ("metrics:read", lambda client: client.totals("SHPlac", WINDOW)),
        ("events:read", lambda client: client.events("SHPlac", events_query("SHPlac", WINDOW))),
        ("profiles:read", lambda client: client.events("SHPlac", events_query("SHPlac", WINDOW))),
    ],
)
def test_a_missing_scope_is_named(double, client, scope, call):
    double.scopes = SCOPES - {scope}
    with pytest.raises(AccessRefusedError, match=scope) as caught:
        call(client)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        {"data": {}, "links": {"next": None}},
        {"data": []},
        event(id=None),
        event(attributes=None),
        event(attributes={"datetime": "yesterday"}),
        event(attributes={"datetime": "2026-11-20T10:00:00"}),
        event(relationships={"metric": {"data": {"id": "WOPlac"}}}),
        event() | {"links": {"next": "https://a.klaviyo.com/api/profiles?page[cursor]=x"}},
        event() | {"links": {"next": "https://a.klaviyo.com/api/events?filter=x"}},
    ],
)
def test_an_answer_that_is_not_understood_is_refused(answer):
    with pytest.raises(UnexpectedAnswerError):
        scripted(answer).events("SHPlac", events_query("SHPlac", WINDOW))


@pytest.mark.parametrize(
    "attributes", [{}, {"dates": ["2026-11-20T00:00:00+00:00"], "data": [{"measurements": {}}]}]
)
def test_totals_that_are_not_understood_are_refused(attributes):
    answer = {"data": {"attributes": attributes}, "links": {"next": None}}
    with pytest.raises(UnexpectedAnswerError, match="totals"):
        scripted(answer).totals("SHPlac", WINDOW)


def test_no_answer_s_person_is_in_an_error():
    answer = event(attributes={"datetime": "ada@example.com"})
    with pytest.raises(UnexpectedAnswerError) as caught:
        scripted(answer).events("SHPlac", events_query("SHPlac", WINDOW))
    assert "ada" not in json.dumps(str(caught.value))


def test_every_kind_of_row_has_its_time():
    double = KlaviyoEvents(sample_store())
    with (
        Server(double) as server,
        connect_klaviyo(server.url, KEY, clock=double.clock) as client,
    ):
        for metric in double.store.metrics:
            window = Window(DAY - timedelta(days=30), double.clock.now())
            rows = client.events(metric, events_query(metric, window)).rows
            assert {row.key for row in rows} == double.documents(metric).keys()
