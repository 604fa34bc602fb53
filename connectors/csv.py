"""CSV files that people open in a spreadsheet."""

from pathlib import Path

import pandas as pd

FORMULA = r"[=+\-@\t\r]"
PLAIN_NUMBER = r"[+-]?\d+(?:\.\d+)?"


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table so that no text in it is taken for a formula.

    A text cell that starts with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return gets a
    leading apostrophe, which spreadsheets do not show. Plain numbers stay as they are.
    """
    safe = frame.copy()
    for name in safe.select_dtypes(include=["object", "string"]):
        text = safe[name].astype("string")
        is_formula = text.str.match(FORMULA) & ~text.str.fullmatch(PLAIN_NUMBER)
        safe[name] = text.mask(is_formula.fillna(False), "'" + text)
    safe.to_csv(path, index=False)
