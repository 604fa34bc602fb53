"""The client against a server that misbehaves byte by byte: patience, refusals, and what never leaves it."""

import json
import logging
import socketserver
import threading
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from connectors.live.errors import (
    AccessRefusedError,
    LiveError,
    PlatformDownError,
    RequestRefusedError,
    UnexpectedAnswerError,
)
from connectors.live.http import (
    TRIES,
    Call,
    Endpoint,
    PlatformClient,
    TryAgainError,
    connect,
    strict_json,
)

ORDERS = Endpoint("GET", "/v1/orders/{id}", ("orders:read",), 1_000, 100_000)
TOKEN = Endpoint("POST", "/v1/token", (), 1_000, 100_000)
SLOW = Endpoint("GET", "/v1/slow", (), 1, 15)
START = datetime(2026, 11, 29, 3, tzinfo=UTC)
SECRETS = ("sk-live-key-8461", "query-secret-5523", "form-secret-9917", "pass-word-7311")
PERSON = "ada.lovelace@example.com"


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return START + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


def answer(status=200, body=b'{"data": [1]}', length=None, **headers):
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {size}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


CUTS = {
    "before": b"",
    "in the head": b"HTTP/1.1 200 O",
    "in the body": answer(length=500),
    "truncated JSON": answer(body=b'{"data": [1'),
}


class Scripted:
    """Gives each connection the next answer; the last one stays."""

    def __init__(self):
        self.answers, self.requests = [], []
        scripted = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                received = b""
                while b"\r\n\r\n" not in received:
                    received += self.request.recv(65536)
                scripted.requests.append(received.decode())
                one = scripted.answers
                self.request.sendall(one.pop(0) if len(one) > 1 else one[0])

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def server():
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(server, clock):
    headers = {"Authorization": f"Bearer {SECRETS[0]}"}
    with connect(server.url, headers) as connection:
        yield PlatformClient("Shop", connection, [ORDERS, TOKEN, SLOW], clock=clock)


CALL = Call(ORDERS, query={"email": PERSON, "key": SECRETS[1]}, ids={"id": "7/8"})


def test_an_answer_has_status_headers_and_json(server, client):
    server.answers = [answer(X_WP_Total=12)]
    got = client.call(CALL)
    assert (got.status, got.headers["x-wp-total"], got.payload) == (200, "12", {"data": [1]})
    assert server.requests[0].startswith("GET /v1/orders/7%2F8?email=")


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
def test_a_cut_answer_is_asked_for_again(server, client, cut):
    server.answers = [cut, cut, answer()]
    assert client.call(CALL).payload == {"data": [1]}
    assert client.requests == {"GET /v1/orders/{id}": 3}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 529])
def test_a_passing_status_is_asked_again_and_patience_ends(server, client, status):
    server.answers = [answer(status), answer(status), answer()]
    assert client.call(CALL).payload == {"data": [1]}
    server.answers = [answer(status)]
    with pytest.raises(PlatformDownError, match=f"within {TRIES} tries .status {status}"):
        client.call(CALL)


def test_tries_can_be_fewer(server, client):
    server.answers = [answer(500)]
    with pytest.raises(PlatformDownError, match="within 2 tries"):
        client.call(CALL, tries=2)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("37", 37, 39),
        ("2.5", 2.5, 4),
        (format_datetime(START + timedelta(seconds=60), usegmt=True), 60, 62),
        (format_datetime(START - timedelta(hours=1), usegmt=True), 0, 2),
        ("soon", 0, 31),
        ("", 0, 31),
        ("-5", 0, 31),
    ],
)
def test_the_time_that_the_platform_asks_for_is_given(server, client, clock, header, least, most):
    server.answers = [answer(429, Retry_After=header), answer()]
    client.call(CALL)
    assert least <= clock.seconds <= most


def test_without_retry_after_waits_are_drawn_and_bounded(server, client, clock):
    server.answers = [answer(429), answer(429), answer()]
    client.call(CALL)
    assert 0 < clock.seconds <= 60


def test_a_wait_that_is_too_long_ends_the_pull_at_once(server, client, clock):
    server.answers = [answer(503, Retry_After=7200)]
    with pytest.raises(PlatformDownError, match="7200 s"):
        client.call(CALL)
    assert (clock.seconds, len(server.requests)) == (0, 1)


def test_no_server_is_a_platform_that_is_down(server, client):
    server.close()
    with pytest.raises(PlatformDownError, match="ConnectError"):
        client.call(CALL)
    server.close = lambda: None


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_refused_once_and_names_what_is_needed(server, client, status):
    server.answers = [answer(status, json.dumps({"code": "denied"}).encode())]
    with pytest.raises(AccessRefusedError, match=f"{status}.*orders:read") as refused:
        client.call(CALL)
    assert (refused.value.status, refused.value.payload) == (status, {"code": "denied"})
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 402, 404, 410, 423])
def test_any_other_refusal_has_its_status_and_json(server, client, status):
    server.answers = [answer(status, b'{"code": "rest_no_route"}')]
    with pytest.raises(RequestRefusedError, match=str(status)) as refused:
        client.call(CALL)
    assert refused.value.payload == {"code": "rest_no_route"}
    server.answers = [answer(status, b"<html>")]
    with pytest.raises(UnexpectedAnswerError) as refused:
        client.call(CALL)
    assert refused.value.payload is None


