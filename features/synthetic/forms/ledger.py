"""A world's orders as a shop system has them, and the traps that all its exports share.

The orders of the clean tables are in it, each with what a customer typed that day, and others that
are no purchases: canceled, refunded in full, free, for a test, or without a customer.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.synthetic.draws import Array, Draws
from features.synthetic.world import World

TAX, SHIPPING, FREE_SHIPPING_FROM = 0.08, 4.90, 50.0
GIFT_CARD, GIFT_CARD_SHARE = 50.0, 0.005
GUESTS, SPELLING, OTHER_EMAIL = 0.18, 0.03, 0.02  # shares of the orders
FIRST_NUMBER = 1001
NO_PURCHASE = {  # kind: share of the orders that are copied and planted as such
    "canceled": 0.012,
    "refunded": 0.008,
    "free": 0.004,
    "test": 0.003,
    "no_customer": 0.006,
}
WHOLLY_REFUNDED = ("canceled", "refunded")
RULES = {
    "canceled": "a canceled order is no purchase",
    "refunded": "an order refunded in full is no purchase",
    "free": "an order of no value is no purchase, unless orders.keep_zero_amount says so",
    "test": "a test order is no purchase",
    "no_customer": "an order without customer, e-mail and phone is a reject",
    "guest_other_email": "guest checkout under another e-mail: the phone tells who it is",
    "guest_unknown": "guest checkout under another e-mail and without phone: nobody can tell who it is",
    "email_spelling": "the same e-mail in capitals or with a space is the same customer",
    "gift_card": "a gift card sold is no revenue: its line counts for nothing",
    "partly_refunded": "refunds of goods lower the order's value",
    "duplicate": "an order that is in two files counts once",
}


@dataclass(frozen=True)
class Planted:
    """A trap: its name, how many orders or rows have it, and what an importer must make of it."""

    trap: str
    count: int
    rule: str


@dataclass(frozen=True)
class Form:
    """An order history as another system writes it.

    Attributes
    ----------
    name
        The preset that reads it.
    files
        Tables by file name, all text where the name ends in ``.csv``.
    planted
        The traps.
    expected
        What must come of it, one row per purchase: ``order_id`` as the system names it,
        ``customer_id`` in truth, ``known_as`` the customer as far as the files can tell,
        ``ordered_at``, ``order_date`` and ``net_amount``.
    """

    name: str
    files: dict[str, pd.DataFrame]
    planted: tuple[Planted, ...]
    expected: pd.DataFrame


@dataclass(frozen=True)
class Ledger:
    """Orders and lines in the order of time, purchases and others.

    Attributes
    ----------
    orders
        One row per order: ``number`` from 1001 on, ``key``, ``kind`` (``"purchase"`` or one of
        :data:`NO_PURCHASE`), who ordered (``customer_id``, ``known_as``, ``is_guest``, ``email``,
        ``phone``, ``external_id``), ``ordered_at`` and amounts in cents: ``items``, ``discount``,
        ``refund`` (of goods), ``tax``, ``shipping``, ``gift_card``.
    lines
        One row per line: ``number``, ``sku``, ``name``, ``quantity``, ``price`` of a unit,
        ``discount``, ``refund``, in cents.
    draws
        Random numbers for the form.
    world
        Where they come from.
    """

    orders: pd.DataFrame
    lines: pd.DataFrame
    draws: Draws
    world: World

    def pick(self, purpose: str, share: float) -> Array:
        """Draw a share of the orders."""
        return np.asarray(self.draws.uniform(purpose, self.orders["key"].to_numpy()) < share)

    def counted(self, *more: Planted) -> tuple[Planted, ...]:
        """Return the traps of every form, and further ones."""
        orders = self.orders
        counts = {kind: int((orders["kind"] == kind).sum()) for kind in NO_PURCHASE}
        purchases = orders[orders["kind"] == "purchase"]
        counts |= {
            "guest_other_email": int((purchases["alias"] == "phone").sum()),
            "guest_unknown": int((purchases["alias"] == "unknown").sum()),
            "email_spelling": int((purchases["alias"] == "spelling").sum()),
            "gift_card": int((purchases["gift_card"] > 0).sum()),
            "partly_refunded": int((purchases["refund"] > 0).sum()),
        }
        return (*(Planted(trap, n, RULES[trap]) for trap, n in counts.items()), *more)

    def expected(self, order_id: pd.Series) -> pd.DataFrame:
        """Return what must come of the form, given the names of all orders in it."""
        orders = self.orders.assign(order_id=order_id)
        orders = orders[orders["kind"] == "purchase"].reset_index(drop=True)
        orders["net_amount"] = (orders["items"] - orders["discount"] - orders["refund"]) / 100
        day = orders["ordered_at"].dt.tz_convert(self.world.profile.timezone).dt.date
        columns = ["order_id", "customer_id", "known_as", "ordered_at", "order_date", "net_amount"]
        return orders.assign(order_date=day)[columns]

    def local(self, moments: pd.Series, pattern: str) -> pd.Series:
        """Write moments in the shop's time zone."""
        zone = self.world.profile.timezone
        at = pa.array(moments.dt.floor("s"), pa.timestamp("s", "UTC"))
        return pd.Series(
            pc.strftime(at.cast(pa.timestamp("s", zone)), format=pattern).to_pandas(),
            index=moments.index,
        )


