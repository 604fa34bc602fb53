"""Dates as shops write them, rewritten as ISO 8601 where the rows tell how they are to be read.

A form is taken only if the dates leave no choice. Day-first and month-first differ in nothing but
the numbers: one above 12 tells, in any row of the file, else of the other files; where none does,
the setting is asked for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from connectors.engine import FILE_COLUMN, ISO_8601, Engine
from connectors.texts import clean_text
from features.tables import DataError

_TIME = (
    r"(?:(?:[t ]|,)\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6})\d*)?)?\s*([ap]\.?m\.?)?)?"
    r"\s*(z|utc|gmt|[+-]\d{2}:?\d{2})?$"
)
_WEEKDAY = r"^(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? +)?"
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"({'|'.join(MONTHS)})[a-z]*\.?"
_YEAR = r"(\d{4}|'?\d{2})"


@dataclass(frozen=True)
class Form:
    """A way to write dates.

    Attributes
    ----------
    expression
        Regular expression of the text in lower case: three parts of the day, then five of the time
        and the offset.
    parts
        Which of the three is which, ``"dmy"`` for instance; ``"??y"`` = the rows have to tell.
    pattern
        The same for strptime, without a time.
    """

    expression: str
    parts: str
    pattern: str


FORMS = (
    Form(rf"^(\d{{4}})[-/. ](\d{{1,2}})[-/. ](\d{{1,2}}){_TIME}", "ymd", "%Y/%m/%d"),
    Form(rf"^(\d{{4}})(\d{{2}})(\d{{2}}){_TIME}", "ymd", "%Y%m%d"),
    Form(rf"{_WEEKDAY}(\d{{1,2}})/(\d{{1,2}})/{_YEAR}{_TIME}", "??y", "/"),
    Form(rf"{_WEEKDAY}(\d{{1,2}})-(\d{{1,2}})-{_YEAR}{_TIME}", "??y", "-"),
    Form(rf"{_WEEKDAY}(\d{{1,2}})\. ?(\d{{1,2}})\. ?{_YEAR}{_TIME}", "??y", "."),
    Form(rf"{_WEEKDAY}(\d{{1,2}})(?:st|nd|rd|th)?[-/. ]*{_MONTH}[-/., ]*{_YEAR}{_TIME}", "dmy", "%d %b %Y"),
    Form(rf"{_WEEKDAY}{_MONTH}[-/. ]*(\d{{1,2}})(?:st|nd|rd|th)?[-/., ]+{_YEAR}{_TIME}", "mdy", "%b %d, %Y"),
)  # fmt: skip
LAST_MONTH, LAST_DAY = 12, 31
FEW = 0.2  # of a column's dates, which are left unreadable where nothing tells their order
DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "dmy", "mdy", "ymd"


@dataclass(frozen=True)
class _Look:
    """What the dates of one form in one file tell: how many there are, and the largest of each part."""

    form: int
    file: str
    dates: int
    first: int
    second: int
    example: str
    is_year_first: bool = False

    @property
    def order(self) -> str | None:
        """Day-first, month-first or, of two digits, year-first; None = several, or none, would do."""
        if self.is_year_first:
            return YEAR_FIRST
        if self.first > 12 >= self.second:
            return DAY_FIRST
        return MONTH_FIRST if self.second > 12 >= self.first else None

    @property
    def is_torn(self) -> bool:
        """Whether some dates can only be day-first and others only month-first."""
        return self.first > 12 and self.second > 12


def iso_dates(
    engine: Engine, rows: ir.Table, column: str, setting: str
) -> tuple[ir.Value | None, list[str]]:
    """Rewrite the dates of a text column as ISO 8601; what has another form stays as it is.

    Parameters
    ----------
    engine
        Where the rows are.
    rows
        A source's rows, with the file of each.
    column
        Their name of the dates.
    setting
        What to set where the rows do not tell, for the message.

    Returns
    -------
    tuple
        The new values, None if all are ISO 8601 or no date; and what a person should know.

    Raises
    ------
    DataError
        Nothing tells whether the day or the month is first.
    """
    looks = _look(engine, rows, column)
    if not looks:
        return None, []
    dates = int(engine.frame(rows.aggregate(n=clean_text(rows[column]).count()))["n"].iloc[0])
    text = clean_text(rows[column]).lower()
    cases, notes = [], []
    for i, form in enumerate(FORMS):
        of_form = [look for look in looks if look.form == i]
        if not of_form:
            continue
        if form.parts != "??y":
            cases.append(
                (text.re_search(form.expression), _iso(text, form.expression, form.parts))
            )
            continue
        is_usual = sum(look.dates for look in of_form) > FEW * dates
        orders = {
            look.file: _order(look, of_form, column, setting if is_usual else None)
            for look in of_form
        }
        for order in dict.fromkeys(orders.values()):
            if order is None:
                continue
            files = [file for file, its in orders.items() if its == order]
            fits = text.re_search(form.expression)
            if len(files) < len(orders):
                fits = fits & rows[FILE_COLUMN].isin(files)
            cases.append((fits, _iso(text, form.expression, order)))
            notes.append(
                f"{column} is read as {_pattern(form, order, of_form[0].example)}, the only form that fits every row. Set "
                f"{setting} to fix it for later files"
            )
    if not cases:
        return None, []
    is_iso = clean_text(rows[column]).re_search(ISO_8601)
    return ibis.cases((is_iso, rows[column]), *cases, else_=rows[column]), notes


def fitting_pattern(engine: Engine, rows: ir.Table, column: str) -> tuple[str, int] | None:
    """Return the one form that reads every date of a text column, for strptime, and how many there are."""
    text = clean_text(rows[column])
    dates = int(engine.frame(rows.aggregate(n=text.count()))["n"].iloc[0])
    looks = _look(engine, rows, column)
    forms = {look.form for look in looks}
    if len(forms) != 1 or sum(look.dates for look in looks) < dates:
        return None
    form = FORMS[forms.pop()]
    if form.parts != "??y":
        return form.pattern, dates
    orders = {look.order for look in looks} - {None}
    if len(orders) != 1 or any(look.is_torn for look in looks):
        return None
    example = looks[0].example
    return _pattern(form, str(orders.pop()), example) + _time_of(example), dates


def _time_of(example: str) -> str:
    _, _, time = example.strip().partition(" ")
    if ":" not in time:
        return ""
    seconds = ":%S" if time.count(":") > 1 else ""
    return f" %I:%M{seconds} %p" if time.lower().endswith("m") else f" %H:%M{seconds}"


def _look(engine: Engine, rows: ir.Table, column: str) -> list[_Look]:
    raw = clean_text(rows[column])
    view = rows.select(file=rows[FILE_COLUMN], raw=raw, text=raw.lower())
    view = view.filter(view.text.notnull() & ~view.raw.re_search(ISO_8601))
    form = ibis.cases(
        *((view.text.re_search(form.expression), i) for i, form in enumerate(FORMS)), else_=-1
    )
    view = view.mutate(form=form)
    view = view.filter(view.form >= 0)
    first, second, third = (
        ibis.cases(
            *(
                (view.form == i, _part(view.text, form.expression, place))
                for i, form in enumerate(FORMS)
                if form.parts == "??y"
            ),
            else_=ibis.null("string"),
        ).try_cast("int64")
        for place in (1, 2, 3)
    )
    facts = view.group_by("form", "file").aggregate(
        dates=view.count(),
        first=first.max().fill_null(0),
        second=second.max().fill_null(0),
        # Years that are all above 12, of which there are fewer than days: 26-01-05.
        is_year_first=(
            (first.min() > LAST_MONTH)
            & (second.max() <= LAST_MONTH)
            & (third.max() <= LAST_DAY)
            & (first.nunique() < third.nunique())
        ).fill_null(False),
        example=view.raw.min(),
    )
    frame = engine.frame(facts.order_by("form", "file"))
    return [
        _Look(
            int(row["form"]),
            row["file"],
            int(row["dates"]),
            int(row["first"]),
            int(row["second"]),
            row["example"],
            bool(row["is_year_first"]),
        )
        for row in frame.to_dict("records")
    ]


def _order(look: _Look, others: Sequence[_Look], column: str, setting: str | None) -> str | None:
    """Return which part is first in a file: as its dates tell, else those of the other files.

    Where nothing tells, and `setting` is None: None, and the dates stay unreadable.

    Raises
    ------
    DataError
        Nothing tells, and the setting must.
    """
    if look.is_torn:
        return None  # no form reads them all: they stay unreadable, and are counted so
    if FORMS[look.form].pattern == "." and look.order is None:
        return DAY_FIRST  # nobody writes the month first with points
    orders = {look.order} if look.order else {one.order for one in others} - {None}
    if len(orders) == 1:
        return orders.pop()
    if setting is None:
        return None
    patterns = [
        _pattern(FORMS[look.form], order, look.example) + _time_of(look.example)
        for order in (DAY_FIRST, MONTH_FIRST)
    ]
    raise DataError(
        f"dates are ambiguous: {look.example!r} in {column} may be day/month or month/day, and no "
        f'number above 12 decides. Set {setting} = "{patterns[0]}" or "{patterns[1]}"'
    )


def _pattern(form: Form, order: str, example: str) -> str:
    """Return the strptime pattern of a day of numbers."""
    parts = re.match(form.expression, example.lower())
    year = "%y" if parts and len(parts.group(3)) == 2 else "%Y"
    names = {"d": "%d", "m": "%m", "y": year}
    return form.pattern.join(names[part] for part in order)


def _part(text: ir.Value, expression: str, place: int) -> ir.Value:
    fits = ibis.ifelse(text.re_search(expression), text, ibis.null("string"))
    return fits.re_replace(expression, rf"\{place}")


def _iso(text: ir.Value, expression: str, parts: str) -> ir.Value:
    """Write the parts of a date as ISO 8601.

    Every step rewrites the whole text, so that no step is computed twice: 5 Jan 99, 3:05 pm is
    99-jan-5|3:05:.|pm| first, then 1999-01-05|p03:05:00||, and 1999-01-05 15:05:00 in the end.
    """
    year, month, day = (rf"\{parts.index(name) + 1}" for name in "ymd")
    one = text.re_replace(expression, rf"{year}-{month}-{day}|\4:\5:\6.\7|\8|\9")
    one = one.re_replace(r"\|::\.\|.*$", "")  # a day without a time
    one = one.re_replace(r"^'?(69|[7-9][0-9])-", r"19\1-").re_replace("^'?([0-9]{2})-", r"20\1-")
    if _MONTH in expression:
        for number, name in enumerate(MONTHS, 1):
            one = one.replace(f"-{name}-", f"-{number:02}-")
    one = one.re_replace("^([0-9]{4})-([0-9])-", r"\1-0\2-")
    one = one.re_replace(r"^(.{7})-([0-9])(\||$)", r"\1-0\2\3")
    one = one.re_replace(r"\|([0-9]):", r"|0\1:").replace(":.", ":00.").replace(".|", "|")
    one = one.re_replace(r"\|([^|]+)\|([ap])\.?m\.?\|", r"|\2\1||")
    for hour in range(1, 13):  # any other hour of twelve, such as p13, stays unreadable
        one = one.replace(f"a{hour:02}:", f"{hour % 12:02}:")
        one = one.replace(f"p{hour:02}:", f"{hour % 12 + 12}:")
    one = one.re_replace(r"\|\|(?:z|utc|gmt)$", "||+00:00")
    return one.replace("||", "").replace("|", " ")
