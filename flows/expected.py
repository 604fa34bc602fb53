"""What the next weeks are expected to bring, kept with each published day so that it can be proved wrong."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.tables import Expected
from models.monitoring import TENURES, Counts, cell_sums, cells_of, tenth_starts

EXPECTED = "expected.parquet"
WINDOWS = (7, 28)  # days


def expected_table(
    state: pd.DataFrame,
    expected_orders: pd.Series,
    windows: Mapping[float, Counts],
    as_of: date,
    is_counted: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Sum up what is expected by tenure and tenth of expected orders.

    Parameters
    ----------
    state
        Table :class:`features.tables.CustomerState`.
    expected_orders
        Of the scores, one per customer of `state`: what tenths are made by.
    windows
        What is expected of each customer, by the window's days.
    as_of
        The day.
    is_counted
        Shape (customers,): who is; None = all.

    Returns
    -------
    DataFrame
        Table :class:`features.tables.Expected`: cells that have customers.
    """
    keep = np.ones(len(state), dtype=bool) if is_counted is None else is_counted
    if not keep.any():
        return pd.DataFrame(columns=list(Expected.columns()))
    ranked = expected_orders.to_numpy(dtype=np.float64)[keep]
    starts = tenth_starts(ranked)
    cells = cells_of(state["age_days"].to_numpy()[keep], ranked, starts)
    parts = []
    for days, counts in windows.items():
        columns = (column[keep] for column in (counts.orders, counts.variance, counts.value))
        customers, orders, variance, value = cell_sums(cells, *columns)
        found = np.flatnonzero(customers)
        tenure, tenth = np.divmod(found, len(starts))
        parts.append(
            pd.DataFrame(
                {
                    "as_of": as_of,
                    "window_days": int(days),
                    "tenure": [TENURES[place] for place in tenure],
                    "decile": tenth + 1,
                    "orders_from": np.maximum(starts, 0.0)[tenth],
                    "customers": customers[found].astype(np.int64),
                    "expected_orders": orders[found],
                    "variance_orders": variance[found],
                    "expected_value": value[found],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
