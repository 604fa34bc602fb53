"""WooCommerce's records, and the payloads that its REST API makes of them.

Amounts are exact decimals, as the database has them; a payload rounds them to ``dp`` places.
Times are in UTC; a payload has each of them twice, in the shop's time and in GMT, without offsets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

SECONDS = "%Y-%m-%dT%H:%M:%S"
CENT = Decimal("0.01")
EXACT = Decimal("0.0001")  # what line items are rounded to in the database
STATUSES = {
    "pending": "Pending payment",
    "processing": "Processing",
    "on-hold": "On hold",
    "completed": "Completed",
    "cancelled": "Cancelled",
    "refunded": "Refunded",
    "failed": "Failed",
    "checkout-draft": "Draft",
}
PLUGIN_STATUS = "partial-shipped"
PAID = frozenset(["processing", "completed", "refunded"])
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "KWD": "د.ك"}
IMAGE = {"id": "", "src": ""}


@dataclass(frozen=True)
class Shop:
    """What a shop's owner sets.

    Attributes
    ----------
    zone
        Name of the time zone. Without one, ``gmt_offset`` counts, and ``timezone_string`` is empty.
    version
        Of WooCommerce: ``/refunds`` exists from 9.0 on.
    statuses
        Slugs that are registered; a plugin that goes takes its own away.
    """

    name: str = "Example Shop"
    url: str = "https://shop.example"
    currency: str = "EUR"
    decimals: int = 2
    zone: str = "Europe/Berlin"
    gmt_offset: float = 0
    version: str = "10.3.0"
    tax_rate: Decimal = Decimal("0.20")
    prices_include_tax: bool = False
    statuses: tuple[str, ...] = (*STATUSES, PLUGIN_STATUS)

    @property
    def timezone(self) -> tzinfo:
        return ZoneInfo(self.zone) if self.zone else timezone(timedelta(hours=self.gmt_offset))

    @property
    def has_refunds_route(self) -> bool:
        return int(self.version.split(".")[0]) >= 9

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.timezone)

    def day(self, moment: datetime) -> date:
        return self.local(moment).date()


def rounded(amount: Decimal, smallest: Decimal = CENT) -> Decimal:
    """Round as WooCommerce does, half up."""
    return amount.quantize(smallest, ROUND_HALF_UP)


def places(decimals: int) -> Decimal:
    """Return the smallest amount with so many decimals."""
    return Decimal(1).scaleb(-decimals)


def text(amount: Decimal, dp: int) -> str:
    """Write an amount with ``dp`` places."""
    return f"{rounded(amount, places(dp)):f}"


@dataclass(frozen=True)
class Billing:
    """Who pays."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    postcode: str = ""
    country: str = "DE"


@dataclass(frozen=True)
class Line:
    """An order's line; amounts without tax, `total` after discounts."""

    id: int
    name: str
    product_id: int
    quantity: int
    subtotal: Decimal
    total: Decimal
    tax: Decimal

    @property
    def is_gift_card(self) -> bool:
        return self.name.lower().startswith("gift card")

    @property
    def sku(self) -> str:
        return f"P{self.product_id:03}"


@dataclass(frozen=True)
class Fee:
    """A fee of an order, without its tax; less than 0 is a discount by hand."""

    id: int
    name: str
    total: Decimal
    tax: Decimal


@dataclass(frozen=True)
class Coupon:
    """A coupon of an order, and what it took off, without tax."""

    id: int
    code: str
    discount: Decimal
    tax: Decimal


