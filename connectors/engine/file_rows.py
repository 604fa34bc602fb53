"""The rows of CSV, JSON and Parquet files in DuckDB, united by column name."""

from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from itertools import count
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq

from connectors.engine.encodings import TextForm, copy_as_utf8, detect_form
from connectors.engine.files import (
    FILE_COLUMN,
    FileRows,
    SourceError,
    common_names,
    lacking_columns,
    read_header,
)
from connectors.engine.json_records import read_records, write_records
from connectors.source_files import JSON_ENDINGS, PARQUET_ENDINGS, kind_of

CSV_ERRORS = ("scan_id", "file_id", "line", "csv_line", "error_message")
CSV_SCANS = ("scan_id", "file_id")
MOST_NOTES = 3  # files that are named one by one


class FileReader:
    """Opens files as tables of one DuckDB connection.

    Parameters
    ----------
    connection
        DuckDB through Ibis.
    folder
        Folder for copies of files that DuckDB cannot read as they are; they last as long as the tables.
    """

    def __init__(self, connection: Any, folder: Path) -> None:  # noqa: ANN401  # Ibis' DuckDB backend
        self._connection = connection
        self._folder = folder
        self._numbers = count()

    def rows(
        self, files: Sequence[Path], encoding: str | None, nested: Mapping[str, str]
    ) -> FileRows:
        """Return the rows of files; the lines that no row came of are known when these are read."""
        kind = kind_of(files[0])
        if kind in PARQUET_ENDINGS:
            return self._parquet_rows(files)
        forms = {file: detect_form(file, encoding) for file in files}
        if kind in JSON_ENDINGS:
            return self._json_rows(forms, nested)
        return self._csv_rows(forms)

    def _csv_rows(self, forms: Mapping[Path, TextForm]) -> FileRows:
        tables = {file: self._csv_table(file, form) for file, form in forms.items()}
        rows, lacking = _united({file: rows for file, (rows, _) in tables.items()})
        broken = _union([lines for _, lines in tables.values()])
        return FileRows(rows, broken, _notes(forms), lacking)

    def _csv_table(self, file: Path, form: TextForm) -> tuple[ir.Table, ir.Table]:
        """Read a CSV file as text; its header alone tells how it is written, no later row does."""
        number = next(self._numbers)
        readable = file
        if form.needs_copy:
            readable = self._folder / f"{number}.csv"
            copy_as_utf8(file, form, readable)
        delimiter, names = read_header(readable, file)
        rows = self._connection.read_csv(
            escape(str(readable)),  # a file's name is no pattern
            auto_detect=False,
            columns=dict.fromkeys(names, "VARCHAR"),
            header=True,
            delim=delimiter,
            quote='"',
            escape='"',
            store_rejects=True,
            rejects_table=f"csv_errors_{number}",
            rejects_scan=f"csv_scans_{number}",
        )
        errors = self._lazily(f"csv_errors_{number}", CSV_ERRORS)
        scans = self._lazily(f"csv_scans_{number}", CSV_SCANS)
        lines = errors.join(scans, ["scan_id", "file_id"])
        by_line = lines.group_by("scan_id", "file_id", "line").aggregate(
            csv_line=lines.csv_line.max(), error_message=lines.error_message.max()
        )
        path = ibis.literal(str(file))
        broken = by_line.select("csv_line", "error_message", file_path=path)
        return rows.mutate(**{FILE_COLUMN: path}), broken

    def _lazily(self, table: str, columns: tuple[str, ...]) -> ir.Table:
        """Name a table that DuckDB fills while it reads."""
        schema = ibis.schema(dict.fromkeys(columns, "string"))
        query = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608  # our own names
        named: ir.Table = self._connection.sql(query, schema=schema)
        return named

    def _parquet_rows(self, files: Sequence[Path]) -> FileRows:
        """Read Parquet files; columns that differ in type between them become text."""
        names = [escape(str(file)) for file in files]
        if len({str(pq.read_schema(file).remove_metadata()) for file in files}) == 1:
            return FileRows(self._connection.read_parquet(names, filename=FILE_COLUMN))
        views = {
            file: self._connection.read_parquet(name, filename=FILE_COLUMN)
            for file, name in zip(files, names, strict=True)
        }
        rows, lacking = _united(views)
        return FileRows(rows, lacking=lacking)

    def _json_rows(self, forms: Mapping[Path, TextForm], nested: Mapping[str, str]) -> FileRows:
        """Copy the records of JSON files as Parquet, every column a text but the nested ones."""
        names: dict[str, str] = {}
        columns: dict[Path, list[str]] = {}
        parts: list[Path] = []
        for file, form in forms.items():
            records = read_records(file, form)
            written = write_records(records, file, nested, names, self._parts())
            if written:
                columns[file] = [c for part in written for c in _columns(part)]
                parts += written
        if not parts:
            raise SourceError(
                f"orders.source: {next(iter(forms))} has no records. Export it again"
            )
        common_names(columns)
        rows = self._connection.read_parquet([escape(str(p)) for p in parts], union_by_name=True)
        return FileRows(rows, notes=_notes(forms))

    def _parts(self) -> Iterator[Path]:
        while True:
            yield self._folder / f"{next(self._numbers)}.parquet"


def _columns(part: Path) -> list[str]:
    return [name for name in pq.read_schema(part).names if name != FILE_COLUMN]


def _united(views: Mapping[Path, ir.Table]) -> tuple[ir.Table, dict[str, tuple[str, ...]]]:
    """Unite tables by column name, in any case; return the columns that each file lacks, too.

    What a table lacks is null; columns of different types become text.
    """
    theirs = {
        file: [name for name in view.columns if name != FILE_COLUMN]
        for file, view in views.items()
    }
    common = common_names(theirs)
    named = {
        file: view.rename({common[n.strip().lower()]: n for n in theirs[file]})
        for file, view in views.items()
    }
    columns = [*common.values(), FILE_COLUMN]
    kinds = {c: {view[c].type() for view in named.values() if c in view.columns} for c in columns}
    types = {
        c: next(iter(column_kinds)) if len(column_kinds) == 1 else "string"
        for c, column_kinds in kinds.items()
    }
    aligned = [
        view.select(
            **{
                c: view[c].cast(types[c]) if c in view.columns else ibis.null(types[c])
                for c in columns
            }
        )
        for view in named.values()
    ]
    return _union(aligned), lacking_columns(theirs, common)


def _union(tables: list[ir.Table]) -> ir.Table:
    return tables[0].union(*tables[1:]) if tables[1:] else tables[0]


def _notes(forms: Mapping[Path, TextForm]) -> tuple[str, ...]:
    """Name the encodings that were detected, of many files those of the first ones."""
    notes = [note for file, form in forms.items() if (note := form.note(file))]
    more = len(notes) - MOST_NOTES
    if more <= 0:
        return tuple(notes)
    return (*notes[:MOST_NOTES], f"{more:,} more files are not UTF-8 and were read likewise")
