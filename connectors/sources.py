"""Where an order history lies: files, folders and globs, or tables in a database."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.addresses import bare, redacted
from connectors.engine import FILE_COLUMN, Engine
from connectors.engine import SourceError as SourceError  # of sources, wherever they are read
from connectors.order_source import OrderSource
from connectors.source_files import (
    CSV_ENDINGS,
    ENDINGS,
    JSON_ENDINGS,
    PARQUET_ENDINGS,
    kind_of,
    list_files,
)
from features.tables import DataError

KINDS = (CSV_ENDINGS, PARQUET_ENDINGS, JSON_ENDINGS)
BATCH_ROWS = 200_000  # of a database at once
_ESCAPED = re.compile(r"\[([*?[])\]")  # as glob.escape writes a wildcard that is none
ONE_TABLE = "orders"  # the name of a source's rows where it is one table


@dataclass(frozen=True)
class Opened:
    """A source's tables.

    Attributes
    ----------
    tables
        The rows of each table, by its name.
    broken
        Lines of files that no row came of; None = no file is of lines.
    notes
        How files were read, for a person to check.
    lacking
        Columns of other files that a CSV or Parquet file lacks, by the file's path.
    """

    tables: Mapping[str, ir.Table]
    broken: ir.Table | None = None
    notes: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def is_database(location: str) -> bool:
    """Tell a database's URL from a path."""
    return "://" in location


