"""What stands between WooCommerce and us: bytes before the JSON, pages of firewalls, moved addresses."""

import re
from urllib.parse import urlsplit

from connectors.addresses import is_loopback
from connectors.live.errors import AccessRefusedError, RequestRefusedError
from connectors.live.http import check_address

BOM = b"\xef\xbb\xbf"
BLANK = b" \t\r\n"
JSON_START = re.compile(rb'(?:^|(?<=[\n>]))[ \t]*(?=\[\s*\{\s*"|\[\s*\]\s*$|\{\s*")')
MOST_BEFORE = 65_536  # bytes of warnings that are looked through
FIREWALL_STATUSES = (403, 406)


def json_start(body: bytes) -> int | None:
    """Return where JSON begins in a body with something before it; None where it does not.

    Only the first place counts: what is cut short cannot be taken for a part of itself.
    """
    match = JSON_START.search(body[:MOST_BEFORE])
    return None if match is None else match.end()


def is_page(error: AccessRefusedError | RequestRefusedError) -> bool:
    """Tell a refusal that is not WooCommerce's own, which is JSON: another's page, or cut on its way."""
    return error.status >= 400 and not isinstance(error.payload, dict)


def moved_address(url: str, location: str | None) -> str | None:
    """Return where a shop moved to, as its root; None where that is not for us to follow.

    ``www.`` may come or go, http may become https. A key is never sent to another host.
    """
    if location is None or "/wp-json" not in location:
        return None
    root = location.partition("/wp-json")[0]
    old, new = urlsplit(url), urlsplit(root)
    both_here = is_loopback(old.hostname) and is_loopback(new.hostname)
    if not both_here and host_of(url) != host_of(root):
        return None
    try:
        check_address(root)
    except AccessRefusedError:
        return None
    return root


def host_of(url: str) -> str:
    """Return an address's host without ``www.``."""
    text = url if "://" in url else f"https://{url}"
    return (urlsplit(text).hostname or "").removeprefix("www.")
