"""Pulls a Klaviyo account's events into raw files, and checks them against Klaviyo's counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from connectors.klaviyo.api import REVISION
from connectors.live.errors import UnexpectedAnswerError
from connectors.live.klaviyo_events.client import KlaviyoEvents
from connectors.live.klaviyo_events.counts import Counting, Outcome, check_counts, read_whole
from connectors.live.klaviyo_events.pages import PageSizes, read_pages
from connectors.live.klaviyo_events.preflight import Preflight, run_preflight
from connectors.live.klaviyo_events.projection import project_account
from connectors.live.klaviyo_events.source import (
    PLATFORM,
    KlaviyoSource,
    Stream,
    recent_start,
)
from connectors.live.progress import StreamProgress
from connectors.live.puller import OnProgress
from connectors.live.queries import Memory
from connectors.live.raw import RawAccount, RawStore, nobody
from connectors.live.records import (
    AccountFacts,
    JsonObject,
    Manifest,
    PullKind,
    PullSummary,
    StreamSummary,
)
from connectors.live.windows import Schedule, plan_pulls

SCHEDULE = Schedule(lag=timedelta(hours=2), overlap=timedelta(hours=48))


@dataclass(frozen=True)
class Pulling:
    """How an account is pulled.

    Attributes
    ----------
    sizes
        Events of a page.
    is_erased
        Tells whether a stored event is of a person who asked to be forgotten.
    memory
        What DuckDB may use.
    """

    sizes: PageSizes = field(default_factory=PageSizes)
    is_erased: Callable[[JsonObject], bool] = nobody
    memory: Memory | None = None


class KlaviyoPuller:
    """Reads a Klaviyo account; see :class:`connectors.live.puller.Puller`.

    Parameters
    ----------
    client
        From :func:`connectors.live.klaviyo_events.client.connect_klaviyo`.
    source
        What is read.
    account
        Where raw files are; `pull` holds its lease.
    now
        Tells the time, with its zone.
    pulling
        How it is read.
    """

    def __init__(
        self,
        client: KlaviyoEvents,
        source: KlaviyoSource,
        account: RawAccount,
        *,
        now: Callable[[], datetime],
        pulling: Pulling | None = None,
    ) -> None:
        self._client, self._source, self._account = client, source, account
        self._now, self._pulling = now, pulling or Pulling()

    def preflight(self) -> AccountFacts:
        """Return the account's facts, or refuse; see :func:`connectors.live.klaviyo_events.preflight.run_preflight`."""
        return self._preflight(self._now()).facts

    def pull(self, now: datetime, kind: PullKind, on_progress: OnProgress) -> PullSummary:
        """Pull every stream, orders first; resume what a killed pull left.

        Parameters
        ----------
        now
            The moment; windows end two hours before it.
        kind
            BACKFILL: missing slices of the history. NIGHT: what is new too, and orders of 35 days are counted.
            REPAIR: 35 days are read again, and a year is counted. RECONCILE: every event is read again and counted,
            since merges of profiles and deletions of people change old events and no count.
        on_progress
            Gets a line per stream.

        Raises
        ------
        UnexpectedAnswerError
            Klaviyo counts far fewer orders than are here. What was pulled stays.
        """
        now = now.replace(microsecond=0)
        with self._account.hold():
            checked = self._preflight(now)
            work = [
                _StreamWork(self._client, one, self._store(one), self._pulling.sizes)
                for one in checked.streams
            ]
            summaries = []
            for one in work:
                since = self._since(one.stream, checked, now)
                summaries.append(one.pull(since, now, kind, on_progress))
        refusals = [reason for one in work for reason in one.refusals]
        if refusals:
            raise UnexpectedAnswerError(
                f"Klaviyo's counts and the events here differ too much. {' '.join(refusals)}"
            )
        return PullSummary(
            platform=PLATFORM,
            account=self._source.account,
            kind=kind,
            streams=tuple(summaries),
            requests=self._client.requests,
            warnings=tuple(warning for one in work for warning in one.warnings),
        )

    def project(self, folder: Path) -> Sequence[Path]:
        """Write the tables of the preset ``klaviyo``, and those of engagement; return the files."""
        return project_account(self._account, self._source, folder, self._pulling.memory)

    def _preflight(self, now: datetime) -> Preflight:
        return run_preflight(self._client, self._source, now, self._account.folder)

    def _store(self, stream: Stream) -> RawStore:
        return self._account.stream(stream.name, self._pulling.is_erased)

    def _since(self, stream: Stream, checked: Preflight, now: datetime) -> datetime:
        if stream.kind.is_of_orders:
            return checked.since
        return recent_start(now, self._source.engagement_days)


class _StreamWork:
    """One stream of a pull."""

    def __init__(
        self, client: KlaviyoEvents, stream: Stream, store: RawStore, sizes: PageSizes
    ) -> None:
        self.stream, self._client, self._store, self._sizes = stream, client, store, sizes
        self.warnings: list[str] = []
        self.refusals: list[str] = []
        self._pulls: list[Manifest] = []

    def pull(
        self, since: datetime, now: datetime, kind: PullKind, on_progress: OnProgress
    ) -> StreamSummary:
        """Read what is missing, then what is new, then compare counts."""
        night = PullKind.NIGHT if kind is PullKind.RECONCILE else kind
        planned = plan_pulls(self._store.history(), since, now, schedule=SCHEDULE, kind=night)
        progress = StreamProgress(f"events {self.stream.name}", planned, on_progress)
        for one in planned:
            pull = self._store.begin(one, REVISION)
            read_pages(self._client, self.stream.metric_id, pull, one.window, self._size)
            self._pulls.append(pull.finish())
            progress.add(self._pulls[-1].rows)
        counting = Counting(self._client, self.stream, self._store, self._size)
        if kind is PullKind.RECONCILE:
            self._note(read_whole(counting))
        is_counted = kind in (PullKind.REPAIR, PullKind.RECONCILE) or self.stream.kind.is_of_orders
        if is_counted and kind is not PullKind.BACKFILL:
            self._note(check_counts(counting, kind))
        return StreamSummary(
            stream=self.stream.name,
            pulls=tuple(one.pull for one in self._pulls),
            rows=sum(one.rows - one.tombstones for one in self._pulls),
            tombstones=sum(one.tombstones for one in self._pulls),
            horizon=self._store.horizon(),
        )

    @property
    def _size(self) -> int:
        return self._sizes.orders if self.stream.kind.is_of_orders else self._sizes.engagement

    def _note(self, outcome: Outcome) -> None:
        """Keep what a comparison did; engagement that differs is no reason to refuse orders."""
        self._pulls += outcome.pulls
        self.warnings += outcome.warnings
        (self.refusals if self.stream.kind.is_of_orders else self.warnings).extend(
            outcome.refusals
        )
