"""DuckDB, in this process: the default, and what reads files for the others."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow.parquet as pq

from connectors.engine.days import day_of, learn_days
from connectors.engine.duckdb_words import WholeDuckDBCompiler
from connectors.engine.files import (
    FILE_COLUMN,
    JSON_ENDINGS,
    PARQUET_ENDINGS,
    UnevenFilesError,
    read_header,
)
from connectors.engine.shared import Engine

CSV_ERRORS = ("scan_id", "file_id", "line", "csv_line", "error_message")
CSV_SCANS = ("scan_id", "file_id", "file_path")
PART_ROWS = 100_000  # fetched at once
NEVER = "%Y!%m!%d"  # a date of this form is in no file: texts stay texts


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
    """DuckDB in this process: reads files and computes out of core."""

    errors = (duckdb.Error,)
    _knows_days = False

    @property
    def local(self) -> Engine:
        """Return this engine itself."""
        return self

    def parquet(self, path: Path) -> ir.Table:
        """Return a Parquet file, or a folder of them, as a table."""
        return self._connection.read_parquet(str(path / "*.parquet" if path.is_dir() else path))

    def read_rows(
        self, files: list[Path], varying: str | None = None
    ) -> tuple[ir.Table, ir.Table | None]:
        """Return the rows of files as they are, and the lines that no row came of."""
        rows, broken = self._rows(files, varying)
        if broken is None:
            return rows, None
        number = next(self._readings)  # the tables of another reading stay
        kept = self.keep(rows, f"source_rows_{number}")
        return kept, self.keep(broken, f"broken_lines_{number}")

    def copy_rows(self, files: list[Path], varying: str | None, path: Path) -> ir.Table | None:
        """Write the rows of files as one Parquet file; return the lines that no row came of."""
        rows, broken = self._rows(files, varying)
        self.write_for_others(rows, path)
        return (
            None if broken is None else self.keep(broken, f"broken_lines_{next(self._readings)}")
        )

    def _rows(self, files: list[Path], varying: str | None) -> tuple[ir.Table, ir.Table | None]:
        """Return the rows of files; the lines that no row came of are known when these are read."""
        names = [escape(str(file)) for file in files]  # a file's name is no pattern
        if files[0].suffix.lower() in PARQUET_ENDINGS:
            return self._parquet_rows(files, names), None
        if files[0].suffix.lower() in JSON_ENDINGS:
            return self._json_rows(files, names), None
        pairs = [self._csv_rows(file, name) for file, name in zip(files, names, strict=True)]
        views, broken = ([pair[i] for pair in pairs] for i in (0, 1))
        columns = _common_columns(names, views, varying)
        return _union([_with_columns(view, columns) for view in views]), _union(broken)

    def _csv_rows(self, file: Path, name: str) -> tuple[ir.Table, ir.Table]:
        """Read a CSV file as text; the header alone says how it is written, no later row does."""
        number = next(self._readings)
        delimiter, names = read_header(file)
        rows = self._connection.read_csv(
            name,
            auto_detect=False,
            columns=dict.fromkeys(names, "VARCHAR"),
            header=True,
            delim=delimiter,
            quote='"',
            escape='"',
            filename=FILE_COLUMN,
            store_rejects=True,
            rejects_table=f"csv_errors_{number}",
            rejects_scan=f"csv_scans_{number}",
        )
        errors = self._lazily(f"csv_errors_{number}", CSV_ERRORS)
        scans = self._lazily(f"csv_scans_{number}", CSV_SCANS)
        lines = errors.join(scans, ["scan_id", "file_id"])
        by_line = lines.group_by("scan_id", "file_id", "line").aggregate(
            csv_line=lines.csv_line.max(),
            error_message=lines.error_message.max(),
            file_path=lines.file_path.max(),
        )
        return rows, by_line.select("csv_line", "error_message", "file_path")

    def _lazily(self, table: str, columns: tuple[str, ...]) -> ir.Table:
        """Name a table that the engine fills while it reads."""
        schema = ibis.schema(dict.fromkeys(columns, "string"))
        return self._connection.sql(f"SELECT {', '.join(columns)} FROM {table}", schema=schema)  # noqa: S608  # our own names

    def _parquet_rows(self, files: list[Path], names: list[str]) -> ir.Table:
        """Read Parquet files; columns that differ in type between them become text."""
        if len({str(pq.read_schema(file).remove_metadata()) for file in files}) == 1:
            return self._connection.read_parquet(names, filename=FILE_COLUMN)
        views = [self._connection.read_parquet(name, filename=FILE_COLUMN) for name in names]
        columns = dict.fromkeys(column for view in views for column in view.columns)
        kinds = {c: {v[c].type() for v in views if c in v.columns} for c in columns}

        def aligned(view: ir.Table) -> ir.Table:
            chosen = {c: view[c] if c in view.columns else ibis.null() for c in columns}
            common = {
                c: kinds[c].copy().pop() if len(kinds[c]) == 1 else "string" for c in columns
            }
            return view.select(**{c: value.cast(common[c]) for c, value in chosen.items()})

        return _union([aligned(view) for view in views])

    def table(self, frame: pd.DataFrame, name: str) -> ir.Table:
        """Return a frame in memory as a table."""
        return self._connection.create_table(name, frame, temp=True, overwrite=True)

    def _json_rows(self, files: list[Path], names: list[str]) -> ir.Table:
        """Read JSON arrays or lines; times stay text, whole numbers and structures are typed."""
        views = [
            self._connection.read_json(name, dateformat=NEVER, timestampformat=NEVER).mutate(
                **{FILE_COLUMN: ibis.literal(str(file))}
            )
            for file, name in zip(files, names, strict=True)
        ]
        odd = [
            f for f, v in zip(files, views, strict=True) if set(v.columns) != set(views[0].columns)
        ]
        if odd:
            raise UnevenFilesError(f"{odd[0]} has other columns than {files[0]}")
        return _union([view.select(*views[0].columns) for view in views])

    def keep(self, table: ir.Table, name: str) -> ir.Table:
        """Compute a table once; later expressions read the result."""
        return self._connection.create_table(name, table, temp=True, overwrite=True)

    def view(self, table: ir.Table, name: str) -> ir.Table:
        """Name a table without computing it: what is made of it is translated and planned in parts."""
        view = f"{name}_{next(self._readings)}"  # the views of another reading stay
        query = self._connection.compile(table)
        self._connection.raw_sql(f'CREATE TEMP VIEW "{view}" AS {query}')
        return self._connection.table(view, database=("temp", "main"))

    def write_parquet(self, table: ir.Table, path: Path) -> None:
        """Write a table as one Parquet file; rows that are not sorted are in any order."""
        # The second version's encodings are small, and written and read sooner, without a compression.
        self._connection.raw_sql(
            "SET preserve_insertion_order = false"
        )  # a sort holds all the same
        try:
            self._connection.to_parquet(
                table, str(path), compression="uncompressed", parquet_version="V2"
            )
        finally:
            self._connection.raw_sql("RESET preserve_insertion_order")

    def write_for_others(self, table: ir.Table, path: Path) -> None:
        """Write a table as one Parquet file that every engine reads, its rows in order."""
        self._connection.to_parquet(table, str(path), compression="snappy")

    def write_csv(self, table: ir.Table, path: Path) -> None:
        r"""Write a table as CSV for another database: no header, nulls as ``\N``."""
        form = r"(FORMAT csv, HEADER false, NULLSTR '\N', FORCE_QUOTE *)"
        self._connection.raw_sql(
            f"COPY ({self._connection.compile(table)}) TO '{_text(path)}' {form}"
        )

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


def _common_columns(names: list[str], views: list[ir.Table], varying: str | None) -> list[str]:
    """Return the columns of all files, and refuse a file that has others."""
    columns = list(dict.fromkeys(column for view in views for column in view.columns))
    fixed = {c for c in columns if not (varying and re.fullmatch(varying, c))}
    for name, view in zip(names, views, strict=True):
        if fixed & {*view.columns} != fixed & {*views[0].columns}:
            raise UnevenFilesError(f"{name} has other columns than {names[0]}")
    return columns


def _with_columns(view: ir.Table, columns: list[str]) -> ir.Table:
    """Return a table's columns in this order, those that it lacks as empty texts."""
    lacking = {name: ibis.null("string") for name in columns if name not in view.columns}
    return view.mutate(**lacking).select(*columns)


def _text(path: Path) -> str:
    return str(path).replace("'", "''")


def _union(tables: list[ir.Table]) -> ir.Table:
    return tables[0].union(*tables[1:]) if tables[1:] else tables[0]


@contextmanager
def open_duckdb(
    timezone: str, memory_limit: str | None = None, scratch: Path | None = None
) -> Iterator[DuckDBEngine]:
    """Open DuckDB in memory, and close it after use; it spills to `scratch`."""
    config = {"memory_limit": memory_limit} if memory_limit else {}
    if scratch is not None:
        config["temp_directory"] = str(scratch)
    connection = ibis.duckdb.connect(**config)
    connection.compiler = WholeDuckDBCompiler()
    try:
        connection.raw_sql(f"SET TimeZone = '{timezone.replace(chr(39), '')}'")
        yield DuckDBEngine(connection)
    finally:
        connection.disconnect()
