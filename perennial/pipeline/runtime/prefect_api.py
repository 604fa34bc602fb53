"""The Prefect server that runs are told to, and what its worker may read."""

import os
import tomllib
from pathlib import Path

SERVED_SETTINGS = (
    "PERENNIAL_SERVED_SETTINGS"  # the one settings file that a worker's runs may read
)


class ServerError(RuntimeError):
    """Prefect's server did not start; the message has its last output."""


def configured_api_url() -> str | None:
    """Return the Prefect server that the environment or the active profile names, if any."""
    if os.environ.get("PREFECT_API_URL"):
        return os.environ["PREFECT_API_URL"]
    home = Path(os.environ.get("PREFECT_HOME", Path.home() / ".prefect"))
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml"))
    if not path.is_file():
        return None
    profiles = tomllib.loads(path.read_text())
    active = os.environ.get("PREFECT_PROFILE", profiles.get("active", ""))
    url = profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")
    return str(url) if url else None
