"""The steps that every flow starts with: from the order history to what is known of each customer."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import ibis.expr.types as ir

from connectors.engine import Engine, open_engine
from connectors.klaviyo.erasure import Erasures
from connectors.lease import Holder, Lease
from connectors.optional import read_table
from connectors.orders import History
from connectors.orders import read_orders as import_orders
from connectors.state import bring_up_to_date
from connectors.store import copy_file
from connectors.tracking import Tracking
from features.first_basket import first_baskets
from features.recent import recent
from features.rfm import customer_state
from features.tables import DataError
from perennial.pipeline.ingestion.people import leave_out
from perennial.pipeline.runtime.steps import progress, step
from perennial.pipeline.settings.store import Settings

ALIKE = ("frequency", "age_days", "recency_days")  # what customers are ordered by, once stated
HOLDING = "lease"  # file of a run's folder: the name that it holds the lease by


@contextmanager
def workspace(settings: Settings, shared: Path | None = None) -> Iterator[Path]:
    """Give a run a folder of its own under the home folder, gone when the run is over.

    One run at a time works in a home: another waits, and then finds what the first published. With
    `shared`, the folder of the flow that calls this one: what is read there is read once.
    """
    if shared is not None:
        yield shared
        return
    parent = settings.home / "scratch"
    parent.mkdir(parents=True, exist_ok=True)
    with lease_of(settings).hold(_say_who) as name:
        bring_up_to_date(settings.state)
        for left in parent.glob("run-*"):  # of runs that were killed: nobody else is at work
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
        try:
            (folder / HOLDING).write_text(name)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def waiting_lease(settings: Settings) -> Iterator[None]:
    """Hold the lease of a run without being one: what is under way ends first, and none begins."""
    with lease_of(settings).hold(_say_who):
        yield


def lease_of(settings: Settings) -> Lease:
    """Return the lease that a run holds while it works in a home."""
    return Lease(settings.state / "lease.json", lambda: datetime.now(UTC))


def check_lease(settings: Settings, work: Path) -> None:
    """Make sure that the run whose folder this is still holds the lease."""
    lease_of(settings).check((work / HOLDING).read_text())


def _say_who(holder: Holder) -> None:
    progress(f"waiting for process {holder.pid} on {holder.host}, at work since {holder.since}")


def open_tracking(settings: Settings) -> Tracking:
    """Open MLflow where the settings keep it; a database is filled if need be.

    A server keeps its own artifacts; those of a database, also one of a team, are under the home folder.
    """
    is_server = settings.tracking_uri.startswith(("http:", "https:", "databricks"))
    return Tracking(settings.tracking_uri, None if is_server else settings.mlruns)


@contextmanager
def engine_for(settings: Settings, work: Path) -> Iterator[Engine]:
    """Open the engine that the settings name, spilling into the run's folder."""
    chosen = settings.engine
    with open_engine(
        settings.store.timezone,
        backend=chosen.backend,
        url=chosen.url,
        memory_limit=chosen.memory_limit,
        scratch=work / "spill",
    ) as engine:
        yield engine


@step
def read_orders(settings: Settings, known_by: date, work: Path) -> History:
    """Read the orders known at the end of a day, and set the rest aside as rejects."""
    folder = work / f"orders_{known_by.isoformat()}"
    said = folder / "history.json"
    if said.exists():
        return History.from_dict(json.loads(said.read_text()))
    rejects = folder / "rejects.csv"
    try:
        with engine_for(settings, work) as engine:
            history = import_orders(engine, settings.order_source, known_by, folder)
            history = _with_lines(engine, settings, history, known_by, folder)
    except DataError:  # which names the file; else it is the published day's
        if rejects.exists():
            leave_out(settings, rejects, Erasures(settings.state))
            copy_file(rejects, settings.home / "rejects.csv")
        raise
    leave_out(settings, rejects, Erasures(settings.state))
    said.write_text(json.dumps(history.to_dict()))
    return history


def _with_lines(
    engine: Engine, settings: Settings, history: History, known_by: date, folder: Path
) -> History:
    """Take the order lines from the table that the settings name, where the source itself has none."""
    location = settings.optional_tables.get("order_lines")
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
    settings: Settings, history: History, as_of: date, work: Path, *, looks_further: bool = True
) -> Path:
    """Say what is known of each customer at the end of a day; return the Parquet file.

    Alike customers stand together: what is computed once for them is computed in one portion.
    `looks_further` for a model that also asks for recent days and the first basket.
    """
    path = work / f"customer_state_{as_of.isoformat()}.parquet"
    if not path.exists():
        with engine_for(settings, work) as engine:
            orders = engine.parquet(history.orders)
            lines = None if history.order_lines is None else engine.parquet(history.order_lines)
            if looks_further:
                window = settings.model.second_purchase_days
                state = known_customers(orders, lines, as_of, window)
            else:
                state = _state(orders, history, as_of)
            engine.write_parquet(state.order_by(*ALIKE, "customer_id"), path)
    return path
