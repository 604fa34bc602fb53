"""What is sent: what differs, in the fewest jobs, of values that Klaviyo reads as they are meant."""

import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.klaviyo.api import FILL_BYTES, MOST_BYTES, MOST_ROWS
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.errors import SyncRefusedError
from connectors.klaviyo.guards import Limits, check_counts, check_fresh, check_types
from connectors.klaviyo.pack import fewest_jobs, import_body, pack
from connectors.klaviyo.plan import Audience, plan_changes
from connectors.klaviyo.properties import (
    list_properties,
    property_table,
    row_hashes,
)
from connectors.klaviyo.records import SyncCounts
from connectors.klaviyo.synced_profiles import SyncedProfiles, no_rows
from perennial.pipeline.settings.klaviyo import DEFAULT_PROPERTIES
from tests.klaviyo_store import DAY, change, make_scores

PROPERTIES = list_properties("Retention", DEFAULT_PROPERTIES)
LIMITS = Limits(stale_days=3, most_changed_share=0.3, least_rows_share=0.7, most_created=1000)


@pytest.fixture
def nobody(tmp_path):
    return Erasures(tmp_path)


def audience(scores, key=None, kind="external_id"):
    key = scores["customer_id"] if key is None else pd.Series(key, index=scores.index)
    none = pd.Series([None] * len(scores), index=scores.index, dtype="str")
    return Audience(scores, key, key if kind == "email" else none, kind)


def as_confirmed(plan, day=DAY):
    return plan.rows.assign(scored_date=pd.Timestamp(day))[list(no_rows().columns)]


def test_the_first_plan_sends_everybody_and_the_next_nobody(nobody):
    scores = make_scores(50)
    first = plan_changes(audience(scores), PROPERTIES, no_rows(), nobody, DAY, 7)
    assert (len(first.rows), first.counts.new) == (50, 50)
    later = scores.assign(as_of=DAY + timedelta(days=1))
    confirmed = as_confirmed(first)
    again = plan_changes(audience(later), PROPERTIES, confirmed, nobody, DAY, 7)
    assert (len(again.rows), again.counts.unchanged) == (0, 50)


def test_only_what_changed_is_sent(nobody):
    scores = make_scores(200)
    confirmed = as_confirmed(plan_changes(audience(scores), PROPERTIES, no_rows(), nobody, DAY, 7))
    later = change(scores, 0.2, 1)
    changed = later["expected_value"] != scores["expected_value"]
    plan = plan_changes(audience(later), PROPERTIES, confirmed, nobody, DAY, 7)
    expected = set(later["customer_id"][changed & ~later["is_holdout"]])
    assert set(plan.rows["customer_id"]) == expected
    is_other = (later["segment"] != scores["segment"]) & ~later["is_holdout"]
    assert plan.counts.moved == is_other.sum()


def test_a_row_is_sent_again_before_it_goes_stale(nobody):
    scores = make_scores(10)
    confirmed = as_confirmed(plan_changes(audience(scores), PROPERTIES, no_rows(), nobody, DAY, 7))
    for days, sent in ((6, 0), (7, 10)):
        plan = plan_changes(
            audience(scores), PROPERTIES, confirmed, nobody, DAY + timedelta(days=days), 7
        )
        assert plan.counts.refreshed == len(plan.rows) == sent


def test_what_is_in_doubt_is_sent_again(nobody):
    scores = make_scores(3)
    confirmed = as_confirmed(
        plan_changes(audience(scores), PROPERTIES, no_rows(), nobody, DAY, 7)
    ).assign(row_hash=[0, 1, 2])
    plan = plan_changes(audience(scores), PROPERTIES, confirmed, nobody, DAY, 7)
    assert len(plan.rows) == 3


def test_who_cannot_be_told_is_counted_by_rule(nobody):
    scores = make_scores(5)
    scores["last_order_date"] = [DAY - timedelta(days=n) for n in (5, 4, 3, 2, 1)]
    key = ["a@example.com", "a@example.com", None, "no address", "b@example.com"]
    plan = plan_changes(audience(scores, key, "email"), PROPERTIES, no_rows(), nobody, DAY, 7)
    assert list(plan.rows["customer_id"]) == ["c0000001", "c0000004"]  # who ordered last
    assert dict(zip(plan.rejects["customer_id"], plan.rejects["code"], strict=True)) == {
        "c0000000": "shared_key",
        "c0000002": "no_key",
        "c0000003": "unreadable_key",
    }


