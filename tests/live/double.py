"""What every double of a live source shares: a server on loopback, a clock, faults, hooks, kills.

A double is a subclass of `Double` with one method, `handle(request) -> Answer`. It never reads the
machine's time: `double.clock` is shared with the client under test, whose sleep is `clock.sleep`,
so that an hour of polling passes at once.

    class Shop(Double):
        def handle(self, request: Request) -> Answer:
            if request.path != "/orders":
                return Answer(404, {"error": "not found"})
            return Answer(200, {"orders": []})

    double = Shop(faults=Faults(seed=1, rates={"cut_in": 0.05}, at={"503": [2, 3]}))
    with Server(double) as server, httpx.Client(base_url=server.url) as client:
        client.get("/orders")

Interface, stable:

- `Clock(start)`: `now()`, `monotonic()`, `sleep(seconds)`, `seconds`, `sleeps` (each wait that was
  asked for). It satisfies `connectors.klaviyo.clock.Clock`.
- `Request`: `number` (from 1), `method`, `path` (no query), `query` (name -> list of values),
  `headers` (lower case), `body`, `json()`, `form()`, `value(name, default)`.
- `Answer(status, body, headers, content_type)`: `body` is JSON to write, or `bytes`, or a `Path`
  that is streamed from disk; `None` is an empty body.
- `Double(clock, faults)`: `handle(request)`; `requests` (all that arrived, faults too);
  `hooks`, called with each request before it is answered, under the lock: change the store there;
  `fault_answer(fault, request)`: override it to give the vendor's own 429 and 5xx bodies;
  `lock`: hold it when a test changes the store from its own thread while a client runs.
- `Faults(seed, rates, at, most_in_row, paths, retry_after)`: `counts` per kind, kinds in
  `FAULT_KINDS`; a subclass may have other `kinds`, for errors of one platform's own.
- `Server(double)`: `url`, `close()`; a context manager. An exception of `handle` is a fault of the
  double: the client gets a 500, `double.failures` keeps it, and `close` raises it.
- `KillSwitch(at, when, transport)`: an httpx transport that raises `Killed`, which no
  `except Exception` catches, at the n-th request, before it is sent or after it was answered.
- `kill_process_at(double, number, process)`: SIGKILL to a client in a process of its own.
"""

import json
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

import httpx

START = datetime(2026, 11, 29, 2, tzinfo=UTC)

FAULT_KINDS = {
    "cut_before": "the connection ends before the request is handled",
    "lost": "the request is handled, the connection ends before the first byte of the answer",
    "cut_in": "the connection ends in the middle of the body",
    "cut_after": "the body is whole, the connection ends unannounced after it",
    "truncated": "half of the body, with the right length for that half",
    "429": "too many requests, with Retry-After",
    "429_bare": "too many requests, without Retry-After",
    "500": "internal error",
    "502": "bad gateway",
    "503": "unavailable",
    "slow": "the answer takes `slow_seconds` of the shared clock",
}
HANDLED = frozenset(["lost", "cut_in", "cut_after", "truncated", "slow"])  # faults of the answer


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, start: datetime = START) -> None:
        self.start = start
        self.seconds = 0.0
        self.sleeps: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Advance, as the client's injected sleep."""
        self.sleeps.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Advance, as the test."""
        with self._lock:
            self.seconds += max(seconds, 0.0)


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    number: int
    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes

    def value(self, name: str, default: str = "") -> str:
        """Return the last value of a query parameter."""
        return self.query[name][-1] if name in self.query else default

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True)
class Answer:
    """What a platform answers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    @cached_property
    def text(self) -> bytes:
        if self.body is None:
            return b""
        if isinstance(self.body, Path):
            return self.body.read_bytes()
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


class Faults:
    """A seeded plan: which requests fail, and how.

    Parameters
    ----------
    seed
        The same seed and the same requests give the same faults.
    rates
        Probability per kind, of every request.
    at
        Request numbers per kind, from 1.
    most_in_row
        Faults by `rates` in a row, after which one request is spared: a client with more retries
        than that always gets through. Those of `at` always happen.
    paths
        Only requests whose path contains one of these; all, if empty.
    retry_after
        Seconds that Retry-After names.
    slow_seconds
        Seconds of the shared clock that a slow answer takes.
    slow_wall_seconds
        Seconds of real time that it takes besides; for clients with real timeouts.
    """

    kinds: Mapping[str, str] = FAULT_KINDS  # a subclass may plan others, which its double makes

    def __init__(
        self,
        seed: int = 0,
        *,
        rates: Mapping[str, float] | None = None,
        at: Mapping[str, Iterable[int]] | None = None,
        most_in_row: int = 2,
        paths: Sequence[str] = (),
        retry_after: float = 7,
        slow_seconds: float = 40,
        slow_wall_seconds: float = 0,
    ) -> None:
        self.seed, self.rates = seed, dict(rates or {})
        self.at = {kind: frozenset(numbers) for kind, numbers in (at or {}).items()}
        unknown = (self.rates.keys() | self.at.keys()) - self.kinds.keys()
        if unknown:
            raise ValueError(f"no fault {sorted(unknown)}; there are {sorted(self.kinds)}")
        self.most_in_row, self.paths = most_in_row, paths
        self.retry_after, self.slow_seconds = retry_after, slow_seconds
        self.slow_wall_seconds = slow_wall_seconds
        self.counts: Counter[str] = Counter()
        self._in_row = 0

    def of(self, request: Request) -> str | None:
        """Return the kind of fault of a request, and count it."""
        if self.paths and not any(part in request.path for part in self.paths):
            return None
        kind = self._planned(request.number) or self._drawn(request.number)
        self._in_row = self._in_row + 1 if kind else 0
        if kind:
            self.counts[kind] += 1
        return kind

    def _planned(self, number: int) -> str | None:
        return next((kind for kind, numbers in self.at.items() if number in numbers), None)

    def _drawn(self, number: int) -> str | None:
        if not self.rates or self._in_row >= self.most_in_row:
            return None
        left = random.Random(f"{self.seed}/{number}").random()
        for kind, rate in self.rates.items():
            left -= rate
            if left < 0:
                return kind
        return None


