"""What a customer brings over a horizon: orders, their value, and when."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.cells import distinct
from models.history import CALENDAR, CustomerHistory
from models.intervals import Levels, Outcomes, own_level
from models.operational_time import MEAN_YEAR_DAYS, OperationalTime
from models.purchases import PurchaseModel, as_arrays, mean_by_phase
from models.spend import Spend

Array = NDArray[np.float64]

NODES = 6  # of the discounting in time: within 1e-5 up to a year, 1e-7 where alpha is a month
MOMENTS = 1000  # of the weights of these nodes
SOON_DAYS = 90  # of p_order_90d
SURE = 1 - 1e-12  # a chance above it is reached never
LIKELY = 0.25  # chance of any order above which the mean lies inside its interval


@dataclass(frozen=True)
class Forecast:
    """The forecast of each customer, in parts that add up; every array has shape (n,).

    Attributes
    ----------
    p_alive
        Chance of not having left for good.
    p_order
        Chance of at least one order within the horizon.
    p_order_90d
        Chance of at least one order within 90 days.
    expected_orders
        Purchase days within the horizon; no fewer than `p_order`.
    expected_order_value
        Net amount of a purchase day, store's currency.
    discount_factor
        Present value of an order of the horizon over its amount, in (0, 1].
    median_days
        Median days to the next order; infinite where more likely never.
    stretch
        Correction of the value given any order, by which the interval is wider.
    value_low, value_high
        Ends of the 80 % interval of net revenue within the horizon, discounted; None where not asked
        for. Where `p_order` is 0.25 or less the lower end is 0 and the mean may lie above the upper.
    """

    p_alive: Array
    p_order: Array
    p_order_90d: Array
    expected_orders: Array
    expected_order_value: Array
    discount_factor: Array
    median_days: Array
    stretch: Array
    value_low: Array | None = None
    value_high: Array | None = None

    @property
    def expected_value(self) -> Array:
        """Net revenue within the horizon, discounted, store's currency: the product of the three parts."""
        return self.expected_orders * self.expected_order_value * self.discount_factor


@dataclass(frozen=True)
class SecondOrder:
    """A classifier's forecast of one-time buyers; of repeat customers it is not used.

    Attributes
    ----------
    chance
        Shape (n,): chance of a second order within the window.
    window_days
        Length of the window, operational days.
    """

    chance: Array
    window_days: int


@dataclass(frozen=True)
class ForecastMultipliers:
    """Corrections of the forecast by purchase and spend models.

    Attributes
    ----------
    hazard
        Shape (n,): what the cumulative hazard of the next order is multiplied by.
    orders, order_value
        Shape (n,): the same of expected orders and of expected order value.
    """

    hazard: Array
    orders: Array
    order_value: Array

    @classmethod
    def none(cls, customers: int) -> "ForecastMultipliers":
        """Return no correction."""
        one = np.ones(customers)
        return cls(one, one, one)


def forecast(
    purchases: PurchaseModel,
    spend: Spend,
    history: CustomerHistory,
    *,
    horizon_days: int,
    annual_discount_rate: float,
    second_order: SecondOrder | None = None,
    multipliers: ForecastMultipliers | None = None,
    levels: Levels | None = None,
    has_median: bool = True,
) -> Forecast:
    """Forecast each customer's orders and value over a horizon.

    Parameters
    ----------
    purchases, spend
        Fitted models, in operational days and in the store's currency.
    history
        The customers.
    horizon_days
        Length of the horizon, calendar days.
    annual_discount_rate
        0.10 means that money in a year is worth 1 / 1.10 today.
    second_order
        A classifier's chances of one-time buyers, which replace the purchase model's.
    multipliers
        Corrections of everybody's forecast.
    levels
        Chances at the ends of an interval of the outcome; None = no interval is computed.
    has_median
        Whether median days are computed, which takes longest; else they are NaN.

    Returns
    -------
    Forecast
        Arrays of shape (n,). Each distinct state is computed once.

    Notes
    -----
    A correction of the chance multiplies the purchase model's cumulative hazard, so that the chances
    of all windows and the median agree.
    """
    states, where = distinct(*history.times)
    horizon, soon = (float(history.time.after(days)) for days in (horizon_days, SOON_DAYS))
    orders, discounted = (
        column[where]
        for column in discounted_orders(
            purchases,
            *states,
            horizon_days=horizon_days,
            annual_discount_rate=annual_discount_rate,
            time=history.time,
        )
    )
    plain = Forecast(
        p_alive=purchases.p_alive(*states)[where],
        p_order=purchases.p_order(horizon, *states)[where],
        p_order_90d=purchases.p_order(soon, *states)[where],
        expected_orders=orders,
        expected_order_value=expected_order_value(spend, history),
        discount_factor=_discount_factor(orders, discounted, horizon_days, annual_discount_rate),
        median_days=(
            history.time.calendar_days(purchases.median_days(*states))[where]
            if has_median
            else np.full(len(where), np.nan)
        ),
        stretch=np.ones(len(history)),
    )
    corrected = plain
    if second_order is not None or multipliers is not None:
        corrected = _corrected(plain, purchases, history, second_order, multipliers)
    if levels is None:
        return corrected
    return _with_interval(corrected, plain.p_order, purchases, spend, history, horizon, levels)


