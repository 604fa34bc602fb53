"""A stateful double of Klaviyo: real HTTP on loopback, its rules, its windows, and its bad days.

It keeps time with the clock of its test, so that an hour of polling passes at once: the client's
clock sleeps by moving the double's.
"""

import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "pk_double_0123456789abcdef"
START = datetime(2024, 7, 1, 3, tzinfo=UTC)
SCOPES = frozenset(
    [
        "accounts:read",
        "profiles:read",
        "profiles:write",
        "lists:read",
        "lists:write",
        "segments:read",
        "segments:write",
        "events:write",
    ]
)
SERIAL = r"([A-Za-z0-9]+)"
EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")


def plain(kind: str, key: str) -> str:
    """Return a key as it is found by: an e-mail in any case, an id as it is."""
    return key.lower() if kind == "email" else key


@dataclass(frozen=True)
class Route:
    """An operation: what handles it, which scopes it needs, how often it may be called."""

    method: str
    path: re.Pattern[str]
    handler: str
    scopes: frozenset[str]
    burst: int
    steady: int


def _route(
    method: str, path: str, handler: str, scopes: str, burst: int = 10, steady: int = 150
) -> Route:
    pattern = re.compile("^" + path.replace("{id}", SERIAL) + "/?$")
    return Route(method, pattern, handler, frozenset(scopes.split()), burst, steady)


JOBS = "/api/profile-bulk-import-jobs"
MEMBERS = "/api/lists/{id}/relationships/profiles"
CONSENT = "/api/profile-(?:subscription|suppression)-bulk-(?:create|delete)-jobs"
ROUTES = (
    _route("GET", "/api/accounts", "accounts", "accounts:read", 1, 15),
    _route("GET", "/api/metrics", "nothing", "metrics:read"),
    _route("GET", "/api/flows", "nothing", "flows:read", 3, 60),
    _route("GET", "/api/campaigns", "campaigns", "campaigns:read"),
    _route("GET", "/api/templates", "nothing", "templates:read"),
    _route("GET", "/api/catalog-items", "nothing", "catalogs:read", 350, 3500),
    _route(
        "GET",
        "/api/profile-suppression-bulk-create-jobs",
        "nothing",
        "subscriptions:read",
        75,
        750,
    ),
    _route("GET", "/api/profiles", "find_profiles", "profiles:read", 75, 750),
    _route("POST", JOBS, "create_job", "lists:write profiles:write"),
    _route("GET", JOBS, "list_jobs", "lists:read profiles:read"),
    _route("GET", JOBS + "/{id}", "show_job", "lists:read profiles:read"),
    _route("GET", JOBS + "/{id}/import-errors", "import_errors", "profiles:read"),
    _route("GET", "/api/segments", "find_segments", "segments:read", 75, 750),
    _route("POST", "/api/segments", "create_segment", "segments:write", 1, 15),
    _route("PATCH", "/api/segments/{id}", "update_segment", "segments:write", 1, 15),
    _route("POST", "/api/event-bulk-create-jobs", "create_events", "events:write"),
    _route("GET", "/api/lists", "find_lists", "lists:read", 75, 750),
    _route("POST", "/api/lists", "create_list", "lists:write"),
    _route("GET", MEMBERS, "show_members", "lists:read profiles:read", 75, 750),
    _route("POST", MEMBERS, "add_members", "lists:write profiles:write"),
    _route("DELETE", MEMBERS, "remove_members", "lists:write profiles:write"),
    _route(
        "POST", "/api/data-privacy-deletion-jobs", "delete_person", "data-privacy:write", 3, 60
    ),
    _route("POST", CONSENT, "change_consent", "subscriptions:write", 75, 750),
)


