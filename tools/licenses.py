"""The licenses of what Perennial needs to run, and whether they are fit for its own. ``make licenses`` writes them.

A program under the MIT license may import packages under any of :data:`FIT`, unchanged and beside it.
"""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HEAD = """# Licenses of the dependencies

Written by `make licenses` from what the packages say of themselves: those that Perennial needs to run, without
what its tests and tools need. Perennial itself is under the MIT license; it imports these packages as they are and
ships none of them. Whoever ships them together with it must follow each one's license.

"""
CHOICE = r"^Artistic License; GNU"
FIT = {  # what a license's words are searched for, first match first
    "binds changes of the package, not programs that import it": r"\bLGPL|\bMPL|Mozilla",
    "a choice, of which the Artistic License is taken": CHOICE,
    "permissive": r"\b(MIT|0?BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|CC0|HPND)\b",
}
UNFIT = r"(?<!L)GPL|SSPL|Commons Clause|BUSL|Proprietary"
READ = {  # in their license files, where their metadata says nothing or they are of one Python alone
    "huey": "MIT",
    "pendulum": "MIT License",
    "skops": "MIT",
    "whenever": "MIT",
}
PYTHONS = ("3.11", "3.12", "3.13")


class UnfitError(Exception):
    """A dependency may not be used by a program under the MIT license, or nobody has read its license."""


def needed(distribution: str = "perennial") -> set[str]:
    """Return the names of all that a distribution needs to run on any of :data:`PYTHONS`, itself left out."""
    names: set[str] = set()
    waiting = [(distribution, frozenset[str]())]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        for line in _requirements(name):
            one = Requirement(line)
            if not _applies(one, extras):
                continue
            asked = (canonicalize_name(one.name), frozenset(one.extras))
            names.add(asked[0])
            if asked not in seen:
                seen.add(asked)
                waiting.append(asked)
    return names - {distribution}


def licenses(names: set[str]) -> dict[str, str]:
    """Return the license of each package, as it says itself."""
    command = [sys.executable, "-m", "piplicenses", "--no-version", "--with-system"]
    command += ["--format=json", "--packages", *sorted(names)]
    result = subprocess.run(command, capture_output=True, check=True, text=True)
    rows = {canonicalize_name(row["Name"]): row["License"] for row in json.loads(result.stdout)}
    return {name: READ.get(name) or rows.get(name, "UNKNOWN") for name in sorted(names)}


def judged(license_: str) -> str:
    """Return in words why a license is fit.

    Raises
    ------
    UnfitError
        It is not, or is not known.
    """
    if not re.search(UNFIT, license_) or re.search(CHOICE, license_):
        for why, words in FIT.items():
            if re.search(words, license_):
                return why
    raise UnfitError(
        f"dependencies are fit for the MIT license: {license_!r} is not known to be. Read it, then leave the package "
        "out or put the license into tools/licenses.py"
    )


def page() -> str:
    """Return the list as Markdown."""
    by_name = licenses(needed())
    lines = ["| package | license | why it is fit |\n|---|---|---|\n"]
    lines += [f"| {name} | {one} | {judged(one)} |\n" for name, one in by_name.items()]
    return HEAD + "".join(lines)


def _applies(one: Requirement, extras: frozenset[str]) -> bool:
    """Tell whether a requirement counts on this platform, on any supported Python."""
    return one.marker is None or any(
        one.marker.evaluate(
            {"extra": extra, "python_version": python, "python_full_version": f"{python}.9"}
        )
        for extra in (*extras, "")
        for python in PYTHONS
    )


def _requirements(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # of another platform
        return []


if __name__ == "__main__":
    print(page(), end="")
