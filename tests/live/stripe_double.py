"""A double of Stripe's API: lists with cursors, restricted keys, test and live mode.

    store = StripeStore(clock)
    double = StripeDouble(store)
    double.hooks.append(lambda request: store.step(rng))
    with Server(double) as server: ...

Only GET is answered; whatever Stripe would reject is rejected with its error.
What the documents leave open is marked [inferred] at the attribute that sets it.
"""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.live.double import Answer, Clock, Double, Faults, Request
from tests.live.stripe_records import API_VERSION
from tests.live.stripe_store import StripeStore

LIVE_KEY = "rk_live_double_0123456789abcd"
TEST_KEY = "rk_test_double_0123456789abcd"
PERMISSIONS = {  # what a restricted key needs for a resource [inferred, except for charges]
    "account": "rak_accounts_kyc_basic_read",
    "balance_transactions": "rak_balance_read",
    "charges": "rak_charge_read",
    "customers": "rak_customer_read",
    "disputes": "rak_dispute_read",
    "events": "rak_event_read",
    "refunds": "rak_refund_read",
}
RATES = {True: 100, False: 25}  # reads a second, in live and in test mode [inferred]
DAY = 86_400
COMMON = ("limit", "starting_after", "ending_before", "expand")
CREATED = ("created", "created[gt]", "created[gte]", "created[lt]", "created[lte]")
VERSION = re.compile(r"^\d{4}-\d\d-\d\d(\.[a-z]+)?$")
EXPAND = re.compile(r"^expand\[\d*\]$")


@dataclass(frozen=True)
class Resource:
    """A list: its objects in the store, what it is filtered by, what may be expanded in it."""

    name: str
    kind: str
    equals: tuple[str, ...] = ()
    expands: Mapping[str, str] = field(default_factory=dict)  # field of an object: its resource


RESOURCES = {
    resource.name: resource
    for resource in (
        Resource(
            "charges",
            "charge",
            ("customer", "payment_intent"),
            {
                "customer": "customers",
                "balance_transaction": "balance_transactions",
                "refunds": "refunds",
            },
        ),
        Resource(
            "refunds",
            "refund",
            ("charge", "payment_intent"),
            {"charge": "charges", "balance_transaction": "balance_transactions"},
        ),
        Resource("disputes", "dispute", ("charge", "payment_intent"), {"charge": "charges"}),
        Resource(
            "balance_transactions",
            "balance transaction",
            ("type", "source", "currency"),
            {"source": "charges"},
        ),
        Resource("customers", "customer", ("email",)),
        Resource("events", "event", ("type",)),
    )
}


