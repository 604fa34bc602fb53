"""Every body is what Klaviyo's own package and OpenAPI document take, and each checker catches a broken one."""

import copy
import json
import os
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from openapi_client.models import (
    DataPrivacyCreateDeletionJobQuery,
    EventsBulkCreateJob,
    ListCreateQuery,
    ListMembersAddQuery,
    ProfileImportJobCreateQuery,
    SegmentCreateQuery,
    SegmentPartialUpdateQuery,
)
from openapi_schema_validator import OAS30Validator
from pydantic import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT4

from connectors.klaviyo.api import ENDPOINTS, MOST_ROWS, PROBES
from connectors.klaviyo.conditions import Segment, SegmentAttributes, SegmentBody
from connectors.klaviyo.events import event_body
from connectors.klaviyo.pack import import_body, write_profiles
from connectors.klaviyo.payloads import (
    EMAIL,
    PHONE,
    DeletedAttributes,
    DeletedData,
    DeletedProfile,
    Deletion,
    DeletionAttributes,
    DeletionBody,
    ImportBody,
    List,
    ListAttributes,
    ListBody,
    Member,
    MembersBody,
    ProfileAttributes,
)
from connectors.klaviyo.properties import list_properties, property_table
from perennial.pipeline.settings.klaviyo import DEFAULT_PROPERTIES, KlaviyoSettings
from tests.klaviyo_store import make_scores

ROOT = Path(__file__).parents[2]
SHARED = ROOT / Path(os.environ.get("PERENNIAL_DATA", "../shared/data")).parent / "klaviyo"
DAY = date(2024, 6, 30)


def imported() -> dict[str, Any]:
    scores = make_scores(20)
    properties = property_table(scores, list_properties("Retention", DEFAULT_PROPERTIES))
    rows = pd.DataFrame({"key": scores["customer_id"], "kind": "external_id", "email": None})
    rows["profile_id"] = ["P1"] * 10 + [None] * 10
    rows.loc[10:, "email"] = [f"a{i}@example.com" for i in range(10)]
    return json.loads(import_body(write_profiles(rows, properties)))


def segment(serial: str | None = None) -> dict[str, Any]:
    settings = KlaviyoSettings.model_validate(
        {
            "segments": {
                "Win back": {
                    "Segment": ["at risk", "lapsed"],
                    "Tier": "heavy",
                    "Churn Risk": {"above": 60},
                    "Expected Value": {"at_most": 12.5},
                    "Next Order Date": {"in_next_days": 7},
                }
            }
        }
    )
    definition = settings.definition("Win back")
    attributes = SegmentAttributes(name="Retention: Win back", definition=definition)
    return json.loads(SegmentBody(data=Segment(id=serial, attributes=attributes)).to_json())


def events() -> dict[str, Any]:
    rows = pd.DataFrame(
        {
            "customer_id": ["1", "2"],
            "kind": ["external_id", "email"],
            "key": ["1", "a@example.com"],
            "previous_segment": "loyal",
            "segment": ["at_risk", "lapsed"],
        }
    )
    return json.loads(event_body(rows, "Retention Segment Changed", DAY, is_late=False).to_json())


def deletion() -> dict[str, Any]:
    who = DeletedProfile(attributes=DeletedAttributes(email="a@example.com"))
    data = Deletion(attributes=DeletionAttributes(profile=DeletedData(data=who)))
    return json.loads(DeletionBody(data=data).to_json())


def deletion_by_id() -> dict[str, Any]:
    data = Deletion(
        attributes=DeletionAttributes(profile=DeletedData(data=DeletedProfile(id="01G")))
    )
    return json.loads(DeletionBody(data=data).to_json())


def new_list() -> dict[str, Any]:
    return json.loads(
        ListBody(data=List(attributes=ListAttributes(name="Retention: Gold"))).to_json()
    )


def members() -> dict[str, Any]:
    return json.loads(MembersBody(data=(Member(id="01G"), Member(id="01H"))).to_json())


BODIES = {
    "import": (imported, ProfileImportJobCreateQuery, "ProfileImportJobCreateQuery"),
    "segment": (segment, SegmentCreateQuery, "SegmentCreateQuery"),
    "segment update": (lambda: segment("S1"), SegmentPartialUpdateQuery, "SegmentPartialUpdateQuery"),
    "events": (events, EventsBulkCreateJob, "EventsBulkCreateJob"),
    "deletion": (deletion, DataPrivacyCreateDeletionJobQuery, "DataPrivacyCreateDeletionJobQuery"),
    "deletion by id": (
        deletion_by_id, DataPrivacyCreateDeletionJobQuery, "DataPrivacyCreateDeletionJobQuery"),
    "list": (new_list, ListCreateQuery, "ListCreateQuery"),
    "members": (members, ListMembersAddQuery, "ListMembersAddQuery"),
}  # fmt: skip


