"""A Shopify store of a million orders: bulk results are written by columns, not by graphql-core.

`LargeStore` takes the place of a `Store` behind a `ShopifyDouble`. Its orders do not change by
themselves; `delete` takes some away. It writes the fields that it has columns for, and refuses
others. A test compares its lines with what graphql-core makes of the same orders.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import graphql
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tests.live.double import Clock
from tests.live.shopify_schema import Asked
from tests.live.shopify_search import MOMENTS, OPERATORS, Search, parse_search
from tests.live.shopify_store import SORTED_BY, Customer, Line, Order, Product, Store, gid, stock

FIRST_ORDER, FIRST_NUMBER, FIRST_CUSTOMER, FIRST_REFUND = 5_000_001, 1001, 8_000_001, 6_000_001
CHUNK = 20_000
FRACTIONS = pa.array([f".{c:02}"[:2] if c % 10 == 0 else f".{c:02}" for c in range(100)])
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Text: TypeAlias = str | pa.Array


class LargeStore:
    """Orders in columns, sorted by time: one or two lines each, some with one unit given back.

    Parameters
    ----------
    orders
        How many.
    clock, zone, currency, taxes_included
        As of a `Store`.
    days
        Over how many days before the clock's start the orders are spread.
    """

    name, domain, is_development = "Large Beans", "large-beans.myshopify.com", False

    def __init__(
        self,
        orders: int,
        clock: Clock | None = None,
        *,
        days: int = 1095,
        seed: int = 0,
        taxes_included: bool = False,
        currency: str = "EUR",
        zone: str = "Europe/Berlin",
    ) -> None:
        self.clock, self.currency, self.zone = clock or Clock(), currency, ZoneInfo(zone)
        self.taxes_included = taxes_included
        self._model = Store(self.clock, taxes_included=taxes_included, currency=currency)
        stock(self._model)
        self.products: dict[int, Product] = self._model.products
        rng = np.random.default_rng(seed)
        end = int(self.clock.start.timestamp())
        self.created = np.sort(rng.integers(end - days * 86_400, end - 86_400, orders))
        self.customer = rng.integers(0, max(orders // 3, 1), orders)
        self.customer[rng.random(orders) < 0.05] = -1
        self.shipping = np.where(rng.random(orders) < 0.4, 490, 0).astype(np.int64)
        self.has_code = rng.random(orders) < 0.3
        self.has_second = rng.random(orders) < 0.5
        self.product = rng.integers(0, len(self.products), (2, orders))
        self.quantity = rng.integers(1, 4, (2, orders))
        has_refund = rng.random(orders) < 0.08
        after = rng.integers(3600, 20 * 86_400, orders)
        self.refunded_at = np.where(has_refund, np.minimum(self.created + after, end - 60), 0)
        self.is_deleted = np.zeros(orders, dtype=bool)
        self.children = np.random.default_rng(seed + 1)

    def now(self) -> datetime:
        return self.clock.now().replace(microsecond=0)

    def delete(self, places: Ints) -> None:
        """Delete the orders at some places."""
        self.is_deleted[places] = True

    # What the double asks

    @cached_property
    def ids(self) -> Ints:
        return FIRST_ORDER + np.arange(len(self.created))

    @cached_property
    def updated(self) -> Ints:
        return np.maximum(self.created, self.refunded_at)

    def _column(self, name: str) -> Ints:
        columns = {"id": self.ids, "created_at": self.created, "processed_at": self.created,
                   "updated_at": self.updated}  # fmt: skip
        if name not in columns:
            raise NotImplementedError(f"a large store is not searched by {name}")
        return columns[name]

    def _rows(self, search: Search) -> Ints:
        matches = ~self.is_deleted
        if search.since is not None:
            matches &= self.created >= search.since.timestamp()
        for term in search.terms:
            value = term.value.timestamp() if term.field in MOMENTS else term.value
            matches &= OPERATORS[term.sign](self._column(term.field), value)
        return np.flatnonzero(matches)

    def count(self, search: Search) -> int:
        return len(self._rows(search))

    def find(self, number: int) -> Order | None:
        place = number - FIRST_ORDER
        is_there = 0 <= place < len(self.created) and not self.is_deleted[place]
        return self.order(place) if is_there else None

    def page(
        self,
        search: Search,
        sort_key: str,
        *,
        reverse: bool = False,
        after: tuple[object, int] | None = None,
        limit: int | None = None,
    ) -> tuple[list[tuple[tuple[object, int], Order]], bool]:
        """Return a page, as `Store.page` does."""
        rows, name = self._rows(search), SORTED_BY[sort_key]
        key = self._column(name)
        rows = rows[np.lexsort((rows, key[rows]))]
        if after is not None:
            value = after[0].timestamp() if isinstance(after[0], datetime) else after[0]
            last = self.ids[rows] <= after[1]
            is_before = (key[rows] < value) | ((key[rows] == value) & last)  # type: ignore[operator]
            rows = rows[~is_before]
        if reverse:
            if after is not None:
                raise NotImplementedError("a large store has no pages backward")
            rows = rows[::-1]
        shown = [self.order(int(place)) for place in rows[:limit]]
        has_next = limit is not None and len(rows) > limit
        return [((self._key(order, name), order.id), order) for order in shown], has_next

    def _key(self, order: Order, name: str) -> object:
        return getattr(order, name)

    @property
    def customers(self) -> "Customers":
        return Customers(self)

    # Orders one by one

    def order(self, place: int) -> Order:
        """Return an order as a `Store` has it."""
        at = _moment(self.created[place])
        who = self.person(int(self.customer[place])) if self.customer[place] >= 0 else None
        columns = Columns(self, np.array([place]))
        order = Order(
            id=FIRST_ORDER + place,
            number=FIRST_NUMBER + place,
            created_at=at,
            processed_at=at,
            updated_at=_moment(self.updated[place]),
            currency=self.currency,
            lines=[
                self._line(part, place, number)
                for number, part in enumerate(columns.lines)
                if number == 0 or self.has_second[place]
            ],
            customer=who,
            email=who.email if who else None,
            shipping=int(self.shipping[place]),
            taxes_included=self.taxes_included,
            discount_codes=("WELCOME10",) if self.has_code[place] else (),
            presentment_currency=self.currency,
        )
        if self.refunded_at[place]:
            self._refund(order, place)
        return order

    def _line(self, part: "LineColumns", place: int, number: int) -> Line:
        return Line(
            id=2 * place + number + 1,
            product=list(self.products.values())[int(part.product[0])],
            quantity=int(part.quantity[0]),
            price=int(part.price[0]),
            discount=int(part.discount[0]),
            tax=int(part.tax[0]),
            taxes_included=self.taxes_included,
        )

    def _refund(self, order: Order, place: int) -> None:
        at = _moment(self.refunded_at[place])
        refund = self._model.refund(order, {order.lines[0].id: 1}, at=at)
        object.__setattr__(refund, "id", FIRST_REFUND + place)
        object.__setattr__(refund.lines[0], "id", place + 1)

    def person(self, number: int) -> Customer:
        at = _moment(self.created[0])
        return Customer(
            id=FIRST_CUSTOMER + number,
            created_at=at,
            updated_at=at,
            email=f"person{number}@example.com",
            phone=f"+1500{number:07}" if number % 2 == 0 else None,
        )

    # All orders at once

    def truth(self) -> pd.DataFrame:
        """Return every order that is not deleted: its net amount now, and its refund of goods."""
        rows = np.flatnonzero(~self.is_deleted)
        columns = Columns(self, rows)
        back = columns.lines[0].refund_untaxed * ~columns.lines[0].is_gift
        net = sum(line.untaxed_now * ~line.is_gift * line.is_there for line in columns.lines)
        who = self.customer[rows]
        return pd.DataFrame(
            {
                "order_id": [gid("Order", number) for number in self.ids[rows]],
                "customer": np.where(who >= 0, FIRST_CUSTOMER + who, 0),
                "ordered_at": pd.to_datetime(self.created[rows], unit="s", utc=True),
                "net_cents": net,
                "refunded_at": pd.to_datetime(self.refunded_at[rows], unit="s", utc=True).where(
                    self.refunded_at[rows] > 0
                ),
                "refund_cents": back,
                "is_void": columns.status == "REFUNDED",
            }
        )

    def write_bulk(self, query: str, file: Path, asked: Asked) -> tuple[int, int]:
        """Write the result of a bulk query, and return its objects and orders."""
        field, search = _orders_field(query)
        rows = self._rows(asked.visible(search))
        objects = 0
        with file.open("wb") as out:
            for start in range(0, len(rows), CHUNK):
                parents, children = self._chunk(rows[start : start + CHUNK], field)
                shuffle = pa.array(self.children.permutation(len(children)))
                for lines in (parents, children.take(shuffle)):
                    objects += len(lines)
                    out.write(_bytes_of(lines))
        return objects, len(rows)

    def _chunk(self, rows: Ints, field: graphql.FieldNode) -> tuple[pa.Array, pa.Array]:
        columns = Columns(self, rows)
        selection = _node_of(field)
        parents = _join([*_object(selection, columns), "\n"], len(rows))
        line_field = _named(selection, "lineItems")
        if line_field is None:
            return parents, parents[:0]
        parts = []
        for line in columns.lines:
            own = _object(_node_of(line_field), line)[:-1]
            text = _join([*own, ',"__parentId":', columns.json("id"), "}\n"], len(rows))
            parts.append(text.filter(pa.array(line.is_there)))
        return parents, pa.concat_arrays(parts)


class Customers:
    """Customers of a large store, by id."""

    def __init__(self, store: LargeStore) -> None:
        self._store = store

    def get(self, number: int) -> Customer | None:
        place = number - FIRST_CUSTOMER
        return self._store.person(place) if (self._store.customer == place).any() else None


def _moment(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds))


# Columns of a part of the orders


def quoted(texts: Text) -> pa.Array:
    return _join(['"', texts, '"'])


def moments(seconds: Ints) -> pa.Array:
    at = pa.array(seconds).cast(pa.timestamp("s", "UTC"))
    return quoted(pc.strftime(at, format="%Y-%m-%dT%H:%M:%SZ"))


def gids(kind: str, number: Ints) -> pa.Array:
    return _join([f'"gid://shopify/{kind}/', _numbers(number), '"'])


def amounts(cents: Ints) -> pa.Array:
    sign = np.where(cents < 0, "-", "")
    size = np.abs(cents)
    return _join([pa.array(sign), _numbers(size // 100), FRACTIONS.take(pa.array(size % 100))])


def _numbers(values: Ints) -> pa.Array:
    return pa.array(values).cast(pa.string())


def _either(flags: Flags, yes: Text, no: str) -> pa.Array:
    return pc.if_else(pa.array(flags), pa.scalar(yes) if isinstance(yes, str) else yes, no)


def _flags(values: Flags) -> pa.Array:
    return _either(values, "true", "false")


def _optional(texts: list[str | None], place: Ints) -> pa.Array:
    shown = ["null" if text is None else f'"{text}"' for text in texts]
    return pa.array(shown).take(pa.array(place))


@dataclass(frozen=True)
class Columns:
    """Some orders of a store, in columns."""

    store: LargeStore
    rows: Ints

    @cached_property
    def lines(self) -> tuple["LineColumns", "LineColumns"]:
        return LineColumns(self, 0), LineColumns(self, 1)

    def _sum(self, part: Callable[["LineColumns"], Ints]) -> Ints:
        return np.asarray(sum(part(line) * line.is_there for line in self.lines))

    @cached_property
    def has_refund(self) -> Flags:
        return self.store.refunded_at[self.rows] > 0

    @cached_property
    def cents(self) -> Mapping[str, Ints]:
        included = self.store.taxes_included
        shipping = self.store.shipping[self.rows]
        subtotal = self._sum(lambda line: line.subtotal)
        now = self._sum(lambda line: line.subtotal_now)
        tax, tax_now = self._sum(lambda line: line.tax), self._sum(lambda line: line.tax_now)
        return {
            "subtotalPriceSet": subtotal,
            "totalDiscountsSet": self._sum(lambda line: line.discount),
            "totalShippingPriceSet": shipping,
            "totalTaxSet": tax,
            "totalPriceSet": subtotal + shipping + (0 if included else tax),
            "currentSubtotalPriceSet": now,
            "currentTotalDiscountsSet": self._sum(lambda line: line.discount_now),
            "currentTotalTaxSet": tax_now,
            "currentTotalPriceSet": now + shipping + (0 if included else tax_now),
            "totalRefundedSet": self.lines[0].refund_untaxed + self.lines[0].refund_tax,
            "totalRefundedShippingSet": np.zeros_like(shipping),
            "totalTipReceivedSet": np.zeros_like(shipping),
        }

    @cached_property
    def status(self) -> NDArray[np.str_]:
        back = self.cents["totalRefundedSet"]
        part = np.where(back >= self.cents["totalPriceSet"], "REFUNDED", "PARTIALLY_REFUNDED")
        return np.where(back > 0, part, "PAID")

    def json(self, name: str) -> Text:
        """Return a plain field as JSON."""
        store, rows = self.store, self.rows
        if name in CONSTANTS:
            return CONSTANTS[name]
        columns: dict[str, Callable[[], Text]] = {
            "id": lambda: gids("Order", store.ids[rows]),
            "name": lambda: _join(['"#', _numbers(FIRST_NUMBER + rows), '"']),
            "createdAt": lambda: moments(store.created[rows]),
            "processedAt": lambda: moments(store.created[rows]),
            "updatedAt": lambda: moments(store.updated[rows]),
            "displayFinancialStatus": lambda: quoted(pa.array(self.status)),
            "currencyCode": lambda: f'"{store.currency}"',
            "presentmentCurrencyCode": lambda: f'"{store.currency}"',
            "taxesIncluded": lambda: "true" if store.taxes_included else "false",
            "discountCodes": lambda: _either(store.has_code[rows], '["WELCOME10"]', "[]"),
            "email": lambda: _either(store.customer[rows] >= 0, self._email, "null"),
        }
        return _get(columns, "Order", name)()

    @cached_property
    def _email(self) -> pa.Array:
        return _join(['"person', _numbers(self.store.customer[self.rows]), '@example.com"'])

    def inner(self, field: graphql.FieldNode) -> list[Text] | None:
        """Return a field with a selection as JSON; None for a connection."""
        name = field.name.value
        if name == "lineItems":
            return None
        if name in self.cents:
            return _bag(field, self.cents[name], self.store.currency)
        if name == "customer":
            text = _join(_object(field.selection_set, People(self)), len(self.rows))
            return [_either(self.store.customer[self.rows] >= 0, text, "null")]
        if name == "refunds":
            text = _join(["[", *_object(field.selection_set, Refunds(self)), "]"], len(self.rows))
            return [_either(self.has_refund, text, "[]")]
        raise NotImplementedError(f"a large store has no Order.{name}")


CONSTANTS = {
    "cancelledAt": "null",
    "cancelReason": "null",
    "test": "false",
    "edited": "false",
    "confirmed": "true",
    "dutiesIncluded": "false",
    "sourceName": '"web"',
    "tags": "[]",
    "phone": "null",
}


@dataclass(frozen=True)
class People:
    """The customers of some orders."""

    orders: Columns

    @property
    def number(self) -> Ints:
        return self.orders.store.customer[self.orders.rows]

    def json(self, name: str) -> Text:
        columns = {"id": lambda: gids("Customer", FIRST_CUSTOMER + self.number)}
        return _get(columns, "Customer", name)()

    def inner(self, field: graphql.FieldNode) -> list[Text]:
        number = _numbers(self.number)
        if field.name.value == "defaultEmailAddress":
            address = _join(['"person', number, '@example.com"'])
            consent = {"marketingState": '"NOT_SUBSCRIBED"', "marketingUpdatedAt": "null"}
            return _wrapped(field, {"emailAddress": address, **consent})
        if field.name.value == "defaultPhoneNumber":
            phone = _join(['"+1500', pc.utf8_lpad(number, 7, "0"), '"'])
            text = _join(_wrapped(field, {"phoneNumber": phone}), len(self.number))
            return [_either(self.number % 2 == 0, text, "null")]
        raise NotImplementedError(f"a large store has no Customer.{field.name.value}")


@dataclass(frozen=True)
class Refunds:
    """The refunds of some orders, one each."""

    orders: Columns

    def json(self, name: str) -> Text:
        store, rows = self.orders.store, self.orders.rows
        if name in {"createdAt", "processedAt", "updatedAt"}:
            return moments(store.refunded_at[rows])
        return _get({"id": lambda: gids("Refund", FIRST_REFUND + rows)}, "Refund", name)()

    def inner(self, field: graphql.FieldNode) -> list[Text]:
        if field.name.value != "totalRefundedSet":
            raise NotImplementedError(f"a large store has no Refund.{field.name.value}")
        cents = self.orders.cents["totalRefundedSet"]
        return _bag(field, cents, self.orders.store.currency)


@dataclass(frozen=True)
class LineColumns:
    """The first or second lines of some orders."""

    orders: Columns
    number: int

    @cached_property
    def is_there(self) -> Flags:
        rows = self.orders.rows
        return np.ones(len(rows), bool) if self.number == 0 else self.orders.store.has_second[rows]

    @cached_property
    def product(self) -> Ints:
        product: Ints = self.orders.store.product[self.number, self.orders.rows]
        return product

    @cached_property
    def quantity(self) -> Ints:
        quantity: Ints = self.orders.store.quantity[self.number, self.orders.rows]
        return quantity

    def _of_product(self, part: Callable[[Product], Any]) -> NDArray[Any]:
        return np.array([part(p) for p in self.orders.store.products.values()])[self.product]

    @cached_property
    def price(self) -> Ints:
        price: Ints = self._of_product(lambda product: product.price)
        return price

    @cached_property
    def is_gift(self) -> Flags:
        return self._of_product(lambda product: product.is_gift_card)

    @cached_property
    def discount(self) -> Ints:
        has_code = self.orders.store.has_code[self.orders.rows] & ~self.is_gift
        return np.where(has_code, self.price * self.quantity // 10, 0)

    @cached_property
    def tax(self) -> Ints:
        after = self.price * self.quantity - self.discount
        share = after // 6 if self.orders.store.taxes_included else after // 5
        return np.where(self.is_gift, 0, share)

    @cached_property
    def current(self) -> Ints:
        back = self.orders.has_refund if self.number == 0 else np.zeros(len(self.quantity), bool)
        return self.quantity - back

    @cached_property
    def _untaxed(self) -> Ints:
        tax = self.tax if self.orders.store.taxes_included else 0
        return self.price * self.quantity - self.discount - tax

    def share(self, cents: Ints) -> Ints:
        """Return the part of an amount that the units left bear."""
        gone = self.quantity - self.current
        left: Ints = cents - gone * (cents // self.quantity)
        return left * (self.current > 0)

    @cached_property
    def untaxed_now(self) -> Ints:
        return self.share(self._untaxed)

    @cached_property
    def tax_now(self) -> Ints:
        return self.share(self.tax)

    @cached_property
    def discount_now(self) -> Ints:
        return self.share(self.discount)

    @property
    def subtotal(self) -> Ints:
        return self._untaxed + (self.tax if self.orders.store.taxes_included else 0)

    @property
    def subtotal_now(self) -> Ints:
        return self.untaxed_now + (self.tax_now if self.orders.store.taxes_included else 0)

    @property
    def refund_untaxed(self) -> Ints:
        return self._untaxed - self.untaxed_now

    @property
    def refund_tax(self) -> Ints:
        return self.tax - self.tax_now

    def json(self, name: str) -> Text:
        products = list(self.orders.store.products.values())
        columns: dict[str, Callable[[], Text]] = {
            "id": lambda: gids("LineItem", 2 * self.orders.rows + self.number + 1),
            "title": lambda: _optional([p.title for p in products], self.product),
            "variantTitle": lambda: _optional([p.variant_title for p in products], self.product),
            "sku": lambda: _optional([p.sku for p in products], self.product),
            "quantity": lambda: _numbers(self.quantity),
            "currentQuantity": lambda: _numbers(self.current),
            "isGiftCard": lambda: _flags(self.is_gift),
        }
        return _get(columns, "LineItem", name)()

    def inner(self, field: graphql.FieldNode) -> list[Text]:
        name, currency = field.name.value, self.orders.store.currency
        number = self._of_product(lambda product: product.id)
        if name in {"product", "variant"}:
            kind, offset = {"product": ("Product", 0), "variant": ("ProductVariant", 100)}[name]
            return _wrapped(field, {"id": gids(kind, number + offset)})
        after = self.price * self.quantity - self.discount
        bags: dict[str, Ints] = {
            "originalUnitPriceSet": self.price,
            "discountedUnitPriceAfterAllDiscountsSet": np.rint(after / self.quantity).astype(int),
            "priceAfterAllDiscountsBeforeTaxesSet": self.untaxed_now,
        }
        if name in bags:
            return _bag(field, bags[name], currency)
        lists = {"discountAllocations": self.discount, "taxLines": self.tax}
        if name not in lists:
            raise NotImplementedError(f"a large store has no LineItem.{name}")
        [bag] = _fields(field.selection_set)
        inside = ["[{", f'"{bag.name.value}":', *_bag(bag, lists[name], currency), "}]"]
        return [_either(lists[name] != 0, _join(inside, len(number)), "[]")]


# JSON by columns


def _get(columns: Mapping[str, Callable[[], Text]], kind: str, name: str) -> Callable[[], Text]:
    if name not in columns:
        raise NotImplementedError(f"a large store has no {kind}.{name}")
    return columns[name]


def _fields(selection: graphql.SelectionSetNode | None) -> Iterator[graphql.FieldNode]:
    for each in selection.selections if selection else ():
        if not isinstance(each, graphql.FieldNode) or each.alias or each.arguments:
            raise NotImplementedError(
                "a large store answers plain fields: no fragments, no aliases"
            )
        yield each


def _object(selection: graphql.SelectionSetNode | None, columns: Any) -> list[Text]:
    """Return the pieces of an object, in the order of its selection."""
    pieces: list[Text] = []
    for field in _fields(selection):
        name = field.name.value
        value = columns.inner(field) if field.selection_set else [columns.json(name)]
        if value is not None:
            pieces += [f'{"," if pieces else "{"}"{name}":', *value]
    return [*pieces, "}"]


def _wrapped(field: graphql.FieldNode, values: Mapping[str, Text]) -> list[Text]:
    pieces: list[Text] = []
    for each in _fields(field.selection_set):
        pieces += [f'{"," if pieces else "{"}"{each.name.value}":', values[each.name.value]]
    return [*pieces, "}"]


def _bag(field: graphql.FieldNode, cents: Ints, currency: str) -> list[Text]:
    """Return a money bag: presentment is in the shop's currency here."""
    money = {"amount": quoted(amounts(cents)), "currencyCode": f'"{currency}"'}
    pieces: list[Text] = []
    for side in _fields(field.selection_set):
        inner = _wrapped(side, money)
        pieces += [f'{"," if pieces else "{"}"{side.name.value}":', *inner]
    return [*pieces, "}"]


