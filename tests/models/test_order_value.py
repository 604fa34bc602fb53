"""Order value by hand: the first order counted, levels of one-time buyers, and returns."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.order_value import (
    LEAST_NET_SHARE,
    LEAST_RETURN_PRIOR,
    RETURN_PRIOR,
    OrderValue,
    return_prior,
    shrunk,
)
from models.price_level import PriceLevel
from models.spend import Spend

SPEND = Spend(p=6.0, q=4.0, gamma=15.0)  # a mean order of 30


def state_of(frequency, monetary_value, first_amount, revenue=None):
    """Return customer states; revenue is everything bought unless it is given."""
    x, mean, first = (
        np.atleast_1d(np.asarray(column, dtype=float))
        for column in (frequency, monetary_value, first_amount)
    )
    bought = x * mean + first
    return {
        "frequency": x,
        "monetary_value": mean,
        "first_amount": first,
        "revenue": bought if revenue is None else np.broadcast_to(revenue, x.shape).astype(float),
    }


def test_the_first_order_counts_as_one_of_the_orders():
    """Three orders of 60, 30 and 30: p (gamma + 120) / (q + 3 p - 1) = 6 * 135 / 21."""
    state = state_of(2, 30.0, 60.0)
    orders, mean = OrderValue(SPEND).observed(state)
    assert (orders.tolist(), mean.tolist()) == ([3.0], [40.0])
    assert OrderValue(SPEND).expected(state) == pytest.approx([6 * 135 / 21])


def test_a_one_time_buyer_s_order_is_shrunk_to_everyone_s():
    """One order of 100: p (gamma + 100) / (q + p - 1) = 6 * 115 / 9, between 30 and 100."""
    assert OrderValue(SPEND).expected(state_of(0, 0.0, 100.0)) == pytest.approx([6 * 115 / 9])


def test_the_first_order_is_set_to_the_level_of_later_ones():
    """A first order of 60 is worth 90 of a later one: 90, 30 and 30 have a mean of 50."""
    state = state_of(2, 30.0, 60.0)
    model = OrderValue(SPEND, first_level=1.5)
    orders, mean = model.observed(state)
    assert (orders.tolist(), mean.tolist()) == ([3.0], [50.0])
    assert model.expected(state) == pytest.approx([6 * (15 + 150) / 21])


def test_one_time_buyers_have_a_level_of_their_own_and_repeat_customers_do_not():
    """At 0.8 of the level an order of 100 tells of 125: 0.8 * 6 * (15 + 125) / 9."""
    state = state_of([0, 2], [0.0, 30.0], [100.0, 60.0])
    model = OrderValue(SPEND, once_level=0.8)
    orders, mean = model.observed(state)
    assert (orders.tolist(), mean.tolist()) == ([1.0, 3.0], [125.0, 40.0])
    assert model.scale(state).tolist() == [0.8, 1.0]
    assert model.expected(state) == pytest.approx([0.8 * 6 * 140 / 9, 6 * 135 / 21])


def test_a_level_of_one_time_buyers_moves_what_their_order_does_not_tell():
    """Levels cancel in the customer's own mean: at many orders only the prior would move."""
    low, high = (
        OrderValue(SPEND, once_level=level).expected(state_of(0, 0.0, 100.0))
        for level in (0.5, 2.0)
    )
    assert low == pytest.approx([(0.5 * 6 * 15 + 6 * 100) / 9])
    assert high == pytest.approx([(2.0 * 6 * 15 + 6 * 100) / 9])


def test_without_a_paid_order_the_mean_of_everyone_is_expected():
    state = state_of(0, 0.0, 0.0)
    assert OrderValue(SPEND).expected(state) == pytest.approx([SPEND.mean])
    model = OrderValue(SPEND, once_level=0.8, net_share=0.9)
    assert model.expected(state) == pytest.approx([0.8 * 0.9 * SPEND.mean])


# Returns


@given(
    st.integers(0, 500), st.floats(0.01, 1e5), st.floats(0.01, 1e5),
)  # fmt: skip
def test_who_returns_nothing_where_nobody_does_keeps_everything(x, mean, first):
    assert OrderValue(SPEND).kept(state_of(x, mean if x else 0.0, first)) == pytest.approx(
        [1.0], abs=1e-12
    )


