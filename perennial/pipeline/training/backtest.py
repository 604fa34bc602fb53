"""Forecast from past days with what was known then, and compare with what happened."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from connectors.engine import Engine
from connectors.orders import History
from features.labels import outcomes
from features.rfm import customer_state, purchases
from features.tables import DataError
from features.window import outcome_window, previous_window
from models.baselines import cell_means, hiatus_cut, rfm_cells
from models.cells import distinct
from models.evaluation import (
    GAIN_SHARES,
    BacktestReport,
    Comparison,
    Curves,
    CutoffReport,
    Metrics,
    Prediction,
    WeekRow,
    coverage_table,
    decile_table,
    evaluate,
    gain_curve,
    mean_metrics,
    paired_differences,
)
from models.forecaster import Forecaster
from models.gate import INCUMBENT
from perennial.pipeline.ingestion.read import known_customers, read_orders
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import progress
from perennial.pipeline.settings.decisions import ModelSettings
from perennial.pipeline.training.cutoff import BacktestCutoff
from perennial.pipeline.training.model_files import load_forecaster
from perennial.pipeline.training.recipe import Fits, fit_recipe

LATE_DAYS = 7  # how far before a window's end the last order may be

Predictions = Mapping[str, Prediction | None]  # by model; None = it cannot predict from that day


@dataclass(frozen=True)
class Orders:
    """What was known on a day, and all that came to be known later."""

    past: ir.Table
    all: ir.Table


def evaluate_cutoffs(
    run: RunContext,
    horizon_days: int,
    cutoffs: int,
    step_days: int | None = None,
    incumbent: Path | None = None,
) -> Path:
    """Evaluate every model at each cutoff that has enough history; return the JSON file.

    The last cutoff is the run's day; others lie `step_days` apart before it, by default the horizon. `incumbent` is the folder of the model that
    scores: compared as it is where it does not know what came, else its kind is fitted again.
    """
    as_of = run.as_of
    history = read_orders(run.on(as_of + timedelta(days=horizon_days)))
    _check_window(history, as_of, horizon_days)
    step_length = step_days or horizon_days
    days = [as_of - timedelta(days=k * step_length) for k in reversed(range(cutoffs))]
    enough = history.first_date + timedelta(days=horizon_days // 2)
    usable = [day for day in days if day > enough] or days[-1:]
    reports = []
    rival = None if incumbent is None else load_forecaster(incumbent)
    for number, day in enumerate(usable, 1):
        past = read_orders(run.on(day))
        progress(f"backtest from {day}, {number} of {len(usable)}")
        with run.engine() as engine:
            report = _evaluate_cutoff(
                engine,
                Orders(engine.parquet(past.orders), engine.parquet(history.orders)),
                past,
                day,
                settings=run.settings.model,
                horizon=horizon_days,
                incumbent=rival,
                peaks=run.settings.monitoring.peaks,
            )
        reports.append(report)
    whole = BacktestReport(horizon_days=horizon_days, cutoffs=tuple(reports), mean=_means(reports))
    path = run.training_files.backtest
    path.write_text(json.dumps(whole.model_dump(mode="json"), indent=2, allow_nan=False))
    return path


def _means(reports: Sequence[CutoffReport]) -> dict[str, Metrics]:
    """Return the mean metrics of each model that all cutoffs have."""
    first, *others = (report.models for report in reports)
    names = [name for name in first if all(name in models for models in others)]
    return {name: mean_metrics([report.models[name] for report in reports]) for name in names}


def _check_window(history: History, as_of: date, horizon_days: int) -> None:
    end = as_of + timedelta(days=horizon_days)
    if history.last_date < end - timedelta(days=LATE_DAYS):
        raise DataError(
            f"a backtest as of {as_of} over {horizon_days} days needs orders up to {end}: the last "
            f"is of {history.last_date}. Choose an earlier --as-of or fewer --horizon-days"
        )
    if history.first_date >= as_of:
        raise DataError(
            f"a backtest as of {as_of} needs orders before that day: the first is of "
            f"{history.first_date}. Choose a later --as-of"
        )


def _evaluate_cutoff(
    engine: Engine,
    orders: Orders,
    past: History,
    as_of: date,
    *,
    settings: ModelSettings,
    horizon: int,
    incumbent: Forecaster | None,
    peaks: Sequence[tuple[date, date]],
) -> CutoffReport:
    """Fit the recipe to what was known on a day, and compare every model with what happened after it."""
    window = settings.second_purchase_days
    lines = None if past.order_lines is None else engine.parquet(past.order_lines)
    now = build_cutoff(engine, orders, lines, as_of, horizon, window)
    fits = fit_recipe(
        engine, orders.past, lines, as_of, window, horizon,
        is_stacked=settings.stacking, peaks=peaks,
    )  # fmt: skip
    champion = predict_cutoff(fits.forecaster, now, horizon)
    models: dict[str, Prediction | None] = {
        "champion": champion,
        **_candidates(fits, now, horizon),
        **_simple_rules(engine, orders.past, past.first_date, now, horizon),
    }
    if incumbent is not None:
        models[INCUMBENT] = _incumbent(incumbent, fits, now, horizon)
    return CutoffReport(
        as_of=as_of,
        customers=len(now.state),
        buyers=int((now.orders > 0).sum()),
        is_blind=_is_blind(engine, orders.all, lines, as_of, window),
        models=_metrics(models, now),
        differences=_differences(champion, models, now),
        notes=tuple(fits.notes),
        deciles=tuple(decile_table(champion.value, now.value)),
        curves=Curves(
            weekly=tuple(_weekly(engine, orders.all, fits.forecaster, champion, now, horizon)),
            gain=tuple(_gain(models, now)),
            coverage=tuple(coverage_table(champion)),
        ),
    )


def _metrics(models: Predictions, now: BacktestCutoff) -> dict[str, Metrics]:
    return {
        name: Metrics.unknown()
        if prediction is None
        else evaluate(prediction, now.orders, now.value)
        for name, prediction in models.items()
    }


def _differences(
    champion: Prediction, models: Predictions, now: BacktestCutoff
) -> dict[str, Comparison]:
    """Compare the recipe with each other model that predicts."""
    others = {
        name: prediction.value
        for name, prediction in models.items()
        if prediction is not None and name != "champion"
    }
    return paired_differences(champion.value, others, now.value)


def _weekly(
    engine: Engine,
    later: ir.Table,
    forecaster: Forecaster,
    champion: Prediction,
    now: BacktestCutoff,
    horizon: int,
) -> list[WeekRow]:
    """Count the orders of each whole week of the window, beside those expected."""
    end = now.as_of + timedelta(days=horizon)
    days = purchases(later, end)
    week = days.order_date.delta(ibis.date(now.as_of + timedelta(days=1)), unit="day") // 7
    first = days.group_by("customer_id").aggregate(first=days.order_date.min())
    customers = first.filter(first["first"] <= now.as_of)
    inside = (
        days.mutate(week=week)
        .filter(days.order_date > now.as_of)
        .semi_join(customers, "customer_id")
    )
    counts = engine.frame(inside.group_by("week").aggregate(orders=inside.count()))
    came = dict(zip(counts["week"].astype(int), counts["orders"].astype(float), strict=True))
    time = forecaster.time(now.as_of)
    t_x, T = time.since_first(now.state["recency_days"], now.state["age_days"])
    states, where = distinct(now.state["frequency"].to_numpy(np.float64), t_x, T)
    by_end = forecaster.purchases.expected_orders(time.after(horizon), *states)
    weights = np.bincount(where, weights=champion.orders / np.maximum(by_end[where], 1e-300))
    rows, before = [], 0.0
    for number in range(horizon // 7):
        by_then = forecaster.purchases.expected_orders(time.after(7 * (number + 1)), *states)
        total = float((weights * by_then).sum())
        rows.append(
            WeekRow(week=number + 1, expected=total - before, actual=came.get(number, 0.0))
        )
        before = total
    return rows


def _gain(models: Predictions, now: BacktestCutoff) -> list[dict[str, float]]:
    """Return the share of later value that the best customers by some forecasts brought."""
    best = next(name for name in models if name.endswith("_gamma_gamma"))
    curves = {
        name: gain_curve(models[name].value, now.value)  # type: ignore[union-attr]  # they always predict
        for name in ("champion", best, "total_past")
    }
    return [
        {"share_of_customers": share, **{name: curve[i] for name, curve in curves.items()}}
        for i, share in enumerate(GAIN_SHARES)
    ]


def _incumbent(incumbent: Forecaster, fits: Fits, now: BacktestCutoff, horizon: int) -> Prediction:
    """Predict by the model that scores; if it knows what came, by its kind fitted to what was known."""
    if incumbent.trained_as_of <= now.as_of:
        return _by_models(incumbent, now, horizon)
    kind = incumbent.purchases.kind
    alike = [fit.model for fit in fits.purchases if fit.model.kind == kind]
    again = replace(
        fits.forecaster,
        purchases=alike[0] if alike else fits.forecaster.purchases,
        correction=None if incumbent.correction is None else fits.stacking.model,
    )
    return _by_models(again, now, horizon)


def _is_blind(
    engine: Engine, orders: ir.Table, lines: ir.Table | None, as_of: date, window_days: int
) -> bool:
    """Tell whether what is known of customers is the same without the orders after the day."""
    past = engine.keep(orders.filter(orders.order_date <= as_of), "known_orders")
    with_later, without = (
        engine.frame(known_customers(table, lines, as_of, window_days).order_by("customer_id"))
        for table in (orders, past)
    )
    if with_later.shape != without.shape:
        return False
    numbers = with_later.select_dtypes("number").columns
    others = with_later.columns.difference(numbers)
    return with_later[others].equals(without[others]) and np.allclose(
        with_later[numbers].astype(float),
        without[numbers].astype(float),
        rtol=1e-9,
        equal_nan=True,
    )


def _candidates(fits: Fits, now: BacktestCutoff, horizon: int) -> dict[str, Prediction | None]:
    """Predict by each purchase model, and by each correction that could be fitted."""
    order_value = fits.order_value.model
    predictions: dict[str, Prediction | None] = {
        f"{fit.title}_gamma_gamma": _by_models(
            Forecaster.plain(fit.model, order_value, pace=fits.pace.index), now, horizon
        )
        for fit in fits.purchases
    }
    base = replace(fits.forecaster, purchases=fits.purchases[0].model)
    for name, correction in fits.stacking.candidates.items():
        predictions[name] = _by_models(replace(base, correction=correction), now, horizon)
    return predictions


def build_cutoff(
    engine: Engine,
    orders: Orders,
    lines: ir.Table | None,
    as_of: date,
    horizon: int,
    second_purchase_days: int,
) -> BacktestCutoff:
    """Say all that a model may know of the customers on a day, and what they did in the window after it.

    Parameters
    ----------
    engine
        Computes the tables.
    orders
        What was known on the day, and later.
    lines
        Table :class:`features.tables.OrderLines`; None = not given.
    as_of
        The day.
    horizon
        Days of the window.
    second_purchase_days
        Window of the second-purchase classifier.
    """
    now = _cutoff(engine, orders.past, orders.all, as_of, horizon)
    customers = known_customers(orders.past, lines, as_of, second_purchase_days)
    return replace(now, state=engine.frame(customers.order_by("customer_id")))


def _cutoff(
    engine: Engine, past: ir.Table, later: ir.Table, as_of: date, horizon: int
) -> BacktestCutoff:
    state = engine.keep(customer_state(past, as_of), f"state_{as_of:%Y%m%d}")
    window = outcome_window(as_of, horizon)
    bought = engine.frame(outcomes(later, state, window).order_by("customer_id"))
    frame = engine.frame(state.order_by("customer_id"))
    orders, value = (
        bought[name].to_numpy().astype(np.float64) for name in ("later_orders", "later_value")
    )
    return BacktestCutoff(as_of, frame, orders, value)


def predict_cutoff(forecaster: Forecaster, now: BacktestCutoff, horizon: int) -> Prediction:
    """Predict undiscounted, as outcomes are counted, with the interval of value.

    Parameters
    ----------
    forecaster
        A model that knows nothing of the window.
    now
        What was known, and what came: outcomes are only asked whether they lie in the interval.
    horizon
        Days of the window.
    """
    f = forecaster.predict(
        now.state, horizon_days=horizon, annual_discount_rate=0.0, as_of=now.as_of
    )
    return Prediction(
        f["expected_orders"].to_numpy(),
        f["expected_value"].to_numpy(),
        1 - f["churn_probability"].to_numpy(),
        covered=forecaster.covered(now.state, now.value, horizon, now.as_of),
        low=f["value_low"].to_numpy(),
        high=f["value_high"].to_numpy(),
        frequency=now.state["frequency"].to_numpy(),
    )


def _by_models(forecaster: Forecaster, now: BacktestCutoff, horizon: int) -> Prediction:
    """Predict undiscounted and without an interval, which takes longest."""
    f = forecaster.expect(now.state, horizon, as_of=now.as_of)
    return Prediction(f.expected_orders, f.expected_value, f.p_order)


def _last_period(engine: Engine, past: ir.Table, now: BacktestCutoff, horizon: int) -> Prediction:
    """Predict that each customer repeats what the equal window before brought."""
    state = customer_state(past, now.as_of)
    window = previous_window(now.as_of, horizon)
    before = engine.frame(outcomes(past, state, window).order_by("customer_id"))
    columns = (before["later_orders"], before["later_value"])
    return Prediction(*(column.to_numpy().astype(float) for column in columns))


def _total_past(first_date: date, now: BacktestCutoff, horizon: int) -> Prediction:
    """Predict that each customer goes on as in all the history."""
    share = horizon / max((now.as_of - first_date).days + 1, 1)
    orders, revenue = (now.state[name].to_numpy(np.float64) for name in ("frequency", "revenue"))
    return Prediction((orders + 1) * share, revenue * share)


def _simple_rules(
    engine: Engine, past: ir.Table, first_date: date, now: BacktestCutoff, horizon: int
) -> dict[str, Prediction | None]:
    return {
        "last_period": _last_period(engine, past, now, horizon),
        "total_past": _total_past(first_date, now, horizon),
        **_by_the_window_before(engine, past, first_date, now, horizon),
    }


def _by_the_window_before(
    engine: Engine, past: ir.Table, first_date: date, now: BacktestCutoff, horizon: int
) -> dict[str, Prediction | None]:
    """Predict the mean of alike customers one horizon earlier; None without a day before it.

    Alike are those of the same RFM quintiles; or, by the hiatus rule, those silent for longer than the
    days that best told apart who ordered.
    """
    day = now.as_of - timedelta(days=horizon)
    if day <= first_date:
        return {"rfm": None, "hiatus": None}
    before = _cutoff(engine, past, past, day, horizon)

    def silent(state: pd.DataFrame) -> pd.Series:
        return state["age_days"] - state["recency_days"]

    def rfm(state: pd.DataFrame) -> Any:  # noqa: ANN401  # integer array
        return rfm_cells(silent(state), state["frequency"], state["revenue"])

    cut = hiatus_cut(silent(before.state), before.orders > 0)

    def hiatus(state: pd.DataFrame) -> Any:  # noqa: ANN401  # integer array
        return (silent(state) <= cut).to_numpy().astype(np.int64)

    outcome = (before.orders, before.value, before.orders > 0)
    return {
        name: Prediction(
            *(cell_means(cells(before.state), column, cells(now.state)) for column in outcome)
        )
        for name, cells in (("rfm", rfm), ("hiatus", hiatus))
    }
