"""What is in an order and what it costs: all money in cents."""

from dataclasses import dataclass, fields

import numpy as np

from perennial.simulation.calendar import Calendar
from perennial.simulation.draws import Array, Draws, Keys
from perennial.simulation.people import People, uses_promotion
from perennial.simulation.prices import Flags, Ints, budget, price_lists
from perennial.simulation.profiles import Profile

EXTRAS, EXTRA_CHANCE = 3, 0.45  # further products beside the main one, each by chance
AGAIN, LED_ON = 0.6, 0.3  # a later order is for the first product again, or for what it leads to
BUNDLE_AGAIN, BUNDLE_NEW = 0.35, 0.05  # a later order has the first bundle again, or a first one
WELCOME, FRIEND, THANKS, PROMOTION = range(4)  # discount codes
WELCOME_SHARE, FRIEND_SHARE = 0.10, 0.20


@dataclass(frozen=True)
class Orders:
    """Orders: arrays of shape (n,), sorted by customer and number.

    Attributes
    ----------
    who
        Position of the customer.
    number
        Of the customer's orders, from 0 on.
    time
        Days.
    key
        Random bits that tell orders apart.
    """

    who: Ints
    number: Ints
    time: Array
    key: Keys

    def __getitem__(self, rows: Ints | Flags) -> "Orders":
        return Orders(self.who[rows], self.number[rows], self.time[rows], self.key[rows])

    @property
    def day(self) -> Ints:
        """Day of each order."""
        return np.floor(self.time).astype(np.int64)


@dataclass(frozen=True)
class Discounts:
    """The code of each order, -1 = none, and its share of the price: arrays of shape (orders,)."""

    code: Ints
    share: Array


