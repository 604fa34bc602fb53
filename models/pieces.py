"""Rows computed in pieces: each small enough for a core's own memory, all cores at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import cpu_count

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def by_rows(work: Callable[..., Array], *columns: Array, size: int) -> Array:
    """Apply a function to pieces of equally long columns, and join what it returns.

    Parameters
    ----------
    work
        Takes pieces of the columns, flat, and returns an array whose last axis is as long. What it says of
        a row must not depend on the rows beside it. NumPy lets other threads work beside it.
    *columns
        Arrays of one shape, which is read as one row after the other.
    size
        Length of a piece.

    Returns
    -------
    Array
        The columns' shape, after the axes that `work` puts before its last.
    """
    flat, shape = [column.ravel() for column in columns], columns[0].shape
    begins = range(0, len(flat[0]), size)

    def piece(begin: int) -> Array:
        return work(*(column[begin : begin + size] for column in flat))

    if len(begins) < 2:
        result = work(*flat)
    else:
        with ThreadPoolExecutor(cpu_count()) as pool:
            result = np.concatenate(list(pool.map(piece, begins)), axis=-1)
    return np.reshape(result, (*np.shape(result)[:-1], *shape))
