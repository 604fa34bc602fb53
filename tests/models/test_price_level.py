"""The price level: factors by hand, then recovery of planted moves from simulated stores.

Stores have Gamma-Gamma order values (Fader & Hardie 2013), p = 6, q = 4, gamma = 25.
"""

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.price_evidence import (
    JUMP,
    GaussianEvidence,
    LevelEstimate,
    PriceSums,
    _level,
    _models,
    average_level,
    gaussian_evidence,
)
from models.price_level import LEAST_ORDERS, PriceLevel, _note, fit_price_level

PERIOD, DAYS = 30, 1_095
DECEMBER, MARCH = date(2025, 12, 31), date(2026, 3, 15)
HALVED = PriceLevel((-np.log(4), -np.log(2), 0.0), date(2026, 1, 30), 10)  # from January 1 on
FIRST = date(2026, 1, 1).toordinal()
NAMES = ("log_amount", "is_first", "log_number", "number")


# --- by hand ---


def test_amounts_are_raised_to_the_level_of_the_last_period():
    days = FIRST + np.array([-500, -1, 0, 9, 10, 19, 20, 29, 30, 900])
    assert HALVED.factor(days) == pytest.approx([4, 4, 4, 4, 2, 2, 1, 1, 1, 1])
    assert HALVED.factor(np.full((2, 3), FIRST)).shape == (2, 3)


def test_a_mean_factor_includes_both_days():
    """Two days at 4 and three at 2; one day; twenty days after the end; ten before and ten at 4."""
    first, last = FIRST + np.array([8, 9, 25, -10]), FIRST + np.array([12, 9, 44, 9])
    assert HALVED.mean_factor(first, last) == pytest.approx([14 / 5, 4, 1, 4])


@given(st.integers(-40, 80), st.integers(0, 90))
def test_a_mean_factor_is_the_mean_of_the_days_factors(first, length):
    days = FIRST + first + np.arange(length + 1)
    assert HALVED.mean_factor(days[0], days[-1]) == pytest.approx(HALVED.factor(days).mean())


def test_a_mean_factor_without_days_is_refused():
    with pytest.raises(ValueError, match="before its first"):
        HALVED.mean_factor([FIRST, FIRST], [FIRST, FIRST - 1])


def test_a_steady_level_changes_nothing():
    steady = PriceLevel.steady()
    days = np.array([1, FIRST, 10**6])
    assert steady.is_steady
    assert not HALVED.is_steady
    assert steady.factor(days).tolist() == [1, 1, 1]
    assert steady.mean_factor(days[:2], days[1:]).tolist() == [1, 1]


@settings(max_examples=25)
@given(st.lists(st.floats(-3, 3), max_size=5), st.dates(date(1971, 1, 1)), st.integers(1, 365))
def test_a_level_survives_json(levels, last_day, period_days):
    level = PriceLevel((*levels, 0.0), last_day, period_days)
    assert PriceLevel.from_dict(json.loads(json.dumps(level.to_dict()))) == level


def test_sums_of_two_customers_give_their_mean_rise():
    """Two customers in two periods: log values rise by 0.1 and 0.3 from orders 1 and 2 to 3 and 4."""
    weight = np.array([[2.0, 2.0], [2.0, 2.0]])  # each customer: two orders of four in each period
    deviations, products = np.zeros((2, 4)), np.zeros((4, 4))
    deviations[:, 0] = [-0.4, 0.4]  # minus and plus half of 0.1 and of 0.3, twice each
    products[0, 0] = 4 * 0.05**2 + 4 * 0.15**2
    data = gaussian_evidence(PriceSums(weight, deviations, products, 6), by_order=False)
    slope = np.array([-0.5, 0.5])
    variance = products[0, 0] / 6
    assert slope @ data.score / (slope @ data.precision @ slope) == pytest.approx(0.2)
    assert slope @ data.precision @ slope == pytest.approx(2 / variance)  # sum of (1/2)^2 over 8
    assert data.orders.tolist() == [4, 4]


