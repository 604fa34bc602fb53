"""Files under a home that cannot be read, where a command ended without saying why."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from connectors.kept import DIGESTS, check_digests, checked, read_parquet
from perennial.pipeline.settings.folders import HomeFolders

ADVICE = (  # a folder or file under the home, the first that fits: the way back
    ("state/contacts.parquet", "Remove it: the next run writes it again"),
    ("state/lease.json", "Remove it while no run is under way"),
    ("state/klaviyo", "Bring it back from a backup, or move the folder away: the next sync asks Klaviyo again"),
    ("state", "Bring it back from a backup: what was drawn and measured stands there alone"),
    ("exports/CURRENT.json", "Remove it and run the newest day again"),
    ("exports/scores", "Bring its folder back from a backup, or move the folder away and run the day again"),
    ("mlruns", "Bring the folder mlruns back from a backup, or move it away and run `perennial train`"),
)  # fmt: skip

UNREADABLE = (  # what readers raise of content that nobody wrote
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
    sqlite3.Error,
    pa.ArrowException,
)


def describe_damage(folders: HomeFolders | None) -> str | None:
    """Name the files of a home that cannot be read, and the way back; None = all can be.

    Parameters
    ----------
    folders
        The store's; None = not known, and nothing is looked at.
    """
    if folders is None:
        return None
    damaged = [
        f"{path} cannot be read ({why}). {_advice(folders.home, path)}"
        for path, why in find_damage((folders.state, folders.exports, folders.mlruns))
    ]
    return ". ".join(damaged) or None


def find_damage(folders: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the files under some folders that are not what their names say, each with the reason.

    What a write left that was cut short is no such file: it is in hidden files and folders.
    """
    for folder in sorted(set(folders)):
        for path in sorted(folder.rglob("*")):
            check = CHECKS.get(path.suffix)
            is_draft = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if check is None or is_draft or not path.is_file():
                continue
            try:
                check(path)
            except UNREADABLE as error:
                yield path, " ".join(str(error).split())[:120] or type(error).__name__


def _advice(home: Path, path: Path) -> str:
    place = path.relative_to(home).as_posix()
    return next((so for start, so in ADVICE if place.startswith(start)), ADVICE[-1][1])


def _check_json(path: Path) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(value, dict):
        checked(value)
    if path.name == DIGESTS:
        check_digests(path.parent)
    if not value and path.stat().st_size < len("{} "):
        raise ValueError("it is empty")


def _check_parquet(path: Path) -> None:
    read_parquet(path)


def _check_database(path: Path) -> None:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        (first,) = database.execute("pragma quick_check(1)").fetchone()
    if first != "ok":
        raise ValueError(first)


CHECKS = {".json": _check_json, ".parquet": _check_parquet, ".db": _check_database}
