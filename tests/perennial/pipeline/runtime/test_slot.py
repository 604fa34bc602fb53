"""Each night's slot works for its own day, also where clocks jump over it."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from prefect._vendor.croniter import croniter
from prefect.server.schemas.schedules import CronSchedule

from perennial.pipeline.runtime.slot import slot_day, wait_until_over
from perennial.pipeline.settings.cron import fires_at
from perennial.pipeline.settings.schedule import ScheduleSettings
from perennial.pipeline.settings.store import Settings, build_settings

ZONES = [
    "America/Santiago", "America/Havana", "Africa/Cairo", "Asia/Beirut", "America/Asuncion",
    "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll",
    "America/Nuuk", "Atlantic/Azores", "Asia/Tokyo", "Pacific/Easter", "UTC",
]  # fmt: skip


def store(zone: str, daily: str = "0 0 * * *") -> Settings:
    values = {"orders": {"source": "a.csv"}, "store": {"timezone": zone}}
    return build_settings(values | {"schedule": {"daily": daily}}, Path())


def slots(zone: str, cron: str, start: datetime, days: int) -> list[datetime]:
    """The slots that Prefect's scheduler makes, asked for a few at a time as it does."""
    schedule, made = CronSchedule(cron=cron, timezone=zone), set()
    for week in range(0, days, 7):
        first, end = (start + timedelta(days=n) for n in (week, min(week + 7, days)))
        made |= set(asyncio.run(schedule.get_dates(start=first, end=end)))
    return sorted(made)


def days_of(zone: str, cron: str, start: datetime, days: int) -> list[date]:
    settings = store(zone, cron)
    return [slot_day(settings, slot) for slot in slots(zone, cron, start, days)]


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        ("America/Santiago", date(2026, 9, 6)),
        ("Africa/Cairo", date(2026, 4, 24)),
        ("Asia/Beirut", date(2026, 3, 29)),
        ("America/Havana", date(2026, 3, 8)),
        ("America/Asuncion", date(2023, 10, 1)),
        ("America/Sao_Paulo", date(2018, 11, 4)),
    ],
)
@pytest.mark.parametrize("cron", ["0 0 * * *", "30 0 * * *", "15 0 * * sun-sat", "59 0 * * *"])
def test_a_slot_at_a_skipped_midnight_works_for_the_day_before(zone, night, cron):
    start = datetime.combine(night - timedelta(days=3), datetime.min.time(), ZoneInfo(zone))
    actual = days_of(zone, cron, start + timedelta(hours=12), 5)
    assert actual == [night + timedelta(days=n) for n in range(-3, 2)]


@pytest.mark.parametrize(
    ("zone", "cron"),
    [
        ("America/New_York", "30 2 * * *"),  # skipped on 2026-03-08
        ("America/New_York", "30 1 * * *"),  # twice on 2026-11-01
        ("America/Havana", "30 0 * * *"),  # skipped on 2026-03-08, twice on 2026-11-01
        ("Asia/Beirut", "30 23 * * *"),  # twice on 2026-10-24
        ("Africa/Cairo", "30 23 * * *"),
        ("America/Santiago", "30 23 * * *"),
        ("Australia/Lord_Howe", "15 2 * * *"),
        ("Antarctica/Troll", "30 1 * * *"),
    ],
)
def test_each_day_is_worked_for_once(zone, cron):
    start = datetime(2026, 1, 1, 12, tzinfo=ZoneInfo(zone))
    actual = days_of(zone, cron, start, 728)
    assert sorted(set(actual)) == [actual[0] + timedelta(days=n) for n in range(728)]
    assert len(actual) == len(set(actual))


@hypothesis(max_examples=40, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 23), st.integers(0, 59), st.integers(0, 700))
def test_nights_follow_each_other(zone, hour, minute, first):
    start = datetime(2025, 1, 1, 12, tzinfo=UTC) + timedelta(days=first)
    actual = days_of(zone, f"{minute} {hour} * * *", start, 63)
    assert actual == [actual[0] + timedelta(days=n) for n in range(len(actual))]


@pytest.mark.parametrize("cron", ["0 */6 * * *", "0 * * * *", "*/30 * * * *", "0 0,23 * * *"])
@pytest.mark.parametrize("zone", ["America/Santiago", "Africa/Cairo", "Asia/Beirut"])
def test_several_slots_a_day_work_for_the_day_before_theirs(zone, cron):
    start = datetime(2026, 1, 1, 12, tzinfo=ZoneInfo(zone))
    settings = store(zone, cron)
    made = slots(zone, cron, start, 364)
    actual = [slot_day(settings, slot) for slot in made]
    assert actual == sorted(actual)
    assert sorted(set(actual)) == [actual[0] + timedelta(days=n) for n in range(365)]
    moved = [
        (slot, day)
        for slot, day in zip(made, actual, strict=True)
        if day != settings.yesterday(slot)
    ]
    assert len(moved) == (cron == "0 */6 * * *")


def test_a_time_that_is_no_slot_works_for_the_last_whole_day():
    settings = store("America/Santiago")
    for moment in (
        datetime(2026, 9, 6, 2, 59, 59, tzinfo=UTC),
        datetime(2026, 9, 6, 3, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 9, 6, 3, 1, tzinfo=UTC),
    ):
        assert slot_day(settings, moment) == date(2026, 9, 4)
    assert slot_day(settings, datetime(2026, 9, 6, 3, tzinfo=UTC)) == date(2026, 9, 5)
    assert slot_day(settings, datetime(2026, 9, 6, 3, tzinfo=UTC), cron="0 5 * * 0") == date(
        2026, 9, 4
    )


@pytest.mark.parametrize(
    ("now", "waited"),
    [
        (datetime(2026, 9, 6, 3, tzinfo=UTC), [3600.0]),
        (datetime(2026, 9, 6, 3, 45, tzinfo=UTC), [900.0]),
        (datetime(2026, 9, 6, 4, tzinfo=UTC), []),
        (datetime(2026, 9, 7, 4, tzinfo=UTC), []),
        (datetime(2026, 9, 5, 4, tzinfo=UTC), []),  # a day that is far from over: others refuse it
    ],
)
def test_a_slot_that_came_early_waits_until_its_day_is_over(now, waited):
    slept: list[float] = []
    wait_until_over(
        store("America/Santiago"), date(2026, 9, 5), now=lambda: now, sleep=slept.append
    )
    assert slept == waited


FIELDS = st.sampled_from
NEW_YEAR = datetime.fromisoformat("2024-01-01")  # a time on the wall
LINES = st.tuples(
    FIELDS(["*", "0", "*/15", "5/20", "0,30", "10-40/10"]),
    FIELDS(["*", "0", "*/6", "22-23", "0,12", "3/8"]),
    FIELDS(["*", "1", "*/2", "28-31", "15/5"]),
    FIELDS(["*", "1", "jan-mar", "*/3", "dec"]),
    FIELDS(["*", "0", "7", "mon-fri", "sun", "1/2", "5-7"]),
).map(" ".join)


@hypothesis(max_examples=300, deadline=None)
@given(LINES, st.integers(0, 1_000 * 288).map(lambda n: NEW_YEAR + timedelta(minutes=5 * n)))
def test_a_crontab_line_names_the_times_that_prefect_takes_from_it(line, wall):
    checked = ScheduleSettings(daily=line).daily
    assert fires_at(checked, wall) == croniter.match(checked, wall)
    assert not fires_at(checked, wall.replace(second=1))
    assert not fires_at("off", wall)
