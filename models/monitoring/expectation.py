"""What a few weeks are expected to bring, customer by customer and by groups of customers.

Customers are independent given the model, so that a group's variance is the sum of theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.cells import distinct
from models.history import CustomerHistory
from models.purchases import PurchaseModel
from models.spend import Spend
from models.value import (
    ForecastMultipliers,
    SecondOrder,
    corrected_orders,
    expected_order_value,
    hazards,
    raised,
)

Array = NDArray[np.float64]
Places = NDArray[np.intp]

TENTHS = 10
TENURE_DAYS = (30, 90, 180, 365, 730)  # last days of the bands but the last
TENURES = ("0-30", "31-90", "91-180", "181-365", "366-730", "over 730")


@dataclass(frozen=True)
class Counts:
    """What a window is expected to bring; every array has shape (n,).

    Attributes
    ----------
    orders
        Mean number of purchase days.
    variance
        Its variance, by the models' own distribution.
    value
        Expected net amount, undiscounted, store's currency.
    """

    orders: Array
    variance: Array
    value: Array


def expected_counts(
    purchases: PurchaseModel,
    spend: Spend,
    history: CustomerHistory,
    *,
    windows: Sequence[float],
    second_order: SecondOrder | None = None,
    multipliers: ForecastMultipliers | None = None,
) -> dict[float, Counts]:
    """Expect purchase days within windows, with their variance.

    Parameters
    ----------
    purchases, spend
        Fitted models.
    history
        The customers.
    windows
        Their lengths, calendar days.
    second_order, multipliers
        Corrections, as :func:`models.value.forecast` takes them.

    Returns
    -------
    dict
        By window; each distinct state is computed once.

    Notes
    -----
    With n purchases, mean m and mean q of n (n - 1), the variance is q + m - m^2. Where the mean is
    corrected to f m, a purchase rate that is f times as high makes it f^2 q + f m - (f m)^2.
    """
    states, where = distinct(*history.times)
    moments = purchases.moments(history.time.after(windows)[:, None], *states)
    price = expected_order_value(spend, history)
    counts = {}
    for place, days in enumerate(windows):
        chance, own, pairs = (part[where] for part in moments[:, place])
        orders, amount = own, price
        if second_order is not None or multipliers is not None:
            factors = multipliers or ForecastMultipliers.none(len(history))
            p_order = raised(chance, hazards(purchases, history, second_order, factors))
            orders = corrected_orders(own, p_order, factors)
            amount = price * factors.order_value
        more = orders / np.maximum(own, 1e-300)
        variance = np.maximum(more**2 * pairs + orders - orders**2, 0.0)
        counts[days] = Counts(orders, variance, orders * amount)
    return counts


def tenth_starts(expected: ArrayLike) -> Array:
    """Return the values at which the tenths by expected orders begin, ascending, the first -inf.

    Parameters
    ----------
    expected
        Array of shape (n,), n of 1 or more. Equal values are in one tenth, so that with many ties some
        tenths are empty.
    """
    inner = np.quantile(np.asarray(expected, dtype=np.float64), np.arange(1, TENTHS) / TENTHS)
    return np.concatenate([[-np.inf], inner])


def cells_of(age_days: ArrayLike, expected: ArrayLike, starts: ArrayLike) -> Places:
    """Return each customer's cell: ten times the place of the tenure band, plus that of the tenth.

    Parameters
    ----------
    age_days, expected
        Arrays of shape (n,): days since the first order, and what tenths are made by.
    starts
        Values at which the tenths begin, ascending.

    Returns
    -------
    Array
        Shape (n,), from 0 (newest customers, lowest tenth) to 59.
    """
    tenth = np.searchsorted(np.asarray(starts), np.asarray(expected), side="right") - 1
    return np.asarray(TENTHS * tenure_places(age_days) + np.maximum(tenth, 0))


def tenure_places(age_days: ArrayLike) -> Places:
    """Return the place of each customer's band among :data:`TENURES`, shape (n,)."""
    return np.searchsorted(TENURE_DAYS, np.asarray(age_days), side="left")


def cell_sums(cells: Places, *columns: ArrayLike) -> tuple[Array, ...]:
    """Return the number of customers of each cell, and the sums of columns; arrays of shape (60,)."""
    count = TENTHS * len(TENURES)
    ones = np.ones(len(cells))
    return tuple(
        np.bincount(cells, np.asarray(column, np.float64), count).astype(np.float64)
        for column in (ones, *columns)
    )
