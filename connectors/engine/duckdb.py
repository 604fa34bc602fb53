"""DuckDB, in this process: the default, and what reads files for the others."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pandas as pd

from connectors.engine.days import day_of, learn_days
from connectors.engine.duckdb_dialect import WholeDuckDBCompiler
from connectors.engine.file_rows import FileReader
from connectors.engine.files import FileRows
from connectors.engine.shared import Engine

PART_ROWS = 100_000  # fetched at once


@ibis.udf.scalar.builtin(name="epoch_us", signature=(("timestamp('UTC')",), "int64"))
def _microseconds(moment: ir.Column) -> ir.Column:
    """Microseconds since 1970."""


@ibis.udf.scalar.builtin(name="make_timestamp", signature=(("int64",), "timestamp(6)"))
def _clock_at(microseconds: ir.Column) -> ir.Column:
    """Wall-clock time in UTC; much sooner told than by the calendar of a zone."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=(("string", "string"), "timestamp(6)"))
def _parse(text: ir.Column, pattern: str) -> ir.Column:
    """Wall-clock time by a strptime pattern; null where it does not fit."""


@ibis.udf.scalar.builtin(
    name="timezone", signature=(("string", "timestamp(6)"), "timestamp('UTC')")
)
def _at_zone(zone: str, clock: ir.Column) -> ir.Column:
    """Moment of a wall-clock time in a zone."""


