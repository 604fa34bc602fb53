"""A WooCommerce shop in memory: orders that are made, edited, refunded, trashed and deleted.

It knows nothing of HTTP. `step` changes it at random, `truths` and its neighbors list what is true.

    store = WooCommerceStore(Clock())
    order_id = store.place(Checkout(items=(Item("House Beans", Decimal("12.00"), 2),)))
    store.refund(order_id, share=Decimal("0.5"))
    store.truths()[order_id].net()
"""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from perennial.simulation import World
from tests.live.double import Clock
from tests.live.woocommerce_records import (
    EXACT,
    PAID,
    PLUGIN_STATUS,
    Billing,
    Coupon,
    Fee,
    Line,
    Order,
    OrderTruth,
    Refund,
    RefundLine,
    RefundTruth,
    Shop,
    rounded,
    truth_of,
)

TRASH = "trash"
PRODUCTS = (
    ("House Beans", 11, "12.00"),
    ("Paper Filter", 12, "8.00"),
    ("Grinder", 13, "79.90"),
    ("Dark Roast", 14, "13.37"),
)
NEXT = {  # what happens to an order of a status
    "checkout-draft": ("pending", "processing"),
    "pending": ("processing", "processing", "cancelled", "failed"),
    "on-hold": ("processing", "cancelled"),
    "failed": ("processing", "cancelled"),
    "processing": ("completed", "completed", PLUGIN_STATUS, "cancelled"),
    PLUGIN_STATUS: ("completed",),
}
WEIGHTS: Mapping[str, float] = {  # how often `step` does what
    "place": 30,
    "place_late": 3,
    "advance": 20,
    "edit": 10,
    "refund": 12,
    "open": 8,
    "trash": 4,
    "untrash": 2,
    "empty_trash": 1,
}
RARE_WEIGHTS: Mapping[str, float] = {**WEIGHTS, "delete_refund": 2}


@dataclass(frozen=True)
class Item:
    """What somebody puts into the cart; the price as the shop shows it."""

    name: str = "House Beans"
    price: Decimal = Decimal("12.00")
    quantity: int = 1
    product_id: int = 11
    discount: Decimal = Decimal(0)  # of the line, as the price


@dataclass(frozen=True)
class Checkout:
    """An order to be made; ``customer_id`` 0 is a guest, ``created`` None is now."""

    items: tuple[Item, ...] = (Item(),)
    billing: Billing = field(default_factory=lambda: Billing("Ben", "Sample", "ben@example.com"))
    customer_id: int = 0
    status: str = "processing"
    coupon: str | None = None
    shipping: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    created: datetime | None = None
    created_via: str = "checkout"
    currency: str | None = None
    meta: tuple[tuple[str, str], ...] = (("_wc_order_attribution_source_type", "typein"),)


