import doctest
from datetime import date

import pytest

import features.window
from features.window import Window, outcome_window, previous_window


def test_the_documented_example_is_true():
    assert doctest.testmod(features.window).failed == 0


def test_cdnows_holdout_is_january_to_june_1998():
    window = outcome_window(date(1997, 12, 31), 181)
    assert window == Window(date(1998, 1, 1), date(1998, 7, 1))
    assert window.days == 181


def test_the_previous_window_ends_where_the_outcomes_begin():
    as_of = date(2024, 2, 29)
    assert previous_window(as_of, 30).end == outcome_window(as_of, 30).start
    assert previous_window(as_of, 30).days == 30


def test_a_window_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="ends after it starts"):
        Window(date(2024, 1, 2), date(2024, 1, 2))
