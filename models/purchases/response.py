"""What an action can change of a customer's purchases: their pace, and whether the customer leaves.

An action that doubles the pace for some days moves a customer's clock ahead by as many days. Where
customers leave after orders, those who are moved also leave earlier, and what is left are the orders
of the days that the clock gains at the horizon's end. Somebody who left after the last order can be
kept while it is still fresh: by then it is not known who has left, only how likely it is.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from scipy.special import gammaln

from models.cells import distinct, runs
from models.pieces import by_rows
from models.purchases.geometric import BetaGeometric, beta_nodes
from models.purchases.model import Array, PurchaseModel, as_arrays

PACES, LEAVINGS = 24, 16  # nodes of the means over the pace and over the chance of leaving
TAIL = 8.0  # standard deviations around its mean up to which the pace is looked at
LARGE, TINY = 20.0, 1e-12  # shape of the pace from which on it is far from 0; a width of none
MOMENTS, KNOTS = (-16.0, 14.0), 601  # logarithms between which means are interpolated: within 1e-7
ROWS = 1024  # computed at once, in the processor's own memory
HARDLY = 1e-6  # a chance of having left below which nothing is to be kept


@dataclass(frozen=True)
class Response:
    """What there is to win of each customer within the horizon.

    Attributes
    ----------
    faster
        Shape (n,): orders that doubling the pace for the days that an action works would add.
    kept
        Shape (n,): orders that would come of keeping everybody who left after the last order and can
        still be reached.
    """

    faster: Array
    kept: Array


def response(
    purchases: PurchaseModel,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
    *,
    horizon_days: float,
    works_days: float,
    reach_gaps: float,
) -> Response:
    """Say what an action can win of each customer.

    Parameters
    ----------
    purchases
        Fitted model.
    x, t_x, T
        Arrays of shape (n,).
    horizon_days
        Orders of so many days count.
    works_days
        An action works for so many days.
    reach_gaps
        Somebody who left can be kept up to so many of their own usual gaps after the last order.

    Returns
    -------
    Response
        Of models in which nobody leaves after an order, nothing is to be kept, and a faster pace
        adds the orders of the days that an action works.
    """
    x, t_x, T = as_arrays(x, t_x, T)
    if not isinstance(purchases, BetaGeometric):
        return Response(purchases.expected_orders(works_days, x, t_x, T), np.zeros(x.shape))
    until = purchases.expected_orders(horizon_days, x, t_x, T)
    later = purchases.expected_orders(horizon_days + works_days, x, t_x, T)
    left = 1 - purchases.p_alive(x, t_x, T)
    back = orders_if_kept(purchases, horizon_days, x, t_x, T - t_x, reach_gaps, left > HARDLY)
    return Response(np.maximum(later - until, 0.0), left * back)


def orders_if_kept(
    purchases: BetaGeometric,
    days: float,
    x: ArrayLike,
    t_x: ArrayLike,
    silence: ArrayLike,
    reach_gaps: float,
    matters: ArrayLike = True,
) -> Array:
    """Orders expected in `days` days of somebody who left after the last order, if kept when in reach.

    Parameters
    ----------
    purchases
        Fitted model.
    days
        From today on.
    x, t_x
        Arrays of shape (n,).
    silence
        Days since the last order, shape (n,): not in reach are those whose usual gap is shorter than
        ``silence / reach_gaps``.
    reach_gaps
        In usual gaps of the customer.
    matters
        For which customers to say it; 0 for others.

    Returns
    -------
    Array
        Shape (n,).

    Notes
    -----
    Given that the customer left after the last order, the silence since tells nothing: the pace is
    gamma distributed with the shape and the rate of the orders before, cut where the customer is out
    of reach, and the chance of leaving beta distributed with a + 1 and one stay less.
    """
    x, t_x, silence, matters = as_arrays(x, t_x, silence, matters)
    expected, is_asked = np.zeros(x.shape), matters > 0
    (count, first, silent), at = distinct(*(of[is_asked] for of in (x, t_x, silence)))
    kept, (counts, of) = np.zeros(len(count)), runs(count)
    for place, orders in enumerate(counts):
        alike = of == place
        shape = purchases.r + purchases.every * orders
        fastest = shape + TAIL * np.sqrt(shape) + TAIL
        rate = purchases.alpha + first[alike]
        with np.errstate(divide="ignore"):
            cut = np.minimum(rate * purchases.every * reach_gaps / silent[alike], fastest)
        kept[alike] = by_rows(
            _Kept(purchases, orders, shape, days), rate, np.asarray(cut), size=ROWS
        )
    expected[is_asked] = kept[at]
    return expected


@dataclass(frozen=True)
class _Kept:
    """Mean orders over pace and chance of leaving, of customers with one number of orders."""

    purchases: BetaGeometric
    orders: float
    shape: float
    days: float

    def __call__(self, rate: Array, cut: Array) -> Array:
        """Return the means where the pace times `rate` is gamma distributed and ends at `cut`."""
        pace, log_mass = self._paces(cut)
        log_moments = np.log(pace * (self.days / rate)[:, None])
        means = self._by_moments(np.clip(log_moments, *MOMENTS))
        return np.asarray((means * np.exp(log_mass)).sum(-1))

    def _paces(self, cut: Array) -> tuple[Array, Array]:
        """Return nodes of the pace, times `rate`, and the logarithms of their shares: shape (n, nodes).

        Jacobi's, which know how the density rises from 0; of a large shape it rises where Jacobi's weights
        are too small to have digits left, and Legendre's are laid where the density is.
        """
        shape = self.shape
        if shape < LARGE:
            share, weight = beta_nodes(shape, 1.0, PACES)
            pace = np.multiply.outer(cut, share)
            of_all = shape * np.log(cut) - gammaln(shape + 1)
            return pace, of_all[:, None] - pace + np.log(weight)
        node, weight = np.polynomial.legendre.leggauss(PACES)
        start = max(shape - TAIL * np.sqrt(shape), 0.0)
        width = np.maximum(cut - start, TINY)[:, None]
        pace = start + width * (1 + node) / 2
        density = (shape - 1) * np.log(pace) - pace - gammaln(shape)
        return pace, density + np.log(width * weight / 2)

    @cached_property
    def _by_moments(self) -> CubicSpline:
        """Mean orders over the chance of leaving, by the logarithm of the random moments expected."""
        stays = self.purchases.b + self.orders + self.purchases.at_start - 1
        p, of_p = beta_nodes(self.purchases.a + 1, stays, LEAVINGS)
        at = np.linspace(*MOMENTS, KNOTS)
        return CubicSpline(
            at, (_given(np.exp(at)[:, None], p, self.purchases.every) * of_p).sum(-1)
        )


def _given(moments: Array, p: Array, every: int) -> Array:
    """Mean orders where `moments` random ones are expected, an order comes at every k-th, and p leave after it.

    The sum over n of (1 - p)^(n - 1) times the chance of at least n k moments: every k-th term of a
    power series, taken out by the k-th roots of unity.
    """
    if every == 1:
        return np.asarray(-np.expm1(-moments * p) / p)
    stay = 1 - p
    root = stay ** (1 / every)
    series = np.zeros(np.broadcast_shapes(moments.shape, p.shape))
    for part in range(every):
        z = root * np.exp(2j * np.pi * part / every)
        series += np.real((1 - z * np.exp(-moments * (1 - z))) / (1 - z))
    return np.asarray((series / every - 1) / stay)