def round_trip(model: Any, body: dict[str, Any]) -> dict[str, Any]:
    """What Klaviyo's own package makes of a body."""
    read = model.model_validate(body)
    record: dict[str, Any] = read.model_dump(by_alias=True, exclude_unset=True, mode="json")
    return record


def at_same_moment(body: Any) -> Any:
    """Write moments as Klaviyo's package writes them."""
    return json.loads(json.dumps(body).replace("+00:00", "Z"))


@pytest.mark.parametrize("name", BODIES)
def test_klaviyos_own_package_reads_every_body_and_writes_the_same(name):
    write, model, _ = BODIES[name]
    body = write()
    assert round_trip(model, body) == at_same_moment(body)


@pytest.mark.parametrize("name", BODIES)
def test_klaviyos_own_package_loses_a_key_that_it_does_not_know(name):
    write, model, _ = BODIES[name]
    body = broken(write())
    with suppress(ValidationError):
        assert round_trip(model, body) != at_same_moment(body)


def broken(body: dict[str, Any]) -> dict[str, Any]:
    """Put a score where Klaviyo does not look for it."""
    body = copy.deepcopy(body)
    data = body["data"][0] if isinstance(body["data"], list) else body["data"]
    data.get("attributes", data)["Chance Still Active"] = 47
    return body


@pytest.fixture(scope="module")
def openapi() -> Any:
    path = SHARED / "klaviyo-openapi-subset.min.json"
    if not path.exists():
        pytest.skip(
            f"Klaviyo's OpenAPI subset is not at {path}; it is published in Klaviyo's repository openapi"
        )
    return json.loads(path.read_text())


def check_schema(openapi: Any, name: str, body: dict[str, Any]) -> list[str]:
    """What the OpenAPI document has against a body."""
    registry = Registry().with_resource("", DRAFT4.create_resource(openapi))
    schema = {"$ref": f"#/components/schemas/{name}"}
    validator = OAS30Validator(schema, registry=registry, _resolver=registry.resolver(""))
    return [error.message for error in validator.iter_errors(body)]


@pytest.mark.parametrize("name", BODIES)
def test_every_body_is_valid_by_the_openapi_document(openapi, name):
    write, _, schema = BODIES[name]
    assert check_schema(openapi, schema, write()) == []


@pytest.mark.parametrize("name", BODIES)
def test_the_openapi_document_refuses_a_body_of_another_type(openapi, name):
    write, _, schema = BODIES[name]
    body = write()
    data = body["data"][0] if isinstance(body["data"], list) else body["data"]
    data["type"] = "person"
    assert check_schema(openapi, schema, body)


def test_the_openapi_document_refuses_an_operator_that_segments_do_not_have(openapi):
    body = segment()
    group = body["data"]["attributes"]["definition"]["condition_groups"][1]
    group["conditions"][0]["filter"]["operator"] = "looks-like"
    assert check_schema(openapi, "SegmentCreateQuery", body)


def test_the_bodies_known_to_be_valid_are_valid(openapi):
    record = json.loads((SHARED / "valid_payloads.json").read_text())
    assert {name: check_schema(openapi, name, body) for name, body in record.items()} == {
        name: [] for name in record
    }


BROKEN = {
    "an unknown key": lambda row: row["attributes"].update(Score=1),
    "consent": lambda row: row["attributes"].update(subscriptions={"email": {}}),
    "no identifier": lambda row: row["attributes"].pop("external_id"),
    "an e-mail that is none": lambda row: row["attributes"].update(email="jane at home"),
    "a phone number without its country": lambda row: row["attributes"].update(phone_number="555"),
    "a null": lambda row: row["attributes"]["properties"].update(Tier=None),
    "a list": lambda row: row["attributes"]["properties"].update(Tier=["heavy"]),
    "a nested object": lambda row: row["attributes"]["properties"].update(Tier={"is": "heavy"}),
    "a name of Klaviyo's own": lambda row: row["attributes"]["properties"].update({"$city": "x"}),
    "another type": lambda row: row.update(type="person"),
    "not a number": lambda row: row["attributes"]["properties"].update(Value=float("nan")),
}


@pytest.mark.parametrize("what", BROKEN)
def test_our_own_models_refuse(what):
    body = imported()
    ImportBody.model_validate(body)
    BROKEN[what](body["data"]["attributes"]["profiles"]["data"][0])
    with pytest.raises(ValidationError):
        ImportBody.model_validate(body)


