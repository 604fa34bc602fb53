"""Who the customers are: what a real store never knows of them."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from perennial.simulation.calendar import Calendar
from perennial.simulation.draws import Array, Draws, Keys
from perennial.simulation.prices import Flags, Ints, budget, price_lists
from perennial.simulation.profiles import EFFECTS, REFERRAL, Profile

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Rows = TypeVar("Rows", bound="DataclassInstance")

BUNDLE_RATE, BUNDLE_LEAVE = 1.35, -0.45  # three things run out instead of one
DISCOUNT_LEAVE, GIFT_LEAVE = 0.35, 0.9  # who came for the price or for a present
SATISFACTION_LEAVE, SATISFACTION_RATE = -0.45, 0.06
GIFT_DAYS = (330, 358)  # days of the year
WHOLESALE_SPEND = 30.0
INVITING, CONVERTED = 0.95, 0.22  # of the orders at most, and of the invitations


@dataclass(frozen=True)
class Arrivals:
    """New customers, not yet known: arrays of shape (n,).

    Attributes
    ----------
    key
        Random bits that tell customers apart.
    time
        Of the first order, days.
    channel
        Number in the profile's channels; -1 = referred.
    referrer
        Key of the customer who referred them; 0 = nobody.
    inherited
        The referrer's satisfaction; 0 = nobody.
    """

    key: Keys
    time: Array
    channel: Ints
    referrer: Keys
    inherited: Array

    def __getitem__(self, rows: Flags) -> "Arrivals":
        return Arrivals(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True)
class People:
    """Customers and their nature: arrays of shape (n,), in the units of ``features.tables.Truth``."""

    key: Keys
    time: Array
    channel: Ints
    referrer: Keys
    satisfaction: Array
    rate: Array
    leave: Array
    life_days: Array
    life_rate: Array
    spend: Array
    season: Array
    discount: Array
    referral: Array
    product: Ints
    bundle: Ints
    on_discount: Flags
    is_wholesale: Flags
    responsiveness: Array

    def __len__(self) -> int:
        return len(self.key)

    def __getitem__(self, rows: Ints) -> "People":
        return People(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def lift(self, action: str) -> Array:
        """Return the rise of each customer's purchase rate while the action works."""
        return EFFECTS[action].lift * self.responsiveness

    def keep(self, action: str) -> Array:
        """Return the chance that the action keeps a customer who is about to leave."""
        leaves_after_orders = np.isfinite(self.leave)
        chance = np.clip(EFFECTS[action].keep * self.responsiveness, 0, 0.9)
        return np.asarray(np.where(leaves_after_orders, chance, 0.0))

    def incentive(self, action: str) -> Array:
        """Return the action's discount as a share; zero for those who never use one."""
        return np.asarray(EFFECTS[action].incentive * (self.discount > 0.1), dtype=np.float64)


def join(parts: list[Rows]) -> Rows:
    """Put records of arrays, such as :class:`People`, one after the other."""
    kind = type(parts[0])
    return kind(**{f.name: _put(getattr(part, f.name) for part in parts) for f in fields(kind)})


def _put(parts: Iterable[Any]) -> Any:  # noqa: ANN401  # arrays, or arrays by name
    listed = list(parts)
    if isinstance(listed[0], dict):
        return {name: np.concatenate([part[name] for part in listed]) for name in listed[0]}
    return np.concatenate(listed)


