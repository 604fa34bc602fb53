"""Every body of whole syncs, odd names included, is what Klaviyo's package and OpenAPI document take."""

import copy
import re

import pandas as pd
import pytest
from openapi_client.models import ListMembersDeleteQuery

from perennial.pipeline.activation.forget import forget_person
from perennial.pipeline.runtime.context import home_context
from tests.connectors.test_klaviyo_payloads import (
    BODIES,
    at_same_moment,
    check_schema,
    openapi,
    round_trip,
)
from tests.klaviyo_double import KEY, SCOPES, Server
from tests.klaviyo_store import Shop, change, store_settings

__all__ = ["openapi"]
MEMBERS = "/api/lists/[A-Z0-9]+/relationships/profiles"
ORACLES = {
    "POST /api/profile-bulk-import-jobs": BODIES["import"][1:],
    "POST /api/segments": BODIES["segment"][1:],
    "PATCH /api/segments/[A-Z0-9]+": BODIES["segment update"][1:],
    "POST /api/event-bulk-create-jobs": BODIES["events"][1:],
    "POST /api/data-privacy-deletion-jobs": BODIES["deletion"][1:],
    "POST /api/lists": BODIES["list"][1:],
    f"POST {MEMBERS}": BODIES["members"][1:],
    f"DELETE {MEMBERS}": (ListMembersDeleteQuery, "ListMembersDeleteQuery"),
}
NAMES = ['o"b\\r,ien]', "名前 🙂", "é" * 254, "=1+1", "a'b", "</script>", "NULL"]


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """What the double received of syncs with everything switched on: operation and body."""
    home = tmp_path_factory.mktemp("bodies")
    options = {
        "events": True,
        "most_changed_share": 1.0,
        "segments": {"Gone": {"Segment": "lapsed", "Expected Value": {"above": 2}}},
        "lists": {"Heavy": {"Tier": "heavy"}},
    }
    shop = Shop(home, **options)
    shop.double.scopes = SCOPES | {"data-privacy:write"}
    ids = [*NAMES, *shop.scores["customer_id"][len(NAMES) :]]
    shop.publish(shop.scores.assign(customer_id=ids), "r2")
    for name in NAMES[:4]:
        shop.double.add_profile(external_id=name)
    shop.name(home, {"customer_id": NAMES, "email": [f"jös{i}@exämple.com" for i in range(7)]})
    shop.sync(create_missing=True)
    named = shop.settings
    tables = named.tables
    shop.settings = store_settings(home, **{**options, "segments": {"Gone": {"Segment": "loyal"}}})
    folder = shop.settings._folder
    shop.settings = shop.settings.model_copy(update={"tables": tables})
    shop.settings._folder = folder
    later = change(shop.scores, 0.9, 1)
    later["investment_tier"] = list(reversed(later["investment_tier"]))
    shop.publish(later, "r3")
    shop.sync(create_missing=True)
    with pytest.MonkeyPatch.context() as environment:
        shop.double.has_windows = False  # the command line waits in earnest
        server = Server(shop.double)
        environment.setenv("KLAVIYO_API_URL", server.url)
        environment.setenv("KLAVIYO_API_KEY", KEY)
        environment.setenv("KLAVIYO_PRIVACY_KEY", KEY)
        forget_person(home_context(shop.settings), NAMES[1])
        forget_person(home_context(shop.settings), shop.scores["customer_id"].iloc[-1])
        server.close()
    actual = [(f"{method} {path}", body) for method, path, body in shop.double.bodies]
    assert all(any(re.fullmatch(o, path) for path, _ in actual) for o in ORACLES)
    return actual


def oracle(operation):
    (actual,) = [oracle for path, oracle in ORACLES.items() if re.fullmatch(path, operation)]
    return actual


def has_null(body):
    if isinstance(body, dict):
        return any(map(has_null, body.values()))
    return any(map(has_null, body)) if isinstance(body, list) else body is None


def test_klaviyos_own_package_writes_every_body_of_a_sync_as_it_was_sent(sent):
    for operation, body in sent:
        assert round_trip(oracle(operation)[0], body) == at_same_moment(body), operation


def test_every_body_of_a_sync_is_valid_by_the_openapi_document(sent, openapi):
    for operation, body in sent:
        assert check_schema(openapi, oracle(operation)[1], body) == [], operation


def test_no_body_of_a_sync_has_a_null_and_the_search_would_find_one(sent):
    assert not any(has_null(body) for _, body in sent)
    broken = copy.deepcopy(sent[0][1])
    broken["data"]["attributes"]["profiles"]["data"][-1]["attributes"]["properties"]["x"] = None
    assert has_null(broken)


def test_odd_names_arrive_as_they_are(sent):
    reported = {
        row["attributes"].get("external_id")
        for operation, body in sent
        if operation == "POST /api/profile-bulk-import-jobs"
        for row in body["data"]["attributes"]["profiles"]["data"]
    }
    assert set(NAMES) <= reported
    assert pd.Series(NAMES).is_unique
