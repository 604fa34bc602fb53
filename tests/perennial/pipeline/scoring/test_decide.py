"""What a day decides, given what earlier days decided."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.klaviyo.erasure import Erasures
from features.tables import DataError
from models.forecaster import Forecaster
from models.lift import Effect
from models.order_value import OrderValue
from models.purchases import MBGNBD, ParetoNBD
from models.spend import Spend
from perennial.pipeline.experiments.effects import read_effects, save_effects
from perennial.pipeline.experiments.uplift_targeting import KNOWN
from perennial.pipeline.scoring.commitments import PriorDecisions
from perennial.pipeline.scoring.decide import score_customers
from perennial.pipeline.scoring.incremental_value import incremental_value
from perennial.pipeline.settings.store import build_settings
from segments.evidence import Signals, advocates
from segments.investment import EffectEstimate

DAY = date(2026, 3, 1)
FORECASTER = Forecaster(
    purchases=MBGNBD(0.9, 30.0, 0.6, 2.0),
    order_value=OrderValue(Spend(6.0, 4.0, 15.0)),
    classifier=None,
    second_purchase_days=90,
    trained_as_of=date(2025, 1, 1),
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


def decided(earlier=None, on=DAY, state=None, forecaster=FORECASTER, signals=None, **sections):
    past = customers() if state is None else state
    return score_customers(
        settings(**sections).policy, past, forecaster, on, earlier, signals=signals
    )


def test_all_but_the_forgotten_count_in_what_is_expected(tmp_path):
    erased = Erasures(tmp_path)
    erased.add(["c0003", "c0007"])
    decisions = score_customers(settings().policy, customers(), FORECASTER, DAY, erased=erased)
    assert decisions.scores["is_holdout"].any()
    assert set(decisions.expected.groupby("window_days")["customers"].sum()) == {398}
    everybody = FORECASTER.counts(customers(), [7])[7]
    counted = ~customers()["customer_id"].isin(["c0003", "c0007"]).to_numpy()
    sums = decisions.expected.query("window_days == 7")[
        ["expected_orders", "variance_orders"]
    ].sum()
    assert sums["expected_orders"] == pytest.approx(everybody.orders[counted].sum())
    assert sums["variance_orders"] == pytest.approx(everybody.variance[counted].sum())


def test_the_budget_is_committed_and_told():
    decisions = decided()
    rows = decisions.commitments
    assert 50 < decisions.budget.committed <= 60
    paid = rows.loc[~rows["is_holdout"], "expected_cost"].sum()
    assert paid == pytest.approx(decisions.budget.committed)
    assert decisions.budget.left == 60
    assert decisions.budget.next_return > 1
    choice = decisions.scores["investment_tier"] != "none"
    assert rows["customer_id"].tolist() == decisions.scores.loc[choice, "customer_id"].tolist()
    assert (rows["expected_gain"] > rows["expected_cost"]).all()


def test_the_next_night_keeps_every_tier_and_spends_nothing_twice():
    first = decided()
    prior = PriorDecisions(first.assignments, first.commitments)
    night = decided(prior, DAY + timedelta(days=1))
    assert night.budget.left == pytest.approx(60 - first.budget.committed)
    before = first.scores.set_index("customer_id")["investment_tier"]
    after = night.scores.set_index("customer_id")["investment_tier"]
    had = before != "none"
    assert (after[had] == before[had]).all()
    assert not set(night.commitments["customer_id"]) & set(first.commitments["customer_id"])
    assert len(night.in_force) == len(first.commitments) + len(night.commitments)


def test_after_the_period_a_customer_rests_and_the_budget_is_new():
    first = decided()
    prior = PriorDecisions(first.assignments, first.commitments)
    later = decided(prior, DAY + timedelta(days=30))
    had = set(first.commitments["customer_id"])
    assert later.budget.left == 60
    assert not set(later.commitments["customer_id"]) & had
    resting = later.scores[later.scores["customer_id"].isin(had)]
    assert set(resting["investment_tier"]) == {"none"}
    rested = decided(prior, DAY + timedelta(days=60))
    assert set(rested.commitments["customer_id"]) & had


def test_a_day_out_of_order_leaves_what_a_later_day_committed():
    first = decided()
    prior = PriorDecisions(first.assignments, first.commitments)
    earlier_day = decided(prior, DAY - timedelta(days=3))
    assert earlier_day.budget.left == pytest.approx(60 - first.budget.committed)


def test_without_a_budget_left_nothing_is_committed():
    first = decided()
    rows = first.commitments.assign(expected_cost=1000.0, is_holdout=False)
    decisions = decided(PriorDecisions(first.assignments, rows), DAY + timedelta(days=1))
    assert decisions.budget.left == 0
    assert decisions.commitments.empty
    assert decisions.budget.committed == 0


def test_the_drawn_stay_as_drawn_when_others_come():
    first = decided()
    held = first.scores.set_index("customer_id")["is_holdout"]
    again = decided(PriorDecisions(first.assignments), state=customers(500))
    assert again.scores.set_index("customer_id")["is_holdout"][held.index].equals(held)
    assert len(again.assignments) == 100


def test_another_salt_is_refused():
    first = decided()
    with pytest.raises(DataError, match="drawn once"):
        decided(PriorDecisions(first.assignments), holdout={"salt": "other"})


def test_programs_have_arms_among_those_who_are_not_in_the_control_group():
    decisions = decided(holdout={"programs": {"winback": 0.5}})
    arms = decisions.assignments.groupby("program").size()
    held = int(decisions.scores["is_holdout"].sum())
    assert arms.to_dict() == {"control": 400, "winback": 400 - held}


def test_a_measured_effect_moves_the_budget(tmp_path):
    plain = decided()
    segment = plain.commitments["segment"].mode()[0]
    nothing = {
        (tier, segment): EffectEstimate(0.0, 0.01, True) for tier in ("heavy", "standard", "light")
    }
    save_effects(tmp_path, DAY, nothing)
    assert read_effects(tmp_path, DAY - timedelta(days=1)) == {}
    decisions = decided(PriorDecisions(effects=read_effects(tmp_path, DAY)))
    assert segment not in set(decisions.commitments["segment"])
    assert len(decisions.commitments)


def test_explorers_are_the_same_for_a_period():
    ids = pd.Series([f"c{i}" for i in range(5000)])
    from perennial.pipeline.scoring.commitments import explorers

    with_some = settings(investment={"exploration": 0.2})
    begin = date.fromordinal(30 * 24_000)
    first, same, other = (
        explorers(with_some.investment, ids, begin + timedelta(days=n)) for n in (0, 29, 30)
    )
    assert first.mean() == pytest.approx(0.2, abs=0.02)
    assert first.tolist() == same.tolist()
    assert (first & other).mean() == pytest.approx(0.04, abs=0.015)


def test_the_best_fifth_of_first_time_buyers_is_named_by_chance_and_what_follows():
    decisions = decided()
    scores = decisions.scores.set_index("customer_id")
    window = scores[scores["segment"].isin(["new", "second_order_window"])]
    named = decisions.newcomers.set_index("customer_id")
    assert len(named) == int(np.ceil(len(window) / 5)) > 3
    assert named["worth"].is_monotonic_decreasing
    one = scores.loc[named.index[0]]
    age = float(one["age_days"])
    after = FORECASTER.purchases.expected_orders(365, [1.0], [age], [age])[0]
    margin = one["expected_order_value"] * 0.55 * (1 + after)
    assert named["second_order_margin"].iloc[0] == pytest.approx(margin)
    assert named["worth"].iloc[0] == pytest.approx(one["p_second_order"] * margin)


def test_the_curve_says_what_a_budget_gains():
    decisions = decided()
    curve = decisions.budget.curve
    free = decisions.commitments[~decisions.commitments["is_holdout"]]
    gained = (free["expected_gain"] - free["expected_cost"]).sum()
    reported = np.interp(decisions.budget.committed, curve.budget, curve.gain)
    assert gained == pytest.approx(reported, rel=0.02)
    assert curve.budget[0] == curve.gain[0] == 0


def test_who_promotes_the_store_is_an_advocate_until_something_bad_is_said():
    past = customers()
    silent = (past["age_days"] - past["recency_days"]).to_numpy()
    calm = past.loc[(silent > 10) & (silent < 20) & (past["frequency"] == 1), "customer_id"]
    happy, cross, quiet = calm.iloc[:3]
    values = {"customer_id": [happy, cross], "answered_at": pd.to_datetime([DAY, DAY])}
    nps = pd.DataFrame({**values, "score": [10, 10]})
    reviews = pd.DataFrame(
        {"customer_id": [cross], "reviewed_at": pd.to_datetime([DAY]), "rating": [1]}
    )
    frame = decided(signals=Signals(nps=nps, reviews=reviews)).scores.set_index("customer_id")
    assert frame.loc[happy, "journey_stage"] == "advocate"
    assert frame.loc[cross, "journey_stage"] != "advocate"
    assert frame.loc[quiet, "journey_stage"] != "advocate"


def test_who_brought_somebody_is_an_advocate():
    index = pd.Index(["a", "b", "c"])
    referrals = pd.DataFrame({"referrer_id": ["a", "b"], "event": ["converted", "invited"]})
    assert advocates(index, Signals(referrals=referrals)).tolist() == [True, False, False]


def test_where_nobody_leaves_after_an_order_nothing_is_paid_for_keeping_them():
    """Gains are the lift's alone: those of a model by which customers leave by the clock."""
    clock = ParetoNBD(0.9, 30.0, 0.5, 60.0)
    by_clock = replace(FORECASTER, purchases=clock, alternative_model=clock, dropout_weight=0.0)
    both = replace(by_clock, dropout_model=FORECASTER.purchases, dropout_weight=0.25)
    after = replace(both, dropout_weight=1.0)
    state, segment = customers(), np.full(400, "all", dtype=object)
    kept, faster = [], []
    for model in (by_clock, both, after):
        predicted = model.predict(state, horizon_days=365, annual_discount_rate=0.1)
        won = incremental_value(settings().policy, state, predicted, model, segment, 365)
        factor = np.clip(predicted["expected_orders"] / _own(model, state), 0.5, 2.0).to_numpy()
        kept.append(won.kept / factor)
        faster.append(won.faster / factor)
    assert not kept[0].any()
    assert kept[1] == pytest.approx(0.25 * kept[2])
    assert faster[1] == pytest.approx(0.25 * faster[2] + 0.75 * faster[0])


