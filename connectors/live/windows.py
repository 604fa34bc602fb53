"""Which windows to pull: slices of the history, then nights that overlap. No I/O, no clock.

The cursor is the end of what whole pulls cover: there is no second file that could disagree with them.

A backfill runs oldest slice first. Whatever slice it stops after, the raw files then hold the whole history
up to the horizon. Newest first would leave a history that begins too late: customers would seem new, and
their first orders would be wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.live.records import Manifest, PlannedPull, PullHistory, PullKind, Window


@dataclass(frozen=True)
class Schedule:
    """How a stream's windows lie.

    Attributes
    ----------
    lag
        A window ends this long before now: the platform shows rows late.
    overlap
        A night begins this long before the horizon. Duplicates cost nothing, holes do.
    slice_days
        Length of a slice of the history.
    repair_days
        Overlap of a repair.
    """

    lag: timedelta
    overlap: timedelta
    slice_days: int = 30
    repair_days: int = 35


def cover(manifests: Iterable[Manifest]) -> list[Window]:
    """Return what whole pulls have read: windows in order that neither touch nor overlap."""
    return _merged(window for one in manifests for window in one.cover)


def horizon(manifests: Iterable[Manifest]) -> datetime | None:
    """Return the end of the contiguous cover, from its start to the first hole; None without a pull."""
    covered = cover(manifests)
    return covered[0].end if covered else None


def slices(window: Window, length: timedelta) -> list[Window]:
    """Cut a window into slices, oldest first; the last one may be shorter."""
    cut, start = [], window.start
    while start < window.end:
        end = min(start + length, window.end)
        cut.append(Window(start, end))
        start = end
    return cut


def holes(window: Window, covered: Sequence[Window]) -> list[Window]:
    """Return the parts of a window that are not covered, oldest first; `covered` is from :func:`cover`."""
    parts, start = [], window.start
    for one in covered:
        if start < (end := min(one.start, window.end)):
            parts.append(Window(start, end))
        start = max(start, one.end)
    if start < window.end:
        parts.append(Window(start, window.end))
    return parts


def next_window(
    manifests: Iterable[Manifest], now: datetime, overlap: timedelta, lag: timedelta
) -> Window | None:
    """Return the window of a night; None where nothing is pulled yet, or nothing can be new.

    A repair is the same with a longer overlap.
    """
    return _night(horizon(manifests), now, overlap, lag)


def backfill(
    history: PullHistory, since: datetime, now: datetime, schedule: Schedule
) -> list[PlannedPull]:
    """Return the slices of the history that are missing, oldest first.

    Parameters
    ----------
    history
        The stream's pulls.
    since
        Where the history begins. An earlier one than before adds slices in front.
    now
        The moment.
    schedule
        The stream's.
    """
    until = _backfill_end(history) or now - schedule.lag
    if until <= since:
        return []
    plan = Window(since, until)
    length = timedelta(days=schedule.slice_days)
    return [
        PlannedPull(part, PullKind.BACKFILL, plan)
        for hole in holes(plan, cover(history.manifests))
        for part in slices(hole, length)
    ]


def plan_pulls(
    history: PullHistory,
    since: datetime,
    now: datetime,
    *,
    schedule: Schedule,
    kind: PullKind = PullKind.NIGHT,
) -> list[PlannedPull]:
    """Return the pulls to make, in order: missing slices of the history, then one night or repair.

    A night that was killed is resumed with its old window, and a pull up to now follows; a slice that was
    killed is planned as it was.

    Parameters
    ----------
    history
        The stream's pulls.
    since
        Where the history begins.
    now
        The moment.
    schedule
        The stream's.
    kind
        Of the last pull: NIGHT or REPAIR. A BACKFILL ends with the history.
    """
    planned = backfill(history, since, now, schedule)
    if kind is PullKind.BACKFILL:
        return planned
    covered = cover(history.manifests)
    planned = planned or _resumable(history.unfinished, covered)
    reached = _merged([*covered, *(one.window for one in planned)])
    overlap = timedelta(days=schedule.repair_days) if kind is PullKind.REPAIR else schedule.overlap
    night = _night(reached[0].end if reached else None, now, overlap, schedule.lag)
    return planned if night is None else [*planned, PlannedPull(night, kind)]


def _night(
    reached: datetime | None, now: datetime, overlap: timedelta, lag: timedelta
) -> Window | None:
    if reached is None or now - lag <= reached:
        return None
    return Window(reached - overlap, now - lag)


def _backfill_end(history: PullHistory) -> datetime | None:
    """Return where the first slice's plan ended; None before the first slice."""
    plans = [one.plan for one in history.manifests]
    if history.unfinished is not None:
        plans.append(history.unfinished.plan)
    return max((plan.end for plan in plans if plan is not None), default=None)


def _resumable(unfinished: PlannedPull | None, covered: Sequence[Window]) -> list[PlannedPull]:
    """Return an unfinished night that leads on from the cover without a hole, if there is one."""
    if (
        unfinished is None
        or unfinished.kind not in (PullKind.NIGHT, PullKind.REPAIR)
        or not covered
    ):
        return []
    is_next = unfinished.window.start <= covered[0].end < unfinished.window.end
    return [unfinished] if is_next else []


def _merged(windows: Iterable[Window]) -> list[Window]:
    merged: list[Window] = []
    for window in sorted(windows):
        if merged and window.start <= merged[-1].end:
            merged[-1] = Window(merged[-1].start, max(merged[-1].end, window.end))
        else:
            merged.append(window)
    return merged
