"""What several tests need."""

import os
from pathlib import Path

import pytest

from perennial.cli.main import QUIET_BY_DEFAULT

os.environ.update(QUIET_BY_DEFAULT)
for configured in ("PREFECT_API_URL", "PREFECT_PROFILE", "MLFLOW_TRACKING_URI"):
    os.environ.pop(configured, None)  # tests use their own stores and servers, never a person's


SLOWEST_FIRST = (
    "flows/test_up",
    "flows/test_demo",
    "flows/test_postgresql",
    "invariants/test_odd_stores",
    "connectors/test_orders",
    "flows/test_run",
    "flows/test_cli",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the slowest files first, so that two workers end together."""

    def place(item: pytest.Item) -> int:
        names = [i for i, name in enumerate(SLOWEST_FIRST) if name in item.nodeid]
        return names[0] if names else len(SLOWEST_FIRST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def lifetimes_data() -> Path:
    """Folder of the data sets that the lifetimes package ships."""
    from importlib.metadata import files

    shipped = files("lifetimes") or []
    return next(Path(str(f.locate())) for f in shipped if f.name == "CDNOW_sample.txt").parent
