"""What a day decides, given what earlier days decided."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.klaviyo.erasure import Erasures
from features.tables import DataError
from flows.beliefs import keep_beliefs, read_beliefs
from flows.decide import score_customers
from flows.forecaster import Forecaster
from flows.ledger import Earlier
from flows.settings import build_settings
from models.purchases import MBGNBD
from models.spend import Spend
from segments.investment import Belief

DAY = date(2026, 3, 1)
FORECASTER = Forecaster(
    MBGNBD(0.9, 30.0, 0.6, 2.0), Spend(6.0, 4.0, 15.0), None, 90, date(2025, 1, 1)
)


def settings(**sections):
    investment = {"budget": 60.0, "exploration": 0.0, **sections.pop("investment", {})}
    values = {"orders": {"source": "o.csv"}, "investment": investment, **sections}
    return build_settings(values, Path())


def customers(n=400, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.poisson(1.5, n)
    t_x = np.where(x > 0, rng.integers(10, 200, n), 0)
    T = t_x + rng.integers(0, 120, n)
    amount = rng.gamma(4, 20, n)
    days = {"first_order_date": [DAY - timedelta(days=int(d)) for d in T],
            "last_order_date": [DAY - timedelta(days=int(d)) for d in T - t_x]}  # fmt: skip
    return pd.DataFrame(
        {"customer_id": [f"c{i:04}" for i in range(n)], "as_of": DAY, "frequency": x,
         "recency_days": t_x, "age_days": T, "monetary_value": np.where(x > 0, amount, 0.0),
         **days, "orders": x + 1, "revenue": amount * (x + 1), "first_amount": amount,
         "first_discount_share": np.nan}
    )  # fmt: skip


def decided(earlier=None, on=DAY, state=None, **sections):
    known = customers() if state is None else state
    return score_customers(settings(**sections), known, FORECASTER, on, earlier)


def test_all_but_the_forgotten_count_in_what_is_expected(tmp_path):
    erased = Erasures(tmp_path)
    erased.add(["c0003", "c0007"])
    found = score_customers(settings(), customers(), FORECASTER, DAY, erased=erased)
    assert found.scores["is_holdout"].any()
    assert set(found.expected.groupby("window_days")["customers"].sum()) == {398}
    everybody = FORECASTER.counts(customers(), [7])[7]
    counted = ~customers()["customer_id"].isin(["c0003", "c0007"]).to_numpy()
    sums = found.expected.query("window_days == 7")[["expected_orders", "variance_orders"]].sum()
    assert sums["expected_orders"] == pytest.approx(everybody.orders[counted].sum())
    assert sums["variance_orders"] == pytest.approx(everybody.variance[counted].sum())


def test_the_budget_is_committed_and_told():
    found = decided()
    rows = found.commitments
    assert 50 < found.budget["committed"] <= 60
    paid = rows.loc[~rows["is_holdout"], "expected_cost"].sum()
    assert paid == pytest.approx(found.budget["committed"])
    assert found.budget["left"] == 60
    assert found.budget["next_return"] > 1
    chosen = found.scores["investment_tier"] != "none"
    assert rows["customer_id"].tolist() == found.scores.loc[chosen, "customer_id"].tolist()
    assert (rows["expected_gain"] > rows["expected_cost"]).all()


def test_the_next_night_keeps_every_tier_and_spends_nothing_twice():
    first = decided()
    known = Earlier(first.assignments, first.commitments)
    night = decided(known, DAY + timedelta(days=1))
    assert night.budget["left"] == pytest.approx(60 - first.budget["committed"])
    before = first.scores.set_index("customer_id")["investment_tier"]
    after = night.scores.set_index("customer_id")["investment_tier"]
    had = before != "none"
    assert (after[had] == before[had]).all()
    assert not set(night.commitments["customer_id"]) & set(first.commitments["customer_id"])
    assert len(night.in_force) == len(first.commitments) + len(night.commitments)


def test_after_the_period_a_customer_rests_and_the_budget_is_new():
    first = decided()
    known = Earlier(first.assignments, first.commitments)
    later = decided(known, DAY + timedelta(days=30))
    had = set(first.commitments["customer_id"])
    assert later.budget["left"] == 60
    assert not set(later.commitments["customer_id"]) & had
    resting = later.scores[later.scores["customer_id"].isin(had)]
    assert set(resting["investment_tier"]) == {"none"}
    rested = decided(known, DAY + timedelta(days=60))
    assert set(rested.commitments["customer_id"]) & had


def test_a_day_out_of_order_leaves_what_a_later_day_committed():
    first = decided()
    known = Earlier(first.assignments, first.commitments)
    earlier_day = decided(known, DAY - timedelta(days=3))
    assert earlier_day.budget["left"] == pytest.approx(60 - first.budget["committed"])


def test_without_a_budget_left_nothing_is_committed():
    first = decided()
    rows = first.commitments.assign(expected_cost=1000.0, is_holdout=False)
    found = decided(Earlier(first.assignments, rows), DAY + timedelta(days=1))
    assert found.budget["left"] == 0
    assert found.commitments.empty
    assert found.budget["committed"] == 0


def test_the_drawn_stay_as_drawn_when_others_come():
    first = decided()
    held = first.scores.set_index("customer_id")["is_holdout"]
    again = decided(Earlier(first.assignments), state=customers(500))
    assert again.scores.set_index("customer_id")["is_holdout"][held.index].equals(held)
    assert len(again.assignments) == 100


def test_another_salt_is_refused():
    first = decided()
    with pytest.raises(DataError, match="drawn once"):
        decided(Earlier(first.assignments), holdout={"salt": "other"})


def test_programs_have_arms_among_those_who_are_not_in_the_control_group():
    found = decided(holdout={"programs": {"winback": 0.5}})
    arms = found.assignments.groupby("program").size()
    held = int(found.scores["is_holdout"].sum())
    assert arms.to_dict() == {"control": 400, "winback": 400 - held}


def test_a_measured_effect_moves_the_budget(tmp_path):
    plain = decided()
    segment = plain.commitments["segment"].mode()[0]
    nothing = {(tier, segment): Belief(0.0, 0.01, True) for tier in ("heavy", "standard", "light")}
    keep_beliefs(tmp_path, DAY, nothing)
    assert read_beliefs(tmp_path, DAY - timedelta(days=1)) == {}
    found = decided(Earlier(beliefs=read_beliefs(tmp_path, DAY)))
    assert segment not in set(found.commitments["segment"])
    assert len(found.commitments)


def test_explorers_are_the_same_for_a_period():
    ids = pd.Series([f"c{i}" for i in range(5000)])
    from flows.ledger import explorers

    with_some = settings(investment={"exploration": 0.2})
    begin = date.fromordinal(30 * 24_000)
    first, same, other = (
        explorers(with_some, ids, begin + timedelta(days=n)) for n in (0, 29, 30)
    )
    assert first.mean() == pytest.approx(0.2, abs=0.02)
    assert first.tolist() == same.tolist()
    assert (first & other).mean() == pytest.approx(0.04, abs=0.015)


def test_the_best_fifth_of_first_time_buyers_is_named_by_chance_and_what_follows():
    found = decided()
    scores = found.scores.set_index("customer_id")
    window = scores[scores["segment"].isin(["new", "second_order_window"])]
    named = found.newcomers.set_index("customer_id")
    assert len(named) == int(np.ceil(len(window) / 5)) > 3
    assert named["worth"].is_monotonic_decreasing
    one = scores.loc[named.index[0]]
    age = float(one["age_days"])
    after = FORECASTER.purchases.expected_orders(365, [1.0], [age], [age])[0]
    margin = one["expected_order_value"] * 0.55 * (1 + after)
    assert named["second_order_margin"].iloc[0] == pytest.approx(margin)
    assert named["worth"].iloc[0] == pytest.approx(one["p_second_order"] * margin)


def test_the_curve_says_what_a_budget_gains():
    found = decided()
    curve = found.budget["curve"]
    free = found.commitments[~found.commitments["is_holdout"]]
    gained = (free["expected_gain"] - free["expected_cost"]).sum()
    told = np.interp(found.budget["committed"], curve["budget"], curve["gain"])
    assert gained == pytest.approx(told, rel=0.02)
    assert curve["budget"][0] == curve["gain"][0] == 0