class RefusedError(Exception):
    """An answer that says no."""

    def __init__(self, status: int, code: str, detail: str = "", pointer: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.body = {
            "errors": [
                {"id": "e", "status": status, "code": code, "title": code, "detail": detail,
                 "source": {"pointer": pointer}}
            ]
        }  # fmt: skip


@dataclass
class Job:
    """An import job on its way."""

    id: str
    rows: list[dict[str, Any]]
    created: float
    starts: float
    ends: float
    canceled: bool = False
    is_done: bool = False
    completed: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request.

    ``kind``: status (an answer that says no), drop (no answer, nothing done), lose (done, but no
    answer), twice (done twice), garble (done, and the answer is cut), slow (done, answered late).
    """

    kind: str
    status: int = 503
    retry_after: int | None = None


class VirtualClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.seconds += max(seconds, 0.0)


class Double:
    """Klaviyo's state and rules.

    Parameters
    ----------
    clock
        Of everything that takes time.
    account
        Id of the account.
    scopes
        Of the key.
    """

    def __init__(
        self,
        clock: VirtualClock | None = None,
        account: str = "AbC123",
        scopes: frozenset[str] = SCOPES,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.account, self.scopes, self.key = account, scopes, KEY
        self.profiles: dict[str, dict[str, Any]] = {}
        self.by_key: dict[tuple[str, str], str] = {}
        self.jobs: dict[str, Job] = {}
        self.segments: dict[str, dict[str, Any]] = {}
        self.lists: dict[str, dict[str, Any]] = {}
        self.events: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.event_posts: dict[tuple[str, str, str], int] = defaultdict(int)
        self.deletions: list[dict[str, Any]] = []
        self.consent_calls = 0
        self.created_profiles = 0
        self.received: dict[str, int] = defaultdict(int)
        self.refused: dict[int, int] = defaultdict(int)
        self.bodies: list[tuple[str, str, dict[str, Any]]] = []
        self.keeps_bodies = True
        self.queue_seconds, self.work_seconds, self.late_by = 2.0, 5.0, 0.0
        self.most_bytes, self.page = 5_000_000, 100
        self.refuses_at_once, self.refuses_with, self.names_no_row = False, 400, False
        self.bad_keys: set[str] = set()
        self.refused_keys: set[str] = set()
        self.hides_payload = False
        self.cancels: Callable[[], bool] = lambda: False
        self.fault: Callable[[str, str], Fault | None] = lambda *_: None
        self.has_windows = True
        self.lag_seconds = 0.0  # from a creation until a look-up shows it
        self._shows: dict[str, float] = {}
        self._windows: dict[tuple[str, int, int], int] = defaultdict(int)
        self._quota: dict[tuple[str, str], int] = defaultdict(int)
        self._serial = 0
        self._lock = threading.RLock()

    def add_profile(self, consent: str = "SUBSCRIBED", **keys: str) -> str:
        """Put a person there; ``email`` or ``external_id``."""
        serial = self._next("P")
        self.profiles[serial] = {**keys, "properties": {}, "consent": consent}
        for kind, key in keys.items():
            self.by_key[kind, plain(kind, key)] = serial
        return serial

    def add_address(self, serial: str, email: str) -> None:
        """Give a profile a further e-mail address: it is found by it, and answered with its first."""
        self.by_key["email", plain("email", email)] = serial

    def properties(self) -> dict[str, dict[str, Any]]:
        """Return every profile's properties by its keys' first."""
        self.settle()
        return {
            p.get("external_id") or p["email"]: p["properties"] for p in self.profiles.values()
        }

    def consents(self) -> dict[str, str]:
        """Return every profile's consent."""
        return {serial: p["consent"] for serial, p in self.profiles.items()}

    def settle(self) -> None:
        """Let every job that is due happen, in the order of their ends."""
        with self._lock:
            due = [j for j in self.jobs.values() if not j.is_done and j.ends <= self.clock.seconds]
            for job in sorted(due, key=lambda job: (job.ends, job.id)):
                self._import(job)

    def run_out(self) -> None:
        """Let all jobs that there are happen, however late."""
        self.clock.sleep(1e6)
        self.settle()

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, Any] | None, dict[str, str]]:
        """Answer a request: status, JSON, headers."""
        url = urlsplit(target)
        with self._lock:
            self.settle()
            self.received[f"{method} {url.path}"] += 1
            try:
                route, one = self._find(method, url.path)
                self._check_headers(headers, bool(body))
                self._check_scopes(route)
                extra = self._count(route)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                payload = self._read(body)
                if body and self.keeps_bodies:
                    self.bodies.append((method, url.path, payload))
                status, actual = getattr(self, f"_{route.handler}")(one, query, payload)
            except RefusedError as refusal:
                retry = (
                    {"Retry-After": refusal.body.pop("retry")} if "retry" in refusal.body else {}
                )
                self.refused[refusal.status] += 1
                return refusal.status, refusal.body, retry
        return status, actual, extra

    def _find(self, method: str, path: str) -> tuple[Route, str]:
        for route in ROUTES:
            match = route.path.match(path)
            if match and route.method == method:
                return route, match.group(1) if match.groups() else ""
        raise RefusedError(404, "not_found", path)

    def _check_headers(self, headers: dict[str, str], has_body: bool) -> None:
        if headers.get("authorization") != f"Klaviyo-API-Key {self.key}":
            raise RefusedError(401, "not_authenticated", "Missing or invalid private key.")
        if not re.match(r"^\d{4}-\d\d-\d\d$", headers.get("revision", "")):
            raise RefusedError(400, "revision_missing")
        if has_body and headers.get("content-type") != "application/vnd.api+json":
            raise RefusedError(415, "unsupported_media_type")

    def _check_scopes(self, route: Route) -> None:
        missing = route.scopes - self.scopes
        if missing:
            raise RefusedError(403, "permission_denied", f"needs {' '.join(sorted(missing))}")

    def _read(self, body: bytes) -> Any:
        if len(body) > self.most_bytes:
            raise RefusedError(413, "payload_too_large")
        try:
            return json.loads(body) if body else {}
        except ValueError:
            raise RefusedError(400, "parse_error") from None

    def _count(self, route: Route) -> dict[str, str]:
        """Count a request in its fixed windows of a second and a minute."""
        if not self.has_windows:
            return {}
        name = f"{route.method} {route.path.pattern}"
        now = self.clock.seconds
        for most, width in ((route.burst, 1), (route.steady, 60)):
            window = int(now // width)
            if self._windows[name, width, window] >= most:
                refusal = RefusedError(429, "throttled")
                refusal.body["retry"] = str(max(1, int((window + 1) * width - now + 0.999)))  # type: ignore[assignment]
                raise refusal
        for width in (1, 60):
            self._windows[name, width, int(now // width)] += 1
        used = self._windows[name, 60, int(now // 60)]
        return {
            "RateLimit-Limit": str(route.steady),
            "RateLimit-Remaining": str(route.steady - used),
            "RateLimit-Reset": str(int(60 - now % 60)),
        }

    def _next(self, letter: str) -> str:
        self._serial += 1
        return f"{letter}{self._serial:07}"

    def _pages(self, rows: list[dict[str, Any]], query: dict[str, str], most: int) -> Any:
        size = int(query.get("page[size]", 20))
        if not 1 <= size <= most:
            raise RefusedError(400, "invalid", "page size", "page[size]")
        size = min(size, self.page)
        start = int(query.get("page[cursor]", "c0")[1:])
        following = None
        if start + size < len(rows):
            following = f"https://a.klaviyo.com/next?page%5Bcursor%5D=c{start + size}"
        return {"data": rows[start : start + size], "links": {"next": following}}

    def _accounts(self, one: str, query: dict[str, str], payload: Any) -> Any:
        return 200, {"data": [{"type": "account", "id": self.account, "attributes": {}}]}

    def _nothing(self, one: str, query: dict[str, str], payload: Any) -> Any:
        return 200, {"data": []}

    def _campaigns(self, one: str, query: dict[str, str], payload: Any) -> Any:
        if "filter" not in query:
            raise RefusedError(400, "invalid", "a channel filter is required", "filter")
        return 200, {"data": []}

    def _find_profiles(self, one: str, query: dict[str, str], payload: Any) -> Any:
        asked = re.match(r"^any\((email|external_id|phone_number),(\[.*\])\)$", query["filter"])
        if asked is None:
            raise RefusedError(400, "invalid", "filter", "filter")
        kind, keys = asked[1], json.loads(asked[2])
        if len(keys) > 100 or self.refused_keys & set(keys):
            raise RefusedError(400, "invalid", "filter", "filter")
        actual = [self.by_key.get((kind, plain(kind, key))) for key in keys]
        rows = [
            {"type": "profile", "id": serial, "attributes": {
                name: self.profiles[serial].get(name) for name in ("email", "external_id", "phone_number")}}
            for serial in dict.fromkeys(actual) if serial is not None
        ]  # fmt: skip
        return 200, self._pages(rows, query, 100)

    def _create_job(self, one: str, query: dict[str, str], payload: Any) -> Any:
        data = payload["data"]
        if data["type"] != "profile-bulk-import-job":
            raise RefusedError(400, "invalid", "type", "/data/type")
        rows = data["attributes"]["profiles"]["data"]
        if not 1 <= len(rows) <= 10_000:
            raise RefusedError(400, "invalid", "rows", "/data/attributes/profiles/data")
        if self.refuses_at_once:
            for i, row in enumerate(rows):
                if self._row_fault(row) is not None:
                    where = f"/data/attributes/profiles/data/{i}/attributes/email"
                    where = "" if self.names_no_row else where
                    raise RefusedError(self.refuses_with, "invalid", "Invalid email", where)
        now = self.clock.seconds
        starts = now + self.queue_seconds
        job = Job(self._next("J"), rows, now, starts, starts + self.work_seconds + self.late_by)
        job.canceled = self.cancels()
        self.jobs[job.id] = job
        return 202, {"data": self._job_row(job)}

    def _job_row(self, job: Job) -> dict[str, Any]:
        now = self.clock.seconds
        status = "queued" if now < job.starts else "processing" if now < job.ends else "complete"
        if job.canceled and status == "complete":
            status = "cancelled"
        return {
            "type": "profile-bulk-import-job",
            "id": job.id,
            "attributes": {
                "status": status,
                "created_at": (START + timedelta(seconds=job.created)).isoformat(),
                "total_count": len(job.rows),
                "completed_count": job.completed,
                "failed_count": len(job.errors),
            },
        }

    def _show_job(self, one: str, query: dict[str, str], payload: Any) -> Any:
        if one not in self.jobs:
            raise RefusedError(404, "not_found")
        return 200, {"data": self._job_row(self.jobs[one])}

    def _list_jobs(self, one: str, query: dict[str, str], payload: Any) -> Any:
        status = re.match(r"""^equals\(status,["'](\w+)["']\)$""", query["filter"])
        if status is None:
            raise RefusedError(400, "invalid", "filter", "filter")
        rows = [self._job_row(job) for job in self.jobs.values() if not job.is_done]
        rows = [row for row in rows if row["attributes"]["status"] == status[1]]
        return 200, self._pages(rows, query, 100)

    def _import_errors(self, one: str, query: dict[str, str], payload: Any) -> Any:
        rows = [
            {"type": "import-error", "id": f"{one}E{i}", "attributes": error}
            for i, error in enumerate(self.jobs[one].errors)
        ]
        return 200, self._pages(rows, query, 100)

    def _row_fault(self, row: dict[str, Any]) -> str | None:
        payload = row["attributes"]
        keys = [payload.get(name) for name in ("email", "external_id", "phone_number")]
        if row.get("type") != "profile" or not any(keys):
            return "no identifier"
        if set(map(str, keys)) & self.bad_keys:
            return "Invalid email address"
        if payload.get("email") is not None and not EMAIL.match(payload["email"]):
            return "Invalid email address"
        return None

    def _import(self, job: Job) -> None:
        job.is_done = True
        if job.canceled:
            return
        for i, row in enumerate(job.rows):
            finding = self._row_fault(row)
            if finding is not None:
                error = {"code": "invalid", "title": "Invalid input", "detail": finding,
                         "source": {"pointer": f"/data/attributes/profiles/data/{i}/attributes/email"}}  # fmt: skip
                job.errors.append(
                    error | ({} if self.hides_payload else {"original_payload": row})
                )
                continue
            job.completed += 1
            payload = row["attributes"]
            serial = self._resolve(payload)
            for name, value in (payload.get("properties") or {}).items():
                if value is not None:  # a bulk import clears nothing
                    self.profiles[serial]["properties"][name] = value

    def _resolve(self, payload: dict[str, Any]) -> str:
        """Return the profile that a row is about; a new one where there is none."""
        for kind in ("external_id", "email", "phone_number"):
            serial = self.by_key.get((kind, plain(kind, str(payload.get(kind) or ""))))
            if serial is not None:
                break
        else:
            serial = self._next("P")
            self.profiles[serial] = {"properties": {}, "consent": "NEVER_SUBSCRIBED"}
            self.created_profiles += 1
        for kind in ("external_id", "email", "phone_number"):
            if payload.get(kind):
                self.profiles[serial][kind] = payload[kind]
                self.by_key[kind, plain(kind, payload[kind])] = serial
        return serial

    def _find_segments(self, one: str, query: dict[str, str], payload: Any) -> Any:
        return 200, self._pages(self._by_name(self.segments, query), {"page[size]": "10"}, 10)

    def _by_name(self, rows: dict[str, dict[str, Any]], query: dict[str, str]) -> Any:
        name = re.match(r"""^equals\(name,(".*")\)$""", query["filter"])
        if name is None:
            raise RefusedError(400, "invalid", "filter", "filter")
        wanted = json.loads(name[1])
        return [
            {
                "type": "x",
                "id": serial,
                "attributes": {n: v for n, v in row.items() if n != "members"},
            }
            for serial, row in rows.items()
            if row["name"] == wanted and self._shows.get(serial, 0.0) <= self.clock.seconds
        ]

    def _spend(self, what: str, most: int) -> None:
        day = self.clock.now().date().isoformat()
        if self._quota[what, day] >= most:
            raise RefusedError(429, "daily_quota")
        self._quota[what, day] += 1

    def _create_segment(self, one: str, query: dict[str, str], payload: Any) -> Any:
        self._spend("segments", 100)
        serial = self._next("S")
        self.segments[serial] = payload["data"]["attributes"]
        self._shows[serial] = self.clock.seconds + self.lag_seconds
        return 201, {"data": {"type": "segment", "id": serial, "attributes": {}}}

    def _update_segment(self, one: str, query: dict[str, str], payload: Any) -> Any:
        self._spend("segment updates", 100)
        if payload["data"]["id"] != one:
            raise RefusedError(409, "conflict")
        self.segments[one] = payload["data"]["attributes"]
        return 200, {"data": {"type": "segment", "id": one, "attributes": {}}}

    def _create_events(self, one: str, query: dict[str, str], payload: Any) -> Any:
        people = payload["data"]["attributes"]["events-bulk-create"]["data"]
        if sum(len(person["attributes"]["events"]["data"]) for person in people) > 1000:
            raise RefusedError(400, "invalid", "events")
        for person in people:
            serial = self._resolve(person["attributes"]["profile"]["data"]["attributes"])
            for event in person["attributes"]["events"]["data"]:
                reported = event["attributes"]
                metric = reported["metric"]["data"]["attributes"]["name"]
                self.event_posts[serial, metric, reported["unique_id"]] += 1
                self.events.setdefault((serial, metric, reported["unique_id"]), reported)
        return 202, None

    def _find_lists(self, one: str, query: dict[str, str], payload: Any) -> Any:
        return 200, self._pages(self._by_name(self.lists, query), {"page[size]": "10"}, 10)

    def _create_list(self, one: str, query: dict[str, str], payload: Any) -> Any:
        self._spend("lists", 150)
        serial = self._next("L")
        self.lists[serial] = {
            "name": payload["data"]["attributes"]["name"],
            "created": self.clock.now().isoformat(),
            "members": set(),
        }
        self._shows[serial] = self.clock.seconds + self.lag_seconds
        return 201, {"data": {"type": "list", "id": serial, "attributes": {}}}

    def _show_members(self, one: str, query: dict[str, str], payload: Any) -> Any:
        rows = [{"type": "profile", "id": serial} for serial in sorted(self.lists[one]["members"])]
        return 200, self._pages(rows, query, 100)

    def _ids(self, payload: Any) -> set[str]:
        ids = {row["id"] for row in payload["data"]}
        if len(payload["data"]) > 1000 or not ids <= set(self.profiles):
            raise RefusedError(400, "invalid", "members")
        return ids

    def _add_members(self, one: str, query: dict[str, str], payload: Any) -> Any:
        self.lists[one]["members"] |= self._ids(payload)
        return 204, None

    def _remove_members(self, one: str, query: dict[str, str], payload: Any) -> Any:
        self.lists[one]["members"] -= self._ids(payload)
        return 204, None

    def _delete_person(self, one: str, query: dict[str, str], payload: Any) -> Any:
        who = payload["data"]["attributes"]["profile"]["data"]
        if len([*who["attributes"], *({"id"} & who.keys())]) != 1:
            raise RefusedError(400, "invalid", "exactly one of id, email and phone_number")
        self.deletions.append(who)
        return 202, None

    def _change_consent(self, one: str, query: dict[str, str], payload: Any) -> Any:
        self.consent_calls += 1
        for profile in self.profiles.values():
            profile["consent"] = "CHANGED"
        return 202, None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    double: Double

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = urlsplit(self.path).path
        fault = self.double.fault(self.command, path)
        if fault is not None and fault.kind == "drop":
            self._hang_up()
            return
        if fault is not None and fault.kind == "status":
            retry = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            self._answer(fault.status, {"errors": []}, retry)
            return
        status, actual, extra = self.double.answer(self.command, self.path, headers, body)
        if fault is not None and fault.kind == "twice":
            status, actual, extra = self.double.answer(self.command, self.path, headers, body)
        if fault is not None and fault.kind == "slow":
            time.sleep(0.02)
        if fault is not None and fault.kind == "lose":
            self._hang_up()
            return
        self._answer(status, actual, extra, cut=fault is not None and fault.kind == "garble")

    do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def _answer(
        self, status: int, actual: Any, extra: dict[str, str], *, cut: bool = False
    ) -> None:
        text = b"" if actual is None else json.dumps(actual).encode()
        text = text[: len(text) // 2] if cut else text
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/vnd.api+json")
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if status != 204:
            self.wfile.write(text)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


class Server:
    """The double on a port of loopback, until closed."""

    def __init__(self, double: Double) -> None:
        handler = type("Handler", (_Handler,), {"double": double})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that were killed
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