def test_the_share_that_is_kept_is_the_own_one_weighed_by_orders_against_everyone_s():
    """Two orders of 50, of which 40 are returned, beside three average orders of which 10 % are."""
    assert RETURN_PRIOR == 3.0
    state = state_of(1, 50.0, 50.0, revenue=60.0)
    by_hand = (60 + 3 * 50 * 0.9) / (100 + 3 * 50)
    assert OrderValue(SPEND, net_share=0.9).kept(state) == pytest.approx([by_hand])
    assert OrderValue(SPEND, net_share=0.9).expected(state) == pytest.approx(
        [by_hand * 6 * (15 + 100) / (4 + 12 - 1)]
    )


def test_who_returned_everything_is_expected_to_bring_far_less_the_more_orders_it_were():
    """(3 / n) * 0.95 / (1 + 3 / n) of n orders."""
    n = np.array([1.0, 3.0, 10.0, 100.0])
    model = OrderValue(SPEND, net_share=0.95)
    state = state_of(n - 1, np.where(n > 1, 30.0, 0.0), np.full(4, 30.0), revenue=0.0)
    kept = model.kept(state)
    assert kept == pytest.approx(3 * 0.95 / (n + 3))
    assert (np.diff(kept) < 0).all()
    average = model.expected(state_of(n - 1, np.where(n > 1, 30.0, 0.0), np.full(4, 30.0)))
    assert (model.expected(state)[2:] < 0.25 * average[2:]).all()


def prior_of(orders, shares, net_share):
    n, s = np.asarray(orders, dtype=float), np.asarray(shares, dtype=float)
    return return_prior(
        net_share,
        customers=len(n),
        inverse_orders=(1 / n).sum(),
        shares=s.sum(),
        squares=(s * s).sum(),
    )


def test_the_weight_of_average_returns_by_hand():
    """Shares 1, 1, 1, 0.2 of two orders each: 0.1875 of variance in one order, 0.05625 between."""
    spread, whole = (3 * 0.25**2 + 0.55**2), 0.75 * 0.25
    between = (spread - whole * 4 / 2) / (4 - 4 / 2)
    assert prior_of([2] * 4, [1, 1, 1, 0.2], 0.75) == pytest.approx(
        np.clip((whole - between) / between, LEAST_RETURN_PRIOR, RETURN_PRIOR)
    )


@pytest.mark.parametrize(("shape", "tolerance"), [(0.5, 0.1), (1.0, 0.1), (2.0, 0.15)])
def test_the_weight_of_average_returns_is_recovered(shape, tolerance):
    """Orders that customers return by a chance of their own, of a beta distribution: its a + b."""
    rng = np.random.default_rng(4)
    n = rng.integers(2, 12, 200_000)
    kept = rng.beta(0.8 * shape, 0.2 * shape, len(n))
    shares = rng.binomial(n, kept) / n
    assert prior_of(n, shares, 0.8) == pytest.approx(shape, rel=tolerance)


def test_customers_who_return_everything_or_nothing_are_taken_at_their_word():
    shares = np.r_[np.zeros(20), np.ones(330)]
    assert prior_of(np.full(350, 4.0), shares, 330 / 350) == LEAST_RETURN_PRIOR


def test_returns_that_are_everybody_s_are_weighed_against_most():
    rng = np.random.default_rng(5)
    n = rng.integers(2, 12, 5_000)
    assert prior_of(n, rng.binomial(n, 0.9) / n, 0.9) == RETURN_PRIOR
    assert prior_of(n, np.full(len(n), 0.9), 0.9) == RETURN_PRIOR
    assert prior_of(n, np.ones(len(n)), 1.0) == RETURN_PRIOR
    assert prior_of([], [], 0.9) == RETURN_PRIOR


@pytest.mark.parametrize("orders", [1, 2, 5, 12])
def test_where_some_return_everything_they_are_expected_to_bring_little(orders):
    """With exactly what they paid given back, not more."""
    model = OrderValue(SPEND, net_share=0.95, return_prior=LEAST_RETURN_PRIOR)
    mean = 30.0 if orders > 1 else 0.0
    returned = state_of(orders - 1, mean, 30.0, revenue=0.0)
    average = state_of(orders - 1, mean, 30.0, revenue=30.0 * orders)
    assert model.expected(returned) < 0.25 * model.expected(average)


