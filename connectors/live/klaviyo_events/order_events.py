"""Orders, cancellations and refunds as events have them, per integration.

Net revenue is read from the lines: Klaviyo's ``$value`` has shipping, and tax by a formula that it does not name.
An event is frozen. What its ``$extra`` has of cancellations and refunds has days of its own, and counts from them on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from connectors.live.errors import Json
from connectors.live.klaviyo_events.source import API, SHOPIFY, WOOCOMMERCE
from connectors.live.records import JsonObject

REDACTED = "redacted"  # what Klaviyo writes in place of a deleted person's data
FOUR_PLACES = Decimal("0.0001")


class EventError(ValueError):
    """An event is not understood: names a property, never its value."""


@dataclass(frozen=True)
class Line:
    """A line of an order, in the store's currency and without tax.

    Attributes
    ----------
    line_id
        The shop's id of the line; None where it has none.
    product_id, product_name, quantity
        What was bought; a quantity that is no number is None.
    gross, discount
        Before discounts, and the discount.
    is_gift_card
        Whether it is a gift card: no revenue.
    """

    line_id: str | None
    product_id: str | None
    product_name: str | None
    quantity: int | None
    gross: Decimal
    discount: Decimal
    is_gift_card: bool = False

    @property
    def net(self) -> Decimal:
        """After discounts."""
        return self.gross - self.discount


@dataclass(frozen=True)
class RefundLine:
    """What was given back of a line, without tax, and when."""

    refund_id: str
    line_id: str | None
    refunded_at: datetime
    net: Decimal


@dataclass(frozen=True)
class OrderEvent:
    """An order as an event has it; a deleted person's has no lines and nobody who ordered.

    Attributes
    ----------
    order_id
        The shop's id of the order.
    lines
        None where they are redacted.
    refunds, cancelled_at
        Until the event was made, or later where the integration sent the past.
    currency, channel, discount_code, tags
        Of the order.
    is_test
        Whether it is a test order.
    customer_id, email, phone, name, postal_code, accepts_marketing
        Who ordered, as typed at checkout.
    """

    order_id: str
    lines: tuple[Line, ...] | None
    refunds: tuple[RefundLine, ...] = ()
    cancelled_at: datetime | None = None
    currency: str | None = None
    channel: str | None = None
    discount_code: str | None = None
    tags: str | None = None
    is_test: bool = False
    customer_id: str | None = None
    email: str | None = None
    phone: str | None = None
    name: str | None = None
    postal_code: str | None = None
    accepts_marketing: str | None = None

    @property
    def value(self) -> Decimal | None:
        """Goods after discounts, without tax and gift cards; None where the lines are redacted."""
        if self.lines is None:
            return None
        return sum((one.net for one in self.lines if not one.is_gift_card), Decimal())


def read_order(properties: JsonObject, integration: str) -> OrderEvent:
    """Read an event of a placed, cancelled or refunded order.

    Raises
    ------
    EventError
        A property is missing, or has another form than the integration's.
    """
    order_id = order_id_of(properties, integration)
    if is_redacted(properties):
        return OrderEvent(order_id, None, currency=text(properties.get("$currency_code")))
    read = _READERS.get(integration)
    if read is None:
        raise EventError("orders of this integration are not read")
    return read(order_id, properties)


def is_whole_refund(properties: JsonObject, integration: str) -> bool | None:
    """Tell whether an event of a refunded order is about the whole order.

    Shopify sends full refunds only, and WooCommerce's event has the order's status. Of what a shop's own code sends,
    nothing tells (None): its ``$value`` has to be compared with the order's.
    """
    if integration == SHOPIFY:
        return True
    if integration == WOOCOMMERCE:
        status = text((properties.get("$extra") or {}).get("Status"))
        return status is not None and status.lower().removeprefix("wc-") == "refunded"
    return None


def is_redacted(properties: JsonObject) -> bool:
    """Tell whether the person of an order's event was deleted from Klaviyo."""
    lists = (properties.get("Items"), properties.get("ItemNames"))
    has_lines = any(isinstance(one, dict) for one in properties.get("Items") or ())
    return not has_lines and any(one == [REDACTED] for one in lists)


