"""Prefect's server as `perennial up` runs it: what it is told, and what it is asked, without importing Prefect."""

import os
import socket
from base64 import b64encode
from collections.abc import Generator, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx

from perennial.pipeline.runtime.prefect_api import configured_api_url
from perennial.pipeline.settings.store import Settings, SettingsError
from perennial.pipeline.settings.urls import prefect_database

LEASES = (
    "prefect.server.concurrency.lease_storage.filesystem"  # outlive a server that is restarted
)


def prefect_home(settings: Settings) -> Path:
    """Return the folder of Prefect's database and logs."""
    return Path(os.environ.get("PREFECT_HOME", settings.home / ".prefect"))


def server_environment(settings: Settings) -> dict[str, str]:
    """Return what Prefect's server is told; what the environment says already stays."""
    asked = settings.schedule
    environment = {
        "PREFECT_HOME": str(prefect_home(settings)),
        "PREFECT_API_URL": find_api_url(settings),
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(asked.keep_runs_days * 86_400),
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"P{asked.keep_events_days}D",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(prefect_home(settings) / "pages"),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,connectors,reports",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
    }
    environment |= prefect_database(prefect_home(settings))
    if asked.database is not None:
        environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = asked.database
    return {
        **environment,
        **{name: os.environ[name] for name in environment if name in os.environ},
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",  # into their logs, where it disturbs nobody
    }


def find_api_url(settings: Settings) -> str:
    """Return the address of the server that is configured, else of the one that is started."""
    return configured_api_url() or f"http://127.0.0.1:{settings.schedule.port}/api"


def next_slots(api_url: str, deployments: Iterable[str], timezone: str) -> dict[str, str]:
    """Return the slot of the next run that the server has scheduled, by deployment id.

    Raises
    ------
    httpx.HTTPError
        It does not answer.
    """
    slots: dict[str, str] = {}
    with api_client(api_url) as client:
        for one in deployments:
            asked = {
                "flow_runs": {
                    "deployment_id": {"any_": [one]},
                    "state": {"type": {"any_": ["SCHEDULED"]}},
                    "expected_start_time": {"after_": datetime.now(UTC).isoformat()},
                },
                "sort": "EXPECTED_START_TIME_ASC",
                "limit": 1,
            }
            answer = client.post(f"{api_url}/flow_runs/filter", json=asked).raise_for_status()
            for run in answer.json():
                slot = datetime.fromisoformat(run["expected_start_time"])
                local = slot.astimezone(ZoneInfo(timezone))
                slots[one] = local.isoformat(timespec="minutes")
    return slots


def api_client(api_url: str) -> httpx.Client:
    """Return a client of Prefect's server, with the credentials and the CSRF token of Prefect's own."""
    headers = {}
    if key := os.environ.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    elif secret := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {b64encode(secret.encode()).decode()}"
    token = CsrfToken(api_url, headers)
    return httpx.Client(trust_env=False, timeout=30, headers=headers, auth=token)


class CsrfToken(httpx.Auth):
    """The token that a server with CSRF protection asks for with every change.

    Parameters
    ----------
    api_url
        The server's.
    headers
        Of the request for the token.
    """

    requires_response_body = True

    def __init__(self, api_url: str, headers: Mapping[str, str]) -> None:
        self._client = str(uuid4())
        url, params = f"{api_url}/csrf-token", {"client": self._client}
        self._asking = httpx.Request("GET", url, params=params, headers=headers)
        self._token: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Fetch the token once; a server without this protection has none."""
        if request.method in ("POST", "PUT", "PATCH", "DELETE"):
            if self._token is None:
                answer = yield self._asking
                self._token = answer.json()["token"] if answer.is_success else ""
            if self._token:
                request.headers["Prefect-Csrf-Token"] = self._token
                request.headers["Prefect-Csrf-Client"] = self._client
        yield request


def check_port(port: int) -> None:
    """Make sure that a port is free.

    Raises
    ------
    SettingsError
        Another program listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SettingsError(
                f"Prefect's server needs its port to itself: 127.0.0.1:{port}: {error.strerror}. Stop what "
                "listens there, or set schedule.port to another"
            ) from error
