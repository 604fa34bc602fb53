"""Amounts as shops write them: with currency signs, grouped thousands, decimal commas, parentheses.

A notation holds for a whole column of a file: one amount that fits only the decimal comma tells how
the others are read. Where only ``1.234`` and the like stand, nothing tells, and they are refused.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from connectors.engine import FILE_COLUMN, Engine
from connectors.texts import clean_text
from features.tables import DataError

MONEY = "decimal(18, 4)"
POINT, COMMA = ".", ","
GAPS = " '\u2019\u00a0\u202f\u2009"  # between groups of thousands
_SIGN = r"(?:(?:[A-Za-z]{1,3}\.?)?[$€£¥₹₺₽₴₪₩₫฿₱₦₡₲₵₸₼₾]|[A-Z]{3}|[Kk]r\.?|zł|Kč|Ft|Fr\.?|Rs\.?|RM|lei|лв\.?)"
_MINUS = "[-\u2212]"
_GAP = f"[{GAPS}]*"
SHAPE = (  # 1 and 6 a parenthesis, 2, 3 and 5 a minus, 4 the digits
    rf"^(\(?){_GAP}({_MINUS}?){_GAP}\+?{_SIGN}?{_GAP}({_MINUS}?){_GAP}([0-9][0-9.,{GAPS}]*|[.,][0-9]+)"
    rf"{_GAP}{_SIGN}?{_GAP}({_MINUS}?){_GAP}(\)?)$"
)
MARK = "\u00a7"  # before what was taken to pieces
WITH = {
    POINT: r"(?:[1-9][0-9]{0,2}(?:,[0-9]{2,3})*,[0-9]{3}|[0-9]*)(?:\.[0-9]*)?",
    COMMA: r"(?:[1-9][0-9]{0,2}(?:\.[0-9]{3})+|[0-9]*)(?:,[0-9]*)?",
}
IN_GROUPS = rf"[0-9]{{1,3}}(?:[{GAPS}][0-9]{{3}})*(?:[.,][0-9]*)?"
UNTOLD = r"^[1-9][0-9]{0,2}[.,][0-9]{3}$"  # either mark may group or divide
THREE_DECIMALS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}


@dataclass(frozen=True)
class _Votes:
    """What the amounts of one column of one file tell.

    How many fit only the comma or the point, are no plain number (``odd``), and are like 1.234 but
    not 1.000 (``parts``); and examples of those that fit both marks.
    """

    column: str
    file: str
    comma: int
    point: int
    odd: int
    parts: int
    untold_comma: str | None
    untold_point: str | None

    @property
    def decimal(self) -> str | None:
        """The mark that most amounts fit that fit only one; None = they fit both."""
        if not self.comma and not self.point:
            return None
        return COMMA if self.comma > self.point else POINT


def is_untold(engine: Engine, rows: ir.Table, columns: Sequence[str]) -> bool:
    """Tell whether every amount with a point in some column is like 1.234: it may be thousands."""
    columns = [name for name in columns if rows[name].type().is_string() and not _counts(name)]
    if not columns:
        return False
    facts: dict[str, ir.Value] = {}
    for i, name in enumerate(columns):
        text = rows[name]
        has_point = text.contains(POINT)
        facts[f"points_{i}"] = has_point.sum().fill_null(0)
        is_last = (text.length() <= 7) & (text.right(4).left(1) == POINT)
        facts[f"untold_{i}"] = (has_point & is_last).sum().fill_null(0)
    row = engine.frame(rows.aggregate(**facts)).iloc[0]
    return any(
        row[f"points_{i}"] > 0 and row[f"points_{i}"] == row[f"untold_{i}"]
        for i in range(len(columns))
    )


def plain_amounts(
    engine: Engine,
    rows: ir.Table,
    columns: Sequence[str],
    decimal: str | None,
    currency: str,
    quantities: Collection[str] = (),
) -> tuple[dict[str, ir.Value], list[str]]:
    """Rewrite the amounts of text columns as plain numbers.

    Parameters
    ----------
    engine
        Where the rows are.
    rows
        A source's rows, with the file of each.
    columns
        Their names of amounts.
    decimal
        The decimal mark; None = look.
    currency
        The store's: some have three decimals.
    quantities
        Those of the columns that count pieces, beside those whose names say so.

    Returns
    -------
    tuple
        New values by column, of those that are not plain already; and what a person should know.

    Raises
    ------
    DataError
        Nothing tells which mark is the decimal one.
    """
    columns = [name for name in columns if rows[name].type().is_string()]
    if decimal is not None:
        return {name: _rewritten(rows[name], decimal) for name in columns}, []
    votes = _look(engine, rows, columns)
    values, notes = dict[str, ir.Value](), list[str]()
    for name in columns:
        by_mark: dict[str, list[str]] = {POINT: [], COMMA: []}
        for vote in votes:
            if vote.column == name:
                is_count = name in quantities or _counts(name)
                mark = _decide(vote, votes, currency, notes, is_count=is_count)
                by_mark[mark].append(vote.file)
        if not by_mark[COMMA] and not any(vote.odd for vote in votes if vote.column == name):
            continue  # plain numbers already
        if by_mark[COMMA] and by_mark[POINT]:
            has_comma = rows[FILE_COLUMN].isin(by_mark[COMMA])
            either = (_rewritten(rows[name], COMMA), _rewritten(rows[name], POINT))
            values[name] = ibis.ifelse(has_comma, *either)
        else:
            values[name] = _rewritten(rows[name], COMMA if by_mark[COMMA] else POINT)
    return values, list(dict.fromkeys(notes))


def _look(engine: Engine, rows: ir.Table, columns: Sequence[str]) -> list[_Votes]:
    votes = []
    for name in columns:
        digits = _digits(rows[name])
        view = rows.select(file=rows[FILE_COLUMN], text=rows[name], digits=digits)
        fits = {
            mark: view.digits.re_search(f"^{form}$").fill_null(False)
            for mark, form in WITH.items()
        }
        untold = view.digits.re_search(UNTOLD).fill_null(False)
        texts = {
            mark: view.text.min(where=untold & view.digits.contains(mark))
            for mark in (POINT, COMMA)
        }
        facts = view.group_by("file").aggregate(
            odd=(view.digits.notnull() & view.text.try_cast(MONEY).isnull()).sum().fill_null(0),
            comma=(fits[COMMA] & ~fits[POINT]).sum().fill_null(0),
            point=(fits[POINT] & ~fits[COMMA]).sum().fill_null(0),
            parts=(untold & ~view.digits.endswith(".000")).sum().fill_null(0),
            untold_comma=texts[COMMA],
            untold_point=texts[POINT],
        )
        for row in engine.frame(facts.order_by("file")).to_dict("records"):
            comma, point, odd, parts = (
                int(row[one]) for one in ("comma", "point", "odd", "parts")
            )
            of_comma, of_point = (
                None if pd.isna(row[one]) else str(row[one])
                for one in ("untold_comma", "untold_point")
            )
            votes.append(_Votes(name, row["file"], comma, point, odd, parts, of_comma, of_point))
    return votes


def _decide(
    vote: _Votes, votes: Sequence[_Votes], currency: str, notes: list[str], *, is_count: bool
) -> str:
    """Return the decimal mark of a column in a file: its own, its file's, its column's, the source's."""
    if is_count and vote.decimal is None and not vote.parts:
        return POINT  # 1.000 is one piece, whatever mark the prices beside it have
    same_file = [one for one in votes if one.file == vote.file]
    same_column = [one for one in votes if one.column == vote.column]
    for others in ([vote], same_file, same_column, votes):
        marks = {one.decimal for one in others} - {None}
        if len(marks) == 1:
            return str(marks.pop())
    if vote.untold_point is None and vote.untold_comma is None:
        return POINT
    if is_count or (vote.untold_point and currency in THREE_DECIMALS):
        return POINT
    if vote.untold_point and vote.untold_comma is None:
        digits = vote.untold_point.replace(POINT, "")
        raise DataError(
            f"amounts are ambiguous: {vote.untold_point!r} in {vote.column} may be {digits}. Set "
            'orders.decimal = "," if the point separates thousands, or "." if it is the decimal point'
        )
    notes.append(
        f"the comma in {vote.column}, such as {vote.untold_comma!r}, is read as a thousands separator; if it "
        'is the decimal mark, set orders.decimal = ","'
    )
    return POINT


