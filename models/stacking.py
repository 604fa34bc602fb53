"""Corrections of a purchase and spend model, fitted to past cutoffs and shrunk to none.

A correction is log-linear: the logarithm of the forecast, that of rival forecasts relative to it, and
an effect of each band of tenure and frequency. Its weights are the mode of a posterior whose prior is
"no correction" (weight 1 of the forecast, 0 of everything else); the likelihood counts only as much as
the outcomes vary and as windows do not overlap. Orders, order value and the chance of an order are
corrected separately.

References
----------
.. [1] Wolpert (1992), Stacked Generalization, Neural Networks 5(2), 241-259.
.. [2] Ranjan & Gneiting (2010), Combining Probability Forecasts, JRSS B 72(1), 71-91.
.. [3] McCullagh & Nelder (1989), Generalized Linear Models, chapter 9: quasi-likelihood.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit

from models.order_value import shrunk

Array = NDArray[np.float64]
Bands = NDArray[np.intp]

TENURE_DAYS = (30, 90, 180, 365, 730)  # last days of the tenure bands but the last
REPEATS = (0, 2)  # most repeat orders of the frequency bands but the last
BANDS = (len(TENURE_DAYS) + 1) * (len(REPEATS) + 1)
FLOOR = 0.01  # of the mean, added to forecasts of orders: below it customers are not told apart
REVENUE_FLOOR = 0.05  # the same of revenue so far
EDGE = 1e-6  # of chances

FORECAST_SD, RIVAL_SD, LIFT_SD = 0.25, 0.25, 0.5  # prior standard deviations of weights
BAND_SD, BAND_VALUE_SD = (
    0.2,
    0.1,
)  # of the bands' effects on orders and chances, and on order value
LEVEL_SD = 3.0  # of the intercept, which a level of its own replaces
FIT_VARIANCE = 11.4  # times customers, of a fit's log total: its error is .28 with 150 customers
LEVEL_DAYS = 90  # shorter windows tell no level
LEVEL_SPREAD, LEVEL_PRIOR = 0.1, 2.0  # of a window's log ratio around the level, worth two windows


@dataclass(frozen=True)
class Correction:
    """A log-linear correction.

    Attributes
    ----------
    weights
        Of the columns that it is fitted to.
    bands
        Effect of each band of :func:`band_of`.
    intercept
        Added to everybody's.
    """

    weights: tuple[float, ...]
    bands: tuple[float, ...]
    intercept: float = 0.0

    def line(self, columns: Array, band: Bands) -> Array:
        """Return the linear predictor, shape (n,), for columns of shape (n, weights)."""
        total = np.asarray(self.bands)[band] + self.intercept
        for place, weight in enumerate(self.weights):  # not a matrix product: batches
            total = total + weight * columns[:, place]
        return np.asarray(total)


def band_of(age_days: ArrayLike, frequency: ArrayLike) -> Bands:
    """Return each customer's band of tenure and frequency, shape (n,), from 0 to :data:`BANDS` - 1."""
    tenure = np.searchsorted(TENURE_DAYS, np.asarray(age_days), side="left")
    return tenure * (len(REPEATS) + 1) + np.searchsorted(
        REPEATS, np.asarray(frequency), side="left"
    )


def order_columns(
    orders: Array, tree_orders: Array, revenue: Array, means: Array, lift: Array
) -> Array:
    """Lay out what a correction of orders is fitted to.

    Parameters
    ----------
    orders, tree_orders
        Shape (n,): purchase days by the purchase model and by the trees.
    revenue
        Shape (n,): revenue so far; NaN = not given.
    means
        Shape (2,): mean of `orders` and of `revenue` over all customers.
    lift
        Shape (n,), positive: what a second-purchase classifier multiplies one-time buyers' chance by.

    Returns
    -------
    Array
        Shape (n, 4): logarithms of the forecast, the trees' and revenue so far, each over its mean, and
        of the lift.
    """
    floor = FLOOR * means[0]
    own = np.log(orders + floor) - np.log(means[0])
    trees = np.log(tree_orders + floor) - np.log(means[0])
    past = np.maximum(np.nan_to_num(revenue), 0.0) + REVENUE_FLOOR * means[1]
    return np.column_stack([own, trees, np.log(past / means[1]), np.log(lift)])


