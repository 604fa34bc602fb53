"""Compare the months' orders with Shopify's counts: read again what lacks, and note what was deleted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from connectors.live.pulls import Pull
from connectors.live.queries import StoredCount
from connectors.live.raw import RawStore
from connectors.live.reconcile import Action, Decision, Limits, SpanCount, decide, deletions
from connectors.live.records import Manifest, PlannedPull, PullKind, Window
from connectors.live.shopify.client import ShopifyClient
from connectors.live.shopify.queries import API_VERSION, CREATED, search_of

ReadWindow = Callable[[Pull, Window], None]  # adds the orders created in a window to a pull


@dataclass
class Findings:
    """What a reconciliation did, and what it could not."""

    manifests: list[Manifest] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


class Reconciliation:
    """Compares counts per month, and mends what differs.

    Parameters
    ----------
    client
        The store's API.
    stream
        The orders' raw rows.
    read
        Reads a window's orders into a pull.
    limits
        How many deletions are credible.
    """

    def __init__(
        self, client: ShopifyClient, stream: RawStore, *, read: ReadWindow, limits: Limits
    ) -> None:
        self._client, self._stream, self._read, self._limits = client, stream, read, limits

    def run(self, window: Window) -> Findings:
        """Compare the months of a window up to the horizon: later orders are not pulled yet."""
        findings = Findings()
        stored, erased = self._stream.counts("month"), self._stream.erased()
        counts = []
        for span in months(window):
            if (span.start + timedelta(days=31)).replace(day=1) == span.end:  # a whole month
                live = stored.get(span.start.date(), StoredCount()).live
                platform = self._client.count(search_of(CREATED, span))
                counts.append(SpanCount(span, platform, live + erased.count(span)))
            else:
                counts.append(self._count(SpanCount(span, None, 0)))
        for decision in decide(counts, self._limits):
            self._settle(decision, findings)
        return findings

    def _settle(self, decision: Decision, findings: Findings) -> None:
        """Do what is decided about a month, until nothing is left to do."""
        while decision.action in (Action.READ_AGAIN, Action.LIST_IDS):
            if decision.action is Action.READ_AGAIN:
                decision = self._read_again(decision.count, findings)
            else:
                decision = self._delete(decision.count, findings)
        if decision.action is Action.WARN:
            findings.warnings.append(decision.reason)
        if decision.action is Action.REFUSE:
            findings.refusals.append(decision.reason)

    def _read_again(self, count: SpanCount, findings: Findings) -> Decision:
        pull = self._begin(count.span)
        self._read(pull, count.span)
        findings.manifests.append(pull.finish(count.platform))
        return self._decide(replace(count, was_read_again=True))

    def _delete(self, count: SpanCount, findings: Findings) -> Decision:
        # ours first: an order that is made meanwhile is then on their list only
        ours = self._stream.keys(count.span)
        theirs = set(self._client.ids(search_of(CREATED, count.span)))
        decision, gone = deletions(count, ours, theirs, self._limits)
        if not theirs and count.platform == 0 and self._limits.allows(len(ours), len(ours)):
            gone = frozenset(ours)  # a month of few orders: the count and the list agree
        elif decision.action is Action.REFUSE:
            return decision
        if gone:
            pull = self._begin(count.span)
            pull.restart()  # of a killed pull: its tombstones may be out of date
            pull.delete(gone)
            findings.manifests.append(pull.finish(len(theirs)))
        return self._decide(replace(count, was_listed=True))

    def _decide(self, count: SpanCount) -> Decision:
        (decision,) = decide([self._count(count)], self._limits)
        return decision

    def _count(self, count: SpanCount) -> SpanCount:
        """Return a month's counts as they are now; ours include what was erased."""
        ours = len(self._stream.keys(count.span)) + self._stream.erased().count(count.span)
        return replace(
            count, ours=ours, platform=self._client.count(search_of(CREATED, count.span))
        )

    def _begin(self, span: Window) -> Pull:
        return self._stream.begin(PlannedPull(span, PullKind.RECONCILE), API_VERSION)


def months(window: Window) -> Iterator[Window]:
    """Yield a window's UTC months, the first and the last as far as they are in it."""
    start = window.start
    while start < window.end:
        following = datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC)
        end = min(following, window.end)
        yield Window(start, end)
        start = end
