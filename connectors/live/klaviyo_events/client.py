"""Klaviyo's reading endpoints: accounts, metrics, events, totals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import httpx

from connectors.klaviyo.api import ACCOUNT, METRICS, REVISION
from connectors.live.errors import AccessRefusedError, RequestRefusedError, UnexpectedAnswerError
from connectors.live.http import Answer, Call, Clock, Endpoint, PlatformClient, connect
from connectors.live.records import JsonObject, RawRow, Window

KEY = "KLAVIYO_READ_KEY"
SCOPES = ("accounts:read", "metrics:read", "events:read", "profiles:read")
PROPERTIES = Endpoint("GET", "/api/metrics/{id}/metric-properties", ("metrics:read",), 1, 15)
EVENTS = Endpoint("GET", "/api/events", ("events:read", "profiles:read"), 350, 3500)
TOTALS = Endpoint("POST", "/api/metric-aggregates", ("metrics:read",), 3, 60)
ENDPOINTS = (ACCOUNT, METRICS, PROPERTIES, EVENTS, TOTALS)
JSON_API = "application/vnd.api+json"
LONGEST_TOTALS = timedelta(days=364)  # a query of totals spans less than a year
CURSOR = "page[cursor]"
VIEW = {
    "sort": "datetime",
    "include": "profile",
    "fields[event]": "datetime,timestamp,uuid,event_properties",
    "fields[profile]": "email,phone_number,external_id",
}


class CursorRefusedError(UnexpectedAnswerError):
    """Klaviyo does not accept a cursor any more."""


@dataclass(frozen=True)
class Account:
    """Whose account a key is of.

    Attributes
    ----------
    id
        Its public id, six letters and digits.
    name
        Of the organization.
    timezone, currency
        IANA name and ISO 4217 code; None where they are not set.
    is_test
        Whether the account is for tests.
    """

    id: str
    name: str
    timezone: str | None = None
    currency: str | None = None
    is_test: bool = False


@dataclass(frozen=True)
class Metric:
    """A kind of event. Names repeat: only the id and the integration's key identify one.

    Attributes
    ----------
    id, name
        As Klaviyo has them.
    integration
        The integration's key, such as ``shopify``; empty where the metric has none.
    created
        When the account got the metric; None where Klaviyo does not show it.
    """

    id: str
    name: str
    integration: str
    created: datetime | None = None


@dataclass(frozen=True)
class Property:
    """A property of a metric's events: its name and the type that Klaviyo infers."""

    name: str
    kind: str


@dataclass(frozen=True)
class EventPage:
    """A page of events.

    Attributes
    ----------
    rows
        The events, as they are stored.
    following
        The query of the next page; None after the last one.
    """

    rows: tuple[RawRow, ...]
    following: Mapping[str, str] | None


@dataclass(frozen=True)
class Totals:
    """A metric's events by day of UTC and by currency, as Klaviyo counts them."""

    counts: Mapping[date, int]
    by_currency: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """All events."""
        return sum(self.counts.values())


