"""The family of purchase models against integration over what differs between customers.

Each story is told here again, for one customer whose rate of buying and chance or rate of leaving are
known, and then averaged over a grid of both with the weights of their distributions. Sums over a grid
that is even in the logarithm, or the log odds, converge to the last digits.
"""

from itertools import islice, pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln, gamma, gammainc, gammaln
from scipy.stats import nbinom, poisson

from models.purchases import BGNBD, MBGCNBD, MBGNBD, NBD, ParetoNBD

HORIZONS = (1, 39, 400)
COUNTS = (1, 2, 3, 5, 10)  # chances of at least so many purchases are compared


def rates(shape, rate, step=0.1):
    """Rates that are gamma distributed, and their weights, summing to 1."""
    log_rate = np.arange(-30 / min(shape, 1), 6.5, step)
    log_weight = shape * log_rate - np.exp(log_rate) - gammaln(shape)
    return np.exp(log_rate) / rate, step * np.exp(log_weight)


def chances(a, b):
    """Chances that are beta distributed, their complements, and their weights, summing to 1."""
    log_odds = np.arange(-30 / min(a, 1), 30 / min(b, 1), 0.4)
    log_p, log_q = -np.logaddexp(0, -log_odds), -np.logaddexp(0, log_odds)
    return np.exp(log_p), np.exp(log_q), 0.4 * np.exp(a * log_p + b * log_q - betaln(a, b))


class GeometricStory:
    """Somebody buys, waits for `gaps` between purchases, and then is silent.

    A gap is the k-th of the moments that come at random with the customer's rate. After a purchase
    (BG/NBD: not after the first) the customer leaves with a chance of their own.
    """

    def __init__(self, model, k, first_may_be_last, gaps, silence):
        self.k = k
        self.rate, rate_weight = rates(model.r, model.alpha, step=0.1 if k < 5 else 0.02)
        leave, self.stay, leave_weight = chances(model.a, model.b)
        for gap in gaps:  # the density of the Erlang-k distribution
            arrive = self.rate**k * gap ** (k - 1) * np.exp(-self.rate * gap)
            rate_weight = rate_weight * arrive / gamma(k)
        occasions = len(gaps) + first_may_be_last
        leave_weight = leave_weight * self.stay ** max(occasions - 1, 0)
        left = np.outer(rate_weight, leave_weight * (leave if occasions else 0.0)).sum()
        stays = leave_weight * (self.stay if occasions else 1.0)
        active = [
            np.outer(rate_weight * poisson.pmf(phase, self.rate * silence), stays)
            for phase in range(k)
        ]
        total = sum(weights.sum() for weights in active) + left
        self.log_likelihood = np.log(total)
        self.active = [weights / total for weights in active]
        self.p_alive = sum(weights.sum() for weights in self.active)

    def tail(self, n, days):
        """Chance of at least n purchases: enough moments come, and none before the last makes leave."""
        return sum(
            poisson.sf(n * self.k - phase - 1, self.rate * days) @ weights @ self.stay ** (n - 1)
            for phase, weights in enumerate(self.active)
        )

    def expected_orders(self, days):
        total, n = 0.0, 1
        while (tail := self.tail(n, days)) > 1e-12:
            total, n = total + tail, n + 1
        return total


class ParetoStory:
    """Somebody buys at random moments until they leave at a random moment."""

    def __init__(self, model, x, t_x, T):
        buy, buy_weight = rates(model.r, model.alpha)
        self.leave, leave_weight = rates(model.s, model.beta)
        self.buy = buy[:, None]
        self.both = self.buy + self.leave
        seen = np.outer(buy_weight * buy**x, leave_weight)
        active = seen * np.exp(-self.both * T)
        left = seen * self.leave / self.both * (np.exp(-self.both * t_x) - np.exp(-self.both * T))
        total = active.sum() + left.sum()
        self.log_likelihood = np.log(total)
        self.active = active / total
        self.p_alive = self.active.sum()

    def tail(self, n, days):
        """Chance of at least n purchases: the n-th comes before the customer leaves and the days end."""
        likely = self.active > 1e-16
        share, both = (self.buy / self.both)[likely], self.both[likely]
        return (self.active[likely] * share**n * gammainc(n, both * days)).sum()

    def expected_orders(self, days):
        return (self.active * self.buy * -np.expm1(-self.leave * days) / self.leave).sum()


