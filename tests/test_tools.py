"""What guards the repository: each guard has a case in which it refuses."""

import json
import re
from pathlib import Path

import pytest

from tools import audit, clean_machine, mutation
from tools.licenses import UnfitError, judged, licenses, needed

ROOT = Path(__file__).parents[1]


def test_every_package_that_runs_here_is_listed_under_a_fit_license():
    """`make licenses` writes the list; versions, and what they say of themselves, differ by Python."""
    listed = (ROOT / "docs" / "licenses.md").read_text()
    by_name = licenses(needed())
    assert [name for name in by_name if f"| {name} | " not in listed] == []
    assert all(judged(license_) for license_ in by_name.values())


def test_what_is_needed_to_run_is_followed_to_the_end_and_tools_are_not():
    """fastapi needs starlette, which needs anyio; pytest is of the tests."""
    names = needed()
    assert {"fastapi", "starlette", "anyio", "psycopg-binary"} <= names
    assert not names & {"perennial", "pytest", "mutmut"}


@pytest.mark.parametrize(
    "license_",
    ["GPL-3.0-or-later", "GNU Affero General Public License v3 (AGPLv3)", "MIT AND GPL-2.0-only", "UNKNOWN"],
)  # fmt: skip
def test_a_license_that_is_unfit_or_unknown_is_refused(license_):
    with pytest.raises(UnfitError, match="fit for the MIT license"):
        judged(license_)


def test_a_license_that_binds_changes_of_the_package_alone_is_fit_and_said_to():
    assert judged("LGPL-3.0-only").startswith("binds changes of the package")
    assert judged("MIT License") == "permissive"


@pytest.mark.parametrize(
    ("code", "message", "meant"),
    [
        (0, "No known vulnerabilities found", audit.CLEAN),
        (1, "Found 2 known vulnerabilities in 1 package\nName Version ID", audit.VULNERABLE),
        (1, "ERROR:pip_audit._cli:numpy: Dependency not found on PyPI and could not be audited", audit.UNKNOWN),
        (1, "", audit.UNKNOWN),
    ],
)  # fmt: skip
def test_an_audit_that_asked_nobody_is_not_taken_for_a_clean_one(code, message, meant):
    actual, sentence = audit.judged(code, message)
    assert actual == meant
    assert ("nothing was audited" in sentence) == (meant == audit.UNKNOWN)


def test_the_share_of_planted_faults_that_was_found_by_hand(tmp_path):
    """Three found (one by time), one lost, one that no test reaches, one not tried, one not asked for."""
    codes = {"a.f__1": 1, "a.f__2": 3, "a.f__3": 36, "a.f__4": 0, "a.g__1": 33, "a.h__1": None, "b.f__1": 0}  # fmt: skip
    (tmp_path / "a.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    written = mutation.table(mutation.count(["a.*"], tmp_path))
    assert "| a.py | 5 | 3 | 60.0% |" in written
    assert "Not tried in the time: 1" in written


def test_a_bare_environment_keeps_how_packages_are_found_and_no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example")
    for name in ("PIP_CACHE_DIR", "UV_CACHE_DIR", "KLAVIYO_API_KEY", "PYTHONPATH"):
        monkeypatch.setenv(name, "somewhere")
    bare = clean_machine.bare_environment(tmp_path)
    assert bare["PIP_INDEX_URL"] == "https://packages.example"
    assert bare["HOME"] == str(tmp_path)
    assert not bare.keys() & {"PIP_CACHE_DIR", "UV_CACHE_DIR", "KLAVIYO_API_KEY", "PYTHONPATH"}


def test_on_a_clean_machine_a_command_that_fails_ends_the_proof(tmp_path):
    machine = clean_machine.Machine(tmp_path, Path("/usr/bin/true"))
    with pytest.raises(SystemExit, match="ended with 3"):
        machine.does("exit 3", tmp_path)


def test_what_holds_a_change_is_what_make_check_makes():
    makefile = (ROOT / "Makefile").read_text()
    checked = re.search(r"^check:([a-z ]+)##", makefile, re.MULTILINE)[1].split()
    assert sorted(
        re.findall(r"^make (\w+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    ) == (sorted(checked))
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    hooked = re.findall(r"entry: make (\w+)", hooks)
    assert hooked
    assert {*hooked} <= {*checked}
