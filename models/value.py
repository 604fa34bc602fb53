"""What a customer brings over a horizon: orders, their value, and when."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.cells import distinct
from models.intervals import Levels, Outcomes, own_level
from models.purchases import PurchaseModel
from models.spend import Spend

Array = NDArray[np.float64]

NODES = 6  # of the discounting in time: within 1e-5 up to a year, 1e-7 where alpha is a month
YEAR_DAYS = 365.25


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
    """

    p_alive: Array
    p_order: Array
    p_order_90d: Array
    expected_orders: Array
    expected_order_value: Array
    expected_value: Array
    median_days: Array
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
    levels
        At which chances the ends of an interval of the outcome lie; None = no interval is computed.

    Returns
    -------
    Forecast
        Arrays of shape (n,). Each distinct state is computed once.

    Notes
    -----
    Where a classifier speaks of a first-time buyer, the purchase model's cumulative hazard is
    multiplied by what makes its chance within the window equal the classifier's, so that chances
    of all windows and the median agree; expected orders change with the chance within the horizon.
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
    )
    informed = plain
    if second_order is not None:
        informed = _informed(plain, purchases, x, T, second_order)
    if levels is None:
        return informed
    low, high = levels.of(informed.expected_value)
    lower, upper = (own_level(end, plain.p_order, informed.p_order) for end in (low, high))
    outcomes = Outcomes(purchases, spend, horizon_days)
    value_low, value_high = outcomes.interval(x, t_x, T, monetary_value, lower, upper)
    discount = (discounted / np.maximum(orders, 1e-300))[where]
    return replace(informed, value_low=value_low * discount, value_high=value_high * discount)


def _informed(
    plain: Forecast, purchases: PurchaseModel, x: Array, T: Array, second_order: SecondOrder
) -> Forecast:
    """Let the classifier speak of first-time buyers."""
    once = x == 0
    none = np.zeros(int(once.sum()))
    age = T[once]
    own = np.clip(purchases.p_order(second_order.window_days, none, none, age), 1e-12, 1 - 1e-12)
    chance = np.clip(second_order.chance[once], 1e-9, 1 - 1e-9)
    factor = np.log1p(-chance) / np.log1p(-own)

    def changed(p: Array) -> Array:
        result = p.copy()
        result[once] = -np.expm1(factor * np.log1p(-np.minimum(p[once], 1 - 1e-12)))
        return result

    p_order = changed(plain.p_order)
    scale = np.where(once, p_order / np.maximum(plain.p_order, 1e-300), 1.0)
    median = plain.median_days.copy()
    median[once] = purchases.days_until(-np.expm1(np.log(0.5) / factor), none, none, age)
    return replace(
        plain,
        p_order=p_order,
        p_order_90d=changed(plain.p_order_90d),
        expected_orders=plain.expected_orders * scale,
        expected_value=plain.expected_value * scale,
        median_days=median,
    )


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
    delta = np.log1p(annual_discount_rate) / YEAR_DAYS
    if delta == 0:
        total = purchases.expected_orders(horizon_days, x, t_x, T)
        return total, total
    peak = np.polynomial.Legendre.basis(NODES - 1)
    z = np.append(np.sort(np.real(peak.deriv().roots())), 1.0)
    root, weight = (1 + z) / 2, 2 / (NODES * (NODES - 1) * peak(z) ** 2)
    times = horizon_days * root**2
    *by_then, total = purchases.expected_orders(times[:, None], x, t_x, T)
    shares = delta * horizon_days * weight * root * np.exp(-delta * times)
    result = (np.exp(-delta * horizon_days) + shares[-1]) * total
    for share, orders in zip(
        shares[:-1], by_then, strict=True
    ):  # not a product of matrices: batches
        result = result + share * orders
    return total, result
