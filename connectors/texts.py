"""Texts as sources have them."""

from collections.abc import Callable
from functools import reduce
from operator import or_

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

WHITE = " \t\n\r\f\x0b"
_AROUND = r"^[ \t\n\r\f\x0B]+|[ \t\n\r\f\x0B]+$"  # \v is a class of its own in Java


def trim(column: ir.Column) -> ir.Column:
    """Return a column's text without white space around it.

    The engine's own trimming takes three times as long as a pattern, and a pattern ten times as
    long as to see that a text has no white space at all. Only a source's own column is looked at
    so: anything longer would be said again for each kind of white space.
    """
    return _trim(column, lambda text: text)


def clean_text(column: ir.Column) -> ir.Column:
    """Return a column's text without white space around it; null where that is empty."""
    return _trim(column, lambda text: text.nullif(""))


def _trim(column: ir.Column, finish: Callable[[ir.Column], ir.Column]) -> ir.Column:
    """Trim a column's text and finish either branch: `nullif` repeats its argument in DuckDB."""
    given = column if column.type().is_string() else column.cast("string")
    trimmed = finish(given.re_replace(_AROUND, ""))
    if not isinstance(given.op(), ops.Field):
        return trimmed
    has_white = reduce(or_, (given.contains(one) for one in WHITE))
    return ibis.ifelse(has_white, trimmed, finish(given))
