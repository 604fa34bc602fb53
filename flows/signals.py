"""What the optional tables tell of customers besides their orders: words, referrals, and products running out."""

from datetime import date
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd

from connectors.engine import Engine
from connectors.optional import read_table
from connectors.orders import History
from features import products
from features.journeys import journeys
from features.refills import led_to, running_out
from flows.prepare import engine_for
from flows.settings import Settings
from reports.measures.products import cycles
from segments.evidence import Signals

TOLD_BY = ("reviews", "nps", "loyalty_events", "touches", "referrals")
MOST_PRODUCTS = 50


def read_signals(settings: Settings, as_of: date, work: Path) -> Signals:
    """Read the optional tables that tell of customers, as known at the end of the day; once in a run."""
    given = {name: where for name, where in settings.optional_tables.items() if name in TOLD_BY}
    folder, found = work / "tables", {}
    with engine_for(settings, work) as engine:
        for name, where in given.items():
            path = folder / f"{name}.parquet"
            if not path.exists():
                path = read_table(engine, name, where, as_of, folder).path
            found[name] = pd.read_parquet(path)
    return Signals(**found)


def read_refills(
    settings: Settings, history: History, as_of: date, work: Path
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Say from order lines what runs out when, and which bundle a first product leads to; None without lines."""
    if history.order_lines is None:
        return None, None
    least = settings.kpis.least_customers
    with engine_for(settings, work) as engine:
        orders, lines = engine.parquet(history.orders), engine.parquet(history.order_lines)
        bought = engine.keep(products.baskets(lines, orders, as_of), "moment_baskets")
        known = engine.keep(journeys(orders, as_of), "moment_journeys")
        lasting = product_cycles(engine, settings, bought, as_of)
        refills = None
        if len(lasting):
            names = products.names(lines)
            refills = engine.frame(running_out(bought, engine.table(lasting, "lasting"), names))
        main = engine.keep(products.main_products(bought, known), "moment_main")
        days = engine.keep(products.bundle_days(bought, known), "moment_bundles")
        return refills, engine.frame(led_to(main, days, least))


def read_refunded(settings: Settings, history: History, as_of: date, work: Path) -> pd.Series:
    """Return the ids of customers to whom something was refunded."""
    with engine_for(settings, work) as engine:
        orders = engine.parquet(history.orders)
        back = orders.filter((orders.order_date <= as_of) & (orders.refund_amount > 0))
        return engine.frame(back.select("customer_id").distinct())["customer_id"]


def product_cycles(
    engine: Engine, settings: Settings, bought: ir.Table, as_of: date
) -> pd.DataFrame:
    """Estimate the days until products are bought again: ``product_id, median_days``."""
    most = engine.keep(products.most_bought(bought, "product_id", MOST_PRODUCTS), "moment_most")
    gaps = engine.frame(products.reorder_gaps(bought, most, "product_id", as_of))
    found = cycles(gaps, "product_id", engine.frame(most), settings.kpis.least_customers)
    known = found.dropna(subset=["median_days"])[["product_id", "median_days"]]
    return known.astype({"product_id": str, "median_days": float})
