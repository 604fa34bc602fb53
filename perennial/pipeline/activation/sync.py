"""Bring the published scores to Klaviyo: plan what differs, send it, believe what is confirmed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from connectors.klaviyo.apply import Hands, drain, settle, verify
from connectors.klaviyo.apply import send as send_rows
from connectors.klaviyo.book import Book
from connectors.klaviyo.confirmed import Confirmed
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.errors import SyncRefusedError, UnavailableError
from connectors.klaviyo.events import events_accepted, send_events
from connectors.klaviyo.guards import check_account as check_answers
from connectors.klaviyo.guards import check_fresh, check_key
from connectors.klaviyo.lists import keep_list
from connectors.klaviyo.manifest import Manifest
from connectors.klaviyo.segments import keep_segments as keep
from connectors.store import PublishedDay, Store
from models.gate import FAILED
from perennial.pipeline.activation.outbox import (
    SyncPlaces,
    list_members,
    list_rejects,
    terms_of,
    write_plan,
)
from perennial.pipeline.ingestion.read import open_tracking
from perennial.pipeline.runtime.monitoring_state import frozen_because
from perennial.pipeline.runtime.steps import again_after, in_prefect, progress, step
from perennial.pipeline.settings.store import Settings, SettingsError, read_settings

UNSEEN_SCOPES = (
    "write scopes without their read scope, data-privacy:write, and scopes not listed here"
)


def sync_day(
    settings: Settings,
    day: PublishedDay,
    hands: Hands | None,
    config: Path | None = None,
    *,
    apply: bool,
    create_missing: bool,
) -> dict[str, Any]:
    """Sync a day in named steps; without `hands` Klaviyo is not even read."""
    check_switch(settings)
    with one_sync(settings):
        key: dict[str, Any] = {}
        if hands is not None:
            hands = replace(hands, erased=Erasures(settings.state))  # as it is under the lock
            key = check_account(settings, hands)
        if hands is None or not apply:
            return plan_sync(settings, day, hands, create_missing=create_missing)
        is_resumed = finish_earlier(settings, day, hands, create_missing=create_missing)
        planned = (
            {}
            if is_resumed
            else plan_sync(settings, day, hands, create_missing=create_missing, apply=True)
        )
        for number in each_job(settings):
            check_switch(settings if config is None else read_settings(config))
            send_job(settings, hands, number)
        for number in each_job(settings):
            verify_job(settings, hands, number)
        confirmed = finish_sync(settings, hands)
        segments = keep_segments(settings, hands)
        lists = keep_lists(settings, day, hands)
        made = {"segments": segments, "lists": lists, "key": key}
        return report_sync(settings, day, hands, planned, confirmed, made)


@step
def find_day(settings: Settings, as_of: date) -> PublishedDay:
    """Find the published day, and refuse one that is stale or that a gate refused.

    Raises
    ------
    SettingsError
        No account is set.
    SyncRefusedError
        The day is not current, stale, or scored by a model that the gate refused.
    """
    if settings.klaviyo.account is None:
        raise SettingsError(
            "a sync knows its account: klaviyo.account is not set. Set it to the account's public id, as Klaviyo "
            "shows it under Settings > API keys"
        )
    day = Store(settings.exports).current()
    if day is None or day.as_of != as_of:
        found = "nothing is" if day is None else f"{day.as_of} is"
        raise SyncRefusedError(
            f"only the published day is sent: {found} current, not {as_of}. Run `perennial run`"
        )
    check_fresh(day.as_of, settings.yesterday(datetime.now(UTC)), settings.klaviyo.limits)
    frozen = frozen_because(settings.state)
    if frozen is not None:
        raise SyncRefusedError(
            f"scores are sent while they come true: {frozen}. See the page's monitoring and train again, or raise "
            "monitoring.freeze and run `perennial monitor`"
        )
    version, tracking = day.record()["model_version"], open_tracking(settings)
    gate = tracking.tags(version).get("gate") if tracking.has(version) else None
    if gate is None or gate == FAILED:
        finding = "refused" if gate == FAILED else "has not seen"
        raise SyncRefusedError(
            f"scores are sent when the gate let their model score: it {finding} version {version}. Train again, or "
            f'`perennial promote {version} --because "…"`'
        )
    return day


@contextmanager
def one_sync(settings: Settings) -> Iterator[None]:
    """Hold the sync's lock; the system frees it when its holder dies.

    Raises
    ------
    SyncRefusedError
        Another sync is under way.
    """
    places = SyncPlaces.of(settings)
    for folder in (places.state.parent, places.state, places.out):
        _make_private(folder)
    try:
        with FileLock(places.lock, timeout=0):
            yield
    except Timeout:
        raise SyncRefusedError(
            "one sync at a time: another holds the lock. Wait until it is over"
        ) from None


@step
@again_after(UnavailableError)
def check_account(settings: Settings, hands: Hands) -> dict[str, Any]:
    """Refuse a key of another account, and one that may do more than it must; return what was checked."""
    check_answers(hands.klaviyo, str(settings.klaviyo.account))
    if settings.klaviyo.allow_wide_key:
        return {"scopes_checked": False}
    scopes = check_key(hands.klaviyo)
    return {
        "scopes_checked": True,
        "denied": list(scopes.denied),
        "unclear": list(scopes.unclear),
        "not_visible": UNSEEN_SCOPES,
    }


@step
def plan_sync(
    settings: Settings,
    day: PublishedDay,
    hands: Hands | None,
    *,
    create_missing: bool = False,
    apply: bool = False,
) -> dict[str, Any]:
    """Say what differs from what Klaviyo has confirmed; with `apply`, make it the sync under way."""
    return write_plan(settings, day, hands, create_missing=create_missing, apply=apply)


def _make_private(folder: Path) -> None:
    """Make a folder of what names people, for its owner only."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


