"""Orders that are written before all is known of the rows: nothing else comes of a source for that."""

from dataclasses import dataclass
from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.accounting import Accounting
from connectors.engine import open_engine
from connectors.engine.duckdb import DuckDBEngine
from connectors.order_source import OrderSource
from connectors.orders import History, read_orders
from connectors.presets.plain import PLAIN
from connectors.reading import kept_orders, read_source
from connectors.texts import WHITE, trim
from features.tables import Orders

AS_OF = date(2026, 11, 21)
HEADER = "order_id,customer_id,ordered_at,net_amount\n"
SOUND = "1,a,2026-01-01,5\n2,b,2026-01-02,6\n3,a,2026-01-03,7\n"
FAULTS = {  # a row after sound ones: (orders kept, what was merged, what was rejected, written at once)
    "": (3, {}, {}, True),
    "3,a,2026-01-03,7\n": (3, {"exact_duplicates": 1}, {}, False),
    "3,a,2026-01-03,8\n": (2, {}, {"duplicate_order_id": 2}, False),
    "3,c,2026-01-03,7\n": (2, {}, {"order_of_two_customers": 2}, False),
    "3,a,2026-01-03,0\n": (2, {}, {"duplicate_order_id": 2}, False),
    "4,a,2026-02-01,-2\n": (3, {"refunds_netted": 1}, {}, False),
    "4,c,2026-02-01,-2\n": (3, {}, {"refund_without_order": 1}, False),
    "4,c,2026-02-01,0\n": (3, {}, {"zero_amount": 1}, True),
    "4,c,2026-11-22,4\n": (3, {}, {"after_as_of": 1}, True),
    "4,c,soon,4\n": (3, {}, {"unreadable_date": 1}, True),
    "4,,2026-02-01,4\n": (3, {}, {"missing_customer": 1}, True),
    "4,c,2026-02-01,x\n": (3, {}, {"unreadable_amount": 1}, True),
    "4,c\n": (3, {}, {"unreadable_row": 1}, True),
    " 1.0 ,a,2026-01-01,5\n": (3, {"exact_duplicates": 1}, {}, False),
    " 1.0 ,a,2026-01-01,6\n": (2, {}, {"duplicate_order_id": 2}, False),
}


def content(engine, table):
    """Return orders, sorted."""
    return engine.frame(table.select(*Orders.schema()).order_by("order_id", "order_date"))


@dataclass
class Ways:
    """What came of a source, written before all was known of it or after, and as a history."""

    accountings: list[Accounting]
    orders: list[pd.DataFrame]
    history: History
    is_written: bool


@pytest.fixture
def ways(tmp_path):
    """Read rows in every way."""

    def _ways(rows, *, keep_zero_amount=False):
        (tmp_path / "orders.csv").write_text(HEADER + rows)
        source = OrderSource(
            str(tmp_path / "orders.csv"), keep_zero_amount=keep_zero_amount, most_unreadable=1.0
        )
        draft = tmp_path / "draft"
        with open_engine("America/New_York") as engine:
            slow = read_source(engine, PLAIN, source, AS_OF, tmp_path)
            fast = read_source(engine, PLAIN, source, AS_OF, tmp_path, into=draft)
            history = read_orders(engine, source, AS_OF, tmp_path / "out")
            tables = [kept_orders(slow.orders), kept_orders(fast.orders)]
            tables += [engine.parquet(history.orders)]
            tables += [engine.parquet(draft)] if fast.is_written else []
            orders = [content(engine, table) for table in tables]
        assert not slow.is_written
        accountings = [slow.accounting, fast.accounting, history.accounting]
        return Ways(accountings, orders, history, fast.is_written)

    return _ways


def check_same(ways):
    """Hold every way to the first, by which nothing is written before all is known."""
    assert ways.accountings[1:] == ways.accountings[:1] * 2
    for orders in ways.orders[1:]:
        pd.testing.assert_frame_equal(orders, ways.orders[0])


@pytest.mark.parametrize(("row", "wanted"), FAULTS.items())
def test_writing_at_once_changes_nothing(ways, row, wanted):
    actual = ways(SOUND + row)
    check_same(actual)
    orders, merged, rejected, is_written = wanted
    accounting = actual.history.accounting
    assert (accounting.orders, accounting.rejected) == (orders, rejected)
    assert {name: n for name, n in accounting.merged.items() if n} == merged
    assert actual.is_written == is_written
    assert actual.history.has_refunds == ("refunds_netted" in merged)
    assert [path.name for path in actual.history.orders.parent.glob("orders*")] == [
        "orders.parquet"
    ]


