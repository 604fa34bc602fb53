"""Compare counts per day or month with the platform's, and decide. No I/O.

===================  ==================================================================
count                action
===================  ==================================================================
equal                nothing
fewer here           read the span again; warn where that was done
more here            list the platform's ids, and add tombstones; warn where that was done
platform not counted nothing
===================  ==================================================================

Beyond the limits, an outage is more probable than deletions, and nothing is deleted: the platform is empty
while we have objects, or more than 1 % of a span, or of all spans together, would get a tombstone. A few are
allowed in any span: one deleted order of thirty is no outage.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connectors.live.records import Window


class Action(StrEnum):
    """What to do about a span."""

    NOTHING = "nothing"
    READ_AGAIN = "read again"
    LIST_IDS = "list ids"
    WARN = "warn"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Limits:
    """How many deletions are credible.

    Attributes
    ----------
    deleted_share
        Of a span's objects.
    deleted_few
        Objects of a span that may be deleted whatever their share.
    """

    deleted_share: float = 0.01
    deleted_few: int = 3

    def allows(self, deleted: int, count: int) -> bool:
        """Tell whether so many deletions among so many objects are credible."""
        return deleted <= max(self.deleted_few, self.deleted_share * count)


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class SpanCount:
    """A span's counts.

    Attributes
    ----------
    span
        A day or a month.
    platform
        Objects by the platform's count; None where it does not count the span.
    ours
        Objects here by their newest version, tombstones left out, those that were erased included.
    was_read_again
        Whether the span was read again in this reconciliation.
    was_listed
        Whether the platform's ids were listed in it.
    """

    span: Window
    platform: int | None
    ours: int
    was_read_again: bool = False
    was_listed: bool = False

    @property
    def excess(self) -> int:
        """Objects that only we have, at least; negative where the platform has more."""
        return 0 if self.platform is None else self.ours - self.platform


@dataclass(frozen=True)
class Decision:
    """What to do about a span.

    Attributes
    ----------
    count
        Its counts.
    action
        What to do.
    reason
        One sentence for people; empty where nothing is to be done.
    """

    count: SpanCount
    action: Action
    reason: str = ""


def decide(counts: Sequence[SpanCount], limits: Limits = DEFAULT_LIMITS) -> list[Decision]:
    """Return what to do about each span, in the order given.

    Parameters
    ----------
    counts
        All spans of the reconciliation: an empty platform shows only in all of them together.
    limits
        How many deletions are credible.
    """
    compared = [one for one in counts if one.platform is not None]
    ours, platform = sum(one.ours for one in compared), sum(one.platform or 0 for one in compared)
    excess = sum(max(one.excess, 0) for one in compared)
    if ours and not platform:
        problem = f"The platform counts no objects where {ours} are here"
    elif not limits.allows(excess, ours):
        problem = (
            f"{excess} of {ours} objects would be deleted, more than {limits.deleted_share:.0%}"
        )
    else:
        return [_decision(one, limits) for one in counts]
    return [
        Decision(one, Action.REFUSE, f"{problem}. Nothing is deleted: this looks like an outage")
        if one.excess > 0
        else _decision(one, limits)
        for one in counts
    ]


def deletions(
    count: SpanCount,
    our_keys: Collection[str],
    platform_keys: Collection[str],
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Decision, frozenset[str]]:
    """Return the keys of a span that get a tombstone, after its ids were listed; none where that is refused.

    An empty list is believed only where the platform's count is 0 too, and only of a few.

    Parameters
    ----------
    count
        The span's counts.
    our_keys
        Of the span, tombstones and erased objects left out.
    platform_keys
        All ids of the span by the platform.
    limits
        How many deletions are credible.
    """
    gone = frozenset(our_keys) - frozenset(platform_keys)
    if our_keys and not platform_keys and count.platform != 0:
        problem = f"The platform lists no objects in {count.span} where {len(our_keys)} are here"
    elif not limits.allows(len(gone), len(our_keys)):
        problem = (
            f"{len(gone)} of {len(our_keys)} objects in {count.span} are gone from the platform"
        )
    else:
        return Decision(count, Action.NOTHING), gone
    reason = f"{problem}. Nothing is deleted: this looks like an outage"
    return Decision(count, Action.REFUSE, reason), frozenset()


def _decision(count: SpanCount, limits: Limits) -> Decision:
    if count.platform is None or not count.excess:
        return Decision(count, Action.NOTHING)
    counts = f"{count.platform} objects in {count.span} by the platform, {count.ours} here"
    if count.excess < 0 and not count.was_read_again:
        return Decision(count, Action.READ_AGAIN, f"{counts}. The span is read again")
    if count.excess > 0 and not limits.allows(count.excess, count.ours):
        return Decision(
            count, Action.REFUSE, f"{counts}. Nothing is deleted: this looks like an outage"
        )
    if count.excess > 0 and not count.was_listed:
        return Decision(count, Action.LIST_IDS, f"{counts}. The platform's ids are compared")
    return Decision(
        count, Action.WARN, f"{counts}, still. The platform's count and its list differ"
    )
