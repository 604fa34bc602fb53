"""Files that Perennial writes for itself: one that changed since is refused.

JSON carries a digest of its content, Parquet a checksum of each page. Files of earlier versions have
neither and are read as they are.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

DIGEST = "digest"  # a value beside the others of a record
DIGESTS = "digests.json"  # of the files in the same folder
# how pyarrow writes a file that lasts
CHECKSUMS = {"write_page_checksum": True, "compression": "zstd"}

Record = dict[str, Any]


class ChangedFileError(ValueError):
    """A file's content is not what was written."""


def with_digest(record: Record) -> Record:
    """Return a record of JSON values with a digest of its other values."""
    return {**record, DIGEST: _digest(record)}


def checked(record: Record) -> Record:
    """Return a record without its digest; one that never had a digest is returned as it is.

    Raises
    ------
    ChangedFileError
        The values are not those that the digest was made of.
    """
    if DIGEST not in record:
        return record
    values = {name: value for name, value in record.items() if name != DIGEST}
    if record[DIGEST] != _digest(values):
        raise ChangedFileError("it was changed after it was written")
    return values


def write_digests(folder: Path, names: Iterable[str]) -> None:
    """Write the digests of those of some files that are in a folder, beside them."""
    paths = [folder / name for name in names]
    digests = {path.name: _file_digest(path) for path in paths if path.exists()}
    (folder / DIGESTS).write_text(json.dumps(digests, indent=2) + "\n")


def check_digests(folder: Path) -> None:
    """Refuse a folder whose files are not those that their digests were made of.

    Raises
    ------
    ChangedFileError
        A file is missing or is not as it was written.
    """
    path = folder / DIGESTS
    digests: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    for name, digest in digests.items():
        file = folder / name
        if not file.exists() or _file_digest(file) != digest:
            raise ChangedFileError(f"{name} is not as it was written")


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a file, or a folder of parts, as a frame.

    Raises
    ------
    OSError
        A page is not as it was written, or the file is not whole.
    """
    return pd.read_parquet(
        path,
        columns=None if columns is None else list(columns),
        page_checksum_verification=True,
    )


def read_arrow(
    path: Path, columns: Sequence[str] | None = None, schema: pa.Schema | None = None
) -> pa.Table:
    """Read a file, or a folder of parts, as an Arrow table; errors as :func:`read_parquet`."""
    return pq.read_table(
        path,
        columns=None if columns is None else list(columns),
        schema=schema,
        page_checksum_verification=True,
    )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(values: Record) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