def expected_order_value(spend: Spend, history: CustomerHistory) -> Array:
    """Return the expected net amount of the next purchase day, shape (n,), store's currency."""
    return spend.expected_order_value(history.orders, history.mean_order) * history.scale


def _discount_factor(orders: Array, discounted: Array, days: int, annual_rate: float) -> Array:
    """Return present values over amounts; where no order is expected, that of the horizon's middle."""
    middle = np.exp(-np.log1p(annual_rate) / MEAN_YEAR_DAYS * days / 2)
    some = orders > 0
    return np.where(some, discounted / np.where(some, orders, 1.0), middle)


def _with_interval(
    forecast: Forecast,
    plain_chance: Array,
    purchases: PurchaseModel,
    spend: Spend,
    history: CustomerHistory,
    horizon: float,
    levels: Levels,
) -> Forecast:
    """Add the interval of the outcome, which holds the mean where an order is likely."""
    mean, chance = forecast.expected_value, forecast.p_order
    lower, upper = (own_level(end, plain_chance, chance) for end in levels.of(mean))
    outcomes = Outcomes(purchases, spend, horizon)
    low, high = (
        end * forecast.discount_factor * forecast.stretch
        for end in outcomes.interval(history, lower, upper, plain_chance)
    )
    is_likely = chance > LIKELY
    return replace(
        forecast,
        value_low=np.where(is_likely, np.minimum(low, mean), 0.0),
        value_high=np.where(is_likely, np.maximum(high, mean), high),
    )


def _corrected(
    plain: Forecast,
    purchases: PurchaseModel,
    history: CustomerHistory,
    second_order: SecondOrder | None,
    multipliers: ForecastMultipliers | None,
) -> Forecast:
    """Apply a classifier to one-time buyers and multipliers to everybody."""
    factors = multipliers or ForecastMultipliers.none(len(history))
    hazard = hazards(purchases, history, second_order, factors)
    soon, p_order = raised(plain.p_order_90d, hazard), raised(plain.p_order, hazard)
    orders = corrected_orders(plain.expected_orders, p_order, factors)
    value = factors.order_value * orders / np.maximum(plain.expected_orders, 1e-300)
    alive = raised(plain.p_alive, hazard)  # who may order is alive: both by the same hazard
    alive = np.where(plain.p_alive > 1 - 1e-9, plain.p_alive, alive)
    return replace(
        plain,
        p_alive=np.maximum(alive, p_order),
        p_order=p_order,
        p_order_90d=soon,
        expected_orders=orders,
        expected_order_value=plain.expected_order_value * factors.order_value,
        median_days=_median_days(plain.median_days, purchases, history, hazard),
        stretch=value / np.maximum(p_order / np.maximum(plain.p_order, 1e-300), 1e-12),
    )


def _median_days(
    plain: Array, purchases: PurchaseModel, history: CustomerHistory, hazard: Array
) -> Array:
    """Return median days to the next order once the cumulative hazard is multiplied."""
    if np.isnan(plain).all():
        return plain
    chance = -np.expm1(np.log(0.5) / np.maximum(hazard, 1e-12))
    is_never = chance > SURE
    days = history.time.calendar_days(
        purchases.days_until(np.minimum(chance, SURE), *history.times)
    )
    return np.where(hazard == 1, plain, np.where(is_never, np.inf, days))


