from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.investment import Action, EffectEstimate, IncrementalValue, Plan, invest

ACTIONS = [Action("heavy", 6.0, 0.10), Action("standard", 2.0, 0.05), Action("light", 0.3, 0.01)]


def prospects(faster, *, kept=0.0, margin=1.0, soon=0.0, segment="loyal"):
    """Customers to whom doubling the pace brings `faster` orders of one unit of margin."""
    faster = np.asarray(faster, dtype=float)
    whole = [
        np.broadcast_to(np.asarray(v, dtype=float), faster.shape) for v in (margin, kept, soon)
    ]
    named = np.broadcast_to(np.asarray(segment, dtype=object), faster.shape)
    return IncrementalValue(whole[0], faster, whole[1], whole[2], named)


def plan(faster, budget=1e9, held=False, actions=ACTIONS, **how):
    customers = faster if isinstance(faster, IncrementalValue) else prospects(faster)
    effects = how.pop("effects", None)
    flags = {name: how.pop(name) for name in ("is_eligible", "is_explorer") if name in how}
    choice = Plan(budget, **{"caution": 0.0, **how})
    return invest(customers, actions, held, choice, effects=effects, **flags)


def test_each_customer_gets_the_action_that_adds_most():
    """Net gains: of 200: 14, 8, 1.7; of 60: 0, 1, 0.3; of 35: -2.5, -0.25, 0.05; of 20 none above 0."""
    investment = plan([200.0, 60.0, 35.0, 20.0])
    assert investment.tier.tolist() == ["heavy", "standard", "light", "none"]
    assert investment.expected_return[:3] == pytest.approx([20 / 6, 3 / 2, 0.35 / 0.3])
    assert np.isnan(investment.expected_return[3])
    assert investment.gain == pytest.approx([20.0, 3.0, 0.35, 0.0])
    assert investment.spent == pytest.approx(8.3)


def test_what_gains_most_per_unit_on_top_is_funded_first():
    """Upgrades of 300: light 10 per unit, standard 7.06, heavy 3.75; of 100: 3.33, 2.35 and 1.25."""
    assert plan([100.0, 300.0], budget=2.0).tier.tolist() == ["none", "standard"]
    assert plan([100.0, 300.0], budget=6.0).tier.tolist() == ["none", "heavy"]
    assert plan([100.0, 300.0], budget=6.3).tier.tolist() == ["light", "heavy"]
    assert plan([100.0, 300.0], budget=8.0).tier.tolist() == ["standard", "heavy"]
    assert plan([100.0, 300.0], budget=12.0).tier.tolist() == ["heavy", "heavy"]


def test_what_keeping_a_customer_brings_counts_beside_the_pace():
    """.1 of 10 faster orders and .2 of 5 kept ones, at a margin of 20: 40 for 6."""
    action = Action("heavy", 6.0, 0.10, 0.20)
    investment = plan(prospects([10.0], kept=5.0, margin=20.0), actions=[action])
    assert investment.gain.tolist() == [pytest.approx(40.0)]


def test_who_buys_anyway_gets_nothing_and_who_is_about_to_leave_does():
    """The first brings most margin, the third runs the highest risk; only the second can be moved."""
    customers = prospects([0.1, 0.1, 0.0], kept=[0.0, 2.0, 0.01], margin=[90.0, 30.0, 30.0])
    investment = plan(customers, actions=[Action("heavy", 6.0, 0.10, 0.20)])
    assert investment.tier.tolist() == ["none", "heavy", "none"]


def test_an_offer_is_paid_for_orders_that_would_have_come_anyway():
    """Ten of 40 orders redeem 2: 20 on top of the contact, 22 with the orders that the action adds."""
    action = Action("light", 1.0, 0.10, 0.0, offer_cost=2.0, redemption=0.25)
    investment = plan(prospects([1000.0], soon=40.0), actions=[action])
    assert investment.subsidy.tolist() == [pytest.approx(20.0)]
    assert investment.cost.tolist() == [pytest.approx(23.0)]
    assert investment.tier.tolist() == ["light"]
    dear = Action("light", 1.0, 0.10, 0.0, offer_cost=20.0, redemption=0.25)
    assert plan(prospects([1000.0], soon=40.0), actions=[dear]).tier.tolist() == ["none"]


