"""The steps that every flow starts with: from the order history to what is known of each customer."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import ibis.expr.types as ir

from connectors.engine import Engine
from connectors.klaviyo.erasure import Erasures
from connectors.optional import read_table
from connectors.orders import History
from connectors.orders import read_orders as import_orders
from connectors.published import PublishedFile
from connectors.store import copy_file
from features.first_basket import first_baskets
from features.recent import recent
from features.rfm import customer_state
from features.tables import DataError
from perennial.pipeline.ingestion.people import leave_out
from perennial.pipeline.ingestion.pull import check_pulled
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import step

ALIKE = ("frequency", "age_days", "recency_days")  # what customers are ordered by, once stated


@step
def read_orders(run: RunContext) -> History:
    """Read the orders known at the end of the run's day, and set the rest aside as rejects."""
    settings, known_by = run.settings, run.as_of
    folder, rejects = run.files.orders, run.files.rejects
    kept = folder / "history.json"
    if kept.exists():
        return History.from_json(kept.read_text())
    check_pulled(run)
    source, erased = settings.order_source, Erasures(run.state)
    try:
        with run.engine() as engine:
            history = import_orders(engine, source, known_by, folder)
            lines = settings.optional_tables.get("order_lines")
            history = _with_lines(engine, lines, history, known_by, folder)
    except DataError:  # which names the file; else it is the published day's
        if rejects.exists():
            leave_out(rejects, erased, source)
            copy_file(rejects, settings.home / PublishedFile.REJECTS)
        raise
    leave_out(rejects, erased, source)
    kept.write_text(history.to_json())
    return history


def _with_lines(
    engine: Engine, location: str | None, history: History, known_by: date, folder: Path
) -> History:
    """Take the order lines from the table that the settings name, where the source itself has none."""
    if history.order_lines is not None or location is None:
        return history
    read = read_table(engine, "order_lines", location, known_by, folder / "tables")
    return replace(history, order_lines=read.path)


def known_customers(
    orders: ir.Table, lines: ir.Table | None, as_of: date, window_days: int
) -> ir.Table:
    """Say all that a model may know of each customer: state, what they did of late, first basket."""
    late = with_recent(customer_state(orders, as_of), orders, as_of)
    return with_first_baskets(late, orders, lines, as_of, window_days)


def with_recent(state: ir.Table, orders: ir.Table, as_of: date) -> ir.Table:
    """Add to customers' state what they did of late."""
    return state.left_join(recent(orders, as_of), "customer_id").drop("customer_id_right")


def with_first_baskets(
    state: ir.Table, orders: ir.Table, lines: ir.Table | None, as_of: date, window_days: int
) -> ir.Table:
    """Add to customers' state what was in their first basket."""
    baskets = first_baskets(orders, lines, as_of, window_days)
    return state.left_join(baskets, "customer_id").drop("customer_id_right")


def _state(orders: ir.Table, history: History, as_of: date) -> ir.Table:
    """Say what is known of each customer; what the history has none of is not computed."""
    if not history.tells_discounts:
        orders = orders.drop("gross_amount", "discount_amount")
    return customer_state(orders, as_of, has_refunds=history.has_refunds)


@step
def build_customer_state(
    run: RunContext, history: History, *, needs_extended_features: bool = True
) -> Path:
    """Say what is known of each customer at the end of the run's day; return the Parquet file.

    Alike customers stand together: what is computed once for them is computed in one batch.
    `needs_extended_features` for a model that also asks for recent days and the first basket.
    """
    path = run.files.customer_state
    if not path.exists():
        with run.engine() as engine:
            orders = engine.parquet(history.orders)
            lines = None if history.order_lines is None else engine.parquet(history.order_lines)
            if needs_extended_features:
                window = run.settings.model.second_purchase_days
                state = known_customers(orders, lines, run.as_of, window)
            else:
                state = _state(orders, history, run.as_of)
            engine.write_parquet(state.order_by(*ALIKE, "customer_id"), path)
    return path
