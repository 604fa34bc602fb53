"""What Klaviyo's reading endpoints accept: routes, scopes, rates, parameters, and how they refuse."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.live import klaviyo_events_filters as filters
from tests.live.double import Answer, Request

JSON_API = "application/vnd.api+json"


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


def not_found(kind: str, serial: str) -> RefusedError:
    return RefusedError(
        404, "not_found", "Not found.", f"A {kind} with id {serial} does not exist."
    )


def bad_cursor() -> RefusedError:
    return invalid("Cursor is not valid.", parameter="page[cursor]")


def find_route(request: Request) -> tuple[Route, str]:
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


def check_revision(request: Request) -> None:
    revision = request.headers.get("revision", "")
    if re.fullmatch(r"\d{4}-\d\d-\d\d(\.[a-z0-9-]+)?", revision) is None:
        raise invalid("A revision header of the form YYYY-MM-DD is required.", header="revision")


def check_parameters(request: Request, route: Route) -> None:
    for name in request.query:
        if name not in route.parameters:
            raise invalid(f"'{name}' is not a valid parameter of this endpoint.", parameter=name)


def conditions_of(request: Request, kinds: Mapping[str, filters.Kind]) -> list[filters.Condition]:
    if "filter" not in request.query:
        return []
    try:
        return filters.parse_filter(request.value("filter"), kinds)
    except filters.FilterError as error:
        raise invalid(str(error), parameter="filter") from None


def choices(request: Request, name: str, allowed: Iterable[str]) -> frozenset[str]:
    """Return a comma separated parameter's values."""
    if name not in request.query:
        return frozenset()
    values = frozenset(request.value(name).split(","))
    wrong = sorted(values - set(allowed))
    if wrong:
        raise invalid(f"'{wrong[0]}' is not a valid value of {name}.", parameter=name)
    return values


def fields_of(request: Request, kind: str, allowed: frozenset[str]) -> frozenset[str] | None:
    name = f"fields[{kind}]"
    return choices(request, name, allowed) if name in request.query else None


def sparse(resource: dict[str, Any], fields: frozenset[str] | None) -> dict[str, Any]:
    if fields is None:
        return resource
    attributes = {n: value for n, value in resource["attributes"].items() if n in fields}
    return resource | {"attributes": attributes}


def page_size(request: Request) -> int:
    text = request.value("page[size]", "200")
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise invalid("Page size must be an integer from 1 to 1000.", parameter="page[size]")
    return int(text)
