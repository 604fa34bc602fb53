"""Fit the champion's recipe to the orders known at the end of a day."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from connectors.engine import Engine
from features.labels import outcomes
from features.regularity import gap_facts
from features.rfm import customer_state, state_cells
from features.window import outcome_window
from models.corrections import history_of
from models.forecaster import Forecaster, first_order_design, second_order_lift
from models.intervals import (
    COVERAGE,
    Levels,
    Outcomes,
    calibrate,
    covered_share,
    informed_position,
)
from models.price_level import PriceLevelFit
from models.purchases import (
    BetaGeometric,
    Prior,
    PurchaseModel,
    PurchasesFit,
    Regularity,
    dropout_weight,
    fit_family,
)
from models.second_purchase import SecondPurchaseFit, fit_second_purchase
from models.spend import SpendFit
from models.value import ForecastMultipliers
from perennial.pipeline.ingestion.read import with_first_baskets
from perennial.pipeline.training.season import (
    Peaks,
    StorePace,
    clock,
    even_pace,
    learn_pace,
    timed,
)
from perennial.pipeline.training.spend import OrderValueFit, fit_order_value, learn_price_level
from perennial.pipeline.training.stacking import (
    Calendar,
    StackingFit,
    first_day,
    fit_stacking,
    without_stacking,
)
from reports.fit_report import FitReport, PartReport

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
    order_value, second
        The fits; `second` is None where no first-time buyer was observed for a whole window.
    stacking
        Corrections fitted to past cutoffs, and the candidate that was chosen.
    pace
        The pace of purchases over the calendar.
    price
        The price level; None where none was wanted.
    interval
        How the interval of value was calibrated.
    forecaster
        What they predict together.
    is_stacked
        Whether corrections of the purchase and spend models were wanted.
    """

    purchases: list[PurchasesFit]
    regularity: Regularity
    order_value: OrderValueFit
    second: SecondPurchaseFit | None
    stacking: StackingFit
    pace: StorePace
    price: PriceLevelFit | None
    interval: Interval
    forecaster: Forecaster
    is_stacked: bool = True

    @property
    def spend(self) -> SpendFit:
        """The fit of Gamma-Gamma."""
        return self.order_value.spend

    @property
    def notes(self) -> list[str]:
        """What a reader must know."""
        notes = [*self.purchases[0].notes, *self.spend.notes]
        notes += [*self.stacking.notes, self.pace.note]
        notes += [] if self.price is None else self.price.notes
        if self.second is None and not self.is_stacked:
            return notes
        if self.second is None:
            missing = (
                "no second-purchase classifier: no first-time buyer was observed for the "
                f"{self.forecaster.second_purchase_days} days of its window, so the purchase model's "
                "own chance is used"
            )
            return [*notes, missing]
        return [*notes, *self.second.notes]

    def report(self) -> FitReport:
        """Return parameters, metrics and notes as they are logged."""
        parts = {"purchases": self._purchases(), "spend": self._spend()}
        if self.interval.raw_coverage is not None:
            parts["interval"] = PartReport(
                params={"days": self.interval.days, "coverage": COVERAGE},
                metrics={"raw_coverage": self.interval.raw_coverage},
            )
        if self.stacking.metrics:
            parts["stacking"] = PartReport(
                params={"window_days": self.stacking.days, "choice": self.stacking.choice},
                metrics=self.stacking.metrics,
            )
        if self.pace.metrics:
            parts["season"] = PartReport(
                params={"is_used": self.pace.has_season}, metrics=self.pace.metrics
            )
        if self.second is not None:
            parts["second_purchase"] = PartReport(
                params={"window_days": self.forecaster.second_purchase_days},
                metrics={
                    "customers": self.second.customers,
                    "second_orders": self.second.second_orders,
                    **self.second.metrics,
                },
            )
        return FitReport(parts=parts, notes=tuple(self.notes))

    def _purchases(self) -> PartReport:
        best, wheat = self.purchases[0], self.regularity.wheat_k
        return PartReport(
            params={"model": best.model.name, **best.model.to_dict()},
            metrics={
                "log_likelihood": best.log_likelihood,
                "customers": best.customers,
                **({} if np.isnan(wheat) else {"wheat_k": wheat}),
                **_errors(best.standard_errors),
                **{f"aic.{fit.title}": fit.aic for fit in self.purchases},
            },
        )

    def _spend(self) -> PartReport:
        spend = self.spend
        return PartReport(
            params={**spend.model.to_dict(), **self.order_value.model.to_dict()},
            metrics={
                "log_likelihood": spend.log_likelihood,
                "repeat_customers": spend.customers,
                "mean_order_value": spend.model.mean,
                "rank_correlation": spend.rank_correlation,
                "eta_squared": spend.eta_squared,
                **_errors(spend.standard_errors),
                **({} if self.price is None else self.price.metrics),
            },
        )


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
    is_stacked: bool = True,
    peaks: Peaks = (),
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
    is_stacked
        Whether to learn from past days beyond the purchase and spend models; else only these are used.
    peaks
        First and last days of promotions and other peaks, which are no season.

    Raises
    ------
    FitError
        A history that carries no model: says why.
    """
    state = engine.keep(customer_state(orders, as_of), "fitted_state")
    first = first_day(engine, orders)
    regularity = _regularity(engine, orders, as_of)
    if is_stacked:
        pace = learn_pace(engine, orders, first, as_of, peaks, regularity.wheat_k)
        price = learn_price_level(engine, orders, as_of)
        operational = clock(engine, pace.at(as_of), first)
        if operational is not None:
            regularity = _regularity(engine, orders, as_of, operational)
    else:
        pace, price = even_pace(as_of, "model.stacking is false"), None
    calendar = Calendar(pace.index, None if price is None else price.level)
    cells = timed(engine.frame(state_cells(state)), pace.at(as_of))
    family = fit_family(
        *(cells[name] for name in cells.columns), regularity=regularity, prior=Prior()
    )
    single = [fit.model for fit in family if not fit.members]
    models = [fit.model for fit in family]
    order_value = fit_order_value(engine, state, calendar.price)
    if is_stacked:
        window = second_purchase_days
        second = _fit_second_purchase(engine, orders, lines, pace, as_of, models[0], window)
        has_classifier = second is not None and second.classifier is not None
        stacking = fit_stacking(
            engine, orders, first, as_of, models, order_value.model, horizon_days,
            _lift_at(engine, orders, lines, pace, window) if has_classifier else None, calendar,
        )  # fmt: skip
        if has_classifier and stacking.purchases is not models[0]:
            second = _fit_second_purchase(
                engine, orders, lines, pace, as_of, stacking.purchases, window
            )
    else:
        second = None
        stacking = without_stacking(
            engine, orders, first, as_of, models[0], horizon_days, calendar
        )
    interval = _calibrate(stacking)
    forecaster = Forecaster(
        purchases=stacking.purchases,
        order_value=order_value.model,
        classifier=None if second is None else second.classifier,
        second_purchase_days=second_purchase_days,
        trained_as_of=as_of,
        levels=interval.levels,
        correction=stacking.model,
        level=stacking.level,
        by_days=None if second is None else second.by_days,
        pace=pace.index,
        dropout_model=next((model for model in single if isinstance(model, BetaGeometric)), None),
        alternative_model=next(
            (model for model in single if not isinstance(model, BetaGeometric)), None
        ),
        dropout_weight=dropout_weight(family),
    )
    parts = (family, regularity, order_value, second, stacking, pace, price, interval, forecaster)
    return Fits(*parts, is_stacked)


def _regularity(
    engine: Engine, orders: ir.Table, as_of: date, clock: ir.Table | None = None
) -> Regularity:
    facts = engine.frame(gap_facts(orders, as_of, clock)).iloc[0]
    return Regularity.of(*facts[["gaps", "log_gaps", "pair_variance", "random_variance"]])


def _calibrate(stacking: StackingFit) -> Interval:
    """Compare the outcomes of the later cutoff with their forecast distribution."""
    past = stacking.later
    if past is None:
        return Interval()
    own = past.plain.chance
    factors = stacking.multipliers or ForecastMultipliers.none(len(own))
    chance = -np.expm1(factors.hazard * np.log1p(-np.minimum(own, 1 - 1e-12)))
    orders = np.maximum(past.plain.orders * factors.orders, chance)
    expected = orders * past.plain.order_value * factors.order_value
    stretch = expected / np.maximum(past.plain.value, 1e-300)
    stretch = stretch * own / np.maximum(chance, 1e-12)
    history = history_of(past.order_value, past.state, past.time)
    window = float(past.time.after(stacking.days))
    place = Outcomes(past.purchases, past.order_value.spend, window).position(
        history, past.value / np.maximum(stretch, 1e-12)
    )
    place = informed_position(*place, own, chance)
    raw = Levels()
    share = covered_share(*place, raw.low[0], raw.high[0])
    return Interval(calibrate(expected, *place), stacking.days, share)


def _fit_second_purchase(
    engine: Engine,
    orders: ir.Table,
    lines: ir.Table | None,
    pace: StorePace,
    as_of: date,
    purchases: PurchaseModel,
    window: int,
) -> SecondPurchaseFit | None:
    """Fit the classifier on first-time buyers as known on several past days, each window whole.

    The windows are equally long in operational time, and one ends where the next begins.
    """
    landmarks = []
    now = pace.at(as_of)
    ago = [0]
    for k in range(1, MAX_LANDMARKS + 1):  # at least a day apart
        ago.append(max(round(now.days_before(k * window)), ago[-1] + 1))
    for k in range(MAX_LANDMARKS, 0, -1):
        day, days = as_of - timedelta(days=ago[k]), ago[k] - ago[k - 1]
        state = customer_state(orders, day)
        once = engine.keep(state.filter(state.frequency == 0), "landmark")
        features = engine.frame(
            with_first_baskets(once, orders, lines, day, window).order_by("customer_id")
        )
        if features.empty:
            continue
        later = engine.frame(
            outcomes(orders, once, outcome_window(day, days)).order_by("customer_id")
        )
        came_back = (later["later_orders"] > 0).to_numpy().astype(np.float64)
        time = pace.at(day)
        length = float(time.after(days))
        landmarks.append((first_order_design(features, purchases, length, time), came_back))
    return fit_second_purchase(landmarks) if landmarks else None


def _lift_at(
    engine: Engine, orders: ir.Table, lines: ir.Table | None, pace: StorePace, window: int
) -> Callable[[date, PurchaseModel], NDArray[np.float64]]:
    """Return a function that fits the classifier to what was known on a day, and returns its lift."""

    def lift(day: date, purchases: PurchaseModel) -> NDArray[np.float64]:
        table = customer_state(orders, day)
        fit = _fit_second_purchase(engine, orders, lines, pace, day, purchases, window)
        if fit is None or fit.classifier is None:
            return np.ones(int(engine.frame(table.aggregate(n=table.count()))["n"].iloc[0]))
        baskets = with_first_baskets(table, orders, lines, day, window)
        state = engine.frame(baskets.order_by("customer_id"))
        return second_order_lift(
            fit.classifier, fit.by_days, state, purchases, window, pace.at(day)
        )[1]

    return lift