def hazards(
    purchases: PurchaseModel,
    history: CustomerHistory,
    second_order: SecondOrder | None,
    multipliers: ForecastMultipliers,
) -> Array:
    """Return what each customer's cumulative hazard of the next order is multiplied by, shape (n,).

    Parameters
    ----------
    purchases
        Fitted model.
    history
        The customers.
    second_order, multipliers
        As :func:`forecast` takes them.
    """
    hazard = multipliers.hazard
    if second_order is None:
        return hazard
    once = history.is_once
    of_once = tuple(column[once] for column in history.times)
    own = np.clip(purchases.p_order(second_order.window_days, *of_once), 1e-12, 1 - 1e-12)
    chance = np.clip(second_order.chance[once], 1e-9, 1 - 1e-9)
    hazard = hazard.copy()
    hazard[once] = np.log1p(-chance) / np.log1p(-own)
    return hazard


def raised(p: Array, hazard: Array) -> Array:
    """Return chances of any order once their cumulative hazard is multiplied; shapes (n,)."""
    more = -np.expm1(hazard * np.log1p(-np.minimum(p, 1 - 1e-12)))
    return np.where(hazard == 1, p, more)


def corrected_orders(orders: Array, chance: Array, multipliers: ForecastMultipliers) -> Array:
    """Return expected orders of a window, shape (n,), no fewer than the chance of any.

    Parameters
    ----------
    orders
        Shape (n,): by the purchase model.
    chance
        Shape (n,): corrected chance of any order in the window.
    multipliers
        As :func:`forecast` takes them.
    """
    return np.maximum(orders * multipliers.orders, chance)


def discounted_orders(
    purchases: PurchaseModel,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
    *,
    horizon_days: int,
    annual_discount_rate: float,
    time: OperationalTime = CALENDAR,
) -> tuple[Array, Array]:
    """Expect orders within a horizon, as they are and each discounted from the moment it is expected at.

    Parameters
    ----------
    purchases
        Fitted model.
    x, t_x, T
        Arrays of shape (n,), times in operational days.
    horizon_days
        Length of the horizon, calendar days, h.
    annual_discount_rate
        Yearly rate; compounded continuously at delta per day.
    time
        How the days to come are measured.

    Returns
    -------
    tuple
        Arrays of shape (n,): orders, and discounted orders.

    Notes
    -----
    The integral of exp(-delta t) dE(t) is, by parts, exp(-delta h) E(h) plus delta times the
    integral of exp(-delta t) E(t), where E(t) is the expected number of orders by t. E is a polynomial
    in the square root of operational time through Lobatto's nodes, as it rises steeply at first.
    """
    x, t_x, T = as_arrays(x, t_x, T)
    share = purchases.active(x, t_x, T)
    (count, age), where = distinct(x, T)  # of those active, when they bought last tells nothing
    delta = np.log1p(annual_discount_rate) / MEAN_YEAR_DAYS
    if delta == 0:
        total = mean_by_phase(
            share, purchases.active_orders(time.after(horizon_days), count, age)[:, where]
        )
        return total, total
    root, weights = _discount_weights(time, horizon_days, delta)
    ahead = float(time.after(horizon_days)) * root**2
    by_then = purchases.active_orders(ahead[:, None], count, age).swapaxes(0, 1)
    present = weights[0] * by_then[0]
    for weight, orders in zip(weights[1:], by_then[1:], strict=True):  # no matrix product: batches
        present = present + weight * orders
    return (
        mean_by_phase(share, by_then[-1][:, where]),
        mean_by_phase(share, present[:, where]),
    )


def _discount_weights(time: OperationalTime, days: int, delta: float) -> tuple[Array, Array]:
    """Return nodes in the square root of operational time, the last 1, and what orders by then weigh.

    The weights are integrals of delta exp(-delta t) times the Lagrange polynomials of 0 and the nodes.
    """
    peak = np.polynomial.Legendre.basis(NODES - 1)
    nodes = (1 + np.append(np.sort(np.real(peak.deriv().roots())), 1.0)) / 2
    z, w = np.polynomial.legendre.leggauss(NODES)
    edges = days * np.linspace(0, 1, MOMENTS + 1) ** 2
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    moments = (middle[:, None] + half[:, None] * z).ravel()
    density = delta * np.exp(-delta * moments) * np.multiply.outer(half, w).ravel()
    at = np.sqrt(time.after(moments) / time.after(days))
    weights = np.empty(len(nodes))
    for place, node in enumerate(nodes):
        others = np.append(np.delete(nodes, place), 0.0)
        basis = np.prod((at[:, None] - others) / (node - others), axis=1)
        weights[place] = density @ basis
    weights[-1] += np.exp(-delta * days)
    return nodes, weights
