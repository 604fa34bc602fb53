"""What follows orders: invitations, reviews, answers, loyalty points and messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from perennial.simulation.baskets import Lines, Orders
from perennial.simulation.calendar import Calendar
from perennial.simulation.draws import Array, Draws
from perennial.simulation.people import CONVERTED, Arrivals, People, join
from perennial.simulation.prices import Flags, Ints
from perennial.simulation.profiles import ACTIONS, EFFECTS
from perennial.simulation.purchases import Actions

REWARD = 10.0  # store's currency, to who invited
ACCEPTING = 0.72  # of the customers agree to marketing
REDEEM = 250  # points at once; a unit of currency spent earns one
TIERS = ((3, "Silver"), (6, "Gold"), (12, "Platinum"))  # by orders
LOYALTY_EVENTS = ("enrolled", "earned", "redeemed", "tier_reached")
ENROLLED, EARNED, REDEEMED, TIER_REACHED = range(len(LOYALTY_EVENTS))


class Campaign(NamedTuple):
    """A message that is sent some days after an order without another."""

    name: str
    after: float
    channel: str
    cost: float


CAMPAIGNS = (
    Campaign("post_purchase", 5, "email", 0.01),
    Campaign("reorder", 30, "email", 0.01),
    Campaign("winback", 90, "sms", 0.04),
)
INVESTMENT = len(CAMPAIGNS)  # the campaign that the actions are sent in


@dataclass(frozen=True)
class Events:
    """Something that happened to customers, in any order.

    Attributes
    ----------
    who
        Shape (n,): position of the customer.
    time
        Shape (n,): days.
    facts
        Further columns, arrays of shape (n,) by name; names as numbers, -1 = none.
    """

    who: Ints
    time: Array
    facts: dict[str, np.ndarray]

    def __getitem__(self, rows: Ints | Flags) -> "Events":
        return Events(
            self.who[rows], self.time[rows], {n: values[rows] for n, values in self.facts.items()}
        )


def invitations(orders: Orders, people: People, draws: Draws) -> tuple[Events, Arrivals]:
    """Return the invitations after orders, and the friends whom they bring.

    Satisfied customers invite more; a friend shares some of the satisfaction.
    """
    chance = people.referral[orders.who] / CONVERTED
    asked = np.flatnonzero(draws.uniform("invites", orders.key) < chance)
    who, key = orders.who[asked], orders.key[asked]
    invited = orders.time[asked] + 3 + 9 * draws.exponential("invited after", key)
    comes = draws.uniform("friend comes", key) < CONVERTED
    arrival = invited + 0.5 + 8 * draws.exponential("friend comes after", key)
    friend = draws.keys("friend", key)
    events = Events(
        np.r_[who, who[comes]],
        np.r_[invited, arrival[comes]],
        {
            "is_converted": np.r_[
                np.zeros(len(who), dtype=bool), np.ones(comes.sum(), dtype=bool)
            ],
            "friend": np.r_[friend, friend[comes]],
        },
    )
    friends = Arrivals(
        key=friend[comes],
        time=arrival[comes],
        channel=np.full(int(comes.sum()), -1),
        referrer=people.key[who[comes]],
        inherited=people.satisfaction[who[comes]],
    )
    return events, friends


def reviews(orders: Orders, lines: Lines, people: People, share: float, draws: Draws) -> Events:
    """Return reviews of an order's first product: the delighted and the cross write more than others."""
    mood = people.satisfaction[orders.who] + 0.8 * draws.normal("mood", orders.key)
    chance = share * (0.6 + 0.4 * np.abs(mood))
    written = np.flatnonzero(draws.uniform("reviews", orders.key) < chance)
    first = np.searchsorted(lines.order, written)
    return Events(
        orders.who[written],
        orders.time[written] + 6 + 8 * draws.exponential("reviewed after", orders.key[written]),
        {
            "order": orders.key[written],
            "product": lines.product[first],
            "rating": np.digitize(mood[written], [-2.0, -1.4, -0.8, 0.1]) + 1,
        },
    )


