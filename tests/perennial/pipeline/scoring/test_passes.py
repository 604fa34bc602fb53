"""How often the daily way goes over the data: counted, so that a pass more is seen in review.

Time is for ``make bench``; these figures are the same on any machine.
"""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import perennial.pipeline.ingestion.read
from connectors.engine.duckdb import DuckDBEngine
from models.forecaster import Forecaster
from models.order_value import OrderValue
from models.purchases import BGNBD
from models.spend import Spend
from perennial.pipeline.ingestion.read import build_customer_state, read_orders
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.scoring.batches import States
from perennial.pipeline.scoring.decide import decide
from perennial.pipeline.scoring.population import Population
from perennial.pipeline.settings.store import build_settings
from perennial.pipeline.training.model_files import save_forecaster
from tests.counting import Work, counted, counted_states

AS_OF = date(2026, 6, 30)
ORDERS, CUSTOMERS = 6_000, 1_500


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A Parquet file of orders: one row each, nothing wrong with any."""
    path = tmp_path_factory.mktemp("history") / "orders.parquet"
    rng = np.random.default_rng(0)
    customers = np.concatenate(
        [np.arange(CUSTOMERS), rng.integers(0, CUSTOMERS, ORDERS - CUSTOMERS)]
    )
    pd.DataFrame(
        {
            "order_id": [f"order {number}" for number in range(ORDERS)],
            "customer_id": [f"customer {number}" for number in customers],
            "ordered_at": pd.Timestamp(AS_OF) - pd.to_timedelta(rng.integers(0, 700, ORDERS), "D"),
            "net_amount": rng.integers(500, 9_000, ORDERS) / 100,
        }
    ).to_parquet(path, index=False)
    return path


def daily(history: Path, home: Path) -> dict[str, Work]:
    """Go from orders to decisions, and count each part."""
    settings = build_settings({"orders": {"source": str(history)}}, home)
    home.mkdir(exist_ok=True)
    model = Forecaster(
        purchases=BGNBD(0.9, 60.0, 0.8, 2.5),
        order_value=OrderValue(Spend(4.0, 4.0, 90.0)),
        classifier=None,
        second_purchase_days=90,
        trained_as_of=AS_OF,
    )
    save_forecaster(model, home / "model")
    run = home_context(settings, AS_OF, folder=home)
    parts = {}
    with counted() as parts["read"]:
        read = read_orders(run)
    with counted() as parts["state"]:
        build_customer_state(run, read, needs_extended_features=False)
    with counted() as parts["decide"], counted_states() as parts["rounds"]:
        decide(run, home / "model")
    return parts


def check_passes(parts: dict[str, Work]) -> None:
    """Hold each part to its passes over the orders."""
    # Write the orders, look at their numbers, look at them by day and by size, and hash them.
    assert (parts["read"].statements, parts["read"].rows) == (5, 5 * ORDERS)
    # One pass, one file.
    assert (parts["state"].statements, parts["state"].rows) == (1, ORDERS)
    # The engine is not asked again.
    assert parts["decide"].rows == 0
    # What each will do and what there is to win; once all are weighed, what is said of each.
    assert (parts["rounds"].statements, parts["rounds"].rows) == (2, 2 * CUSTOMERS)


def test_the_daily_way_goes_over_the_orders_no_more_often_than_it_says(history, tmp_path):
    parts = daily(history, tmp_path / "home")
    check_passes(parts)


def test_a_second_scan_is_noticed(history, tmp_path, monkeypatch):
    write = DuckDBEngine.write_parquet

    def twice(self, table, path, **how):
        write(self, table, path, **how)
        write(self, table, path, **how)

    monkeypatch.setattr(DuckDBEngine, "write_parquet", twice)
    with pytest.raises(AssertionError):
        check_passes(daily(history, tmp_path / "home"))


def test_a_look_at_the_whole_history_for_a_state_is_noticed(history, tmp_path, monkeypatch):
    once = perennial.pipeline.ingestion.read.customer_state

    def beside_itself(orders, as_of, **how):
        state = once(orders, as_of, **how)
        counts = orders.group_by("customer_id").aggregate(seen=orders.count())
        return state.semi_join(counts, "customer_id")

    monkeypatch.setattr(perennial.pipeline.ingestion.read, "customer_state", beside_itself)
    with pytest.raises(AssertionError):
        check_passes(daily(history, tmp_path / "home"))


def test_a_third_round_over_the_customers_is_noticed(history, tmp_path, monkeypatch):
    look = Population.of.__func__

    def again(cls, *args):
        states = States(next((tmp_path / "home").glob("customer_state_*.parquet")))
        assert sum(len(batch.table) for batch in states) == CUSTOMERS
        return look(cls, *args)

    monkeypatch.setattr(Population, "of", classmethod(again))
    with pytest.raises(AssertionError, match=str(3 * CUSTOMERS)):
        check_passes(daily(history, tmp_path / "home"))


def test_no_more_is_written_than_the_orders_and_the_customers_take(history, tmp_path):
    home = tmp_path / "home"
    daily(history, home)
    assert not list(home.rglob("*.npy"))  # what rounds leave to each other is gone
    written = {path.name: path.stat().st_size for path in home.rglob("*.parquet")}
    assert set(written) == {
        "orders.parquet",
        f"customer_state_{AS_OF}.parquet",
        "decided.parquet",
        "newcomers.parquet",
        "commitments.parquet",
        "in_force.parquet",
        "expected.parquet",
        "assignments.parquet",
    }
    assert written["orders.parquet"] <= 60 * ORDERS
    assert written[f"customer_state_{AS_OF}.parquet"] <= 80 * CUSTOMERS
    assert written["decided.parquet"] <= 250 * CUSTOMERS