def test_a_jump_s_rank_one_update_equals_its_covariance():
    """Mean and variance of the level under every prior, computed from the whole covariance instead."""
    rng = np.random.default_rng(3)
    root = rng.normal(size=(9, 5))
    root -= root.mean(axis=1, keepdims=True)  # levels are relative
    data = GaussianEvidence(400 * root.T @ root, 100 * root.T @ rng.normal(size=9), np.ones(5))
    contrast = np.array([-0.25, -0.25, -0.25, -0.25, 1.0])
    for model in _models(data, PERIOD):
        jump = JUMP**2 * np.outer(model.jump, model.jump)
        level = model.level + jump
        mean, variance = _level(model, contrast)
        inner = np.eye(5) + model.gram @ jump
        gram, left = np.linalg.solve(inner, model.gram), np.linalg.solve(inner, model.left)
        assert mean == pytest.approx(level @ left)
        assert variance == pytest.approx(contrast @ (level - level @ gram @ level) @ contrast)


@pytest.mark.parametrize(
    ("levels", "note"),
    [
        ([-0.2] * 14 + [0.0], "it rose by 22 % within the last year"),
        ([0.1] * 14 + [0.0] * 13, "it fell by 10 % since the first orders"),
        ([-0.2, -0.1, 0.0], "it rose by 22 % since the first orders"),
        ([0.0] * 5 + [0.2] * 5 + [0.0], "it is 10 % below that of the average past order"),
    ],
)
def test_a_note_states_the_move_that_matters(levels, note):
    level = PriceLevel(tuple(levels), DECEMBER, PERIOD)
    assert (
        _note(level, -0.1).removeprefix("order values are taken at today's price level: ") == note
    )


# --- stores ---


def store(seed, customers, last_day=DECEMBER):
    """Return a store's orders by customer and day: number, days before the end, and net amount."""
    rng = np.random.default_rng(seed)
    arrival = DAYS * rng.random(customers)
    rate = rng.gamma(1.2, 1 / 60, customers)
    active = np.minimum(rng.exponential(1 / rng.gamma(1.5, 1 / 300, customers)), DAYS - arrival)
    later = rng.poisson(rate * active)
    who = np.concatenate([np.arange(customers), np.repeat(np.arange(customers), later)])
    since = np.concatenate(
        [np.zeros(customers), active[who[customers:]] * rng.random(later.sum())]
    )
    ago = np.ceil(DAYS - arrival[who] - since).astype(int) - 1
    orders = pd.DataFrame({"who": who, "ago": ago}).drop_duplicates()
    orders = orders.sort_values(["who", "ago"], ascending=[True, False], ignore_index=True)
    orders["number"] = orders.groupby("who").cumcount() + 1
    orders["day"] = pd.Timestamp(last_day) - pd.to_timedelta(orders["ago"], unit="D")
    nu = rng.gamma(4, 1 / 25, customers)
    orders["amount"] = rng.gamma(6, 1 / nu[orders["who"]])
    return orders


def sums_of(orders):
    """Compute what features.price_changes computes."""
    days = orders[orders.groupby("who")["ago"].transform("size") > 1].copy()
    days["period"], days["is_first"] = days["ago"] // PERIOD, (days["number"] == 1).astype(float)
    days["log_amount"], days["log_number"] = np.log(days["amount"]), np.log(days["number"])
    names = list(NAMES)
    changes = days[names] - days.groupby("who")[names].transform("mean")
    for place, name in enumerate(names):
        for other in names[place:]:
            changes[f"{name}_{other}"] = changes[name] * changes[other]
    changes["repeat_days"] = days["number"] > 1
    changes = changes.groupby(days["period"]).sum().reset_index()
    counts = days.groupby(["who", "period"]).size().rename("days").reset_index()
    both = counts.merge(counts, on="who")
    total = days.groupby("who").size()[both["who"]].to_numpy()
    both["weight"] = both["days_x"] * both["days_y"] / total
    shared = both.groupby(["period_x", "period_y"])["weight"].sum().reset_index()
    shared.columns = ["period", "other_period", "weight"]
    return PriceSums.of(changes, shared)


def fitted(orders, last_day=DECEMBER):
    return fit_price_level(sums_of(orders), last_day, PERIOD)


