"""A stateful double of Shopify's Admin GraphQL API 2026-10, in front of a `Store`.

Queries are executed by graphql-core over the reduced schema. The double refuses what Shopify
refuses: missing or ended tokens, missing scopes, protected data, costs, bulk queries.

    store = Store(clock)
    double = ShopifyDouble(store)
    with Server(double) as server: ...

- `POST /admin/oauth/access_token`: client credentials `CLIENT_ID`, `CLIENT_SECRET`; a token lives
  24 h. `LEGACY_TOKEN` lives on. `revoke_tokens()` ends those that were given.
- `POST /admin/api/2026-10/graphql.json`, header `X-Shopify-Access-Token`.
- `GET /bulk/…`: the results of bulk operations. They need no token; `leaked_tokens` counts those
  that were sent nevertheless.
- `scopes`, `protected` (kinds of personal data that are approved), `shop_state` (`"open"`,
  `"frozen"` 402, `"forbidden"` 403, `"gone"` 404, `"locked"` 423), `bulk_outcomes` (of the next
  operations, then `"completed"`; see `OUTCOMES`), `most_bulks`, `errors`: all may change meanwhile.
- Errors of GraphQL come with HTTP 200: `GraphQLFaults(at={"INTERNAL_SERVER_ERROR": [4]})`; the
  kind `PARTIAL` is data with an error beside them.
"""

import hashlib
import random
import secrets
from collections.abc import Mapping
from datetime import timedelta
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import graphql

from tests.live.double import Answer, Clock, Double, Faults, Request
from tests.live.shopify_bulk import (
    ENDS_WITHIN,
    LIVES,
    OUTCOMES,
    RUNNING,
    Bulk,
    BulkState,
    cut_in_order,
    flatten,
    is_connection,
    refusal,
    shuffled,
)
from tests.live.shopify_schema import (
    GID,
    Access,
    ApiError,
    Asked,
    admin_schema,
    error_json,
    execute,
)

CLIENT_ID, CLIENT_SECRET = "client-double", "shpss_double_0123456789"
LEGACY_TOKEN = "shpat_11111111111111111111111111111111"  # noqa: S105
TOKEN_PATH = "/admin/oauth/access_token"  # noqa: S105
API_PATH = "/admin/api/2026-10/graphql.json"
TOKEN_LIVES = 86_399
SCOPES = ("read_orders", "read_all_orders", "read_customers", "read_products")
PROTECTED = ("name", "email", "phone", "address")
COST_DOCS = "https://shopify.dev/api/usage/rate-limits"
SHOP_STATES = {"frozen": (402, "Unavailable Shop"), "forbidden": (403, "Forbidden"),
               "gone": (404, "Not Found"), "locked": (423, "Locked")}  # fmt: skip
NO_TOKEN = "[API] Invalid API key or access token (unrecognized login or wrong password)"  # noqa: S105
REQUEST_ID = "00000000-0000-0000-0000-000000000000"
MOST_COST, MUTATION_COST, USUAL_LIST = 1000, 10, 10


class GraphQLFaults(Faults):
    """Errors of Shopify's own that come with HTTP 200, planned as other faults are."""

    kinds: Mapping[str, str] = {
        "INTERNAL_SERVER_ERROR": "no data",
        "THROTTLED": "throttled, whatever the bucket has",
        "PARTIAL": "half of the orders, and an internal error beside them",
    }