def value_of(properties: JsonObject) -> Decimal | None:
    """Return an event's ``$value``; None where it has none."""
    value = properties.get("$value")
    return None if value is None else _decimal(value, "$value")


def text(value: Json) -> str | None:
    """Return a value as text; None where it is empty or redacted."""
    if value is None or isinstance(value, bool | dict | list):
        return None
    shown = str(value).strip()
    return shown if shown and shown.lower() != REDACTED else None


def order_id_of(properties: JsonObject, integration: str) -> str:
    """Return the shop's id of the order that an event is about.

    Raises
    ------
    EventError
        The event has none.
    """
    order_id = text(properties.get("$event_id"))
    if order_id is None and integration == API:
        order_id = text(properties.get("OrderId"))
    if order_id is None:
        raise EventError("$event_id is missing")
    return order_id


def _shopify(order_id: str, properties: JsonObject) -> OrderEvent:
    """Read an order as Shopify's REST webhook has it."""
    extra = _extra(properties)
    included = extra.get("taxes_included")
    if not isinstance(included, bool):
        raise EventError("$extra.taxes_included is no flag")
    customer, billing = (extra.get(name) or {} for name in ("customer", "billing_address"))
    codes = [one.get("code") for one in extra.get("discount_codes") or ()]
    return OrderEvent(
        order_id=order_id,
        lines=tuple(
            _shopify_line(one, is_included=included) for one in _list(extra, "line_items")
        ),
        refunds=tuple(_shopify_refunds(extra, is_included=included)),
        cancelled_at=_moment(extra.get("cancelled_at"), "$extra.cancelled_at"),
        currency=text(extra.get("currency")) or text(properties.get("$currency_code")),
        channel=text(extra.get("source_name")) or text(properties.get("Source Name")),
        discount_code=text(codes[0]) if codes else None,
        tags=text(extra.get("tags")),
        is_test=extra.get("test") is True,
        customer_id=text(customer.get("id")),
        email=text(extra.get("email")) or text(extra.get("contact_email")),
        phone=text(extra.get("phone")),
        name=text(billing.get("name")),
        postal_code=text(billing.get("zip")),
        accepts_marketing=_flag(extra.get("buyer_accepts_marketing")),
    )


def _shopify_line(line: JsonObject, *, is_included: bool) -> Line:
    quantity = _decimal(line.get("quantity"), "line_items.quantity")
    worth = _money(line, "price") * quantity
    off = sum((_money(one, "amount") for one in _list(line, "discount_allocations")), Decimal())
    tax = sum((_money(one, "price") for one in _list(line, "tax_lines")), Decimal())
    gross, discount = _untaxed(worth, off, tax if is_included else Decimal())
    return Line(
        line_id=text(line.get("id")),
        product_id=text(line.get("product_id"))
        or text(line.get("sku"))
        or text(line.get("title")),
        product_name=text(line.get("title")),
        quantity=int(quantity),
        gross=gross,
        discount=discount,
        is_gift_card=line.get("gift_card") is True,
    )


def _shopify_refunds(extra: JsonObject, *, is_included: bool) -> Iterator[RefundLine]:
    cards = {
        text(one.get("id")) for one in _list(extra, "line_items") if one.get("gift_card") is True
    }
    for refund in extra.get("refunds") or ():
        moment = _moment(
            refund.get("created_at") or refund.get("processed_at"), "refunds.created_at"
        )
        if moment is None:
            raise EventError("refunds.created_at is missing")
        for number, one in enumerate(refund.get("refund_line_items") or ()):
            line_id = text(one.get("line_item_id"))
            back = _money(one, "subtotal")
            back -= _money(one, "total_tax") if is_included else 0
            if line_id not in cards:
                yield RefundLine(f"{refund.get('id')}.{number}", line_id, moment, back)


