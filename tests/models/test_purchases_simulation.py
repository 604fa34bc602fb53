"""The family of purchase models against customers drawn from the models' stories."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from models.purchases import (
    BGNBD,
    MBGCNBD,
    MBGNBD,
    NBD,
    ParetoNBD,
    Regularity,
    fit_family,
    fit_purchases,
)

DAYS = 180  # after the history
TRUTHS = [
    BGNBD(0.4, 25, 0.7, 2),
    MBGNBD(0.9, 45, 0.5, 1.5),
    MBGCNBD(1.2, 12, 0.5, 1.5, k=2),
    MBGCNBD(1.2, 8, 0.5, 1.5, k=3),
    ParetoNBD(0.7, 40, 0.6, 120),
    NBD(0.6, 40),
]


@dataclass(frozen=True)
class Customers:
    """What is seen of customers, and what is not."""

    history: tuple
    log_gaps: float
    is_active: np.ndarray
    later: np.ndarray


def simulate(truth, n, seed):
    """Draw customers, each with a first purchase some time in the last two years."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(truth.r, 1 / truth.alpha, n)
    k = truth.k if isinstance(truth, MBGCNBD) else 1
    ends, leaves_with = np.full(n, np.inf), np.zeros(n)
    if isinstance(truth, ParetoNBD):
        ends = rng.exponential(1 / rng.gamma(truth.s, 1 / truth.beta, n))
    elif not isinstance(truth, NBD):
        leaves_with = rng.beta(truth.a, truth.b, n)
    T = rng.uniform(100, 700, n)
    x, t_x, later, now, log_gaps = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), 0.0
    stays = np.ones(n, dtype=bool)
    if isinstance(truth, MBGNBD | MBGCNBD):
        stays = rng.random(n) >= leaves_with
    is_active = stays & (ends > T)
    while True:
        gap = rng.gamma(k, 1 / rate)
        now = now + gap
        stays = stays & (now < T + DAYS) & (now < ends)
        if not stays.any():
            return Customers((x, t_x, T), log_gaps, is_active, later)
        past = stays & (now < T)
        x[past] += 1
        t_x[past] = now[past]
        log_gaps += np.log(gap[past]).sum()
        later[stays & ~past] += 1
        stays = stays & (rng.random(n) >= leaves_with)
        is_active = np.where(past, stays & (ends > T), is_active)


def is_mean_of(predicted, happened, groups, most=4.5):
    """In every group the mean prediction is the mean outcome, but for chance."""
    for group in np.unique(groups):
        rows = groups == group
        reported, error = predicted[rows], happened[rows].sum() - predicted[rows].sum()
        if happened.dtype == bool:
            variance = (reported * (1 - reported)).sum()
        else:  # of what is rare nothing may have happened
            variance = max(((happened[rows] - reported) ** 2).sum(), reported.sum())
        assert abs(error) <= most * np.sqrt(variance) + 1, (group, error, variance)


def named(model):
    return model.title.replace("-k", f"-{getattr(model, 'k', '')}")


@pytest.fixture(scope="module", params=TRUTHS, ids=named)
def drawn(request):
    return request.param, simulate(request.param, 30_000, 11)


def groups_of(x, t_x, T):
    """Numbers of purchases, and for each whether the last is long ago."""
    return 2 * np.searchsorted([0, 1, 2, 4, 8, 16], x) + (t_x < 0.6 * T)


def test_so_many_are_active_as_their_chances_say(drawn):
    truth, customers = drawn
    alive = truth.p_alive(*customers.history)
    groups = groups_of(*customers.history)
    if isinstance(
        truth, BGNBD
    ):  # nobody is left for a model that takes all one-time buyers as active
        assert customers.is_active[customers.history[0] == 0].all()
    is_mean_of(alive, customers.is_active, groups)
    is_mean_of(alive, customers.is_active, np.digitize(alive, [0.1, 0.3, 0.5, 0.7, 0.9]))


def test_so_many_buy_as_their_chances_say(drawn):
    truth, customers = drawn
    chance = truth.p_order(DAYS, *customers.history)
    is_mean_of(chance, customers.later > 0, groups_of(*customers.history))
    is_mean_of(chance, customers.later > 0, np.digitize(chance, [0.1, 0.3, 0.5, 0.7, 0.9]))


def test_so_much_is_bought_as_expected(drawn):
    truth, customers = drawn
    expected = truth.expected_orders(DAYS, *customers.history)
    is_mean_of(expected, customers.later, groups_of(*customers.history))
    is_mean_of(expected, customers.later, np.digitize(expected, [0.1, 0.5, 1, 2, 5, 10]))


