"""The client against the double: patience, windows, pages, and what never leaves it."""

import logging
import traceback
from collections import Counter

import httpx
import pytest

from connectors.klaviyo import api
from connectors.klaviyo.answers import KeyScopes
from connectors.klaviyo.api import JOB, PROFILES, Endpoint
from connectors.klaviyo.client import Klaviyo, connect
from connectors.klaviyo.errors import (
    BusyError,
    KeyRefusedError,
    KlaviyoError,
    RequestRefusedError,
    SyncRefusedError,
    UnavailableError,
)
from connectors.klaviyo.guards import check_key
from connectors.klaviyo.limits import Pace
from tests.klaviyo_double import (
    KEY,
    SCOPES,
    Double,
    Fault,
    RefusedError,
    Server,
    VirtualClock,
)

ROW = (
    b'{"type":"profile","attributes":{"external_id":"c1","properties":{"Retention Tier":"light"}}}'
)
BODY = (
    b'{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":['
    + ROW
    + b"]}}}}"
)


@pytest.fixture
def double():
    return Double()


@pytest.fixture
def klaviyo(double):
    server = Server(double)
    with connect(KEY, server.url) as connection:
        yield Klaviyo(connection, double.clock)
    server.close()


def faults(double, *planned):
    """Let the next requests fail as planned."""
    left = list(planned)
    double.fault = lambda *_: left.pop(0) if left else None


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", 500),
        Fault("status", 503),
        Fault("drop"),
        Fault("lose"),
        Fault("garble"),
        Fault("slow"),
    ],
    ids=lambda fault: f"{fault.kind}{fault.status}",
)
def test_a_request_is_tried_again(double, klaviyo, fault):
    faults(double, fault, fault)
    assert klaviyo.account().id == "AbC123"


def test_klaviyo_is_given_the_time_that_it_asks_for(double, klaviyo):
    faults(double, Fault("status", 429, retry_after=37))
    klaviyo.account()
    assert 37 <= double.clock.seconds < 40


def test_patience_ends(double, klaviyo):
    double.fault = lambda *_: Fault("status", 502)
    with pytest.raises(UnavailableError, match="within 8 tries"):
        klaviyo.account()


def test_what_klaviyo_refuses_is_not_asked_again(double, klaviyo):
    double.most_bytes = 10
    with pytest.raises(RequestRefusedError, match="413"):
        klaviyo.create_import_job(BODY, lambda: None)
    assert double.received["POST /api/profile-bulk-import-jobs"] == 1


def test_each_try_of_an_import_is_told_before_it_is_made(double, klaviyo):
    faults(double, Fault("lose"), Fault("drop"))
    tries = Counter()
    klaviyo.create_import_job(BODY, lambda: tries.update(["try"]))
    assert tries["try"] == 3
    assert len(double.jobs) == 2  # the lost one is at work too


def test_a_wrong_key_and_a_missing_scope_are_said(double, klaviyo):
    double.scopes = SCOPES - {"segments:read"}
    with pytest.raises(KeyRefusedError, match="segments:read"):
        klaviyo.segments_named("x")
    double.key = "another"
    with pytest.raises(KeyRefusedError, match="401"):
        klaviyo.account()


WIDE = ["subscriptions", "metrics", "flows", "campaigns", "templates", "catalogs"]


@pytest.mark.parametrize("name", WIDE)
def test_a_key_that_may_do_more_is_refused_by_name(double, klaviyo, name):
    assert check_key(klaviyo) == KeyScopes(denied=tuple(f"{one}:read" for one in WIDE))
    double.scopes = SCOPES | {f"{name}:read", f"{name}:write"}
    with pytest.raises(SyncRefusedError, match=f"does not need: {name}:read"):
        check_key(klaviyo)
    assert double.consent_calls == 0


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_key_is_refused_where_its_consent_scope_is_not_ruled_out(double, klaviyo, status):
    double.fault = lambda _, path: Fault("status", status) if "suppression" in path else None
    with pytest.raises(SyncRefusedError, match="may have subscriptions:read"):
        check_key(klaviyo)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_another_read_that_klaviyo_does_not_know_proves_nothing(double, klaviyo, status):
    double.fault = lambda _, path: Fault("status", status) if "flows" in path else None
    assert check_key(klaviyo).unclear == ("flows:read",)


def test_every_page_is_read(double, klaviyo):
    double.page = 7
    for i in range(50):
        double.add_profile(external_id=f"c{i}")
    profiles = klaviyo.profiles("external_id", [f"c{i}" for i in range(60)])
    assert {one.external_id for one in profiles} == {f"c{i}" for i in range(50)}


def test_a_key_with_quotes_is_one_key(double, klaviyo):
    odd = 'o"b\\r,ien]'
    double.add_profile(external_id=odd)
    assert [one.external_id for one in klaviyo.profiles("external_id", [odd])] == [odd]


@pytest.mark.parametrize("local", ["o'brien", "d'angelo", "mary.o'brien+a", "o'neil&co", "jürgen"])
def test_an_address_with_an_apostrophe_is_looked_up_as_one_text(double, klaviyo, local):
    email, asked = f"{local}@example.com", []
    double.add_profile(email=email)
    double.add_profile(email="other@example.com")
    respond = klaviyo._connection.event_hooks["request"]
    respond.append(lambda request: asked.append(request.url.params["filter"]))
    assert [one.email for one in klaviyo.profiles("email", [email, "x@example.com"])] == [email]
    assert asked == [f'any(email,["{email}","x@example.com"])']


def test_the_limits_are_kept_so_that_klaviyo_never_says_429(double, klaviyo):
    for _ in range(160):
        klaviyo.jobs("queued")
    assert double.clock.seconds >= 60  # 150 a minute
    assert double.refused[429] == 0


