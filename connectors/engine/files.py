"""What is known of files before any engine reads them."""

import csv
import gzip
import re
from itertools import chain, count
from pathlib import Path

FILE_COLUMN = "perennial_source_file"
DELIMITERS = (",", ";", "\t", "|")
PARQUET_ENDINGS = {".parquet", ".pq"}
JSON_ENDINGS = {".json", ".jsonl", ".ndjson"}


class UnevenFilesError(ValueError):
    """Files of one source have different columns, or a file has none."""


def read_header(file: Path) -> tuple[str, list[str]]:
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
