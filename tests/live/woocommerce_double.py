"""A double of WooCommerce's REST API v3, and of the hosting that stands before it.

    store = WooCommerceStore(clock)
    double = WooCommerceDouble(store, hosting=Hosting(rates={"warning": 0.1}))
    double.hooks.append(lambda request: store.step(rng))
    with Server(double) as server: ...

Only GET is answered; whatever WordPress would reject is rejected with its error.

What the platform's documents leave open is marked [inferred] at the attribute that sets it.
"""

import base64
import binascii
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode, urlsplit

from tests.live.double import Answer, Clock, Double, Faults, Request
from tests.live.woocommerce_records import (
    SECONDS,
    STATUSES,
    SYMBOLS,
    Order,
    Payloads,
    Refund,
    Shop,
)
from tests.live.woocommerce_store import TRASH, WooCommerceStore

KEY = "ck_double_0123456789abcdef"
SECRET = "cs_double_0123456789abcdef"  # noqa: S105  # of the double
JSON = "application/json; charset=UTF-8"
HTML = "text/html; charset=UTF-8"
API = "/wp-json/wc/v3"
Row = TypeVar("Row", Order, Refund)
ORDER_BYS = ("date", "id", "include", "title", "slug", "modified")
DATES = ("after", "before", "modified_after", "modified_before")
NOT_HERE = frozenset(  # filters that WooCommerce has and the double has not
    ["customer", "parent", "parent_exclude", "product", "search", "slug", "created_via"]
)
MOMENT = re.compile(
    r"^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d+)?([Zz]|[+-]\d\d(?::?\d\d)?)?$"
)

CHALLENGE = (
    b"<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    b"<body>Checking your browser</body></html>"
)
PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
WARNING = b'<br />\n<b>Warning</b>:  Undefined array key "x" in <b>/plugin.php</b> on line <b>1</b><br />\n'
BOM = b"\xef\xbb\xbf"
CRITICAL = "<p>There has been a critical error on this website.</p>"

HOSTING_KINDS = {
    "html_200": "200 with the page of a challenge",
    "html_403": "403 of a firewall",
    "html_406": "406 of a firewall",
    "html_503": "503 of WordPress' maintenance",
    "bom": "a byte order mark before the JSON",
    "warning": "a PHP warning before the JSON",
    "warning_cut": "a PHP warning before JSON that ends in its middle",
    "critical": "500, a critical error",
}


class HostingFaults(Faults):
    """A plan of faults that are peculiar to hosting."""

    kinds = HOSTING_KINDS


@dataclass
class Hosting:
    """What stands between a client and WooCommerce; everything it does is counted in `counts`.

    Attributes
    ----------
    seed, rates, at, most_in_row
        As of `Faults`, of the kinds in `HOSTING_KINDS`. A rate of 1 and a large `most_in_row` is
        a firewall that stays. With the rates of `Faults` as well, up to eight requests in a row
        may fail.
    strips_authorization
        PHP does not get the header: counted as ``stripped``.
    stripped_message
        What a stripped header is answered with: the documents' text; None is what the current
        code does, which is to see nobody.
    broken_orders
        Ids of orders that no page with them survives: ``broken``.
    most_rows
        Pages with more rows take too long, 502 and 504 in turn: ``too_big``.
    most_per_minute, retry_after
        More requests are answered 429, with or without Retry-After: ``limited``.
    moved_to
        The shop's host; others are redirected to it, 301: ``moved``. ``localhost`` is one that a
        server on loopback can be reached by.
    cache_seconds, cache_obeys
        A cache keeps answers of 200 by their address for so long: ``stale``. Whether it obeys
        ``Cache-Control: no-cache`` of the request.
    has_permalinks
        Without pretty permalinks there is no ``/wp-json``: ``plain``.
    """

    seed: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)
    at: Mapping[str, Iterable[int]] = field(default_factory=dict)
    most_in_row: int = 2
    strips_authorization: bool = False
    stripped_message: str | None = "Consumer key is missing."
    broken_orders: set[int] = field(default_factory=set)
    most_rows: int | None = None
    most_per_minute: int | None = None
    retry_after: int | None = 30
    moved_to: str | None = None
    cache_seconds: float = 0
    cache_obeys: bool = True
    has_permalinks: bool = True
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._plan = HostingFaults(
            self.seed + 7_919,  # other draws than those of the double's own faults
            rates=self.rates,
            at=self.at,
            most_in_row=self.most_in_row,
        )
        self._plan.counts = self.counts

    def of(self, request: Request) -> str | None:
        """Return what happens to a request, and count it."""
        return self._plan.of(request)


