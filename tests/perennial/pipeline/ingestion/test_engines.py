"""The same raw history on DuckDB, Spark and PostgreSQL: from orders to scores, the same."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pytest

from connectors.engine import Engine, EngineError, open_engine
from connectors.engine.patterns import as_iso
from connectors.optional import read_table
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from features.labels import outcomes
from features.price_changes import price_changes, shared_periods
from features.recent import recent
from features.regularity import gap_facts
from features.rfm import customer_state, spend_cells, state_cells
from features.season import purchase_spans, purchases_between
from features.window import outcome_window
from models.forecaster import Forecaster
from models.operational_time import OperationalTime, PaceIndex
from models.order_value import OrderValue
from models.price_level import PriceLevel
from models.purchases import MBGNBD
from models.spend import Spend
from perennial.pipeline.ingestion.read import known_customers
from perennial.pipeline.scoring.decide import score_customers
from perennial.pipeline.settings.store import build_settings
from perennial.pipeline.training.season import clock
from perennial.pipeline.training.spend import fit_order_value
from perennial.pipeline.training.stacking import first_day
from perennial.simulation import simulate
from tests.postgresql import COMMAND, PASSWORD, find_binaries, run_postgresql
from tests.requirements import require
from tests.spark import URL, require_spark

pytestmark = pytest.mark.slow

ZONE = "America/Los_Angeles"
AS_OF = date(2025, 3, 15)
AWAY = ("spark", "postgresql")
TIME = OperationalTime(AS_OF, PaceIndex(AS_OF, (*[0.8] * 44, *[2.1] * 8), 0.1))
PRICE = PriceLevel((-0.3, -0.1, 0.0), AS_OF, 30)
TRAPS = """
twice,cx,2024-11-03 01:30:00,20.00,,USD,web
twice,cx,2024-11-03 01:30:00,20.00,,USD,web
never,cx,2025-03-09 02:30:00,21.00005,1.5,USD,web
midnight, cx ,2024-12-31 24:00:00,1_000,,usd,
rounded,cz,2024-12-01 10:00:00.123456,2.00005,,USD,
spelled,cy,2024-10-01T10:00:00-0300,5e0,,USD,
refund,cy,2024-10-02T10:00,-2.50,,USD,
early,cw,2024-10-02T10:00,-2.50,,USD,
breaks,"d
e",2024-10-02T10:00 -03:00,7,"",USD,
backslash,\\N,2024-10-02T10:00Z,7,"",USD,"a ""b"", c"
noday,cz,2025-02-30,5,,USD,
infinite,cz,infinity,5,,USD,
nobody,,2024-10-02T10:00,5,,USD,
letters,cz,2024-10-02T10:00Z,abc,,USD,
short,cz
nan,cz,2024-10-02T10:00Z,NaN,,USD,
large,cz,2024-10-02T10:00Z,99999999999999.99995,,USD,
suffix,cz,2024-10-02T10:00Z,5d,,USD,
zero,cz,2024-10-02T10:00Z,0.00,,USD,
later,cz,2025-03-16T00:00:00,7,,USD,
today,cz,2025-03-15T23:59:59,7,,USD,
abroad,cz,2024-10-02T10:00Z,5,,EUR,
same,c1,2024-10-02T10:00Z,5,,USD,
same,c2,2024-10-02T10:00Z,5,,USD,
ünïcode,Ünïcode,2024-10-02T10:00Z,5,,USD,
"""


@pytest.fixture(scope="module")
def history(tmp_path_factory) -> Path:
    """Orders as a shop exports them, in its own time, with traps below."""
    path = tmp_path_factory.mktemp("history") / "orders.csv"
    world = simulate(400, date(2024, 1, 1), date(2025, 7, 1), 2, "apparel")
    orders = world.orders.to_pandas()
    frame = pd.DataFrame(
        {
            "order_id": orders["order_id"],
            "customer_id": orders["customer_id"],
            "ordered_at": orders["ordered_at"]
            .dt.tz_convert(ZONE)
            .dt.strftime("%Y-%m-%d %H:%M:%S"),
            "net_amount": orders["net_amount"],
            "discount_amount": orders["discount_amount"],
            "currency": orders["currency"],
            "channel": orders["channel"],
        }
    )
    frame.to_csv(path, index=False)
    with path.open("a", encoding="utf-8") as file:
        file.write(TRAPS.lstrip("\n"))
    return path


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[[str], Engine]]:
    """Open each engine once."""
    with ExitStack() as stack:
        given: dict[str, Engine] = {}

        def engine(name: str) -> Engine:
            if name not in given:
                url = None
                if name == "spark":
                    require_spark()
                    url = URL
                if name == "postgresql":
                    binaries = find_binaries()
                    require(binaries, "PostgreSQL", COMMAND)
                    server = stack.enter_context(run_postgresql(binaries, "shop"))
                    url = server.url("", "shop")
                    stack.enter_context(pytest.MonkeyPatch.context()).setenv(
                        "PGPASSWORD", PASSWORD
                    )
                given[name] = stack.enter_context(open_engine(ZONE, backend=name, url=url))
            return given[name]

        yield engine


@pytest.fixture(scope="module")
def results(opened, history, tmp_path_factory) -> Callable[[str], dict[str, Any]]:
    """Everything from raw orders to scores on an engine, computed once."""
    given: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        if name not in given:
            given[name] = _from_orders_to_scores(
                opened(name), history, tmp_path_factory.mktemp(name)
            )
        return given[name]

    return of


def order_values(engine: Engine, state: ir.Table) -> pd.DataFrame:
    """Return the figures of a fit at a price level that moved."""
    fit = fit_order_value(engine, state, PRICE)
    return pd.DataFrame([{**fit.model.to_dict(), **fit.spend.model.to_dict()}])


def _from_orders_to_scores(engine: Engine, history: Path, folder: Path) -> dict[str, Any]:
    source = OrderSource(str(history), other_currencies="reject")
    read = read_orders(engine, source, AS_OF, folder)
    orders = engine.keep(engine.parquet(read.orders), "orders")
    state = engine.keep(customer_state(orders, AS_OF), "state")
    before = AS_OF - timedelta(days=90)
    engine.write_parquet(
        known_customers(orders, None, AS_OF, 90).order_by("customer_id"), folder / "known.parquet"
    )
    frame = pd.read_parquet(folder / "known.parquet")
    forecaster = Forecaster(
        purchases=MBGNBD(0.9, 30.0, 0.6, 2.0),
        order_value=OrderValue(Spend(6.0, 4.0, 15.0)),
        classifier=None,
        second_purchase_days=90,
        trained_as_of=date(2024, 1, 1),
    )
    settings = build_settings(
        {"orders": {"source": "o.csv"}, "investment": {"budget": 60.0}}, Path()
    )
    return {
        "digest": read.digest,
        "accounting": read.accounting,
        "quality": read.quality,
        "rejects": read.rejects.read_text(),
        "orders": pd.read_parquet(read.orders).sort_values("order_id", ignore_index=True),
        "known": frame,
        "outcomes": engine.frame(
            outcomes(orders, customer_state(orders, before), outcome_window(before, 90)).order_by(
                "customer_id"
            )
        ),
        "state_cells": engine.frame(state_cells(state)),
        "spend_cells": engine.frame(spend_cells(state)),
        "recent": engine.frame(recent(orders, AS_OF).order_by("customer_id")),
        "gaps": engine.frame(gap_facts(orders, AS_OF)),
        "price_changes": engine.frame(price_changes(orders, AS_OF)),
        "shared_periods": engine.frame(shared_periods(orders, AS_OF)),
        "purchase_spans": engine.frame(purchase_spans(orders, AS_OF, None, 2.0)),
        "purchases_between": engine.frame(purchases_between(orders, AS_OF, AS_OF.replace(day=1))),
        "operational_gaps": engine.frame(
            gap_facts(orders, AS_OF, clock(engine, TIME, first_day(engine, orders)))
        ),
        "order_values": order_values(engine, state),
        "scores": score_customers(settings.policy, frame, forecaster, AS_OF).scores,
    }


def assert_same(actual: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Doubles within 1e-9, everything else equal, types too."""
    assert list(actual.columns) == list(wanted.columns)
    assert len(actual) == len(wanted)
    for name in wanted.columns:
        assert actual[name].dtype == wanted[name].dtype, name
        if wanted[name].dtype.kind == "f":
            np.testing.assert_allclose(
                actual[name], wanted[name], rtol=1e-9, atol=1e-9, err_msg=name
            )
        else:
            pd.testing.assert_series_equal(actual[name], wanted[name])


