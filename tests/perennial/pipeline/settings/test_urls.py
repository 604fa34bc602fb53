"""Whatever a folder is called, what Perennial writes stays in it."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import create_engine, text

from connectors.engine import open_engine
from connectors.orders import read_orders
from connectors.sources import open_tables
from connectors.tracking import Tracking
from perennial.pipeline.runtime.context import open_tracking
from perennial.pipeline.settings.store import Settings, SettingsError, build_settings
from perennial.pipeline.settings.urls import prefect_database, sqlite_url

NAMES = [
    "a?b",
    "a?b=c&d",
    "a#b",
    "a%20b",
    "a%b",
    "a b",
    "a'b",
    'a"b',
    "ü[1]",
    "*",
    "a;b",
    "{a}",
    "~",
    "a\\b",
    "'\"",
    "$HOME",
    "-a",
]
ORDERS = "order_id,customer_id,ordered_at,net_amount\n1,a,2026-01-01,5\n2,b,2026-01-02,6\n"
CODE = """
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

class Doubles(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2

set_model(Doubles())
"""


@pytest.fixture
def away(tmp_path, monkeypatch) -> Path:
    """The current folder, which is no home."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "away"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return tmp_path


def store(home: Path, source: str = "orders.csv") -> Settings:
    home.mkdir()
    (home / "orders.csv").write_text(ORDERS)
    return build_settings({"orders": {"source": source}}, home)


def files_outside(tmp_path: Path, home: Path) -> list[str]:
    return [
        str(one.relative_to(tmp_path))
        for one in tmp_path.rglob("*")
        if one not in (home, tmp_path / "away") and home not in one.parents
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_database_is_in_its_folder(away, name):
    home = away / name
    home.mkdir()
    engine = create_engine(sqlite_url(home / "x.db"))
    with engine.begin() as connection:
        connection.execute(text("create table t (a int)"))
    engine.dispose()
    assert [one.name for one in home.iterdir()] == ["x.db"]
    assert files_outside(away, home) == []


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", "a'b", "ü[1]"])
def test_mlflow_keeps_runs_and_models_in_a_home_of_any_name(away, name):
    home = away / name
    settings = store(home)
    tracking: Tracking = open_tracking(settings)
    code, numbers = home / "code.py", home / "numbers.json"
    code.write_text(CODE)
    numbers.write_text("{}")
    with tracking.run("train") as run:
        run.log_text("hello", "pictures/a.txt")
        version = tracking.register(
            run,
            code=code,
            artifacts={"numbers": numbers},
            signature={"inputs": {"x": True}, "outputs": {"x": True}, "params": {"days": 1}},
            example={"x": 1.0},
            requirements=["perennial"],
            tags={"as_of": "2026-01-01", "training_digest": "shop"},
        )
    assert (tracking.fetch(version) / "artifacts" / "numbers.json").read_text() == "{}"
    assert tracking.run_artifact(run.id, "pictures/a.txt").read_text() == "hello"
    assert (home / "mlruns" / "mlflow.db").stat().st_size > 0
    assert files_outside(away, home) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", ["orders.csv", "ord*.csv", "."])
def test_orders_are_read_in_a_home_of_any_name(away, name, source):
    home = away / name
    settings = store(home, source)
    with open_engine("UTC") as engine:
        history = read_orders(engine, settings.order_source, date(2026, 1, 3), home / "work")
        frame = engine.frame(engine.parquet(history.orders))
    assert sorted(frame["order_id"]) == ["1", "2"]
    assert files_outside(away, home) == []


def test_a_folders_name_is_no_pattern_for_its_neighbors(away):
    for name in ("a1", "a[12]", "a?", "a*"):
        store(away / name)
    (away / "a1" / "orders.csv").write_text(ORDERS.replace("1,a", "9,z"))
    for name in ("a[12]", "a?", "a*"):
        settings = build_settings({"orders": {"source": "*.csv"}}, away / name)
        with open_engine("UTC") as engine:
            history = read_orders(
                engine, settings.order_source, date(2026, 1, 3), away / name / "w"
            )
            assert history.accounting.rows_in == 2
            assert "9" not in set(engine.frame(engine.parquet(history.orders))["order_id"])


@pytest.mark.parametrize("name", NAMES)
def test_a_duckdb_file_is_in_its_folder(away, name):
    home = away / name
    settings = store(home, "duckdb:///shop.duckdb")
    with duckdb.connect(str(away / "shop.duckdb")) as connection:  # it writes beside no odd name
        connection.execute("create table orders as select 1 as a")
    (away / "shop.duckdb").rename(home / "shop.duckdb")
    with open_engine("UTC") as engine:
        source = replace(settings.order_source, table="orders")
        opened = open_tables(engine, source, home / "copies")
        (rows,) = opened.tables.values()
        assert engine.frame(rows)["a"].tolist() == [1]
    assert files_outside(away, home) == []


def test_prefects_database_is_in_its_home(away):
    assert prefect_database(away / "plain") == {}
    home = away / "a?b"
    (url,) = prefect_database(home).values()
    assert url == f"sqlite+aiosqlite:///file:{away}/a%3Fb/prefect.db?uri=true"


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\x7fb"])
def test_a_home_with_control_characters_is_refused_in_one_line(away, name):
    with pytest.raises(SettingsError, match=r"paths\.home") as error:
        store(away / name)
    assert str(error.value).isprintable()
