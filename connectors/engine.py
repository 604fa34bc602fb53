"""The one door to compute: DuckDB through Ibis."""

import csv
import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from glob import escape
from itertools import chain, count
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow.parquet as pq

from connectors.texts import trim

FILE_COLUMN = "perennial_source_file"
CSV_ERRORS = ("scan_id", "file_id", "line", "csv_line", "error_message")
CSV_SCANS = ("scan_id", "file_id", "file_path")
DELIMITERS = (",", ";", "\t", "|")
PARQUET_ENDINGS = {".parquet", ".pq"}
JSON_ENDINGS = {".json", ".jsonl", ".ndjson"}
_ZONE = r"\s*(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)"
ISO_8601 = (
    rf"^\d{{4}}-\d{{2}}-\d{{2}}(?:[T ]\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?:{_ZONE})?)?$"
)
PART_ROWS = 100_000  # fetched at once
NEVER = "%Y!%m!%d"  # a date of this form is in no file: texts stay texts
NO_SECONDS = rf"([T ]\d{{1,2}}:\d{{2}})((?:{_ZONE})?)$"
OFFSET = r"(:\d{2}(?:\.\d+)?)\s*([+-]\d{2}):?(\d{2})$"  # -0300 and " -03:00" alike


@ibis.udf.scalar.builtin(name="epoch_us", signature=(("timestamp('UTC')",), "int64"))
def _microseconds(moment: ir.Column) -> ir.Column:
    """Microseconds since 1970."""


@ibis.udf.scalar.builtin(name="make_timestamp", signature=(("int64",), "timestamp(6)"))
def _clock_at(microseconds: ir.Column) -> ir.Column:
    """Wall-clock time in UTC; much sooner told than by the calendar of a zone."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=(("string", "string"), "timestamp(6)"))
def _parse(text: ir.Column, pattern: str) -> ir.Column:
    """Wall-clock time by a strptime pattern; null where it does not fit."""


class UnevenFilesError(ValueError):
    """Files of one source have different columns, or a file has none."""


class Engine:
    """Tables in, expressions over them, tables out.

    Parameters
    ----------
    connection
        Ibis connection to DuckDB.
    """

    def __init__(self, connection: ibis.BaseBackend) -> None:
        self._connection = connection
        self._readings = count()

    def parquet(self, path: Path) -> ir.Table:
        """Return a Parquet file, or a folder of them, as a table."""
        return self._connection.read_parquet(str(path / "*.parquet" if path.is_dir() else path))

    def read_rows(
        self, files: list[Path], varying: str | None = None
    ) -> tuple[ir.Table, ir.Table | None]:
        """Return the rows of CSV or Parquet files as they are, and the lines that no row came of.

        Parameters
        ----------
        files
            Files of one kind; columns are matched by name.
        varying
            Pattern of columns that some of the CSV files may lack.

        Returns
        -------
        tuple
            The rows, with the column :data:`FILE_COLUMN` added, and for CSV a table ``csv_line,
            error_message, file_path`` of unreadable lines.

        Raises
        ------
        UnevenFilesError
            CSV files with different columns.
        """
        names = [escape(str(file)) for file in files]  # a file's name is no pattern
        if files[0].suffix.lower() in PARQUET_ENDINGS:
            return self._parquet_rows(files, names), None
        if files[0].suffix.lower() in JSON_ENDINGS:
            return self._json_rows(files, names), None
        pairs = [self._csv_rows(file, name) for file, name in zip(files, names, strict=True)]
        views, broken = ([pair[i] for pair in pairs] for i in (0, 1))
        columns = _common_columns(names, views, varying)
        rows = _union([_with_columns(view, columns) for view in views])
        number = next(self._readings)  # the tables of another reading stay
        kept = self.keep(rows, f"source_rows_{number}")
        return kept, self.keep(_union(broken), f"broken_lines_{number}")

    def _csv_rows(self, file: Path, name: str) -> tuple[ir.Table, ir.Table]:
        """Read a CSV file as text; the header alone says how it is written, no later row does."""
        number = next(self._readings)
        delimiter, names = _header(file)
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

    def write_parquet(self, table: ir.Table, path: Path, *, is_kept: bool = False) -> None:
        """Write a table as one Parquet file, packed tighter where it is kept."""
        compression = "zstd" if is_kept else "snappy"
        self._connection.to_parquet(table, str(path), compression=compression)

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

    def moment(self, text: ir.Column, pattern: str | None = None) -> ir.Column:
        """Read a column as moments: a given offset counts, else the store's time zone; null = unreadable."""
        if not text.type().is_string():
            return text.try_cast("timestamp('UTC')")
        text = trim(text)
        if pattern:
            return _parse(text, pattern).try_cast("timestamp('UTC')")
        # Only what is spelled out here: the engine's own reading lets the zone that one row names
        # stand for the rows after it, and takes words such as infinity.
        whole = ibis.ifelse(text.re_search(ISO_8601), text, ibis.null("string"))
        in_utc = whole.re_replace(r"\s*(?:Z|UTC)$", "+00:00")
        with_seconds = in_utc.re_replace(NO_SECONDS, r"\1:00\2")
        return with_seconds.re_replace(OFFSET, r"\1\2:\3").try_cast("timestamp('UTC')")

    def utc(self, moment: ir.Column) -> ir.Column:
        """Return the UTC wall-clock time of moments."""
        return _clock_at(_microseconds(moment))

    def store_day(self, moment: ir.Column) -> ir.Column:
        """Return the day of moments in the store's time zone."""
        return moment.cast("date")

    def is_after(self, moment: ir.Column, day: date) -> ir.Column:
        """Tell the moments whose day in the store's time zone is later.

        The calendar, which is slow, is only asked about what is near: no zone is more than a day
        away from UTC.
        """
        near = moment >= ibis.timestamp(f"{day - timedelta(days=1)}T00:00:00Z")
        return ibis.ifelse(near, self.store_day(moment) > ibis.date(day), ibis.literal(False))

    def row_hash(self, table: ir.Table, names: list[str]) -> ir.Column:
        """Return a 64-bit hash of the columns' values."""
        return ibis.struct({name: table[name] for name in names}).hash()


