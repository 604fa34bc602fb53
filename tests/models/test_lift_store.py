"""The lift of an experiment on a simulated store, whose customers are lived through with and without it."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from models.lift import average_lift
from models.purchases import MBGNBD, fit_purchases
from perennial.simulation import simulate

START, DAY, WINDOW, RUNS, SIZE = date(2023, 7, 1), date(2025, 3, 1), 90, 2000, 3000


@pytest.fixture(scope="module")
def customers():
    """Each known customer's revenue in the window if invested in and if not, and what was expected."""
    end = DAY + timedelta(days=WINDOW + 1)
    plain = simulate(4000, START, end, 5, "coffee")
    orders = plain.orders.select(["customer_id", "order_date", "net_amount"]).to_pandas()
    past = orders[orders["order_date"] <= DAY]
    ids = np.unique(past["customer_id"].astype(str))
    action = pd.DataFrame({"customer_id": ids, "day": DAY + timedelta(days=1), "action": "heavy"})
    treated = simulate(4000, START, end, 5, "coffee", assignment=action)
    moved = treated.orders.select(["customer_id", "order_date", "net_amount"]).to_pandas()

    def later(rows):
        after = rows[rows["order_date"] > DAY]
        return after.groupby("customer_id")["net_amount"].sum().reindex(ids).fillna(0.0).to_numpy()

    days = past.groupby(["customer_id", "order_date"])["net_amount"].sum().reset_index()
    by = days.groupby("customer_id")["order_date"]
    x = (by.size() - 1).reindex(ids).to_numpy(dtype=float)
    first, last = (pd.to_datetime(f).reindex(ids) for f in (by.min(), by.max()))
    t_x, T = (
        (last - first).dt.days.to_numpy(float),
        (pd.Timestamp(DAY) - first).dt.days.to_numpy(float),
    )
    model = fit_purchases(x, t_x, T, model=MBGNBD).model
    mean = days.groupby("customer_id")["net_amount"].mean().reindex(ids).to_numpy()
    return later(moved), later(orders), model.expected_orders(WINDOW, x, t_x, T) * mean


def test_the_interval_covers_the_true_lift_in_93_to_97_percent_of_2000_runs(customers):
    """Samples of 3,000 of the store's customers, a fifth of them held out."""
    with_it, without, expected = customers
    truth = (with_it - without).mean()
    assert truth > 0
    rng = np.random.default_rng(2)
    covered, plain_width, width, left = [], [], [], []
    for _ in range(RUNS):
        who = rng.integers(0, len(expected), SIZE)
        treated = rng.random(SIZE) < 0.8
        outcome = np.where(treated, with_it[who], without[who])
        lift = average_lift(outcome, treated, expected[who])
        covered.append(lift.low <= truth <= lift.high)
        width.append(lift.high - lift.low)
        left.append(lift.variance_left)
        if len(plain_width) < 100:
            bare = average_lift(outcome, treated)
            plain_width.append(bare.high - bare.low)
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.mean(left) < 0.9
    assert np.mean(width) < np.mean(plain_width)
