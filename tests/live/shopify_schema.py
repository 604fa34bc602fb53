"""Shopify's schema, and how each field of it is answered from a store.

The schema is the reduced Admin schema of the shared folder. Its directives decide who may read:
`@access` names the scopes of a type, `@protected` the personal data of a field.
"""

import base64
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import graphql

from tests.live.shopify_search import Search, parse_search
from tests.live.shopify_store import (
    Customer,
    Line,
    Order,
    Product,
    Refund,
    Store,
    amount_text,
    gid,
    only_orders,
)

ROOT = Path(__file__).parents[2]
SHARED = ROOT / Path(os.environ.get("PERENNIAL_DATA", "../shared/data")).parent / "live"
SCHEMA = SHARED / "shopify" / "admin_2026-10.reduced.graphql"
MISSING = f"no {SCHEMA}: set PERENNIAL_DATA to the shared folder's data"

MOST_PER_PAGE = 250
RECENT = timedelta(days=60)
SCOPES_DOCS = "https://shopify.dev/api/usage/access-scopes"
PROTECTED_DOCS = "https://shopify.dev/docs/apps/launch/protected-customer-data"


@cache
def admin_schema() -> graphql.GraphQLSchema:
    """Return the schema; a root field that is denied is null, whatever its type says."""
    before, root, after = re.split(r"(?s)(type QueryRoot \{.*?\n\})", SCHEMA.read_text())
    return graphql.build_schema(before + re.sub(r"!$", "", root, flags=re.MULTILINE) + after)


class ApiError(graphql.GraphQLError):
    """An error with Shopify's extensions."""

    def __init__(self, message: str, code: str = "", **more: Any) -> None:
        extensions = ({"code": code} if code else {}) | more
        super().__init__(message, extensions=extensions or None)


@dataclass(frozen=True)
class Access:
    """What a token may read."""

    scopes: frozenset[str]
    protected: frozenset[str]


@dataclass
class Asked:
    """A query on its way: of which store, by whom, and what is added to the answer.

    `operations` are the app's bulk operations. In bulk, connections have all their nodes.
    """

    store: Any  # a `Store` or what has its `page`, `count`, `find`, `now`
    access: Access
    host: str = ""
    is_bulk: bool = False
    double: Any = None
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def visible(self, search: Search) -> Search:
        """Leave out what is older than 60 days where a scope is missing."""
        if "read_all_orders" in self.access.scopes:
            return search
        return only_orders(search, self.store.clock.now() - RECENT)

    def search(self, text: str | None, field_name: str) -> Search:
        search = parse_search(text)
        if search.warnings:
            self.warnings.append(
                {
                    "path": [field_name],
                    "query": text,
                    "warnings": [
                        {"field": name, "message": f"Invalid search field for this query: {name}", "code": code}
                        for name, code in search.warnings
                    ],
                }
            )  # fmt: skip
        return self.visible(search)


@dataclass(frozen=True)
class Page:
    """A page of a connection: (cursor, node) each."""

    edges: Sequence[tuple[str, Any]]
    has_next: bool = False
    has_previous: bool = False


@dataclass(frozen=True)
class Bag:
    """An amount in the shop's currency and the customer's."""

    cents: int
    order: Order


@dataclass(frozen=True)
class Money:
    cents: int
    currency: str


def cursor_of(**parts: Any) -> str:
    return base64.b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()


def read_cursor(cursor: str) -> dict[str, Any]:
    try:
        parts = json.loads(base64.b64decode(cursor, validate=True))
    except ValueError:
        raise ApiError("Invalid cursor for current pagination sort.") from None
    if not isinstance(parts, dict) or "last_id" not in parts:
        raise ApiError("Invalid cursor for current pagination sort.")
    return parts


def moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def page_size(asked: Asked, arguments: dict[str, Any]) -> int | None:
    if asked.is_bulk:
        return None
    first = arguments.get("first")
    if arguments.get("last") is not None or arguments.get("before") is not None:
        raise ApiError("the double pages forward only: use first and after", "BAD_REQUEST")
    if first is None:
        raise ApiError("you must provide one of first or last", "BAD_REQUEST")
    if not 0 <= first <= MOST_PER_PAGE:
        raise ApiError(f"first cannot exceed {MOST_PER_PAGE}", "BAD_REQUEST")
    return int(first)


