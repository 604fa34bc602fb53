"""Loyalty tiers: what a customer has reached, for everybody and back to the first order."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Names = NDArray[np.object_]

NO_TIER = "none"  # of customers who are below the lowest


@dataclass(frozen=True)
class LoyaltyTier:
    """A tier and what it takes to reach it: orders or net revenue, not both.

    Attributes
    ----------
    name
        As customers know it.
    orders
        Orders so far from which a customer has it.
    revenue
        The same of net amount so far, store's currency.

    Raises
    ------
    ValueError
        No name, both thresholds, none, or one that cannot be.
    """

    name: str
    orders: int | None = None
    revenue: float | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or self.name == NO_TIER:
            raise ValueError(f"a tier has a name other than {NO_TIER!r}; got {self.name!r}")
        if (self.orders is None) == (self.revenue is None):
            raise ValueError(
                f"a tier is reached by orders or by revenue: {self.name!r} says "
                f"{'neither' if self.orders is None else 'both'}. Set one of the two"
            )
        if not 0 <= self.threshold < np.inf:
            raise ValueError(
                f"a tier takes 0 or more; {self.name!r} takes {self.threshold:g}. Mend it"
            )

    @property
    def threshold(self) -> float:
        """Orders or revenue that it takes."""
        return float(self.orders if self.orders is not None else self.revenue or 0.0)


DEFAULT_TIERS = (
    LoyaltyTier("bronze", orders=1),
    LoyaltyTier("silver", orders=3),
    LoyaltyTier("gold", orders=6),
    LoyaltyTier("platinum", orders=12),
)


@dataclass(frozen=True, eq=False)
class Loyalty:
    """Where customers stand in the tiers: arrays of shape (n,).

    Attributes
    ----------
    tier
        Name; :data:`NO_TIER` = below the lowest.
    next_tier
        Name; :data:`NO_TIER` = has the highest.
    orders_to_next
        Orders to the next tier; NaN = has the highest, or tiers are by revenue.
    amount_to_next
        Net amount to the next tier, store's currency; NaN = has the highest, or tiers are by orders.
    progress
        Share of the way from the tier to the next, 0 to 1; 1 = has the highest.
    """

    tier: Names
    next_tier: Names
    orders_to_next: Array
    amount_to_next: Array
    progress: Array


@dataclass(frozen=True)
class Ascension:
    """How many rose.

    Attributes
    ----------
    rate
        Share of the customers below the highest tier who rose, 0 to 1; NaN = there were none.
    n
        Customers who could rise.
    """

    rate: float
    n: int


def check_tiers(tiers: Sequence[LoyaltyTier]) -> None:
    """Refuse tiers that cannot be told apart or climbed.

    Raises
    ------
    ValueError
        None, of two kinds, with equal names, or not ascending.
    """
    if not tiers:
        raise ValueError("a loyalty program has tiers; got none. Name one or leave them out")
    if len({tier.orders is None for tier in tiers}) > 1:
        raise ValueError(
            "tiers are all by orders or all by revenue; these are of both kinds. Settle on one"
        )
    names = [tier.name for tier in tiers]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"tiers have names of their own; {twice[0]!r} comes twice. Rename one")
    for lower, higher in pairwise(tiers):
        if lower.threshold >= higher.threshold:
            raise ValueError(
                f"tiers ascend: {higher.name!r} takes {higher.threshold:g}, {lower.name!r} before it "
                f"{lower.threshold:g}. List them from the lowest to the highest"
            )


def loyalty_tiers(
    orders: ArrayLike, revenue: ArrayLike, tiers: Sequence[LoyaltyTier] = DEFAULT_TIERS
) -> Loyalty:
    """Give every customer the tier that their whole history has earned.

    Parameters
    ----------
    orders, revenue
        Arrays of shape (n,): orders and net amount so far, store's currency.
    tiers
        From the lowest to the highest, all by orders or all by revenue.

    Returns
    -------
    Loyalty
        Of n customers.

    Raises
    ------
    ValueError
        Tiers that :func:`check_tiers` refuses, or orders or revenue that are unknown.
    """
    check_tiers(tiers)
    by_orders = tiers[0].orders is not None
    reached = np.asarray(orders if by_orders else revenue, dtype=np.float64)
    if np.isnan(reached).any():
        raise ValueError(
            f"tiers need to know what customers bought; of {int(np.isnan(reached).sum()):,} it is unknown. "
            "Leave them out"
        )
    steps = np.array([tier.threshold for tier in tiers])
    names = np.array([NO_TIER, *(tier.name for tier in tiers), NO_TIER], dtype=object)
    above = np.searchsorted(steps, reached, side="right")  # tiers that each customer has reached
    low, high = np.r_[0.0, steps][above], np.r_[steps, np.nan][above]
    left, unknown = high - reached, np.full(len(reached), np.nan)
    on_top = above == len(tiers)
    span = np.where(on_top | (high == low), 1.0, high - low)
    way = np.clip(np.where(on_top, 1.0, (reached - low) / span), 0.0, 1.0)
    return Loyalty(
        tier=names[above],
        next_tier=names[above + 1],
        orders_to_next=left if by_orders else unknown,
        amount_to_next=unknown if by_orders else left,
        progress=way,
    )


def ascension_rate(
    tier_before: ArrayLike, tier_now: ArrayLike, tiers: Sequence[LoyaltyTier] = DEFAULT_TIERS
) -> Ascension:
    """Say which share of the customers who could rise did.

    Parameters
    ----------
    tier_before, tier_now
        Arrays of shape (n,): names, of customers who were there before.
    tiers
        From the lowest to the highest.

    Returns
    -------
    Ascension
        The rate and how many it is of.

    Raises
    ------
    ValueError
        Arrays of two lengths, a name that is no tier, or tiers that :func:`check_tiers` refuses.
    """
    check_tiers(tiers)
    before, now = _ranks(tier_before, tiers), _ranks(tier_now, tiers)
    if before.shape != now.shape:
        raise ValueError(
            f"tiers are compared customer by customer; got {len(before)} before and {len(now)} now"
        )
    below = before < len(tiers)
    n = int(below.sum())
    return Ascension(float((now > before)[below].mean()) if n else float("nan"), n)


def _ranks(names: ArrayLike, tiers: Sequence[LoyaltyTier]) -> NDArray[np.int64]:
    """Return the rank of names, from 0 (no tier) upwards."""
    rank = {name: at for at, name in enumerate([NO_TIER, *(tier.name for tier in tiers)])}
    codes, levels = pd.factorize(np.asarray(names, dtype=object), use_na_sentinel=False)
    strange = sorted({str(name) for name in levels} - set(rank))
    if strange:
        raise ValueError(
            f"tiers are {', '.join(list(rank)[1:])}; {strange[0]!r} is none of them. "
            "Compare days that were scored with the same tiers"
        )
    return np.array([rank[str(name)] for name in levels], dtype=np.int64)[codes]