def test_of_two_who_share_an_address_the_held_out_one_counts(nobody):
    scores = make_scores(2).assign(is_holdout=[True, False])
    key = ["a@example.com", "a@example.com"]
    plan = plan_changes(audience(scores, key, "email"), PROPERTIES, no_rows(), nobody, DAY, 7)
    assert list(plan.rows["customer_id"]) == ["c0000000"]
    assert plan.properties["Retention Holdout"].tolist() == [True]


def test_the_forgotten_are_left_out_by_any_name(tmp_path):
    erased = Erasures(tmp_path)
    erased.add(["c0000001 ", "x@example.com"])
    scores = make_scores(3)
    names = audience(scores)
    names = Audience(scores, names.key, pd.Series([None, None, "X@example.com"]), "external_id")
    plan = plan_changes(names, PROPERTIES, no_rows(), Erasures(tmp_path), DAY, 7)
    assert list(plan.rows["customer_id"]) == ["c0000000"]
    assert plan.counts.erased == 2
    assert plan.rejects.empty
    assert "x@example.com" not in (tmp_path / "erasures.json").read_text()


def test_of_a_held_out_customer_nothing_is_said_but_that_they_are():
    scores = make_scores(8)
    table = property_table(scores, PROPERTIES)
    held = table[scores["is_holdout"]].iloc[0].to_dict()
    assert held == {
        "Retention Segment": "Held out",
        "Retention Tier": "Held out",
        "Retention Chance of Order 90d": -1,
        "Retention Churn Risk": -1,
        "Retention Expected Value": -1.0,
        "Retention Second Order Chance": -1,
        "Retention Next Order Date": "2100-01-01 12:00:00",
        "Retention Journey Stage": "Held out",
        "Retention Loyalty Tier": "Held out",
        "Retention Holdout": True,
        "Retention Scored At": "2024-06-30 12:00:00",
    }


def test_percentages_are_0_to_100_dates_at_noon_and_nothing_is_null():
    scores = make_scores(300).assign(loyalty_tier=None)
    table = property_table(scores, PROPERTIES)[~scores["is_holdout"].to_numpy()]
    reported = scores[~scores["is_holdout"]]
    expected = (100 * reported["p_order_90d"]).round().astype(int)
    assert table["Retention Chance of Order 90d"].tolist() == expected.tolist()
    assert set(table["Retention Loyalty Tier"]) == {"Not scored"}
    repeat = reported["p_second_order"].isna().to_numpy()
    assert set(table["Retention Second Order Chance"][repeat]) == {-1}
    assert table["Retention Next Order Date"].str.endswith(" 12:00:00").all()
    assert not table.isna().any(axis=None)
    assert set(table["Retention Segment"]) == {
        "champion", "loyal", "at risk high value", "lapsed", "one and done"}  # fmt: skip


def test_a_property_has_one_type_whatever_its_values():
    scores = make_scores(100)
    types = [
        {name: type(value) for name, value in json.loads(json.dumps(row)).items()}
        for row in property_table(scores, PROPERTIES).to_dict("records")
    ]
    assert all(one == types[0] for one in types)


def test_the_hash_sees_every_property_but_the_day():
    scores = make_scores(1)
    key = scores["customer_id"]
    first = row_hashes(key, scores, PROPERTIES)
    assert row_hashes(key, scores.assign(as_of=date(2024, 7, 1)), PROPERTIES) == first
    assert row_hashes(pd.Series(["x"]), scores, PROPERTIES) != first
    for column, value in (
        ("segment", "x"),
        ("investment_tier", "x"),
        ("p_order_90d", 2.0),
        ("expected_value", 1e6),
        ("is_holdout", True),
        ("next_order_date", date(2030, 1, 1)),
        ("loyalty_tier", "x"),
    ):
        assert row_hashes(key, scores.assign(**{column: [value]}), PROPERTIES) != first, column


