"""Pulls a Stripe account's charges, refunds and disputes into raw files.

Stripe has no list of what changed. A night therefore begins before the oldest object that may still change: an
authorization that is not captured, a pending refund, an open dispute.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.live.errors import UnexpectedAnswerError
from connectors.live.http import Endpoint
from connectors.live.newest import NewestFields
from connectors.live.options import PullOptions
from connectors.live.parts import payload_text, text_hash
from connectors.live.progress import StreamProgress
from connectors.live.puller import OnProgress
from connectors.live.pulls import Pull
from connectors.live.raw import RawAccount, RawStore, nobody
from connectors.live.reconcile import Action, SpanCount, decide, deletions
from connectors.live.records import (
    AccountFacts,
    JsonObject,
    Manifest,
    PlannedPull,
    PullKind,
    PullSummary,
    RawRow,
    StreamSummary,
    Window,
)
from connectors.live.stripe.api import API_VERSION, CHARGES, DISPUTES, REFUNDS
from connectors.live.stripe.balance import compare_with_balance
from connectors.live.stripe.client import (
    MOST_STARTS,
    CursorGoneError,
    Page,
    Range,
    StripeClient,
)
from connectors.live.stripe.preflight import PLATFORM, Payments, check_account
from connectors.live.stripe.projection import write_payments
from connectors.live.windows import Schedule, plan_pulls, slices

SCHEDULE = Schedule(lag=timedelta(minutes=10), overlap=timedelta(hours=1))
NOT_KEPT = frozenset(("payment_method_details", "payment_method", "source", "destination_details"))
MOST_OPEN = timedelta(days=180)  # an object that is older is closed, whatever it shows
SPAN = timedelta(days=30)


@dataclass(frozen=True)
class Stream:
    """A list of Stripe's.

    Attributes
    ----------
    name, endpoint
        Its names here and there.
    fields
        Of an object: whether it may still change shows in them.
    is_open
        Tells so from their values.
    """

    name: str
    endpoint: Endpoint
    fields: tuple[str, ...]
    is_open: Callable[[tuple[Any, ...]], bool]


STREAMS = (
    Stream(
        "charges",
        CHARGES,
        ("$.status", "$.captured", "$.refunded"),
        lambda f: (
            f[0] == "pending" or (f[0] == "succeeded" and f[1] is False and f[2] is not True)
        ),
    ),
    Stream(
        "refunds",
        REFUNDS,
        ("$.status",),
        lambda f: f[0] not in ("succeeded", "failed", "canceled"),
    ),
    Stream(
        "disputes",
        DISPUTES,
        ("$.status",),
        lambda f: f[0] not in ("won", "lost", "warning_closed", "prevented"),
    ),
)


class StripePuller:
    """Reads a Stripe account, see :class:`connectors.live.puller.Puller`.

    Parameters
    ----------
    raw
        The account's raw files.
    client
        Stripe's.
    account
        The account's id in the source: ``acct_…``.
    now
        Tells the time.
    options
        How it is pulled.
    """

    def __init__(
        self,
        raw: RawAccount,
        client: StripeClient,
        *,
        account: str,
        now: Callable[[], datetime],
        options: PullOptions | None = None,
    ) -> None:
        self._raw, self._client, self._account = raw, client, account
        self._now, self._options = now, options or PullOptions()

    def preflight(self) -> AccountFacts:
        """Return the account's facts, or refuse."""
        return self._check().facts

    def pull(self, now: datetime, kind: PullKind, on_progress: OnProgress) -> PullSummary:
        """Pull charges, refunds and disputes; resume what a killed pull left.

        A `kind` of RECONCILE pulls as a night, then lists everything again, and compares it with the balance.

        Raises
        ------
        UnexpectedAnswerError
            The account shows no payment, or more of them are gone than is credible.
        ValueError
            The kind asks no platform.
        """
        if kind is PullKind.COMPACTION:
            raise ValueError("a compaction asks no platform")
        before = self._client.requests
        with self._raw.hold():
            payments = self._check()
            if payments.facts.first_order_at is None:
                raise UnexpectedAnswerError(
                    f"{self._account} shows no payment to this key. Check that it is the right account: nothing was "
                    "pulled"
                )
            visit = _Visit(self._stores(), self._client, payments, now, self._options)
            visit.run(kind, on_progress)
        return PullSummary(
            PLATFORM,
            self._account,
            kind,
            tuple(visit.summary(name) for name in visit.stores),
            self._client.requests - before,
            tuple(visit.warnings),
        )

    def project(self, folder: Path) -> Sequence[Path]:
        """Write ``payments.parquet``, which the preset ``stripe`` reads; return it."""
        return [write_payments(self._stores(), folder)]

    def _check(self) -> Payments:
        return check_account(self._client, self._account, self._now(), self._options.currency)

    def _stores(self) -> dict[str, RawStore]:
        erased = self._options.is_erased
        return {
            one.name: self._raw.stream(one.name, erased if one.endpoint is CHARGES else nobody)
            for one in STREAMS
        }