def test_the_history_has_what_it_tests(results):
    counted = results("duckdb")["accounting"]
    assert counted.orders > 300
    assert counted.merged["exact_duplicates"] == 1
    assert counted.merged["refunds_netted"] == 1
    assert counted.rejected == {
        "unreadable_row": 1,
        "unreadable_date": 2,
        "after_as_of": counted.rejected["after_as_of"],
        "missing_customer": 1,
        "unreadable_amount": 4,
        "other_currency": 1,
        "order_of_two_customers": 2,
        "refund_without_order": 1,
        "zero_amount": counted.rejected["zero_amount"],
    }
    scores = results("duckdb")["scores"]
    assert scores["segment"].nunique() > 3
    assert scores["is_holdout"].any()
    assert {"heavy", "light"} & set(scores["investment_tier"])


@pytest.mark.parametrize("name", AWAY)
@pytest.mark.parametrize("what", ["digest", "accounting", "quality", "rejects"])
def test_every_row_goes_where_it_goes_on_duckdb(results, name, what):
    assert results(name)[what] == results("duckdb")[what]


TABLES = (
    "orders",
    "known",
    "outcomes",
    "state_cells",
    "spend_cells",
    "recent",
    "gaps",
    "price_changes",
    "shared_periods",
    "purchase_spans",
    "purchases_between",
    "operational_gaps",
    "order_values",
    "scores",
)


