"""Segments in Klaviyo, from definitions in the settings: found by name, changed only when the definition is."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.klaviyo.api import DAILY_SEGMENTS
from connectors.klaviyo.client import Klaviyo
from connectors.klaviyo.clock import Clock
from connectors.klaviyo.conditions import (
    ConditionGroup,
    ConsentCondition,
    DateNear,
    FlagIs,
    NumberIs,
    PropertyCondition,
    Segment,
    SegmentAttributes,
    SegmentBody,
    SegmentDefinition,
    TextIn,
    TextIs,
)
from connectors.klaviyo.errors import BusyError
from connectors.klaviyo.properties import HOLDOUT, SCORED_AT, Property
from connectors.store import replace_file

Filter = TextIs | TextIn | NumberIs | FlagIs | DateNear
Wanted = str | bool | int | float | Sequence[str] | Mapping[str, float]
COMPARED = {
    "above": "greater-than",
    "at_least": "greater-than-or-equal",
    "below": "less-than",
    "at_most": "less-than-or-equal",
}
NEAR = {"in_last_days": "in-the-last", "in_next_days": "in-the-next"}


@dataclass(frozen=True)
class SegmentCounts:
    """What was done to segments.

    Attributes
    ----------
    created, updated, unchanged
        By name.
    postponed
        Names beyond the day's quota, as this sync counts it or as Klaviyo does.
    foreign
        Names that somebody else's segments have; these are left alone.
    """

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    postponed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def define(
    prefix: str,
    conditions: Mapping[str, Wanted],
    properties: Sequence[Property],
    fresh_days: int,
) -> SegmentDefinition:
    """Return a segment's definition: all conditions, and the three guards.

    The guards: scored in the last days, not held out, and may be written to.

    Parameters
    ----------
    prefix
        Of the properties' names.
    conditions
        What each property, named without the prefix, must be.
    properties
        Those that are sent.
    fresh_days
        Scores older than that count for nothing.

    Raises
    ------
    ValueError
        A condition names no property, or asks of it what its type cannot answer.
    """
    known = {one.name: one for one in properties}
    asked = []
    for name, wanted in conditions.items():
        full = f"{prefix} {name}".strip()
        if full not in known:
            raise ValueError(f"a segment asks of properties that are sent: {name!r} is none")
        asked.append(_condition(full, _filter(known[full], wanted)))
    guards = [
        _condition(f"{prefix} {HOLDOUT}".strip(), FlagIs(value=False)),
        _condition(
            f"{prefix} {SCORED_AT}".strip(),
            DateNear(operator="in-the-last", quantity=fresh_days),
        ),
        ConsentCondition(),
    ]
    groups = tuple(ConditionGroup(conditions=(one,)) for one in [*asked, *guards])
    return SegmentDefinition(condition_groups=groups)


def _condition(name: str, asked: Filter) -> PropertyCondition:
    return PropertyCondition(property=f"properties['{name}']", filter=asked)


def _filter(one: Property, wanted: Wanted) -> Filter:
    """Return what is asked of a property, by its type."""
    wrong = ValueError(f"{one.name!r} is a {one.kind}: {wanted!r} cannot be asked of it")
    is_number = isinstance(wanted, int | float) and not isinstance(wanted, bool)
    if one.kind == "text" and isinstance(wanted, str):
        return TextIs(value=wanted)
    if one.kind == "text" and isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return TextIn(value=tuple(wanted))
    if one.kind == "flag" and isinstance(wanted, bool):
        return FlagIs(value=wanted)
    if one.kind in ("number", "percent") and is_number:
        return NumberIs(operator="equals", value=float(wanted))  # type: ignore[arg-type]
    if not isinstance(wanted, Mapping) or len(wanted) != 1:
        raise wrong
    ((word, value),) = wanted.items()
    if one.kind in ("number", "percent") and word in COMPARED:
        return NumberIs.model_validate({"operator": COMPARED[word], "value": float(value)})
    if one.kind == "date" and word in NEAR:
        return DateNear.model_validate({"operator": NEAR[word], "quantity": int(value)})
    raise wrong


class Book:
    """Which segments or lists Perennial made, and how much of the day's quota it used.

    Parameters
    ----------
    path
        JSON file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        said: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self.made: dict[str, str] = said.get("made", {})
        self._day: str = said.get("day", "")
        self._used: dict[str, int] = said.get("used", {})

    def has_room(self, what: str, now: datetime) -> bool:
        """Tell whether the day's quota allows one more."""
        if self._day != now.date().isoformat():
            self._day, self._used = now.date().isoformat(), {}
        return self._used.get(what, 0) < DAILY_SEGMENTS

    def note(self, name: str, digest: str, what: str = "") -> None:
        """Keep what is ours, before it is sent; `what` counts against the quota."""
        self.made[name] = digest
        if what:
            self._used[what] = self._used.get(what, 0) + 1
        said = {"made": self.made, "day": self._day, "used": self._used}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, lambda draft: draft.write_text(json.dumps(said)))


def keep_segments(
    definitions: Mapping[str, SegmentDefinition], klaviyo: Klaviyo, clock: Clock, book: Book
) -> SegmentCounts:
    """Create what is missing and change what is defined otherwise; never touch another's.

    Parameters
    ----------
    definitions
        By exact name.
    klaviyo, clock
        The account, and the day of the quota.
    book
        Which segments are ours.
    """
    done: dict[str, list[str]] = {name: [] for name in SegmentCounts.__dataclass_fields__}
    for name, definition in definitions.items():
        found = klaviyo.segment(name)
        digest = hashlib.sha256(definition.to_json()).hexdigest()
        if found is not None and name not in book.made:
            if found.definition != json.loads(definition.to_json()):
                done["foreign"].append(name)
                continue
            book.note(name, digest)
        body = SegmentBody(
            data=Segment(
                id=None if found is None else found.id,
                attributes=SegmentAttributes(name=name, definition=definition),
            )
        )
        if found is not None and book.made[name] == digest:
            done["unchanged"].append(name)
            continue
        what = "created" if found is None else "updated"
        if not book.has_room(what, clock.now()):
            done["postponed"].append(name)
            continue
        try:
            if found is None:
                book.note(
                    name, digest, what
                )  # a killed run finds the name and knows it for its own
                klaviyo.create_segment(name, body)
            else:
                klaviyo.update_segment(found.id, body)
                book.note(name, digest, what)
        except BusyError:
            what = "postponed"
        done[what].append(name)
    return SegmentCounts(**{name: tuple(names) for name, names in done.items()})