def open_tables(
    engine: Engine,
    source: OrderSource,
    scratch: Path,
    *,
    names: tuple[str, ...] = (),
    nested: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Opened:
    """Open a source's tables in the engine.

    Parameters
    ----------
    engine
        Where they are read.
    source
        Where they are: a file, a glob or a folder, or a database and its table or schema.
    scratch
        Folder that a database's rows are copied to.
    names
        Tables that the history is made of; none = it is one.
    nested
        Ibis types of keys of JSON records that stay nested.
    limit
        Rows to read of each table of a database; None = all.

    Raises
    ------
    SourceError
        Nothing is there, or it cannot be opened.
    DataError
        A file is empty.
    """
    location = source.location
    if is_database(location):
        return Opened(_copy_tables(engine, location, names, source.table, scratch, limit))
    if not names:
        read = engine.read_rows(find_files(location), encoding=source.encoding, nested=nested)
        return Opened({ONE_TABLE: read.rows}, read.broken, read.notes, read.lacking)
    folder = Path(location)
    tables = {}
    for name in names:
        files = sorted(f for f in folder.glob(f"{name}.*") if kind_of(f) in ENDINGS)
        if files:
            check_inside(folder, files[:1])
            files_of_table = find_files(str(files[0]))
            tables[name] = engine.read_rows(
                files_of_table, encoding=source.encoding, nested=nested
            )
    if names[0] not in tables:
        raise SourceError(
            f"orders.source must be a folder with a file of each table: {location} has no {names[0]}.csv "
            f"or {names[0]}.parquet. Name the folder that has {', '.join(names)}"
        )
    lines = [read.broken for read in tables.values() if read.broken is not None]
    return Opened(
        {name: read.rows for name, read in tables.items()},
        lines[0].union(*lines[1:]) if lines[1:] else (lines or [None])[0],
        tuple(note for read in tables.values() for note in read.notes),
    )


def find_files(location: str) -> list[Path]:
    """Return the files behind a path, a glob or a folder, sorted.

    What Perennial itself writes beside the settings is no source, where it is not named alone.

    Raises
    ------
    SourceError
        Nothing is there, or files of several or unknown kinds.
    DataError
        A file is empty.
    """
    path = Path(location)
    files = list_files(location)
    if not path.is_file():
        check_inside(path if path.is_dir() else _fixed_folder(path), files)
    if not files:
        raise SourceError(
            f"orders.source must name CSV or Parquet files: nothing is at {location}. Set orders.source"
        )
    kinds = {kind_of(file) for file in files}
    if not any(kinds <= one for one in KINDS):
        raise SourceError(
            f"orders.source must be of one kind, CSV, Parquet or JSON: {location} has "
            f"{', '.join(sorted(kinds))}. Name the files with a glob, for instance orders/*.csv"
        )
    for file in files:
        if file.stat().st_size == 0:
            raise DataError(f"orders.source must have rows: {file} is empty. Export it again")
    return sorted(files)


def check_inside(folder: Path, files: list[Path]) -> None:
    """Refuse links that lead out of a folder: who may write into it must not choose what is read."""
    for file in files:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise SourceError(
                f"{file} is a link to {file.resolve()}, outside {folder}. Copy the file into the folder, or "
                "name it alone"
            )


def _fixed_folder(pattern: Path) -> Path:
    """Return the folder that a pattern names before its first wildcard."""
    folder = Path()
    for part in pattern.parts[:-1]:
        if has_magic(_ESCAPED.sub("", part)):
            break
        folder /= _ESCAPED.sub(r"\1", part)
    return folder


def _copy_tables(
    engine: Engine,
    url: str,
    names: tuple[str, ...],
    table: str | None,
    scratch: Path,
    limit: int | None,
) -> dict[str, ir.Table]:
    """Copy tables out of a database in batches, and open the copies."""
    shown = bare(url)
    if not names and not table:
        raise SourceError(
            f"a database needs the table's name: orders.table is not set for {shown}. Set orders.table"
        )
    connection = _connect(url)
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        copies = {}
        for name in names or (ONE_TABLE,):
            theirs, schema = (name, table) if names else _split(str(table))
            source = _table(
                connection, theirs, schema, shown, required=name == (names or (name,))[0]
            )
            if source is not None:
                path = scratch / f"{name}.parquet"
                _copy(source if limit is None else source.limit(limit), path)
                rows = engine.parquet(path)
                copies[name] = rows.mutate(**{FILE_COLUMN: ibis.literal(f"{shown}#{theirs}")})
        return copies
    finally:
        connection.disconnect()


def _split(table: str) -> tuple[str, str | None]:
    """Split ``schema.table``."""
    schema, _, name = table.rpartition(".")
    return name, schema or None


def _connect(url: str) -> Any:  # noqa: ANN401  # any of Ibis' backends
    shown = bare(url)
    is_file = url.startswith("duckdb://")
    path = url.removeprefix("duckdb:///")
    if is_file and not Path(path).is_file():
        raise SourceError(
            f"orders.source must be there: no DuckDB file is at {path}. Set orders.source"
        )
    try:
        return ibis.duckdb.connect(path, read_only=True) if is_file else ibis.connect(url)
    except ImportError as error:
        raise SourceError(
            f"a database needs its driver: {error}. Install ibis-framework with the extra for {shown}"
        ) from error
    except Exception as error:  # every backend has errors of its own
        problem = str(error).strip().split("\n")[0].replace(url, shown)
        problem = redacted(problem)
        raise SourceError(
            f"the database must answer: {shown}: {type(error).__name__}: {problem}. Check the address, "
            "the rights, and the password in the environment"
        ) from error


def _table(
    connection: Any,  # noqa: ANN401  # any of Ibis' backends
    name: str,
    schema: str | None,
    shown: str,
    *,
    required: bool,
) -> ir.Table | None:
    names = connection.list_tables(database=schema) if schema else connection.list_tables()
    if name in names:
        return connection.table(name, database=schema) if schema else connection.table(name)
    if not required:
        return None
    raise SourceError(
        f"orders.table must be there: {shown} has no table {name!r}; it has "
        f"{', '.join(sorted(names)[:20]) or 'none'}. Set orders.table"
    )


def _copy(table: ir.Table, path: Path) -> None:
    """Write a table as Parquet, a batch at a time; types that Parquet lacks become text."""
    schema = table.schema()
    odd = [
        n for n, kind in schema.items() if kind.is_uuid() or kind.is_json() or kind.is_unknown()
    ]
    table = table.mutate(**{name: table[name].cast("string") for name in odd})
    with pq.ParquetWriter(path, table.schema().to_pyarrow(), compression="zstd") as writer:
        for batch in _batches(table):
            writer.write_batch(batch)


def _batches(table: ir.Table) -> Iterator[pa.RecordBatch]:
    wanted = table.schema().to_pyarrow()
    for batch in table.to_pyarrow_batches(chunk_size=BATCH_ROWS):
        yield pa.RecordBatch.from_arrays(
            [column.cast(kind.type) for column, kind in zip(batch.columns, wanted, strict=True)],
            schema=wanted,
        )
