from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.investment import Action, invest

ACTIONS = [Action("heavy", 6.0, 0.10), Action("standard", 2.0, 0.05), Action("light", 0.3, 0.01)]


def plan(margin, budget=1e9, held=None):
    held = np.zeros(len(margin), dtype=bool) if held is None else held
    return invest(margin, held, ACTIONS, budget=budget)


def test_each_customer_gets_the_action_that_gains_most():
    """Net gains: of 200: 14, 8, 1.7; of 60: 0, 1, 0.3; of 35: -2.5, -0.25, 0.05; of 20 none above 0."""
    found = plan([200.0, 60.0, 35.0, 20.0])
    assert found.tier.tolist() == ["heavy", "standard", "light", "none"]
    assert found.expected_return[:3] == pytest.approx([20 / 6, 3 / 2, 0.35 / 0.3])
    assert np.isnan(found.expected_return[3])
    assert found.cost == pytest.approx(8.3)


def test_what_gains_most_per_unit_on_top_is_funded_first():
    """Upgrades of 300: light 10 per unit, standard 7.06, heavy 3.75; of 100: 3.33, 2.35 and 1.25."""
    assert plan([100.0, 300.0], budget=2.0).tier.tolist() == ["none", "standard"]
    assert plan([100.0, 300.0], budget=6.0).tier.tolist() == ["none", "heavy"]
    assert plan([100.0, 300.0], budget=6.3).tier.tolist() == ["light", "heavy"]
    assert plan([100.0, 300.0], budget=8.0).tier.tolist() == ["standard", "heavy"]
    assert plan([100.0, 300.0], budget=11.9).tier.tolist() == ["standard", "heavy"]
    assert plan([100.0, 300.0], budget=12.0).tier.tolist() == ["heavy", "heavy"]


def test_a_thin_budget_reaches_many_lightly_rather_than_few_heavily():
    found = plan(np.full(1000, 200.0), budget=300.0)
    assert found.tier.tolist() == ["light"] * 1000


def test_a_held_out_customer_keeps_the_tier_and_uses_no_budget():
    found = plan([300.0, 200.0, 150.0], budget=6.0, held=[True, False, False])
    assert found.tier.tolist() == ["standard", "standard", "standard"]
    assert found.cost == 4.0
    alone = plan([200.0, 150.0], budget=6.0)
    assert alone.tier.tolist() == found.tier[1:].tolist()


def test_a_held_out_customer_gets_no_tier_that_the_budget_does_not_reach():
    found = plan([300.0, 200.0, 150.0], budget=0.0, held=[True, True, False])
    assert found.tier.tolist() == ["none", "none", "none"]


def test_a_budget_is_not_overrun_nor_undershot_by_a_floats_last_digit():
    """Three times .1 is more than .3 as floats."""
    found = invest([100.0] * 3, [False] * 3, [Action("light", 0.1, 0.1)], budget=0.3)
    assert found.tier.tolist() == ["light"] * 3


def test_a_tier_that_a_mix_of_its_neighbors_beats_is_skipped():
    """Standard gains 2.1 for 2: less than a third of the way to heavy's 12 for 6."""
    dented = [Action("heavy", 6.0, 0.12), Action("standard", 2.0, 0.021)]
    found = invest([100.0, 100.0], [False, False], dented, budget=8.0)
    assert found.tier.tolist() == ["heavy", "none"]


def test_the_gain_is_within_one_upgrade_of_the_optimum():
    """Against every one of 4^5 plans."""
    rng = np.random.default_rng(4)
    costs, lifts = np.array([0, 0.3, 2, 6]), np.array([0, 0.01, 0.05, 0.10])
    for _ in range(20):
        margin, budget = rng.gamma(2, 60, 5), rng.uniform(1, 20)
        plans = np.array(list(product(range(4), repeat=5)))
        net = (margin * lifts[plans] - costs[plans]).sum(axis=1)
        best = net[costs[plans].sum(axis=1) <= budget].max()
        chosen = plan(margin, budget).tier
        index = [["none", "light", "standard", "heavy"].index(tier) for tier in chosen]
        gained = (margin * lifts[index] - costs[index]).sum()
        largest_upgrade = (margin.max() * 0.05 - 4).clip(0) + margin.max() * 0.05
        assert best - largest_upgrade <= gained <= best + 1e-9


def test_no_budget_buys_nothing():
    found = plan([300.0, 200.0], budget=0.0)
    assert found.tier.tolist() == ["none", "none"]
    assert found.cost == 0


def test_an_action_that_costs_nothing_is_refused():
    with pytest.raises(ValueError, match="costs more than 0"):
        invest([1.0], [False], [Action("light", 0.0, 0.1)], budget=1.0)


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.booleans()), min_size=1, max_size=60),
    st.floats(0, 200),
)
def test_the_budget_is_kept_and_every_action_pays(rows, budget):
    margin, held = (np.array(column) for column in zip(*rows, strict=True))
    found = plan(margin, budget, held)
    assert found.cost <= budget
    chosen = found.tier != "none"
    assert (found.expected_return[chosen] > 1).all()  # also of the whole, since each upgrade does
    assert np.isnan(found.expected_return[~chosen]).all()
