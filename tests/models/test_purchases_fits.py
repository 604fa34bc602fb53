"""How purchase models are fitted: regularity, starts, units, and odd histories."""

import numpy as np
import pytest

from models.purchases import (
    BGNBD,
    FAMILY,
    MBGCNBD,
    MBGNBD,
    NBD,
    FitError,
    ParetoNBD,
    Regularity,
    fit_family,
    fit_purchases,
)

SOME = [
    BGNBD(0.27, 38.0, 0.6, 2.2),
    MBGNBD(0.6, 56.0, 0.64, 1.2),
    MBGCNBD(1.3, 20.0, 0.42, 0.8, 2),
    MBGCNBD(0.8, 12.0, 1.5, 3.0, 3),
    ParetoNBD(0.61, 87.0, 0.36, 43.0),
    ParetoNBD(0.8, 10.0, 1.0, 60.0),
    NBD(0.38, 91.0),
]


def named(model):
    return f"{model.name}-{'-'.join(f'{value:g}' for value in model.to_dict().values())}"


@pytest.mark.parametrize("model", SOME, ids=named)
def test_thousands_of_purchases_stay_finite(model):
    x, t_x, T = [221, 254, 161, 204, 132, 133, 2500], [300, 360, 200, 250, 200, 200, 3000], None
    T = [301, 361, 201, 250, 200, 200, 3001]
    for found in (
        model.log_likelihood(x, t_x, T),
        model.p_alive(x, t_x, T),
        model.expected_orders(365, x, t_x, T),
        model.p_order(365, x, t_x, T),
        model.gradient(x, t_x, T)[1],
    ):
        assert np.isfinite(found).all()


def simulate(model, customers, seed):
    """Draw histories from a model, each customer seen for up to three years."""
    rng = np.random.default_rng(seed)
    k = getattr(model, "every", 1)
    rate = rng.gamma(model.r, 1 / model.alpha, customers)
    T = rng.uniform(200, 1100, customers)
    ends = np.full(customers, np.inf)
    leave = np.zeros(customers)
    if isinstance(model, ParetoNBD):
        ends = rng.exponential(1 / rng.gamma(model.s, 1 / model.beta, customers))
    elif not isinstance(model, NBD):
        leave = rng.beta(model.a, model.b, customers)
    x, t_x, now = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    active = rng.random(customers) >= leave if getattr(model, "at_start", False) else leave < 2
    log_gaps = 0.0
    while active.any():
        gap = rng.gamma(k, 1 / rate)
        now = now + gap
        active &= now < np.minimum(T, ends)
        x[active] += 1
        t_x[active] = now[active]
        log_gaps += np.log(gap[active]).sum()
        active &= rng.random(customers) >= leave
    return (x, t_x, T), log_gaps


def test_regularity_is_found_by_likelihood_and_by_wheat_and_morrison():
    history, log_gaps = simulate(MBGCNBD(1.3, 20.0, 0.42, 0.8, 3), 2_000, 3)
    regularity = Regularity(gaps=int(history[0].sum()), log_gaps=log_gaps, wheat_k=2.9)
    fits = fit_family(*history, regularity=regularity)
    assert isinstance(fits[0].model, MBGCNBD)
    assert fits[0].model.k == 3


def test_regular_models_are_not_tried_where_gaps_are_random():
    history, log_gaps = simulate(MBGNBD(0.6, 56.0, 0.64, 1.2), 1_000, 3)
    regularity = Regularity(gaps=int(history[0].sum()), log_gaps=log_gaps, wheat_k=1.1)
    fits = fit_family(*history, regularity=regularity)
    assert not any(isinstance(fit.model, MBGCNBD) for fit in fits)


@pytest.mark.parametrize(("k", "pairs"), [(1, 60_000), (2, 60_000), (4, 60_000)])
def test_wheat_and_morrisons_k_is_that_of_the_gaps(k, pairs):
    one, two = np.random.default_rng(k).gamma(k, size=(2, pairs))
    variance = ((one / (one + two) - 0.5) ** 2).mean()
    assert Regularity.of(pairs, 0.0, pairs, variance).wheat_k == pytest.approx(k, rel=0.03)
    assert np.isnan(Regularity.of(1, 0.0, 0, None).wheat_k)


@pytest.mark.parametrize("model", [BGNBD, MBGNBD, ParetoNBD, NBD])
def test_a_fit_is_the_same_whatever_the_order_of_rows_and_the_unit_of_time(model):
    history, _ = simulate(SOME[0], 800, 9)
    rows = np.random.default_rng(0).permutation(800)
    fit = fit_purchases(*history, model=model)
    mixed = fit_purchases(*(column[rows] for column in history), model=model)
    assert mixed.model == fit.model
    weeks = fit_purchases(history[0], history[1] / 7, history[2] / 7, model=model)
    for name, value in fit.model.to_dict().items():
        unit = 7 if name in model.times else 1
        assert weeks.model.to_dict()[name] * unit == pytest.approx(value, rel=1e-4)


def test_a_fitted_model_as_start_leads_to_the_same_optimum():
    history, _ = simulate(SOME[4], 800, 9)
    fit = fit_purchases(*history, model=ParetoNBD)
    again = fit_purchases(*history, model=ParetoNBD, start=fit.model)
    assert again.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-6)


@pytest.mark.parametrize("model", [BGNBD, MBGNBD, ParetoNBD, NBD])
@pytest.mark.parametrize(
    "history",
    [
        ([2.0] * 50, [90.0] * 50, [200.0] * 50),
        ([0, 1, 0, 3, 0, 0, 1, 2, 0, 1], [0, 9, 0, 80, 0, 0, 30, 50, 0, 7], [100] * 10),
        ([0] * 99 + [2000], [0] * 99 + [2900], [3000] * 100),
    ],
    ids=["all alike", "ten customers", "one of 2,000 purchases"],
)
def test_odd_histories_are_fitted_or_refused_and_predict_numbers(model, history):
    try:
        fit = fit_purchases(*history, model=model)
    except FitError:
        return
    assert np.isfinite(fit.log_likelihood)
    for found in (
        fit.model.expected_orders(365, *history),
        fit.model.p_order(365, *history),
        fit.model.p_alive(*history),
    ):
        assert np.isfinite(found).all()
    assert (fit.model.expected_orders(365, *history) < 1e6).all()


def test_every_model_has_a_name_of_its_own():
    assert {model.name for model in FAMILY.values()} == set(FAMILY)
