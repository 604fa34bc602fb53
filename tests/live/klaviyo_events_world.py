"""A simulated store's orders as an account of Klaviyo received them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from perennial.simulation import World
from perennial.simulation.forms.ledger import TAX, save_ledger, span
from tests.live import klaviyo_events_payloads as payloads
from tests.live.double import Clock
from tests.live.klaviyo_events_process import message_id, receive_email
from tests.live.klaviyo_events_records import (
    GIFT_CARD,
    RECEIVED_SMS,
    Contact,
    Line,
    Order,
    Product,
    Refund,
    RefundLine,
)
from tests.live.klaviyo_events_store import Account, Store

SOURCES = {"web": "web", "app": "580111", "store": "pos"}


@dataclass(frozen=True)
class Connection:
    """When the account was connected to a shop that existed before, and how its past arrived.

    Attributes
    ----------
    at
        The last 90 days are listed an hour later.
    days
        What is older follows within so many days, newest first.
    has_later_state
        Whether `$extra` of a past order has its cancellation and refunds until `at`.
    sends_voids
        Whether past cancellations and refunds get their own events.
    """

    at: datetime
    days: float = 2.0
    has_later_state: bool = False
    sends_voids: bool = True

    def visible(self, happened: datetime, first: datetime) -> datetime | None:
        """Return when a past event is listed; None for an event after the connection."""
        if happened >= self.at:
            return None
        recent = self.at - timedelta(days=90)
        start = self.at + timedelta(hours=1)
        if happened >= recent:
            return start
        share = (recent - happened) / max(recent - first, timedelta(seconds=1))
        return start + share * timedelta(days=self.days)


@dataclass(frozen=True)
class Fate:
    """What happened to an order later."""

    cancelled_at: datetime | None
    refunded_at: datetime | None
    refund: tuple[RefundLine, ...]


def load_world(
    world: World,
    *,
    clock: Clock | None = None,
    connection: Connection | None = None,
    has_messages: bool = False,
    **options: Any,
) -> Store:
    """Return an account that received a simulated store's orders from Shopify.

    Orders are those of `perennial.simulation.forms.ledger`: the clean tables' purchases, and
    cancelled, refunded, free and test orders and orders of nobody. Their ids are those of the form
    ``fivetran``. What happens after the clock's time becomes visible as it passes.

    Parameters
    ----------
    world
        The simulated store.
    clock
        Starts three hours after the world's end by default.
    connection
        How the past arrived; by default the account received each event when it happened.
    has_messages
        Whether the clean table of touches becomes Received Email and Received SMS.
    **options
        Of `Store`, such as `lag` and `formula`.
    """
    ledger = save_ledger(world, has_dates=True)
    end = span(world)[1].to_pydatetime().astimezone(UTC)
    account = Account(timezone=world.profile.timezone, currency=world.profile.currency)
    store = Store(clock or Clock(end + timedelta(hours=3)), account=account, **options)
    first = ledger.orders["ordered_at"].min().to_pydatetime()
    parts: dict[int, list[Any]] = defaultdict(list)
    row: Any  # a named tuple of pandas
    for row in ledger.lines.itertuples(index=False):
        parts[row.number].append(row)
    for row in ledger.orders.itertuples(index=False):
        order, fate = _order(row, parts[row.number]), _fate(row, parts[row.number])
        if connection is None:
            store.place_order(order)
            _void(store, order, fate)
        else:
            _connect(store, order, fate, connection, first)
    if has_messages:
        _load_messages(store, world)
    return store


def _order(row: Any, parts: Sequence[Any]) -> Order:
    lines = [Line(_product(part), int(part.quantity), int(part.discount)) for part in parts]
    if row.gift_card:
        lines.append(Line(replace(GIFT_CARD, price=int(row.gift_card))))
    customer = None if row.is_guest else _text(row.external_id)
    code = _text(row.discount_code)
    return Order(
        id=str(5_000_000_000_000 + row.number * 32_768),
        number=int(row.number),
        contact=Contact(_text(row.email), _text(row.phone), int(customer) if customer else None),
        ordered_at=_second(row.ordered_at),
        lines=tuple(lines),
        shipping=int(row.shipping),
        tax_rate=TAX,
        currency=row.currency,
        codes=(code,) if code else (),
        source_name=SOURCES[row.channel],
        is_test=row.kind == "test",
    )


def _product(part: Any) -> Product:
    number = int(part.sku[1:])
    return Product(1000 + number, 2000 + number, part.name, part.sku, int(part.price))


def _fate(row: Any, parts: Sequence[Any]) -> Fate:
    """Return what happened to an order; every second of the cancelled was never paid."""
    was_paid = row.kind != "canceled" or row.number % 2 == 1
    back = tuple(
        RefundLine(number, int(part.quantity), int(part.refund))
        for number, part in enumerate(parts)
        if part.refund > 0 and was_paid
    )
    return Fate(
        None if pd.isna(row.canceled_at) else _second(row.canceled_at),
        _second(row.refunded_at) if back else None,
        back,
    )


def _void(
    store: Store,
    order: Order,
    fate: Fate,
    connection: Connection | None = None,
    first: datetime | None = None,
) -> None:
    """Cancel and refund an order as it happened; a past event arrives with the past, or never."""
    for name, at in (("cancel", fate.cancelled_at), ("refund", fate.refunded_at)):
        if at is None:
            continue
        shown = connection.visible(at, first or at) if connection is not None else None
        is_sent = connection is None or shown is None or connection.sends_voids
        if name == "cancel":
            store.cancel(order.id, at, is_sent=is_sent, received=shown, visible=shown)
        else:
            store.refund(order.id, fate.refund, at, is_sent=is_sent, received=shown, visible=shown)


def _connect(
    store: Store, order: Order, fate: Fate, connection: Connection, first: datetime
) -> None:
    """Send an order of a shop that was connected later than it began."""
    shown = connection.visible(order.ordered_at, first)
    state_at = None
    if connection.has_later_state and shown is not None:
        state_at = connection.at
        order.cancelled_at = fate.cancelled_at  # what is later than the state is not in it
        if fate.refunded_at is not None:
            order.refunds.append(Refund(1, fate.refunded_at, fate.refund))
    store.place_order(order, received=shown, visible=shown, state_at=state_at)
    order.refunds.clear()
    _void(store, order, fate, connection, first)


def _load_messages(store: Store, world: World) -> None:
    emails = world.customers.select(["customer_id", "email"]).to_pandas()
    email_of = dict(zip(emails["customer_id"], emails["email"], strict=True))
    metric = store.metric(RECEIVED_SMS, "klaviyo")
    row: Any
    for row in world.touches.to_pandas().itertuples(index=False):
        profile, at = store.profile_of(Contact(email_of[row.customer_id])), _second(row.sent_at)
        assert profile is not None
        if row.channel == "email":
            receive_email(store, profile, row.campaign, at)
        elif row.channel == "sms":
            content = payloads.message(row.campaign, message_id(row.campaign), profile, at)
            store.record(metric, profile.id, at, properties=content)


def _second(value: pd.Timestamp) -> datetime:
    return value.to_pydatetime().astimezone(UTC).replace(microsecond=0)


def _text(value: object) -> str | None:
    return None if pd.isna(value) else str(value)  # type: ignore[call-overload]
