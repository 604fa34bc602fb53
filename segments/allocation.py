"""At most one action a customer, the most gain within a budget: the multiple-choice knapsack.

A heavier action is an upgrade of a lighter one: what counts is what it gains and costs on top. Only
the upgrades on the upper convex hull of gain against cost are ever worth funding, and along it each
gains less per unit than the one before [1]_. Taking the best upgrades of all customers until the
budget is spent is within one upgrade of the optimum.

References
----------
.. [1] Sinha & Zoltners (1979), The Multiple-Choice Knapsack Problem, Operations Research 27(3), 503-515.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

MILLIONTHS = 1e6  # budgets are kept in them: sums of floats would overrun one by their last digit
MOST = 1 << 62  # millionths: more than any budget
SORTED_WHOLE = 10_000  # upgrades up to which all are sorted
LEVELS, BEYOND = 8192, 2  # of gain per unit, by which the others are looked through first
PRECISION, TURNS = 1e-6, 6  # of the search for what a place under a cap is worth
TOP_UPS = 1000  # changes that are looked at when places and budget are left


@dataclass(frozen=True)
class _Upgrades:
    """Upgrades worth their cost: arrays of shape (m,), each customer's in the order in which they are taken."""

    customer: Rows
    option: Rows
    slope: Array
    cost: NDArray[np.int64]


def allocate(
    gains: ArrayLike,
    costs: ArrayLike,
    budget: float,
    *,
    caps: ArrayLike | None = None,
    hurdle: float = 0.0,
    held: ArrayLike | None = None,
) -> Rows:
    """Choose each customer's action.

    Parameters
    ----------
    gains
        Shape (n, k): what each action gains, net of its cost. Column 0 is to do nothing: all 0.
    costs
        Shape (n, k) or (k,), 0 or more; column 0 is all 0.
    budget
        Most that the chosen actions may cost together.
    caps
        Shape (k,): most customers who may get each action; infinite = no cap. Column 0 has none.
    hurdle
        Least net gain per unit of cost on top that an upgrade must have.
    held
        Shape (n,): customers who get what they would get, but use neither budget nor caps.

    Returns
    -------
    NDArray
        Shape (n,): column chosen for each customer. Of equals, customers who come first.

    Raises
    ------
    ValueError
        Wrong shapes, unknown gains, negative costs or budget.
    """
    gain, cost = _checked(gains, costs, budget)
    n = len(gain)
    held_out = np.zeros(n, bool) if held is None else np.broadcast_to(np.asarray(held, bool), n)
    if caps is None or not np.isfinite(np.asarray(caps)[1:]).any():
        return _spend(gain, cost, budget, hurdle, held_out)
    return _within_caps(gain, cost, budget, hurdle, held_out, np.asarray(caps, np.float64))


def marginal_return(gains: ArrayLike, costs: ArrayLike, budget: float) -> float:
    """Return the net gain per unit of the first upgrade that `budget` does not reach; NaN = none is left."""
    gain, cost = _checked(gains, costs, budget)
    nobody = np.zeros(len(gain), dtype=bool)
    upgrades = _best_first(_upgrades(gain, cost, 0.0), _millionths(budget), nobody)
    beyond = np.cumsum(upgrades.cost) > _millionths(budget)
    return float(upgrades.slope[np.argmax(beyond)]) if beyond.any() else float("nan")


def return_curve(gains: ArrayLike, costs: ArrayLike, points: int = 200) -> tuple[Array, Array]:
    """Return budgets, and the net gain that each brings; two arrays of at most `points` + 1 numbers, from 0 on."""
    gain, cost = _checked(gains, costs, 0.0)
    nobody = np.zeros(len(gain), dtype=bool)
    upgrades = _best_first(_upgrades(gain, cost, 0.0), MOST, nobody)
    spent = np.r_[0, np.cumsum(upgrades.cost)] / MILLIONTHS
    won = np.r_[0.0, np.cumsum(np.where(upgrades.cost > 0, upgrades.slope, 0.0) * upgrades.cost)]
    shown = np.unique(np.linspace(0, len(spent) - 1, points + 1).astype(np.intp))
    return spent[shown], won[shown] / MILLIONTHS


