import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.journey import STAGES, JourneyRules, journey_stage


def stage(x, silence, **how):
    """Stage of a customer with gaps of 40 days, so many days after the last order."""
    return journey_stage([x], [40 * x], [40 * x + silence], 40.0, **how)[0]


@pytest.mark.parametrize(
    ("x", "silence", "name"),
    [
        (0, 0, "in_transit"),
        (0, 7, "in_transit"),
        (9, 7, "in_transit"),
        (0, 8, "first_use"),
        (1, 19, "first_use"),
        (0, 20, "reorder_window"),
        (1, 80, "reorder_window"),
        (0, 81, "past_window"),
        (9, 81, "past_window"),
        (2, 8, "loyalty_graduation"),
        (4, 80, "loyalty_graduation"),
        (5, 8, "advocate"),
    ],
)
def test_the_stages_follow_the_own_cycle_after_the_last_order(x, silence, name):
    assert stage(x, silence) == name


def test_who_advocates_is_an_advocate_from_the_first_order_on_but_not_while_waiting():
    assert stage(0, 10, is_advocate=[True]) == "advocate"
    assert stage(0, 5, is_advocate=[True]) == "in_transit"
    assert stage(0, 200, is_advocate=[True]) == "past_window"


def test_the_stores_own_delivery_counts():
    assert stage(0, 15, rules=JourneyRules(delivery_days=20)) == "in_transit"


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 400), st.integers(0, 400)), min_size=1)
)
def test_everybody_is_in_exactly_one_known_stage(rows):
    x, t_x, more = (np.array(column) for column in zip(*rows, strict=True))
    t_x = np.where(x > 0, np.maximum(t_x, x), 0)
    assert set(journey_stage(x, t_x, t_x + more)) <= set(STAGES)


@pytest.mark.parametrize(
    "wrong",
    [{"delivery_days": -1}, {"reorder_opens": 3.0}, {"graduation_purchases": 7}],
)
def test_stages_out_of_order_are_refused(wrong):
    with pytest.raises(ValueError, match=r"delivery takes|opens before|before advocates"):
        JourneyRules(**wrong)


def test_evidence_of_others_is_refused():
    with pytest.raises(ValueError, match="one per customer"):
        journey_stage([0], [0], [5], 40.0, is_advocate=[True, False])