def test_each_count_is_as_frequent_as_its_chance(drawn):
    truth, customers = drawn
    counts = truth.distribution(DAYS, *customers.history, 12)
    often = groups_of(*customers.history) // 4
    for count in (0, 1, 2, 3, 6, 12):
        is_mean_of(counts[:, count], customers.later == count, often)


def test_the_count_of_a_new_customer_is_as_frequent_as_its_chance(drawn):
    truth, customers = drawn
    x, _, T = customers.history
    counts = truth.distribution(T, 0 * x, 0, 0, 6)
    for count in range(7):
        is_mean_of(counts[:, count], x == count, np.digitize(T, [250, 400, 550]))


def test_whoever_has_a_median_day_within_a_horizon_likelier_buys_in_it_than_not(drawn):
    truth, customers = drawn
    history = [column[:3_000] for column in customers.history]
    days = truth.median_days(*history)
    soon = days < DAYS
    chance = truth.p_order(DAYS, *history)
    assert (chance[soon] > 0.5).all()
    assert (chance[~soon] <= 0.5).all()
    assert truth.p_order(days[soon], *(column[soon] for column in history)) == (
        pytest.approx(0.5, abs=1e-12)
    )


@pytest.fixture(scope="module")
def fitted(drawn):
    """The truth, 6,000 customers' histories, and the fit to them."""
    truth, customers = drawn
    history = [column[:6_000] for column in customers.history]
    return truth, history, fit_purchases(*history, model=type(truth), k=getattr(truth, "k", None))


def test_known_parameters_are_recovered_within_three_standard_errors(fitted):
    truth, _, fit = fitted
    for name in truth.free:
        actual, error = getattr(fit.model, name), fit.standard_errors[name]
        assert 0 < error < 0.5 * actual
        assert abs(actual - getattr(truth, name)) <= 3 * error, (name, actual, error)


def test_no_parameters_are_likelier_than_the_fitted_ones(fitted):
    truth, history, fit = fitted
    value, slope = fit.model.gradient(*history)
    assert value.sum() == pytest.approx(fit.log_likelihood, rel=1e-12)
    assert truth.log_likelihood(*history).sum() <= fit.log_likelihood
    errors = np.array([fit.standard_errors[name] for name in truth.free])
    assert (
        np.abs(slope.sum(axis=1) * errors).max() < 1e-3
    )  # at a peak, as seen from one error away
    for name, error in fit.standard_errors.items():
        for step in (-0.1, 0.1):
            beside = dataclasses.replace(
                fit.model, **{name: getattr(fit.model, name) + step * error}
            )
            assert beside.log_likelihood(*history).sum() < fit.log_likelihood


@pytest.mark.parametrize(
    "truth", [NBD(0.6, 40), MBGCNBD(1.2, 12, 0.5, 1.5, k=2)], ids=["NBD", "MBG/CNBD-2"]
)
def test_standard_errors_are_the_spread_of_estimates(truth):
    history = simulate(truth, 20_000, 12).history
    fits = [
        fit_purchases(
            *(column[rows] for column in history), model=type(truth), k=getattr(truth, "k", None)
        )
        for rows in np.split(np.arange(20_000), 20)
    ]
    for name in truth.free:
        spread = np.std([np.log(getattr(fit.model, name)) for fit in fits], ddof=1)
        result = np.median([fit.standard_errors[name] / getattr(fit.model, name) for fit in fits])
        assert 0.6 < spread / result < 1.6, name  # of 20 estimates


@pytest.mark.parametrize("truth", [TRUTHS[0], TRUTHS[2], TRUTHS[5]], ids=named)
def test_akaike_finds_the_model_that_the_customers_were_drawn_from(truth):
    customers = simulate(truth, 3_000, 13)
    k = getattr(truth, "k", 1)
    regularity = Regularity(int(customers.history[0].sum()), customers.log_gaps, wheat_k=k)
    family = fit_family(*customers.history, regularity=regularity)
    fits = [fit for fit in family if not fit.members]
    assert len(fits) == (4 if k == 1 else 6)  # MBG/CNBD-2 and -3: neither neighbor of 2 is better
    assert type(fits[0].model) is type(truth)
    assert getattr(fits[0].model, "k", 1) == k
    assert [fit.aic for fit in fits] == sorted(fit.aic for fit in fits)
