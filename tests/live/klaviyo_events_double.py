"""A double of Klaviyo as a source: its accounts, metrics and events, read-only, by its rules.

    store = Store()
    store.place_order(order)
    double = KlaviyoEvents(store)
    with Server(double) as server:
        ...  # a client at server.url with KEY; its sleep is store.clock.sleep

What Klaviyo refuses is refused with its answers. Not certain of the real API, and so choices:
cursors live `cursor_seconds`; a datetime without a zone is of UTC in lists and of the query's zone
in aggregates; the dates of aggregates have the zone's own offset; without `sort` events come by id.
"""

import base64
import bisect
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from tests.live import klaviyo_events_filters as filters
from tests.live.double import Answer, Double, Faults, Request
from tests.live.klaviyo_events_payloads import (
    SITE,
    event_resource,
    metric_resource,
    profile_resource,
)
from tests.live.klaviyo_events_records import Event, Metric
from tests.live.klaviyo_events_store import Store

KEY = "pk_read_0123456789abcdef"
SCOPES = frozenset(["accounts:read", "events:read", "metrics:read", "profiles:read"])
JSON_API = "application/vnd.api+json"
METRICS_A_PAGE = 200
LONGEST_RANGE = timedelta(days=366)

EVENT_FIELDS = frozenset(["datetime", "event_properties", "id", "timestamp", "uuid"])
METRIC_FIELDS = frozenset(["created", "id", "integration", "name", "updated"])
PROFILE_FIELDS = frozenset(
    [
        "created",
        "email",
        "external_id",
        "first_name",
        "id",
        "image",
        "last_event_date",
        "last_name",
        "locale",
        "location",
        "location.address1",
        "location.address2",
        "location.city",
        "location.country",
        "location.ip",
        "location.latitude",
        "location.longitude",
        "location.region",
        "location.timezone",
        "location.zip",
        "organization",
        "phone_number",
        "properties",
        "title",
        "updated",
    ]
)
ACCOUNT_FIELDS = frozenset(
    [
        "contact_information",
        "id",
        "industry",
        "locale",
        "preferred_currency",
        "public_api_key",
        "test_account",
        "timezone",
    ]
)
PROPERTY_FIELDS = frozenset(["id", "inferred_type", "label", "property", "sample_values"])
SORTS = ("datetime", "-datetime", "timestamp", "-timestamp")
MEASUREMENTS = ("count", "sum_value", "unique")
INTERVALS = ("hour", "day", "week", "month")
DIMENSIONS = frozenset(
    [
        "$attributed_channel", "$attributed_flow", "$attributed_message", "$attributed_variation",
        "$campaign_channel", "$flow", "$flow_channel", "$message", "$message_send_cohort",
        "$usage_amount", "$value_currency", "$variation", "$variation_send_cohort", "Bot Click",
        "Bounce Type", "Campaign Name", "Client Canonical", "Client Name", "Client Type",
        "Email Domain", "Failure Source", "Failure Type", "From Number", "From Phone Region",
        "Inbox Provider", "List", "Message Format", "Message Name", "Message Type", "Method",
        "Segment Count", "Subject", "To Number", "To Phone Region", "URL", "form_id",
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Route:
    """An operation: its scopes, its rates a second and a minute, its parameters."""

    method: str
    path: re.Pattern[str]
    handler: str
    scope: str
    burst: int
    steady: int
    parameters: frozenset[str]


def _route(
    method: str, path: str, handler: str, scope: str, rates: tuple[int, int], *parameters: str
) -> Route:
    pattern = re.compile("^" + path.replace("{id}", "([A-Za-z0-9]+)") + "/?$")
    return Route(method, pattern, handler, scope, *rates, frozenset(parameters))


EVENT_PARAMETERS = (
    "include", "fields[event]", "fields[profile]", "fields[metric]", "fields[attribution]"
)  # fmt: skip
ROUTES = (
    _route("GET", "/api/accounts", "accounts", "accounts:read", (1, 15), "fields[account]"),
    _route(
        "GET", "/api/metrics", "metrics", "metrics:read", (10, 150),
        "fields[metric]", "fields[flow]", "filter", "include", "page[cursor]",
    ),
    _route(
        "GET", "/api/metrics/{id}/metric-properties", "properties", "metrics:read", (1, 15),
        "additional-fields[metric-property]", "fields[metric-property]",
    ),
    _route(
        "GET", "/api/events", "events", "events:read", (350, 3500),
        *EVENT_PARAMETERS, "filter", "sort", "page[size]", "page[cursor]",
    ),
    _route("GET", "/api/events/{id}", "event", "events:read", (10, 150), *EVENT_PARAMETERS),
    _route(
        "POST", "/api/metric-aggregates", "aggregates", "metrics:read", (3, 60),
        "fields[metric-aggregate]",
    ),
)  # fmt: skip


class RefusedError(Exception):
    """An answer that refuses."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        *,
        source: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        body = error_body(status, code, title, detail, source or {"pointer": "/data/"})
        self.answer = Answer(status, body, headers or {}, JSON_API)


def error_body(
    status: int, code: str, title: str, detail: str, source: Mapping[str, str]
) -> dict[str, Any]:
    error = {
        "id": "00000000-0000-0000-0000-0000000000ff",
        "status": status,
        "code": code,
        "title": title,
        "detail": detail,
        "source": dict(source),
        "links": {},
        "meta": {},
    }
    return {"errors": [error]}


def invalid(detail: str, **source: str) -> RefusedError:
    return RefusedError(400, "invalid", "Invalid input.", detail, source=source)


def throttled(seconds: float, *, has_header: bool = True) -> RefusedError:
    return RefusedError(
        429, "throttled", "Request was throttled.",
        f"Request was throttled. Expected available in {seconds:g} seconds.",
        headers={"Retry-After": f"{seconds:g}"} if has_header else {},
    )  # fmt: skip


class KlaviyoEvents(Double):
    """Klaviyo's reading endpoints in front of a store.

    Parameters
    ----------
    store
        What is answered, and whose clock it is.
    faults
        What goes wrong.
    scopes
        Of the key.
    key
        The private key.

    Attributes
    ----------
    refused : dict
        Refusals by status, the faults' not among them.
    has_windows : bool
        Whether rates are limited; both windows are fixed ones of the account.
    cursor_seconds : float
        How long a cursor lives.
    binds_page_size : bool
        Whether a cursor is of its page size too.
    counts_ahead : bool
        Whether aggregates have events that lists do not have yet.
    request_seconds : float
        How long a request takes of the shared clock.
    """

    def __init__(
        self,
        store: Store,
        faults: Faults | None = None,
        *,
        scopes: frozenset[str] = SCOPES,
        key: str = KEY,
    ) -> None:
        super().__init__(store.clock, faults)
        self.store, self.scopes, self.key = store, scopes, key
        self.refused: dict[int, int] = defaultdict(int)
        self.has_windows, self.binds_page_size, self.counts_ahead = True, False, False
        self.cursor_seconds, self.request_seconds = 24 * 3600.0, 0.0
        self._windows: dict[tuple[str, int, int], int] = defaultdict(int)
        self._cursors = 0  # generation: older ones are refused

    def expire_cursors(self) -> None:
        """Refuse every cursor that was handed out so far."""
        self._cursors += 1

    def documents(self, metric_id: str | None = None) -> dict[str, dict[str, Any]]:
        """Return the events that lists have now, by id: what a whole pull must hold."""
        return {event.id: event_resource(event) for event in self.store.visible(metric_id)}

    def fault_answer(self, fault: str, request: Request) -> Answer:
        """Answer 429 and 500 as the API, 502 and 503 as the network before it."""
        if fault.startswith("429"):
            seconds = self.faults.retry_after
            return throttled(seconds, has_header=fault == "429").answer
        if fault == "500":
            text = "A server error occurred."
            return Answer(500, error_body(500, "error", text, text, {}), {}, JSON_API)
        page = f"<html><head><title>{fault}</title></head><body>cloudflare</body></html>"
        return Answer(int(fault), page.encode(), {}, "text/html; charset=UTF-8")

    def handle(self, request: Request) -> Answer:
        self.clock.advance(self.request_seconds)
        try:
            route, serial = _find_route(request)
            self._check_key(request)
            _check_revision(request)
            self._check_scopes(route.scope)
            headers = self._count(route)
            _check_parameters(request, route)
            body = getattr(self, f"_{route.handler}")(request, serial)
        except RefusedError as refusal:
            self.refused[refusal.answer.status] += 1
            return refusal.answer
        return Answer(200, body, headers, JSON_API)

    # what every request needs

    def _check_key(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Klaviyo-API-Key {self.key}":
            raise RefusedError(
                401, "not_authenticated", "Authentication credentials were not provided.",
                "Missing or invalid private key.",
            )  # fmt: skip

    def _check_scopes(self, *scopes: str) -> None:
        missing = sorted(set(scopes) - self.scopes)
        if missing:
            raise RefusedError(
                403, "permission_denied", "You do not have permission to perform this action.",
                f"The API key is missing required scopes: {', '.join(missing)}",
            )  # fmt: skip

    def _count(self, route: Route) -> dict[str, str]:
        """Count a request in its windows of a second and a minute."""
        if not self.has_windows:
            return {}
        now = self.clock.seconds
        for most, width in ((route.burst, 1), (route.steady, 60)):
            window = int(now // width)
            if self._windows[route.handler, width, window] >= most:
                raise throttled(max(1, int((window + 1) * width - now + 0.999)))
        for width in (1, 60):
            self._windows[route.handler, width, int(now // width)] += 1
        used = self._windows[route.handler, 60, int(now // 60)]
        return {
            "RateLimit-Limit": f"{route.burst}, {route.burst};w=1, {route.steady};w=60",
            "RateLimit-Remaining": str(route.steady - used),
            "RateLimit-Reset": str(int(60 - now % 60)),
        }

    # cursors

    def _cursor(self, request: Request, position: Sequence[float | str]) -> str:
        content = [self._binding(request), self.clock.seconds, self._cursors, *position]
        text = json.dumps(content, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(_seal(text) + text).decode().rstrip("=")

    def _position(self, request: Request) -> list[Any]:
        """Return where a cursor points; nothing without one."""
        if "page[cursor]" not in request.query:
            return []
        cursor = request.value("page[cursor]")
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            seal, text = text[:4], text[4:]
            binding, issued, generation, *position = json.loads(text)
        except ValueError:
            raise _bad_cursor() from None
        is_alive = self.clock.seconds - issued <= self.cursor_seconds
        is_ours = seal == _seal(text) and binding == self._binding(request)
        if not is_ours or not is_alive or generation != self._cursors:
            raise _bad_cursor()
        return position

    def _binding(self, request: Request) -> str:
        free = {"page[cursor]"} | (set() if self.binds_page_size else {"page[size]"})
        query = sorted((name, request.value(name)) for name in request.query.keys() - free)
        return hashlib.blake2b(
            json.dumps([request.path.rstrip("/"), query]).encode(), digest_size=6
        ).hexdigest()

    def _links(self, request: Request, following: Sequence[float | str] | None) -> dict[str, Any]:
        query = {name: values[-1] for name, values in request.query.items()}
        path = SITE + request.path.rstrip("/")
        here = f"{path}?{urlencode(query)}" if query else path
        if following is None:
            return {"self": here, "next": None, "prev": None}
        query["page[cursor]"] = self._cursor(request, following)
        return {"self": here, "next": f"{path}?{urlencode(query)}", "prev": None}

    # accounts and metrics

    def _accounts(self, request: Request, serial: str) -> dict[str, Any]:
        account = self.store.account
        attributes = {
            "test_account": account.is_test,
            "contact_information": {
                "default_sender_name": account.organization,
                "default_sender_email": "shop@example.com",
                "website_url": "https://shop.example",
                "organization_name": account.organization,
                "street_address": {
                    "address1": "1 Example Street",
                    "address2": None,
                    "city": "Example",
                    "region": "",
                    "country": "DE",
                    "zip": "00000",
                },
            },
            "industry": "Ecommerce",
            "timezone": account.timezone,
            "preferred_currency": account.currency,
            "public_api_key": account.id,
            "locale": "en-US",
        }
        one = {
            "type": "account",
            "id": account.id,
            "attributes": attributes,
            "links": {"self": f"{SITE}/api/accounts/{account.id}"},
        }
        fields = _fields(request, "account", ACCOUNT_FIELDS)
        return {"data": [_sparse(one, fields)], "links": self._links(request, None)}

    def _metrics(self, request: Request, serial: str) -> dict[str, Any]:
        conditions = _conditions(request, filters.METRICS)
        fields = _fields(request, "metric", METRIC_FIELDS)
        _choices(request, "include", {"flow-triggers"})
        metrics = [
            metric
            for metric in self.store.metrics.values()
            if all(_integration_value(metric, one.name) == one.value for one in conditions)
        ]
        first = int((self._position(request) or [0])[0])
        page = metrics[first : first + METRICS_A_PAGE]
        following = first + len(page) if first + len(page) < len(metrics) else None
        return {
            "data": [_sparse(metric_resource(metric), fields) for metric in page],
            "links": self._links(request, None if following is None else [following]),
        }

    def _properties(self, request: Request, serial: str) -> dict[str, Any]:
        metric = self._metric(serial)
        fields = _fields(request, "metric-property", PROPERTY_FIELDS)
        name = "additional-fields[metric-property]"
        has_samples = bool(_choices(request, name, {"sample_values"}))
        values: dict[str, list[Any]] = defaultdict(list)
        for event in self.store.visible(metric.id):
            for key, value in event.properties.items():
                values[key].append(value)
        data = [
            _sparse(_property_resource(metric, key, samples, has_samples=has_samples), fields)
            for key, samples in sorted(values.items())
        ]
        return {"data": data, "links": self._links(request, None)}

    def _metric(self, serial: str) -> Metric:
        if serial not in self.store.metrics:
            raise _not_found("metric", serial)
        return self.store.metrics[serial]

    # events

    def _events(self, request: Request, serial: str) -> dict[str, Any]:
        conditions = _conditions(request, filters.EVENTS)
        self._check_future(conditions)
        size = _page_size(request)
        order = request.value("sort")
        if "sort" in request.query and order not in SORTS:
            raise invalid(f"'{order}' is not a valid sort.", parameter="sort")
        view = self._view(request)
        rows = self._after(self._matching(conditions), order, self._position(request))
        page = list(islice(rows, size + 1))
        following = _place(page[size - 1]) if len(page) > size else None
        return self._document(view, page[:size]) | {"links": self._links(request, following)}

    def _event(self, request: Request, serial: str) -> dict[str, Any]:
        view = self._view(request)
        event = self.store.events.get(serial)
        if event is None or event.visible > self.store.now():
            raise _not_found("event", serial)
        body = self._document(view, [event])
        return body | {"data": body["data"][0], "links": self._links(request, None)}

    def _check_future(self, conditions: Iterable[filters.Condition]) -> None:
        """Refuse what begins in the future, as the API does."""
        for one in conditions:
            if one.operator.startswith("greater") and _moment(one.value) > self.store.now():
                raise invalid("Filter is not valid for this field.", parameter="filter")

    def _matching(self, conditions: Sequence[filters.Condition]) -> list[Event]:
        """Return the events in the range of a query, in the order of their times and ids."""
        events = self._of_metrics(conditions)
        first, last = 0, len(events)
        for one in conditions:
            if one.name not in {"datetime", "timestamp"}:
                continue
            cut = bisect.bisect_left
            if one.operator in {"greater-than", "less-or-equal"}:
                cut = bisect.bisect_right
            place = cut(events, _moment(one.value), key=lambda event: event.happened)
            if one.operator.startswith("greater"):
                first = max(first, place)
            else:
                last = min(last, place)
        people = [one.value for one in conditions if one.name == "profile_id"]
        has_profile = any(one.name == "profile" for one in conditions)
        return [
            event
            for event in events[first:last]
            if all(event.profile_id == person for person in people)
            and (event.profile_id is not None or not has_profile)
        ]

    def _of_metrics(self, conditions: Sequence[filters.Condition]) -> list[Event]:
        named = [one.value for one in conditions if one.name == "metric_id"]
        sets = [{value} if isinstance(value, str) else set(value) for value in named]  # type: ignore[arg-type]
        if not sets:
            return self.store.listed()
        ids = set.intersection(*sets)
        if len(ids) == 1:
            return self.store.listed(ids.pop())
        several = [event for one in ids for event in self.store.listed(one)]
        return sorted(several, key=lambda event: (event.happened, event.id))

    def _after(self, events: list[Event], order: str, position: Sequence[Any]) -> Iterator[Event]:
        """Yield the visible events behind a position, in the order of a query."""
        now = self.store.now()
        if not order:
            events = sorted(events, key=lambda event: event.id)
            start = (
                bisect.bisect_right(events, position[1], key=lambda event: event.id)
                if position
                else 0
            )
            rows: Iterable[Event] = islice(events, start, None)
        elif order.startswith("-"):
            stop = (
                bisect.bisect_left(events, _key(position), key=_order) if position else len(events)
            )
            rows = reversed(events[:stop])
        else:
            start = bisect.bisect_right(events, _key(position), key=_order) if position else 0
            rows = islice(events, start, None)
        return (event for event in rows if event.visible <= now)

    def _view(self, request: Request) -> "View":
        included = _choices(request, "include", {"attributions", "metric", "profile"})
        if "profile" in included:
            self._check_scopes("profiles:read")
        if "metric" in included:
            self._check_scopes("metrics:read")
        return View(
            included,
            "include" in request.query,
            _fields(request, "event", EVENT_FIELDS),
            _fields(request, "profile", PROFILE_FIELDS),
            _fields(request, "metric", METRIC_FIELDS),
        )

    def _document(self, view: "View", events: Sequence[Event]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "data": [_sparse(event_resource(event), view.event) for event in events]
        }
        if not view.has_included:
            return body
        body["included"] = []
        if "profile" in view.included:
            ids = dict.fromkeys(event.profile_id for event in events)
            people = [self.store.profiles[one] for one in ids if one in self.store.profiles]
            body["included"] += [_sparse(profile_resource(one), view.profile) for one in people]
        if "metric" in view.included:
            metrics = dict.fromkeys(event.metric for event in events)
            body["included"] += [_sparse(metric_resource(one), view.metric) for one in metrics]
        return body

    # totals

    def _aggregates(self, request: Request, serial: str) -> dict[str, Any]:
        query = self._aggregate_query(request)
        at = datetime.max.replace(tzinfo=UTC) if self.counts_ahead else self.store.now()
        groups: dict[tuple[str, ...], list[Event]] = defaultdict(list)
        for event in self.store.visible(query.metric.id, at):
            if query.start <= event.happened < query.end and event.received <= self.store.now():
                groups[tuple(_dimension(event, name) for name in query.by)].append(event)
        if not groups and not query.by:
            groups[()] = []
        dates = list(_buckets(query))
        rows = [
            {"dimensions": list(names), "measurements": _measure(query, dates, events)}
            for names, events in sorted(groups.items())
        ]
        page = rows[query.first : query.first + query.page_size]
        following = query.first + len(page)
        link = None
        if following < len(rows):
            link = f"{SITE}/api/metric-aggregates?{urlencode({'page_cursor': following})}"
        here = f"{SITE}/api/metric-aggregates"
        return {
            "data": {
                "type": "metric-aggregate",
                "id": f"aggr{request.number:04}",
                "attributes": {
                    "dates": [date.isoformat() for date in dates],
                    "data": page,
                },
                "links": {"self": here},
            },
            "links": {"self": here, "next": link, "prev": None},
        }

    def _aggregate_query(self, request: Request) -> "AggregateQuery":
        content = request.headers.get("content-type", "").partition(";")[0]
        if content not in {JSON_API, "application/json"}:
            raise RefusedError(
                415, "unsupported_media_type", "Unsupported media type.",
                f"Unsupported media type \"{content}\" in request.",
            )  # fmt: skip
        values = _attributes(request)
        zone = values.get("timezone") or "UTC"
        if zone not in available_timezones():
            raise _bad_attribute("timezone")
        start, end = _range(values.get("filter"), ZoneInfo(zone))
        return AggregateQuery(
            metric=self._metric(_checked(values, "metric_id", str)),
            measurements=_subset(values, "measurements", MEASUREMENTS, least=1),
            by=_subset(values, "by", DIMENSIONS),
            interval=_subset(
                {"interval": [values.get("interval") or "day"]}, "interval", INTERVALS
            )[0],
            zone=ZoneInfo(zone),
            start=start,
            end=end,
            page_size=_checked(values, "page_size", int, 500),
            first=int(_checked(values, "page_cursor", str, "0") or 0),
        )


@dataclass(frozen=True)
class View:
    """What a query wants to see of events."""

    included: frozenset[str]
    has_included: bool
    event: frozenset[str] | None
    profile: frozenset[str] | None
    metric: frozenset[str] | None


@dataclass(frozen=True)
class AggregateQuery:
    """Totals of a metric by interval and dimensions."""

    metric: Metric
    measurements: tuple[str, ...]
    by: tuple[str, ...]
    interval: str
    zone: ZoneInfo
    start: datetime
    end: datetime
    page_size: int
    first: int


def _find_route(request: Request) -> tuple[Route, str]:
    is_path = False
    for route in ROUTES:
        match = route.path.match(request.path)
        if match is not None and route.method == request.method:
            return route, match[1] if match.groups() else ""
        is_path = is_path or match is not None
    if is_path:
        raise RefusedError(
            405, "method_not_allowed", "Method not allowed.",
            f'Method "{request.method}" not allowed.',
        )  # fmt: skip
    raise RefusedError(404, "not_found", "Not found.", "The requested path does not exist.")


def _not_found(kind: str, serial: str) -> RefusedError:
    return RefusedError(
        404, "not_found", "Not found.", f"A {kind} with id {serial} does not exist."
    )


def _check_revision(request: Request) -> None:
    revision = request.headers.get("revision", "")
    if re.fullmatch(r"\d{4}-\d\d-\d\d(\.[a-z0-9-]+)?", revision) is None:
        raise invalid("A revision header of the form YYYY-MM-DD is required.", header="revision")


def _check_parameters(request: Request, route: Route) -> None:
    for name in request.query:
        if name not in route.parameters:
            raise invalid(f"'{name}' is not a valid parameter of this endpoint.", parameter=name)


def _bad_cursor() -> RefusedError:
    return invalid("Cursor is not valid.", parameter="page[cursor]")


def _seal(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=4, key=b"double").digest()


def _conditions(request: Request, kinds: Mapping[str, filters.Kind]) -> list[filters.Condition]:
    if "filter" not in request.query:
        return []
    try:
        return filters.parse_filter(request.value("filter"), kinds)
    except filters.FilterError as error:
        raise invalid(str(error), parameter="filter") from None


def _choices(request: Request, name: str, allowed: Iterable[str]) -> frozenset[str]:
    """Return a comma separated parameter's values."""
    if name not in request.query:
        return frozenset()
    values = frozenset(request.value(name).split(","))
    wrong = sorted(values - set(allowed))
    if wrong:
        raise invalid(f"'{wrong[0]}' is not a valid value of {name}.", parameter=name)
    return values


def _fields(request: Request, kind: str, allowed: frozenset[str]) -> frozenset[str] | None:
    name = f"fields[{kind}]"
    return _choices(request, name, allowed) if name in request.query else None


def _sparse(resource: dict[str, Any], fields: frozenset[str] | None) -> dict[str, Any]:
    if fields is None:
        return resource
    attributes = {n: value for n, value in resource["attributes"].items() if n in fields}
    return resource | {"attributes": attributes}


def _page_size(request: Request) -> int:
    text = request.value("page[size]", "200")
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise invalid("Page size must be an integer from 1 to 1000.", parameter="page[size]")
    return int(text)


def _integration_value(metric: Metric, name: str) -> str:
    return str(getattr(metric.integration, name.partition(".")[2]))


def _moment(value: object) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromtimestamp(float(str(value)), UTC)


def _order(event: Event) -> tuple[datetime, str]:
    return event.happened, event.id


def _place(event: Event) -> tuple[float, str]:
    return event.happened.timestamp(), event.id


def _key(position: Sequence[Any]) -> tuple[datetime, str]:
    return datetime.fromtimestamp(position[0], UTC), position[1]


def _property_resource(
    metric: Metric, name: str, values: Sequence[Any], *, has_samples: bool
) -> dict[str, Any]:
    serial = hashlib.md5(f"{metric.id}/{name}".encode(), usedforsecurity=False).hexdigest()
    here = f"{SITE}/api/metric-properties/{serial}"
    attributes: dict[str, Any] = {
        "label": name,
        "property": name,
        "inferred_type": _inferred_type(values[0]),
    }
    if has_samples:
        flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
        scalars = [one for one in flat if isinstance(one, str | int | float | bool)]
        attributes["sample_values"] = list(dict.fromkeys(scalars))[:10] or None
    links = {"self": f"{here}/relationships/metric", "related": f"{here}/metric"}
    return {
        "type": "metric-property",
        "id": serial,
        "attributes": attributes,
        "relationships": {"metric": {"data": {"type": "metric", "id": metric.id}, "links": links}},
        "links": {"self": here},
    }


def _inferred_type(value: object) -> str:
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int | float):
        return "Numeric"
    return {list: "List", dict: "Object"}.get(type(value), "String")


def _attributes(request: Request) -> dict[str, Any]:
    try:
        data = request.json()["data"]
        kind, values = data["type"], data["attributes"]
    except (ValueError, KeyError, TypeError):
        raise invalid("The request body is not valid.", pointer="/data") from None
    if kind != "metric-aggregate" or not isinstance(values, dict):
        raise invalid("The type of the resource is not valid.", pointer="/data/type")
    allowed = {
        "metric_id", "page_cursor", "measurements", "interval", "page_size", "by",
        "return_fields", "filter", "timezone", "sort",
    }  # fmt: skip
    for name in values:
        if name not in allowed:
            raise _bad_attribute(name)
    return values


def _bad_attribute(name: str) -> RefusedError:
    return invalid(f"'{name}' is not valid.", pointer=f"/data/attributes/{name}")


def _checked(values: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    value = values.get(name)
    value = default if value is None else value
    if not isinstance(value, kind) or (kind is int and not 1 <= value <= 500):
        raise _bad_attribute(name)
    return value


def _subset(
    values: Mapping[str, Any], name: str, allowed: Iterable[str], least: int = 0
) -> tuple[str, ...]:
    value = values.get(name) or []
    if not isinstance(value, list) or len(value) < least or not set(value) <= set(allowed):
        raise _bad_attribute(name)
    return tuple(value)


def _range(texts: object, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the range of a query, which must have both ends and a year at most."""
    if not isinstance(texts, list):
        raise _bad_attribute("filter")
    try:
        parsed = [filters.parse_filter(text, filters.AGGREGATES, zone) for text in texts]
    except (filters.FilterError, TypeError):
        raise _bad_attribute("filter") from None
    ends = {one.operator: _moment(one.value) for conditions in parsed for one in conditions}
    if ends.keys() != {"greater-or-equal", "less-than"}:
        raise _bad_attribute("filter")
    start, end = ends["greater-or-equal"], ends["less-than"]
    if not start < end <= start + LONGEST_RANGE:
        raise _bad_attribute("filter")
    return start, end


def _dimension(event: Event, name: str) -> str:
    """Return the value that an event is grouped by; empty if it has none."""
    value = event.properties.get("$currency_code" if name == "$value_currency" else name)
    return "" if value is None else str(value)


def _bucket(moment: datetime, interval: str, zone: ZoneInfo) -> datetime:
    """Return the begin of the interval in which a moment is, by the clocks of a zone."""
    local = moment.astimezone(zone)
    if interval == "hour":
        return local.replace(minute=0, second=0, microsecond=0)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def _buckets(query: AggregateQuery) -> Iterator[datetime]:
    bucket = _bucket(query.start, query.interval, query.zone)
    while bucket.timestamp() < query.end.timestamp():
        yield bucket
        if query.interval == "hour":
            bucket = (bucket.astimezone(UTC) + timedelta(hours=1)).astimezone(query.zone)
        else:
            days = {"day": 1, "week": 7, "month": 32}[query.interval]
            bucket = _bucket(bucket + timedelta(days=days), query.interval, query.zone)


def _measure(
    query: AggregateQuery, dates: Sequence[datetime], events: Sequence[Event]
) -> dict[str, list[float]]:
    by_date: dict[float, list[Event]] = defaultdict(list)  # by second: hours repeat in autumn
    for event in events:
        by_date[_bucket(event.happened, query.interval, query.zone).timestamp()].append(event)
    measures: dict[str, Callable[[Sequence[Event]], float]] = {
        "count": lambda rows: float(len(rows)),
        "sum_value": lambda rows: round(
            sum(float(row.properties.get("$value") or 0) for row in rows), 2
        ),
        "unique": lambda rows: float(len({row.profile_id or row.id for row in rows})),
    }
    return {
        name: [measures[name](by_date[date.timestamp()]) for date in dates]
        for name in query.measurements
    }