def test_an_effect_that_nobody_measured_is_taken_low():
    """One deviation below the mean is half of it: 60 gains 3 with standard, of which 1.5 is believed."""
    investment = plan([60.0], caution=1.0)
    assert investment.tier.tolist() == ["none"]
    assert plan([100.0], caution=1.0).gain.tolist() == [pytest.approx(2.5)]
    assert not plan([100.0]).is_measured.any()


def test_a_measured_effect_replaces_the_assumed_one():
    """Heavy does three times as much as assumed for the loyal, and nothing for the new."""
    effects = {
        ("heavy", "loyal"): EffectEstimate(3.0, 0.1, is_measured=True),
        ("heavy", "new"): EffectEstimate(0.0, 0.1, is_measured=True),
    }
    customers = prospects([50.0, 50.0], segment=["loyal", "new"])
    investment = plan(customers, effects=effects, actions=ACTIONS[:1])
    assert investment.tier.tolist() == ["heavy", "none"]
    assert investment.gain[0] == pytest.approx(15.0)
    assert investment.is_measured.tolist() == [True, False]


def test_an_effect_that_is_believed_to_harm_is_never_paid_for():
    effects = {("light", "loyal"): EffectEstimate(-5.0, 0.1, is_measured=True)}
    assert plan([1000.0], effects=effects, actions=ACTIONS[2:]).tier.tolist() == ["none"]


def test_the_hurdle_is_what_the_last_unit_must_bring_back():
    """Of 100, light brings back 3.33 per unit, standard on top 2.35, heavy on top 1.25."""
    assert plan([100.0], hurdle=1.0).tier.tolist() == ["heavy"]
    assert plan([100.0], hurdle=2.0).tier.tolist() == ["standard"]
    assert plan([100.0], hurdle=3.0).tier.tolist() == ["light"]
    assert plan([100.0], hurdle=4.0).tier.tolist() == ["none"]


def test_a_hurdle_below_one_allows_a_loss():
    """Of 20, light brings back .67 per unit, standard on top .47, heavy on top .25."""
    assert plan([20.0]).tier.tolist() == ["none"]
    assert plan([20.0], hurdle=0.6).tier.tolist() == ["light"]
    investment = plan([20.0], hurdle=0.4)
    assert investment.tier.tolist() == ["standard"]
    assert investment.expected_return == pytest.approx([0.5])
    assert plan([20.0], hurdle=0.0, budget=2.0).next_return == pytest.approx(0.25)
    assert plan([20.0], hurdle=0.0).tier.tolist() == ["heavy"]


def test_the_value_is_taken_low_but_the_interval_is_of_the_effect_alone():
    """Heavy brings 20 by what is expected of the customer and 10 by what can be counted on."""
    customers = replace(prospects([200.0]), low_margin_per_order=np.array([0.5]))
    investment = plan(customers, actions=ACTIONS[:1])
    assert investment.gain == pytest.approx([10.0])
    assert investment.gain_high == pytest.approx([20.0 * (1 + 1.2816 * 0.5)])
    assert plan(customers, actions=ACTIONS[:1], hurdle=1.7).tier.tolist() == ["none"]


def test_the_return_of_the_next_unit_is_told():
    """After light for both, standard for the better is next: (300 * .05 - 300 * .01) / 1.7."""
    investment = plan([100.0, 300.0], budget=0.6)
    assert investment.tier.tolist() == ["light", "light"]
    assert investment.next_return == pytest.approx(12 / 1.7)
    assert np.isnan(plan([100.0], budget=100.0).next_return)


def test_a_cap_holds_however_much_it_would_gain():
    action = Action("heavy", 6.0, 0.10, most_customers=2)
    investment = plan([100.0, 300.0, 200.0, 150.0], actions=[action])
    assert investment.tier.tolist() == ["none", "heavy", "heavy", "none"]


def test_who_is_not_eligible_gets_nothing():
    investment = plan([300.0, 200.0], is_eligible=[False, True])
    assert investment.tier.tolist() == ["none", "heavy"]
    assert investment.spent == 6.0


def test_a_held_out_customer_keeps_the_tier_and_uses_no_budget():
    investment = plan([300.0, 200.0, 150.0], budget=6.0, held=[True, False, False])
    assert investment.tier[0] != "none"
    assert investment.spent <= 6.0
    alone = plan([200.0, 150.0], budget=6.0)
    assert alone.tier.tolist() == investment.tier[1:].tolist()


