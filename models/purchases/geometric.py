"""Customers who may leave for good after any purchase: BG/NBD, MBG/NBD and MBG/CNBD-k.

While active, a customer buys at random with a rate that differs between customers (gamma, `r` and
`alpha`), and after any purchase leaves with a chance that differs too (beta, `a` and `b`). BG/NBD
[1]_ has nobody leave after the first purchase, MBG/NBD [3]_ lets them. With MBG/CNBD-k [4]_ a
customer buys at every k-th of the random moments, so that gaps are more regular.

References
----------
.. [1] Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way: An Alternative to the
   Pareto/NBD Model, Marketing Science 24(2), 275-284.
.. [2] Fader, Hardie & Lee (2008), Computing P(alive) Using the BG/NBD Model, note 021.
.. [3] Batislam, Denizel & Filiztekin (2007), Empirical Validation and Comparison of Models for
   Customer Base Analysis, International Journal of Research in Marketing 24(3), 201-209.
.. [4] Reutterer, Platzer & Schroeder (2021), Leveraging Purchase Regularity for Predicting Customer
   Behavior the Easy Way, International Journal of Research in Marketing 38(1), 194-215.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from itertools import islice
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh_tridiagonal
from scipy.special import betaln, digamma, gammaln

from models.cells import runs
from models.pieces import by_rows
from models.purchases.model import (
    EXTREME,
    NO_DROPOUT,
    Array,
    PurchaseModel,
    as_arrays,
    at_least,
    rate_notes,
    rate_starts,
    sum_of,
)

ODDS, NODES = (0.5, 1.0, 4.0, 10.0, 100.0), (8, 16, 32, 64, 128, 512)
LEAST_LEAVING = 0.001  # mean chance of leaving after an order below which nobody is seen to leave
LONG = 1000.0  # times alpha + T: over longer windows the chances of one more order are summed
FEW_MOMENTS = 1.0  # times k: of no more random moments in a window the chances are summed
FEW_STAY, SHORT_TERMS = 0.01, 8  # chance of staying below which so many terms are summed
ROWS, SUM_ROWS, GRADIENT_ROWS = (
    4096,
    1024,
    16384,
)  # computed at once, in the processor's own memory
# Nodes of the mean over the chance of leaving, by the window's length over alpha + T: within 1e-9 of
# 40-digit integration up to a year.


@dataclass(frozen=True)
class BetaGeometric(PurchaseModel):
    """What the three models share.

    Attributes
    ----------
    r, alpha
        Shape and rate (days) of the purchase rate's gamma distribution.
    a, b
        Parameters of the beta distribution of the chance of leaving.
    """

    r: float
    alpha: float
    a: float
    b: float

    free: ClassVar = ("r", "alpha", "a", "b")
    times: ClassVar = ("alpha",)
    leaving: ClassVar = ("a", "b")
    at_start: ClassVar[bool]  # whether a customer may leave after the first purchase

    @property
    def every(self) -> int:
        """Of the random moments, which one brings a purchase: 1 = each."""
        return 1

    @classmethod
    def starts(cls, rate: float) -> list[tuple[float, ...]]:
        """Return r, alpha, a and b where a fifth leave after an order, and where few do."""
        return rate_starts(rate, [(0.5, 2.0), (0.05, 1.0)])

    def notes(self, at_bound: Collection[str]) -> tuple[str, ...]:  # noqa: ARG002
        """Say whether anybody leaves, and whether customers differ."""
        a, b, notes = self.a, self.b, rate_notes(self.r)
        if a / (a + b) < LEAST_LEAVING:
            return (NO_DROPOUT, *notes)
        if max(a, b) > EXTREME:
            return ("customers hardly differ in their chance of leaving", *notes)
        if min(a, b) < 1 / EXTREME:
            note = "customers leave after one purchase or never, as far as the history tells"
            return (note, *notes)
        return notes

    def gradient(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> tuple[Array, Array]:
        """Log-likelihood of each history, and its derivatives in r, alpha, a and b.

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
        [1]_, equation (3), and for k > 1 the mean over the same distributions of the likelihood of
        Erlang-k gaps, less the sum of (k - 1) times their logarithms, in which there is no parameter.
        """
        gradient = by_rows(self._gradient, *as_arrays(x, t_x, T), size=GRADIENT_ROWS)
        return gradient[0], gradient[1:]

    def _gradient(self, x: Array, t_x: Array, T: Array) -> Array:
        """Log-likelihood and its derivatives, one below the other, shape (5, n)."""
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        counts, at = runs(x)
        shape, stays = r + self.every * counts, counts + self.at_start
        of_count = (
            gammaln(shape) - gammaln(r) + r * np.log(alpha) - counts * gammaln(self.every)
        ) + (betaln(a, b + stays) - betaln(a, b))
        ways, left = self._terms(x, t_x, T)
        active = _log_sum(ways)
        either = np.logaddexp(active, left)
        stayed, gone = np.exp(active - either), np.exp(left - either)
        rho = shape[at]
        log_left = (digamma(shape) - digamma(r) + np.log(alpha))[at] - gone * np.log(alpha + t_x)
        by_r, moments = log_left - stayed * np.log(alpha + T), stayed * rho
        for turn in range(1, self.every):
            share = np.exp(ways[turn] - either)
            by_r += share * (digamma(shape + turn) - digamma(shape))[at]
            moments += share * turn
        by_a = digamma(a + b) - digamma(a + b + stays)
        by_b = by_a + digamma(b + stays) - digamma(b)
        return np.stack(
            [
                of_count[at] + either,
                by_r,
                r / alpha - moments / (alpha + T) - gone * rho / (alpha + t_x),
                by_a[at] + gone / a,
                by_b[at] - gone / (b + np.maximum(stays, 1) - 1)[at],
            ]
        )

    def _terms(self, x: Array, t_x: Array, T: Array) -> tuple[list[Array], Array]:
        """Return the logs of the likelihood's parts: active, by moments since the last purchase, and gone."""
        shape, stays = self.r + self.every * x, x + self.at_start
        log_T = np.log(self.alpha + T)
        with np.errstate(divide="ignore"):
            active = [-shape * log_T]
            log_gap = np.log(T - t_x) if self.every > 1 else active[0]
            for turn in range(1, self.every):
                ways = gammaln(shape + turn) - gammaln(shape) - gammaln(turn + 1)
                active.append(turn * log_gap + ways - (shape + turn) * log_T)
            left = np.log(self.a) - np.log(self.b + np.maximum(stays, 1) - 1)
            left = left - shape * np.log(self.alpha + t_x)
        return active, np.where(stays > 0, left, -np.inf)

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Chance that a customer has not left for good.

        Parameters
        ----------
        x, t_x, T
            Arrays of shape (n,).

        Returns
        -------
        Array
            Shape (n,), in [0, 1]. By BG/NBD it is 1 for one-time buyers, who by assumption had no
            moment to leave.

        References
        ----------
        [2]_, equation (1).
        """
        active, left = self._terms(*as_arrays(x, t_x, T))
        log_odds_left = left - _log_sum(active)
        return np.asarray(1 / (1 + np.exp(np.minimum(log_odds_left, 700))))

    def p_order(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Chance of at least one purchase in the next `days` days, shape (n,), in [0, 1]."""
        if self.every > 1:
            return super().p_order(days, x, t_x, T)
        days, x, t_x, T = as_arrays(days, x, t_x, T)
        never = np.exp(-(self.r + x) * np.log1p(days / (self.alpha + T)))
        return np.asarray(self.p_alive(x, t_x, T) * (1 - never))

    def active(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Chances of being active with 0, 1, ... random moments since the last purchase, shape (k, n)."""
        active, left = self._terms(*as_arrays(x, t_x, T))
        total = _log_sum(active)
        alive = 1 / (1 + np.exp(np.minimum(left - total, 700)))
        shares = [np.exp(part - total) for part in active]
        # Rounded parts far below 1 need not sum to 1. One after another: NumPy's own sum rounds by shape.
        whole = reduce(np.add, shares)
        return np.stack([share / whole * alive for share in shares])

    def active_tails(self, days: ArrayLike, x: ArrayLike, T: ArrayLike) -> Iterator[Array]:
        """Yield the chances of at least 1, 2, 3, ... purchases of someone who is active, by phase.

        Parameters
        ----------
        days
            Length of the window, 0 or more.
        x, T
            Arrays of shape (n,).

        Yields
        ------
        Array
            Shape (k, n), in [0, 1], never rising.

        Notes
        -----
        For n purchases someone active must stay after the first n - 1 of them, and the random moments
        must be n k less those since the last purchase; both means are exact, for any k. The chance of
        at least m - 1 moments at a shape s + 1 is that of at least m at s, and a term of its own
        (incomplete beta functions): phases are sums of positive terms.
        """
        days, x, T = as_arrays(days, x, T)
        shape, odds = self.r + self.every * x, days / (self.alpha + T)
        moments = at_least(odds, shape)
        next(moments)
        share, b, n = np.ones(x.shape), self.b + x + self.at_start, 1
        above = np.ones((self.every, *x.shape))
        while True:
            every_kth = next(islice(moments, self.every - 1, None))
            above = np.minimum(_by_turn(n * self.every, every_kth, odds, shape, self.every), above)
            yield share * above
            share = share * (b + n - 1) / (self.a + b + n - 1)
            n += 1

    def active_orders(self, days: ArrayLike, x: ArrayLike, T: ArrayLike) -> Array:
        """Purchases expected in the next `days` days of someone who is active, by phase.

        Parameters
        ----------
        days
            Length of the window, 0 or more.
        x, T
            Arrays of shape (n,).

        Returns
        -------
        Array
            Shape (k, n), 0 or more.

        Notes
        -----
        Times the chance of being active equal to equation (10) of [1]_, but computed as the mean of
        (1 - (1 + p days / (alpha + T))^-(r + x)) / p over the chance of leaving p, which is beta
        distributed with a and b + x (MBG/NBD: b + x + 1) for someone active. Unlike the closed form it
        has no poles at a = 1 and a + b + x = 1 and does not overflow for hundreds of purchases.
        For k > 1 the mean given p is a sum over every k-th moment. For windows of over 1000 times
        alpha + T, for which the mean over p would need many more nodes, and with k > 1 for those of
        few moments, in which the series would cancel, the chances of at least 1, 2, 3, ... are summed.
        """
        columns = as_arrays(days, x, T)
        days, x, T = (column.ravel() for column in columns)
        mean, odds = np.zeros((self.every, x.size)), days / (self.alpha + T)
        is_summed = odds > LONG
        if self.every > 1:
            is_summed |= odds * (self.r + self.every * x) <= FEW_MOMENTS * self.every
        kind = len(NODES) * x + np.searchsorted(ODDS, odds)  # short windows: fewer nodes
        kind[is_summed] = -1
        if x.size:  # as few bytes as will do: those of two are sorted by radix
            kind = (kind + 1).astype(np.min_scalar_type(int(kind.max()) + 1))
        order = np.argsort(kind, kind="stable")
        for alike in np.split(order, np.flatnonzero(np.diff(kind[order])) + 1) if x.size else ():
            if is_summed[alike[0]]:
                some = (of[alike] for of in (days, x, T))
                mean[:, alike] = by_rows(self._summed, *some, size=SUM_ROWS)
                continue
            count, nodes = divmod(int(kind[alike[0]]) - 1, len(NODES))
            mean[:, alike] = self._means(float(count), odds[alike], NODES[nodes])
        return mean.reshape(self.every, *columns[0].shape)

    def _summed(self, days: Array, x: Array, T: Array) -> Array:
        return sum_of(self.active_tails(days, x, T))

    def _means(self, count: float, odds: Array, nodes: int) -> Array:
        """Return :meth:`active_orders` of customers with one number of orders, shape (k, n)."""
        p, weight = beta_nodes(self.a, self.b + count + self.at_start, nodes)
        shape, rows = self.r + self.every * count, max(1, ROWS * NODES[0] // len(p))
        if self.every == 1:
            mean_of = partial(mean_orders, shape=shape, p=p, weight=weight)
            return by_rows(mean_of, odds, size=rows)[None]
        mean_of = partial(mean_kth, shape=shape, p=p, weight=weight, every=self.every)
        return by_rows(mean_of, odds, size=max(1, rows // self.every))

    def days_until(self, chance: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Days after which a purchase has been made with a given chance; infinite where it never is so likely."""
        if self.every > 1:
            return super().days_until(chance, x, t_x, T)
        chance, x, t_x, T = as_arrays(chance, x, t_x, T)
        alive = self.p_alive(x, t_x, T)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            log_silence = np.log1p(-np.minimum(chance / alive, 1))
            days = (self.alpha + T) * np.expm1(-log_silence / (self.r + x))
        return np.where(alive > chance, days, np.inf)


@dataclass(frozen=True)
class BGNBD(BetaGeometric):
    """BG/NBD: nobody leaves after the first purchase."""

    name: ClassVar = "bg_nbd"
    title: ClassVar = "BG/NBD"
    lifetimes_fitter: ClassVar = "BetaGeoFitter"
    at_start: ClassVar = False


@dataclass(frozen=True)
class MBGNBD(BetaGeometric):
    """MBG/NBD: some leave after the first purchase."""

    name: ClassVar = "mbg_nbd"
    title: ClassVar = "MBG/NBD"
    lifetimes_fitter: ClassVar = "ModifiedBetaGeoFitter"
    at_start: ClassVar = True


@dataclass(frozen=True)
class MBGCNBD(BetaGeometric):
    """MBG/CNBD-k: gaps are more regular than at random.

    Attributes
    ----------
    k
        Regularity: each gap is the sum of k random ones.
    """

    k: int = 2

    name: ClassVar = "mbg_cnbd"
    is_regular: ClassVar = True
    title: ClassVar = "MBG/CNBD-k"
    at_start: ClassVar = True

    @property
    def every(self) -> int:
        """Of the random moments, which one brings a purchase."""
        return self.k


def _log_sum(logs: list[Array]) -> Array:
    """Return the logarithm of the sum of exponentials."""
    return reduce(np.logaddexp, logs)


def mean_orders(odds: Array, shape: float, p: Array, weight: Array) -> Array:
    """Return the mean of (1 - (1 + p odds)^-shape) / p over the chance p of leaving."""
    work = np.multiply.outer(odds, p)
    np.log1p(work, out=work)
    work *= -shape
    np.expm1(work, out=work)
    work *= -weight / p
    # A sum by row, not a matrix product, whose last digits would depend on the batch.
    return np.asarray(work.sum(axis=-1))


def mean_kth(odds: Array, shape: float, p: Array, weight: Array, every: int) -> Array:
    """Return the mean number of purchases of someone active who buys at every k-th random moment.

    Given the chance p of leaving, it is the sum over n of (1 - p)^(n - 1) times the chance of at least
    n k - `turn` moments, whose number is negative binomial: every k-th term of a power series that is
    known in closed form, taken out by the k-th roots of unity. Where nearly everybody leaves, terms
    would cancel, and the first few are summed as they are.

    Parameters
    ----------
    odds
        Length of the window over the rate parameter of the moments, shape (n,).
    shape
        Shape parameter of the moments' number right after a purchase, turn 0.
    p, weight
        Nodes of the chance of leaving and their weights.
    every
        k.

    Returns
    -------
    Array
        Shape (k, n), by the moments since the last purchase, the turn.
    """
    total = np.zeros((every, len(odds)))
    is_short = 1 - p < FEW_STAY
    q, log_q = 1 - p[~is_short], np.log1p(-p[~is_short])
    if len(q):
        root, to_one = np.exp(log_q / every), -np.expm1(log_q / every)
        log_rest = np.log1p(np.multiply.outer(odds, to_one))
        turns = range(every)
        by_turn = [
            weight[~is_short] * np.exp(log_q * (turn / every - 1)) / every for turn in turns
        ]
        for turn in turns:
            never = -np.expm1(-(shape + turn) * log_rest)
            series = 1 + root * never / to_one - every * (turn == 0)
            total[turn] = (series * by_turn[turn]).sum(axis=-1)
        for part in range(1, every // 2 + 1):  # of two conjugate roots, twice the real part of one
            turned = np.exp(2j * np.pi * part / every)
            z, times = root * turned, 1 if 2 * part == every else 2
            rest = 1 + np.multiply.outer(odds, 1 - z)
            none = np.exp(-shape * np.log(rest))
            for turn in turns:
                factor = times * by_turn[turn] * turned**turn / (1 - z)
                total[turn] += np.real(factor * (1 - z * none)).sum(axis=-1)
                none /= rest
    if is_short.any():
        stays, share = 1 - p[is_short], weight[is_short].copy()
        moments = at_least(odds, np.full(len(odds), shape))
        next(moments)
        for n in range(1, SHORT_TERMS + 1):
            every_kth = next(islice(moments, every - 1, None))
            total += _by_turn(n * every, every_kth, odds, shape, every) * share.sum()
            share = share * stays
    return total


def _by_turn(count: int, tail: Array, odds: Array, shape: Array | float, every: int) -> Array:
    """Return the chances of at least `count` - 0, 1, ..., k - 1 moments at shapes `shape` + 0, 1, ..., k - 1.

    Parameters
    ----------
    count
        Moments, k or more.
    tail
        Chance of at least `count` of them at `shape`: any shape (n,).
    odds, shape
        As :func:`models.purchases.model.at_least` takes them.
    every
        k.

    Returns
    -------
    Array
        Shape (k, n), in [0, 1], rising with the turn.
    """
    tails = np.empty((every, *tail.shape))
    tails[0] = tail
    if every == 1:
        return tails
    is_open = odds > 0
    odds = np.where(is_open, odds, 1.0)
    term = (count - 1) * np.log(odds / (1 + odds)) - shape * np.log1p(odds)
    term = np.exp(term - betaln(count, shape + 1)) / (count + shape) * is_open
    for turn in range(1, every):
        tails[turn] = tails[turn - 1] + term
        term = term * ((count - turn) / (shape + turn)) / odds
    return np.minimum(tails, 1.0)


def beta_nodes(a: float, b: float, count: int) -> tuple[Array, Array]:
    """Nodes in (0, 1) and weights, summing to 1, of a mean over a beta(a, b) distribution.

    Golub & Welsch (1969) on the Jacobi recurrence, which does not overflow for a large `b`.
    """
    k = np.arange(1, count, dtype=np.float64)
    s = 2 * k + a + b - 2
    diagonal = np.r_[a / (a + b), (1 + ((a - 1) ** 2 - (b - 1) ** 2) / (s * (s + 2))) / 2]
    ends = np.r_[1.0, (k[1:] + a + b - 2) / (s[1:] - 1)]  # the first is 0 / 0 where a + b = 1
    off = np.sqrt(k * (k + a - 1) * (k + b - 1) * ends / (s**2 * (s + 1)))
    nodes, vectors = eigh_tridiagonal(diagonal, off)
    return np.maximum(nodes, 1e-18), np.asarray(vectors[0] ** 2)
