"""Pull orders from a live source, and write them in the form that its preset reads."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from connectors.klaviyo.erasure import Erasures
from connectors.live.address import LiveAddress
from connectors.live.errors import LiveError, PlatformDownError
from connectors.live.opening import LiveStore, Surroundings, open_puller
from connectors.live.people import names_in
from connectors.live.puller import Puller
from connectors.live.queries import Memory
from connectors.live.raw import RawAccount, nobody
from connectors.live.records import PullKind, PullSummary
from connectors.store import replace_file
from features.tables import DataError
from perennial.pipeline.ingestion.pull_record import (
    PullRecord,
    clear_failure,
    read_pull,
    save_failure,
)
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import progress, step
from perennial.pipeline.settings.store import PULL_RECORD

REPAIR_AFTER = timedelta(days=7)
RECONCILE_AFTER = timedelta(days=28)
KEPT = 2  # projections: a command may still be reading the one before


class NotPulledError(DataError):
    """The orders of a day are not pulled yet."""

    is_late = True  # a scheduled run waits and tries again


@step
def pull_orders(run: RunContext, kind: PullKind | None = None) -> PullRecord | None:
    """Pull what changed since the last pull; None where the source is not live.

    If the platform is down and the orders pulled before cover the run's day, the run goes on with them.

    Parameters
    ----------
    run
        The run.
    kind
        Which pull; by default a night, a repair once a week, and a comparison of all counts every four weeks.

    Raises
    ------
    PlatformDownError
        The platform is down, and the run's day is not pulled yet.
    LiveError
        The platform refuses, or its answer is not understood. What was pulled before stays.
    """
    settings = run.settings
    address = settings.orders.live_address
    if address is None:
        return None
    before = read_pull(settings.pulled(address))
    try:
        with open_store(run, address) as puller:
            summary = puller.pull(run.now, kind or due_kind(before, run.now), progress)
            for warning in summary.warnings:
                progress(warning)
            folder = _project(puller, settings.pulled(address), run.now)
    except PlatformDownError as error:
        save_failure(settings.pulled(address), run.now, error)
        if before is None or not covers(before, run.as_of, settings.store.timezone):
            raise
        progress(
            f"{error}. The orders pulled at {before.pulled_at:%Y-%m-%d %H:%M} UTC cover {run.as_of}: going on"
        )
        return before
    except LiveError as error:
        save_failure(settings.pulled(address), run.now, error)
        raise
    record = _record(address, run.now, summary, before, folder.name)
    _make_current(folder.parent, record)
    clear_failure(folder.parent)
    return record


def _project(puller: Puller, parent: Path, now: datetime) -> Path:
    """Write the orders for the preset into a folder of their own, which is whole or gone."""
    folder = parent / f"orders-{now:%Y%m%dT%H%M%S%f}"
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    try:
        puller.project(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def due_kind(before: PullRecord | None, now: datetime) -> PullKind:
    """Return which pull is due: counts are compared every four weeks, recent weeks are read again every week."""
    if before is None:
        return PullKind.NIGHT  # the history is read first, whatever is asked
    reconciled = before.reconciled_at or before.pulled_at
    if now - reconciled >= RECONCILE_AFTER:
        return PullKind.RECONCILE
    repaired = max(filter(None, (before.repaired_at, reconciled)))
    return PullKind.REPAIR if now - repaired >= REPAIR_AFTER else PullKind.NIGHT


def _record(
    address: LiveAddress,
    now: datetime,
    summary: PullSummary,
    before: PullRecord | None,
    folder: str,
) -> PullRecord:
    is_first = before is None
    is_reconciled = is_first or summary.kind is PullKind.RECONCILE
    is_repaired = is_reconciled or summary.kind is PullKind.REPAIR
    return PullRecord(
        source=str(address),
        pulled_at=now,
        horizon=summary.horizon,
        kind=summary.kind,
        rows=sum(stream.rows for stream in summary.streams),
        deleted=sum(stream.tombstones for stream in summary.streams),
        requests=summary.requests,
        warnings=summary.warnings,
        repaired_at=now if is_repaired else before and before.repaired_at,
        reconciled_at=now if is_reconciled else before and before.reconciled_at,
        folder=folder,
    )


def _make_current(folder: Path, record: PullRecord) -> None:
    """Let readers see the new projection, and remove those that nobody reads any more."""
    text = record.model_dump_json(indent=2)
    replace_file(folder / PULL_RECORD, lambda draft: draft.write_text(text))
    old = sorted(one for one in folder.glob("orders-*") if one.name != record.folder)
    for one in old[: len(old) - (KEPT - 1)]:
        shutil.rmtree(one, ignore_errors=True)


def covers(record: PullRecord, day: date, timezone: str) -> bool:
    """Tell whether a pull has all orders of a day in the store's time zone."""
    end = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(timezone))
    return record.horizon is not None and record.horizon >= end