def _woocommerce(order_id: str, properties: JsonObject) -> OrderEvent:
    """Read an order of WooCommerce: a line's total is after discounts and without tax."""
    lines = []
    for one in _list(_extra(properties), "Items"):
        net = _decimal(one.get("LineTotal"), "$extra.Items.LineTotal")
        quantity = _decimal(one.get("Quantity"), "$extra.Items.Quantity")
        before = one.get("SubTotal")
        gross = net if before is None else max(net, _decimal(before, "$extra.Items.SubTotal"))
        name = text(one.get("Name"))
        product = text(one.get("ProductID")) or text(one.get("SKU")) or name
        lines.append(Line(None, product, name, int(quantity), gross, gross - net))
    codes = properties.get("Coupons") or ()
    billing = properties.get("BillingAddress") or {}
    return OrderEvent(
        order_id=order_id,
        lines=tuple(lines),
        currency=text(properties.get("$currency_code")),
        discount_code=text(codes[0]) if codes else None,
        email=text(billing.get("Email")),
        phone=text(billing.get("Phone")),
    )


def _api(order_id: str, properties: JsonObject) -> OrderEvent:
    """Read an order that a shop's own code sends, in the form of Klaviyo's guide."""
    items = _list(properties, "Items")
    worth = [_api_worth(one) for one in items]
    off = _decimal(properties.get("DiscountValue") or 0, "DiscountValue")
    lines = []
    for one, gross, discount in zip(items, worth, _shared(off, worth), strict=True):
        name = text(one.get("ProductName"))
        product = text(one.get("ProductID")) or text(one.get("SKU")) or name
        quantity = _decimal(one.get("Quantity"), "Items.Quantity")
        lines.append(Line(None, product, name, int(quantity), gross, discount))
    return OrderEvent(
        order_id=order_id,
        lines=tuple(lines),
        currency=text(properties.get("$currency_code")),
        discount_code=text(properties.get("DiscountCode")),
    )


def _shared(off: Decimal, worth: list[Decimal]) -> list[Decimal]:
    """Share a discount on an order out to its lines; the sum is exact."""
    whole, shares = sum(worth, Decimal()), list[Decimal]()
    for one in worth[:-1]:
        shares.append((off * one / whole).quantize(FOUR_PLACES) if whole else Decimal())
    return [*shares, off - sum(shares, Decimal())] if worth else []


def _api_worth(item: JsonObject) -> Decimal:
    quantity = _decimal(item.get("Quantity"), "Items.Quantity")
    if item.get("RowTotal") is not None:
        return _decimal(item["RowTotal"], "Items.RowTotal")
    return _decimal(item.get("ItemPrice"), "Items.ItemPrice") * quantity


_READERS: Mapping[str, Callable[[str, JsonObject], OrderEvent]] = {
    SHOPIFY: _shopify,
    WOOCOMMERCE: _woocommerce,
    API: _api,
}


def _untaxed(worth: Decimal, off: Decimal, tax: Decimal) -> tuple[Decimal, Decimal]:
    """Return gross and discount without included tax, so that their difference is exact."""
    net = worth - off
    if not tax or not net:
        return worth, off
    discount = (off * (net - tax) / net).quantize(FOUR_PLACES)
    return net - tax + discount, discount


def _extra(properties: JsonObject) -> JsonObject:
    extra = properties.get("$extra")
    if not isinstance(extra, dict):
        raise EventError("$extra is missing")
    return extra


def _list(one: JsonObject, name: str) -> list[JsonObject]:
    value = one.get(name)
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise EventError(f"{name} is no list of objects")
    return value


def _money(one: JsonObject, name: str) -> Decimal:
    """Return an amount in the store's currency."""
    both = one.get(f"{name}_set")
    shop = both.get("shop_money") if isinstance(both, dict) else None
    value = shop.get("amount") if isinstance(shop, dict) else one.get(name)
    return _decimal(value, name)


def _decimal(value: Json, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise EventError(f"{name} is no number")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise EventError(f"{name} is no number") from None
    if not number.is_finite():
        raise EventError(f"{name} is no number")
    return number


def _moment(value: Json, name: str) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise EventError(f"{name} is no moment with a zone")
    return moment.astimezone(UTC)


def _flag(value: Json) -> str | None:
    return str(value).lower() if isinstance(value, bool) else None
