"""Fitted corrections of the purchase and spend models: the stacked model, or a simple rule."""

from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from features.tables import Recent
from models.cells import distinct
from models.history import CALENDAR, CustomerHistory
from models.operational_time import OperationalTime
from models.order_value import OrderValue
from models.purchases import PurchaseModel
from models.rules import Steps, rule_score
from models.stacking import (
    Correction,
    band_of,
    chance_columns,
    chance_intercept,
    order_columns,
    orders_intercept,
    value_columns,
)
from models.trees import OutcomeTrees, TreeForecast, design
from models.value import ForecastMultipliers, expected_order_value

Array = NDArray[np.float64]

RECENT = tuple(name for name in Recent.columns() if name != "customer_id")
SURE = 1 - 1e-9


class PlainForecast(NamedTuple):
    """Forecast of a window by the purchase and spend models alone; arrays of shape (n,)."""

    chance: Array
    orders: Array
    order_value: Array

    @property
    def value(self) -> Array:
        """Net amount, undiscounted, store's currency."""
        return self.orders * self.order_value


def history_of(
    order_value: OrderValue, state: pd.DataFrame, time: OperationalTime = CALENDAR
) -> CustomerHistory:
    """Return the histories of customer states in operational time, the first order counted."""
    t_x, T = time.since_first(state["recency_days"], state["age_days"])
    orders, mean = order_value.observed(state, time.as_of)
    scale = order_value.scale(state)
    return CustomerHistory.of(state["frequency"], t_x, T, mean, orders, scale, time)


def plain_forecast(
    purchases: PurchaseModel,
    order_value: OrderValue,
    state: pd.DataFrame,
    days: float,
    time: OperationalTime = CALENDAR,
) -> PlainForecast:
    """Forecast the next `days` calendar days by the models alone, undiscounted.

    Each distinct state is computed once.
    """
    history = history_of(order_value, state, time)
    states, where = distinct(*history.times)
    ahead = float(time.after(days))
    return PlainForecast(
        purchases.p_order(ahead, *states)[where],
        purchases.expected_orders(ahead, *states)[where],
        expected_order_value(order_value.spend, history),
    )


def tree_features(state: pd.DataFrame, plain: PlainForecast) -> Array:
    """Lay out the features of the trees."""
    by_models = (plain.chance, plain.orders, plain.value, plain.order_value)
    return design({name: state[name] for name in state.columns}, RECENT, by_models)


def has_recent(state: pd.DataFrame) -> bool:
    """Tell whether states have what corrections need: recent orders and revenue so far."""
    return {"revenue", *RECENT}.issubset(state.columns)


class Columns(NamedTuple):
    """What corrections are fitted to and computed from; n customers.

    Attributes
    ----------
    orders, order_value, chance
        Of :mod:`models.stacking`'s functions: shapes (n, 4), (n, 2), (n, 2).
    band
        Shape (n,): band of tenure and frequency.
    """

    orders: Array
    order_value: Array
    chance: Array
    band: NDArray[np.intp]


def columns_of(
    state: pd.DataFrame,
    order_value: OrderValue,
    plain: PlainForecast,
    trees: TreeForecast,
    means: Array,
    lift: Array,
    as_of: date | None = None,
) -> Columns:
    """Lay out the columns of the corrections.

    Parameters
    ----------
    state
        The customers, n rows.
    order_value
        Gives their own mean.
    plain, trees
        Forecasts of the window.
    means
        Shape (2,): mean of the plain forecast's orders, and of revenue so far, over all customers.
    lift
        Shape (n,): of the second-purchase classifier, 1 = none.
    as_of
        Day at whose end the states are known.
    """
    orders, mean = order_value.observed(state, as_of)
    total = orders * mean * order_value.scale(state) + plain.order_value
    return Columns(
        order_columns(
            plain.orders, trees.orders, state["revenue"].to_numpy(np.float64), means, lift
        ),
        value_columns(plain.order_value, trees.order_value, total / (orders + 1)),
        chance_columns(plain.chance, trees.chance),
        band_of(state["age_days"], state["frequency"]),
    )


def means_of(state: pd.DataFrame, plain: PlainForecast) -> Array:
    """Return the means that columns are relative to, shape (2,)."""
    revenue = np.maximum(np.nan_to_num(state["revenue"].to_numpy(np.float64)), 0.0)
    return np.maximum([plain.orders.mean(), revenue.mean()], 1e-9)


