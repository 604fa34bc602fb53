"""Shopify's Admin GraphQL API: requests, their typed answers, and what an answer may refuse."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from connectors.addresses import is_loopback
from connectors.live.errors import (
    AccessRefusedError,
    Json,
    RequestRefusedError,
    UnexpectedAnswerError,
)
from connectors.live.http import (
    Answer,
    Call,
    Clock,
    Endpoint,
    PlatformClient,
    TryAgainError,
    connect,
)
from connectors.live.records import JsonObject
from connectors.live.shopify import queries
from connectors.live.shopify.credentials import HOW, Credentials, check_shop
from connectors.live.shopify.errors import BulkRefusedError, StaleCursorError, TooDearError
from connectors.live.shopify.queries import API_VERSION

TOKEN = Endpoint("POST", "/admin/oauth/access_token", (), 2, 20)
GRAPHQL = Endpoint("POST", f"/admin/api/{API_VERSION}/graphql.json", (), 20, 1200)
HEADER = "X-Shopify-Access-Token"
RESULT_HOSTS = ("storage.googleapis.com", ".shopify.com", ".shopifycloud.com", ".shopifycdn.com")
PASSING = frozenset(["THROTTLED", "INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"])
CLOCKS_DIFFER = timedelta(minutes=5)  # between Shopify's clock and ours, at most
BULKS_LISTED = 50
RENEWALS = 3  # of a token, for one request
CLOSED = {
    402: "The store is frozen (402): its owner has an unpaid invoice at Shopify. Pay it, then pull again",
    404: "No store at this address (404). Compare it with Settings > Domains in the store's admin",
    423: "The store is locked (423). Its owner has to contact Shopify's support; then pull again",
}


@dataclass(frozen=True)
class ShopFacts:
    """What a store says about itself."""

    domain: str
    name: str
    currency: str
    timezone: str
    is_test: bool
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class FirstOrder:
    """The oldest order that a key can read.

    Attributes
    ----------
    created_at
        None where there is no order.
    denied
        Fields that the key may not read.
    """

    created_at: datetime | None
    denied: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Page:
    """A page of orders, and where the next one begins; None after the last."""

    orders: tuple[JsonObject, ...]
    after: str | None


@dataclass(frozen=True)
class BulkState:
    """How far a bulk operation is; `url` is secret: who has it reads the orders."""

    status: str
    error: str | None
    objects: int
    roots: int
    size_bytes: int | None
    url: str | None

    def __repr__(self) -> str:
        return f"BulkState({self.status}, {self.error}, {self.objects} objects)"


@dataclass
class _Budget:
    """Points that queries cost: a bucket that fills up."""

    available: float
    rate: float
    at: float


class ShopifyClient:
    """A store's API.

    Parameters
    ----------
    shop
        Its address, ``NAME.myshopify.com``.
    credentials
        The key.
    clock
        Tells the time and waits.
    url
        Of a test server on this machine; by default the store's own.
    transport
        How requests travel; the network by default.
    """

    def __init__(
        self,
        shop: str,
        credentials: Credentials,
        *,
        clock: Clock,
        url: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.shop = check_shop(shop)
        self._credentials, self._clock = credentials, clock
        self._connection = connect(url or f"https://{shop}", {}, transport=transport)
        self._http = PlatformClient("Shopify", self._connection, [TOKEN, GRAPHQL], clock=clock)
        host = self._connection.base_url.host
        self._hosts: Collection[str] = (host, *RESULT_HOSTS) if is_loopback(host) else RESULT_HOSTS
        self._token = credentials.token
        self._budget: _Budget | None = None
        self._costs: dict[str, float] = {}  # of each query with its size, as Shopify counted it

    @property
    def requests(self) -> int:
        """Requests sent so far, tries included."""
        return sum(self._http.requests.values())

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    # What is asked

    def shop_facts(self) -> ShopFacts:
        """Return what the store says about itself and the key."""
        data = self._ask(queries.SHOP)
        shop = data["shop"]
        return ShopFacts(
            domain=shop["myshopifyDomain"],
            name=shop["name"],
            currency=shop["currencyCode"],
            timezone=shop["ianaTimezone"],
            is_test=shop["plan"]["partnerDevelopment"],
            scopes=tuple(one["handle"] for one in data["currentAppInstallation"]["accessScopes"]),
        )

    def first_order(self) -> FirstOrder:
        """Return the oldest order, and the fields that Shopify denies: the one query with partial data."""
        answer = self._post(queries.FIRST_ORDER, {}, may_deny=True)
        denied = [_field_of(one) for one in _errors(answer.payload)]
        orders = (answer.payload.get("data") or {}).get("orders")
        if orders is None:
            raise _access_denied(_errors(answer.payload))
        created = [one["createdAt"] for one in orders["nodes"]]
        return FirstOrder(moment(created[0]) if created else None, frozenset(denied))

    def count(self, search: str) -> int:
        """Return how many orders a search has."""
        counted = self._ask(queries.COUNT, query=search)["ordersCount"]
        if counted is None or counted["precision"] != "EXACT":
            raise UnexpectedAnswerError("Shopify counts orders inexactly. Pull again later")
        return int(counted["count"])

    def page(self, query: str, search: str, *, first: int, after: str | None) -> Page:
        """Return a page of orders by a query of :func:`queries.page_query`."""
        orders = self._ask(query, query=search, first=first, after=after)["orders"]
        return Page(tuple(orders["nodes"]), next_cursor(orders))

    def ids(self, search: str) -> Iterator[str]:
        """Yield the ids of the orders that a search has."""
        after: str | None = None
        while True:
            orders = self._ask(queries.IDS, query=search, after=after)["orders"]
            yield from (one["id"] for one in orders["nodes"])
            after = next_cursor(orders)
            if after is None:
                return

    def nodes(
        self, query: str, ids: Collection[str], **variables: Json
    ) -> list[JsonObject | None]:
        """Return objects by their ids, in order; None for what is gone."""
        nodes: list[JsonObject | None] = self._ask(query, ids=list(ids), **variables)["nodes"]
        if len(nodes) != len(ids):
            raise UnexpectedAnswerError(
                f"Shopify answers {len(ids)} ids with {len(nodes)} objects"
            )
        return nodes

    # Bulk operations

    def start_bulk(self, query: str) -> str:
        """Start a bulk operation and return its id.

        It is sent once: a second try might start a second operation.

        Raises
        ------
        PlatformDownError
            No answer: the operation may have begun, see :meth:`find_bulk`.
        BulkRefusedError
            Shopify starts none.
        """
        data = self._ask(queries.START_BULK, tries=1, query=query)["bulkOperationRunQuery"]
        if data["userErrors"] or data["bulkOperation"] is None:
            codes = {str(one.get("code")) for one in data["userErrors"]}
            raise BulkRefusedError(
                f"Shopify starts no bulk operation ({', '.join(sorted(codes))})",
                is_busy=bool(codes & {"OPERATION_IN_PROGRESS", "LIMIT_REACHED"}),
            )
        return str(data["bulkOperation"]["id"])

    def find_bulk(self, query: str, since: datetime) -> str | None:
        """Return the newest operation with a query's text that was begun since, and has not failed."""
        nodes = self._ask(queries.BULKS, first=BULKS_LISTED)["bulkOperations"]["nodes"]
        for one in nodes:
            is_ours = one["query"].split() == query.split()
            is_new = moment(one["createdAt"]) >= since - CLOCKS_DIFFER
            if is_ours and is_new and one["status"] in ("CREATED", "RUNNING", "COMPLETED"):
                return str(one["id"])
        return None

    def bulk(self, operation: str) -> BulkState | None:
        """Return how far an operation is; None where Shopify does not have it any more."""
        state = self._ask(queries.BULK_STATE, id=operation)["bulkOperation"]
        if state is None:
            return None
        return BulkState(
            status=state["status"],
            error=state["errorCode"],
            objects=int(state["objectCount"]),
            roots=int(state["rootObjectCount"]),
            size_bytes=None if state["fileSize"] is None else int(state["fileSize"]),
            url=state["url"],
        )

    def cancel_bulk(self, operation: str) -> None:
        """Ask for an operation to stop; one that has ended stays as it is."""
        self._ask(queries.CANCEL_BULK, id=operation)

    def download(self, url: str, path: Path) -> int:
        """Write an operation's result to a file and return its size; the token is not sent there."""
        return self._http.download(url, path, hosts=self._hosts)

    # Answers

    def _ask(
        self, query: str, /, *, tries: int | None = None, **variables: Json
    ) -> dict[str, Any]:
        """Return an answer's data, which is whole: data beside errors is never used."""
        data = self._post(query, variables, tries=tries).payload.get("data")
        if not isinstance(data, dict):
            raise UnexpectedAnswerError("Shopify answers without data and without errors")
        return data

    def _post(
        self,
        query: str,
        variables: Mapping[str, Json],
        *,
        tries: int | None = None,
        may_deny: bool = False,
    ) -> Answer:
        key = f"{query}/{variables.get('first')}/{len(variables.get('ids', ()))}"
        self._wait_for_points(key)

        def check(answer: Answer) -> None:
            self._note_cost(key, answer.payload)
            self._check(answer.payload, may_deny=may_deny)

        def send() -> Answer:
            body = {"query": query, "variables": dict(variables)}
            call = Call(GRAPHQL, json=body, headers={HEADER: self._current_token()})
            return self._http.call(call, check=check, tries=tries)

        renewals = 0
        while True:
            try:
                return send()
            except AccessRefusedError as error:
                if error.status != 401 or self._credentials.token or renewals >= RENEWALS:
                    raise
                renewals += 1
                self._token = ""  # it lives for a day: ask for another
            except RequestRefusedError as error:
                raise _closed(error) from None

    def _current_token(self) -> str:
        if not self._token:
            self._token = self._new_token()
        return self._token

    def _new_token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        try:
            payload = self._http.call(Call(TOKEN, form=form)).payload
        except RequestRefusedError as error:
            if error.status != 400:
                raise _closed(error) from None
            raise AccessRefusedError(
                f"Shopify gives no token for these client credentials. {HOW}. The app and the store belong to "
                "one organization",
                400,
            ) from None
        token = payload.get("access_token") if isinstance(payload, dict) else None
        if not isinstance(token, str) or not token:
            raise UnexpectedAnswerError("Shopify's answer to the client credentials has no token")
        return token

    def _check(self, payload: Json, *, may_deny: bool) -> None:
        """Refuse an answer with errors: those that may pass are tried again."""
        if not isinstance(payload, dict):
            raise TryAgainError("an answer that is no object", is_down=False)
        errors = _errors(payload)
        codes = {_code(one) for one in errors}
        if not errors:
            _check_search(payload)
        elif "THROTTLED" in codes:
            raise TryAgainError("throttled", self._throttled_seconds(payload))
        elif codes & PASSING:
            raise TryAgainError(f"error {', '.join(sorted(codes))}")
        elif "ACCESS_DENIED" in codes:
            if not (may_deny and codes == {"ACCESS_DENIED"}):
                raise _access_denied(errors)
        elif "MAX_COST_EXCEEDED" in codes:
            raise TooDearError("A query costs more points than Shopify allows")
        elif any("cursor" in str(one.get("message")).lower() for one in errors):
            raise StaleCursorError("Shopify does not accept the cursor of a page any more")
        else:
            raise UnexpectedAnswerError(
                f"Shopify refuses a query ({', '.join(sorted(codes))}). Nothing was read"
            )

    # Points

    def _wait_for_points(self, key: str) -> None:
        """Wait until a query that was sent before can be paid, as far as Shopify's last answer shows."""
        if self._budget is None or key not in self._costs:
            return
        budget = self._budget
        gained = (self._clock.monotonic() - budget.at) * budget.rate
        lacking = self._costs[key] - budget.available - gained
        if lacking > 0:
            self._clock.sleep(lacking / budget.rate)

    def _note_cost(self, key: str, payload: Json) -> None:
        cost = _cost(payload)
        try:
            status = cost["throttleStatus"]
            self._costs[key] = float(cost["requestedQueryCost"])
            self._budget = _Budget(
                float(status["currentlyAvailable"]),
                max(float(status["restoreRate"]), 1.0),
                self._clock.monotonic(),
            )
        except (KeyError, TypeError, ValueError):
            self._budget = None  # a hint only

    def _throttled_seconds(self, payload: Json) -> float | None:
        if self._budget is None:
            return None
        lacking = float(_cost(payload)["requestedQueryCost"]) - self._budget.available
        return max(lacking / self._budget.rate, 1.0)


