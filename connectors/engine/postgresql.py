"""PostgreSQL: everything is computed in temporary tables of one connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import psycopg
from ibis.backends.postgres import Backend

from connectors.engine.duckdb import DuckDBEngine
from connectors.engine.patterns import as_iso
from connectors.engine.postgresql_dialect import FUNCTIONS, PostgreSQLCompiler, clock_in, instant
from connectors.engine.remote import RemoteEngine
from connectors.engine.shared import EngineError

CHUNK = 1 << 20  # bytes sent at once
CSV = "(FORMAT csv, NULL '\\N')"
SETTINGS = (
    "SET datestyle = 'ISO, YMD'",
    "SET client_encoding = 'UTF8'",
    "SET jit = off",
    "SET work_mem = '64MB'",
)
BYTEWISE = ' COLLATE "C"'  # texts sort as in every other engine


class PostgreSQLEngine(RemoteEngine):
    """PostgreSQL; rows travel as CSV, which both it and DuckDB write and read at speed."""

    errors = (psycopg.Error,)

    def parquet(self, path: Path) -> ir.Table:
        """Return a Parquet file, or a folder of them, as a table."""
        return self._bring(self._local.parquet(path))

    def keep(self, table: ir.Table, name: str) -> ir.Table:
        """Compute a table once; later expressions read the result."""
        made = self._make(table.schema(), name)
        query = self._connection.compile(table)
        self._run(f"INSERT INTO {_quoted(made)} {query}")  # our own words
        return self._done(made, table.schema())

    def view(self, table: ir.Table, name: str) -> ir.Table:
        """Name a table without computing it."""
        _check_flat(table.schema())
        view = f"{name}_{next(self._readings)}"
        query = self._connection.compile(table)
        self._run(f"CREATE TEMP VIEW {_quoted(view)} AS {query}")
        return self._named(view, table.schema())

    def write_parquet(self, table: ir.Table, path: Path) -> None:
        """Write a table as one Parquet file."""
        self._local.write_for_others(self._fetch(table), path)

    def _run(self, statement: str) -> None:
        self._connection.con.execute(statement)

    def _make(self, schema: ibis.Schema, name: str) -> str:
        """Make an empty temporary table; return its name, which no other reading's has."""
        _check_flat(schema)
        made = f"{name[:40]}_{next(self._readings)}"
        types = self._connection.compiler.type_mapper
        columns = ", ".join(
            f"{_quoted(column)} {types.to_string(kind)}{BYTEWISE if kind.is_string() else ''}"
            for column, kind in schema.items()
        )
        self._run(f"CREATE TEMP TABLE {_quoted(made)} ({columns})")
        return made

    def _done(self, made: str, schema: ibis.Schema) -> ir.Table:
        self._run(f"ANALYZE {_quoted(made)}")  # nobody else does for temporary tables
        return self._named(made, schema)

    def _named(self, name: str, schema: ibis.Schema) -> ir.Table:
        """Return a table of ours with the types that Ibis knows of it, which are narrower."""
        return ops.DatabaseTable(
            name, schema=schema, source=self._connection, namespace=ops.Namespace()
        ).to_expr()

    def _bring(self, table: ir.Table) -> ir.Table:
        path = self._file("csv")
        self._local.write_csv(table, path)
        made = self._make(table.schema(), "brought")
        command = f"COPY {_quoted(made)} FROM STDIN {CSV}"
        cursor = self._connection.con.cursor()
        with cursor, path.open("rb") as rows, cursor.copy(command) as into:
            while chunk := rows.read(CHUNK):
                into.write(chunk)
        path.unlink()
        return self._done(made, table.schema())

    def _fetch(self, table: ir.Table) -> ir.Table:
        path = self._file("csv")
        command = f"COPY ({self._connection.compile(table)}) TO STDOUT {CSV}"
        cursor = self._connection.con.cursor()
        with cursor, path.open("wb") as rows, cursor.copy(command) as out:
            for chunk in out:
                rows.write(chunk)
        return self._local.csv(path, table.schema())

    def utc(self, moment: ir.Column) -> ir.Column:
        """Return the UTC wall-clock time of moments."""
        return clock_in("UTC", moment)

    def _instant(self, text: ir.Column) -> ir.Column:
        return instant(text) if text.type().is_string() else text.cast("timestamp('UTC')")

    def _by_pattern(self, text: ir.Column, pattern: str) -> ir.Column:
        return instant(as_iso(text, pattern))

    def _in_zone(self, clock: ir.Column, zone: str) -> ir.Column:
        is_text = clock.type().is_string()
        text = clock if is_text else clock.strftime("%Y-%m-%d %H:%M:%S")
        return instant(text + " " + zone)

    def _clock_by_pattern(self, text: ir.Column, pattern: str) -> ir.Column:
        return as_iso(text, pattern)


def _check_flat(schema: ibis.Schema) -> None:
    nested = [name for name, kind in schema.items() if kind.is_nested()]
    if nested:
        raise EngineError(
            f"PostgreSQL keeps no nested columns: {', '.join(nested)}. Set engine.backend = "
            '"duckdb" or "spark"'
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def open_postgresql(
    local: DuckDBEngine, scratch: Path, timezone: str, url: str | None
) -> Iterator[PostgreSQLEngine]:
    """Connect, with the password in ``$PGPASSWORD``; temporary tables go with the connection."""
    if url is None:
        raise EngineError(
            "PostgreSQL needs an address: engine.url is not set. Set it, for instance to "
            "postgresql://user@host/database"
        )
    try:
        opened = psycopg.connect(url, autocommit=True)
    except psycopg.Error as error:
        problem = " ".join(str(error).split())
        raise EngineError(
            f"PostgreSQL must answer: {problem}. Check engine.url, and the password in $PGPASSWORD"
        ) from error
    with opened:
        connection = Backend.from_connection(opened)
        connection.compiler = PostgreSQLCompiler()
        for statement in (*SETTINGS, *FUNCTIONS):
            opened.execute(statement)
        opened.execute("SELECT set_config('timezone', %s, false)", (timezone,))
        yield PostgreSQLEngine(connection, local, scratch)
