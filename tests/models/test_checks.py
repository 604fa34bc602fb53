"""Each check where it refuses, and where it does not."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from models.checks import (
    ACCEPTED,
    PASSED,
    REFUSED,
    WARNED,
    Source,
    accept,
    check_scores,
    check_source,
    compare_scores,
    expected_orders,
    judge_volume,
    refused,
)
from models.checks.scores import ScoreLimits
from models.checks.source import SourceLimits, silent_days
from perennial.pipeline.publishing.checks import NAMES
from perennial.pipeline.settings.operations import CheckSettings

WEEK = [50, 60, 70, 80, 90, 40, 0]  # closed on the last day
BUSY = np.array(WEEK * 8)


def verdicts(source: Source, limits: SourceLimits | None = None) -> dict[str, str]:
    return {check.name: check.verdict for check in check_source(source, limits)}


def usual(*last: int, customers: int = 1000) -> Source:
    return Source(np.append(BUSY, last), customers)


def test_a_day_is_expected_to_be_like_its_weekday():
    assert [expected_orders(BUSY[: 49 + k]) for k in range(7)] == WEEK


def test_one_odd_week_changes_nothing_and_two_weeks_are_too_few():
    odd = BUSY.copy()
    odd[-7] = 5_000
    assert expected_orders(odd) == 50
    assert np.isnan(expected_orders(BUSY[:14]))


@pytest.mark.parametrize(
    ("orders", "verdict"),
    [
        (50, PASSED),
        (36, PASSED),
        (34, WARNED),
        (20, WARNED),
        (19, REFUSED),
        (0, REFUSED),
        (66, WARNED),
    ],
)
def test_a_day_of_many_orders_is_judged_by_its_share(orders, verdict):
    assert judge_volume(orders, 50.0).verdict == verdict


@pytest.mark.parametrize(("expected", "verdict"), [(9.1, PASSED), (9.3, REFUSED), (0.0, PASSED)])
def test_a_small_shop_without_orders_is_refused_where_chance_brings_that_less_than_once_in_10000(
    expected, verdict
):
    assert poisson.pmf(0, 9.2103) == pytest.approx(1e-4, rel=1e-3)
    assert judge_volume(0, expected).verdict == verdict


@given(st.floats(0, 29.9), st.integers(0, 60))
def test_more_orders_are_never_judged_worse_in_a_small_shop(expected, orders):
    order = [REFUSED, PASSED]
    fewer, more = (judge_volume(n, expected).verdict for n in (orders, orders + 1))
    assert order.index(more) >= order.index(fewer)


def test_a_usual_day_passes_every_check():
    source = replace(
        usual(49), customers_before=995, orders_then=10_000, orders_now=10_030, model_age_days=6
    )
    assert set(verdicts(source).values()) == {PASSED}


def test_a_closed_day_is_no_empty_source():
    source = usual(*WEEK)  # ends on the closed day
    assert silent_days(source.daily) == 1
    assert set(verdicts(source).values()) == {PASSED}


def test_an_empty_day_is_late_and_waiting_may_mend_it():
    actual = {check.name: check for check in check_source(usual(0))}
    assert actual["orders_are_fresh"].verdict == REFUSED
    assert actual["orders_are_fresh"].is_late
    assert "about 50 are usual" in actual["orders_are_fresh"].problem


def test_a_source_that_has_been_silent_for_weeks_is_late():
    assert verdicts(Source(np.append(BUSY, [0] * 100), 1000))["orders_are_fresh"] == REFUSED


def test_a_day_with_a_few_of_its_orders_is_refused_as_such():
    actual = verdicts(usual(7))
    assert actual["orders_are_fresh"] == PASSED
    assert actual["orders_of_the_day"] == REFUSED


def test_a_small_shop_that_sells_nothing_for_three_days_passes():
    few = np.array([1, 0, 2, 1, 0, 1, 0] * 8 + [0, 0, 0])
    assert set(verdicts(Source(few, 100)).values()) == {PASSED}


def test_several_silent_days_are_counted_together():
    few = np.array([4] * 56 + [0, 0])
    assert verdicts(Source(few, 100))["orders_are_fresh"] == PASSED  # e^-8 is more than 1e-4
    assert verdicts(Source(np.append(few, 0), 100))["orders_are_fresh"] == REFUSED


@pytest.mark.parametrize(("now", "verdict"), [(980, PASSED), (979, REFUSED)])
def test_customers_that_vanish_are_refused(now, verdict):
    source = replace(usual(50, customers=now), customers_before=1000)
    assert verdicts(source)["customers_stay"] == verdict


@pytest.mark.parametrize(
    ("now", "verdict"),
    [(10_500, PASSED), (9_500, PASSED), (10_501, REFUSED), (20_000, REFUSED), (9_499, REFUSED)],
)
def test_a_past_that_is_cut_or_doubled_is_refused(now, verdict):
    source = replace(usual(50), orders_then=10_000, orders_now=now)
    assert verdicts(source)["history_stays"] == verdict


@pytest.mark.parametrize(
    ("age", "verdict"), [(45, PASSED), (46, WARNED), (90, WARNED), (91, REFUSED)]
)
def test_an_old_model_is_warned_of_and_then_refused(age, verdict):
    assert verdicts(replace(usual(50), model_age_days=age))["model_is_young"] == verdict


def test_every_check_can_be_accepted_by_its_name():
    source = Source(
        BUSY, 1000, customers_before=1000, orders_then=9, orders_now=9, model_age_days=1
    )
    moved = compare_scores(scores(), scores(), 1, is_new_model=False)
    checks = [*check_source(source), *check_scores(scores(), moved)]
    assert [check.name for check in checks] == list(NAMES)


def test_the_settings_limits_are_those_of_the_checks():
    settings = CheckSettings()
    assert (settings.source, settings.scores) == (SourceLimits(), ScoreLimits())
    limits = {field.name for one in (SourceLimits, ScoreLimits) for field in fields(one)}
    assert limits == set(CheckSettings.model_fields)


def test_limits_are_the_stores():
    source = usual(19)
    assert verdicts(source, SourceLimits(least_orders_share=0.3))["orders_of_the_day"] == WARNED


def test_what_a_person_accepts_passes_and_keeps_its_reason():
    checks = accept(check_source(usual(7)), {"orders_of_the_day": "a strike"})
    assert refused(checks) == []
    actual = {check.name: check for check in checks}["orders_of_the_day"]
    assert (actual.verdict, actual.because) == (ACCEPTED, "a strike")


def test_accepting_one_check_accepts_no_other():
    checks = accept(check_source(usual(7)), {"customers_stay": "merged"})
    assert [check.name for check in refused(checks)] == ["orders_of_the_day"]


def scores(customers: int = 1000) -> pd.DataFrame:
    """Scores that can be right."""
    n = np.arange(customers)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in n],
            "as_of": pd.Timestamp("2026-11-21"),
            "first_order_date": pd.Timestamp("2026-01-01"),
            "segment": np.where(n % 2, "loyal", "lapsed"),
            "frequency": n % 3,
            "recency_days": (n % 3) * 10,
            "age_days": 60,
            "monetary_value": np.where(n % 3, 20.0, 0.0),
            "revenue": 100.0,
            "p_alive": 0.5,
            "p_order_90d": 0.2,
            "churn_probability": 0.6,
            "expected_orders": 1.0,
            "expected_order_value": 20.0,
            "expected_value": 20.0,
            "expected_margin": 10.0,
        }
    )


def verdicts_of(frame: pd.DataFrame, moved=None) -> dict[str, str]:
    return {check.name: check.verdict for check in check_scores(frame, moved)}


def test_scores_that_can_be_right_pass():
    assert set(verdicts_of(scores()).values()) == {PASSED}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("p_alive", 1.01),
        ("p_order_90d", np.nan),
        ("churn_probability", -0.01),
        ("expected_value", np.inf),
        ("expected_value", -1.0),
        ("expected_orders", np.nan),
        ("expected_value", 2_001.0),
        ("customer_id", "c1"),
        ("customer_id", None),
    ],
)
def test_a_score_that_cannot_be_right_is_refused(column, value):
    frame = scores()
    frame.loc[0, column] = value
    assert verdicts_of(frame)["scores_are_possible"] == REFUSED


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("recency_days", 61),
        ("monetary_value", -1.0),
        ("monetary_value", np.nan),
        ("first_order_date", pd.Timestamp("2026-11-22")),
    ],
)
def test_a_state_that_cannot_be_is_refused(column, value):
    frame = scores()
    frame.loc[1, column] = value  # a repeat buyer
    assert verdicts_of(frame)["states_are_coherent"] == REFUSED


def test_repeat_orders_that_were_all_free_are_no_fault():
    """They count as purchases where ``orders.keep_zero_amount`` is set."""
    frame = scores()
    frame.loc[1, "monetary_value"] = 0.0  # a repeat buyer
    assert verdicts_of(frame)["states_are_coherent"] == PASSED


@pytest.mark.parametrize(
    ("factor", "days", "is_new_model", "verdict"),
    [
        (1.19, 1, False, PASSED),
        (1.21, 1, False, REFUSED),
        (0.79, 1, False, REFUSED),
        (1.21, 2, False, PASSED),
        (1.39, 1, True, PASSED),
        (1.41, 1, True, REFUSED),
    ],
)
def test_a_jump_of_the_mean_value_is_refused(factor, days, is_new_model, verdict):
    after = scores().assign(expected_value=20.0 * factor)
    moved = compare_scores(scores(), after, days, is_new_model=is_new_model)
    assert verdicts_of(after, moved)["value_is_steady"] == verdict


@pytest.mark.parametrize(("switched", "verdict"), [(50, PASSED), (51, REFUSED)])
def test_a_segment_that_jumps_is_refused(switched, verdict):
    after = scores()
    after.loc[after.index[after["segment"] == "loyal"][:switched], "segment"] = "lapsed"
    moved = compare_scores(scores(), after, 1, is_new_model=False)
    assert verdicts_of(after, moved)["segments_are_steady"] == verdict


@pytest.mark.parametrize(("each_way", "verdict"), [(50, PASSED), (51, REFUSED)])
def test_customers_who_change_places_are_counted_though_shares_stay(each_way, verdict):
    after = scores()
    for there, to in (("loyal", "lapsed"), ("lapsed", "loyal")):
        who = scores().index[scores()["segment"] == there][:each_way]
        after.loc[who, "segment"] = to
    moved = compare_scores(scores(), after, 1, is_new_model=False)
    assert verdicts_of(after, moved)["segments_are_steady"] == PASSED
    assert verdicts_of(after, moved)["customers_stay_put"] == verdict


def test_a_handful_of_customers_of_a_small_shop_may_move():
    before, after = scores(100), scores(100)
    after.loc[after.index[:20], "segment"] = "new"
    moved = compare_scores(before, after, 1, is_new_model=False)
    assert set(verdicts_of(after, moved).values()) == {PASSED}


@pytest.mark.parametrize(
    ("committed", "verdict"),
    [(0.0, PASSED), (100.0, PASSED), (100.01, REFUSED), (np.nan, REFUSED)],
)
def test_a_budget_that_is_exceeded_is_refused(committed, verdict):
    actual = {c.name: c.verdict for c in check_scores(scores(), committed=committed, left=100.0)}
    assert actual["budget_is_kept"] == verdict


def test_days_without_a_common_customer_are_not_compared():
    other = scores().assign(customer_id=lambda f: "x" + f["customer_id"])
    assert compare_scores(scores(), other, 1, is_new_model=False) is None


def test_a_refusal_has_rule_problem_threshold_and_fix():
    (check,) = [c for c in check_source(usual(7)) if c.verdict == REFUSED]
    assert str(check) == (
        "a day has about as many orders as its weekday usually has: 7 orders, where 50 are usual (refused below "
        "40% of them). See whether the export is complete; if the day was like that, accept it"
    )