def _header(file: Path) -> tuple[str, list[str]]:
    """Return what separates the names in a CSV file's header, and the names, each once."""
    opened = gzip.open if file.suffix.lower() == ".gz" else open
    with opened(file, "rt", encoding="utf-8-sig", errors="replace", newline="") as lines:
        first = re.sub(r'"[^"]*"', "", lines.readline(1_000_000))
        delimiter = max(DELIMITERS, key=first.count)
        lines.seek(0)
        try:
            header = next(csv.reader(lines, delimiter=delimiter), [])
        except csv.Error as error:
            raise UnevenFilesError(f"{file} has no header that can be read: {error}") from error
    names: list[str] = []
    for i, name in enumerate(header):
        known = {other.lower() for other in names}
        plain = name.strip() or f"column{i}"
        candidates = chain([plain], (f"{plain}_{n}" for n in count(1)))
        names.append(next(c for c in candidates if c.lower() not in known))
    return delimiter, names


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


def _union(tables: list[ir.Table]) -> ir.Table:
    return tables[0].union(*tables[1:]) if tables[1:] else tables[0]


@contextmanager
def open_engine(
    timezone: str = "UTC", *, memory_limit: str | None = None, scratch: Path | None = None
) -> Iterator[Engine]:
    """Open an engine, and close it after use.

    Parameters
    ----------
    timezone
        The store's IANA time zone: a moment without an offset is read in it, a day is a day there.
    memory_limit
        For instance ``"4GB"``; the engine spills to `scratch` beyond it. By default 80 % of the machine's.
    scratch
        Folder to spill to.
    """
    config = {"memory_limit": memory_limit} if memory_limit else {}
    if scratch is not None:
        config["temp_directory"] = str(scratch)
    connection = ibis.duckdb.connect(**config)
    try:
        connection.raw_sql(f"SET TimeZone = '{timezone.replace(chr(39), '')}'")
        yield Engine(connection)
    finally:
        connection.disconnect()
