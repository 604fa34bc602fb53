"""The key of a Shopify store: a lasting token, or credentials that give one for a day."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.live.errors import AccessRefusedError

TOKEN, CLIENT_ID, CLIENT_SECRET = (
    "SHOPIFY_ADMIN_TOKEN",
    "SHOPIFY_CLIENT_ID",
    "SHOPIFY_CLIENT_SECRET",
)
SHOP = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
HOW = (
    f"Set {CLIENT_ID} and {CLIENT_SECRET} of an app of the Dev Dashboard that is installed in the store, or "
    f"{TOKEN} of an app that was made in the store's admin before 2026"
)


@dataclass(frozen=True)
class Credentials:
    """A key, from the environment.

    Attributes
    ----------
    token
        Of an app made in the store's admin; empty where the others are set.
    client_id, client_secret
        Of an app of the Dev Dashboard.
    """

    token: str = field(default="", repr=False)
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)


def read_credentials(environment: Mapping[str, str]) -> Credentials:
    """Return the key in an environment.

    Raises
    ------
    AccessRefusedError
        There is none, half of one, or two.
    """
    token, name, secret = (
        environment.get(one, "").strip() for one in (TOKEN, CLIENT_ID, CLIENT_SECRET)
    )
    if token and (name or secret):
        raise AccessRefusedError(
            f"Two keys are set. Unset {TOKEN}, or {CLIENT_ID} and {CLIENT_SECRET}", 0
        )
    if bool(name) != bool(secret):
        missing = CLIENT_SECRET if name else CLIENT_ID
        raise AccessRefusedError(f"{missing} is not set. {HOW}", 0)
    if not token and not name:
        raise AccessRefusedError(f"No key for Shopify. {HOW}", 0)
    return Credentials(token, name, secret)


def check_shop(shop: str) -> str:
    """Return a store's address as Shopify writes it, or refuse it."""
    if not SHOP.fullmatch(shop):
        raise AccessRefusedError(
            f'{shop!r} is no address of a Shopify store. Use "NAME.myshopify.com", which Settings > Domains '
            "of the store's admin shows",
            0,
        )
    return shop
