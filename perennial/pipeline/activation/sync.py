"""Bring the published scores to Klaviyo: plan what differs, send it, believe what is confirmed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from connectors.klaviyo.apply import SyncContext, await_jobs, finalize, verify
from connectors.klaviyo.apply import send as send_rows
from connectors.klaviyo.errors import SyncRefusedError, UnavailableError
from connectors.klaviyo.events import events_accepted, send_events
from connectors.klaviyo.guards import check_account as check_answers
from connectors.klaviyo.guards import check_fresh, check_key
from connectors.klaviyo.lists import ListCounts, save_list
from connectors.klaviyo.manifest import Manifest
from connectors.klaviyo.ownership import OwnershipRegistry
from connectors.klaviyo.records import Delivery, KeyCheck, SyncOutcome, SyncPlan
from connectors.klaviyo.segments import SegmentCounts
from connectors.klaviyo.segments import save_segments as save_definitions
from connectors.klaviyo.synced_profiles import SyncedProfiles
from connectors.store import PublishedDay
from models.gate import FAILED
from perennial.pipeline.activation.sync_plan import (
    SyncPlaces,
    list_members,
    list_rejects,
    terms_of,
    write_plan,
)
from perennial.pipeline.publishing.records import read_record
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.monitoring_state import frozen_because
from perennial.pipeline.runtime.steps import in_prefect, progress, retry_on, step
from perennial.pipeline.settings.klaviyo import KlaviyoSettings
from perennial.pipeline.settings.store import SettingsError

UNSEEN_SCOPES = (
    "write scopes without their read scope, data-privacy:write, and scopes not listed here"
)


@dataclass(frozen=True)
class SyncSteps:
    """What the steps of a sync did.

    Attributes
    ----------
    key
        What was checked of the key.
    delivery
        What became of the rows.
    segments, lists
        What was done to them.
    """

    key: KeyCheck
    delivery: Delivery
    segments: SegmentCounts
    lists: Mapping[str, ListCounts]


@step
def find_day(run: RunContext) -> PublishedDay:
    """Find the published day, and refuse one that is stale or that a gate refused.

    Raises
    ------
    SettingsError
        No account is set.
    SyncRefusedError
        The day is not current, stale, or scored by a model that the gate refused.
    """
    settings, as_of = run.settings, run.as_of
    if settings.klaviyo.account is None:
        raise SettingsError(
            "a sync knows its account: klaviyo.account is not set. Set it to the account's public id, as Klaviyo "
            "shows it under Settings > API keys"
        )
    day = run.store.current()
    if day is None or day.as_of != as_of:
        current = "nothing is" if day is None else f"{day.as_of} is"
        raise SyncRefusedError(
            f"only the published day is sent: {current} current, not {as_of}. Run `perennial run`"
        )
    check_fresh(day.as_of, settings.yesterday(run.now), settings.klaviyo.limits)
    frozen = frozen_because(run.state)
    if frozen is not None:
        raise SyncRefusedError(
            f"scores are sent while they come true: {frozen}. See the page's monitoring and train again, or raise "
            "monitoring.freeze and run `perennial monitor`"
        )
    version, tracking = read_record(day).model_version, run.tracking
    gate = tracking.tags(version).get("gate") if tracking.has(version) else None
    if gate is None or gate == FAILED:
        problem = "refused" if gate == FAILED else "has not seen"
        raise SyncRefusedError(
            f"scores are sent when the gate let their model score: it {problem} version {version}. Train again, or "
            f'`perennial promote {version} --because "…"`'
        )
    return day


@contextmanager
def one_sync(run: RunContext) -> Iterator[None]:
    """Hold the sync's lock; the system frees it when its holder dies.

    Raises
    ------
    SyncRefusedError
        Another sync is under way.
    """
    places = SyncPlaces.of(run)
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
@retry_on(UnavailableError)
def check_account(run: RunContext, context: SyncContext) -> KeyCheck:
    """Refuse a key of another account, and one that may do more than it must; return what was checked."""
    check_answers(context.klaviyo, str(run.settings.klaviyo.account))
    if run.settings.klaviyo.allow_wide_key:
        return KeyCheck(scopes_checked=False)
    scopes = check_key(context.klaviyo)
    return KeyCheck(
        scopes_checked=True,
        denied=scopes.denied,
        unclear=scopes.unclear,
        not_visible=UNSEEN_SCOPES,
    )


@step
def plan_sync(
    run: RunContext,
    day: PublishedDay,
    context: SyncContext | None,
    *,
    create_missing: bool = False,
    apply: bool = False,
) -> SyncPlan:
    """Say what differs from what Klaviyo has confirmed; with `apply`, make it the sync under way."""
    return write_plan(run, day, context, create_missing=create_missing, apply=apply)


def _make_private(folder: Path) -> None:
    """Make a folder of what names people, for its owner only."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


