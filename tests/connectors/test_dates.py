"""Dates as shops write them: read where the rows leave no choice, else asked for."""

from datetime import date, datetime

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connectors.dates import fitting_pattern, iso_dates
from connectors.engine import FILE_COLUMN, open_engine
from features.tables import DataError

SETTING = "orders.date_format"


@pytest.fixture(scope="module")
def engine():
    """An engine in UTC."""
    with open_engine() as opened:
        yield opened


def rows_of(engine, texts, files=None):
    frame = pd.DataFrame({"i": range(len(texts)), "day": texts})
    frame[FILE_COLUMN] = files or "file"
    return engine.table(frame, "rows")


def read(engine, texts, files=None):
    """Return texts as ISO 8601 without seconds, None where they stay unreadable; and the notes."""
    rows = rows_of(engine, texts, files)
    dates, notes = iso_dates(engine, rows, "day", SETTING)
    dated = rows.mutate(dates=rows.day if dates is None else dates)
    frame = engine.frame(dated.mutate(moment=engine.moment(dated.dates)).order_by("i"))
    return [None if pd.isna(one) else f"{one:%Y-%m-%d %H:%M}" for one in frame["moment"]], notes


@pytest.mark.parametrize("mark", "-/.")
def test_a_year_of_two_digits_may_be_first(engine, mark):
    texts = [day.replace("-", mark) for day in ("26-01-05", "26-01-17", "25-12-31")]
    assert read(engine, texts)[0] == ["2026-01-05 00:00", "2026-01-17 00:00", "2025-12-31 00:00"]
    assert "%y" + mark + "%m" + mark + "%d" in read(engine, texts)[1][0]


def test_days_of_the_second_half_of_a_month_are_no_years(engine):
    texts = ["17.01.26", "18.01.26", "31.01.26"]
    assert read(engine, texts)[0] == ["2026-01-17 00:00", "2026-01-18 00:00", "2026-01-31 00:00"]


@pytest.mark.parametrize(
    ("text", "other", "day"),
    [
        ("1/3/2025", "12/20/2025", "2025-01-03 00:00"),
        ("1/3/2025", "20/12/2025", "2025-03-01 00:00"),
        ("01/03/25", "12/20/25", "2025-01-03 00:00"),
        ("1/3/2025 3:04 PM", "12/20/2025 12:00 AM", "2025-01-03 15:04"),
        ("1/3/2025 12:30 am", "12/20/2025 1:00 PM", "2025-01-03 00:30"),
        ("1-3-2025 15:04:05", "31-3-2025 00:00:00", "2025-03-01 15:04"),
        ("1.3.2025", "2.3.2025", "2025-03-01 00:00"),  # points are day-first everywhere
        ("Jan 3, 2025", "Jan 4, 2025", "2025-01-03 00:00"),
        ("January 3, 2025, 10:12 AM", "Jan 4, 2025", "2025-01-03 10:12"),
        ("3-Jan-2025", "4-Jan-2025", "2025-01-03 00:00"),
        ("3 September 2025 10:00", "4 May 2025", "2025-09-03 10:00"),
        ("Fri, 03 Jan 2025 10:00:00 +0100", "4 May 2025", "2025-01-03 09:00"),
        ("2025/1/3", "2025/01/31", "2025-01-03 00:00"),
        ("20250103", "20251231", "2025-01-03 00:00"),
        ("2025-01-03 3:04 pm", "2025-01-03", "2025-01-03 15:04"),
        ("2025-01-03T10:00:00Z", "1/20/2025", "2025-01-03 10:00"),
    ],
)
def test_a_form_that_leaves_no_choice_is_read(engine, text, other, day):
    assert read(engine, [text, other])[0][0] == day


@pytest.mark.parametrize("text", ["3/4/2025", "03-04-2025", "3/4/25 10:00"])
def test_day_first_or_month_first_is_never_guessed(engine, text):
    with pytest.raises(
        DataError, match=r"in day may be day/month or month/day.*orders\.date_format = \"%d"
    ):
        read(engine, [text, "5/6/2025".replace("/", text[-5] if "-" in text else "/")])


def test_dates_of_both_orders_are_no_form_and_stay_unreadable(engine):
    assert read(engine, ["1/13/2025", "13/1/2025"])[0] == [None, None]


def test_each_file_has_its_own_order_and_one_that_tells_nothing_takes_the_others(engine):
    texts = ["3/4/2025", "13/4/2025", "3/4/2025", "3/14/2025"]
    days, _ = read(engine, texts, ["a", "a", "b", "b"])
    assert [day[:10] for day in days] == ["2025-04-03", "2025-04-13", "2025-03-04", "2025-03-14"]
    days, _ = read(engine, texts[:2], ["a", "b"])
    assert [day[:10] for day in days] == ["2025-04-03", "2025-04-13"]


def test_what_was_decided_is_said_with_the_setting(engine):
    _, notes = read(engine, ["1/3/2025", "12/20/2025"])
    assert "%m/%d/%Y" in notes[0]
    assert SETTING in notes[0]


def test_texts_that_are_no_dates_stay_as_they_are(engine):
    assert read(engine, ["soon", "", "13/13/2025", "2025-02-30"])[0] == [None] * 4


def test_the_one_pattern_that_reads_every_row_is_named_for_the_setting(engine):
    def pattern(texts):
        return fitting_pattern(engine, rows_of(engine, texts), "day")

    assert pattern(["1/3/2025", "12/20/2025"]) == ("%m/%d/%Y", 2)
    assert pattern(["3/1/25 10:00", "20/12/25 11:00"]) == ("%d/%m/%y %H:%M", 2)
    assert pattern(["1/3/2025", "2/4/2025"]) is None
    assert pattern(["1/13/2025", "soon"]) is None


PATTERNS = [
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%b %d, %Y",
    "%d %B %Y",
    "%Y%m%d",
]
TIMES = ["", " %H:%M", " %H:%M:%S", " %I:%M %p"]
FIRST, LAST = datetime.fromisoformat("2001-01-01"), datetime.fromisoformat("2039-01-01")
DAYS = st.lists(st.datetimes(FIRST, LAST), min_size=1, max_size=12)


@settings(deadline=None, max_examples=40)
@given(moments=DAYS, pattern=st.sampled_from(PATTERNS), time=st.sampled_from(TIMES))
def test_any_form_gives_the_same_days_or_asks(engine, moments, pattern, time):
    assume(not (pattern == "%Y%m%d" and time == " %I:%M %p"))
    texts = [moment.strftime(pattern + time) for moment in moments]
    tells = any(moment.day > 12 for moment in moments)
    if pattern[1] in "dm" and pattern[2] in "/-" and not tells:
        with pytest.raises(DataError, match=SETTING):
            read(engine, texts)
        return
    days, _ = read(engine, texts)
    assert [date.fromisoformat(day[:10]) for day in days] == [m.date() for m in moments]
    if time:
        assert [day[11:] for day in days] == [f"{m:%H:%M}" for m in moments]