def test_a_redirect_is_not_followed_and_its_query_not_shown(server, client):
    server.answers = [answer(301, Location=f"https://www.shop.example/v1/orders?key={SECRETS[1]}")]
    with pytest.raises(RequestRefusedError) as refused:
        client.call(CALL)
    assert refused.value.location == "https://www.shop.example/v1/orders"
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>sale!</html>", b'{"a": NaN}', b"[" * 100_000, b"\xff"])
def test_an_answer_that_is_never_json_is_not_understood(server, client, body):
    server.answers = [answer(body=body)]
    with pytest.raises(UnexpectedAnswerError, match=r"not answer GET .* with JSON"):
        client.call(CALL)
    assert len(server.requests) == TRIES


def test_a_body_can_be_read_in_another_way(server, client):
    server.answers = [answer(body=b"Warning: x\n{}")]
    got = client.call(CALL, decode=lambda body: strict_json(body[body.index(b"{") :]))
    assert got.payload == {}


def test_an_empty_body_is_none(server, client):
    server.answers = [answer(204, b"")]
    assert client.call(CALL).payload is None


def test_a_refusal_inside_of_an_answer_is_tried_again(server, client, clock):
    server.answers = [answer(body=b'{"errors": 1}'), answer()]

    def check(got):
        if "errors" in got.payload:
            raise TryAgainError("THROTTLED", 12.0)

    assert client.call(CALL, check=check).payload == {"data": [1]}
    assert 12 <= clock.seconds <= 14


def test_only_listed_endpoints_are_called(server, client):
    with pytest.raises(LiveError, match="not a listed endpoint"):
        client.call(Call(Endpoint("DELETE", "/v1/orders/{id}", (), 1, 1)))
    assert server.requests == []


def test_requests_keep_to_the_endpoint_s_pace(server, client, clock):
    server.answers = [answer()]
    for _ in range(14):
        client.call(Call(SLOW))
    assert clock.seconds >= 60  # 0.9 x 15 a minute


@pytest.mark.parametrize("url", ["http://shop.example", "ftp://shop.example", "shop.example", ""])
def test_a_key_is_not_sent_unencrypted(url):
    with pytest.raises(AccessRefusedError, match="https"):
        connect(url, {})


def test_a_download_is_whole_or_not_at_all_and_gets_no_key(server, client, tmp_path):
    path = tmp_path / "orders.jsonl"
    server.answers = [CUTS["in the body"], CUTS["before"], answer(503), answer(body=b"a\nb\n")]
    url = f"{server.url}/file?signature={SECRETS[1]}"
    assert client.download(url, path, hosts=["127.0.0.1"]) == 4
    assert path.read_bytes() == b"a\nb\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["orders.jsonl"]
    assert not any(SECRETS[0] in one for one in server.requests)
    server.answers = [CUTS["in the body"]]
    with pytest.raises(PlatformDownError):
        client.download(url, path, hosts=["127.0.0.1"])
    assert path.read_bytes() == b"a\nb\n"


def test_a_download_from_another_host_is_refused(server, client, tmp_path):
    server.answers = [answer()]
    for hosts in ([], ["storage.example"], [".0.0.2"]):
        with pytest.raises(UnexpectedAnswerError, match="none of its hosts"):
            client.download(f"{server.url}/file", tmp_path / "x", hosts=hosts)
    assert server.requests == []


def test_basic_authentication_is_not_sent_to_a_download(server, clock, tmp_path):
    server.answers = [answer()]
    with connect(server.url, {}, auth=("user", SECRETS[3])) as connection:
        client = PlatformClient("Shop", connection, [ORDERS], clock=clock)
        client.call(Call(ORDERS, ids={"id": "1"}))
        client.download(f"{server.url}/file", tmp_path / "x", hosts=["127.0.0.1"])
    assert ["authorization" in one.lower() for one in server.requests] == [True, False]


@pytest.mark.parametrize(
    "script",
    [
        *([cut] for cut in CUTS.values()),
        *(
            [answer(status, f'{{"email": "{PERSON}", "key": "{SECRETS[0]}"}}'.encode())]
            for status in (200, 301, 400, 401, 403, 404, 429, 500, 503)
        ),
        [answer(body=f"<html>{PERSON} {SECRETS[0]}".encode())],
        [answer(429, Retry_After=SECRETS[0])],
        [answer(301, Location=f"https://u:{SECRETS[3]}@x.example/?k={SECRETS[1]}#{PERSON}")],
    ],
)
def test_no_secret_and_no_person_is_logged_or_raised(server, client, caplog, tmp_path, script):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "httpcore")  # at DEBUG it writes the platform's own headers
    server.answers = script
    raised = []
    form = Call(TOKEN, form={"client_secret": SECRETS[2], "email": PERSON})
    body = Call(TOKEN, json={"client_secret": SECRETS[2], "email": PERSON})
    url = f"{server.url}/file?signature={SECRETS[1]}&who={PERSON}"
    for attempt in (
        lambda: client.call(CALL),
        lambda: client.call(form),
        lambda: client.call(body),
        lambda: client.download(url, tmp_path / "x", hosts=["127.0.0.1"]),
    ):
        try:
            attempt()
        except LiveError as error:
            raised += [str(error), repr(error), *traceback.format_exception(error)]
    written = "\n".join([*raised, repr(CALL), repr(form), *map(str, caplog.messages)])
    for secret in (*SECRETS, PERSON, PERSON.replace("@", "%40")):
        assert secret not in written


def test_what_is_logged_of_a_request_is_its_path(server, client, caplog):
    caplog.set_level(logging.DEBUG)
    server.answers = [answer()]
    client.call(CALL)
    (line,) = [one for one in caplog.messages if one.startswith("HTTP Request")]
    assert f"{server.url}/v1/orders/7%2F8 " in line
    assert not any(secret in caplog.text for secret in (*SECRETS, PERSON))


def test_requests_travel_over_a_given_transport(clock):
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=[request.url.path]))
    with connect("https://shop.example/sub", {}, transport=transport) as connection:
        client = PlatformClient("Shop", connection, [SLOW], clock=clock)
        assert client.call(Call(SLOW)).payload == ["/sub/v1/slow"]
