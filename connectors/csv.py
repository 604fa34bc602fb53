"""CSV files that people open in a spreadsheet."""

import csv
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

FORMULA = r"[=+\-@\t\r]"
WITHIN = r"[;\t\r\n][ \"]*[=+\-@]"  # a formula where cells end at a semicolon or a tab
START = r"([;\t\r\n])([ \"]*[=+\-@])"  # its separator, and what gets the apostrophe
MARKED = r"(^|[;\t\r\n])'([ \"]*[=+\-@\t\r])"
PLAIN_NUMBER = r"[+-]?\d+(?:\.\d+)?"


def write_csv(frame: pd.DataFrame | Iterable[pd.DataFrame], path: Path) -> None:
    """Write a table, or its parts one after another, so that no text in it is taken for a formula.

    A text, also a column's name, that starts with ``=``, ``+``, ``-``, ``@``, a tab or a carriage
    return gets a leading apostrophe, which spreadsheets do not show. Plain numbers stay as they are.
    Where a spreadsheet splits at semicolons or tabs instead, a cell also starts after these and after
    a line break: there a formula gets an apostrophe too, as in ``x;'=1+1``.
    Lines end as RFC 4180 has it, so that a line break of any kind inside a cell is quoted.
    """
    parts = [frame] if isinstance(frame, pd.DataFrame) else frame
    with path.open("w", encoding="utf-8", newline="") as file:
        for i, part in enumerate(parts):
            safe = pd.DataFrame(
                {name: _safe(part[name]) for name in part.columns}, index=part.index
            )
            safe.columns = pd.Index(_safe(pd.Series(list(part.columns), dtype="string")))
            safe.to_csv(file, index=False, header=i == 0, lineterminator="\r\n")


def copy_csv(source: Path, target: Path, names: Mapping[str, str]) -> None:
    """Copy a CSV file in which some columns have other names, `names` by those of the source."""
    with (
        source.open(encoding="utf-8", newline="") as rows,
        target.open("w", encoding="utf-8", newline="") as copy,
    ):
        header = next(csv.reader([rows.readline()]))
        csv.writer(copy).writerow(names.get(name, name) for name in header)
        shutil.copyfileobj(rows, copy)


def _safe(column: pd.Series) -> pd.Series:
    if is_numeric_dtype(column.dtype) or is_datetime64_any_dtype(column.dtype):
        return column
    if column.isna().all():  # as most columns of an export are
        return column
    text = column.astype("string")
    within = text.str.contains(WITHIN).fillna(False)
    if within.any():
        text = text.mask(within, text.str.replace(START, r"\1'\2", regex=True))
    at_start = _starts_formula(text)
    return text.mask(at_start, "'" + text) if at_start.any() else text


def unmarked(text: str) -> str:
    """Return a cell without the apostrophes that :func:`write_csv` puts before formulas."""
    return re.sub(MARKED, r"\1\2", text)


def is_formula(column: pd.Series) -> "pd.Series[bool]":
    """Tell which texts a spreadsheet would take for a formula; :func:`write_csv` changes these."""
    text = column.astype("string")
    within = text.str.contains(WITHIN).fillna(False)
    return (_starts_formula(text) | within).astype(bool)


def _starts_formula(text: pd.Series) -> "pd.Series[bool]":
    starts_so = text.str.match(FORMULA).fillna(False)
    if not starts_so.any():
        return starts_so.astype(bool)
    return (starts_so & ~text.str.fullmatch(PLAIN_NUMBER).fillna(True)).astype(bool)
