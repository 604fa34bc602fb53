"""A Prefect server for the length of one command, where none is configured.

It starts beside the work that needs no server yet, keeps its database under the home folder so that
its runs can be looked at later, and ends with the command however that ends: the child leaves when
the pipe to its parent closes.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from connectors.addresses import redacted, redacted_address
from perennial.pipeline.runtime.prefect_api import ServerError
from perennial.pipeline.settings.urls import prefect_database
from perennial.service.access import OwnPagesOnly, Served, protection
from perennial.service.child import Child

STARTUP_SECONDS = 300  # a first start migrates an empty database: 29 s on two quiet cores
UP_LOCK = ".up.lock"  # in Prefect's home, held by `perennial up`
ATTEMPTS = 2  # another program may take the port between choosing and binding it


def check_answers(api_url: str) -> None:
    """Make sure that a configured server is there.

    Raises
    ------
    ServerError
        It is not.
    """
    try:
        httpx.get(f"{api_url}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise ServerError(
            f"Prefect must answer at {redacted_address(api_url)}: {redacted(str(error))}. Start it, or unset PREFECT_API_URL to run without"
        ) from error


def say_serving(home: Path, api_url: str) -> None:
    """Leave word of where `perennial up` serves, for other commands in its home."""
    draft = home / ".up.json.draft"
    draft.write_text(json.dumps({"api_url": api_url}))
    draft.replace(home / ".up.json")


def forget_serving(home: Path) -> None:
    """Take that word back."""
    (home / ".up.json").unlink(missing_ok=True)


def served_api_url(home: Path) -> str | None:
    """Return the address of the server that `perennial up` runs in this home, if it does."""
    if not (home / ".up.json").is_file():
        return None
    lock = FileLock(home / UP_LOCK, timeout=0)
    try:
        with lock:
            return None  # nobody holds it: what was left is word of an earlier one
    except Timeout:
        return str(json.loads((home / ".up.json").read_text())["api_url"])


class TemporaryServer(Child):
    """A Prefect server for one command, on a port of its own.

    Parameters
    ----------
    home
        Folder of its database and its log.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(
            "temporary server",
            "perennial.service.server",
            home / "temporary-server.log",
            {"PREFECT_HOME": str(home)},
            defaults=prefect_database(home),
        )
        self.home = home
        self.port = 0

    @property
    def api_url(self) -> str:
        """Address of its API."""
        return f"http://127.0.0.1:{self.port}/api"

    def start(self, *arguments: str, pipes: Sequence[int] = ()) -> None:
        """Start it with a log of its own, and return at once."""
        self.port = _free_port()
        self.log.unlink(missing_ok=True)
        super().start(str(self.port), *arguments, pipes=pipes)

    def wait(self) -> None:
        """Wait until it answers.

        Raises
        ------
        ServerError
            It ended, or did not answer within five minutes.
        """
        for attempt in range(1, ATTEMPTS + 1):
            if self._answers():
                return
            if attempt < ATTEMPTS:
                self.stop()
                self.start()
        self.stop()
        raise ServerError(
            f"Prefect's {self.name} did not start: {self.last_words()}. See {self.log}, or set PREFECT_API_URL to a "
            "running server"
        )

    def _answers(self) -> bool:
        """Wait for an answer; False once the child has ended or time is up."""
        deadline = time.monotonic() + STARTUP_SECONDS
        with httpx.Client(trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline:
                if not self.is_alive():
                    return False
                try:
                    if client.get(f"{self.api_url}/health").is_success:
                        return True
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def leave_with_parent(within_seconds: float = 10.0) -> None:
    """Leave, with the process group if it is one's own, once the parent's end of the pipe closes."""

    def wait_and_leave() -> None:
        while os.read(0, 65_536):  # a buffered read would hold a lock that Python wants at its end
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(within_seconds)
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait_and_leave, daemon=True).start()


def _serve(port: int, *, pages: bool) -> None:
    leave_with_parent()
    served = Served.on(port)
    environment = {
        "PREFECT_SERVER_UI_ENABLED": str(pages),
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    }
    for name, value in {**environment, **protection(served)}.items():
        os.environ.setdefault(name, value)  # read when Prefect is imported
    import uvicorn
    from prefect.server.api.server import create_app

    app = OwnPagesOnly(create_app(final=True), served)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    _serve(int(sys.argv[1]), pages="--ui" in sys.argv[2:])
