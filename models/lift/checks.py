"""What the statistics of an experiment ask of their columns."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


class LiftError(ValueError):
    """Too little data to measure a lift: the message has the problem and the rule."""


def finite(name: str, values: ArrayLike, count: int | None = None) -> Array:
    """Return a column of finite numbers, shape (n,).

    Raises
    ------
    ValueError
        Another shape, another length than `count`, or a value that is no finite number.
    """
    array = _floats(name, values)
    if array.ndim != 1 or (count is not None and len(array) != count):
        wanted = "(n,)" if count is None else f"({count:,},)"
        raise ValueError(
            f"{name} has shape {wanted}: got {array.shape}. Pass one value a customer"
        )
    _refuse_unknown(name, array)
    return array


def matrix(name: str, values: ArrayLike, count: int | None = None) -> Array:
    """Return features, shape (n, k), NaN = not given.

    Raises
    ------
    ValueError
        Another shape, another length than `count`, or an infinite value.
    """
    array = _floats(name, values)
    if array.ndim != 2 or array.shape[1] == 0 or (count is not None and len(array) != count):
        wanted = "n" if count is None else f"{count:,}"
        raise ValueError(
            f"{name} has shape ({wanted}, k): got {array.shape}. Pass a row a customer"
        )
    if np.isinf(array).any():
        raise ValueError(
            f"{name} is finite or NaN: {int(np.isinf(array).sum()):,} values are infinite. Pass NaN"
        )
    return array


def flags(name: str, values: ArrayLike, count: int) -> Bools:
    """Return a boolean column of shape (count,).

    Raises
    ------
    ValueError
        Another shape or another type.
    """
    array: NDArray[Any] = np.asarray(values)
    if array.dtype != np.bool_:
        raise ValueError(
            f"{name} is True or False: got {array.dtype}. Convert it with == or astype(bool)"
        )
    if array.shape != (count,):
        raise ValueError(
            f"{name} has shape ({count:,},): got {array.shape}. Pass one value a customer"
        )
    return array


def both_arms(is_treated: Bools, least: int) -> None:
    """Refuse an experiment of which an arm has fewer than `least` customers.

    Raises
    ------
    LiftError
        It has.
    """
    treated = int(is_treated.sum())
    control = len(is_treated) - treated
    if min(treated, control) < least:
        raise LiftError(
            f"each arm needs {least:,} customers: {treated:,} are treated, {control:,} held out. "
            "Wait for more, or measure segments together"
        )


def positive(name: str, value: ArrayLike) -> Array:
    """Return numbers of any shape, all finite and above 0.

    Raises
    ------
    ValueError
        One is not.
    """
    array = _floats(name, value)
    _refuse_unknown(name, array)
    if not (array > 0).all():
        raise ValueError(
            f"{name} is above 0: the least is {array.min():g}. Look at how it was computed"
        )
    return array


def share(name: str, value: float) -> float:
    """Return a share strictly between 0 and 1.

    Raises
    ------
    ValueError
        It is not.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} lies between 0 and 1: got {value}. Pass a share, .1 for 10 %")
    return float(value)


def _floats(name: str, values: ArrayLike) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds numbers: {error}. Convert it first") from None


def _refuse_unknown(name: str, values: Array) -> None:
    wrong = values.size - int(np.isfinite(values).sum())
    if wrong:
        raise ValueError(
            f"{name} is known of every customer: {wrong:,} of {values.size:,} are NaN or infinite. "
            "Count no order as 0"
        )
