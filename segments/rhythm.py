"""How long a customer has been silent, in cycles: their own rhythm, not days of the calendar.

A customer's own cycle is the mean gap between purchases so far, drawn towards the natural cycle of
what they buy as if one more gap of that length had been seen. One-time buyers have no gap: theirs
is the natural cycle.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def store_cycle_days(frequency: ArrayLike, recency_days: ArrayLike, age_days: ArrayLike) -> float:
    """Median over repeat customers of the mean gap between their purchases.

    Parameters
    ----------
    frequency, recency_days, age_days
        Arrays of shape (n,): the customers' state.

    Returns
    -------
    float
        Days, above 0. Where nobody came back, the age of the oldest customer: a cycle is no shorter
        than the time in which nobody came back.
    """
    x, t_x, T = (np.asarray(v, dtype=np.float64) for v in (frequency, recency_days, age_days))
    repeat = x > 0
    if not repeat.any():
        return max(float(T.max(initial=0.0)), 1.0)
    return float(np.median(t_x[repeat] / x[repeat]))


def natural_cycles(
    frequency: ArrayLike,
    recency_days: ArrayLike,
    age_days: ArrayLike,
    cycle_days: ArrayLike | None = None,
) -> Array:
    """Give each customer the natural cycle of what they buy.

    Parameters
    ----------
    frequency, recency_days, age_days
        Arrays of shape (n,): the customers' state.
    cycle_days
        Days, shape (n,) or one for all: the natural cycle of the customer's category; NaN or None =
        unknown, the store's (:func:`store_cycle_days`) stands in.

    Returns
    -------
    NDArray
        Shape (n,), days, above 0.

    Raises
    ------
    ValueError
        A cycle of no or infinite length, or of another number of customers.
    """
    store = store_cycle_days(frequency, recency_days, age_days)
    n = len(np.asarray(frequency))
    given = np.asarray(np.nan if cycle_days is None else cycle_days, dtype=np.float64)
    if given.shape not in ((), (n,)):
        raise ValueError(f"cycles are one number, or one per customer ({n}); got {given.shape}")
    wrong = (given <= 0) | np.isinf(given)
    if wrong.any():
        raise ValueError(
            f"a cycle lasts more than 0 days, and ends: {int(wrong.sum()):,} of {given.size:,} do not. "
            "Give NaN where it is unknown"
        )
    return np.broadcast_to(np.where(np.isnan(given), store, given), (n,))


def silent_cycles(
    frequency: ArrayLike,
    recency_days: ArrayLike,
    age_days: ArrayLike,
    cycle_days: ArrayLike | None = None,
) -> Array:
    """Count the own cycles that have passed since each customer's last purchase.

    Parameters
    ----------
    frequency, recency_days, age_days
        Arrays of shape (n,): the customers' state.
    cycle_days
        As of :func:`natural_cycles`.

    Returns
    -------
    NDArray
        Shape (n,), own cycles, 0 or more.
    """
    x, t_x, T = (np.asarray(v, dtype=np.float64) for v in (frequency, recency_days, age_days))
    own = (t_x + natural_cycles(x, t_x, T, cycle_days)) / (x + 1)
    return np.asarray((T - t_x) / own)


def first_case(
    cases: Sequence[tuple[NDArray[np.bool_], str]], otherwise: str
) -> NDArray[np.object_]:
    """Return the name of the first case that applies to each customer.

    Parameters
    ----------
    cases
        Whether each applies, shape (n,), and its name.
    otherwise
        Name where none does.

    Returns
    -------
    NDArray
        Shape (n,).
    """
    names = np.array([name for _, name in cases] + [otherwise], dtype=object)
    places = np.select([applies for applies, _ in cases], list(range(len(cases))), len(cases))
    return np.asarray(names[places])
