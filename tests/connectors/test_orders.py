"""Any order history in, orders out, and every source row accounted for."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import (
    Accounting,
    History,
    look_at_source,
    read_orders,
)
from connectors.rules import RULES
from connectors.sources import SourceError, find_files
from features.tables import DataError, Orders

AS_OF = date(2026, 11, 21)
NEW_YORK = "America/New_York"
HEADER = "order_id,customer_id,ordered_at,net_amount\n"
LINES = "order_id,customer_id,ordered_at,quantity,unit_price\n"
PARTS = "order_id,customer_id,ordered_at,gross_amount,discount_amount,refund_amount\n"
MONEY = HEADER.replace("\n", ",currency\n")
TYPED = {
    "order_id": pa.array(["1", "2"]),
    "customer_id": pa.array(["a", "b"]),
    "ordered_at": pa.array([date(2026, 1, 1), date(2026, 1, 2)]).cast(pa.timestamp("us")),
    "net_amount": pa.array([5.0, 6.0]),
}


@dataclass
class Reading:
    """What came of a source: the history, its orders by id, and the rejected rows as texts."""

    history: History
    orders: pd.DataFrame
    rejects: pd.DataFrame

    @property
    def amounts(self):
        return self.orders["net_amount"].to_dict()

    @property
    def rejected(self):
        return self.history.accounting.rejected

    @property
    def merged(self):
        return self.history.accounting.merged


def write(folder, content, name="orders.csv"):
    """Write a source, a file or ``{name: file}``, and return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    files = content if isinstance(content, dict) else {name: content}
    for file, inside in files.items():
        if isinstance(inside, pa.Table):
            pq.write_table(inside, folder / file)
        else:
            (folder / file).write_bytes(inside if isinstance(inside, bytes) else inside.encode())
    return str(folder if isinstance(content, dict) else folder / name)


def read_at(location, out, zone="UTC", as_of=AS_OF, **how):
    """Read a history that is there already; few rows are made to break rules, so none is too many."""
    how = {"most_unreadable": 1.0} | how
    with open_engine(zone) as engine:
        history = read_orders(engine, OrderSource(location, **how), as_of, out)
    orders = (
        pd.read_parquet(history.orders)
        .sort_values(["order_date", "order_id"])
        .set_index("order_id", drop=False)
    )
    return Reading(history, orders, read_rejects(history.rejects))


def read_rejects(path):
    return pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8")


def typed(**columns):
    """Return a table as Parquet keeps it, every column with its type."""
    return pa.table(TYPED | columns)


@pytest.fixture
def read(tmp_path):
    """Return what comes of a source's content."""

    def _read(content, **how):
        name = "orders.parquet" if isinstance(content, pa.Table) else "orders.csv"
        return read_at(write(tmp_path / "in", content, name), tmp_path / "out", **how)

    return _read


@pytest.fixture
def refusal(read):
    """Return why a source is refused; a reason is one line."""

    def _refusal(kind, content, **how):
        with pytest.raises(kind) as error:
            read(content, **how)
        message = str(error.value)
        assert len(message.splitlines()) == 1
        assert message.startswith("orders")
        return message

    return _refusal


# Where a history is, and in what form


def test_an_order_has_every_column_of_the_contract(read):
    order = read(HEADER + "1,a,2026-01-01 10:00:00,5.25\n")
    assert list(order.orders.columns) == list(Orders.schema())
    assert order.orders.loc["1"].dropna().to_dict() == {
        "order_id": "1",
        "customer_id": "a",
        "ordered_at": pd.Timestamp("2026-01-01 10:00:00"),
        "order_date": date(2026, 1, 1),
        "net_amount": 5.25,
        "currency": "USD",
        "source": str(order.history.orders.parents[1] / "in" / "orders.csv"),
    }


def test_csv_and_typed_parquet_give_the_same_orders(tmp_path):
    text = (
        "order_id,customer_id,ordered_at,gross_amount,discount_amount,channel\n"
        "1001,7,2026-01-01 23:30:00,10.25,0.25,web\n"
        "1002,8,2026-07-01 12:00:00,20,,\n"
        "1002,8,2026-07-01 12:00:00,20,,\n"
        "1003,9,2026-07-02 12:00:00,,1,web\n"
    )
    at = ["2026-01-01 23:30", "2026-07-01 12:00", "2026-07-01 12:00", "2026-07-02 12:00"]
    table = pa.table(
        {
            "order_id": pa.array([1001, 1002, 1002, 1003]),
            "customer_id": pa.array([7, 8, 8, 9], pa.int32()),
            "ordered_at": pa.array([datetime.fromisoformat(text) for text in at]),
            "gross_amount": pa.array([10.25, 20.0, 20.0, None]),
            "discount_amount": pa.array([Decimal("0.25"), None, None, Decimal(1)]),
            "channel": pa.array(["web", None, None, "web"]).dictionary_encode(),
        }
    )
    csv_file = write(tmp_path / "csv", text)
    parquet_file = write(tmp_path / "parquet", table, "orders.parquet")
    of_csv = read_at(csv_file, tmp_path / "out1", NEW_YORK)
    of_parquet = read_at(parquet_file, tmp_path / "out2", NEW_YORK)
    pd.testing.assert_frame_equal(
        of_csv.orders.drop(columns="source"), of_parquet.orders.drop(columns="source")
    )
    assert of_csv.history.digest == of_parquet.history.digest
    assert of_csv.history.accounting == of_parquet.history.accounting
    assert of_csv.amounts == {"1001": 10.0, "1002": 20.0}


@pytest.mark.parametrize("where", ["{0}", "{0}/*.csv", "{0}/orders-?.csv"])
def test_a_folder_or_a_glob_is_all_its_files(tmp_path, where):
    folder = write(
        tmp_path / "in",
        {
            "orders-1.csv": HEADER + "1,a,2026-01-01,5\n",
            "orders-2.csv": HEADER + "2,b,2026-01-02,6\n",
            "orders-3.csv": HEADER,
            "notes.md": "# not orders",
        },
    )
    reading = read_at(where.format(folder), tmp_path / "out")
    assert reading.amounts == {"1": 5.0, "2": 6.0}
    assert reading.orders["source"].str[-12:].to_list() == ["orders-1.csv", "orders-2.csv"]


def test_a_glob_may_name_folders_too(tmp_path):
    write(tmp_path / "2025", HEADER + "1,a,2025-01-01,5\n")
    write(tmp_path / "2026", HEADER + "1,a,2025-01-01,5\n")
    assert len(find_files(str(tmp_path / "*" / "orders.csv"))) == 2


@pytest.mark.parametrize("name", ["orders[1].csv", "orders*.csv", "orders?.csv", "it's; ünï.csv"])
def test_a_file_that_is_named_is_read_and_no_other(tmp_path, name):
    folder = write(
        tmp_path / "in",
        {
            "orders1.csv": HEADER + "1,wrong,2026-01-01,5\n",
            name: HEADER + "1,right,2026-01-01,5\n",
        },
    )
    reading = read_at(f"{folder}/{name}", tmp_path / "out")
    assert reading.orders["customer_id"].to_list() == ["right"]


def test_columns_of_several_files_are_matched_by_name(read):
    turned = "net_amount,ordered_at,customer_id,order_id\n6,2026-01-02,b,2\n"
    files = {"1.csv": HEADER + "1,a,2026-01-01,5\n", "2.csv": turned}
    assert read(files).orders["customer_id"].to_dict() == {"1": "a", "2": "b"}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_columns_may_be_separated_by(read, separator):
    text = (HEADER + "1,a,2026-01-01,5\n2,b,2026-01-02,6\n").replace(",", separator)
    assert read(text).amounts == {"1": 5.0, "2": 6.0}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_may_end_in(read, end):
    text = (HEADER + "1,a,2026-01-01,5\n2,b,2026-01-02,6\n").replace("\n", end)
    assert read(text).amounts == {"1": 5.0, "2": 6.0}


@pytest.mark.parametrize("names", ["x,x", "x,X", "x_6,x,x", ",", "net_amount,x", "x_1,x,x"])
def test_names_that_a_header_repeats_or_leaves_out_are_told_apart(read, names):
    cells = ",y" * (names.count(",") + 1)
    text = HEADER.replace("\n", f",{names}\n") + f"1,a,2026-01-01,5{cells}\n"
    assert read(text).amounts == {"1": 5.0}


