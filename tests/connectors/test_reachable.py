"""A server that is not there is reported within seconds; one that stumbles is asked again."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors import tracking
from connectors.reachable import why_unreachable
from connectors.tracking import Tracking, TrackingError

MOST_SECONDS = 6  # of the ten that a command has


@contextmanager
def answering(*statuses: int) -> Iterator[str]:
    """A server that answers so in turn, the last for good."""
    left = list(statuses)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def silent(scheme: str = "http") -> Iterator[str]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"{scheme}://127.0.0.1:{server.getsockname()[1]}"


def refusal(uri: str) -> tuple[str, float]:
    started = time.monotonic()
    with pytest.raises(TrackingError) as error:
        Tracking(uri, None)
    return str(error.value), time.monotonic() - started


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("http://127.0.0.1:9", "refused"),
        ("http://user:secret@127.0.0.1:9/mlflow", "refused"),
        ("https://mlflow.invalid", "Name or service not known|Temporary failure|failure in name"),
        ("postgresql://user:secret@127.0.0.1:9/mlflow", "refused"),
        ("mysql+pymysql://mlflow.invalid/mlflow", "Name or service|Temporary failure|resolution"),
    ],
)
def test_a_dead_server_is_reported_within_seconds(uri, why):
    message, seconds = refusal(uri)
    assert message.startswith("MLflow must answer at ")
    assert "secret" not in message
    assert "\n" not in message
    assert any(part in message for part in why.split("|")), message
    assert seconds < MOST_SECONDS


def test_a_server_that_accepts_and_never_answers_is_reported_within_seconds():
    with silent() as uri:
        message, seconds = refusal(uri)
    assert "no answer within 4 seconds" in message
    assert seconds < MOST_SECONDS


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_is_out_of_order_is_reported_within_seconds(status):
    with answering(status) as uri:
        message, seconds = refusal(uri)
    assert f"it answers {status}" in message
    assert seconds < MOST_SECONDS


@pytest.mark.parametrize("statuses", [(502, 200), (503, 503, 404), (401,), (403,), (302,)])
def test_a_server_that_stumbles_or_wants_a_password_is_there(statuses):
    with answering(*statuses) as uri:
        assert why_unreachable(uri, "/api") is None


@pytest.mark.parametrize(
    "uri",
    ["sqlite:////tmp/a.db", "databricks", "databricks://profile", "postgresql:///db?host=/tmp"],
)
def test_what_names_no_host_is_not_asked(uri):
    assert why_unreachable(uri) is None


def test_a_database_server_that_listens_is_there():
    with silent("postgresql") as uri:
        assert why_unreachable(uri) is None


def test_a_server_that_was_there_when_the_run_began_is_left_to_mlflows_patience(monkeypatch):
    """A restart in the middle of a run is what MLflow's own tries are for."""
    asked: list[str] = []
    monkeypatch.setattr(tracking, "why_unreachable", lambda uri, _: asked.append(uri))
    with pytest.raises(TrackingError):
        Tracking("file-store-without-a-scheme://x", None)
    assert asked == ["file-store-without-a-scheme://x"]
    with pytest.raises(TrackingError):
        Tracking("file-store-without-a-scheme://x", None)
    assert len(asked) == 1
