"""How purchase models are fitted: regularity, what is not told, impossible weights, long windows."""

from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import numpy as np
import pytest
from scipy.special import pdtrc

from models.purchases import (
    BGNBD,
    FAMILY,
    MBGCNBD,
    MBGNBD,
    NBD,
    FitError,
    ParetoNBD,
    Prior,
    PurchaseModel,
    PurchasesFit,
    Regularity,
    as_arrays,
    dropout_weight,
    fit_again,
    fit_family,
    fit_purchases,
)
from models.purchases.geometric import LONG
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


def named(model):
    return f"{model.name}-{'-'.join(f'{value:g}' for value in model.to_dict().values())}"


@pytest.mark.parametrize("model", SOME, ids=named)
def test_thousands_of_purchases_stay_finite(model):
    x, t_x = [221, 254, 161, 204, 132, 133, 2500], [300, 360, 200, 250, 200, 200, 3000]
    T = [301, 361, 201, 250, 200, 200, 3001]
    for actual in (
        model.log_likelihood(x, t_x, T),
        model.p_alive(x, t_x, T),
        model.expected_orders(365, x, t_x, T),
        model.p_order(365, x, t_x, T),
        model.gradient(x, t_x, T)[1],
    ):
        assert np.isfinite(actual).all()


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
    # In continuous time random purchases have the paper's variance of 1/12.
    assert Regularity.of(pairs, 0.0, variance, 1 / 12).wheat_k == pytest.approx(k, rel=0.03)


def test_regularity_is_unknown_where_gaps_could_not_differ():
    assert np.isnan(Regularity.of(1, 0.0, None, None).wheat_k)  # no two gaps
    assert np.isnan(Regularity.of(9, 0.0, 0.0, 0.0).wheat_k)  # every gap is the shortest, one day


@pytest.mark.parametrize("customers", [[0, 1], [-1, 1], [np.nan, 1], [1], [1, 1, 1]])
def test_impossible_numbers_of_customers_are_refused_in_words(customers):
    with pytest.raises(FitError, match="a number of customers above 0"):
        fit_purchases([1, 0], [3, 0], [10, 20], customers)


def test_where_nobody_leaves_the_rate_of_buying_still_has_standard_errors():
    history, _ = simulate(NBD(1.2, 60.0), 3_000, 3)
    for model in FAMILY.values():
        if not model.can_leave or model.is_regular:
            continue
        fit = fit_purchases(*history, model=model)
        assert any("no dropout identified" in note for note in fit.notes)
        errors = fit.standard_errors
        assert errors["r"] > 0
        assert errors["alpha"] > 0
        assert all(np.isnan(errors[name]) for name in model.free if name not in ("r", "alpha"))


@pytest.mark.parametrize("days", [365.0, 730.0, 1825.0, 3650.0])
@pytest.mark.parametrize("model", [MBGNBD(9.791, 3.447, 0.973, 8.307), MBGNBD(10, 2, 0.02, 30)])
def test_years_of_a_new_customer_of_a_fast_store_are_summed_exactly(model, days):
    expected = model.expected_orders(days, [0], [0], [5])
    assert expected == pytest.approx(sum_of(model.tails(days, [0], [0], [5])), rel=1e-9)
    cut = model.expected_orders(days / 2, [0], [0], [5])
    assert cut < expected < 2 * cut  # who may leave buys less in the second half


@pytest.mark.parametrize("model", [MBGNBD(9.791, 3.447, 0.973, 8.307), MBGNBD(10, 2, 0.02, 30)])
@pytest.mark.parametrize("x", [0, 3, 40])
def test_the_mean_over_nodes_equals_the_sum_up_to_the_longest_window_it_is_used_for(model, x):
    days = (model.alpha + 50) * np.array([0.9, 1.1, 3.9, 4.1, LONG])
    history = ([x], [49 if x else 0], [50])
    expected = model.expected_orders(days, *history)
    assert expected == pytest.approx(sum_of(model.tails(days, *history)), rel=1e-9)


def test_every_model_has_a_name_of_its_own():
    assert {model.name for model in FAMILY.values()} == set(FAMILY)


def test_how_far_customers_leave_after_orders_is_akaikes_weight():
    """Of AICs that differ by 2 ln 3, one model is thrice as likely as the other."""

    def fit(model, worse):
        return PurchasesFit(model, -worse, 100, np.zeros((len(model.free), len(model.free))))

    after, never = MBGNBD(0.9, 30.0, 0.6, 2.0), NBD(0.9, 30.0)
    extra = len(after.free) - len(never.free)  # parameters, each worth 1 of log-likelihood
    family = [fit(after, 0.0), fit(never, np.log(3) + extra)]
    assert dropout_weight(family) == pytest.approx(0.75)
    assert dropout_weight(family[:1]) == 1
    assert dropout_weight(family[1:]) == 0


@dataclass(frozen=True)
class Poisson(PurchaseModel):
    """Everybody buys at one rate and nobody leaves: shares no parameter with the family."""

    gap: float  # days

    name: ClassVar = "poisson"
    title: ClassVar = "Poisson"
    free: ClassVar = ("gap",)
    times: ClassVar = ("gap",)

    @classmethod
    def starts(cls, rate):
        return [(0.5 / rate,), (2 / rate,)]

    def notes(self, at_bound):
        return tuple(f"{name} is at its bound" for name in at_bound)

    def gradient(self, x, t_x, T):
        x, _, T = as_arrays(x, t_x, T)
        value = -x * np.log(self.gap) - T / self.gap
        return value, (T / self.gap**2 - x / self.gap)[None]

    def p_alive(self, x, t_x, T):
        return np.ones(as_arrays(x, t_x, T)[0].shape)

    def active_tails(self, days, x, T):
        days, x, _ = as_arrays(days, x, T)
        for n in count(1):
            yield pdtrc(n - 1, days / self.gap)[None]

    def active_orders(self, days, x, T):
        days, x, _ = as_arrays(days, x, T)
        return (days / self.gap)[None]


@pytest.mark.parametrize("prior", [None, Prior()])
def test_a_candidate_of_other_parameters_is_fitted_to_its_own_optimum(prior):
    x, t_x, T = [2.0, 0.0, 3.0], [100.0, 0.0, 250.0], [300.0, 50.0, 400.0]
    fit = fit_purchases(x, t_x, T, model=Poisson, prior=prior)
    assert fit.model.gap == pytest.approx(750 / 5, rel=1e-6)
    assert fit.standard_errors["gap"] == pytest.approx(150 / np.sqrt(5), rel=1e-3)
    assert fit.notes == ()
    assert fit_again(fit.model, x, t_x, T, prior=prior).gap == pytest.approx(150, rel=1e-6)
    expected = fit.model.expected_orders(300, x, t_x, T)
    assert expected == pytest.approx([2.0, 2.0, 2.0], rel=1e-6)
    seldom = fit_purchases(
        [1.0, *[0.0] * 20_000], [1.0, *[0.0] * 20_000], [300.0] * 20_001, model=Poisson
    )
    assert seldom.notes == ("gap is at its bound",)
