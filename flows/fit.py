"""Fit the champion's recipe to the orders known at the end of a day."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from connectors.engine import Engine
from features.labels import outcomes
from features.regularity import gap_facts
from features.rfm import customer_state, spend_cells, state_cells
from features.window import outcome_window
from flows.forecaster import Forecaster, first_order_design
from flows.prepare import with_first_baskets
from models.intervals import COVERAGE, Levels, Outcomes, calibrate, covered_share
from models.purchases import (
    FitError,
    PurchaseModel,
    PurchasesFit,
    Regularity,
    fit_family,
    fit_purchases,
)
from models.second_purchase import SecondPurchaseFit, fit_second_purchase
from models.spend import SpendFit, fit_spend

MAX_LANDMARKS = 4
LEAST_CALIBRATION_DAYS = 28  # a shorter window tells nothing of a year


@dataclass(frozen=True)
class Interval:
    """How the interval of value was calibrated.

    Attributes
    ----------
    levels
        At which chances its ends lie.
    days
        Length of the window that it was calibrated on; 0 = the history is too short for one.
    raw_coverage
        Share of that window's outcomes inside the interval as the models give it; None without one.
    """

    levels: Levels = field(default_factory=Levels)
    days: int = 0
    raw_coverage: float | None = None


@dataclass(frozen=True)
class Fits:
    """The parts of a fitted recipe.

    Attributes
    ----------
    purchases
        The family's fits, the best first: it is the one that is used.
    regularity
        How regular gaps between purchases are.
    spend, second
        The fits; `second` is None where no first-time buyer was watched for a whole window.
    interval
        How the interval of value was calibrated.
    forecaster
        What they predict together.
    """

    purchases: list[PurchasesFit]
    regularity: Regularity
    spend: SpendFit
    second: SecondPurchaseFit | None
    interval: Interval
    forecaster: Forecaster

    @property
    def notes(self) -> list[str]:
        """What a reader must know."""
        said = [*self.purchases[0].notes, *self.spend.notes]
        if self.second is None:
            missing = (
                "no second-purchase classifier: no first-time buyer was watched for the "
                f"{self.forecaster.second_purchase_days} days of its window, so the purchase model's "
                "own chance is used"
            )
            return [*said, missing]
        return [*said, *self.second.notes]

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return parameters and metrics by part, as JSON values."""
        best, spend = self.purchases[0], self.spend
        wheat = self.regularity.wheat_k
        parts: dict[str, dict[str, Any]] = {
            "purchases": {
                "params": {"model": best.model.name, **best.model.to_dict()},
                "metrics": {
                    "log_likelihood": best.log_likelihood,
                    "customers": best.customers,
                    **({} if np.isnan(wheat) else {"wheat_k": wheat}),
                    **_errors(best.standard_errors),
                    **{f"aic.{fit.title}": fit.aic for fit in self.purchases},
                },
            },
            "spend": {
                "params": spend.model.to_dict(),
                "metrics": {
                    "log_likelihood": spend.log_likelihood,
                    "repeat_customers": spend.customers,
                    "mean_order_value": spend.model.mean,
                    "rank_correlation": spend.rank_correlation,
                    "eta_squared": spend.eta_squared,
                    **_errors(spend.standard_errors),
                },
            },
        }
        if self.interval.raw_coverage is not None:
            parts["interval"] = {
                "params": {"days": self.interval.days, "coverage": COVERAGE},
                "metrics": {"raw_coverage": self.interval.raw_coverage},
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


def _errors(of: dict[str, float]) -> dict[str, float]:
    return {f"se.{name}": error for name, error in of.items() if np.isfinite(error)}


def fit_recipe(
    engine: Engine,
    orders: ir.Table,
    lines: ir.Table | None,
    as_of: date,
    second_purchase_days: int,
    horizon_days: int,
) -> Fits:
    """Fit every part of the model.

    Parameters
    ----------
    engine
        Computes the tables.
    orders
        Table :class:`features.tables.Orders`; orders after `as_of` are not looked at.
    lines
        Table :class:`features.tables.OrderLines`; None = not given.
    as_of
        Last day whose orders are known.
    second_purchase_days
        Window of the second-purchase classifier.
    horizon_days
        Window that the interval of value is calibrated on, where the history has so much.

    Raises
    ------
    FitError
        A history that carries no model: says why.
    """
    state = engine.keep(customer_state(orders, as_of), "fitted_state")
    cells, spends = engine.frame(state_cells(state)), engine.frame(spend_cells(state))
    facts = engine.frame(gap_facts(orders, as_of)).iloc[0]
    regularity = Regularity.of(*facts[["gaps", "log_gaps", "pairs", "pair_variance"]])
    family = fit_family(*(cells[name] for name in cells.columns), regularity=regularity)
    purchases = family[0].model
    spend = fit_spend(*(spends[name] for name in spends.columns))
    second = _fit_second_purchase(engine, orders, lines, as_of, purchases, second_purchase_days)
    interval = _calibrate(engine, orders, as_of, family[0].model, horizon_days)
    forecaster = Forecaster(
        purchases,
        spend.model,
        None if second is None else second.classifier,
        second_purchase_days,
        as_of,
        interval.levels,
    )
    return Fits(family, regularity, spend, second, interval, forecaster)


def _calibrate(
    engine: Engine, orders: ir.Table, as_of: date, purchases: PurchaseModel, horizon_days: int
) -> Interval:
    """Fit the same models to an earlier day, and see where the outcomes since then lay."""
    first = engine.frame(orders.aggregate(first=orders.order_date.min()))["first"].iloc[0]
    days = min(horizon_days, (as_of - pd.Timestamp(first).date()).days // 3)
    if days < LEAST_CALIBRATION_DAYS:
        return Interval()
    day = as_of - timedelta(days=days)
    known = engine.keep(customer_state(orders, day), "calibration_state")
    cells, spends = engine.frame(state_cells(known)), engine.frame(spend_cells(known))
    k = getattr(purchases, "k", None)
    try:
        rhythm = fit_purchases(
            *(cells[name] for name in cells.columns), model=type(purchases), k=k, start=purchases
        ).model
        spend = fit_spend(*(spends[name] for name in spends.columns)).model
    except FitError:
        return Interval()
    later = engine.frame(
        outcomes(orders, known, outcome_window(day, days)).order_by("customer_id")
    )
    state = engine.frame(known.order_by("customer_id"))
    x, t_x, T, m = (
        state[name].to_numpy(np.float64)
        for name in ("frequency", "recency_days", "age_days", "monetary_value")
    )
    expected = rhythm.expected_orders(days, x, t_x, T) * spend.expected_order_value(x, m)
    value = later["later_value"].to_numpy()
    place = Outcomes(rhythm, spend, days).position(x, t_x, T, m, value)
    levels = calibrate(expected, *place)
    raw = Levels()
    return Interval(levels, days, covered_share(*place, raw.low[0], raw.high[0]))


def _fit_second_purchase(
    engine: Engine,
    orders: ir.Table,
    lines: ir.Table | None,
    as_of: date,
    purchases: PurchaseModel,
    window: int,
) -> SecondPurchaseFit | None:
    """Fit the classifier on first-time buyers as known on several past days, each window whole."""
    landmarks = []
    for k in range(MAX_LANDMARKS, 0, -1):
        day = as_of - timedelta(days=k * window)
        state = customer_state(orders, day)
        once = engine.keep(state.filter(state.frequency == 0), "landmark")
        features = engine.frame(
            with_first_baskets(once, orders, lines, day, window).order_by("customer_id")
        )
        if features.empty:
            continue
        later = engine.frame(
            outcomes(orders, once, outcome_window(day, window)).order_by("customer_id")
        )
        came_back = (later["later_orders"] > 0).to_numpy().astype(np.float64)
        landmarks.append((first_order_design(features, purchases, window), came_back))
    return fit_second_purchase(landmarks) if landmarks else None
