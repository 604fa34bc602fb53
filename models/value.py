"""What a customer brings over a horizon: orders, their value, and when."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.cells import distinct
from models.intervals import Levels, Outcomes, own_level
from models.purchases import PurchaseModel, as_arrays, mean_by_phase
from models.spend import Spend

Array = NDArray[np.float64]

NODES = 6  # of the discounting in time: within 1e-5 up to a year, 1e-7 where alpha is a month
YEAR_DAYS = 365.25
SOON_DAYS = 90  # of p_order_90d


@dataclass(frozen=True)
class Forecast:
    """What is expected of each customer; every array has shape (n,).

    Attributes
    ----------
    p_alive
        Chance of not having left for good.
    p_order
        Chance of at least one order within the horizon.
    p_order_90d
        Chance of at least one order within 90 days.
    expected_orders
        Purchase days within the horizon.
    expected_order_value
        Net amount of a purchase day, store's currency.
    expected_value
        Net revenue within the horizon, discounted, store's currency.
    value_low, value_high
        Ends of the interval of that revenue, discounted as much; None where not asked for.
    median_days
        Days to the next order's median; infinite where more likely never.
    stretch
        What is known beyond the models over what they say, of the value given any order; the interval
        is as much wider.
    """

    p_alive: Array
    p_order: Array
    p_order_90d: Array
    expected_orders: Array
    expected_order_value: Array
    expected_value: Array
    median_days: Array
    stretch: Array
    value_low: Array | None = None
    value_high: Array | None = None


@dataclass(frozen=True)
class SecondOrder:
    """What a classifier says of first-time buyers.

    Attributes
    ----------
    chance
        Shape (n,): chance of a second order within the window; of repeat customers it is not used.
    window_days
        Length of the window.
    """

    chance: Array
    window_days: int


@dataclass(frozen=True)
class Learned:
    """What is known of customers beyond the purchase and spend models, relative to them.

    Attributes
    ----------
    hazard
        Shape (n,): what the cumulative hazard of the next order is multiplied by.
    orders, value
        Shape (n,): the same of expected orders and of expected value.
    season
        What the season has in all three.
    """

    hazard: Array
    orders: Array
    value: Array
    season: float = 1.0


def forecast(
    purchases: PurchaseModel,
    spend: Spend,
    frequency: ArrayLike,
    recency_days: ArrayLike,
    age_days: ArrayLike,
    monetary_value: ArrayLike,
    *,
    horizon_days: int,
    annual_discount_rate: float,
    second_order: SecondOrder | None = None,
    learned: Learned | None = None,
    levels: Levels | None = None,
) -> Forecast:
    """Forecast each customer's orders and value over a horizon.

    Parameters
    ----------
    purchases, spend
        Fitted models, in days and in the store's currency.
    frequency, recency_days, age_days, monetary_value
        Arrays of shape (n,): the customers' state.
    horizon_days
        Length of the horizon.
    annual_discount_rate
        0.10 means that money in a year is worth 1 / 1.10 today.
    second_order
        What a classifier says of first-time buyers; it knows more of them than the purchase model.
    learned
        What a learned model says of everybody. Of the chances of first-time buyers the classifier has
        the last word.
    levels
        At which chances the ends of an interval of the outcome lie; None = no interval is computed.

    Returns
    -------
    Forecast
        Arrays of shape (n,). Each distinct state is computed once.

    Notes
    -----
    Where a classifier or a learned model speaks, the purchase model's cumulative hazard is multiplied
    so that the chance within its window equals theirs; so chances of all windows and the median agree.
    Nobody expects fewer orders than the chance of any.
    """
    x, t_x, T = (np.asarray(v, dtype=np.float64) for v in (frequency, recency_days, age_days))
    states, where = distinct(x, t_x, T)
    orders, discounted = discounted_orders(
        purchases, *states, horizon_days=horizon_days, annual_discount_rate=annual_discount_rate
    )
    order_value = spend.expected_order_value(x, monetary_value)
    plain = Forecast(
        p_alive=purchases.p_alive(*states)[where],
        p_order=purchases.p_order(horizon_days, *states)[where],
        p_order_90d=purchases.p_order(90, *states)[where],
        expected_orders=orders[where],
        expected_order_value=order_value,
        expected_value=discounted[where] * order_value,
        median_days=purchases.median_days(*states)[where],
        stretch=np.ones(len(x)),
    )
    informed = plain
    if second_order is not None or learned is not None:
        informed = _informed(plain, purchases, (x, t_x, T), horizon_days, second_order, learned)
    if levels is None:
        return informed
    low, high = levels.of(informed.expected_value)
    lower, upper = (own_level(end, plain.p_order, informed.p_order) for end in (low, high))
    outcomes = Outcomes(purchases, spend, horizon_days)
    value_low, value_high = outcomes.interval(
        x, t_x, T, monetary_value, lower, upper, plain.p_order
    )
    scale = (discounted / np.maximum(orders, 1e-300))[where] * informed.stretch
    return replace(informed, value_low=value_low * scale, value_high=value_high * scale)


def _informed(
    plain: Forecast,
    purchases: PurchaseModel,
    history: tuple[Array, Array, Array],
    horizon_days: int,
    second_order: SecondOrder | None,
    learned: Learned | None,
) -> Forecast:
    """Let a classifier speak of first-time buyers, and a learned model of everybody.

    A classifier knows its own window; the season of another horizon moves what follows from it.
    """
    hazard = within = hazards(purchases, history, second_order, learned)
    if second_order is not None and learned and horizon_days != second_order.window_days:
        within = np.where(history[0] == 0, learned.season * hazard, hazard)
    soon, p_order = raised(plain.p_order_90d, hazard), raised(plain.p_order, within)
    if horizon_days >= SOON_DAYS:
        p_order = np.maximum(p_order, soon)  # a season lowers no chance below a shorter window's
    more_often = p_order / np.maximum(plain.p_order, 1e-300)
    orders, value_factor = informed_orders(plain.expected_orders, plain.p_order, p_order, learned)
    per_order = value_factor * plain.expected_orders / np.maximum(orders, 1e-300)
    return replace(
        plain,
        p_order=p_order,
        p_order_90d=soon,
        expected_orders=orders,
        expected_order_value=plain.expected_order_value * per_order,
        expected_value=plain.expected_value * value_factor,
        median_days=np.where(
            hazard == 1,
            plain.median_days,
            purchases.days_until(-np.expm1(np.log(0.5) / hazard), *history),
        ),
        stretch=value_factor / np.maximum(more_often, 1e-12),
    )


def hazards(
    purchases: PurchaseModel,
    history: tuple[Array, Array, Array],
    second_order: SecondOrder | None,
    learned: Learned | None,
) -> Array:
    """Return what each customer's cumulative hazard of the next order is multiplied by, shape (n,).

    Parameters
    ----------
    purchases
        Fitted model.
    history
        ``x, t_x, T``, arrays of shape (n,).
    second_order, learned
        As :func:`forecast` takes them.
    """
    hazard = np.ones(len(history[0])) if learned is None else learned.hazard
    if second_order is None:
        return hazard
    once = history[0] == 0
    of_once = tuple(column[once] for column in history)
    own = np.clip(purchases.p_order(second_order.window_days, *of_once), 1e-12, 1 - 1e-12)
    chance = np.clip(second_order.chance[once], 1e-9, 1 - 1e-9)
    hazard = hazard.copy()
    hazard[once] = np.log1p(-chance) / np.log1p(-own)
    return hazard


def raised(p: Array, hazard: Array) -> Array:
    """Return chances of any order once their cumulative hazard is multiplied; shapes (n,)."""
    more = -np.expm1(hazard * np.log1p(-np.minimum(p, 1 - 1e-12)))
    return np.where(hazard == 1, p, more)


def informed_orders(
    orders: Array, own_chance: Array, chance: Array, learned: Learned | None
) -> tuple[Array, Array]:
    """Return expected orders, and what the expected value is multiplied by, once more is known.

    Parameters
    ----------
    orders, own_chance
        Shape (n,): what the purchase model expects of a window, and its chance of any order in it.
    chance
        Shape (n,): that chance, once more is known.
    learned
        As :func:`forecast` takes it.
    """
    more_often = chance / np.maximum(own_chance, 1e-300)
    if learned is None:  # word for word what the purchase model says, where nobody else speaks
        return orders * more_often, more_often
    return np.maximum(orders * learned.orders, chance), learned.value


def discounted_orders(
    purchases: PurchaseModel,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
    *,
    horizon_days: int,
    annual_discount_rate: float,
) -> tuple[Array, Array]:
    """Expect orders within a horizon, as they are and each discounted from the moment it is expected at.

    Parameters
    ----------
    purchases
        Fitted model.
    x, t_x, T
        Arrays of shape (n,).
    horizon_days
        Length of the horizon, h.
    annual_discount_rate
        Yearly rate; compounded continuously at delta per day.

    Returns
    -------
    tuple
        Arrays of shape (n,): orders, and discounted orders.

    Notes
    -----
    The integral of exp(-delta t) dE(t) is, by parts, exp(-delta h) E(h) plus delta times the
    integral of exp(-delta t) E(t), where E(t) is the expected number of orders by t. It is Lobatto's
    in the square root of time, as E rises steeply at first; of his nodes, E is known at 0 and at h.
    """
    x, t_x, T = as_arrays(x, t_x, T)
    share = purchases.active(x, t_x, T)
    (count, age), where = distinct(x, T)  # of those active, when they bought last tells nothing
    found = _if_active(purchases, count, age, horizon_days, annual_discount_rate)
    orders, discounted = (mean_by_phase(share, of[:, where]) for of in found)
    return orders, discounted


def _if_active(
    purchases: PurchaseModel, x: Array, T: Array, horizon_days: int, annual_discount_rate: float
) -> tuple[Array, Array]:
    """Expect orders and discounted orders of those who are active, by phase, shapes (phases, n)."""
    delta = np.log1p(annual_discount_rate) / YEAR_DAYS
    if delta == 0:
        total = purchases.active_orders(horizon_days, x, T)
        return total, total
    peak = np.polynomial.Legendre.basis(NODES - 1)
    z = np.append(np.sort(np.real(peak.deriv().roots())), 1.0)
    root, weight = (1 + z) / 2, 2 / (NODES * (NODES - 1) * peak(z) ** 2)
    times = horizon_days * root**2
    *by_then, total = purchases.active_orders(times[:, None], x, T).swapaxes(0, 1)
    shares = delta * horizon_days * weight * root * np.exp(-delta * times)
    result = (np.exp(-delta * horizon_days) + shares[-1]) * total
    for share, orders in zip(
        shares[:-1], by_then, strict=True
    ):  # not a product of matrices: batches
        result = result + share * orders
    return total, result
