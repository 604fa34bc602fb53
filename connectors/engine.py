"""The one door to compute: DuckDB through Ibis."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd

PARQUET_ENDINGS = {".parquet", ".pq"}
OFFSET = r"(:\d{2}(?:\.\d+)?)\s*([+-]\d{2}):?(\d{2})\s*$"  # -0300 and " -03:00" alike


@ibis.udf.scalar.builtin(
    name="timezone", signature=(("string", "timestamp('UTC')"), "timestamp(6)")
)
def _clock_in(zone: str, moment: ir.Column) -> ir.Column:
    """Wall-clock time of a moment in a zone."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=(("string", "string"), "timestamp(6)"))
def _parse(text: ir.Column, pattern: str) -> ir.Column:
    """Wall-clock time by a strptime pattern; null where it does not fit."""


class Engine:
    """Tables in, expressions over them, tables out.

    Parameters
    ----------
    connection
        Ibis connection to DuckDB.
    """

    def __init__(self, connection: ibis.BaseBackend) -> None:
        self._connection = connection

    def parquet(self, path: Path) -> ir.Table:
        """Return a Parquet file, or a folder of them, as a table."""
        return self._connection.read_parquet(str(path / "*.parquet" if path.is_dir() else path))

    def read_rows(self, files: list[Path]) -> tuple[ir.Table, ir.Table | None]:
        """Return the rows of CSV or Parquet files as they are, and the lines that no row came of.

        Parameters
        ----------
        files
            Files of one kind; columns are matched by name.

        Returns
        -------
        tuple
            The rows, with the column ``filename`` added, and for CSV a table ``csv_line,
            error_message, file_path`` of unreadable lines.

        Raises
        ------
        ValueError
            CSV files with different columns.
        """
        names = [str(file) for file in files]
        if files[0].suffix.lower() in PARQUET_ENDINGS:
            return self._connection.read_parquet(names, filename=True, union_by_name=True), None
        views = [
            self._connection.read_csv(
                name, all_varchar=True, header=True, filename=True, store_rejects=True
            )
            for name in names
        ]
        odd = [
            n for n, v in zip(names, views, strict=True) if set(v.columns) != set(views[0].columns)
        ]
        if odd:
            raise ValueError(f"{odd[0]} has other columns than {names[0]}")
        aligned = [view.select(*views[0].columns) for view in views]
        rows = self.keep(
            aligned[0].union(*aligned[1:]) if aligned[1:] else aligned[0], "source_rows"
        )
        broken = self._connection.sql(
            "SELECT any_value(csv_line) AS csv_line, any_value(error_message) AS error_message,"
            " any_value(s.file_path) AS file_path"
            " FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id)"
            " GROUP BY scan_id, file_id, line",
            schema=ibis.schema(
                dict.fromkeys(("csv_line", "error_message", "file_path"), "string")
            ),
        )
        return rows, self.keep(broken, "broken_lines")

    def keep(self, table: ir.Table, name: str) -> ir.Table:
        """Compute a table once; later expressions read the result."""
        return self._connection.create_table(name, table, temp=True, overwrite=True)

    def write_parquet(self, table: ir.Table, path: Path) -> None:
        """Write a table as one Parquet file."""
        self._connection.to_parquet(table, str(path), compression="zstd")

    def frame(self, table: ir.Table) -> pd.DataFrame:
        """Fetch a table into memory."""
        frame: pd.DataFrame = self._connection.to_pandas(table)
        return frame

    def moment(self, text: ir.Column, pattern: str | None = None) -> ir.Column:
        """Read a column as moments: a given offset counts, else the store's time zone; null = unreadable."""
        if text.type().is_string():
            text = _parse(text, pattern) if pattern else text.re_replace(OFFSET, r"\1\2:\3")
        return text.try_cast("timestamp('UTC')")

    def utc(self, moment: ir.Column) -> ir.Column:
        """Return the UTC wall-clock time of moments."""
        return _clock_in("UTC", moment)

    def store_day(self, moment: ir.Column) -> ir.Column:
        """Return the day of moments in the store's time zone."""
        return moment.cast("date")

    def row_hash(self, table: ir.Table, names: list[str]) -> ir.Column:
        """Return a 64-bit hash of the columns' values."""
        return ibis.struct({name: table[name] for name in names}).hash()


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