def moved(orders, factor):
    """Multiply amounts by a factor, an array or number."""
    return orders.assign(amount=orders["amount"] * factor)


def rise(fit, days_ago):
    """Return today's level over that of an earlier day."""
    return float(fit.level.factor((DECEMBER - timedelta(days=days_ago)).toordinal()))


@pytest.mark.parametrize(("customers", "error"), [(8_000, 0.03), (500, 0.10)])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_step_is_recovered(customers, error, seed):
    orders = store(seed, customers)
    fit = fitted(moved(orders, np.where(orders["ago"] < 182, 1.35, 1.0)))
    assert rise(fit, 365) == pytest.approx(1.35, rel=error)
    assert rise(fit, 60) == pytest.approx(1, abs=error)
    change = f"it rose by {100 * (rise(fit, 365) - 1):.0f} % within the last year"
    assert fit.notes == (f"order values are taken at today's price level: {change}",)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_fall_is_recovered(seed):
    orders = store(seed, 8_000)
    fit = fitted(moved(orders, np.where(orders["ago"] < 150, 0.8, 1.0)))
    assert rise(fit, 365) == pytest.approx(0.8, rel=0.03)
    assert "it fell by" in fit.notes[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_slow_drift_is_followed_and_never_exaggerated(seed):
    """Prices rise by 10 % a year; what is shrunk away may be half of it."""
    orders = store(seed, 8_000)
    fit = fitted(moved(orders, 1.1 ** (-orders["ago"] / 365)))
    assert 1.05 < rise(fit, 365) < 1.12
    assert 1.10 < rise(fit, 730) < 1.1**2 + 0.03


@pytest.mark.parametrize("seed", [1, 2])
def test_a_small_store_s_drift_is_not_exaggerated(seed):
    orders = store(seed, 500)
    fit = fitted(moved(orders, 1.1 ** (-orders["ago"] / 365)))
    assert 1 <= rise(fit, 365) < 1.2


def test_steady_prices_have_no_level_in_19_of_20_stores():
    fits = [fitted(store(seed, 1_000)) for seed in range(20)]
    assert sum(fit.level.is_steady for fit in fits) >= 19
    errors = [fit.log_change / fit.standard_error for fit in fits]
    assert np.abs(errors).max() < 3


@pytest.mark.parametrize("begin", [67, 74, 14])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_sale_leaves_today_s_level_alone(seed, begin):
    """Two weeks of 20 % less: over the end of a period, within one, and up to today."""
    orders = store(seed, 8_000)
    is_sale = (orders["ago"] < begin) & (orders["ago"] >= begin - 14)
    fit = fitted(moved(orders, np.where(is_sale, 0.8, 1.0)))
    assert rise(fit, 365) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    "growth",
    [
        lambda number: np.where(number > 1, 1.2, 1.0),
        lambda number: 1.05 ** np.minimum(number - 1, 5),
        lambda number: 1 + 0.02 * (number - 1),
        lambda number: number**0.1,
    ],
)
def test_larger_later_orders_are_no_rise_of_prices(growth):
    orders = store(1, 8_000)
    fit = fitted(moved(orders, growth(orders["number"])))
    assert rise(fit, 365) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_history_that_begins_in_the_middle_of_customers_lives_has_no_level(seed):
    """First orders are 20 % smaller, and those before the history's first day are unknown."""
    orders = store(seed, 8_000)
    orders = moved(orders, np.where(orders["number"] == 1, 0.8, 1.0))
    orders = orders[orders["ago"] < 545]
    orders["number"] = orders.groupby("who").cumcount() + 1
    assert rise(fitted(orders), 365) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("last_day", [DECEMBER, MARCH])
def test_a_season_is_not_carried_to_today(last_day):
    """Orders of November 10 to December 24 are 20 % larger, every year."""
    orders = store(4, 8_000, last_day)
    month_day = 100 * orders["day"].dt.month + orders["day"].dt.day
    orders = moved(orders, np.where((month_day >= 1110) & (month_day <= 1224), 1.2, 1.0))
    fit = fitted(orders, last_day)
    middle = np.asarray([(last_day - timedelta(days=ago)).toordinal() for ago in (200, 365)])
    assert fit.level.factor(middle) == pytest.approx([1, 1], abs=0.03)


