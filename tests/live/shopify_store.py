"""A Shopify store in memory: customers, products, orders, and everything that changes them.

Money is whole cents (minor units). Moments are whole seconds of the store's clock, as Shopify's.
`Store.truth()` is the oracle: what each order is worth in canonical terms, whatever its form.
What changes an order moves its `updated_at`; a customer's change or merge does not. The search
index follows `lag` seconds later: `Store.page` and `Store.count` see what is indexed only.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

from tests.live.double import Clock
from tests.live.shopify_search import Search

UNPAID = frozenset(["PENDING", "AUTHORIZED", "EXPIRED", "VOIDED"])
SORTED_BY = {
    "CREATED_AT": "created_at",
    "UPDATED_AT": "updated_at",
    "PROCESSED_AT": "processed_at",
    "ID": "id",
    "ORDER_NUMBER": "id",
}


@dataclass
class Product:
    """Something to buy; `unit_cost` is the merchant's own, per unit."""

    id: int
    title: str
    price: int
    unit_cost: int
    sku: str | None = None
    variant_title: str | None = None
    is_gift_card: bool = False

    @property
    def variant_id(self) -> int:
        return self.id + 100


@dataclass
class Customer:
    """A person, with consent to marketing by e-mail."""

    id: int
    created_at: datetime
    updated_at: datetime
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    consent: str = "NOT_SUBSCRIBED"
    consent_at: datetime | None = None