def check_pulled(run: RunContext) -> None:
    """Make sure that the orders of the run's day are pulled.

    Raises
    ------
    NotPulledError
        They are not.
    """
    settings = run.settings
    address = settings.orders.live_address
    if address is None:
        return
    record = read_pull(settings.pulled(address))
    if record is None or record.horizon is None:
        raise NotPulledError(
            f"No orders are pulled from {address}, or not all. Run `perennial pull`; it shows what is missing"
        )
    if not covers(record, run.as_of, settings.store.timezone):
        raise NotPulledError(
            f"The orders of {run.as_of} are not complete: {address} is pulled until "
            f"{record.horizon:%Y-%m-%d %H:%M} UTC. "
            "Run `perennial pull`, or an earlier day with --as-of"
        )


def forget_pulled(run: RunContext, names: Collection[str]) -> int:
    """Remove a person from what was pulled, from every account; return how many objects named them.

    The orders that were written for the preset are removed first, whoever is in them: the next pull writes them
    again. So nothing is left of a person if this is stopped and done again.
    """
    for folder in (run.state / "pulled").glob("*/"):
        _drop_projections(folder)
    gone = 0
    for platform in (run.state / "live").glob("*/"):
        for folder in platform.glob("*/"):
            account = RawAccount(run.state, platform.name, unquote(folder.name), now=_now)
            with account.hold():
                gone += sum(
                    account.stream(name).forget(
                        lambda payload: any(name in names for name in names_in(payload))
                    )
                    for name in account.streams()
                )
    return gone


def _drop_projections(folder: Path) -> None:
    """Remove the orders that were written for the preset; no day is complete until they are written again."""
    record = read_pull(folder)
    if record is not None:
        text = record.model_copy(update={"horizon": None}).model_dump_json(indent=2)
        replace_file(folder / PULL_RECORD, lambda draft: draft.write_text(text))
    for one in folder.glob("orders-*"):
        shutil.rmtree(one)


@contextmanager
def open_store(run: RunContext, address: LiveAddress, *, is_new: bool = False) -> Iterator[Puller]:
    """Open the puller of a live source.

    Parameters
    ----------
    run
        The run, or the home.
    address
        The account.
    is_new
        Whether currency and time zone are not set yet, so that they are not compared with the account's.
    """
    settings = run.settings
    erased = Erasures(settings.state)
    store = LiveStore(
        address=address,
        state=settings.state,
        currency=None if is_new else settings.store.currency,
        timezone=None if is_new else settings.store.timezone,
        integration=settings.klaviyo.integration,
        memory=Memory(settings.engine.memory_limit, _scratch(settings.home)),
        is_erased=(lambda payload: any(name in erased for name in names_in(payload)))
        if len(erased)
        else nobody,
    )
    with open_puller(store, Surroundings(os.environ)) as puller:
        yield puller


def _now() -> datetime:
    return datetime.now(UTC)


def _scratch(home: Path) -> Path:
    folder = home / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