@pytest.mark.parametrize("step", [1.0, 1.35])
def test_wholesale_customers_and_giant_orders_mislead_nobody(step):
    """3 % of customers spend ten times as much, and 1 % of all orders is ten times as large."""
    orders = store(5, 8_000)
    rng = np.random.default_rng(5)
    large = np.where(rng.random(8_000) < 0.03, 10, 1)[orders["who"]]
    giant = np.where(rng.random(len(orders)) < 0.01, 10, 1)
    fit = fitted(moved(orders, large * giant * np.where(orders["ago"] < 182, step, 1.0)))
    assert rise(fit, 365) == pytest.approx(step, rel=0.04)


def test_standard_errors_cover_the_truth():
    """Today's level over the average order's, in ten stores with a step."""
    scores = []
    for seed in range(10):
        orders = store(seed + 100, 2_000)
        step = np.where(orders["ago"] < 182, np.log(1.35), 0.0)
        returning = orders.groupby("who")["ago"].transform("size") > 1
        sums = sums_of(moved(orders, np.exp(step)))
        estimate = average_level(gaussian_evidence(sums, by_order=True), PERIOD)
        truth = np.log(1.35) - step[returning].mean()
        scores.append((estimate.change - truth) / estimate.standard_error)
    assert 0.3 < np.sqrt(np.mean(np.square(scores))) < 1.7


# --- stores without enough to learn from ---


@pytest.mark.parametrize("customers", [0, 1, 20])
def test_a_small_history_has_no_level_and_a_note(customers):
    orders = store(1, max(customers, 1)).iloc[: None if customers else 0]
    fit = fitted(orders)
    assert fit.repeat_orders < LEAST_ORDERS
    assert fit.level.is_steady
    assert fit.notes == (
        f"no price level: {fit.repeat_orders} repeat orders, and {LEAST_ORDERS} are needed",
    )


def test_one_price_for_everything_has_no_level():
    fit = fitted(store(1, 500).assign(amount=20.0))
    assert fit.level.is_steady
    assert fit.notes == ("no price level: a customer's orders do not differ in value",)


@pytest.mark.parametrize("days", [20, 40, 80])
def test_a_history_of_a_few_periods_has_no_level(days):
    orders = store(1, 8_000)
    fit = fitted(
        orders[orders["ago"] < days].assign(number=lambda o: o.groupby("who").cumcount() + 1)
    )
    assert fit.repeat_orders >= LEAST_ORDERS
    assert fit.level.is_steady
    assert fit.metrics["price_level_used"] == 0


def test_two_orders_per_customer_make_covariates_equal_and_a_step_is_still_recovered():
    orders = store(6, 20_000)
    orders = orders[orders["number"] <= 2]
    fit = fitted(moved(orders, np.where(orders["ago"] < 182, 1.35, 1.0)))
    assert rise(fit, 365) == pytest.approx(1.35, rel=0.05)
    assert set(fit.metrics) == {
        "price_level_change",
        "price_level_standard_error",
        "price_level_evidence",
        "price_level_repeat_orders",
        "price_level_used",
    }


@pytest.mark.parametrize(
    ("changes", "is_used", "smaller"),
    [
        ((0.30, 0.20), True, 0.20),
        ((0.20, 0.30), True, 0.20),
        ((0.30, -0.20), False, None),
        ((0.30, 0.001), False, None),
    ],
)
def test_both_estimates_must_agree_and_the_smaller_is_taken(
    changes, is_used, smaller, monkeypatch
):
    estimates = iter(
        LevelEstimate(np.array([-change, 0.0]), change, 0.02, 20.0) for change in changes
    )
    monkeypatch.setattr("models.price_level.gaussian_evidence", lambda *_, **__: object())
    monkeypatch.setattr("models.price_level.average_level", lambda *_: next(estimates))
    none = np.zeros((2, 2))
    level = fit_price_level(PriceSums(none, none, none, LEAST_ORDERS), DECEMBER, PERIOD).level
    assert level.is_steady is not is_used
    if smaller is not None:
        assert level.log_levels == (-smaller, 0.0)