def value_columns(order_value: Array, tree_value: Array, own_mean: Array) -> Array:
    """Lay out what a correction of order value is fitted to, shape (n, 2).

    Parameters
    ----------
    order_value, tree_value, own_mean
        Shape (n,), positive: by Gamma-Gamma, by the trees, and the mean of the customer's own orders and
        one more of the first.
    """
    return np.column_stack([np.log(tree_value / order_value), np.log(own_mean / order_value)])


def chance_columns(chance: Array, tree_chance: Array) -> Array:
    """Lay out what a correction of the chance of an order is fitted to, shape (n, 2): log odds [2]_."""
    own, trees = (logit(np.clip(p, EDGE, 1 - EDGE)) for p in (chance, tree_chance))
    return np.column_stack([own, trees])


def fit_orders(
    columns: Array, band: Bands, orders: Array, mean: Array, overlap: float
) -> Correction:
    """Fit a correction of orders.

    Parameters
    ----------
    columns
        Of :func:`order_columns`, shape (n, 4), n customers at all cutoffs.
    band
        Shape (n,).
    orders
        Shape (n,): purchase days of the window after the cutoff.
    mean
        Shape (n,): mean forecast of the customer's cutoff.
    overlap
        How many cutoffs share a window: 1 = none overlap.

    Returns
    -------
    Correction
        Weights are 0 or more, so a rise of one forecast never lowers the corrected one.
    """
    forecast = mean * np.exp(columns[:, 0])
    dispersion = overlap * max(1.0, float(((orders - forecast) ** 2).mean() / forecast.mean()))
    return _posterior_mode(
        columns, band, (1.0, 0.0, 0.0, 0.0), (FORECAST_SD, RIVAL_SD, RIVAL_SD, LIFT_SD), BAND_SD, 3,
        lambda line: mean * np.exp(line), lambda line, fit: fit - orders * line,
        orders, dispersion, least=0.0,
    )  # fmt: skip


def fit_order_value(
    columns: Array, band: Bands, ratio: Array, orders: Array, overlap: float
) -> Correction:
    """Fit a correction of order value to those who ordered.

    Parameters
    ----------
    columns
        Of :func:`value_columns`, shape (n, 2).
    band
        Shape (n,).
    ratio
        Shape (n,): mean net amount of the window's purchase days over the forecast; may be negative.
    orders
        Shape (n,): purchase days of the window.
    overlap
        As for :func:`fit_orders`.
    """
    spread = float((orders * (np.clip(ratio, 0, 20) - 1) ** 2).mean() / orders.mean())
    dispersion = overlap * max(0.01, spread)
    return _posterior_mode(
        columns, band, (0.0, 0.0), (RIVAL_SD, RIVAL_SD), BAND_VALUE_SD, 1,
        lambda line: orders * np.exp(line), lambda line, fit: fit - ratio * orders * line,
        ratio * orders, dispersion,
    )  # fmt: skip


def fit_chance(columns: Array, band: Bands, is_active: Array, overlap: float) -> Correction:
    """Fit a correction of the chance of an order.

    Parameters
    ----------
    columns
        Of :func:`chance_columns`, shape (n, 2).
    band
        Shape (n,).
    is_active
        Shape (n,): 1 where an order was made in the window.
    overlap
        As for :func:`fit_orders`.
    """
    return _posterior_mode(
        columns, band, (1.0, 0.0), (FORECAST_SD, RIVAL_SD), BAND_SD, 2,
        expit, lambda line, _: np.logaddexp(0, line) - is_active * line,
        is_active, overlap, least=0.0,
    )  # fmt: skip


