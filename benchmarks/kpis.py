"""Every retention measure and the page for a million customers and five million order lines."""

import resource
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

from connectors.accounting import Accounting
from connectors.orders import History
from connectors.quality import Quality
from models.forecaster import Forecaster
from models.order_value import OrderValue
from models.purchases import MBGNBD
from models.spend import Spend
from perennial.pipeline.ingestion.read import build_customer_state
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.scoring.kpis import measure_retention
from perennial.pipeline.settings.store import build_settings
from perennial.pipeline.training.model_files import save_forecaster
from reports.page import render_page
from reports.records import KpiReport, RunRecord
from tests.reports.sample import rich_record

AS_OF = date(2026, 6, 30)
ORDERS = """
    SELECT *, net_amount + discount_amount AS gross_amount, order_date::TIMESTAMP AS ordered_at
    FROM (SELECT range::VARCHAR AS order_id, 'c' || (random() * {n})::BIGINT AS customer_id,
                 DATE '2026-06-30' - (900 * random() ** 1.5)::INTEGER AS order_date, 'web' AS channel,
                 round(10 + 60 * random(), 2) AS net_amount, 'USD' AS currency, 'made' AS source,
                 CASE WHEN random() < .2 THEN 5.0 ELSE 0.0 END AS discount_amount,
                 0.0 AS refund_amount, NULL::VARCHAR AS discount_code
          FROM range({orders}))
"""
LINES = """
    SELECT *, product_id AS product_name
    FROM (SELECT order_id, 'p' || (300 * random() ** 2)::INTEGER AS product_id,
                 'k' || (10 * random())::INTEGER AS category,
                 CASE WHEN random() < .1 THEN 'b' || (5 * random())::INTEGER END AS bundle_id,
                 1 AS quantity, net_amount / 2 AS net_amount, NULL::DOUBLE AS cost_amount
          FROM '{orders}' CROSS JOIN range(2))
"""


def main(customers: int = 1_000_000) -> int:
    """Make the tables, measure, and draw the page; print seconds and peak memory."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        orders, lines = work / "orders.parquet", work / "lines.parquet"
        made = duckdb.connect()
        made.execute("SELECT setseed(.5)")
        query = ORDERS.format(n=customers, orders=5 * customers // 2)
        made.execute(f"COPY ({query}) TO '{orders}'")
        made.execute(f"COPY ({LINES.format(orders=orders)}) TO '{lines}'")
        made.close()
        settings = build_settings({"orders": {"source": "orders.parquet"}}, work)
        run = home_context(settings, AS_OF, folder=work)
        history = History(
            orders, work / "rejects.csv", "made", AS_OF, AS_OF, Accounting(0, 0, {}, {}), Quality((), {}, 0), lines
        )  # fmt: skip
        build_customer_state(run, history)
        frame = pd.read_parquet(run.files.customer_state, columns=["customer_id"])
        frame.assign(segment="loyal").to_parquet(run.files.decided_scores)
        before = peak()
        forecaster = Forecaster(
            purchases=MBGNBD(0.9, 30.0, 0.6, 2.0),
            order_value=OrderValue(Spend(6.0, 4.0, 15.0)),
            classifier=None,
            second_purchase_days=90,
            trained_as_of=AS_OF,
        )
        model = work / "model"
        model.mkdir()
        save_forecaster(forecaster, model)
        started, busy = time.perf_counter(), time.process_time()
        measure_retention(run, history, model, [1.0])
        measured = time.perf_counter()
        kpis = KpiReport.model_validate_json(run.files.kpis.read_text())
        html = render_page(RunRecord.model_validate(rich_record()), kpis)
        ended, busy = time.perf_counter(), time.process_time() - busy
    print(
        f"{len(frame):,} customers, {5 * customers:,} order lines: measures {measured - started:.1f} s, "
        f"page {ended - measured:.1f} s, {busy:.1f} s of processors, {len(html) / 1e6:.2f} MB of HTML, peak {peak():.2f} GB "
        f"({before:.2f} before)"
    )
    return 0


def peak() -> float:
    """Return the most memory that this process has held, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    sys.exit(main(*(int(given) for given in sys.argv[1:])))
