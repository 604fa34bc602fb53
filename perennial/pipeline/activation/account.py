"""The store's account with Klaviyo, opened with a key from the environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from connectors.klaviyo import api
from connectors.klaviyo.apply import SyncContext
from connectors.klaviyo.client import Klaviyo, connect
from connectors.klaviyo.clock import SystemClock
from connectors.klaviyo.erasure import Erasures
from perennial.pipeline.settings.store import SettingsError

API_KEY, API_URL = "KLAVIYO_API_KEY", "KLAVIYO_API_URL"
NEARBY = ("127.0.0.1", "localhost")


@contextmanager
def open_context(state: Path, *, needs_key: bool) -> Iterator[SyncContext | None]:
    """Open the account with the key in the environment; None where there is none and none is needed."""
    key = read_key(API_KEY)
    if not key.get_secret_value():
        if needs_key:
            raise SettingsError(
                f"a sync needs a key: {API_KEY} is not set. Make one as docs/klaviyo.md says and set it in the "
                "environment, never in the settings"
            )
        yield None
        return
    clock = SystemClock()
    with connect(key.get_secret_value(), api_url()) as connection:
        yield SyncContext(Klaviyo(connection, clock), clock, Erasures(state))


def read_key(name: str) -> SecretStr:
    """Return a key from the environment; empty where it is not set."""
    key = os.environ.get(name, "").strip()
    if not all("!" <= letter <= "~" for letter in key):
        raise SettingsError(
            f"a key is letters, digits and signs: {name} has others, perhaps from copying. Set it again"
        )
    return SecretStr(key)


def api_url() -> str:
    """Return where Klaviyo's API is: a key travels encrypted, or not beyond this machine."""
    url = os.environ.get(API_URL, api.HOST)
    if urlsplit(url).scheme != "https" and urlsplit(url).hostname not in NEARBY:
        raise SettingsError(
            f"a key travels encrypted: {API_URL} must start with https://. Mend it"
        )
    return url