def keep_ledger(world: World) -> Ledger:
    """Return a world's orders as a shop system has them."""
    draws = Draws(world.seed)
    orders = world.orders.to_pandas()
    orders["key"] = np.array([int(text[1:], 16) for text in orders["order_id"]], dtype=np.uint64)
    orders["kind"] = "purchase"
    for name, column in (("items", "gross"), ("discount", "discount"), ("refund", "refund")):
        orders[name] = _cents(orders[f"{column}_amount"])
    orders, lines = _with_others(orders, _lines(world), draws)
    orders = orders.sort_values(["ordered_at", "order_id"], kind="stable", ignore_index=True)
    orders["number"] = np.arange(FIRST_NUMBER, FIRST_NUMBER + len(orders))
    lines = lines.merge(orders[["order_id", "number"]], on="order_id")
    lines = lines.sort_values("number", kind="stable", ignore_index=True)
    orders = _with_who(orders, world, draws)
    worth = orders["items"] - orders["discount"]
    orders["shipping"] = np.where(worth < 100 * FREE_SHIPPING_FROM, round(100 * SHIPPING), 0)
    orders["tax"] = np.rint(worth * TAX).astype(np.int64)
    gives = draws.uniform("gift card", orders["key"].to_numpy()) < GIFT_CARD_SHARE
    is_gift = gives & (orders["kind"] == "purchase")
    orders["gift_card"] = np.where(is_gift, round(100 * GIFT_CARD), 0)
    return Ledger(orders, lines, draws, world)


def _cents(amounts: pd.Series) -> pd.Series:
    return (amounts * 100).round().astype(np.int64)


def _lines(world: World) -> pd.DataFrame:
    lines, amounts = world.order_lines.to_pandas(), world.line_amounts.to_pandas()
    return pd.DataFrame(
        {
            "order_id": lines["order_id"],
            "sku": lines["product_id"].str.upper(),
            "name": lines["product_name"],
            "quantity": lines["quantity"],
            "price": _cents(amounts["unit_price"]),
            "discount": _cents(amounts["discount_amount"]),
            "refund": _cents(amounts["refund_amount"]),
        }
    )


def _with_others(
    orders: pd.DataFrame, lines: pd.DataFrame, draws: Draws
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add copies of some orders, made to be no purchases, with their lines."""
    all_orders, all_lines = [orders], [lines]
    for kind, share in NO_PURCHASE.items():
        chosen = draws.uniform(f"planted {kind}", orders["key"].to_numpy()) < share
        copies = orders[chosen].copy()
        key = draws.keys(f"copy {kind}", copies["key"].to_numpy())
        new = pd.Series([f"x{bits:016x}" for bits in key], index=copies["order_id"])
        copied = lines[lines["order_id"].isin(copies["order_id"])].copy()
        copied["order_id"] = copied["order_id"].map(new)
        worth = copied["price"] * copied["quantity"]
        if kind == "free":
            copied["discount"], copied["refund"] = worth, 0
        copied["refund"] = worth - copied["discount"] if kind in WHOLLY_REFUNDED else 0
        copies["order_id"], copies["key"], copies["kind"] = new.to_numpy(), key, kind
        sums = copied.groupby("order_id")[["discount", "refund"]].sum()
        for part in ("discount", "refund"):
            copies[part] = copies["order_id"].map(sums[part]).astype(np.int64)
        all_orders.append(copies)
        all_lines.append(copied)
    return pd.concat(all_orders, ignore_index=True), pd.concat(all_lines, ignore_index=True)


def _with_who(orders: pd.DataFrame, world: World, draws: Draws) -> pd.DataFrame:
    """Add what the customer typed: e-mail and phone, not always the same."""
    customers = world.customers.to_pandas().set_index("customer_id")
    orders = orders.join(customers[["email", "phone", "external_id"]], on="customer_id")
    key = orders["key"].to_numpy()
    u = draws.uniform("e-mail", key)
    other = np.where(orders["phone"].notna(), "phone", "unknown")
    alias = np.select([u < SPELLING, u < SPELLING + OTHER_EMAIL], ["spelling", other], "")
    orders["alias"] = np.where(orders["kind"] == "purchase", alias, "")
    is_other = orders["alias"].isin(["phone", "unknown"])
    orders["is_guest"] = is_other | (draws.uniform("guest", key) < GUESTS)
    second = "private." + orders["email"].str.replace("example.com", "example.net")
    spelled = orders["email"].str.upper() + " "
    orders["email"] = np.select(
        [is_other, orders["alias"] == "spelling"], [second, spelled], orders["email"]
    )
    is_nobody = orders["kind"] == "no_customer"
    orders.loc[is_nobody, ["email", "phone", "external_id"]] = None
    orders.loc[is_nobody, "is_guest"] = True
    orders["known_as"] = orders["customer_id"] + np.where(orders["alias"] == "unknown", "?", "")
    return orders


def money(cents: pd.Series) -> pd.Series:
    """Write cents as an amount with two decimals."""
    return pd.Series([f"{value / 100:.2f}" for value in cents], index=cents.index, dtype=str)
