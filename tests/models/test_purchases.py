"""BG/NBD against published and independently computed figures, then fits of the whole family, then properties."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.purchases import (
    BGNBD,
    FAMILY,
    MBGCNBD,
    MBGNBD,
    NBD,
    FitError,
    fit_family,
    fit_purchases,
)

PAPER = BGNBD(r=0.243, alpha=4.414, a=0.793, b=2.426)  # Fader, Hardie & Lee (2005), weeks
every_model = pytest.mark.parametrize("model", FAMILY.values(), ids=FAMILY)
every_model_of_leaving = pytest.mark.parametrize(
    "model",
    [model for model in FAMILY.values() if model.can_leave and not model.is_regular],
    ids=lambda model: model.name,
)


@pytest.fixture(scope="module")
def cdnow_sample(lifetimes_data):
    """The 1/10 sample of CDNOW, 39 weeks: 2,357 customers."""
    return pd.read_csv(lifetimes_data / "cdnow_customers_summary.csv")


@pytest.fixture(scope="module")
def fits_of_sample(cdnow_sample):
    data = cdnow_sample
    return {
        model: fit_purchases(data["frequency"], data["recency"], data["T"], model=model)
        for model in FAMILY.values()
    }


@pytest.fixture(scope="module")
def sample_fit(fits_of_sample):
    return fits_of_sample[BGNBD]


def test_parameters_equal_fader_hardie_lee_2005_table_2(sample_fit):
    actual = sample_fit.model
    assert (actual.r, actual.alpha, actual.a, actual.b) == pytest.approx(
        (0.243, 4.414, 0.793, 2.426), abs=0.001
    )


def test_log_likelihood_equals_fader_hardie_lee_2005(sample_fit):
    assert sample_fit.log_likelihood == pytest.approx(-9582.4, abs=0.05)
    assert sample_fit.customers == 2357


def test_expected_orders_of_the_customer_in_fader_and_hardies_excel_note():
    assert PAPER.expected_orders(39, [2], [30.43], [38.86]) == pytest.approx(1.226, abs=0.0005)


@pytest.mark.parametrize(
    ("parameters", "history", "days", "exact"),
    [
        ((0.243, 4.414, 0.793, 2.426), (2, 30.43, 38.86), 39, 1.226028175),
        ((0.243, 4.414, 0.793, 2.426), (0, 0, 38.86), 39, 0.195098052),
        ((0.11, 2.24, 0.31, 0.50), (0, 0, 1), 30, 0.5645886155),
        ((0.243, 4.414, 1.0, 2.426), (2, 30.43, 38.86), 39, 1.102136786),
        ((0.243, 4.414, 0.5, 0.5), (0, 0, 38.86), 39, 0.1772362476),
    ],
    ids=["usual", "one-time buyer", "a + b < 1", "pole a = 1", "pole a + b = 1"],
)
def test_expected_orders_equal_40_digit_integration(parameters, history, days, exact):
    x, t_x, T = history
    actual = BGNBD(*parameters).expected_orders(days, [x], [t_x], [T])
    assert actual == pytest.approx(exact, rel=1e-9)


def test_customer_1516_of_the_btyd_vignette():
    model = BGNBD(0.2425967, 4.413659, 0.7929869, 2.426164)
    t_x = 216 / 7  # weeks, printed as 30.86
    assert model.expected_orders(52, [26], [t_x], [31]) == pytest.approx(25.75659, rel=1e-6)
    assert model.p_alive([26], [t_x], [31]) == pytest.approx(0.9688523, rel=1e-6)


@pytest.mark.parametrize(
    ("x", "published"),
    [(10, 0.3474606), (15, 0.04283391), (20, 0.004158973), (25, 0.0003583685)],
)
def test_increasing_frequency_paradox_of_the_btyd_vignette(x, published):
    model = BGNBD(0.2425967, 4.413659, 0.7929869, 2.426164)
    assert model.expected_orders(52, [x], [20], [39]) == pytest.approx(published, rel=1e-5)


def test_chances_of_the_example_customer():
    assert PAPER.p_alive([2], [30.43], [38.86]) == pytest.approx(0.7266, abs=5e-5)
    assert PAPER.p_order(39, [2], [30.43], [38.86]) == pytest.approx(0.5546, abs=5e-5)


def test_one_time_buyers_are_alive_by_the_models_assumption():
    assert PAPER.p_alive([0], [0], [500]) == 1


@every_model
def test_weights_give_exactly_what_the_rows_give(cdnow_sample, fits_of_sample, model):
    cells = cdnow_sample.groupby(["frequency", "recency", "T"]).size().reset_index(name="n")
    fit = fit_purchases(*(cells[name] for name in cells), model=model)
    assert fit.model == fits_of_sample[model].model
    assert fit.log_likelihood == fits_of_sample[model].log_likelihood
    assert fit.customers == 2357
    assert (fit.covariance == fits_of_sample[model].covariance).all()


@every_model
def test_row_order_does_not_matter(cdnow_sample, fits_of_sample, model):
    mixed = cdnow_sample.sample(frac=1, random_state=1)
    fit = fit_purchases(mixed["frequency"], mixed["recency"], mixed["T"], model=model)
    assert fit.model == fits_of_sample[model].model
    assert fit.log_likelihood == fits_of_sample[model].log_likelihood


@every_model
def test_days_and_weeks_tell_the_same(cdnow_sample, fits_of_sample, model):
    data, weeks = cdnow_sample, fits_of_sample[model]
    days = fit_purchases(data["frequency"], 7 * data["recency"], 7 * data["T"], model=model)
    of_unit = data["frequency"].sum() * np.log(7) * getattr(weeks.model, "every", 1)
    assert days.log_likelihood == pytest.approx(weeks.log_likelihood - of_unit, abs=1e-6)
    for name in model.free:
        unit = 7 if name in model.times else 1
        assert getattr(days.model, name) == pytest.approx(
            unit * getattr(weeks.model, name), rel=1e-5
        )
        assert days.standard_errors[name] == pytest.approx(
            unit * weeks.standard_errors[name], rel=1e-4
        )


@every_model
def test_a_fit_starts_from_an_earlier_one_and_ends_where_it_would_have(
    cdnow_sample, fits_of_sample, model
):
    data, cold = cdnow_sample, fits_of_sample[model]
    history = (data["frequency"], data["recency"], data["T"])
    warm = fit_purchases(*history, model=model, start=cold.model)
    assert warm.log_likelihood == pytest.approx(cold.log_likelihood, abs=1e-6)
    assert warm.model.to_dict() == pytest.approx(cold.model.to_dict(), rel=1e-4)
    other = fit_purchases(*history, model=model, start=NBD(1, 1) if model is BGNBD else PAPER)
    assert other.log_likelihood == pytest.approx(cold.log_likelihood, abs=1e-6)


def test_gaps_are_sums_of_two_random_ones_where_nothing_else_is_said(cdnow_sample):
    data = cdnow_sample
    history = (data["frequency"], data["recency"], data["T"])
    fit = fit_purchases(*history, model=MBGCNBD)
    assert fit.model.k == 2
    assert fit.title == "mbg_cnbd_2"
    assert fit.aic == 2 * 5 - 2 * fit.log_likelihood  # k is a parameter, too
    logs = fit_purchases(*history, model=MBGCNBD, k=3, log_gaps=100.0)
    plain = fit_purchases(*history, model=MBGCNBD, k=3)
    assert logs.log_likelihood == pytest.approx(plain.log_likelihood + 2 * 100.0, abs=1e-9)
    assert logs.model == plain.model


def test_regular_gaps_of_k_1_are_fitted_as_mbg_is(cdnow_sample, fits_of_sample):
    data = cdnow_sample
    fit = fit_purchases(data["frequency"], data["recency"], data["T"], model=MBGCNBD, k=1)
    plain = fits_of_sample[MBGNBD]
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    for name in MBGNBD.free:
        assert getattr(fit.model, name) == pytest.approx(getattr(plain.model, name), rel=1e-4)


def test_known_parameters_are_recovered_from_a_simulation():
    truth = BGNBD(r=0.6, alpha=40.0, a=0.8, b=2.5)
    rng = np.random.default_rng(7)
    n = 40_000
    rate, leave = rng.gamma(truth.r, 1 / truth.alpha, n), rng.beta(truth.a, truth.b, n)
    T = rng.uniform(100, 700, n)
    x, t_x = np.zeros(n), np.zeros(n)
    now, active = np.zeros(n), np.ones(n, dtype=bool)
    while active.any():
        now = now + rng.exponential(1 / rate)
        active &= now < T
        x[active] += 1
        t_x[active] = now[active]
        active &= rng.random(n) >= leave
    actual = fit_purchases(x, t_x, T).model
    assert actual.to_dict() == pytest.approx(truth.to_dict(), rel=0.1)


@pytest.fixture(scope="module")
def nobody_leaves():
    rng = np.random.default_rng(3)
    T = np.full(3000, 300.0)
    x = rng.poisson(rng.gamma(1.2, 1 / 60, 3000) * T).astype(float)
    t_x = np.where(x > 0, T * rng.random(3000) ** (1 / np.maximum(x, 1)), 0)
    return x, t_x, T


@every_model_of_leaving
def test_a_history_that_shows_nobody_leaving_is_fitted_and_says_so(nobody_leaves, model):
    fit = fit_purchases(*nobody_leaves, model=model)
    assert any("no dropout identified" in note for note in fit.notes)
    assert np.isfinite(fit.log_likelihood)
    assert fit.model.p_alive(*nobody_leaves).min() > 0.99


@every_model_of_leaving
def test_where_nobody_leaves_the_fit_is_as_good_as_the_model_without_leaving(model):
    rng = np.random.default_rng(5)
    T = rng.uniform(50, 400, 2000)
    x = rng.poisson(rng.gamma(0.5, 1 / 50, 2000) * T).astype(float)
    t_x = np.where(x > 0, T * rng.random(2000) ** (1 / np.maximum(x, 1)), 0)
    without = fit_purchases(x, t_x, T, model=NBD).log_likelihood
    assert fit_purchases(x, t_x, T, model=model).log_likelihood >= without - 0.001


@every_model
@pytest.mark.parametrize(
    ("x", "t_x", "T", "message"),
    [
        ([0, 0], [0, 0], [10, 20], "nobody has a second purchase day"),
        ([1, 0], [0, 0], [0, 0], "longer than the first day"),
        ([1.5, 1], [3, 3], [10, 20], "whole x"),
        ([-1, 1], [3, 3], [10, 20], "whole x"),
        ([1, 1], [-3, 3], [10, 20], "0 <= t_x"),
        ([1, 1], [11, 3], [10, 20], "t_x <= T"),
        ([0, 1], [3, 3], [10, 20], "t_x <= T"),
        ([0, 1], [0, 3], [-1, 20], "1 of 2 do not"),
        ([np.nan, 1], [3, 3], [10, 20], "finite"),
        ([1, 1], [3, np.nan], [10, 20], "finite"),
        ([1, 1], [3, 3], [10, np.nan], "finite"),
        ([1, 1], [3, 3], [10, np.inf], "finite"),
        ([], [], [], "longer than the first day"),
    ],
)
def test_impossible_histories_are_refused_in_words(x, t_x, T, message, model):
    with pytest.raises(FitError, match=message):
        fit_purchases(x, t_x, T, model=model)


@pytest.mark.parametrize(
    ("x", "t_x", "T", "message"),
    [
        ([0, 0], [0, 0], [10, 20], "nobody has a second purchase day"),
        ([], [], [], "longer than the first day"),
        ([1, 1], [11, 3], [10, 20], "t_x <= T"),
    ],
)
def test_a_family_that_cannot_be_fitted_says_why(x, t_x, T, message):
    with pytest.raises(FitError, match=message):
        fit_family(x, t_x, T)


ODD = {
    "one customer": ([1], [3], [10]),
    "all alike": ([2] * 50, [90] * 50, [200] * 50),
    "all bought today": ([3] * 30, [100] * 30, [100] * 30),
    "ten customers": (
        [0, 1, 0, 3, 0, 0, 1, 2, 0, 1],
        [0, 9, 0, 80, 0, 0, 30, 50, 0, 7],
        [99] * 10,
    ),
    "one of 2,000 purchases": ([0] * 99 + [2000], [0] * 99 + [2900], [3000] * 100),
    "all of thousands": ([2000, 3000, 2500] * 5, [2900, 2999, 10] * 5, [3000] * 15),
    "one of 100,000 purchases": ([0] * 50 + [100_000], [0] * 50 + [2900], [3000] * 51),
    "centuries": ([1, 0, 2], [1e6, 0, 9e6], [2e6, 1e7, 1e7]),
}


@every_model
@pytest.mark.parametrize("history", ODD.values(), ids=ODD)
def test_odd_histories_are_fitted_and_predict_numbers(model, history):
    fit = fit_purchases(*history, model=model)
    assert np.isfinite(fit.log_likelihood)
    assert np.isfinite(list(fit.model.to_dict().values())).all()
    assert set(fit.standard_errors) == set(model.free)
    for days in (0, 1, 365, 3650):
        chance, expected = (
            predict(days, *history) for predict in (fit.model.p_order, fit.model.expected_orders)
        )
        assert np.isfinite(expected).all()
        assert ((chance >= 0) & (chance <= 1)).all()
        assert (chance <= expected + 1e-9).all()
    alive = fit.model.p_alive(*history)
    assert ((alive >= 0) & (alive <= 1)).all()
    assert not np.isnan(fit.model.median_days(*history)).any()
    assert np.isfinite(fit.model.distribution(365, *history, 5)).all()


parameters = st.builds(
    BGNBD,
    r=st.floats(0.05, 5),
    alpha=st.floats(1, 300),
    a=st.floats(0.05, 5),
    b=st.floats(0.05, 10),
)


@st.composite
def histories(draw):
    T = draw(st.integers(0, 2000))
    t_x = draw(st.integers(0, T))
    x = 0 if t_x == 0 else draw(st.integers(1, min(t_x, 400)))
    return x, t_x, T


@settings(deadline=None)
@given(parameters, histories(), st.integers(1, 3650))
def test_predictions_are_finite_chances_and_counts(model, history, days):
    x, t_x, T = ([v] for v in history)
    alive, p, expected = (
        model.p_alive(x, t_x, T)[0],
        model.p_order(days, x, t_x, T)[0],
        model.expected_orders(days, x, t_x, T)[0],
    )
    assert 0 <= alive <= 1
    assert 0 <= p <= alive
    assert np.isfinite(expected)
    assert expected >= p - 1e-12  # a chance of one or more is at most the mean number


@settings(deadline=None)
@given(parameters, histories(), st.integers(1, 1000), st.integers(1, 1000))
def test_a_longer_horizon_never_brings_less(model, history, days, more):
    x, t_x, T = ([v] for v in history)
    for predict in (model.p_order, model.expected_orders):
        assert predict(days + more, x, t_x, T)[0] >= predict(days, x, t_x, T)[0] - 1e-12


@settings(deadline=None)
@given(parameters, histories(), st.integers(1, 500))
def test_longer_silence_never_raises_the_chance_of_being_alive(model, history, silent):
    x, t_x, T = history
    now, later = model.p_alive([x, x], [t_x, t_x], [T, T + silent])
    assert later <= now


@settings(deadline=None)
@given(parameters, histories())
def test_nothing_is_expected_of_no_time(model, history):
    x, t_x, T = ([v] for v in history)
    assert model.p_order(0, x, t_x, T) == 0
    assert model.expected_orders(0, x, t_x, T) == 0


@settings(deadline=None)
@given(parameters, histories())
def test_the_median_day_splits_the_chance_in_halves(model, history):
    x, t_x, T = ([v] for v in history)
    days = model.median_days(x, t_x, T)[0]
    if np.isinf(days) or days > 1e9:
        assert model.p_order(1e5, x, t_x, T)[0] <= 0.5
    else:
        assert model.p_order(days, x, t_x, T)[0] == pytest.approx(0.5, abs=1e-6)


def test_hundreds_of_purchases_stay_finite():
    x, t_x, T = [221, 254, 2500], [300, 360, 3000], [301, 361, 3001]
    assert np.isfinite(PAPER.expected_orders(365, x, t_x, T)).all()
    assert np.isfinite(PAPER.log_likelihood(x, t_x, T)).all()
    assert np.isfinite(PAPER.p_alive(x, t_x, T)).all()


def test_a_model_is_plain_numbers():
    assert BGNBD(**json.loads(json.dumps(PAPER.to_dict()))) == PAPER
