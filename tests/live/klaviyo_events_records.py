"""What Klaviyo and the shop behind it keep: metrics, profiles, events, orders."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

CONNECTED = datetime(2022, 3, 1, 9, tzinfo=UTC)  # when the integrations of an account began


@dataclass(frozen=True)
class Integration:
    """What sends events to Klaviyo."""

    id: str
    key: str
    name: str
    category: str


SHOPIFY = Integration("0eMvjm", "shopify", "Shopify", "eCommerce")
WOOCOMMERCE = Integration("0rG4eQ", "woocommerce", "WooCommerce", "eCommerce")
API = Integration("0eMvjn", "api", "API", "API")
KLAVIYO = Integration("0rG4eR", "klaviyo", "Klaviyo", "Internal")


@dataclass(frozen=True)
class Metric:
    """A kind of event. Names repeat between integrations."""

    id: str
    name: str
    integration: Integration
    created: datetime = CONNECTED


PLACED, ORDERED = "Placed Order", "Ordered Product"
FULFILLED, CANCELLED, REFUNDED = "Fulfilled Order", "Cancelled Order", "Refunded Order"
RECEIVED, OPENED, CLICKED = "Received Email", "Opened Email", "Clicked Email"
RECEIVED_SMS, UNSUBSCRIBED = "Received SMS", "Unsubscribed from Email Marketing"
ACTIVE, VIEWED = "Active on Site", "Viewed Product"
METRICS = (
    Metric("SHPlac", PLACED, SHOPIFY),
    Metric("SHProd", ORDERED, SHOPIFY),
    Metric("SHFulf", FULFILLED, SHOPIFY),
    Metric("SHCanc", CANCELLED, SHOPIFY),
    Metric("SHRefu", REFUNDED, SHOPIFY),
    Metric("WOPlac", PLACED, WOOCOMMERCE),
    Metric("WORefu", REFUNDED, WOOCOMMERCE),
    Metric("APPlac", PLACED, API),
    Metric("KLRecv", RECEIVED, KLAVIYO),
    Metric("KLOpen", OPENED, KLAVIYO),
    Metric("KLClik", CLICKED, KLAVIYO),
    Metric("KLSms1", RECEIVED_SMS, KLAVIYO),
    Metric("KLUnsu", UNSUBSCRIBED, KLAVIYO),
    Metric("APActv", ACTIVE, API),
    Metric("APView", VIEWED, API),
)


@dataclass
class Profile:
    """A person in Klaviyo."""

    id: str
    email: str | None = None
    phone_number: str | None = None
    external_id: str | None = None
    created: datetime = CONNECTED
    updated: datetime = CONNECTED


@dataclass
class Event:
    """An event as it is stored.

    Attributes
    ----------
    happened
        The event's own time, whole seconds; the sender chooses it.
    received
        When Klaviyo got it. No filter of the API asks for it.
    visible
        From when on a list of events has it.
    profile_id
        None after the person was erased.
    """

    id: str
    uuid: str
    metric: Metric
    profile_id: str | None
    happened: datetime
    received: datetime
    visible: datetime
    properties: dict[str, Any]
    is_redacted: bool = False

    @property
    def key(self) -> str:
        """The `$event_id`."""
        return str(self.properties.get("$event_id", ""))


@dataclass(frozen=True)
class Product:
    """What the shop sells; its price in cents."""

    id: int
    variant_id: int
    title: str
    sku: str
    price: int
    category: str = "Coffee"
    is_gift_card: bool = False


BEANS = Product(101, 201, "House Beans", "BEAN-250", 1200)
FILTERS = Product(102, 202, "Paper Filter", "FILT-100", 800)
GIFT_CARD = Product(103, 203, "Gift Card", "", 2500, is_gift_card=True)
GRINDER = Product(104, 204, "Hand Grinder", "GRIN-1", 5900, category="Equipment")
PRODUCTS = (BEANS, FILTERS, GIFT_CARD, GRINDER)


@dataclass(frozen=True)
class Line:
    """A line of an order; `discount` in cents, of the whole line."""

    product: Product
    quantity: int = 1
    discount: int = 0

    @property
    def gross(self) -> int:
        return self.product.price * self.quantity

    @property
    def worth(self) -> int:
        """Cents after discounts, with the tax where prices include it."""
        return self.gross - self.discount


@dataclass(frozen=True)
class RefundLine:
    """Units and cents given back of one line, by its index."""

    line: int
    quantity: int
    subtotal: int


@dataclass(frozen=True)
class Refund:
    """A refund of a part of an order or of the whole."""

    id: int
    at: datetime
    lines: tuple[RefundLine, ...]

    @property
    def amount(self) -> int:
        return sum(line.subtotal for line in self.lines)


@dataclass(frozen=True)
class Edit:
    """Units of a line that the shop took out of an order afterwards."""

    at: datetime
    line: int
    quantity: int


@dataclass(frozen=True)
class Contact:
    """What a customer typed at checkout, and the shop's number of the customer; guests have none."""

    email: str | None = None
    phone: str | None = None
    customer_id: int | None = None
    first_name: str = "Ada"
    last_name: str = "Sample"