def test_exploring_draws_effects_and_keeps_to_its_share_of_the_budget():
    """Half of 400 customers explore with a fifth of the budget; the others are taken one deviation low."""
    explores = np.arange(400) % 2 == 0
    how = {"budget": 100.0, "caution": 1.0, "exploration": 0.2, "is_explorer": explores}
    segments = np.array(["loyal", "new", "promising", "champion"] * 100, dtype=object)
    customers = prospects(np.full(400, 70.0), segment=segments)
    runs = [plan(customers, **how, seed=seed) for seed in range(8)]
    drawn = {tuple(run.tier[explores]) for run in runs}
    assert len(drawn) > 1
    assert len({tuple(run.tier[~explores]) for run in runs}) == 1
    for run in runs:
        assert run.cost[explores].sum() <= 20.0 + 1e-9
        assert run.cost[~explores].sum() <= 80.0 + 1e-9
    again = plan(customers, **how, seed=0)
    assert again.tier.tolist() == runs[0].tier.tolist()


def test_a_thin_budget_reaches_many_lightly_rather_than_few_heavily():
    investment = plan(np.full(1000, 200.0), budget=300.0)
    assert investment.tier.tolist() == ["light"] * 1000


def test_a_budget_is_not_overrun_nor_undershot_by_a_floats_last_digit():
    """Three times .1 is more than .3 as floats."""
    investment = plan([100.0] * 3, actions=[Action("light", 0.1, 0.1)], budget=0.3)
    assert investment.tier.tolist() == ["light"] * 3


def test_the_gain_is_within_one_upgrade_of_the_optimum():
    """Against every one of 4^5 plans."""
    rng = np.random.default_rng(4)
    costs, lifts = np.array([0, 0.3, 2, 6]), np.array([0, 0.01, 0.05, 0.10])
    for _ in range(20):
        faster, budget = rng.gamma(2, 60, 5), rng.uniform(1, 20)
        plans = np.array(list(product(range(4), repeat=5)))
        net = (faster * lifts[plans] - costs[plans]).sum(axis=1)
        best = net[costs[plans].sum(axis=1) <= budget].max()
        choice = plan(faster, budget).tier
        index = [["none", "light", "standard", "heavy"].index(tier) for tier in choice]
        gained = (faster * lifts[index] - costs[index]).sum()
        largest_upgrade = (faster.max() * 0.05 - 4).clip(0) + faster.max() * 0.05
        assert best - largest_upgrade <= gained <= best + 1e-9


def test_no_budget_buys_nothing():
    investment = plan([300.0, 200.0], budget=0.0)
    assert investment.tier.tolist() == ["none", "none"]
    assert investment.spent == 0


def test_an_action_that_costs_nothing_is_refused():
    with pytest.raises(ValueError, match="costs more than 0"):
        plan([1.0], actions=[Action("light", 0.0, 0.1)])


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.booleans()), min_size=1, max_size=60),
    st.floats(0, 200),
)
def test_the_budget_is_kept_and_every_action_pays(rows, budget):
    faster, held = (np.array(column) for column in zip(*rows, strict=True))
    investment = plan(faster, budget, held)
    assert investment.spent <= budget + 1e-6
    choice = investment.tier != "none"
    assert (
        investment.expected_return[choice] > 1 - 1e-9
    ).all()  # of the whole, since each upgrade does
    assert np.isnan(investment.expected_return[~choice]).all()


def test_the_interval_of_a_gain_is_that_of_its_effect():
    """Light on 100 faster orders adds 1 as assumed; measured at 1.5 give or take .2, 1.24 to 1.76."""
    light = [Action("light", 0.3, 0.01)]
    investment = plan([100.0], actions=light)
    assert [investment.gain_low[0], investment.gain_high[0]] == pytest.approx(
        [0.359, 1.641], abs=1e-3
    )
    measured = {("light", "loyal"): EffectEstimate(1.5, 0.2, is_measured=True)}
    investment = plan([100.0], actions=light, effects=measured)
    assert [investment.gain_low[0], investment.gain_high[0]] == pytest.approx(
        [1.244, 1.756], abs=1e-3
    )
    assert plan([1.0]).gain_high.tolist() == [0.0]
