"""Rows that name a person are told from others, whatever a cell looks like."""

import pandas as pd
import pytest

from connectors.csv import unmarked, write_csv
from connectors.mentions import mentions, one_of, phone_form
from connectors.presets.headings import columns_of_people

ANNA = ["c7", "Anna.O'Neil@Example.com", "+49 170 1234567"]


@pytest.mark.parametrize(
    "cell",
    [
        "c7",
        " c7 ",
        "anna.o'neil@example.com",
        "+491701234567",
        "0049 170 1234567",
        "+49 (0)170 123-45-67",
        "'+49 170 1234567",
    ],
)
def test_a_column_of_people_names_a_person_in_any_form(cell):
    rows = pd.DataFrame({"customer_id": ["c8", cell, None]})
    assert mentions(rows, {"customer_id"}, one_of(ANNA)).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("cell", "is_named"),
    [
        ("call anna.o'neil@example.com, please", True),
        ('{"email": "ANNA.O\'NEIL@example.com"}', True),
        ("+49 170 1234567", True),
        ("c7", False),  # may be a size or a shelf
        ("joanna.o'neil@example.com", False),
        ("anna.o'neil@example.com.org", False),
        ("+49 170 12345678", False),
    ],
)
def test_any_other_column_names_them_by_email_and_phone_alone(cell, is_named):
    rows = pd.DataFrame({"note": [cell]})
    assert mentions(rows, set(), one_of(ANNA)).tolist() == [False]
    assert mentions(rows, set(), one_of(ANNA), anywhere=True).tolist() == [is_named]


@pytest.mark.parametrize("name", ["=1+1", "+7 x", "-a", "@b", "a;=b", "x\t+1", "it's", "'quoted"])
def test_ids_are_the_same_after_they_were_written_for_a_spreadsheet(name, tmp_path):
    write_csv(pd.DataFrame({"customer_id": [name, "other"]}), tmp_path / "rows.csv")
    rows = pd.read_csv(tmp_path / "rows.csv", dtype="str", keep_default_na=False)
    assert unmarked(rows["customer_id"][0]) == name
    assert mentions(rows, {"customer_id"}, one_of([name])).tolist() == [True, False]


def test_a_line_that_came_to_no_row_names_whoever_a_cell_of_it_names():
    rows = pd.DataFrame({"error_message": ['Expected 4 columns\nbad1,"c7",5', "bad2,c77,5"]})
    assert mentions(rows, set(), one_of(ANNA), anywhere=True).tolist() == [True, False]


def test_the_columns_of_people_are_the_presets_and_the_settings():
    available = ["Email", "raw.Phone", "user", "Billing Name", "E-Mail", "Order"]
    columns = columns_of_people(available, ("email", "phone"), {"customer_id": "user"})
    assert columns == {"Email", "raw.Phone", "user", "E-Mail"}


@pytest.mark.parametrize("text", ["12", "2026-01-01", "a 123 4567", "+49 170 12345678901234", ""])
def test_what_is_no_phone_has_no_form(text):
    assert phone_form(text) is None