@dataclass(frozen=True)
class Corrections:
    """The stacked model's corrections of three parts; None = that part stays the purchase or spend model's.

    Attributes
    ----------
    orders, order_value, chance
        Fitted corrections; their intercepts set the level.
    """

    orders: Correction
    order_value: Correction | None
    chance: Correction | None

    def multipliers(
        self, columns: Columns, plain: PlainForecast, mean_orders: float
    ) -> ForecastMultipliers:
        """Return what the plain forecast is multiplied by."""
        one = np.ones(len(plain.orders))
        orders = mean_orders * np.exp(self.orders.line(columns.orders, columns.band))
        value, hazard = one, one
        if self.order_value is not None:
            value = np.exp(self.order_value.line(columns.order_value, columns.band))
        if self.chance is not None:
            hazard = _hazard(expit(self.chance.line(columns.chance, columns.band)), plain.chance)
        return ForecastMultipliers(hazard, orders / np.maximum(plain.orders, 1e-300), value)

    def leveled(self, columns: Columns, plain: PlainForecast, mean_orders: float) -> "Corrections":
        """Return the corrections with the plain forecast's totals of orders, value and chances.

        Parameters
        ----------
        columns, plain, mean_orders
            Of all customers.
        """
        chance, value, p_order = self.chance, self.order_value, plain.chance
        if chance is not None:
            line = chance.line(columns.chance, columns.band) - chance.intercept
            chance = replace(chance, intercept=chance_intercept(line, float(plain.chance.sum())))
            p_order = expit(line + chance.intercept)
        line = self.orders.line(columns.orders, columns.band) - self.orders.intercept
        line = line + np.log(mean_orders)
        intercept = orders_intercept(line, p_order, float(plain.orders.sum()))
        orders = replace(self.orders, intercept=intercept)
        if value is not None:
            count = np.maximum(np.exp(line + intercept), p_order)
            factor = np.exp(value.line(columns.order_value, columns.band) - value.intercept)
            ratio = (count * plain.order_value * factor).sum() / (count * plain.order_value).sum()
            value = replace(value, intercept=-float(np.log(ratio)))
        return Corrections(orders, value, chance)


def _hazard(chance: Array, own: Array) -> Array:
    """Return by what the cumulative hazard behind a chance is multiplied to give another."""
    return np.log1p(-np.clip(chance, 1e-9, SURE)) / np.log1p(-np.clip(own, 1e-12, SURE))


@dataclass(frozen=True)
class StackedModel:
    """Trees and corrections.

    Attributes
    ----------
    days
        Window that they were fitted on.
    trees
        Fitted trees.
    corrections
        How the forecasts of models, trees and revenue so far are weighted.
    means
        Mean of orders by the models and of revenue so far, in training.
    """

    days: int
    trees: OutcomeTrees
    corrections: Corrections
    means: tuple[float, float]

    def multipliers(
        self,
        purchases: PurchaseModel,
        order_value: OrderValue,
        state: pd.DataFrame,
        lift: Array,
        time: OperationalTime = CALENDAR,
    ) -> ForecastMultipliers:
        """Return what the models' forecast is multiplied by; 1 where `state` lacks recent orders.

        `lift`, shape (n,), is what the second-purchase classifier multiplies one-time buyers' chance by.
        """
        if not has_recent(state):
            return ForecastMultipliers.none(len(state))
        plain = plain_forecast(purchases, order_value, state, self.days, time)
        trees = self.trees.predict(tree_features(state, plain))
        means = np.array(self.means)
        columns = columns_of(state, order_value, plain, trees, means, lift, time.as_of)
        return self.corrections.multipliers(columns, plain, self.means[0])


@dataclass(frozen=True)
class RuleModel:
    """A simple rule in place of the purchase model's counts.

    Attributes
    ----------
    days
        Window that it was fitted on.
    rule
        One of :data:`models.rules.RULES`.
    orders, chance
        Expected orders, and the chance of any, by score.
    level
        What orders and hazard are multiplied by, so that orders have the purchase model's total.
    """

    days: int
    rule: str
    orders: Steps
    chance: Steps
    level: float = 1.0

    def multipliers(
        self,
        purchases: PurchaseModel,
        order_value: OrderValue,
        state: pd.DataFrame,
        time: OperationalTime = CALENDAR,
    ) -> ForecastMultipliers:
        """Return what the models' forecast is multiplied by; 1 where `state` lacks recent orders."""
        if not has_recent(state):
            return ForecastMultipliers.none(len(state))
        plain = plain_forecast(purchases, order_value, state, self.days, time)
        score = rule_score(self.rule, state, self.days)
        orders = self.level * self.orders(score) / np.maximum(plain.orders, 1e-300)
        hazard = self.level * _hazard(self.chance(score), plain.chance)
        return ForecastMultipliers(hazard, orders, np.ones(len(state)))


ModelCorrection = StackedModel | RuleModel