class WooCommerceStore:
    """A shop's orders.

    Parameters
    ----------
    clock
        Everything happens at its now.
    shop
        Settings; may be replaced at any time.

    Attributes
    ----------
    orders, refunds
        By id, the trash included; ids are of one sequence, which other posts use too.
    emptied
        Orders that are gone for good: id and when.
    deleted_refunds
        Refunds that were deleted by hand: id and when.
    open_bumps
        Whether opening an order in the admin changes `date_modified`, as with HPOS.
    refund_bumps
        Whether a refund changes its order's `date_modified`.
    """

    def __init__(self, clock: Clock | None = None, shop: Shop | None = None) -> None:
        self.clock, self.shop = clock or Clock(), shop or Shop()
        self.orders: dict[int, Order] = {}
        self.refunds: dict[int, Refund] = {}
        self.emptied: dict[int, datetime] = {}
        self.deleted_refunds: dict[int, datetime] = {}
        self.open_bumps = self.refund_bumps = True
        self._status_before: dict[int, str] = {}
        self._refund_ids: dict[int, list[int]] = defaultdict(list)  # by order
        self._post_id, self._item_id = 7000, 0

    def now(self) -> datetime:
        """Return the second that it is: columns have no fractions."""
        return self.clock.now().replace(microsecond=0)

    # What happens in a shop

    def place(self, checkout: Checkout | None = None) -> int:
        """Make an order; return its id."""
        checkout = checkout or Checkout()
        now, rate = self.now(), self.shop.tax_rate
        created = min(checkout.created or now, now).replace(microsecond=0)
        lines = tuple(self._line(item) for item in checkout.items)
        discount = sum((line.subtotal - line.total for line in lines), Decimal(0))
        is_paid = checkout.status in PAID or checkout.status == PLUGIN_STATUS
        order = Order(
            id=self._next_post(),
            status=checkout.status,
            created=created,
            modified=now,
            currency=checkout.currency or self.shop.currency,
            decimals=self.shop.decimals,
            customer_id=checkout.customer_id,
            billing=checkout.billing,
            lines=lines,
            shipping=checkout.shipping,
            shipping_tax=rounded(checkout.shipping * rate, EXACT),
            fees=self._fees(checkout.fee),
            coupons=self._coupons(checkout.coupon, discount),
            paid=created if is_paid else None,
            completed=created if checkout.status == "completed" else None,
            created_via=checkout.created_via,
            meta=checkout.meta,
        )
        self.orders[order.id] = order
        return order.id

    def set_status(self, order_id: int, status: str) -> None:
        """Give an order another status."""
        now, order = self.now(), self.orders[order_id]
        paid = order.paid or (now if status in PAID else None)
        completed = now if status == "completed" else order.completed
        self._save(replace(order, status=status, paid=paid, completed=completed))

    def edit(self, order_id: int, **changes: Any) -> None:
        """Change fields of an order, such as ``note``, ``billing``, ``lines``."""
        self._save(replace(self.orders[order_id], **changes))

    def change_quantity(self, order_id: int, line_id: int, quantity: int) -> None:
        """Sell more or less of a line; none takes it out."""
        lines = []
        for line in self.orders[order_id].lines:
            if line.id != line_id:
                lines.append(line)
            elif quantity:
                factor = Decimal(quantity) / line.quantity
                amounts = [
                    rounded(amount * factor, EXACT)
                    for amount in (line.subtotal, line.total, line.tax)
                ]
                subtotal, total, tax = amounts
                lines.append(
                    replace(line, quantity=quantity, subtotal=subtotal, total=total, tax=tax)
                )
        self.edit(order_id, lines=tuple(lines))

    def open(self, order_id: int) -> None:
        """Look at an order in the admin: with HPOS its modification date moves, and nothing else."""
        if self.open_bumps:
            self._save(self.orders[order_id])

    def refund(
        self,
        order_id: int,
        share: Decimal = Decimal(1),
        *,
        by_amount: bool = False,
        created: datetime | None = None,
        reason: str = "",
    ) -> int:
        """Give back a share of what is left of each line, or an amount without lines.

        A whole refund takes the shipping along and makes the order's status ``refunded``.
        """
        order, is_whole = self.orders[order_id], share == 1
        left = order.total - sum((one.amount for one in self.refunds_of(order_id)), Decimal(0))
        lines = () if by_amount else tuple(self._lines_back(order, share))
        with_shipping = is_whole and not by_amount and not self._has_shipping_back(order_id)
        shipping = (
            (order.shipping, order.shipping_tax) if with_shipping else (Decimal(0), Decimal(0))
        )
        of_lines = sum((one.total + one.tax for one in lines), Decimal(0)) + sum(shipping)
        amount = (
            left if is_whole else order.round(left * share) if by_amount else order.round(of_lines)
        )
        refund = Refund(
            id=self._next_post(),
            order_id=order_id,
            created=(created or self.now()).replace(microsecond=0),
            amount=min(amount, left),
            reason=reason,
            lines=lines,
            shipping=shipping[0],
            shipping_tax=shipping[1],
        )
        self._add_refund(refund)
        if is_whole:
            self.set_status(order_id, "refunded")
        elif self.refund_bumps:
            self._save(order)
        return refund.id

    def delete_refund(self, refund_id: int) -> None:
        """Delete a refund by hand: its order's modification date stays."""
        del self.refunds[refund_id]
        self.deleted_refunds[refund_id] = self.now()

    def trash(self, order_id: int) -> None:
        """Put an order into the trash."""
        self._status_before[order_id] = self.orders[order_id].status
        self._save(replace(self.orders[order_id], status=TRASH))

    def untrash(self, order_id: int) -> None:
        """Take an order out of the trash, as it was."""
        status = self._status_before.pop(order_id)
        self._save(replace(self.orders[order_id], status=status))

    def delete(self, order_id: int) -> None:
        """Delete an order and its refunds for good: nothing tells of it."""
        del self.orders[order_id]
        self._status_before.pop(order_id, None)
        for refund in self.refunds_of(order_id):
            del self.refunds[refund.id]
        self.emptied[order_id] = self.now()

    def empty_trash(self) -> list[int]:
        """Delete what is in the trash for good; return the ids."""
        gone = [order.id for order in self.orders.values() if order.status == TRASH]
        for order_id in gone:
            self.delete(order_id)
        return gone

    # What is true

    def refunds_of(self, order_id: int) -> tuple[Refund, ...]:
        """Return an order's refunds."""
        ids = self._refund_ids.get(order_id, ())
        return tuple(self.refunds[one] for one in ids if one in self.refunds)

    def truths(self) -> dict[int, OrderTruth]:
        """Return the orders that are there, in no trash, with their refunds."""
        return {
            order.id: truth_of(self.shop, order, self.refunds_of(order.id))
            for order in self.orders.values()
            if order.status != TRASH
        }

    def refund_truths(self) -> dict[int, RefundTruth]:
        """Return the refunds of the orders that are there."""
        return {one.refund_id: one for truth in self.truths().values() for one in truth.refunds}

    def trashed(self) -> set[int]:
        """Return the orders in the trash."""
        return {order.id for order in self.orders.values() if order.status == TRASH}

    # A shop's life

    def step(self, rng: random.Random, weights: Mapping[str, float] = WEIGHTS) -> str:
        """Let something happen; return what. Where it cannot, an order is made."""
        (name,) = rng.choices(list(weights), list(weights.values()))
        action: Callable[[random.Random], bool] = getattr(self, f"_step_{name}")
        if not action(rng):
            name = "place"
            self._step_place(rng)
        return name

    def _step_place(self, rng: random.Random) -> bool:
        self.place(self._random_checkout(rng))
        return True

    def _step_place_late(self, rng: random.Random) -> bool:
        created = self.now() - timedelta(days=rng.uniform(1, 90))
        late = replace(self._random_checkout(rng), created=created, created_via="rest-api")
        self.place(late)
        return True

    def _step_advance(self, rng: random.Random) -> bool:
        order = self._pick(rng, lambda order: order.status in NEXT)
        if order is not None:
            self.set_status(order.id, rng.choice(NEXT[order.status]))
        return order is not None

    def _step_edit(self, rng: random.Random) -> bool:
        order = self._pick(rng, lambda order: order.status not in {TRASH, "refunded"})
        if order is None or self.refunds_of(order.id):
            return False
        if rng.random() < 0.5:
            line = rng.choice(order.lines)
            self.change_quantity(
                order.id, line.id, rng.randint(0 if len(order.lines) > 1 else 1, 3)
            )
        elif rng.random() < 0.5:
            self.edit(order.id, note=f"note {rng.randrange(1000)}")
        else:
            email = f"moved{rng.randrange(50)}@example.com"
            self.edit(order.id, billing=replace(order.billing, email=email))
        return True

    def _step_refund(self, rng: random.Random) -> bool:
        order = self._pick(rng, lambda order: order.status in {"processing", "completed"})
        if order is None or len(self.refunds_of(order.id)) > 2:
            return False
        share = Decimal(rng.choice(["0.25", "0.5", "1"]))
        self.refund(order.id, share, by_amount=rng.random() < 0.3, reason="damaged")
        return True

    def _step_open(self, rng: random.Random) -> bool:
        order = self._pick(rng, lambda order: order.status != TRASH)
        if order is not None:
            self.open(order.id)
        return order is not None

    def _step_trash(self, rng: random.Random) -> bool:
        order = self._pick(rng, lambda order: order.status != TRASH)
        if order is not None:
            self.trash(order.id)
        return order is not None

    def _step_untrash(self, rng: random.Random) -> bool:
        order = self._pick(rng, lambda order: order.status == TRASH)
        if order is not None:
            self.untrash(order.id)
        return order is not None

    def _step_empty_trash(self, rng: random.Random) -> bool:
        return bool(self.empty_trash())

    def _step_delete_refund(self, rng: random.Random) -> bool:
        there = sorted(self.refund_truths())
        if there:
            self.delete_refund(rng.choice(there))
        return bool(there)

    def _pick(self, rng: random.Random, fits: Callable[[Order], bool]) -> Order | None:
        orders = [order for order in self.orders.values() if fits(order)]
        return rng.choice(orders) if orders else None

    def _random_checkout(self, rng: random.Random) -> Checkout:
        who = rng.randrange(30)
        is_guest = rng.random() < 0.3
        share = Decimal("0.1") if rng.random() < 0.25 else Decimal(0)
        items = []
        for name, product_id, price in rng.sample(PRODUCTS, rng.randint(1, 3)):
            quantity, cost = rng.randint(1, 3), Decimal(price)
            off = rounded(cost * quantity * share)
            items.append(Item(name, cost, quantity, product_id, off))
        if rng.random() < 0.08:
            items.append(Item("Gift Card 25", Decimal(25), 1, 99))
        statuses = ["processing"] * 16 + ["pending", "on-hold", "checkout-draft", PLUGIN_STATUS]
        return Checkout(
            items=tuple(items),
            billing=Billing(
                f"Name{who}", "Sample", f"person{who}@example.com", f"+1500555{who:04}"
            ),
            customer_id=0 if is_guest else 100 + who,
            status=rng.choice(statuses),
            coupon="welcome10" if share else None,
            shipping=Decimal(rng.choice(["0", "5.00"])),
            fee=Decimal("1.50") if rng.random() < 0.15 else Decimal(0),
        )

    # Records

    def _save(self, order: Order) -> None:
        self.orders[order.id] = replace(order, modified=self.now())

    def _add_refund(self, refund: Refund) -> None:
        self.refunds[refund.id] = refund
        self._refund_ids[refund.order_id].append(refund.id)

    def _next_post(self) -> int:
        self._post_id += 1 + (self._post_id % 7 == 0)  # other posts take numbers too
        return self._post_id

    def _next_item(self) -> int:
        self._item_id += 1
        return self._item_id

    def _net(self, amount: Decimal) -> Decimal:
        """Return a price as it is shown, without the tax in it."""
        rate = self.shop.tax_rate if self.shop.prices_include_tax else Decimal(0)
        return rounded(amount / (1 + rate), EXACT)

    def _line(self, item: Item) -> Line:
        subtotal = self._net(item.price * item.quantity)
        total = self._net(item.price * item.quantity - item.discount)
        line = Line(
            self._next_item(),
            item.name,
            item.product_id,
            item.quantity,
            subtotal,
            total,
            Decimal(0),
        )
        taxed = Decimal(0) if line.is_gift_card else rounded(total * self.shop.tax_rate, EXACT)
        return replace(line, tax=taxed)

    def _fees(self, total: Decimal) -> tuple[Fee, ...]:
        tax = rounded(total * self.shop.tax_rate, EXACT)
        return (Fee(self._next_item(), "Gift wrap", total, tax),) if total else ()

    def _coupons(self, code: str | None, discount: Decimal) -> tuple[Coupon, ...]:
        tax = rounded(discount * self.shop.tax_rate, EXACT)
        return (Coupon(self._next_item(), code, discount, tax),) if code else ()

    def _has_shipping_back(self, order_id: int) -> bool:
        return any(one.shipping for one in self.refunds_of(order_id))

    def _lines_back(self, order: Order, share: Decimal) -> list[RefundLine]:
        before = [one for refund in self.refunds_of(order.id) for one in refund.lines]
        back = []
        for line in order.lines:
            mine = [one for one in before if one.line.id == line.id]
            total = line.total - sum((one.total for one in mine), Decimal(0))
            tax = line.tax - sum((one.tax for one in mine), Decimal(0))
            quantity = line.quantity - sum(one.quantity for one in mine)
            units = quantity if share == 1 else int(quantity * share)
            total, tax = rounded(total * share, EXACT), rounded(tax * share, EXACT)
            if total > 0:
                back.append(RefundLine(self._next_item(), line, units, total, tax))
        return back


