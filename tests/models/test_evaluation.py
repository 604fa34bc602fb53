"""Metrics against hand-made cases and naive re-implementations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation import (
    GAIN_SHARES,
    Comparison,
    Metrics,
    Prediction,
    calibration_slope,
    capture,
    decile_table,
    evaluate,
    gain_curve,
    mean_metrics,
    normalized_gini,
    paired_differences,
)


def test_the_perfect_ranking_has_gini_one():
    value = np.array([0.0, 5.0, 1.0, 9.0])
    assert normalized_gini(value, value) == pytest.approx(1)


def test_the_worst_ranking_has_gini_minus_one():
    value = np.array([0.0, 5.0, 1.0, 9.0])
    assert normalized_gini(-value, value) == pytest.approx(-1)


def test_gini_of_a_hand_made_ranking():
    """Gains 4, 0, 2 in predicted order: area 2 (4 + 4 + 6) / (3 x 6) - 4 / 3; perfect 2 x 16 / 18 - 4 / 3."""
    actual = normalized_gini([3, 2, 1], [4.0, 0.0, 2.0])
    assert actual == pytest.approx((28 / 18 - 24 / 18) / (32 / 18 - 24 / 18))


def test_a_constant_prediction_ranks_by_chance_whatever_the_rows_order():
    """Ties in row order would see the value sorted and call it skill."""
    value = np.sort(np.random.default_rng(0).gamma(0.5, 10, 20_000))[::-1]
    assert abs(normalized_gini(np.ones(20_000), value)) < 0.03


def test_negative_outcomes_count_as_zero():
    assert normalized_gini([3, 2, 1], [4.0, -7.0, 2.0]) == normalized_gini(
        [3, 2, 1], [4.0, 0, 2.0]
    )


def test_nobody_bringing_anything_has_no_gini():
    assert normalized_gini([1, 2], [0.0, 0.0]) is None
    assert capture([1, 2], [0.0, 0.0]) is None


def test_the_top_fifth_captures_its_share():
    assert capture(np.arange(10), np.array([1.0] * 8 + [4.0, 8.0])) == pytest.approx(12 / 20)


def test_metrics_of_a_hand_made_case():
    metrics = evaluate(
        Prediction(
            orders=np.array([1.0, 0.5, 0.5, 2.0, 0.0]),
            value=np.array([10.0, 5.0, 5.0, 20.0, 0.0]),
            p_active=np.array([0.6, 0.4, 0.4, 0.9, 0.1]),
        ),
        orders=[2, 0, 0, 1, 0],
        value=[30.0, 0.0, 0.0, 8.0, 0.0],
    )
    assert metrics.orders_ratio == pytest.approx(3 / 4)
    assert metrics.mae_orders == pytest.approx(3 / 5)
    assert metrics.rmse_orders == pytest.approx(np.sqrt(2.5 / 5))
    assert metrics.value_ratio == pytest.approx(38 / 40)
    assert metrics.mae_value == pytest.approx((20 + 5 + 5 + 12) / 5)
    assert metrics.auc_active == 1
    assert metrics.brier_active == pytest.approx((0.16 + 0.16 + 0.16 + 0.01 + 0.01) / 5)
    assert metrics.logloss_active == pytest.approx(-np.mean(np.log([0.6, 0.6, 0.6, 0.9, 0.9])))
    assert metrics.accuracy_active == 1


def test_a_rule_without_chances_has_no_activity_metrics():
    metrics = evaluate(Prediction(np.ones(3), np.ones(3)), [1, 0, 2], [1.0, 0.0, 2.0])
    assert metrics.auc_active is metrics.logloss_active is metrics.brier_active is None


def test_an_expectation_of_nothing_has_no_ratio():
    assert evaluate(Prediction(np.zeros(2), np.zeros(2)), [1, 0], [1.0, 0.0]).value_ratio is None


def test_ten_groups_of_one_are_the_customers_themselves():
    rows = decile_table(np.arange(10.0), np.arange(10.0) ** 2)
    assert [row.decile for row in rows] == list(range(10, 0, -1))
    assert [row.actual for row in rows] == [81, 64, 49, 36, 25, 16, 9, 4, 1, 0]


def test_means_over_cutoffs_are_unknown_where_one_is():
    first, second = (
        Metrics(mae_orders=1.0, gini_value=None),
        Metrics(mae_orders=2.0, gini_value=1.0),
    )
    assert mean_metrics([first, second]) == Metrics(mae_orders=1.5, gini_value=None)


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(-10, 100)),
        min_size=2,
        max_size=50,
        unique_by=lambda t: t[0],
    )
)
def test_gini_equals_a_naive_sum_over_pairs(rows):
    prediction, value = (np.array(column) for column in zip(*rows, strict=True))
    gain = np.maximum(value, 0)

    def concentration(score):
        """How much more the better-ranked of each pair brought."""
        return sum(
            (gain[i] - gain[j]) * np.sign(score[i] - score[j])
            for i in range(len(gain))
            for j in range(i)
        )

    best = concentration(gain)
    if best <= 1e-9:
        return
    assert normalized_gini(prediction, value) == pytest.approx(
        concentration(prediction) / best, abs=1e-9
    )


def test_everybody_bringing_the_same_has_no_gini():
    """.1 seven times: rounding alone must not make a ranking of it."""
    assert normalized_gini(np.arange(7), np.full(7, 0.1)) is None


def test_a_fifth_of_two_customers_is_one():
    assert capture([2, 1], [3.0, 1.0]) == pytest.approx(0.75)


def test_a_forecasts_lead_is_the_difference_of_ginis_and_its_interval_holds_it():
    rng = np.random.default_rng(2)
    rate = rng.gamma(0.7, 30.0, 3_000)
    value = rng.poisson(rate / 20) * 20.0
    noisy = rate * rng.gamma(2.0, 0.5, 3_000)
    actual = paired_differences(rate, {"noisy": noisy, "itself": rate.copy()}, value)
    lead = actual["noisy"].gini_value
    assert lead.difference == pytest.approx(
        normalized_gini(rate, value) - normalized_gini(noisy, value), abs=1e-3
    )
    assert 0 < lead.low < lead.difference < lead.high
    assert actual["noisy"].capture_top20.difference == pytest.approx(
        capture(rate, value) - capture(noisy, value), abs=1e-9
    )
    assert set(actual["itself"].gini_value.model_dump().values()) == {0.0}


def test_two_forecasts_that_are_as_good_differ_within_noise():
    rng = np.random.default_rng(4)
    rate = rng.gamma(0.7, 30.0, 3_000)
    value = rng.poisson(rate / 20) * 20.0
    one, two = (rate * rng.gamma(4.0, 0.25, 3_000) for _ in range(2))
    lead = paired_differences(one, {"two": two}, value)["two"].gini_value
    assert lead.low < 0 < lead.high


def test_where_nobody_bought_nothing_can_be_compared():
    assert paired_differences([1.0, 2.0], {"other": [2.0, 1.0]}, [0.0, -3.0]) == {
        "other": Comparison()
    }


def test_the_gain_curve_by_hand():
    actual = dict(zip(GAIN_SHARES, gain_curve([4, 3, 2, 1], [6.0, -5.0, 2.0, 2.0]), strict=True))
    assert (actual[0.0], actual[0.25], actual[0.5], actual[0.75], actual[1.0]) == (
        0,
        0.6,
        0.6,
        0.8,
        1,
    )


def test_the_calibration_slope_is_one_where_outcomes_are_as_predicted_and_half_where_half_as_far_apart():
    predicted = np.arange(1.0, 101.0)
    assert calibration_slope(predicted, predicted + 7) == pytest.approx(1.0)
    assert calibration_slope(predicted, predicted / 2) == pytest.approx(0.5)
    assert calibration_slope(np.ones(50), predicted[:50]) is None
