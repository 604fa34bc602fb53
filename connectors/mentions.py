"""Which rows of a table name a person: by id, e-mail or phone number."""

import re
from collections.abc import Callable, Collection, Iterable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.csv import unmarked

IsNamed = Callable[[str], bool]
EMAIL = re.compile(r"[^\s<>,;:\"(){}\[\]|=/\\]+@[^\s<>,;:\"(){}\[\]|=/\\]+")
PHONE = re.compile(r"^[+(]?[0-9][0-9 ()./\-\u00a0]{5,}[0-9]$")
DATE = re.compile(r"^\d{4}-\d{2}-\d{2}")
LINE = "error_message"  # of rejected lines
DIGITS = (7, 15)  # of a phone number
# Columns of the files that Perennial writes itself.
OURS = frozenset((
    "customer_id", "email", "phone", "phone_number", "external_id", "key",
    "External ID", "Email", "Phone Number",
))  # fmt: skip


def plain(name: str) -> str:
    """Return a name as names are compared: an e-mail is the same in any case, an id is not."""
    trimmed = name.strip()
    return trimmed.lower() if "@" in trimmed else trimmed


def phone_form(text: str) -> str | None:
    """Return a phone number as the orders have it, its digits after a plus where it has one; None = it is none."""
    text = text.strip()
    if not PHONE.match(text) or DATE.match(text):
        return None
    given = re.sub(r"^00", "+", text)
    digits = re.sub(r"[^0-9]", "", re.sub(r"^(\+[0-9 ]{1,4})\(0\)", r"\1", given))
    if not DIGITS[0] <= len(digits) <= DIGITS[1]:
        return None
    return ("+" if given.startswith("+") else "") + digits


def forms(name: str) -> set[str]:
    """Return every form in which a name may stand in a cell."""
    phone = phone_form(name)
    return {plain(name), *([phone] if phone else [])}


def mentions(
    rows: pd.DataFrame, columns: Collection[str], is_named: IsNamed, *, anywhere: bool = False
) -> NDArray[np.bool_]:
    """Tell which rows name a person.

    Parameters
    ----------
    rows
        Any table.
    columns
        Its columns that hold ids, e-mails and phone numbers of customers.
    is_named
        Whether a name, as :func:`plain` returns it, is one of theirs.
    anywhere
        Whether an e-mail or a phone number counts in any other column too, also within a text. An id
        does not: 17 may be a quantity.

    Returns
    -------
    array
        Shape (rows,).
    """
    named = np.zeros(len(rows), dtype=bool)
    for place, name in enumerate(rows.columns):
        of_people = name in columns
        if not of_people and not anywhere:
            continue
        texts = rows.iloc[:, place].astype("string")
        cells = texts.dropna().unique()
        read = _names_of_line if name == LINE else partial(_names_in, of_people=of_people)
        those = [cell for cell in cells if any(map(is_named, read(cell)))]
        if those:
            named |= texts.isin(those).fillna(False).to_numpy(dtype=bool)
    return named


def one_of(names: Iterable[str]) -> IsNamed:
    """Return whether a name is one of some names, in any form of theirs."""
    wanted = {form for name in names for form in forms(name)}
    return lambda name: name in wanted


def matches(column: pd.Series, names: Iterable[str]) -> "pd.Series[bool]":
    """Tell which texts are one of some names."""
    wanted, texts = {plain(name) for name in names}, column.astype("str").str.strip()
    return texts.where(~texts.str.contains("@", na=False), texts.str.lower()).isin(wanted)


def _names_of_line(text: str) -> set[str]:
    """Return the names that a line of a file may hold, which came to no row."""
    cells = re.split(r"[,;|\t\r\n\"]", text)
    return set().union(*(_names_in(cell, of_people=True) for cell in cells if cell.strip()))


def _names_in(cell: str, *, of_people: bool) -> set[str]:
    """Return the names that a cell may hold."""
    text = unmarked(cell).strip()
    names = {plain(one.strip("'.")) for one in EMAIL.findall(text)}
    names |= {plain(one) for one in EMAIL.findall(text)}
    phone = phone_form(text)
    names |= {phone} if phone else set()
    return names | {plain(text)} if of_people else names
