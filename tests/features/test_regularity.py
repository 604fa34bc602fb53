"""Facts of the gaps between purchases, by hand."""

from datetime import date, timedelta

import numpy as np
import pytest

from features.regularity import gap_facts

START = date(2024, 1, 1)


def facts(engine, orders_of, *purchases, as_of=date(2024, 12, 31)):
    rows = [(who, START + timedelta(days=day), 10.0) for who, day in purchases]
    return engine.frame(gap_facts(orders_of(rows), as_of)).iloc[0]


def test_gaps_and_pairs_of_a_hand_made_history(engine, orders_of):
    """Ann's gaps are 10, 30 and 10 days, Bob's 20; two pairs, 10 of 40 days and 30 of 40."""
    ann = [("ann", day) for day in (0, 10, 40, 50)]
    found = facts(engine, orders_of, *ann, ("bob", 5), ("bob", 25), ("cem", 9))
    assert found["gaps"] == 4
    assert found["log_gaps"] == pytest.approx(np.log([10, 30, 10, 20]).sum())
    assert found["pairs"] == 2
    assert found["pair_variance"] == pytest.approx(0.25**2)


def test_orders_of_one_day_are_one_purchase_and_later_ones_are_not_known(engine, orders_of):
    days = [("ann", 0), ("ann", 0), ("ann", 10), ("ann", 60)]
    found = facts(engine, orders_of, *days, as_of=START + timedelta(days=30))
    assert (found["gaps"], found["pairs"]) == (1, 0)


def test_where_nobody_came_back_there_are_none(engine, orders_of):
    found = facts(engine, orders_of, ("ann", 0), ("bob", 3))
    assert (found["gaps"], found["log_gaps"], found["pairs"]) == (0, 0.0, 0)
