"""Windows by hand: slices, nights, holes, and the horizon."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.live.records import Manifest, PlannedPull, PullHistory, PullKind, Window
from connectors.live.windows import (
    Schedule,
    backfill,
    cover,
    holes,
    horizon,
    next_window,
    plan_pulls,
    slices,
)

HOUR = timedelta(hours=1)
SCHEDULE = Schedule(lag=HOUR, overlap=2 * HOUR)


def day(number, hours=0):
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number, hours=hours)


def whole(start, end, kind=PullKind.NIGHT, plan=None, covered=()):
    return Manifest(
        pull=f"{start:%Y%m%dT%H%M%SZ}-1",
        kind=kind,
        window=Window(start, end),
        plan=plan,
        api_version="v1",
        started_at=end,
        finished_at=end,
        rows=0,
        keys=0,
        tombstones=0,
        covered=covered,
    )


def history(*manifests, unfinished=None):
    return PullHistory(manifests, unfinished)


def test_a_window_is_half_open_and_in_utc():
    window = Window(day(0), day(1))
    assert day(0) in window
    assert day(1) not in window
    with pytest.raises(ValueError, match="ends after its start"):
        Window(day(1), day(1))
    with pytest.raises(ValueError, match="time zone"):
        Window(datetime(2026, 1, 1), day(1))  # noqa: DTZ001


def test_the_horizon_ends_at_the_first_hole():
    assert horizon([]) is None
    assert horizon([whole(day(0), day(2)), whole(day(1), day(3))]) == day(3)
    assert horizon([whole(day(0), day(2)), whole(day(4), day(6))]) == day(2)
    assert horizon([whole(day(4), day(6)), whole(day(0), day(2)), whole(day(2), day(4))]) == day(6)


def test_a_reconciliation_covers_nothing_and_a_compaction_what_it_replaced():
    reconcile = whole(day(2), day(9), PullKind.RECONCILE)
    assert horizon([whole(day(0), day(2)), reconcile]) == day(2)
    windows = (Window(day(0), day(2)), Window(day(4), day(6)))
    compacted = whole(day(0), day(6), PullKind.COMPACTION, covered=windows)
    assert horizon([compacted]) == day(2)
    assert cover([compacted]) == list(windows)


def test_a_first_backfill_is_cut_into_slices_of_thirty_days_oldest_first():
    planned = backfill(history(), day(0), day(70, hours=1), SCHEDULE)
    assert [one.window for one in planned] == [
        Window(day(0), day(30)),
        Window(day(30), day(60)),
        Window(day(60), day(70)),
    ]
    assert {one.plan for one in planned} == {Window(day(0), day(70))}
    assert {one.kind for one in planned} == {PullKind.BACKFILL}


def test_a_backfill_that_takes_days_keeps_its_end_and_the_night_begins_there():
    plan = Window(day(0), day(40))
    first = whole(day(0), day(30), PullKind.BACKFILL, plan)
    planned = plan_pulls(history(first), day(0), day(43), schedule=SCHEDULE)
    assert planned == [
        PlannedPull(Window(day(30), day(40)), PullKind.BACKFILL, plan),
        PlannedPull(Window(day(40) - 2 * HOUR, day(43) - HOUR), PullKind.NIGHT),
    ]


def test_a_backfill_that_was_killed_in_its_first_slice_keeps_its_end():
    unfinished = backfill(history(), day(0), day(40), SCHEDULE)[0]
    planned = backfill(history(unfinished=unfinished), day(0), day(41), SCHEDULE)
    assert planned[0] == unfinished


def test_an_earlier_beginning_adds_slices_in_front():
    plan = Window(day(30), day(40))
    pulled = (whole(day(30), day(40), PullKind.BACKFILL, plan), whole(day(39), day(50)))
    planned = plan_pulls(history(*pulled), day(0), day(51), schedule=SCHEDULE)
    assert [one.window for one in planned] == [
        Window(day(0), day(30)),
        Window(day(50) - 2 * HOUR, day(51) - HOUR),
    ]


def test_a_night_overlaps_the_last_and_ends_before_now():
    pulled = [whole(day(0), day(10))]
    assert next_window(pulled, day(11), 2 * HOUR, HOUR) == Window(
        day(10) - 2 * HOUR, day(11) - HOUR
    )


def test_there_is_no_night_without_a_pull_or_where_nothing_can_be_new():
    assert next_window([], day(11), HOUR, HOUR) is None
    assert next_window([whole(day(0), day(10))], day(10, hours=1), HOUR, HOUR) is None
    assert next_window([whole(day(0), day(10))], day(3), HOUR, HOUR) is None  # a clock set back


def test_a_night_after_a_hole_begins_before_the_hole():
    pulled = [whole(day(0), day(10)), whole(day(11), day(12))]
    assert next_window(pulled, day(13), HOUR, HOUR).start == day(10) - HOUR


def test_a_repair_overlaps_by_its_own_length():
    pulled = whole(day(0), day(100), PullKind.BACKFILL, Window(day(0), day(100)))
    (repair,) = plan_pulls(
        history(pulled), day(0), day(101), schedule=SCHEDULE, kind=PullKind.REPAIR
    )
    assert repair == PlannedPull(Window(day(65), day(101) - HOUR), PullKind.REPAIR)


def test_a_killed_night_is_resumed_and_a_pull_up_to_now_follows():
    pulled = whole(day(0), day(10), PullKind.BACKFILL, Window(day(0), day(10)))
    killed = PlannedPull(Window(day(10) - HOUR, day(11)), PullKind.NIGHT)
    planned = plan_pulls(history(pulled, unfinished=killed), day(0), day(12), schedule=SCHEDULE)
    assert planned == [
        killed,
        PlannedPull(Window(day(11) - 2 * HOUR, day(12) - HOUR), PullKind.NIGHT),
    ]


@pytest.mark.parametrize("start", [day(11), day(5)])
def test_a_killed_night_that_leads_nowhere_is_not_resumed(start):
    pulled = whole(day(0), day(10), PullKind.BACKFILL, Window(day(0), day(10)))
    end = start + timedelta(days=1)
    killed = PlannedPull(Window(start, end), PullKind.NIGHT)
    planned = plan_pulls(history(pulled, unfinished=killed), day(0), day(12), schedule=SCHEDULE)
    assert killed not in planned


windows = st.tuples(st.integers(0, 60), st.integers(1, 20)).map(
    lambda pair: Window(day(pair[0]), day(sum(pair)))
)


@given(st.lists(windows, max_size=8), windows)
def test_holes_and_cover_fill_a_window_without_overlap(pulled, window):
    covered = cover([whole(one.start, one.end) for one in pulled])
    missing = holes(window, covered)
    for number in range((window.end - window.start).days):
        moment = window.start + timedelta(days=number)
        assert any(moment in one for one in pulled) != any(moment in one for one in missing)


@given(windows, st.integers(1, 9))
def test_slices_join_to_the_window(window, length):
    cut = slices(window, timedelta(days=length))
    assert (cut[0].start, cut[-1].end) == (window.start, window.end)
    assert all(one.end == two.start for one, two in pairwise(cut))
    assert all(one.end - one.start <= timedelta(days=length) for one in cut)


@given(st.integers(1, 90), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_whatever_is_planned_leads_the_horizon_to_now(since, waits):
    manifests, now = [], day(100)
    for wait in waits:
        now += timedelta(days=wait)
        planned = plan_pulls(history(*manifests), day(since), now, schedule=SCHEDULE)
        manifests += [whole(o.window.start, o.window.end, o.kind, o.plan) for o in planned]
        assert horizon(manifests) == now - HOUR