@given(st.lists(st.integers(200, 60_000), min_size=1, max_size=400), st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_jobs_keep_both_limits_and_are_as_few_as_must_be(sizes, most_rows):
    sizes = np.array(sizes, dtype=np.int64)
    job = pack(sizes, most_rows)
    assert set(job) == set(range(job.max() + 1))
    for number in range(job.max() + 1):
        rows = sizes[job == number]
        assert len(rows) <= most_rows
        assert len(import_body([b"x" * size for size in rows])) <= FILL_BYTES < MOST_BYTES
    least = fewest_jobs(sizes, most_rows)
    assert least <= job.max() + 1 <= max(least + 1, 1.05 * least)


def test_a_million_rows_of_two_sizes_need_no_job_too_many():
    """Heavy rows first and light ones after would fill jobs badly in order."""
    sizes = np.r_[np.full(20_000, 2_000), np.full(200_000, 150)]
    assert pack(sizes).max() + 1 <= 1.05 * fewest_jobs(sizes)
    assert fewest_jobs(np.full(MOST_ROWS + 1, 10)) == 2


def counts(**values):
    return replace(SyncCounts(customers=1000, customers_before=1000, compared=1000), **values)


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        ({"moved": 301}, "most_changed_share"),
        ({"customers": 699}, "least_rows_share"),
        ({"created": 1001}, "most_created"),
    ],
)
def test_a_plan_that_changes_too_much_is_refused(message, rule):
    check_counts(counts(moved=300, customers=700, created=1000), LIMITS)
    with pytest.raises(SyncRefusedError, match=rule):
        check_counts(counts(**message), LIMITS)


def test_every_reason_is_said_at_once():
    with pytest.raises(SyncRefusedError, match=r"most_changed_share.*least_rows_share"):
        check_counts(counts(moved=900, customers=1), LIMITS)


def test_stale_scores_are_refused():
    check_fresh(DAY, DAY + timedelta(days=3), LIMITS)
    with pytest.raises(SyncRefusedError, match="4 days"):
        check_fresh(DAY, DAY + timedelta(days=4), LIMITS)


def test_a_property_keeps_its_type_for_ever(tmp_path):
    path = tmp_path / "types.json"
    check_types(path, list_properties("R", {"Value": "expected_value"}), keep=True)
    check_types(path, list_properties("R", {"Value": "p_order_90d"}), keep=True)
    with pytest.raises(SyncRefusedError, match="R Value"):
        check_types(path, list_properties("R", {"Value": "segment"}), keep=True)


def test_confirmed_rows_are_replaced_by_newer_ones(tmp_path):
    confirmed = SyncedProfiles(tmp_path / "state" / "confirmed.parquet")
    rows = pd.DataFrame(
        {"customer_id": ["a", "b"], "row_hash": [2**62 + 1, 2], "segment": "loyal", "scored_date": DAY,
         "profile_id": None}
    )  # fmt: skip
    confirmed.add(rows)
    confirmed.add(rows.iloc[1:].assign(row_hash=3))
    assert confirmed.read().set_index("customer_id")["row_hash"].to_dict() == {
        "a": 2**62 + 1, "b": 3}  # fmt: skip
    assert confirmed.forget({"a"}) == 1
    assert list(confirmed.read()["customer_id"]) == ["b"]


def moved(scores, later, nobody, properties=PROPERTIES):
    confirmed = as_confirmed(plan_changes(audience(scores), properties, no_rows(), nobody, DAY, 7))
    return plan_changes(
        audience(later), properties, confirmed, nobody, DAY + timedelta(days=1), 7
    ).counts


def test_a_held_out_customer_never_counts_as_moved(nobody):
    scores = make_scores(50)
    held = scores["is_holdout"]
    later = scores.assign(segment=scores["segment"].mask(held, "elsewhere"))
    counts = moved(scores, later, nobody)
    assert held.sum() == 5
    assert (counts.moved, counts.compared) == (0, 45)


def test_a_customer_of_whom_nothing_is_sent_does_not_count_as_moved(nobody):
    scores = make_scores(50)
    without_segments = list_properties("Retention", {"Chance": "p_order_90d"})
    later = scores.assign(segment="elsewhere")
    assert moved(scores, later, nobody, without_segments).moved == 0


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_moved_counts_the_rows_that_are_sent_with_another_segment(nobody, share):
    scores = make_scores(200)
    later = change(scores, share, 3)
    is_other = (scores["segment"] != later["segment"]) & ~scores["is_holdout"]
    assert moved(scores, later, nobody).moved == is_other.sum()
