"""Intervals of what a customer brings: against simulation, by inversion, and their coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.history import CustomerHistory
from models.intervals import (
    GROUPS,
    Levels,
    Outcomes,
    calibrate,
    covered,
    covered_share,
    informed_position,
    own_level,
)
from models.purchases import MBGNBD, NBD, ParetoNBD, fit_purchases
from models.spend import Spend, fit_spend

RHYTHM = MBGNBD(0.6055, 56.37, 0.6413, 1.189)
SPEND = Spend(6.25, 3.74, 15.44)
OUTCOMES = Outcomes(RHYTHM, SPEND, 181)
SOME = {  # x, t_x, T, m
    "regular": (10.0, 300.0, 310.0, 20.0),
    "of two orders": (2.0, 200.0, 300.0, 30.0),
    "one-time": (0.0, 0.0, 100.0, 0.0),
    "of the first day": (0.0, 0.0, 0.0, 0.0),
    "of hundreds": (200.0, 398.0, 400.0, 35.0),
}


@pytest.mark.parametrize("customer", SOME.values(), ids=SOME)
@pytest.mark.parametrize("rhythm", [RHYTHM, ParetoNBD(0.61, 87.0, 0.36, 43.0), NBD(0.5, 60.0)])
def test_ends_equal_those_of_a_simulation(rhythm, customer):
    rng = np.random.default_rng(1)
    x, t_x, T, m = customer
    chances = rhythm.distribution(181, [x], [t_x], [T], 400)[0]
    orders = rng.choice(401, p=chances / chances.sum(), size=300_000)
    shape, scale = SPEND.of_customer(x, m)
    rate = rng.gamma(shape, 1 / scale, len(orders))
    value = np.where(orders > 0, rng.gamma(np.maximum(SPEND.p * orders, 1e-9), 1 / rate), 0.0)
    history = CustomerHistory.of(*([v] for v in customer))
    ends = np.ravel(Outcomes(rhythm, SPEND, 181).interval(history, 0.1, 0.9))
    assert ends == pytest.approx(np.quantile(value, [0.1, 0.9]), rel=0.015)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(SOME)), st.floats(0.02, 0.98))
def test_an_end_lies_where_its_chance_says(name, level):
    customer = CustomerHistory.of(*([v] for v in SOME[name]))
    end, _ = OUTCOMES.interval(customer, level, 0.99)
    below, up_to = (place[0] for place in OUTCOMES.position(customer, end))
    if end == 0:
        assert below == 0
        assert level <= up_to + 1e-9
    else:
        assert up_to == pytest.approx(level, abs=2e-3)


def test_nothing_lies_between_0_and_its_own_chance():
    once = CustomerHistory.of(*([v] for v in SOME["one-time"]))
    below, up_to = OUTCOMES.position(once, [-3.0])
    assert below == 0
    assert up_to == pytest.approx(1 - RHYTHM.p_order(181, *once.times), abs=1e-5)


def test_cents_give_a_hundred_times_the_dollars():
    x, t_x, T, m = np.array(list(SOME.values())).T
    dollars = OUTCOMES.interval(CustomerHistory.of(x, t_x, T, m), 0.1, 0.9)
    outcomes = Outcomes(RHYTHM, Spend(6.25, 3.74, 1544.0), 181)
    cents = outcomes.interval(CustomerHistory.of(x, t_x, T, 100 * m), 0.1, 0.9)
    assert np.ravel(cents) == pytest.approx(100 * np.ravel(dollars), rel=1e-12)


def test_ends_are_multiplied_by_the_scale_and_positions_are_of_the_amount_over_it():
    x, t_x, T, m = np.array(list(SOME.values())).T
    plain, scaled = (CustomerHistory.of(x, t_x, T, m, x, scale) for scale in (1.0, 0.8))
    ends = OUTCOMES.interval(plain, 0.1, 0.9)
    assert np.ravel(OUTCOMES.interval(scaled, 0.1, 0.9)) == pytest.approx(0.8 * np.ravel(ends))
    amounts = np.array([30.0, 10.0, 5.0, 20.0, 900.0])
    assert np.ravel(OUTCOMES.position(scaled, 0.8 * amounts)) == pytest.approx(
        np.ravel(OUTCOMES.position(plain, amounts))
    )


def test_the_mean_order_of_a_history_counts_as_often_as_it_has_orders():
    """The first order counted: ends of one order of 60 lie above those of no order, below those of nine."""
    x, t_x, T = np.zeros(3), np.zeros(3), np.full(3, 30.0)
    history = CustomerHistory.of(x, t_x, T, [0.0, 60.0, 60.0], [0.0, 1.0, 9.0])
    _, high = OUTCOMES.interval(history, 0.1, 0.95)
    assert SPEND.mean < 60
    assert high[0] < high[1]
    shape, scale = SPEND.of_customer([0.0, 1.0, 9.0], [0.0, 60.0, 60.0])
    assert SPEND.p * scale / (shape - 1) == pytest.approx(
        SPEND.expected_order_value(history.orders, history.mean_order)
    )
    rng = np.random.default_rng(2)
    chances = RHYTHM.distribution(181, [0.0], [0.0], [30.0], 400)[0]
    orders = rng.choice(401, p=chances / chances.sum(), size=300_000)
    for row in range(3):
        rate = rng.gamma(shape[row], 1 / scale[row], len(orders))
        value = rng.gamma(np.maximum(SPEND.p * orders, 1e-9), 1 / rate) * (orders > 0)
        assert high[row] == pytest.approx(np.quantile(value, 0.95), rel=0.015)


def test_a_chance_of_any_order_that_is_given_is_not_computed_again():
    history = CustomerHistory.of(*np.array(list(SOME.values())).T)
    own = RHYTHM.p_order(181, *history.times)
    ends = OUTCOMES.interval(history, 0.1, 0.9)
    assert np.array_equal(OUTCOMES.interval(history, 0.1, 0.9, own), ends)


def test_a_customer_is_answered_alike_alone_and_in_a_crowd():
    rng = np.random.default_rng(0)
    T = rng.integers(1, 500, 400).astype(float)
    t_x = np.floor(rng.random(400) * (T + 1))
    x = np.where(t_x > 0, 1 + np.floor(t_x / 30), 0)
    m = np.where(x > 0, rng.gamma(4, 8, 400), 0.0)
    _, together = OUTCOMES.interval(CustomerHistory.of(x, t_x, T, m), 0.1, 0.9)
    single = [CustomerHistory.of(x[[i]], t_x[[i]], T[[i]], m[[i]]) for i in range(400)]
    alone = [OUTCOMES.interval(one, 0.1, 0.9)[1][0] for one in single]
    assert together.tolist() == alone


# Coverage, on a store whose truth is known


@pytest.fixture(scope="module")
def store():
    """Simulate MBG/NBD and Gamma-Gamma customers, known at the end of two years, and a year more."""
    rng = np.random.default_rng(12)
    n, horizon = 20_000, 365.0
    truth, spend = MBGNBD(0.7, 60.0, 0.5, 2.0), Spend(4.0, 4.0, 30.0)
    rate, leave = rng.gamma(truth.r, 1 / truth.alpha, n), rng.beta(truth.a, truth.b, n)
    money = rng.gamma(spend.q, 1 / spend.gamma, n)
    T = rng.integers(30, 730, n).astype(float)
    x, t_x, sums, value, orders, now = (np.zeros(n) for _ in range(6))
    active = rng.random(n) >= leave
    while active.any():
        now = now + rng.exponential(1 / rate)
        active &= now < T + horizon
        worth = rng.gamma(spend.p, 1 / money)
        past = active & (now < T)
        x[past] += 1
        t_x[past] = now[past]
        sums[past] += worth[past]
        later = active & (now >= T)
        value[later] += worth[later]
        orders[later] += 1
        active &= rng.random(n) >= leave
    m = np.where(x > 0, sums / np.maximum(x, 1), 0.0)
    rhythm = fit_purchases(x, t_x, T, model=MBGNBD).model
    fitted = fit_spend(x[x > 0], m[x > 0]).model
    return CustomerHistory.of(x, t_x, T, m), value, orders, Outcomes(rhythm, fitted, horizon)


def test_four_of_five_outcomes_lie_inside_by_the_randomized_transform(store):
    state, value, _, outcomes = store
    place = outcomes.position(state, value)
    assert 0.78 <= covered_share(*place, 0.1, 0.9) <= 0.82
    often = state.x >= 3
    assert 0.78 <= covered_share(place[0][often], place[1][often], 0.1, 0.9) <= 0.82


def test_four_of_five_lie_plainly_inside_where_nothing_is_unlikely(store):
    state, value, _, outcomes = store
    low, high = outcomes.interval(state, 0.1, 0.9)
    inside = (low <= value) & (value <= high)
    likely = outcomes.purchases.p_order(365, *state.times) > 0.9
    expected = outcomes.purchases.expected_orders(365, *state.times)
    expected = expected * outcomes.spend.expected_order_value(state.x, state.mean_order)
    top = np.argsort(-expected)[: len(state) // 10]
    assert likely.sum() > 500
    assert 0.76 <= inside[likely].mean() <= 0.84
    assert 0.76 <= inside[top].mean() <= 0.84


def test_chances_of_an_order_are_as_often_right_as_they_say(store):
    state, _, orders, outcomes = store
    p = outcomes.purchases.p_order(365, *state.times)
    for group in np.array_split(np.argsort(p), 10):
        error = np.sqrt(p[group].mean() * (1 - p[group].mean()) / len(group))
        assert (orders[group] > 0).mean() == pytest.approx(p[group].mean(), abs=4 * error + 0.005)


def test_the_transform_is_uniform(store):
    state, value, _, outcomes = store
    below, up_to = outcomes.position(state, value)
    for low in np.arange(10) / 10:
        assert covered_share(below, up_to, low, low + 0.1) == pytest.approx(0.1, abs=0.012)


def test_calibration_mends_intervals_of_a_model_that_is_wrong(store):
    state, value, _, outcomes = store
    wrong = Outcomes(outcomes.purchases, Spend(40.0, 20.0, 12.0), 365.0)  # far too sure of itself
    expected = wrong.purchases.expected_orders(365, *state.times)
    expected = expected * wrong.spend.expected_order_value(state.x, state.mean_order)
    below, up_to = wrong.position(state, value)
    learned, kept = np.arange(len(state)) % 2 == 0, np.arange(len(state)) % 2 == 1
    assert not 0.78 <= covered_share(below[kept], up_to[kept], 0.1, 0.9) <= 0.82
    levels = calibrate(expected[learned], below[learned], up_to[learned])
    low, high = levels.of(expected[kept])
    each = covered(below[kept], up_to[kept], low, high)
    assert 0.78 <= each.mean() <= 0.82
    for group in np.array_split(np.argsort(expected[kept]), GROUPS):
        assert 0.74 <= each[group].mean() <= 0.86


def test_intervals_that_cover_what_they_should_are_left_alone():
    rng = np.random.default_rng(3)
    place = rng.random(40_000)
    levels = calibrate(rng.random(40_000), place, place)
    assert levels.low == pytest.approx([0.1] * GROUPS)
    assert levels.high == pytest.approx([0.9] * GROUPS)


def test_few_customers_are_no_reason_to_calibrate():
    assert calibrate(np.arange(100.0), np.zeros(100), np.zeros(100)) == Levels()


@pytest.mark.parametrize(
    ("below", "up_to", "inside"),
    [(0.5, 0.5, 1), (0.95, 0.95, 0), (0.0, 0.05, 0), (0.0, 0.4, 0.75), (0.0, 0.96, 0.8 / 0.96)],
)
def test_an_outcome_with_a_chance_of_its_own_counts_by_its_share_inside(below, up_to, inside):
    assert covered([below], [up_to], 0.1, 0.9) == pytest.approx(inside)


@given(st.floats(0.01, 0.99), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_what_a_classifier_knows_is_put_in_and_taken_out_again(level, own, informed):
    plain = own_level(level, own, informed)[()]
    _, back = informed_position(plain, plain, own, informed)
    if plain > 1e-9:
        assert back == pytest.approx(level, abs=1e-9)
    else:
        assert 1 - level >= informed - 1e-9 or own > informed
