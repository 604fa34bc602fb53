"""Which segments and lists are ours: noted by Klaviyo's id once it has confirmed that it made them.

A name proves nothing, since anybody may give it. Before something is created, the intent to do so is
on disk: where the answer is lost, the look-up is repeated for as long as it may lag, in the next sync
too, so that nothing is made twice.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.klaviyo.answers import Named
from connectors.klaviyo.api import DAILY_SEGMENTS
from connectors.klaviyo.clock import Clock
from connectors.klaviyo.errors import (
    BusyError,
    KeyRefusedError,
    LostAnswerError,
    RequestRefusedError,
    UnavailableError,
    readable,
)
from connectors.store import replace_file

LONGEST_LAG = timedelta(minutes=3)  # from a creation until a look-up shows it
CLOCKS_DIFFER = timedelta(minutes=10)  # this machine's and Klaviyo's, at most
SLOWEST_LOOK_SECONDS = 15.0
MOST_LOST = 3  # creations in one sync that get no answer
BROKEN = (
    "Remove it and sync again: segments are recognized by their definitions, lists are not; rename "
    "those in Klaviyo, and new ones are made"
)


class ForeignError(Exception):
    """Something of the name is there that Perennial did not make."""


@dataclass(frozen=True)
class Made:
    """What Klaviyo confirmed.

    Attributes
    ----------
    id
        Klaviyo's.
    digest
        Of the definition that it was last given; empty for lists.
    at
        Moment of the note, ISO 8601.
    """

    id: str
    digest: str = ""
    at: str = ""


@dataclass(frozen=True)
class Intent:
    """A creation whose answer is not in.

    Attributes
    ----------
    first, last
        Moments of the first and of the last try, ISO 8601.
    definition
        Of a segment.
    """

    first: str
    last: str
    definition: dict[str, Any] | None = None

    def covers(self, created: datetime) -> bool:
        """Tell whether something that Klaviyo made at a moment may have come of a try."""
        at = created if created.tzinfo else created.replace(tzinfo=UTC)
        first, last = datetime.fromisoformat(self.first), datetime.fromisoformat(self.last)
        return first - CLOCKS_DIFFER <= at <= last + CLOCKS_DIFFER


class OwnershipRegistry:
    """Which segments or lists Perennial made, what it is making, and its use of the day's quota.

    Parameters
    ----------
    path
        JSON file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with readable(path, BROKEN):
            record: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
            rows = record.get("made", {}).items()
            # Notes of earlier versions lack the id, so they prove nothing.
            self.made = {name: Made(**row) for name, row in rows if isinstance(row, dict)}
            self.intents = {name: Intent(**row) for name, row in record.get("intents", {}).items()}
            self._day: str = record.get("day", "")
            self._used: dict[str, int] = record.get("used", {})

    def has_room(self, what: str, now: datetime) -> bool:
        """Tell whether the day's quota allows one more."""
        if self._day != now.date().isoformat():
            self._day, self._used = now.date().isoformat(), {}
        return self._used.get(what, 0) < DAILY_SEGMENTS

    def note(self, name: str, made: Made, what: str = "") -> None:
        """Keep what Klaviyo confirmed; `what` counts against the quota."""
        self.made[name] = made
        self.intents.pop(name, None)
        self._count(what)

    def intend(self, name: str, now: datetime, definition: dict[str, Any] | None = None) -> None:
        """Keep that something is being made, before it is asked for."""
        moment = now.isoformat()
        before = self.intents.get(name, Intent(moment, moment))
        self.intents[name] = replace(before, last=moment, definition=definition)
        self._count("")

    def give_up(self, name: str) -> None:
        """Keep that something was not made."""
        if self.intents.pop(name, None) is not None:
            self._count("")

    def seconds_in_doubt(self, name: str, now: datetime) -> float:
        """Return for how long a look-up may still not show what was made."""
        attempts = [row.last for row in [self.intents.get(name)] if row is not None]
        attempts += [row.at for row in [self.made.get(name)] if row is not None and row.at]
        if not attempts:
            return 0.0
        last = max(datetime.fromisoformat(moment) for moment in attempts)
        return min(LONGEST_LAG - (now - last), LONGEST_LAG).total_seconds()

    def _count(self, what: str) -> None:
        if what:
            self._used[what] = self._used.get(what, 0) + 1
        record = {
            "made": {name: asdict(row) for name, row in self.made.items()},
            "intents": {name: asdict(row) for name, row in self.intents.items()},
            "day": self._day,
            "used": self._used,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, lambda draft: draft.write_text(json.dumps(record)))


@dataclass(frozen=True)
class NamedResources:
    """Resources that are found by name: Klaviyo's segments, or its lists.

    Attributes
    ----------
    find
        Returns what has exactly a name.
    is_ours
        Tells whether something that is not noted came of us; of an open intent, if there is one.
    """

    find: Callable[[str], list[Named]]
    is_ours: Callable[[Named, Intent | None], bool]


def find_ours(
    name: str, resources: NamedResources, clock: Clock, registry: OwnershipRegistry
) -> Named | None:
    """Return what is ours of a name; None where there is nothing of the name.

    Raises
    ------
    ForeignError
        Something of the name is there, and none of it is ours.
    """
    pause = 1.0
    while True:
        there = resources.find(name)
        made, intent = registry.made.get(name), registry.intents.get(name)
        noted = [one for one in there if made is not None and one.id == made.id]
        ours = noted or [one for one in there if resources.is_ours(one, intent)]
        if ours:
            return ours[0]
        left = registry.seconds_in_doubt(name, clock.now())
        if left <= 0:
            break
        clock.sleep(min(pause, left))
        pause = min(pause * 2, SLOWEST_LOOK_SECONDS)
    if there:
        registry.give_up(name)
        raise ForeignError(name)
    return None


def make(
    name: str,
    create: Callable[[], str],
    resources: NamedResources,
    clock: Clock,
    registry: OwnershipRegistry,
    *,
    definition: dict[str, Any] | None = None,
) -> str:
    """Create something once, whatever happens to the answer; return its id.

    Parameters
    ----------
    name
        Of what is not there.
    create
        Asks Klaviyo, once, and returns the id.
    resources, clock, registry
        Where it is looked for, and how the wait and the intent are kept.
    definition
        Of a segment.

    Raises
    ------
    ForeignError
        Somebody else made one of the name meanwhile.
    RequestRefusedError
        Klaviyo did not make it, so it is not ours.
    KeyRefusedError
        The key lacks a scope; nothing was made.
    BusyError
        The quota is used up; nothing was made.
    UnavailableError
        No answer, several times. The next sync looks for it first.
    """
    for _ in range(MOST_LOST):
        registry.intend(name, clock.now(), definition)
        try:
            return create()
        except (RequestRefusedError, KeyRefusedError, BusyError):
            registry.give_up(name)
            raise
        except LostAnswerError:
            registry.intend(name, clock.now(), definition)
            existing = find_ours(name, resources, clock, registry)
            if existing is not None:
                return existing.id
    raise UnavailableError(
        f"Klaviyo did not answer {MOST_LOST} requests to create {name!r}, and no look-up shows it. Sync again "
        "later: it is looked for first"
    )
