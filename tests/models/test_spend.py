"""Gamma-Gamma against Fader & Hardie's note 025, then properties."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from models.purchases import FitError
from models.spend import Spend, fit_spend


@pytest.fixture(scope="module")
def cdnow_spend(lifetimes_data):
    data = pd.read_csv(lifetimes_data / "cdnow_customers_summary_with_transactions.csv")
    return data.rename(columns={"x": "frequency", "zbar": "monetary_value"}).drop(
        columns=["ID", "t_x", "T"]
    )


@pytest.fixture(scope="module")
def fit(cdnow_spend):
    repeat = cdnow_spend[cdnow_spend["frequency"] > 0]
    return fit_spend(repeat["frequency"], repeat["monetary_value"])


def test_parameters_equal_fader_and_hardie_note_025(fit):
    assert (fit.model.p, fit.model.q, fit.model.gamma) == pytest.approx(
        (6.25, 3.74, 15.44), abs=0.01
    )
    assert fit.customers == 946


def test_log_likelihood_equals_clvtools(fit):
    assert fit.log_likelihood == pytest.approx(-4055.918, abs=0.01)


def test_population_mean_equals_fader_and_hardie_note_025(fit):
    assert fit.model.mean == pytest.approx(35.17, abs=0.005)


def test_expected_spend_of_the_first_ten_customers_of_note_025(cdnow_spend, fit):
    first = cdnow_spend.head(10)
    actual = fit.model.expected_order_value(first["frequency"], first["monetary_value"])
    published = [24.66, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17]
    assert actual == pytest.approx(published, abs=0.005)


def test_weights_give_what_the_rows_give(cdnow_spend, fit):
    repeat = cdnow_spend[cdnow_spend["frequency"] > 0]
    cells = repeat.groupby(["frequency", "monetary_value"]).size().reset_index(name="n")
    weighted = fit_spend(*(cells[name] for name in cells))
    assert weighted.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-4)


def test_cents_give_a_hundred_times_the_dollars(cdnow_spend, fit):
    repeat = cdnow_spend[cdnow_spend["frequency"] > 0]
    cents = fit_spend(repeat["frequency"], 100 * repeat["monetary_value"])
    assert cents.model.mean == pytest.approx(100 * fit.model.mean, rel=1e-3)
    assert cents.model.p == pytest.approx(fit.model.p, rel=1e-3)


def test_known_parameters_are_recovered_from_a_simulation():
    truth = Spend(p=6.0, q=4.0, gamma=15.0)
    rng = np.random.default_rng(11)
    x = rng.integers(1, 12, 20_000).astype(float)
    rate = rng.gamma(truth.q, 1 / truth.gamma, len(x))
    m = rng.gamma(truth.p * x, 1 / (rate * x))
    fit = fit_spend(x, m)
    assert fit.model.mean == pytest.approx(truth.mean, rel=0.02)
    gained = 2 * (fit.log_likelihood - truth.log_likelihood(x, m).sum())
    assert 0 <= gained < chi2(3).ppf(0.999)  # the truth lies in the fit's confidence region


def test_a_degenerate_optimum_is_not_kept():
    """From the start (1, 1, 1) the UCI data end 228 likelihood units too low; several starts do not."""
    rng = np.random.default_rng(2)
    x = rng.integers(1, 30, 3000).astype(float)
    m = rng.gamma(3.02 * x, 1 / (rng.gamma(3.17, 1 / 302.3, 3000) * x))
    truth = Spend(3.02, 3.17, 302.3)
    assert fit_spend(x, m).log_likelihood >= truth.log_likelihood(x, m).sum()


@pytest.mark.parametrize(
    ("x", "m", "message"),
    [
        ([], [], "needs repeat customers: 0 have"),
        ([1], [10.0], "needs repeat customers: 1"),
        ([1, 2], [10.0, 0.0], "positive"),
        ([1, 0], [10.0, 5.0], "positive"),
        ([1, 2], [10.0, np.inf], "positive"),
    ],
)
def test_impossible_spend_is_refused_in_words(x, m, message):
    with pytest.raises(FitError, match=message):
        fit_spend(x, m)


@given(st.integers(0, 500), st.floats(0.01, 1e6))
def test_an_expectation_lies_between_the_own_and_everyones_mean(x, m):
    model = Spend(6.25, 3.74, 15.44)
    actual = model.expected_order_value([x], [m])[0]
    low, high = sorted((model.mean, m if x else model.mean))
    assert low * (1 - 1e-12) <= actual <= high * (1 + 1e-12)


def test_a_repeat_customer_whose_orders_were_free_gets_everyones_mean():
    model = Spend(6.25, 3.74, 15.44)
    assert model.expected_order_value([3], [0.0]) == pytest.approx(model.mean)


@pytest.mark.parametrize(
    ("x", "m", "message"),
    [
        ([1, 2, 3, 1], [25.0] * 4, "hardly differ"),
        (
            np.r_[1:30, 1:30].astype(float),
            np.r_[[24.99] * 29, [29.99] * 29],
            "orders hardly differ",
        ),
    ],
    ids=["one price", "two prices"],
)
def test_a_store_of_fixed_prices_is_fitted_and_says_so(x, m, message):
    fit = fit_spend(x, m)
    assert any(message in note for note in fit.notes)
    assert fit.model.mean == pytest.approx(np.mean(m), rel=0.05)
    assert fit.model.expected_order_value(x, m) == pytest.approx(m, rel=0.05)


def test_small_histories_are_fitted():
    """From a dozen repeat customers lifetimes often finds no optimum; the bounds still hold one."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        x = rng.integers(1, 5, 12).astype(float)
        m = rng.gamma(6 * x, 1 / (rng.gamma(4, 1 / 15, 12) * x))
        actual = fit_spend(x, m).model.expected_order_value(x, m)
        assert ((actual > m.min() / 2) & (actual < m.max() * 2)).all()


def test_a_low_order_value_is_the_quantile_of_the_customers_mean_over_its_median():
    """Means of p / rate, the rate drawn as Gamma-Gamma has it; none known and twenty known orders."""
    spend, rng = Spend(6.0, 4.0, 15.0), np.random.default_rng(5)
    for x, m in ((0, 0.0), (20, 40.0)):
        shape, scale = spend.of_customer(x, m)
        means = spend.p / rng.gamma(float(shape), 1 / float(scale), 400_000)
        low, middle = np.quantile(means, [0.15866, 0.5])
        expected = float(spend.expected_order_value(x, m))
        actual = float(spend.low_order_value(x, m, 1.0))
        assert actual == pytest.approx(expected * low / middle, rel=0.01)
        assert float(spend.low_order_value(x, m, 0.0)) == pytest.approx(expected)
