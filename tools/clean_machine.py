"""The README's own words on a clean machine: a clone, an empty cache, a bare environment.

``python -m tools.clean_machine`` clones what is committed here into an empty folder for each Python
that is present, and does there what the README says: the demo, the tests (some of them; ``--all``
runs all), and the way from a Shopify export to a planned sync. Of this machine it keeps the path to
programs, and how pip and uv find their packages.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
QUICK = (
    "tests/features",
    "tests/models",
    "tests/segments",
    "tests/reports/test_page.py",
    "tests/test_tools.py",
)
KEPT_FILES = (".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml")
KEPT_NAMES = ("PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")  # fmt: skip
DROPPED_NAMES = ("PIP_CACHE_DIR", "UV_CACHE_DIR")
CUSTOMERS, YEARS = 2_000, 3  # of the simulated store whose export is read


class Machine:
    """A home folder with nothing in it but a clone, and the environment that goes with it.

    Parameters
    ----------
    home
        Empty folder.
    python
        Interpreter that the README's commands are given.
    """

    def __init__(self, home: Path, python: Path) -> None:
        self.clone, self.shop, self.python = home / "perennial", home / "shop", python
        self.environment = bare_environment(home)
        for name in KEPT_FILES:
            if (Path.home() / name).exists():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path.home() / name, home / name)
        self.shop.mkdir()

    def does(self, what: str, where: Path) -> None:
        """Do what a person would type, in a folder; say how long it took, or end with what was said."""
        began = time.monotonic()
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", what],
            cwd=where, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        print(f"  {time.monotonic() - began:6.0f} s  {what}", flush=True)
        if done.returncode:
            sys.exit(
                f"{done.stdout[-4000:]}\nclean machine: {what!r} ended with {done.returncode}"
            )

    def make(self, target: str) -> None:
        """Make a target of the clone."""
        self.does(f"make PYTHON={self.python} {target}", self.clone)

    def perennial(self, words: str) -> None:
        """Say a command in the shop's folder, with the clone's environment activated."""
        self.does(f"source {self.clone}/.venv/bin/activate && perennial {words}", self.shop)


def bare_environment(home: Path) -> dict[str, str]:
    """Return HOME, PATH and how packages are found, and nothing else."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper().startswith(KEPT_NAMES) and name not in DROPPED_NAMES
    }
    return {**kept, "HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin"}


def find_python(version: str) -> Path | None:
    """Return an interpreter of a version that can say where it is, None where there is none."""
    whole = [
        str(path) for path in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    ]
    for name in (*reversed(whole), f"python{version}"):
        asked = [name, "-c", "import sys, venv, ensurepip; print(sys.executable)"]
        try:
            result = subprocess.run(asked, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return Path(result.stdout.strip())
    return None


def is_in_readme(words: str) -> bool:
    """Tell whether the README says a command, so that what is proved is what it says."""
    return words in (ROOT / "README.md").read_text()


def five_minutes(machine: Machine) -> None:
    """Go the README's way from a shop's export to a planned sync."""
    today = datetime.now(UTC).date()
    start = today - timedelta(days=365 * YEARS)
    machine.perennial(
        f"simulate store --form shopify --customers {CUSTOMERS} --start {start} --end {today}"
    )
    (machine.shop / "store" / "shopify").rename(machine.shop / "orders")
    machine.perennial("init --from orders")
    for command in ("check", "run", "status"):
        machine.perennial(command)
    machine.does("sed -i 's/^# account = /account = /' perennial.toml", machine.shop)
    machine.perennial("sync")
    current = json.loads((machine.shop / "exports" / "CURRENT.json").read_text())
    scored = next((machine.shop / "exports").glob("scores/*/*/segments.csv"))
    rows = len(scored.read_text().splitlines()) - 1
    print(f"  {rows:,} customers in segments.csv of {current['as_of']}")
    if not rows:
        sys.exit("clean machine: nobody was scored")


def prove(version: str, python: Path, *, whole: bool) -> None:
    """Do on one Python what the README says."""
    print(f"Python {version}: {python}", flush=True)
    with tempfile.TemporaryDirectory(prefix="clean-machine-") as folder:
        machine = Machine(Path(folder), python)
        machine.does(f"git clone --quiet {ROOT} {machine.clone}", Path(folder))
        machine.make("demo")
        five_minutes(machine)
        if whole:
            machine.make("test")
        else:
            machine.does(f".venv/bin/python -m pytest --quiet {' '.join(QUICK)}", machine.clone)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do it on every Python that is present, and name those that are not."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", nargs="+", choices=VERSIONS, default=VERSIONS)
    parser.add_argument("--all", action="store_true", help="all tests, not some")
    asked = parser.parse_args(arguments)
    commands = ("make demo", "make test", "perennial init --from", "perennial check", "perennial run", "perennial sync")  # fmt: skip
    unsaid = [words for words in commands if not is_in_readme(words)]
    if unsaid:
        sys.exit(f"clean machine: the README no longer says {', '.join(unsaid)}")
    pythons = {version: find_python(version) for version in asked.python}
    for version, python in pythons.items():
        if python is not None:
            prove(version, python, whole=asked.all)
    absent = [version for version, python in pythons.items() if python is None]
    print(f"not present, not proved: Python {', '.join(absent)}" if absent else "all are proved")
    if len(absent) == len(pythons):
        sys.exit("clean machine: no Python to prove it on")


if __name__ == "__main__":
    main()
