"""Small stores, and single requests to the double of Klaviyo as a source."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.live.double import Faults, Server
from tests.live.klaviyo_events_double import KEY, KlaviyoEvents
from tests.live.klaviyo_events_process import (
    click_email,
    open_email,
    receive_email,
    unsubscribe,
)
from tests.live.klaviyo_events_records import BEANS, FILTERS, GIFT_CARD, Contact, Line, Order
from tests.live.klaviyo_events_store import Store

HEADERS = {"Authorization": f"Klaviyo-API-Key {KEY}", "revision": "2026-10-15"}
DAY = datetime(2026, 11, 20, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
EMAIL_OF_ADA = "ada.sample@example.com"
PEOPLE = {"fields[profile]": "email,phone_number,external_id"}


def order_of(number: int, at: datetime, **values: Any) -> Order:
    contact = values.pop("contact", Contact(f"person{number}@example.com"))
    lines = values.pop("lines", (Line(BEANS),))
    return Order(str(5_000_000 + number), 1000 + number, contact, at, lines, **values)


def store_of(count: int, **options: Any) -> Store:
    """A store with an order an hour."""
    store = Store(**options)
    for number in range(1, count + 1):
        store.place_order(order_of(number, DAY + number * HOUR))
    return store


def sample_store() -> Store:
    """The store of the payloads."""
    store = Store()
    ada = store.add_profile(EMAIL_OF_ADA, "+15005550006", "8000001")
    ben = store.add_profile("ben.sample@example.com")
    at = datetime(2026, 11, 20, 9, 15, tzinfo=UTC)
    lines = (Line(BEANS, 2, 240), Line(FILTERS, 1, 80))
    by_ada = Contact(ada.email, None, 8_000_001)
    store.place_order(
        order_of(1, at, contact=by_ada, lines=lines, shipping=500, tax_rate=0.2, codes=("WELCOME10",))
    )  # fmt: skip
    at = datetime(2026, 11, 21, 22, 40, tzinfo=UTC)
    by_ben = Contact(ben.email, None, 8_000_002, "Ben")
    store.place_order(
        order_of(2, at, contact=by_ben, lines=(Line(BEANS), Line(GIFT_CARD)), tax_rate=0.2,
                 taxes_included=True, source_name="pos")
    )  # fmt: skip
    at = datetime(2026, 11, 22, 7, tzinfo=UTC)
    store.place_order(
        order_of(3, at, contact=by_ada, shipping=500, tax_rate=0.2, is_test=True)
    )  # fmt: skip
    gone = store.add_profile("gone@example.com")
    store.place_order(order_of(4, at + 2 * HOUR, contact=Contact(gone.email), shipping=500))
    store.erase(gone.id)
    store.cancel("5000002", datetime(2026, 11, 22, 8, tzinfo=UTC))
    store.refund("5000001", at=datetime(2026, 11, 25, 11, tzinfo=UTC))
    at = datetime(2026, 11, 18, 8, tzinfo=UTC)
    receive_email(store, ada, "2026-11 Beans", at)
    open_email(store, ada, "2026-11 Beans", at + timedelta(seconds=20), is_machine=True)
    open_email(store, ada, "2026-11 Beans", at + 11 * HOUR)
    click_email(store, ada, "2026-11 Beans", at + 12 * HOUR)
    unsubscribe(store, ben, at + 26 * HOUR)
    return store


def other_store(integration: str) -> Store:
    """A store whose orders come from another integration."""
    store = Store(sends_to=(integration,))
    lines = (Line(BEANS, 2, 240), Line(FILTERS))
    contact = Contact("ben.sample@example.com", None, None, "Ben")
    order = order_of(1, DAY + 18 * HOUR, contact=contact, lines=lines, tax_rate=0.2, codes=("W",))
    store.place_order(order)
    return store


class Caller:
    """What sends single requests to a double."""

    def __init__(self, double: KlaviyoEvents, client: httpx.Client) -> None:
        self.double, self.client = double, client

    def get(
        self, path: str, headers: dict[str, str] | None = None, **query: Any
    ) -> httpx.Response:
        return self.client.get(path, params=query, headers=headers or HEADERS)

    def events(self, metric: str = "SHPlac", **query: Any) -> dict[str, Any]:
        query = {"filter": f'equals(metric_id,"{metric}")', "sort": "datetime"} | query
        answer = self.get("/api/events", **query)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    def pages(self, metric: str = "SHPlac", **query: Any) -> Iterator[dict[str, Any]]:
        page = self.events(metric, **query)
        yield page
        while page["links"]["next"] is not None:
            page = self.follow(page).json()
            yield page

    def ids(self, metric: str = "SHPlac", **query: Any) -> list[str]:
        return [one["id"] for page in self.pages(metric, **query) for one in page["data"]]

    def follow(self, page: dict[str, Any], **query: Any) -> httpx.Response:
        """Ask for the page after one, at the double's address."""
        following = parse_qs(urlsplit(page["links"]["next"]).query)
        return self.get("/api/events", **{n: v[-1] for n, v in following.items()} | query)

    def totals(self, headers: dict[str, str] | None = None, **attributes: Any) -> httpx.Response:
        query = {
            "metric_id": "SHPlac",
            "measurements": ["count", "sum_value"],
            "interval": "day",
            "timezone": "UTC",
            "by": ["$value_currency"],
            "filter": [
                "greater-or-equal(datetime,2026-11-20T00:00:00)",
                "less-than(datetime,2026-11-23T00:00:00)",
            ],
        } | attributes
        body = {"data": {"type": "metric-aggregate", "attributes": query}}
        return self.client.post("/api/metric-aggregates", json=body, headers=headers or HEADERS)

    def total_rows(self, **attributes: Any) -> dict[str, Any]:
        answer = self.totals(**attributes)
        assert answer.status_code == 200, answer.text
        rows: dict[str, Any] = answer.json()["data"]["attributes"]
        return rows


@contextmanager
def calling(store: Store, faults: Faults | None = None, **options: Any) -> Iterator[Caller]:
    double = KlaviyoEvents(store, faults, **options)
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # http only: no certificates to read
    with (
        Server(double) as server,
        httpx.Client(base_url=server.url, timeout=10, verify=no_tls) as client,
    ):
        yield Caller(double, client)
