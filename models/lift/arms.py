"""An experiment's customers by stratum and arm, and the weighted difference between the arms.

References
----------
.. [1] Miratrix, Sekhon & Yu (2013), Adjusting Treatment Effect Estimates by Post-Stratification in
   Randomized Experiments, JRSS B 75(2), 369-396.
.. [2] Deng, Xu, Kohavi & Walker (2013), Improving the Sensitivity of Online Controlled Experiments by
   Utilizing Pre-Experiment Data, WSDM: CUPED.
.. [3] Welch (1947), The Generalization of 'Student's' Problem When Several Different Population
   Variances are Involved, Biometrika 34(1/2).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.lift.checks import Array, Bools, LiftError, both_arms, finite, flags
from models.lift.design import SUSPICIOUS, sample_ratio

LEAST_IN_ARM = 2  # customers: fewer have no variance
LEAST_IN_CELL = 20  # customers of a stratum in either arm: fewer are pooled with other strata

NO_SPREAD = 1e-20  # of the squared mean: a variance that rounding alone makes


@dataclass(frozen=True)
class Arms:
    """Outcomes by stratum and arm.

    Attributes
    ----------
    outcome
        Shape (n,), less what a covariate tells.
    cell
        Shape (n,): twice the stratum's number, plus 1 of those treated.
    weights
        Shape (k,): each stratum's share of all customers.
    inflation
        What variances are multiplied by, as the covariate's slope is learned from the same customers.
    """

    outcome: Array
    cell: NDArray[np.intp]
    weights: Array
    inflation: float = 1.0

    def moments(self) -> tuple[Array, Array, Array]:
        """Return customers, mean and variance of each stratum (rows) held out and treated (columns)."""
        counts = self._sums(None)
        means = self._sums(self.outcome) / counts
        squares = self._sums((self.outcome - means.ravel()[self.cell]) ** 2)
        return counts, means, squares / (counts - 1) * self.inflation

    def without(self, covariate: Array) -> "Arms":
        """Return the outcomes less what the covariate tells of them [2]_.

        The slope is the one that fits all strata and arms at once; it takes one degree of freedom.
        """
        counts = self._sums(None)
        x, y = (
            values - (self._sums(values) / counts).ravel()[self.cell]
            for values in (covariate, self.outcome)
        )
        spread = float(x @ x)
        if not spread > 1e-12 * len(x) * float(np.square(covariate).max(initial=0.0)):
            return self
        adjusted = self.outcome - float(x @ y) / spread * (covariate - covariate.mean())
        freedom = len(x) - counts.size
        return Arms(adjusted, self.cell, self.weights, freedom / (freedom - 1))

    def _sums(self, values: Array | None) -> Array:
        sums = np.bincount(self.cell, values, 2 * len(self.weights))
        return sums.astype(np.float64).reshape(-1, 2)


def split(
    outcome: ArrayLike,
    is_treated: ArrayLike,
    covariate: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> Arms:
    """Lay out an experiment, see :func:`models.lift.average_lift`."""
    y = finite("outcome", outcome)
    treated = flags("is_treated", is_treated, len(y))
    both_arms(treated, LEAST_IN_ARM)
    stratum = np.zeros(len(y), dtype=np.intp) if strata is None else _strata(strata, treated)
    cell = 2 * stratum + treated
    arms = Arms(y, cell, np.bincount(stratum) / len(y))
    return arms if covariate is None else arms.without(finite("covariate", covariate, len(y)))


def difference(
    counts: Array, means: Array, variances: Array, weights: Array
) -> tuple[Array, Array, Array]:
    """Compare the arms.

    Parameters
    ----------
    counts, means, variances
        Shape (..., k, 2): of each stratum held out (first) and treated.
    weights
        Shape (k,): what each stratum counts, 1 in all.

    Returns
    -------
    tuple
        Arrays of shape (...): the treated's mean less the held out's, its standard error [1]_, and the
        error's degrees of freedom [3]_.
    """
    estimate = ((means[..., 1] - means[..., 0]) * weights).sum(axis=-1)
    # Nobody of a small holdout ordered: that they differ from nobody is not known, so the other arm says
    variances = np.where(variances > NO_SPREAD * means**2, variances, 0.0)
    variances = np.where(variances > 0, variances, variances[..., ::-1])
    parts = variances / counts * np.square(weights)[:, None]
    variance = parts.sum(axis=(-2, -1))
    lost = (np.square(parts) / (counts - 1)).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return estimate, np.sqrt(variance), np.square(variance) / lost


def _strata(strata: ArrayLike, is_treated: Bools) -> NDArray[np.intp]:
    """Give each customer the number of its stratum; those too small are one."""
    from pandas import factorize  # a tenth of the time of sorting a million names

    labels = np.asarray(strata)
    if labels.shape != is_treated.shape:
        raise ValueError(
            f"strata have shape {is_treated.shape}: got {labels.shape}. Pass one a customer"
        )
    codes, names = factorize(labels)
    if (codes < 0).any():
        raise ValueError(
            f"strata are known of every customer: {int((codes < 0).sum()):,} have none. "
            "Name them, 'unknown' for instance"
        )
    sizes = np.bincount(2 * codes + is_treated, minlength=2 * len(names))
    counts = sizes.reshape(-1, 2)
    pooled = _pooled(counts)
    _refuse_planned(counts[pooled], [str(name) for name in names[pooled]], is_treated)
    number = np.cumsum(~pooled) - (0 if pooled.any() else 1)
    return np.asarray(np.where(pooled, 0, number)[codes], dtype=np.intp)


def _pooled(counts: NDArray[np.intp]) -> Bools:
    """Say which strata are taken together: those too small, and the next until they suffice."""
    least = counts.min(axis=1)
    pooled: Bools = least < LEAST_IN_CELL
    for one in np.argsort(least, kind="stable"):
        if not pooled.any() or counts[pooled].sum(axis=0).min() >= LEAST_IN_CELL:
            break
        pooled[one] = True
    return pooled


def _refuse_planned(counts: NDArray[np.intp], names: list[str], is_treated: Bools) -> None:
    """Refuse to pool strata that were not drawn like the others: pooled, they would bias the lift."""
    for (control, treated), name in zip(counts.tolist(), names, strict=True):
        p = sample_ratio(treated, control, 1 - float(is_treated.mean()))
        if p < SUSPICIOUS / len(names):
            raise LiftError(
                f"strata need customers of both arms: of {name!r} {treated:,} are treated and "
                f"{control:,} held out, which is no chance (p = {p:.1g}). Leave it out, or measure it alone"
            )
