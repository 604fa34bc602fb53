"""Customers who never leave: NBD, what is left of the other models where no dropout shows.

References
----------
.. [1] Ehrenberg (1959), The Pattern of Consumer Purchases, Applied Statistics 8(1), 26-41.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

from models.cells import runs
from models.purchases.model import (
    Array,
    PurchaseModel,
    as_arrays,
    at_least,
    rate_notes,
    rate_starts,
)


@dataclass(frozen=True)
class NBD(PurchaseModel):
    """NBD.

    Attributes
    ----------
    r, alpha
        Shape and rate (days) of the purchase rate's gamma distribution.
    """

    r: float
    alpha: float

    name: ClassVar = "nbd"
    can_leave: ClassVar = False
    title: ClassVar = "NBD"
    free: ClassVar = ("r", "alpha")
    times: ClassVar = ("alpha",)

    @classmethod
    def starts(cls, rate: float) -> list[tuple[float, ...]]:
        """Return r and alpha for two shapes of the rate."""
        return rate_starts(rate)

    def notes(self, at_bound: Collection[str]) -> tuple[str, ...]:  # noqa: ARG002
        """Say whether customers differ in how often they buy."""
        return rate_notes(self.r)

    def gradient(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> tuple[Array, Array]:
        """Log-likelihood of each history, shape (n,), and its derivatives in r and alpha, shape (2, n)."""
        x, _, T = as_arrays(x, t_x, T)
        r, alpha = self.r, self.alpha
        counts, at = runs(x)
        log_T = np.log(alpha + T)
        value = (gammaln(r + counts) - gammaln(r))[at] + r * np.log(alpha) - (r + x) * log_T
        by_r = (digamma(r + counts) - digamma(r))[at] + np.log(alpha) - log_T
        return value, np.stack([by_r, r / alpha - (r + x) / (alpha + T)])

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return 1 for everybody, shape (n,)."""
        return np.ones(as_arrays(x, t_x, T)[0].shape)

    def active_tails(self, days: ArrayLike, x: ArrayLike, T: ArrayLike) -> Iterator[Array]:
        """Yield the chances of at least 1, 2, 3, ... purchases in the next `days` days, each of shape (1, n)."""
        days, x, T = as_arrays(days, x, T)
        chances = at_least(days / (self.alpha + T), self.r + x)
        next(chances)
        for chance in chances:
            yield chance[None]

    def active_orders(self, days: ArrayLike, x: ArrayLike, T: ArrayLike) -> Array:
        """Purchases expected in the next `days` days, shape (1, n)."""
        days, x, T = as_arrays(days, x, T)
        return ((self.r + x) / (self.alpha + T) * days)[None]

    def moments(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return the chance of any purchase, the mean of their number n, and of n (n - 1), shape (3, n)."""
        days, x, _, T = as_arrays(days, x, t_x, T)
        shape, odds = self.r + x, days / (self.alpha + T)
        chance = -np.expm1(-shape * np.log1p(odds))
        return np.stack([chance, shape * odds, shape * (shape + 1) * odds**2])

    def days_until(self, chance: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Days after which a purchase has been made with a given chance, shape (n,)."""
        chance, x, _, T = as_arrays(chance, x, t_x, T)
        with np.errstate(over="ignore"):
            return (self.alpha + T) * np.expm1(-np.log1p(-chance) / (self.r + x))