def test_who_was_refunded_more_than_they_paid_is_not_expected_to_cost_money():
    state = state_of([0, 50], [0.0, 30.0], [30.0, 30.0], revenue=[-500.0, -9_000.0])
    model = OrderValue(SPEND, net_share=0.95)
    assert model.kept(state).tolist() == [LEAST_NET_SHARE] * 2
    assert (model.expected(state) > 0).all()


def test_revenue_above_what_purchase_days_brought_is_no_return():
    state = state_of([0, 5], [0.0, 30.0], [30.0, 30.0], revenue=1e6)
    assert OrderValue(SPEND).kept(state) == pytest.approx([1.0, 1.0])


def test_a_revenue_that_is_missing_is_that_of_average_returns():
    model = OrderValue(SPEND, net_share=0.9)
    state = state_of([0, 5], [0.0, 30.0], [30.0, 30.0], revenue=np.nan)
    assert model.kept(state) == pytest.approx([0.9, 0.9])
    without = {name: column for name, column in state.items() if name != "revenue"}
    assert model.kept(without).tolist() == [0.9, 0.9]
    assert model.expected(without) == pytest.approx(model.expected(state))


def test_who_bought_for_nothing_has_average_returns():
    state = state_of(0, 0.0, 0.0, revenue=[-20.0])
    assert OrderValue(SPEND, net_share=0.9).kept(state).tolist() == [0.9]


amount = st.just(0.0) | st.floats(0.01, 1e4)
states = st.lists(
    st.tuples(
        st.integers(0, 300),
        amount,
        amount,
        st.floats(-1e4, 1e6) | st.just(float("nan")),
    ),
    min_size=1,
    max_size=10,
)
models = st.builds(
    OrderValue,
    st.just(SPEND),
    first_level=st.floats(0.2, 5.0),
    once_level=st.floats(0.2, 5.0),
    net_share=st.floats(0.01, 1.0),
)


@settings(deadline=None)
@given(models, states)
def test_expected_order_values_are_positive_and_between_the_own_mean_and_everyone_s(model, rows):
    x, mean, first, revenue = (np.array(column) for column in zip(*rows, strict=True))
    state = state_of(x, np.where(x > 0, mean, 0.0), first, revenue)
    kept = model.kept(state)
    assert ((kept > 0) & (kept <= 1 + 1e-12)).all()
    orders, own = model.observed(state)
    assert (orders == x + 1).all()
    value = model.expected(state) / model.scale(state)
    paid, everyone = own > 0, SPEND.mean
    low, high = np.minimum(own, everyone), np.maximum(own, everyone)
    assert (value[paid] >= low[paid] * (1 - 1e-9)).all()
    assert (value[paid] <= high[paid] * (1 + 1e-9)).all()
    np.testing.assert_allclose(value[~paid], everyone)


@settings(deadline=None)
@given(models, states)
def test_cents_give_a_hundred_times_the_value_of_dollars(model, rows):
    x, mean, first, revenue = (np.array(column) for column in zip(*rows, strict=True))
    mean = np.where(x > 0, mean, 0.0)
    in_cents = OrderValue(
        Spend(6.0, 4.0, 1500.0), model.first_level, model.once_level, model.net_share
    )
    dollars = model.expected(state_of(x, mean, first, revenue))
    cents = in_cents.expected(state_of(x, 100 * mean, 100 * first, 100 * revenue))
    np.testing.assert_allclose(cents, 100 * dollars, rtol=1e-9)


def test_parameters_are_named_so_that_a_model_is_built_from_them_again():
    model = OrderValue(SPEND, 1.1, 0.9, 0.95)
    assert model.to_dict() == {
        "first_level": 1.1,
        "once_level": 0.9,
        "net_share": 0.95,
        "return_prior": 3.0,
    }
    assert OrderValue(SPEND, **model.to_dict()) == model
    assert model.mean == SPEND.mean == 30.0


# Shrinkage


