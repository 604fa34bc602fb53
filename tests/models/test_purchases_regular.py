"""Very regular gaps: MBG/CNBD-k with k up to 12, on a store of subscriptions."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import betainc

from models.purchases import MBGCNBD, Regularity, fit_family, fit_purchases
from models.purchases.fitting import MAX_K
from models.purchases.model import sum_of

YEARS = 3 * 365
K, GAP_DAYS = 10, 30


@dataclass(frozen=True)
class Subscriptions:
    """Customers whose days of purchase are whole days.

    Attributes
    ----------
    history
        x, t_x, T: arrays of shape (n,), on the last day of the three years.
    next_days
        Shape (n,): days from then to the next order; infinite where there is none.
    regularity
        Of the gaps within the three years.
    """

    history: tuple[np.ndarray, np.ndarray, np.ndarray]
    next_days: np.ndarray
    regularity: Regularity


def simulate(customers, seed):
    """Draw Erlang-10 gaps at rates Gamma(50, 1500), and a Beta(1, 9) chance of leaving after each order."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(50, 1 / 1500, customers)
    leaves = rng.beta(1, 9, customers)
    x, t_x, T, next_days = (np.zeros(customers) for _ in range(4))
    gaps, pairs = [], []
    for who in range(customers):
        now = rng.uniform(0, YEARS)
        days = [np.floor(now)]
        next_days[who] = np.inf
        while rng.random() >= leaves[who]:
            now += rng.gamma(K, 1 / (K * rate[who]))
            if now >= YEARS:
                next_days[who] = np.floor(now) - (YEARS - 1)
                break
            days.append(np.floor(now))
        days = np.unique(days)
        x[who], t_x[who], T[who] = len(days) - 1, days[-1] - days[0], YEARS - 1 - days[0]
        steps = np.diff(days)
        gaps.extend(steps)
        pairs.extend(pairwise(steps))
    first, second = np.transpose(pairs)
    both = first + second
    regularity = Regularity.of(
        len(gaps),
        np.log(gaps).sum(),
        ((first / both - 0.5) ** 2).mean(),
        ((1 - 2 / both) / 12).mean(),
    )
    return Subscriptions((x, t_x, T), next_days, regularity)


@pytest.fixture(scope="module")
def store():
    return simulate(3_000, 7)


@pytest.fixture(scope="module")
def family(store):
    return fit_family(*store.history, regularity=store.regularity)


def test_a_store_of_subscriptions_is_as_regular_as_it_was_drawn(store, family):
    assert store.regularity.wheat_k == pytest.approx(K, rel=0.1)
    assert isinstance(family[0].model, MBGCNBD)
    assert 8 <= family[0].model.k <= 12


def test_few_regular_models_are_fitted_around_the_best(family):
    regular = {fit.model.k: fit.aic for fit in family if isinstance(fit.model, MBGCNBD)}
    best = min(regular, key=regular.get)
    assert {best - 1, best + 1} - {MAX_K + 1} <= set(regular)
    assert len(regular) <= 5


def test_the_search_climbs_from_a_start_far_off(store, family):
    far = Regularity(store.regularity.gaps, store.regularity.log_gaps, 2.0)
    actual = fit_family(*store.history, regularity=far)[0].model
    assert actual.k == family[0].model.k
    assert actual.to_dict() == pytest.approx(family[0].model.to_dict(), rel=1e-4)


def test_half_order_by_their_median_day(store, family):
    """Of all with a median, half order by it; of those still to order, half by their own median."""
    model = family[0].model
    days = model.median_days(*store.history)
    is_finite = np.isfinite(days)
    assert is_finite.sum() > 500
    assert 0.44 < (store.next_days > days)[is_finite].mean() < 0.56
    to_order = np.isfinite(store.next_days)
    history = [column[to_order] for column in store.history]
    days = model.days_until(model.p_alive(*history) / 2, *history)
    assert 0.44 < (store.next_days[to_order] > days).mean() < 0.56