class ShopifyDouble(Double):
    """Shopify's rules in front of a store.

    Parameters
    ----------
    store
        A `Store`, or another source of orders with its methods, such as `LargeStore`.
    faults
        Of the transport; `errors` are of GraphQL.
    restore_rate
        Points a second; the bucket has 20 times as many.
    queue_seconds, bulk_seconds, partial_seconds, cancel_seconds
        How long a bulk operation waits, works, takes to show partial data after it failed, and
        takes to stop.
    seed
        Of the order of children in bulk results.
    folder
        Where the bulk results of a `LargeStore` are written; a `Store` needs none.
    """

    def __init__(
        self,
        store: Any,
        *,
        faults: Faults | None = None,
        errors: GraphQLFaults | None = None,
        restore_rate: float = 100,
        queue_seconds: float = 5,
        bulk_seconds: float = 185,
        partial_seconds: float = 240,
        cancel_seconds: float = 20,
        seed: int = 0,
        folder: Path | None = None,
    ) -> None:
        clock: Clock = store.clock
        super().__init__(clock, faults)
        self.store, self.errors = store, errors or GraphQLFaults()
        self.scopes, self.protected = frozenset(SCOPES), frozenset(PROTECTED)
        self.shop_state, self.most_bulks = "open", 5
        self.restore_rate, self.most_available = restore_rate, 20 * restore_rate
        self.available, self._filled_at = self.most_available, clock.seconds
        self.queue_seconds, self.bulk_seconds = queue_seconds, bulk_seconds
        self.partial_seconds, self.cancel_seconds = partial_seconds, cancel_seconds
        self.bulk_outcomes: list[str] = []
        self.bulks: dict[int, Bulk] = {}
        self.leaked_tokens = self.tokens_given = self.throttled = 0
        self.costs: list[int] = []
        self._tokens: dict[str, float] = {}  # token: second at which it ends
        self._rng = random.Random(seed)
        self._folder = folder

    # Routes

    def handle(self, request: Request) -> Answer:
        self._work()
        if request.path.startswith("/bulk/"):
            return self._download(request)
        if self.shop_state != "open":
            status, text = SHOP_STATES[self.shop_state]
            return Answer(status, {"errors": text})
        if (request.method, request.path) == ("POST", TOKEN_PATH):
            return self._give_token(request)
        if (request.method, request.path) == ("POST", API_PATH):
            return self._answer_query(request)
        return Answer(404, {"errors": "Not Found"})

    def fault_answer(self, fault: str, request: Request) -> Answer:
        answer = super().fault_answer(fault, request)
        if fault in {"502", "503"}:
            return Answer(answer.status, b"<html><body>Bad gateway</body></html>", {}, "text/html")
        text = "Internal Server Error" if fault == "500" else "Too Many Requests"
        return Answer(answer.status, {"errors": text}, answer.headers)

    # Tokens

    def _give_token(self, request: Request) -> Answer:
        if "x-www-form-urlencoded" not in request.headers.get("content-type", ""):
            return _denied("invalid_request", "The request is not form-encoded.")
        form = request.form()
        if form.get("grant_type") != "client_credentials":
            return _denied("unsupported_grant_type", "The grant type is not supported.")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _denied("invalid_client", "The client credentials are not valid for this shop.")
        token = "shpat_" + secrets.token_hex(16)
        self._tokens[token] = self.clock.seconds + TOKEN_LIVES
        self.tokens_given += 1
        body = {"access_token": token, "scope": ",".join(sorted(self.scopes)),
                "expires_in": TOKEN_LIVES}  # fmt: skip
        return Answer(200, body)

    def revoke_tokens(self) -> None:
        """End all tokens that were given."""
        self._tokens.clear()

    def _is_valid(self, token: str) -> bool:
        return token == LEGACY_TOKEN or self._tokens.get(token, -1.0) > self.clock.seconds

    # Queries

    def _answer_query(self, request: Request) -> Answer:
        if not self._is_valid(request.headers.get("x-shopify-access-token", "")):
            return Answer(401, {"errors": NO_TOKEN})
        try:
            payload = request.json()
            query = payload["query"]
        except (ValueError, KeyError, TypeError):
            return Answer(400, {"errors": {"query": "Required parameter missing or invalid"}})
        if "application/json" not in request.headers.get("content-type", ""):
            return Answer(400, {"errors": {"query": "Required parameter missing or invalid"}})
        asked = Asked(
            self.store,
            Access(self.scopes, self.protected),
            host=request.headers.get("host", ""),
            double=self,
        )
        body = self._graphql(
            asked, request, query, payload.get("variables"), payload.get("operationName")
        )
        return Answer(200, body, {"X-Shopify-API-Version": "2026-10", "X-Request-ID": REQUEST_ID})

    def _graphql(
        self, asked: Asked, request: Request, query: str, variables: Any, name: str | None
    ) -> dict[str, Any]:
        try:
            document = graphql.parse(query)
        except graphql.GraphQLSyntaxError as error:
            return {"errors": [{"message": error.message, "locations": error.formatted.get("locations")}]}  # fmt: skip
        wrong = graphql.validate(admin_schema(), document)
        if wrong:
            return {"errors": [error_json(e) | {"extensions": {"code": "undefinedField"}} for e in wrong]}  # fmt: skip
        cost = requested_cost(document, variables or {}, name)
        if cost > MOST_COST:
            return _max_cost(cost)
        fault = self.errors.of(request)
        if fault == "INTERNAL_SERVER_ERROR":
            return {"errors": [INTERNAL_ERROR]}
        self._fill()
        if cost > self.available or fault == "THROTTLED":
            self.throttled += 1
            return {"errors": [THROTTLED], "extensions": {"cost": self._cost(cost, None)}}
        result = execute(asked, document, variables, name)
        return self._finished(asked, result, cost, is_partial=fault == "PARTIAL")

    def _finished(
        self, asked: Asked, result: graphql.ExecutionResult, cost: int, *, is_partial: bool
    ) -> dict[str, Any]:
        actual = min(cost, max(_objects(result.data), 1))
        self.available -= actual
        self.costs.append(cost)
        errors = [error_json(error) for error in result.errors or []]
        body: dict[str, Any] = {"data": result.data}
        if is_partial:
            errors.append(INTERNAL_ERROR)
            nodes = ((result.data or {}).get("orders") or {}).get("nodes") or []
            del nodes[len(nodes) // 2 :]
        if errors:
            body = {"errors": errors, **body}
        extensions: dict[str, Any] = {"cost": self._cost(cost, actual)}
        if asked.warnings:
            extensions["search"] = asked.warnings
        return body | {"extensions": extensions}

    def _fill(self) -> None:
        gained = (self.clock.seconds - self._filled_at) * self.restore_rate
        self.available = min(self.most_available, self.available + gained)
        self._filled_at = self.clock.seconds

    def _cost(self, requested: int, actual: int | None) -> dict[str, Any]:
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": float(self.most_available),
                "currentlyAvailable": float(int(self.available)),
                "restoreRate": float(self.restore_rate),
            },
        }

    # Bulk operations

    def run_bulk(self, asked: Asked, query: str, groupObjects: bool) -> dict[str, Any]:
        reason = refusal(query)
        if groupObjects:
            reason = reason or "the double does not group objects: set groupObjects to false"
        if reason is not None:
            return _bulk_error(reason, "INVALID", ["query"])
        running = [bulk for bulk in self.bulks.values() if self._status(bulk) in RUNNING]
        if len(running) >= self.most_bulks:
            if self.most_bulks == 1:
                return _bulk_error(IN_PROGRESS, "OPERATION_IN_PROGRESS")
            return _bulk_error("Bulk operations limit reached.", "LIMIT_REACHED")
        outcome = self.bulk_outcomes.pop(0) if self.bulk_outcomes else "completed"
        if outcome not in OUTCOMES:
            raise ValueError(f"no outcome {outcome!r}; there are {sorted(OUTCOMES)}")
        starts = self.clock.now() + timedelta(seconds=self.queue_seconds)
        ends = starts + timedelta(seconds=self.bulk_seconds)
        if outcome == "stuck":
            ends = self.clock.now() + ENDS_WITHIN
        bulk = Bulk(
            9_000_001 + len(self.bulks),
            query,
            asked.access,
            self.clock.now(),
            starts,
            ends,
            outcome,
        )
        self.bulks[bulk.id] = bulk
        return {"bulkOperation": bulk, "userErrors": []}

    def cancel_bulk(self, text: str) -> dict[str, Any]:
        bulk = self.find_bulk(text)
        if bulk is None:
            error = {"field": ["id"], "message": "Bulk operation does not exist"}
            return {"bulkOperation": None, "userErrors": [error]}
        status = self._status(bulk)
        if status not in RUNNING:
            message = f"A bulk operation cannot be canceled when it is {status.lower()}"
            return {"bulkOperation": bulk, "userErrors": [{"field": ["id"], "message": message}]}
        bulk.canceled_at = bulk.canceled_at or self.clock.now()
        return {"bulkOperation": bulk, "userErrors": []}

    def find_bulk(self, text: str) -> Bulk | None:
        match = GID.fullmatch(text)
        if match is None or match[1] != "BulkOperation":
            raise ApiError(f"Invalid global id '{text}'", "argumentLiteralsIncompatible")
        return self.bulks.get(int(match[2]))

    def list_bulks(self, query: str | None, *, reverse: bool) -> list[Bulk]:
        if query not in {None, "", "operation_type:query"}:
            raise NotImplementedError(f"the double does not search its operations by {query!r}")
        rows = sorted(self.bulks.values(), key=lambda bulk: bulk.id)
        return rows[::-1] if reverse else rows

    def bulk_state(self, bulk: Bulk, host: str) -> BulkState:
        """Return what a poll shows now."""
        status = self._status(bulk)
        if status == "COMPLETED":
            url = self._url(bulk, "result", host) if bulk.objects else None
            return BulkState(status, None, bulk.ends, bulk.objects, bulk.roots, str(_size(bulk)), url)  # fmt: skip
        if status == "FAILED":
            shows = bulk.ends + timedelta(seconds=self.partial_seconds) <= self.clock.now()
            url = self._url(bulk, "partial", host) if bulk.partial and shows else None
            lines = bulk.partial.count(b"\n")
            return BulkState(status, bulk.error_code, None, lines, min(lines, bulk.roots), None, None, url)  # fmt: skip
        if status == "RUNNING" and bulk.outcome != "stuck":
            done = (self.clock.now() - bulk.starts) / (bulk.ends - bulk.starts)
            return BulkState(status, None, None, int(bulk.objects * done), int(bulk.roots * done))
        return BulkState(status)

    def _status(self, bulk: Bulk) -> str:
        now = self.clock.now()
        if bulk.canceled_at is not None and bulk.canceled_at < bulk.ends:
            stops = bulk.canceled_at + timedelta(seconds=self.cancel_seconds)
            return "CANCELING" if now < stops else "CANCELED"
        if now < bulk.starts:
            return "CREATED"
        if now < bulk.ends:
            return "RUNNING"
        if bulk.outcome == "stuck":
            return "EXPIRED"
        return "FAILED" if bulk.error_code else "COMPLETED"

    def _work(self) -> None:
        """Run what has started."""
        for bulk in self.bulks.values():
            if not bulk.is_done and bulk.starts <= self.clock.now():
                bulk.is_done = True
                self._run(bulk)

    def _run(self, bulk: Bulk) -> None:
        asked = Asked(self.store, bulk.access, is_bulk=True, double=self)
        if hasattr(self.store, "write_bulk"):
            bulk.file = self._path(bulk)
            bulk.objects, bulk.roots = self.store.write_bulk(bulk.query, bulk.file, asked)
            with bulk.file.open("rb") as file:
                self._fail(bulk, file.read(1 << 20))
            return
        result = execute(asked, graphql.parse(bulk.query), None, None)
        if result.errors:
            bulk.error_code = str((result.errors[0].extensions or {}).get("code"))
            bulk.ends = bulk.starts
            return
        rows = list(flatten(result.data or {}))
        text = "".join(line + "\n" for line in shuffled(rows, self._rng)).encode()
        self._fail(bulk, text)
        bulk.file, bulk.objects = text, len(rows)
        bulk.roots = sum(parent is None for _, parent in rows)

    def _fail(self, bulk: Bulk, text: bytes) -> None:
        """Let an operation fail, if that is its outcome, and keep what it had written."""
        if bulk.outcome in {"failed", "timeout", "failed_bare"}:
            is_timeout = bulk.outcome == "timeout"
            bulk.error_code = "TIMEOUT" if is_timeout else "INTERNAL_SERVER_ERROR"
            bulk.partial = cut_in_order(text) if text and bulk.outcome != "failed_bare" else b""

    def _path(self, bulk: Bulk) -> Path:
        if self._folder is None:
            raise ValueError(
                "bulk results of a large store need a folder: ShopifyDouble(folder=…)"
            )
        return self._folder / f"{bulk.id}.jsonl"

    def _url(self, bulk: Bulk, part: str, host: str) -> str:
        ends = int((bulk.ends + LIVES).timestamp())
        name = f"bulk-{bulk.id}{'.partial' if part == 'partial' else ''}.jsonl"
        return f"http://{host}/bulk/{name}?expires={ends}&signature={_signature(name, ends)}"

    def _download(self, request: Request) -> Answer:
        if "x-shopify-access-token" in request.headers or "authorization" in request.headers:
            self.leaked_tokens += 1
        name, ends = request.path.removeprefix("/bulk/"), request.value("expires")
        if request.method != "GET" or request.value("signature") != _signature(name, ends):
            return _storage_error(403, "SignatureDoesNotMatch")
        if self.clock.now().timestamp() >= float(ends):
            return _storage_error(400, "ExpiredToken")
        bulk = self.bulks[int(name.removeprefix("bulk-").split(".")[0])]
        body = bulk.partial if ".partial" in name else bulk.file
        return Answer(200, body, content_type="application/jsonl")


