"""The exports again at another place: a bucket, or whatever fsspec can write to.

Files are uploaded first and ``CURRENT.json`` last, so that readers there find whole days only. What was
uploaded is kept in a list: a mirror that was cut short goes on, and what was rewritten or removed here
is rewritten and removed there.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import fsspec

from connectors.published import POINTER
from connectors.store import replace_file


@dataclass(frozen=True)
class Mirrored:
    """What a mirror did.

    Attributes
    ----------
    uploaded, removed
        Files.
    """

    uploaded: int
    removed: int


def mirror(exports: Path, url: str, record: Path) -> Mirrored:
    """Make the exports at `url` the same as here.

    Parameters
    ----------
    exports
        Folder of the published days.
    url
        Where to, such as ``s3://bucket/perennial``; keys come from the environment.
    record
        JSON file of what is there.

    Raises
    ------
    OSError
        The place cannot be written to.
    """
    there: dict[str, list[int]] = json.loads(record.read_text()) if record.exists() else {}
    here = {path.relative_to(exports).as_posix(): path for path in _files(exports)}
    filesystem, root = fsspec.url_to_fs(url)
    changed = [name for name, path in here.items() if there.get(name) != _stamp(path)]
    gone = [name for name in there if name not in here]
    try:
        for name in sorted(changed, key=lambda name: (name == POINTER, name)):
            target = f"{root}/{name}"
            filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
            filesystem.put_file(str(here[name]), target)
            there[name] = _stamp(here[name])
        for name in gone:
            if filesystem.exists(f"{root}/{name}"):
                filesystem.rm_file(f"{root}/{name}")
            del there[name]
    finally:
        record.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(there, indent=2) + "\n"
        replace_file(record, lambda draft: draft.write_text(text))
    return Mirrored(len(changed), len(gone))


def _files(exports: Path) -> list[Path]:
    days = [path for path in exports.glob("scores/as_of=*/run=*/**/*") if path.is_file()]
    pointer = exports / POINTER
    return [*days, pointer] if pointer.exists() else days


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
