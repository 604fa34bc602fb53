"""How things stand: which day is current, how old it is, by which model, and what was refused."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from connectors.store import PublishedDay, Store
from connectors.tracking import Tracking
from perennial.pipeline.publishing.checks import refusals
from perennial.pipeline.publishing.records import read_record
from perennial.pipeline.runtime.context import RunContext, lease_of
from perennial.pipeline.status.records import CurrentDay, ModelStatus, SourceStatus, Status
from perennial.pipeline.status.source import source_problem, source_status

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Staleness:
    """How old what readers see is.

    Attributes
    ----------
    hours
        Since it was published.
    days_behind
        Days from the published one to the last that is over.
    limit
        From when on it is stale; None = nobody asked.
    """

    hours: float
    days_behind: int
    limit: timedelta | None = None

    @property
    def is_stale(self) -> bool:
        """Whether it was published too long ago, or is of a day too long ago."""
        if self.limit is None:
            return False
        return timedelta(hours=self.hours) > self.limit or self.days_behind > max(
            1, self.limit // DAY
        )


def staleness_of(
    day: PublishedDay, now: datetime, yesterday: date, limit: timedelta | None = None
) -> Staleness:
    """Say how old a published day is.

    Parameters
    ----------
    day
        The published day.
    now
        The moment, with its zone.
    yesterday
        The last day that is over in the store's time zone.
    limit
        From when on it is stale.
    """
    hours = (now - day.published_at()) / timedelta(hours=1)
    return Staleness(round(hours, 2), (yesterday - day.as_of).days, limit)


def collect_status(run: RunContext, limit: timedelta | None = None) -> Status:
    """Return the status of a store; with `limit`, tell whether the current day is older."""
    yesterday = run.settings.yesterday(run.now)
    day = run.store.current()
    holder = lease_of(run.state).holder()
    missing = missing_days(run.store, yesterday, run.settings.schedule.catch_up_days)
    status = Status(
        current=None,
        refused=tuple(refusals(run.state)),
        missing=tuple(missing),
        at_work=holder,
        is_stale=limit is not None,
        source=_source(run),
    )
    if day is None:
        return status
    staleness, record = staleness_of(day, run.now, yesterday, limit), read_record(day)
    current = CurrentDay(
        as_of=day.as_of,
        published_at=record.published_at,
        hours=staleness.hours,
        days_behind=staleness.days_behind,
        customers=record.customers,
        checks=record.checks,
    )
    model = _model(run.tracking, record.model_version, day.as_of)
    source = _source(run, record.last_order_date)
    return status.model_copy(
        update={
            "current": current,
            "model": model,
            "is_stale": staleness.is_stale,
            "source": source,
        }
    )


def missing_days(store: Store, day: date, most_days: int) -> list[date]:
    """List the days of late that should be published and are not, in order, `day` included; `most_days` back."""
    published = {one.as_of for one in store.published_days(date.min, day)}
    if not published:
        return []
    start = max(min(published), day - timedelta(days=most_days))
    between = (start + timedelta(days=n) for n in range((day - start).days + 1))
    return [one for one in between if one not in published]


def read_limit(text: str) -> timedelta:
    """Read a length of time such as ``26h`` or ``2d``.

    Raises
    ------
    ValueError
        It is neither hours nor days.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([hd])", text)
    if match is None:
        raise ValueError(
            f"a length of time is hours or days, such as 26h or 2d: {text!r} is neither"
        )
    return float(match[1]) * (DAY if match[2] == "d" else timedelta(hours=1))


def _source(run: RunContext, newest_order: date | None = None) -> SourceStatus:
    status = source_status(run.settings.source_place)
    limit = timedelta(days=run.settings.schedule.stale_source_days)
    problem = source_problem(status, run.now, limit)
    return status.model_copy(
        update={
            "newest_order": newest_order,
            "problem": None if problem is None else str(problem),
        }
    )


def _model(tracking: Tracking, version: str, as_of: date) -> ModelStatus:
    if not tracking.has(version):
        return ModelStatus(version=version)
    tags = tracking.tags(version)
    trained = date.fromisoformat(tags["as_of"])
    return ModelStatus(
        version=version,
        trained_as_of=trained,
        age_days=(as_of - trained).days,
        gate=tags.get("gate"),
        champion=tracking.champion(),
    )