IN_PROGRESS = "A bulk query operation for this app and shop is already in progress."
THROTTLED = {
    "message": "Throttled",
    "extensions": {"code": "THROTTLED", "documentation": COST_DOCS},
}
INTERNAL_ERROR = {
    "message": "Internal error. Looks like something went wrong on our end.\n"
    f"Request ID: {REQUEST_ID} (include this in support requests).",
    "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": REQUEST_ID},
}


def _denied(error: str, description: str) -> Answer:
    return Answer(400, {"error": error, "error_description": description})


def _bulk_error(message: str, code: str, where: list[str] | None = None) -> dict[str, Any]:
    error = {"field": where, "message": message, "code": code}
    return {"bulkOperation": None, "userErrors": [error]}


def _max_cost(cost: int) -> dict[str, Any]:
    message = f"Query cost is {cost}, which exceeds the single query max cost limit ({MOST_COST})."
    extensions = {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": MOST_COST,
                  "documentation": COST_DOCS}  # fmt: skip
    return {"errors": [{"message": message, "extensions": extensions}]}


def _storage_error(status: int, code: str) -> Answer:
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>"
    return Answer(status, text.encode(), {}, "application/xml")


def _signature(name: str, ends: object) -> str:
    return hashlib.sha256(f"{name} {ends} of the double".encode()).hexdigest()[:32]