def test_requests_that_ignore_the_windows_are_refused(double):
    """The check of the windows catches a client without patience."""
    server = Server(double)
    headers = {"Authorization": f"Klaviyo-API-Key {KEY}", "revision": api.REVISION}
    with httpx.Client(base_url=server.url, headers=headers) as rude:
        codes = [rude.get("/api/accounts").status_code for _ in range(2)]
    server.close()
    assert codes == [200, 429]


@pytest.mark.parametrize("endpoint", [JOB, PROFILES], ids=str)
def test_no_second_has_more_than_the_burst_and_no_minute_more_than_the_steady_rate(endpoint):
    clock = VirtualClock()
    pace, sent = Pace(clock), []
    for _ in range(2 * endpoint.steady):
        pace.wait_turn(endpoint)
        sent.append(clock.seconds)
        clock.sleep(0.001)
    for width, most in ((1, endpoint.burst), (60, endpoint.steady)):
        for i in range(len(sent) - most):
            assert sent[i + most] - sent[i] >= width


def test_a_spent_minute_is_waited_out():
    clock = VirtualClock()
    pace = Pace(clock)
    pace.note(JOB, {"RateLimit-Remaining": "0", "RateLimit-Reset": "25"})
    pace.wait_turn(JOB)
    assert clock.seconds >= 25


def test_nothing_but_listed_endpoints_can_be_called(klaviyo):
    consent = Endpoint("POST", "/api/profile-subscription-bulk-create-jobs", (), 1, 1)
    with pytest.raises(KlaviyoError, match="not listed"):
        klaviyo._call(consent)


def test_the_revision_and_the_key_are_sent_and_redirects_are_not_followed():
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(302, headers={"Location": "https://elsewhere.example/"})

    connection = connect(KEY)
    connection._transport = httpx.MockTransport(answer)
    with pytest.raises(RequestRefusedError):
        Klaviyo(connection, VirtualClock()).account()
    assert len(seen) == 1
    assert seen[0].headers["revision"] == "2026-10-15"
    assert seen[0].headers["accept"] == "application/vnd.api+json"


def test_logs_and_errors_name_nobody(double, klaviyo, caplog):
    caplog.set_level(logging.DEBUG)
    double.add_profile(email="jane@example.com")
    klaviyo.profiles("email", ["jane@example.com"])
    double.scopes = frozenset()
    with pytest.raises(KeyRefusedError) as caught:
        klaviyo.profiles("email", ["jane@example.com"])
    assert "jane" not in caplog.text
    assert KEY not in caplog.text
    assert "jane" not in str(caught.value)
    assert caught.value.__context__ is None or "jane" not in str(caught.value.__context__)


def test_what_others_ask_with_httpx_is_logged_as_ever(double, klaviyo, caplog):
    caplog.set_level(logging.INFO, logger="httpx")
    klaviyo.profiles("email", ["jane@example.com"])
    assert [record.name for record in caplog.records] == ["httpx"]
    assert "/api/profiles" in caplog.text
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as other:
        other.get("https://prefect.example/api/health?full=true")
    assert "https://prefect.example/api/health?full=true" in caplog.text
    assert not logging.getLogger("httpx").filters


@pytest.mark.parametrize(
    "fault",
    [
        Fault("drop"),
        Fault("lose"),
        Fault("garble"),
        Fault("status", 400),
        Fault("status", 401),
        Fault("status", 403),
        Fault("status", 429, retry_after=40_000),
        Fault("status", 500),
    ],
    ids=lambda fault: f"{fault.kind}{fault.status}",
)
def test_no_failure_tells_the_key_or_a_person(double, fault, caplog):
    caplog.set_level(logging.DEBUG)
    double.fault = lambda *_: fault
    messages, person = [], "ja" + "ne"  # the source's own lines are in a traceback
    server = Server(double)
    with connect(KEY, server.url) as connection:
        klaviyo = Klaviyo(connection, double.clock, tries=2)
        for ask in (
            lambda: klaviyo.profiles("email", [f"{person}@example.com"]),
            lambda: klaviyo.create_import_job(BODY.replace(b"c1", person.encode()), lambda: None),
        ):
            with pytest.raises(KlaviyoError) as caught:
                ask()
            messages += [
                *traceback.format_exception(caught.value),
                repr(caught.value),
                str(caught.value),
            ]
    server.close()
    text = "".join([*messages, caplog.text])
    assert "Klaviyo" in text
    assert person not in text
    assert KEY not in text


def test_what_klaviyo_says_of_a_person_is_in_no_error(double, klaviyo):
    detail = f"{'ja' + 'ne'}@example.com is no address"

    def refuse(*_):
        raise RefusedError(400, "invalid", detail, "/data/attributes")

    double._create_job = refuse
    with pytest.raises(RequestRefusedError, match="invalid") as caught:
        klaviyo.create_import_job(BODY, lambda: None)
    assert detail not in "".join(traceback.format_exception(caught.value))
    assert caught.value.faults[0].detail == detail  # for the file of rejects


def test_pages_that_lead_in_a_circle_end(double, klaviyo):
    double._find_profiles = lambda *_: (
        200,
        {"data": [], "links": {"next": "https://x/?page%5Bcursor%5D=c1"}},
    )
    with pytest.raises(UnavailableError, match="every page"):
        klaviyo.profiles("email", ["a@example.com"])


def test_a_wait_that_is_longer_than_a_sync_waits_is_not_cut_short(double, klaviyo):
    faults(double, Fault("status", 429, retry_after=3_600))
    with pytest.raises(BusyError, match="3600 s"):
        klaviyo.account()
    assert double.clock.seconds == 0
    assert double.received["GET /api/accounts"] == 0
