"""What is asked, checked; money in whole millionths, whose sums no float's last digit moves."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]
Units = NDArray[np.int64]

UNITS = 1_000_000  # in which money is summed, per unit of currency
NOISE = 1e-3  # of such a unit: what a float's last digits may add to a cost, or take off a budget
MOST = 1 << 62  # units: more than all costs together


@dataclass(frozen=True)
class Problem:
    """Which action for whom.

    Attributes
    ----------
    gain
        Shape (n, k), net of cost; column 0 is to do nothing.
    cost
        Shape (n, k), or (1, k) where all customers cost the same; whole millionths.
    limit
        Budget, millionths.
    hurdle
        Least net gain per unit of cost on top; 0 or more.
    held
        Shape (n,): who uses neither budget nor places.
    caps
        Shape (k,): places; infinite = no cap.
    """

    gain: Array
    cost: Array
    limit: int
    hurdle: float
    held: Flags
    caps: Array

    @property
    def capped(self) -> Rows:
        """Columns that have a cap."""
        return np.flatnonzero(np.isfinite(self.caps))

    def of(self, rows: Rows) -> "Problem":
        """Return the problem of some customers, with the whole budget and all places."""
        cost = self.cost if len(self.cost) == 1 else self.cost[rows]
        return replace(self, gain=self.gain[rows], cost=cost, held=self.held[rows])

    def only(self, allowed: Flags) -> "Problem":
        """Let what is not allowed, shape (n, k), gain nothing."""
        return self if allowed.all() else replace(self, gain=np.where(allowed, self.gain, 0.0))

    def gained(self, choice: Rows) -> Array:
        """Return each customer's gain."""
        return np.asarray(self.gain[np.arange(len(choice)), choice])

    def paid(self, choice: Rows) -> Array:
        """Return each customer's cost."""
        return np.asarray(self.cost[0 if len(self.cost) == 1 else np.arange(len(choice)), choice])

    def left(self, choice: Rows) -> int:
        """Return what of the budget is left, millionths."""
        return self.limit - int(in_units(self.paid(choice)[~self.held]).sum())

    def places_left(self, choice: Rows) -> Array:
        """Return how many places are left of each column, shape (k,)."""
        return self.caps - np.bincount(choice[~self.held], minlength=len(self.caps))

    def worth(self) -> Array:
        """Return gains, shape (n, k), less what the hurdle asks of their cost."""
        return self.gain - self.hurdle * self.cost if self.hurdle else self.gain


def in_units(cost: Array) -> Units:
    """Return costs that are whole millionths, and their differences, in millionths."""
    return np.asarray(np.rint(cost * UNITS).astype(np.int64))


def posed(
    gains: ArrayLike,
    costs: ArrayLike,
    budget: float = np.inf,
    *,
    caps: ArrayLike | None = None,
    hurdle: float = 0.0,
    held: ArrayLike | None = None,
) -> Problem:
    """Check what is asked.

    Raises
    ------
    ValueError
        Wrong shapes, unknown gains, costs, caps, budget or hurdle, negative costs, caps or budget.
    """
    gain = _checked_gains(gains)
    n, k = gain.shape
    if not budget >= 0:
        raise ValueError(f"a budget is 0 or more: got {budget}. Set it, or leave out this run")
    if np.isnan(hurdle):
        raise ValueError("a hurdle is a number: got nan. Set 0 for none")
    limit = MOST if budget >= MOST / UNITS else int(budget * UNITS + NOISE)
    who = np.asarray(False if held is None else held, dtype=bool)
    if who.shape not in ((), (n,)):
        raise ValueError(f"held has one flag per customer: got {who.shape} for {n}. Align them")
    return Problem(
        gain,
        _checked_costs(costs, n, k),
        limit,
        max(float(hurdle), 0.0),
        np.broadcast_to(who, n),
        _checked_caps(caps, k),
    )


def _checked_gains(gains: ArrayLike) -> Array:
    gain = np.asarray(gains, dtype=np.float64)
    if gain.ndim != 2 or not gain.shape[1]:
        raise ValueError(
            f"gains have a row per customer and a column per action: got {gain.shape}. Stack them"
        )
    unknown = int((~np.isfinite(gain)).any(axis=1).sum()) if not np.isfinite(gain).all() else 0
    if unknown:
        raise ValueError(
            f"gains are finite: those of {unknown:,} of {len(gain):,} customers are not. "
            "Make an action that is not to be chosen gain less than 0"
        )
    if gain[:, 0].any():
        raise ValueError("column 0 is to do nothing: it gains something. Put it first, with 0")
    return gain


def _checked_costs(costs: ArrayLike, n: int, k: int) -> Array:
    cost = np.asarray(costs, dtype=np.float64)
    if cost.shape not in ((n, k), (k,)):
        raise ValueError(
            f"costs have the gains' shape {(n, k)}, or its columns: got {cost.shape}. Align them"
        )
    if not (np.isfinite(cost).all() and (cost >= 0).all()):
        raise ValueError(
            "costs are finite and 0 or more: some are not. Count what an action saves as a gain"
        )
    if cost[..., 0].any():
        raise ValueError("column 0 is to do nothing: it costs something. Put it first, with 0")
    cost = cost.reshape(-1, k)
    if float(cost.max(axis=1).sum()) * n / max(len(cost), 1) >= MOST / UNITS:
        raise ValueError(
            f"costs of all customers stay below {MOST / UNITS:,.0f}: they do not. "
            "Give money in a larger unit"
        )
    # Up, so that no sum of them falls short; + 0, since what is free must not cost minus zero.
    return np.asarray(np.ceil(cost * UNITS - NOISE) / UNITS + 0.0)


def _checked_caps(caps: ArrayLike | None, k: int) -> Array:
    if caps is None:
        return np.full(k, np.inf)
    cap = np.array(caps, dtype=np.float64)
    if cap.shape != (k,) or not (cap[1:] >= 0).all():
        raise ValueError(
            f"caps are {k} numbers, 0 or more: got {cap.tolist()}. Set inf for an action without"
        )
    cap[0] = np.inf
    return np.floor(cap)
