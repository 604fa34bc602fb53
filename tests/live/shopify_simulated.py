"""A simulated store's clean tables as a Shopify store, filled as its days pass."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from perennial.simulation import World
from tests.live.double import Clock
from tests.live.shopify_store import Customer, Order, Product, Sold, Store, gid

SOURCES = {"web": "web", "app": "580111", "store": "pos"}
REFUND_DAYS = (1, 20)


@dataclass(frozen=True)
class Event:
    """An order that is placed, or its refund."""

    at: datetime
    row: int
    is_refund: bool


class WorldFeed:
    """Fills a store from a world: `load(until)` lets happen what happened up to a moment.

    Taxes are added on top of the simulated amounts, or included in prices so that amounts without
    tax are the simulated ones. A refund of a part of a unit's price is money without units, which
    Shopify shows as an adjustment: it lowers no order's net amount.

    Parameters
    ----------
    world
        Its tables `orders`, `order_lines`, `line_amounts` and `customers`.
    clock
        Of the store.
    taxes_included, tax_rate
        Of the store.
    store
        Further settings of the `Store`, such as `lag`.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        taxes_included: bool = False,
        tax_rate: float = 0.08,
        seed: int = 0,
        **store: Any,
    ) -> None:
        self.world = world
        self.store = Store(
            clock,
            name="Simulated",
            domain="simulated.myshopify.com",
            currency=world.profile.currency,
            zone=world.profile.timezone,
            taxes_included=taxes_included,
            tax_rate=tax_rate,
            **store,
        )
        self._orders = world.orders.to_pandas()
        self._people = world.customers.to_pandas().set_index("customer_id")
        self._lines = _lines(world)
        self._products: dict[str, Product] = {}
        self._customers: dict[str, Customer] = {}
        self.placed: dict[int, Order] = {}  # by row of the world's orders
        self.refunded_at: dict[int, datetime] = {}
        self._events = self._planned(random.Random(seed))
        self._next = 0

    def _planned(self, rng: random.Random) -> list[Event]:
        events = []
        for row, order in enumerate(self._orders.itertuples()):
            at = order.ordered_at.to_pydatetime().replace(microsecond=0)
            events.append(Event(at, row, is_refund=False))
            wait = timedelta(seconds=int(86_400 * rng.uniform(*REFUND_DAYS)))
            if order.refund_amount > 0:
                events.append(Event(at + wait, row, is_refund=True))
        return sorted(events, key=lambda event: (event.at, event.row, event.is_refund))

    def load(self, until: datetime | None = None) -> int:
        """Place the orders and make the refunds up to a moment, now by default; return how many."""
        until, before = until or self.store.clock.now(), self._next
        while self._next < len(self._events) and self._events[self._next].at <= until:
            event = self._events[self._next]
            (self._refund if event.is_refund else self._place)(event)
            self._next += 1
        return self._next - before

    def _place(self, event: Event) -> None:
        order = self._orders.iloc[event.row]
        code = order["discount_code"]
        self.placed[event.row] = self.store.add_order(
            [self._sold(line) for line in self._lines[order["order_id"]]],
            self._customer(order["customer_id"], event.at),
            event.at,
            source_name=SOURCES[order["channel"]],
            discount_codes=() if pd.isna(code) else (code,),
        )

    def _customer(self, key: str, at: datetime) -> Customer:
        if key not in self._customers:
            person = self._people.loc[key]
            self._customers[key] = self.store.add_customer(
                person["email"],
                phone=None if pd.isna(person["phone"]) else person["phone"],
                created_at=at,
                consent="SUBSCRIBED" if person["accepts_marketing"] else "NOT_SUBSCRIBED",
            )
        return self._customers[key]

    def _sold(self, line: dict[str, Any]) -> Sold:
        quantity, discount = line["quantity"], line["discount"]
        price, rate = line["price"], self.store.tax_rate
        if not self.store.taxes_included:
            return Sold(self._product(line), quantity, discount, price=price)
        untaxed = price * quantity - discount
        price, discount = price + round(price * rate), discount + round(discount * rate)
        tax = price * quantity - discount - untaxed
        return Sold(self._product(line), quantity, discount, tax, price)

    def _product(self, line: dict[str, Any]) -> Product:
        key = line["product_id"]
        if key not in self._products:
            self._products[key] = self.store.add_product(
                line["product_name"], line["price"], line["unit_cost"], sku=key.upper()
            )
        return self._products[key]

    def _refund(self, event: Event) -> None:
        order, rows = self.placed[event.row], self._lines_of(event.row)
        units = {
            line.id: 1 for line, row in zip(order.lines, rows, strict=True) if row["unit_back"]
        }
        amount = sum(row["money_back"] for row in rows)
        self.store.refund(order, units, amount=amount, at=event.at)
        self.refunded_at[event.row] = event.at

    def _lines_of(self, row: int) -> list[dict[str, Any]]:
        return self._lines[self._orders["order_id"].iloc[row]]

    def expected(self) -> pd.DataFrame:
        """Return what must come of the orders placed so far, from the world's tables alone.

        Columns: the world's `order_id` and `customer_id`, Shopify's `shopify_id` and
        `shopify_customer_id`, `email`, `ordered_at`, `order_date`, `discount_code`, `channel`,
        `gross_amount`, `discount_amount`, `refund_amount` (of units, made so far), `net_amount`,
        `refunded_on`, and `money_back`, which lowers nothing.
        """
        rows = []
        for row, placed in self.placed.items():
            order, lines = self._orders.iloc[row], self._lines_of(row)
            at = self.refunded_at.get(row)
            back = sum(line["unit_back"] for line in lines) if at else 0
            money = sum(line["money_back"] for line in lines) if at else 0
            before = round(100 * (order["gross_amount"] - order["discount_amount"]))
            rows.append(
                {
                    "order_id": order["order_id"],
                    "shopify_id": gid("Order", placed.id),
                    "customer_id": order["customer_id"],
                    "shopify_customer_id": gid(
                        "Customer", self._customers[order["customer_id"]].id
                    ),
                    "email": self._people["email"][order["customer_id"]],
                    "ordered_at": placed.created_at,
                    "order_date": order["order_date"],
                    "discount_code": order["discount_code"],
                    "channel": order["channel"],
                    "gross_amount": order["gross_amount"],
                    "discount_amount": order["discount_amount"],
                    "refund_amount": back / 100,
                    "net_amount": (before - back) / 100,
                    "refunded_on": self.store.day_of(at) if at and back else None,
                    "money_back": money / 100,
                }
            )
        return pd.DataFrame(rows)


def _lines(world: World) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of each order, in cents, with what is given back as a unit or as money."""
    lines, amounts = world.order_lines.to_pandas(), world.line_amounts.to_pandas()
    cents = {
        name: (100 * amounts[column]).round().astype(int)
        for name, column in (
            ("price", "unit_price"),
            ("gross", "gross_amount"),
            ("discount", "discount_amount"),
            ("refund", "refund_amount"),
        )
    }
    lines = lines.assign(**cents)
    lines["unit_cost"] = (100 * lines["cost_amount"] / lines["quantity"]).round().astype(int)
    is_unit = lines["refund"] == (lines["gross"] - lines["discount"]) // lines["quantity"]
    lines["unit_back"] = lines["refund"].where(is_unit, 0)
    lines["money_back"] = lines["refund"].where(~is_unit, 0)
    result: dict[str, list[dict[str, Any]]] = {}
    for line in lines.to_dict("records"):
        result.setdefault(line["order_id"], []).append(line)
    return result