def make_people(arrivals: Arrivals, calendar: Calendar, draws: Draws) -> People:
    """Draw each new customer's nature.

    Parameters
    ----------
    arrivals
        Who comes, when, and by which channel.
    calendar
        The store's days.
    draws
        The seed's random numbers.

    Returns
    -------
    People
        One per arrival, in their order.
    """
    profile, key = calendar.profile, arrivals.key
    scale = profile.effects
    day = np.floor(arrivals.time).astype(np.int64)
    channels = (*profile.channels, REFERRAL)  # -1 is the last
    of_channel = {
        name: np.array([getattr(c, name) for c in channels])[arrivals.channel]
        for name in ("rate", "spend", "leave")
    }
    own = draws.normal("satisfaction", key)
    referred = arrivals.channel < 0
    satisfaction = np.where(
        referred, 0.25 + 0.4 * arrivals.inherited + np.sqrt(1 - 0.4**2) * own, own
    )
    is_wholesale = draws.uniform("wholesale", key) < profile.wholesale_share
    discount = (1 - np.sqrt(draws.uniform("discount response", key))) * scale
    spend = profile.mean_spend * (profile.q - 1) / draws.gamma(profile.q, "spend", key)
    spend *= of_channel["spend"] ** scale * np.where(is_wholesale, WHOLESALE_SPEND, 1.0)
    product, bundle = _first_basket(calendar, key, spend, day, draws)
    on_discount = uses_promotion(calendar, key, 0, day, discount, draws)
    is_gift = is_present(calendar, key, day, draws)

    cycle = cycle_days(profile)[product]
    usual = np.nanmean(cycle_days(profile)) if np.isfinite(cycle_days(profile)).any() else 1.0
    pace = np.where(np.isfinite(cycle), usual / np.where(np.isfinite(cycle), cycle, 1), 0.8)
    rate = draws.gamma(profile.r, "rate", key) / profile.r / profile.mean_gap_days
    rate *= (
        of_channel["rate"]
        * np.where(bundle >= 0, BUNDLE_RATE, 1.0)
        * np.exp(SATISFACTION_RATE * satisfaction)
        * np.sqrt(pace)
    ) ** scale
    leave = _leave(profile, key, draws)
    shift = (
        of_channel["leave"]
        + BUNDLE_LEAVE * (bundle >= 0)
        + DISCOUNT_LEAVE * on_discount
        + GIFT_LEAVE * is_gift
        + SATISFACTION_LEAVE * satisfaction
    ) * scale
    if scale:
        leave = 1 / (1 + np.exp(-(np.log(leave) - np.log1p(-leave) + shift)))
    life_rate = np.full(len(key), np.nan)
    if profile.dropout == "pareto":
        life_rate = draws.gamma(profile.s, "life rate", key) / profile.s / profile.mean_life_days
        life_rate *= np.exp(shift)
    brought = profile.referral_rate * np.exp(0.6 * satisfaction - 0.18)
    return People(
        key=key,
        time=arrivals.time,
        channel=arrivals.channel,
        referrer=arrivals.referrer,
        satisfaction=satisfaction,
        rate=rate,
        leave=leave,
        life_days=draws.exponential("life", key) / life_rate,
        life_rate=life_rate,
        spend=spend,
        season=np.clip(1 + 0.35 * draws.normal("season response", key), 0, 2) * scale,
        discount=discount,
        referral=np.minimum(brought, INVITING * CONVERTED),
        product=product,
        bundle=bundle,
        on_discount=on_discount,
        is_wholesale=is_wholesale,
        responsiveness=_responsiveness(key, discount, is_wholesale, draws),
    )


def _leave(profile: Profile, key: Keys, draws: Draws) -> Array:
    """Chance of leaving after an order; NaN where customers leave by the clock."""
    if profile.dropout == "pareto":
        return np.full(len(key), np.nan)
    return draws.beta(profile.a, profile.b, "leave", key)


def _responsiveness(key: Keys, discount: Array, is_wholesale: Flags, draws: Draws) -> Array:
    """How strongly investment moves a customer beside the usual one; below 0 for one in twenty."""
    moved = np.exp(0.5 * draws.normal("responsiveness", key) - 0.125) * (0.6 + discount)
    put_off = draws.uniform("put off", key) < 0.05
    felt = np.where(put_off, -0.5 * moved, moved)
    return np.where(is_wholesale, 0.0, np.clip(felt, -1, 4))


def _first_basket(
    calendar: Calendar, key: Keys, spend: Array, day: Ints, draws: Draws
) -> tuple[Ints, Ints]:
    """Return the main product that a customer came for, and the bundle it came in; -1 = none."""
    profile = calendar.profile
    if not profile.products:
        return np.zeros(len(key), dtype=np.int64), np.full(len(key), -1)
    prices = price_lists(profile)
    period = (calendar.price_index(day) > 1).astype(np.int64)
    meant = budget(calendar, order_keys(key, 0, draws), spend, day, draws)
    weights = [product.weight for product in profile.products] + [
        b.weight for b in profile.bundles
    ]
    choice = draws.choice(weights, "first product", key)
    bundle = np.maximum(choice - len(profile.products), -1)
    mains = np.array([products[0] for products in prices.bundle_products] + [0])
    product = np.where(bundle >= 0, mains[bundle], choice)
    if profile.bundles:
        bundle = np.where(prices.bundle[period, bundle] <= meant, bundle, -1)
    dear = prices.unit[period, product] > meant
    return np.where(dear, prices.dearest(meant, period), product), bundle


def order_keys(customer: Keys, number: Ints | int, draws: Draws) -> Keys:
    """Return random bits that tell orders apart, of the customers' orders of the given numbers."""
    return draws.keys("order", customer, number)


def cycle_days(profile: Profile) -> Array:
    """Return the days that each product lasts; NaN = durable."""
    cycles = [np.nan if p.cycle_days is None else p.cycle_days for p in profile.products]
    return np.array(cycles or [np.nan])


def uses_promotion(
    calendar: Calendar, key: Keys, order: Ints | int, day: Ints, discount: Array, draws: Draws
) -> Flags:
    """Tell whether a running promotion's code is used, more often by those who wait for it."""
    number, _ = calendar.promotion_of(day)
    return (number >= 0) & (draws.uniform("promotion", key, order) < 0.25 + 0.65 * discount)


def is_present(calendar: Calendar, key: Keys, day: Ints, draws: Draws) -> Flags:
    """Tell whether a first order is a present: in the weeks before Christmas, two in five."""
    dates = np.datetime64(calendar.start) + day
    of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    before = (of_year >= GIFT_DAYS[0]) & (of_year < GIFT_DAYS[1])
    return np.asarray(before & (draws.uniform("present", key) < 0.4))
