"""Headings of exports: the same in any case, with any spaces and punctuation."""

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches

import ibis
import ibis.expr.types as ir

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
    found = {}
    for ours, wordings in headings.items():
        wanted = (mapping[ours],) if mapping and ours in mapping else wordings
        named = [there[plain_heading(one)] for one in wanted if plain_heading(one) in there]
        if named:
            found[ours] = named[0]
    return found


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
    close = get_close_matches(theirs, available, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
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