class DuckDBEngine(Engine):
    """DuckDB in this process: reads files and computes out of core.

    Parameters
    ----------
    connection
        Ibis connection.
    folder
        Folder for copies of files that DuckDB cannot read as they are.
    """

    errors = (duckdb.Error,)
    _knows_days = False

    def __init__(self, connection: Any, folder: Path) -> None:  # noqa: ANN401  # Ibis' backend
        super().__init__(connection)
        self._files = FileReader(connection, folder)

    @property
    def local(self) -> Engine:
        """Return this engine itself."""
        return self

    def parquet(self, path: Path) -> ir.Table:
        """Return a Parquet file, or a folder of them, as a table."""
        name = escape(str(path))  # a folder's name is no pattern
        return self._connection.read_parquet(f"{name}/*.parquet" if path.is_dir() else name)

    def read_rows(
        self,
        files: list[Path],
        *,
        encoding: str | None = None,
        nested: Mapping[str, str] | None = None,
    ) -> FileRows:
        """Return the rows of files as they are, and the lines that no row came of."""
        read = self._files.rows(files, encoding, nested or {})
        if read.broken is None:
            return read
        number = next(self._readings)  # the tables of another reading stay
        kept = self.keep(read.rows, f"source_rows_{number}")
        broken = self.keep(read.broken, f"broken_lines_{number}")
        return replace(read, rows=kept, broken=broken)

    def copy_rows(
        self, files: list[Path], path: Path, *, encoding: str | None, nested: Mapping[str, str]
    ) -> FileRows:
        """Write the rows of files as one Parquet file; return what :meth:`read_rows` does."""
        read = self._files.rows(files, encoding, nested)
        self.write_for_others(read.rows, path)
        if read.broken is None:
            return read
        return replace(read, broken=self.keep(read.broken, f"broken_lines_{next(self._readings)}"))

    def table(self, frame: pd.DataFrame, name: str) -> ir.Table:
        """Return a frame in memory as a table."""
        return self._connection.create_table(name, frame, temp=True, overwrite=True)

    def keep(self, table: ir.Table, name: str) -> ir.Table:
        """Compute a table once; later expressions read the result."""
        return self._connection.create_table(name, table, temp=True, overwrite=True)

    def view(self, table: ir.Table, name: str) -> ir.Table:
        """Name a table without computing it: what is made of it is translated and planned in parts.

        DuckDB is not asked for the types of the view, since it would plan the whole query to tell them.
        """
        view = f"{name}_{next(self._readings)}"  # the views of another reading stay
        query = self._connection.compile(table)
        schema = table.schema()
        # DuckDB takes a column of the literal 0.0 for a decimal of one digit.
        floats = [_identifier(column) for column, kind in schema.items() if kind.is_float64()]
        if floats:
            replaced = ", ".join(f"{column}::DOUBLE AS {column}" for column in floats)
            query = f"SELECT * REPLACE ({replaced}) FROM ({query})"  # noqa: S608  # names are quoted
        self._connection.raw_sql(f'CREATE TEMP VIEW "{view}" AS {query}')
        # Ibis and DuckDB may differ on the digits of a decimal.
        if any(kind.is_decimal() for kind in schema.types):
            return self._connection.table(view, database=("temp", "main"))
        place = ops.Namespace(catalog="temp", database="main")
        return ops.DatabaseTable(view, schema, self._connection, place).to_expr()

    def stage(self, table: ir.Table, name: str) -> ir.Table:
        """Name a table without computing it: DuckDB computes equal expressions of a query once."""
        return self.view(table, name)

    def write_parquet(self, table: ir.Table, path: Path) -> None:
        """Write a table as one Parquet file; rows that are not sorted are in any order."""
        # The second version's encodings are small, and written and read sooner, without a compression.
        self._connection.raw_sql(
            "SET preserve_insertion_order = false"
        )  # a sort holds all the same
        try:
            self._copy(table, path, "FORMAT parquet, COMPRESSION uncompressed, PARQUET_VERSION v2")
        finally:
            self._connection.raw_sql("RESET preserve_insertion_order")

    def write_for_others(self, table: ir.Table, path: Path) -> None:
        """Write a table as one Parquet file that every engine reads, its rows in order."""
        self._copy(table, path, "FORMAT parquet, COMPRESSION snappy")

    def write_csv(self, table: ir.Table, path: Path) -> None:
        r"""Write a table as CSV for another database: no header, nulls as ``\N``."""
        self._copy(table, path, r"FORMAT csv, HEADER false, NULLSTR '\N', FORCE_QUOTE *")

    def _copy(self, table: ir.Table, path: Path, form: str) -> None:
        """Write a table to a file: Ibis quotes a path as Python does, DuckDB reads it as SQL."""
        query = self._connection.compile(table)
        self._connection.raw_sql(f"COPY ({query}) TO '{_text(path)}' ({form})")

    def csv(self, path: Path, schema: ibis.Schema) -> ir.Table:
        """Return a CSV file that another database wrote, its rows in order."""
        types = self._connection.compiler.type_mapper
        return self._connection.read_csv(
            escape(str(path)),
            auto_detect=False,
            columns={name: types.to_string(kind) for name, kind in schema.items()},
            header=False,
            delim=",",
            quote='"',
            escape='"',
            nullstr=r"\N",
            allow_quoted_nulls=False,
        )

    def frame(self, table: ir.Table) -> pd.DataFrame:
        """Fetch a table into memory."""
        frame: pd.DataFrame = self._connection.to_pandas(table)
        return frame

    def has_rows(self, table: ir.Table) -> bool:
        """Tell whether a table has any row."""
        return len(self._connection.to_pyarrow(table.limit(1))) > 0

    def frames(self, table: ir.Table) -> Iterator[pd.DataFrame]:
        """Fetch a table in parts; one without rows is one part without rows."""
        reader = self._connection.to_pyarrow_batches(table, chunk_size=PART_ROWS)
        yield reader.schema.empty_table().to_pandas()
        for batch in reader:
            yield batch.to_pandas()

    def store_day(self, moment: ir.Column) -> ir.Column:
        """Return the day of moments in the store's time zone; of days, themselves."""
        kind = moment.type()
        if not (kind.is_timestamp() and kind.timezone):
            return super().store_day(moment)
        if not self._knows_days:
            learn_days(self._connection.con)
            self._knows_days = True
        return day_of(moment)

    def utc(self, moment: ir.Column) -> ir.Column:
        """Return the UTC wall-clock time of moments."""
        return _clock_at(_microseconds(moment))

    def _instant(self, text: ir.Column) -> ir.Column:
        return text.try_cast("timestamp('UTC')")

    def _by_pattern(self, text: ir.Column, pattern: str) -> ir.Column:
        return _parse(text, pattern).try_cast("timestamp('UTC')")

    def _in_zone(self, clock: ir.Column, zone: str) -> ir.Column:
        return _at_zone(zone, clock.try_cast("timestamp(6)"))

    def _clock_by_pattern(self, text: ir.Column, pattern: str) -> ir.Column:
        return _parse(text, pattern)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(path: Path) -> str:
    return str(path).replace("'", "''")


@contextmanager
def open_duckdb(
    timezone: str, memory_limit: str | None = None, scratch: Path | None = None
) -> Iterator[DuckDBEngine]:
    """Open DuckDB in memory, and close it after use; it spills to `scratch`."""
    config = {"memory_limit": memory_limit} if memory_limit else {}
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        config["temp_directory"] = str(scratch)
    connection = ibis.duckdb.connect(**config)
    connection.compiler = WholeDuckDBCompiler()
    try:
        connection.raw_sql(f"SET TimeZone = '{timezone.replace(chr(39), '')}'")
        with TemporaryDirectory(
            dir=scratch, prefix="files-", ignore_cleanup_errors=True
        ) as folder:
            yield DuckDBEngine(connection, Path(folder))
    finally:
        connection.disconnect()
