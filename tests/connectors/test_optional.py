"""Optional tables: every row is kept, merged or rejected, and types are the contract's."""

from datetime import date

import pandas as pd
import pyarrow.parquet as pq
import pytest

from connectors.engine import open_engine
from connectors.optional import TABLES, read_table
from connectors.sources import SourceError
from perennial.simulation import simulate

AS_OF = date(2025, 6, 30)


@pytest.fixture
def read(tmp_path):
    def _read(name, content, as_of=AS_OF):
        path = tmp_path / f"{name}.csv"
        path.write_text(content)
        with open_engine("America/New_York") as engine:
            return read_table(engine, name, str(path), as_of, tmp_path / "out")

    return _read


@pytest.mark.parametrize("name", TABLES)
def test_a_simulated_stores_own_table_is_kept_whole(name, tmp_path):
    world = simulate(200, date(2024, 1, 1), date(2025, 7, 1), 1, "beauty")
    table = world.tables[name]
    for form in ("csv", "parquet"):
        path = tmp_path / f"{name}.{form}"
        table.to_pandas().to_csv(path, index=False) if form == "csv" else pq.write_table(
            table, path
        )
        with open_engine("Europe/London") as engine:
            actual = read_table(engine, name, str(path), AS_OF, tmp_path / form)
        assert actual.rows_in == table.num_rows == actual.rows + actual.merged
        assert dict(actual.rejected) == {}
        kept = pd.read_parquet(actual.path)
        assert list(kept.columns) == list(TABLES[name][0].schema())
        for column in kept.select_dtypes("number"):
            whole = table.to_pandas().drop_duplicates()[column]
            assert kept[column].sum() == pytest.approx(whole.sum())


def test_each_bad_row_is_counted_under_its_rule_and_written(read, tmp_path):
    actual = read(
        "nps",
        "customer_id,answered_at,score\na,2025-01-01,9\na,2025-01-01,9\n,2025-01-01,9\nb,soon,9\nc,2025-01-01,nine\n"
        "d,2025-07-02,9\ne,2025-01-01\n",
    )
    assert (actual.rows_in, actual.rows, actual.merged) == (7, 1, 1)
    assert dict(actual.rejected) == {
        "missing_value": 1, "unreadable_value": 2, "after_as_of": 1, "unreadable_row": 1,
    }  # fmt: skip
    rejects = pd.read_csv(tmp_path / "out" / "nps_rejects.csv", dtype=str)
    assert sorted(rejects["rule"]) == ["missing_value", "unreadable_value", "unreadable_value"]
    assert rejects["reason"].notna().all()


def test_the_day_ends_at_the_stores_midnight(read):
    text = "customer_id,sent_at\na,2025-07-01T03:59:59Z\na,2025-07-01T04:00:00Z\n"
    actual = read("touches", text)
    assert (actual.rows, dict(actual.rejected)) == (1, {"after_as_of": 1})


def test_missing_columns_are_all_named_with_a_close_one(read):
    with pytest.raises(SourceError, match=r"answered_at, score is missing \(is it 'answered'\?\)"):
        read("nps", "customer_id,answered\na,2025-01-01\n")


def test_a_table_without_rows_is_empty(read):
    actual = read("marketing_spend", "date,channel,amount\n")
    assert (actual.rows_in, actual.rows) == (0, 0)