@dataclass
class Line:
    """Some units of a product. Discount and tax are of all `quantity` units."""

    id: int
    product: Product
    quantity: int
    price: int
    discount: int
    tax: int
    taxes_included: bool
    removed: int = 0  # units edited out
    refunded: int = 0

    @property
    def current(self) -> int:
        """Units that are still ordered."""
        return self.quantity - self.removed - self.refunded

    @property
    def kept(self) -> int:
        """Units before refunds."""
        return self.quantity - self.removed

    def share(self, cents: int, units: int) -> int:
        """Return the part of an amount that units still bear: each unit that goes takes as much."""
        gone = self.quantity - units
        return cents - gone * (cents // self.quantity) if units else 0

    def untaxed(self, units: int) -> int:
        """Return what units cost after discounts, without tax."""
        tax = self.tax if self.taxes_included else 0
        return self.share(self.price * self.quantity - self.discount - tax, units)

    def subtotal(self, units: int) -> int:
        """Return what units cost after discounts, as prices are shown: with tax if included."""
        tax = self.share(self.tax, units) if self.taxes_included else 0
        return self.untaxed(units) + tax

    def untaxed_list_price(self, units: int) -> int:
        """Return what units would cost before discounts, without tax."""
        after = self.price * self.quantity - self.discount
        if not self.taxes_included or not after:
            return self.price * units
        return round(self.price * units * (after - self.tax) / after)


@dataclass(frozen=True)
class RefundLine:
    """Units that were given back; `untaxed` is the goods' worth without tax."""

    id: int
    line: Line
    quantity: int
    subtotal: int
    tax: int
    untaxed: int
    restock_type: str = "RETURN"


@dataclass(frozen=True)
class Adjustment:
    """Money given back without units; the amount is negative."""

    id: int
    amount: int
    reason: str = "REFUND_DISCREPANCY"
    tax: int = 0


@dataclass(frozen=True)
class ShippingRefund:
    """Shipping given back."""

    id: int
    subtotal: int
    tax: int = 0


@dataclass(frozen=True)
class Refund:
    """A refund on its day."""

    id: int
    order: "Order"
    created_at: datetime
    lines: tuple[RefundLine, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    shipping: tuple[ShippingRefund, ...] = ()

    @property
    def total(self) -> int:
        """Money given back, tax included."""
        goods = sum(line.untaxed + line.tax for line in self.lines)
        shipping = sum(part.subtotal + part.tax for part in self.shipping)
        return goods + shipping - sum(part.amount + part.tax for part in self.adjustments)


@dataclass
class Order:
    """An order as it stands now."""

    id: int
    number: int
    created_at: datetime
    processed_at: datetime
    updated_at: datetime
    currency: str
    lines: list[Line]
    customer: Customer | None = None
    email: str | None = None
    phone: str | None = None
    shipping: int = 0
    shipping_tax: int = 0
    tip: int = 0
    taxes_included: bool = False
    payment: str = "PAID"
    source_name: str = "web"
    discount_codes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    test: bool = False
    edited: bool = False
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    presentment_currency: str = ""
    presentment_rate: float = 1.0
    refunds: list[Refund] = field(default_factory=list)
    index: list[tuple[datetime, datetime]] = field(
        default_factory=list
    )  # (visible at, updated at)

    def indexed(self, now: datetime) -> datetime | None:
        """Return `updated_at` as the search index has it; None before it has the order."""
        versions = [updated for visible, updated in self.index if visible <= now]
        return versions[-1] if versions else None

    @property
    def shipping_refunded(self) -> int:
        return sum(part.subtotal for refund in self.refunds for part in refund.shipping)

    def _sum(self, part: Callable[[Line], int]) -> int:
        return sum(part(line) for line in self.lines)

    @property
    def subtotal(self) -> int:
        """Before returns."""
        return self._sum(lambda line: line.subtotal(line.kept))

    @property
    def discounts(self) -> int:
        return self._sum(lambda line: line.share(line.discount, line.kept))

    @property
    def tax(self) -> int:
        return self.shipping_tax + self._sum(lambda line: line.share(line.tax, line.kept))

    @property
    def total(self) -> int:
        tax = 0 if self.taxes_included else self.tax
        return self.subtotal + self.shipping + tax + self.tip

    @property
    def current_subtotal(self) -> int:
        return self._sum(lambda line: line.subtotal(line.current))

    @property
    def current_discounts(self) -> int:
        return self._sum(lambda line: line.share(line.discount, line.current))

    @property
    def current_tax(self) -> int:
        back = sum(part.tax for refund in self.refunds for part in refund.shipping)
        goods = self._sum(lambda line: line.share(line.tax, line.current))
        return self.shipping_tax - back + goods

    @property
    def current_total(self) -> int:
        tax = 0 if self.taxes_included else self.current_tax
        shipping = self.shipping - self.shipping_refunded
        return self.current_subtotal + shipping + tax + self.tip

    @property
    def refunded(self) -> int:
        return sum(refund.total for refund in self.refunds)

    @property
    def financial_status(self) -> str:
        if self.payment not in {"PAID", "PARTIALLY_PAID"} or not self.refunded:
            return self.payment
        return "REFUNDED" if self.refunded >= self.total else "PARTIALLY_REFUNDED"


@dataclass(frozen=True)
class OrderTruth:
    """An order in canonical terms, in units of the store's currency, goods only, without tax.

    Attributes
    ----------
    net
        After discounts, edits and all refunds so far.
    refunds
        Day in the store's zone and amount of each refund of goods, in the order of time.
    void, void_day
        Why the order is no purchase, and since which day; None where it is one. `void_day` is the
        order's own where it never was a purchase.
    products
        Per product id: units and net amount now.
    """

    id: str
    name: str
    customer_id: str | None
    email: str | None
    phone: str | None
    ordered_at: datetime
    day: date
    currency: str
    channel: str
    discount_codes: tuple[str, ...]
    gross: Decimal
    discount: Decimal
    net: Decimal
    refunds: tuple[tuple[date, Decimal], ...]
    void: str | None
    void_day: date | None
    products: tuple[tuple[str, int, Decimal], ...]

    def net_on(self, day: date) -> Decimal:
        """Return the net amount as known at the end of a day."""
        return self.net + sum((amount for at, amount in self.refunds if at > day), Decimal(0))

    def is_void_on(self, day: date) -> bool:
        return self.void_day is not None and self.void_day <= day


@dataclass(frozen=True)
class Sold:
    """A line to order: `discount` of all units; `tax` of all units, by the store's rate if None."""

    product: Product
    quantity: int = 1
    discount: int = 0
    tax: int | None = None
    price: int | None = None


class Store:
    """A store whose orders can change, and what is true of them.

    Parameters
    ----------
    clock
        Shared with the client.
    currency, zone, taxes_included, tax_rate
        Of the shop. Gift cards bear no tax.
    lag
        Seconds until the search index follows a change.
    refund_subtotals_include_tax
        Whether a refund line's subtotal holds its tax where prices do. Shopify does not document it.
    merges_touch_orders
        Whether a customer's merge moves its orders' `updated_at`.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        name: str = "Example Beans",
        domain: str = "example-beans.myshopify.com",
        currency: str = "EUR",
        zone: str = "Europe/Berlin",
        taxes_included: bool = False,
        tax_rate: float = 0.2,
        lag: float = 0,
        refund_subtotals_include_tax: bool = True,
        merges_touch_orders: bool = False,
        is_development: bool = False,
    ) -> None:
        self.clock = clock or Clock()
        self.name, self.domain, self.currency = name, domain, currency
        self.zone, self.taxes_included, self.tax_rate = ZoneInfo(zone), taxes_included, tax_rate
        self.lag = lag
        self.refund_subtotals_include_tax = refund_subtotals_include_tax
        self.merges_touch_orders, self.is_development = merges_touch_orders, is_development
        self.orders: dict[int, Order] = {}
        self.customers: dict[int, Customer] = {}
        self.products: dict[int, Product] = {}
        self.deleted: dict[int, tuple[datetime, Order]] = {}
        self.merged: dict[int, int] = {}  # gone customer: survivor
        self._ids = {
            name: count(start)
            for name, start in {
                "order": 5_000_001,
                "number": 1001,
                "customer": 8_000_001,
                "product": 101,
                "line": 1,
                "refund": 6_000_001,
                "refund line": 1,
                "adjustment": 1,
                "shipping refund": 1,
            }.items()
        }

    def now(self) -> datetime:
        return self.clock.now().replace(microsecond=0)

    def next_id(self, kind: str) -> int:
        return next(self._ids[kind])

    # What a store has

    def add_product(self, title: str, price: int, unit_cost: int = 0, **more: object) -> Product:
        product = Product(self.next_id("product"), title, price, unit_cost, **more)  # type: ignore[arg-type]
        self.products[product.id] = product
        return product

    def add_customer(self, email: str | None = None, **more: object) -> Customer:
        at = more.pop("created_at", None) or self.now()
        customer = Customer(self.next_id("customer"), at, at, email, **more)  # type: ignore[arg-type]
        self.customers[customer.id] = customer
        return customer

    def add_order(
        self,
        sold: Sequence[Sold],
        customer: Customer | None = None,
        created_at: datetime | None = None,
        **more: object,
    ) -> Order:
        """Place an order; `more` are fields of `Order`."""
        at = (created_at or self.now()).replace(microsecond=0)
        included = bool(more.setdefault("taxes_included", self.taxes_included))
        who = {"email": customer.email, "phone": customer.phone} if customer else {}
        order = Order(
            id=self.next_id("order"),
            number=self.next_id("number"),
            created_at=at,
            processed_at=at,
            updated_at=at,
            currency=self.currency,
            lines=[self._line(part, taxes_included=included) for part in sold],
            customer=customer,
            **(who | more),  # type: ignore[arg-type]
        )
        order.presentment_currency = order.presentment_currency or self.currency
        self.orders[order.id] = order
        self._touch(order, at)
        return order

    def _line(self, sold: Sold, *, taxes_included: bool) -> Line:
        price = sold.product.price if sold.price is None else sold.price
        after = price * sold.quantity - sold.discount
        tax = sold.tax
        if tax is None:
            rate = 0.0 if sold.product.is_gift_card else self.tax_rate
            tax = round(after * rate / (1 + rate if taxes_included else 1))
        return Line(
            id=self.next_id("line"),
            product=sold.product,
            quantity=sold.quantity,
            price=price,
            discount=sold.discount,
            tax=tax,
            taxes_included=taxes_included,
        )

    def _touch(self, order: Order, at: datetime | None = None) -> None:
        order.updated_at = at or self.now()
        order.index.append((order.updated_at + timedelta(seconds=self.lag), order.updated_at))

    # What happens to orders

    def refund(
        self,
        order: Order,
        units: dict[int, int] | None = None,
        *,
        amount: int = 0,
        shipping: int = 0,
        at: datetime | None = None,
        restock_type: str = "RETURN",
    ) -> Refund:
        """Give back units by line id, an amount of money without units, and shipping."""
        at = (at or self.now()).replace(microsecond=0)
        lines = []
        for line in order.lines:
            quantity = (units or {}).get(line.id, 0)
            if quantity:
                lines.append(self._refund_line(line, quantity, restock_type))
        refund = Refund(
            id=self.next_id("refund"),
            order=order,
            created_at=at,
            lines=tuple(lines),
            adjustments=(Adjustment(self.next_id("adjustment"), -amount),) if amount else (),
            shipping=(ShippingRefund(self.next_id("shipping refund"), shipping),)
            if shipping
            else (),
        )
        order.refunds.append(refund)
        self._touch(order, at)
        return refund

    def _refund_line(self, line: Line, quantity: int, restock_type: str) -> RefundLine:
        if not 0 < quantity <= line.current:
            raise ValueError(f"line {line.id} has {line.current} units left, not {quantity}")
        before, after = line.current, line.current - quantity
        untaxed = line.untaxed(before) - line.untaxed(after)
        tax = line.share(line.tax, before) - line.share(line.tax, after)
        line.refunded += quantity
        subtotal = untaxed
        if line.taxes_included and self.refund_subtotals_include_tax:
            subtotal += tax
        return RefundLine(
            id=self.next_id("refund line"),
            line=line,
            quantity=quantity,
            subtotal=subtotal,
            tax=tax,
            untaxed=untaxed,
            restock_type=restock_type,
        )

    def refund_all(self, order: Order, at: datetime | None = None) -> Refund:
        """Give back all units and the shipping that are left."""
        units = {line.id: line.current for line in order.lines if line.current}
        left = order.shipping - order.shipping_refunded
        return self.refund(order, units, shipping=left, at=at)

    def cancel(
        self,
        order: Order,
        *,
        refunds: bool = True,
        reason: str = "CUSTOMER",
        at: datetime | None = None,
    ) -> None:
        """Cancel an order: a paid one is given back, unless `refunds` is false; an unpaid is voided."""
        at = (at or self.now()).replace(microsecond=0)
        order.cancelled_at, order.cancel_reason = at, reason
        if order.payment in UNPAID:
            order.payment = "VOIDED"
        elif refunds:
            self.refund_all(order, at)
        self._touch(order, at)

    def pay(self, order: Order) -> None:
        order.payment = "PAID"
        self._touch(order)

    def remove_units(self, order: Order, line: Line, units: int) -> None:
        """Edit units out, without a refund."""
        if not 0 < units <= line.current:
            raise ValueError(f"line {line.id} has {line.current} units left, not {units}")
        line.removed += units
        order.edited = True
        self._touch(order)

    def add_line(self, order: Order, sold: Sold) -> Line:
        """Edit a line in."""
        line = self._line(sold, taxes_included=order.taxes_included)
        order.lines.append(line)
        order.edited = True
        self._touch(order)
        return line

    def tag(self, order: Order, tag: str) -> None:
        """Change nothing that counts."""
        order.tags = (*order.tags, tag)
        self._touch(order)

    def delete(self, order: Order) -> None:
        """Delete an order, without a trace."""
        del self.orders[order.id]
        self.deleted[order.id] = (self.now(), order)

    # What happens to customers

    def change_customer(self, customer: Customer, **changes: object) -> None:
        """Change a customer; its orders keep the e-mail that was typed, and their `updated_at`."""
        for name, value in changes.items():
            setattr(customer, name, value)
        customer.updated_at = self.now()
        if "consent" in changes:
            customer.consent_at = self.now()

    def merge(self, gone: Customer, survivor: Customer) -> None:
        """Move all orders to the survivor, and delete the other."""
        for order in self.orders.values():
            if order.customer is gone:
                order.customer = survivor
                if self.merges_touch_orders:
                    self._touch(order)
        survivor.email, survivor.phone = survivor.email or gone.email, survivor.phone or gone.phone
        survivor.updated_at = self.now()
        del self.customers[gone.id]
        self.merged[gone.id] = survivor.id

    # What the API asks

    def find(self, number: int) -> Order | None:
        return self.orders.get(number)

    def page(
        self,
        search: Search,
        sort_key: str,
        *,
        reverse: bool = False,
        after: tuple[object, int] | None = None,
        limit: int | None = None,
    ) -> tuple[list[tuple[tuple[object, int], Order]], bool]:
        """Return (sort key, order) of a page of what the search index has, and whether more follow."""
        rows = [
            ((row["id"] if key == "id" else row[key], order.id), order)
            for key in [SORTED_BY[sort_key]]
            for row, order in self._indexed()
            if search.matches(row)
        ]
        rows.sort(key=lambda row: row[0], reverse=reverse)
        if after is not None:
            rows = [row for row in rows if (row[0] < after if reverse else row[0] > after)]
        return rows[:limit], limit is not None and len(rows) > limit

    def count(self, search: Search) -> int:
        return sum(search.matches(row) for row, _ in self._indexed())

    def _indexed(self) -> Iterator[tuple[dict[str, object], Order]]:
        now = self.clock.now()
        for order in self.orders.values():
            updated = order.indexed(now)
            if updated is not None:
                yield index_row(order, updated), order

    # What is true

    def day_of(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def truth(self) -> dict[str, OrderTruth]:
        """Return every order that is not deleted, in canonical terms, by its gid."""
        return {gid("Order", order.id): self.truth_of(order) for order in self.orders.values()}

    def deletions(self) -> dict[str, datetime]:
        """Return when each deleted order was deleted, by its gid."""
        return {gid("Order", number): at for number, (at, _) in self.deleted.items()}

    def truth_of(self, order: Order) -> OrderTruth:
        goods = [line for line in order.lines if not line.product.is_gift_card]
        gross = sum(line.untaxed_list_price(line.kept) for line in goods)
        kept = sum(line.untaxed(line.kept) for line in goods)
        refunds = [
            (self.day_of(refund.created_at), sum(part.untaxed for part in of_goods))
            for refund in sorted(order.refunds, key=lambda refund: refund.created_at)
            if (of_goods := [p for p in refund.lines if not p.line.product.is_gift_card])
        ]
        void, void_day = self._void(order)
        products: dict[int, list[int]] = {}
        for line in goods:
            sums = products.setdefault(line.product.id, [0, 0])
            sums[0] += line.current
            sums[1] += line.untaxed(line.current)
        return OrderTruth(
            id=gid("Order", order.id),
            name=f"#{order.number}",
            customer_id=gid("Customer", order.customer.id) if order.customer else None,
            email=order.email,
            phone=order.phone,
            ordered_at=order.created_at,
            day=self.day_of(order.created_at),
            currency=order.currency,
            channel=order.source_name,
            discount_codes=order.discount_codes,
            gross=decimal(gross),
            discount=decimal(gross - kept),
            net=decimal(sum(line.untaxed(line.current) for line in goods)),
            refunds=tuple((day, decimal(cents)) for day, cents in refunds),
            void=void,
            void_day=void_day,
            products=tuple(
                (gid("Product", key), units, decimal(cents))
                for key, (units, cents) in products.items()
            ),
        )

    def _void(self, order: Order) -> tuple[str | None, date | None]:
        born = self.day_of(order.created_at)
        if order.test:
            return "test", born
        if order.cancelled_at:
            return "cancelled", self.day_of(order.cancelled_at)
        status = order.financial_status
        if status in UNPAID:
            return status.lower(), born
        if status == "REFUNDED":
            return "refunded", self.day_of(max(refund.created_at for refund in order.refunds))
        return None, None

    # What happens by itself

    def step(self, rng: random.Random) -> str:
        """Let one random thing happen now, and return its name."""
        kinds = list(STEPS)
        kind = rng.choices(kinds, [STEPS[name] for name in kinds])[0]
        if kind != "order" and len(self.orders) < 3:
            kind = "order"
        getattr(self, f"_step_{kind}")(rng)
        return kind

    def _any(self, rng: random.Random) -> Order:
        """Return an order, more probably a late one."""
        numbers = list(self.orders)
        return self.orders[numbers[int(len(numbers) * rng.random() ** 0.5)]]

    def _step_order(self, rng: random.Random) -> None:
        if not self.products:
            stock(self)
        customers = list(self.customers.values())
        customer = rng.choice(customers) if customers and rng.random() < 0.6 else None
        if customer is None and rng.random() < 0.9:
            name = f"person{rng.randrange(10**9)}"
            has_phone = rng.random() < 0.4
            customer = self.add_customer(
                f"{name}@example.com" if rng.random() < 0.95 else None,
                phone=f"+1500{rng.randrange(10**7):07}" if has_phone else None,
                first_name="Ada",
                last_name="Sample",
                consent=rng.choice(["SUBSCRIBED", "NOT_SUBSCRIBED", "UNSUBSCRIBED"]),
            )
        has_code = rng.random() < 0.3
        abroad = rng.random() < 0.1
        self.add_order(
            [self._sold(rng, 0.1 if has_code else 0) for _ in range(rng.choice([1, 1, 2, 3]))],
            customer,
            shipping=rng.choice([0, 490]),
            payment=rng.choices(["PAID", "PENDING", "AUTHORIZED"], [0.9, 0.06, 0.04])[0],
            source_name=rng.choice(["web", "web", "pos", "580111"]),
            discount_codes=("WELCOME10",) if has_code else (),
            test=rng.random() < 0.02,
            presentment_currency="USD" if abroad else self.currency,
            presentment_rate=1.0865 if abroad else 1.0,
        )

    def _sold(self, rng: random.Random, off: float = 0) -> Sold:
        product = rng.choice(list(self.products.values()))
        quantity = rng.choice([1, 1, 2, 3])
        off = 0 if product.is_gift_card else off
        return Sold(product, quantity, discount=round(product.price * quantity * off))

    def _step_refund(self, rng: random.Random) -> None:
        order = self._any(rng)
        left = [line for line in order.lines if line.current]
        if order.payment == "PAID" and left:
            line = rng.choice(left)
            self.refund(order, {line.id: rng.randint(1, line.current)})

    def _step_refund_all(self, rng: random.Random) -> None:
        order = self._any(rng)
        if order.payment == "PAID" and any(line.current for line in order.lines):
            self.refund_all(order)

    def _step_refund_amount(self, rng: random.Random) -> None:
        order = self._any(rng)
        if order.payment == "PAID" and order.current_total - order.refunded > 500:
            self.refund(order, amount=500)

    def _step_cancel(self, rng: random.Random) -> None:
        order = self._any(rng)
        if order.cancelled_at is None:
            self.cancel(order, refunds=rng.random() < 0.8)

    def _step_edit(self, rng: random.Random) -> None:
        order = self._any(rng)
        left = [line for line in order.lines if line.current]
        if rng.random() < 0.5 or not left:
            self.add_line(order, self._sold(rng))
        else:
            self.remove_units(order, rng.choice(left), 1)

    def _step_pay(self, rng: random.Random) -> None:
        waiting = [o for o in self.orders.values() if o.payment in {"PENDING", "AUTHORIZED"}]
        if waiting:
            self.pay(rng.choice(waiting))

    def _step_tag(self, rng: random.Random) -> None:
        self.tag(self._any(rng), "seen")

    def _step_delete(self, rng: random.Random) -> None:
        self.delete(self._any(rng))

    def _step_customer(self, rng: random.Random) -> None:
        if self.customers:
            customer = rng.choice(list(self.customers.values()))
            self.change_customer(customer, email=f"new{rng.randrange(10**9)}@example.com")

    def _step_merge(self, rng: random.Random) -> None:
        if len(self.customers) > 2:
            self.merge(*rng.sample(list(self.customers.values()), 2))


STEPS = {  # weights of what happens by itself
    "order": 50,
    "refund": 8,
    "refund_all": 3,
    "refund_amount": 3,
    "cancel": 4,
    "edit": 5,
    "pay": 4,
    "tag": 8,
    "delete": 2,
    "customer": 4,
    "merge": 1,
}


def stock(store: Store) -> None:
    """Give a store some products, one of them a gift card."""
    store.add_product("House Beans", 1200, 480, sku="BEAN-250")
    store.add_product("Paper Filter", 800, 210, sku="FILT-100")
    store.add_product("Gift Card", 2500, is_gift_card=True)
    store.add_product("Hand Grinder", 8990, 4100, sku="GRIND-1", variant_title="Black")


def index_row(order: Order, updated: datetime) -> dict[str, object]:
    """Return what the search index has of an order."""
    return {
        "id": order.id,
        "created_at": order.created_at,
        "processed_at": order.processed_at,
        "updated_at": updated,
        "name": f"#{order.number}",
        "financial_status": order.financial_status.lower(),
        "test": str(order.test).lower(),
        "email": order.email,
        "customer_id": str(order.customer.id) if order.customer else None,
    }


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def decimal(cents: int) -> Decimal:
    return Decimal(cents) / 100


def amount_text(cents: int) -> str:
    """Write cents as Shopify writes decimals: at least one place, no second zero."""
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    text = f"{cents // 100}.{cents % 100:02}"
    return sign + (text[:-1] if text.endswith("0") else text)


def only_orders(search: Search, since: datetime | None) -> Search:
    """Return a search without the orders before a moment."""
    return search if since is None else replace(search, since=since)
