"""The average lift of a randomized holdout: what those treated brought more than those held out.

References
----------
.. [1] Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 12.5: bootstrap-t.
.. [2] Hall (1988), Theoretical Comparison of Bootstrap Confidence Intervals, Annals of Statistics
   16(3): of the simple intervals it is the one right to the second order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from models.lift.arms import Arms, difference, split
from models.lift.checks import Array, LiftError, finite, share
from models.lift.design import LEVEL

SEED = 20_260_101
DRAWS = 1_000
EXACT = 1_024  # distinct outcomes of an arm above which neighbors are drawn together
TAIL = 256  # of the highest and the lowest, each still drawn by itself


@dataclass(frozen=True)
class Lift:
    """A measured lift, in the outcome's unit a customer.

    Attributes
    ----------
    estimate
        Mean of those treated less that of those held out, whether the treatment reached them or not.
    low, high
        Ends of the 95 % interval, for one look on a day fixed before.
    p_value
        Two-sided, of no lift.
    n_treated, n_control
        Customers of either arm.
    variance_left
        Variance of the estimate over that of the plain difference in means; 1 without covariate and
        strata.
    standard_error
        Of the estimate.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    n_treated: int
    n_control: int
    variance_left: float
    standard_error: float


def average_lift(
    outcome: ArrayLike,
    is_treated: ArrayLike,
    covariate: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> Lift:
    """Measure the average lift, by intention to treat.

    Parameters
    ----------
    outcome
        Shape (n,), any unit: of every customer who was assigned, 0 for those who did nothing.
    is_treated
        Shape (n,), True or False: the arm that each was assigned to.
    covariate
        Shape (n,): what was expected of each when assigned, best our own score (CUPED). Anything known
        later biases the lift.
    strata
        Shape (n,), any labels known when assigned: the lift of each is weighted by its share of all
        customers. Those with fewer than 20 customers in an arm are taken together.

    Returns
    -------
    Lift
        With Welch's interval and p-value. Outcomes are not winsorized.

    Raises
    ------
    ValueError
        Wrong shapes, unknown values, an arm that is not True or False.
    LiftError
        An arm of fewer than two customers, everybody with the same outcome, or a small stratum whose
        arms were not drawn like the others'.

    Notes
    -----
    Where an arm shows no spread, nobody held out ordered for instance, it is given the other's.
    """
    arms, plain = split(outcome, is_treated, covariate, strata), split(outcome, is_treated)
    estimate, error, freedom = _compared(arms)
    margin = float(stdtrit(freedom, 1 - LEVEL / 2)) * error
    p_value = 2 * float(stdtr(freedom, -abs(estimate) / error))
    return _lift(plain, estimate, error, (estimate - margin, estimate + margin), p_value)


def bootstrap_lift(
    outcome: ArrayLike,
    is_treated: ArrayLike,
    covariate: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Lift:
    """Measure the average lift as :func:`average_lift`, its interval by the bootstrap.

    Parameters
    ----------
    outcome, is_treated, covariate, strata
        As in :func:`average_lift`.
    draws
        Samples drawn, 40 or more.
    seed
        Of the draws: the same seed, the same interval.

    Returns
    -------
    Lift
        With the bootstrap-t interval [1]_ [2]_, which leans the way a heavy tail leans, and the
        p-value that goes with it. The covariate's slope is not drawn anew. Of an arm with more than
        1,024 distinct outcomes, the highest and the lowest 256 are drawn one by one and those
        between by groups of neighbors.

    Raises
    ------
    ValueError
        As in :func:`average_lift`, or fewer than 40 draws, which reach no 2.5 % tail.
    """
    if draws < 40:
        raise ValueError(f"a 95 % interval needs 40 draws: got {draws}. Pass 1,000")
    arms, plain = split(outcome, is_treated, covariate, strata), split(outcome, is_treated)
    estimate, error, _ = _compared(arms)
    drawn = _drawn(arms, estimate, draws, seed)
    low, high = np.quantile(drawn, (LEVEL / 2, 1 - LEVEL / 2))
    beyond = min((drawn >= estimate / error).sum(), (drawn <= estimate / error).sum())
    p_value = min(1.0, 2 * (1 + int(beyond)) / (1 + draws))
    return _lift(
        plain, estimate, error, (estimate - high * error, estimate - low * error), p_value
    )


def winsorized(outcome: ArrayLike, quantile: float = 0.99) -> Array:
    """Cap outcomes at a quantile of all customers of both arms: to see what the largest ones did.

    Parameters
    ----------
    outcome
        Shape (n,), any unit.
    quantile
        Between 0 and 1.

    Returns
    -------
    Array
        Shape (n,). A lift of capped outcomes is a sensitivity beside the headline and never the
        headline: it misses what the best customers brought, of a heavy tail a quarter of the lift.

    Raises
    ------
    ValueError
        A wrong shape, unknown values, or a quantile that is none.
    """
    values = finite("outcome", outcome)
    if not len(values):
        raise ValueError("a quantile needs customers: there are none. Pass outcomes")
    return np.minimum(values, np.quantile(values, share("quantile", quantile)))


def _compared(arms: Arms) -> tuple[float, float, float]:
    """Return the lift, its standard error and degrees of freedom, each a number."""
    estimate, error, freedom = (
        float(value) for value in difference(*arms.moments(), arms.weights)
    )
    if not error > 1e-12 * abs(float(np.abs(arms.outcome).max())):
        raise LiftError(
            f"a lift needs outcomes that differ: in either arm all {len(arms.outcome):,} customers have "
            "one value. Wait for orders, or measure segments together"
        )
    return estimate, error, freedom


def _lift(
    plain: Arms, estimate: float, error: float, ends: tuple[float, float], p_value: float
) -> Lift:
    counts, means, variances = plain.moments()
    _, before, _ = difference(counts, means, variances, plain.weights)
    control, treated = (int(count) for count in counts[0])
    left = (error / float(before)) ** 2
    low, high = (float(end) for end in ends)
    return Lift(estimate, low, high, p_value, treated, control, left, error)


def _drawn(arms: Arms, estimate: float, draws: int, seed: int) -> Array:
    """Draw how far lifts of samples lie from the lift, in their own standard errors; shape (draws,)."""
    rng = np.random.default_rng(seed)
    order = np.argsort(arms.cell, kind="stable")
    sizes = np.bincount(arms.cell, minlength=2 * len(arms.weights))
    cells = np.split(arms.outcome[order], np.cumsum(sizes)[:-1])
    moments = np.stack([_drawn_moments(values, draws, rng) for values in cells], axis=1)
    means, variances = moments.reshape(draws, -1, 2, 2).transpose(3, 0, 1, 2)
    counts = sizes.reshape(-1, 2).astype(np.float64)
    estimates, errors, _ = difference(counts, means, variances * arms.inflation, arms.weights)
    is_spread = errors > 0
    return np.where(is_spread, (estimates - estimate) / np.where(is_spread, errors, 1.0), 0.0)


def _drawn_moments(values: Array, draws: int, rng: np.random.Generator) -> Array:
    """Draw samples as large as the values; means and variances, shape (draws, 2)."""
    distinct, counts = _grouped(values)
    n, center = len(values), values.mean()
    distinct = distinct - center  # so that squares lose no digits
    sample = rng.multinomial(n, counts / n, size=draws).astype(np.float64)
    mean, square = sample @ distinct / n, sample @ np.square(distinct) / n
    variance = np.where(square - mean**2 > 1e-12 * square, square - mean**2, 0.0)
    return np.column_stack([mean + center, variance * n / (n - 1)])


def _grouped(values: Array) -> tuple[Array, Array]:
    """Return distinct values and how often each occurs; of very many, neighbors by their mean."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= EXACT:
        return distinct, counts.astype(np.float64)
    ordered, n = np.sort(values), len(values)
    between = np.linspace(TAIL, n - TAIL, EXACT - 2 * TAIL, endpoint=False).astype(np.intp)
    starts = np.concatenate([np.arange(TAIL), between, np.arange(n - TAIL, n)])
    sizes = np.diff(np.append(starts, n)).astype(np.float64)
    return np.add.reduceat(ordered, starts) / sizes, sizes