def _checked(gains: ArrayLike, costs: ArrayLike, budget: float) -> tuple[Array, Array]:
    gain = np.asarray(gains, dtype=np.float64)
    if gain.ndim != 2 or gain.shape[1] < 1:
        raise ValueError(
            f"gains have a row per customer and a column per action; got {gain.shape}"
        )
    cost = np.asarray(costs, dtype=np.float64)
    if cost.shape not in (gain.shape, gain.shape[1:]):
        raise ValueError(
            f"costs have the gains' shape {gain.shape} or its columns; got {cost.shape}"
        )
    if not np.isfinite(gain).all() or not (np.isfinite(cost) & (cost >= 0)).all():
        raise ValueError("gains are known numbers and costs 0 or more. Mend those that are not")
    if gain[:, 0].any() or cost[..., 0].any():
        raise ValueError("column 0 is to do nothing: it gains 0 and costs 0. Put it first")
    if not budget >= 0:
        raise ValueError(f"a budget is 0 or more; got {budget}")
    return gain, np.broadcast_to(cost, gain.shape)


def _spend(
    gain: Array, cost: Array, budget: float, hurdle: float, held: NDArray[np.bool_]
) -> Rows:
    """Take the best upgrades that the budget reaches, then those that fit what is left."""
    upgrades = _best_first(_upgrades(gain, cost, hurdle), _millionths(budget), held)
    chosen = np.zeros(len(gain), dtype=np.intp)
    is_held = held[upgrades.customer]
    limit = _millionths(budget)
    used = np.where(is_held, 0, upgrades.cost)
    before = np.cumsum(used) - used
    fits = before + upgrades.cost <= limit
    stop = int(np.argmax(~fits & ~is_held)) if (~fits & ~is_held).any() else len(fits)
    taken = np.flatnonzero(fits[:stop])  # held-out ones whose own cost would still fit, too
    _place(chosen, upgrades, taken)
    _top_up(chosen, gain, cost, budget, hurdle, held, np.full(gain.shape[1], np.inf))
    spent = _in_millionths(cost[np.arange(len(gain)), chosen][~held])
    if spent > limit:
        raise AssertionError(f"a budget is kept: {spent / MILLIONTHS} of {budget} would be spent")
    return chosen


def _place(chosen: Rows, upgrades: _Upgrades, taken: Rows) -> None:
    """Give customers the last of their upgrades that are taken; they come in order."""
    chosen[upgrades.customer[taken]] = upgrades.option[taken]


def _upgrades(gain: Array, cost: Array, hurdle: float) -> _Upgrades:
    """List the upgrades along each customer's hull that gain at least the hurdle; a customer's come in order."""
    gains, costs = gain.T.copy(), cost.T.copy()  # by action: each is read whole
    rows = np.arange(len(gain))
    here, spent = np.zeros(len(gain)), np.zeros(len(gain))
    found = []
    for _ in range(len(gains) - 1):
        steepest, best, price = np.full(len(rows), -np.inf), np.zeros(len(rows), np.intp), spent
        for option in range(1, len(gains)):
            slope = _slope(gains[option] - here, costs[option] - spent)
            # Of equally steep upgrades the farthest: the hull has no corner between them.
            is_better = (slope > steepest) | ((slope == steepest) & (costs[option] > price))
            steepest = np.where(is_better, slope, steepest)
            best = np.where(is_better, option, best)
            price = np.where(is_better, costs[option], price)
        worth = np.flatnonzero((steepest > 0) & (steepest >= hurdle))
        if not len(worth):
            break
        rows, best, price = rows[worth], best[worth], price[worth]
        extra = np.round((price - spent[worth]) * MILLIONTHS).astype(np.int64)
        found.append((rows, best, steepest[worth], extra))
        gains, costs, spent = gains[:, worth], costs[:, worth], price
        here = gains[best, np.arange(len(best))]
    if not found:
        nobody = np.zeros(0, dtype=np.intp)
        return _Upgrades(nobody, nobody, np.zeros(0), np.zeros(0, dtype=np.int64))
    customer, column, steepness, extra_cost = (
        np.concatenate(part) for part in zip(*found, strict=True)
    )
    return _Upgrades(customer, column, steepness, extra_cost)


def _slope(more: Array, extra: Array) -> Array:
    """Return the gain per unit of cost on top; infinite where it is free, minus that where it saves."""
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = more / extra
    slope[extra < 0] = -np.inf
    free = extra == 0
    slope[free] = np.where(more[free] > 0, np.inf, -np.inf)
    return slope


def _best_first(upgrades: _Upgrades, limit: int, held: NDArray[np.bool_]) -> _Upgrades:
    """Sort the upgrades that a budget may reach, and some beyond it; those held out use none of it."""
    slope, cost = upgrades.slope, upgrades.cost
    used = np.where(held[upgrades.customer], 0, cost)
    if len(slope) > SORTED_WHOLE and used.sum() > limit:
        level = np.log2(np.clip(slope, 2.0**-32, 2.0**32))
        coarse = ((32.0 - level) * (LEVELS / 64)).astype(np.int64)
        reached = np.cumsum(np.bincount(coarse, weights=used, minlength=LEVELS + 1))
        last = int(np.searchsorted(reached, limit, side="right")) + BEYOND
        of = np.flatnonzero(coarse <= last)
    else:
        of = np.arange(len(slope))
    order = of[np.argsort(-slope[of], kind="stable")]
    return _Upgrades(upgrades.customer[order], upgrades.option[order], slope[order], cost[order])


