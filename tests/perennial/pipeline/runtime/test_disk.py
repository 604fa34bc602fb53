"""A disk that is full or read-only ends a command in one line, and nothing half-written is published."""

import errno
import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from perennial.pipeline.runtime.disk import FullDiskError, ReadOnlyDiskError, disk_error
from perennial.pipeline.settings.folders import home_folders
from tests.small_home import COMMAND, write_home

ROOT = Path(__file__).parents[4]
NEXT_DAY = ["run", "--as-of", "2025-07-01"]
KILOBYTE = 1024


def run(
    home: Path, *words: str, largest_file: int | None = None, temporary: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a home, with files of at most so many bytes."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.run(
        [*COMMAND, *words, "--config", str(home / "perennial.toml")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,  # this process has no threads of its own
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary or home)},
    )


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of a few megabytes on a folder."""
    folder.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a file system: run as root")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


def leave_free(disk: Path, kilobytes: int) -> None:
    """Shrink a disk until only so much of it is free."""
    actual = os.statvfs(disk)
    used = (actual.f_blocks - actual.f_bfree) * actual.f_frsize
    size = f"remount,size={used + kilobytes * KILOBYTE}"
    subprocess.run(["/bin/mount", "-o", size, str(disk)], check=True)


def current_day(home: Path) -> str:
    return str(json.loads((home / "exports/CURRENT.json").read_text())["as_of"])


def check_ends_in_one_line(ended: subprocess.CompletedProcess[str], folder: Path) -> None:
    (line,) = [text for text in ended.stderr.splitlines() if text.startswith("perennial:")]
    assert ended.returncode == 20, ended.stderr
    assert f"No space left in {folder} (" in line
    assert "Free some space" in line
    assert "Traceback" not in ended.stderr


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """A home with a published day."""
    home = tmp_path_factory.mktemp("disk") / "home"
    write_home(home)
    ended = run(home, "run", "--as-of", "2025-06-30")
    assert ended.returncode == 0, ended.stderr
    return home


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [16, 320])  # while orders are read, while a day is written
def test_a_full_disk_ends_a_run_and_the_next_run_publishes(published, tmp_path, kilobytes):
    with small_disk(tmp_path / "disk") as home:
        shutil.copytree(published, home, dirs_exist_ok=True)
        leave_free(home, kilobytes)
        check_ends_in_one_line(run(home, *NEXT_DAY), home)
        assert current_day(home) == "2025-06-30"
        leave_free(home, 16 * KILOBYTE)
        assert run(home, *NEXT_DAY).returncode == 0
        assert current_day(home) == "2025-07-01"


@pytest.mark.slow
def test_a_full_temporary_folder_is_named(published, tmp_path):
    with small_disk(tmp_path / "disk") as temporary:
        leave_free(temporary, 8)
        ended = run(published, "orders", str(tmp_path / "orders.csv"), temporary=temporary)
        check_ends_in_one_line(ended, temporary)
    assert list(tmp_path.glob("*.csv")) == []


@pytest.mark.slow
@pytest.mark.parametrize("largest_file", [100, 4_000])
def test_an_output_that_does_not_fit_leaves_the_file_before(published, tmp_path, largest_file):
    out = tmp_path / "orders.csv"
    out.write_text("before")
    ended = run(published, "orders", str(out), largest_file=largest_file)
    assert ended.returncode == 20
    assert "No space left in" in ended.stderr
    assert out.read_text() == "before"


def test_settings_that_do_not_fit_are_not_begun(tmp_path):
    write_home(tmp_path / "home")
    (tmp_path / "home/perennial.toml").unlink()
    ended = run(tmp_path / "home", "init", largest_file=100)
    check_ends_in_one_line(ended, tmp_path / "home")
    assert not (tmp_path / "home/perennial.toml").exists()


@pytest.mark.parametrize(
    "text",
    [
        "[Errno 28] No space left on device",
        "(sqlite3.OperationalError) database or disk is full",
        'IO Error: Could not write file "/a/b": No space left on device',
        "[Errno 122] Disk quota exceeded",
        "1914 requested and 1520 written",
    ],
)
def test_a_full_disk_is_recognized_behind_other_errors(text):
    cleaning_up = OperationalError("ROLLBACK", None, ValueError("closed"))
    cleaning_up.__context__ = RuntimeError(
        text
    )  # as Python sets it while another error is handled
    assert isinstance(disk_error(cleaning_up, None), FullDiskError)


def test_the_folder_of_a_files_name_is_named(tmp_path):
    out = tmp_path / "out" / "orders.csv"
    out.parent.mkdir()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out))
    words = str(disk_error(full, None, written=[out]))
    assert words.startswith(f"No space left in {out.parent} (")
    assert re.search(r"\(\d[\d,]*\.\d MB free now\)", words)


def test_a_read_only_home_is_named(tmp_path):
    home = tmp_path / "home"
    write_home(home)
    cause = OSError(errno.EROFS, os.strerror(errno.EROFS), str(home / "state/lease.lock"))
    ended = disk_error(cause, home_folders(home / "perennial.toml"))
    assert isinstance(ended, ReadOnlyDiskError)
    assert str(ended).startswith(f"{home} is read-only.")


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), OSError(errno.ENOENT, "no such file", "/a")]
)
def test_other_errors_are_no_disks(error):
    assert disk_error(error, None) is None
