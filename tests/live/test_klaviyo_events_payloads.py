"""The double answers as Klaviyo's payloads and OpenAPI document have it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.live.double import Faults
from tests.live.klaviyo_events_caller import (
    HEADERS,
    PEOPLE,
    Caller,
    calling,
    other_store,
    sample_store,
)
from tests.live.klaviyo_events_double import SCOPES
from tests.live.klaviyo_events_rules import ROUTES
from tests.live.klaviyo_events_store import Store

ROOT = Path(__file__).parents[2]
LIVE = ROOT / Path(os.environ.get("PERENNIAL_DATA", "../shared/data")).parent / "live"
PAYLOADS = LIVE / "payloads" / "klaviyo"
needs_payloads = pytest.mark.skipif(
    not PAYLOADS.is_dir(), reason=f"no payloads in {PAYLOADS}: set PERENNIAL_DATA"
)


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling(sample_store()) as one:
        one.double.has_windows = False
        yield one


# the payloads


def shape(value: Any) -> Any:
    """What a JSON value consists of: names and types, of lists their members'."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [merged([shape(one) for one in value])] if value else []
    return type(value).__name__


def merged(shapes: list[Any]) -> Any:
    """One shape for several: of dicts all names, of other kinds their set; null is no kind."""
    shapes = [one for one in shapes if one != "NoneType"] or ["NoneType"]
    if all(isinstance(one, dict) for one in shapes):
        names = {name for one in shapes for name in one}
        return {name: merged([one[name] for one in shapes if name in one]) for name in names}
    kinds = {json.dumps(one, sort_keys=True) for one in shapes}
    return shapes[0] if len(kinds) == 1 else sorted(kinds)


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Where two shapes differ; an empty list, null and a value may stand for each other."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        missing = [f"{path}/{name} is missing" for name in theirs.keys() - ours.keys()]
        extra = [f"{path}/{name} is extra" for name in ours.keys() - theirs.keys()]
        both = ours.keys() & theirs.keys()
        return missing + extra + [
            d for name in sorted(both) for d in differences(ours[name], theirs[name], f"{path}/{name}")
        ]  # fmt: skip
    if isinstance(ours, list) and isinstance(theirs, list):
        return differences(ours[0], theirs[0], f"{path}[]") if ours and theirs else []
    free = {"NoneType"} & {str(ours), str(theirs)}
    return [] if ours == theirs or free else [f"{path}: {ours} in place of {theirs}"]


EVENT_PAYLOADS = {
    "events.cancelled_order.shopify": "SHCanc",
    "events.refunded_order.shopify": "SHRefu",
    "events.ordered_product.shopify": "SHProd",
    "events.received_email": "KLRecv",
    "events.opened_email": "KLOpen",
    "events.clicked_email": "KLClik",
    "events.unsubscribed": "KLUnsu",
}


@needs_payloads
@pytest.mark.parametrize(("name", "metric"), EVENT_PAYLOADS.items())
def test_an_event_has_the_shape_of_its_payload(caller, name, metric):
    page = caller.events(metric, include="profile", **PEOPLE)
    assert differences(shape(page), shape(payload(name))) == []


@needs_payloads
@pytest.mark.parametrize(("name", "metric"), [("woocommerce", "WOPlac"), ("api", "APPlac")])
def test_an_order_of_another_integration_has_the_shape_of_its_payload(name, metric):
    with calling(other_store(name)) as caller:
        page = caller.events(metric, include="profile", **PEOPLE)
    assert differences(shape(page), shape(payload(f"events.placed_order.{name}"))) == []


@needs_payloads
def test_a_page_of_shopify_orders_has_the_shape_of_its_payload(caller):
    pages = list(caller.pages(include="profile", **PEOPLE, **{"page[size]": 2}))
    for page, number in zip(pages, (1, 2), strict=True):
        theirs = payload(f"events.placed_order.shopify.page{number}")
        assert differences(shape(page), shape(theirs)) == []


@needs_payloads
def test_a_shopify_order_is_the_payload_s_to_the_last_value(caller):
    ours = caller.events()["data"][0]
    theirs = payload("events.placed_order.shopify.page1")["data"][0]
    assert ours["attributes"]["event_properties"] == theirs["attributes"]["event_properties"]
    assert ours["attributes"]["datetime"] == theirs["attributes"]["datetime"]
    assert ours["attributes"]["timestamp"] == theirs["attributes"]["timestamp"]


@needs_payloads
def test_an_erased_person_s_order_is_redacted_as_in_the_payload(caller):
    ours = caller.events()["data"][3]
    theirs = payload("events.placed_order.shopify.page2")["data"][1]
    assert ours["attributes"]["event_properties"] == theirs["attributes"]["event_properties"]
    assert ours["relationships"]["profile"]["data"] is None


@needs_payloads
def test_accounts_and_metrics_are_the_payloads(caller):
    assert caller.get("/api/accounts").json() == payload("accounts")
    assert caller.get("/api/metrics").json() == payload("metrics")


@needs_payloads
def test_totals_are_the_payload_s_numbers(caller):
    query = payload("metric_aggregates.request")
    ours = caller.client.post("/api/metric-aggregates", json=query, headers=HEADERS).json()
    theirs = payload("metric_aggregates.response")
    assert ours["data"]["attributes"] == theirs["data"]["attributes"]
    assert differences(shape(ours), shape(theirs)) == []