def _within_caps(
    gain: Array, cost: Array, budget: float, hurdle: float, held: NDArray[np.bool_], caps: Array
) -> Rows:
    """Find what a place under each cap is worth and charge it, so that what is chosen keeps the caps.

    Prices are raised and lowered in turn, since each moves what is left for the others; then places and
    budget that the prices left unused are given to whom they bring most.
    """
    capped = np.flatnonzero(np.isfinite(caps))
    prices, highest = np.zeros(len(caps)), float(gain.max(initial=0.0))
    best, most = np.zeros(len(gain), dtype=np.intp), 0.0
    for _ in range(TURNS):
        for option in capped:
            prices[option] = _price(
                int(option), prices, highest, gain, cost, budget, hurdle, held, caps
            )
        chosen = _spend(_priced(gain, prices), cost, budget, hurdle, held)
        _take_back(chosen, gain, held, caps)
        _top_up(chosen, gain, cost, budget, hurdle, held, caps)
        won = float(gain[np.arange(len(gain)), chosen][~held].sum())
        if won > most:
            best, most = chosen, won
    return best


def _take_back(chosen: Rows, gain: Array, held: NDArray[np.bool_], caps: Array) -> None:
    """Leave out, of each action that too many have, those to whom it brings least."""
    for option in np.flatnonzero(np.isfinite(caps)):
        have = np.flatnonzero((chosen == option) & ~held)
        over = len(have) - int(caps[option])
        if over > 0:
            chosen[have[np.argsort(gain[have, option], kind="stable")[:over]]] = 0


def _price(
    option: int,
    prices: Array,
    highest: float,
    gain: Array,
    cost: Array,
    budget: float,
    hurdle: float,
    held: NDArray[np.bool_],
    caps: Array,
) -> float:
    """Return the lowest price of an action at which its cap is kept, the other prices as they are."""

    def is_kept(price: float) -> bool:
        charged = prices.copy()
        charged[option] = price
        chosen = _spend(_priced(gain, charged), cost, budget, hurdle, held)
        return bool((chosen[~held] == option).sum() <= caps[option])

    if is_kept(0.0):
        return 0.0
    low, high = 0.0, highest
    while high - low > PRECISION * highest:
        middle = (low + high) / 2
        low, high = (low, middle) if is_kept(middle) else (middle, high)
    return high


def _top_up(
    chosen: Rows,
    gain: Array,
    cost: Array,
    budget: float,
    hurdle: float,
    held: NDArray[np.bool_],
    caps: Array,
) -> None:
    """Give what prices left unused to whom it brings most on top of what they have."""
    rows = np.arange(len(gain))
    places = caps - np.bincount(chosen[~held], minlength=len(caps))
    spent, won = cost[rows, chosen], gain[rows, chosen]
    left = _millionths(budget) - _in_millionths(spent[~held])
    found = []
    for option in np.flatnonzero(places > 0):
        more, extra = gain[:, option] - won, cost[:, option] - spent
        may = np.flatnonzero((more > 0) & (extra * MILLIONTHS <= left) & ~held)
        slope = _slope(more[may], extra[may])
        may, slope = may[(slope >= hurdle)], slope[slope >= hurdle]
        best = np.argsort(-slope, kind="stable") if len(slope) < TOP_UPS else _largest(slope)
        found += [(-slope[at], may[at], option, extra[may[at]]) for at in best[:TOP_UPS]]
    found.sort()
    moved: set[int] = set()
    for _, customer, option, extra in found:
        price = round(float(extra) * MILLIONTHS)
        if customer in moved or places[option] < 1 or price > left:
            continue
        places[chosen[customer]] += 1
        places[option] -= 1
        chosen[customer] = option
        left -= price
        moved.add(customer)


def _largest(slope: Array) -> Rows:
    """Return the places of the largest, the largest first."""
    some = np.argpartition(-slope, TOP_UPS - 1)[:TOP_UPS]
    return some[np.argsort(-slope[some], kind="stable")]


def _in_millionths(costs: Array) -> int:
    return int(np.round(costs * MILLIONTHS).astype(np.int64).sum())


def _priced(gain: Array, prices: Array) -> Array:
    return np.asarray(gain - np.r_[0.0, prices[1:]])


def _millionths(budget: float) -> int:
    return MOST if budget > MOST / MILLIONTHS else round(budget * MILLIONTHS)
