"""What the optional tables tell of customers besides their orders: words, referrals, refunds, and what a first product leads to."""

from datetime import date
from pathlib import Path

import pandas as pd

from connectors.optional import read_table
from connectors.orders import History
from features import products
from features.bundles import bundle_days, led_to
from features.journeys import journeys
from perennial.pipeline.ingestion.read import engine_for
from perennial.pipeline.settings.store import Settings
from segments.evidence import Signals

TOLD_BY = ("reviews", "nps", "loyalty_events", "touches", "referrals")


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


def read_upgrades(
    settings: Settings, history: History, as_of: date, work: Path
) -> pd.DataFrame | None:
    """Say from order lines which bundle each customer's first product leads to; None without lines."""
    if history.order_lines is None:
        return None
    with engine_for(settings, work) as engine:
        orders, lines = engine.parquet(history.orders), engine.parquet(history.order_lines)
        bought = engine.keep(products.baskets(lines, orders, as_of), "moment_baskets")
        known = engine.keep(journeys(orders, as_of), "moment_journeys")
        main = engine.keep(products.main_products(bought, known), "moment_main")
        days = engine.keep(bundle_days(bought, known), "moment_bundles")
        return engine.frame(led_to(main, days, settings.kpis.least_customers))


def read_refunded(settings: Settings, history: History, as_of: date, work: Path) -> pd.Series:
    """Return the ids of customers to whom something was refunded."""
    with engine_for(settings, work) as engine:
        orders = engine.parquet(history.orders)
        back = orders.filter((orders.order_date <= as_of) & (orders.refund_amount > 0))
        return engine.frame(back.select("customer_id").distinct())["customer_id"]