def test_a_byte_order_mark_belongs_to_no_column(read):
    assert read(b"\xef\xbb\xbf" + HEADER.encode() + b"1,a,2026-01-01,5\n").amounts == {"1": 5.0}


def test_a_quoted_cell_may_hold_separators_quotes_and_line_breaks(read):
    reading = read(HEADER + '1,"a, ""b""\nc",2026-01-01,5\n')
    assert reading.orders.loc["1", "customer_id"] == 'a, "b"\nc'


# One row per order


def test_an_exact_duplicate_is_merged(read):
    reading = read(HEADER + "1,a,2026-01-01,5\n" * 3)
    assert reading.amounts == {"1": 5.0}
    assert reading.merged == {"exact_duplicates": 2, "lines_summed": 0}
    assert reading.rejected == {}


def test_an_exact_duplicate_in_another_file_is_merged(read):
    reading = read(dict.fromkeys(("1.csv", "2.csv"), HEADER + "1,a,2026-01-01,5\n"))
    assert reading.merged == {"exact_duplicates": 1, "lines_summed": 0}


def test_exact_duplicates_of_orders_are_merged_even_where_duplicate_lines_are_kept(read):
    reading = read(HEADER + "1,a,2026-01-01,5\n" * 2, keep_duplicates=True)
    assert reading.amounts == {"1": 5.0}
    assert reading.merged == {"exact_duplicates": 1, "lines_summed": 0}


def test_one_order_id_with_two_contents_is_rejected_as_a_whole(read):
    reading = read(HEADER + "1,a,2026-01-01,5\n1,a,2026-01-01,6\n2,b,2026-01-01,7\n")
    assert reading.amounts == {"2": 7.0}
    assert reading.rejected == {"duplicate_order_id": 2}
    assert reading.rejects["net_amount"].to_list() == ["5", "6"]


def test_a_rejected_row_stands_as_it_was_before_it_was_rewritten(read):
    rows = '1,a,25.01.2026,"1.250,50"\n2,,26.01.2026,"7,25"\n3,b,26.01.2026,12.50\n4,b,26.01.2026,"2,50"\n'
    reading = read(HEADER + rows)
    assert reading.amounts == {"1": 1250.5, "4": 2.5}
    assert reading.rejects["ordered_at"].to_list() == ["26.01.2026", "26.01.2026"]
    assert sorted(reading.rejects["net_amount"]) == ["12.50", "7,25"]


def test_an_order_that_differs_in_a_column_that_is_not_read_counts_once(read):
    text = HEADER.replace("\n", ",note\n") + "1,a,2026-01-01,5,x\n1,a,2026-01-01,5,y\n"
    text += "2,b,2026-01-01,7,\n"
    reading = read(text)
    assert reading.amounts == {"1": 5.0, "2": 7.0}
    assert reading.merged == {"exact_duplicates": 1, "lines_summed": 0}


def test_an_order_of_two_customers_is_rejected_as_a_whole(read):
    reading = read(HEADER + "1,a,2026-01-01,5\n1,b,2026-01-01,5\n2,b,2026-01-01,7\n")
    assert reading.amounts == {"2": 7.0}
    assert reading.rejected == {"order_of_two_customers": 2}
    assert reading.rejects["customer_id"].to_list() == ["a", "b"]


def test_lines_of_an_order_are_summed(read):
    reading = read(LINES + "1,a,2026-01-01,2,3.50\n1,a,2026-01-01,1,0.25\n2,b,2026-01-02,3,1\n")
    assert reading.amounts == {"1": 7.25, "2": 3.0}
    assert reading.merged == {"exact_duplicates": 0, "lines_summed": 1}


def test_lines_are_summed_exactly(read):
    assert read(LINES + "1,a,2026-01-01,1,0.1\n1,a,2026-01-01,1,0.2\n").amounts == {"1": 0.3}


def test_an_order_is_dated_by_its_first_line(read):
    reading = read(LINES + "1,a,2026-01-02,1,1\n1,a,2026-01-01 08:00,1,2\n")
    assert reading.orders.loc["1", "ordered_at"] == pd.Timestamp("2026-01-01 08:00")


def test_exact_duplicate_lines_are_merged(read):
    reading = read(LINES + "1,a,2026-01-01,1,2\n" * 2 + "1,a,2026-01-01,1,3\n")
    assert reading.amounts == {"1": 5.0}
    assert reading.merged == {"exact_duplicates": 1, "lines_summed": 1}


def test_exact_duplicate_lines_are_kept_by_setting(read):
    text = LINES + "1,a,2026-01-01,1,2\n" * 2 + "1,a,2026-01-01,1,3\n"
    reading = read(text, keep_duplicates=True)
    assert reading.amounts == {"1": 7.0}
    assert reading.merged == {"exact_duplicates": 0, "lines_summed": 2}


def test_a_returned_line_counts_against_its_order(read):
    reading = read(LINES + "1,a,2026-01-01,3,2\n1,a,2026-01-01,-1,2\n")
    assert reading.amounts == {"1": 4.0}
    assert reading.rejected == {}


def test_a_file_with_a_net_amount_is_one_of_orders_even_where_it_has_quantities(read):
    text = HEADER.replace("\n", ",quantity,unit_price\n") + "1,a,2026-01-01,5,2,3\n"
    assert read(text).amounts == {"1": 5.0}


def test_net_is_gross_less_discounts_and_refunds_and_an_empty_one_is_none(read):
    reading = read(PARTS + "1,a,2026-01-01,10,1.5,2\n2,b,2026-01-01,10,,\n")
    assert reading.amounts == {"1": 6.5, "2": 10.0}
    assert reading.orders["discount_amount"].to_dict()["1"] == 1.5
    assert pd.isna(reading.orders.loc["2", "discount_amount"])


# Amounts


def test_a_negative_amount_is_rejected(read):
    text = HEADER + "1,a,2026-01-01,-0.01\n2,b,2026-01-01,5\n"
    reading = read(text, negative_amounts="reject")
    assert reading.amounts == {"2": 5.0}
    assert reading.rejected == {"negative_amount": 1}


def test_an_order_of_negative_value_is_a_refund_on_its_own_day(read):
    reading = read(HEADER + "1,a,2026-01-01,9\nC2,a,2026-03-01,-4\n3,b,2026-02-01,5\n")
    assert reading.amounts == {"1": 9.0, "C2": -4.0, "3": 5.0}
    refund = reading.orders.loc["C2"]
    assert (refund["gross_amount"], refund["refund_amount"]) == (0.0, 4.0)
    accounting = reading.history.accounting
    assert (accounting.orders, accounting.rows_in) == (2, 3)
    assert reading.merged == {"exact_duplicates": 0, "lines_summed": 0, "refunds_netted": 1}


@pytest.mark.parametrize("later", ["2,b,2026-01-01,5", "2,a,2026-06-01,5", "2,a,2026-01-01,0"])
def test_a_refund_of_nobody_who_had_bought_by_then_is_rejected(read, later):
    reading = read(HEADER + f"1,a,2026-03-01,-4\n{later}\n3,c,2026-01-01,1\n")
    assert reading.rejected["refund_without_order"] == 1


def test_the_lines_of_a_canceled_invoice_are_counted_as_netted(read):
    lines = (
        "1,a,2026-01-01,2,5\nC1,a,2026-01-02,-1,5\nC1,a,2026-01-02,-1,2\nC1,a,2026-01-02,-1,2\n"
    )
    reading = read(LINES + lines)
    assert reading.amounts == {"1": 10.0, "C1": -7.0}
    assert reading.merged == {"exact_duplicates": 1, "lines_summed": 0, "refunds_netted": 2}


@pytest.mark.parametrize("zero", ["0", "0.00", "-0", "0.00001"])
def test_a_zero_amount_is_rejected(read, zero):
    assert read(HEADER + f"1,a,2026-01-01,{zero}\n2,b,2026-01-01,5\n").rejected == {
        "zero_amount": 1
    }


def test_a_zero_amount_is_kept_by_setting(read):
    text = HEADER + "1,a,2026-01-01,0\n2,b,2026-01-01,-5\n"
    reading = read(text, keep_zero_amount=True, negative_amounts="reject")
    assert reading.amounts == {"1": 0.0}
    assert reading.rejected == {"negative_amount": 1}