class RefusedError(Exception):
    """An answer of WordPress that is an error."""

    def __init__(self, status: int, code: str, message: str, **data: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"code": code, "message": message, "data": {"status": status, **data}}


def invalid(name: str, message: str, code: str = "rest_invalid_param") -> RefusedError:
    """Return the error of a parameter."""
    detail = {name: {"code": code, "message": message, "data": None}}
    return RefusedError(
        400,
        "rest_invalid_param",
        f"Invalid parameter(s): {name}",
        params={name: message},
        details=detail,
    )


@dataclass(frozen=True)
class Query:
    """The parameters of a list, as WordPress reads them."""

    page: int
    per_page: int
    offset: int | None
    order: str
    orderby: str
    statuses: tuple[str, ...]
    bounds: Mapping[str, str]
    dates_are_gmt: bool
    include: frozenset[int]
    exclude: frozenset[int]
    dp: int
    fields: tuple[str, ...]


class WooCommerceDouble(Double):
    """WooCommerce's rules over a store.

    Parameters
    ----------
    store
        The shop; its clock is the double's.
    faults
        Of the connection and of status 429 and 5xx, as every double's.
    hosting
        What is peculiar to WordPress hosting.

    Attributes
    ----------
    permissions
        Of the key: ``read``, ``write`` or ``read_write``.
    sees_orders, sees_settings
        What the key's user may see: a user without is answered 403.
    past_end
        A page after the last: ``empty``, or ``400`` [inferred].
    offsets
        What happens to an offset in a date: ``ignored``, or ``local``: WordPress converts the
        moment to the shop's time, whichever column it is compared with. A client sends none.
    has_orderby_modified
        Whether ``orderby=modified`` is accepted [inferred for versions below 9].
    has_stable_ties
        Whether equal dates are sorted by id; versions without it sort them anew every time.
    hides_refunds_of_trash
        Whether ``/refunds`` is without those of orders in the trash [inferred].
    api_open_bumps
        Whether reading one order by its id bumps it, as opening it in the admin does.
    """

    def __init__(
        self,
        store: WooCommerceStore | None = None,
        faults: Faults | None = None,
        hosting: Hosting | None = None,
    ) -> None:
        self.store = store or WooCommerceStore(Clock())
        super().__init__(self.store.clock, faults)
        self.hosting = hosting or Hosting()
        self.key, self.secret = KEY, SECRET
        self.permissions: Literal["read", "write", "read_write"] = "read"
        self.sees_orders = self.sees_settings = True
        self.past_end: Literal["empty", "400"] = "empty"
        self.offsets: Literal["ignored", "local"] = "ignored"
        self.has_orderby_modified = self.has_stable_ties = True
        self.hides_refunds_of_trash = True
        self.api_open_bumps = False
        self._cache: dict[str, tuple[float, Answer]] = {}
        self._minutes: Counter[int] = Counter()
        self._slow_pages = 0

    @property
    def shop(self) -> Shop:
        return self.store.shop

    # Hosting

    def handle(self, request: Request) -> Answer:
        """Answer through the hosting."""
        refusal = self._limited() or self._moved(request)
        if refusal is not None:
            return refusal
        kind = self.hosting.of(request)
        if kind is not None and kind in _PAGES:
            return _PAGES[kind]()
        cached = self._cached(request)
        if cached is not None:
            return cached
        answer = self._wordpress(request)
        if self.hosting.cache_seconds and answer.status == 200:
            self._cache[_address(request)] = (self.clock.monotonic(), answer)
        return _spoiled(answer, kind)

    def fault_answer(self, fault: str, request: Request) -> Answer:
        """Return the pages that a host's servers show, and WordPress' own 500."""
        if fault == "500":
            return _critical()
        retry = {"Retry-After": f"{self.faults.retry_after:g}"} if fault == "429" else {}
        return _html(int(fault[:3]), "Too Many Requests" if "429" in fault else "Error", **retry)

    def _limited(self) -> Answer | None:
        most = self.hosting.most_per_minute
        minute = int(self.clock.monotonic() // 60)
        self._minutes[minute] += 1
        if most is None or self._minutes[minute] <= most:
            return None
        self.hosting.counts["limited"] += 1
        retry = self.hosting.retry_after
        return _html(429, "Too Many Requests", **({"Retry-After": str(retry)} if retry else {}))

    def _moved(self, request: Request) -> Answer | None:
        there = urlsplit(f"//{request.headers.get('host', '')}")
        if self.hosting.moved_to in {None, there.hostname}:
            return None
        self.hosting.counts["moved"] += 1
        port = f":{there.port}" if there.port else ""
        place = f"http://{self.hosting.moved_to}{port}{_address(request)}"
        return _html(301, "Moved Permanently", Location=place)

    def _cached(self, request: Request) -> Answer | None:
        if not self.hosting.cache_seconds:
            return None
        is_fresh = "no-cache" in request.headers.get("cache-control", "")
        at, answer = self._cache.get(_address(request), (float("-inf"), None))
        is_old = self.clock.monotonic() - at > self.hosting.cache_seconds
        if answer is None or is_old or (is_fresh and self.hosting.cache_obeys):
            return None
        self.hosting.counts["stale"] += 1
        return answer

    # WordPress

    def _wordpress(self, request: Request) -> Answer:
        if not self.hosting.has_permalinks and request.path.startswith("/wp-json"):
            self.hosting.counts["plain"] += 1
            return _html(404, "Page not found")
        try:
            return self._route(request)
        except RefusedError as refusal:
            return Answer(refusal.status, refusal.body, content_type=JSON)

    def _route(self, request: Request) -> Answer:
        path = request.path.rstrip("/")
        if path == "/wp-json":
            return self._answer(self._index(), self._fields(request))
        if not path.startswith("/wp-json"):
            return _html(404, "Page not found")
        user = self._user(request)
        route, match = self._find(path)
        if request.method != "GET":
            raise RefusedError(
                401,
                "woocommerce_rest_authentication_error",
                "The API key provided does not have write permissions.",
            )
        if user and self.permissions == "write":
            raise RefusedError(
                401,
                "woocommerce_rest_authentication_error",
                "The API key provided does not have read permissions.",
            )
        self._check_sight(route, is_user=user)
        return route.answer(self, request, match)

    def _find(self, path: str) -> "tuple[_Route, re.Match[str]]":
        for route in _ROUTES:
            match = re.fullmatch(API + route.path, path)
            if match and (route.path != "/refunds" or self.shop.has_refunds_route):
                return route, match
        raise RefusedError(
            404, "rest_no_route", "No route was found matching the URL and request method."
        )

    def _user(self, request: Request) -> bool:
        """Tell whether the key is right; the query's comes first, as WooCommerce reads it."""
        key, secret = request.value("consumer_key"), request.value("consumer_secret")
        if not (key and secret):
            header = request.headers.get("authorization", "")
            if self.hosting.strips_authorization and header:
                self.hosting.counts["stripped"] += 1
                header = ""
                if self.hosting.stripped_message:
                    raise RefusedError(
                        401,
                        "woocommerce_rest_authentication_error",
                        self.hosting.stripped_message,
                    )
            key, secret = _basic(header)
        if key != self.key:
            return False
        if secret != self.secret:
            raise RefusedError(
                401, "woocommerce_rest_authentication_error", "Consumer secret is invalid."
            )
        return True

    def _check_sight(self, route: "_Route", *, is_user: bool) -> None:
        sees = self.sees_settings if route.of_settings else self.sees_orders
        if is_user and sees:
            return
        what = "list resources" if route.is_list else "view this resource"
        raise RefusedError(
            403 if is_user else 401, "woocommerce_rest_cannot_view", f"Sorry, you cannot {what}."
        )

    def _index(self) -> dict[str, Any]:
        """Return the site's index, which needs no key: name, and the time zone of the shop."""
        now = self.shop.local(self.clock.now()).utcoffset()
        return {
            "name": self.shop.name,
            "description": "",
            "url": self.shop.url,
            "home": self.shop.url,
            "gmt_offset": now.total_seconds() / 3600 if now else 0,
            "timezone_string": self.shop.zone,
            "namespaces": ["oembed/1.0", "wc/v1", "wc/v2", "wc/v3", "wc-analytics", "wp/v2"],
            "authentication": {},
            "routes": {},
        }

    def _system_status(self, request: Request, match: re.Match[str]) -> Answer:
        """Return versions and currency [inferred: a selection of fields].

        ``default_timezone`` is PHP's, which WordPress sets to UTC: it is not the shop's.
        """
        shop = self.shop
        status = {
            "environment": {
                "home_url": shop.url,
                "site_url": shop.url,
                "version": shop.version,
                "wp_version": "6.9",
                "php_version": "8.3.0",
                "default_timezone": "UTC",
                "language": "en_US",
            },
            "settings": {
                "api_enabled": True,
                "force_ssl": True,
                "currency": shop.currency,
                "currency_symbol": SYMBOLS.get(shop.currency, shop.currency),
                "currency_position": "left",
                "number_of_decimals": shop.decimals,
                "HPOS_enabled": self.store.open_bumps,
                "order_datastore": "Automattic\\WooCommerce\\Internal\\DataStores\\Orders\\OrdersTableDataStore",
            },
        }
        return self._answer(status, self._fields(request))

    def _settings(self, request: Request, match: re.Match[str]) -> Answer:
        """Return the general settings [inferred: those that a preflight may want]."""
        values = {
            "woocommerce_default_country": "DE",
            "woocommerce_calc_taxes": "yes",
            "woocommerce_currency": self.shop.currency,
            "woocommerce_price_num_decimals": str(self.shop.decimals),
        }
        rows = [
            {
                "id": name,
                "label": name.removeprefix("woocommerce_"),
                "description": "",
                "type": "select",
                "default": "",
                "tip": "",
                "value": value,
                "group_id": "general",
            }
            for name, value in values.items()
        ]
        wanted = match.groupdict().get("id")
        if wanted is None:
            return self._answer(rows, self._fields(request))
        row = next((row for row in rows if row["id"] == wanted), None)
        if row is None:
            raise RefusedError(404, "rest_setting_setting_invalid", "Invalid setting.")
        return self._answer(row, self._fields(request))

    def _currency(self, request: Request, match: re.Match[str]) -> Answer:
        code = self.shop.currency
        row = {"code": code, "name": code, "symbol": SYMBOLS.get(code, code)}
        return self._answer(row, self._fields(request))

    def _totals(self, request: Request, match: re.Match[str]) -> Answer:
        """Return the number of orders per status, the trash aside."""
        by_status = Counter(order.status for order in self.store.orders.values())
        rows = [
            {"slug": slug, "name": STATUSES.get(slug, slug.title()), "total": by_status[slug]}
            for slug in self.shop.statuses
        ]
        return self._answer(rows, ())

    def _orders(self, request: Request, match: re.Match[str]) -> Answer:
        query = self._query(request)
        orders = [order for order in self.store.orders.values() if self._has_status(order, query)]
        rows, headers = self._page(orders, query, request)
        self._check_broken([order.id for order in rows])
        payloads = Payloads(self.shop, query.dp)
        body = [payloads.order(order, self.store.refunds_of(order.id)) for order in rows]
        return self._too_big(len(rows)) or self._answer(body, query.fields, headers)

    def _order(self, request: Request, match: re.Match[str]) -> Answer:
        order = self.store.orders.get(int(match["id"]))
        if order is None:
            raise RefusedError(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
        self._check_broken([order.id])
        if self.api_open_bumps:
            self.store.open(order.id)
            order = self.store.orders[order.id]
        payloads = Payloads(self.shop, self._number(request, "dp", self.shop.decimals))
        body = payloads.order(order, self.store.refunds_of(order.id))
        return self._answer(body, self._fields(request))

    def _refunds(self, request: Request, match: re.Match[str]) -> Answer:
        """List the refunds of all orders, or of one; of one that is gone, none."""
        query, of = self._query(request), match.groupdict().get("id")
        refunds = [
            one
            for one in self.store.refunds.values()
            if (of is None and self._shows_refund(one)) or (of and one.order_id == int(of))
        ]
        rows, headers = self._page(refunds, query, request)
        self._check_broken([one.order_id for one in rows])
        payloads = Payloads(self.shop, query.dp)
        body = [payloads.refund(one, with_parent=of is None) for one in rows]
        return self._too_big(len(rows)) or self._answer(body, query.fields, headers)

    def _refund(self, request: Request, match: re.Match[str]) -> Answer:
        refund = self.store.refunds.get(int(match["refund"]))
        if refund is None or refund.order_id != int(match["id"]):
            raise RefusedError(
                404, "woocommerce_rest_invalid_order_refund_id", "Invalid order refund ID."
            )
        payloads = Payloads(self.shop, self._number(request, "dp", self.shop.decimals))
        return self._answer(payloads.refund(refund, with_parent=False), self._fields(request))

    def _shows_refund(self, refund: Refund) -> bool:
        is_trash = self.store.orders[refund.order_id].status == TRASH
        return not (is_trash and self.hides_refunds_of_trash)

    def _has_status(self, order: Order, query: Query) -> bool:
        if "any" in query.statuses:
            return order.status in self.shop.statuses
        return order.status in query.statuses

    def _check_broken(self, order_ids: Sequence[int]) -> None:
        if self.hosting.broken_orders.intersection(order_ids):
            self.hosting.counts["broken"] += 1
            refusal = RefusedError(500, "internal_server_error", CRITICAL)
            refusal.body["additional_errors"] = []
            raise refusal

    def _too_big(self, rows: int) -> Answer | None:
        if self.hosting.most_rows is None or rows <= self.hosting.most_rows:
            return None
        self.hosting.counts["too_big"] += 1
        self._slow_pages += 1
        return _html(*((502, "Bad Gateway") if self._slow_pages % 2 else (504, "Gateway Timeout")))

    # Parameters

    def _query(self, request: Request) -> Query:
        missing = sorted(NOT_HERE & {name.removesuffix("[]") for name in request.query})
        if missing:
            raise NotImplementedError(f"the double does not filter by {missing}")
        offset = self._number(request, "offset", -1)
        return Query(
            page=self._number(request, "page", 1, 1),
            per_page=self._number(request, "per_page", 10, 1, 100),
            offset=None if offset < 0 else offset,
            order=self._one_of(request, "order", ("asc", "desc"), "desc"),
            orderby=self._one_of(request, "orderby", self._order_bys(), "date"),
            statuses=self._statuses(request),
            bounds={name: self._bound(request, name) for name in DATES if name in request.query},
            dates_are_gmt=self._flag(request, "dates_are_gmt"),
            include=self._ids(request, "include"),
            exclude=self._ids(request, "exclude"),
            dp=self._number(request, "dp", self.shop.decimals),
            fields=self._fields(request),
        )

    def _order_bys(self) -> tuple[str, ...]:
        return ORDER_BYS if self.has_orderby_modified else ORDER_BYS[:-1]

    def _number(
        self, request: Request, name: str, default: int, least: int | None = None, most: int = 0
    ) -> int:
        value = request.value(name)
        if name not in request.query:
            return default
        if not re.fullmatch(r"-?\d+", value):
            raise invalid(name, f"{name} is not of type integer.", "rest_invalid_type")
        number = int(value)
        if most and not (least or 0) <= number <= most:
            text = f"{name} must be between {least} (inclusive) and {most} (inclusive)"
            raise invalid(name, text, "rest_out_of_bounds")
        if least is not None and number < least:
            text = f"{name} must be greater than or equal to {least}"
            raise invalid(name, text, "rest_out_of_bounds")
        return number

    def _one_of(self, request: Request, name: str, values: Sequence[str], default: str) -> str:
        value = request.value(name, default)
        if value not in values:
            raise invalid(name, f"{name} is not one of {', '.join(values)}.", "rest_not_in_enum")
        return value

    def _flag(self, request: Request, name: str) -> bool:
        value = request.value(name, "false").lower()
        if value not in {"true", "false", "1", "0", ""}:
            raise invalid(name, f"{name} is not of type boolean.", "rest_invalid_type")
        return value in {"true", "1"}

    def _ids(self, request: Request, name: str) -> frozenset[int]:
        texts = _list(request, name)
        if not all(text.isdigit() for text in texts):
            raise invalid(f"{name}[0]", f"{name}[0] is not of type integer.", "rest_invalid_type")
        return frozenset(map(int, texts))

    def _statuses(self, request: Request) -> tuple[str, ...]:
        allowed = ("any", TRASH, *self.shop.statuses)
        statuses = _list(request, "status") or ["any"]
        for i, status in enumerate(statuses):
            if status not in allowed:
                text = f"status[{i}] is not one of {', '.join(allowed)}."
                raise invalid("status", text, "rest_not_in_enum")
        return tuple(statuses)

    def _bound(self, request: Request, name: str) -> str:
        """Return a date as the text that columns are compared with."""
        match = MOMENT.match(request.value(name))
        if match is None:
            raise invalid(name, "Invalid date.", "rest_invalid_date")
        plain = f"{match[1]}T{match[2]}"
        if self.offsets == "ignored" or match[3] is None:
            return plain
        moment = datetime.fromisoformat(plain + match[3].upper())
        return self.shop.local(moment).strftime(SECONDS)

    def _fields(self, request: Request) -> tuple[str, ...]:
        return tuple(_list(request, "_fields"))

    # Lists

    def _column(self, at: datetime, *, gmt: bool) -> str:
        return (at.astimezone(UTC) if gmt else self.shop.local(at)).strftime(SECONDS)

    def _is_within(self, row: Order | Refund, query: Query) -> bool:
        if row.id in query.exclude or (query.include and row.id not in query.include):
            return False
        moments = {
            "after": row.created,
            "before": row.created,
            "modified_after": _modified(row),
            "modified_before": _modified(row),
        }
        for name, bound in query.bounds.items():
            value = self._column(moments[name], gmt=query.dates_are_gmt)
            if not (value > bound if name.endswith("after") else value < bound):
                return False
        return True

    def _page(
        self, rows: Iterable[Row], query: Query, request: Request
    ) -> tuple[list[Row], dict[str, str]]:
        matching = [row for row in rows if self._is_within(row, query)]
        matching.sort(key=self._sort_key(query, request), reverse=query.order == "desc")
        pages = -(-len(matching) // query.per_page)
        if self.past_end == "400" and query.page > max(pages, 1):
            raise RefusedError(
                400,
                "rest_post_invalid_page_number",
                "The page number requested is larger than the number of pages available.",
            )
        start = query.offset if query.offset is not None else (query.page - 1) * query.per_page
        headers = {"X-WP-Total": str(len(matching)), "X-WP-TotalPages": str(pages)}
        links = self._links(request, query.page, pages)
        if links:
            headers["Link"] = links
        return matching[start : start + query.per_page], headers

    def _sort_key(self, query: Query, request: Request) -> "Callable[[Order | Refund], Any]":
        def key(row: Order | Refund) -> Any:
            tie: float = row.id
            if not self.has_stable_ties:
                tie = random.Random(f"{request.number}/{row.id}").random()
            moments = {"date": row.created, "modified": _modified(row)}
            return (moments.get(query.orderby, row.id), tie)

        return key

    def _links(self, request: Request, page: int, pages: int) -> str:
        """Return the links to other pages, with every parameter, the key too if it was in one."""
        links = []
        for name, number in (("prev", min(page - 1, pages)), ("next", page + 1)):
            if (name == "prev" and page > 1) or (name == "next" and page < pages):
                query = urlencode({**request.query, "page": [str(number)]}, doseq=True)
                links.append(f'<{self.shop.url}{request.path}?{query}>; rel="{name}"')
        return ", ".join(links)

    def _answer(
        self, body: Any, fields: tuple[str, ...], headers: Mapping[str, str] | None = None
    ) -> Answer:
        if fields and isinstance(body, list):
            body = [_only(row, fields) for row in body]
        elif fields:
            body = _only(body, fields)
        return Answer(200, body, dict(headers or {}), JSON)


@dataclass(frozen=True)
class _Route:
    path: str
    answer: Callable[[WooCommerceDouble, Request, re.Match[str]], Answer]
    is_list: bool = True
    of_settings: bool = False


_ROUTES = (
    _Route("/orders", WooCommerceDouble._orders),
    _Route(r"/orders/(?P<id>\d+)", WooCommerceDouble._order, is_list=False),
    _Route(r"/orders/(?P<id>\d+)/refunds", WooCommerceDouble._refunds),
    _Route(
        r"/orders/(?P<id>\d+)/refunds/(?P<refund>\d+)", WooCommerceDouble._refund, is_list=False
    ),
    _Route("/refunds", WooCommerceDouble._refunds),
    _Route("/reports/orders/totals", WooCommerceDouble._totals),
    _Route("/system_status", WooCommerceDouble._system_status, of_settings=True),
    _Route("/settings/general", WooCommerceDouble._settings, of_settings=True),
    _Route(
        r"/settings/general/(?P<id>\w+)",
        WooCommerceDouble._settings,
        is_list=False,
        of_settings=True,
    ),
    _Route("/data/currencies/current", WooCommerceDouble._currency, of_settings=True),
)


def _modified(row: Order | Refund) -> datetime:
    return row.modified if isinstance(row, Order) else row.created


def _list(request: Request, name: str) -> list[str]:
    values = [*request.query.get(name, ()), *request.query.get(f"{name}[]", ())]
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _only(row: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a row that are wanted; ``billing.email`` is one in another."""
    kept: dict[str, Any] = {}
    for name, value in row.items():
        inner = tuple(one.split(".", 1)[1] for one in fields if one.startswith(f"{name}."))
        if name in fields:
            kept[name] = value
        elif inner and isinstance(value, dict):
            kept[name] = _only(value, inner)
        elif inner and isinstance(value, list):
            kept[name] = [_only(one, inner) for one in value]
    return kept


def _basic(header: str) -> tuple[str, str]:
    if not header.startswith("Basic "):
        return "", ""
    try:
        key, _, secret = base64.b64decode(header[6:], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return key, secret


def _address(request: Request) -> str:
    query = urlencode(request.query, doseq=True)
    return f"{request.path}?{query}" if query else request.path


def _html(status: int, title: str, **headers: str) -> Answer:
    return Answer(status, PAGE.format(title).encode(), headers, HTML)


def _critical() -> Answer:
    body = {"code": "internal_server_error", "message": CRITICAL, "data": {"status": 500}}
    return Answer(500, {**body, "additional_errors": []}, content_type=JSON)


_PAGES: Mapping[str, Callable[[], Answer]] = {
    "html_200": lambda: Answer(200, CHALLENGE, content_type=HTML),
    "html_403": lambda: _html(403, "403 Forbidden"),
    "html_406": lambda: _html(406, "Not Acceptable!"),
    "html_503": lambda: _html(503, "Maintenance", **{"Retry-After": "600"}),
    "critical": _critical,
}


def _spoiled(answer: Answer, kind: str | None) -> Answer:
    """Put before the JSON what does not belong there."""
    before = {"bom": BOM, "warning": WARNING, "warning_cut": WARNING}.get(kind or "")
    if before is None:
        return answer
    text = answer.text[: len(answer.text) // 2] if kind == "warning_cut" else answer.text
    return Answer(answer.status, before + text, answer.headers, answer.content_type)