def _own(model, state):
    history = [state[name] for name in ("frequency", "recency_days", "age_days")]
    weight = model.dropout_weight
    after = FORECASTER.purchases.expected_orders(365, *history)
    return weight * after + (1 - weight) * model.alternative_model.expected_orders(365, *history)


def test_the_first_order_tells_what_an_order_is_worth():
    """Gamma-Gamma with p 6, q 4, gamma 15, of one order of 100 that stands for 120: 6 (15 + 120) / 9."""
    one = customers(1).assign(
        frequency=0, recency_days=0, monetary_value=0.0, first_amount=100.0, revenue=100.0
    )
    model = replace(FORECASTER, order_value=OrderValue(FORECASTER.spend, first_level=1.2))
    predicted = model.predict(one, horizon_days=365, annual_discount_rate=0.1)
    segment = np.array(["all"], dtype=object)
    won = incremental_value(
        settings(store={"margin": 0.5}).policy, one, predicted, model, segment, 365
    )
    assert won.margin_per_order == pytest.approx([0.5 * 6 * 135 / 9])
    assert won.low_margin_per_order[0] < won.margin_per_order[0]
    bold = settings(store={"margin": 0.5}, investment={"caution": 0.0})
    sure = incremental_value(bold.policy, one, predicted, model, segment, 365)
    assert sure.low_margin_per_order == pytest.approx(sure.margin_per_order)