def _counts(name: str) -> bool:
    """Tell a column of quantities, where 1.000 is one."""
    return any(word in name.lower() for word in ("quantity", "qty", "units"))


def _signed(text: ir.Value) -> ir.Value:
    """Write amounts as §-1.234,50, whatever their signs and gaps; any other text has no such form.

    Every step rewrites the whole text, so that no step is computed twice.
    """
    one = text.replace(MARK, "?").re_replace(SHAPE, rf"{MARK}\1\2\3\5\6{MARK}\4")
    one = one.re_replace(rf"^{MARK}(?:{_MINUS}|\(\)){MARK}", f"{MARK}-")
    one = one.re_replace(f"^{MARK}{MARK}", f"{MARK}+").re_replace(f"[{GAPS}]+$", "")
    one = one.re_replace(f"^({MARK}[+-])({IN_GROUPS})$", rf"\1{MARK}\2")
    one = one.re_replace(f"^{MARK}([+-])([^{MARK}]*[{GAPS}])", r"\1\2")  # 1 2 3: no groups
    return one.re_replace(f"[{GAPS}]", "").re_replace(f"^({MARK}[+-]){MARK}", r"\1")


def _digits(column: ir.Column) -> ir.Value:
    """Return the digits and marks of an amount, its thousands not set apart; null where it is none."""
    signed = _signed(clean_text(column))
    is_amount = signed.re_search(f"^{MARK}[+-][0-9.,]+$")
    return ibis.ifelse(is_amount, signed, ibis.null("string")).re_replace(f"^{MARK}[+-]", "")


def _rewritten(column: ir.Column, decimal: str) -> ir.Value:
    """Return amounts as plain numbers; what fits no number of this mark stays unreadable."""
    text = clean_text(column)
    other = COMMA if decimal == POINT else POINT
    one = _signed(text).re_replace(f"^{MARK}([+-])({WITH[decimal]})$", rf"{MARK}{MARK}\1\2")
    one = one.replace(other, "").replace(decimal, POINT)
    is_number = one.re_search(rf"^{MARK}{MARK}[+-](?:[0-9]+\.?[0-9]*|\.[0-9]+)$")
    number = one.re_replace(rf"^{MARK}{MARK}\+?", "")
    if decimal == COMMA:
        otherwise = ibis.ifelse(text.contains(POINT), "?" + text, text)
        return ibis.ifelse(is_number, number, otherwise)
    return ibis.ifelse(is_number & text.try_cast(MONEY).isnull(), number, text)
