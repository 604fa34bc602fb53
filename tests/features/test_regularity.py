"""Facts of the gaps between purchases, by hand."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from features.regularity import gap_facts
from models.purchases import Regularity

START = date(2024, 1, 1)


def facts(engine, orders_of, *purchases, as_of=date(2024, 12, 31)):
    rows = [(who, START + timedelta(days=day), 10.0) for who, day in purchases]
    return engine.frame(gap_facts(orders_of(rows), as_of)).iloc[0]


def test_gaps_and_pairs_of_a_hand_made_history(engine, orders_of):
    """Ann's gaps are 10, 30 and 10 days, Bob's 20; two pairs, 10 of 40 days and 30 of 40."""
    ann = [("ann", day) for day in (0, 10, 40, 50)]
    gap_facts = facts(engine, orders_of, *ann, ("bob", 5), ("bob", 25), ("cem", 9))
    assert gap_facts["gaps"] == 4
    assert gap_facts["log_gaps"] == pytest.approx(np.log([10, 30, 10, 20]).sum())
    assert gap_facts["pairs"] == 2
    assert gap_facts["pair_variance"] == pytest.approx(0.25**2)
    assert gap_facts["random_variance"] == pytest.approx((1 - 2 / 40) / 12)


def test_orders_of_one_day_are_one_purchase_and_later_ones_are_not_known(engine, orders_of):
    days = [("ann", 0), ("ann", 0), ("ann", 10), ("ann", 60)]
    gap_facts = facts(engine, orders_of, *days, as_of=START + timedelta(days=30))
    assert (gap_facts["gaps"], gap_facts["pairs"]) == (1, 0)


def test_where_nobody_came_back_there_are_none(engine, orders_of):
    gap_facts = facts(engine, orders_of, ("ann", 0), ("bob", 3))
    assert (gap_facts["gaps"], gap_facts["log_gaps"], gap_facts["pairs"]) == (0, 0.0, 0)


def regularity_of(facts_row):
    return Regularity.of(*facts_row[["gaps", "log_gaps", "pair_variance", "random_variance"]])


def buyers(k, mean_gap, customers, purchases, seed):
    """Days of customers whose gaps are Erlang-k, rounded down to whole days, as rows of orders."""
    rng = np.random.default_rng(seed)
    gaps = rng.gamma(k, mean_gap / k, (customers, purchases))
    start = rng.uniform(0, mean_gap, (customers, 1))
    days = np.floor(start + gaps.cumsum(axis=1)).astype(int)
    return [(str(who), int(day)) for who, row in enumerate(days) for day in row]


@pytest.mark.parametrize("mean_gap", [3, 7, 30])
def test_random_buyers_are_random_on_a_grid_of_days(engine, orders_of, mean_gap):
    """Without the correction, k is 1.6 at a mean gap of a week, though gaps are exponential."""
    days = buyers(1, mean_gap, 300, 30, seed=mean_gap)
    gap_facts = facts(engine, orders_of, *days, as_of=date(2034, 1, 1))
    assert 0.9 < regularity_of(gap_facts).wheat_k < 1.15


@pytest.mark.parametrize("k", [3, 10])
def test_erlang_gaps_of_a_month_give_their_k(engine, orders_of, k):
    days = buyers(k, 30, 600, 30, seed=k)
    gap_facts = facts(engine, orders_of, *days, as_of=date(2034, 1, 1))
    assert regularity_of(gap_facts).wheat_k == pytest.approx(k, rel=0.1)


def test_gaps_are_measured_on_the_clock_and_the_grid_in_days(engine, orders_of, tmp_path):
    """On a clock that runs twice as fast from day 20 on, gaps of 10, 30 and 10 days are 10, 50 and 20."""
    days = np.arange(60)
    clock = pd.DataFrame(
        {
            "order_date": [START + timedelta(days=int(day)) for day in days],
            "operational_day": np.where(days < 20, days, 2.0 * days - 20),
        }
    )
    clock.to_parquet(tmp_path / "clock.parquet", index=False)
    table = engine.parquet(tmp_path / "clock.parquet")
    table = table.mutate(order_date=table.order_date.cast("date"))
    rows = [("ann", START + timedelta(days=day), 10.0) for day in (0, 10, 40, 50)]
    actual = engine.frame(gap_facts(orders_of(rows), date(2024, 12, 31), table)).iloc[0]
    assert (actual["gaps"], actual["pairs"]) == (3, 2)
    assert actual["log_gaps"] == pytest.approx(np.log([10, 50, 20]).sum())
    shares = np.array([50 / 60, 20 / 70])
    assert actual["pair_variance"] == pytest.approx(((shares - 0.5) ** 2).mean())
    assert actual["random_variance"] == pytest.approx((1 - 2 / 40) / 12)


def test_a_clock_of_calendar_days_changes_nothing(engine, orders_of, tmp_path):
    days = np.arange(400)
    clock = pd.DataFrame(
        {
            "order_date": [START + timedelta(days=int(day)) for day in days],
            "operational_day": days.astype(np.float64),
        }
    )
    clock.to_parquet(tmp_path / "clock.parquet", index=False)
    table = engine.parquet(tmp_path / "clock.parquet")
    table = table.mutate(order_date=table.order_date.cast("date"))
    bought = [(who, START + timedelta(days=day), 9.0) for who, day in buyers(2, 20, 9, 12, 4)]
    orders, as_of = orders_of(bought), START + timedelta(days=399)
    plain, timed = (engine.frame(gap_facts(orders, as_of, each)) for each in (None, table))
    pd.testing.assert_frame_equal(plain, timed)


def test_a_store_that_sells_on_saturdays_only_has_a_grid_of_weeks(engine, orders_of):
    rng = np.random.default_rng(5)
    weeks = rng.geometric(0.3, (300, 20)).cumsum(axis=1)
    days = [(str(who), 7 * int(week)) for who, row in enumerate(weeks) for week in row]
    gap_facts = facts(engine, orders_of, *days, as_of=date(2034, 1, 1))
    assert 0.9 < regularity_of(gap_facts).wheat_k < 1.15
