"""The scheduled day: the slot's, not the clock's, and before it the days that were missed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.store import PublishedDay, Store
from features.tables import DataError
from flows.run import plan_marketing, train_if_needed
from flows.score import score
from perennial.pipeline.ingestion.read import workspace
from perennial.pipeline.publishing.checks import DayRefusedError, keep_refusal
from perennial.pipeline.publishing.refusal import tell_refused
from perennial.pipeline.publishing.steps import Scored
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
            except DayRefusedError as error:
                if not error.is_late:
                    raise
                progress(f"{error} Waiting for {settings.schedule.late_wait_minutes} minutes")
                time.sleep(60 * settings.schedule.late_wait_minutes)
        return publish_days(settings, config, day, force=force, accepted=accepted or {})
    except DataError as error:
        tell_refused(settings, day, error)
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
    with workspace(settings) as work:
        caught_up: list[date] = []
        refused: dict[date, str] = {}
        for missed in find_missing(settings, day):
            try:
                publish_missed(settings, config, missed, work)
                caught_up.append(missed)
            except DataError as error:
                refused[missed] = str(error)
                _remember(settings, missed, error)
        try:
            train_if_needed(settings, config, day, work, "daily run")
            scored = score(config, day, work, force=force, accepted=accepted)
        except DataError as error:
            _point_to_newest(settings, caught_up)
            _remember(settings, day, error)
            raise
        scored = replace(scored, sync=plan(settings, config, scored.day))
    return Daily(scored, tuple(caught_up), refused)


@step
def find_missing(settings: Settings, day: date) -> list[date]:
    """List the days before one that should be published and are not, in order."""
    return missing_days(settings, day - timedelta(days=1))


def publish_missed(settings: Settings, config: Path, missed: date, work: Path) -> PublishedDay:
    """Publish a missed day as it would have been, but point no reader to it."""
    train_if_needed(settings, config, missed, work, "missed day")
    return score(config, missed, work, purpose=Purpose.MISSED).day


def plan(settings: Settings, config: Path, day: PublishedDay) -> dict[str, Any] | None:
    """Plan the sync of the newest day; a day that came late plans nothing."""
    current = Store(settings.exports).current()
    if not settings.klaviyo.is_configured or current is None or current.as_of != day.as_of:
        return None
    return plan_marketing(config, day)


def _remember(settings: Settings, day: date, error: DataError) -> None:
    """Keep why a day is refused; what checks say is kept by them."""
    if not isinstance(error, DayRefusedError):
        keep_refusal(settings, day, str(error))


def _point_to_newest(settings: Settings, caught_up: list[date]) -> None:
    """Let readers see the newest of the missed days where the day itself is refused."""
    store = Store(settings.exports)
    if caught_up:
        store.make_current(store.days(caught_up[-1])[-1])