@step
def finish_earlier(
    settings: Settings, day: PublishedDay, hands: Hands, *, create_missing: bool
) -> bool:
    """Go on with a sync that was killed; tell whether it is this day's, planned as one would be now.

    Of another, what was sent is confirmed, and what was not is dropped.
    """
    places = SyncPlaces.of(settings)
    manifest = Manifest.open(places.open)
    if manifest is None:
        return False
    header = manifest.header
    now = (day.as_of.isoformat(), day.run_id, terms_of(settings, create_missing=create_missing))
    if (header.as_of, header.run_id, header.terms) == now:
        return True
    for number in manifest.numbers:
        verify(manifest, number, hands, send_again=False)
        _tell_changes(settings, manifest, number, hands)
    drain(manifest, hands)
    if events := events_accepted(manifest):
        progress(f"events accepted of the sync of {header.as_of}, not verified: {events:,}")
    settle(manifest, Confirmed(places.confirmed))
    return False


def job_numbers(settings: Settings) -> range:
    """Return the numbers of the jobs under way."""
    manifest = Manifest.open(SyncPlaces.of(settings).open)
    return range(0) if manifest is None else manifest.numbers


def each_job(settings: Settings) -> Iterator[int]:
    """Give the numbers of the jobs under way, those that are split off meanwhile too."""
    number = 1
    while number in job_numbers(settings):
        yield number
        number += 1


def check_switch(settings: Settings) -> None:
    """Stop where the kill switch is thrown; it is looked at again before each job.

    Raises
    ------
    SyncRefusedError
        ``klaviyo.enabled`` is off.
    """
    if not settings.klaviyo.enabled:
        raise SyncRefusedError(
            "a sync runs while klaviyo.enabled is true: it is false. What was confirmed is kept; turn it on and "
            "sync again to go on"
        )


@step
@again_after(UnavailableError)
def send_job(settings: Settings, hands: Hands, number: int) -> None:
    """Create one import job, unless it is created."""
    send_rows(_under_way(settings), number, hands)


@step
@again_after(UnavailableError)
def verify_job(settings: Settings, hands: Hands, number: int) -> None:
    """Wait for one import job, keep what Klaviyo confirmed, and tell of changes."""
    manifest = _under_way(settings)
    verify(manifest, number, hands)
    _tell_changes(settings, manifest, number, hands)


@step
@again_after(UnavailableError)
def finish_sync(settings: Settings, hands: Hands) -> dict[str, int]:
    """Remember what was confirmed, write the rejects, and end the sync."""
    places = SyncPlaces.of(settings)
    manifest = Manifest.open(places.open)
    if manifest is None:
        return {"sent": 0, "confirmed": 0, "rejected": 0, "events_unverified": 0}
    drain(manifest, hands)
    rejected = list_rejects(settings, manifest)
    sent = sum(manifest.state(number).sent for number in manifest.numbers)
    events = events_accepted(manifest)
    confirmed = settle(manifest, Confirmed(places.confirmed))
    return {
        "sent": sent,
        "confirmed": confirmed,
        "rejected": rejected,
        "events_unverified": events,
    }


@step
@again_after(UnavailableError)
def keep_segments(settings: Settings, hands: Hands) -> dict[str, list[str]]:
    """Create and change the segments that the settings define."""
    book = Book(SyncPlaces.of(settings).segments)
    done = keep(settings.klaviyo.definitions, hands.klaviyo, hands.clock, book)
    return {name: list(names) for name, names in asdict(done).items()}


@step
@again_after(UnavailableError)
def keep_lists(settings: Settings, day: PublishedDay, hands: Hands) -> dict[str, dict[str, int]]:
    """Put people on the lists that the settings define, and take them off."""
    places = SyncPlaces.of(settings)
    book = Book(places.lists)
    return {
        name: asdict(keep_list(name, people, hands.klaviyo, hands.clock, book))
        for name, people in list_members(settings, day, hands.erased).items()
    }


@step
def report_sync(
    settings: Settings,
    day: PublishedDay,
    hands: Hands,
    planned: dict[str, Any],
    confirmed: dict[str, int],
    made: dict[str, Any],
) -> dict[str, Any]:
    """Say what was done, in a file and, under Prefect, as an artifact: counts only."""
    said = {
        "status": "synced",
        "as_of": day.as_of.isoformat(),
        "run_id": day.run_id,
        "resumed": not planned,
        "counts": planned.get("counts", {}),
        **confirmed,
        **made,
        "requests": dict(hands.klaviyo.requests),
        "files": {"rejects": str(SyncPlaces.of(settings).rejects)},
    }
    SyncPlaces.of(settings).outcome.write_text(json.dumps(said, indent=2) + "\n")
    if in_prefect():
        from prefect.artifacts import create_table_artifact

        counts = {**said["counts"], **confirmed}
        table = [{"what": name.replace("_", " "), "how many": n} for name, n in counts.items()]
        create_table_artifact(table=table, key="klaviyo-sync", description=f"Klaviyo, {day.as_of}")
    return said


def _under_way(settings: Settings) -> Manifest:
    return Manifest(SyncPlaces.of(settings).open)


def _tell_changes(settings: Settings, manifest: Manifest, number: int, hands: Hands) -> None:
    if settings.klaviyo.events:
        send_events(manifest, number, hands)