REGULAR = [
    MBGCNBD(50, 150, 1, 9, k=10),
    MBGCNBD(0.5, 2, 0.5, 1.5, k=12),
    MBGCNBD(5, 30, 3, 0.4, k=7),
]


@pytest.mark.parametrize("model", REGULAR, ids=lambda model: model.kind)
@pytest.mark.parametrize("days", [1.0, 30.0, 365.0, 1825.0])
def test_expected_orders_are_the_sum_of_their_chances(model, days):
    x = np.array([0.0, 0.0, 1.0, 12.0, 60.0, 400.0])
    T = np.array([3.0, 700.0, 60.0, 400.0, 1095.0, 2000.0])
    expected = model.active_orders(days, x, T)
    assert expected == pytest.approx(sum_of(model.active_tails(days, x, T)), rel=1e-9)


@pytest.mark.parametrize("model", REGULAR, ids=lambda model: model.kind)
@pytest.mark.parametrize("days", [0.0, 1.0, 30.0, 365.0])
def test_chances_of_more_orders_are_incomplete_beta_functions(model, days):
    """The k-th moment less those since the last order, and everybody active stays for the first."""
    x, T = np.array([0.0, 4.0, 36.0, 400.0]), np.array([10.0, 150.0, 1095.0, 2000.0])
    odds, shape = days / (model.alpha + T), model.r + model.k * x
    stays = model.b + x + 1
    stay = [1.0, stays / (model.a + stays)]
    for n, (share, tail) in enumerate(zip(stay, model.active_tails(days, x, T), strict=False)):
        for turn in range(model.k):
            needed = (n + 1) * model.k - turn
            wanted = share * betainc(needed, shape + turn, odds / (1 + odds))
            assert tail[turn] == pytest.approx(wanted, rel=1e-7, abs=1e-200)


def test_hundreds_of_very_regular_purchases_stay_finite():
    model = MBGCNBD(50, 150, 1, 9, k=12)
    history = [200.0, 300.0, 800.0], [900.0, 1000.0, 1800.0], [900.0, 1095.0, 1825.0]
    for answer in (
        *model.gradient(*history),
        model.expected_orders(365, *history),
        model.p_order(30, *history),
        model.moments(365, *history),
    ):
        assert np.isfinite(answer).all()
    median = model.median_days(*history)  # the last two are silent for ten gaps and more
    assert np.isfinite(median[0])
    assert np.isinf(median[1:]).all()


def test_expected_orders_are_the_mean_of_simulated_ones():
    """Customers of a truth with k = 10, an independent simulation after the day."""
    model, rng, n = MBGCNBD(6, 20, 0.8, 4, k=10), np.random.default_rng(3), 200_000
    moments = rng.gamma(model.r, 1 / model.alpha, n)
    leaves = rng.beta(model.a, model.b, n)
    stays, now, later = rng.random(n) >= leaves, np.zeros(n), np.zeros(n)
    while stays.any():
        now = now + rng.gamma(model.k, 1 / moments)
        stays = stays & (now < 365)
        later += stays
        stays = stays & (rng.random(n) >= leaves)
    error = later.std() / np.sqrt(n)
    assert abs(model.expected_orders(365, [0], [0], [0])[0] - later.mean()) < 4 * error


def test_a_fit_of_another_k_starts_from_its_neighbor(store):
    """The same optimum from lifetimes' starts and from the fit of k = 9, its times stretched."""
    cold = fit_purchases(*store.history, model=MBGCNBD, k=9).model
    start = MBGCNBD(cold.r, cold.alpha * 0.9, cold.a, cold.b, k=10)
    warm = fit_purchases(*store.history, model=MBGCNBD, k=10, start=start).model
    plain = fit_purchases(*store.history, model=MBGCNBD, k=10).model
    assert warm.to_dict() == pytest.approx(plain.to_dict(), rel=1e-5)
