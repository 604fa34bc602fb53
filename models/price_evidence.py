"""How order values moved over calendar time: evidence from orders of the same customers.

The logarithm of an order's value is the customer's own mean, plus the store's price level in that
period, plus noise. The levels have a Gaussian prior of several parts, which are compared by their
evidence:

- the level itself: a random walk (drift), one jump at an unknown period, both, or neither (steady);
- a season: a periodic Gaussian process of one year;
- spells of one or two periods, such as sales.

Only the level is carried to today. Customers may spend more with each later order, which is no rise
of prices: the first order, the number of the order and its logarithm are covariates. That customers
order at different paces separates a change per order from one per period.

References
----------
.. [1] Rasmussen & Williams (2006), Gaussian Processes for Machine Learning: (2.25) and (2.26), posterior
   mean and covariance; (2.30), evidence; section 2.7, fixed basis functions with a flat prior; (4.31),
   the periodic kernel.
.. [2] Kass & Raftery (1995), Bayes Factors, JASA 90(430), 773-795: the scale of 2 ln B.
.. [3] Hoeting, Madigan, Raftery & Volinsky (1999), Bayesian Model Averaging: A Tutorial, Statistical
   Science 14(4), 382-417.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from models.history import States
from models.operational_time import MEAN_YEAR_DAYS

Array = NDArray[np.float64]

COVARIATES = ("is_first", "log_number", "number")
LEAST_EIGENVALUE = 1e-5  # of the covariates' correlations: directions below are left out
LEAST_VARIANCE = 1e-12  # of an order's logarithm around the customer's mean
DRIFTS = (0.0, 0.005, 0.01, 0.02, 0.04)  # standard deviation of a random walk's step, per period
JUMP = 0.25  # standard deviation of a jump
JUMP_PERIODS = 2  # least periods since a jump: a shorter one may be a sale
SEASONS = (0.0, 0.05, 0.15)  # standard deviation of the season
SEASON_SCALE = 0.35  # length scale of the periodic kernel: peaks of about six weeks
SPELLS = (0.0, 0.03, 0.1)  # standard deviation of spells of one or two periods
LEAST_WEIGHT = 1e-4  # of a prior in the average, compared with the best one


class PriceSums(NamedTuple):
    """What orders of returning customers tell about T periods, the earliest first.

    Attributes
    ----------
    weight
        Shape (T, T): the sum over customers of orders in the one period times orders in the other,
        over all of the customer's orders.
    deviations
        Shape (T, 1 + covariates): sums by period of the logarithm of order value and of the
        covariates, each less the customer's mean.
    products
        Shape (1 + covariates, 1 + covariates): sums of products of the deviations over all orders.
    repeat_orders
        Number of orders after the customer's first.
    """

    weight: Array
    deviations: Array
    products: Array
    repeat_orders: int

    @classmethod
    def of(cls, changes: States, shared: States) -> "PriceSums":
        """Arrange the columns of features.price_changes, whose period 0 is the last one."""
        period, one, other = (
            np.asarray(column, dtype=np.int64)
            for column in (changes["period"], shared["period"], shared["other_period"])
        )
        last = int(period.max(initial=0))
        weight = np.zeros((last + 1, last + 1))
        weight[last - one, last - other] = shared["weight"]
        names = ("log_amount", *COVARIATES)
        deviations = np.zeros((last + 1, len(names)))
        deviations[last - period] = np.stack(
            [np.asarray(changes[n], dtype=np.float64) for n in names], axis=1
        )
        products = np.zeros((len(names), len(names)))
        for row, name in enumerate(names):
            for column in range(row, len(names)):
                total = float(
                    np.sum(np.asarray(changes[f"{name}_{names[column]}"], dtype=np.float64))
                )
                products[row, column] = products[column, row] = total
        return cls(weight, deviations, products, int(np.sum(changes["repeat_days"])))


class GaussianEvidence(NamedTuple):
    """What orders tell about T levels: log-likelihood of p = h'p - p'Ap/2 + constant.

    Attributes
    ----------
    precision, score
        A, shape (T, T), and h, shape (T,); all else is integrated out.
    orders
        Orders of returning customers by period, shape (T,).
    """

    precision: Array
    score: Array
    orders: Array


class _Model(NamedTuple):
    """A Gaussian prior of the levels, and its evidence.

    Attributes
    ----------
    kind
        Whether the level drifts, and whether it jumps.
    log_evidence
        Log marginal likelihood less that of levels without variance.
    level
        Covariance of the level without its jump, shape (T, T).
    jump
        1 from the jump on, 0 before; shape (T,).
    gram, left
        By :func:`_marginal`, without the jump.
    """

    kind: tuple[bool, bool]
    log_evidence: float
    level: Array
    jump: Array
    gram: Array
    left: Array


def gaussian_evidence(sums: PriceSums, *, by_order: bool) -> GaussianEvidence | None:
    """Return what the sums tell of the levels; None where a customer's orders do not differ in value.

    Customers' means and the covariates have flat priors and are integrated out [1]_ (section 2.7).

    Parameters
    ----------
    sums
        Sums by period and over all orders.
    by_order
        Whether values may also change with the number of the order.
    """
    orders = sums.weight.sum(axis=1)
    used = slice(1, None if by_order else 1)
    change, covariates = sums.deviations[:, 0], sums.deviations[:, used]
    inverse = _inverse(sums.products[used, used])
    slopes = inverse @ sums.products[used, 0]
    variance = sums.products[0, 0] - slopes @ sums.products[used, 0]
    variance /= sums.repeat_orders - len(slopes)
    if variance < LEAST_VARIANCE:
        return None
    precision = np.diag(orders) - sums.weight - covariates @ inverse @ covariates.T
    return GaussianEvidence(
        precision / variance, (change - covariates @ slopes) / variance, orders
    )


def _inverse(products: Array) -> Array:
    """Return the pseudo-inverse: covariates that depend on each other are one."""
    scale = np.sqrt(np.maximum(np.diag(products), LEAST_VARIANCE))
    correlation = products / np.outer(scale, scale)
    inverse = np.linalg.pinv(correlation, rcond=LEAST_EIGENVALUE, hermitian=True)
    return np.asarray(inverse / np.outer(scale, scale))


def _models(data: GaussianEvidence, period_days: int) -> list[_Model]:
    """Return every prior with its evidence, (2.30) of [1]_; those with a jump by a rank-one update."""
    periods = len(data.score)
    period = np.arange(periods)
    walk = np.minimum.outer(period, period).astype(np.float64)
    lag = np.subtract.outer(period, period)
    spell = np.maximum(1 - np.abs(lag) / 2, 0.0)
    angle = np.pi * lag * period_days / MEAN_YEAR_DAYS
    season = np.exp(-2 * np.sin(angle) ** 2 / SEASON_SCALE**2)
    jumps = np.tril(np.ones((periods, periods)), -1)[:, : max(periods - JUMP_PERIODS, 0)]
    models = []
    for drift, of_season, of_spell in product(DRIFTS, SEASONS, SPELLS):
        level = drift**2 * walk
        rest = of_season**2 * season + of_spell**2 * spell
        gram, left, log_evidence = _marginal(data, level + rest)
        spread = 1 + JUMP**2 * np.einsum("tc,ts,sc->c", jumps, gram, jumps, optimize=True)
        gains = (JUMP**2 * (jumps.T @ left) ** 2 / spread - np.log(spread)) / 2
        models.append(
            _Model((drift > 0, False), log_evidence, level, np.zeros(periods), gram, left)
        )
        models += [
            _Model((drift > 0, True), log_evidence + gain, level, jump, gram, left)
            for gain, jump in zip(gains.tolist(), jumps.T, strict=True)
        ]
    return models


def _marginal(data: GaussianEvidence, covariance: Array) -> tuple[Array, Array, float]:
    """Return A(I + KA)^-1, (I + AK)^-1 h and the log evidence of levels with prior covariance K."""
    inner = np.eye(len(data.score)) + data.precision @ covariance
    left = np.asarray(np.linalg.solve(inner, data.score), dtype=np.float64)
    gram = np.asarray(np.linalg.solve(inner, data.precision), dtype=np.float64)
    log_evidence = (data.score @ covariance @ left - np.linalg.slogdet(inner)[1]) / 2
    return gram, left, float(log_evidence)


def _weigh(models: list[_Model]) -> tuple[float, list[tuple[float, _Model]]]:
    """Return 2 ln B of a moving level, and the models that matter with their posterior weights.

    A steady level has a prior probability of one half. The other half is divided equally between a
    drift, a jump, and both, and within each equally between the models.
    """
    kinds: dict[tuple[bool, bool], list[_Model]] = {}
    for model in models:
        kinds.setdefault(model.kind, []).append(model)
    of_kind = {
        kind: logsumexp([model.log_evidence for model in same]) - np.log(len(same))
        for kind, same in kinds.items()
    }
    steady = of_kind.pop((False, False))
    moving = logsumexp(list(of_kind.values())) - np.log(len(of_kind))
    log_weights = np.array(
        [
            model.log_evidence
            - np.log(len(kinds[model.kind]) * (len(of_kind) if any(model.kind) else 1))
            for model in models
        ]
    )
    kept = np.flatnonzero(log_weights > log_weights.max() + np.log(LEAST_WEIGHT))
    weights = np.exp(log_weights[kept] - logsumexp(log_weights[kept]))
    return float(2 * (moving - steady)), [
        (weight, models[at]) for weight, at in zip(weights.tolist(), kept, strict=True)
    ]


class LevelEstimate(NamedTuple):
    """The price level, averaged over all priors.

    Attributes
    ----------
    log_levels
        Posterior mean of the logarithm of each period's level, shape (T,), the earliest first.
    change, standard_error
        Posterior mean and standard deviation of the last level less that of the average order.
    evidence
        2 ln B of a level that moved against a steady one [2]_.
    """

    log_levels: Array
    change: float
    standard_error: float
    evidence: float


def average_level(data: GaussianEvidence, period_days: int) -> LevelEstimate:
    """Average the level over all priors by their posterior probabilities [3]_.

    Parameters
    ----------
    data
        What orders tell about the levels.
    period_days
        Length of each period.
    """
    evidence, weighted = _weigh(_models(data, period_days))
    contrast = -data.orders / data.orders.sum()
    contrast[-1] += 1.0
    levels, square = np.zeros(len(data.score)), 0.0
    for weight, model in weighted:
        mean, variance = _level(model, contrast)
        levels += weight * mean
        square += weight * (variance + (contrast @ mean) ** 2)
    change = float(contrast @ levels)
    return LevelEstimate(levels, change, float(np.sqrt(max(square - change**2, 0.0))), evidence)


def _level(model: _Model, contrast: Array) -> tuple[Array, float]:
    """Return the posterior mean of the level, (2.25) of [1]_, and a contrast's variance, (2.26)."""
    bend = model.gram @ model.jump
    gain = JUMP**2 / (1 + JUMP**2 * model.jump @ bend)
    left = model.left - gain * (model.jump @ model.left) * bend
    mean = model.level @ left + JUMP**2 * model.jump * (model.jump @ left)
    side = model.level @ contrast + JUMP**2 * model.jump * (model.jump @ contrast)
    variance = contrast @ side - side @ model.gram @ side + gain * (bend @ side) ** 2
    return mean, float(variance)
