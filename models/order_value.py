"""What a customer's orders are worth: Gamma-Gamma on all of their orders, less what they return.

The first order counts like a later one. Where first orders differ in level from later ones, or
one-time buyers from repeat customers, both ratios are measured and applied. Amounts refunded on
another day than that of the order lower the value of the customer who returns them. Past amounts are
taken at the store's price level of today, where it moved.

References
----------
.. [1] Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, note 025.
.. [2] James & Stein (1961), Estimation with Quadratic Loss, Proc. 4th Berkeley Symposium 1, 361-379:
   the positive part of their shrinkage factor.
.. [3] Buhlmann (1967), Experience Rating and Credibility, ASTIN Bulletin 4(3), 199-207.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.tables import HISTORY
from models.history import States
from models.price_level import PriceLevel
from models.spend import Spend

Array = NDArray[np.float64]

# Orders of average returns that a customer's own returns are weighed against: at most, also where
# nothing was returned, and at least, where customers return everything or nothing.
RETURN_PRIOR = 3.0
LEAST_RETURN_PRIOR = 0.25
LEAST_NET_SHARE = 0.01  # of an order: whoever returns everything is not expected to cost money


@dataclass(frozen=True)
class OrderValue:
    """A fitted model of order value.

    Attributes
    ----------
    spend
        Gamma-Gamma, fitted to repeat customers.
    first_level
        Mean later order over mean first order, of repeat customers.
    once_level
        Typical order of one-time buyers over that of repeat customers, by first orders, shrunk to 1.
    net_share
        Revenue after refunds on later days, over the amounts of purchase days; of all customers.
    return_prior
        Orders of average returns that a customer's own are weighed against: :func:`return_prior`.
    price
        Price level of past days.
    price_base
        Factor of `price` at the level that amounts are taken at; 1 = its last period's.
    """

    spend: Spend
    first_level: float = 1.0
    once_level: float = 1.0
    net_share: float = 1.0
    return_prior: float = RETURN_PRIOR
    price: PriceLevel = field(default_factory=PriceLevel.steady)
    price_base: float = 1.0

    @property
    def mean(self) -> float:
        """Mean order of a repeat customer before later refunds, store's currency."""
        return self.spend.mean

    def observed(self, state: States, as_of: date | None = None) -> tuple[Array, Array]:
        """Return how many orders a customer's mean is taken over, and the mean.

        Parameters
        ----------
        state
            ``frequency, monetary_value, first_amount``, arrays of shape (n,); and ``recency_days,
            age_days`` where the price level moved.
        as_of
            Day at whose end the states are known; None = amounts are taken as they are.

        Returns
        -------
        tuple
            Arrays of shape (n,): orders, the first included, and their mean with the first order at
            the level of later ones and one-time buyers' at the level of repeat customers.
        """
        x, mean, first = (
            np.asarray(state[name], dtype=np.float64)
            for name in ("frequency", "monetary_value", "first_amount")
        )
        if as_of is not None and not self.price.is_steady:
            later, once = self._price_factors(state, as_of)
            mean, first = mean * later, first * once
        total = x * mean + self.first_level * np.maximum(first, 0.0)
        return x + 1, total / (x + 1) / self._level(x)

    def _price_factors(self, state: States, as_of: date) -> tuple[Array, Array]:
        """Return what the mean repeat order and the first order are multiplied by, shapes (n,)."""
        x, recency, age = (np.asarray(state[name], dtype=np.float64) for name in HISTORY)
        first = (as_of.toordinal() - age).astype(np.int64)
        later = mean_price_factor(self.price, x, first, first + recency.astype(np.int64))
        return later / self.price_base, self.price.factor(first) / self.price_base

    def expected(self, state: States) -> Array:
        """Return the expected net amount of a customer's next purchase day, store's currency.

        Parameters
        ----------
        state
            ``frequency, monetary_value, first_amount, revenue``, arrays of shape (n,).

        Returns
        -------
        Array
            Shape (n,). [1]_, equation (5), times the share that is not returned.
        """
        return self.spend.expected_order_value(*self.observed(state)) * self.scale(state)

    def scale(self, state: States) -> Array:
        """Return what an order by :meth:`observed` is multiplied by, shape (n,): level and returns."""
        return self._level(np.asarray(state["frequency"], dtype=np.float64)) * self.kept(state)

    def kept(self, state: States) -> Array:
        """Return the expected share of an order that is not refunded on a later day, shape (n,).

        The customer's own share, weighed by orders against everyone's (credibility [3]_).
        """
        columns = ("frequency", "monetary_value", "first_amount", "revenue")
        if any(name not in state for name in columns):
            return np.full(len(np.asarray(state["frequency"])), self.net_share)
        x, mean, first, revenue = (np.asarray(state[name], dtype=np.float64) for name in columns)
        bought = x * mean + np.maximum(first, 0.0)
        prior = self.return_prior * bought / (x + 1)
        revenue = np.where(np.isnan(revenue), bought * self.net_share, np.minimum(revenue, bought))
        share = (revenue + prior * self.net_share) / np.where(bought > 0, bought + prior, 1.0)
        return np.where(bought > 0, np.maximum(share, LEAST_NET_SHARE), self.net_share)

    def _level(self, x: Array) -> Array:
        """Return by what customers' levels differ from what Gamma-Gamma takes x + 1 orders for."""
        of_count = self.spend.lift(x) / self.spend.lift(x + 1)  # spend rises with repeat orders
        return np.where(x == 0, self.once_level, 1.0) * of_count

    def to_dict(self) -> dict[str, float]:
        """Return the parameters beside Gamma-Gamma's, by name."""
        return {
            "first_level": self.first_level,
            "once_level": self.once_level,
            "net_share": self.net_share,
            "return_prior": self.return_prior,
        }

    def price_record(self) -> dict[str, Any] | None:
        """Return the price level as JSON values; None where it is steady."""
        return None if self.price.is_steady else self.price.to_dict()


