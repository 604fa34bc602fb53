"""Requests to a WooCommerce shop, and their typed answers."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal, Self

import httpx

from connectors.live.errors import (
    AccessRefusedError,
    Json,
    PlatformDownError,
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
    strict_json,
)
from connectors.live.records import JsonObject
from connectors.live.woocommerce.access import explained, firewalled, is_stripped
from connectors.live.woocommerce.api import (
    CURRENCY,
    INDEX,
    ORDER_REFUNDS,
    ORDERS,
    REFUND_FIELDS,
    REFUNDS,
    SIZES,
)
from connectors.live.woocommerce.hosting import (
    BOM,
    FIREWALL_STATUSES,
    is_page,
    json_start,
    moved_address,
)

SECOND = timedelta(seconds=1)
SECONDS = "%Y-%m-%dT%H:%M:%S"
FIREWALL_PAUSES = (5.0, 30.0)  # a firewall may count requests
TOO_MANY, MINUTE = 429, 60.0
PROBE_TRIES = 4
SIZE_TRIES = 4  # of a page, before a smaller one is asked for
GROWS_AFTER = 20  # pages, then a larger one is tried again
WEAK = (500, 502, 504, None)  # statuses with which a page may be too much, or has a broken order
MOST_MOVES = 3
HEADER_LOGS = ("httpcore.http11", "httpcore.http2")  # which log headers when they log everything
Field = Literal["modified", "date"]


@dataclass(frozen=True)
class Keys:
    """A key of the REST API.

    Attributes
    ----------
    key, secret
        Consumer key and consumer secret.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Listing:
    """Which rows of a list, in which order.

    Attributes
    ----------
    endpoint
        The list.
    by
        What `start` and `end` bound: when a row changed, or when it was made.
    start, end
        In whole seconds, half-open; None = no bound.
    order
        By what rows are sorted, ascending unless `is_descending`.
    status
        Of orders.
    fields
        Of a row.
    """

    endpoint: Endpoint
    by: Field
    start: datetime | None = None
    end: datetime | None = None
    order: Literal["modified", "date", "id"] = "id"
    is_descending: bool = False
    status: str = "any"
    fields: tuple[str, ...] = ()

    def query(self) -> dict[str, str]:
        """Return the query without page and size. Dates carry no offset: WooCommerce ignores one, or worse."""
        after, before = ("after", "before")
        if self.by == "modified":
            after, before = ("modified_after", "modified_before")
        direction = "desc" if self.is_descending else "asc"
        query = {"dates_are_gmt": "true", "orderby": self.order, "order": direction, "dp": "4"}
        if self.endpoint is ORDERS:
            query["status"] = self.status
        if self.start is not None:
            query[after] = (self.start - SECOND).astimezone(UTC).strftime(SECONDS)  # exclusive
        if self.end is not None:
            query[before] = self.end.astimezone(UTC).strftime(SECONDS)
        if self.fields:
            query["_fields"] = ",".join(self.fields)
        return query


