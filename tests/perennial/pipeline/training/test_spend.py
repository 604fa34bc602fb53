"""Order value fitted to customer states: levels and returns that are planted are recovered."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from connectors.engine import open_engine
from models.order_value import mean_price_factor
from models.price_level import PriceLevel
from models.purchases import FitError
from models.spend import Spend
from perennial.pipeline.training.spend import fit_order_value

TRUTH = Spend(p=6.0, q=4.0, gamma=15.0)


def states(n=20_000, first_level=1.0, once_level=1.0, net_share=1.0, seed=1):
    """Return customer states of Gamma-Gamma; first orders are lower by `first_level`."""
    rng = np.random.default_rng(seed)
    x = rng.geometric(0.4, n) - 1
    rate = rng.gamma(TRUTH.q, 1 / TRUTH.gamma, n)
    sums = rng.gamma(np.maximum(TRUTH.p * x, 1e-9), 1 / rate)
    mean = np.where(x > 0, sums / np.maximum(x, 1), 0.0)
    first = rng.gamma(TRUTH.p, 1 / rate) / first_level * np.where(x == 0, once_level, 1.0)
    revenue = (first + x * mean) * net_share
    return pd.DataFrame(
        {"customer_id": np.arange(n).astype(str), "frequency": x, "monetary_value": mean,
         "first_amount": first, "revenue": revenue}
    )  # fmt: skip


def fit(frame):
    with open_engine() as engine:
        return fit_order_value(engine, engine.table(frame, "states"))


def test_without_a_planted_level_or_return_there_is_none():
    model = fit(states()).model
    assert model.first_level == pytest.approx(1.0, abs=0.02)
    assert model.once_level == pytest.approx(1.0, abs=0.02)
    assert model.net_share == 1.0


def test_planted_levels_and_returns_are_recovered():
    fitted = fit(states(first_level=1.25, once_level=0.8, net_share=0.9))
    assert fitted.model.first_level == pytest.approx(1.25, rel=0.02)
    assert fitted.model.once_level == pytest.approx(0.8, rel=0.02)
    assert fitted.model.net_share == pytest.approx(0.9, abs=1e-6)
    assert fitted.model.spend == fitted.spend.model
    assert fitted.model.spend.mean == pytest.approx(TRUTH.mean, rel=0.03)


@pytest.mark.parametrize(
    ("share", "prior"), [(np.array([0.0] + [1.0] * 19), 0.25), (np.full(20, 0.95), 3.0)]
)
def test_returns_are_a_few_customers_or_everybody_s(share, prior):
    frame = states(2_000)
    bought = frame["first_amount"] + frame["frequency"] * frame["monetary_value"]
    frame["revenue"] = bought * np.resize(share, len(frame))
    model = fit(frame).model
    assert model.return_prior == prior
    assert model.net_share == pytest.approx(0.95, abs=0.03)


def test_the_first_level_is_the_mean_later_order_over_the_mean_first_by_hand():
    frame = pd.DataFrame(
        {"customer_id": list("abcd"), "frequency": [1, 3, 2, 0],
         "monetary_value": [20.0, 40.0, 60.0, 0.0], "first_amount": [10.0, 20.0, 30.0, 500.0],
         "revenue": [30.0, 140.0, 75.0, 500.0]}
    )  # fmt: skip
    model = fit(frame).model
    assert model.first_level == pytest.approx((20 + 40 + 60) / (10 + 20 + 30))
    bought = (10 + 20) + (20 + 3 * 40) + (30 + 2 * 60) + 500
    assert model.net_share == pytest.approx(745 / bought, abs=1e-6)
    assert model.once_level == 1.0  # a single one-time buyer tells no level


def test_few_one_time_buyers_have_their_level_shrunk_to_that_of_repeat_customers():
    frame = states(once_level=0.8)
    once = frame[frame["frequency"] == 0]
    again = frame[frame["frequency"] > 0]
    levels = [fit(pd.concat([again, once.head(n)])).model.once_level for n in (2, 40, 4_000)]
    gaps = [
        np.log(once.head(n)["first_amount"]).mean() - np.log(again["first_amount"]).mean()
        for n in (2, 40, 4_000)
    ]
    for level, gap in zip(levels, gaps, strict=True):
        assert min(gap, 0.0) <= np.log(level) <= max(gap, 0.0)
    assert np.log(levels[2]) == pytest.approx(gaps[2], rel=0.02)
    assert abs(np.log(levels[0])) < abs(gaps[0])


def test_free_first_orders_tell_no_level():
    frame = states(once_level=0.8)
    free = frame.assign(
        first_amount=frame["first_amount"].where(np.arange(len(frame)) % 2 == 0, 0.0)
    )
    assert fit(free).model.once_level == pytest.approx(0.8, rel=0.03)


def test_revenue_above_what_was_bought_is_no_return():
    assert fit(states(net_share=1.2)).model.net_share == 1.0


def test_a_store_of_one_time_buyers_carries_no_model():
    with pytest.raises(FitError, match="repeat"):
        fit(states().query("frequency == 0"))


def test_amounts_at_old_prices_are_fitted_at_todays():
    """Nominal amounts whose prices rose give, at today's level, the fit of amounts without a rise."""
    today = date(2025, 6, 30)
    price = PriceLevel(tuple(np.log([0.5, 0.6, 0.8, 1.0]).tolist()), today, 90)
    rng = np.random.default_rng(3)
    steady = states(5_000, net_share=0.9)
    x = steady["frequency"].to_numpy(float)
    age = rng.integers(40, 360, len(x))
    recency = np.where(x > 0, np.maximum((age * rng.random(len(x))).astype(int), x), 0).astype(int)
    first = today.toordinal() - age
    nominal = steady.assign(
        first_order_date=[today - timedelta(days=int(a)) for a in age],
        last_order_date=[today - timedelta(days=int(a)) for a in age - recency],
        first_amount=steady["first_amount"] / price.factor(first),
        monetary_value=steady["monetary_value"]
        / mean_price_factor(price, x, first, first + recency),
    )
    bought = nominal["first_amount"] + x * nominal["monetary_value"]
    nominal = nominal.assign(revenue=0.9 * bought)
    with open_engine() as engine:
        at_todays = fit_order_value(engine, engine.table(nominal, "states"), price)
        window = (today - timedelta(days=359), today - timedelta(days=270))
        at_oldest = fit_order_value(engine, engine.table(nominal, "states_too"), price, window)
    usual = fit(steady)
    assert at_todays.spend.model.mean == pytest.approx(usual.spend.model.mean, rel=1e-4)
    assert at_todays.model.first_level == pytest.approx(usual.model.first_level, rel=1e-4)
    assert at_todays.model.once_level == pytest.approx(usual.model.once_level, rel=1e-4)
    assert at_todays.model.net_share == pytest.approx(0.9, abs=1e-6)
    assert at_oldest.spend.model.mean == pytest.approx(0.5 * usual.spend.model.mean, rel=1e-3)
