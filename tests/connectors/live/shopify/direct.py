"""A transport that asks a double without a network: faults are what the network would have made of them."""

from collections.abc import Iterator

import httpx

from tests.live.double import Double

URL = "http://127.0.0.1:9"


class _Body(httpx.SyncByteStream):
    def __init__(self, text: bytes, *, is_cut: bool) -> None:
        self._text, self._is_cut = text, is_cut

    def __iter__(self) -> Iterator[bytes]:
        yield self._text
        if self._is_cut:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body"
            )


class DirectTransport(httpx.BaseTransport):
    """Asks a double in its own thread: as the server does, and fast on a busy machine."""

    def __init__(self, double: Double) -> None:
        self._double = double

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = request.url.raw_path.decode()
        fault, answer = self._double.receive(request.method, target, headers, request.read())
        if self._double.failures:
            raise RuntimeError("the double failed") from self._double.failures[0]
        if answer is None:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        text = answer.text
        half = text[: len(text) // 2]
        length = half if fault == "truncated" else text
        heads = [*answer.headers.items(), ("Content-Type", answer.content_type)]
        heads.append(("Content-Length", str(len(length))))
        body = _Body(half if fault in ("truncated", "cut_in") else text, is_cut=fault == "cut_in")
        return httpx.Response(answer.status, headers=heads, stream=body)
