"""Headings of exports: the same in any case, with any spaces and punctuation."""

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches

Headings = Mapping[str, tuple[str, ...]]  # ours: theirs, in every wording of theirs


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