@pytest.mark.parametrize("name", AWAY)
@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_what_it_is_on_duckdb(results, name, table):
    assert_same(results(name)[table], results("duckdb")[table])


def test_a_difference_is_seen(results):
    scores = results("duckdb")["scores"]
    other = scores.assign(expected_value=scores["expected_value"] + 1e-6)
    with pytest.raises(AssertionError, match="expected_value"):
        assert_same(other, scores)


@pytest.mark.parametrize("name", AWAY)
def test_an_optional_table_is_read_alike(opened, name, tmp_path):
    source = tmp_path / "nps.csv"
    source.write_text(
        "customer_id,answered_at,score,comment\n"
        "a,2025-01-02,9,fine\na,2025-01-02,9,fine\nb,2025-01-03,8.5,\nc,2025-01-04,x,\n"
        ",2025-01-04,3,\nd,2025-02-30,3,\ne,2026-01-01,3,\nf,2025-01-04,1_0,\n"
    )
    wanted, actual = (
        read_table(opened(one), "nps", str(source), AS_OF, tmp_path / one)
        for one in ("duckdb", name)
    )
    assert_same(pd.read_parquet(actual.path), pd.read_parquet(wanted.path))
    assert (actual.rows_in, actual.rows, actual.merged) == (
        wanted.rows_in,
        wanted.rows,
        wanted.merged,
    )
    assert actual.rejected == wanted.rejected
    rejects = [one.path.with_name("nps_rejects.csv").read_text() for one in (actual, wanted)]
    assert sorted(rejects[0].splitlines()) == sorted(rejects[1].splitlines())


DATED = {
    "%d/%m/%Y %H:%M": [
        "3/11/2024 01:30",
        "03/11/2024 1:30",
        "31/02/2024 10:00",
        "3-11-2024",
        None,
    ],
    "%d %B %Y": ["3 November 2024", "03 NOVEMBER 2024", "3 Nov 2024"],
    "%b %d, %Y %I:%M %p": ["Nov 3, 2024 12:15 AM", "nov 3, 2024 12:15 pm", "Nov 3, 2024 13:00 PM"],
    "%m/%d/%y %H:%M:%S": ["11/3/24 10:11:12", "11/3/69 10:11:12", "11/3/68 10:11:12"],
    "%Y-%m-%dT%H:%M:%S%z": ["2024-11-03T01:30:00+0100", "2024-11-03T01:30:00-07:00"],
}


@pytest.mark.parametrize("pattern", DATED)
@pytest.mark.parametrize("name", AWAY)
def test_dates_of_a_pattern_are_read_as_duckdb_reads_them(opened, name, pattern):
    frame = pd.DataFrame({"n": range(len(DATED[pattern])), "text": DATED[pattern]})

    def read(engine: Engine) -> list[Any]:
        table = engine.table(frame, "texts")
        read = table.select("n", at=engine.utc(engine.moment(table["text"], pattern)))
        return engine.frame(read.order_by("n"))["at"].astype("str").tolist()

    assert read(opened(name)) == read(opened("duckdb"))


@pytest.mark.parametrize("pattern", ["%j %Y", "%H:%M"])
def test_a_pattern_that_is_not_read_is_refused(pattern):
    with pytest.raises(EngineError, match="date_format"):
        as_iso(ibis.table({"text": "string"})["text"], pattern)


def test_parquet_files_are_read_where_they_lie(opened, tmp_path):
    folder = tmp_path / "a [b]+%20 c"
    folder.mkdir()
    at = pd.to_datetime(["2024-11-03 01:30:00", "2025-01-01 00:00:00"]).astype("datetime64[us]")
    frame = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["a", "b"], "ordered_at": at,
                          "net_amount": [1.5, 2.00005]})  # fmt: skip
    frame.to_parquet(folder / "orders.parquet")
    kept = [
        read_orders(opened(name), OrderSource(str(folder)), AS_OF, tmp_path / name).orders
        for name in ("duckdb", "spark")
    ]
    wanted, actual = (pd.read_parquet(path).sort_values("order_id") for path in kept)
    assert_same(actual.reset_index(drop=True), wanted.reset_index(drop=True))
    assert actual["source"].tolist() == [str(folder / "orders.parquet")] * 2
