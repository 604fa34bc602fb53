"""What is said of a customer in Klaviyo: properties in Title Case, of types that never change, never null."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from connectors.klaviyo.printable import printable
from features.tables import Scores

Kind = Literal["text", "number", "percent", "date", "flag"]

HOLDOUT, SCORED_AT = "Holdout", "Scored At"
ALWAYS = {HOLDOUT: "is_holdout", SCORED_AT: "as_of"}
NO_TEXT, NO_NUMBER, NO_DATE, HELD_OUT = "Not scored", -1, "2100-01-01 12:00:00", "Held out"
AMOUNT_DIGITS = 2
PERCENT = ("p_alive", "p_order_90d", "churn_probability", "p_second_order")
PRIVATE = ("customer_id", "run_id", "is_holdout", "as_of")
HASH_ROWS = 100_000


@dataclass(frozen=True)
class Property:
    """A property of a profile.

    Attributes
    ----------
    name
        As marketers see it.
    column
        Of the scores.
    """

    name: str
    column: str

    @property
    def kind(self) -> Kind:
        """Type in Klaviyo; it follows from the column, so that it never changes."""
        if self.column in PERCENT:
            return "percent"
        kinds: dict[str, Kind] = {"string": "text", "boolean": "flag", "date": "date"}
        return kinds.get(Scores.schema()[self.column], "number")

    @property
    def is_told_of_held_out(self) -> bool:
        """Whether it is said of the held-out too: that they are, and since when that is known."""
        return self.column in ALWAYS.values()


def list_properties(prefix: str, mapping: Mapping[str, str]) -> tuple[Property, ...]:
    """Return the properties of a mapping, name to column, with those that are always there."""
    given = {**mapping, **ALWAYS}
    return tuple(Property(f"{prefix} {name}".strip(), column) for name, column in given.items())


def columns_needed(properties: Sequence[Property]) -> list[str]:
    """Return the columns of the scores that a sync reads."""
    needed = ["customer_id", "segment", "is_holdout", "as_of", "last_order_date"]
    return list(dict.fromkeys([*needed, *(one.column for one in properties)]))


def property_table(scores: pd.DataFrame, properties: Sequence[Property]) -> pd.DataFrame:
    """Return the properties of customers, a column each.

    Parameters
    ----------
    scores
        Table :class:`features.tables.Scores`, its columns of :func:`columns_needed`.
    properties
        From :func:`list_properties`.

    Returns
    -------
    DataFrame
        Texts, whole numbers, numbers, flags, and dates as texts at noon; no nulls. Of a held-out
        customer nothing is said but that they are.
    """
    held = scores["is_holdout"].to_numpy(bool)
    return pd.DataFrame(
        {one.name: _values(scores[one.column], one, held) for one in properties},
        index=scores.index,
    )


def _values(column: pd.Series, one: Property, held: Any) -> Any:  # noqa: ANN401  # arrays
    if one.kind == "flag":
        return column.to_numpy(bool)
    hidden = held & (not one.is_told_of_held_out)
    if one.kind == "text":
        codes, names = pd.factorize(column)
        words = [printable(str(name).replace("_", " ")) for name in names]
        texts = np.array([*words, HELD_OUT, NO_TEXT], dtype=object)  # -1, none, is the last
        return texts[np.where(hidden, len(words), codes)]
    if one.kind == "date":
        codes, days = pd.factorize(column)
        texts = np.array([*(f"{_iso(day)} 12:00:00" for day in days), NO_DATE], dtype=object)
        return texts[np.where(hidden, -1, codes)]
    digits = 0 if _is_whole(one) else AMOUNT_DIGITS
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.round(numbers * 100 if one.kind == "percent" else numbers, digits)
    numbers = np.where(hidden | ~np.isfinite(numbers), NO_NUMBER, numbers) + 0.0
    return numbers.astype(np.int64) if digits == 0 else numbers


def _is_whole(one: Property) -> bool:
    return one.kind == "percent" or Scores.schema()[one.column] == "int64"


def _iso(day: Any) -> str:  # noqa: ANN401  # a date or a timestamp
    return date(day.year, day.month, day.day).isoformat()


def row_hashes(
    key: pd.Series, scores: pd.DataFrame, properties: Sequence[Property]
) -> NDArray[np.int64]:
    """Hash what is said of each customer, and whom it is said of; when it was scored does not count.

    Parameters
    ----------
    key
        What names each customer in Klaviyo.
    scores, properties
        As :func:`property_table` has them.
    """
    salt = blake2b(json.dumps([one.name for one in properties]).encode()).digest()
    lasting = [one for one in properties if one.column != ALWAYS[SCORED_AT]]
    hashes = np.empty(len(scores), dtype=np.int64)
    for start in range(0, len(scores), HASH_ROWS):
        part = slice(start, start + HASH_ROWS)
        table = property_table(scores.iloc[part], lasting)
        texts = [_text(column) for column in (key.iloc[part], *(table[n] for n in table.columns))]
        rows = pc.binary_join_element_wise(*texts, "\x1f", null_handling="replace").to_pylist()
        digests = b"".join(blake2b(row.encode(), digest_size=8, key=salt).digest() for row in rows)
        hashes[part] = np.frombuffer(digests, dtype=np.int64)
    return np.where(hashes == 0, 1, hashes)  # no row's hash is IN_DOUBT


def _text(column: pd.Series) -> Any:  # noqa: ANN401  # Arrow has no types
    return pc.cast(pa.array(column, from_pandas=True), pa.string())


def to_plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain Python values, as a body takes them."""
    names = [str(name) for name in table.columns]
    columns = [table[name].tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
