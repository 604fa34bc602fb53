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
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from tests.live import klaviyo_events_filters as filters
from tests.live import klaviyo_events_totals as totals
from tests.live.double import Answer, Double, Faults, Request
from tests.live.klaviyo_events_payloads import (
    SITE,
    event_resource,
    metric_resource,
    profile_resource,
)
from tests.live.klaviyo_events_records import Event, Metric
from tests.live.klaviyo_events_rules import (
    ACCOUNT_FIELDS,
    EVENT_FIELDS,
    JSON_API,
    METRIC_FIELDS,
    PROFILE_FIELDS,
    PROPERTY_FIELDS,
    SORTS,
    RefusedError,
    Route,
    bad_cursor,
    check_parameters,
    check_revision,
    choices,
    conditions_of,
    error_body,
    fields_of,
    find_route,
    invalid,
    not_found,
    page_size,
    sparse,
    throttled,
)
from tests.live.klaviyo_events_store import Store

KEY = "pk_read_0123456789abcdef"


SCOPES = frozenset(["accounts:read", "events:read", "metrics:read", "profiles:read"])


METRICS_A_PAGE = 200


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
            route, serial = find_route(request)
            self._check_key(request)
            check_revision(request)
            self._check_scopes(route.scope)
            headers = self._count(route)
            check_parameters(request, route)
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
        except ValueError:
            raise bad_cursor() from None
        if text[:4] != _seal(text[4:]):
            raise bad_cursor()
        content: list[Any] = json.loads(text[4:])
        binding, issued, generation, *position = content
        is_alive = self.clock.seconds - issued <= self.cursor_seconds
        if not is_alive or binding != self._binding(request) or generation != self._cursors:
            raise bad_cursor()
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
        fields = fields_of(request, "account", ACCOUNT_FIELDS)
        return {"data": [sparse(one, fields)], "links": self._links(request, None)}

    def _metrics(self, request: Request, serial: str) -> dict[str, Any]:
        conditions = conditions_of(request, filters.METRICS)
        fields = fields_of(request, "metric", METRIC_FIELDS)
        choices(request, "include", {"flow-triggers"})
        metrics = [
            metric
            for metric in self.store.metrics.values()
            if all(_integration_value(metric, one.name) == one.value for one in conditions)
        ]
        first = int((self._position(request) or [0])[0])
        page = metrics[first : first + METRICS_A_PAGE]
        following = first + len(page) if first + len(page) < len(metrics) else None
        return {
            "data": [sparse(metric_resource(metric), fields) for metric in page],
            "links": self._links(request, None if following is None else [following]),
        }

    def _properties(self, request: Request, serial: str) -> dict[str, Any]:
        metric = self._metric(serial)
        fields = fields_of(request, "metric-property", PROPERTY_FIELDS)
        name = "additional-fields[metric-property]"
        has_samples = bool(choices(request, name, {"sample_values"}))
        values: dict[str, list[Any]] = defaultdict(list)
        for event in self.store.visible(metric.id):
            for key, value in event.properties.items():
                values[key].append(value)
        data = [
            sparse(_property_resource(metric, key, samples, has_samples=has_samples), fields)
            for key, samples in sorted(values.items())
        ]
        return {"data": data, "links": self._links(request, None)}

    def _metric(self, serial: str) -> Metric:
        if serial not in self.store.metrics:
            raise not_found("metric", serial)
        return self.store.metrics[serial]

    # events

    def _events(self, request: Request, serial: str) -> dict[str, Any]:
        conditions = conditions_of(request, filters.EVENTS)
        self._check_future(conditions)
        size = page_size(request)
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
            raise not_found("event", serial)
        body = self._document(view, [event])
        return body | {"data": body["data"][0], "links": self._links(request, None)}

    def _check_future(self, conditions: Iterable[filters.Condition]) -> None:
        """Refuse what begins in the future, as the API does."""
        for one in conditions:
            is_start = one.operator.startswith("greater")
            if is_start and filters.moment_of(one.value) > self.store.now():
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
            place = cut(events, filters.moment_of(one.value), key=lambda event: event.happened)
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
            rows = sorted(events, key=lambda event: event.id)
            rows = [event for event in rows if not position or event.id > position[1]]
        elif order.startswith("-"):
            stop = bisect.bisect_left(events, _key(position), key=_order) if position else None
            rows = events[:stop][::-1]
        else:
            start = bisect.bisect_right(events, _key(position), key=_order) if position else 0
            rows = events[start:]
        return (event for event in rows if event.visible <= now)

    def _view(self, request: Request) -> "View":
        included = choices(request, "include", {"attributions", "metric", "profile"})
        if "profile" in included:
            self._check_scopes("profiles:read")
        if "metric" in included:
            self._check_scopes("metrics:read")
        return View(
            included,
            "include" in request.query,
            fields_of(request, "event", EVENT_FIELDS),
            fields_of(request, "profile", PROFILE_FIELDS),
            fields_of(request, "metric", METRIC_FIELDS),
        )

    def _document(self, view: "View", events: Sequence[Event]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "data": [sparse(event_resource(event), view.event) for event in events]
        }
        if not view.has_included:
            return body
        body["included"] = []
        if "profile" in view.included:
            ids = dict.fromkeys(event.profile_id for event in events)
            people = [self.store.profiles[one] for one in ids if one in self.store.profiles]
            body["included"] += [sparse(profile_resource(one), view.profile) for one in people]
        if "metric" in view.included:
            metrics = dict.fromkeys(event.metric for event in events)
            body["included"] += [sparse(metric_resource(one), view.metric) for one in metrics]
        return body

    # totals

    def _aggregates(self, request: Request, serial: str) -> dict[str, Any]:
        query = totals.read_query(request)
        metric, now = self._metric(query.metric_id), self.store.now()
        events = [
            event
            for event in self.store.listed(metric.id)
            if (event.received if self.counts_ahead else event.visible) <= now
        ]
        rows = totals.total_rows(query, events)
        page = rows[query.first : query.first + query.page_size]
        here, following = f"{SITE}/api/metric-aggregates", query.first + len(page)
        cursor = urlencode({"page_cursor": following})
        return {
            "data": {
                "type": "metric-aggregate",
                "id": f"aggr{request.number:04}",
                "attributes": {
                    "dates": [date.isoformat() for date in totals.buckets(query)],
                    "data": page,
                },
                "links": {"self": here},
            },
            "links": {
                "self": here,
                "next": f"{here}?{cursor}" if following < len(rows) else None,
                "prev": None,
            },
        }


@dataclass(frozen=True)
class View:
    """What a query wants to see of events."""

    included: frozenset[str]
    has_included: bool
    event: frozenset[str] | None
    profile: frozenset[str] | None
    metric: frozenset[str] | None


def _seal(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=4, key=b"double").digest()


def _integration_value(metric: Metric, name: str) -> str:
    return str(getattr(metric.integration, name.partition(".")[2]))


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
    if isinstance(value, list):
        return "List"
    return "Object" if isinstance(value, dict) else "String"
