"""How a sum of orders is distributed: what a customer brings over a horizon, over the scale of their spend.

References
----------
.. [1] Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, note 025: order values are
   gamma with a gamma distributed rate; a sum of n of them has n times the shape.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from models.purchases import mean_by_phase
from models.spend import Spend

Array = NDArray[np.float64]

GRID = 384  # sums at which a distribution is computed: quantiles are within 0.1 % of exact ones
STEP = 8  # numbers of orders that are added at once
NEVER = 1e-12  # a chance that is not told from none


class Sums:
    """The distributions of sums of 1, 2, ... orders of customers who had equally many.

    Parameters
    ----------
    spend
        Fitted model.
    known
        Orders whose mean is known.
    """

    def __init__(self, spend: Spend, orders: float) -> None:
        self.p, self.shape = spend.p, spend.q + spend.p * orders
        self.tables: dict[int, tuple[Array, Array]] = {}

    def upto(self, largest: int, tails: Array) -> tuple[Array, Array]:
        """Return a grid of sums, and the chances of no more than each, by phase and cell.

        The grid depends on the histories' own size alone, not on what they are computed with.

        Parameters
        ----------
        largest
            Number of orders that the grid is made for.
        tails
            Shape (N, phases, cells): chances of at least 1, 2, ... orders of those active.

        Returns
        -------
        tuple
            Shape (GRID + 1,), 0 first; and (phases, cells, GRID + 1): those active, of at most so much.
        """
        if largest not in self.tables:
            mean = self.p / (self.shape - 1)
            grid = np.concatenate([[0.0], mean * np.geomspace(0.01, 30.0 * largest, GRID)])
            self.tables[largest] = grid, np.ones((1, len(grid)))
        longest = _whole_steps(len(tails))
        sums, chances = self.tables[largest] = self._reaching(*self.tables[largest], longest)
        mass = np.zeros((*tails.shape[1:], longest + 1))
        mass[..., 0] = 1.0
        mass[..., 1 : len(tails) + 1] = np.moveaxis(tails, 0, -1)
        mass[..., :-1] -= mass[..., 1:].copy()
        most = _whole_steps((tails > 0).sum(axis=0)) + 1
        chances_by_cell = np.empty((*tails.shape[1:], len(sums)))
        for cell in np.ndindex(most.shape):  # each by itself: no digit hangs on who is beside it
            np.matmul(mass[cell][: most[cell]], chances[: most[cell]], out=chances_by_cell[cell])
        return sums, np.minimum(chances_by_cell, 1.0)

    def _reaching(self, sums: Array, chances: Array, longest: int) -> tuple[Array, Array]:
        """Return a grid's sums, and its chances for up to so many orders, shape (N, GRID + 1)."""
        share = sums / (1 + sums)
        for begin in range(len(chances), longest + 1, STEP):
            orders = np.arange(begin, begin + STEP, dtype=np.float64)
            more = np.zeros((STEP, len(sums)))
            likely = np.flatnonzero(chances[-1] > NEVER)  # of more orders it is less likely still
            more[:, likely] = betainc(self.p * orders[:, None], self.shape, share[likely])
            chances = np.vstack([chances, more])
        return sums, chances


def _whole_steps(orders: Any) -> Any:  # noqa: ANN401  # a whole number, or an array of them
    """Round numbers of orders up: what is computed of a history depends on its own size alone."""
    return -(-orders // STEP) * STEP


@dataclass(frozen=True)
class Mixture:
    """Rows' distributions over their scale of spend, at a grid of sums.

    Attributes
    ----------
    sums
        Shape (GRID + 1,): 0 first.
    chances
        Shape (phases, cells, GRID + 1): of at most so much, of those active.
    cell
        Shape (rows,): each row's cell.
    active
        Shape (phases, rows): chance of being active in each phase.
    """

    sums: Array
    chances: Array
    cell: NDArray[np.intp]
    active: Array

    def at(self, place: NDArray[np.intp], rows: NDArray[np.intp] | slice = slice(None)) -> Array:
        """Return the chance of at most the sum at a place of the grid, for some rows."""
        active = self.active[:, rows]
        chances = self.chances[:, self.cell[rows], place]
        return np.asarray(1 - active.sum(axis=0) + mean_by_phase(active, chances))

    def chance(self, value: Array) -> Array:
        """Return the chance of at most a value, for each row."""
        log_sums = np.log(self.sums[1:])
        place = np.interp(
            np.log(np.maximum(value, 1e-300)), log_sums, np.arange(1, len(self.sums))
        )
        whole = np.minimum(place.astype(np.intp), len(self.sums) - 2)
        part = place - whole
        return self.at(whole) * (1 - part) + self.at(whole + 1) * part

    def quantile(self, wanted: Array) -> Array:
        """Invert each row's distribution; between sums the log of the sum is straight in the chance."""
        nothing = self.at(np.zeros(len(wanted), dtype=np.intp))
        rows = np.flatnonzero(nothing < wanted)  # of the others, the quantile is nothing
        wanted, low = wanted[rows], nothing[rows]
        below = np.zeros(len(rows), dtype=np.intp)  # the last place with less chance than wanted
        place = np.full(len(rows), len(self.sums) - 1)  # the first with enough, or the last
        high = self.at(place, rows)
        while (is_open := place - below > 1).any():
            middle = (below + place) // 2
            chance = self.at(middle, rows)
            is_short = is_open & (chance < wanted)
            below, low = np.where(is_short, middle, below), np.where(is_short, chance, low)
            is_enough = is_open & ~is_short
            place, high = np.where(is_enough, middle, place), np.where(is_enough, chance, high)
        part = np.clip((wanted - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
        start = np.where(below > 0, self.sums[below], self.sums[1] / 2)
        quantile = np.zeros(len(nothing))
        quantile[rows] = start * (np.maximum(self.sums[place], self.sums[1] / 2) / start) ** part
        return quantile


def most_orders(tails: Array) -> NDArray[np.int64]:
    """Return a power of 4 that is no less than the most orders that those of a cell may bring."""
    most = np.maximum((tails > 0).any(axis=1).sum(axis=0), 1)
    return np.asarray(4 ** np.ceil(np.log(most) / np.log(4) - 1e-9), dtype=np.int64)
