"""Priors on purchase models: exact by hand, off by default, and vanishing as customers grow."""

import numpy as np
import pytest

from models.purchases import (
    FAMILY,
    MBGNBD,
    Normal,
    Prior,
    fit_again,
    fit_family,
    fit_purchases,
)
from tests.models.test_purchases_simulation import TRUTHS, simulate

TRUTH = MBGNBD(1.0, 365 / 3, 0.6, 1.4)
every_model = pytest.mark.parametrize("model", FAMILY.values(), ids=FAMILY)


def history_of(n, seed):
    """Whole histories of n customers; days are not rounded."""
    return simulate(TRUTH, n, seed).history


def test_the_penalty_is_the_distance_in_standard_deviations():
    """One standard deviation in log r, two in the log odds of leaving, none in log(a + b)."""
    prior = Prior(
        log_r=Normal(0.0, 1.0), leaving=Normal(0.0, 0.5), log_concentration=Normal(np.log(4), 1.0)
    )
    share = np.e / (1 + np.e)  # log odds of 1
    log_params = np.log([np.e, 99.0, 4 * share, 4 * (1 - share)])
    penalty, slope = prior.penalty(MBGNBD.free, log_params)
    assert penalty == pytest.approx(0.5 * (1**2 + 2**2))
    assert slope == pytest.approx([1.0, 0.0, 1 / 0.5**2, -1 / 0.5**2])


@every_model
def test_the_gradient_is_the_slope_of_the_penalty(model):
    log_params = np.random.default_rng(1).normal(0, 1, len(model.free))
    prior, step = Prior(), 1e-6
    _, slope = prior.penalty(model.free, log_params)
    for place in range(len(model.free)):
        move = np.zeros(len(model.free))
        move[place] = step
        above, below = (prior.penalty(model.free, log_params + s * move)[0] for s in (1, -1))
        assert slope[place] == pytest.approx((above - below) / (2 * step), abs=1e-6)


@every_model
def test_the_level_of_the_purchase_rate_has_no_prior(model):
    log_params = np.zeros(len(model.free))
    moved = log_params + (np.array(model.free) == "alpha")
    prior = Prior()
    assert prior.penalty(model.free, log_params)[0] == prior.penalty(model.free, moved)[0]


@every_model
def test_the_mode_is_no_likelier_but_nearer_to_the_prior(model):
    history = history_of(150, 1)
    plain, mode = (fit_purchases(*history, model=model, prior=p) for p in (None, Prior()))
    assert mode.log_likelihood < plain.log_likelihood
    assert mode.log_likelihood == pytest.approx(
        mode.model.log_likelihood(*history).sum(), rel=1e-12
    )

    def penalty(fit):
        scale = max(history[2])
        values = fit.model.to_dict()
        logs = [np.log(values[n] / (scale if n in model.times else 1.0)) for n in model.free]
        return Prior().penalty(model.free, np.array(logs))[0]

    assert penalty(mode) < penalty(plain)
    assert mode.log_likelihood - penalty(mode) > plain.log_likelihood - penalty(plain)


@every_model
def test_the_unit_of_time_does_not_matter_to_the_prior(model):
    x, t_x, T = history_of(200, 2)
    days, weeks = (
        fit_purchases(x, t_x / unit, T / unit, model=model, prior=Prior()).model.to_dict()
        for unit in (1, 7)
    )
    for name in model.free:
        times = 7 if name in model.times else 1
        assert days[name] == pytest.approx(weeks[name] * times, rel=1e-4)


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.kind)
def test_the_prior_vanishes_as_customers_grow(truth):
    history, k = simulate(truth, 20_000, 3).history, getattr(truth, "k", None)
    plain, mode = (
        fit_purchases(*history, model=type(truth), k=k, prior=p).model for p in (None, Prior())
    )
    assert mode.to_dict() == pytest.approx(plain.to_dict(), rel=0.01)


def test_the_totals_of_small_stores_vary_less():
    """Of stores of 150 customers, the log of the total forecast over the truth."""
    truths = [
        MBGNBD(1.0, 365 / 1, 0.5, 1.5),
        MBGNBD(2.0, 2 * 365 / 2, 1.0, 2.5),
        MBGNBD(0.7, 0.7 * 365 / 5, 0.6, 0.1),
        MBGNBD(1.5, 365.0, 0.9, 0.3),
    ]
    errors = []
    for truth in truths:
        for store in range(10):
            history = simulate(truth, 150, [4, store]).history
            total = truth.expected_orders(365, *history).sum()
            start = MBGNBD(1.0, 100.0, 1.0, 2.0)
            fits = (
                fit_purchases(*history, model=MBGNBD, start=start, prior=p)
                for p in (None, Prior())
            )
            errors.append(
                [np.log(fit.model.expected_orders(365, *history).sum() / total) for fit in fits]
            )
    plain, mode = np.sqrt(np.mean(np.square(errors), axis=0))
    assert mode < 0.85 * plain


def test_a_family_is_fitted_with_the_prior():
    history = history_of(300, 5)
    family = fit_family(*history, prior=Prior())
    single = next(fit for fit in family if isinstance(fit.model, MBGNBD))
    assert single.model == fit_purchases(*history, model=MBGNBD, prior=Prior()).model
    again = fit_again(single.model, *history, prior=Prior())
    assert again.to_dict() == pytest.approx(single.model.to_dict(), rel=1e-5)