@pytest.mark.parametrize(
    ("estimate", "variance", "shrunken"),
    [
        (1.0, 0.25, 0.75),  # 1 - 0.25 / 1
        (-0.4, 0.04, -0.3),  # -0.4 (1 - 0.04 / 0.16)
        (0.5, 0.25, 0.0),
        (0.5, 9.0, 0.0),  # no further than 0
        (2.0, 0.0, 2.0),
        (0.0, 0.0, 0.0),
        (float("nan"), 0.1, 0.0),
        (1.0, float("nan"), 0.0),
        (1.0, float("inf"), 0.0),
    ],
)
def test_an_estimate_is_shrunk_by_its_variance_over_its_square(estimate, variance, shrunken):
    assert shrunk(estimate, variance) == pytest.approx(shrunken)


# Recovery from Gamma-Gamma customers whose first orders and returns are planted


def test_values_of_planted_levels_and_returns_are_recovered_in_every_group():
    rng = np.random.default_rng(3)
    n = 40_000
    x = rng.geometric(0.4, n) - 1.0
    once = np.where(x == 0, 0.7, 1.0)
    rate = rng.gamma(SPEND.q, 1 / SPEND.gamma, n)
    mean = np.where(x > 0, rng.gamma(np.maximum(6 * x, 1e-9), 1 / rate) / np.maximum(x, 1), 0.0)
    first = once * rng.gamma(6, 1 / rate) / 1.25
    following = once * rng.gamma(6, 1 / rate) * 0.9
    revenue = (first + x * mean) * 0.9
    model = OrderValue(SPEND, first_level=1.25, once_level=0.7, net_share=0.9)
    expected = model.expected(state_of(x, mean, first, revenue))
    for group in (x == 0, x == 1, (x > 1) & (x < 4), x >= 4):
        error = 3 * following[group].std() / np.sqrt(group.sum())
        assert expected[group].mean() == pytest.approx(following[group].mean(), abs=error)
    for group in np.array_split(np.argsort(expected), 10):
        assert expected[group].mean() == pytest.approx(following[group].mean(), rel=0.05)


RISE = PriceLevel((float(np.log(0.8)), 0.0), date(2025, 6, 30), 30)  # 25 % dearer since June 1


def test_past_amounts_are_taken_at_todays_price_level_by_hand():
    """First order on May 2, two of three later ones spread over May 3 to June 20, the last on June 21."""
    state = state_of(3, 30.0, 40.0) | {
        "recency_days": np.array([50.0]),
        "age_days": np.array([59.0]),
    }
    model = OrderValue(SPEND, price=RISE)
    between = (29 * 1.25 + 20 * 1.0) / 49  # May 3 to 31, and June 1 to 20
    later = 30.0 * (2 * between + 1.0) / 3
    orders, mean = model.observed(state, date(2025, 6, 30))
    assert orders == pytest.approx([4.0])
    assert mean == pytest.approx([(3 * later + 1.25 * 40.0) / 4])
    _, nominal = OrderValue(SPEND).observed(state, date(2025, 6, 30))
    assert nominal == pytest.approx([(3 * 30.0 + 40.0) / 4])


def test_one_repeat_order_is_taken_at_the_level_of_its_own_day():
    state = state_of([1, 1], [30.0, 30.0], [0.0, 0.0]) | {
        "recency_days": np.array([20.0, 40.0]),  # May 22, June 11
        "age_days": np.array([59.0, 59.0]),
    }
    _, mean = OrderValue(SPEND, price=RISE).observed(state, date(2025, 6, 30))
    assert mean == pytest.approx([30.0 * 1.25 / 2, 30.0 / 2])


def test_amounts_can_be_taken_at_the_level_of_a_past_window():
    """A forecast made before the rise is compared with outcomes at the prices that they had."""
    state = state_of(0, 0.0, 40.0) | {"recency_days": np.zeros(1), "age_days": np.array([5.0])}
    before = OrderValue(SPEND, price=RISE, price_base=1.25)
    assert before.observed(state, date(2025, 5, 20))[1] == pytest.approx([40.0])
    assert before.observed(state, date(2025, 6, 30))[1] == pytest.approx([40.0 / 1.25])