@dataclass
class _Visit:
    """One pull of an account."""

    stores: Mapping[str, RawStore]
    client: StripeClient
    payments: Payments
    now: datetime
    options: PullOptions
    warnings: list[str] = field(default_factory=list)
    manifests: dict[str, list[Manifest]] = field(default_factory=dict)

    def run(self, kind: PullKind, on_progress: OnProgress) -> None:
        """Pull everything."""
        cover = PullKind.NIGHT if kind is PullKind.RECONCILE else kind
        for stream in STREAMS:
            self._pull(stream, cover, on_progress)
        if kind is PullKind.RECONCILE:
            for stream in STREAMS:
                on_progress(f"{stream.name.capitalize()}: listing all again")
                self._list_again(stream)
            if self.payments.has_balance:
                on_progress("Comparing with the balance")
                since = self._since(self.stores["charges"])
                self.warnings += compare_with_balance(
                    self.client, self.stores, NewestFields(self.options.memory), since
                )

    def summary(self, name: str) -> StreamSummary:
        """Return what became of a stream."""
        manifests = self.manifests.get(name, [])
        tombstones = sum(one.tombstones for one in manifests)
        rows = sum(one.rows for one in manifests) - tombstones
        pulls = tuple(one.pull for one in manifests)
        return StreamSummary(name, pulls, rows, tombstones, self.stores[name].horizon())

    def _pull(self, stream: Stream, kind: PullKind, on_progress: OnProgress) -> None:
        store = self.stores[stream.name]
        schedule = self._schedule(stream)
        planned = plan_pulls(
            store.history(), self._since(store), self.now, schedule=schedule, kind=kind
        )
        progress = StreamProgress(stream.name, planned, on_progress)
        for one in planned:
            pull = store.begin(one, API_VERSION)
            end = None if one is planned[-1] else one.window.end
            self._read(pull, stream, Range(one.window.start, end))
            manifest = pull.finish()
            self.manifests.setdefault(stream.name, []).append(manifest)
            progress.add(manifest.rows)

    def _schedule(self, stream: Stream) -> Schedule:
        """Return a schedule whose nights begin before the oldest object that may still change."""
        store = self.stores[stream.name]
        reached = store.horizon()
        if reached is None:
            return SCHEDULE
        newest = NewestFields(self.options.memory).read(store, *stream.fields)
        oldest = min(
            (
                one.happened_at
                for one in newest
                if one.happened_at and not one.is_deleted and stream.is_open(one.fields)
            ),
            default=reached,
        )
        oldest = max(oldest, self.now - MOST_OPEN)
        return replace(SCHEDULE, overlap=max(SCHEDULE.overlap, reached - oldest))

    def _read(self, pull: Pull, stream: Stream, within: Range) -> None:
        """Read a range into a pull, from the beginning again where the last row that was read is gone."""
        for _ in range(MOST_STARTS):
            try:
                for page in self._pages(stream, within, (pull.cursor or {}).get("after")):
                    pull.add(payment_row(row) for row in page.rows)
                    if page.has_more:
                        pull.checkpoint({"after": page.last_id})
            except CursorGoneError:
                pull.restart()
            else:
                return
        raise UnexpectedAnswerError(_restless(stream))

    def _pages(self, stream: Stream, within: Range, after: str | None = None) -> Iterator[Page]:
        expands = self.payments.expands if stream.endpoint is CHARGES else ()
        while True:
            page = self.client.page(stream.endpoint, within, after=after, expands=expands)
            yield page
            if not page.has_more:
                return
            after = page.last_id

    def _list_again(self, stream: Stream) -> None:
        """List a stream whole: keep what changed, and bury what is gone, if that is credible."""
        store, limits = self.stores[stream.name], self.options.limits
        hashes = {one.key: one.sha256 for one in NewestFields(self.options.memory).read(store)}
        whole = Window(self._since(store), self.now + timedelta(days=1))
        counts, gone, refusals = [], set[str](), []
        for span in slices(whole, SPAN):
            ours = store.keys(span)
            listed = self._keep_changed(stream, span, hashes)
            count = SpanCount(span, len(listed), len(ours), was_read_again=True, was_listed=True)
            decision, missing = deletions(count, ours, listed, limits)
            counts.append(replace(count, platform=len(listed & ours)))
            gone |= missing
            refusals += [decision.reason] if decision.action is Action.REFUSE else []
        refusals += [one.reason for one in decide(counts, limits) if one.action is Action.REFUSE]
        if refusals:
            raise UnexpectedAnswerError(
                f"{stream.endpoint}: {refusals[0]}. If they are gone indeed, raise the limit of deletions for one pull"
            )
        if gone:
            pull = store.begin(PlannedPull(whole, PullKind.RECONCILE), API_VERSION)
            pull.restart()
            pull.delete(gone)
            self.manifests.setdefault(stream.name, []).append(pull.finish())

    def _keep_changed(
        self, stream: Stream, span: Window, hashes: Mapping[str, str | None]
    ) -> set[str]:
        """Add a span's objects that differ from the newest here; return all ids of the span."""
        store = self.stores[stream.name]
        pull = store.begin(PlannedPull(span, PullKind.RECONCILE), API_VERSION)
        for _ in range(MOST_STARTS):
            pull.restart()
            listed = set()
            try:
                for page in self._pages(stream, Range(span.start, span.end)):
                    listed |= {str(row["id"]) for row in page.rows}
                    pull.add(payment_row(row) for row in page.rows if _differs(row, hashes))
            except CursorGoneError:
                continue
            if pull.rows:
                self.manifests.setdefault(stream.name, []).append(pull.finish())
            else:
                store.drop_unfinished()
            return listed
        raise UnexpectedAnswerError(_restless(stream))

    def _since(self, store: RawStore) -> datetime:
        """Return where the history begins: as planned before, else at the first charge."""
        history = store.history()
        plans = [one.plan for one in history.manifests]
        plans += [history.unfinished.plan] if history.unfinished else []
        starts = [plan.start for plan in plans if plan is not None]
        first = self.payments.facts.first_order_at or self.now
        return min(starts, default=first.replace(hour=0, minute=0, second=0, microsecond=0))


def payment_row(row: JsonObject) -> RawRow:
    """Return an object as a raw row; Stripe does not show when one changed."""
    moment = datetime.fromtimestamp(row["created"], UTC)
    return RawRow(str(row["id"]), kept_fields(row), None, moment)


def kept_fields(row: JsonObject) -> JsonObject:
    """Return what is kept of an object: nothing of a card or a bank account."""
    return {key: value for key, value in row.items() if key not in NOT_KEPT}


def _differs(row: JsonObject, hashes: Mapping[str, str | None]) -> bool:
    return hashes.get(str(row["id"])) != text_hash(payload_text(kept_fields(row)))


def _restless(stream: Stream) -> str:
    return f"Objects vanish while {stream.endpoint} is read: it was begun {MOST_STARTS} times. Pull again later"
