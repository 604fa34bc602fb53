"""Where scores and features lay at training, kept with the model, and how far they have moved since.

A base of customers that grows older moves the ages of its customers and all that hangs on them. So
figures are taken at a fixed tenure, of which :data:`FIGURES` says the days; the ages themselves are
shown and never held against a model.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from connectors.engine import Engine
from connectors.kept import checked, with_digest
from features.rfm import customer_state
from features.tables import HISTORY
from models.forecaster import Forecaster
from models.monitoring import Bins, Drift, DriftFigure, measure_bins, psi
from perennial.pipeline.ingestion.read import known_customers
from perennial.pipeline.settings.decisions import ModelSettings
from perennial.pipeline.training.model_files import BINS

WHOLE_YEAR = 350  # days of a horizon from which on a season hardly moves it
FAR_MOVED = 0.25  # of the index: Lewis (1994), a convention
SCHEMA = 1  # of the bins' file
SETTLED, NEW, ANY = (91, 180), (0, 90), (0, 1_000_000)  # days since the first order


@dataclass(frozen=True)
class Figure:
    """What is looked at.

    Attributes
    ----------
    tenure
        Of which customers: first and last day since the first order, both included.
    meaning
        In words.
    is_score
        Whether the model says it, rather than the orders.
    is_mechanical
        Whether it moves as the base grows older, whatever customers do.
    """

    tenure: tuple[int, int]
    meaning: str
    is_score: bool = False
    is_mechanical: bool = False


FIGURES = {
    "p_alive": Figure(SETTLED, "chance of not having left", is_score=True),
    "p_order_90d": Figure(SETTLED, "chance of an order in 90 days", is_score=True),
    "expected_orders": Figure(SETTLED, "expected orders", is_score=True),
    "expected_value": Figure(SETTLED, "expected value", is_score=True),
    "frequency": Figure(SETTLED, "repeat orders so far"),
    "monetary_value": Figure(SETTLED, "mean repeat order, of who has ordered again"),
    "first_amount": Figure(NEW, "first order's amount"),
    "first_discount_share": Figure(NEW, "first order's discount share"),
    "age_days": Figure(ANY, "days since the first order", is_mechanical=True),
    "recency_days": Figure(ANY, "days from first to last order", is_mechanical=True),
}
SCORES = tuple(name for name, figure in FIGURES.items() if figure.is_score)


Values = dict[str, NDArray[np.float64]]  # of customers, by figure


class Support(BaseModel):
    """The most that the model was trained on.

    Attributes
    ----------
    frequency
        Repeat orders.
    age_days
        Days since the first order.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    frequency: int
    age_days: int