class Double:
    """A platform: its state and rules. Subclasses write `handle`."""

    def __init__(self, clock: Clock | None = None, faults: Faults | None = None) -> None:
        self.clock = clock or Clock()
        self.faults = faults or Faults()
        self.requests: list[Request] = []
        self.hooks: list[Callable[[Request], None]] = []
        self.failures: list[Exception] = []
        self.lock = threading.RLock()

    def handle(self, request: Request) -> Answer:
        """Answer by the vendor's rules."""
        raise NotImplementedError

    def fault_answer(self, fault: str, request: Request) -> Answer:
        """Return what a fault of status 429 or 5xx answers."""
        retry = {"Retry-After": f"{self.faults.retry_after:g}"} if fault == "429" else {}
        return Answer(int(fault[:3]), b"", retry, "text/plain")

    def _handled(self, request: Request) -> Answer:
        try:
            return self.handle(request)
        except Exception as error:  # noqa: BLE001  # in the server's thread: `Server.close` raises it
            self.failures.append(error)
            return Answer(500, f"the double failed: {error!r}".encode(), {}, "text/plain")

    def receive(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[str | None, Answer | None]:
        """Return the fault of a request and its answer; no answer where the connection ends."""
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        with self.lock:
            request = Request(len(self.requests) + 1, method, parts.path, query, headers, body)
            self.requests.append(request)
            for hook in list(self.hooks):
                hook(request)
            fault = self.faults.of(request)
            if fault == "cut_before":
                return fault, None
            if fault is not None and fault not in HANDLED:
                return fault, self.fault_answer(fault, request)
            answer = self._handled(request)
            if fault == "slow":
                self.clock.advance(self.faults.slow_seconds)
            return fault, None if fault == "lost" else answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    double: Double

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault, answer = self.double.receive(self.command, self.path, headers, body)
        if fault == "slow":
            time.sleep(self.double.faults.slow_wall_seconds)
        if answer is None:
            self._hang_up()
        elif isinstance(answer.body, Path):
            self._stream(answer, answer.body, fault)
        else:
            self._write(answer, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _head(self, answer: Answer, length: int) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _write(self, answer: Answer, fault: str | None) -> None:
        text = answer.text
        half = text[: len(text) // 2]
        text = half if fault == "truncated" else text
        self._head(answer, len(text))
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(half if fault == "cut_in" else text)
        if fault in {"cut_in", "cut_after"}:
            self._hang_up()

    def _stream(self, answer: Answer, file: Path, fault: str | None) -> None:
        size = file.stat().st_size
        left = size // 2 if fault in {"truncated", "cut_in"} else size
        self._head(answer, left if fault == "truncated" else size)
        with file.open("rb") as stream:
            while part := stream.read(min(1 << 20, left)):
                self.wfile.write(part)
                left -= len(part)
        if fault in {"cut_in", "cut_after"}:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *arguments: Any) -> None:
        """Write nothing."""


class Server:
    """A double on a free port of loopback, until closed."""

    def __init__(self, double: Double) -> None:
        self._double = double
        handler = type("Handler", (_Handler,), {"double": double})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # of clients that were killed
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop answering; raise what went wrong in the double itself."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._double.failures:
            raise RuntimeError("the double failed") from self._double.failures[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Killed(BaseException):  # as KeyboardInterrupt: not an error to handle
    """The client is killed here."""


class KillSwitch(httpx.BaseTransport):
    """A transport whose client is killed at its n-th request.

    Parameters
    ----------
    at
        Which request, from 1.
    when
        Before it is sent, or after the platform answered it.
    transport
        What carries the requests.
    """

    def __init__(
        self,
        at: int,
        when: Literal["before", "after"] = "before",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.at, self.when, self.number = at, when, 0
        self._transport = transport or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.number += 1
        if self.number == self.at and self.when == "before":
            raise Killed
        response = self._transport.handle_request(request)
        if self.number == self.at:
            response.close()
            raise Killed
        return response

    def close(self) -> None:
        self._transport.close()


def kill_process_at(double: Double, number: int, process: int) -> None:
    """Send SIGKILL to a client's process when its n-th request arrives."""

    def kill(request: Request) -> None:
        if request.number == number:
            os.kill(process, signal.SIGKILL)

    double.hooks.append(kill)
