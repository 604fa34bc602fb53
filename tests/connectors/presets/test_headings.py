"""Columns in messages: headings are listed, a row of data never is."""

from datetime import date
from pathlib import Path

import pytest

from connectors.engine import open_engine
from connectors.optional import read_table
from connectors.order_source import OrderSource
from connectors.orders import look_at_source
from connectors.presets.headings import close_heading, is_data, shown_headings
from connectors.recognize import recognize
from connectors.sources import SourceError
from features.tables import DataError

AS_OF = date(2026, 11, 28)
ROWS = [
    "o1,anna.secret@example.com,2026-11-20,5\no2,b@example.com,2026-11-21,5\n",
    "Anna Secret,1001,20.11.2026,5.00\nBen Other,1002,21.11.2026,7.00\n",
    "customer Anna Secret,Nov 20 2026,5\nBen Other,Nov 21 2026,7\n",
    '"order secret-1","+49 30 1234567","customer secret-2","20 Nov 2026 10:30"\n"o2","+49 30 7","c","x"\n',
    "name,Anna Secret,€ 5\nname,Ben Other,€ 7\n",
]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("preset", ["plain", "shopify", "woocommerce", "stripe", "fivetran"])
@pytest.mark.parametrize("columns", [{}, {"customer_id": "customer", "order_id": "ordered"}])
def test_no_message_quotes_the_first_row_of_a_file_without_a_header(
    tmp_path, rows, preset, columns
):
    path = tmp_path / "orders.csv"
    path.write_text(rows, encoding="utf-8")
    source = OrderSource(str(path), preset=preset, columns=columns)
    with open_engine("UTC") as engine, pytest.raises((SourceError, DataError)) as error:
        look_at_source(engine, source, AS_OF)
    assert "secret" not in str(error.value).lower()


@pytest.mark.parametrize("rows", ROWS)
def test_nothing_is_proposed_for_a_file_without_a_header(tmp_path, rows):
    path = tmp_path / "orders.csv"
    path.write_text(rows, encoding="utf-8")
    with open_engine("UTC") as engine, pytest.raises(SourceError, match="no header row") as error:
        recognize(engine, str(path))
    assert "secret" not in str(error.value).lower()


@pytest.mark.parametrize("name", ["customers", "reviews", "order_lines"])
def test_no_row_of_an_optional_table_is_quoted(tmp_path, name):
    path: Path = tmp_path / "table.csv"
    path.write_text("customer_secret,2026-11-20\nc2,2026-11-21\n", encoding="utf-8")
    with open_engine("UTC") as engine, pytest.raises(SourceError) as error:
        read_table(engine, name, str(path), AS_OF, tmp_path)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "cell",
    ["a@b.example", "2026-11-20", "20.11.26", "11/20/2026", "20 Nov 2026", "Nov 20, 2026", "10:35", "5", "-5.00",
     "€ 5,00", "(5)", "+49 30 12345", "1234567", "ORD-100234", "2026-11-20T10:00:00Z"],
)  # fmt: skip
def test_a_cell_of_data_is_none_of_a_header(cell):
    assert is_data(cell)
    assert "no header row" in shown_headings(["order_id", cell])
    assert close_heading(cell, ["order_id", cell]) is None


@pytest.mark.parametrize(
    "heading",
    ["order_id", "Order #", "Bestell-Nr.", "e-mail", "E-Mail @ shop", "Lineitem price", "Q1", "Address 2", "Total ($)",
     "VAT 19%", "注文番号", "date_created_gmt", "Unnamed: 3", "", "utm_2"],
)  # fmt: skip
def test_a_heading_is_none_of_data(heading):
    assert not is_data(heading)


def test_headings_are_listed():
    assert shown_headings(["Order", "Mail"]) == "Order, Mail"
    assert close_heading("customer", ["customers", "order"]) == "customers"
