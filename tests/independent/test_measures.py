"""The measures against small tables that are computed by hand."""

import numpy as np
import pandas as pd
import pytest

from tests.independent.measures import (
    next_orders,
    product_error,
    ranking_gini,
    second_order_top,
)


def test_gini_is_one_for_the_truth_zero_for_ties_and_minus_one_backwards():
    truth = pd.Series([0.0, 0.0, 1.0, 5.0])
    assert ranking_gini(truth, truth) == pytest.approx(1)
    assert ranking_gini(-truth, truth) == pytest.approx(-1)
    assert ranking_gini(0 * truth, truth) == pytest.approx(0)


def test_value_is_held_to_orders_times_order_value_times_the_discount_factor():
    table = pd.DataFrame(
        {"expected_orders": [2.0], "expected_order_value": [10.0], "expected_value": [18.0]}
    )
    assert product_error(table) == pytest.approx(2 / 18)
    assert product_error(table.assign(discount_factor=0.9)) == pytest.approx(0)


def test_next_orders_are_counted_by_the_date_rounded_up_and_by_the_median():
    table = pd.DataFrame({"median_days": [4.2, 4.2, 4.2, 5.0, 365.0, 365.1, np.inf, np.nan]})
    time = np.array([4.1, 4.9, 5.1, 4.9, np.inf, 1.5, 2.5, 3.5])
    future = pd.DataFrame({"first_order_time": time, "first_order_day": np.floor(time) + 1})
    counts = {"customers": 5, "ordered": 3, "ordered_unrounded": 2}
    assert next_orders(table, future) == counts


def test_the_top_fifth_is_that_of_one_time_buyers_by_their_predicted_second_order():
    chance = [0.1, 0.5, 0.2, 0.3, 0.4, 0.05, 0.15, 0.25, 0.35, 0.45, np.nan]
    table = pd.DataFrame({"frequency": [0] * 10 + [3], "p_second_order": chance})
    truth = pd.Series([0.0, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 1.0])
    top = second_order_top(table, truth)
    assert top == pytest.approx({"customers": 2, "product": 0.475, "true": 0.4})


def test_the_top_fifth_is_rounded_up_and_not_a_number_without_one_time_buyers():
    table = pd.DataFrame({"frequency": [0, 0, 1], "p_second_order": [0.2, 0.1, np.nan]})
    truth = pd.Series([0.3, 0.0, 1.0])
    assert second_order_top(table, truth)["customers"] == 1
    none = second_order_top(table[2:], truth)
    assert none["customers"] == 0
    assert np.isnan([none["product"], none["true"]]).all()