def _size(bulk: Bulk) -> int:
    return bulk.file.stat().st_size if isinstance(bulk.file, Path) else len(bulk.file)


def _objects(data: Any) -> int:
    """Count the objects of an answer that cost."""
    if isinstance(data, list):
        return sum(map(_objects, data))
    if isinstance(data, dict):
        return ("id" in data) + sum(map(_objects, data.values()))
    return 0


FREE = frozenset(["MoneyBag", "MoneyV2", "PageInfo", "OrderEdge", "LineItemEdge", "UserError"])


def requested_cost(
    document: graphql.DocumentNode, variables: Mapping[str, Any], name: str | None
) -> int:
    """Return what a query may cost at most: an object 1, a mutation 10, a connection by its size.

    Shopify does not document how a connection's size counts; here it is the square root of
    `first`, so that halving `first` lowers the cost of a page that is too dear.
    """
    fragments = {
        d.name.value: d
        for d in document.definitions
        if isinstance(d, graphql.FragmentDefinitionNode)
    }
    operation = graphql.get_operation_ast(document, name)
    if operation is None:
        raise ApiError("An operation name is required")
    root = admin_schema().get_root_type(operation.operation)
    if operation.operation is graphql.OperationType.MUTATION:
        return MUTATION_COST
    return max(1, ceil(_selection_cost(operation.selection_set, root, fragments, variables)))


