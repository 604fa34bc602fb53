"""What the product forecasts for a store: the only module of the audit that touches the product."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from connectors.engine import Engine, open_engine
from features.tables import OrderLines, Orders, Table
from models.forecaster import Forecaster
from perennial.pipeline.ingestion.read import known_customers
from perennial.pipeline.training.recipe import Fits, fit_recipe
from tests.independent.generator import HORIZON, SOON, Store

SECOND_PURCHASE_DAYS = 90
DISCOUNT_RATE = 0.10
RULES = {"total_past": "revenue", "last_period": "amount_365d"}


@dataclass(frozen=True)
class Predictions:
    """What the product forecasts.

    Attributes
    ----------
    table
        One row per customer, in the order of the store's truth: ``age_days``, ``frequency``,
        ``first_amount``; every column that is predicted for 365 days, undiscounted; ``orders_90``;
        ``plain_value`` and ``plain_orders`` by the best purchase model and Gamma-Gamma alone;
        ``unclassified_value`` without the second-purchase classifier; the simple rules ``total_past``
        and ``last_period``; ``covered``, how far the realized value lies in the interval.
    discounted
        The same columns as predicted at an annual discount rate.
    notes
        What the fit tells its reader.
    regularity
        k of the Erlang time between orders of the purchase model that is used; 1 = random.
    has_season
        Whether a season index is used.
    """

    table: pd.DataFrame
    discounted: pd.DataFrame
    notes: tuple[str, ...]
    regularity: int
    has_season: bool


def predict_store(store: Store) -> Predictions:
    """Fit the product's recipe to a store's orders, and forecast every customer."""
    with tempfile.TemporaryDirectory() as folder, open_engine(scratch=Path(folder)) as engine:
        fits, state = _fit(engine, store, Path(folder))
    return _predict(fits, state.set_index("customer_id").loc[store.truth.index], store)


def _fit(engine: Engine, store: Store, folder: Path) -> tuple[Fits, pd.DataFrame]:
    orders = store.orders.assign(
        order_date=store.orders["ordered_at"].dt.date,
        gross_amount=store.orders["net_amount"] + store.orders["discount_amount"],
    )
    of_orders = engine.parquet(_write(orders, Orders, folder / "orders.parquet"))
    lines = None
    if store.lines is not None:
        lines = engine.parquet(_write(store.lines, OrderLines, folder / "lines.parquet"))
    as_of = store.spec.as_of
    fits = fit_recipe(engine, of_orders, lines, as_of, SECOND_PURCHASE_DAYS, HORIZON)
    customers = known_customers(of_orders, lines, as_of, SECOND_PURCHASE_DAYS)
    return fits, engine.frame(customers)


def _write(frame: pd.DataFrame, table: type[Table], path: Path) -> Path:
    """Write a canonical table; what the store does not give is null."""
    types = {"string": "string", "float64": "Float64", "int64": "Int64"}
    columns = {
        name: frame.get(name, pd.Series(pd.NA, index=frame.index, dtype=types.get(kind)))
        for name, kind in table.schema().items()
    }
    pd.DataFrame(columns).to_parquet(path, index=False)
    return path


def _predict(fits: Fits, state: pd.DataFrame, store: Store) -> Predictions:
    forecaster = fits.forecaster
    table, discounted = (
        forecaster.predict(state, horizon_days=HORIZON, annual_discount_rate=rate)
        for rate in (0.0, DISCOUNT_RATE)
    )
    plain = Forecaster.plain(
        fits.purchases[0].model, fits.order_value.model, pace=fits.pace.index
    ).expect(state, HORIZON)
    unclassified = replace(forecaster, classifier=None, by_days=None).expect(state, HORIZON)
    others = {
        **{name: state[name] for name in ("age_days", "frequency", "first_amount")},
        "orders_90": forecaster.expect(state, SOON).expected_orders,
        "plain_value": plain.expected_value,
        "plain_orders": plain.expected_orders,
        "unclassified_value": unclassified.expected_value,
        **{name: state[column] for name, column in RULES.items()},
        "covered": forecaster.covered(state, store.future["value_365"].to_numpy(), HORIZON),
    }
    return Predictions(
        table.assign(**others),
        discounted,
        tuple(fits.notes),
        int(getattr(forecaster.purchases, "every", 1)),
        fits.pace.has_season,
    )
