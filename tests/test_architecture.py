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


CONTRACTS = PROJECT["tool"]["importlinter"]["contracts"]


def layers_of(contract):
    """Return a contract's layers, siblings apart."""
    return {name.strip() for layer in contract["layers"] for name in layer.split(":")}


def test_every_package_is_in_the_layers():
    whole = next(c for c in CONTRACTS if c["type"] == "layers" and "containers" not in c)
    parts = {f"perennial.{path.parent.name}" for path in ROOT.glob("perennial/*/__init__.py")}
    layers = layers_of(whole)
    assert {*PACKAGES} - {"perennial"} | parts | {"perennial.api"} == layers
    assert set(PACKAGES) == set(PROJECT["tool"]["importlinter"]["root_packages"])


def test_every_package_of_the_pipeline_is_in_its_layers():
    inside = next(c for c in CONTRACTS if c.get("containers") == ["perennial.pipeline"])
    assert inside["exhaustive"] is True
    parts = {path.parent.name for path in ROOT.glob("perennial/pipeline/*/__init__.py")}
    assert layers_of(inside) == parts


def test_no_package_may_have_a_circle_inside():
    circles = next(c for c in CONTRACTS if c["type"] == "acyclic_siblings")
    assert sorted(circles["ancestors"]) == PACKAGES
    assert not circles.get("ignore_imports")


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
