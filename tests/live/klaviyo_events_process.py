"""What happens to an account: messages, visits, and a random process of all there is."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.live import klaviyo_events_payloads as payloads
from tests.live.klaviyo_events_records import (
    ACTIVE,
    CLICKED,
    OPENED,
    PRODUCTS,
    RECEIVED,
    UNSUBSCRIBED,
    VIEWED,
    Contact,
    Line,
    Order,
    Product,
    Profile,
    RefundLine,
)
from tests.live.klaviyo_events_store import Store

FIRST_ORDER = 5_000_000
MINUTE = timedelta(minutes=1)
MACHINE_NAMES = ("machine_open", "Apple Privacy Open")


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
    store: Store,
    profile: Profile,
    campaign: str,
    at: datetime,
    *,
    is_machine: bool = False,
    names: tuple[str, ...] = MACHINE_NAMES,
) -> None:
    """Let an e-mail be opened, by its reader or by Apple's privacy proxy.

    `names` are the properties that tell which: accounts have either or both.
    """
    client = ("Apple Mail", "iOS") if is_machine else ("Gmail", "Android")
    content = payloads.message(campaign, message_id(campaign), profile, at) | {
        **dict.fromkeys(names, is_machine),
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
    names = rng.choice([MACHINE_NAMES, MACHINE_NAMES[:1], MACHINE_NAMES[1:]])
    for profile in rng.sample(people, min(len(people), 10)):
        receive_email(store, profile, name, at)
        open_email(store, profile, name, at + MINUTE / 3, is_machine=True, names=names)
        if rng.random() < 0.3:
            open_email(store, profile, name, at + rng.randint(2, 600) * MINUTE, names=names)
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
