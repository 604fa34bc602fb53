"""Headings of exports: the same in any case, with any spaces and punctuation."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

import ibis
import ibis.expr.types as ir

_DATA = re.compile(  # an e-mail address, a day, a time, a long number
    r"\S@\S+\.\S|\d{1,4}[-/.]\d{1,2}[-/.]\d|\d [^\W\d]{3,9}\.?,? \d{4}|[^\W\d]{3,9} \d{1,2},? \d{4}|\d:\d\d|\d{6}"
)
Headings = Mapping[str, tuple[str, ...]]  # ours: theirs, in every wording of theirs
UNMATCHED = "customers are matched without it, so that one may count as several or as none"


def plain_heading(name: str) -> str:
    """Return a heading in lower case, letters and digits only."""
    return "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum())


def find_headings(
    names: Sequence[str], headings: Headings, mapping: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return ``{ours: theirs}`` of the columns that an export has.

    Parameters
    ----------
    names
        The export's columns; of two that differ in punctuation alone the first is taken.
    headings
        What to look for.
    mapping
        ``{ours: theirs}`` of the settings, which go before `headings`.
    """
    there = {plain_heading(name): name for name in reversed(names)}
    by_name = {}
    for ours, wordings in headings.items():
        wanted = (mapping[ours],) if mapping and ours in mapping else wordings
        named = [there[plain_heading(one)] for one in wanted if plain_heading(one) in there]
        if named:
            by_name[ours] = named[0]
    return by_name


def united(
    rows: ir.Table, headings: Headings, mapping: Mapping[str, str]
) -> tuple[ir.Table, dict[str, str]]:
    """Read a column that files of several years head differently as one.

    Parameters
    ----------
    rows
        The rows of all files.
    headings
        What to look for.
    mapping
        ``{ours: theirs}`` of the settings, whose columns stay as they are.

    Returns
    -------
    tuple
        The rows, in which the first of such columns has the values of all; and ``{ours: theirs}`` in
        words, of these columns.
    """
    there = {plain_heading(name): name for name in reversed(rows.columns)}
    values, words = {}, {}
    for ours, wordings in headings.items():
        theirs = [there[plain_heading(one)] for one in wordings if plain_heading(one) in there]
        if len(theirs) > 1 and ours not in mapping:
            values[theirs[0]] = ibis.coalesce(*(rows[name] for name in theirs))
            words[ours] = ", else ".join(theirs)
    return (rows.mutate(**values) if values else rows), words


def theirs_of(headings: Headings, ours: Collection[str]) -> Callable[[Sequence[str]], list[str]]:
    """Return a function from an export's columns to those that are read as some of ours."""
    wanted = {plain_heading(name) for one in ours for name in headings[one]}
    return lambda names: [name for name in names if plain_heading(name) in wanted]


def is_data(name: str) -> bool:
    """Tell a cell of data from a heading: where a file has no header row, its first row is one of data."""
    is_number = any(map(str.isdigit, name)) and not any(map(str.isalpha, name))
    return is_number or _DATA.search(name) is not None


def shown_headings(available: Sequence[str]) -> str:
    """Return the columns of a source as a message may list them: never a row of data."""
    if any(map(is_data, available)):
        return f"no header row above its {len(available)} columns: add one that names them"
    return ", ".join(available)


def close_heading(theirs: str, available: Sequence[str]) -> str | None:
    """Return the column whose name is most like another; None = none is, or they are a row of data."""
    if any(map(is_data, available)):
        return None
    return next(iter(get_close_matches(theirs, available, n=1)), None)


def missing_column(ours: str, theirs: str, available: Sequence[str]) -> str:
    """Return what a column is missing as, and the setting that names another.

    Parameters
    ----------
    ours
        The key under ``orders.columns``.
    theirs
        The heading that was looked for.
    available
        The export's columns.
    """
    close = close_heading(theirs, available)
    hint = f" (did you mean {close!r}?)" if close else ""
    return f'no column {theirs!r}{hint}: set orders.columns.{ours} = "…"'


def lacking_column(ours: str, theirs: str, so: str) -> str:
    """Return what follows of a column that an export may do without, and how to add it.

    Parameters
    ----------
    ours
        The key under ``orders.columns``.
    theirs
        The export's usual heading of it.
    so
        What follows.
    """
    return f"{theirs} is missing: {so}. Export it too, or set orders.columns.{ours}"


def columns_of_people(
    available: Iterable[str], headings: Iterable[str], mapped: Mapping[str, str]
) -> set[str]:
    """Return which columns of a file of rejected rows hold customers' ids, e-mails and phone numbers.

    Parameters
    ----------
    available
        The file's columns.
    headings
        Those that a preset reads as such, in any case and punctuation.
    mapped
        ``{ours: theirs}`` of the settings.
    """
    ours = [mapped.get(name, name) for name in ("customer_id", "email", "phone")]
    wanted = {plain_heading(name) for name in (*headings, *ours)}
    return {name for name in available if plain_heading(name.removeprefix("raw.")) in wanted}
