"""The day of a run is its slot's, not the clock's: a run that starts late works for the day it was meant for."""

import sys
from datetime import UTC, date, datetime

from flows.settings import Settings


def slot_day(settings: Settings, now: datetime | None = None) -> date:
    """Return the last day that was over at the run's slot, in the store's time zone.

    Parameters
    ----------
    settings
        The store's.
    now
        The slot; by default that of Prefect's run, where one is under way, else the clock.
    """
    if now is None and "prefect" in sys.modules:
        from prefect.runtime import flow_run  # also while Prefect only names the run

        now = flow_run.scheduled_start_time if flow_run.id else None
    return settings.yesterday(now or datetime.now(UTC))
