"""What the engine was made to do, counted: statements and rows read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ibis
import pytest

from perennial.pipeline.scoring.batches import States

METRICS = ("CUMULATIVE_ROWS_SCANNED",)


@dataclass
class Work:
    """Statements that read anything, and the rows that they read in all."""

    statements: int = 0
    rows: int = 0

    def add(self, message: str) -> None:
        """Add what the engine says of a statement."""
        rows = json.loads(message).get("cumulative_rows_scanned", 0)  # a setting has no plan
        self.statements += rows > 0
        self.rows += rows


class Counting:
    """A DuckDB connection that counts: of each statement once the next one comes, as by then it is over."""

    def __init__(self, connection, work: Work) -> None:
        self._connection, self._work, self._is_open = connection, work, False
        wanted = json.dumps(dict.fromkeys(METRICS, "true"))
        connection.execute("PRAGMA enable_profiling = 'no_output'")
        connection.execute(f"SET custom_profiling_settings = '{wanted}'")

    def execute(self, *args, **named):
        self._settle()
        return self._connection.execute(*args, **named)

    def sql(self, *args, **named):
        self._settle()
        return self._connection.sql(*args, **named)

    def close(self):
        self._settle()
        return self._connection.close()

    def _settle(self) -> None:
        if self._is_open:
            self._work.add(self._connection.get_profiling_information(format="json"))
        self._is_open = True

    def __getattr__(self, name):
        return getattr(self._connection, name)


@contextmanager
def counted() -> Iterator[Work]:
    """Count what every engine opened meanwhile does."""
    work, connect = Work(), ibis.duckdb.connect

    def opened(*args, **named):
        backend = connect(*args, **named)
        backend.con = Counting(backend.con, work)
        return backend

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ibis.duckdb, "connect", opened)
        yield work


@contextmanager
def counted_states() -> Iterator[Work]:
    """Count the rounds over customers' states, and the customers in them."""
    work, each = Work(), States.__iter__

    def rounds(self):
        work.statements += 1
        for batch in each(self):
            work.rows += len(batch.table)
            yield batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(States, "__iter__", rounds)
        yield work
