"""Fit the champion's recipe to the orders known at the end of a day."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir
import numpy as np

from connectors.engine import Engine
from features.labels import outcomes
from features.regularity import gap_facts
from features.rfm import MONEY, customer_state, spend_cells, state_cells
from features.window import outcome_window
from flows.forecaster import Forecaster, first_order_design
from flows.learn import Lesson, Season, first_day, learn, learn_nothing, learn_season
from flows.prepare import with_first_baskets
from models.intervals import (
    COVERAGE,
    Levels,
    Outcomes,
    calibrate,
    covered_share,
    informed_position,
)
from models.purchases import (
    BetaGeometric,
    PurchaseModel,
    PurchasesFit,
    Regularity,
    fit_family,
    leaving_weight,
)
from models.second_purchase import SecondPurchaseFit, fit_second_purchase
from models.spend import SpendFit, fit_spend

MAX_LANDMARKS = 4


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
    lesson, season
        What was learned from past days beyond the models, and of the season.
    interval
        How the interval of value was calibrated.
    forecaster
        What they predict together.
    is_learned
        Whether anything was to be learned beyond the purchase and spend models.
    """

    purchases: list[PurchasesFit]
    regularity: Regularity
    spend: SpendFit
    second: SecondPurchaseFit | None
    lesson: Lesson
    season: Season
    interval: Interval
    forecaster: Forecaster
    is_learned: bool = True

    @property
    def notes(self) -> list[str]:
        """What a reader must know."""
        said = [*self.purchases[0].notes, *self.spend.notes]
        said += [*self.lesson.notes, self.season.note]
        if self.second is None and not self.is_learned:
            return said
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
        if self.lesson.metrics:
            parts["learned"] = {
                "params": {
                    "window_days": self.lesson.days,
                    "is_used": self.lesson.is_used,
                },
                "metrics": self.lesson.metrics,
            }
        if self.season.metrics:
            parts["season"] = {
                "params": {"days": self.season.days, "multiplier": self.season.multiplier},
                "metrics": self.season.metrics,
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
    *,
    is_learned: bool = True,
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
        Window that is learned on, and the interval of value calibrated, where the history has so much.
    is_learned
        Whether to learn from past days beyond the purchase and spend models; else they speak alone.

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
    first = first_day(engine, orders)
    models = (purchases, spend.model)
    if is_learned:
        window = second_purchase_days
        second = _fit_second_purchase(engine, orders, lines, as_of, purchases, window)
        lesson = learn(engine, orders, first, as_of, models, horizon_days)
        season = learn_season(engine, orders, first, as_of, purchases, horizon_days)
    else:
        second = None
        lesson = learn_nothing(engine, orders, first, as_of, purchases, horizon_days)
        season = Season(horizon_days, 1.0, "no season: model.learned is false", {})
    interval = _calibrate(lesson)
    forecaster = Forecaster(
        purchases,
        spend.model,
        None if second is None else second.classifier,
        second_purchase_days,
        as_of,
        interval.levels,
        lesson.model if lesson.is_used else None,
        season.days,
        season.multiplier,
        next((fit.model for fit in family if isinstance(fit.model, BetaGeometric)), None),
        next((fit.model for fit in family if not isinstance(fit.model, BetaGeometric)), None),
        leaving_weight(family),
        _first_level(engine, state),
    )
    parts = (family, regularity, spend, second, lesson, season, interval, forecaster)
    return Fits(*parts, is_learned)


def _first_level(engine: Engine, state: ir.Table) -> float:
    """Return mean later orders over the first ones, of repeat customers: sums of decimals, the same each time."""
    back = state.filter(state.frequency > 0)
    sums = engine.frame(
        back.aggregate(
            first=back.first_amount.cast(MONEY).sum(), later=back.monetary_value.cast(MONEY).sum()
        )
    )
    first, later = (float(sums[name].iloc[0] or 0) for name in ("first", "later"))
    return later / first if first > 0 and later > 0 else 1.0


def _calibrate(lesson: Lesson) -> Interval:
    """See where the outcomes of the latest past day lay in what was forecast then."""
    past = lesson.origin
    if past is None:
        return Interval()
    x, t_x, T, m = (
        past.state[name].to_numpy(np.float64)
        for name in ("frequency", "recency_days", "age_days", "monetary_value")
    )
    own, expected, stretch = past.base.chance, past.base.value, np.ones(len(x))
    informed = own
    if lesson.told is not None:
        informed = -np.expm1(lesson.told.hazard * np.log1p(-np.minimum(own, 1 - 1e-12)))
        expected = expected * lesson.told.value
        stretch = lesson.told.value * own / np.maximum(informed, 1e-12)
    place = Outcomes(past.purchases, past.spend, lesson.days).position(
        x, t_x, T, m, past.value / np.maximum(stretch, 1e-12)
    )
    place = informed_position(*place, own, informed)
    raw = Levels()
    share = covered_share(*place, raw.low[0], raw.high[0])
    return Interval(calibrate(expected, *place), lesson.days, share)


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
