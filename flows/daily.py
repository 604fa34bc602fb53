"""The scheduled day: the slot's, not the clock's, and before it the days that were missed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from connectors.klaviyo.records import SyncPlan, SyncRefusal
from connectors.store import PublishedDay, Store
from features.tables import DataError
from flows.refusal import notify_refusal
from flows.run import plan_marketing, train_if_needed
from flows.score import score
from perennial.pipeline.ingestion.pull import pull_orders
from perennial.pipeline.publishing.checks import DayRefusedError, save_refusal
from perennial.pipeline.publishing.steps import Scored
from perennial.pipeline.runtime.context import RunContext, open_run
from perennial.pipeline.runtime.purpose import Purpose
from perennial.pipeline.runtime.slot import slot_day
from perennial.pipeline.runtime.steps import flow, in_prefect, progress, step
from perennial.pipeline.settings.store import Settings, read_settings
from perennial.pipeline.status.status import missing_days


@dataclass(frozen=True)
class Daily:
    """What a scheduled run did.

    Attributes
    ----------
    scored
        The day itself.
    caught_up
        Missed days that it published.
    refused
        Missed days that are still refused, and why.
    """

    scored: Scored
    caught_up: tuple[date, ...] = ()
    refused: Mapping[date, str] = field(default_factory=dict)


@flow
def daily(
    config: Path,
    as_of: date | None = None,
    *,
    force: bool = False,
    accepted: Mapping[str, str] | None = None,
) -> Daily:
    """Publish the slot's day and, in order, the days before it that are missing.

    A run that comes late or out of order fills its day in; readers and marketing only ever move on to
    the newest. A missed day that is refused holds nobody up: the next run tries it again. Where the
    source is late, a scheduled run waits for it; a person's says so at once.

    Raises
    ------
    DayRefusedError
        A check refuses the day.
    DataError
        The orders or the settings do not allow a day.
    """
    settings = read_settings(config)
    day = as_of or slot_day(settings)
    try:
        for _ in range(settings.schedule.late_tries if in_prefect() else 0):
            try:
                return publish_days(settings, config, day, force=force, accepted=accepted or {})
            except DataError as error:
                if not getattr(error, "is_late", False):
                    raise
                progress(f"{error} Waiting for {settings.schedule.late_wait_minutes} minutes")
                time.sleep(60 * settings.schedule.late_wait_minutes)
        return publish_days(settings, config, day, force=force, accepted=accepted or {})
    except DataError as error:
        notify_refusal(settings, day, error)
        raise


def publish_days(
    settings: Settings, config: Path, day: date, *, force: bool, accepted: Mapping[str, str]
) -> Daily:
    """Publish the days that are missing, and the day.

    Raises
    ------
    DataError
        The day is not over, or is refused.
    """
    yesterday = settings.yesterday(datetime.now(UTC))
    if day > yesterday:
        raise DataError(
            f"a day is published once it is over in {settings.store.timezone}: {day} is after {yesterday}, the last "
            "that is. Name an earlier one"
        )
    with open_run(settings, day) as run:
        pull_orders(run)
        caught_up: list[date] = []
        refused: dict[date, str] = {}
        for missed in find_missing(run):
            try:
                publish_missed(run.on(missed), config)
                caught_up.append(missed)
            except DataError as error:
                refused[missed] = str(error)
                _remember(run.state, missed, error)
        try:
            train_if_needed(run, config, "daily run")
            scored = score(config, day, run.folder, force=force, accepted=accepted)
        except DataError as error:
            _point_to_newest(run.store, caught_up)
            _remember(run.state, day, error)
            raise
        scored = replace(scored, sync=plan(run, config, scored.day))
    return Daily(scored, tuple(caught_up), refused)


@step
def find_missing(run: RunContext) -> list[date]:
    """List the days before the run's that should be published and are not, in order."""
    most = run.settings.schedule.catch_up_days
    return missing_days(run.store, run.as_of - timedelta(days=1), most)


def publish_missed(run: RunContext, config: Path) -> PublishedDay:
    """Publish a missed day as it would have been, but point no reader to it."""
    train_if_needed(run, config, "missed day")
    return score(config, run.as_of, run.folder, purpose=Purpose.MISSED).day


def plan(run: RunContext, config: Path, day: PublishedDay) -> SyncPlan | SyncRefusal | None:
    """Plan the sync of the newest day; a day that came late plans nothing."""
    current = run.store.current()
    is_configured = run.settings.klaviyo.is_configured
    if not is_configured or current is None or current.as_of != day.as_of:
        return None
    return plan_marketing(config, day)


def _remember(state: Path, day: date, error: DataError) -> None:
    """Keep why a day is refused; what checks say is kept by them."""
    if not isinstance(error, DayRefusedError):
        save_refusal(state, day, str(error))


def _point_to_newest(store: Store, caught_up: list[date]) -> None:
    """Let readers see the newest of the missed days where the day itself is refused."""
    if caught_up:
        store.make_current(store.days(caught_up[-1])[-1])
