"""Customers who may leave for good at any moment: Pareto/NBD.

While active, a customer buys at random with a rate that differs between customers (gamma, `r` and
`alpha`), and leaves at random with a rate that differs too (gamma, `s` and `beta`).

References
----------
.. [1] Schmittlein, Morrison & Colombo (1987), Counting Your Customers: Who Are They and What Will
   They Do Next?, Management Science 33(1), 1-24.
.. [2] Fader & Hardie (2005), A Note on Deriving the Pareto/NBD Model and Related Expressions, note 009.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, exprel, gammaln

from models.cells import runs
from models.pieces import by_rows
from models.purchases.model import (
    NO_DROPOUT,
    Array,
    PurchaseModel,
    as_arrays,
    at_least,
    rate_notes,
    rate_starts,
)

NODES, FEW_NODES = 48, 16  # of the integrals over the moment of leaving; of a spread's
LEAST_LEAVING = 0.01  # of a customer a year, on average: fewer are not seen to leave
ROWS = 1024  # computed at once, in the processor's own memory
Z, W = np.polynomial.legendre.leggauss(NODES)
FEW = np.polynomial.legendre.leggauss(FEW_NODES)


@dataclass(frozen=True)
class ParetoNBD(PurchaseModel):
    """Pareto/NBD.

    Attributes
    ----------
    r, alpha
        Shape and rate (days) of the purchase rate's gamma distribution.
    s, beta
        Shape and rate (days) of the rate of leaving.
    """

    r: float
    alpha: float
    s: float
    beta: float

    name: ClassVar = "pareto_nbd"
    title: ClassVar = "Pareto/NBD"
    free: ClassVar = ("r", "alpha", "s", "beta")
    times: ClassVar = ("alpha", "beta")
    leaving: ClassVar = ("s", "beta")

    @classmethod
    def starts(cls, rate: float) -> list[tuple[float, ...]]:
        """Return r, alpha, s and beta where a quarter leave within the longest history, and where few do."""
        return rate_starts(rate, [(0.5, 2.0), (0.05, 1.0)])

    def notes(self, at_bound: Collection[str]) -> tuple[str, ...]:
        """Say whether anybody leaves, and whether customers differ."""
        notes = rate_notes(self.r)
        if self.s / self.beta * 365 < LEAST_LEAVING:
            return (NO_DROPOUT, *notes)
        if "s" in at_bound or "beta" in at_bound:
            return ("customers hardly differ in how soon they leave", *notes)
        return notes

    def gradient(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> tuple[Array, Array]:
        """Log-likelihood of each history, and its derivatives in r, alpha, s and beta.

        Parameters
        ----------
        x, t_x, T
            Arrays of shape (n,).

        Returns
        -------
        tuple
            Shapes (n,) and (4, n).

        References
        ----------
        [2]_, equation (17), with the moment of leaving integrated over numerically: every term is
        positive, so nothing cancels as it does between hypergeometric functions.
        """
        gradient = by_rows(self._gradient, *as_arrays(x, t_x, T), size=ROWS)
        return gradient[0], gradient[1:]

    def _gradient(self, x: Array, t_x: Array, T: Array) -> Array:
        """Log-likelihood and its derivatives, one below the other, shape (5, n)."""
        r, alpha, s, beta = self.r, self.alpha, self.s, self.beta
        rho = r + x
        log_aT, log_bT = np.log(alpha + T), np.log(beta + T)
        active = -rho * log_aT - s * log_bT
        log_left, means = self._left(rho, t_x, T)
        either = np.logaddexp(active, np.log(s) + log_left)
        stays, gone = np.exp(active - either), np.exp(np.log(s) + log_left - either)
        log_a, over_a, log_b, over_b = means
        counts, at = runs(x)
        of_count = gammaln(r + counts) - gammaln(r)
        return np.stack(
            [
                of_count[at] + r * np.log(alpha) + s * np.log(beta) + either,
                (digamma(r + counts) - digamma(r))[at]
                + np.log(alpha)
                - stays * log_aT
                - gone * log_a,
                r / alpha - rho * (stays / (alpha + T) + gone * over_a),
                np.log(beta) - stays * log_bT + gone * (1 / s - log_b),
                s / beta - s * stays / (beta + T) - (s + 1) * gone * over_b,
            ]
        )

    def _left(self, rho: Array, t_x: Array, T: Array) -> tuple[Array, tuple[Array, ...]]:
        """Integrate (alpha + y)^-rho (beta + y)^-(s + 1) over the moments y from t_x to T.

        Returns
        -------
        tuple
            Its logarithm, and its means of log(alpha + y), 1 / (alpha + y) and the same of beta.
        """
        a, b = self.alpha + t_x, self.beta + t_x
        steep = 1 / (rho / a + (self.s + 1) / b)
        y, weight = _log_nodes(T - t_x, np.minimum(np.minimum(a, b), steep))
        a_y, b_y = a[..., None], b[..., None]
        up_a, up_b = np.log1p(y / a_y), np.log1p(y / b_y)
        mass = weight * np.exp(-rho[..., None] * up_a - (self.s + 1) * up_b)
        total = mass.sum(axis=-1)
        mass = mass / np.where(total > 0, total, 1.0)[..., None]
        with np.errstate(divide="ignore"):
            log_total = np.log(total) - rho * np.log(a) - (self.s + 1) * np.log(b)
        means = (
            np.log(a) + (mass * up_a).sum(axis=-1),
            (mass / (a_y + y)).sum(axis=-1),
            np.log(b) + (mass * up_b).sum(axis=-1),
            (mass / (b_y + y)).sum(axis=-1),
        )
        return log_total, means

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Chance that a customer has not left for good.

        Parameters
        ----------
        x, t_x, T
            Arrays of shape (n,).

        Returns
        -------
        Array
            Shape (n,), in [0, 1].

        References
        ----------
        [2]_, equation (19).
        """
        return by_rows(self._p_alive, *as_arrays(x, t_x, T), size=ROWS)

    def _p_alive(self, x: Array, t_x: Array, T: Array) -> Array:
        rho = self.r + x
        active = -rho * np.log(self.alpha + T) - self.s * np.log(self.beta + T)
        log_odds_left = np.log(self.s) + self._left(rho, t_x, T)[0] - active
        return np.asarray(1 / (1 + np.exp(np.minimum(log_odds_left, 700))))

    def active_tails(self, days: ArrayLike, x: ArrayLike, T: ArrayLike) -> Iterator[Array]:
        """Yield the chances of at least 1, 2, 3, ... purchases of someone who is active.

        Parameters
        ----------
        days
            Length of the window, 0 or more.
        x, T
            Arrays of shape (n,).

        Yields
        ------
        Array
            Shape (1, n), in [0, 1], never rising.

        Notes
        -----
        Given that a customer is active, rates of buying and leaving are independent; the mean is over
        the moment of leaving, inside the window or after it.
        """
        days, x, T = as_arrays(days, x, T)
        rho, a, b = self.r + x, self.alpha + T, self.beta + T
        u, weight = _log_nodes(days, np.minimum(b, a / rho))
        leaving = (
            weight * self.s / b[..., None] * np.exp(-(self.s + 1) * np.log1p(u / b[..., None]))
        )
        staying = np.exp(-self.s * np.log1p(days / b))
        inside, after = at_least(u / a[..., None], rho[..., None]), at_least(days / a, rho)
        next(inside), next(after)
        while True:
            within = (leaving * next(inside)).sum(axis=-1) + staying * next(after)
            yield np.minimum(within, 1)[None]

    def active_orders(self, days: ArrayLike, x: ArrayLike, T: ArrayLike) -> Array:
        """Purchases expected in the next `days` days of someone who is active, shape (1, n).

        References
        ----------
        [2]_, equation (22), without its pole at s = 1.
        """
        days, x, T = as_arrays(days, x, T)
        spread = np.log1p(days / (self.beta + T))
        active_days = (self.beta + T) * spread * exprel((1 - self.s) * spread)
        return np.asarray((self.r + x) / (self.alpha + T) * active_days)[None]

    def moments(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return the chance of any purchase, the mean of their number n, and of n (n - 1), shape (3, n).

        Any purchase is a first one by someone still active; pairs go with the days active, squared.
        """
        alive = self.p_alive(x, t_x, T)  # once, where there are several windows
        return alive * by_rows(self._moments, *as_arrays(days, x, t_x, T), size=ROWS)

    def _moments(self, days: Array, x: Array, _: Array, T: Array) -> Array:
        """Return the moments of someone who is active."""
        rho, a, b = self.r + x, self.alpha + T, self.beta + T
        u, weight = _log_nodes(days, np.minimum(b, a / rho), FEW)
        weight = weight * np.exp(-self.s * np.log1p(u / b[..., None]))  # still active
        first = np.exp(-(rho[..., None] + 1) * np.log1p(u / a[..., None]))
        chance = rho / a * (weight * first).sum(axis=-1)
        pairs = rho * (rho + 1) / a**2 * (2 * u * weight).sum(axis=-1)
        return np.stack([chance, rho / a * weight.sum(axis=-1), pairs])


def _log_nodes(
    length: Array, scale: Array, rule: tuple[Array, Array] = (Z, W)
) -> tuple[Array, Array]:
    """Nodes and weights, shape (n, nodes of `rule`), of integrals from 0 to `length`, crowded near 0.

    Gauss and Legendre's in log(1 + y / scale), in which a function that falls by powers, or
    exponentially within `scale`, is smooth.
    """
    z, w = rule
    end = np.log1p(length / scale)
    y = scale[..., None] * np.expm1(np.multiply.outer(end, (1 + z) / 2))
    return y, np.multiply.outer(end, w / 2) * (scale[..., None] + y)
