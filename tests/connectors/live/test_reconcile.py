"""The decision table, row by row, and its limits."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.live.reconcile import Action, Limits, SpanCount, decide, deletions
from connectors.live.records import Window

START = datetime(2026, 1, 1, tzinfo=UTC)


def span(platform, ours, number=0, **done):
    start = START + timedelta(days=number)
    return SpanCount(Window(start, start + timedelta(days=1)), platform, ours, **done)


def calm():
    return span(10_000, 10_000, number=99)


@pytest.mark.parametrize(
    ("count", "action"),
    [
        (span(500, 500), Action.NOTHING),
        (span(None, 500), Action.NOTHING),
        (span(0, 0), Action.NOTHING),
        (span(501, 500), Action.READ_AGAIN),
        (span(900, 0), Action.READ_AGAIN),
        (span(501, 500, was_read_again=True), Action.WARN),
        (span(499, 500), Action.LIST_IDS),
        (span(495, 500), Action.LIST_IDS),  # 1 %
        (span(494, 500), Action.REFUSE),
        (span(0, 500), Action.REFUSE),
        (span(499, 500, was_listed=True), Action.WARN),
        (span(499, 500, was_read_again=True), Action.LIST_IDS),
        (span(27, 30), Action.LIST_IDS),  # a few
        (span(26, 30), Action.REFUSE),
        (span(0, 3), Action.LIST_IDS),
    ],
)
def test_one_span_is_decided_by_its_counts(count, action):
    decision, other = decide([count, calm()])
    assert (decision.action, other.action) == (action, Action.NOTHING)
    assert bool(decision.reason) == (action is not Action.NOTHING)


def test_an_empty_platform_deletes_nothing_however_few_objects_there_are():
    decisions = decide([span(0, 2), span(0, 0, 1), span(0, 1, 2)])
    assert [one.action for one in decisions] == [Action.REFUSE, Action.NOTHING, Action.REFUSE]
    assert "counts no objects where 3 are here" in decisions[0].reason


def test_few_deletions_in_many_spans_are_many_deletions():
    decisions = decide([span(47, 50, number) for number in range(30)] + [span(51, 50, 31)])
    assert {one.action for one in decisions[:-1]} == {Action.REFUSE}
    assert decisions[-1].action is Action.READ_AGAIN  # what is missing is read all the same


def test_limits_can_be_set():
    assert decide([span(90, 100), calm()], Limits(deleted_share=0.1))[0].action is Action.LIST_IDS


def test_deletions_are_what_only_we_have():
    ours = {f"o{number}" for number in range(500)}
    decision, gone = deletions(span(498, 500), ours, ours - {"o1", "o2"} | {"new"})
    assert decision.action is Action.NOTHING
    assert gone == {"o1", "o2"}


@pytest.mark.parametrize("left", [0, 100, 494])
def test_a_list_that_lacks_too_much_deletes_nothing(left):
    ours = [f"o{number}" for number in range(500)]
    decision, gone = deletions(span(498, 500), ours, ours[:left])
    assert decision.action is Action.REFUSE
    assert gone == frozenset()
    assert "outage" in decision.reason


def test_an_empty_list_is_believed_of_a_few_that_are_not_counted_either():
    decision, gone = deletions(span(1, 2), ["a", "b"], [])
    assert (decision.action, gone) == (Action.REFUSE, frozenset())
    decision, gone = deletions(span(0, 2), ["a", "b"], [])
    assert (decision.action, gone) == (Action.NOTHING, {"a", "b"})
    assert deletions(span(0, 4), list("abcd"), [])[0].action is Action.REFUSE
