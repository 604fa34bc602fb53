"""What the next weeks are expected to bring, kept with each published day so that it can be proved wrong."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from features.tables import Expected
from models.monitoring import TENURES, Counts, cell_sums, cells_of

Array = NDArray[np.float64]

WINDOWS = (7, 28)  # days


def expected_sums(
    age_days: ArrayLike, expected_orders: Array, windows: Mapping[float, Counts], starts: Array
) -> Array:
    """Sum up what is expected of some customers, by tenure and tenth of expected orders.

    Parameters
    ----------
    age_days, expected_orders
        Shape (n,): days since the first order, and what tenths are made by.
    windows
        What is expected of each customer, by the window's days: those of :data:`WINDOWS`.
    starts
        Expected orders at which the tenths begin.

    Returns
    -------
    Array
        Shape (windows, 4, cells): customers, orders, their variance, their value.
    """
    cells = cells_of(age_days, expected_orders, starts)
    return np.array(
        [cell_sums(cells, of.orders, of.variance, of.value) for of in windows.values()]
    )


def expected_table(sums: Array, starts: Array, as_of: date) -> pd.DataFrame:
    """Lay out what is expected.

    Parameters
    ----------
    sums
        As :func:`expected_sums` returns them, of all customers.
    starts
        Expected orders at which the tenths begin.
    as_of
        The day.

    Returns
    -------
    DataFrame
        Table :class:`features.tables.Expected`: cells that have customers.
    """
    parts = [pd.DataFrame(columns=list(Expected.columns()))]
    for days, (customers, orders, variance, value) in zip(WINDOWS, sums, strict=True):
        occupied = np.flatnonzero(customers)
        tenure, tenth = np.divmod(occupied, len(starts))
        parts.append(
            pd.DataFrame(
                {
                    "as_of": as_of,
                    "window_days": int(days),
                    "tenure": [TENURES[place] for place in tenure],
                    "decile": tenth + 1,
                    "orders_from": np.maximum(starts, 0.0)[tenth],
                    "customers": customers[occupied].astype(np.int64),
                    "expected_orders": orders[occupied],
                    "variance_orders": variance[occupied],
                    "expected_value": value[occupied],
                }
            )
        )
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
