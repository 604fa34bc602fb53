import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.lifecycle import SEGMENTS, LifecycleRules, lifecycle_segments
from segments.rhythm import natural_cycles, store_cycle_days

# One repeat customer with a gap of 40 days makes the store's cycle 40 days; a repeat customer with
# x = 1 and t_x = 40 has an own cycle of 40, one with x = 3 and t_x = 120 too.
ANCHORS = {"x": [1, 1, 1], "t_x": [40, 40, 40], "T": [41, 41, 41]}


def segment_of(x, t_x, T, revenue=1.0, value=1.0):
    segments = lifecycle_segments(
        [*ANCHORS["x"], x],
        [*ANCHORS["t_x"], t_x],
        [*ANCHORS["T"], T],
        [1.0, 1.0, 2.0, revenue],
        [1.0, 1.0, 2.0, value],
    )
    return segments[-1]


@pytest.mark.parametrize(
    ("state", "segment"),
    [
        ((0, 0, 20), "new"),
        ((0, 0, 21), "second_order_window"),
        ((0, 0, 80), "second_order_window"),
        ((0, 0, 81), "one_and_done"),
        ((1, 40, 100), "promising"),
        ((1, 40, 101), "needs_attention"),
        ((3, 120, 180), "loyal"),
        ((3, 120, 240), "needs_attention"),
        ((3, 120, 241), "at_risk"),
        ((3, 120, 361), "lapsed"),
    ],
)
def test_silence_is_counted_in_own_cycles(state, segment):
    assert segment_of(*state) == segment


def test_a_loyal_customer_of_high_expected_value_is_a_champion():
    assert segment_of(3, 120, 130, value=50.0) == "champion"


def test_risk_with_a_high_revenue_is_named_apart():
    assert segment_of(3, 120, 300, revenue=50.0) == "at_risk_high_value"


def test_a_faster_rhythm_makes_the_same_silence_longer():
    """Twelve gaps of ten days, then 120 days of silence: lapsed, where a slow buyer is not."""
    assert segment_of(12, 120, 240) == "lapsed"
    assert segment_of(2, 120, 240) == "needs_attention"


def test_the_stores_cycle_is_the_median_mean_gap():
    assert store_cycle_days([0, 1, 2, 4], [0, 30, 40, 400], [9, 40, 50, 410]) == 30


def test_a_store_to_which_nobody_came_back_has_a_cycle_no_shorter_than_it_was_watched():
    assert store_cycle_days([0, 0], [0, 0], [12, 80]) == 80


def test_a_products_own_cycle_moves_the_thresholds():
    """The same 100 days after one order: long over for coffee, still early for a mattress."""
    state = ([0, 0, 0], [0, 0, 0], [100, 100, 100], [1.0] * 3, [1.0] * 3)
    segments = lifecycle_segments(*state, cycle_days=[30.0, 60.0, 400.0])
    assert segments.tolist() == ["one_and_done", "second_order_window", "new"]


def test_an_unknown_cycle_is_the_stores():
    cycles = natural_cycles([1, 0, 0], [40, 0, 0], [50, 9, 9], [np.nan, 20.0, np.nan])
    assert cycles.tolist() == [40.0, 20.0, 40.0]
    with pytest.raises(ValueError, match="cycle"):
        natural_cycles([1], [40], [50], [0.0])


def test_every_segment_says_what_it_is_who_acts_how_and_when():
    for name, segment in SEGMENTS.items():
        for word in ("definition", "owner", "action", "window"):
            assert len(getattr(segment, word)) > 4, name


@pytest.mark.parametrize(
    "wrong",
    [
        {"new_cycles": 2.0},
        {"attention_cycles": 3.0},
        {"lapse_cycles": 1.0},
        {"top_share": 1.5},
        {"new_cycles": 0.0},
    ],
)
def test_thresholds_that_are_out_of_order_are_refused(wrong):
    with pytest.raises(ValueError, match=r"needs 0 <|between 0 and 1"):
        LifecycleRules(**wrong)


def test_twice_as_slow_a_world_has_the_same_segments():
    rng = np.random.default_rng(1)
    x = rng.poisson(2, 200)
    t_x = np.where(x > 0, rng.integers(10, 300, 200), 0)
    T = t_x + rng.integers(0, 400, 200)
    money = rng.gamma(2, 20, 200)
    usual = lifecycle_segments(x, t_x, T, money, money)
    assert lifecycle_segments(x, 2 * t_x, 2 * T, money, money).tolist() == usual.tolist()
    assert len(set(usual)) > 6


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 400), st.integers(0, 400)), min_size=1)
)
def test_everybody_is_in_exactly_one_known_segment(rows):
    x, t_x, more = (np.array(column) for column in zip(*rows, strict=True))
    t_x = np.where(x > 0, np.maximum(t_x, x), 0)  # repeat purchases are on later days
    segments = lifecycle_segments(x, t_x, t_x + more, x * 10.0, x * 5.0)
    assert set(segments) <= set(SEGMENTS)


def test_repeat_customers_who_returned_everything_need_attention():
    frequency, revenue = np.array([3, 3, 0]), np.array([-50.0, 120.0, -5.0])
    segments = lifecycle_segments(
        frequency, [60, 60, 0], [70, 70, 5], revenue, [90.0, 90.0, 1.0], cycle_days=30
    )
    assert segments.tolist() == ["needs_attention", "loyal", "new"]
