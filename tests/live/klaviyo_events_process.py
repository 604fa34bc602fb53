"""What happens to an account over time: at random, or as a simulated store had it."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from perennial.simulation import World
from perennial.simulation.forms.ledger import Ledger, save_ledger, span
from tests.live import klaviyo_events_payloads as payloads
from tests.live.double import Clock
from tests.live.klaviyo_events_records import (
    ACTIVE,
    CLICKED,
    GIFT_CARD,
    OPENED,
    PRODUCTS,
    RECEIVED,
    RECEIVED_SMS,
    UNSUBSCRIBED,
    VIEWED,
    Contact,
    Line,
    Order,
    Product,
    Profile,
    Refund,
    RefundLine,
)
from tests.live.klaviyo_events_store import Account, Store

FIRST_ORDER = 5_000_000
MINUTE = timedelta(minutes=1)
SOURCES = {"web": "web", "app": "580111", "store": "pos"}


# messages and visits


def message_id(campaign: str) -> str:
    return "01JS" + campaign.upper().replace(" ", "")[:20]


def receive_email(
    store: Store, profile: Profile, campaign: str, at: datetime, **properties: Any
) -> None:
    """Let an e-mail reach somebody; a flow's has the property `$flow`."""
    content = payloads.message(campaign, message_id(campaign), profile, at) | properties
    store.record(store.metric(RECEIVED, "klaviyo"), profile.id, at, properties=content)


def open_email(
    store: Store, profile: Profile, campaign: str, at: datetime, *, is_machine: bool = False
) -> None:
    """Let an e-mail be opened, by its reader or by Apple's privacy proxy."""
    client = ("Apple Mail", "iOS") if is_machine else ("Gmail", "Android")
    content = payloads.message(campaign, message_id(campaign), profile, at) | {
        "machine_open": is_machine,
        "Apple Privacy Open": is_machine,
        "Client Name": client[0],
        "Client OS Family": client[1],
        "Client Type": "Mobile",
    }
    store.record(store.metric(OPENED, "klaviyo"), profile.id, at, properties=content)


def click_email(
    store: Store,
    profile: Profile,
    campaign: str,
    at: datetime,
    *,
    is_bot: bool = False,
    url: str = "https://shop.example/products/house-beans",
) -> None:
    """Let a link be followed, by the reader or by a scanner of links."""
    content = payloads.message(campaign, message_id(campaign), profile, at) | {
        "URL": url,
        "Bot Click": is_bot,
        "Client Name": "Gmail",
        "Client Type": "Mobile",
    }
    store.record(store.metric(CLICKED, "klaviyo"), profile.id, at, properties=content)


def unsubscribe(store: Store, profile: Profile, at: datetime) -> None:
    """Let somebody unsubscribe from e-mails."""
    content = {"Method": "Preference Page", "$event_id": f"{profile.id}:{int(at.timestamp())}"}
    store.record(store.metric(UNSUBSCRIBED, "klaviyo"), profile.id, at, properties=content)


def visit(store: Store, profile: Profile, at: datetime, product: Product | None = None) -> None:
    """Let a visitor of the site be recognized."""
    page = f"https://shop.example/products/{product.id}" if product else "https://shop.example/"
    content: dict[str, Any] = {"page": page, "$event_id": f"{profile.id}:{int(at.timestamp())}"}
    if product is not None:
        content |= {"ProductName": product.title, "ProductID": str(product.id)}
    name = ACTIVE if product is None else VIEWED
    store.record(store.metric(name, "api"), profile.id, at, properties=content)


# at random


def step(store: Store, rng: random.Random) -> str:
    """Let one thing happen now and return its name.

    The clock stands still. What is not possible, such as a refund without an order, becomes an
    order.
    """
    names = list(STEPS)
    name = rng.choices(names, [STEPS[name][0] for name in names])[0]
    if STEPS[name][1](store, rng):
        return name
    _order(store, rng)
    return "order"


def random_order(
    store: Store, rng: random.Random, at: datetime | None = None, **values: Any
) -> Order:
    """Draw an order of somebody new or of somebody who ordered before."""
    number = 1 + len(store.orders)
    if store.orders and rng.random() < 0.6:
        contact = rng.choice(list(store.orders.values())).contact
    else:
        contact = Contact(
            email=f"person{number}@example.com",
            phone=f"+1500555{number:04}" if rng.random() < 0.5 else None,
            customer_id=8_000_000 + number if rng.random() < 0.8 else None,
        )
    lines = tuple(_random_line(rng) for _ in range(rng.randint(1, 3)))
    drawn: dict[str, Any] = {"contact": contact, "lines": lines}
    return Order(
        id=str(FIRST_ORDER + number),
        number=1000 + number,
        ordered_at=at or store.now(),
        shipping=rng.choice([0, 490]),
        tax_rate=0.2,
        taxes_included=rng.random() < 0.5,
        currency=store.account.currency,
        codes=("WELCOME10",) if any(line.discount for line in lines) else (),
        source_name=rng.choice(["web", "web", "web", "pos"]),
        **(drawn | values),
    )


