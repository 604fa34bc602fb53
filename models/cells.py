"""Rows that are equal, computed once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST = 1 << 20  # whole numbers below it are packed three to a key


def distinct(*columns: Array) -> tuple[list[Array], NDArray[np.intp]]:
    """Return the distinct rows of equally long columns, and where each row stands among them.

    Parameters
    ----------
    columns
        Up to three arrays of shape (n,). Whole numbers from 0 to 2^20 are packed into one key; others
        are numbered column by column first.

    Returns
    -------
    tuple
        Columns of the k distinct rows, in ascending order, and indices of shape (n,) into them.
    """
    if _are_packable(columns):
        keys, where = np.unique(_packed(columns), return_inverse=True)
        return _unpacked(keys, len(columns)), where.ravel()
    values, places = zip(*(np.unique(c, return_inverse=True) for c in columns), strict=True)
    numbers = [np.asarray(place, dtype=np.float64).ravel() for place in places]
    if not _are_packable(numbers):
        rows, where = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
        return [column.copy() for column in rows.T], where.ravel()
    keys, where = np.unique(_packed(numbers), return_inverse=True)
    numbers = _unpacked(keys, len(columns))
    return [v[n.astype(np.intp)] for v, n in zip(values, numbers, strict=True)], where.ravel()


def _are_packable(columns: Sequence[Array]) -> bool:
    return all(((c >= 0) & (c < LARGEST) & (c == np.floor(c))).all() for c in columns)


def _packed(columns: Sequence[Array]) -> NDArray[np.int64]:
    packed = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        packed = packed * LARGEST + column.astype(np.int64)
    return packed


def _unpacked(keys: NDArray[np.int64], count: int) -> list[Array]:
    columns: list[Array] = []
    for _ in range(count):
        keys, rest = np.divmod(keys, LARGEST)
        columns.insert(0, rest.astype(np.float64))
    return columns


def counted(*columns: Array) -> tuple[list[Array], Array]:
    """Return the distinct rows of equally long columns, in ascending order, and how many each are.

    As :func:`distinct`, but without telling where each row stands, which takes longest.
    """
    if not _are_packable(columns):
        once, where = distinct(*columns)
        return once, np.bincount(where).astype(np.float64)
    keys, counts = np.unique(_packed(columns), return_counts=True)
    return _unpacked(keys, len(columns)), counts.astype(np.float64)


def runs(values: Array) -> tuple[Array, NDArray[np.intp]]:
    """Return the distinct values of an array, ascending, and where each element stands among them.

    As ``numpy.unique``, but without sorting what is sorted already.
    """
    flat = values.ravel()
    steps = np.diff(flat)
    if (steps >= 0).all():
        is_new = np.concatenate([[True], steps > 0])[: flat.size]
        return flat[is_new], (np.cumsum(is_new) - 1).reshape(values.shape)
    once, at = np.unique(flat, return_inverse=True)
    return once, at.reshape(values.shape)