def test_our_own_models_refuse_a_row_more_than_klaviyo_takes():
    body = imported()
    rows = body["data"]["attributes"]["profiles"]["data"]
    body["data"]["attributes"]["profiles"]["data"] = rows[:1] * (MOST_ROWS + 1)
    with pytest.raises(ValidationError):
        ImportBody.model_validate(body)


def test_errors_of_bodies_do_not_tell_whom_they_are_about():
    body = imported()
    body["data"]["attributes"]["profiles"]["data"][0]["attributes"]["email"] = "jane doe@x"
    with pytest.raises(ValidationError) as caught:
        ImportBody.model_validate(body)
    assert "jane" not in str(caught.value)


def test_no_body_that_we_send_has_a_null():
    for write, _, _ in BODIES.values():
        assert "null" not in json.dumps(write())


def test_no_endpoint_can_change_consent():
    """Klaviyo's consent endpoints all have one of these words in their path."""
    changing = [endpoint for endpoint in ENDPOINTS if endpoint.method != "GET"]
    result = " ".join(str(endpoint) for endpoint in changing)
    assert "subscri" not in result
    assert "suppress" not in result
    assert not any("subscriptions" in scope for one in changing for scope in one.scopes)


def test_the_reads_that_show_a_wide_key_change_nothing_and_are_not_needed():
    needed = {scope for one in ENDPOINTS - PROBES.keys() for scope in one.scopes}
    for endpoint in PROBES:
        assert endpoint.method == "GET"
        assert not needed & set(endpoint.scopes)


GOOD = [
    "o'brien@shop-buyers.org",
    "d'angelo@shop-buyers.org",
    "mary.o'brien@example.com",
    "o'neil+news@example.com",
    "Mixed.Case+Tag@Shop-Buyers.ORG",
    "jürgen@müller.example",
    "用户@例え.テスト",
    "first.middle.last@mail.co.uk",
    "under_score-and-hyphen@sub.sub.example.museum",
    "a!#$%&*/=?^`{|}~b@example.com",
    "x@xn--bcher-kva.example",
]
BAD = [
    "two@@shop-buyers.org",
    "two@at@shop-buyers.org",
    "sp ace@shop-buyers.org",
    "name@shop buyers.org",
    "no\u00a0break@example.com",
    "zero\u200bwidth@example.com",
    "name@shop-buyers.org.",
    "name.@shop-buyers.org",
    ".name@shop-buyers.org",
    "na..me@shop-buyers.org",
    "name@shop..org",
    "name@.org",
    "nocom@example",
    "name@example.c",
    "tab\t@example.com",
    "nul\x00@example.com",
    "line\nfeed@example.com",
    "'name@example.com",
    "'name@example.com'",
    "name@ex'ample.com",
    'na"me@example.com',
    "name@example.com;other@example.com",
    "name@example.com,other@example.com",
    "<name@example.com>",
    "mailto:name@example.com",
    "@example.com",
    "name@",
    "",
]


def is_taken(email: str) -> bool:
    try:
        ProfileAttributes(email=email)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("email", GOOD)
def test_an_address_that_klaviyo_allows_is_sent(email):
    assert is_taken(email)
    assert pd.Series([email], dtype="str").str.match(EMAIL).tolist() == [True]
    assert json.loads(ProfileAttributes(email=email).to_json()) == {"email": email}


@pytest.mark.parametrize("email", BAD)
def test_a_malformed_address_is_left_out_by_plan_and_body_alike(email):
    assert not is_taken(email)
    assert pd.Series([email], dtype="str").str.match(EMAIL).tolist() == [False]


@hypothesis(max_examples=500, deadline=None)
@given(st.text("ab'.@+-_ \t\nü\u200b\"\\/:;?0", max_size=12).map(str.strip))
def test_plan_and_body_take_the_same_addresses(text):
    for email in (text, f"{text}@example.com", f"name@{text}.com"):
        matched = pd.Series([email], dtype="str").str.match(EMAIL).tolist() == [True]
        assert matched == is_taken(email)


@pytest.mark.parametrize(
    ("phone", "is_one"),
    [
        ("+15005550006", True), ("+4915112345678", True), ("+86", False), ("15005550006", False),
        ("+05005550006", False), ("+1 500 555 0006", False), ("+1500555000612345", False),
    ],
)  # fmt: skip
def test_a_phone_number_is_e164(phone, is_one):
    assert pd.Series([phone], dtype="str").str.match(PHONE).tolist() == [is_one]
