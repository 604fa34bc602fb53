"""How far what a customer brings may lie from what is expected: the distribution of the outcome.

The number of orders within a horizon and what each is worth are both uncertain. Given the number,
the sum over a customer's scale of spend is beta prime distributed [1]_, so that customers with the
same history have the same distribution but for that scale.

References
----------
.. [1] Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, note 025: order values are
   gamma with a gamma distributed rate; a sum of n of them has n times the shape.
.. [2] Chernozhukov, Wuthrich & Zhu (2021), Distributional Conformal Prediction, PNAS 118(48).
.. [3] Smith (1985), Diagnostic Checks of Non-standard Time Series Models, Journal of Forecasting
   4(3), 283-291: the randomized probability integral transform.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.cells import distinct
from models.history import CustomerHistory
from models.purchases import PurchaseModel
from models.spend import Spend
from models.sums import Mixture, Sums, most_orders

Array = NDArray[np.float64]

COVERAGE = 0.80
CELLS = 512  # histories computed at once
TAIL = 1e-6  # a number of orders that is less likely is left out
GROUPS = 10  # by expected value, of equal size, that are calibrated apart
LEAST_GROUP = 200  # customers that a group needs to be calibrated
TOLERANCE = 0.02  # by which a raw interval's coverage may miss before it is calibrated


@dataclass(frozen=True)
class Levels:
    """At which chances the ends of an interval lie, by groups of expected value.

    Attributes
    ----------
    edges
        Expected values between the groups, ascending, one fewer than groups.
    low, high
        Chance of an outcome below the interval's lower and its upper end, by group.
    """

    edges: tuple[float, ...] = ()
    low: tuple[float, ...] = ((1 - COVERAGE) / 2,)
    high: tuple[float, ...] = ((1 + COVERAGE) / 2,)

    def of(self, expected: ArrayLike) -> tuple[Array, Array]:
        """Return the chances at the ends, arrays of shape (n,), for expected values of shape (n,)."""
        group = np.searchsorted(self.edges, np.asarray(expected, dtype=np.float64), side="right")
        return np.asarray(self.low)[group], np.asarray(self.high)[group]


@dataclass(frozen=True)
class Outcomes:
    """The distribution of what customers bring within a horizon, undiscounted.

    Attributes
    ----------
    purchases, spend
        Fitted models.
    days
        The horizon.
    """

    purchases: PurchaseModel
    spend: Spend
    days: float

    def interval(
        self,
        history: CustomerHistory,
        low: ArrayLike,
        high: ArrayLike,
        p_order: ArrayLike | None = None,
    ) -> tuple[Array, Array]:
        """Return the values below which the outcome lies with chances `low` and `high`.

        Parameters
        ----------
        history
            The customers.
        low, high
            Chances in (0, 1), of shape (n,) or numbers.
        p_order
            Shape (n,): the purchase model's chance of any order, where it was computed already.

        Returns
        -------
        tuple
            Arrays of shape (n,), store's currency, 0 or more.
        """
        _, low, high = _columns(history.x, low, high)
        scale = self._scale(history)
        ends = np.zeros((2, len(history)))
        if p_order is None:
            p_order = self.purchases.p_order(self.days, *history.times)
        some = np.flatnonzero(
            np.maximum(low, high) > 1 - np.asarray(p_order)
        )  # of the others, both are nothing
        for at, mixture in self._mixtures(history, some):
            rows = some[at]
            for end, chance in zip(ends, (low, high), strict=True):
                end[rows] = mixture.quantile(chance[rows]) * scale[rows]
        return ends[0], ends[1]

    def position(self, history: CustomerHistory, value: ArrayLike) -> tuple[Array, Array]:
        """Return where outcomes lie in their distributions: the chances of less, and of less or equal.

        Parameters
        ----------
        history
            The customers.
        value
            Array of shape (n,): what they brought; below 0 counts as nothing.

        Returns
        -------
        tuple
            Arrays of shape (n,), in [0, 1]. They differ where a value has a chance of its own: 0.
        """
        value = np.asarray(value, dtype=np.float64)
        scale = self._scale(history)
        below, up_to = np.zeros(len(history)), np.empty(len(history))
        for rows, mixture in self._mixtures(history, np.arange(len(history))):
            chance = mixture.chance(value[rows] / scale[rows])
            nothing = value[rows] <= 0
            up_to[rows] = np.where(nothing, mixture.at(np.zeros(len(rows), dtype=np.intp)), chance)
            below[rows] = np.where(nothing, 0.0, chance)
        return below, up_to

    def _scale(self, history: CustomerHistory) -> Array:
        return self.spend.of_customer(history.orders, history.mean_order)[1] * history.scale

    def _mixtures(
        self, history: CustomerHistory, some: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], Mixture]]:
        """Yield places in `some` and the distributions of those customers' outcomes over their scale.

        Those of one count and age differ in how likely they are active alone: they share a cell.
        """
        if not len(some):
            return
        x, t_x, T = (column[some] for column in history.times)
        share = self.purchases.active(x, t_x, T)
        paid = np.where(history.mean_order[some] > 0, history.orders[some], 0.0)
        (counts, paid, ages), where = distinct(x, paid, T)
        order = np.argsort(where, kind="stable")
        starts = np.searchsorted(where[order], np.arange(len(ages) + 1))
        is_new = np.r_[True, (np.diff(counts) != 0) | (np.diff(paid) != 0)]
        firsts = np.flatnonzero(is_new)
        for first, last in zip(firsts, [*firsts[1:], len(ages)], strict=True):
            count, sums = float(counts[first]), Sums(self.spend, float(paid[first]))
            for begin in range(first, last, CELLS):
                end = min(begin + CELLS, last)
                rows = order[starts[begin] : starts[end]]
                cell = where[rows] - begin
                tails = self._tails(count, ages[begin:end])
                size = most_orders(tails)
                for largest in np.unique(size):
                    alike = size == largest
                    here = alike[cell]
                    at = (np.cumsum(alike) - 1)[cell[here]]
                    table = sums.upto(largest, tails[:, :, alike])
                    yield rows[here], Mixture(*table, at, share[:, rows[here]])

    def _tails(self, count: float, T: Array) -> Array:
        """Return the chances of at least 1, 2, ... orders of those active, the last 0: (N, phases, cells)."""
        tails = []
        for tail in self.purchases.active_tails(self.days, np.full(len(T), count), T):
            tails.append(np.where(tail > TAIL, tail, 0.0))
            if not tails[-1].any():
                break
        return np.stack(tails)


def own_level(level: ArrayLike, own: ArrayLike, informed: ArrayLike) -> Array:
    """Return the chance in a purchase model's distribution that a chance in an informed one is.

    Parameters
    ----------
    level
        Chances in the informed distribution, shape (n,).
    own, informed
        Chances of any order by the purchase model, and as it is known to be, shape (n,). The informed
        distribution gives nothing the chance 1 - `informed`, and shares out the rest as the model does.

    Returns
    -------
    Array
        Shape (n,), in [0, 1].
    """
    level, own, informed = _columns(level, own, informed)
    return np.clip(1 - (1 - level) * own / np.maximum(informed, 1e-12), 0.0, 1.0)


def informed_position(
    below: ArrayLike, up_to: ArrayLike, own: ArrayLike, informed: ArrayLike
) -> tuple[Array, Array]:
    """Return where outcomes lie in an informed distribution, the other way round of :func:`own_level`.

    Parameters
    ----------
    below, up_to
        Arrays of shape (n,): where they lie by the purchase model, :meth:`Outcomes.position`.
    own, informed
        Chances of any order by the purchase model, and as it is known to be, shape (n,).
    """
    below, up_to, own, informed = _columns(below, up_to, own, informed)
    stretch = informed / np.maximum(own, 1e-12)
    is_nothing = below < up_to
    lower = np.where(is_nothing, 0.0, 1 - (1 - below) * stretch)
    return np.clip(lower, 0.0, 1.0), np.clip(1 - (1 - up_to) * stretch, 0.0, 1.0)


def calibrate(
    expected: ArrayLike, below: ArrayLike, up_to: ArrayLike, coverage: float = COVERAGE
) -> Levels:
    """Choose the chances at an interval's ends so that it covers what it should, by expected value.

    Parameters
    ----------
    expected
        Array of shape (n,): expected values on a past day.
    below, up_to
        Arrays of shape (n,): where the outcomes lay, :meth:`Outcomes.position`.
    coverage
        Share of outcomes that an interval is to cover.

    Returns
    -------
    Levels
        By tenths of expected value; the raw chances where they cover what they should within
        0.02, or a tenth has fewer than 200 customers.

    References
    ----------
    [2]_, within groups, with the transform [3]_ of outcomes of nothing spread evenly.
    """
    expected, below, up_to = _columns(expected, below, up_to)
    raw = ((1 - coverage) / 2, (1 + coverage) / 2)
    if len(expected) < GROUPS * LEAST_GROUP:
        return Levels((), *((one,) for one in raw))
    edges = np.unique(np.quantile(expected, np.arange(1, GROUPS) / GROUPS))
    group = np.searchsorted(edges, expected, side="right")
    low, high = [], []
    for i in range(len(edges) + 1):
        rows = group == i
        ends = raw
        covered = covered_share(below[rows], up_to[rows], *raw)
        if rows.sum() >= LEAST_GROUP and abs(covered - coverage) > TOLERANCE:
            ends = (
                _spread_quantile(below[rows], up_to[rows], raw[0]),
                _spread_quantile(below[rows], up_to[rows], raw[1]),
            )
        low.append(ends[0])
        high.append(ends[1])
    return Levels(tuple(edges.tolist()), tuple(low), tuple(high))


def covered(below: ArrayLike, up_to: ArrayLike, low: ArrayLike, high: ArrayLike) -> Array:
    """Return the chance that each outcome's randomized transform lies between two chances.

    Parameters
    ----------
    below, up_to
        Arrays of shape (n,): where the outcomes lay, :meth:`Outcomes.position`.
    low, high
        Chances, of shape (n,) or numbers.

    Returns
    -------
    Array
        Shape (n,): 0 or 1 where the outcome has no chance of its own; the mean over the
        randomization [3]_ where it has.
    """
    below, up_to, low, high = _columns(below, up_to, low, high)
    width = up_to - below
    overlap = np.maximum(np.minimum(up_to, high) - np.maximum(below, low), 0.0)
    inside = (low <= up_to) & (up_to <= high)
    return np.where(width > 0, overlap / np.where(width > 0, width, 1.0), inside)


def covered_share(below: ArrayLike, up_to: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Return the mean of :func:`covered`; NaN of nobody."""
    each = covered(below, up_to, low, high)
    return float(each.mean()) if len(each) else float("nan")


def _columns(*columns: ArrayLike) -> tuple[Array, ...]:
    return np.broadcast_arrays(*(np.asarray(c, dtype=np.float64) for c in columns))


def _spread_quantile(below: Array, up_to: Array, chance: float) -> float:
    """Return a quantile of transforms that are spread evenly between two chances each."""
    grid = np.linspace(0.0, 1.0, 2001)
    width = np.maximum(up_to - below, 1e-9)
    share = np.zeros(len(grid))
    for i, at in enumerate(grid):
        share[i] = np.clip((at - below) / width, 0.0, 1.0).mean()
    return float(np.interp(chance, share, grid))
