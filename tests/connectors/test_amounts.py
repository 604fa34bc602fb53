"""Amounts as shops write them, each form worked out by hand."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.amounts import is_untold, plain_amounts
from connectors.engine import FILE_COLUMN, open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from features.tables import DataError


@pytest.fixture(scope="module")
def read():
    """Read texts as amounts; None = unreadable."""
    with open_engine() as engine:

        def amounts(texts, decimal=None, files=None, currency="USD", name="amount"):
            frame = pd.DataFrame({"i": range(len(texts)), name: texts})
            frame[FILE_COLUMN] = files or "file"
            rows = engine.table(frame, "rows")
            values, notes = plain_amounts(engine, rows, [name], decimal, currency)
            amount = values.get(name, rows[name])
            read = rows.mutate(out=amount.try_cast("decimal(18, 4)").cast("float64"))
            numbers = engine.frame(read.order_by("i"))["out"]
            return [None if pd.isna(one) else one for one in numbers], notes

        yield amounts


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$1,250.00", 1250), ("($18.00)", -18), ("-$5", -5), ("$-5.5", -5.5), ("5.00-", -5), ("€ 12.50", 12.5),
        ("12.50 EUR", 12.5), ("USD 12.50", 12.5), ("1 250.00", 1250), ("1\u00a0250.00", 1250), ("1\u202f250.5", 1250.5),
        ("1'250.00", 1250), ("\u22127.5", -7.5), ("1e3", 1000), ("kr. 12", 12), ("R$ 3.50", 3.5), ("US$3", 3),
        ("12,34,567.00", 1234567), ("₹1,00,000.00", 100000), (".5", 0.5), ("+3", 3), ("£(4.20)", None),
        ("12 50", None), ("1,25,0", None), ("n/a", None), ("12.5.3", None), ("", None), ("3 pcs", None),
    ],
)  # fmt: skip
def test_an_amount_with_a_decimal_point(read, text, value):
    assert read([text, "1.50"])[0][0] == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.234,56", 1234.56), ("12,50", 12.5), ("7", 7), ("-3,5", -3.5), ("1.234", 1234), ("(1.000,00)", -1000),
        ("€12,00", 12), ("12,00 €", 12), ("1 234,5", 1234.5), ("1.234.567", 1234567), ("1'234,50", 1234.5), ("12.5", None),
    ],
)  # fmt: skip
def test_an_amount_with_a_decimal_comma(read, text, value):
    assert read([text, "1,50", "2,25"])[0][0] == value


def test_what_only_fits_one_mark_tells_how_the_others_are_read(read):
    assert read(["1.234", "0,50"])[0] == [1234, 0.5]
    assert read(["1,234", "0.50"])[0] == [1234, 0.5]
    assert read(["1.234", "0.500"])[0] == [1.234, 0.5]


def test_each_file_is_written_in_its_own_way(read):
    texts, files = ["1.234", "12,5", "1.234", "12.5"], ["a", "a", "b", "b"]
    assert read(texts, files=files)[0] == [1234, 12.5, 1.234, 12.5]


def test_a_file_that_tells_nothing_is_read_as_the_others_are(read):
    assert read(["1.234", "12,5"], files=["a", "b"])[0] == [1234, 12.5]


def test_a_point_that_may_group_or_divide_is_refused_by_column_and_setting(read):
    with pytest.raises(DataError, match=r"'1\.234' in amount may be 1234.*orders\.decimal"):
        read(["1.234", "950"])
    assert read(["1.234"], decimal=",")[0] == [1234]
    assert read(["1.234"], decimal=".")[0] == [1.234]


def test_a_currency_of_three_decimals_leaves_no_doubt(read):
    assert read(["1.234"], currency="KWD")[0] == [1.234]


def test_a_quantity_of_three_decimals_is_a_quantity(read):
    assert read(["1.000"], name="Qty ordered")[0] == [1]


def test_a_comma_that_may_group_or_divide_groups_and_says_so(read):
    values, notes = read(["1,234", "950"])
    assert values == [1234, 950]
    assert "amount" in notes[0]
    assert "orders.decimal" in notes[0]


def test_untold_points_are_seen_before_anything_is_rejected():
    with open_engine() as engine:
        rows = engine.table(pd.DataFrame({"a": ["1.234", "950"], "b": ["1.234", "1.5"]}), "rows")
        assert is_untold(engine, rows, ["a"])
        assert not is_untold(engine, rows, ["b"])


CENTS = st.lists(st.integers(-9_999_999, 9_999_999), min_size=1, max_size=20)
GROUPS = {".": [",", "", " ", "'", "\u00a0"], ",": [".", "", " ", "'", "\u202f"]}
NEGATIVE = ["-{}", "({})", "{}-", "\u2212{}"]


@settings(deadline=None, max_examples=60)
@given(cents=CENTS, mark=st.sampled_from(".,"), data=st.data())
def test_any_notation_gives_the_same_numbers(read, cents, mark, data):
    group = data.draw(st.sampled_from(GROUPS[mark]))
    sign = data.draw(st.sampled_from(["", "$", "€ ", "USD "]))
    negative = data.draw(st.sampled_from(NEGATIVE))

    def written(cent):
        whole, part = divmod(abs(cent), 100)
        text = f"{sign}{whole:,}".replace(",", group) + f"{mark}{part:02}"
        return negative.format(text) if cent < 0 else text

    assert read([written(cent) for cent in cents])[0] == [cent / 100 for cent in cents]


@pytest.mark.parametrize("mapping", [{"quantity": "Anzahl"}, {}])
def test_pieces_with_three_zeros_are_pieces_beside_prices_with_a_decimal_comma(tmp_path, mapping):
    name = mapping.get("quantity", "quantity")
    text = f"order_id;customer_id;ordered_at;{name};unit_price\n"
    text += "1;a;2026-01-05;1.000;12,50\n2;b;2026-01-06;2.000;8,75\n"
    (tmp_path / "orders.csv").write_text(text)
    with open_engine() as engine:
        source = OrderSource(str(tmp_path / "orders.csv"), mapping)
        orders = read_orders(engine, source, date(2026, 12, 31), tmp_path / "out").orders
    assert pd.read_parquet(orders)["net_amount"].astype(float).sum() == 12.5 + 2 * 8.75


@pytest.mark.parametrize("refund", ["-12,50", "(12,50)", "\u221212,50", "12,50-"])
def test_a_refund_in_any_notation_is_a_refund_and_no_void_order(tmp_path, refund):
    text = "order_id;customer_id;ordered_at;net_amount;status\n1;a;2026-01-05;100;paid\n"
    text += f"2;b;2026-01-05;50;paid\n3;a;2026-01-09;{refund};refunded\n"
    (tmp_path / "orders.csv").write_text(text)
    with open_engine() as engine:
        source = OrderSource(str(tmp_path / "orders.csv"), most_unreadable=1.0)
        history = read_orders(engine, source, date(2026, 12, 31), tmp_path / "out")
    assert pd.read_parquet(history.orders)["net_amount"].astype(float).sum() == 137.5
    assert history.accounting.merged["refunds_netted"] == 1
