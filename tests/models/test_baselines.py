import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.baselines import cell_means, hiatus_cut, quintiles, rfm_cells


def test_ten_different_values_fill_the_quintiles_in_pairs():
    assert quintiles(np.arange(10)).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_equal_values_get_equal_scores_from_the_middle_of_their_ranks():
    assert quintiles([0, 0, 0, 0, 0, 0, 7, 8, 9, 10]).tolist() == [2] * 6 + [4, 4, 5, 5]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.randoms())
def test_scores_follow_the_values_whatever_the_row_order(values, random):
    scores = dict(zip(values, quintiles(values).tolist(), strict=True))
    shuffled = random.sample(values, len(values))
    assert quintiles(shuffled).tolist() == [scores[value] for value in shuffled]
    ordered = [scores[value] for value in sorted(values)]
    assert ordered == sorted(ordered)
    assert set(ordered) <= {1, 2, 3, 4, 5}


def test_the_best_customer_is_555():
    days, frequency, revenue = [1, 9, 8, 7, 6], [5, 1, 2, 3, 4], [50, 1, 2, 3, 4]
    assert rfm_cells(days, frequency, revenue)[0] == 555


def test_a_cell_predicts_its_earlier_mean_and_an_unknown_one_everyones():
    actual = cell_means([11, 11, 55], [1.0, 3.0, 8.0], [55, 11, 33, 99, 0])
    assert actual == pytest.approx([8.0, 2.0, 4.0, 4.0, 4.0])


def test_the_hiatus_cut_is_where_the_fewest_are_wrong():
    silent = [1, 2, 3, 10, 11, 12]
    assert hiatus_cut(silent, [True, True, False, False, False, False]) == 2
    assert hiatus_cut(silent, [True, False, True, False, True, False]) == 1
    assert hiatus_cut(silent, [True] * 6) == 12


def test_equal_silence_is_never_split_by_the_hiatus_cut():
    assert hiatus_cut([5, 5, 5], [True, False, False]) == -1
    assert hiatus_cut([5, 5, 5], [True, True, False]) == 5