@dataclass(frozen=True)
class Page:
    """A page of a list.

    Attributes
    ----------
    rows
        Its rows.
    total
        Rows of the whole list, by the shop's count; -1 past the list's end where the shop refuses that.
    size
        Rows that were asked for.
    """

    rows: tuple[JsonObject, ...]
    total: int
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether the list has no further page."""
        return 0 <= self.total <= self.size


@dataclass(frozen=True)
class Site:
    """What a shop's index shows to everybody.

    Attributes
    ----------
    name, home
        Its title and its address.
    timezone
        IANA name; empty where an offset is set instead.
    offset_hours
        Of its time now.
    has_woocommerce
        Whether version 3 of the API is there.
    """

    name: str
    home: str
    timezone: str
    offset_hours: float
    has_woocommerce: bool


class BrokenRowError(Exception):
    """A page of one row fails.

    Parameters
    ----------
    listing
        Whose first row fails.
    """

    def __init__(self, listing: Listing) -> None:
        super().__init__("a row that cannot be read")
        self.listing = listing


class WooCommerceClient:
    """A shop's REST API.

    Parameters
    ----------
    url
        The shop's address; ``/wp-json`` is below it.
    keys
        Of the REST API.
    clock
        Paces requests and waits between tries.
    transport
        How requests travel; the network by default.

    Attributes
    ----------
    url
        Where the shop is, once :meth:`settle` followed it.
    sends_keys_in_query
        Whether the server drops the header ``Authorization``, so that the key travels in the query.
    cut
        Answers that were read after cutting what stood before their JSON, by what it was.
    broken
        Ids that cannot be read, per list; they are asked for no more.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        *,
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.sends_keys_in_query = False
        self.cut: Counter[str] = Counter()
        self.broken: dict[Endpoint, set[int]] = {ORDERS: set(), REFUNDS: set()}
        self._keys, self._clock, self._transport = keys, clock, transport
        self._numbers, self._past_requests = count(), 0
        self._connections: tuple[httpx.Client, ...] = ()
        self._size, self._pages_of_size = 0, 0
        self._open()

    @property
    def requests(self) -> int:
        """Requests so far, tries included."""
        clients = (self._bare, self._keyed)
        return self._past_requests + sum(sum(one.requests.values()) for one in clients)

    def settle(self) -> Site:
        """Find out where the shop is, without the key, and read its index.

        Raises
        ------
        AccessRefusedError
            The address is not encrypted, the shop is at another one, or has no REST API.
        UnexpectedAnswerError
            The shop redirects in a circle.
        """
        for _ in range(MOST_MOVES):
            try:
                return _site(
                    self._sent(self._bare, Call(INDEX, self._fresh({})), check=_is_object)
                )
            except RequestRefusedError as error:
                root = moved_address(self.url, error.location)
                if error.status == 404:
                    raise AccessRefusedError(
                        f"{self.url} has no REST API at /wp-json (404). Choose any permalink structure but "
                        "Plain under Settings > Permalinks, and check the address",
                        404,
                    ) from None
                if root is None or root == self.url:
                    raise self._elsewhere(error) from None
                self.url = root
                self._open()
        raise UnexpectedAnswerError(f"{self.url} redirects in a circle. Check the shop's address")

    def authorize(self) -> None:
        """Find out how the key reaches WooCommerce: in the header, else in the query.

        Raises
        ------
        AccessRefusedError
            WooCommerce takes the key in neither way.
        """
        listing = Listing(ORDERS, "date", fields=("id",))
        try:
            self.has(listing)
        except AccessRefusedError as error:
            if not is_stripped(error) or self.sends_keys_in_query:
                raise
            self.sends_keys_in_query = True
            self._open()
            try:
                self.has(listing)
            except AccessRefusedError:
                self.sends_keys_in_query = False
                self._open()
                raise error from None

    def currency(self) -> str | None:
        """Return the shop's currency; None where the key may not see it."""
        try:
            payload = self._call(CURRENCY, {}, check=_is_object)
        except (AccessRefusedError, RequestRefusedError):
            return None
        code = payload.get("code")
        return code if isinstance(code, str) else None

    def has(self, listing: Listing) -> bool:
        """Tell whether the shop has a list, and sorts it so.

        Raises
        ------
        RequestRefusedError
            It refuses the list for another reason.
        """
        try:
            self.page(listing, most=1)
        except RequestRefusedError as error:
            if _code(error.payload) in ("rest_no_route", "rest_invalid_param"):
                return False
            raise
        except BrokenRowError:
            pass  # WooCommerce fails at a row, after it took the key and the query
        return True

    def count(self, listing: Listing) -> int:
        """Return how many rows a list has."""
        return self.page(replace(listing, order="id", fields=("id",)), most=1).total

    def page(self, listing: Listing, number: int = 1, *, most: int = SIZES[0]) -> Page:
        """Return a page of a list; the first may be smaller, where the shop does not manage a large one.

        Raises
        ------
        BrokenRowError
            The list's first row fails alone.
        PlatformDownError
            The shop manages no page.
        UnexpectedAnswerError
            The answer has no count of rows.
        """
        sizes = [size for size in SIZES[self._size :] if size <= most] or [most]
        for size in [most] if number > 1 else sizes:
            try:
                page = self._page(listing, number, size, tries=SIZE_TRIES if size > 1 else None)
            except PlatformDownError as error:
                if number > 1 or error.asks_to_wait or error.status not in WEAK:
                    raise
                if size == 1 and error.status == 500:
                    raise BrokenRowError(listing) from None
                if size == 1:
                    raise
            else:
                self._note_size(size, most)
                return page
        raise UnexpectedAnswerError("A page has at least one row")  # never: the last size raises

    def probe(self, listing: Listing, **query: str) -> list[int] | None:
        """Return the ids of a list's first rows, one by default; None where WooCommerce fails."""
        merged = replace(listing, fields=("id",)).query() | {"per_page": "1"} | query
        if broken := self.broken[listing.endpoint]:
            merged["exclude"] = ",".join(map(str, sorted(broken)))
        try:
            rows = self._call(listing.endpoint, merged, check=_is_list, tries=PROBE_TRIES)
        except PlatformDownError as error:
            if error.status == 500:
                return None
            raise
        return [row["id"] for row in rows]

    def refunds_of(self, order_id: str) -> list[JsonObject]:
        """Return an order's refunds, each with its order's id; none where the order is gone."""
        rows: list[JsonObject] = []
        for number in count(1):
            query = {"per_page": "100", "page": str(number), "dp": "4"}
            query["_fields"] = ",".join(REFUND_FIELDS)
            try:
                page = self._call(ORDER_REFUNDS, query, ids={"id": order_id}, check=_is_list)
            except RequestRefusedError as error:
                if error.status in (400, 404):
                    break
                raise
            rows += [{**row, "parent_id": int(order_id)} for row in page]
            if len(page) < 100:
                break
        return rows

    def _note_size(self, size: int, most: int) -> None:
        """Keep to the size that works; after a while, try a larger one again."""
        if most < SIZES[0]:
            return
        self._pages_of_size = self._pages_of_size + 1 if SIZES[self._size] == size else 0
        self._size = SIZES.index(size)
        if self._pages_of_size >= GROWS_AFTER and self._size:
            self._size, self._pages_of_size = self._size - 1, 0

    def reset_size(self) -> None:
        """Ask for large pages again: what was in the way is excluded now."""
        self._size, self._pages_of_size = 0, 0

    def _page(self, listing: Listing, number: int, size: int, *, tries: int | None) -> Page:
        query = listing.query() | {"per_page": str(size), "page": str(number)}
        if broken := self.broken[listing.endpoint]:
            query["exclude"] = ",".join(map(str, sorted(broken)))
        total = -1

        def check(answer: Answer) -> None:
            nonlocal total
            _is_list(answer)
            total = _total(answer)

        try:
            rows = self._call(listing.endpoint, query, check=check, tries=tries)
        except RequestRefusedError as error:
            if number > 1 and _code(error.payload) == "rest_post_invalid_page_number":
                return Page((), -1, size)
            raise
        return Page(tuple(rows), total, size)

    def _call(self, endpoint: Endpoint, query: Mapping[str, str], **how: Json) -> Json:
        keys = {}
        if self.sends_keys_in_query:
            keys = {"consumer_key": self._keys.key, "consumer_secret": self._keys.secret}
        ids = how.pop("ids", None)
        call = Call(endpoint, self._fresh(query) | keys, ids=ids)
        return self._sent(self._keyed, call, **how)

    def _sent(self, client: PlatformClient, call: Call, **how: Json) -> Json:
        """Send a request; a firewall's page, or a limit that names no time, is waited for a little."""
        for pause in (*FIREWALL_PAUSES, None):
            try:
                return client.call(call, decode=self._decode, **how).payload
            except (AccessRefusedError, RequestRefusedError) as error:
                if not is_page(error) or pause is None:
                    raise self._final(call.endpoint, error) from None
            except PlatformDownError as error:
                if error.status != TOO_MANY or error.asks_to_wait or pause is None:
                    raise
                pause = MINUTE  # most limits are per minute
            self._clock.sleep(pause)
        raise UnexpectedAnswerError("A request ends")  # never: the last pause is None

    def _final(
        self, endpoint: Endpoint, error: AccessRefusedError | RequestRefusedError
    ) -> Exception:
        """Return a refusal that stays, with what to do about it."""
        if is_page(error) and error.status in FIREWALL_STATUSES:
            return firewalled(self.url, endpoint, error)
        return explained(error) if isinstance(error, AccessRefusedError) else error

    def _decode(self, body: bytes) -> Json:
        """Return a body's JSON, also where something stands before it, if the rest is whole."""
        rest = body.removeprefix(BOM)
        try:
            payload = strict_json(rest)
        except ValueError:
            start = json_start(rest)
            if not start:
                raise
            payload = strict_json(rest[start:])
            self.cut["PHP's warnings"] += 1
        if len(rest) < len(body):
            self.cut["a byte order mark"] += 1
        return payload

    def _fresh(self, query: Mapping[str, str]) -> dict[str, str]:
        """Return a query that no cache has an answer to."""
        stamp = f"{self._clock.now().timestamp():.0f}.{next(self._numbers)}"
        return {**query, "_": stamp}

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()
        for name in HEADER_LOGS:
            logging.getLogger(name).removeFilter(_without_keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        """Connect, anew where the address or the way of the key changed."""
        if self._connections:
            self._past_requests = self.requests
            self.close()
        headers = {"Cache-Control": "no-cache", "Pragma": "no-cache"}
        auth = None if self.sends_keys_in_query else (self._keys.key, self._keys.secret)
        bare = connect(self.url, headers, transport=self._transport)
        keyed = connect(self.url, headers, auth=auth, transport=self._transport)
        self._connections = (bare, keyed)
        for name in HEADER_LOGS if self.sends_keys_in_query else ():
            logging.getLogger(name).addFilter(_without_keys)
        endpoints = (ORDERS, REFUNDS, ORDER_REFUNDS, CURRENCY)
        self._bare = PlatformClient("WooCommerce", bare, [INDEX], clock=self._clock)
        self._keyed = PlatformClient("WooCommerce", keyed, endpoints, clock=self._clock)

    def _elsewhere(self, error: RequestRefusedError) -> Exception:
        if error.location is None:
            return error
        return AccessRefusedError(
            f"{self.url} leads to {error.location}. Put the shop's own address into the source: a key is never "
            "sent to another host, nor unencrypted",
            error.status,
        )


def _without_keys(record: logging.LogRecord) -> bool:
    """Keep a header with the key out of logs: the header ``Link`` repeats the query."""
    return "consumer_secret" not in record.getMessage()


def _is_list(answer: Answer) -> None:
    rows = answer.payload
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("id"), int) for row in rows
    ):
        raise TryAgainError("an answer that is no list of objects", is_down=False)


def _is_object(answer: Answer) -> None:
    if not isinstance(answer.payload, dict):
        raise TryAgainError("an answer that is no object", is_down=False)


def _total(answer: Answer) -> int:
    text = answer.headers.get("X-WP-Total", "")
    if not text.isdecimal():
        raise UnexpectedAnswerError(
            "WooCommerce's answer has no X-WP-Total, its count of rows: something in front of the shop drops "
            "the header. Let it pass: without it nobody can tell whether all orders were read"
        )
    return int(text)


def _code(payload: Json) -> str:
    return str(payload.get("code", "")) if isinstance(payload, dict) else ""


def _site(index: Json) -> Site:
    offset = index.get("gmt_offset")
    return Site(
        name=str(index.get("name") or ""),
        home=str(index.get("home") or index.get("url") or ""),
        timezone=str(index.get("timezone_string") or ""),
        offset_hours=float(offset) if str(offset).lstrip("-").replace(".", "", 1).isdigit() else 0,
        has_woocommerce="wc/v3" in (index.get("namespaces") or ()),
    )