@dataclass
class Order:
    """An order in truth, whatever Klaviyo has of it; amounts in cents."""

    id: str
    number: int
    contact: Contact
    ordered_at: datetime
    lines: tuple[Line, ...]
    shipping: int = 0
    tax_rate: float = 0.0
    taxes_included: bool = False
    currency: str = "EUR"
    presentment_currency: str = ""
    codes: tuple[str, ...] = ()
    source_name: str = "web"
    is_test: bool = False
    first_line_id: int = 1
    fulfilled_at: datetime | None = None
    cancelled_at: datetime | None = None
    refunds: list[Refund] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)

    def tax(self, line: Line) -> int:
        if line.product.is_gift_card:
            return 0
        if self.taxes_included:
            return line.worth - round(line.worth / (1 + self.tax_rate))
        return round(line.worth * self.tax_rate)

    def included_tax(self, line: Line) -> int:
        """Return the tax that is in a line's worth."""
        return self.tax(line) if self.taxes_included else 0

    @property
    def gross(self) -> int:
        return sum(line.gross for line in self.lines)

    @property
    def discount(self) -> int:
        return sum(line.discount for line in self.lines)

    @property
    def total_tax(self) -> int:
        return sum(self.tax(line) for line in self.lines)

    @property
    def total(self) -> int:
        extra = 0 if self.taxes_included else self.total_tax
        return self.gross - self.discount + self.shipping + extra

    @property
    def net(self) -> int:
        """Goods after discounts, without tax and gift cards, before refunds."""
        return sum(
            line.worth - self.included_tax(line)
            for line in self.lines
            if not line.product.is_gift_card
        )

    def net_in(self, integration: str) -> int:
        """Return what an integration's event shows as net revenue.

        Only Shopify marks gift cards, and what a shop's own code sends has no tax.
        """
        if integration == "shopify":
            return self.net
        if integration == "woocommerce":
            return sum(line.worth - self.included_tax(line) for line in self.lines)
        return self.gross - self.discount

    @property
    def units(self) -> int:
        return sum(line.quantity for line in self.lines)

    def refunded(self, at: datetime) -> int:
        """Return the cents of goods given back until a moment."""
        return sum(refund.amount for refund in self.refunds if refund.at <= at)

    def is_refunded(self, at: datetime) -> bool:
        """Whether all goods were given back until a moment."""
        worth = self.gross - self.discount
        return 0 < worth <= self.refunded(at)

    @property
    def whole_refund_at(self) -> datetime | None:
        """When the last refund made the refunds whole."""
        moments = sorted(refund.at for refund in self.refunds)
        return next((at for at in moments if self.is_refunded(at)), None)

    @property
    def void_at(self) -> datetime | None:
        """When the order became void: cancelled or refunded as a whole."""
        moments = [at for at in (self.cancelled_at, self.whole_refund_at) if at is not None]
        return min(moments, default=None)
