"""Addresses that are written without their query: a query may name people, or hold a key."""

import httpx


class PrivateUrl(httpx.URL):
    """An address whose text has no query."""

    def __str__(self) -> str:
        return str(httpx.URL(self).copy_with(query=None))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


def hide_query(request: httpx.Request) -> None:
    """Keep a request's query out of what httpx logs and of what its errors hold."""
    request.url = PrivateUrl(request.url)
