"""Compare events here with Klaviyo's counts: late events with old dates, and deletions, show nowhere else."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from connectors.klaviyo.api import REVISION
from connectors.live.errors import UnexpectedAnswerError
from connectors.live.klaviyo_events.client import CursorRefusedError, KlaviyoEvents
from connectors.live.klaviyo_events.pages import MOST_RESTARTS, read_pages, window_rows
from connectors.live.klaviyo_events.source import Stream
from connectors.live.parts import read_batches
from connectors.live.queries import StoredCount
from connectors.live.raw import RawStore
from connectors.live.reconcile import Action, Decision, SpanCount, decide, deletions
from connectors.live.records import Manifest, PlannedPull, PullKind, Window
from connectors.live.windows import cover, slices

DAY = timedelta(days=1)
NIGHT_DAYS, REPAIR_DAYS = 35, 365  # that are counted; a reconciliation counts all
SLICE = timedelta(days=30)


@dataclass(frozen=True)
class Counting:
    """A stream, and where its events are here and there.

    Attributes
    ----------
    client, stream, store
        Klaviyo, the stream and its raw files.
    size
        Events of a page.
    """

    client: KlaviyoEvents
    stream: Stream
    store: RawStore
    size: int


@dataclass(frozen=True)
class Outcome:
    """What a comparison did.

    Attributes
    ----------
    pulls
        That it made.
    warnings, refusals
        One sentence each; refusals are of spans that were left as they are.
    """

    pulls: tuple[Manifest, ...] = ()
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.pulls + other.pulls,
            self.warnings + other.warnings,
            self.refusals + other.refusals,
        )


def check_counts(counting: Counting, kind: PullKind) -> Outcome:
    """Count each whole day, read days that differ again, and delete what Klaviyo does not list.

    Parameters
    ----------
    counting
        The stream.
    kind
        How many days are counted: 35, of a repair 365, of a reconciliation all.
    """
    window = _whole_days(counting.store, kind)
    if window is None:
        return Outcome()
    outcome = Outcome()
    decisions = decide(_counts(counting, window))
    for span in _joined(decisions):
        outcome += _read_again(counting, span)
    if outcome.pulls:
        again = [
            replace(one, was_read_again=True, was_listed=True) for one in _counts(counting, window)
        ]
        decisions = decide(again)
    name = counting.stream.name
    return outcome + Outcome(
        warnings=tuple(f"{name}: {one.reason}" for one in decisions if one.action is Action.WARN),
        refusals=tuple(
            f"{name}: {one.reason}." for one in decisions if one.action is Action.REFUSE
        ),
    )


def read_whole(counting: Counting) -> Outcome:
    """Read every event again, and delete what Klaviyo does not list any more.

    Merges of profiles move old events to another profile, and the deletion of a person redacts them: neither
    changes a date or a count.
    """
    covered = cover(counting.store.manifests())
    outcome = Outcome()
    for window in (part for one in covered for part in slices(one, SLICE)):
        pull = counting.store.begin(PlannedPull(window, PullKind.RECONCILE), REVISION)
        read_pages(counting.client, counting.stream.metric_id, pull, window, counting.size)
        manifest = pull.finish()
        outcome += Outcome((manifest,)) + _delete_unlisted(counting, window, manifest)
    return outcome


def _delete_unlisted(counting: Counting, window: Window, manifest: Manifest) -> Outcome:
    """Add tombstones for a window's events that a whole reading of it does not have."""
    folder = counting.store.folder / f"pull={manifest.pull}"
    listed = {
        key
        for part in manifest.parts
        for batch in read_batches(folder / part.name)
        for key in batch["key"].to_pylist()
    }
    ours = counting.store.keys(window)
    if ours <= listed:
        return Outcome()
    platform = counting.client.totals(counting.stream.metric_id, window).count
    decision, gone = deletions(SpanCount(window, platform, len(ours)), ours, listed)
    if decision.action is Action.REFUSE:
        return Outcome(refusals=(f"{counting.stream.name}: {decision.reason}.",))
    pull = counting.store.begin(PlannedPull(window, PullKind.RECONCILE), REVISION)
    pull.restart()
    pull.delete(gone)
    return Outcome((pull.finish(platform),))


def _read_again(counting: Counting, span: Window) -> Outcome:
    """Read a span again in one pull, with tombstones for what Klaviyo does not list."""
    pull = counting.store.begin(PlannedPull(span, PullKind.RECONCILE), REVISION)
    ours = counting.store.keys(span)
    for _ in range(MOST_RESTARTS):
        pull.restart()  # of an unfinished pull, the ids are lost
        listed: set[str] = set()
        try:
            for row in window_rows(
                counting.client, counting.stream.metric_id, span, counting.size
            ):
                pull.add([row])
                listed.add(row.key)
        except CursorRefusedError:
            continue
        decision, gone = deletions(SpanCount(span, len(listed), len(ours)), ours, listed)
        pull.delete(gone)
        refusals = (f"{counting.stream.name}: {decision.reason}.",) if decision.reason else ()
        return Outcome((pull.finish(len(listed)),), refusals=refusals)
    raise UnexpectedAnswerError(f"Klaviyo refused {MOST_RESTARTS} cursors in {span}. Pull again")


def _whole_days(store: RawStore, kind: PullKind) -> Window | None:
    """Return the days of UTC that are covered whole and are counted; None where there are none."""
    covered = cover(store.manifests())
    if not covered:
        return None
    end = _midnight(covered[0].end)
    start = _midnight(covered[0].start)
    if start < covered[0].start:
        start += DAY
    if kind is not PullKind.RECONCILE:
        days = REPAIR_DAYS if kind is PullKind.REPAIR else NIGHT_DAYS
        start = max(start, end - days * DAY)
    return Window(start, end) if start < end else None


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


def _counts(counting: Counting, window: Window) -> list[SpanCount]:
    platform = counting.client.totals(counting.stream.metric_id, window).counts
    ours, erased = counting.store.counts("day"), counting.store.erased()
    return [
        SpanCount(
            span=span,
            platform=platform.get(span.start.date(), 0),
            ours=ours.get(span.start.date(), StoredCount()).live + erased.count(span),
        )
        for span in slices(window, DAY)
    ]


def _joined(decisions: Sequence[Decision]) -> Iterable[Window]:
    """Return the spans that are read again; neighbors are one, up to 30 days."""
    joined: list[Window] = []
    for one in decisions:
        if one.action not in (Action.READ_AGAIN, Action.LIST_IDS):
            continue
        span = one.count.span
        last = joined[-1] if joined else None
        if last is not None and last.end == span.start and span.end - last.start <= SLICE:
            joined[-1] = Window(last.start, span.end)
        else:
            joined.append(span)
    return joined
