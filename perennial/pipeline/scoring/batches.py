"""Customers in batches: few at once in memory, on all cores, with a cache of intermediate results."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import cpu_count
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from connectors.klaviyo.erasure import Erasures

Array = NDArray[np.float64]
Item = TypeVar("Item")
Result = TypeVar("Result")

ROWS = 1 << 16  # customers in a batch


@dataclass(frozen=True)
class Batch:
    """Some customers.

    Attributes
    ----------
    number
        Its place among the batches.
    table
        Rows of :class:`features.tables.CustomerState`.
    """

    number: int
    table: pa.Table

    @cached_property
    def numbers(self) -> pd.DataFrame:
        """The numeric columns, which are all that models look at."""
        schema = self.table.schema
        named = [field.name for field in schema if _is_number(field.type)]
        frame: pd.DataFrame = self.table.select(named).to_pandas()
        return frame

    @cached_property
    def customers(self) -> pd.Series:
        """The customers' ids."""
        ids: pd.Series = self.table["customer_id"].to_pandas().astype("str")
        return ids


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


@dataclass(frozen=True)
class States:
    """Customer states, batch by batch; every round over them reads them anew.

    Attributes
    ----------
    source
        Table :class:`features.tables.CustomerState`: a Parquet file, a folder of them, or a frame.
    erased
        The forgotten, who are no customers; None = nobody.
    """

    source: Path | pd.DataFrame
    erased: Erasures | None = None

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches that have customers, the last one smaller; for an empty store, one without rows."""
        number = -1
        for number, table in enumerate(table for table in self._tables() if len(table)):
            yield Batch(number, table)
        if number < 0:
            yield Batch(0, self._empty())

    def _tables(self) -> Iterator[pa.Table]:
        for table in self._all():
            if self.erased is None or not len(self.erased):
                yield table
            else:
                gone = self.erased.covers(table["customer_id"].to_pandas())
                yield table.filter(pa.array(~gone))

    def _all(self) -> Iterator[pa.Table]:
        if isinstance(self.source, Path):
            for part in _files(self.source):
                with pq.ParquetFile(part) as file:
                    for records in file.iter_batches(ROWS):
                        yield pa.Table.from_batches([records])
        else:
            for begin in range(0, len(self.source), ROWS):
                rows = self.source.iloc[begin : begin + ROWS]
                yield pa.Table.from_pandas(rows, preserve_index=False)

    def _empty(self) -> pa.Table:
        if isinstance(self.source, Path):
            return pq.read_schema(_files(self.source)[0]).empty_table()
        return pa.Table.from_pandas(self.source.head(0), preserve_index=False)


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


class BatchCache:
    """Intermediate columns of each batch, cached for a later round.

    Parameters
    ----------
    folder
        Where they are stored; None = in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self._kept = folder, dict[int, Array]()
        self._names: list[str] = []

    def put(self, number: int, arrays: dict[str, Array]) -> None:
        """Store a batch's columns, of the same names as every other's."""
        self._names = list(arrays)
        columns = np.stack(list(arrays.values()))
        if self._folder is None:
            self._kept[number] = columns
        else:
            np.save(self._folder / f"{number}.npy", columns)

    def take(self, number: int) -> dict[str, Array]:
        """Return the cached columns of a batch."""
        kept = (
            self._kept[number] if self._folder is None else np.load(self._folder / f"{number}.npy")
        )
        return dict(zip(self._names, kept, strict=True))


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Apply a function to items on all cores, and yield what it returns in their order.

    NumPy, Arrow and scikit-learn let other threads work beside them. No more items are taken than are
    worked on, and one.
    """
    cores = cpu_count()
    waiting = deque[Future[Result]]()
    with ThreadPoolExecutor(cores) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def texts(codes: NDArray[np.integer], names: Iterable[str]) -> pa.Array:
    """Return texts by their codes."""
    return pc.cast(
        pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string())), pa.string()
    )
