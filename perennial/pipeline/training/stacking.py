"""Fit corrections of the purchase and spend models to past cutoffs, and choose on a later one what is used."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy

from connectors.engine import Engine
from features.labels import outcomes
from features.rfm import customer_state, state_cells
from features.window import outcome_window
from models.corrections import (
    Columns,
    Corrections,
    PlainForecast,
    RuleModel,
    StackedModel,
    columns_of,
    means_of,
    plain_forecast,
    tree_features,
)
from models.evaluation import normalized_gini, paired_differences
from models.operational_time import OperationalTime, PaceIndex
from models.order_value import OrderValue
from models.price_level import PriceLevel
from models.purchases import FitError, Prior, PurchaseModel, fit_again
from models.rules import RULES, fit_steps, rule_score
from models.stacking import fit_chance, fit_orders, level_of
from models.stacking import fit_order_value as fit_value_correction
from models.trees import OutcomeTrees, TreeForecast, TreesError, fit_trees
from models.value import ForecastMultipliers
from perennial.pipeline.ingestion.read import with_recent
from perennial.pipeline.training.cutoff import BacktestCutoff
from perennial.pipeline.training.season import timed
from perennial.pipeline.training.spend import fit_order_value

Array = NDArray[np.float64]

CUTOFFS, FOLDS = 4, 3
LEAST_DAYS = 28  # a shorter window has too few outcomes
STACKED, PLAIN = "stacked", "plain"
PLAIN_LEAD, OTHER_LEAD = (
    1.0,
    1.96,
)  # standard errors of Gini that a lead must exceed
LEAST_LEAD, RULE_LEAD = (
    0.002,
    0.005,
)  # of Gini, that a purchase model's or a rule's lead must exceed

Model = StackedModel | RuleModel


@dataclass(frozen=True)
class FittedCutoff(BacktestCutoff):
    """A cutoff with models fitted to what was known then, and their plain forecast of its window.

    Attributes
    ----------
    purchases, order_value
        Models fitted to what was known then.
    plain
        Their forecast of the window.
    time
        How days before and after the day are measured.
    lift
        Shape (n,): of a second-purchase classifier fitted to what was known then; 1 = none.
    """

    purchases: PurchaseModel
    order_value: OrderValue
    plain: PlainForecast
    time: OperationalTime
    lift: Array


@dataclass(frozen=True)
class Calendar:
    """What changes with the calendar alone.

    Attributes
    ----------
    pace
        Of orders; None = every day counts as one.
    price
        Level of order values; None = steady.
    """

    pace: PaceIndex | None = None
    price: PriceLevel | None = None


LiftAt = Callable[[date, PurchaseModel], Array]  # of all customers of a day, by id


@dataclass(frozen=True)
class StackingFit:
    """Fitted corrections, and the candidate that was best on a later cutoff.

    Attributes
    ----------
    days
        Length of the window that they are fitted on; 0 = the history has none.
    choice
        ``stacked``, ``plain`` (purchase and spend models alone), ``rule_…``, or the name of another
        purchase model.
    candidates
        Every correction that could be fitted, by name.
    purchases
        The purchase model that is used.
    later
        The latest cutoff, on which candidates were compared; None without any.
    multipliers
        The choice's on that cutoff, fitted to earlier ones; None for plain models.
    level
        Logarithms by which orders and order value are corrected for everybody.
    metrics
        ``gini.…`` of each candidate on the later cutoff, its log losses, the level.
    notes
        What a reader must know.
    """

    days: int
    choice: str
    candidates: Mapping[str, Model]
    purchases: PurchaseModel
    later: FittedCutoff | None = None
    multipliers: ForecastMultipliers | None = None
    level: tuple[float, float] = (0.0, 0.0)
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def model(self) -> Model | None:
        """The correction that is used; None where a purchase model is used as it is."""
        return self.candidates.get(self.choice)


def window_of(first: date, as_of: date, horizon_days: int) -> int:
    """Return the days to fit on: the horizon where it fits three times into the history, else a third of that.

    So two windows follow one another after a history of their own length.
    """
    return min(horizon_days, ((as_of - first).days + 3) // 3)


def fit_stacking(
    engine: Engine,
    orders: ir.Table,
    first: date,
    as_of: date,
    family: Sequence[PurchaseModel],
    order_value: OrderValue,
    horizon_days: int,
    lift_at: LiftAt | None = None,
    calendar: Calendar | None = None,
) -> StackingFit:
    """Fit every candidate to past cutoffs, and choose the one that ranks value best on a later one.

    Parameters
    ----------
    engine
        Computes the tables.
    orders
        Table :class:`features.tables.Orders`; orders after `as_of` are not looked at.
    first, as_of
        Day of the first order, and last day whose orders are known.
    family
        Purchase models fitted to the orders known by `as_of`, the best first.
    order_value
        Model of order value fitted to the same orders.
    horizon_days
        Window that forecasts are wanted for.
    lift_at
        Returns the second-purchase classifier's lift on a day, by a classifier fitted to what was known
        then; None = there is no classifier.
    calendar
        Pace of orders and price level, which count at past cutoffs too; None = both are steady.

    Returns
    -------
    StackingFit
        Trees predict only customers whom they were not fitted to.
    """
    days, calendar = window_of(first, as_of, horizon_days), calendar or Calendar()
    if days < LEAST_DAYS:
        note = f"only the purchase model is used: a history of {(as_of - first).days} days is too short for a backtest"
        return StackingFit(0, PLAIN, {}, family[0], notes=(note,))
    cutoffs = _cutoffs(engine, orders, first, as_of, family[0], days, calendar)
    if len(cutoffs) < 2:
        note = "only the purchase model is used: models could not be fitted at two past cutoffs"
        later = cutoffs[0] if cutoffs else None
        return StackingFit(days, PLAIN, {}, family[0], later, notes=(note,))
    if lift_at is not None:
        cutoffs = [replace(c, lift=lift_at(c.as_of, c.purchases)) for c in cutoffs]
    later, overlap = cutoffs[0], _overlap(cutoffs, days)
    trees, notes = _trees(cutoffs)
    trials, parts = _trials(cutoffs, trees, overlap, days)
    others = _others(engine, orders, later, family[1:], days)
    values = {PLAIN: later.plain.value}
    values |= {n: later.plain.value * m.orders * m.order_value for n, m in trials.items()}
    values |= {name: cutoff.plain.value for name, cutoff in others.items()}
    choice, metrics = _choose(values, later.value)
    if choice in trials:
        notes = (*_shorter(days, horizon_days), *notes)
    time = OperationalTime(as_of, calendar.pace)
    state, plain = _now(engine, orders, time, family[0], order_value, days)
    candidates: dict[str, Model] = dict(_rules(cutoffs, state, plain, days))
    if trees is not None:
        lift = np.ones(len(state)) if lift_at is None else lift_at(as_of, family[0])
        corrections = _only(_fit_corrections(cutoffs, trees, overlap), parts)
        candidates[STACKED] = _final(
            cutoffs, corrections, order_value, state, plain, lift, days, as_of
        )
        metrics |= _weights(corrections, parts)
    level = _levels(cutoffs, overlap, days)
    return StackingFit(
        days=days,
        choice=choice,
        candidates=candidates,
        purchases=next((m for m in family if m.kind == choice), family[0]),
        later=others.get(choice, later),
        multipliers=trials.get(choice),
        level=level,
        metrics={**metrics, "level_orders": level[0], "level_order_value": level[1]},
        notes=(*notes, *_choice_notes(choice, values, later)),
    )


def _trees(
    cutoffs: Sequence[FittedCutoff],
) -> tuple[list[TreeForecast] | None, tuple[str, ...]]:
    """Return the trees' forecasts by cutoff, or None and why there are none."""
    try:
        return _crossed(cutoffs), ()
    except TreesError as error:
        return None, (f"no stacked model: {error}",)