@step
def finish_earlier(
    run: RunContext, day: PublishedDay, context: SyncContext, *, create_missing: bool
) -> bool:
    """Go on with a sync that was killed; tell whether it is this day's, planned as one would be now.

    Of another, what was sent is confirmed, and what was not is dropped.
    """
    places = SyncPlaces.of(run)
    manifest = Manifest.open(places.open)
    if manifest is None:
        return False
    header = manifest.header
    now = (
        day.as_of.isoformat(),
        day.run_id,
        terms_of(run.settings.klaviyo, create_missing=create_missing),
    )
    if (header.as_of, header.run_id, header.terms) == now:
        return True
    for number in manifest.numbers:
        verify(manifest, number, context, send_again=False)
        _tell_changes(run, manifest, number, context)
    await_jobs(manifest, context)
    if events := events_accepted(manifest):
        progress(f"events accepted of the sync of {header.as_of}, not verified: {events:,}")
    finalize(manifest, SyncedProfiles(places.confirmed))
    return False


def job_numbers(run: RunContext) -> range:
    """Return the numbers of the jobs under way."""
    manifest = Manifest.open(SyncPlaces.of(run).open)
    return range(0) if manifest is None else manifest.numbers


def each_job(run: RunContext) -> Iterator[int]:
    """Give the numbers of the jobs under way, those that are split off meanwhile too."""
    number = 1
    while number in job_numbers(run):
        yield number
        number += 1


def check_switch(settings: KlaviyoSettings) -> None:
    """Stop where the kill switch is thrown; it is looked at again before each job.

    Raises
    ------
    SyncRefusedError
        ``klaviyo.enabled`` is off.
    """
    if not settings.enabled:
        raise SyncRefusedError(
            "a sync runs while klaviyo.enabled is true: it is false. What was confirmed is kept; turn it on and "
            "sync again to go on"
        )


@step
@retry_on(UnavailableError)
def send_job(run: RunContext, context: SyncContext, number: int) -> None:
    """Create one import job, unless it is created."""
    send_rows(_under_way(run), number, context)


@step
@retry_on(UnavailableError)
def verify_job(run: RunContext, context: SyncContext, number: int) -> None:
    """Wait for one import job, keep what Klaviyo confirmed, and tell of changes."""
    manifest = _under_way(run)
    verify(manifest, number, context)
    _tell_changes(run, manifest, number, context)


@step
@retry_on(UnavailableError)
def finish_sync(run: RunContext, context: SyncContext) -> Delivery:
    """Remember what was confirmed, write the rejects, and end the sync."""
    places = SyncPlaces.of(run)
    manifest = Manifest.open(places.open)
    if manifest is None:
        return Delivery()
    await_jobs(manifest, context)
    rejected = list_rejects(places, manifest)
    sent = sum(manifest.state(number).sent for number in manifest.numbers)
    events = events_accepted(manifest)
    confirmed = finalize(manifest, SyncedProfiles(places.confirmed))
    return Delivery(sent, confirmed, rejected, events)


@step
@retry_on(UnavailableError)
def save_segments(run: RunContext, context: SyncContext) -> SegmentCounts:
    """Create and change the segments that the settings define."""
    registry = OwnershipRegistry(SyncPlaces.of(run).segments)
    return save_definitions(
        run.settings.klaviyo.definitions, context.klaviyo, context.clock, registry
    )


@step
@retry_on(UnavailableError)
def save_lists(run: RunContext, day: PublishedDay, context: SyncContext) -> dict[str, ListCounts]:
    """Put people on the lists that the settings define, and take them off."""
    places = SyncPlaces.of(run)
    registry = OwnershipRegistry(places.lists)
    return {
        name: save_list(name, people, context.klaviyo, context.clock, registry)
        for name, people in list_members(run, day, context.erased).items()
    }


@step
def report_sync(
    run: RunContext,
    day: PublishedDay,
    context: SyncContext,
    planned: SyncPlan | None,
    done: SyncSteps,
) -> SyncOutcome:
    """Report what was done, in a file and, under Prefect, as an artifact: counts only.

    Parameters
    ----------
    run, day, context
        What was synced, and how.
    planned
        What this sync planned; None = it finished an earlier one of the day.
    done
        What its steps did.
    """
    places, delivery = SyncPlaces.of(run), asdict(done.delivery)
    outcome = SyncOutcome(
        as_of=day.as_of,
        run_id=day.run_id,
        resumed=planned is None,
        counts=None if planned is None else planned.counts,
        **delivery,
        segments=done.segments,
        lists=done.lists,
        key=done.key,
        requests=dict(context.klaviyo.requests),
        files={"rejects": places.rejects},
    )
    places.outcome.write_text(json.dumps(outcome.to_dict(), indent=2) + "\n")
    if in_prefect():
        from prefect.artifacts import create_table_artifact

        counts = ({} if planned is None else asdict(planned.counts)) | delivery
        table = [{"what": name.replace("_", " "), "how many": n} for name, n in counts.items()]
        create_table_artifact(table=table, key="klaviyo-sync", description=f"Klaviyo, {day.as_of}")
    return outcome


def _under_way(run: RunContext) -> Manifest:
    return Manifest(SyncPlaces.of(run).open)


def _tell_changes(run: RunContext, manifest: Manifest, number: int, context: SyncContext) -> None:
    if run.settings.klaviyo.events:
        send_events(manifest, number, context)
