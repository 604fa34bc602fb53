"""How what goes in and comes out has moved since training, in bins that were fixed then.

References
----------
.. [1] Yurdakul & Naranjo (2020), Statistical properties of the population stability index, Journal of
   Risk Model Validation 14(4), 89-100: without any drift it is about (bins - 1) (1 / n + 1 / m).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

MOST = 10
LEAST = 1_000  # customers on either side below which nothing is said
NONE_YET = 0.5  # customers that an empty bin is taken to have


@dataclass(frozen=True, kw_only=True)
class Bins:
    """Where values lay at training.

    Attributes
    ----------
    edges
        Between the bins, ascending, one fewer than bins: a value equal to an edge is above it.
    shares
        Of the values in each bin.
    n
        Values.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    n: int


def measure_bins(values: ArrayLike) -> Bins:
    """Fix bins that hold about a tenth of the values each; values that repeat share one, NaN are left out.

    Parameters
    ----------
    values
        Array of shape (n,).
    """
    finite = _known(values)
    if not len(finite):
        return Bins(edges=(), shares=(0.0,), n=0)
    inner = np.unique(np.quantile(finite, np.arange(1, MOST) / MOST, method="higher"))
    edges = tuple(float(edge) for edge in inner[inner > finite.min()])
    return Bins(edges=edges, shares=tuple(bin_shares(edges, finite).tolist()), n=len(finite))


def bin_shares(edges: ArrayLike, values: ArrayLike) -> Array:
    """Return the share of values in each of the bins between edges; NaN are left out."""
    finite = _known(values)
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), finite, side="right")
    counts = np.bincount(places, minlength=np.size(edges) + 1)
    return np.asarray(counts / max(len(finite), 1))


def psi(bins: Bins, values: ArrayLike) -> tuple[float | None, int]:
    """Return the population stability index of values beside those of training, and how many they are.

    Parameters
    ----------
    bins
        Fixed at training.
    values
        Array of shape (n,); NaN are left out.

    Returns
    -------
    tuple
        The sum over bins of (now - then) log(now / then), about 9 (1 / n + 1 / m) where nothing has
        moved [1]_; None where either side has fewer than :data:`LEAST` values.
    """
    now = _known(values)
    if min(bins.n, len(now)) < LEAST:
        return None, len(now)
    before = np.maximum(np.asarray(bins.shares), NONE_YET / bins.n)
    after = np.maximum(bin_shares(bins.edges, now), NONE_YET / len(now))
    return float(((after - before) * np.log(after / before)).sum()), len(now)


def _known(values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    return array[~np.isnan(array)]
