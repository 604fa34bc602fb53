"""The day of a run is its slot's, not the clock's: a run that starts late works for the day it was meant for."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from perennial.pipeline.runtime.steps import progress
from perennial.pipeline.settings.cron import fires_at
from perennial.pipeline.settings.store import Settings

LONGEST_JUMP = timedelta(hours=3)  # of clocks that are set forward


def slot_day(settings: Settings, now: datetime | None = None, *, cron: str | None = None) -> date:
    """Return the day before the run's slot, in the store's time zone.

    Parameters
    ----------
    settings
        The store's.
    now
        The slot; by default that of Prefect's run, where one is under way, else the clock.
    cron
        Crontab line that the slot belongs to; None = the nightly run's.
    """
    if now is None and "prefect" in sys.modules:
        from prefect.runtime import flow_run  # also while Prefect only names the run

        now = flow_run.scheduled_start_time if flow_run.id else None
    slot = now or datetime.now(UTC)
    wall = _skipped_time(slot, ZoneInfo(settings.store.timezone), cron or settings.schedule.daily)
    return settings.yesterday(slot) if wall is None else wall.date() - timedelta(days=1)


def wait_until_over(
    settings: Settings,
    day: date,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait for the end of a day whose slot came before it, by no more than clocks jump.

    Parameters
    ----------
    settings
        The store's.
    day
        From :func:`slot_day`.
    now, sleep
        The clock.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(settings.store.timezone))
    over = (midnight + timedelta(days=1)).astimezone(UTC)
    left = over - now().astimezone(UTC)
    if timedelta(0) < left <= LONGEST_JUMP:
        progress(f"waiting until {day} is over in {settings.store.timezone}")
        sleep(left.total_seconds())


def _skipped_time(slot: datetime, zone: ZoneInfo, cron: str) -> datetime | None:
    """Return the time on the wall that a slot stands for, where clocks skip it; None = its own.

    Prefect moves such a slot back by the length of the jump: 00:00 to 23:00 of the day before.
    """
    local = slot.astimezone(zone)
    later = (slot + LONGEST_JUMP).astimezone(zone).utcoffset()
    jump = (later or timedelta(0)) - (local.utcoffset() or timedelta(0))
    wall = local.replace(tzinfo=None)
    meant = wall + jump
    if jump <= timedelta(0) or fires_at(cron, wall) or not fires_at(cron, meant):
        return None
    there = meant.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    return None if there == meant else meant
