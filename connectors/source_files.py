"""Files of a source, by their endings; nothing is read, and nothing heavy is imported."""

from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

from connectors.published import PublishedFile

GZIP_ENDING = ".gz"
CSV_ENDINGS = {".csv", ".txt", ".tsv", GZIP_ENDING}
PARQUET_ENDINGS = {".parquet", ".pq"}
JSON_ENDINGS = {".json", ".jsonl", ".ndjson"}
ENDINGS = CSV_ENDINGS | PARQUET_ENDINGS | JSON_ENDINGS
# what a run writes beside the settings, maybe into the folder of the orders
OURS = PublishedFile.REJECTS


def kind_of(file: Path) -> str:
    """Return a file's ending in lower case; of ``orders.json.gz``, that of what is packed."""
    *_, inner, outer = ["", "", *(suffix.lower() for suffix in file.suffixes)]
    is_packed_json = outer == GZIP_ENDING and inner in JSON_ENDINGS
    return inner if is_packed_json else outer


def list_files(location: str) -> list[Path]:
    """List the files of a path, a glob or a folder, in no order; what a run writes itself is left out."""
    path = Path(location)
    if path.is_dir():
        return [f for f in path.iterdir() if kind_of(f) in ENDINGS and f.name != OURS]
    if path.is_file():
        return [path]
    paths = glob(location, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    return [f for f in map(Path, paths) if f.is_file() and f.name != OURS]


def newest_file(location: str) -> tuple[Path, float] | None:
    """Return the file that was written last and when, in seconds since 1970; None where there is none.

    A table of a folder may be a folder of files itself.
    """
    return max(_written(_with_parts(list_files(location))), key=lambda one: one[1], default=None)


def _with_parts(files: Iterable[Path]) -> Iterator[Path]:
    for file in files:
        if file.is_dir():
            yield from (one for one in file.iterdir() if kind_of(one) in ENDINGS)
        else:
            yield file


def _written(files: Iterable[Path]) -> Iterator[tuple[Path, float]]:
    for file in files:
        try:
            yield file, file.stat().st_mtime
        except OSError:
            continue  # moved away meanwhile
