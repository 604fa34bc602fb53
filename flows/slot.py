"""The day of a run is its slot's, not the clock's: a run that starts late works for the day it was meant for."""

from datetime import date

from flows.settings import Settings


def slot_day(settings: Settings) -> date:
    """Return the day before the current Prefect flow run's slot, in the store's time zone."""
    from prefect.runtime import flow_run

    return settings.yesterday(flow_run.scheduled_start_time)