def return_prior(
    net_share: float, *, customers: float, inverse_orders: float, shares: float, squares: float
) -> float:
    """Return how many orders of average returns a customer's own returns are weighed against.

    Credibility is the variance within customers over that between them [3]_, here by moments. An
    order is taken to be returned whole or not at all, which overstates the variance within where
    orders are returned in part, and so changes too little rather than too much.

    Parameters
    ----------
    net_share
        Share of the amounts of purchase days that is kept; of all customers.
    customers, inverse_orders
        Of customers with two purchase days and more: how many, and the sum of 1 / days.
    shares, squares
        Sums of their kept shares, 0 to 1, and of the squares.
    """
    whole = net_share * (1 - net_share)  # variance of the share of one order of any customer
    spread = squares - 2 * net_share * shares + net_share**2 * customers
    weight = customers - inverse_orders
    between = (spread - whole * inverse_orders) / weight if weight > 0 else 0.0
    if whole <= 0 or between <= 0:
        return RETURN_PRIOR
    return float(np.clip((whole - between) / between, LEAST_RETURN_PRIOR, RETURN_PRIOR))


def mean_price_factor(
    price: PriceLevel, x: Array, first: NDArray[np.int64], last: NDArray[np.int64]
) -> Array:
    """Return what the mean of repeat orders is multiplied by to be at today's price level.

    Parameters
    ----------
    price
        The level.
    x
        Shape (n,): repeat orders.
    first, last
        Shape (n,): days of the first and the last order, as ordinals.

    Returns
    -------
    Array
        Shape (n,). One of the orders was on the last day; the others are taken to be spread evenly
        between first and last, as the times of a Poisson process are, given their number.
    """
    has_between = last - first > 1
    between = price.mean_factor(
        np.where(has_between, first + 1, last), np.where(has_between, last - 1, last)
    )
    share = np.where(has_between, np.maximum(x - 1, 0.0) / np.maximum(x, 1.0), 0.0)
    return np.asarray(share * between + (1 - share) * price.factor(last))


def shrunk(estimate: float, variance: float) -> float:
    """Shrink an estimate to 0 by its variance: the positive-part James-Stein factor [2]_."""
    if not np.isfinite([estimate, variance]).all() or abs(estimate) < 1e-12:
        return 0.0
    return float(estimate) * max(0.0, 1.0 - variance / estimate**2)
