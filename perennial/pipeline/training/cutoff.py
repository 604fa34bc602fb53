"""A past day: what was known of the customers then, and what they did in the window after it."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class BacktestCutoff:
    """Customers as known on a past day, and what followed.

    Attributes
    ----------
    as_of
        The past day.
    state
        Customers as known then, by id.
    orders, value
        Arrays of shape (n,): purchase days and net amount of the window.
    """

    as_of: date
    state: pd.DataFrame
    orders: NDArray[np.float64]
    value: NDArray[np.float64]
