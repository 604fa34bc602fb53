"""Files before any engine reads them: their kinds, their headers, and one name for each column."""

import csv
import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import ibis.expr.types as ir

from connectors.source_files import GZIP_ENDING

FILE_COLUMN = "perennial_source_file"
DELIMITERS = (",", ";", "\t", "|")


class SourceError(ValueError):
    """Settings and source do not fit: states the problem, and how to fix it."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # one line, whatever a name in it has


@dataclass(frozen=True)
class FileRows:
    """The rows of some files.

    Attributes
    ----------
    rows
        The rows as they are, with the column :data:`FILE_COLUMN` added.
    broken
        Table ``csv_line, error_message, file_path`` of unreadable lines; None = the files have no
        lines.
    notes
        How files were read, for a person to check.
    lacking
        Columns of other files that a CSV or Parquet file lacks, by the file's path.
    """

    rows: ir.Table
    broken: ir.Table | None = None
    notes: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def is_gzip(file: Path) -> bool:
    """Tell a packed file by its ending."""
    return file.suffix.lower() == GZIP_ENDING


def read_header(file: Path, shown: Path) -> tuple[str, list[str]]:
    """Return the delimiter of a CSV file in UTF-8, and the names in its header, each once.

    Parameters
    ----------
    file
        The file, or its copy in UTF-8.
    shown
        The file that messages name.

    Raises
    ------
    SourceError
        The file has no header.
    """
    opened = gzip.open if is_gzip(file) else open
    with opened(file, "rt", encoding="utf-8-sig", errors="replace", newline="") as lines:
        first = re.sub(r'"[^"]*"', "", lines.readline(1_000_000))
        delimiter = max(DELIMITERS, key=first.count)
        lines.seek(0)
        try:
            header = next(csv.reader(lines, delimiter=delimiter), [])
        except csv.Error as error:
            raise SourceError(
                f"orders.source: {shown} has no readable header: {error}. Export it again"
            ) from error
    return delimiter, unique_names(header)


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names without white space around them, each once in any case."""
    unique: list[str] = []
    taken: set[str] = set()
    for i, name in enumerate(names):
        plain = name.strip() or f"column{i}"
        candidates = chain([plain], (f"{plain}_{n}" for n in count(1)))
        unique.append(next(c for c in candidates if c.lower() not in taken))
        taken.add(unique[-1].lower())
    return unique


def common_names(columns: Mapping[Path, Sequence[str]]) -> dict[str, str]:
    """Return each column's common name, by its name in lower case: the first file's spelling.

    Raises
    ------
    SourceError
        Two files have no column in common.
    """
    first, *others = columns
    keys = {file: {_key(name) for name in names} for file, names in columns.items()}
    for other in others:
        if not keys[first] & keys[other]:
            raise SourceError(
                f"orders.source: {first} and {other} have no column in common. Name one export's files in "
                "orders.source"
            )
    every = (name for names in columns.values() for name in names)
    common: dict[str, str] = {}
    for name in every:
        common.setdefault(_key(name), name.strip())
    return common


def lacking_columns(
    columns: Mapping[Path, Sequence[str]], common: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Return the columns of other files that each file lacks, of those that lack any."""
    keys = {file: {_key(name) for name in names} for file, names in columns.items()}
    lacking = {
        str(file): tuple(name for key, name in common.items() if key not in keys[file])
        for file in columns
    }
    return {file: names for file, names in lacking.items() if names}


def _key(name: str) -> str:
    return name.strip().lower()
