"""The tables that a store keeps of what happened."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features import tables
from perennial.simulation import aftermath
from perennial.simulation.aftermath import Events
from perennial.simulation.baskets import (
    FRIEND,
    PROMOTION,
    THANKS,
    WELCOME,
    Discounts,
    Lines,
    Orders,
)
from perennial.simulation.calendar import Calendar
from perennial.simulation.draws import Array, Draws, Keys
from perennial.simulation.people import People, cycle_days
from perennial.simulation.prices import Ints
from perennial.simulation.profiles import ACTIONS, REFERRAL
from perennial.simulation.purchases import Actions, action_effects

ARROW = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "float64": pa.float64(),
    "int64": pa.int64(),
    "boolean": pa.bool_(),
}
TABLES: dict[str, type[tables.Table]] = {
    "orders": tables.Orders,
    "order_lines": tables.OrderLines,
    "line_amounts": tables.LineAmounts,
    "customers": tables.Customers,
    "marketing_spend": tables.MarketingSpend,
    "referrals": tables.Referrals,
    "nps": tables.Nps,
    "reviews": tables.Reviews,
    "loyalty_events": tables.LoyaltyEvents,
    "touches": tables.Touches,
    "truth": tables.Truth,
}
FIRST_NAMES = (
    "ada", "ben", "cleo", "dan", "eva", "finn", "gia", "hugo", "ines", "jon",
    "kai", "lea", "mia", "noa", "oli", "pia", "quinn", "rui", "sam", "tess",
)  # fmt: skip
LAST_NAMES = (
    "adams", "brown", "costa", "diaz", "evans", "fischer", "garcia", "hansen",
    "ito", "jones", "khan", "lopez", "meyer", "novak", "olsen", "park",
)  # fmt: skip
CUSTOMER_ID = re.compile("c[0-9a-f]{16}")
HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
PLACES, PLACE_WEIGHTS = ("web", "app", "store"), (0.72, 0.2, 0.08)


@dataclass(frozen=True)
class Life:
    """All that happened to some customers, and what was done for them."""

    people: People
    orders: Orders
    given: Discounts
    lines: Lines
    actions: Actions
    invitations: Events


def customer_ids(key: Keys) -> pa.Array:
    """Return the customers' ids: the letter c and 16 hexadecimal digits."""
    return _ids("c", key)


def customer_keys(ids: pa.Array) -> Keys:
    """Return the keys behind customers' ids.

    Raises
    ------
    ValueError
        An id that no simulated customer can have.
    """
    texts = [str(text) for text in ids.to_pylist()]
    wrong = [text for text in texts if not CUSTOMER_ID.fullmatch(text)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no simulated customer's id")
    return np.array([int(text[1:], 16) for text in texts], dtype=np.uint64)


def _ids(prefix: str, key: Keys) -> pa.Array:
    """Write keys as a letter and 16 hexadecimal digits."""
    octets = key.astype(">u8").view(np.uint8).reshape(len(key), 8)
    digits = np.stack([HEX[octets >> 4], HEX[octets & 15]], axis=-1).reshape(len(key), 16)
    letter = np.full((len(key), 1), ord(prefix), dtype=np.uint8)
    text = np.ascontiguousarray(np.hstack([letter, digits]))
    ends = np.arange(len(key) + 1, dtype=np.int64) * 17
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.large_string(), len(key), buffers).cast(pa.string())


def _named(names: list[str] | tuple[str, ...], code: Ints) -> pa.Array:
    """Return the names behind numbers; -1 = null."""
    return pa.array(list(names), pa.string()).take(pa.array(code, mask=np.asarray(code) < 0))


def _money(cents: Ints) -> Array:
    return np.asarray(cents / 100)


def to_tables(life: Life, calendar: Calendar, draws: Draws) -> dict[str, pa.Table]:
    """Return the tables of some customers, sorted by time; what happens after the end is not in them."""
    people, orders, lines = life.people, life.orders, life.lines
    profile, count = calendar.profile, len(orders.who)
    spent = _money(np.bincount(lines.order, lines.gross - lines.discount, count))
    happened: dict[str, tuple[Callable[..., dict[str, Any]], Events]] = {
        "referrals": (_referrals, life.invitations),
        "nps": (_nps, aftermath.answers(orders, people, draws)),
        "reviews": (
            partial(_reviews, product_ids(calendar)),
            aftermath.reviews(orders, lines, people, profile.review_share, draws),
        ),
        "loyalty_events": (
            _loyalty,
            aftermath.loyalty(orders, spent, people, profile.loyalty_share, draws),
        ),
        "touches": (_touches, aftermath.touches(orders, life.actions, people, draws)),
    }
    by_time = np.argsort(orders.time, kind="stable")
    place = np.empty_like(by_time)
    place[by_time] = np.arange(count)
    lines_by_time = np.argsort(place[lines.order], kind="stable")
    columns = {
        "orders": _orders(life, by_time, calendar, draws),
        "order_lines": _lines(life, lines_by_time, calendar),
        "line_amounts": _line_amounts(life, lines_by_time),
        "customers": _customers(people, calendar, draws),
        "truth": _truth(people, calendar),
    }
    for name, (write, events) in happened.items():
        past = events[np.flatnonzero(events.time < calendar.days)]
        past = past[np.argsort(past.time, kind="stable")]
        who = customer_ids(people.key[past.who])
        columns[name] = write(past, who, calendar.moments(past.time))
    return {name: write_table(name, written) for name, written in columns.items()}


