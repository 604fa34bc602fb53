"""Records of JSON files as text columns: a column's type never depends on the values in a file."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.engine.encodings import TextForm, read_text
from connectors.engine.files import FILE_COLUMN, SourceError, unique_names

WRAPPERS = ("orders", "data", "items", "results", "records")
IDENTIFYING = re.compile(  # keys of an order, not of a page of orders
    r"(?i:(?:.*[ _])?(?:id|number|name|e?mail|date|created|customer))|.*_(?:at|on)|.*(?:Id|At)"
)
BATCH_RECORDS = 5_000  # in memory at once
LEVELS = 3  # of objects in objects that become columns, such as totalSet.shopMoney.amount
MOST_KEYS = 100  # an object with more is a map, whose keys are no columns
NEAR = 64  # an error so near to the end of what was read may be a value that goes on
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
WHITE = re.compile(r"[ \t\n\r]*")

Record = dict[str, Any]


class Number(float):
    """A decimal number that keeps its digits as written."""

    digits: str

    def __new__(cls, digits: str) -> "Number":
        """Read the digits."""
        number = super().__new__(cls, digits)
        number.digits = digits
        return number


class Document:
    """A JSON text that is decoded record by record: an array, lines, or an object around an array.

    Parameters
    ----------
    file
        The file that messages name.
    parts
        Its text.
    """

    def __init__(self, file: Path, parts: Iterable[str]) -> None:
        self._file = file
        self._parts = iter(parts)
        self._decoder = json.JSONDecoder(parse_float=Number, parse_constant=str)
        self._text, self._at = "", 0
        self._line, self._column = 1, 1  # of the text's first character

    def records(self) -> Iterator[Record]:
        """Yield each record.

        Raises
        ------
        SourceError
            The text is no JSON, or a record is no object.
        """
        while start := self._next_character():
            values = self._elements() if start == "[" else unwrapped(self._value())
            for value in values:
                for record in value if isinstance(value, list) else [value]:
                    if not isinstance(record, dict):
                        raise self._refusal("A record is not an object", self._at)
                    yield record

    def _elements(self) -> Iterator[Any]:
        """Yield the elements of an array."""
        self._at += 1
        if self._next_character() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            after = self._next_character()
            if after not in {",", "]"}:
                raise self._refusal("Expecting ',' delimiter or ']'", self._at)
            self._at += 1
            if after == "]":
                return
            self._next_character()

    def _value(self) -> Any:  # noqa: ANN401  # any JSON value
        while True:
            try:
                value, self._at = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                goes_on = error.pos > len(self._text) - NEAR or "Unterminated" in error.msg
                if not (goes_on and self._read_on()):
                    raise self._refusal(error.msg, error.pos) from error
            except (RecursionError, ValueError) as error:
                raise self._refusal(str(error), self._at) from error
            else:
                return value

    def _next_character(self) -> str:
        """Skip white space; return the next character, or nothing at the end."""
        while True:
            self._at = WHITE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it may be empty
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def _read_on(self) -> bool:
        """Read at least as much again as is left, so that a long value is decoded a few times only."""
        passed, left = self._text[: self._at], self._text[self._at :]
        parts, length = [left], 0
        for part in self._parts:
            parts.append(part)
            length += len(part)
            if length >= len(left):
                break
        if length:
            self._line, self._column = self._place(len(passed))
            self._text, self._at = "".join(parts), 0
        return length > 0

    def _place(self, position: int) -> tuple[int, int]:
        breaks = self._text.count("\n", 0, position)
        start = self._text.rfind("\n", 0, position) + 1
        return self._line + breaks, position - start + (1 if breaks else self._column)

    def _refusal(self, problem: str, position: int) -> SourceError:
        line, column = self._place(position)
        return SourceError(
            f"orders.source: {self._file} is not valid JSON at line {line:,}, character {column:,}: {problem}. "
            "Export it again"
        )


def unwrapped(value: Any) -> list[Any]:  # noqa: ANN401  # any JSON value
    """Return the records inside an object such as ``{"orders": [...], "page": 1}``, else the value itself."""
    inner = value
    while isinstance(inner, dict) and not any(map(IDENTIFYING.fullmatch, inner)):
        wrapper = next((inner[n] for n in WRAPPERS if isinstance(inner.get(n), list | dict)), None)
        if isinstance(wrapper, list) and all(isinstance(record, dict) for record in wrapper):
            return wrapper
        inner = wrapper
    return [value]


def write_records(
    records: Iterable[Record],
    file: Path,
    nested: Mapping[str, str],
    names: dict[str, str],
    parts: Iterator[Path],
) -> list[Path]:
    """Write records as Parquet files whose columns are texts; return the files.

    An object is a column of JSON, and a column ``key.inner`` for each of its keys; a list is a column
    of JSON.

    Parameters
    ----------
    records
        What :meth:`Document.records` yields.
    file
        The source's file.
    nested
        Ibis types of keys that stay nested, with texts inside.
    names
        Column names by their lower case, those of earlier files included; it is added to.
    parts
        Paths to write to.
    """
    kinds = {key.lower(): ibis.dtype(kind) for key, kind in nested.items()}
    written, rest = [], iter(records)
    while batch := list(islice(rest, BATCH_RECORDS)):
        flat = [_flat(record) for record in batch]
        layouts = {keys: _columns(keys, names) for keys in dict.fromkeys(map(tuple, flat))}
        rows = [dict(zip(layouts[tuple(one)], one.values(), strict=True)) for one in flat]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        arrays = {
            name: _array([row.get(name) for row in rows], kinds.get(name.lower()))
            for name in columns
        }
        path = next(parts)
        pq.write_table(pa.table(arrays | {FILE_COLUMN: [str(file)] * len(rows)}), path)
        written.append(path)
    return written


def read_records(file: Path, form: TextForm) -> Iterator[Record]:
    """Yield the records of a JSON file."""
    return Document(file, read_text(file, form)).records()


def _flat(record: Record, levels: int = LEVELS) -> Record:
    """Return a record's values and those of the objects in it; a key of the record's own goes first."""
    flat = dict(record)
    for key, value in record.items():
        if levels and isinstance(value, dict) and len(value) <= MOST_KEYS:
            for inner, one in _flat(value, levels - 1).items():
                flat.setdefault(f"{key}.{inner}", one)
    return flat


def _columns(keys: tuple[str, ...], names: dict[str, str]) -> list[str]:
    """Return the column name of each key of a record."""
    own = unique_names([FILE_COLUMN, *keys])[1:]
    return [names.setdefault(name.lower(), name) for name in own]


def _array(values: list[Any], kind: dt.DataType | None) -> pa.Array:
    wanted = kind or dt.string
    shaped = [_shaped(value, wanted) for value in values]
    arrow = pa.schema(ibis.schema({"value": wanted}).to_pyarrow()).field(0).type
    try:
        return pa.array(shaped, arrow)
    except UnicodeEncodeError:  # half a surrogate pair
        return pa.array(_encodable(shaped), arrow)


def _shaped(value: Any, kind: dt.DataType) -> Any:  # noqa: ANN401  # any JSON value
    """Return a value in a nested type; null where it has another shape."""
    if isinstance(kind, dt.Array):
        if isinstance(value, dict):  # as PHP writes a list with gaps
            value = list(value.values())
        if not isinstance(value, list):
            return None
        shaped = (_shaped(one, kind.value_type) for one in value)
        return [one for one in shaped if one is not None]
    if isinstance(kind, dt.Struct):
        if not isinstance(value, dict):
            return None
        return {name: _shaped(value.get(name), inner) for name, inner in kind.items()}
    return _text(value)


def _text(value: Any) -> str | None:  # noqa: ANN401  # any JSON value
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Number):
        return value.digits
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return ENCODER.encode(value)


def _encodable(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(one) for one in value]
    if isinstance(value, dict):
        return {key: _encodable(one) for key, one in value.items()}
    return value
