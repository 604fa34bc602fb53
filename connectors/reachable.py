"""Whether a server is there at all: asked in seconds, before a client that is patient waits for it."""

import socket
import time
from urllib.parse import urlsplit

import httpx

SECONDS = 4.0  # for all tries together
PAUSE_SECONDS = 1.0
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def why_unreachable(uri: str, path: str = "", seconds: float = SECONDS) -> str | None:
    """Return why nothing answers at an address; None where something does, or it names no host.

    A server that refuses, or is out of order, is asked again while the time lasts. Who asks matters
    not: an answer that wants a password is one.

    Parameters
    ----------
    uri
        ``http``, ``https``, or a database's.
    path
        What is asked of a web server: something that needs what stands behind it.
    seconds
        After which nobody waits any longer.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    is_web = scheme in ("http", "https")
    if not parts.hostname or not (is_web or scheme in PORTS):
        return None
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        if is_web:
            why = _ask(f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{path}", left)
        else:
            why = _connect(parts.hostname, parts.port or PORTS[scheme], left)
        if why is None or deadline - time.monotonic() <= PAUSE_SECONDS:
            return why
        time.sleep(PAUSE_SECONDS)


def _ask(url: str, seconds: float) -> str | None:
    try:
        # No secret is sent, and whose certificate it is matters to the client that sends some.
        with httpx.stream("GET", url, verify=False, timeout=seconds) as answer:  # noqa: S501
            status = answer.status_code
    except httpx.TimeoutException:
        return f"no answer within {seconds:.0f} seconds"
    except httpx.HTTPError as error:
        return str(error)
    return f"it answers {status}" if status >= httpx.codes.INTERNAL_SERVER_ERROR else None


def _connect(host: str, port: int, seconds: float) -> str | None:
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except TimeoutError:
        return f"no answer within {seconds:.0f} seconds"
    except OSError as error:
        return str(error)
    return None