def _trials(
    cutoffs: Sequence[FittedCutoff],
    trees: Sequence[TreeForecast] | None,
    overlap: float,
    days: int,
) -> tuple[dict[str, ForecastMultipliers], tuple[bool, bool]]:
    """Fit the corrections to the earlier cutoffs and apply them to the latest one.

    Returns
    -------
    tuple
        The corrections of the latest cutoff by candidate, and whether those of order value and of the
        chance were proved there.
    """
    later, earlier = cutoffs[0], cutoffs[1:]
    trials: dict[str, ForecastMultipliers] = {
        name: rule.multipliers(later.purchases, later.order_value, later.state, later.time)
        for name, rule in _rules(earlier, later.state, later.plain, days).items()
    }
    if trees is None:
        return trials, (True, True)
    fitted = _fit_corrections(earlier, trees[1:], overlap)
    columns, mean = _columns(later, trees[0])
    parts = _proved(fitted.leveled(columns, later.plain, mean), columns, later, mean)
    stacked = _only(fitted, parts).leveled(columns, later.plain, mean)
    trials[STACKED] = stacked.multipliers(columns, later.plain, mean)
    return trials, parts


def _shorter(days: int, horizon_days: int) -> Iterator[str]:
    if days < horizon_days:
        yield (
            f"corrections are fitted on windows of {days} days and extended to {horizon_days} by the "
            "purchase model: the history is too short for longer windows"
        )