@dataclass(frozen=True)
class Order:
    """An order as the database has it."""

    id: int
    status: str
    created: datetime
    modified: datetime
    currency: str
    customer_id: int
    billing: Billing
    lines: tuple[Line, ...]
    decimals: int = 2
    shipping: Decimal = Decimal(0)
    shipping_tax: Decimal = Decimal(0)
    fees: tuple[Fee, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    paid: datetime | None = None
    completed: datetime | None = None
    created_via: str = "checkout"
    note: str = ""
    meta: tuple[tuple[str, str], ...] = (("_wc_order_attribution_source_type", "typein"),)

    @property
    def goods(self) -> Decimal:
        """Lines after discounts and without tax; no gift cards."""
        return sum((one.total for one in self.lines if not one.is_gift_card), Decimal(0))

    @property
    def goods_tax(self) -> Decimal:
        return sum((one.tax for one in self.lines if not one.is_gift_card), Decimal(0))

    @property
    def gift_cards(self) -> Decimal:
        return sum((one.total for one in self.lines if one.is_gift_card), Decimal(0))

    @property
    def fee_total(self) -> Decimal:
        return sum((fee.total for fee in self.fees), Decimal(0))

    @property
    def discount(self) -> Decimal:
        return sum((one.subtotal - one.total for one in self.lines), Decimal(0))

    @property
    def cart_tax(self) -> Decimal:
        taxes = [*(line.tax for line in self.lines), *(fee.tax for fee in self.fees)]
        return sum(taxes, Decimal(0))

    @property
    def total_tax(self) -> Decimal:
        return self.cart_tax + self.shipping_tax

    @property
    def total(self) -> Decimal:
        """What the customer pays."""
        lines = sum((one.total for one in self.lines), Decimal(0))
        return self.round(lines + self.fee_total + self.shipping + self.total_tax)

    def round(self, amount: Decimal) -> Decimal:
        """Round an amount that somebody pays."""
        return rounded(amount, places(self.decimals))


@dataclass(frozen=True)
class RefundLine:
    """What of a line was given back; amounts above 0."""

    id: int
    line: Line
    quantity: int
    total: Decimal
    tax: Decimal


@dataclass(frozen=True)
class Refund:
    """A refund; `amount` above 0 and with tax, no lines where an amount was typed."""

    id: int
    order_id: int
    created: datetime
    amount: Decimal
    reason: str = ""
    lines: tuple[RefundLine, ...] = ()
    shipping: Decimal = Decimal(0)
    shipping_tax: Decimal = Decimal(0)


@dataclass(frozen=True)
class Payloads:
    """Writes a shop's records as the REST API does, with ``dp`` decimals."""

    shop: Shop
    dp: int

    def order(self, order: Order, refunds: tuple[Refund, ...]) -> dict[str, Any]:
        shop = self.shop
        moments = {
            "created": order.created,
            "modified": order.modified,
            "completed": order.completed,
            "paid": order.paid,
        }
        amounts = {
            "discount_total": order.discount,
            "discount_tax": sum((one.tax for one in order.coupons), Decimal(0)),
            "shipping_total": order.shipping,
            "shipping_tax": order.shipping_tax,
            "cart_tax": order.cart_tax,
            "total": order.total,
            "total_tax": order.total_tax,
        }
        return {
            "id": order.id,
            "parent_id": 0,
            "status": order.status,
            "currency": order.currency,
            "version": shop.version,
            "prices_include_tax": shop.prices_include_tax,
            **{f"date_{name}": self._local(at) for name, at in moments.items()},
            **{name: text(amount, self.dp) for name, amount in amounts.items()},
            "customer_id": order.customer_id,
            "order_key": f"wc_order_{order.id}",
            "billing": self._billing(order.billing),
            "payment_method": "stripe",
            "payment_method_title": "Card",
            "transaction_id": "",
            "customer_ip_address": "192.0.2.1",
            "created_via": order.created_via,
            "customer_note": order.note,
            "cart_hash": "",
            "number": str(order.id),
            "meta_data": [
                {"id": order.id * 10 + i, "key": key, "value": value}
                for i, (key, value) in enumerate(order.meta)
            ],
            "line_items": [self._line(line) for line in order.lines],
            "tax_lines": self._tax_lines(order),
            "shipping_lines": self._shipping_lines(order.id, order.shipping, order.shipping_tax),
            "fee_lines": [self._fee(fee) for fee in order.fees],
            "coupon_lines": [self._coupon(one) for one in order.coupons],
            "refunds": [
                {"id": one.id, "reason": one.reason, "total": "-" + text(one.amount, self.dp)}
                for one in refunds
            ],
            "payment_url": "",
            "is_editable": order.status in {"pending", "on-hold", "checkout-draft"},
            "needs_payment": order.status in {"pending", "failed"},
            "needs_processing": order.status == "processing",
            **{f"date_{name}_gmt": self._gmt(at) for name, at in moments.items()},
            "currency_symbol": SYMBOLS.get(order.currency, order.currency),
            "_links": {"self": [{"href": f"{shop.url}/wp-json/wc/v3/orders/{order.id}"}]},
        }

    def refund(self, refund: Refund, *, with_parent: bool) -> dict[str, Any]:
        """Write a refund; only ``/refunds`` names its order."""
        parent = {"parent_id": refund.order_id} if with_parent else {}
        return {
            "id": refund.id,
            **parent,
            "date_created": self._local(refund.created),
            "date_created_gmt": self._gmt(refund.created),
            "amount": text(refund.amount, self.dp),
            "reason": refund.reason,
            "refunded_by": 1,
            "refunded_payment": True,
            "meta_data": [],
            "line_items": [self._refund_line(one) for one in refund.lines],
            "shipping_lines": self._shipping_lines(
                refund.id, -refund.shipping, -refund.shipping_tax
            ),
            "tax_lines": [],
            "fee_lines": [],
        }

    def _local(self, at: datetime | None) -> str | None:
        return None if at is None else self.shop.local(at).strftime(SECONDS)

    def _gmt(self, at: datetime | None) -> str | None:
        return None if at is None else at.astimezone(UTC).strftime(SECONDS)

    def _billing(self, who: Billing) -> dict[str, str]:
        return {
            "first_name": who.first_name,
            "last_name": who.last_name,
            "company": "",
            "address_1": "1 Example Street",
            "address_2": "",
            "city": "Example",
            "state": "",
            "postcode": who.postcode,
            "country": who.country,
            "email": who.email,
            "phone": who.phone,
        }

    def _taxes(self, tax: Decimal) -> list[dict[str, Any]]:
        shown = text(tax, self.dp)
        return [{"id": 1, "total": shown, "subtotal": shown}] if tax else []

    def _line(self, line: Line, sign: int = 1) -> dict[str, Any]:
        return {
            "id": line.id,
            "name": line.name,
            "product_id": line.product_id,
            "variation_id": 0,
            "quantity": sign * line.quantity,
            "tax_class": "",
            "subtotal": text(sign * line.subtotal, self.dp),
            "subtotal_tax": text(sign * line.tax, self.dp),
            "total": text(sign * line.total, self.dp),
            "total_tax": text(sign * line.tax, self.dp),
            "taxes": self._taxes(sign * line.tax),
            "meta_data": [],
            "sku": line.sku,
            "price": float(line.total / line.quantity) if line.quantity else 0.0,
            "parent_name": None,
            "image": IMAGE,
        }

    def _refund_line(self, one: RefundLine) -> dict[str, Any]:
        of = one.line
        given = Line(one.id, of.name, of.product_id, one.quantity, one.total, one.total, one.tax)
        meta = {"id": one.id * 10, "key": "_refunded_item_id", "value": str(of.id)}
        return self._line(given, -1) | {"meta_data": [meta]}

    def _tax_lines(self, order: Order) -> list[dict[str, Any]]:
        if not order.total_tax:
            return []
        return [
            {
                "id": order.id * 10 + 3,
                "rate_code": "DE-VAT-1",
                "rate_id": 1,
                "label": "VAT",
                "compound": False,
                "tax_total": text(order.cart_tax, self.dp),
                "shipping_tax_total": text(order.shipping_tax, self.dp),
                "rate_percent": int(self.shop.tax_rate * 100),
                "meta_data": [],
            }
        ]

    def _shipping_lines(self, of: int, total: Decimal, tax: Decimal) -> list[dict[str, Any]]:
        if not total:
            return []
        return [
            {
                "id": of * 10 + 4,
                "method_title": "Flat rate",
                "method_id": "flat_rate",
                "total": text(total, self.dp),
                "total_tax": text(tax, self.dp),
                "taxes": self._taxes(tax),
                "meta_data": [],
            }
        ]

    def _fee(self, fee: Fee) -> dict[str, Any]:
        return {
            "id": fee.id,
            "name": fee.name,
            "tax_class": "",
            "tax_status": "taxable",
            "amount": text(fee.total, self.dp),
            "total": text(fee.total, self.dp),
            "total_tax": text(fee.tax, self.dp),
            "taxes": self._taxes(fee.tax),
            "meta_data": [],
        }

    def _coupon(self, coupon: Coupon) -> dict[str, Any]:
        return {
            "id": coupon.id,
            "code": coupon.code,
            "discount": text(coupon.discount, self.dp),
            "discount_tax": text(coupon.tax, self.dp),
            "meta_data": [],
        }


@dataclass(frozen=True)
class RefundTruth:
    """A refund that happened: its day in the shop's time, and what of it was goods without tax."""

    refund_id: int
    order_id: int
    at: datetime
    day: date
    amount: Decimal
    goods: Decimal


@dataclass(frozen=True)
class OrderTruth:
    """An order that is there, with its parts apart; all but `total` and `tax` without tax."""

    order_id: int
    status: str
    at: datetime
    day: date
    customer_id: int
    email: str
    currency: str
    goods: Decimal
    gift_cards: Decimal
    fees: Decimal
    shipping: Decimal
    tax: Decimal
    total: Decimal
    refunds: tuple[RefundTruth, ...]

    @property
    def is_paid(self) -> bool:
        return self.status in PAID

    def net(self, as_of: date | None = None) -> Decimal:
        """Return goods less the refunds of goods up to a day, that day included."""
        back = sum(
            (one.goods for one in self.refunds if as_of is None or one.day <= as_of), Decimal(0)
        )
        return self.goods - back


def truth_of(shop: Shop, order: Order, refunds: tuple[Refund, ...]) -> OrderTruth:
    """Return the truth of an order."""
    return OrderTruth(
        order_id=order.id,
        status=order.status,
        at=order.created,
        day=shop.day(order.created),
        customer_id=order.customer_id,
        email=order.billing.email,
        currency=order.currency,
        goods=order.goods,
        gift_cards=order.gift_cards,
        fees=order.fee_total,
        shipping=order.shipping,
        tax=order.total_tax,
        total=order.total,
        refunds=tuple(_refund_truths(shop, order, refunds)),
    )


def _refund_truths(shop: Shop, order: Order, refunds: tuple[Refund, ...]) -> Iterator[RefundTruth]:
    """Yield refunds in time; of an amount without lines, goods have their share of goods and tax."""
    left = order.goods
    amount_left = order.total
    for refund in sorted(refunds, key=lambda one: (one.created, one.id)):
        amount_left -= refund.amount
        if refund.lines or refund.shipping:
            goods = sum((o.total for o in refund.lines if not o.line.is_gift_card), Decimal(0))
        elif amount_left <= 0:
            goods = left
        else:
            taxed = order.goods + order.goods_tax
            share = order.goods / taxed if taxed else Decimal(0)
            goods = order.round(refund.amount * share)
        goods = min(goods, left)
        left -= goods
        yield RefundTruth(
            refund.id, order.id, refund.created, shop.day(refund.created), refund.amount, goods
        )
