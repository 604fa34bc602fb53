"""Access to Prefect's server: programs on this machine, and the server's own pages.

Prefect's server has no login and answers any web page by default. A page of another site must not
use it: not through a visitor's browser, not under a name that its owner lets resolve to this machine.
"""

import os
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
UI_API_URLS = ("PREFECT_UI_API_URL", "PREFECT_SERVER_UI_API_URL")  # name a proxy's address

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_PORT = re.compile(r":\d{1,5}$")


@dataclass(frozen=True)
class Served:
    """Where a server is reached.

    Attributes
    ----------
    origins
        Of its pages, such as ``http://127.0.0.1:4200``.
    hosts
        Values of the Host header beside the loopback names, such as ``prefect.example``.
    """

    origins: frozenset[str]
    hosts: frozenset[str] = frozenset()

    @classmethod
    def on(cls, port: int, environment: Mapping[str, str] = os.environ) -> "Served":
        """Return where a server on a port of this machine is reached, through a proxy included."""
        suffix = "" if port == 80 else f":{port}"  # browsers leave out the default port
        origins = {f"http://{name}{suffix}" for name in LOOPBACK}
        proxies = [urlsplit(environment.get(name, "").lower()) for name in UI_API_URLS]
        named = [url for url in proxies if url.netloc]
        origins |= {f"{url.scheme}://{url.netloc}" for url in named}
        return cls(frozenset(origins), frozenset(url.netloc for url in named))

    def refusal(self, headers: Collection[tuple[bytes, bytes]]) -> str | None:
        """Return why a request is refused; None = it is served."""
        hosts = _values(headers, b"host")
        if len(hosts) != 1 or not self._is_own_host(hosts[0]):
            return "Host header not allowed: use the address that `perennial up` prints."
        if not set(_values(headers, b"origin")) <= self.origins:
            return "Origin not allowed: only this server's own pages may use it."
        return None

    def _is_own_host(self, host: str) -> bool:
        return host in self.hosts or _PORT.sub("", host) in LOOPBACK


class OwnPagesOnly:
    """An ASGI application that serves only requests of programs and of the server's own pages.

    Parameters
    ----------
    app
        What is served.
    served
        Where.
    """

    def __init__(self, app: App, served: Served) -> None:
        self._app = app
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        refusal = self._served.refusal(scope["headers"])
        if refusal is None:
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            await receive()
            return await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        return await _forbid(refusal, send)


def protection(served: Served) -> dict[str, str]:
    """Return Prefect's own settings that keep other sites' pages out."""
    return {
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(sorted(served.origins)),
    }


def _values(headers: Collection[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in headers if key == name]


async def _forbid(reason: str, send: Send) -> None:
    body = reason.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