class _ByFrequency:
    """Says that who bought often is moved, and nobody else."""

    def predict(self, x):
        return np.where(x[:, KNOWN.index("frequency")] > 2, 1e6, 0.0)


def test_who_was_proved_to_be_moved_gets_the_tier_and_nobody_else():
    often = {tier: Effect((_ByFrequency(),), (1.0,)) for tier in ("heavy", "standard", "light")}
    decisions = decided(PriorDecisions(uplift_targeting=often))
    invested = decisions.scores["investment_tier"] != "none"
    assert invested.sum() > 5
    assert (decisions.scores.loc[invested, "frequency"] > 2).all()
    assert (decided().scores.loc[lambda t: t["investment_tier"] != "none", "frequency"] <= 2).any()


def test_what_the_experiment_can_show_is_said_before_anything_is_sent():
    decisions = decided(holdout={"share": 0.3})
    result, rows = decisions.budget.experiment, decisions.commitments
    held = int(rows["is_holdout"].sum())
    assert (result.treated, result.control, result.days) == (len(rows) - held, held, 90)
    assert result.assumed_margin == pytest.approx(rows["assumed_gain"].mean())
    enough = result.customers_needed
    arms = enough * np.array([0.7, 0.3])
    scale = np.sqrt((1 / arms).sum() / (1 / result.treated + 1 / held))
    assert result.smallest_margin * scale == pytest.approx(result.assumed_margin, rel=0.01)


def test_without_a_control_group_nothing_can_be_shown():
    assert decided(holdout={"share": 0.0}).budget.experiment is None


def test_the_natural_cycle_that_is_set_decides_who_is_new():
    long = decided(kpis={"natural_cycle_days": 400.0}).scores
    once = long["frequency"] == 0
    assert set(long.loc[once, "segment"]) == {"new"}
    short = decided(kpis={"natural_cycle_days": 1.0}).scores
    assert (short.loc[once & (short["age_days"] > 2), "segment"] == "one_and_done").all()
