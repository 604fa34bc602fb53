"""What engines outside this process share: DuckDB reads files for them and hands on what they answer."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from connectors.engine.duckdb import DuckDBEngine
from connectors.engine.files import FileRows
from connectors.engine.shared import Engine

# a number as DuckDB reads it from text; digits may be grouped by underscores
DIGITS = r"[0-9]+(?:_[0-9]+)*"
NUMBER = rf"^\s*[+-]?(?:{DIGITS}(?:\.(?:{DIGITS})?)?|\.{DIGITS})(?:[eE][+-]?[0-9]{{1,3}})?\s*$"


class RemoteEngine(Engine):
    """An engine outside this process.

    What a line of a file is must not depend on the engine: DuckDB reads CSV and JSON on this machine for
    every engine, and takes what they answer, so that values have the same types in memory.

    Parameters
    ----------
    connection
        Ibis connection.
    local
        DuckDB, opened in the same time zone.
    scratch
        Folder for what travels between them.
    """

    def __init__(self, connection: Any, local: DuckDBEngine, scratch: Path) -> None:  # noqa: ANN401  # any of Ibis' backends
        super().__init__(connection)
        self._local = local
        self._scratch = scratch
        self._files = count()

    @property
    def local(self) -> Engine:
        """DuckDB on this machine."""
        return self._local

    @abstractmethod
    def _bring(self, table: ir.Table) -> ir.Table:
        """Take over a table of the local DuckDB."""

    @abstractmethod
    def _fetch(self, table: ir.Table) -> ir.Table:
        """Compute a table and hand it to the local DuckDB, its rows in order."""

    def _file(self, ending: str) -> Path:
        """Return a new place in the scratch folder."""
        return self._scratch / f"{next(self._files)}.{ending}"

    def read_rows(
        self,
        files: list[Path],
        *,
        encoding: str | None = None,
        nested: Mapping[str, str] | None = None,
    ) -> FileRows:
        """Return the rows of files as they are, and the lines that no row came of."""
        path = self._file("parquet")
        read = self._local.copy_rows(files, path, encoding=encoding, nested=nested or {})
        broken = None if read.broken is None else self._bring(read.broken)
        return replace(read, rows=self.parquet(path), broken=broken)

    def table(self, frame: pd.DataFrame, name: str) -> ir.Table:
        """Return a frame in memory as a table."""
        return self._bring(self._local.table(frame, name))

    def stage(self, table: ir.Table, name: str) -> ir.Table:
        """Compute a table once: Spark would write its expressions into the code of each use."""
        return self.keep(table, name)

    def frame(self, table: ir.Table) -> pd.DataFrame:
        """Fetch a table into memory."""
        return self._local.frame(self._fetch(table))

    def frames(self, table: ir.Table) -> Iterator[pd.DataFrame]:
        """Fetch a table in parts."""
        return self._local.frames(self._fetch(table))

    def has_rows(self, table: ir.Table) -> bool:
        """Tell whether a table has any row."""
        return len(self.frame(table.limit(1))) > 0
