"""Pulls a WooCommerce shop's orders and refunds into raw files."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from connectors.live.errors import UnexpectedAnswerError
from connectors.live.http import Endpoint
from connectors.live.newest import NewestFields
from connectors.live.options import PullOptions
from connectors.live.progress import StreamProgress
from connectors.live.puller import OnProgress
from connectors.live.pulls import Pull
from connectors.live.raw import RawAccount, RawStore
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
from connectors.live.windows import Schedule, plan_pulls
from connectors.live.woocommerce.api import (
    API_VERSION,
    IDS,
    IDS_AND_REFUNDS,
    ORDER_FIELDS,
    ORDERS,
    REFUND_FIELDS,
    REFUNDS,
)
from connectors.live.woocommerce.broken import OLDEST, SteadyLists
from connectors.live.woocommerce.client import SECOND, Listing, WooCommerceClient
from connectors.live.woocommerce.months import MonthComparison, Stream, months_between
from connectors.live.woocommerce.preflight import IN_QUERY, PLATFORM, Shop, check_shop
from connectors.live.woocommerce.projection import write_orders
from connectors.live.woocommerce.reading import ListReader, moment_or_none

SCHEDULE = Schedule(lag=timedelta(minutes=10), overlap=timedelta(hours=1))
AT_ONCE = replace(SCHEDULE, slice_days=1_000_000)  # where slices cannot be read apart
STREAMS = ("orders", "refunds")


class WooCommercePuller:
    """Reads a WooCommerce shop, see :class:`connectors.live.puller.Puller`.

    Parameters
    ----------
    raw
        The account's raw files; its name is the shop's address in the source.
    client
        The shop's.
    account
        The shop's address in the source: ``shop.example``.
    now
        Tells the time.
    options
        How it is pulled.
    """

    def __init__(
        self,
        raw: RawAccount,
        client: WooCommerceClient,
        *,
        account: str,
        now: Callable[[], datetime],
        options: PullOptions | None = None,
    ) -> None:
        self._raw, self._client, self._account = raw, client, account
        self._now, self._options = now, options or PullOptions()

    def preflight(self) -> AccountFacts:
        """Return the shop's facts, or refuse."""
        return self._check().facts

    def pull(self, now: datetime, kind: PullKind, on_progress: OnProgress) -> PullSummary:
        """Pull orders and refunds; resume what a killed pull left.

        A `kind` of RECONCILE pulls as a night, and then compares every month's counts.

        Raises
        ------
        UnexpectedAnswerError
            The shop shows no order, or more of them are gone than is credible.
        ValueError
            The kind asks no platform.
        """
        if kind is PullKind.COMPACTION:
            raise ValueError("a compaction asks no platform")
        before = self._client.requests
        with self._raw.hold():
            shop = self._check()
            if shop.first_change is None:
                raise UnexpectedAnswerError(
                    f"{self._account} shows no order to this key. Check that it is the right shop, and that the "
                    "key's user may see its orders: nothing was pulled"
                )
            visit = _Visit(self._streams(), self._client, shop, now, self._options)
            visit.run(kind, on_progress)
        return PullSummary(
            PLATFORM,
            self._account,
            kind,
            tuple(visit.tallies[name].summary(name) for name in STREAMS),
            self._client.requests - before,
            tuple(visit.all_warnings()),
        )

    def project(self, folder: Path) -> Sequence[Path]:
        """Write ``orders.parquet``, which the preset ``woocommerce`` reads; return it."""
        orders, refunds = self._streams()
        return [write_orders(orders, refunds, folder)]

    def _check(self) -> Shop:
        return check_shop(self._client, self._account, self._now(), self._options.currency)

    def _streams(self) -> tuple[RawStore, RawStore]:
        orders, refunds = STREAMS
        return self._raw.stream(orders, self._options.is_erased), self._raw.stream(refunds)