def _join(pieces: list[Text], length: int | None = None) -> pa.Array:
    """Join texts and columns of texts, element by element."""
    merged: list[Text] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    if all(isinstance(piece, str) for piece in merged):
        return pa.array(["".join(map(str, merged))] * (length or 0))
    return pc.binary_join_element_wise(*merged, "")


def _bytes_of(lines: pa.Array) -> memoryview:
    """Return all lines of an array, one after the other."""
    if not len(lines):
        return memoryview(b"")
    offsets = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset :][: len(lines) + 1]
    data = lines.buffers()[2]
    return memoryview(data)[int(offsets[0]) : int(offsets[-1])]


def _orders_field(query: str) -> tuple[graphql.FieldNode, Search]:
    """Return the field `orders` of a bulk query, and its search."""
    [operation] = graphql.parse(query).definitions
    [field] = operation.selection_set.selections  # type: ignore[attr-defined]
    if field.name.value != "orders":
        raise NotImplementedError("a large store has orders only")
    values = {a.name.value: graphql.value_from_ast_untyped(a.value) for a in field.arguments}
    if values.get("sortKey", "CREATED_AT") not in SORTED_BY or values.get("reverse"):
        raise NotImplementedError("a large store writes its orders by time")
    return field, parse_search(values.get("query"))


def _node_of(field: graphql.FieldNode) -> graphql.SelectionSetNode:
    """Return the selection on the nodes of a connection, written with edges or nodes."""
    inner = field.selection_set
    while inner is not None:
        [first] = inner.selections
        assert isinstance(first, graphql.FieldNode)
        inner = first.selection_set
        if first.name.value in {"node", "nodes"}:
            break
    assert inner is not None
    return inner


def _named(selection: graphql.SelectionSetNode, name: str) -> graphql.FieldNode | None:
    return next((field for field in _fields(selection) if field.name.value == name), None)
