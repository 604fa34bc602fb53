"""The rules that a profile keeps, whatever kind of store it is."""

from collections.abc import Iterator
from datetime import date
from math import inf
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from perennial.simulation.catalogs import Bundle, Product
from perennial.simulation.profiles.parts import DROPOUTS, Channel, Peak, Promotion, season_on

if TYPE_CHECKING:
    from perennial.simulation.profiles.profile import Profile

Rules = Iterator[tuple[bool, str]]  # whether a rule is kept, and the rule in words

ABOVE_ZERO = (
    "r", "mean_gap_days", "a", "b", "s", "mean_life_days", "p", "mean_spend", "keep_gaps",
)  # fmt: skip
SHARES = ("cost_share", "refund_share", "review_share", "loyalty_share", "wholesale_share")
WHOLE = (int, np.integer)
NUMBER = (float, np.floating, *WHOLE)
SMALLEST_PRICE = 0.10  # prices after the rise are whole tens of cents
SLOWEST = 0.05  # of the usual pace: the clock of buying never stands still
COMMON_YEAR = 2023


def broken_rules(profile: "Profile") -> list[str]:
    """Return the rules that a profile breaks; none, if it is sound."""
    checks = (_numbers, _leaving, _place, _catalog, _channels, _year)
    return [rule for check in checks for is_kept, rule in check(profile) if not is_kept]


def lies(value: Any, above: float = -inf, below: float = inf) -> bool:  # noqa: ANN401  # anything
    """Tell whether something is a number between two others, both excluded."""
    return (
        isinstance(value, NUMBER) and not isinstance(value, bool) and bool(above < value < below)
    )


def _is_from(value: Any, low: float, high: float = inf) -> bool:  # noqa: ANN401  # anything
    """Tell whether something is a number from `low` on to `high`, both included."""
    return lies(value) and low <= value <= high


def is_whole(value: Any, low: int, high: float = inf) -> bool:  # noqa: ANN401  # anything
    """Tell whether something is a whole number from `low` on to `high`, both included."""
    return isinstance(value, WHOLE) and _is_from(value, low, high)


def _numbers(profile: "Profile") -> Rules:
    for name in ABOVE_ZERO:
        yield lies(getattr(profile, name), 0), f"{name} is above 0"
    yield lies(profile.q, 1), "q is above 1"
    for name in SHARES:
        yield _is_from(getattr(profile, name), 0, 1), f"{name} is from 0 to 1"
    referred = profile.referred_share
    yield _is_from(referred, 0) and referred < 1, "referred_share is from 0 to below 1"
    for name in ("referral_rate", "effects"):
        yield _is_from(getattr(profile, name), 0), f"{name} is 0 or more"
    for name in ("growth", "price_rise"):
        yield lies(getattr(profile, name), -1), f"{name} is above -1"
    yield is_whole(profile.gap_days, 0), "gap_days is a whole number from 0 on"


def _leaving(profile: "Profile") -> Rules:
    yield profile.dropout in DROPOUTS, f"dropout is one of {', '.join(DROPOUTS)}"
    most = 1 if profile.dropout == "pareto" else inf
    yield (
        is_whole(profile.regularity, 1, most),
        "regularity is a whole number from 1 on, and 1 where customers leave by the clock",
    )


def _place(profile: "Profile") -> Rules:
    try:
        ZoneInfo(profile.timezone)
    except (KeyError, OSError, TypeError, ValueError):  # unknown, a folder, no name, no file
        yield False, "timezone is an IANA name"


def _catalog(profile: "Profile") -> Rules:
    names = [product.name for product in profile.products]
    yield len(set(names)) == len(names), "every product has a name of its own"
    for product in profile.products:
        yield _is_product(product, profile), f"product {product.name!r} has a price and a weight"
        led = product.leads_to
        yield led is None or led in names, f"{product.name!r} leads to a product, not to {led!r}"
    for bundle in profile.bundles:
        yield _is_bundle(bundle), f"bundle {bundle.name!r} has products, a weight and a discount"
        for name in bundle.products:
            yield name in names, f"bundle {bundle.name!r} is of products: {name!r} is none"


def _is_product(product: Product, profile: "Profile") -> bool:
    cheapest = 1 + min(profile.price_rise, 0) if lies(profile.price_rise, -1) else 1
    lasts = product.cycle_days is None or lies(product.cycle_days, 0)
    has_price = lies(product.price) and product.price * cheapest >= SMALLEST_PRICE
    return has_price and lies(product.weight, 0) and lasts


def _is_bundle(bundle: Bundle) -> bool:
    is_cheaper = _is_from(bundle.discount, 0) and bundle.discount < 1
    return bool(bundle.products) and lies(bundle.weight, 0) and is_cheaper


def _channels(profile: "Profile") -> Rules:
    yield bool(profile.channels), "there is a channel"
    for channel in profile.channels:
        yield lies(channel.share, 0), f"the share of channel {channel.name!r} is above 0"
        yield _is_channel(channel), f"channel {channel.name!r} has a cost, factors and log-odds"


def _is_channel(channel: Channel) -> bool:
    is_priced = _is_from(channel.cost, 0)
    return is_priced and lies(channel.rate, 0) and lies(channel.spend, 0) and lies(channel.leave)


def _year(profile: "Profile") -> Rules:
    for sale in profile.promotions:
        yield _is_yearly(sale), f"promotion {sale.code!r} begins on a day that every year has"
        yield _is_sale(sale), f"promotion {sale.code!r} has 1 to 365 days, a share and a lift"
    are_peaks = all(map(_is_peak, profile.peaks))
    yield are_peaks, "a peak has a middle, a width above 0 and a height"
    if are_peaks and _is_from(profile.effects, 0):
        # The season moves the most responsive twice as much as the usual customer.
        most = 2 * max(profile.effects, 1.0)
        lowest = season_on(np.arange(1.0, 367.0), profile.peaks).min(initial=0.0)
        yield (
            1 + most * lowest > SLOWEST,
            f"peaks leave everybody more than {SLOWEST:.0%} of the usual pace",
        )


def _is_yearly(sale: Promotion) -> bool:
    try:
        date(COMMON_YEAR, sale.month, sale.day)
    except (TypeError, ValueError):
        return False
    return True


def _is_sale(sale: Promotion) -> bool:
    is_share = _is_from(sale.share, 0) and sale.share < 1  # nothing is given away
    return is_share and is_whole(sale.days, 1, 365) and _is_from(sale.lift, 0)


def _is_peak(peak: Peak) -> bool:
    return lies(peak.middle) and lies(peak.width, 0) and lies(peak.height)
