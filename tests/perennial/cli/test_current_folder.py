"""No code of the current folder is run: a folder of exports is written by others."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.retention import remove_runs
from connectors.tracking import Tracking
from perennial.service.child import Child
from perennial.service.server import TemporaryServer
from tests.perennial.service.serving import PROGRAM, environment

ROOT = Path(__file__).parents[3]
PACKAGES = ("connectors", "features", "models", "segments", "reports", "flows")
PLANTED = (
    "httpx",
    "filelock",
    "prefect",
    "mlflow",
    "uvicorn",
    "json",
    "pandas",
    "sitecustomize",
)


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A current folder with modules that leave a trace when they are imported."""
    trace = tmp_path / "trace"
    folder = tmp_path / "exports"
    folder.mkdir()
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"open({str(trace)!r}, 'a').write({name!r} + ' ')\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return trace


def test_the_trap_works(planted):
    subprocess.run([sys.executable, "-c", "import httpx"], check=True)
    assert planted.read_text() == "httpx "


def test_the_temporary_server_runs_none(planted, tmp_path):
    server = TemporaryServer(tmp_path / "home")
    server.start()
    try:
        server.wait()
    finally:
        server.stop()
    assert not planted.exists()


@pytest.mark.parametrize("module", ["perennial.service.server", "perennial.service.worker"])
def test_a_child_of_the_schedule_runs_none(planted, tmp_path, module):
    child = Child("child", module, tmp_path / "log", {})
    child.start()  # without the arguments that it needs: it ends after its imports
    child._process.wait(timeout=120)
    child.stop(1)
    assert "IndexError" in child.last_words()
    assert not planted.exists()


def test_removing_old_runs_runs_none(planted, tmp_path):
    tracking = Tracking(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "artifacts")
    with tracking.run("old") as run:
        pass
    remove_runs(tracking, [run.id])
    assert not planted.exists()


@pytest.mark.parametrize("asked", [["--version"], ["status"], ["check"]])
def test_the_command_runs_none(planted, asked):
    result = subprocess.run([PROGRAM, *asked], capture_output=True, env=environment(), check=False)
    assert result.returncode in (0, 2)
    assert not planted.exists()


def test_what_the_command_starts_inherits_a_safe_path():
    code = "import os, sys, perennial.cli.main as cli; cli.app = lambda: print(os.environ['PYTHONSAFEPATH']); cli.main()"
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
    )  # fmt: skip
    assert made.stdout == "1\n"


def unsafe_starts(code: str) -> list[int]:
    """Return the lines of command lists that start Python with the current folder on its path."""
    lists = [
        node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.List) and node.elts
    ]
    starts = [one for one in lists if ast.unparse(one.elts[0]) == "sys.executable"]
    return [
        one.lineno
        for one in starts
        if not (len(one.elts) > 1 and ast.unparse(one.elts[1]) == "'-P'")
    ]


def test_every_python_that_our_packages_start_leaves_the_current_folder_out():
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    assert len(files) > 100
    unsafe = {str(file): unsafe_starts(file.read_text()) for file in files}
    assert {file: lines for file, lines in unsafe.items() if lines} == {}
    assert unsafe_starts('run([sys.executable, "-m", "mlflow"])\nrun([sys.executable])') == [1, 2]
