"""A line for people says how far a pull is, and about how long the rest takes."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.live.progress import StreamProgress, in_words
from connectors.live.records import PlannedPull, PullKind, Window

START = datetime(2026, 1, 1, tzinfo=UTC)


def parts(*days):
    """Plan pulls that span so many days each."""
    planned, start = [], START
    for length in days:
        end = start + timedelta(days=length)
        planned.append(PlannedPull(Window(start, end), PullKind.BACKFILL))
        start = end
    return planned


def test_what_is_left_goes_by_the_time_that_parts_span():
    lines, clock = [], iter([0.0, 60.0, 150.0])
    progress = StreamProgress(
        "orders", parts(30, 30, 90), lines.append, seconds=lambda: next(clock)
    )
    for rows in (1_000, 500, 250):
        progress.add(rows)
    assert lines == [
        "1,000 orders read, until 2026-01-31; 1 of 3 parts, about 4 minutes left",
        "1,500 orders read, until 2026-03-02; 2 of 3 parts, about 4 minutes left",
        "1,750 orders read, until 2026-05-31",
    ]


def test_a_single_part_has_nothing_left():
    lines = []
    StreamProgress("refunds", parts(1), lines.append).add(0)
    assert lines == ["0 refunds read, until 2026-01-02"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "about 2 seconds"),
        (42.4, "about 42 seconds"),
        (90, "about 2 minutes"),
        (5_340, "about 89 minutes"),
        (7_200, "about 2 hours"),
    ],
)
def test_lengths_of_time_are_rough(seconds, text):
    assert in_words(timedelta(seconds=seconds)) == text
