"""The house holds: every package stands in a contract, and nobody else ships our names."""

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


def test_the_packages_are_those_that_are_shipped():
    shipped = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(shipped) == PACKAGES


def test_every_package_is_in_the_layers_or_protected():
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    layers = next(c for c in contracts if c["type"] == "layers" and "containers" not in c)
    protected = [name for c in contracts for name in c.get("protected_modules", [])]
    assert set(PACKAGES) <= {*layers["layers"], *protected}
    assert set(PACKAGES) == set(PROJECT["tool"]["importlinter"]["root_packages"])


@pytest.mark.parametrize("package", PACKAGES)
def test_inside_each_package_the_layers_are_exhaustive(package):
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    inside = [c for c in contracts if c.get("containers") == [package]]
    assert len(inside) == 1
    assert inside[0]["exhaustive"] is True


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_ships_our_name(package):
    owners = set(packages_distributions().get(package, []))
    assert owners <= {"perennial"}


def test_no_module_under_flows_is_named_like_a_package():
    modules = {path.stem for path in (ROOT / "flows").glob("*.py")}
    assert not modules & set(packages_distributions())
    assert not modules & set(PACKAGES)


def test_the_lock_names_no_registry():
    lock = (ROOT / "requirements.lock").read_text()
    assert "http" not in lock.replace("httpcore", "").replace("httpx", "").replace(
        "aiohttp", ""
    ).replace("cohttp", "")
    assert "index-url" not in lock
    assert "--hash=sha256:" in lock