def _random_line(rng: random.Random) -> Line:
    product, quantity = rng.choice(PRODUCTS), rng.randint(1, 3)
    is_cheaper = rng.random() < 0.3 and not product.is_gift_card
    return Line(product, quantity, product.price * quantity // 10 if is_cheaper else 0)


def _order(store: Store, rng: random.Random) -> bool:
    store.place_order(random_order(store, rng))
    return True


def _test_order(store: Store, rng: random.Random) -> bool:
    store.place_order(random_order(store, rng, is_test=True))
    return True


def _phone_order(store: Store, rng: random.Random) -> bool:
    phone = f"+1500666{len(store.orders):04}"
    store.place_order(random_order(store, rng, contact=Contact(None, phone, None)))
    return True


def _late_order(store: Store, rng: random.Random) -> bool:
    """An order with an old date that arrives only now, as of a platform that is asked hourly."""
    at = store.now() - timedelta(hours=rng.choice([1, 5, 30, 400]))
    store.place_order(random_order(store, rng, at), received=store.now())
    return True


def _future_order(store: Store, rng: random.Random) -> bool:
    """An order dated ahead of time, by a wrong clock or zone."""
    at = store.now() + timedelta(hours=rng.uniform(1, 18))
    store.place_order(random_order(store, rng, at), received=store.now())
    return True


def _open_order(store: Store, rng: random.Random) -> Order | None:
    orders = [
        order
        for order in store.orders.values()
        if order.void_at is None and order.ordered_at <= store.now()
    ]
    return rng.choice(orders) if orders else None


def _fulfill(store: Store, rng: random.Random) -> bool:
    order = _open_order(store, rng)
    if order is not None:
        store.fulfill(order.id)
    return order is not None


def _cancel(store: Store, rng: random.Random) -> bool:
    order = _open_order(store, rng)
    if order is not None:
        store.cancel(order.id)
    return order is not None


def _refund(store: Store, rng: random.Random) -> bool:
    order = _open_order(store, rng)
    if order is not None:
        store.refund(order.id)
    return order is not None


def _refund_part(store: Store, rng: random.Random) -> bool:
    order = _open_order(store, rng)
    if order is None or order.refunds or len(order.lines) < 2:
        return False
    line = order.lines[0]
    store.refund(order.id, (RefundLine(0, line.quantity, line.worth),))
    return True


def _edit(store: Store, rng: random.Random) -> bool:
    order = _open_order(store, rng)
    if order is None or order.edits or order.lines[0].quantity < 2:
        return False
    store.edit(order.id, 0, 1)
    return True


def _someone(store: Store, rng: random.Random) -> Profile | None:
    return rng.choice(list(store.profiles.values())) if store.profiles else None


def _campaign(store: Store, rng: random.Random) -> bool:
    people = list(store.profiles.values())
    at, name = store.now(), f"{store.now():%Y-%m-%d %H%M} Beans"
    for profile in rng.sample(people, min(len(people), 10)):
        receive_email(store, profile, name, at)
        open_email(store, profile, name, at + 20 * MINUTE / 60, is_machine=True)
        if rng.random() < 0.3:
            open_email(store, profile, name, at + rng.randint(2, 600) * MINUTE)
        if rng.random() < 0.2:
            click_email(store, profile, name, at + MINUTE, is_bot=True)
        if rng.random() < 0.1:
            click_email(store, profile, name, at + rng.randint(2, 600) * MINUTE)
    return bool(people)


def _unsubscribe(store: Store, rng: random.Random) -> bool:
    profile = _someone(store, rng)
    if profile is not None:
        unsubscribe(store, profile, store.now())
    return profile is not None


def _visit(store: Store, rng: random.Random) -> bool:
    profile = _someone(store, rng)
    if profile is not None:
        visit(store, profile, store.now(), rng.choice([None, *PRODUCTS]))
    return profile is not None


def _merge(store: Store, rng: random.Random) -> bool:
    if len(store.profiles) < 2:
        return False
    survivor, other = rng.sample(list(store.profiles), 2)
    store.merge(survivor, other)
    return True


def _erase(store: Store, rng: random.Random) -> bool:
    profile = _someone(store, rng)
    if profile is not None:
        store.erase(profile.id)
    return profile is not None


def _change_email(store: Store, rng: random.Random) -> bool:
    profile = _someone(store, rng)
    if profile is not None:
        store.change_profile(profile.id, email=f"new{len(store.events)}@example.com")
    return profile is not None


STEPS: dict[str, tuple[float, Callable[[Store, random.Random], bool]]] = {
    "order": (30, _order),
    "test_order": (1, _test_order),
    "phone_order": (1, _phone_order),
    "late_order": (3, _late_order),
    "future_order": (2, _future_order),
    "fulfill": (10, _fulfill),
    "cancel": (4, _cancel),
    "refund": (4, _refund),
    "refund_part": (6, _refund_part),
    "edit": (3, _edit),
    "campaign": (4, _campaign),
    "unsubscribe": (2, _unsubscribe),
    "visit": (8, _visit),
    "merge": (2, _merge),
    "erase": (1, _erase),
    "change_email": (2, _change_email),
}


# a simulated store


@dataclass(frozen=True)
class Connection:
    """When the account was connected to a shop that existed before, and how its past arrived.

    Attributes
    ----------
    at
        The last 90 days arrive within an hour; what is older follows within `days`, newest first.
    days
        See `at`.
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
        if happened >= recent:
            return self.at + timedelta(hours=1)
        share = (recent - happened) / max(recent - first, timedelta(seconds=1))
        return self.at + timedelta(hours=1) + share * timedelta(days=self.days)


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
    lines = {int(str(number)): part for number, part in ledger.lines.groupby("number")}
    row: Any  # a named tuple of pandas
    for row in ledger.orders.itertuples(index=False):
        _load_order(store, row, lines.get(int(row.number)), ledger, connection)
    if has_messages:
        _load_messages(store, world)
    return store


def _moment(value: Any) -> datetime | None:
    return None if pd.isna(value) else value.to_pydatetime().astimezone(UTC).replace(microsecond=0)


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _load_order(
    store: Store,
    row: Any,
    lines: pd.DataFrame | None,
    ledger: Ledger,
    connection: Connection | None,
) -> None:
    parts: list[Any] = list(lines.itertuples(index=False)) if lines is not None else []
    goods = [Line(_product(part), int(part.quantity), int(part.discount)) for part in parts]
    if row.gift_card:
        product = GIFT_CARD
        goods.append(
            Line(Product(product.id, product.variant_id, product.title, "", int(row.gift_card),
                         is_gift_card=True))
        )  # fmt: skip
    email, phone, customer = _text(row.email), _text(row.phone), _text(row.external_id)
    is_member = customer is not None and not row.is_guest
    ordered_at, first = _moment(row.ordered_at), _moment(ledger.orders["ordered_at"].min())
    assert ordered_at is not None
    assert first is not None
    code = _text(row.discount_code)
    order = Order(
        id=str(5_000_000_000_000 + row.number * 32_768),
        number=int(row.number),
        contact=Contact(email, phone, int(customer) if customer and is_member else None),
        ordered_at=ordered_at,
        lines=tuple(goods),
        shipping=int(row.shipping),
        tax_rate=0.08,
        currency=row.currency,
        codes=(code,) if code else (),
        source_name=SOURCES[row.channel],
        is_test=row.kind == "test",
    )
    refunded_at, cancelled_at = _moment(row.refunded_at), _moment(row.canceled_at)
    was_paid = row.kind != "canceled" or row.number % 2 == 1
    back = tuple(
        RefundLine(n, int(part.quantity), int(part.refund))
        for n, part in enumerate(parts)
        if part.refund > 0
    )
    if connection is not None and connection.has_later_state:
        order.cancelled_at = cancelled_at  # as `$extra` has them, by their own dates
        if back and was_paid and refunded_at is not None:
            order.refunds.append(Refund(1, refunded_at, back))
    visible = connection.visible(ordered_at, first) if connection else None
    state_at = connection.at if connection and connection.has_later_state and visible else None
    store.place_order(order, visible=visible, state_at=state_at)
    order.refunds.clear()
    for is_cancellation, at in ((True, cancelled_at), (False, refunded_at if back else None)):
        if at is None or not (is_cancellation or was_paid):
            continue
        shown = connection.visible(at, first) if connection else None
        is_sent = connection is None or shown is None or connection.sends_voids
        if is_cancellation:
            store.cancel(order.id, at, is_sent=is_sent, visible=shown)
        else:
            store.refund(order.id, back, at, is_sent=is_sent, visible=shown)


def _product(part: Any) -> Product:
    number = int(part.sku[1:])
    return Product(1000 + number, 2000 + number, part.name, part.sku, int(part.price))


def _load_messages(store: Store, world: World) -> None:
    emails = world.customers.select(["customer_id", "email"]).to_pandas()
    email_of = dict(zip(emails["customer_id"], emails["email"], strict=True))
    for row in world.touches.to_pandas().itertuples(index=False):
        profile, at = store.profile_of(Contact(email_of[row.customer_id])), _moment(row.sent_at)
        assert profile is not None
        assert at is not None
        if row.channel == "email":
            receive_email(store, profile, row.campaign, at)
        elif row.channel == "sms":
            metric = store.metric(RECEIVED_SMS, "klaviyo")
            content = payloads.message(row.campaign, message_id(row.campaign), profile, at)
            store.record(metric, profile.id, at, properties=content)