@needs_payloads
@pytest.mark.parametrize(
    ("name", "path", "headers", "query"),
    [
        ("error.401", "/api/accounts", {"revision": "2026-10-15"}, {}),
        ("error.403", "/api/events", HEADERS, {}),
        ("error.400.filter", "/api/metrics", HEADERS, {"filter": "equals(name,'x')"}),
        ("error.400.cursor", "/api/metrics", HEADERS, {"page[cursor]": "x"}),
    ],
)
def test_an_error_is_the_payload_s(name, path, headers, query):
    with calling(Store(), scopes=SCOPES - {"events:read"}) as caller:
        answer = caller.get(path, headers, **query)
    assert answer.json() == payload(name)
    assert answer.status_code == int(name.split(".")[1])


@needs_payloads
def test_a_planned_429_is_the_payload_s():
    with calling(Store(), Faults(at={"429": [1], "429_bare": [2]})) as caller:
        with_header, bare = (caller.get("/api/accounts") for _ in range(2))
    assert with_header.json() == bare.json() == payload("error.429")
    assert with_header.headers["Retry-After"] == "7"
    assert "Retry-After" not in bare.headers


@needs_payloads
def test_the_comparison_of_shapes_catches_a_missing_name_and_another_type():
    theirs = shape(payload("events.placed_order.api"))
    broken = payload("events.placed_order.api")
    del broken["data"][0]["attributes"]["uuid"]
    broken["data"][0]["attributes"]["timestamp"] = "1795201200"
    assert differences(shape(broken), theirs) == [
        "/data[]/attributes/uuid is missing",
        "/data[]/attributes/timestamp: str in place of int",
    ]


# the OpenAPI document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    path = LIVE / "klaviyo-openapi-read-subset.min.json"
    if not path.is_file():
        pytest.skip(f"no OpenAPI document at {path}: set PERENNIAL_DATA")
    content: dict[str, Any] = json.loads(path.read_text())
    samples = content["components"]["schemas"]["GetMetricPropertyResponseCollection"]
    one = samples["properties"]["data"]["items"]["allOf"][0]["properties"]["attributes"]
    items = one["properties"]["sample_values"]["items"]
    items["anyOf"] = items.pop("oneOf")  # no whole number is one of integer and number only
    return content


def schema_errors(document: dict[str, Any], schema: dict[str, Any], body: Any) -> list[str]:
    resource = DRAFT4.create_resource(document)
    registry = Registry().with_resource("urn:klaviyo", resource)
    pinned = json.loads(json.dumps(schema).replace('"#/', '"urn:klaviyo#/'))
    errors = OAS30Validator(pinned, registry=registry).iter_errors(body)
    return [f"{list(error.absolute_path)}: {error.message}" for error in errors]


def without_nulls(body: dict[str, Any]) -> dict[str, Any]:
    """Drop the nulls that the document has not and life has: ends of links, an erased person."""
    copy = json.loads(json.dumps(body))
    for name in ("next", "prev"):
        if copy["links"][name] is None:
            del copy["links"][name]
    for one in copy["data"] if isinstance(copy["data"], list) else []:
        who = one.get("relationships", {}).get("profile", {})
        if who.get("data", 1) is None:
            del who["data"]
    return copy


REQUESTS = {
    "accounts": ("/api/accounts", "/api/accounts", {}),
    "metrics": ("/api/metrics", "/api/metrics", {}),
    "properties": (
        "/api/metrics/{id}/metric-properties",
        "/api/metrics/SHPlac/metric-properties",
        {"additional-fields[metric-property]": "sample_values"},
    ),
    "events": ("/api/events", "/api/events", {"include": "profile,metric"}),
    "events by page": ("/api/events", "/api/events", {"page[size]": 3}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_body_is_what_the_openapi_document_says(caller, document, name):
    template, path, query = REQUESTS[name]
    body = caller.get(path, **query).json()
    answers = document["paths"][template]["get"]["responses"]
    schema = answers["200"]["content"]["application/vnd.api+json"]["schema"]
    assert body["data"]
    assert schema_errors(document, schema, without_nulls(body)) == []


def test_totals_are_what_the_openapi_document_says(caller, document):
    operation = document["paths"]["/api/metric-aggregates"]["post"]
    answer = caller.totals()
    schema = operation["responses"]["200"]["content"]["application/vnd.api+json"]["schema"]
    assert schema_errors(document, schema, without_nulls(answer.json())) == []
    sent = json.loads(answer.request.content)
    schema = operation["requestBody"]["content"]["application/vnd.api+json"]["schema"]
    assert schema_errors(document, schema, sent) == []


def test_an_error_is_what_the_openapi_document_says(caller, document):
    answer = document["components"]["responses"]["ClientError"]
    schema = answer["content"]["application/vnd.api+json"]["schema"]
    assert schema_errors(document, schema, caller.get("/api/events", sort="x").json()) == []


def test_the_openapi_check_catches_a_broken_event(caller, document):
    operation = document["paths"]["/api/events"]["get"]
    schema = operation["responses"]["200"]["content"]["application/vnd.api+json"]["schema"]
    body = without_nulls(caller.events())
    body["data"][0]["attributes"]["timestamp"] = "yesterday"
    assert "timestamp" in schema_errors(document, schema, body)[0]


def test_routes_have_the_document_s_rates_scopes_and_parameters(document):
    for route in ROUTES:
        template = route.path.pattern[1:-3].replace("([A-Za-z0-9]+)", "{id}")
        operation = document["paths"][template][route.method.lower()]
        rates = operation["x-klaviyo-ratelimit"]
        assert (f"{route.burst}/s", f"{route.steady}/m") == (rates["burst"], rates["steady"])
        assert operation["x-klaviyo-scopes"] == [route.scope]
        query = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
        assert route.parameters == query