def _posterior_mode(
    columns: Array,
    band: Bands,
    center: Sequence[float],
    spread: Sequence[float],
    band_spread: float,
    forecasts: int,
    mean: Callable[[Array], Array],
    loss: Callable[[Array, Array], Array],
    outcome: Array,
    dispersion: float,
    least: float | None = None,
) -> Correction:
    """Minimize a quasi-likelihood's loss plus the prior's; both are convex.

    The first `forecasts` columns forecast the same: the first prior is of the sum of their weights.
    """
    size = columns.shape[1]
    prior = np.r_[0.0, center, np.zeros(BANDS)]
    deviation = np.r_[LEVEL_SD, spread, np.full(BANDS, band_spread)]

    def total(at: Array) -> tuple[float, Array]:
        line = np.clip(at[0] + columns @ at[1 : 1 + size] + at[1 + size :][band], -40, 40)
        fit = mean(line)
        error = fit - outcome
        weights = at.copy()
        weights[1] = at[1 : 1 + forecasts].sum()
        off = (weights - prior) / deviation
        pull = off / deviation
        pull[2 : 1 + forecasts] += pull[1]
        slope = np.r_[error.sum(), error @ columns, np.bincount(band, error, BANDS)]
        value = float(loss(line, fit).sum()) / dispersion + float((off**2).sum()) / 2
        return value, slope / dispersion + pull

    free = (None, None)
    bounds = [free, *[(least, None)] * size, *[free] * BANDS]
    mode = minimize(total, prior, jac=True, bounds=bounds, method="L-BFGS-B").x
    effects = _filled(mode[1 + size :], np.bincount(band, minlength=BANDS))
    return Correction(tuple(mode[1 : 1 + size].tolist()), tuple(effects.tolist()), float(mode[0]))


def _filled(effects: Array, customers: NDArray[np.intp]) -> Array:
    """Give tenure bands that no cutoff has customers in the effects of the nearest shorter tenure."""
    width = len(REPEATS) + 1
    filled = effects.reshape(-1, width).copy()
    empty = customers.reshape(-1, width) == 0
    for tenure in range(1, len(filled)):
        filled[tenure] = np.where(empty[tenure], filled[tenure - 1], filled[tenure])
    return filled.ravel()


def orders_intercept(line: Array, chance: Array, total: float) -> float:
    """Return what is added to lines so that orders, no fewer than the chance of any, sum to a total.

    Parameters
    ----------
    line, chance
        Shape (n,): logarithms of orders, and chances of any order.
    total
        Above 0.
    """
    low = float(np.log(total) - np.logaddexp.reduce(line)) - 50.0
    if float(np.maximum(np.exp(line + low), chance).sum()) >= total:
        return low

    def excess(add: float) -> float:
        return float(np.maximum(np.exp(line + add), chance).sum()) - total

    return float(brentq(excess, low, low + 60.0))


def chance_intercept(line: Array, total: float) -> float:
    """Return what is added to log odds so that chances sum to a total between 0 and their number."""
    total = float(np.clip(total, 1e-6 * len(line), (1 - 1e-6) * len(line)))
    return float(brentq(lambda add: float(expit(line + add).sum()) - total, -60.0, 60.0))


def level_of(log_ratios: ArrayLike, overlap: float, days: float, customers: float) -> float:
    """Return the logarithm by which totals are corrected, from past cutoffs.

    Parameters
    ----------
    log_ratios
        Shape (cutoffs,): logarithm of the outcome over the forecast, each summed over customers.
    overlap
        Cutoffs per window that does not overlap another.
    days
        Length of a window.
    customers
        Mean number of customers at the cutoffs. Models fitted to few are off by much, and at all
        cutoffs alike, so that agreement does not show it.

    Returns
    -------
    float
        Their mean, shrunk by how well windows agree and by the error of the fits; 0 with fewer than two separate windows, as the
        agreement of one is unknown, and for windows under 90 days, in which a season or a sale agrees
        with itself.
    """
    ratios = np.asarray(log_ratios, dtype=np.float64)
    ratios = ratios[np.isfinite(ratios)]
    windows = round(len(ratios) / overlap, 1) if len(ratios) else 0.0
    if windows < 2 or days < LEVEL_DAYS:
        return 0.0
    mean = float(ratios.mean())
    off = float(((ratios - mean) ** 2).sum()) / overlap
    variance = (LEVEL_PRIOR * LEVEL_SPREAD**2 + off) / (LEVEL_PRIOR + windows - 1)
    return shrunk(mean, variance / (windows - 1) + FIT_VARIANCE / max(customers, 1.0))