def _selection_cost(selection: Any, type_: Any, fragments: Any, variables: Any) -> float:
    total = 0.0
    for each in selection.selections:
        if isinstance(each, graphql.FieldNode):
            total += _field_cost(each, type_, fragments, variables)
            continue
        spread = each
        if isinstance(each, graphql.FragmentSpreadNode):
            spread = fragments[each.name.value]
        on = spread.type_condition
        inner = admin_schema().type_map[on.name.value] if on else type_
        total += _selection_cost(spread.selection_set, inner, fragments, variables)
    return total


def _field_cost(node: graphql.FieldNode, type_: Any, fragments: Any, variables: Any) -> float:
    if node.selection_set is None or node.name.value.startswith("__"):
        return 0
    returned = type_.fields[node.name.value].type
    named = graphql.get_named_type(returned)
    inner = _selection_cost(node.selection_set, named, fragments, variables)
    if is_connection(named):
        return 2 + sqrt(_size_asked(node, variables)) * inner
    own = 0 if named.name in FREE else 1
    if is_connection(type_):
        return own + inner
    if isinstance(graphql.get_nullable_type(returned), graphql.GraphQLList):
        return sqrt(_size_asked(node, variables)) * (own + inner)
    return own + inner


def _size_asked(node: graphql.FieldNode, variables: Mapping[str, Any]) -> int:
    """Return how many a field is asked for: by `first`, `last` or `ids`."""
    for argument in node.arguments:
        if argument.name.value in {"first", "last", "ids"}:
            value = graphql.value_from_ast_untyped(argument.value, dict(variables))
            return len(value) if isinstance(value, list) else int(value or 0)
    return USUAL_LIST
