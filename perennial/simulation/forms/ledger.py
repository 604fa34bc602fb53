"""A world's orders as a shop system has them, and the traps that all its exports share.

The orders of the clean tables are in it, each with what a customer typed that day, and others that
are no purchases, at other moments and in part by people who never bought anything.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from perennial.simulation.draws import Array, Draws
from perennial.simulation.forms.planted import (
    COMMON,
    RULES,
    WHOLLY_REFUNDED,
    Span,
    address_book,
    plant,
    seconds,
)
from perennial.simulation.world import World

TAX, SHIPPING, FREE_SHIPPING_FROM = 0.08, 4.90, 50.0
GIFT_CARD, GIFT_CARD_SHARE = 50.0, 0.005
GUESTS, SPELLING, OTHER_EMAIL = 0.18, 0.03, 0.02  # shares of the orders
FIRST_NUMBER = 1001
REFUND_DAYS, CANCELED_AFTER = 9.0, 2 / 24  # after the order: a mean, and at most


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
        :data:`perennial.simulation.forms.planted.NO_PURCHASE`), who ordered (``customer_id``,
        ``known_as``, ``is_guest``, ``email``, ``phone``, ``external_id``), ``ordered_at``,
        ``canceled_at``, ``refunded_at``, amounts in cents: ``items``, ``discount``, ``refund`` (of
        goods), ``tax``, ``shipping``, ``gift_card``; and whether its refund ``is_late``, after the
        world's end.
    lines
        One row per line: ``number``, ``sku``, ``name``, ``quantity``, ``price`` of a unit,
        ``discount``, ``refund``, in cents.
    kinds
        What of :data:`perennial.simulation.forms.planted.NO_PURCHASE` is in it.
    draws
        Random numbers for the form.
    world
        Where they come from.
    """

    orders: pd.DataFrame
    lines: pd.DataFrame
    kinds: tuple[str, ...]
    draws: Draws
    world: World

    @property
    def is_void(self) -> pd.Series:
        """Which canceled orders were never paid."""
        return (self.orders["kind"] == "canceled") & (self.orders["number"] % 2 == 0)

    @property
    def is_whole(self) -> pd.Series:
        """Which orders were paid and given back in full."""
        return self.orders["kind"].isin(WHOLLY_REFUNDED) & ~self.is_void

    def given_back(self, total: pd.Series) -> pd.Series:
        """Return what was given back of orders, in cents: goods and their tax, or the whole `total`."""
        orders = self.orders
        goods = orders["items"] - orders["discount"]
        taxed = (orders["refund"] * (1 + orders["tax"] / goods.where(goods > 0, 1))).round()
        return taxed.astype(np.int64).where(~orders["kind"].isin(WHOLLY_REFUNDED), total)

    def pick(self, purpose: str, share: float) -> Array:
        """Draw a share of the orders."""
        return np.asarray(self.draws.uniform(purpose, self.orders["key"].to_numpy()) < share)

    def counted(self, *more: Planted) -> tuple[Planted, ...]:
        """Return the traps of every form, and further ones."""
        orders = self.orders
        counts = {kind: int((orders["kind"] == kind).sum()) for kind in self.kinds}
        purchases = orders[orders["kind"] == "purchase"]
        counts |= {
            "guest_other_email": int((purchases["alias"] == "phone").sum()),
            "guest_unknown": int((purchases["alias"] == "unknown").sum()),
            "email_spelling": int((purchases["alias"] == "spelling").sum()),
            "gift_card": int((purchases["gift_card"] > 0).sum()),
            "partly_refunded": int((purchases["refund"] > 0).sum()),
        }
        return (*(Planted(trap, n, RULES[trap]) for trap, n in counts.items()), *more)

    def late(self) -> Planted:
        """Return the trap of refunds that were made after the end."""
        trap = "refund_not_known"
        return Planted(trap, int(self.orders["is_late"].sum()), RULES[trap])

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
            dtype=str,
        )


