"""BG/NBD against published and independently computed figures, then properties, then recovery."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.purchases import BGNBD, MBGNBD, NBD, FitError, ParetoNBD, fit_purchases

PAPER = BGNBD(r=0.243, alpha=4.414, a=0.793, b=2.426)  # Fader, Hardie & Lee (2005), weeks


@pytest.fixture(scope="module")
def cdnow_sample(lifetimes_data):
    """The 1/10 sample of CDNOW, 39 weeks: 2,357 customers."""
    return pd.read_csv(lifetimes_data / "cdnow_customers_summary.csv")


@pytest.fixture(scope="module")
def sample_fit(cdnow_sample):
    data = cdnow_sample
    return fit_purchases(data["frequency"], data["recency"], data["T"])


def test_parameters_equal_fader_hardie_lee_2005_table_2(sample_fit):
    found = sample_fit.model
    assert (found.r, found.alpha, found.a, found.b) == pytest.approx(
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
    found = BGNBD(*parameters).expected_orders(days, [x], [t_x], [T])
    assert found == pytest.approx(exact, rel=1e-9)


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


def test_weights_give_what_the_rows_give(cdnow_sample, sample_fit):
    cells = cdnow_sample.groupby(["frequency", "recency", "T"]).size().reset_index(name="n")
    fit = fit_purchases(*(cells[name] for name in cells))
    assert fit.log_likelihood == pytest.approx(sample_fit.log_likelihood, abs=1e-6)
    assert fit.model.a == pytest.approx(sample_fit.model.a, rel=1e-4)


def test_row_order_does_not_matter(cdnow_sample, sample_fit):
    mixed = cdnow_sample.sample(frac=1, random_state=1)
    fit = fit_purchases(mixed["frequency"], mixed["recency"], mixed["T"])
    assert fit.model.to_dict() == pytest.approx(sample_fit.model.to_dict(), rel=1e-4)


def test_days_and_weeks_tell_the_same(cdnow_sample, sample_fit):
    data = cdnow_sample
    days = fit_purchases(data["frequency"], 7 * data["recency"], 7 * data["T"]).model
    assert days.alpha == pytest.approx(7 * sample_fit.model.alpha, rel=1e-3)
    assert days.r == pytest.approx(sample_fit.model.r, rel=1e-3)


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
    found = fit_purchases(x, t_x, T).model
    assert found.to_dict() == pytest.approx(truth.to_dict(), rel=0.1)


def test_a_history_that_shows_nobody_leaving_is_fitted_and_says_so():
    rng = np.random.default_rng(3)
    T = np.full(3000, 300.0)
    x = rng.poisson(rng.gamma(1.2, 1 / 60, 3000) * T).astype(float)
    t_x = np.where(x > 0, T * rng.random(3000) ** (1 / np.maximum(x, 1)), 0)
    fit = fit_purchases(x, t_x, T)
    assert any("no dropout identified" in note for note in fit.notes)
    assert np.isfinite(fit.log_likelihood)


def test_where_nobody_leaves_the_fit_is_as_good_as_the_model_without_leaving():
    rng = np.random.default_rng(5)
    T = rng.uniform(50, 400, 2000)
    x = rng.poisson(rng.gamma(0.5, 1 / 50, 2000) * T).astype(float)
    t_x = np.where(x > 0, T * rng.random(2000) ** (1 / np.maximum(x, 1)), 0)
    without = fit_purchases(x, t_x, T, model=NBD).log_likelihood
    for model in (BGNBD, MBGNBD, ParetoNBD):
        assert fit_purchases(x, t_x, T, model=model).log_likelihood >= without - 0.1


@pytest.mark.parametrize(
    ("x", "t_x", "T", "said"),
    [
        ([0, 0], [0, 0], [10, 20], "nobody has a second purchase day"),
        ([1, 0], [0, 0], [0, 0], "longer than the first day"),
        ([1.5, 1], [3, 3], [10, 20], "whole x"),
        ([-1, 1], [3, 3], [10, 20], "whole x"),
        ([1, 1], [11, 3], [10, 20], "t_x <= T"),
        ([0, 1], [3, 3], [10, 20], "t_x <= T"),
        ([np.nan, 1], [3, 3], [10, 20], "finite"),
        ([], [], [], "longer than the first day"),
    ],
)
def test_impossible_histories_are_refused_in_words(x, t_x, T, said):
    with pytest.raises(FitError, match=said):
        fit_purchases(x, t_x, T)


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
