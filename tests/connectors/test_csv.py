"""CSV files that a spreadsheet opens without running anything."""

import csv
import re

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.csv import WITHIN, copy_csv, is_formula, write_csv


def written(frame, path):
    """Write a table and return its lines of cells."""
    write_csv(frame, path)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture
def cell(tmp_path):
    """Return what a cell becomes in the file."""

    def _cell(value):
        return written(pd.DataFrame({"a": [value], "b": ["x"]}), tmp_path / "t.csv")[1][0]

    return _cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("http://evil","x")',
        "+1+1",
        "-1+1",
        "-inf",
        "-3-",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "=",
        "-",
        "+",
        "--3",
        "- 3",
        "-3\n",
        "-2026-01-01",
        "+49 30 1234",
    ],
)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(cell, text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-3", "+3", "-3.5", "+3.25", "-0", "-0012.50"])
def test_a_plain_number_stays_as_it_is(cell, text):
    assert cell(text) == text


@pytest.mark.parametrize(
    "text",
    ["plain", "a=b", "1-1", "a@b.example", "'=1", "", " ", "a,b", 'say "hi"', "a\nb", "日本 ☕"],
)
def test_a_harmless_text_stays_as_it_is(cell, text):
    assert cell(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("x;=1+1", "x;'=1+1"),
        ("x;+1+1", "x;'+1+1"),
        ("x;-1+1;@SUM(A1)", "x;'-1+1;'@SUM(A1)"),
        (";=1", ";'=1"),
        ("x; =1", "x;' =1"),
        ('x;"=1+1"', 'x;\'"=1+1"'),
        ("x\t=1+1", "x\t'=1+1"),
        ("a,b;=1", "a,b;'=1"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("=1;=2", "'=1;'=2"),
        ("x\n=1", "x\n'=1"),
    ],
)
def test_a_formula_after_a_semicolon_a_tab_or_a_line_break_gets_an_apostrophe(cell, text, safe):
    assert cell(text) == safe
    assert cell(safe) == safe  # written again it stays
    assert bool(is_formula(pd.Series([text]))[0])


@pytest.mark.parametrize("text", ["x;y", "x; 5", "x;'=1", "a=b;c=d", "a\tb", "1;2;3", "x;"])
def test_a_harmless_list_stays_as_it_is(cell, text):
    assert cell(text) == text


@pytest.mark.parametrize("separator", [";", "\t"])
@settings(deadline=None, max_examples=100)
@given(rows=st.lists(st.lists(st.text("=+-@;\t\r\n\"', x1"), min_size=2, max_size=2), min_size=1))
def test_no_cell_is_a_formula_where_a_spreadsheet_splits_differently(
    tmp_path_factory, separator, rows
):
    path = tmp_path_factory.getbasetemp() / f"split{ord(separator)}.csv"
    frame = pd.DataFrame({"a": [f"x{one}" for one, _ in rows], "b": [two for _, two in rows]})
    write_csv(frame, path)
    with path.open(newline="", encoding="utf-8") as file:
        cells = [cell for line in csv.reader(file, delimiter=separator) for cell in line]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_break_inside_a_cell_starts_no_new_row(cell, tmp_path, end):
    assert cell(f"x{end}y") == f"x{end}y"
    assert len((tmp_path / "t.csv").read_text(encoding="utf-8").split('"')) == 3


@pytest.mark.parametrize("value", [None, float("nan"), pd.NA, pd.NaT])
def test_a_missing_value_is_an_empty_cell(cell, value):
    assert cell(value) == ""


def test_numbers_and_days_of_their_own_type_stay_as_they_are(tmp_path):
    frame = pd.DataFrame(
        {"number": [-3.5], "count": [-2], "is_good": [True], "day": pd.to_datetime(["2026-01-31"])}
    )
    assert written(frame, tmp_path / "t.csv")[1] == ["-3.5", "-2", "True", "2026-01-31"]


def test_texts_among_numbers_are_made_safe(tmp_path):
    frame = pd.DataFrame({"mixed": pd.Series([-3, "=1", None], dtype="object"), "b": "x"})
    assert [line[0] for line in written(frame, tmp_path / "t.csv")] == ["mixed", "-3", "'=1", ""]


def test_a_category_is_a_text(tmp_path):
    frame = pd.DataFrame({"tier": pd.Categorical(["=1", "heavy"])})
    assert written(frame, tmp_path / "t.csv")[1:] == [["'=1"], ["heavy"]]


def test_a_column_s_name_is_a_text(tmp_path):
    frame = pd.DataFrame({"=1+1": ["x"], "plain": ["y"]})
    assert written(frame, tmp_path / "t.csv")[0] == ["'=1+1", "plain"]


def test_a_table_without_rows_is_its_header(tmp_path):
    frame = pd.DataFrame(columns=["rule", "source"])
    assert written(frame, tmp_path / "t.csv") == [["rule", "source"]]


def test_a_copy_has_other_names_of_columns_and_the_same_rows(tmp_path):
    source, copy = tmp_path / "a.csv", tmp_path / "b.csv"
    write_csv(pd.DataFrame({"id": ["1"], "a,b": ["line\none"], "trigger": ["ünï"]}), source)
    copy_csv(source, copy, {"trigger": "moment"})
    expected = source.read_bytes().replace(b"trigger", b"moment")
    assert copy.read_bytes() == expected


def test_the_caller_s_table_is_not_changed(tmp_path):
    frame = pd.DataFrame({"a": ["=1", None, "x"]})
    before = frame.copy()
    write_csv(frame, tmp_path / "t.csv")
    pd.testing.assert_frame_equal(frame, before)


@settings(deadline=None, max_examples=200)
@given(
    texts=st.lists(st.text() | st.from_regex(r"[=+\-@\t\r][\d.=]*", fullmatch=True), min_size=1)
)
def test_every_text_is_kept_or_behind_an_apostrophe_and_none_is_a_formula(tmp_path_factory, texts):
    path = tmp_path_factory.getbasetemp() / "property.csv"
    cells = [line[0] for line in written(pd.DataFrame({"a": texts, "b": "x"}), path)[1:]]
    assert len(cells) == len(texts)
    for text, cell in zip(texts, cells, strict=True):
        assert cell.replace("'", "") == text.replace("'", "")
        assert cell in {text, f"'{text}"} or re.search(WITHIN, text)
        assert not cell.startswith(("=", "@", "\t", "\r"))
        if cell.startswith(("+", "-")):
            float(cell)