def save_ledger(
    world: World, kinds: tuple[str, ...] = COMMON, *, has_dates: bool = False
) -> Ledger:
    """Return a world's orders as a shop system has them.

    Parameters
    ----------
    world
        The world.
    kinds
        What of :data:`perennial.simulation.forms.planted.NO_PURCHASE` to plant.
    has_dates
        Whether refunds have their dates: those from after the world's end are then not known.
    """
    draws = Draws(world.seed)
    orders = world.orders.to_pandas()
    orders["key"] = np.array([int(text[1:], 16) for text in orders["order_id"]], dtype=np.uint64)
    orders["kind"] = "purchase"
    for name, column in (("items", "gross"), ("discount", "discount"), ("refund", "refund")):
        orders[name] = _cents(orders[f"{column}_amount"])
    orders, lines = plant(orders, _lines(world), kinds, span(world), draws)
    orders = orders.sort_values(["ordered_at", "order_id"], kind="stable", ignore_index=True)
    orders["number"] = np.arange(FIRST_NUMBER, FIRST_NUMBER + len(orders))
    orders = _with_dates(orders, span(world)[1], draws)
    if has_dates:
        orders, lines = _as_known(orders, lines)
    lines = lines.merge(orders[["order_id", "number"]], on="order_id")
    lines = lines.sort_values("number", kind="stable", ignore_index=True)
    orders = _with_who(orders, world, draws)
    worth = orders["items"] - orders["discount"]
    orders["shipping"] = np.where(worth < 100 * FREE_SHIPPING_FROM, round(100 * SHIPPING), 0)
    orders["tax"] = np.rint(worth * TAX).astype(np.int64)
    gives = draws.uniform("gift card", orders["key"].to_numpy()) < GIFT_CARD_SHARE
    is_gift = gives & (orders["kind"] == "purchase")
    orders["gift_card"] = np.where(is_gift, round(100 * GIFT_CARD), 0)
    return Ledger(orders, lines, kinds, draws, world)


def span(world: World) -> Span:
    """Return the moments at which a world starts and ends."""
    zone = ZoneInfo(world.profile.timezone)
    start, end = (
        pd.Timestamp(datetime.combine(day, time.min, zone).astimezone(UTC))
        for day in (world.start, world.end)
    )
    return start, end


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


def _with_dates(orders: pd.DataFrame, end: pd.Timestamp, draws: Draws) -> pd.DataFrame:
    """Add when orders were canceled and refunded: what is no purchase is known as such before the end."""
    at, kind = orders["ordered_at"], orders["kind"]
    left = (end - at).dt.total_seconds().to_numpy() / 86_400
    canceled = _after(at, np.minimum(CANCELED_AFTER, left / 2)).where(kind == "canceled")
    u = draws.uniform("refund wait", orders["key"].to_numpy())
    wait = -REFUND_DAYS * np.log(u)
    wait = np.where((kind == "refunded") & (wait >= left), left * u, wait)
    refunded = _after(at, wait).where(kind != "canceled", canceled).where(orders["refund"] > 0)
    is_late = (kind == "purchase") & (refunded >= end)
    return orders.assign(canceled_at=canceled, refunded_at=refunded, is_late=is_late)


def _after(at: pd.Series, days: Array) -> pd.Series:
    return at + seconds(86_400 * days)


def _as_known(orders: pd.DataFrame, lines: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return orders and lines without the refunds that are made after the end."""
    late = orders["is_late"]
    orders = orders.assign(
        refund=orders["refund"].where(~late, 0), refunded_at=orders["refunded_at"].where(~late)
    )
    is_late = lines["order_id"].isin(orders.loc[late, "order_id"])
    return orders, lines.assign(refund=lines["refund"].where(~is_late, 0))


def _with_who(orders: pd.DataFrame, world: World, draws: Draws) -> pd.DataFrame:
    """Add what the customer typed: e-mail and phone, not always the same."""
    book = address_book(world.customers.to_pandas(), orders, draws)
    for name in book:
        orders[name] = orders["customer_id"].map(book[name]).astype(str)
    key = orders["key"].to_numpy()
    u = draws.uniform("e-mail", key)
    other = np.where(orders["phone"].notna(), "phone", "unknown")
    alias = np.select([u < SPELLING, u < SPELLING + OTHER_EMAIL], ["spelling", other], "")
    orders["alias"] = np.where(orders["kind"] == "purchase", alias, "")
    is_other = orders["alias"].isin(["phone", "unknown"])
    orders["is_guest"] = is_other | (draws.uniform("guest", key) < GUESTS)
    second = "private." + orders["email"].str.replace("example.com", "example.net")
    spelled = orders["email"].str.upper() + " "
    typed = np.select(
        [is_other, orders["alias"] == "spelling"], [second, spelled], orders["email"]
    )
    orders["email"] = pd.Series(typed, index=orders.index, dtype=str)
    is_nobody = orders["kind"] == "no_customer"
    orders.loc[is_nobody, ["email", "phone", "external_id"]] = None
    orders.loc[is_nobody, "is_guest"] = True
    orders["known_as"] = orders["customer_id"] + np.where(orders["alias"] == "unknown", "?", "")
    return orders


def money(cents: pd.Series) -> pd.Series:
    """Write cents as an amount with two decimals."""
    return pd.Series([f"{value / 100:.2f}" for value in cents], index=cents.index, dtype=str)