def _levels(cutoffs: Sequence[FittedCutoff], overlap: float, days: int) -> tuple[float, float]:
    """Return the levels of orders and of order value that the cutoffs show."""
    customers = float(np.mean([len(cutoff.state) for cutoff in cutoffs]))
    orders, value = (level_of(ratios, overlap, days, customers) for ratios in _log_ratios(cutoffs))
    return orders, value


def without_stacking(
    engine: Engine,
    orders: ir.Table,
    first: date,
    as_of: date,
    purchases: PurchaseModel,
    horizon_days: int,
    calendar: Calendar | None = None,
) -> StackingFit:
    """Look back at the latest past cutoff, by which intervals are calibrated, and correct nothing."""
    days, later = window_of(first, as_of, horizon_days), None
    if days >= LEAST_DAYS:
        day = as_of - timedelta(days=days)
        later = look_back(engine, orders, day, purchases, days, calendar or Calendar())
    note = "only the purchase model is used: model.stacking is false"
    return StackingFit(days, PLAIN, {}, purchases, later, notes=(note,))


def _cutoffs(
    engine: Engine,
    orders: ir.Table,
    first: date,
    as_of: date,
    purchases: PurchaseModel,
    days: int,
    calendar: Calendar,
) -> list[FittedCutoff]:
    """Look back at past cutoffs a third of a window apart, the latest first."""
    step = timedelta(days=max(days // 3, 7))
    day = as_of - timedelta(days=days)
    cutoffs: list[FittedCutoff] = []
    while len(cutoffs) < CUTOFFS and (day - first).days >= days - 3:  # three thirds, rounded down
        cutoff = look_back(engine, orders, day, purchases, days, calendar)
        if cutoff is not None:
            cutoffs.append(cutoff)
        day -= step
    return cutoffs


def look_back(
    engine: Engine,
    orders: ir.Table,
    day: date,
    purchases: PurchaseModel,
    days: int,
    calendar: Calendar,
) -> FittedCutoff | None:
    """Fit models of the same kind to an earlier day, and count what followed; None where none fits.

    Pace and prices of the window are those that it had: what cannot be foreseen is no fault of a model.
    """
    time, window = OperationalTime(day, calendar.pace), outcome_window(day, days)
    table = engine.keep(customer_state(orders, day), "past_state")
    try:
        past = _fitted_again(purchases, timed(engine.frame(state_cells(table)), time))
        ends = (window.start, window.end - timedelta(days=1))
        order_value = fit_order_value(engine, table, calendar.price, ends).model
    except FitError:
        return None
    state = engine.frame(with_recent(table, orders, day).order_by("customer_id"))
    later = engine.frame(outcomes(orders, table, window).order_by("customer_id"))
    plain = plain_forecast(past, order_value, state, days, time)
    count, value = (
        later[name].to_numpy().astype(np.float64) for name in ("later_orders", "later_value")
    )
    none = np.ones(len(count))
    return FittedCutoff(day, state, count, value, past, order_value, plain, time, none)


def _fitted_again(purchases: PurchaseModel, cells: pd.DataFrame) -> PurchaseModel:
    """Fit a model of the same kind to counted histories."""
    return fit_again(purchases, *(cells[name] for name in cells.columns), prior=Prior())


def _now(
    engine: Engine,
    orders: ir.Table,
    time: OperationalTime,
    purchases: PurchaseModel,
    order_value: OrderValue,
    days: int,
) -> tuple[pd.DataFrame, PlainForecast]:
    table = with_recent(customer_state(orders, time.as_of), orders, time.as_of)
    state = engine.frame(table.order_by("customer_id"))
    return state, plain_forecast(purchases, order_value, state, days, time)


def _overlap(cutoffs: Sequence[FittedCutoff], days: int) -> float:
    """Return how many cutoffs there are for each window that overlaps no other."""
    span = (cutoffs[0].as_of - cutoffs[-1].as_of).days
    return len(cutoffs) / (1 + span / days)


def _crossed(cutoffs: Sequence[FittedCutoff]) -> list[TreeForecast]:
    """Predict every cutoff by trees fitted to other customers at the earlier cutoffs."""
    features = [tree_features(cutoff.state, cutoff.plain) for cutoff in cutoffs]
    folds = [
        pd.util.hash_array(cutoff.state["customer_id"].to_numpy(dtype=object)) % FOLDS
        for cutoff in cutoffs
    ]
    forecasts = [np.zeros((3, len(fold))) for fold in folds]
    fold, rows_before = np.concatenate(folds[1:]), np.vstack(features[1:])
    orders = np.concatenate([cutoff.orders for cutoff in cutoffs[1:]])
    value = np.concatenate([cutoff.value for cutoff in cutoffs[1:]])
    for k in range(FOLDS):
        trees = fit_trees(rows_before[fold != k], orders[fold != k], value[fold != k])
        for forecast, own, rows in zip(forecasts, folds, features, strict=True):
            forecast[:, own == k] = trees.predict(rows[own == k])
    return [TreeForecast(*forecast) for forecast in forecasts]


def _columns(cutoff: FittedCutoff, trees: TreeForecast) -> tuple[Columns, float]:
    means = means_of(cutoff.state, cutoff.plain)
    columns = columns_of(
        cutoff.state, cutoff.order_value, cutoff.plain, trees, means, cutoff.lift, cutoff.as_of
    )
    return columns, means[0]


def _fit_corrections(
    cutoffs: Sequence[FittedCutoff], trees: Sequence[TreeForecast], overlap: float
) -> Corrections:
    """Fit the corrections to several cutoffs at once."""
    pairs = [_columns(cutoff, forecast) for cutoff, forecast in zip(cutoffs, trees, strict=True)]
    mean = np.concatenate([np.full(len(c.band), own) for c, own in pairs])
    columns = Columns(*(np.concatenate(part) for part in zip(*(c for c, _ in pairs), strict=True)))
    orders = np.concatenate([cutoff.orders for cutoff in cutoffs])
    value = np.concatenate([cutoff.value for cutoff in cutoffs])
    price = np.concatenate([cutoff.plain.order_value for cutoff in cutoffs])
    paid = orders > 0
    ratio = value[paid] / (orders[paid] * price[paid])
    band = columns.band
    return Corrections(
        fit_orders(columns.orders, band, orders, mean, overlap),
        fit_value_correction(columns.order_value[paid], band[paid], ratio, orders[paid], overlap),
        fit_chance(columns.chance, band, paid.astype(np.float64), overlap),
    )


def _proved(
    corrections: Corrections, columns: Columns, later: FittedCutoff, mean: float
) -> tuple[bool, bool]:
    """Tell whether corrections of order value and of the chance lower their loss on a later cutoff."""
    factors = corrections.multipliers(columns, later.plain, mean)
    paid = later.orders > 0
    orders = later.orders[paid]
    ratio = later.value[paid] / (orders * later.plain.order_value[paid])
    level = float((ratio * orders).sum() / orders.sum())
    corrected = factors.order_value[paid]
    corrected = corrected * level * orders.sum() / (corrected * orders).sum()
    better_value = _deviance(ratio, corrected, orders) < _deviance(ratio, level, orders)
    chance = -np.expm1(factors.hazard * np.log1p(-np.minimum(later.plain.chance, 1 - 1e-12)))
    return better_value, _log_loss(chance, paid) < _log_loss(later.plain.chance, paid)


def _deviance(ratio: Array, forecast: Any, orders: Array) -> float:  # noqa: ANN401  # an array, a number
    return float((orders * (forecast - ratio * np.log(np.maximum(forecast, 1e-12)))).sum())


def _log_loss(chance: Array, paid: NDArray[np.bool_]) -> float:
    p = np.clip(chance, 1e-9, 1 - 1e-9)
    return -float((xlogy(paid, p) + xlogy(~paid, 1 - p)).mean())


def _only(corrections: Corrections, parts: tuple[bool, bool]) -> Corrections:
    """Leave out the parts that were not proved."""
    return replace(
        corrections,
        order_value=corrections.order_value if parts[0] else None,
        chance=corrections.chance if parts[1] else None,
    )


def _rules(
    cutoffs: Sequence[FittedCutoff], state: pd.DataFrame, plain: PlainForecast, days: int
) -> dict[str, RuleModel]:
    """Fit each simple rule to cutoffs, at the level of the plain forecast of `state`."""
    orders = np.concatenate([cutoff.orders for cutoff in cutoffs])
    rules = {}
    for rule in RULES:
        score = np.concatenate([rule_score(rule, cutoff.state, days) for cutoff in cutoffs])
        steps = fit_steps(score, orders), fit_steps(score, (orders > 0).astype(np.float64))
        total = float(steps[0](rule_score(rule, state, days)).sum())
        level = float(plain.orders.sum()) / max(total, 1e-300)
        rules[f"rule_{rule}"] = RuleModel(days, rule, *steps, level)
    return rules


def _others(
    engine: Engine,
    orders: ir.Table,
    later: FittedCutoff,
    family: Sequence[PurchaseModel],
    days: int,
) -> dict[str, FittedCutoff]:
    """Forecast a cutoff's window by the other purchase models, fitted to what was known then."""
    cells = timed(engine.frame(state_cells(customer_state(orders, later.as_of))), later.time)
    cutoffs = {}
    for model in family:
        try:
            past = _fitted_again(model, cells)
        except FitError:
            continue
        plain = plain_forecast(past, later.order_value, later.state, days, later.time)
        cutoffs[model.kind] = replace(later, purchases=past, plain=plain)
    return cutoffs


def _choose(values: Mapping[str, Array], outcome: Array) -> tuple[str, dict[str, float]]:
    """Choose a candidate by its Gini; a simpler one only where its lead exceeds chance."""
    ginis = {name: normalized_gini(value, outcome) or 0.0 for name, value in values.items()}
    metrics = {f"gini.{name}": gini for name, gini in ginis.items()}
    choice = STACKED if STACKED in values else PLAIN
    others = {name: value for name, value in values.items() if name != choice}
    leads = paired_differences(values[choice], others, outcome)
    best, lead = choice, 0.0
    for name, comparison in leads.items():
        gini = comparison.gini_value
        if gini is None:
            continue
        error = (gini.high - gini.low) / 3.92
        least = RULE_LEAD if name.startswith("rule_") else LEAST_LEAD
        margin = max(least, (PLAIN_LEAD if name == PLAIN else OTHER_LEAD) * error)
        if -gini.difference > max(margin, lead):
            best, lead = name, -gini.difference
    return best, metrics


def _choice_notes(
    choice: str, values: Mapping[str, Array], later: FittedCutoff
) -> tuple[str, ...]:
    if choice == STACKED or (choice == PLAIN and STACKED not in values):
        return ()
    gini = {name: normalized_gini(value, later.value) or 0.0 for name, value in values.items()}
    default = STACKED if STACKED in values else PLAIN
    compared = f"as of {later.as_of}, its Gini was {gini[choice]:.3f}, the {default} model's {gini[default]:.3f}"
    if choice.startswith("rule_"):
        rule = choice.removeprefix("rule_")
        return (f"a simple rule is the model, {RULES[rule]}: {compared}",)
    name = "the purchase model alone" if choice == PLAIN else f"the purchase model {choice}"
    return (f"{name} is used: {compared}",)


def _final(
    cutoffs: Sequence[FittedCutoff],
    corrections: Corrections,
    order_value: OrderValue,
    state: pd.DataFrame,
    plain: PlainForecast,
    lift: Array,
    days: int,
    as_of: date,
) -> StackedModel:
    """Fit trees to all cutoffs, and set the corrections' level to today's plain forecast."""
    features = np.vstack([tree_features(cutoff.state, cutoff.plain) for cutoff in cutoffs])
    trees: OutcomeTrees = fit_trees(
        features,
        np.concatenate([cutoff.orders for cutoff in cutoffs]),
        np.concatenate([cutoff.value for cutoff in cutoffs]),
    )
    means = means_of(state, plain)
    forecast = trees.predict(tree_features(state, plain))
    columns = columns_of(state, order_value, plain, forecast, means, lift, as_of)
    leveled = corrections.leveled(columns, plain, means[0])
    return StackedModel(days, trees, leveled, (float(means[0]), float(means[1])))


def _log_ratios(cutoffs: Sequence[FittedCutoff]) -> tuple[list[float], list[float]]:
    """Return the logarithms of outcome over plain forecast by cutoff: of orders, and of order value."""
    orders, value = [], []
    for cutoff in cutoffs:
        count = float(cutoff.orders.sum())
        worth = float((cutoff.orders * cutoff.plain.order_value).sum())
        total = float(cutoff.value.sum())
        if count > 0 and total > 0:
            orders.append(float(np.log(count / cutoff.plain.orders.sum())))
            value.append(float(np.log(total / worth)))
    return orders, value


def _weights(corrections: Corrections, parts: tuple[bool, bool]) -> dict[str, float]:
    own, trees, past, lift = corrections.orders.weights
    weights = {
        "weight.orders_model": own,
        "weight.orders_trees": trees,
        "weight.orders_past_revenue": past,
        "weight.orders_second_purchase": lift,
    }
    return weights | {
        "order_value_is_corrected": float(parts[0]),
        "chance_is_corrected": float(parts[1]),
    }


def first_day(engine: Engine, orders: ir.Table) -> date:
    """Return the day of the first order."""
    row: Any = engine.frame(orders.aggregate(first=orders.order_date.min()))["first"].iloc[0]
    return pd.Timestamp(row).date()