def test_orders_of_no_value_that_are_kept_are_written_at_once(ways):
    actual = ways(SOUND + "4,c,2026-02-01,0\n", keep_zero_amount=True)
    check_same(actual)
    assert actual.is_written
    assert (actual.history.accounting.orders, actual.history.accounting.rejected) == (4, {})


def test_order_lines_are_not_written_before_they_are_summed(tmp_path):
    lines = "order_id,customer_id,ordered_at,quantity,unit_price\n1,a,2026-01-01,2,5\n"
    (tmp_path / "lines.csv").write_text(lines)
    source = OrderSource(str(tmp_path / "lines.csv"))
    with open_engine() as engine:
        reading = read_source(engine, PLAIN, source, AS_OF, tmp_path, into=tmp_path / "draft")
    assert not reading.is_written
    assert not (tmp_path / "draft").exists()


@pytest.mark.parametrize(
    ("columns", "row", "reported"),
    [
        ("net_amount", "5", False),
        ("net_amount,discount_amount", "5,1", False),
        ("net_amount,gross_amount", "5,6", False),
        ("gross_amount,discount_amount", "6,1", True),
    ],
)
def test_a_history_says_whether_it_tells_discounts(tmp_path, columns, row, reported):
    rows = f"order_id,customer_id,ordered_at,{columns}\n1,a,2026-01-01,{row}\n"
    (tmp_path / "orders.csv").write_text(rows)
    with open_engine() as engine:
        source = OrderSource(str(tmp_path / "orders.csv"))
        assert read_orders(engine, source, AS_OF, tmp_path / "out").tells_discounts == reported


def test_a_large_table_is_written_in_the_order_that_it_asks_for(tmp_path):
    with open_engine() as engine:
        assert isinstance(engine, DuckDBEngine)
        numbers = pd.DataFrame({"n": range(700_000)})
        table = engine.table(numbers.sample(frac=1, random_state=0), "numbers")
        engine.write_parquet(table.order_by("n"), tmp_path / "sorted.parquet")
    assert pd.read_parquet(tmp_path / "sorted.parquet")["n"].tolist() == numbers["n"].tolist()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(WHITE + "a\x1f\x85\xa0é") | st.none(), min_size=1))
def test_trimming_is_of_white_space_around_a_text(texts):
    with open_engine() as engine:
        frame = pd.DataFrame({"n": range(len(texts)), "text": pd.array(texts, "str")})
        table = engine.table(frame, "texts")
        actual = engine.frame(
            table.select("n", a=trim(table.text), b=trim(table.text.upper())).order_by("n")
        )
    wanted = [None if text is None else text.strip(WHITE) for text in texts]
    assert [None if pd.isna(one) else one for one in actual["a"]] == wanted
    upper = [None if text is None else text.upper() for text in wanted]
    assert [None if pd.isna(one) else one for one in actual["b"]] == upper


def test_what_cannot_be_written_is_no_fault_of_the_source(tmp_path):
    (tmp_path / "orders.csv").write_text(HEADER + SOUND)
    source = OrderSource(str(tmp_path / "orders.csv"))
    with (
        open_engine("America/New_York") as engine,
        pytest.raises(OSError, match="draft"),
    ):
        read_source(engine, PLAIN, source, AS_OF, tmp_path, into=tmp_path / "none" / "draft")


def test_dates_and_amounts_of_a_german_file_are_both_read(tmp_path):
    """Each row breaks the rule of dates first; its amount shows only once its date is read."""
    text = "order_id;customer_id;ordered_at;net_amount\n1;Müller;05.01.2025;1.234,50\n2;Weiß;17.01.2025;20,00\n"
    (tmp_path / "orders.csv").write_text(text, encoding="cp1252")
    with open_engine() as engine:
        source = OrderSource(str(tmp_path / "orders.csv"))
        history = read_orders(engine, source, AS_OF, tmp_path / "out")
    orders = pd.read_parquet(history.orders).set_index("order_id")
    assert orders["net_amount"].to_dict() == {"1": 1234.5, "2": 20.0}
    assert orders["order_date"].astype("str").to_dict() == {"1": "2025-01-05", "2": "2025-01-17"}
    assert orders["customer_id"].to_dict() == {"1": "Müller", "2": "Weiß"}
