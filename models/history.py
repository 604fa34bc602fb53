"""What purchase and spend models know of customers, as one value."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.operational_time import OperationalTime

Array = NDArray[np.float64]

CALENDAR = OperationalTime(date.min)  # every day counts as one


class States(Protocol):
    """Customer states: columns of equal length by name, a frame or a mapping."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401  # an array of numbers
        """Return a column."""
        ...

    def __contains__(self, name: object, /) -> bool:
        """Tell whether there is such a column."""
        ...


@dataclass(frozen=True)
class CustomerHistory:
    """Histories of n customers; every array has shape (n,).

    Attributes
    ----------
    x, t_x, T
        Repeat purchases, operational days from the first to the last purchase, and observed.
    orders, mean_order
        Orders that the mean order value is taken over, and that mean, store's currency; 0 = none.
    scale
        What the expected order value by `orders` and `mean_order` is multiplied by.
    time
        How the days to come are measured.
    """

    x: Array
    t_x: Array
    T: Array
    orders: Array
    mean_order: Array
    scale: Array
    time: OperationalTime = CALENDAR

    @classmethod
    def of(
        cls,
        x: ArrayLike,
        t_x: ArrayLike,
        T: ArrayLike,
        mean_order: ArrayLike,
        orders: ArrayLike | None = None,
        scale: ArrayLike = 1.0,
        time: OperationalTime = CALENDAR,
    ) -> "CustomerHistory":
        """Return histories whose mean order is, unless `orders` is given, that of repeat purchases."""
        columns = (x, t_x, T, x if orders is None else orders, mean_order, scale)
        six = np.broadcast_arrays(*(np.asarray(c, dtype=np.float64) for c in columns))
        x, t_x, T, orders, mean_order, scale = six
        return cls(x, t_x, T, orders, mean_order, scale, time)

    @property
    def times(self) -> tuple[Array, Array, Array]:
        """``x, t_x, T``, as purchase models take them."""
        return self.x, self.t_x, self.T

    @property
    def is_once(self) -> NDArray[np.bool_]:
        """Who bought once only."""
        return np.asarray(self.x == 0)

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.x)