def test_a_fully_discounted_order_is_one_of_no_value(read):
    assert read(PARTS + "1,a,2026-01-01,9,9,\n2,b,2026-01-01,9,,\n").rejected == {"zero_amount": 1}


READABLE_AMOUNTS = {
    "10": 10.0,
    "10.25": 10.25,
    " 7 ": 7.0,
    "+5": 5.0,
    ".5": 0.5,
    "5.": 5.0,
    "1e3": 1000.0,
    "0.0001": 0.0001,
    "99999999999999": 99999999999999.0,
    "1,000.00": 1000.0,
    "$5": 5.0,
    "5 USD": 5.0,
}
UNREADABLE_AMOUNTS = (
    *("", " ", "abc", "nan", "NaN", "inf", "-inf", "Infinity", "1e14", "100000000000000", "1e400"),
    *("-1e400", "1.000,00", "0x10", "--1", "1e", "٣", "null", "5%"),
)


@pytest.fixture(scope="module")
def of_amounts(tmp_path_factory):
    """Return what comes of each text as an amount: a number, or the rule it breaks."""
    folder = tmp_path_factory.mktemp("amounts")
    texts = [*READABLE_AMOUNTS, *UNREADABLE_AMOUNTS]
    rows = [[number, "a", "2026-01-01", text] for number, text in enumerate(texts)]
    reading = read_at(write(folder, as_csv(HEADER, rows)), folder / "out")
    rules = dict(zip(reading.rejects["order_id"], reading.rejects["rule"], strict=True))
    came_of = reading.amounts | rules
    return {text: came_of[str(number)] for number, text in enumerate(texts)}


