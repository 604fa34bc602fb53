"""Compare each month's count of rows with the shop's: late rows with old dates, and rows that are gone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from connectors.live.errors import UnexpectedAnswerError
from connectors.live.raw import RawStore
from connectors.live.reconcile import Action, Decision, Limits, SpanCount, decide, deletions
from connectors.live.records import (
    JsonObject,
    Manifest,
    PlannedPull,
    PullKind,
    RawRow,
    Window,
)
from connectors.live.woocommerce.api import API_VERSION, IDS
from connectors.live.woocommerce.broken import SteadyLists
from connectors.live.woocommerce.client import Listing
from connectors.live.woocommerce.reading import ListReader

ROUNDS = 4


@dataclass(frozen=True)
class Stream:
    """A list of the shop, and where its rows are kept.

    Attributes
    ----------
    store
        Its raw rows.
    listing
        Its list, by when rows were made, with all fields.
    row
        Makes a raw row of a row of the list.
    """

    store: RawStore
    listing: Listing
    row: Callable[[JsonObject], RawRow]


class MonthComparison:
    """Makes a stream's months equal to the shop's.

    Parameters
    ----------
    lists
        The shop's.
    reader
        Reads them whole.
    limits
        How many deletions are credible.
    """

    def __init__(self, lists: SteadyLists, reader: ListReader, limits: Limits) -> None:
        self._lists, self._reader, self._limits = lists, reader, limits

    def run(
        self, stream: Stream, months: Sequence[Window], on_pull: Callable[[Manifest], None]
    ) -> list[str]:
        """Read again what is missing, and bury what is gone; return warnings.

        Raises
        ------
        UnexpectedAnswerError
            More is gone than is credible; nothing is buried then.
        """
        counts = self._counted(stream, [SpanCount(month, None, 0) for month in months])
        decisions = decide(counts, self._limits)
        for _ in range(ROUNDS):
            todo = [d for d in decisions if d.action in (Action.READ_AGAIN, Action.LIST_IDS)]
            if not todo:
                break
            on_pull(self._mend(stream, todo))
            touched = {one.count.span: _flagged(one) for one in todo}
            fresh = self._counted(stream, list(touched.values()))
            by_span = {one.span: one for one in (*counts, *fresh)}
            counts = [by_span[month] for month in months]
            decisions = decide(counts, self._limits)
        refused = [one.reason for one in decisions if one.action is Action.REFUSE]
        if refused:
            raise UnexpectedAnswerError(_refusal(stream, refused[0]))
        return [one.reason for one in decisions if one.action is Action.WARN]

    def _counted(self, stream: Stream, spans: Iterable[SpanCount]) -> list[SpanCount]:
        """Return spans with today's counts of both sides."""
        ours, erased = stream.store.counts("month"), stream.store.erased()
        counted = []
        for one in spans:
            month = one.span
            here = ours.get(month.start.date())
            live = here.live if here else 0
            listing = replace(stream.listing, start=month.start, end=month.end)
            total = self._lists.count(listing)
            counted.append(replace(one, platform=total, ours=live + erased.count(month)))
        return counted

    def _mend(self, stream: Stream, todo: Sequence[Decision]) -> Manifest:
        """Make one pull of what decisions ask for."""
        spans = [one.count.span for one in todo]
        hull = Window(min(one.start for one in spans), max(one.end for one in spans))
        pull = stream.store.begin(PlannedPull(hull, PullKind.RECONCILE), API_VERSION)
        pull.restart()
        refusals = []
        for one in todo:
            span = one.count.span
            listing = replace(stream.listing, start=span.start, end=span.end)
            if one.action is Action.READ_AGAIN:
                for batch in self._reader.halve(listing):
                    pull.add(stream.row(row) for row in batch.rows)
                continue
            ours = stream.store.keys(span)
            batches = self._reader.halve(replace(listing, fields=IDS))
            listed = {str(row["id"]) for batch in batches for row in batch.rows}
            decision, gone = deletions(one.count, ours, listed, self._limits)
            pull.delete(gone)
            if decision.action is Action.REFUSE:
                refusals.append(decision.reason)
        manifest = pull.finish()
        if refusals:
            raise UnexpectedAnswerError(_refusal(stream, refusals[0]))
        return manifest


def months_between(first: datetime, last: datetime) -> list[Window]:
    """Return the months in UTC from one moment's to another's, both included."""
    return list(_months(first.astimezone(UTC).date(), last.astimezone(UTC).date()))


def _months(first: date, last: date) -> Iterator[Window]:
    year, month = first.year, first.month
    while (year, month) <= (last.year, last.month):
        after = (year, month + 1) if month < 12 else (year + 1, 1)
        yield Window(datetime(year, month, 1, tzinfo=UTC), datetime(*after, 1, tzinfo=UTC))
        year, month = after


def _flagged(decision: Decision) -> SpanCount:
    """Return a decision's span, after it was done."""
    is_read = decision.action is Action.READ_AGAIN
    count = decision.count
    return replace(
        count,
        was_read_again=count.was_read_again or is_read,
        was_listed=count.was_listed or not is_read,
    )


def _refusal(stream: Stream, reason: str) -> str:
    return (
        f"{stream.listing.endpoint}: {reason}. If the shop did delete them, raise the limit of deletions for one "
        "pull"
    )