class TrainingBins(BaseModel):
    """Where scores and features lay at training: the file ``bins.json`` of a model.

    Attributes
    ----------
    version
        Of the file's form, written as ``schema``.
    as_of
        Last day whose orders were known.
    horizon_days, annual_discount_rate
        What customers were scored by; 0.10 means that money in a year is worth 1 / 1.10 today.
    customers
        Customers known on that day.
    seasonal
        Figures that a season moves from one day of the year to another.
    support
        The most that the model was trained on.
    bins
        By figure.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = Field(default=SCHEMA, alias="schema")
    as_of: date
    horizon_days: int
    annual_discount_rate: float
    customers: int
    seasonal: tuple[str, ...] = ()
    support: Support
    bins: Mapping[str, Bins]

    def is_scored_by(self, settings: ModelSettings) -> bool:
        """Tell whether customers are scored by the same settings as at training."""
        return (self.horizon_days, self.annual_discount_rate) == (
            settings.horizon_days,
            settings.annual_discount_rate,
        )


def write_bins(
    engine: Engine,
    orders: ir.Table,
    lines: ir.Table | None,
    as_of: date,
    settings: ModelSettings,
    forecaster: Forecaster,
    folder: Path,
) -> Path:
    """Fix the bins on what was known at training, and say what the model was trained on.

    Parameters
    ----------
    engine
        Computes the tables.
    orders, lines
        Tables :class:`features.tables.Orders` and :class:`features.tables.OrderLines`; None = not given.
    as_of
        Last day whose orders were known.
    settings
        Of the model.
    forecaster
        The model.
    folder
        Where the file is written.
    """
    state = engine.frame(_compared(customer_state(orders, as_of)))
    customers = known_customers(orders, lines, as_of, settings.second_purchase_days)
    is_settled = customers.age_days.between(*SETTLED)
    settled = engine.frame(customers.filter(is_settled).order_by("customer_id"))
    values = {**_values(state), **_scores(forecaster, settled, settings, as_of)}
    record = TrainingBins(
        as_of=as_of,
        horizon_days=settings.horizon_days,
        annual_discount_rate=settings.annual_discount_rate,
        customers=len(state),
        seasonal=_seasonal(forecaster, settings),
        support=Support(
            frequency=int(state["frequency"].max()), age_days=int(state["age_days"].max())
        ),
        bins={name: measure_bins(column) for name, column in values.items()},
    )
    path = folder / BINS
    written = with_digest(record.model_dump(mode="json", by_alias=True))
    path.write_text(json.dumps(written, indent=1, allow_nan=False) + "\n")
    return path


def measure_drift(
    engine: Engine,
    orders: ir.Table,
    scores: Path,
    as_of: date,
    settings: ModelSettings,
    bins: TrainingBins | None,
) -> Drift:
    """Compare a published day with the training of its model.

    Parameters
    ----------
    engine
        Computes the tables.
    orders
        Table :class:`features.tables.Orders`.
    scores
        Parquet file of the day's scores.
    as_of
        The day.
    settings
        Of the model.
    bins
        What :func:`write_bins` wrote; None where the model has none.

    Returns
    -------
    Drift
        How far each figure has moved.
    """
    if bins is None:
        return Drift()
    state = engine.frame(_compared(customer_state(orders, as_of)))
    table = engine.parquet(scores)
    settled = table.filter(table.age_days.between(*SETTLED)).select("customer_id", *SCORES)
    scored = engine.frame(settled.order_by("customer_id"))
    values = {**_values(state), **{name: scored[name].to_numpy() for name in SCORES}}
    beyond = (state["frequency"] > bins.support.frequency) | (
        state["age_days"] > bins.support.age_days
    )
    return Drift(
        figures=tuple(
            _moved(name, bins, values[name], is_same=bins.is_scored_by(settings))
            for name in FIGURES
        ),
        outside_share=float(beyond.mean()) if len(state) else None,
    )


def _moved(
    name: str, bins: TrainingBins, values: NDArray[np.float64], *, is_same: bool
) -> DriftFigure:
    """Compare a figure; scores only where customers are scored by the same settings."""
    figure, then = FIGURES[name], bins.bins[name]
    index, n = psi(then, values)
    is_comparable = (is_same or not figure.is_score) and name not in bins.seasonal
    return DriftFigure(
        name=name,
        meaning=figure.meaning,
        psi=index if is_comparable else None,
        n_then=then.n,
        n_now=n,
        is_mechanical=figure.is_mechanical,
    )


def read_bins(model: Path) -> TrainingBins | None:
    """Return the bins in a model's folder; None where it was trained without."""
    path = model / BINS
    if not path.exists():
        return None
    return TrainingBins.model_validate(checked(json.loads(path.read_text())))


def _compared(state: ir.Table) -> ir.Table:
    named = (*HISTORY, "monetary_value")
    wanted = ("customer_id", *named, "first_amount", "first_discount_share")
    return state.select(*wanted).order_by("customer_id")


def _values(state: pd.DataFrame) -> Values:
    columns = {}
    for name, figure in FIGURES.items():
        if figure.is_score:
            continue
        values = state.loc[state["age_days"].between(*figure.tenure), name]
        if name == "monetary_value":
            values = values[values > 0]
        columns[name] = values.to_numpy(dtype=np.float64)
    return columns


def _scores(
    forecaster: Forecaster, settled: pd.DataFrame, settings: ModelSettings, as_of: date
) -> Values:
    if settled.empty:
        return dict.fromkeys(SCORES, np.zeros(0))
    forecast = forecaster.expect(
        settled, settings.horizon_days, settings.annual_discount_rate, as_of
    )
    return {name: getattr(forecast, name) for name in SCORES}


def _seasonal(forecaster: Forecaster, settings: ModelSettings) -> tuple[str, ...]:
    """Name the scores that a season moves from one day of the year to another."""
    if forecaster.pace is None or not forecaster.pace.has_season:
        return ()
    of_horizon = ("expected_orders", "expected_value")
    return ("p_order_90d", *(of_horizon if settings.horizon_days < WHOLE_YEAR else ()))