def _referrals(events: Events, who: pa.Array, at: pa.Array) -> dict[str, Any]:
    came = events.facts["is_converted"]
    friend = customer_ids(events.facts["friend"])
    return {
        "referrer_id": who,
        "occurred_at": at,
        "event": _named(["invited", "converted"], came.astype(np.int64)),
        "referred_id": pc.if_else(pa.array(came), friend, pa.scalar(None, pa.string())),
        "reward_amount": np.where(came, aftermath.REWARD, 0.0),
    }


def _nps(events: Events, who: pa.Array, at: pa.Array) -> dict[str, Any]:
    return {"customer_id": who, "answered_at": at, "score": events.facts["score"]}


def _reviews(products: list[str], events: Events, who: pa.Array, at: pa.Array) -> dict[str, Any]:
    return {
        "customer_id": who,
        "order_id": _ids("o", events.facts["order"]),
        "product_id": _named(products, events.facts["product"]),
        "reviewed_at": at,
        "rating": events.facts["rating"],
    }


def _loyalty(events: Events, who: pa.Array, at: pa.Array) -> dict[str, Any]:
    return {
        "customer_id": who,
        "occurred_at": at,
        "event": _named(aftermath.LOYALTY_EVENTS, events.facts["event"]),
        "points": events.facts["points"],
        "tier": _named([tier for _, tier in aftermath.TIERS], events.facts["tier"]),
    }


def _touches(events: Events, who: pa.Array, at: pa.Array) -> dict[str, Any]:
    campaigns = aftermath.CAMPAIGNS
    campaign = events.facts["campaign"]
    return {
        "customer_id": who,
        "sent_at": at,
        "channel": _named([*(c.channel for c in campaigns), "email"], campaign),
        "campaign": _named([*(c.name for c in campaigns), "investment"], campaign),
        "action": _named(ACTIONS, events.facts["action"]),
        "cost_amount": events.facts["cost_amount"],
    }


def _orders(life: Life, by_time: Ints, calendar: Calendar, draws: Draws) -> dict[str, Any]:
    lines, orders = life.lines, life.orders[by_time]
    amount = {
        part: np.bincount(lines.order, getattr(lines, part), len(by_time)).astype(np.int64)[
            by_time
        ]
        for part in ("gross", "discount", "refund")
    }
    place = draws.choice(PLACE_WEIGHTS, "place", life.people.key[orders.who])
    return {
        "order_id": _ids("o", orders.key),
        "customer_id": customer_ids(life.people.key[orders.who]),
        "ordered_at": calendar.moments(orders.time),
        "order_date": calendar.dates(orders.time),
        **{f"{part}_amount": _money(cents) for part, cents in amount.items()},
        "net_amount": _money(amount["gross"] - amount["discount"] - amount["refund"]),
        "currency": _named([calendar.profile.currency], np.zeros_like(orders.who)),
        "channel": _named(PLACES, place),
        "discount_code": _codes(orders.day, life.given.code[by_time], calendar),
        "source": _named(["simulated"], np.zeros_like(orders.who)),
    }


def _codes(day: Ints, code: Ints, calendar: Calendar) -> pa.Array:
    """Name the discount code of each order; a promotion's carries the year in which it began."""
    fixed = {WELCOME: "WELCOME10", FRIEND: "FRIEND20", THANKS: "THANKYOU"}
    sales = calendar.profile.promotions
    years = calendar.sale_years
    names = [fixed[code] for code in sorted(fixed)]
    names += [calendar.code_of(sale, year) for year in years for sale in sales]
    sale = (calendar.promotion_year[day] - years[0]) * len(sales) + calendar.promotion[day]
    return _named(names, np.where(code == PROMOTION, len(fixed) + sale, code))


def product_ids(calendar: Calendar) -> list[str]:
    """Return the products' ids, in the order of the profile."""
    return [f"p{number:03}" for number in range(1, max(len(calendar.profile.products), 1) + 1)]


