"""What things cost, in cents, before and after prices rose, and how much a customer means to spend."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from perennial.simulation.calendar import Calendar
from perennial.simulation.draws import Array, Draws, Keys
from perennial.simulation.profiles import Profile

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Prices:
    """Price lists: the first axis is before (0) and after (1) the rise.

    Attributes
    ----------
    unit
        Shape (2, products): of a product on its own.
    cheap_first
        Shape (products,): the products from the cheapest to the dearest.
    bundle_products
        The products of each bundle, the main one first.
    bundle_unit
        Shape (2, products) of each bundle: of a product inside it.
    bundle
        Shape (2, bundles): of all its products.
    """

    unit: Ints
    cheap_first: Ints
    bundle_products: tuple[Ints, ...]
    bundle_unit: tuple[Ints, ...]
    bundle: Ints

    def affordable(self, rest: Array, period: Ints) -> Ints:
        """Return how many products, the cheapest first, cost no more than `rest`."""
        ladder = self.unit[:, self.cheap_first]
        before, after = (np.searchsorted(steps, rest, side="right") for steps in ladder)
        return np.where(period > 0, after, before)

    def dearest(self, rest: Array, period: Ints) -> Ints:
        """Return the dearest product that costs no more than `rest`, or else the cheapest of all."""
        return self.cheap_first[np.maximum(self.affordable(rest, period) - 1, 0)]


@lru_cache
def price_lists(profile: Profile) -> Prices:
    """Return a store's prices; after the rise they are whole tens of cents."""
    first = np.array([round(100 * product.price) for product in profile.products])
    unit = np.stack([first, np.rint(first * (1 + profile.price_rise) / 10).astype(np.int64) * 10])
    names = [product.name for product in profile.products]
    inside = tuple(np.array([names.index(n) for n in b.products]) for b in profile.bundles)
    lower = tuple(np.rint(unit * (1 - b.discount)).astype(np.int64) for b in profile.bundles)
    sums = [price[:, parts].sum(axis=1) for price, parts in zip(lower, inside, strict=True)]
    whole = np.stack(sums, axis=1) if sums else np.zeros((2, 0), dtype=np.int64)
    return Prices(unit, np.argsort(first, kind="stable"), inside, lower, whole)


def budget(calendar: Calendar, order: Keys, spend: Array, day: Ints, draws: Draws) -> Array:
    """Return what customers mean to spend on orders: gamma distributed around their levels, in cents."""
    p = calendar.profile.p
    around = draws.gamma(p, "budget", order) / p
    return 100 * spend * around * calendar.price_index(day)