@dataclass
class _Tally:
    """What became of a stream."""

    store: RawStore
    manifests: list[Manifest] = field(default_factory=list)

    def summary(self, name: str) -> StreamSummary:
        tombstones = sum(one.tombstones for one in self.manifests)
        rows = sum(one.rows for one in self.manifests) - tombstones
        pulls = tuple(one.pull for one in self.manifests)
        return StreamSummary(name, pulls, rows, tombstones, self.store.horizon())


class _Visit:
    """One pull of a shop."""

    def __init__(
        self,
        streams: tuple[RawStore, RawStore],
        client: WooCommerceClient,
        shop: Shop,
        now: datetime,
        options: PullOptions,
    ) -> None:
        self._client, self._shop, self._now = client, shop, now
        self._lists = SteadyLists(client, now)
        self._reader = ListReader(self._lists, now)
        self._fields = NewestFields(options.memory)
        self._limits = options.limits
        self._warnings: list[str] = []
        self.tallies = {name: _Tally(store) for name, store in zip(STREAMS, streams, strict=True)}
        self._orders, self._refunds = streams

    def run(self, kind: PullKind, on_progress: OnProgress) -> None:
        """Pull everything."""
        cover = PullKind.NIGHT if kind is PullKind.RECONCILE else kind
        self._pull_orders(cover, on_progress)
        self._bury_trash()
        self._pull_refunds(cover, on_progress)
        self._bury_orphans()
        if kind is PullKind.RECONCILE:
            self._compare(on_progress)

    def all_warnings(self) -> list[str]:
        """Return one sentence per finding."""
        cut = [
            f"{count} answers had {what} before their JSON. Turn off the display of PHP's errors, or repair the plugin"
            for what, count in sorted(self._client.cut.items())
        ]
        in_query = [IN_QUERY] if self._client.sends_keys_in_query else []
        return [*self._warnings, *self._lists.warnings(), *cut, *in_query]

    # Orders

    def _pull_orders(self, kind: PullKind, on_progress: OnProgress) -> None:
        since = self._since(self._orders)
        history = self._orders.history()
        planned = plan_pulls(history, since, self._now, schedule=SCHEDULE, kind=kind)
        progress = StreamProgress("orders", planned, on_progress)
        for one in planned:
            pull = self._orders.begin(one, API_VERSION)
            listing = _listing(ORDERS, one, is_last=one is planned[-1])
            manifest = self._read_orders(pull, listing, one.window)
            self.tallies["orders"].manifests.append(manifest)
            progress.add(manifest.rows)

    def _read_orders(self, pull: Pull, listing: Listing, window: Window) -> Manifest:
        """Read a window, once more where the shop counts more orders in it than it listed."""
        counting = replace(listing, end=_ceil(window.end))
        was_resumed = pull.is_resumed
        changed = self._follow_orders(pull, listing, window)
        total = self._lists.count(counting)
        if total > len(changed) and not was_resumed:
            pull.restart()
            changed = self._follow_orders(pull, listing, window)
            total = self._lists.count(counting)
            if total > len(changed):
                self._warnings.append(
                    f"The shop counts {total} orders that changed in {window}, and lists {len(changed)}: a plugin "
                    "may hide some, or a cache may answer. The monthly comparison looks for them"
                )
        return pull.finish(total)

    def _follow_orders(self, pull: Pull, listing: Listing, window: Window) -> set[str]:
        """Read orders by their change; return those that changed in the window."""
        column, changed = "date_modified_gmt", set()
        listing = _resumed(listing, pull)
        batches = (
            self._reader.follow(listing, column)
            if self._shop.sorts_by_change
            else self._reader.halve(listing)
        )
        for batch in batches:
            rows = [order_row(row) for row in batch.rows]
            pull.add(rows)
            changed |= {one.key for one in rows if one.updated_at and one.updated_at < window.end}
            if batch.after is not None:
                pull.checkpoint({"after": batch.after.isoformat()})
        return changed

    def _bury_trash(self) -> None:
        """Add tombstones for orders in the trash; a later change out of it brings them back."""
        listing = Listing(ORDERS, "date", OLDEST, status="trash", fields=IDS)
        trash = {str(row["id"]) for batch in self._reader.halve(listing) for row in batch.rows}
        if trash:
            self._bury("orders", trash & self._live(self._orders))

    # Refunds

    def _pull_refunds(self, kind: PullKind, on_progress: OnProgress) -> None:
        has_list = self._shop.has_refunds
        history, since = self._refunds.history(), self._since(self._refunds)
        schedule = SCHEDULE if has_list else AT_ONCE
        planned = plan_pulls(history, since, self._now, schedule=schedule, kind=kind)
        progress = StreamProgress("refunds", planned, on_progress)
        for one in planned:
            pull = self._refunds.begin(one, API_VERSION)
            is_last = one is planned[-1]
            seen: dict[str, set[str]] = {}
            if has_list:
                seen = self._follow_refunds(pull, _listing(REFUNDS, one, is_last=is_last))
            if is_last or not has_list:
                start = min(each.window.start for each in planned)
                self._follow_orders_refunds(pull, self._named_refunds(start), seen)
            manifest = pull.finish()
            self.tallies["refunds"].manifests.append(manifest)
            progress.add(manifest.rows)

    def _follow_refunds(self, pull: Pull, listing: Listing) -> dict[str, set[str]]:
        """Read refunds by their day; return their ids by order."""
        seen: dict[str, set[str]] = {}
        for batch in self._reader.follow(_resumed(listing, pull), "date_created_gmt"):
            pull.add(refund_row(row) for row in batch.rows)
            for row in batch.rows:
                seen.setdefault(str(row["parent_id"]), set()).add(str(row["id"]))
            if batch.after is not None:
                pull.checkpoint({"after": batch.after.isoformat()})
        return seen

    def _named_refunds(self, since: datetime | None) -> dict[str, set[str]]:
        """Return the refunds that orders name, of orders that changed since a moment."""
        path = "$.refunds[*].id"
        newest = self._fields.read(self._orders, path, since=since)
        return {one.key: _texts(one.fields[0]) for one in newest if not one.is_deleted}

    def _follow_orders_refunds(
        self, pull: Pull, named: Mapping[str, set[str]], seen: Mapping[str, set[str]]
    ) -> None:
        """Ask for the refunds of orders whose refunds here differ from those that they name."""
        here = self._refunds_by_order()
        done = int((pull.cursor or {}).get("order", 0))
        for order_id in sorted(named, key=int):
            ours = here.get(order_id, set())
            if named[order_id] == ours | seen.get(order_id, set()) or int(order_id) <= done:
                continue
            rows = [refund_row(row) for row in self._client.refunds_of(order_id)]
            pull.add(rows)
            gone = ours - {one.key for one in rows}
            if gone:
                pull.delete(gone)
            if not self._shop.has_refunds:
                pull.checkpoint({"order": int(order_id)})

    def _refunds_by_order(self) -> dict[str, set[str]]:
        by_order: dict[str, set[str]] = {}
        for one in self._fields.read(self._refunds, "$.parent_id"):
            if not one.is_deleted:
                by_order.setdefault(str(one.fields[0]), set()).add(one.key)
        return by_order

    def _bury_orphans(self) -> None:
        """Add tombstones for refunds whose order is gone."""
        live = self._live(self._orders)
        by_order = self._refunds_by_order()
        self._bury(
            "refunds", (key for one in by_order if one not in live for key in by_order[one])
        )

    # Counts

    def _compare(self, on_progress: OnProgress) -> None:
        comparison = MonthComparison(self._lists, self._reader, self._limits)
        orders = Listing(ORDERS, "date", fields=ORDER_FIELDS)
        refunds = Listing(REFUNDS, "date", fields=REFUND_FIELDS)
        on_progress("Orders: comparing every month's count")
        self._compare_months(comparison, "orders", Stream(self._orders, orders, order_row))
        self._bury_orphans()
        if self._shop.has_refunds:
            on_progress("Refunds: comparing every month's count")
            self._compare_months(comparison, "refunds", Stream(self._refunds, refunds, refund_row))
            self._bury_orphans()
        else:
            on_progress("Refunds: reading which ones orders name")
            self._compare_named()

    def _compare_months(self, comparison: MonthComparison, name: str, stream: Stream) -> None:
        months = months_between(self._first_moment(stream.store), self._now)
        manifests = self.tallies[name].manifests
        self._warnings += comparison.run(stream, months, manifests.append)

    def _first_moment(self, store: RawStore) -> datetime:
        days = [
            datetime(d.year, d.month, 1, tzinfo=self._now.tzinfo) for d in store.counts("month")
        ]
        first = self._shop.facts.first_order_at
        return min([*days, *([first] if first else []), self._now])

    def _compare_named(self) -> None:
        """Ask every order which refunds it has: where there is no list of refunds to count."""
        listing = Listing(ORDERS, "date", OLDEST, fields=IDS_AND_REFUNDS)
        named = {
            str(row["id"]): _texts([one["id"] for one in row.get("refunds") or ()])
            for batch in self._reader.halve(listing)
            for row in batch.rows
        }
        pull = self._reconciling(self._refunds)
        self._follow_orders_refunds(pull, named, {})
        self.tallies["refunds"].manifests.append(pull.finish())

    # Shared

    def _since(self, store: RawStore) -> datetime:
        """Return where the history begins: as planned before, else at the first change."""
        history = store.history()
        plans = [one.plan for one in history.manifests]
        plans += [history.unfinished.plan] if history.unfinished else []
        starts = [plan.start for plan in plans if plan is not None]
        first = self._shop.first_change or self._now
        return min(starts, default=first.replace(hour=0, minute=0, second=0, microsecond=0))

    def _live(self, store: RawStore) -> set[str]:
        return {one.key for one in self._fields.read(store) if not one.is_deleted}

    def _bury(self, name: str, keys: Iterable[str]) -> None:
        """Add tombstones, in a pull after those that have the objects."""
        gone = sorted(keys)
        if gone:
            pull = self._reconciling(self.tallies[name].store)
            pull.delete(gone)
            self.tallies[name].manifests.append(pull.finish())

    def _reconciling(self, store: RawStore) -> Pull:
        pull = store.begin(PlannedPull(Window(OLDEST, self._now), PullKind.RECONCILE), API_VERSION)
        pull.restart()
        return pull