def listed(asked: Asked, nodes: Sequence[Any], arguments: dict[str, Any]) -> Page:
    """Return a page of a small list."""
    size = page_size(asked, arguments)
    rows = list(nodes)
    after = arguments.get("after")
    if after is not None:
        place = [node.id for node in rows].index(read_cursor(after)["last_id"])
        rows = rows[place + 1 :]
    edges = [(cursor_of(last_id=node.id), node) for node in rows[:size]]
    return Page(edges, size is not None and len(rows) > size, after is not None)


def orders(asked: Asked, arguments: dict[str, Any]) -> Page:
    size = page_size(asked, arguments)
    search = asked.search(arguments.get("query"), "orders")
    sort_key, reverse = arguments["sortKey"], arguments["reverse"]
    after = arguments.get("after")
    position = None
    if after is not None:
        parts = read_cursor(after)
        if parts.get("sort") != sort_key:
            raise ApiError("Invalid cursor for current pagination sort.")
        value = parts["last_value"]
        position = (datetime.fromisoformat(value) if isinstance(value, str) else value, parts["last_id"])  # fmt: skip
    rows, has_next = asked.store.page(
        search, sort_key, reverse=reverse, after=position, limit=size
    )
    edges = []
    for (value, number), order in rows:
        plain = value.isoformat() if isinstance(value, datetime) else value
        edges.append((cursor_of(last_id=number, last_value=plain, sort=sort_key), order))
    return Page(edges, has_next, after is not None)


def orders_count(asked: Asked, arguments: dict[str, Any]) -> dict[str, Any]:
    total = asked.store.count(asked.search(arguments.get("query"), "ordersCount"))
    limit = arguments.get("limit")
    if limit is not None and total > limit:
        return {"count": limit, "precision": "AT_LEAST"}
    return {"count": total, "precision": "EXACT"}


GID = re.compile(r"gid://shopify/(\w+)/(\d+)")


def nodes(asked: Asked, arguments: dict[str, Any]) -> list[Any]:
    """Return the objects of ids; null for what is gone or may not be seen."""
    if len(arguments["ids"]) > MOST_PER_PAGE:
        raise ApiError(
            f"The input array size of {len(arguments['ids'])} is greater than the maximum allowed of 250.",
            "MAX_INPUT_SIZE_EXCEEDED",
        )
    return [_node(asked, text) for text in arguments["ids"]]


def _node(asked: Asked, text: str) -> Any:
    match = GID.fullmatch(text)
    if match is None:
        raise ApiError(f"Invalid global id '{text}'", "argumentLiteralsIncompatible")
    kind, number = match[1], int(match[2])
    if kind == "Order":
        check_scopes(asked, ("read_orders",), "nodes")
        order = asked.store.find(number)
        is_seen = order is not None and asked.visible(Search()).matches(
            {"created_at": order.created_at}
        )
        return order if is_seen else None
    if kind == "Customer":
        check_scopes(asked, ("read_customers",), "nodes")
        return asked.store.customers.get(number)
    if kind == "Product":
        check_scopes(asked, ("read_products",), "nodes")
        return asked.store.products.get(number)
    return None


def check_scopes(asked: Asked, scopes: Sequence[str], field_name: str) -> None:
    """Deny an object unless one of its scopes is granted."""
    if not scopes or asked.access.scopes & set(scopes):
        return
    needed = f"`{scopes[0]}` access scope."
    raise ApiError(
        f"Access denied for {field_name} field. Required access: {needed}",
        "ACCESS_DENIED",
        documentation=SCOPES_DOCS,
        requiredAccess=needed,
    )


def _bag(part: str) -> Callable[..., Any]:
    return lambda order, _, __: Bag(getattr(order, part), order)


def _same(name: str) -> Callable[..., Any]:
    return lambda source, _, __: getattr(source, name)


def _gid(kind: str) -> Callable[..., Any]:
    return lambda source, _, __: gid(kind, source.id)