GAPS = {
    "one-time buyer": ([], 25.0),
    "one-time buyer of today": ([], 0.0),
    "two purchases": ([30.0], 8.5),
    "regular": ([9.0, 11.0, 10.0, 10.5], 12.0),
    "regular, long silent": ([9.0, 11.0, 10.0, 10.5], 60.0),
    "bought today": ([2.0, 30.0, 3.0], 0.0),
    "often": ([2.0, 1.0, 3.0] * 4, 5.0),
}
GEOMETRIC = [
    (BGNBD(0.243, 4.414, 0.793, 2.426), 1, False),
    (BGNBD(1.5, 40, 1, 1), 1, False),
    (MBGNBD(0.525, 6.183, 0.891, 1.614), 1, True),
    (MBGNBD(2, 30, 0.5, 0.5), 1, True),
    (MBGCNBD(0.525, 6.183, 0.891, 1.614, k=1), 1, True),
    (MBGCNBD(1.329, 2.813, 0.425, 0.790, k=2), 2, True),
    (MBGCNBD(0.6, 9, 1, 2, k=2), 2, True),
    (MBGCNBD(1.329, 2.813, 0.425, 0.790, k=3), 3, True),
    (MBGCNBD(0.8, 5, 2, 1.5, k=4), 4, True),
    (MBGCNBD(20, 60, 0.9, 6, k=10), 10, True),
    (MBGCNBD(0.8, 2, 0.6, 1.5, k=12), 12, True),
]


def columns(gaps, silence):
    return [len(gaps)], [sum(gaps)], [sum(gaps) + silence]


