"""Where scores and features lay at training, kept with the model, and how far they have moved since.

A base of customers that grows older moves the ages of its customers and all that hangs on them. So
figures are taken at a fixed tenure, of which :data:`FIGURES` says the days; the ages themselves are
shown and never held against a model.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from connectors.engine import Engine
from connectors.kept import checked, with_digest
from features.rfm import customer_state
from models.forecaster import Forecaster
from models.monitoring import Bins, measure_bins, psi
from perennial.pipeline.ingestion.read import known_customers
from perennial.pipeline.settings.store import ModelSettings
from perennial.pipeline.training.model_files import BINS

WHOLE_YEAR = 350  # days of a horizon from which on a season hardly moves it
FAR_MOVED = 0.25  # of the index: Lewis (1994), a convention
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
    state = engine.frame(_told(customer_state(orders, as_of)))
    window = settings.second_purchase_days
    known = known_customers(orders, lines, as_of, window)
    settled = engine.frame(known.filter(known.age_days.between(*SETTLED)).order_by("customer_id"))
    said = {
        "schema": 1,
        "as_of": as_of.isoformat(),
        **_scored_by(settings),
        "customers": len(state),
        "seasonal": _seasonal(forecaster, settings),
        "support": {name: int(state[name].max()) for name in ("frequency", "age_days")},
        "bins": {
            name: asdict(measure_bins(values))
            for name, values in {
                **_values(state),
                **_scores(forecaster, settled, settings, as_of),
            }.items()
        },
    }
    path = folder / BINS
    path.write_text(json.dumps(with_digest(said), indent=1, allow_nan=False) + "\n")
    return path


def measure_drift(
    engine: Engine,
    orders: ir.Table,
    scores: Path,
    as_of: date,
    settings: ModelSettings,
    bins: dict[str, Any] | None,
) -> dict[str, Any]:
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
    dict
        ``figures`` (``name, meaning, psi`` (None = too few, or not comparable), ``n_then, n_now,
        is_mechanical``) and ``outside_share`` (of customers beyond what the model was trained on).
    """
    if bins is None:
        return {"figures": [], "outside_share": None}
    state = engine.frame(_told(customer_state(orders, as_of)))
    table = engine.parquet(scores)
    settled = table.filter(table.age_days.between(*SETTLED)).select("customer_id", *SCORES)
    told = engine.frame(settled.order_by("customer_id"))
    values = {**_values(state), **{name: told[name].to_numpy() for name in SCORES}}
    is_same = all(bins[name] == value for name, value in _scored_by(settings).items())
    figures = []
    for name, figure in FIGURES.items():
        then = Bins(**bins["bins"][name])
        index, n = psi(then, values[name])
        is_told = (is_same or not figure.is_score) and name not in bins.get("seasonal", ())
        figures.append(
            {
                "name": name,
                "meaning": figure.meaning,
                "psi": index if is_told else None,
                "n_then": then.n,
                "n_now": n,
                "is_mechanical": figure.is_mechanical,
            }
        )
    beyond = np.zeros(len(state), dtype=bool)
    for name, most in bins["support"].items():
        beyond |= (state[name] > most).to_numpy()
    return {"figures": figures, "outside_share": float(beyond.mean()) if len(state) else None}


def read_bins(model: Path) -> dict[str, Any] | None:
    """Return the bins in a model's folder; None where it was trained without."""
    path = model / BINS
    return checked(json.loads(path.read_text())) if path.exists() else None


def _told(state: ir.Table) -> ir.Table:
    named = ("frequency", "recency_days", "age_days", "monetary_value")
    wanted = ("customer_id", *named, "first_amount", "first_discount_share")
    return state.select(*wanted).order_by("customer_id")


def _values(state: pd.DataFrame) -> dict[str, Any]:
    found = {}
    for name, figure in FIGURES.items():
        if figure.is_score:
            continue
        values = state.loc[state["age_days"].between(*figure.tenure), name]
        if name == "monetary_value":
            values = values[values > 0]
        found[name] = values.to_numpy(dtype=np.float64)
    return found


def _scores(
    forecaster: Forecaster, settled: pd.DataFrame, settings: ModelSettings, as_of: date
) -> dict[str, Any]:
    if settled.empty:
        return dict.fromkeys(SCORES, np.zeros(0))
    told = forecaster.expect(settled, settings.horizon_days, settings.annual_discount_rate, as_of)
    return {name: getattr(told, name) for name in SCORES}


def _seasonal(forecaster: Forecaster, settings: ModelSettings) -> list[str]:
    """Name the scores that a season moves from one day of the year to another."""
    if forecaster.pace is None or not forecaster.pace.has_season:
        return []
    of_horizon = ["expected_orders", "expected_value"]
    return ["p_order_90d", *(of_horizon if settings.horizon_days < WHOLE_YEAR else [])]


def _scored_by(settings: ModelSettings) -> dict[str, float]:
    return {
        "horizon_days": settings.horizon_days,
        "annual_discount_rate": settings.annual_discount_rate,
    }