def moment(text: str) -> datetime:
    """Return a moment as Shopify writes it."""
    try:
        parsed = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise UnexpectedAnswerError("Shopify's answer has a time that cannot be read") from None
    if parsed.tzinfo is None:
        raise UnexpectedAnswerError("Shopify's answer has a time without a zone")
    return parsed


def next_cursor(connection: JsonObject) -> str | None:
    """Return where a connection's next page begins; None after the last one."""
    info = connection["pageInfo"]
    return info["endCursor"] if info["hasNextPage"] else None


def _errors(payload: Json) -> list[JsonObject]:
    errors = payload.get("errors") or []
    if isinstance(errors, list):
        return [one if isinstance(one, dict) else {"message": str(one)} for one in errors]
    return [{"message": str(errors)}]


def _code(error: JsonObject) -> str:
    extensions = error.get("extensions")
    return str(extensions.get("code", "no code")) if isinstance(extensions, dict) else "no code"


def _field_of(error: JsonObject) -> str:
    names = [one for one in error.get("path") or [] if isinstance(one, str)]
    return names[-1] if names else ""


def _cost(payload: Json) -> dict[str, Any]:
    extensions = payload.get("extensions") if isinstance(payload, dict) else None
    cost = extensions.get("cost") if isinstance(extensions, dict) else None
    return cost if isinstance(cost, dict) else {}


def _check_search(payload: Json) -> None:
    """Refuse an answer for which a part of the search was left out: it has too many orders."""
    extensions = payload.get("extensions")
    if isinstance(extensions, dict) and extensions.get("search"):
        raise UnexpectedAnswerError("Shopify left out a part of a search. Nothing was read")


def _access_denied(errors: list[JsonObject]) -> AccessRefusedError:
    fields = sorted({name for name in map(_field_of, errors) if name})
    needed = {
        str(one["extensions"]["requiredAccess"])
        for one in errors
        if isinstance(one.get("extensions"), dict) and "requiredAccess" in one["extensions"]
    }
    needs = f" It needs {' '.join(sorted(needed))}" if needed else ""
    return AccessRefusedError(
        f"Shopify denies the key {', '.join(fields) or 'a field'}.{needs} Give the app this access, and install "
        "it again",
        200,
    )


def _closed(error: RequestRefusedError) -> Exception:
    """Return the error for a store that is closed; the same error for anything else."""
    if error.status in CLOSED:
        return AccessRefusedError(CLOSED[error.status], error.status)
    return error