@pytest.mark.parametrize("gaps", GAPS.values(), ids=GAPS)
@pytest.mark.parametrize(
    ("model", "k", "first_may_be_last"), GEOMETRIC, ids=lambda value: str(value)
)
def test_leaving_after_a_purchase_equals_integration_of_the_story(
    model, k, first_may_be_last, gaps
):
    story, history = GeometricStory(model, k, first_may_be_last, *gaps), columns(*gaps)
    log_gaps = np.log(gaps[0]).sum()
    log_likelihood = model.log_likelihood(*history) + (k - 1) * log_gaps
    assert log_likelihood == pytest.approx(story.log_likelihood, abs=1e-9)
    assert model.p_alive(*history) == pytest.approx(story.p_alive, rel=1e-9)
    for days in HORIZONS:
        tails = list(islice(model.tails(days, *history), max(COUNTS)))
        for n in COUNTS:
            assert tails[n - 1] == pytest.approx(story.tail(n, days), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("days", [39, 120])
@pytest.mark.parametrize("gaps", GAPS.values(), ids=GAPS)
@pytest.mark.parametrize(
    ("model", "k", "first_may_be_last"),
    [GEOMETRIC[i] for i in (0, 2, 5, 7)],
    ids=lambda value: str(value),
)
def test_expected_orders_equal_integration_of_the_story(model, k, first_may_be_last, gaps, days):
    story = GeometricStory(model, k, first_may_be_last, *gaps)
    actual = model.expected_orders(days, *columns(*gaps))
    assert actual == pytest.approx(story.expected_orders(days), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("gaps", GAPS.values(), ids=GAPS)
def test_cnbd_of_k_1_is_mbg(gaps):
    history = columns(*gaps)
    parameters = (0.525, 6.183, 0.891, 1.614)
    plain, general = MBGNBD(*parameters), MBGCNBD(*parameters, k=1)
    for actual, wanted in zip(general.gradient(*history), plain.gradient(*history), strict=True):
        assert (actual == wanted).all()
    assert general.p_alive(*history) == plain.p_alive(*history)
    for days in HORIZONS:
        assert general.expected_orders(days, *history) == plain.expected_orders(days, *history)
        assert general.p_order(days, *history) == plain.p_order(days, *history)
        both = (model.distribution(days, *history, 20) for model in (general, plain))
        assert (next(both) == next(both)).all()
    assert general.median_days(*history) == plain.median_days(*history)


def test_regular_customers_who_are_overdue_have_likelier_left_than_random_ones():
    gaps = ([10.0] * 6, 30.0)
    random = MBGNBD(1, 10, 0.5, 2).p_alive(*columns(*gaps))
    regular = MBGCNBD(1, 5, 0.5, 2, k=2).p_alive(*columns(*gaps))  # of the same mean gap
    assert regular < random - 0.1


def test_silence_can_raise_the_chance_that_a_regular_customer_buys_soon():
    model = MBGCNBD(
        50, 5 / 2 * 50, 0.01, 50, k=3
    )  # everybody comes each 7.5 days, hardly any leave
    just_now, later = model.p_order(3, [5], [37.5], [37.5]), model.p_order(3, [5], [37.5], [44])
    assert later > just_now + 0.1


PARETO = [
    ParetoNBD(0.553, 10.578, 0.606, 11.669),
    ParetoNBD(0.553, 10.578, 1, 11.669),
    ParetoNBD(0.553, 10.578, 0.606, 3),
    ParetoNBD(0.553, 10.578, 0.606, 50),
    ParetoNBD(2, 20, 2, 20),
    ParetoNBD(0.786, 5.679, 0.386, 5.717),
]
HISTORIES = [
    (0, 0, 38.86),
    (0, 0, 0),
    (2, 30.43, 38.86),
    (1, 1.7, 38.86),
    (26, 30.86, 31),
    (9, 9, 9),
]


@pytest.mark.parametrize("history", HISTORIES, ids=str)
@pytest.mark.parametrize("model", PARETO, ids=str)
def test_leaving_at_any_moment_equals_integration_of_the_story(model, history):
    x, t_x, T = history
    story = ParetoStory(model, x, t_x, T)
    assert model.log_likelihood([x], [t_x], [T]) == pytest.approx(story.log_likelihood, abs=1e-9)
    assert model.p_alive([x], [t_x], [T]) == pytest.approx(story.p_alive, rel=1e-9)
    for days in HORIZONS:
        tails = list(islice(model.tails(days, [x], [t_x], [T]), max(COUNTS)))
        for n in COUNTS:
            assert tails[n - 1] == pytest.approx(story.tail(n, days), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("history", HISTORIES, ids=str)
@pytest.mark.parametrize("model", PARETO, ids=str)
def test_expected_orders_until_leaving_equal_integration_of_the_story(model, history):
    x, t_x, T = history
    story = ParetoStory(model, x, t_x, T)
    for days in HORIZONS:
        actual = model.expected_orders(days, [x], [t_x], [T])
        assert actual == pytest.approx(story.expected_orders(days), rel=1e-9)


def log_integral(log_f, low, high, peaks):
    """Logarithm of the integral of exp(log_f), adaptively and to the last digits."""
    top = max(log_f(at) for at in (low, high, *peaks))
    cuts = sorted({low, high, *peaks})
    parts = [
        quad(lambda y: np.exp(log_f(y) - top), *ends, epsabs=0, epsrel=1e-13, limit=500)[0]
        for ends in pairwise(cuts)
    ]
    return top + np.log(sum(parts))


@pytest.mark.parametrize(
    "history", [(132, 199.0, 200.0), (1, 1.0, 2000.0), (500, 700.0, 900.0), (2500, 428.0, 428.5)]
)
@pytest.mark.parametrize(
    "model",
    [
        ParetoNBD(0.553, 10.578, 0.606, 11.669),
        ParetoNBD(0.553, 10.578, 1, 11.669),
        ParetoNBD(0.05, 300, 5, 1),
        ParetoNBD(5, 1, 0.05, 300),
        ParetoNBD(20, 1000, 20, 1e5),
    ],
    ids=str,
)
def test_pareto_log_likelihood_equals_adaptive_integration(model, history):
    x, t_x, T = history
    r, alpha, s, beta = model.r, model.alpha, model.s, model.beta

    def log_left(y):
        return np.log(s) - (r + x) * np.log(alpha + y) - (s + 1) * np.log(beta + y)

    steep = 1 / ((r + x) / (alpha + t_x) + (s + 1) / (beta + t_x))
    peaks = [t_x + width * steep for width in (0.5, 2, 5, 10, 20) if t_x + width * steep < T]
    left = log_integral(log_left, t_x, T, peaks)
    active = -(r + x) * np.log(alpha + T) - s * np.log(beta + T)
    constant = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    exact = constant + np.logaddexp(active, left)
    assert model.log_likelihood([x], [t_x], [T]) == pytest.approx(exact, rel=1e-11)
    assert model.p_alive([x], [t_x], [T]) == pytest.approx(
        np.exp(active - np.logaddexp(active, left)), rel=1e-9
    )


@pytest.mark.parametrize("history", HISTORIES, ids=str)
def test_who_never_leaves_buys_as_the_negative_binomial_says(history):
    model = NBD(0.3848, 12.072)
    x, t_x, T = history
    prior, posterior = (model.alpha / (model.alpha + T)), (model.alpha + T)
    # A history's likelihood is that of its count, spread evenly over the orders of its moments.
    if T:
        counted = nbinom.logpmf(x, model.r, prior) + gammaln(x + 1) - x * np.log(T)
        assert model.log_likelihood([x], [t_x], [T]) == pytest.approx(counted, abs=1e-10)
    for days in HORIZONS:
        later = nbinom(model.r + x, posterior / (posterior + days))
        assert model.expected_orders(days, [x], [t_x], [T]) == pytest.approx(
            later.mean(), rel=1e-12
        )
        chances_of = model.distribution(days, [x], [t_x], [T], 30)[0]
        assert chances_of == pytest.approx(later.pmf(np.arange(30 + 1)), abs=1e-12)
    assert model.p_alive([x], [t_x], [T]) == 1