def bundle_ids(calendar: Calendar) -> list[str]:
    """Return the bundles' ids, in the order of the profile."""
    return [f"b{number:02}" for number in range(1, len(calendar.profile.bundles) + 1)]


def _lines(life: Life, by_time: Ints, calendar: Calendar) -> dict[str, Any]:
    lines = life.lines[by_time]
    products = calendar.profile.products
    return {
        "order_id": _ids("o", life.orders.key[lines.order]),
        "product_id": _named(product_ids(calendar), lines.product),
        "product_name": _named([p.name for p in products] or ["Purchase"], lines.product),
        "category": _named([p.category for p in products] or ["all"], lines.product),
        "bundle_id": _named(bundle_ids(calendar), lines.bundle),
        "quantity": lines.quantity,
        "net_amount": _money(lines.gross - lines.discount - lines.refund),
        "cost_amount": _money(lines.cost),
    }


def _line_amounts(life: Life, by_time: Ints) -> dict[str, Any]:
    lines = life.lines[by_time]
    return {
        "order_id": _ids("o", life.orders.key[lines.order]),
        "unit_price": _money(lines.gross // lines.quantity),
        "gross_amount": _money(lines.gross),
        "discount_amount": _money(lines.discount),
        "refund_amount": _money(lines.refund),
    }


def contacts(key: Keys, draws: Draws) -> dict[str, pa.Array]:
    """Return the e-mail, the phone and the shop system's number of the people behind keys."""
    digits = pc.utf8_slice_codeunits(customer_ids(key), 1, 13)
    first = _named(FIRST_NAMES, draws.choice(np.ones(len(FIRST_NAMES)), "first name", key))
    last = _named(LAST_NAMES, draws.choice(np.ones(len(LAST_NAMES)), "last name", key))
    name = pc.binary_join_element_wise(first, last, digits, ".")
    number = pa.array(key % np.uint64(9 * 10**12) + np.uint64(10**12)).cast(pa.string())
    has_phone = pa.array(draws.uniform("has phone", key) < 0.55)
    phone = pc.binary_join_element_wise("+1", number, "")
    return {
        "email": pc.binary_join_element_wise(name, "@example.com", ""),
        "phone": pc.if_else(has_phone, phone, pa.scalar(None, pa.string())),
        "external_id": number,
    }


def _customers(people: People, calendar: Calendar, draws: Draws) -> dict[str, Any]:
    people = people[np.argsort(people.time, kind="stable")]
    channels = [*(c.name for c in calendar.profile.channels), REFERRAL.name]
    is_referred = pa.array(people.referrer > 0)
    none = pa.scalar(None, pa.string())
    return {
        "customer_id": customer_ids(people.key),
        **contacts(people.key, draws),
        "acquired_via": _named(
            channels, np.where(people.channel < 0, len(channels) - 1, people.channel)
        ),
        "referred_by": pc.if_else(is_referred, customer_ids(people.referrer), none),
        "accepts_marketing": aftermath.accepts_marketing(people, draws),
    }


def _truth(people: People, calendar: Calendar) -> dict[str, Any]:
    people, profile = people[np.argsort(people.time, kind="stable")], calendar.profile
    return {
        "customer_id": customer_ids(people.key),
        "purchase_rate": people.rate,
        "regularity": np.full(len(people), profile.regularity),
        "dropout_chance": people.leave,
        "dropout_rate": people.life_rate,
        "may_leave_first": np.full(len(people), profile.dropout != "bg"),
        "spend_level": people.spend,
        "spend_variance": people.spend**2 / profile.p,
        "season_response": people.season,
        "discount_response": people.discount,
        "product_cycle_days": cycle_days(profile)[people.product],
        "satisfaction": people.satisfaction,
        "referral_propensity": people.referral,
        "is_wholesale": people.is_wholesale,
        **action_effects(people, profile.regularity, 1 - profile.cost_share),
    }


def write_table(name: str, columns: Mapping[str, Any] | None = None) -> pa.Table:
    """Give columns, NumPy's or Arrow's, the names and types of a table; without any, it is empty."""
    schema = pa.schema([(n, ARROW[kind]) for n, kind in TABLES[name].schema().items()])
    if columns is None:
        return schema.empty_table()
    arrays = [_typed(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _typed(values: Any, kind: pa.DataType) -> pa.Array:  # noqa: ANN401  # NumPy or Arrow
    if isinstance(values, np.ndarray):
        missing = np.isnan(values) if values.dtype.kind == "f" else None
        return pa.array(values, kind, mask=missing)
    return values.cast(kind)
