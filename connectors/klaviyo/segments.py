"""Segments in Klaviyo, from definitions in the settings: noted by id, changed only when the definition is."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.klaviyo.answers import Named
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
from connectors.klaviyo.ownership import (
    ForeignError,
    Intent,
    Made,
    NamedResources,
    OwnershipRegistry,
    find_ours,
    make,
)
from connectors.klaviyo.properties import HOLDOUT, SCORED_AT, Property

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
    by_name = {one.name: one for one in properties}
    asked = []
    for name, wanted in conditions.items():
        full = f"{prefix} {name}".strip()
        if full not in by_name:
            raise ValueError(f"a segment asks of properties that are sent: {name!r} is none")
        asked.append(_condition(full, _filter(by_name[full], wanted)))
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


def save_segments(
    definitions: Mapping[str, SegmentDefinition],
    klaviyo: Klaviyo,
    clock: Clock,
    registry: OwnershipRegistry,
) -> SegmentCounts:
    """Create what is missing and change what is defined otherwise; never touch another's.

    Parameters
    ----------
    definitions
        By exact name.
    klaviyo, clock
        The account, and the day of the quota.
    registry
        Which segments are ours.
    """
    done: dict[str, list[str]] = {name: [] for name in SegmentCounts.__dataclass_fields__}
    for name, definition in definitions.items():
        done[_keep(name, definition, klaviyo, clock, registry)].append(name)
    return SegmentCounts(**{name: tuple(names) for name, names in done.items()})


def _keep(
    name: str,
    definition: SegmentDefinition,
    klaviyo: Klaviyo,
    clock: Clock,
    registry: OwnershipRegistry,
) -> str:
    """Create or change one segment; return what was done, a name of :class:`SegmentCounts`."""
    wanted: dict[str, Any] = json.loads(definition.to_json())
    resources = NamedResources(
        klaviyo.segments_named, lambda one, intent: _is_ours(one.definition, wanted, intent)
    )
    attributes = SegmentAttributes(name=name, definition=definition)

    def create() -> str:
        return klaviyo.create_segment(SegmentBody(data=Segment(attributes=attributes)))

    try:
        ours = find_ours(name, resources, clock, registry)
        if ours is not None and _digest_of(ours, wanted, name, registry) == digest(wanted):
            return "unchanged"
        done = "created" if ours is None else "updated"
        if not registry.has_room(done, clock.now()):
            return "postponed"
        if ours is None:
            segment_id = make(name, create, resources, clock, registry, definition=wanted)
        else:
            segment_id = ours.id
            data = Segment(id=segment_id, attributes=attributes)
            klaviyo.update_segment(segment_id, SegmentBody(data=data))
    except ForeignError:
        return "foreign"
    except BusyError:
        return "postponed"
    registry.note(name, Made(segment_id, digest(wanted), clock.now().isoformat()), done)
    return done


def _is_ours(
    definition: dict[str, Any] | None, wanted: dict[str, Any], intent: Intent | None
) -> bool:
    """Tell whether a segment that is not noted is defined as ours, or as one that was being made."""
    asked = (
        [wanted] if intent is None or intent.definition is None else [wanted, intent.definition]
    )
    return definition is not None and any(is_same_definition(one, definition) for one in asked)


def _digest_of(
    existing: Named, wanted: dict[str, Any], name: str, registry: OwnershipRegistry
) -> str:
    """Return the digest of the definition that ours was last given; one that is not noted yet is noted."""
    made = registry.made.get(name)
    if made is not None and made.id == existing.id:
        return made.digest
    is_wanted = existing.definition is not None and is_same_definition(wanted, existing.definition)
    given = digest(wanted) if is_wanted else ""
    registry.note(name, Made(existing.id, given))
    return given


def digest(definition: dict[str, Any]) -> str:
    """Return a digest of a definition."""
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def is_same_definition(ours: Any, theirs: Any) -> bool:  # noqa: ANN401  # JSON values
    """Tell whether Klaviyo's form of a definition is one of ours.

    Klaviyo may order keys, groups, conditions and values otherwise, and add ids and defaults; what is
    added may be no list or object with something in it, since that could narrow the segment.

    Parameters
    ----------
    ours, theirs
        Definitions as JSON values.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        added = [value for name, value in theirs.items() if name not in ours]
        return all(
            name in theirs and is_same_definition(value, theirs[name])
            for name, value in ours.items()
        ) and not any(isinstance(value, dict | list) and value for value in added)
    if isinstance(ours, list) and isinstance(theirs, list):
        left = list(theirs)
        for one in ours:
            same = next(
                (i for i, other in enumerate(left) if is_same_definition(one, other)), None
            )
            if same is None:
                return False
            del left[same]
        return not left
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, str) and isinstance(theirs, str):
        return _unquoted(ours) == _unquoted(theirs)
    return bool(ours == theirs)


def _unquoted(text: str) -> str:
    """Return a reference to a property as it is compared, whatever its quotation marks."""
    place = re.fullmatch(r"""properties\[(["'])(.*)\1\]""", text)
    return text if place is None else f"properties[{place[2]}]"
