"""What a machine may lack: a visible skip that names the one command, a failure where all is required."""

import os

import pytest


def require(actual: object, what: str, command: str) -> None:
    """Skip the test where something is not found; fail where ``PERENNIAL_REQUIRE=all``."""
    if actual:
        return
    text = f"{what} is not here; provide it with: {command}"
    if os.environ.get("PERENNIAL_REQUIRE") == "all":
        pytest.fail(f"PERENNIAL_REQUIRE=all, but {text}", pytrace=False)
    pytest.skip(text)
