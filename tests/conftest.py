"""What several tests need."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from perennial.cli.main import QUIET_BY_DEFAULT, app
from tests.shops import AS_OF, Said, write_shop

os.environ.update(QUIET_BY_DEFAULT)
for configured in ("PREFECT_API_URL", "PREFECT_PROFILE", "MLFLOW_TRACKING_URI"):
    os.environ.pop(configured, None)  # tests use their own stores and servers, never a person's


SLOWEST_FIRST = (
    "perennial/service/test_up",
    "connectors/test_orders",
    "connectors/presets/test_woocommerce",
    "perennial/pipeline/ingestion/test_postgresql",
    "perennial/service/test_access",
    "perennial/cli/test_demo",
    "perennial/cli/test_cli",
    "connectors/presets/test_shopify",
    "flows/test_daily",
    "perennial/cli/test_simulate",
    "flows/test_run",
    "test_notebooks",
    "flows/test_nights",
    "invariants/test_odd_stores",
    "pipeline/runtime/test_corruption",
    "pipeline/ingestion/test_engine_runs",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the slowest files first, so that two workers end together."""

    def place(item: pytest.Item) -> int:
        names = [i for i, name in enumerate(SLOWEST_FIRST) if name in item.nodeid]
        return names[0] if names else len(SLOWEST_FIRST)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Leave what is loaded by now out of garbage collection: it lasts to the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember the slow tests that are left out."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.config.stash.setdefault(LEFT_OUT, []).append(item.nodeid.partition("[")[0])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the controlling process, of which this may be a worker, what was left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker left out: each worker collects every test."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the slow tests that were left out."""
    names = sorted(set(terminalreporter.config.stash.get(LEFT_OUT, [])))
    if names:
        terminalreporter.section(f"{len(names)} slow tests left out: run `make slow`")
        for name in names:
            terminalreporter.write_line(name)


@pytest.fixture(scope="session")
def lifetimes_data() -> Path:
    """Folder of the data sets that the lifetimes package ships."""
    from importlib.metadata import files

    shipped = files("lifetimes") or []
    return next(Path(str(f.locate())) for f in shipped if f.name == "CDNOW_sample.txt").parent


@pytest.fixture(scope="session")
def perennial() -> Callable[..., Said]:
    """Run a command in this process."""

    def run(*arguments: str | Path) -> Said:
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def published(tmp_path_factory, perennial) -> tuple[Path, dict[str, Any]]:
    """A shop whose day is published: its settings' file, and what `run` said. Do not change it."""
    config = write_shop(tmp_path_factory.mktemp("shop"))
    result = perennial("run", "--config", config, "--as-of", AS_OF.isoformat(), "--json")
    assert result.code == 0, result.err
    return config, result.json
