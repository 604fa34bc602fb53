"""The filters of Klaviyo's API: ``equals(metric_id,"X"),greater-or-equal(datetime,2026-11-01)``."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

SYNTAX = "Invalid filter provided. Verify your parentheses match."
FIELD = "Filter is not valid for this field."
RANGE = ("greater-or-equal", "greater-than", "less-or-equal", "less-than")
CALL = re.compile(r"([a-z-]+)\(")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'')
LIST = re.compile(r"\[[^\]]*\]")
BARE = re.compile(r"[^,()\[\]'\"\s]+")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


class FilterError(ValueError):
    """A filter that Klaviyo refuses, with its detail."""


@dataclass(frozen=True)
class Literal:
    """A literal as it is written: in quotes, as a list of strings, or bare."""

    text: str | tuple[str, ...]
    is_quoted: bool


@dataclass(frozen=True)
class Condition:
    """An operator, a field and a value of the field's kind."""

    operator: str
    name: str
    value: str | tuple[str, ...] | float | datetime | None


@dataclass(frozen=True)
class Kind:
    """How a field may be filtered: ``string``, ``strings``, ``datetime``, ``number`` or ``none``."""

    operators: tuple[str, ...]
    value: str


EVENTS = {
    "metric_id": Kind(("equals",), "strings"),
    "profile_id": Kind(("equals",), "string"),
    "profile": Kind(("has",), "none"),
    "metric": Kind(("has",), "none"),
    "datetime": Kind(RANGE, "datetime"),
    "timestamp": Kind(RANGE, "number"),
}
METRICS = {
    "integration.name": Kind(("equals",), "string"),
    "integration.category": Kind(("equals",), "string"),
}
AGGREGATES = {"datetime": Kind(("greater-or-equal", "less-than"), "datetime")}


def parse_filter(text: str, kinds: Mapping[str, Kind], zone: tzinfo = UTC) -> list[Condition]:
    """Return the conditions of a filter, all of which must hold.

    Parameters
    ----------
    text
        As in the query, decoded.
    kinds
        The fields that may be filtered by.
    zone
        Of datetimes without one.

    Raises
    ------
    FilterError
        Klaviyo would answer 400.
    """
    conditions, end = _parse_all(text, 0, kinds, zone)
    if end != len(text):
        raise FilterError(SYNTAX)
    return conditions


def _parse_all(
    text: str, start: int, kinds: Mapping[str, Kind], zone: tzinfo
) -> tuple[list[Condition], int]:
    conditions: list[Condition] = []
    while True:
        more, start = _parse_one(text, start, kinds, zone)
        conditions += more
        if text[start : start + 1] != ",":
            return conditions, start
        start += 1


def _parse_one(
    text: str, start: int, kinds: Mapping[str, Kind], zone: tzinfo
) -> tuple[list[Condition], int]:
    call = CALL.match(text, start)
    if call is None:
        raise FilterError(SYNTAX)
    if call[1] == "and":
        conditions, end = _parse_all(text, call.end(), kinds, zone)
    else:
        name, literal, end = _parse_arguments(text, call.end())
        conditions = [_condition(call[1], name, literal, kinds.get(name), zone)]
    if text[end : end + 1] != ")":
        raise FilterError(SYNTAX)
    return conditions, end + 1


def _parse_arguments(text: str, start: int) -> tuple[str, Literal | None, int]:
    name = BARE.match(text, start)
    if name is None:
        raise FilterError(SYNTAX)
    if text[name.end() : name.end() + 1] != ",":
        return name[0], None, name.end()
    start = name.end() + 1
    if (string := STRING.match(text, start)) is not None:
        return name[0], Literal(string[1] or string[2] or "", is_quoted=True), string.end()
    if (several := LIST.match(text, start)) is not None:
        return name[0], _list(several[0]), several.end()
    bare = BARE.match(text, start)
    if bare is None:
        raise FilterError(SYNTAX)
    return name[0], Literal(bare[0], is_quoted=False), bare.end()


def _list(text: str) -> Literal:
    try:
        values = json.loads(text.replace("'", '"'))
    except ValueError:
        raise FilterError(SYNTAX) from None
    if not values or not all(isinstance(value, str) for value in values):
        raise FilterError(FIELD)
    return Literal(tuple(values), is_quoted=True)


def _condition(
    operator: str, name: str, literal: Literal | None, kind: Kind | None, zone: tzinfo
) -> Condition:
    if kind is None or operator not in kind.operators:
        raise FilterError(FIELD)
    if kind.value == "none" and literal is None:
        return Condition(operator, name, None)
    if kind.value == "none" or literal is None:
        raise FilterError(FIELD)
    return Condition(operator, name, _value(literal, kind.value, zone))


def _value(literal: Literal, kind: str, zone: tzinfo) -> str | tuple[str, ...] | float | datetime:
    text = literal.text
    if kind in {"string", "strings"}:
        if not literal.is_quoted or (kind == "string" and not isinstance(text, str)):
            raise FilterError(FIELD)
        return text
    pattern = MOMENT if kind == "datetime" else NUMBER
    if literal.is_quoted or not isinstance(text, str) or pattern.fullmatch(text) is None:
        raise FilterError(FIELD)  # datetimes and numbers stand without quotes
    if kind == "number":
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise FilterError(FIELD) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def moment_of(value: object) -> datetime:
    """Return the moment of a condition on ``datetime`` or ``timestamp``."""
    return value if isinstance(value, datetime) else datetime.fromtimestamp(float(str(value)), UTC)
