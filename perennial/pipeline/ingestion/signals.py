"""What the optional tables tell of customers besides their orders: words, referrals, refunds, and what a first product leads to."""

import pandas as pd

from connectors.optional import read_table
from connectors.orders import History
from features import products
from features.bundles import bundle_days, led_to
from features.journeys import journeys
from perennial.pipeline.runtime.context import RunContext
from segments.evidence import Signals

TOLD_BY = ("reviews", "nps", "loyalty_events", "touches", "referrals")


def read_signals(run: RunContext) -> Signals:
    """Read the optional tables that tell of customers, as known at the end of the day; once in a run."""
    tables = run.settings.optional_tables
    given = {name: where for name, where in tables.items() if name in TOLD_BY}
    folder, found = run.folder / "tables", {}
    with run.engine() as engine:
        for name, where in given.items():
            path = folder / f"{name}.parquet"
            if not path.exists():
                path = read_table(engine, name, where, run.as_of, folder).path
            found[name] = pd.read_parquet(path)
    return Signals(**found)


def read_upgrades(run: RunContext, history: History) -> pd.DataFrame | None:
    """Say from order lines which bundle each customer's first product leads to; None without lines."""
    if history.order_lines is None:
        return None
    with run.engine() as engine:
        orders, lines = engine.parquet(history.orders), engine.parquet(history.order_lines)
        bought = engine.keep(products.baskets(lines, orders, run.as_of), "moment_baskets")
        known = engine.keep(journeys(orders, run.as_of), "moment_journeys")
        main = engine.keep(products.main_products(bought, known), "moment_main")
        days = engine.keep(bundle_days(bought, known), "moment_bundles")
        return engine.frame(led_to(main, days, run.settings.kpis.least_customers))


def read_refunded(run: RunContext, history: History) -> pd.Series:
    """Return the ids of customers to whom something was refunded."""
    with run.engine() as engine:
        orders = engine.parquet(history.orders)
        back = orders.filter((orders.order_date <= run.as_of) & (orders.refund_amount > 0))
        return engine.frame(back.select("customer_id").distinct())["customer_id"]
