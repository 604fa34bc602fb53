"""Differences between two shapes of JSON are named, and only those."""

from tests.live.shapes import differences


def test_equal_shapes_have_no_differences():
    theirs = {"id": 1, "lines": [{"total": "1.00", "note": None}], "more": []}
    ours = {"id": 2, "lines": [{"total": "3.00", "note": "x"}, {"total": "1.00", "note": None}]}
    assert differences(theirs, ours | {"more": [{"a": 1}]}) == []


def test_fields_that_one_lacks_are_named():
    assert differences({"a": 1, "b": {"c": 1}}, {"b": {"d": 1}}) == [
        "only theirs: .a",
        "only theirs: .b.c",
        "only ours: .b.d",
    ]


def test_fields_that_are_extra_on_purpose_are_left_out():
    assert differences({"a": {}}, {"a": {"b": {"c": 1}}}, extra=(".a.b",)) == []


def test_types_are_compared():
    assert differences({"a": "1.00"}, {"a": 1.0}) == [".a: {'str'} or {'float'}"]
    assert differences({"a": None}, {"a": 1.0}) == []
    assert differences({"a": None}, {"a": {"b": 1}}) == []


def test_nothing_is_compared_inside_an_empty_list():
    assert differences({"a": []}, {"a": [{"b": {"c": 1}}]}) == []
    assert differences({"a": [{"b": 1}]}, {"a": []}) == []