class KlaviyoEvents:
    """Reads an account's events; it can change nothing. Close it, or use it in a ``with`` block.

    Parameters
    ----------
    connection
        To Klaviyo, with the key.
    clock
        Paces requests and waits between tries.
    """

    def __init__(self, connection: httpx.Client, clock: Clock) -> None:
        self._connection = connection
        self._client = PlatformClient("Klaviyo", connection, ENDPOINTS, clock=clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def requests(self) -> int:
        """Requests sent so far, tries included."""
        return sum(self._client.requests.values())

    def account(self) -> Account:
        """Return whose account the key is of."""
        data = _listed(self._client.call(Call(ACCOUNT)), "an account")
        if len(data) != 1:
            raise UnexpectedAnswerError(
                f"Klaviyo lists {len(data)} accounts for the key, where one is expected"
            )
        attributes = _object(data[0], "attributes", "an account")
        contact = attributes.get("contact_information") or {}
        return Account(
            id=_text(data[0], "id", "an account"),
            name=str(contact.get("organization_name") or ""),
            timezone=attributes.get("timezone") or None,
            currency=attributes.get("preferred_currency") or None,
            is_test=bool(attributes.get("test_account")),
        )

    def metrics(self) -> tuple[Metric, ...]:
        """Return every metric of the account."""
        metrics: list[Metric] = []
        query: Mapping[str, str] | None = {}
        while query is not None:
            answer = self._client.call(Call(METRICS, query=query or None))
            metrics += [_metric(one) for one in _listed(answer, "metrics")]
            query = _following(answer, METRICS)
        return tuple(metrics)

    def properties(self, metric_id: str) -> tuple[Property, ...]:
        """Return the properties of a metric's events, by their names only."""
        answer = self._client.call(Call(PROPERTIES, ids={"id": metric_id}))
        attributes = [
            _object(one, "attributes", "a property") for one in _listed(answer, "properties")
        ]
        return tuple(
            Property(_text(one, "property", "a property"), str(one.get("inferred_type") or ""))
            for one in attributes
        )

    def events(
        self, metric_id: str, query: Mapping[str, str], *, tries: int | None = None
    ) -> EventPage:
        """Return a page of a metric's events.

        Parameters
        ----------
        metric_id
            The metric; an event of another one is refused.
        query
            From :func:`events_query`, or that of the next page.
        tries
            Of the request; by default the client's.

        Raises
        ------
        CursorRefusedError
            The cursor has expired: begin again without one.
        RequestRefusedError
            Klaviyo refuses the query.
        """
        try:
            answer = self._client.call(Call(EVENTS, query=query), tries=tries)
        except RequestRefusedError as error:
            if CURSOR in query and _is_of_cursor(error):
                raise CursorRefusedError("Klaviyo does not accept a cursor any more") from None
            raise
        payload = answer.payload if isinstance(answer.payload, dict) else {}
        people = {
            one.get("id"): {"id": one.get("id"), **_object(one, "attributes", "a profile")}
            for one in payload.get("included") or ()
            if one.get("type") == "profile"
        }
        rows = tuple(_row(one, metric_id, people) for one in _listed(answer, "events"))
        return EventPage(rows, _following(answer, EVENTS))

    def totals(self, metric_id: str, window: Window, *, has_value: bool = False) -> Totals:
        """Return how many events Klaviyo counts in a window, by day of UTC.

        Parameters
        ----------
        metric_id
            The metric.
        window
            Of any length.
        has_value
            Whether the events have a value, so that they are counted by currency too.
        """
        counts: dict[date, int] = {}
        by_currency: dict[str, int] = {}
        for part in _years(window):
            for currency, day, count in self._totals(metric_id, part, has_value=has_value):
                counts[day] = counts.get(day, 0) + count
                by_currency[currency] = by_currency.get(currency, 0) + count
        return Totals(counts, {name: count for name, count in by_currency.items() if count})

    def _totals(
        self, metric_id: str, window: Window, *, has_value: bool
    ) -> Iterator[tuple[str, date, int]]:
        attributes: dict[str, str | list[str]] = {
            "metric_id": metric_id,
            "measurements": ["count"],
            "interval": "day",
            "timezone": "UTC",
            "by": ["$value_currency"] if has_value else [],
            "filter": [
                f"greater-or-equal(datetime,{_stamp(window.start)})",
                f"less-than(datetime,{_stamp(window.end)})",
            ],
        }
        while True:
            body = {"data": {"type": "metric-aggregate", "attributes": attributes}}
            answer = self._client.call(Call(TOTALS, json=body, headers={"Content-Type": JSON_API}))
            yield from _counted(answer, window)
            following = _following_query(answer)
            if following is None:
                return
            if "page_cursor" not in following or following["page_cursor"] == attributes.get(
                "page_cursor"
            ):
                raise UnexpectedAnswerError("Klaviyo's totals have a next page without a cursor")
            attributes["page_cursor"] = following["page_cursor"]


def connect_klaviyo(
    url: str, key: str, *, clock: Clock, transport: httpx.BaseTransport | None = None
) -> KlaviyoEvents:
    """Return a client of Klaviyo's reading endpoints.

    Parameters
    ----------
    url
        Klaviyo's address, or a double's.
    key
        The private key of ``KLAVIYO_READ_KEY``.
    clock
        Paces requests and waits between tries.
    transport
        How requests travel; the network by default.

    Raises
    ------
    AccessRefusedError
        The key is no private key, or the address is not encrypted.
    """
    if not key.startswith("pk_"):
        raise AccessRefusedError(
            f"{KEY} is no private key of Klaviyo. Create one under Settings > API keys with the read "
            f"scopes {' '.join(SCOPES)}: private keys begin with pk_",
            0,
        )
    headers = {"Authorization": f"Klaviyo-API-Key {key}", "revision": REVISION}
    return KlaviyoEvents(connect(url, headers, transport=transport), clock)


def events_query(metric_id: str, window: Window | None, *, size: int = 200) -> dict[str, str]:
    """Return the query of a window's events, oldest first; all events without a window."""
    conditions = [f'equals(metric_id,"{metric_id}")']
    if window is not None:
        conditions += [
            f"greater-or-equal(datetime,{_stamp(window.start)}Z)",
            f"less-than(datetime,{_stamp(window.end)}Z)",
        ]
    return {**VIEW, "filter": ",".join(conditions), "page[size]": str(size)}


def _stamp(moment: datetime) -> str:
    """Return a moment of UTC in whole seconds, as filters have them."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def _years(window: Window) -> Iterator[Window]:
    start = window.start
    while start < window.end:
        end = min(start + LONGEST_TOTALS, window.end)
        yield Window(start, end)
        start = end


def _row(one: JsonObject, metric_id: str, people: Mapping[str, JsonObject]) -> RawRow:
    """Return an event as it is stored: as Klaviyo sent it, and its person beside it."""
    key = _text(one, "id", "an event")
    attributes = _object(one, "attributes", "an event")
    relations = one.get("relationships") or {}
    metric = ((relations.get("metric") or {}).get("data") or {}).get("id")
    if metric != metric_id:
        raise UnexpectedAnswerError(
            f"Klaviyo lists an event of metric {metric} where those of {metric_id} were asked for. "
            "Nothing was read"
        )
    profile = ((relations.get("profile") or {}).get("data") or {}).get("id")
    payload = {"event": one, "profile": people.get(profile) if profile else None}
    return RawRow(key, payload, happened_at=_moment(attributes.get("datetime"), "an event"))


def _metric(one: JsonObject) -> Metric:
    attributes = _object(one, "attributes", "a metric")
    integration = attributes.get("integration") or {}
    created = attributes.get("created")
    return Metric(
        id=_text(one, "id", "a metric"),
        name=str(attributes.get("name") or ""),
        integration=str(integration.get("key") or ""),
        created=_moment(created, "a metric") if created else None,
    )


def _counted(answer: Answer, window: Window) -> Iterator[tuple[str, date, int]]:
    """Yield currency, day and count of each row of totals."""
    try:
        attributes = answer.payload["data"]["attributes"]
        days = [datetime.fromisoformat(one).astimezone(UTC).date() for one in attributes["dates"]]
        for row in attributes["data"]:
            counts = row["measurements"]["count"]
            for day, count in zip(days, counts, strict=True):
                yield "".join(map(str, row["dimensions"])), day, int(count)
    except (KeyError, TypeError, ValueError, IndexError):
        raise UnexpectedAnswerError(
            f"Klaviyo's totals of {window} have another form than dates and counts"
        ) from None


def _following(answer: Answer, endpoint: Endpoint) -> dict[str, str] | None:
    """Return the query of the next page: our address is asked, whatever host the link has."""
    query = _following_query(answer)
    if query is None:
        return None
    path = urlsplit(answer.payload["links"]["next"]).path.rstrip("/")
    if path != endpoint.path or CURSOR not in query:
        raise UnexpectedAnswerError(f"Klaviyo's next page of {endpoint} leads elsewhere")
    return query


def _following_query(answer: Answer) -> dict[str, str] | None:
    links = answer.payload.get("links") if isinstance(answer.payload, dict) else None
    if not isinstance(links, dict):
        raise UnexpectedAnswerError(
            "Klaviyo's answer has no links: whether more follows is unknown"
        )
    following = links.get("next")
    return dict(parse_qsl(urlsplit(following).query)) if following else None


def _is_of_cursor(error: RequestRefusedError) -> bool:
    errors = error.payload.get("errors") if isinstance(error.payload, dict) else None
    sources = [one.get("source") or {} for one in errors or () if isinstance(one, dict)]
    return error.status == 400 and any(one.get("parameter") == CURSOR for one in sources)


def _listed(answer: Answer, what: str) -> Sequence[JsonObject]:
    data = answer.payload.get("data") if isinstance(answer.payload, dict) else None
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise UnexpectedAnswerError(f"Klaviyo's answer is no list of {what}")
    return data


def _object(one: JsonObject, name: str, what: str) -> JsonObject:
    value = one.get(name)
    if not isinstance(value, dict):
        raise UnexpectedAnswerError(f"Klaviyo lists {what} without {name}")
    return value


def _text(one: JsonObject, name: str, what: str) -> str:
    value = one.get(name)
    if not isinstance(value, str) or not value:
        raise UnexpectedAnswerError(f"Klaviyo lists {what} without {name}")
    return value


def _moment(value: object, what: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UnexpectedAnswerError(f"Klaviyo lists {what} whose time is not understood")
    return moment.astimezone(UTC)
