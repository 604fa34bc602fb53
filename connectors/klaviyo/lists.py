"""Lists whose members follow a property: people are put on and taken off, and no consent changes by it."""

from collections.abc import Callable
from dataclasses import dataclass

from connectors.klaviyo.answers import Named
from connectors.klaviyo.api import MOST_MEMBERS
from connectors.klaviyo.client import Klaviyo
from connectors.klaviyo.clock import Clock
from connectors.klaviyo.ownership import (
    ForeignError,
    Intent,
    Made,
    NamedResources,
    OwnershipRegistry,
    find_ours,
    make,
)
from connectors.klaviyo.payloads import Body, List, ListAttributes, ListBody, Member, MembersBody


@dataclass(frozen=True)
class ListCounts:
    """What was done to a list.

    Attributes
    ----------
    added, removed
        People.
    is_foreign
        Whether somebody else's list has the name; it is left alone.
    """

    added: int = 0
    removed: int = 0
    is_foreign: bool = False


def save_list(
    name: str, wanted: set[str], klaviyo: Klaviyo, clock: Clock, registry: OwnershipRegistry
) -> ListCounts:
    """Make a list hold exactly these people.

    Parameters
    ----------
    name
        Exact name; the list is made where there is none. One that is not noted as ours by its id is left alone.
    wanted
        Klaviyo's ids of the people.
    klaviyo, clock
        The account, and the day of the quota.
    registry
        Which lists are ours.
    """
    resources = NamedResources(
        klaviyo.lists_named, lambda one, intent: _is_ours(one, intent, klaviyo)
    )
    body = ListBody(data=List(attributes=ListAttributes(name=name)))
    try:
        existing = find_ours(name, resources, clock, registry)
        if existing is None:
            if not registry.has_room("created", clock.now()):
                return ListCounts()
            list_id = make(name, lambda: klaviyo.create_list(body), resources, clock, registry)
            registry.note(name, Made(list_id, at=clock.now().isoformat()), "created")
        else:
            list_id = existing.id
            if name in registry.intents:
                registry.note(name, Made(list_id, at=clock.now().isoformat()))
    except ForeignError:
        return ListCounts(is_foreign=True)
    there = klaviyo.members(list_id)
    added = _change(klaviyo.add_members, list_id, wanted - there)
    removed = _change(klaviyo.remove_members, list_id, there - wanted)
    return ListCounts(added, removed)


def _is_ours(one: Named, intent: Intent | None, klaviyo: Klaviyo) -> bool:
    """Tell whether a list came of a creation without an answer: it is as old as that, and empty."""
    if intent is None or (one.created is not None and not intent.covers(one.created)):
        return False
    return not klaviyo.members(one.id)


def _change(change: Callable[[str, Body], None], list_id: str, people: set[str]) -> int:
    ids = sorted(people)
    for start in range(0, len(ids), MOST_MEMBERS):
        part = ids[start : start + MOST_MEMBERS]
        change(list_id, MembersBody(data=tuple(Member(id=one) for one in part)))
    return len(ids)