def _at(name: str) -> Callable[..., Any]:
    return lambda source, _, __: moment_text(getattr(source, name))


def _presentment(bag: Bag) -> Money:
    return Money(round(bag.cents * bag.order.presentment_rate), bag.order.presentment_currency)


@dataclass(frozen=True)
class InOrder:
    """A line or a part of a refund, with the order whose currencies it has."""

    part: Any
    order: Order

    @property
    def id(self) -> int:
        return int(self.part.id)


def _of_part(amount: Callable[[Any], int]) -> Callable[..., Any]:
    return lambda source, _, __: Bag(amount(source.part), source.order)


def _each(part: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda source, _, __: part(source.part)


def _inside(order: Order, parts: Sequence[Any]) -> list[InOrder]:
    return [InOrder(part, order) for part in parts]


def _unit_after_discounts(line: Line) -> int:
    return round((line.price * line.quantity - line.discount) / line.quantity)


def scope_rank(scope: str) -> int:
    usual = ("read_orders", "read_all_orders", "read_customers")
    return usual.index(scope) if scope in usual else len(usual)


ORDER: dict[str, Callable[..., Any]] = {
    "id": _gid("Order"),
    "legacyResourceId": lambda order, _, __: str(order.id),
    "name": lambda order, _, __: f"#{order.number}",
    "number": _same("number"),
    "createdAt": _at("created_at"),
    "processedAt": _at("processed_at"),
    "updatedAt": _at("updated_at"),
    "cancelledAt": _at("cancelled_at"),
    "cancelReason": _same("cancel_reason"),
    "closed": lambda *_: False,
    "closedAt": lambda *_: None,
    "test": _same("test"),
    "edited": _same("edited"),
    "confirmed": lambda *_: True,
    "note": lambda *_: None,
    "displayFinancialStatus": _same("financial_status"),
    "displayFulfillmentStatus": lambda *_: "FULFILLED",
    "currencyCode": _same("currency"),
    "presentmentCurrencyCode": _same("presentment_currency"),
    "taxesIncluded": _same("taxes_included"),
    "dutiesIncluded": lambda *_: False,
    "sourceName": _same("source_name"),
    "discountCode": lambda order, _, __: next(iter(order.discount_codes), None),
    "discountCodes": lambda order, _, __: list(order.discount_codes),
    "tags": lambda order, _, __: list(order.tags),
    "email": _same("email"),
    "phone": _same("phone"),
    "customer": _same("customer"),
    "customerAcceptsMarketing": lambda order, _, __: bool(
        order.customer and order.customer.consent == "SUBSCRIBED"
    ),
    "subtotalPriceSet": _bag("subtotal"),
    "totalDiscountsSet": _bag("discounts"),
    "totalShippingPriceSet": _bag("shipping"),
    "totalTaxSet": _bag("tax"),
    "totalPriceSet": _bag("total"),
    "currentSubtotalPriceSet": _bag("current_subtotal"),
    "currentTotalDiscountsSet": _bag("current_discounts"),
    "currentTotalTaxSet": _bag("current_tax"),
    "currentTotalPriceSet": _bag("current_total"),
    "totalRefundedSet": _bag("refunded"),
    "totalRefundedShippingSet": _bag("shipping_refunded"),
    "totalTipReceivedSet": _bag("tip"),
    "refunds": lambda order, _, arguments: order.refunds[: arguments.get("first")],
    "lineItems": lambda order, asked, arguments: listed(
        asked, _inside(order, order.lines), arguments
    ),
}
LINE: dict[str, Callable[..., Any]] = {
    "id": _gid("LineItem"),
    "title": _each(lambda line: line.product.title),
    "name": _each(lambda line: line.product.title),
    "variantTitle": _each(lambda line: line.product.variant_title),
    "sku": _each(lambda line: line.product.sku),
    "quantity": _each(lambda line: line.quantity),
    "currentQuantity": _each(lambda line: line.current),
    "refundableQuantity": _each(lambda line: line.current),
    "isGiftCard": _each(lambda line: line.product.is_gift_card),
    "product": _each(lambda line: line.product),
    "variant": _each(lambda line: line.product),
    "originalUnitPriceSet": _of_part(lambda line: line.price),
    "originalTotalSet": _of_part(lambda line: line.price * line.quantity),
    "totalDiscountSet": _of_part(lambda line: line.discount),
    "discountedUnitPriceAfterAllDiscountsSet": _of_part(_unit_after_discounts),
    "priceAfterAllDiscountsBeforeTaxesSet": _of_part(lambda line: line.untaxed(line.current)),
    "discountAllocations": lambda source, _, __: (
        [Bag(source.part.discount, source.order)] if source.part.discount else []
    ),
    "taxLines": lambda source, _, __: (
        [Bag(source.part.tax, source.order)] if source.part.tax else []
    ),
}
REFUND: dict[str, Callable[..., Any]] = {
    "id": _gid("Refund"),
    "legacyResourceId": lambda refund, _, __: str(refund.id),
    "note": lambda *_: None,
    "order": _same("order"),
    "createdAt": _at("created_at"),
    "processedAt": _at("created_at"),
    "updatedAt": _at("created_at"),
    "totalRefundedSet": lambda refund, _, __: Bag(refund.total, refund.order),
    "refundLineItems": lambda refund, asked, arguments: listed(
        asked, _inside(refund.order, refund.lines), arguments
    ),
    "orderAdjustments": lambda refund, asked, arguments: listed(
        asked, _inside(refund.order, refund.adjustments), arguments
    ),
    "refundShippingLines": lambda refund, asked, arguments: listed(
        asked, _inside(refund.order, refund.shipping), arguments
    ),
}
CUSTOMER: dict[str, Callable[..., Any]] = {
    "id": _gid("Customer"),
    "legacyResourceId": lambda customer, _, __: str(customer.id),
    "createdAt": _at("created_at"),
    "updatedAt": _at("updated_at"),
    "firstName": _same("first_name"),
    "lastName": _same("last_name"),
    "displayName": lambda customer, _, __: (
        f"{customer.first_name or ''} {customer.last_name or ''}".strip()
    ),
    "email": _same("email"),
    "phone": _same("phone"),
    "tags": lambda *_: [],
    "state": lambda *_: "DISABLED",
    "locale": lambda *_: "en",
    "verifiedEmail": lambda *_: True,
    "defaultEmailAddress": lambda customer, _, __: customer if customer.email else None,
    "defaultPhoneNumber": lambda customer, _, __: customer if customer.phone else None,
}
SHOP: dict[str, Callable[..., Any]] = {
    "id": lambda *_: gid("Shop", 1),
    "name": _same("name"),
    "myshopifyDomain": _same("domain"),
    "currencyCode": _same("currency"),
    "ianaTimezone": lambda store, _, __: str(store.zone),
    "taxesIncluded": _same("taxes_included"),
    "plan": lambda store, _, __: store,
}
RESOLVERS: dict[str, dict[str, Callable[..., Any]]] = {
    "QueryRoot": {
        "shop": lambda _, asked, __: asked.store,
        "currentAppInstallation": lambda _, asked, __: asked.access,
        "orders": lambda _, asked, arguments: orders(asked, arguments),
        "ordersCount": lambda _, asked, arguments: orders_count(asked, arguments),
        "nodes": lambda _, asked, arguments: nodes(asked, arguments),
        "bulkOperation": lambda _, asked, arguments: asked.double.find_bulk(arguments["id"]),
        "bulkOperations": lambda _, asked, arguments: listed(
            asked,
            asked.double.list_bulks(arguments.get("query"), reverse=arguments["reverse"]),
            arguments,
        ),
    },
    "Mutation": {
        "bulkOperationRunQuery": lambda _, asked, arguments: asked.double.run_bulk(
            asked, **arguments
        ),
        "bulkOperationCancel": lambda _, asked, arguments: asked.double.cancel_bulk(
            arguments["id"]
        ),
    },
    "Shop": SHOP,
    "ShopPlan": {"partnerDevelopment": _same("is_development"), "shopifyPlus": lambda *_: False},
    "AppInstallation": {
        "id": lambda *_: gid("AppInstallation", 1),
        "accessScopes": lambda access, _, __: sorted(access.scopes, key=scope_rank),
    },
    "AccessScope": {
        "handle": lambda scope, _, __: scope,
        "description": lambda scope, _, __: scope,
    },
    "Count": {"count": lambda c, _, __: c["count"], "precision": lambda c, _, __: c["precision"]},
    "Order": ORDER,
    "LineItem": LINE,
    "Refund": REFUND,
    "Customer": CUSTOMER,
    "CustomerEmailAddress": {
        "emailAddress": _same("email"),
        "marketingState": _same("consent"),
        "marketingUpdatedAt": _at("consent_at"),
        "validFormat": lambda *_: True,
    },
    "CustomerPhoneNumber": {"phoneNumber": _same("phone")},
    "RefundLineItem": {
        "id": _gid("RefundLineItem"),
        "quantity": _each(lambda part: part.quantity),
        "restockType": _each(lambda part: part.restock_type),
        "restocked": _each(lambda part: part.restock_type in {"RETURN", "CANCEL"}),
        "subtotalSet": _of_part(lambda part: part.subtotal),
        "totalTaxSet": _of_part(lambda part: part.tax),
        "lineItem": lambda source, _, __: InOrder(source.part.line, source.order),
    },
    "OrderAdjustment": {
        "id": _gid("OrderAdjustment"),
        "reason": _each(lambda part: part.reason),
        "amountSet": _of_part(lambda part: part.amount),
        "taxAmountSet": _of_part(lambda part: part.tax),
    },
    "RefundShippingLine": {
        "id": _gid("RefundShippingLine"),
        "subtotalAmountSet": _of_part(lambda part: part.subtotal),
        "taxAmountSet": _of_part(lambda part: part.tax),
    },
    "Product": {
        "id": _gid("Product"),
        "title": _same("title"),
        "isGiftCard": _same("is_gift_card"),
    },
    "ProductVariant": {
        "id": lambda product, _, __: gid("ProductVariant", product.variant_id),
        "sku": _same("sku"),
        "title": lambda product, _, __: product.variant_title or "Default Title",
        "price": lambda product, _, __: amount_text(product.price),
        "product": lambda product, _, __: product,
    },
    "DiscountAllocation": {"allocatedAmountSet": lambda bag, _, __: bag},
    "TaxLine": {"priceSet": lambda bag, _, __: bag, "title": lambda *_: "VAT"},
    "MoneyBag": {
        "shopMoney": lambda bag, _, __: Money(bag.cents, bag.order.currency),
        "presentmentMoney": lambda bag, _, __: _presentment(bag),
    },
    "MoneyV2": {
        "amount": lambda money, _, __: amount_text(money.cents),
        "currencyCode": _same("currency"),
    },
    "PageInfo": {
        "hasNextPage": _same("has_next"),
        "hasPreviousPage": _same("has_previous"),
        "startCursor": lambda page, _, __: page.edges[0][0] if page.edges else None,
        "endCursor": lambda page, _, __: page.edges[-1][0] if page.edges else None,
    },
    "BulkOperation": {
        "id": lambda bulk, _, __: gid("BulkOperation", bulk.id),
        "type": lambda *_: "QUERY",
        "query": _same("query"),
        "createdAt": _at("created_at"),
        "status": lambda bulk, asked, __: asked.double.bulk_state(bulk, asked.host).status,
        "errorCode": lambda bulk, asked, __: asked.double.bulk_state(bulk, asked.host).error_code,
        "completedAt": lambda bulk, asked, __: moment_text(
            asked.double.bulk_state(bulk, asked.host).completed_at
        ),
        "objectCount": lambda bulk, asked, __: str(
            asked.double.bulk_state(bulk, asked.host).objects
        ),
        "rootObjectCount": lambda bulk, asked, __: str(
            asked.double.bulk_state(bulk, asked.host).roots
        ),
        "fileSize": lambda bulk, asked, __: asked.double.bulk_state(bulk, asked.host).file_size,
        "url": lambda bulk, asked, __: asked.double.bulk_state(bulk, asked.host).url,
        "partialDataUrl": lambda bulk, asked, __: (
            asked.double.bulk_state(bulk, asked.host).partial_url
        ),
    },
}
CONNECTION: dict[str, Callable[..., Any]] = {
    "edges": lambda page, _, __: page.edges,
    "nodes": lambda page, _, __: [node for _, node in page.edges],
    "pageInfo": lambda page, _, __: page,
}
EDGE: dict[str, Callable[..., Any]] = {
    "cursor": lambda edge, _, __: edge[0],
    "node": lambda edge, _, __: edge[1],
}
PAYLOADS = frozenset(["BulkOperationRunQueryPayload", "BulkOperationCancelPayload"])
ERRORS = frozenset(["BulkOperationUserError", "UserError"])


@dataclass(frozen=True)
class Rule:
    """How a field is answered, and what it needs."""

    value: Callable[..., Any]
    scopes: tuple[str, ...]
    protected: str | None


def _texts(node: Any, directive: str) -> str | None:
    for each in getattr(node, "directives", None) or ():
        if each.name.value == directive:
            return str(each.arguments[0].value.value)
    return None


@cache
def rule(type_name: str, field_name: str) -> Rule:
    """Return how a field of a type is answered."""
    type_ = admin_schema().type_map[type_name]
    definition = type_.fields[field_name]  # type: ignore[attr-defined]
    returned = graphql.get_named_type(definition.type)
    access = _texts(returned.ast_node, "access") or ""
    if returned.name.endswith("Connection"):
        node = returned.fields["nodes"].type
        access = _texts(graphql.get_named_type(node).ast_node, "access") or ""
    scopes = tuple(re.findall(r"\b(read_\w+) access scope", access))
    return Rule(_value(type_name, field_name), scopes, _texts(definition.ast_node, "protected"))


def _value(type_name: str, field_name: str) -> Callable[..., Any]:
    if type_name.endswith("Connection"):
        return CONNECTION[field_name]
    if type_name.endswith("Edge"):
        return EDGE[field_name]
    if type_name in PAYLOADS | ERRORS:
        return lambda source, _, __: source.get(field_name)
    if field_name not in RESOLVERS.get(type_name, {}):
        raise NotImplementedError(f"the double does not answer {type_name}.{field_name}")
    return RESOLVERS[type_name][field_name]


def resolve(source: Any, info: graphql.GraphQLResolveInfo, **arguments: Any) -> Any:
    """Answer a field, if its scopes and protected data are granted."""
    asked: Asked = info.context
    checks = rule(info.parent_type.name, info.field_name)
    if checks.protected is not None and checks.protected not in asked.access.protected:
        raise ApiError(
            f"This app is not approved to use the {info.field_name} field. "
            f"See {PROTECTED_DOCS} for more details.",
            "ACCESS_DENIED",
            documentation=PROTECTED_DOCS,
        )
    value = checks.value(source, asked, arguments)
    if value is not None:
        check_scopes(asked, checks.scopes, info.field_name)
    return value


def type_of(value: Any, *_: Any) -> str:
    """Name the type of a node."""
    names = {Order: "Order", Customer: "Customer", Product: "Product", Refund: "Refund"}
    return names[type(value)] if not isinstance(value, Store) else "Shop"


def execute(
    asked: Asked,
    document: graphql.DocumentNode,
    variables: dict[str, Any] | None,
    name: str | None,
) -> graphql.ExecutionResult:
    """Run a valid document."""
    result = graphql.execute(
        admin_schema(),
        document,
        context_value=asked,
        variable_values=variables,
        operation_name=name,
        field_resolver=resolve,
        type_resolver=type_of,
    )
    assert isinstance(result, graphql.ExecutionResult)
    for error in result.errors or []:
        if error.original_error is not None and not isinstance(error.original_error, ApiError):
            raise error.original_error  # the double's own fault
    return result


def error_json(error: graphql.GraphQLError) -> dict[str, Any]:
    """Write an error as Shopify does: of a protected field, without locations."""
    shown = dict(error.formatted)
    if str(error.message).startswith("This app is not approved"):
        shown.pop("locations", None)
    order = ("message", "locations", "extensions", "path")
    return {name: shown[name] for name in order if name in shown}
