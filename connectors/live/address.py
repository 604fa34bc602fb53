"""Addresses of live sources: ``shopify://shop.myshopify.com`` in `orders.source`."""

import re
from dataclasses import dataclass

PRESETS = {  # platform: the preset that reads what was pulled
    "shopify": "fivetran",
    "woocommerce": "woocommerce",
    "stripe": "stripe",
    "klaviyo": "klaviyo",
}
COLUMNS = {"shopify": {"discount_code": "discount_code"}}  # beside what the preset reads by itself
EXAMPLES = {
    "shopify": "shopify://my-shop.myshopify.com",
    "woocommerce": "woocommerce://shop.example",
    "stripe": "stripe://acct_1A2b3C4d5E6f7G8h",
    "klaviyo": "klaviyo://AbC123",
}
SHOPIFY_HOST = ".myshopify.com"
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?::\d+)?(?:/[A-Za-z0-9._-]+)*")


@dataclass(frozen=True)
class LiveAddress:
    """An account of a platform.

    Attributes
    ----------
    platform
        A key of `PRESETS`.
    account
        The shop's host, or the account's id.
    """

    platform: str
    account: str

    @property
    def preset(self) -> str:
        """The preset that reads what was pulled."""
        return PRESETS[self.platform]

    @property
    def columns(self) -> dict[str, str]:
        """Columns of what was pulled that the preset does not read by itself."""
        return COLUMNS.get(self.platform, {})

    def __str__(self) -> str:
        return f"{self.platform}://{self.account}"


def read_address(location: str) -> LiveAddress | None:
    """Return the account that a source names; None for files and databases.

    Raises
    ------
    ValueError
        The platform is a live one, and the account cannot be one of it.
    """
    platform, separator, account = location.partition("://")
    if not separator or platform not in PRESETS:
        return None
    account = account.rstrip("/")
    if platform in ("shopify", "woocommerce"):
        account = account.lower()
    if platform == "shopify" and account and "." not in account:
        account += SHOPIFY_HOST
    if not _ACCOUNT.fullmatch(account) or (
        platform == "shopify" and not account.endswith(SHOPIFY_HOST)
    ):
        raise ValueError(
            f"{location!r} names no {platform} account: write it as {EXAMPLES[platform]}. Keys and passwords "
            "belong in the environment"
        )
    return LiveAddress(platform, account)
