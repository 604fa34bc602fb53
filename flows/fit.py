"""Fit the champion's recipe to the orders known at the end of a day."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir
import numpy as np

from connectors.engine import Engine
from features.labels import outcomes
from features.rfm import customer_state, spend_cells, state_cells
from features.window import outcome_window
from flows.forecaster import Forecaster, first_order_design
from models.purchases import Purchases, PurchasesFit, fit_purchases
from models.second_purchase import SecondPurchaseFit, fit_second_purchase
from models.spend import SpendFit, fit_spend

MAX_LANDMARKS = 4


@dataclass(frozen=True)
class Fits:
    """The parts of a fitted recipe.

    Attributes
    ----------
    purchases, spend, second
        The fits; `second` is None where no first-time buyer was watched for a whole window.
    forecaster
        What they predict together.
    """

    purchases: PurchasesFit
    spend: SpendFit
    second: SecondPurchaseFit | None
    forecaster: Forecaster

    @property
    def notes(self) -> list[str]:
        """What a reader must know."""
        if self.second is None:
            missing = (
                "no second-purchase classifier: no first-time buyer was watched for the "
                f"{self.forecaster.second_purchase_days} days of its window, so the purchase model's "
                "own chance is used"
            )
            return [*self.purchases.notes, *self.spend.notes, missing]
        return [*self.purchases.notes, *self.spend.notes, *self.second.notes]

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return parameters and metrics by part, as JSON values."""
        purchases, spend = self.purchases, self.spend
        parts: dict[str, dict[str, Any]] = {
            "purchases": {
                "params": purchases.model.to_dict(),
                "metrics": {
                    "log_likelihood": purchases.log_likelihood,
                    "customers": purchases.customers,
                },
            },
            "spend": {
                "params": spend.model.to_dict(),
                "metrics": {
                    "log_likelihood": spend.log_likelihood,
                    "repeat_customers": spend.customers,
                    "mean_order_value": spend.model.mean,
                },
            },
        }
        if self.second is not None:
            parts["second_purchase"] = {
                "params": {"window_days": self.forecaster.second_purchase_days},
                "metrics": {
                    "customers": self.second.customers,
                    "second_orders": self.second.second_orders,
                    **self.second.metrics,
                },
            }
        return parts


def fit_recipe(engine: Engine, orders: ir.Table, as_of: date, second_purchase_days: int) -> Fits:
    """Fit every part of the model.

    Parameters
    ----------
    engine
        Computes the tables.
    orders
        Table :class:`features.tables.Orders`; orders after `as_of` are not looked at.
    as_of
        Last day whose orders are known.
    second_purchase_days
        Window of the second-purchase classifier.

    Raises
    ------
    FitError
        A history that carries no model: says why.
    """
    state = engine.keep(customer_state(orders, as_of), "fitted_state")
    cells, spends = engine.frame(state_cells(state)), engine.frame(spend_cells(state))
    purchases = fit_purchases(*(cells[name] for name in cells.columns))
    spend = fit_spend(*(spends[name] for name in spends.columns))
    second = _fit_second_purchase(engine, orders, as_of, purchases.model, second_purchase_days)
    forecaster = Forecaster(
        purchases.model,
        spend.model,
        None if second is None else second.classifier,
        second_purchase_days,
        as_of,
    )
    return Fits(purchases, spend, second, forecaster)


def _fit_second_purchase(
    engine: Engine, orders: ir.Table, as_of: date, purchases: Purchases, window: int
) -> SecondPurchaseFit | None:
    """Fit the classifier on first-time buyers as known on several past days, each window whole."""
    landmarks = []
    for k in range(MAX_LANDMARKS, 0, -1):
        day = as_of - timedelta(days=k * window)
        state = customer_state(orders, day)
        once = engine.keep(state.filter(state.frequency == 0), "landmark")
        features = engine.frame(once.order_by("customer_id"))
        if features.empty:
            continue
        later = engine.frame(
            outcomes(orders, once, outcome_window(day, window)).order_by("customer_id")
        )
        came_back = (later["later_orders"] > 0).to_numpy().astype(np.float64)
        landmarks.append((first_order_design(features, purchases, window), came_back))
    return fit_second_purchase(landmarks) if landmarks else None
