"""Lists whose members follow a property: people are put on and taken off, and no consent changes by it."""

from collections.abc import Callable
from dataclasses import dataclass

from connectors.klaviyo.api import MOST_MEMBERS
from connectors.klaviyo.client import Klaviyo
from connectors.klaviyo.clock import Clock
from connectors.klaviyo.payloads import Body, List, ListAttributes, ListBody, Member, MembersBody
from connectors.klaviyo.segments import Book


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


def keep_list(
    name: str, wanted: set[str], klaviyo: Klaviyo, clock: Clock, book: Book
) -> ListCounts:
    """Make a list hold exactly these people.

    Parameters
    ----------
    name
        Exact name; the list is made where there is none.
    wanted
        Klaviyo's ids of the people.
    klaviyo, clock
        The account, and the day of the quota.
    book
        Which lists are ours.
    """
    found = klaviyo.list_named(name)
    if found is not None and name not in book.made:
        return ListCounts(is_foreign=True)
    if found is None:
        if not book.has_room("created", clock.now()):
            return ListCounts()
        book.note(name, "", "created")  # a killed run finds the name and knows it for its own
        body = ListBody(data=List(attributes=ListAttributes(name=name)))
        list_id = klaviyo.create_list(name, body)
    else:
        list_id = found.id
    there = klaviyo.members(list_id)
    added = _change(klaviyo.add_members, list_id, wanted - there)
    removed = _change(klaviyo.remove_members, list_id, there - wanted)
    return ListCounts(added, removed)


def _change(change: Callable[[str, Body], None], list_id: str, people: set[str]) -> int:
    ids = sorted(people)
    for start in range(0, len(ids), MOST_MEMBERS):
        part = ids[start : start + MOST_MEMBERS]
        change(list_id, MembersBody(data=tuple(Member(id=one) for one in part)))
    return len(ids)
