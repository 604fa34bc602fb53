"""What an action can win, against customers who are lived through one by one."""

import numpy as np
import pytest
from scipy import stats

from models.purchases import BGNBD, MBGCNBD, MBGNBD, NBD, ParetoNBD
from models.purchases.response import orders_if_kept, response

HORIZON, WORKS, REACH = 365.0, 60.0, 1.5


def live(model, n, T, seed):
    """Draw customers observed for T days: their pace, chance of leaving, history and whether they left."""
    rng = np.random.default_rng(seed)
    pace = rng.gamma(model.r, 1 / model.alpha, n)
    p = rng.beta(model.a, model.b, n)
    x, t_x = np.zeros(n), np.zeros(n)
    alive = (rng.random(n) > p) if model.at_start else np.ones(n, dtype=bool)
    since = np.zeros(n)
    running = alive.copy()
    for _ in range(4000):
        if not running.any():
            break
        wait = rng.gamma(model.every, 1 / np.maximum(pace, 1e-12))
        buys = running & (t_x + wait <= T)
        x[buys] += 1
        t_x[buys] += wait[buys]
        since[running & ~buys] = (T - t_x)[running & ~buys]
        leaves = buys & (rng.random(n) < p)
        alive &= ~leaves
        running = buys & ~leaves
    return rng, pace, p, x, t_x, alive


def later_orders(model, rng, pace, p, days):
    """Count orders in `days` days of those who begin as if just after an order at which they stayed."""
    n = len(pace)
    count, clock, running = np.zeros(n), np.zeros(n), np.ones(n, dtype=bool)
    for _ in range(4000):
        clock += rng.gamma(model.every, 1 / np.maximum(pace, 1e-12))
        running &= clock <= days
        if not running.any():
            break
        count += running
        running &= rng.random(n) >= p
    return count


@pytest.mark.parametrize(
    "model",
    [
        BGNBD(r=0.9, alpha=40.0, a=0.8, b=2.5),
        MBGNBD(r=0.9, alpha=40.0, a=0.8, b=2.5),
        MBGCNBD(r=0.9, alpha=20.0, a=0.8, b=2.5, k=2),
    ],
)
def test_who_left_and_can_be_kept_brings_what_the_lived_ones_bring(model):
    T = 200.0
    rng, pace, p, x, t_x, alive = live(model, 100_000, T, seed=3)
    fresh = ~alive & (T - t_x < REACH * model.every / pace)
    brought = np.where(fresh, later_orders(model, rng, pace, p, HORIZON), 0.0)
    reported = response(
        model, x, t_x, np.full(len(x), T),
        horizon_days=HORIZON, works_days=WORKS, reach_gaps=REACH,
    )  # fmt: skip
    for group in (x == 0, x == 1, x == 2, (x > 2) & (x < 8)):
        error = brought[group].std() / np.sqrt(group.sum())
        assert reported.kept[group].mean() == pytest.approx(brought[group].mean(), abs=4 * error)


@pytest.mark.parametrize(
    "model", [MBGNBD(r=0.9, alpha=40.0, a=0.8, b=2.5), MBGCNBD(r=0.9, alpha=20.0, a=0.8, b=2.5)]
)
def test_a_faster_clock_brings_the_orders_of_the_days_that_it_gains(model):
    """Of those who begin after an order at which they stayed, one at a time."""
    rng = np.random.default_rng(5)
    pace, p = rng.gamma(model.r, 1 / model.alpha, 300_000), rng.beta(model.a, model.b + 1, 300_000)
    once = np.zeros(1)
    reported = response(
        model, once, once, once, horizon_days=HORIZON, works_days=WORKS, reach_gaps=REACH
    )
    # The same random numbers up to the horizon and up to 60 days later: only the gained days differ.
    state = rng.bit_generator.state
    until = later_orders(model, rng, pace, p, HORIZON)
    rng.bit_generator.state = state
    longer = later_orders(model, rng, pace, p, HORIZON + WORKS)
    stayed = model.p_alive(once, once, once)[0]
    gained = stayed * (longer - until)
    error = gained.std() / np.sqrt(len(gained))
    assert reported.faster[0] == pytest.approx(gained.mean(), abs=4 * error)


@pytest.mark.parametrize("model", [NBD(r=0.9, alpha=40.0), ParetoNBD(0.9, 40.0, 0.6, 60.0)])
def test_who_leaves_by_the_clock_is_not_kept_at_an_order(model):
    reported = response(
        model, [0, 3], [0, 90], [100, 120], horizon_days=365, works_days=60, reach_gaps=1.5
    )
    assert reported.kept.tolist() == [0.0, 0.0]
    assert reported.faster == pytest.approx(model.expected_orders(60, [0, 3], [0, 90], [100, 120]))


def test_nobody_is_kept_who_has_been_silent_for_long_or_never_could_leave():
    model = BGNBD(r=0.9, alpha=40.0, a=0.8, b=2.5)
    reported = response(
        model, [0, 9, 9], [0, 90, 90], [100, 95, 3000],
        horizon_days=365, works_days=60, reach_gaps=1.5,
    )  # fmt: skip
    assert reported.kept[0] == 0
    assert reported.kept[1] > 0.1
    assert reported.kept[2] < 1e-9
    assert np.all(reported.faster >= 0)


def test_who_left_buys_less_when_kept_than_who_never_left():
    """Leaving tells of a high chance to leave."""
    model = MBGNBD(r=0.9, alpha=40.0, a=0.8, b=2.5)
    kept = orders_if_kept(model, 365, [3], [90], [0.001], 1.5)
    active = model.expected_orders(365, [3], [90], [90]) / model.p_alive([3], [90], [90])
    assert kept[0] < active[0]


@pytest.mark.parametrize(
    "model", [BGNBD(0.5, 23.5, 1.1, 5.5), MBGNBD(0.9, 30.0, 0.6, 2.0), MBGCNBD(2.2, 15.0, 1.2, 3.0, k=2)]
)  # fmt: skip
@pytest.mark.parametrize("orders", [1, 8, 30, 100, 300])
def test_what_is_kept_of_the_rare_and_of_the_very_frequent_is_the_mean_over_their_pace(
    model, orders
):
    """By 1,000 steps over the pace and 400 even parts of those who leave."""
    shape, first, silent, days = model.r + model.every * orders, 600.0, 4.0, 365.0
    rate = model.alpha + first
    cut = min(rate * model.every * 3.0 / silent, shape + 12 * np.sqrt(shape) + 12)
    low = max(shape - 12 * np.sqrt(shape), 0.0)
    pace = (
        low + (cut - low) * ((np.arange(1000) + 0.5) / 1000) ** 2
    )  # closer together at the start
    steps = 2 * (cut - low) * np.sqrt((pace - low) / (cut - low)) / 1000
    even = (np.arange(400) + 0.5) / 400
    left = stats.beta.ppf(even, model.a + 1, model.b + orders + model.at_start - 1)
    moments, bought = (pace / rate * days)[:, None], 0.0
    for n in range(1, 2_000):  # leaves after an order with chance p
        at_least = stats.gamma.cdf(moments, n * model.every)
        bought = bought + (1 - left) ** (n - 1) * at_least
        if at_least.max() < 1e-9:
            break
    wanted = float((stats.gamma.pdf(pace, shape) * steps) @ bought.mean(-1))
    actual = orders_if_kept(model, days, [float(orders)], [first], [silent], 3.0)[0]
    assert actual == pytest.approx(wanted, rel=1e-3)
