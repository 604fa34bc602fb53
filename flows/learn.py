"""Learn from past days what purchase and spend models miss: trees, weights, and the season."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.engine import Engine
from features.labels import outcomes
from features.rfm import customer_state, spend_cells, state_cells
from features.window import outcome_window
from flows.learned import (
    Base,
    LearnedModel,
    base_forecasts,
    blended,
    rivals,
    tree_features,
)
from flows.prepare import with_recent
from models.blend import Blend, fit_blend
from models.evaluation import normalized_gini
from models.purchases import FitError, PurchaseModel, fit_purchases
from models.spend import Spend, fit_spend
from models.two_part import TwoPart, TwoPartError, fit_two_part
from models.value import Learned

Array = NDArray[np.float64]

ORIGINS, FOLDS = 4, 3
LEAST_DAYS = 28  # a shorter window tells nothing
YEAR_DAYS = 365
PROOFS = 3  # past windows that a season is tried on
LEAST_GAIN = 0.9  # of the totals' error without it: a season that leaves more is left out
MAX_SEASON = 3.0  # and its inverse: a store that grows or shrinks more has no season to learn


@dataclass(frozen=True)
class Origin:
    """What was known of customers on a past day, what models said, and what came.

    Attributes
    ----------
    day
        The past day.
    state
        Customers as known then, by id.
    purchases, spend
        Models fitted to what was known then.
    base
        What they say of the window.
    orders, value
        Arrays of shape (n,): what came within it.
    """

    day: date
    state: pd.DataFrame
    purchases: PurchaseModel
    spend: Spend
    base: Base
    orders: Array
    value: Array


@dataclass(frozen=True)
class Lesson:
    """What was learned, or why nothing was.

    Attributes
    ----------
    days
        Length of the window that was learned on; 0 = the history has none.
    model, trees
        Trees and weights; the trees alone, on the same level. None where nothing could be learned.
    origin
        The latest past day; None without any.
    told
        What the blend of the other customers' trees said on it, relative to the models; None where the
        models speak alone.
    metrics
        ``gini_blend``, ``gini_models`` and the weights; empty where nothing was learned.
    notes
        What a reader must know.
    """

    days: int
    model: LearnedModel | None
    trees: LearnedModel | None
    origin: Origin | None
    told: Learned | None
    metrics: dict[str, float]
    notes: tuple[str, ...] = ()

    @property
    def is_used(self) -> bool:
        """Whether they speak: on the latest past day they ranked no worse than the models alone."""
        return self.told is not None


def window_of(first: date, as_of: date, horizon_days: int) -> int:
    """Return the days to learn on: the horizon where the history has one and half of one before, else a third of it."""
    span = (as_of - first).days
    return horizon_days if span >= 1.5 * horizon_days else span // 3


def learn(
    engine: Engine,
    orders: ir.Table,
    first: date,
    as_of: date,
    models: tuple[PurchaseModel, Spend],
    horizon_days: int,
) -> Lesson:
    """Learn from up to four past days, each with outcomes known by `as_of`.

    Parameters
    ----------
    engine
        Computes the tables.
    orders
        Table :class:`features.tables.Orders`; orders after `as_of` are not looked at.
    first, as_of
        Day of the first order, and last day whose orders are known.
    models
        Purchase and spend model fitted to the orders known by `as_of`.
    horizon_days
        Window that forecasts are wanted for.

    Returns
    -------
    Lesson
        The blend, where on the latest past day it ranked later value at least as well as the models.
        Each customer's trees were grown without that customer.
    """
    days = window_of(first, as_of, horizon_days)
    if days < LEAST_DAYS:
        note = f"nothing learned beyond the models: {days} days would be left to learn on"
        return _nothing(0, None, (note,))
    notes: tuple[str, ...] = ()
    if days < horizon_days:
        notes = (
            f"learned on windows of {days} days and carried to {horizon_days} by the purchase model: "
            "the history has no earlier window so long",
        )
    origins = _origins(engine, orders, first, as_of, models[0], days)
    if not origins:
        return _nothing(days, None, (*notes, "no past day could be fitted"))
    features = [tree_features(origin.state, origin.base) for origin in origins]
    counts = np.concatenate([origin.orders for origin in origins])
    value = np.concatenate([origin.value for origin in origins])
    try:
        two_part = fit_two_part(np.vstack(features), counts, value)
        chance, amount = _crossed(origins, np.vstack(features), counts, value)
        values, chances = _rivals_of(origins, chance, amount)
        blend = fit_blend(values, value, chances, (counts > 0).astype(np.float64))
    except TwoPartError as error:
        said = f"nothing learned beyond the models: {error}"
        return _nothing(days, origins[0], (*notes, said))
    latest = slice(0, len(origins[0].state))
    at_latest = _set_level(blend, origins[0].base, values[latest], chances[latest])
    told = blended(at_latest, origins[0].base, values[latest], chances[latest])
    metrics = _evidence(origins[0], told, blend)
    state, base = _now(engine, orders, as_of, models, days)
    now = rivals(state, base, *two_part.predict(tree_features(state, base)))
    alone = replace(blend, value_weights=(0.0, 1.0, 0.0), chance_weights=(0.0, 1.0))
    model, trees = (
        LearnedModel(days, two_part, _set_level(weights, base, *now)) for weights in (blend, alone)
    )
    if metrics["gini_blend"] < metrics["gini_models"]:
        said = "the models speak alone: on the latest past day what was learned ranked no better"
        return Lesson(days, model, trees, origins[0], None, metrics, (*notes, said))
    return Lesson(days, model, trees, origins[0], told, metrics, notes)


def learn_nothing(
    engine: Engine,
    orders: ir.Table,
    first: date,
    as_of: date,
    purchases: PurchaseModel,
    horizon_days: int,
) -> Lesson:
    """Look back at the latest past day, by which intervals are calibrated, and learn nothing of it."""
    days, origin = window_of(first, as_of, horizon_days), None
    if days >= LEAST_DAYS:
        origin = look_back(engine, orders, as_of - timedelta(days=days), purchases, days)
    return _nothing(days, origin, ("the models speak alone: model.learned is false",))


def _nothing(days: int, origin: Origin | None, notes: tuple[str, ...]) -> Lesson:
    return Lesson(days, None, None, origin, None, {}, notes)


def _origins(
    engine: Engine,
    orders: ir.Table,
    first: date,
    as_of: date,
    purchases: PurchaseModel,
    days: int,
) -> list[Origin]:
    """Look back at past days, the latest first."""
    step = timedelta(days=max(LEAST_DAYS, days // 4))
    day = as_of - timedelta(days=days)
    found: list[Origin] = []
    while len(found) < ORIGINS and (day - first).days >= max(days // 2, LEAST_DAYS // 2):
        origin = look_back(engine, orders, day, purchases, days)
        if origin is not None:
            found.append(origin)
        day -= step
    return found


def look_back(
    engine: Engine, orders: ir.Table, day: date, purchases: PurchaseModel, days: int
) -> Origin | None:
    """Fit models of the same kind to an earlier day, and say what came; None where they do not fit."""
    table = engine.keep(customer_state(orders, day), "past_state")
    cells, spends = engine.frame(state_cells(table)), engine.frame(spend_cells(table))
    try:
        past = _fitted_again(purchases, cells)
        spend = fit_spend(*(spends[name] for name in spends.columns)).model
    except FitError:
        return None
    state = engine.frame(with_recent(table, orders, day).order_by("customer_id"))
    window = outcome_window(day, days)
    later = engine.frame(outcomes(orders, table, window).order_by("customer_id"))
    base = base_forecasts(past, spend, state, days)
    came = (later[name].to_numpy().astype(np.float64) for name in ("later_orders", "later_value"))
    return Origin(day, state, past, spend, base, *came)


def _fitted_again(purchases: PurchaseModel, cells: pd.DataFrame) -> PurchaseModel:
    """Fit a model of the same kind to counted histories."""
    k = getattr(purchases, "k", None)
    columns = (cells[name] for name in cells.columns)
    return fit_purchases(*columns, model=type(purchases), k=k, start=purchases).model


def _now(
    engine: Engine, orders: ir.Table, as_of: date, models: tuple[PurchaseModel, Spend], days: int
) -> tuple[pd.DataFrame, Base]:
    table = with_recent(customer_state(orders, as_of), orders, as_of)
    state = engine.frame(table.order_by("customer_id"))
    return state, base_forecasts(*models, state, days)


def _crossed(
    origins: list[Origin], features: Array, orders: Array, value: Array
) -> tuple[Array, Array]:
    """Predict for each customer by trees grown without that customer, on any of the days."""
    ids = pd.concat([origin.state["customer_id"] for origin in origins])
    fold = pd.util.hash_array(ids.to_numpy(dtype=object)) % FOLDS
    chance, amount = np.zeros(len(fold)), np.zeros(len(fold))
    for k in range(FOLDS):
        inside = fold == k
        trees: TwoPart = fit_two_part(features[~inside], orders[~inside], value[~inside])
        chance[inside], amount[inside] = trees.predict(features[inside])
    return chance, amount


def _rivals_of(origins: list[Origin], chance: Array, amount: Array) -> tuple[Array, Array]:
    ends = np.cumsum([len(origin.state) for origin in origins])[:-1]
    pairs = zip(origins, np.split(chance, ends), np.split(amount, ends), strict=True)
    found = [rivals(origin.state, origin.base, p, v) for origin, p, v in pairs]
    return np.vstack([values for values, _ in found]), np.vstack([p for _, p in found])


def _set_level(blend: Blend, base: Base, values: Array, chances: Array) -> Blend:
    """Let the blend's sums of value, chances and orders be the models'."""
    active = float(np.clip(base.chance, 1e-9, 1 - 1e-9).sum())
    leveled = blend.leveled(values, chances, float(base.value.sum()), active)
    chance = np.clip(leveled.chance(chances), 1e-9, 1 - 1e-9)
    raw = float((base.orders * chance / np.clip(base.chance, 1e-12, 1)).sum())
    return replace(leveled, orders_level=float(base.orders.sum()) / raw)


def _evidence(origin: Origin, told: Learned, blend: Blend) -> dict[str, float]:
    ginis = (
        normalized_gini(forecast, origin.value) or 0.0
        for forecast in (told.value * origin.base.value, origin.base.value)
    )
    names = ("models", "two_part", "past_revenue")
    weights = dict(zip((f"weight_{name}" for name in names), blend.value_weights, strict=True))
    return dict(zip(("gini_blend", "gini_models"), ginis, strict=True)) | weights


@dataclass(frozen=True)
class Season:
    """What orders within a window are multiplied by, and why.

    Attributes
    ----------
    days
        Length of the window after the training day.
    multiplier
        1 where no season is applied.
    note
        Why; what it was learned from, or why it is left out.
    metrics
        The mean error of past totals (absolute logarithm) ``without`` and ``with_season``; empty where
        none could be tried.
    """

    days: int
    multiplier: float
    note: str
    metrics: dict[str, float]


def learn_season(
    engine: Engine,
    orders: ir.Table,
    first: date,
    as_of: date,
    purchases: PurchaseModel,
    horizon_days: int,
) -> Season:
    """Compare the same window a year before with what the model expects of it.

    Applied where, on past windows, the ratio a year before them brought totals nearer to what came.
    """

    def none(why: str, **metrics: float) -> Season:
        return Season(horizon_days, 1.0, f"no season: {why}", metrics)

    if horizon_days > YEAR_DAYS - LEAST_DAYS:
        return none("a horizon of about a year has every season in it")
    ratios: dict[date, float | None] = {}

    def ratio(day: date) -> float | None:
        if day not in ratios:
            enough = (day - first).days >= horizon_days // 2
            ratios[day] = _ratio(engine, orders, day, purchases, horizon_days) if enough else None
        return ratios[day]

    year = timedelta(days=YEAR_DAYS)
    now = ratio(as_of - year)
    if now is None:
        return none("the history has no such window a year before the day")
    pairs = []
    apart = max(horizon_days // 2, LEAST_DAYS)
    latest = [as_of - timedelta(days=horizon_days + k * apart) for k in range(PROOFS)]
    for day in (*latest, as_of - year):  # the last: the very season, a year earlier
        before = ratio(day - year)
        came = None if before is None else ratio(day)
        if before is not None and came is not None:
            pairs.append((came, before))
    if not pairs:
        return none("the history is too short to try it on a past window")
    without = float(np.mean([abs(np.log(came)) for came, _ in pairs]))
    with_season = float(np.mean([abs(np.log(came / before)) for came, before in pairs]))
    errors = {"without": without, "with_season": with_season, "a_year_before": now}
    if with_season > LEAST_GAIN * without or not 1 / MAX_SEASON < now < MAX_SEASON:
        return none("on past windows it did not lower the error of the total", **errors)
    note = (
        f"season: orders of the next {horizon_days} days are multiplied by {now:.2f}, as the same days a "
        "year before were to what the model expects of them"
    )
    return Season(horizon_days, now, note, errors)


def _ratio(
    engine: Engine, orders: ir.Table, day: date, purchases: PurchaseModel, days: int
) -> float | None:
    """Return orders over those that today's model expects of the customers of `day`; None without any.

    The model knows all of the history, with every season in it: one fitted to what was known on a past
    day takes the season that it had just seen for the customers' own pace.
    """
    table = engine.keep(customer_state(orders, day), "season_state")
    cells = engine.frame(state_cells(table))
    columns = [cells[name].to_numpy(np.float64) for name in cells.columns]
    expected = float((columns[3] * purchases.expected_orders(days, *columns[:3])).sum())
    later = outcomes(orders, table, outcome_window(day, days))
    came = engine.frame(later.aggregate(orders=later.later_orders.sum()))
    total = float(came["orders"].iloc[0] or 0)
    return total / expected if total > 0 and expected > 0 else None


def first_day(engine: Engine, orders: ir.Table) -> date:
    """Return the day of the first order."""
    found: Any = engine.frame(orders.aggregate(first=orders.order_date.min()))["first"].iloc[0]
    return pd.Timestamp(found).date()