class RefusedError(Exception):
    """An answer of Stripe that is an error."""

    def __init__(self, status: int, message: str, **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": "invalid_request_error", "message": message, **more}}


class StripeDouble(Double):
    """Stripe's rules over a store.

    Parameters
    ----------
    store
        The account; its clock is the double's.
    faults
        Of the connection and of status 429 and 5xx, as every double's.

    Attributes
    ----------
    live_key, test_key
        Each sees the objects of its mode alone.
    permissions
        Of both keys.
    event_days
        Events are listed for so long [inferred].
    shows_invoice
        Whether charges have ``invoice``, which newer versions may not [inferred].
    mixes_modes
        Whether a live key's lists have test rows too, as one of the stored payloads does.
    has_rate_limit
        Whether more reads a second than `RATES` are answered 429.
    limited
        How many were.
    """

    def __init__(self, store: StripeStore | None = None, faults: Faults | None = None) -> None:
        self.store = store or StripeStore(Clock())
        super().__init__(self.store.clock, faults)
        self.live_key, self.test_key = LIVE_KEY, TEST_KEY
        self.permissions = set(PERMISSIONS.values())
        self.event_days = 30
        self.shows_invoice, self.mixes_modes = True, False
        self.has_rate_limit, self.limited = False, 0
        self._seconds: Counter[tuple[bool, int]] = Counter()

    def handle(self, request: Request) -> Answer:
        """Answer by Stripe's rules."""
        try:
            body, status = self._route(request), 200
        except RefusedError as refusal:
            body, status = refusal.body, refusal.status
        version = request.headers.get("stripe-version", API_VERSION)
        headers = {"Request-Id": f"req_SYN{request.number}", "Stripe-Version": version}
        return Answer(status, body, headers)

    def fault_answer(self, fault: str, request: Request) -> Answer:
        """Return Stripe's own errors."""
        if fault.startswith("429"):
            refusal = _rate_limit()
        else:
            refusal = RefusedError(int(fault), "An error occurred with our API.")
            refusal.body["error"]["type"] = "api_error"
        retry = {"Retry-After": f"{self.faults.retry_after:g}"} if fault == "429" else {}
        return Answer(refusal.status, refusal.body, retry)

    def _route(self, request: Request) -> dict[str, Any]:
        is_live = self._mode(request)
        version = request.headers.get("stripe-version", API_VERSION)
        if not VERSION.match(version):
            raise RefusedError(400, f"Invalid Stripe API version: {version}")
        self._count(is_live=is_live)
        match = re.fullmatch(r"/v1/(\w+)(?:/(\w+))?", request.path)
        name, one = (match[1], match[2]) if match else ("", None)
        if name not in PERMISSIONS or (name == "account" and one):
            url = f"({request.method}: {request.path})"
            raise RefusedError(404, f"Unrecognized request URL {url}.")
        if request.method != "GET":
            raise self._forbidden(PERMISSIONS[name].replace("_read", "_write"), is_live=is_live)
        self.need(name, is_live=is_live)
        if name == "account":
            return self.store.account.json()
        return _Lists(self, RESOURCES[name], request, is_live=is_live).answer(one)

    def _mode(self, request: Request) -> bool:
        """Return whether the key is one of live mode."""
        header = request.headers.get("authorization", "")
        key = header.removeprefix("Bearer ") if header.startswith("Bearer ") else _basic(header)
        if not key:
            raise RefusedError(401, "You did not provide an API key.")
        if key not in {self.live_key, self.test_key}:
            raise RefusedError(401, f"Invalid API Key provided: {masked(key)}")
        return key == self.live_key

    def _count(self, *, is_live: bool) -> None:
        window = is_live, int(self.clock.monotonic())
        self._seconds[window] += 1
        if self.has_rate_limit and self._seconds[window] > RATES[is_live]:
            self.limited += 1
            raise _rate_limit()

    def need(self, name: str, *, is_live: bool) -> None:
        """Refuse a key without the permission for a resource."""
        if PERMISSIONS[name] not in self.permissions:
            raise self._forbidden(PERMISSIONS[name], is_live=is_live)

    def _forbidden(self, permission: str, *, is_live: bool) -> RefusedError:
        key = masked(self.live_key if is_live else self.test_key)
        return RefusedError(
            403,
            f"The provided key '{key}' does not have the required permissions for this endpoint on "
            f"account '{self.store.account.id}'. Having the '{permission}' permission would allow "
            "this request to continue.",
        )

    def rows(self, name: str) -> Mapping[str, Any]:
        """Return the store's objects of a resource by id, in the order in which they were made."""
        by_name: dict[str, Callable[[], Mapping[str, Any]]] = {
            "balance_transactions": lambda: self.store.balances,
            "charges": lambda: self.store.charges,
            "customers": lambda: self.store.customers,
            "disputes": lambda: self.store.disputes,
            "events": self._recent_events,
            "refunds": lambda: self.store.refunds,
        }
        return by_name[name]()

    def _recent_events(self) -> Mapping[str, Any]:
        oldest = self.store.now() - self.event_days * DAY
        return {key: event for key, event in self.store.events.items() if event.created > oldest}


@dataclass(frozen=True)
class _Lists:
    """The answer to one request for a list, or for an object of it."""

    double: StripeDouble
    resource: Resource
    request: Request
    is_live: bool

    def answer(self, one: str | None) -> dict[str, Any]:
        expands = self._expands(is_list=one is None)
        if one is not None:
            self._check_names(("expand",))
            row = self._row(one, "id", 404)
            return self._json(row, expands)
        self._check_names((*COMMON, *CREATED, *self.resource.equals, "types[]"))
        limit, rows = self._limit(), self._matching()
        after, before = self._cursor("starting_after"), self._cursor("ending_before")
        if after and before:
            raise RefusedError(
                400, "You cannot parameterize both starting_after and ending_before."
            )
        if after:
            rows = [row for row in rows if self._place(row) < after]
        if before:
            rows = [row for row in rows if self._place(row) > before]
        page = rows[-limit:] if before else rows[:limit]
        return {
            "object": "list",
            "url": f"/v1/{self.resource.name}",
            "has_more": len(rows) > len(page),
            "data": [self._json(row, expands) for row in page],
        }

    def _rows(self) -> dict[str, Any]:
        rows = self.double.rows(self.resource.name)
        shows_all = self.double.mixes_modes and self.is_live
        return {key: row for key, row in rows.items() if shows_all or row.livemode == self.is_live}

    def _matching(self) -> list[Any]:
        """Return the rows of the filters, newest first; a deleted customer is in no list."""
        request, low, high = self.request, *self._bounds()
        equals = {n: request.value(n) for n in self.resource.equals if n in request.query}
        types = set(request.query.get("types[]", ()))
        rows = [
            row
            for row in self._rows().values()
            if low <= row.created <= high
            and not getattr(row, "deleted", False)
            and all(getattr(row, name) == value for name, value in equals.items())
            and (not types or row.type in types)
        ]
        return sorted(rows, key=self._place, reverse=True)

    @staticmethod
    def _place(row: Any) -> tuple[int, str]:
        return row.created, row.id[-8:]  # the serial number

    def _bounds(self) -> tuple[float, float]:
        low, high = float("-inf"), float("inf")
        for name in CREATED:
            if name not in self.request.query:
                continue
            at = self._integer(name)
            if name in {"created", "created[gte]", "created[gt]"}:
                low = max(low, at + (name == "created[gt]"))
            if name in {"created", "created[lte]", "created[lt]"}:
                high = min(high, at - (name == "created[lt]"))
        return low, high

    def _limit(self) -> int:
        if "limit" not in self.request.query:
            return 10
        limit = self._integer("limit")
        if not 1 <= limit <= 100:
            bound = "less than or equal to 100" if limit > 100 else "greater than or equal to 1"
            text = f"This value must be {bound} (it currently is '{limit}')."
            raise RefusedError(400, text, code="parameter_invalid_integer", param="limit")
        return limit

    def _integer(self, name: str) -> int:
        value = self.request.value(name)
        if not re.fullmatch(r"-?\d+", value):
            text = f"Invalid integer: {value}"
            raise RefusedError(400, text, code="parameter_invalid_integer", param=name)
        return int(value)

    def _cursor(self, name: str) -> tuple[int, str] | None:
        if name not in self.request.query:
            return None
        return self._place(self._row(self.request.value(name), name, 400, is_listed=True))

    def _row(self, one: str, param: str, status: int, *, is_listed: bool = False) -> Any:
        row = self._rows().get(one)
        if row is not None and not (is_listed and getattr(row, "deleted", False)):
            return row
        modes = ("live", "test") if self.is_live else ("test", "live")
        is_other = row is None and one in self.double.rows(self.resource.name)
        hint = (
            f"; a similar object exists in {modes[1]} mode, but a {modes[0]} mode key was used to "
            "make this request."
        )
        text = f"No such {self.resource.kind}: '{one}'{hint if is_other else ''}"
        raise RefusedError(status, text, code="resource_missing", param=param)

    def _check_names(self, names: Sequence[str]) -> None:
        for name in self.request.query:
            if name not in names and not EXPAND.match(name):
                text = f"Received unknown parameter: {name}"
                raise RefusedError(400, text, code="parameter_unknown", param=name)

    def _expands(self, *, is_list: bool) -> tuple[str, ...]:
        """Return what to expand; each object that is shown needs its own permission."""
        names = []
        for parameter, values in self.request.query.items():
            for path in values if EXPAND.match(parameter) else ():
                name = path.removeprefix("data.") if is_list else path
                hint = ""
                if is_list and name == path:
                    hint = f" You may want to try expanding 'data.{path}' instead."
                if hint or name not in self.resource.expands:
                    raise RefusedError(400, f"This property cannot be expanded ({path}).{hint}")
                self.double.need(self.resource.expands[name], is_live=self.is_live)
                names.append(name)
        return tuple(names)

    def _json(self, row: Any, expands: tuple[str, ...]) -> dict[str, Any]:
        body: dict[str, Any] = row.json()
        if self.resource.name == "charges":
            body = self._charge(body, with_refunds="refunds" in expands)
        for name in expands:
            if isinstance(body.get(name), str):
                inner = self.double.rows(self.resource.expands[name]).get(body[name])
                body[name] = body[name] if inner is None else inner.json()
        return body

    def _charge(self, body: dict[str, Any], *, with_refunds: bool) -> dict[str, Any]:
        if not self.double.shows_invoice:
            del body["invoice"]
        if with_refunds:
            rows = [o for o in self.double.store.refunds.values() if o.charge == body["id"]]
            rows.sort(key=self._place, reverse=True)
            body["refunds"] = {
                "object": "list",
                "url": f"/v1/charges/{body['id']}/refunds",
                "has_more": len(rows) > 10,
                "data": [row.json() for row in rows[:10]],
            }
        return body


def masked(key: str) -> str:
    """Return a key as Stripe's errors show it."""
    return f"{key[:8]}****{key[-4:]}"


def _rate_limit() -> RefusedError:
    return RefusedError(429, "Request rate limit exceeded.", code="rate_limit")


def _basic(header: str) -> str:
    """Return the user of Basic authentication, which Stripe takes as the key."""
    if not header.startswith("Basic "):
        return ""
    try:
        return base64.b64decode(header[6:], validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
