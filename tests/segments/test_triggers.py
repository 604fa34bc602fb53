"""The dated triggers, one at a time, by hand."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from segments.loyalty import loyalty_tiers
from segments.triggers import (
    COLUMNS,
    TRIGGERS,
    Signals,
    TriggerRules,
    find_triggers,
    missing_triggers,
)

DAY = date(2026, 3, 2)


def ago(days):
    return DAY - timedelta(days=days)


def customers(**changes):
    """One customer who bought every 40 days and 20 days ago for the last time."""
    x = changes.pop("frequency", 1)
    silence = changes.pop("silence", 20)
    first = changes.pop("first", ago(40 * x + silence))
    row = {
        "customer_id": "a", "frequency": x, "recency_days": 40 * x, "age_days": 40 * x + silence,
        "first_order_date": first, "last_order_date": ago(silence), "orders": x + 1,
        "revenue": 50.0 * (x + 1), "next_order_date": None, **changes,
    }  # fmt: skip
    return pd.DataFrame([row])


def due_triggers(rows=None, signals=None, **how):
    rows = customers() if rows is None else rows
    loyalty = loyalty_tiers(rows["orders"], rows["revenue"])
    listed = find_triggers(rows, loyalty, DAY, cycle_days=40.0, signals=signals, **how)
    assert list(listed.columns) == list(COLUMNS)
    assert set(listed["trigger"]) <= set(TRIGGERS)
    return dict(zip(listed["trigger"], listed["due_date"], strict=True))


def test_the_next_order_is_listed_when_it_comes_near():
    assert due_triggers(customers(next_order_date=ago(-14)))["next_order"] == ago(-14)
    assert "next_order" not in due_triggers(customers(next_order_date=ago(-15)))
    assert "next_order" not in due_triggers()


def test_a_product_runs_out_by_its_own_cycle():
    refills = pd.DataFrame(
        {"customer_id": ["a", "a", "a", "b"], "product": ["Beans", "Filter", "Mill", "Beans"],
         "last_date": [ago(25), ago(70), ago(20), ago(25)], "cycle_days": [30.0, 90.0, None, 30.0]}
    )  # fmt: skip
    assert due_triggers(signals=Signals(refills=refills))["refill_due"] == ago(-5)
    stale = refills.iloc[:1].assign(last_date=ago(61))
    assert "refill_due" not in due_triggers(signals=Signals(refills=stale))
    nobody = refills.iloc[:0].astype({"customer_id": "str", "product": "str"})
    assert "refill_due" not in due_triggers(signals=Signals(refills=nobody))


def test_one_order_from_the_next_tier_is_told_once_the_last_has_arrived():
    assert due_triggers()["one_order_from_next_tier"] == ago(13)
    assert "one_order_from_next_tier" not in due_triggers(customers(frequency=2))
    assert "one_order_from_next_tier" not in due_triggers(customers(silence=300))


def test_the_third_order_is_a_graduation_for_two_weeks():
    assert due_triggers(customers(frequency=2, silence=13))["third_order_graduation"] == ago(13)
    assert "third_order_graduation" not in due_triggers(customers(frequency=2, silence=14))
    assert "third_order_graduation" not in due_triggers(customers(frequency=3, silence=3))


@pytest.mark.parametrize(
    ("first", "on"),
    [
        (date(2025, 3, 3), date(2026, 3, 3)),
        (date(2023, 3, 16), date(2026, 3, 16)),
        (date(2025, 3, 2), None),
        (date(2025, 3, 17), None),
        (date(2026, 3, 2), None),
    ],
)
def test_an_anniversary_is_some_years_to_the_day(first, on):
    assert due_triggers(customers(first=first)).get("purchase_anniversary") == on


def test_of_february_29_the_anniversary_is_the_last_of_february():
    rows = customers(first=date(2024, 2, 29))
    loyalty = loyalty_tiers(rows["orders"], rows["revenue"])
    listed = find_triggers(rows, loyalty, date(2026, 2, 20), cycle_days=40.0)
    due = listed.set_index("trigger").loc["purchase_anniversary"]
    assert due["due_date"] == date(2026, 2, 28)
    assert due["reason"] == "2 years since the first order"


def reviews(rating, days=3):
    return pd.DataFrame(
        {"customer_id": ["a"], "reviewed_at": [pd.Timestamp(ago(days), tz="UTC")], "rating": [rating]}
    )  # fmt: skip


def test_a_referral_is_asked_for_after_something_good():
    assert due_triggers(signals=Signals(reviews=reviews(5)))["referral_ask"] == ago(3)
    assert "referral_ask" not in due_triggers(signals=Signals(reviews=reviews(4)))
    nps = pd.DataFrame({"customer_id": ["a"], "answered_at": [pd.Timestamp(ago(1))], "score": [9]})
    assert due_triggers(signals=Signals(nps=nps))["referral_ask"] == ago(1)
    third = due_triggers(customers(frequency=2, silence=10))
    assert third["referral_ask"] == ago(3)  # once it has arrived


def test_nobody_is_asked_who_is_unhappy_or_was_asked_of_late():
    sour = pd.concat([reviews(5, 6), reviews(1, 2)])
    assert "referral_ask" not in due_triggers(signals=Signals(reviews=sour))
    touches = pd.DataFrame(
        {"customer_id": ["a"], "sent_at": [pd.Timestamp(ago(80))], "campaign": ["referral_ask"]}
    )
    signals = Signals(reviews=reviews(5), touches=touches)
    assert "referral_ask" not in due_triggers(signals=signals)
    assert "referral_ask" in due_triggers(
        signals=signals, rules=TriggerRules(referral_period_days=60)
    )


def test_the_content_are_ready_for_the_bundle_that_their_first_product_leads_to():
    upgrades = pd.DataFrame({"customer_id": ["a"], "bundle": ["Morning set"], "is_owned": [False]})
    signals = Signals(upgrades=upgrades)
    assert "upgrade_ready" in due_triggers(signals=signals)
    assert "upgrade_ready" not in due_triggers(signals=signals, has_refund=[True])
    assert "upgrade_ready" not in due_triggers(customers(frequency=2), signals=signals)
    assert "upgrade_ready" not in due_triggers(
        signals=Signals(upgrades=upgrades.assign(is_owned=True))
    )
    unhappy = Signals(upgrades=upgrades, reviews=reviews(2))
    assert "upgrade_ready" not in due_triggers(signals=unhappy)


def test_missing_tables_say_what_they_would_bring():
    named = {missing.table for missing in missing_triggers()}
    assert named == {"order_lines", "reviews", "nps", "loyalty_events", "tickets", "touches"}
    assert "reviews" not in {m.table for m in missing_triggers(Signals(reviews=reviews(5)))}


def test_customers_come_in_their_order_and_each_trigger_once():
    rows = pd.concat(
        [customers(customer_id=name, next_order_date=ago(-3)) for name in ("c", "a", "b")],
        ignore_index=True,
    )
    loyalty = loyalty_tiers(rows["orders"], rows["revenue"])
    listed = find_triggers(rows, loyalty, DAY, cycle_days=40.0)
    assert listed["customer_id"].drop_duplicates().tolist() == ["c", "a", "b"]
    assert not listed.duplicated(["customer_id", "trigger"]).any()
    assert np.all([isinstance(day, date) for day in listed["due_date"]])


def test_nobody_has_no_triggers():
    rows = customers().iloc[:0]
    listed = find_triggers(rows, loyalty_tiers([], []), DAY)
    assert listed.empty


def test_customers_who_come_twice_are_refused():
    rows = pd.concat([customers(), customers()], ignore_index=True)
    loyalty = loyalty_tiers(rows["orders"], rows["revenue"])
    with pytest.raises(ValueError, match="come once"):
        find_triggers(rows, loyalty, DAY)


@pytest.mark.parametrize(
    "wrong",
    [{"ahead_days": -1}, {"fresh_days": 0}, {"open_cycles": 0.5}, {"referral_period_days": 0}],
)
def test_rules_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="or more"):
        TriggerRules(**wrong)