def load(store: WooCommerceStore, world: World, seed: int = 0) -> dict[str, int]:
    """Put a simulated store's orders into a shop; return the shop's ids by the simulation's.

    The store's clock must stand at the world's end or later, its shop must have the world's
    currency and zone. Refunds have the goods of ``refund_amount`` and happen up to 20 days later,
    at the latest now: `OrderTruth.net` of an order is then the simulation's `net_amount`.
    """
    if store.shop.prices_include_tax:
        raise ValueError("the simulation's amounts have no tax: load a shop without tax in prices")
    rng = random.Random(seed)
    people = {row["customer_id"]: row for row in world.customers.to_pylist()}
    lines: dict[str, list[dict[str, Any]]] = {}
    pairs = zip(world.order_lines.to_pylist(), world.line_amounts.to_pylist(), strict=True)
    for line, amounts in pairs:
        lines.setdefault(line["order_id"], []).append(line | amounts)
    ids = {}
    for row in world.orders.to_pylist():
        ids[row["order_id"]] = _load_order(
            store, row, people[row["customer_id"]], lines[row["order_id"]], rng
        )
    return ids


def _load_order(
    store: WooCommerceStore,
    row: dict[str, Any],
    person: dict[str, Any],
    lines: list[dict[str, Any]],
    rng: random.Random,
) -> int:
    first, last, *_ = person["email"].split(".")
    checkout = Checkout(
        items=tuple(_item(line) for line in lines),
        billing=Billing(first.title(), last.title(), person["email"], person["phone"] or ""),
        customer_id=int(person["external_id"]),
        status="completed",
        coupon=row["discount_code"] and row["discount_code"].lower(),
        shipping=Decimal("5.00") if row["gross_amount"] < 50 else Decimal(0),
        created=row["ordered_at"],
        created_via="pos" if row["channel"] == "store" else "checkout",
    )
    order_id = store.place(checkout)
    order = replace(store.orders[order_id], modified=store.orders[order_id].created)
    store.orders[order_id] = order
    back = tuple(
        _line_back(store, line, Decimal(str(amounts["refund_amount"])))
        for line, amounts in zip(order.lines, lines, strict=True)
        if amounts["refund_amount"] > 0
    )
    if back:
        at = min(order.created + timedelta(days=rng.uniform(0.5, 20)), store.now())
        amount = order.round(sum((one.total + one.tax for one in back), Decimal(0)))
        refund = Refund(
            store._next_post(), order_id, at.replace(microsecond=0), amount, "returned", back
        )
        store._add_refund(refund)
        store.orders[order_id] = replace(order, modified=refund.created)
    return order_id


def _item(line: dict[str, Any]) -> Item:
    price = Decimal(str(line["gross_amount"])) / line["quantity"]
    off = Decimal(str(line["discount_amount"]))
    number = int(line["product_id"][1:])
    return Item(line["product_name"], price, line["quantity"], number, off)


def _line_back(store: WooCommerceStore, line: Line, total: Decimal) -> RefundLine:
    tax = rounded(total * store.shop.tax_rate, EXACT)
    units = line.quantity if total >= line.total else 0
    return RefundLine(store._next_item(), line, units, total, tax)
