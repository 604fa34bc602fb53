"""Errors of a disk that is full or read-only: which folder it is, and what to do."""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from perennial.pipeline.settings.folders import HomeFolders

LEAST_BYTES = 1_000_000  # no run works with less
# as the system, SQLite, DuckDB and NumPy word it
FULL = re.compile(
    r"no space left on device|database or disk is full|quota exceeded|file too large"
    r"|max_temp_directory_size|\d+ requested and \d+ written",
    re.IGNORECASE,
)
READ_ONLY = re.compile(r"read-only file system|readonly database", re.IGNORECASE)
PATH = re.compile(r"""["'](/[^"']+)["']""")  # in a message


class FullDiskError(RuntimeError):
    """A disk has no space left: names the folder and the way on."""


class ReadOnlyDiskError(OSError):
    """A folder cannot be written to: names it and the way on."""


def disk_error(
    error: BaseException,
    home: HomeFolders | None,
    *,
    written: Sequence[Path] = (),
    is_unclear: bool = False,
) -> FullDiskError | ReadOnlyDiskError | None:
    """Return the error of a disk that an error comes from; None = it comes from no disk.

    Libraries raise errors of their own from it, and cleaning up may raise another one.

    Parameters
    ----------
    error
        What ended a command.
    home
        The store's folders, if the command has any.
    written
        Files that the command writes outside the home.
    is_unclear
        Whether the error gives no reason: a disk with almost no space left is one.
    """
    texts = [str(one) for one in _causes(error)]
    folders = _folders(home, written)
    is_full = any(FULL.search(text) for text in texts)
    if is_unclear and not is_full:
        is_full = min(map(_free_bytes, folders)) < LEAST_BYTES
    if not is_full and not any(READ_ONLY.search(text) for text in texts):
        return None
    named = next(
        (_owner(Path(path), folders) for text in texts for path in PATH.findall(text)), None
    )
    if is_full:
        folder = named or min(folders, key=_free_bytes)
        return FullDiskError(
            f"No space left in {folder} ({_free_bytes(folder) / 1e6:,.1f} MB free now). Free some space, or raise the "
            "limit of files there, and run the command again"
        )
    folder = named or next((one for one in folders if _is_read_only(one)), folders[0])
    return ReadOnlyDiskError(
        f"{folder} is read-only. Make it writable, or work in another folder, and run the command again"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and those that it was raised from or while handling, the first one first."""
    if error is not None:
        yield from _causes(error.__cause__ or error.__context__)
        yield error


def _folders(home: HomeFolders | None, written: Sequence[Path]) -> list[Path]:
    """Return the folders that a command may write to."""
    folders = [path.absolute().parent for path in written]
    if home is not None:
        folders += [home.home, home.exports, home.state, home.mlruns]
    temporary = tempfile.tempdir or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108  # its name only
    prefect = os.environ.get("PREFECT_HOME")
    folders += [Path(temporary), *([Path(prefect)] if prefect else []), Path.cwd()]
    return list(dict.fromkeys(map(_existing, folders)))


def _existing(path: Path) -> Path:
    """Return a folder, or the nearest one above that exists."""
    return next(one for one in (path, *path.parents) if one.is_dir())


def _owner(path: Path, folders: Sequence[Path]) -> Path:
    """Return the folder that a path is in: one that a command writes to, if it is on the same disk."""
    nearest = _existing(path.parent)
    disk = nearest.stat().st_dev
    above = (one for one in folders if one in path.parents and one.stat().st_dev == disk)
    return next(above, nearest)


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
