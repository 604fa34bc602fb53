"""Simple rules that every model stands beside."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def quintiles(values: ArrayLike) -> NDArray[np.int64]:
    """Score values from 1 (lowest fifth) to 5 (highest fifth).

    Parameters
    ----------
    values
        Array of shape (n,).

    Returns
    -------
    NDArray
        Shape (n,). Equal values get equal scores, from the middle of their ranks, so the score
        does not depend on the order of the rows; with many ties some scores stay unused.
    """
    values = np.asarray(values, dtype=np.float64)
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return np.minimum(np.floor(5 * middle / max(len(values), 1)), 4).astype(np.int64)[where] + 1


def rfm_cells(
    days_since: ArrayLike, frequency: ArrayLike, revenue: ArrayLike
) -> NDArray[np.int64]:
    """Return each customer's RFM score as a number from 111 to 555, 5 = best.

    Parameters
    ----------
    days_since, frequency, revenue
        Arrays of shape (n,): days since the last order, orders so far, net amount so far.

    Returns
    -------
    NDArray
        Shape (n,).
    """
    recency = quintiles(-np.asarray(days_since, dtype=np.float64))
    return 100 * recency + 10 * quintiles(frequency) + quintiles(revenue)


def hiatus_cut(silent_days: ArrayLike, is_active: ArrayLike) -> float:
    """Find the days of silence beyond which customers are best thought to have left.

    Parameters
    ----------
    silent_days
        Array of shape (n,): days since the last order, on a past day.
    is_active
        Array of shape (n,): whether an order came after it.

    Returns
    -------
    float
        The most days at which an order is still expected: that with which the fewest are wrong.

    References
    ----------
    Wubben & Wangenheim (2008), Instant Customer Base Analysis: Managerial Heuristics Often "Get It
    Right", Journal of Marketing 72(3), 82-93.
    """
    silent = np.asarray(silent_days, dtype=np.float64)
    order = np.argsort(silent, kind="stable")
    gain = np.cumsum(np.where(np.asarray(is_active, dtype=np.bool_)[order], 1, -1))
    is_last = np.r_[np.diff(silent[order]) > 0, True]  # of those who are silent as long
    best = int(np.argmax(np.where(is_last, gain, -len(silent) - 1)))
    return float(silent[order][best]) if gain[best] > 0 else -1.0


def cell_means(cells: ArrayLike, outcome: ArrayLike, at: ArrayLike) -> Array:
    """Predict by the mean outcome of the same cell an equal window earlier.

    Parameters
    ----------
    cells, outcome
        Arrays of shape (m,): cells on the earlier day, and what followed.
    at
        Array of shape (n,): cells on the day of the prediction.

    Returns
    -------
    Array
        Shape (n,); the overall mean where nobody was in the cell.
    """
    cells, outcome, at = np.asarray(cells), np.asarray(outcome, dtype=np.float64), np.asarray(at)
    distinct_cells, where = np.unique(cells, return_inverse=True)
    means = np.bincount(where, weights=outcome) / np.bincount(where)
    place = np.minimum(np.searchsorted(distinct_cells, at), len(distinct_cells) - 1)
    return np.where(distinct_cells[place] == at, means[place], outcome.mean())