def as_csv(header, rows):
    """Return rows as CSV, quoted where they must be."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return header + file.getvalue()


@pytest.mark.parametrize("text", READABLE_AMOUNTS)
def test_an_amount_is_a_number(of_amounts, text):
    assert of_amounts[text] == READABLE_AMOUNTS[text]


@pytest.mark.parametrize("text", UNREADABLE_AMOUNTS)
def test_what_is_no_number_is_no_amount(of_amounts, text):
    assert of_amounts[text] == "unreadable_amount"


def test_a_double_that_is_not_finite_or_too_large_is_no_amount(read):
    bad = [float("nan"), float("inf"), float("-inf"), 1e14, -1e14, 1e300, None]
    count = len(bad) + 1
    table = pa.table(
        {
            "order_id": pa.array(range(count)),
            "customer_id": pa.array(["a"] * count),
            "ordered_at": pa.array([date(2026, 1, 1)] * count),
            "net_amount": pa.array([*bad, 99999999999999.0], pa.float64(), from_pandas=False),
        }
    )
    reading = read(table)
    assert reading.amounts == {"7": 99999999999999.0}
    assert reading.rejected == {"unreadable_amount": 7}


@pytest.mark.parametrize("name", ["discount_amount", "refund_amount"])
def test_a_discount_or_refund_that_is_given_and_no_number_is_not_taken_for_none(read, name):
    columns = {
        "net_amount": pa.array([5.0, 6.0]),
        name: pa.array([float("nan"), None], from_pandas=False),
    }
    assert read(typed(**columns)).rejected == {"unreadable_amount": 1}


@pytest.mark.parametrize(
    "kind",
    [pa.int64(), pa.float32(), pa.decimal128(38, 2), pa.decimal128(9, 6), pa.string()],
    ids=str,
)
def test_an_amount_may_be_of_any_numeric_type(read, kind):
    values = ["5", "6"] if kind == pa.string() else [5, 6]
    if pa.types.is_decimal(kind):
        values = [Decimal(5), Decimal(6)]
    assert read(typed(net_amount=pa.array(values, kind))).amounts == {"1": 5.0, "2": 6.0}


@pytest.mark.parametrize(
    "line",
    ["4006381333931,9.99", "99999999,99999999", "99999999999999,99999999999999"],
    ids=["a barcode as quantity", "10^16", "10^28"],
)
def test_a_line_that_is_worth_too_much_spoils_no_other_order(read, line):
    reading = read(LINES + f"1,a,2026-01-01,{line}\n2,b,2026-01-01,1,2\n")
    assert reading.history.accounting.is_balanced
    assert reading.amounts["2"] == 2.0
    assert reading.orders["net_amount"].notna().all()


def test_a_discount_that_turns_an_order_huge_spoils_no_other_order(read):
    huge = "99999999999999"
    reading = read(PARTS + f"1,a,2026-01-01,{huge},-{huge},-{huge}\n2,b,2026-01-01,2,,\n")
    assert reading.history.accounting.is_balanced
    assert reading.amounts["2"] == 2.0
    assert reading.orders["net_amount"].notna().all()


# Ids


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (",a,2026-01-01,5", "missing_order_id"),
        ("  ,a,2026-01-01,5", "missing_order_id"),
        ('"",a,2026-01-01,5', "missing_order_id"),
        ("1,,2026-01-01,5", "missing_customer"),
        ("1,   ,2026-01-01,5", "missing_customer"),
        ('1," ",2026-01-01,5', "missing_customer"),
    ],
)
def test_a_row_without_an_id_is_rejected(read, row, rule):
    assert read(HEADER + f"{row}\n2,b,2026-01-01,5\n").rejected == {rule: 1}


@pytest.mark.parametrize("row", [" 1 , a ,2026-01-01,5", ' "1" , "a" ,2026-01-01,5'])
def test_blanks_around_an_id_do_not_count(read, row):
    reading = read(HEADER + f"{row}\n2,a,2026-01-01,5\n")
    assert reading.orders["customer_id"].to_dict() == {"1": "a", "2": "a"}


@pytest.mark.parametrize(
    "an_id",
    [
        "#1001",
        "007",
        "1e5",
        "=1+1",
        "it's",
        'a "b" c',
        "'a'",
        "a,b",
        "日本 ☕",
        "1; drop table",
        "\\",
    ],
)
def test_an_id_is_kept_as_it_is(read, an_id):
    rows = [[an_id, an_id, "2026-01-01", "5"], ["2", "b", "2026-01-01", "5"]]
    assert read(as_csv(HEADER, rows)).orders.loc[an_id, "customer_id"] == an_id


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.int64(), pa.string()], ids=str)
def test_a_numeric_customer_id_is_a_whole_number(read, kind):
    values = ["17850", None] if kind == pa.string() else [17850, None]
    reading = read(typed(customer_id=pa.array(values, kind)))
    assert reading.orders["customer_id"].to_list() == ["17850"]
    assert reading.rejected == {"missing_customer": 1}


def test_a_customer_id_from_a_csv_column_that_once_had_gaps_is_a_whole_number(read):
    reading = read(HEADER + "1,17850.0,2026-01-01,5\n2,17850,2026-01-01,5\n3,1.5,2026-01-01,5\n")
    assert reading.orders["customer_id"].to_list() == ["17850", "17850", "1.5"]


@pytest.mark.parametrize("gap", [float("nan"), float("inf"), float("-inf")])
def test_a_customer_id_that_is_not_finite_is_missing(read, gap):
    column = pa.array([gap, 17850.0], from_pandas=False)
    reading = read(typed(customer_id=column))
    assert reading.orders["customer_id"].to_list() == ["17850"]
    assert reading.rejected == {"missing_customer": 1}


def test_a_row_is_counted_under_the_first_rule_that_it_breaks(read):
    reading = read(
        HEADER + ",,,\n,,2026-01-01,\n1,,2026-01-01,x\n1,a,2026-01-01,x\n2,b,2026-01-01,5\n"
    )
    assert reading.rejected == {
        "unreadable_date": 1,
        "missing_order_id": 1,
        "missing_customer": 1,
        "unreadable_amount": 1,
    }


# Dates: text, moment in UTC, day in New York


MOMENTS = {
    "2026-01-01T10:00:00Z": ("2026-01-01 10:00", "2026-01-01"),
    "2026-01-01 10:00:00+00:00": ("2026-01-01 10:00", "2026-01-01"),
    "2026-01-01T10:00:00+02:00": ("2026-01-01 08:00", "2026-01-01"),
    "2026-01-01 10:00:00+02": ("2026-01-01 08:00", "2026-01-01"),
    "2026-01-01T10:00:00+0200": ("2026-01-01 08:00", "2026-01-01"),
    "2026-01-01 10:00:00 -0300": ("2026-01-01 13:00", "2026-01-01"),
    "2026-01-01 10:00:00 -03:00": ("2026-01-01 13:00", "2026-01-01"),
    "2026-01-01 10:00:00.5 +0530": ("2026-01-01 04:30:00.5", "2025-12-31"),
    "2026-01-01T10:00Z": ("2026-01-01 10:00", "2026-01-01"),
    "2026-01-01T10:00+02:00": ("2026-01-01 08:00", "2026-01-01"),
    "2026-01-01 10:00 -0300": ("2026-01-01 13:00", "2026-01-01"),
    "2026-01-01": ("2026-01-01 05:00", "2026-01-01"),
    " 2026-01-01 ": ("2026-01-01 05:00", "2026-01-01"),
    "2026-01-01 10:00": ("2026-01-01 15:00", "2026-01-01"),
    "2026-07-01 10:00:00": ("2026-07-01 14:00", "2026-07-01"),
    "2026-01-01 23:59:59.999999": ("2026-01-02 04:59:59.999999", "2026-01-01"),
    "2026-01-02T04:59:59Z": ("2026-01-02 04:59:59", "2026-01-01"),
    "2026-01-02T05:00:00Z": ("2026-01-02 05:00", "2026-01-02"),
    "2026-07-02T03:59:59Z": ("2026-07-02 03:59:59", "2026-07-01"),
    "2026-07-02T04:00:00Z": ("2026-07-02 04:00", "2026-07-02"),
    "2026-03-08T04:59:59Z": ("2026-03-08 04:59:59", "2026-03-07"),
    "2026-03-08 01:59:59": ("2026-03-08 06:59:59", "2026-03-08"),
    "2026-03-08 03:00:00": ("2026-03-08 07:00", "2026-03-08"),
    "2026-03-09T03:59:59Z": ("2026-03-09 03:59:59", "2026-03-08"),
    "2026-03-09T04:00:00Z": ("2026-03-09 04:00", "2026-03-09"),
    "2026-11-01 00:59:59": ("2026-11-01 04:59:59", "2026-11-01"),
    "2026-11-01 02:00:00": ("2026-11-01 07:00", "2026-11-01"),
    "2026-11-02T04:59:59Z": ("2026-11-02 04:59:59", "2026-11-01"),
    "2026-11-02T05:00:00Z": ("2026-11-02 05:00", "2026-11-02"),
    "20260101": ("2026-01-01 05:00", "2026-01-01"),
    "2026-01-01 10:00:00 PM": ("2026-01-02 03:00", "2026-01-01"),
    "1970-01-01": ("1970-01-01 05:00", "1970-01-01"),
    "1970-01-01T05:00:00Z": ("1970-01-01 05:00", "1970-01-01"),
}
UNREADABLE_DATES = (
    *("", " ", "soon", "now", "today", "infinity", "-infinity", "2026-02-30", "2026-01-01 25:00"),
    *("1969-12-31", "1969-12-31 23:59:59", "1970-01-01T04:59:59Z", "0001-01-01", "99999-01-01"),
    *("31/12/2025", "12/31/2025", "01-02-26", "2026-01-01 13:00:00 PM", "1767225600"),
)
TWICE_OR_NEVER = {"2026-03-08 02:30:00": "2026-03-08", "2026-11-01 01:30:00": "2026-11-01"}


@pytest.fixture(scope="module")
def of_moments(tmp_path_factory):
    """Return what comes of each text as a moment in New York: moment and day, or the rule."""
    folder = tmp_path_factory.mktemp("moments")
    texts = [*MOMENTS, *UNREADABLE_DATES, *TWICE_OR_NEVER]
    rows = [[number, "a", text, "5"] for number, text in enumerate(texts)]
    reading = read_at(write(folder, as_csv(HEADER, rows)), folder / "out", NEW_YORK)
    came_of = dict(zip(reading.rejects["order_id"], reading.rejects["rule"], strict=True))
    for order in reading.orders.itertuples():
        came_of[order.order_id] = (order.ordered_at, order.order_date)
    return {text: came_of[str(number)] for number, text in enumerate(texts)}


@pytest.mark.parametrize("text", MOMENTS)
def test_an_offset_counts_and_without_one_the_store_s_zone_does(of_moments, text):
    moment, day = MOMENTS[text]
    assert of_moments[text] == (pd.Timestamp(moment), date.fromisoformat(day))


@pytest.mark.parametrize("text", TWICE_OR_NEVER)
def test_a_time_that_a_clock_change_skips_or_repeats_is_of_its_day(of_moments, text):
    assert of_moments[text][1] == date.fromisoformat(TWICE_OR_NEVER[text])


@pytest.mark.parametrize("text", UNREADABLE_DATES)
def test_what_is_no_iso_date_from_1970_on_is_unreadable(of_moments, text):
    assert of_moments[text] == "unreadable_date"


NAIVE = pd.to_datetime(["2025-03-01 02:30", "2025-12-01 02:30"])


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (HEADER + "1,a,2025-03-01 02:30,5\n2,b,2025-12-01T02:30:00,6\n", {}),
        (HEADER + "1,a,03/01/2025 02:30,5\n2,b,12/01/2025 02:30,6\n", {"date_format": "%m/%d/%Y %H:%M"}),
        (HEADER + "1,a,1.3.2025 02:30,5\n2,b,1.12.2025 02:30,6\n", {}),
        (typed(order_id=["1", "2"], customer_id=["a", "b"], ordered_at=NAIVE, net_amount=[5.0, 6.0]), {}),
        ({"o.jsonl": '{"order_id":1,"customer_id":"a","ordered_at":"2025-03-01T02:30:00","net_amount":5}\n'
                     '{"order_id":2,"customer_id":"b","ordered_at":"2025-12-01 02:30:00","net_amount":6}\n'}, {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("timezone", "days"),
    [("UTC", ["2025-02-28", "2025-11-30"]), (None, ["2025-03-01", "2025-12-01"])],
)
def test_times_without_an_offset_are_of_the_zone_that_is_set(read, content, how, timezone, days):
    orders = read(content, zone=NEW_YORK, timezone=timezone, **how).orders
    assert orders["order_date"].astype("str").to_list() == days


def test_a_zone_that_is_set_moves_no_offset_and_no_day(read):
    text = HEADER + "1,a,2025-03-01 02:30-05:00,5\n2,b,2025-03-02,6\n"
    orders = read(text, zone=NEW_YORK, timezone="Asia/Tokyo").orders
    assert orders["order_date"].astype("str").to_list() == ["2025-03-01", "2025-03-02"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_named_zone_in_one_row_is_not_the_zone_of_the_next(read, zone):
    text = HEADER + f"1,a,2026-01-01 12:00:00 {zone},5\n2,b,2026-01-02 12:00:00,6\n"
    reading = read(text, zone=NEW_YORK)
    assert reading.orders.loc["2", "ordered_at"] == pd.Timestamp("2026-01-02 17:00")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([date(2026, 1, 1)] * 2),
        pa.array([date(2026, 1, 1)] * 2).cast(pa.timestamp("s")),
        pa.array([date(2026, 1, 1)] * 2).cast(pa.timestamp("ns")),
        pa.array([datetime(2026, 1, 1, 5, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC")),
        pa.array([datetime(2026, 1, 1, 5, tzinfo=UTC)] * 2, pa.timestamp("ms", NEW_YORK)),
        pa.array(["2026-01-01"] * 2),
    ],
    ids=lambda column: str(column.type),
)
def test_a_typed_moment_is_read_as_its_text_would_be(read, column):
    order = read(typed(ordered_at=column), zone=NEW_YORK).orders.loc["1"]
    assert order["ordered_at"] == pd.Timestamp("2026-01-01 05:00")
    assert order["order_date"] == date(2026, 1, 1)


@pytest.mark.parametrize("column", [[20260101, 20260102], [1.5, 2.5], [True, False]])
def test_a_column_of_another_type_holds_no_dates(refusal, column):
    assert "unreadable_date" in refusal(DataError, typed(ordered_at=pa.array(column)))


def test_a_date_format_is_the_only_form_that_is_read(read):
    text = HEADER + "1,a,31/12/2025 23:00,5\n2,b,2025-12-31 23:00,5\n3,c,12/31/2025 23:00,5\n"
    reading = read(text, zone=NEW_YORK, date_format="%d/%m/%Y %H:%M")
    assert reading.orders["order_date"].to_dict() == {"1": date(2025, 12, 31)}
    assert reading.orders.loc["1", "ordered_at"] == pd.Timestamp("2026-01-01 04:00")
    assert reading.rejected == {"unreadable_date": 2}


def test_an_offset_that_a_date_format_names_counts(read):
    text = HEADER + "1,a,31/12/2025 23:00 -0300,5\n"
    reading = read(text, zone=NEW_YORK, date_format="%d/%m/%Y %H:%M %z")
    assert reading.orders.loc["1", "ordered_at"] == pd.Timestamp("2026-01-01 02:00")
    assert reading.orders.loc["1", "order_date"] == date(2025, 12, 31)


@pytest.mark.parametrize("pattern", ["%Q", "%s", "%"])
def test_a_date_format_that_is_none_is_refused(refusal, pattern):
    text = HEADER + "1,a,31/12/2025,5\n"
    assert "orders.date_format" in refusal(SourceError, text, date_format=pattern)


def test_the_as_of_day_ends_at_the_store_s_midnight(read):
    text = HEADER + "1,a,2026-11-22T04:59:59.999999Z,5\n2,b,2026-11-22T05:00:00Z,5\n"
    reading = read(text, zone=NEW_YORK)
    assert list(reading.amounts) == ["1"]
    assert reading.history.last_date == AS_OF


def test_rows_dated_after_the_as_of_day_are_set_aside_whatever_else_they_say(read):
    reading = read(HEADER + "1,a,2026-11-21,5\n2,b,2026-11-22,5\n1,,2099-01-01,x\n")
    assert reading.amounts == {"1": 5.0}
    assert reading.rejected == {"after_as_of": 2}


def test_rows_dated_after_the_as_of_day_are_counted_and_not_written_among_the_rejects(read):
    reading = read(HEADER + "1,a,2026-11-21,5\n2,b,2026-11-22,5\n3,,2026-01-01,5\n")
    assert reading.rejected == {"after_as_of": 1, "missing_customer": 1}
    assert reading.rejects["rule"].to_list() == ["missing_customer"]


def test_the_first_and_the_last_day_are_those_of_kept_orders(read):
    text = "1,a,2026-01-01,-5\n2,b,2026-02-03,5\n3,c,2026-02-01,5\n4,d,2027-01-01,5\n"
    history = read(HEADER + text).history
    assert (history.first_date, history.last_date) == (date(2026, 2, 1), date(2026, 2, 3))


# Lines that are no rows


GOOD = '10,"c10",2026-01-10,10\n11,c11,2026-01-11,11\n'


@pytest.mark.parametrize(
    "line",
    [
        b"1,a,2026-01-01",
        b"1",
        b"1,a,2026-01-01,5,6",
        b'1,"a"b,2026-01-01,5',
        b"#1,a",
    ],
    ids=["too few", "one", "too many", "quote inside", "hash"],
)
def test_a_malformed_line_is_one_unreadable_row_and_spoils_no_other(read, line):
    reading = read(HEADER.encode() + line + b"\n" + GOOD.encode() + line + b"\n")
    assert reading.orders["customer_id"].to_dict() == {"10": "c10", "11": "c11"}
    assert reading.rejected == {"unreadable_row": 2}
    assert reading.history.accounting.rows_in == 4
    assert reading.rejects["rule"].to_list() == ["unreadable_row"] * 2


def test_a_quote_that_is_never_closed_spoils_no_row_before_it(read):
    reading = read(HEADER + GOOD + '1,"a,2026-01-01,5\n')
    assert reading.orders["customer_id"].to_dict() == {"10": "c10", "11": "c11"}
    assert reading.rejected == {"unreadable_row": 1}


def test_malformed_lines_of_several_files_are_counted_once_each(read):
    reading = read(dict.fromkeys(("1.csv", "2.csv"), HEADER + GOOD + "1,a\n2,b\n"))
    assert reading.rejected == {"unreadable_row": 4}
    assert reading.history.accounting.rows_in == 8
    assert sorted(Path(source).name for source in reading.rejects["source"]) == [
        *["1.csv"] * 2,
        *["2.csv"] * 2,
    ]


def test_malformed_lines_may_outnumber_the_rows(read):
    reading = read(HEADER + "1,a,2026-01-01,5,6\n" * 20 + GOOD)
    assert list(reading.amounts) == ["10", "11"]
    assert reading.rejected == {"unreadable_row": 20}


def test_malformed_lines_are_counted_anew_at_every_reading_with_one_engine(tmp_path):
    text = HEADER + GOOD + "1,a\n"
    source = OrderSource(write(tmp_path / "in", text), most_unreadable=1.0)
    with open_engine() as engine:
        look_at_source(engine, source, AS_OF)
        read_orders(engine, source, AS_OF, tmp_path / "first")
        again = read_orders(engine, source, AS_OF, tmp_path / "second")
    assert again.accounting.rejected == {"unreadable_row": 1}
    assert again.accounting.rows_in == 3


# Sources that are refused


@pytest.mark.parametrize("where", ["missing.csv", "*.csv", "no/such/folder", ""])
def test_a_source_that_is_not_there_is_refused(tmp_path, where):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"nothing is at .*\. Set orders\.source") as error:
        find_files(str(tmp_path / "empty" / where))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["orders.csv", "orders.parquet"])
def test_an_empty_file_is_refused(tmp_path, name):
    where = write(tmp_path, b"", name)
    with pytest.raises(DataError, match=r"must have rows: .* is empty\. Export it again"):
        find_files(where)


def test_an_empty_file_among_others_is_refused(refusal):
    message = refusal(DataError, {"1.csv": HEADER + GOOD, "2.csv": ""})
    assert "2.csv is empty" in message


def test_files_of_two_kinds_are_refused(refusal):
    message = refusal(SourceError, {"1.csv": HEADER + GOOD, "2.parquet": typed()})
    assert "must be of one kind, CSV, Parquet or JSON" in message
    assert ".csv, .parquet" in message


def test_a_file_of_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"CSV, Parquet or JSON: .* has \.xlsx"):
        find_files(write(tmp_path, b"PK", "orders.xlsx"))


def test_a_value_that_one_csv_file_lacks_is_empty_there_and_named(read):
    other = HEADER.replace("net_amount", "amount") + "1,a,2026-01-01,5\n"
    reading = read({"1.csv": HEADER + GOOD, "2.csv": other})
    assert list(reading.amounts) == ["10", "11"]
    assert reading.rejected == {"unreadable_amount": 1}
    assert "2.csv lacks net_amount" in " ".join(reading.history.quality.warnings)


def test_a_column_that_a_parquet_file_lacks_is_empty_there(read):
    lacks = typed(order_id=pa.array(["3", "4"])).drop_columns(["net_amount"])
    reading = read({"1.parquet": typed(), "2.parquet": lacks})
    assert reading.amounts == {"1": 5.0, "2": 6.0}
    assert reading.rejected == {"unreadable_amount": 2}


@pytest.mark.parametrize("bad", [b"junk", b"PAR1" + b"\0" * 50 + b"PAR1"])
def test_a_parquet_file_that_is_none_is_refused(refusal, bad):
    message = refusal(SourceError, {"orders.parquet": bad})
    assert "orders.source must be readable" in message


def test_a_damaged_parquet_file_is_refused(tmp_path, refusal):
    whole = bytearray(Path(write(tmp_path, typed(), "whole.parquet")).read_bytes())
    whole[4:60] = b"\xff" * 56
    message = refusal(SourceError, {"orders.parquet": bytes(whole)})
    assert "orders.source must be readable" in message


def test_a_parquet_file_of_another_type_is_judged_row_by_row(read):
    numbers = typed(order_id=pa.array(["3", "4"]), ordered_at=pa.array([1, 2]))
    reading = read({"1.parquet": typed(), "2.parquet": numbers})
    assert reading.amounts == {"1": 5.0, "2": 6.0}
    assert reading.rejected == {"unreadable_date": 2}


@pytest.mark.parametrize("content", [HEADER, HEADER.strip(), typed().slice(0, 0)])
def test_a_header_alone_is_refused(refusal, tmp_path, content):
    message = refusal(DataError, content)
    assert message == "orders.source has a header and no rows. Export it again"
    assert list(read_rejects(tmp_path / "out" / "rejects.csv")) == ["rule", "reason", "source"]


def test_a_history_whose_every_row_is_rejected_is_refused(refusal, tmp_path):
    text = HEADER + "1,a,soon,5\n2,,2026-01-01,5\n3,,2026-01-01,5\n4,a\n"
    message = refusal(DataError, text)
    assert (
        "orders.source has no usable order in 4 rows. 2 rows (50%) left out as missing_customer"
        in message
    )
    assert RULES["missing_customer"] in message
    assert message.endswith("See rejects.csv")
    assert len(read_rejects(tmp_path / "out" / "rejects.csv")) == 4
    assert not (tmp_path / "out" / "orders.parquet").exists()


def test_a_history_that_is_not_yet_known_is_refused(refusal):
    assert "after_as_of" in refusal(DataError, HEADER + "1,a,2027-01-01,5\n")


def test_a_mapped_column_that_is_missing_is_refused_with_the_close_name(refusal):
    text = "InvoiceNo,customer_id,ordered_at,net_amount\n1,a,2026-01-01,5\n"
    message = refusal(SourceError, text, columns={"order_id": "InvoiceNr"})
    assert "orders need order_id: the source has no column 'InvoiceNr'" in message
    assert "did you mean 'InvoiceNo'?" in message
    assert 'Set orders.columns.order_id = "…"' in message


def test_every_missing_column_is_named_at_once(refusal):
    message = refusal(SourceError, "InvoiceNo,Amount\n1,5\n")
    for ours in ("order_id", "customer_id", "ordered_at"):
        assert f"orders need {ours}" in message
    assert "InvoiceNo, Amount" in message
    assert "filename" not in message


def test_a_header_that_is_not_utf_8_is_read(read):
    text = HEADER.replace("\n", ",café\n") + "1,a,2026-01-01,5,x\n"
    reading = read(text.encode("latin-1"))
    assert reading.amounts == {"1": 5.0}
    assert "orders.csv is not UTF-8 (first at line 1)" in " ".join(
        reading.history.quality.warnings
    )


@pytest.mark.parametrize("content", ["[" * 200_000, '"' + "x\n" * 200_000, "\n\n", "\0"])
def test_a_file_without_a_header_is_refused(refusal, content):
    refusal(SourceError, content)


def test_a_line_above_the_header_is_no_row(refusal):
    assert "Export of orders" in refusal(SourceError, "Export of orders\n" + HEADER + GOOD)


@pytest.mark.parametrize(
    "case",
    [
        {"content": '"order\nid",Amount\n1,5\n'},
        {"content": HEADER, "columns": {"order_id": "order\nid"}},
        {"content": {"order\ns.csv": "a,b\n1,2\n", "order\nt.csv": "a,c\n1,2\n"}},
        {"content": {"order\ns.csv": b""}},
        {"content": {"order\ns.parquet": b"junk"}},
        {"content": MONEY + '1,a,2026-01-01,5,USD\n2,b,2026-01-01,5,"E\nUR"\n'},
    ],
    ids=["column", "setting", "file", "empty file", "damaged file", "currency"],
)
def test_a_refusal_is_one_line_even_where_what_it_names_is_not(refusal, case):
    refusal((SourceError, DataError), **case)


# Currencies


TWO_CURRENCIES = MONEY + (
    "1,a,2026-01-01,5,USD\n2,b,2026-01-01,6,EUR\n3,c,2026-01-01,7,EUR\n4,d,2026-01-01,8,\n"
)


def test_a_second_currency_is_refused_with_rule_problem_and_fix(refusal):
    message = refusal(DataError, TWO_CURRENCIES)
    assert "orders need one currency, the store's USD" in message
    assert "2 in EUR, 1 in USD, 1 in none" in message
    assert "Set store.currency" in message
    assert 'orders.other_currencies = "reject"' in message


def test_rows_of_another_currency_are_rejected_by_setting(read):
    reading = read(TWO_CURRENCIES, other_currencies="reject")
    assert reading.amounts == {"1": 5.0}
    assert reading.rejected == {"other_currency": 3}


def test_a_history_in_the_store_s_own_currency_is_read_whatever_its_case(read):
    text = MONEY + "1,a,2026-01-01,5,eur\n2,b,2026-01-01,6,EUR\n3,c,2026-01-01,6, EUR \n"
    assert read(text, currency="EUR").orders["currency"].to_list() == ["EUR"] * 3


def test_a_history_wholly_in_another_currency_is_refused(refusal):
    assert "2 in EUR." in refusal(
        DataError, MONEY + "1,a,2026-01-01,5,EUR\n2,b,2026-01-01,5,EUR\n"
    )


def test_a_second_currency_that_is_not_yet_known_or_unreadable_is_not_refused(read):
    text = MONEY + "1,a,2026-01-01,5,USD\n2,b,2027-01-01,6,EUR\n3,c,2026-01-01,x,EUR\n"
    assert read(text).rejected == {"after_as_of": 1, "unreadable_amount": 1}


# Names and texts of ill will


OTHER_NAMES = (
    *(
        'x"; drop table orders; --',
        "it's",
        "日本 ☕",
        "{0} %s $1 \\",
        "a.b",
        " padded ",
        "*",
        "a\nb",
    ),
    *("rule", "reason", "source", "filename", "Filename", "raw", "row_hash", "line", "rows"),
    *("moment", "order_rule", "Order_ID", "NET_AMOUNT"),
)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_what_another_column_is_called_does_not_matter(read, name):
    rows = [["order_id", "customer_id", "ordered_at", "net_amount", name]]
    rows += [["1", "a", "2026-01-01", "5", "x"], ["2", "b", "2026-01-01", "-5", "as it was"]]
    reading = read(as_csv("", rows), negative_amounts="reject")
    assert reading.amounts == {"1": 5.0}
    assert reading.rejected == {"negative_amount": 1}
    assert reading.rejects["rule"].to_list() == ["negative_amount"]
    assert reading.rejects["reason"].to_list() == [RULES["negative_amount"]]
    assert [Path(source).name for source in reading.rejects["source"]] == ["orders.csv"]
    assert "as it was" in reading.rejects.iloc[0].to_list()


@pytest.mark.parametrize(
    "name", ['x"; drop table orders; --', "it's", "日本 ☕", "{0} %s $1", " a "]
)
def test_our_columns_may_be_called_anything(read, name):
    columns = {ours: f"{name}{number}" for number, ours in enumerate(TYPED)}
    table = pa.table({columns[ours]: values for ours, values in TYPED.items()})
    assert read(table, columns=columns).amounts == {"1": 5.0, "2": 6.0}


def test_a_formula_in_a_rejected_row_is_made_safe_and_a_plain_number_is_not(read):
    texts = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "-3", "+4", "5", "=SUM(1,2)"]
    rows = [["1", "a", "2026-01-01", "5"]] + [[text, "b", "2026-01-01", "-3"] for text in texts]
    rejects = read(as_csv(HEADER, rows)).rejects
    safe = ["'=1+1", "'+1+1", "'-1+1", "'@SUM(A1)", "-3", "+4", "5", "'=SUM(1,2)"]
    assert sorted(rejects["order_id"]) == sorted(safe)
    assert set(rejects["net_amount"]) == {"-3"}


def test_a_formula_in_an_unreadable_row_is_made_safe(read):
    rejects = read(HEADER + GOOD + "=1+1,a\n").rejects
    assert rejects["line"].to_list() == ["'=1+1,a"]


def test_a_formula_as_a_column_s_name_is_made_safe(read):
    text = HEADER.replace("\n", ",=1+1\n") + "1,a,2026-01-01,5,x\n2,b,2026-01-01,-5,x\n"
    assert "=1+1" not in read(text).rejects.columns


# What is said of rejected rows


def test_a_rejected_row_stands_beside_its_rule_and_reason_as_it_was(read):
    text = HEADER.replace("\n", ",note\n") + "1,a,2026-01-01,5,\n 2 ,b,soon,1e400,x\n3,c\n"
    rejects = read(text).rejects
    assert list(rejects.columns[:3]) == ["rule", "reason", "source"]
    by_rule = rejects.set_index("rule")
    row = by_rule.loc["unreadable_date"]
    assert row["reason"] == RULES["unreadable_date"]
    assert row[["order_id", "customer_id", "ordered_at", "net_amount", "note"]].to_list() == [
        *[" 2 ", "b", "soon", "1e400", "x"]
    ]
    assert by_rule.loc["unreadable_row", "line"] == "3,c"


def test_rejects_begin_with_rule_reason_and_source_even_where_every_one_is_unreadable(read):
    rejects = read(HEADER + GOOD + "1,a\n").rejects
    assert list(rejects.columns[:3]) == ["rule", "reason", "source"]


def test_where_no_row_is_rejected_rejects_is_a_header(read):
    rejects = read(HEADER + GOOD).rejects
    assert list(rejects.columns) == ["rule", "reason", "source"]
    assert rejects.empty


# The digest


BODY = ["1,a,2026-01-01,5\n", "2,b,2026-01-02,6\n", "3,a,2026-01-03,7.5\n", "4,c,soon,5\n"]


@pytest.fixture
def digest(tmp_path):
    """Return the digest of a history."""

    def _digest(content, **how):
        with TemporaryDirectory(dir=tmp_path) as folder:
            where = write(Path(folder) / "in", content)
            return read_at(where, Path(folder) / "out", **how).history.digest

    return _digest


def test_a_digest_is_the_same_whatever_the_order_of_rows_and_the_split_of_files(digest):
    text = HEADER + "".join(BODY)
    turned = HEADER + "".join(reversed(BODY))
    split = {"2.csv": HEADER + BODY[0], "1.csv": HEADER + "".join(BODY[1:])}
    assert digest(text) == digest(turned) == digest(split)


def test_a_digest_is_the_same_whatever_is_rejected_or_merged(digest):
    assert digest(HEADER + "".join(BODY)) == digest(HEADER + "".join(BODY[:3]) + BODY[0] + "x\n")


@pytest.mark.parametrize(
    "other",
    [
        "3,a,2026-01-03,7.5001",
        "3,b,2026-01-03,7.5",
        "3,a,2026-01-03 00:00:01,7.5",
        "5,a,2026-01-03,7.5",
    ],
    ids=["amount", "customer", "moment", "order"],
)
def test_a_digest_differs_where_an_order_does(digest, other):
    assert digest(HEADER + "".join(BODY)) != digest(HEADER + "".join(BODY[:2]) + other + "\n")


def test_a_digest_differs_where_two_orders_change_their_amounts(digest):
    swapped = "1,a,2026-01-01,6\n2,b,2026-01-02,5\n3,a,2026-01-03,7.5\n"
    assert digest(HEADER + "".join(BODY)) != digest(HEADER + swapped)


def test_a_digest_does_not_know_rows_after_the_as_of_day(digest):
    text = HEADER + "".join(BODY)
    assert digest(text) == digest(text + "9,z,2026-11-22,5\n1,a,2027-01-01,5\n")
    assert digest(text) != digest(text, as_of=date(2026, 1, 2))


# Records


def test_a_history_is_the_same_after_a_way_through_json(read):
    history = read(HEADER + GOOD + "1,a\n").history
    assert History.from_json(history.to_json()) == history


def test_a_look_at_a_source_says_what_a_reading_would_and_writes_nothing(tmp_path):
    text = HEADER.replace("order_id", "InvoiceNo") + "1,a,2026-01-01,5\n" * 2 + "2,b,soon,5\n3\n"
    location = write(tmp_path / "in", text)
    columns = {"order_id": "InvoiceNo"}
    with open_engine() as engine:
        source = OrderSource(location, columns, most_unreadable=1.0)
        seen = look_at_source(engine, source, AS_OF)
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]
    assert seen.columns["order_id"] == "InvoiceNo"
    reading = read_at(location, tmp_path / "out", columns=columns)
    assert seen.accounting == reading.history.accounting


@pytest.mark.parametrize(
    ("text", "kind"),
    [(HEADER, DataError), ("a\n1\n", SourceError), (TWO_CURRENCIES, DataError)],
    ids=["no rows", "no columns", "two currencies"],
)
def test_a_look_at_a_source_refuses_what_a_reading_would(tmp_path, text, kind):
    location = write(tmp_path, text)
    with open_engine() as engine, pytest.raises(kind):
        look_at_source(engine, OrderSource(location), AS_OF)


def test_an_accounting_that_loses_a_row_is_not_balanced():
    merged, rejected = {"exact_duplicates": 1}, {"zero_amount": 2}
    assert Accounting(6, 3, merged, rejected).is_balanced
    assert not Accounting(7, 3, merged, rejected).is_balanced


# Later rows


KNOWN = "1,\"a\",2026-01-01 10:00:00,5\n2,b,2026-01-02,6\n3,'c',2026-01-03,7\n"
LATER = {
    "a plain row": b"9,z,2027-01-01,5\n",
    "a known order id": b"1,z,2027-01-01,50\n",
    "a known row": b'1,"a",2027-01-01 10:00:00,5\n',
    "another currency's sign": "9,z,2027-01-01,€5\n".encode(),
    "a named zone": b"9,z,2027-01-01 10:00:00 UTC,5\n",
    "too few columns": b"9,z\n",
    "too many columns": b"9,z,2027-01-01,5,6\n",
    "many with too many columns": b"9,z,2027-01-01,5,6\n" * 30,
    "a comment": b"# later\n9,z,2027-01-01,5\n",
    "no UTF-8": b"9,\xff,2027-01-01,5\n",
    "single quotes": b"9,'y,z',2027-01-01,5\n8,'z',2027-01-01,5\n",
    "backslashes": b'9,"say \\"hi\\"",2027-01-01,5\n',
    "a quote inside": b'9,"y"z,2027-01-01,5\n',
    "other separators": b"9;z;2027-01-01;5\n" * 30,
}


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """Return the orders and the digest of what is known."""
    folder = tmp_path_factory.mktemp("known")
    reading = read_at(write(folder, HEADER + KNOWN), folder / "out", NEW_YORK)
    assert reading.orders["customer_id"].to_list() == ["a", "b", "'c'"]
    return reading.orders.drop(columns="source"), reading.history.digest


@pytest.mark.parametrize("later", LATER)
def test_later_rows_change_no_order_however_they_are_written(read, past, later):
    content = HEADER.encode() + LATER[later] + KNOWN.encode() + LATER[later]
    reading = read(content, zone=NEW_YORK)
    pd.testing.assert_frame_equal(reading.orders.drop(columns="source"), past[0])
    assert reading.history.digest == past[1]


def test_a_quote_that_a_later_row_never_closes_changes_no_order(read, past):
    reading = read(HEADER + KNOWN + '9,"z,2027-01-01,5\n', zone=NEW_YORK)
    pd.testing.assert_frame_equal(reading.orders.drop(columns="source"), past[0])


@pytest.mark.parametrize(
    "columns",
    [
        {"customer_id": pa.array(["x", "y"])},
        {"order_id": pa.array(["x", "y"])},
        {"net_amount": pa.array(["5", "6"])},
        {"note": pa.array(["x", "y"])},
    ],
    ids=lambda columns: next(iter(columns)),
)
def test_a_later_parquet_file_of_other_types_changes_no_order(tmp_path, columns):
    first = {"order_id": pa.array([1.0, 2.0]), "customer_id": pa.array([17850.0, 17851.0])}
    next_year = {"ordered_at": pa.array([date(2027, 1, 1)] * 2).cast(pa.timestamp("us"))}
    past, later = typed(**first), typed(**first | next_year | columns)
    before = read_at(write(tmp_path / "1", {"1.parquet": past}), tmp_path / "out1")
    files = {"1.parquet": past, "2.parquet": later}
    after = read_at(write(tmp_path / "2", files), tmp_path / "out2")
    pd.testing.assert_frame_equal(
        before.orders.drop(columns="source"), after.orders.drop(columns="source")
    )


# Properties


# Every example reads a source: half a second. Shrinking a failure would take minutes.
SLOW = settings(deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
ORDER_IDS = {"1": "1", " 1": "1", "2": "2", '=3,"x"': '=3,"x"', "": None, "  ": None}
CUSTOMERS = {"a": "a", "b": "b", "17850": "17850", "": None, " ": None}
DAYS = {
    "2026-01-01": date(2026, 1, 1),
    "2026-11-21 23:59:59": AS_OF,
    "2026-11-22": date(2026, 11, 22),
    "soon": None,
    "": None,
}
NUMBERS = {
    "5": Decimal(5),
    "0.25": Decimal("0.25"),
    "0": Decimal(0),
    "-2": Decimal(-2),
    "nan": None,
    "1.5.2": None,
    "": None,
}
FORMS = {"orders": (HEADER, 1), "lines": (LINES, 2)}


def cells(choices):
    return st.sampled_from(sorted(choices))


def tables(form):
    """Arbitrary tables, good and bad cells mixed, good ones and duplicates more often."""
    width = FORMS[form][1]
    good = st.tuples(cells(["1", "2"]), cells(["a", "b"]), st.just("2026-01-01"))
    numbers = st.tuples(*[cells(NUMBERS)] * width)
    any_row = st.tuples(cells(ORDER_IDS), cells(CUSTOMERS), cells(DAYS))
    row = st.tuples(good | any_row, numbers).map(lambda parts: (*parts[0], *parts[1]))
    return st.lists(row, min_size=1, max_size=6).map(lambda rows: rows + rows[:2])


def expected(rows, *, of_lines, keep_duplicates):
    """Say in plain Python what comes of rows: amounts by order, rows merged, rows rejected."""
    rejected, by_order = Counter(), {}
    for row in rows:
        order, customer, day = ORDER_IDS[row[0]], CUSTOMERS[row[1]], DAYS[row[2]]
        numbers = [NUMBERS[cell] for cell in row[3:]]
        if day is None:
            rejected["unreadable_date"] += 1
        elif day > AS_OF:
            rejected["after_as_of"] += 1
        elif order is None:
            rejected["missing_order_id"] += 1
        elif customer is None:
            rejected["missing_customer"] += 1
        elif None in numbers:
            rejected["unreadable_amount"] += 1
        else:
            by_order.setdefault(order, []).append(row)
    amounts, merged = {}, Counter(exact_duplicates=0, lines_summed=0)
    bought = first_bought(by_order, of_lines=of_lines, keep_duplicates=keep_duplicates)
    for order, of_order in by_order.items():
        lines = of_order if of_lines and keep_duplicates else once(of_order, of_lines=of_lines)
        values = [NUMBERS[line[3]] * (NUMBERS[line[4]] if of_lines else 1) for line in lines]
        if len({CUSTOMERS[line[1]] for line in lines}) > 1:
            rejected["order_of_two_customers"] += len(of_order)
        elif len(lines) > 1 and not of_lines:
            rejected["duplicate_order_id"] += len(of_order)
        elif sum(values) < 0:
            if bought.get(CUSTOMERS[lines[0][1]], date.max) > min(DAYS[line[2]] for line in lines):
                rejected["refund_without_order"] += len(of_order)
            else:
                amounts[order] = float(sum(values))
                merged["exact_duplicates"] += len(of_order) - len(lines)
                merged["refunds_netted"] += len(lines)
        elif sum(values) == 0:
            rejected["zero_amount"] += len(of_order)
        else:
            amounts[order] = float(sum(values))
            merged["exact_duplicates"] += len(of_order) - len(lines)
            merged["lines_summed"] += len(lines) - 1
    return amounts, dict(merged), dict(rejected)


def once(rows, *, of_lines):
    """Return equal rows once: lines by how they are written, orders by what is read of them."""
    values = [
        (ORDER_IDS[r[0]], CUSTOMERS[r[1]], DAYS[r[2]], *map(NUMBERS.get, r[3:])) for r in rows
    ]
    alike = dict(zip(rows if of_lines else values, rows, strict=True))
    return [alike[key] for key in sorted(alike)]


def first_bought(by_order, *, of_lines, keep_duplicates):
    """Say on which day each customer first bought something of positive value."""
    first = {}
    for of_order in by_order.values():
        lines = of_order if of_lines and keep_duplicates else once(of_order, of_lines=of_lines)
        values = [NUMBERS[line[3]] * (NUMBERS[line[4]] if of_lines else 1) for line in lines]
        one = len({CUSTOMERS[line[1]] for line in lines}) == 1 and (of_lines or len(lines) == 1)
        if one and sum(values) > 0:
            customer, day = CUSTOMERS[lines[0][1]], min(DAYS[line[2]] for line in lines)
            first[customer] = min(first.get(customer, date.max), day)
    return first


def test_an_order_that_is_refused_is_no_purchase_that_a_refund_could_be_of(read):
    lines = [("2", "a", 1, 9), ("2", "b", 1, 9), ("1", "a", -1, 5), ("3", "b", 1, 4)]
    rows = "".join(f"{o},{c},2026-01-01,{n},{price}\n" for o, c, n, price in lines)
    reading = read(LINES + rows)
    assert reading.amounts == {"3": 4.0}
    assert reading.rejected == {"order_of_two_customers": 2, "refund_without_order": 1}


@pytest.mark.parametrize(
    ("form", "keep_duplicates"), [("orders", False), ("lines", False), ("lines", True)]
)
@settings(SLOW, max_examples=12)
@given(data=st.data())
def test_every_row_is_kept_merged_or_rejected_and_every_rejected_row_is_written(
    form, keep_duplicates, data
):
    rows = data.draw(tables(form))
    amounts, merged, rejected = expected(
        rows, of_lines=form == "lines", keep_duplicates=keep_duplicates
    )
    with TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        where = write(Path(folder), as_csv(FORMS[form][0], rows))
        if amounts:
            reading = read_at(where, out, keep_duplicates=keep_duplicates)
            assert reading.amounts == amounts
            orders = sum(amount > 0 for amount in amounts.values())
            kept = Accounting(len(rows), orders, merged, rejected)
            assert reading.history.accounting == kept
            assert kept.is_balanced
        else:
            with pytest.raises(DataError, match="no usable order"):
                read_at(where, out, keep_duplicates=keep_duplicates)
        rejected.pop("after_as_of", None)
        assert Counter(read_rejects(out / "rejects.csv")["rule"]) == Counter(rejected)


later_rows = st.lists(
    st.tuples(
        cells(ORDER_IDS),
        cells(CUSTOMERS) | st.text("ab\"';,#\\|é", max_size=4),
        cells(["2026-11-22", "2027-01-01T00:00:00Z", "9999-12-31"]),
        cells(NUMBERS),
    ),
    min_size=1,
    max_size=4,
)


@settings(SLOW, max_examples=8)
@given(data=st.data(), rows=tables("orders"), later=later_rows)
def test_rows_added_later_never_change_the_orders(data, rows, later):
    more = data.draw(st.permutations(rows + later))
    past = ("0", "a", "2026-01-01", "5")
    with TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        before = read_at(write(Path(folder), as_csv(HEADER, [past, *rows])), out)
        after = read_at(write(Path(folder), as_csv(HEADER, [*more, past])), out)
    pd.testing.assert_frame_equal(before.orders, after.orders)
    assert before.history.digest == after.history.digest


@settings(SLOW, max_examples=8)
@given(data=st.data(), rows=tables("lines"))
def test_neither_the_order_of_rows_nor_the_split_of_files_matters(data, rows):
    turned = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    past = ("0", "a", "2026-01-01", "5", "1")
    files = {"1.csv": turned[:cut], "2.csv": [*turned[cut:], past]}
    with TemporaryDirectory() as folder:
        one = read_at(
            write(Path(folder) / "one", as_csv(LINES, [past, *rows])), Path(folder) / "out1"
        )
        two = read_at(
            write(Path(folder) / "two", {n: as_csv(LINES, part) for n, part in files.items()}),
            Path(folder) / "out2",
        )
    pd.testing.assert_frame_equal(
        one.orders.drop(columns="source"), two.orders.drop(columns="source")
    )
    assert one.history.digest == two.history.digest
    assert one.history.accounting == two.history.accounting


garbled = st.text(",;|\t\"'\n\r\\#\0 a1-é", max_size=60).map(str.encode) | st.binary(max_size=60)


@settings(SLOW, max_examples=30)
@given(head=st.sampled_from([b"", HEADER.encode(), (HEADER + GOOD).encode()]), body=garbled)
def test_any_bytes_end_in_orders_or_in_a_refusal(head, body):
    with TemporaryDirectory() as folder:
        where = write(Path(folder), head + body)
        try:
            reading = read_at(where, Path(folder) / "out")
        except (SourceError, DataError):
            pass
        else:
            assert reading.history.accounting.is_balanced
            assert len(reading.rejects) == sum(reading.rejected.values())