@dataclass(frozen=True)
class Lines:
    """Order lines, arrays of shape (lines,), sorted by order; amounts in cents.

    Attributes
    ----------
    order, product, bundle
        Position of the order, numbers in the profile's products and bundles; -1 = none.
    quantity
        Units.
    gross, discount, refund, cost
        Of all units.
    """

    order: Ints
    product: Ints
    bundle: Ints
    quantity: Ints
    gross: Ints
    discount: Ints
    refund: Ints
    cost: Ints

    def __getitem__(self, rows: Ints) -> "Lines":
        return Lines(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def discounts(
    orders: Orders, people: People, incentive: Array, calendar: Calendar, draws: Draws
) -> Discounts:
    """Return the discounts of orders: a friend's, a promotion's or the welcome; an action's unless a sale gives more."""
    _, sale = calendar.promotion_of(orders.day)
    key, liking = people.key[orders.who], people.discount[orders.who]
    is_first, channel = orders.number == 0, people.channel[orders.who]
    likely = (0.15 + 0.35 * liking) * (channel > 0) * calendar.profile.effects
    on_sale = uses_promotion(calendar, key, orders.number, orders.day, liking, draws)
    choices: list[tuple[Flags, int, Array | float]] = [
        (incentive > np.where(on_sale, sale, 0), THANKS, incentive),
        (is_first & (channel < 0), FRIEND, FRIEND_SHARE),
        (on_sale, PROMOTION, sale),
        (is_first & (draws.uniform("welcome", key) < likely), WELCOME, WELCOME_SHARE),
    ]
    n = len(orders.who)
    where = [rows for rows, _, _ in choices]
    code = np.select(where, [np.full(n, code) for _, code, _ in choices], -1)
    share = np.select(where, [np.broadcast_to(share, n) for _, _, share in choices], 0.0)
    return Discounts(code, share)


def fill(
    orders: Orders, given: Discounts, people: People, calendar: Calendar, draws: Draws
) -> Lines:
    """Fill each order with products for about what the customer means to spend.

    Units are rounded by chance, so that the mean is kept wherever it buys the cheapest product.
    """
    profile = calendar.profile
    meant = budget(calendar, orders.key, people.spend[orders.who], orders.day, draws)
    if not profile.products:
        order, zero = np.arange(len(orders.who)), np.zeros(len(orders.who), dtype=np.int64)
        amount = np.maximum(np.rint(meant).astype(np.int64), 1)
        cost = np.rint(amount * profile.cost_share).astype(np.int64)
        return Lines(order, zero, zero - 1, zero + 1, amount, zero, zero, cost)
    period = (calendar.price_index(orders.day) > 1).astype(np.int64)
    order, product, bundle, unit, rest = _choose(orders, people, period, meant, profile, draws)
    quantity = _quantities(orders, order, unit, rest, draws)
    gross = unit * quantity
    discount = np.floor(gross * given.share[order]).astype(np.int64)
    refund = _refunds(orders, order, quantity, gross - discount, profile, draws)
    listed = price_lists(profile).unit[period[order], product]
    cost = np.rint(listed * quantity * profile.cost_share).astype(np.int64)
    return Lines(order, product, bundle, quantity, gross, discount, refund, cost)


def _choose(
    orders: Orders, people: People, period: Ints, meant: Array, profile: Profile, draws: Draws
) -> tuple[Ints, Ints, Ints, Ints, Array]:
    """Return each line's order, product, bundle and unit price, and what is left of each order's money."""
    prices = price_lists(profile)
    bundle = _bundles(orders, people, period, meant, profile, draws)
    main = _main_products(orders, people, profile, draws)
    main = np.where(prices.unit[period, main] > meant, prices.dearest(meant, period), main)
    rest = meant.copy()
    alone = np.flatnonzero(bundle < 0)
    parts = [(alone, main[alone], bundle[alone], prices.unit[period[alone], main[alone]])]
    for number, products in enumerate(prices.bundle_products):
        selected = np.flatnonzero(bundle == number)
        for product in products:
            unit = prices.bundle_unit[number][period[selected], product]
            parts.append((selected, np.full(len(selected), product), bundle[selected], unit))
    for order, _, _, unit in parts:
        rest[order] -= unit
    for turn in range(EXTRAS):
        options = prices.affordable(rest, period)
        wanted = draws.uniform("extra", orders.key, turn) < EXTRA_CHANCE
        more = np.flatnonzero(wanted & (options > 0))
        which = draws.uniform("which extra", orders.key[more], turn) * options[more]
        product = prices.cheap_first[which.astype(np.int64)]
        unit = prices.unit[period[more], product]
        parts.append((more, product, np.full(len(more), -1), unit))
        rest[more] -= unit
    order, product, in_bundle, unit = (np.concatenate(part) for part in zip(*parts, strict=True))
    by_order = np.argsort(order, kind="stable")
    return order[by_order], product[by_order], in_bundle[by_order], unit[by_order], rest


def _main_products(orders: Orders, people: People, profile: Profile, draws: Draws) -> Ints:
    """Return what each order is for: at first what the customer came for, then that, what it leads to, or another."""
    names = [product.name for product in profile.products]
    leads = np.array([names.index(p.leads_to) if p.leads_to else -1 for p in profile.products])
    again = np.array([0.0 if p.cycle_days is None else AGAIN for p in profile.products])
    favorite = people.product[orders.who]
    reason = draws.uniform("main product", orders.key)
    other = draws.choice([p.weight for p in profile.products], "another product", orders.key)
    led = (reason > 1 - LED_ON) & (leads[favorite] >= 0)
    later = np.where(reason < again[favorite], favorite, np.where(led, leads[favorite], other))
    return np.where(orders.number == 0, favorite, later)


def _bundles(
    orders: Orders, people: People, period: Ints, meant: Array, profile: Profile, draws: Draws
) -> Ints:
    """Bundle of each order that can pay for it, -1 = none; who came for one comes back for it."""
    if not profile.bundles:
        return np.full(len(orders.who), -1)
    own = people.bundle[orders.who]
    share = np.where(own >= 0, BUNDLE_AGAIN, BUNDLE_NEW)
    later = draws.uniform("bundle again", orders.key) < share
    other = draws.choice([b.weight for b in profile.bundles], "which bundle", orders.key)
    again = np.where(later, np.where(own >= 0, own, other), -1)
    wanted = np.where(orders.number == 0, own, again)
    return np.where(price_lists(profile).bundle[period, wanted] <= meant, wanted, -1)


def _quantities(orders: Orders, order: Ints, unit: Ints, rest: Array, draws: Draws) -> Ints:
    """Units of each line: what is left to spend goes into more of the order's cheapest line."""
    is_first = np.r_[True, order[1:] != order[:-1]]
    first = np.flatnonzero(is_first)
    lowest = np.minimum.reduceat(unit, first)[np.cumsum(is_first) - 1]
    turn = np.arange(len(order)) - first[np.cumsum(is_first) - 1]
    candidates = np.where(unit == lowest, turn, len(order))
    selected = first + np.minimum.reduceat(candidates, first)
    left = np.maximum(rest[order[selected]], 0) / unit[selected]
    more = np.floor(left + draws.uniform("units", orders.key[order[selected]])).astype(np.int64)
    quantity = np.ones(len(order), dtype=np.int64)
    quantity[selected] += more
    return quantity


def _refunds(
    orders: Orders, order: Ints, quantity: Ints, paid: Ints, profile: Profile, draws: Draws
) -> Ints:
    """Refund a unit of one line, or a third of the price where there is only one unit: never everything."""
    is_first = np.r_[True, order[1:] != order[:-1]]
    first = np.flatnonzero(is_first)
    lines = np.diff(np.r_[first, len(order)])
    key = orders.key[order[first]]
    is_refunded = draws.uniform("refund", key) < profile.refund_share
    line = first + (draws.uniform("which refund", key) * lines).astype(np.int64)
    only = (lines == 1) & (quantity[line] == 1)
    amount = np.where(only, paid[line] // 3, paid[line] // quantity[line])
    refund = np.zeros(len(order), dtype=np.int64)
    refund[line[is_refunded]] = amount[is_refunded]
    return refund
