"""What the optional tables tell of customers besides their orders: words, referrals, refunds, and what a first product leads to."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pandas as pd

from connectors.engine import Engine
from connectors.optional import read_table
from connectors.orders import History
from features import products
from features.bundles import bundle_days, led_to
from features.journeys import journeys
from segments.evidence import Signals

TOLD_BY = ("reviews", "nps", "loyalty_events", "touches", "referrals")


def read_signals(
    engine: Engine, locations: Mapping[str, str], as_of: date, folder: Path
) -> Signals:
    """Read the optional tables that tell of customers, as known at the end of a day; once in a run.

    Parameters
    ----------
    engine
        Reads them.
    locations
        Where each table is that the store gives.
    as_of
        The day.
    folder
        Where what was read is kept.
    """
    tables = {}
    for name, where in locations.items():
        if name in TOLD_BY:
            path = folder / f"{name}.parquet"
            if not path.exists():
                path = read_table(engine, name, where, as_of, folder).path
            tables[name] = pd.read_parquet(path)
    return Signals(**tables)


def read_upgrades(
    engine: Engine, history: History, as_of: date, least_customers: int
) -> pd.DataFrame | None:
    """Say from order lines which bundle each customer's first product leads to; None without lines."""
    if history.order_lines is None:
        return None
    orders, lines = engine.parquet(history.orders), engine.parquet(history.order_lines)
    bought = engine.keep(products.baskets(lines, orders, as_of), "trigger_baskets")
    orders_by_customer = engine.keep(journeys(orders, as_of), "trigger_journeys")
    main = engine.keep(products.main_products(bought, orders_by_customer), "trigger_main")
    days = engine.keep(bundle_days(bought, orders_by_customer), "trigger_bundles")
    return engine.frame(led_to(main, days, least_customers))


def read_refunded(engine: Engine, history: History, as_of: date) -> pd.Series:
    """Return the ids of customers to whom something was refunded."""
    orders = engine.parquet(history.orders)
    back = orders.filter((orders.order_date <= as_of) & (orders.refund_amount > 0))
    return engine.frame(back.select("customer_id").distinct())["customer_id"]
