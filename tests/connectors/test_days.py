"""Days by arithmetic are the calendar's own, in every zone and at every moment."""

from datetime import UTC, date, datetime, timedelta

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine import open_engine
from connectors.engine.days import learn_days

FAR = {  # whose clocks change by half an hour, at midnight, by a whole day, or a month a year
    "Africa/Casablanca",
    "America/New_York",
    "America/Sao_Paulo",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
}
DIFFERENT = """
SELECT count(*), count(*) FILTER (WHERE perennial_store_day(moment) IS DISTINCT FROM moment::DATE)
FROM (SELECT to_timestamp(second) AS moment FROM range({first}, {last}, {step}) AS t(second))
"""


def different(zone: str, first: datetime, last: datetime, step: int) -> tuple[int, int]:
    """Count moments, and those whose day is not the calendar's."""
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        learn_days(connection)
        ends = {"first": int(first.timestamp()), "last": int(last.timestamp())}
        actual = connection.execute(DIFFERENT.format(step=step, **ends)).fetchone()
    assert actual is not None
    return actual


@pytest.mark.parametrize("zone", sorted(FAR))
def test_days_are_the_calendars_at_every_quarter_of_an_hour(zone):
    count, wrong = different(
        zone, datetime(2009, 12, 20, tzinfo=UTC), datetime(2015, 1, 10, tzinfo=UTC), 899
    )
    assert count > 170_000
    assert wrong == 0


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([*sorted(FAR), "UTC", "Europe/Berlin", "Africa/Cairo", "Asia/Gaza"]),
    st.dates(date(1975, 1, 1), date(2070, 1, 1)),
)
def test_days_are_the_calendars_in_any_week(zone, day):
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert different(zone, first, first + timedelta(days=7), 61)[1] == 0


def test_a_day_that_there_was_not_is_no_orders_day():
    """Samoa went from 29 to 31 December 2011, at 10:00 UTC."""
    with open_engine("Pacific/Apia") as engine:
        texts = pd.DataFrame({"at": ["2011-12-30T09:59:59Z", "2011-12-30T10:00:00Z"]})
        table = engine.table(texts, "texts")
        days = engine.frame(table.select(day=engine.store_day(engine.moment(table["at"]))))["day"]
    assert days.astype("str").tolist() == ["2011-12-29", "2011-12-31"]


def test_the_day_of_a_day_is_itself():
    with open_engine("America/New_York") as engine:
        table = engine.table(pd.DataFrame({"at": [date(2026, 3, 8), date(2026, 11, 1)]}), "days")
        whole = table.select(day=table["at"].cast("date"), clock=table["at"].cast("timestamp"))
        days = whole.select(day=engine.store_day(whole.day), clock=engine.store_day(whole.clock))
        actual = engine.frame(days).astype("str")
    assert actual["day"].tolist() == actual["clock"].tolist() == ["2026-03-08", "2026-11-01"]
