"""A Shopify store's orders: pulled into raw files, and projected into what the `fivetran` preset reads."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

from connectors.live.errors import UnexpectedAnswerError
from connectors.live.http import Clock
from connectors.live.progress import StreamProgress
from connectors.live.puller import OnProgress
from connectors.live.pulls import Pull
from connectors.live.raw import RawAccount, RawStore, nobody
from connectors.live.reconcile import DEFAULT_LIMITS, Limits
from connectors.live.records import (
    AccountFacts,
    JsonObject,
    Manifest,
    PlannedPull,
    PullKind,
    PullSummary,
    StreamSummary,
    Window,
)
from connectors.live.shopify.client import ShopifyClient
from connectors.live.shopify.counts import Findings, Reconciliation
from connectors.live.shopify.preflight import ExpectedStore, check_account
from connectors.live.shopify.projection import project_orders
from connectors.live.shopify.queries import API_VERSION, CREATED, UPDATED, Reach
from connectors.live.shopify.slices import FEW, SliceReader
from connectors.live.windows import Schedule, plan_pulls

ORDERS = "orders"
SCHEDULE = Schedule(lag=timedelta(minutes=10), overlap=timedelta(hours=1))
SCRATCH = ".scratch-"


class ShopifyPuller:
    """Reads a Shopify store; a `connectors.live.puller.Puller`.

    Parameters
    ----------
    client
        The store's API.
    account
        Its raw files.
    expected
        The store of the settings.
    clock
        Waits.
    is_erased
        Tells whether an order is of a person who asked to be forgotten.
    limits
        How many deletions are credible.
    few
        Up to how many orders a window is read by pages; more are read in bulk.
    """

    def __init__(
        self,
        client: ShopifyClient,
        account: RawAccount,
        expected: ExpectedStore,
        *,
        clock: Clock,
        is_erased: Callable[[JsonObject], bool] = nobody,
        limits: Limits = DEFAULT_LIMITS,
        few: int = FEW,
    ) -> None:
        self._client, self._account, self._expected = client, account, expected
        self._clock, self._limits, self._few = clock, limits, few
        self._stream = account.stream(ORDERS, is_erased)

    def preflight(self) -> AccountFacts:
        """Return the account's facts, or refuse; see :func:`check_account`."""
        return self._check()[0]

    def pull(self, now: datetime, kind: PullKind, on_progress: OnProgress) -> PullSummary:
        """Pull what is missing up to 10 minutes ago; with `RECONCILE`, compare the months' counts besides.

        Raises
        ------
        UnexpectedAnswerError
            More orders are gone from the store than deletions explain. What was pulled stays.
        """
        facts, reach = self._check()
        since = history_start(facts)
        with self._account.hold(), scratch_folder(self._account.folder) as scratch:
            reader = SliceReader(
                self._client, self._clock, reach=reach, scratch=scratch, few=self._few
            )
            manifests = list(
                self._pull_windows(reader, since, whole_second(now), kind, on_progress)
            )
            findings = Findings()
            horizon = self._stream.horizon()
            if kind is PullKind.RECONCILE and horizon is not None and since < horizon:
                on_progress("Comparing the orders of every month with Shopify's counts")
                findings = self._reconcile(reader, Window(since, horizon))
        if findings.refusals:
            raise UnexpectedAnswerError(" ".join(findings.refusals))
        return self._summary(
            kind,
            [*manifests, *findings.manifests],
            (*facts.notes, *sorted(reader.warnings), *findings.warnings),
        )

    def project(self, folder: Path) -> Sequence[Path]:
        """Write the tables that the `fivetran` preset reads, from the newest versions; return the files."""
        with scratch_folder(folder) as scratch:
            return project_orders(self._stream, folder, scratch)

    def _check(self) -> tuple[AccountFacts, Reach]:
        return check_account(self._client, self._expected, self._clock.now())

    def _pull_windows(
        self,
        reader: SliceReader,
        since: datetime,
        now: datetime,
        kind: PullKind,
        on_progress: OnProgress,
    ) -> Iterator[Manifest]:
        """Read slices of the history by when orders were created, nights by when they changed."""
        last = kind if kind in (PullKind.BACKFILL, PullKind.REPAIR) else PullKind.NIGHT
        planned = plan_pulls(self._stream.history(), since, now, schedule=SCHEDULE, kind=last)
        progress = StreamProgress("orders", planned, on_progress)
        for one in planned:
            manifest = self._pull_window(reader, one)
            progress.add(manifest.rows)
            yield manifest

    def _pull_window(self, reader: SliceReader, planned: PlannedPull) -> Manifest:
        by = CREATED if planned.kind is PullKind.BACKFILL else UPDATED
        pull = self._stream.begin(planned, API_VERSION)
        reader.read(pull, by, planned.window)
        return pull.finish()

    def _reconcile(self, reader: SliceReader, window: Window) -> Findings:
        def read(pull: Pull, span: Window) -> None:
            reader.read(pull, CREATED, span)

        return Reconciliation(self._client, self._stream, read=read, limits=self._limits).run(
            window
        )

    def _summary(
        self, kind: PullKind, manifests: Sequence[Manifest], warnings: tuple[str, ...]
    ) -> PullSummary:
        stream = StreamSummary(
            stream=ORDERS,
            pulls=tuple(one.pull for one in manifests),
            rows=sum(one.rows for one in manifests),
            tombstones=sum(one.tombstones for one in manifests),
            horizon=self._stream.horizon(),
        )
        return PullSummary(
            platform="shopify",
            account=self._expected.shop,
            kind=kind,
            streams=(stream,),
            requests=self._client.requests,
            warnings=warnings,
        )


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Open a folder for files that are gone afterwards, those of a killed process too."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in parent.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)
    path = Path(mkdtemp(prefix=SCRATCH, dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def open_stream(account: RawAccount) -> RawStore:
    """Return an account's orders, to read, compact or erase."""
    return account.stream(ORDERS)


def history_start(facts: AccountFacts) -> datetime:
    """Return where a store's history begins: a month, so that it stays if the first order is deleted."""
    if facts.first_order_at is None:
        raise UnexpectedAnswerError("The store shows no orders")
    first = facts.first_order_at.astimezone(UTC)
    return datetime(first.year, first.month, 1, tzinfo=UTC)


def whole_second(moment: datetime) -> datetime:
    """Return a moment without its fraction: Shopify's times are whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0)
