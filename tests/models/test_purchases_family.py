"""What every purchase model must hold: against brute force, simulations, and properties."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gammaln
from scipy.stats import beta, gamma

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
from models.purchases.model import sum_of

SOME = [
    BGNBD(0.27, 38.0, 0.6, 2.2),
    MBGNBD(0.6, 56.0, 0.64, 1.2),
    MBGCNBD(1.3, 20.0, 0.42, 0.8, 2),
    MBGCNBD(0.8, 12.0, 1.5, 3.0, 3),
    ParetoNBD(0.61, 87.0, 0.36, 43.0),
    ParetoNBD(0.8, 10.0, 1.0, 60.0),
    NBD(0.38, 91.0),
]
AT_RANDOM = [model for model in SOME if not isinstance(model, MBGCNBD)]
QUICK = settings(deadline=None, max_examples=25)
models = st.sampled_from(SOME)


def named(model):
    return f"{model.name}-{'-'.join(f'{value:g}' for value in model.to_dict().values())}"


@st.composite
def histories(draw):
    T = draw(st.integers(0, 1500))
    t_x = draw(st.integers(0, T))
    x = 0 if t_x == 0 else draw(st.integers(1, min(t_x, 200)))
    return x, t_x, T


# Against brute force


def regular_story(model, history, days, largest):
    """Mean over a grid of rates and chances of leaving, straight from the story of MBG/CNBD-k."""
    (x, t_x, T), k = history, model.k
    u = (np.arange(600) + 0.5) / 600
    rate = gamma.ppf(u, model.r, scale=1 / model.alpha)[:, None, None]
    p = beta.ppf(u, model.a, model.b)[None, :, None]
    phase = np.arange(k)[None, None, :]
    gap = T - t_x
    buys = k * x * np.log(rate) - rate * t_x - x * gammaln(k) + x * np.log1p(-p)
    silent = phase * np.log(rate * gap) - rate * gap - gammaln(phase + 1)
    active = np.exp(buys + silent) * (1 - p)
    left = np.exp(buys[:, :, 0]) * p[:, :, 0]
    likelihood = active.sum(axis=2).mean() + left.mean()
    moments = np.arange(k * largest + 1)
    log_mass = moments * np.log(rate * days) - rate * days - gammaln(moments + 1)
    up_to = np.cumsum(np.exp(log_mass[:, 0, :]), axis=1)  # by rate and number of moments
    above = []
    for n in range(1, largest + 1):
        enough = np.stack([1 - up_to[:, n * k - j - 1] for j in range(k)], axis=1)
        joint = active * (1 - p) ** (n - 1) * enough[:, None, :]
        above.append(joint.sum(axis=2).mean() / likelihood)
    return np.log(likelihood), active.sum(axis=2).mean() / likelihood, above


@pytest.mark.parametrize("model", [m for m in SOME if isinstance(m, MBGCNBD)], ids=named)
@pytest.mark.parametrize("history", [(3, 40.0, 55.0), (0, 0.0, 20.0), (6, 90.0, 180.0)])
def test_regular_buyers_equal_a_sum_over_all_rates_and_chances_of_leaving(model, history):
    log_likelihood, alive, above = regular_story(model, history, 60.0, 8)
    history = [[value] for value in history]
    found = [tail for tail, _ in zip(model.tails(60.0, *history), above, strict=False)]
    assert model.log_likelihood(*history) == pytest.approx(log_likelihood, rel=2e-3)
    assert model.p_alive(*history) == pytest.approx(alive, abs=2e-3)
    assert np.ravel(found) == pytest.approx(np.array(above), abs=2e-3)


def test_regular_buyers_of_k_1_are_mbg_nbd():
    one, plain = MBGCNBD(0.6, 56.0, 0.64, 1.2, 1), MBGNBD(0.6, 56.0, 0.64, 1.2)
    history = ([0, 2, 30], [0, 90, 300], [40, 200, 310])
    for method in ("log_likelihood", "p_alive"):
        assert (getattr(one, method)(*history) == getattr(plain, method)(*history)).all()
    assert (one.expected_orders(90, *history) == plain.expected_orders(90, *history)).all()


@pytest.mark.parametrize(
    "parameters", [(0.55, 10.6, 0.61, 11.7), (0.8, 10, 1.0, 60), (2, 40, 0.3, 2)]
)
@pytest.mark.parametrize(
    "history", [(2, 30.43, 38.86), (0, 0, 120), (40, 300, 700), (133, 199, 200)]
)
def test_pareto_nbd_equals_adaptive_integration(parameters, history):
    r, alpha, s, beta_ = parameters
    x, t_x, T = history
    model = ParetoNBD(*parameters)

    def left(y):  # relative to the moment of the last purchase
        return np.exp(
            -(r + x) * np.log((alpha + y) / (alpha + t_x))
            - (s + 1) * np.log((beta_ + y) / (beta_ + t_x))
        )

    area = quad(left, t_x, T, epsabs=0, epsrel=1e-12, limit=500)[0]
    active = np.exp(
        -(r + x) * np.log((alpha + T) / (alpha + t_x)) - s * np.log((beta_ + T) / (beta_ + t_x))
    )
    gone = s / (beta_ + t_x) * area
    log_likelihood = (
        gammaln(r + x)
        - gammaln(r)
        + r * np.log(alpha)
        + s * np.log(beta_)
        - (r + x) * np.log(alpha + t_x)
        - s * np.log(beta_ + t_x)
        + np.log(active + gone)
    )
    assert model.log_likelihood(x, t_x, T) == pytest.approx(log_likelihood, rel=1e-11)
    assert model.p_alive(x, t_x, T) == pytest.approx(active / (active + gone), rel=1e-10)

    def still_none(u):  # nothing bought until leaving u days from now
        gone_then = s / (beta_ + T) * ((beta_ + T) / (beta_ + T + u)) ** (s + 1)
        return gone_then * ((alpha + T) / (alpha + T + u)) ** (r + x)

    days = 90.0
    none = quad(still_none, 0, days, epsabs=0, epsrel=1e-12, limit=500)[0]
    none += ((beta_ + T) / (beta_ + T + days)) ** s * ((alpha + T) / (alpha + T + days)) ** (r + x)
    p = active / (active + gone) * (1 - none)
    assert model.p_order(days, x, t_x, T) == pytest.approx(p, rel=1e-8)


@pytest.mark.parametrize("model", SOME, ids=named)
def test_expected_orders_are_the_sum_of_the_chances_of_each_further_order(model):
    history = ([0, 1, 5, 40, 150], [0, 30, 200, 350, 390], [100, 90, 210, 420, 400])
    for days in (30.0, 365.0):
        expected = model.expected_orders(days, *history)
        assert sum_of(model.tails(days, *history)) == pytest.approx(expected, rel=1e-8)
        counts = model.distribution(days, *history, 400)
        assert counts.sum(axis=1) == pytest.approx(1, abs=1e-9)
        assert counts @ np.arange(401) == pytest.approx(expected, rel=1e-6)


# Gradients and properties


@QUICK
@given(models, histories())
def test_derivatives_equal_differences(model, history):
    x, t_x, T = ([float(v)] for v in history)
    _, derivatives = model.gradient(x, t_x, T)
    for name, found in zip(model.free, derivatives, strict=True):
        value = model.to_dict()[name]
        up, down = (
            dataclasses.replace(model, **{name: value * (1 + step)}).log_likelihood(x, t_x, T)
            for step in (1e-5, -1e-5)
        )
        assert found * value == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-5)


@QUICK
@given(models, histories(), st.integers(1, 800), st.integers(1, 400))
def test_chances_are_chances_and_grow_with_the_horizon(model, history, days, more):
    x, t_x, T = ([v] for v in history)
    alive, p = model.p_alive(x, t_x, T)[0], model.p_order(days, x, t_x, T)[0]
    expected = model.expected_orders(days, x, t_x, T)[0]
    assert 0 <= p <= alive + 1e-12
    assert alive <= 1
    assert p - 1e-9 <= expected < np.inf
    assert model.p_order(days + more, x, t_x, T)[0] >= p - 1e-12
    assert model.expected_orders(days + more, x, t_x, T)[0] >= expected - 1e-9
    assert model.p_order(0, x, t_x, T) == pytest.approx(0, abs=1e-12)
    assert model.expected_orders(0, x, t_x, T) == pytest.approx(0, abs=1e-12)


@QUICK
@given(st.sampled_from(AT_RANDOM), histories(), st.integers(1, 500))
def test_longer_silence_never_raises_the_chance_of_being_alive(model, history, silent):
    x, t_x, T = history
    now, later = model.p_alive([x, x], [t_x, t_x], [T, T + silent])
    assert later <= now + 1e-12


@QUICK
@given(models, histories(), st.floats(0.05, 0.95))
def test_days_until_a_chance_are_where_the_chance_is_reached(model, history, chance):
    x, t_x, T = ([float(v)] for v in history)
    days = model.days_until(chance, x, t_x, T)[0]
    if np.isinf(days) or days > 1e6:
        assert model.p_order(1e6, x, t_x, T)[0] <= chance + 1e-6
    else:
        assert model.p_order(days, x, t_x, T)[0] == pytest.approx(chance, abs=1e-6)


@pytest.mark.parametrize("model", SOME, ids=named)
def test_a_customer_is_answered_alike_alone_and_in_a_crowd(model):
    rng = np.random.default_rng(4)
    T = rng.integers(1, 700, 60).astype(float)
    t_x = np.floor(rng.random(60) * (T + 1))
    x = np.where(t_x > 0, 1 + np.floor(t_x / 25), 0)
    for answer in (
        lambda *h: model.p_alive(*h),
        lambda *h: model.p_order(90, *h),
        lambda *h: model.expected_orders(365, *h),
        lambda *h: model.log_likelihood(*h),
    ):
        together = answer(x, t_x, T)
        alone = [answer(x[[i]], t_x[[i]], T[[i]])[0] for i in range(len(x))]
        assert together.tolist() == alone


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


# Fits


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


@pytest.mark.parametrize("model", SOME, ids=named)
def test_known_parameters_are_recovered_within_three_standard_errors(model):
    history, log_gaps = simulate(model, 6_000, 20)
    k = model.to_dict().get("k")
    fit = fit_purchases(*history, model=type(model), k=k, log_gaps=log_gaps)
    assert fit.notes == ()
    for name in model.free:
        error = fit.standard_errors[name]
        assert abs(fit.model.to_dict()[name] - model.to_dict()[name]) <= 3 * error, name


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