def order_row(row: JsonObject) -> RawRow:
    """Return an order as a raw row."""
    updated, happened = (
        moment_or_none(row, name) for name in ("date_modified_gmt", "date_created_gmt")
    )
    return RawRow(str(row["id"]), row, updated, happened)


def refund_row(row: JsonObject) -> RawRow:
    """Return a refund as a raw row; refunds do not show when they changed."""
    return RawRow(str(row["id"]), row, None, moment_or_none(row, "date_created_gmt"))


def _listing(endpoint: Endpoint, planned: PlannedPull, *, is_last: bool) -> Listing:
    """Return the list of a window; the last one has no end, so that what changes meanwhile is read too."""
    end = None if is_last else _ceil(planned.window.end)
    start = planned.window.start.replace(microsecond=0)
    if endpoint is ORDERS:
        return Listing(ORDERS, "modified", start, end, order="modified", fields=ORDER_FIELDS)
    return Listing(REFUNDS, "date", start, end, order="date", fields=REFUND_FIELDS)


def _resumed(listing: Listing, pull: Pull) -> Listing:
    after = (pull.cursor or {}).get("after")
    return listing if after is None else replace(listing, start=datetime.fromisoformat(after))


def _ceil(moment: datetime) -> datetime:
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else whole + SECOND


def _texts(ids: object) -> set[str]:
    return {str(one) for one in ids} if isinstance(ids, list) else set()