def answers(orders: Orders, people: People, draws: Draws) -> Events:
    """Return answers to the survey that some orders are followed by."""
    asked = np.flatnonzero(draws.uniform("answers", orders.key) < 0.05)
    who, key = orders.who[asked], orders.key[asked]
    score = 8.0 + 1.5 * people.satisfaction[who] + 1.2 * draws.normal("answer", key)
    return Events(
        who,
        orders.time[asked] + 12 + 3 * draws.exponential("answered after", key),
        {"score": np.clip(np.rint(score), 0, 10).astype(np.int64)},
    )


def loyalty(orders: Orders, spent: Array, people: People, share: float, draws: Draws) -> Events:
    """Return what happens in the loyalty program; orders are sorted by customer and number.

    Two members in three join with the first order, the others with the second. A member earns a
    point per unit spent, spends :data:`REDEEM` points as soon as there are enough, and rises with
    the number of orders.
    """
    joins = draws.uniform("joins", people.key) / max(share, 1e-12)
    joined = np.where(joins < 2 / 3, 0, np.where(joins < 1, 1, np.iinfo(np.int64).max))
    member = np.flatnonzero(orders.number >= joined[orders.who])
    who, time, number = orders.who[member], orders.time[member], orders.number[member]
    is_new = np.ones(len(who), dtype=bool)
    is_new[1:] = who[1:] != who[:-1]
    points = np.floor(spent[member]).astype(np.int64)
    total = np.cumsum(points)
    earned = total - (total - points)[is_new][np.cumsum(is_new) - 1]
    redeemed = earned // REDEEM - (earned - points) // REDEEM
    parts = [
        _loyalty_event(who[is_new], time[is_new], ENROLLED),
        _loyalty_event(who, time + 1e-4, EARNED, points),
        _loyalty_event(who, time + 2e-4, REDEEMED, -REDEEM * redeemed)[redeemed > 0],
    ]
    for tier, (needed, _) in enumerate(TIERS):
        reached = number + 1 == needed
        parts.append(_loyalty_event(who[reached], time[reached] + 3e-4, TIER_REACHED, tier=tier))
    return join(parts)


def _loyalty_event(
    who: Ints, time: Array, event: int, points: Ints | int = 0, tier: int = -1
) -> Events:
    facts = {"event": event, "points": points, "tier": tier}
    return Events(who, time, {n: np.broadcast_to(v, len(who)) for n, v in facts.items()})


def accepts_marketing(people: People, draws: Draws) -> Flags:
    """Tell who agreed to marketing."""
    return draws.uniform("accepts marketing", people.key) < ACCEPTING


def touches(orders: Orders, actions: Actions, people: People, draws: Draws) -> Events:
    """Return what customers were sent: messages after orders, and the actions."""
    accepts = accepts_marketing(people, draws)[orders.who]
    who, time = orders.who, orders.time
    following = np.full(len(who), np.inf)
    same = who[1:] == who[:-1]
    following[:-1][same] = time[1:][same]
    parts = []
    for number, campaign in enumerate(CAMPAIGNS):
        at = time + campaign.after + 0.2 * draws.uniform(campaign.name, orders.key)
        sent = accepts & (at < following)
        parts.append(_touch(who[sent], at[sent], number, -1, campaign.cost))
    owner = np.repeat(np.arange(len(people)), actions.count)
    for kind, action in enumerate(ACTIONS):
        mine = actions.kind == kind
        at = actions.day[mine] + 0.3
        parts.append(_touch(owner[mine], at, INVESTMENT, kind, EFFECTS[action].cost))
    return join(parts)


def _touch(who: Ints, time: Array, campaign: int, action: int, cost: float) -> Events:
    facts = {"campaign": campaign, "action": action, "cost_amount": cost}
    return Events(who, time, {n: np.broadcast_to(v, len(who)) for n, v in facts.items()})


def marketing_spend(
    calendar: Calendar, arrivals: Array, draws: Draws
) -> Iterator[tuple[str, Array]]:
    """Yield each paid channel's name and amount of each day: what the day's arrivals cost, more or less."""
    day = np.arange(calendar.days)
    for channel in calendar.profile.channels:
        if channel.cost:
            noise = np.exp(0.15 * draws.normal(f"spend on {channel.name}", day) - 0.01125)
            amount = arrivals * channel.share * channel.cost * noise
            yield channel.name, np.rint(100 * amount) / 100
