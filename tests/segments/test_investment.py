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


def test_the_best_return_is_funded_first():
    found = plan([100.0, 300.0, 200.0], budget=13.0)
    assert found.tier.tolist() == ["none", "heavy", "heavy"]


def test_a_held_out_customer_keeps_the_tier_and_uses_no_budget():
    found = plan([300.0, 200.0, 150.0], budget=6.0, held=[True, False, False])
    assert found.tier.tolist() == ["heavy", "heavy", "none"]
    assert found.cost == 6.0


def test_a_held_out_customer_gets_no_tier_that_the_budget_does_not_reach():
    found = plan([300.0, 200.0, 150.0], budget=6.0, held=[False, False, True])
    assert found.tier.tolist() == ["heavy", "none", "none"]


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
    assert (found.expected_return[chosen] > 1).all()
    assert np.isnan(found.expected_return[~chosen]).all()
