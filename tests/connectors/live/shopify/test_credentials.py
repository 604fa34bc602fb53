"""Keys come from the environment, whole and only one, and are never shown."""

import pytest

from connectors.live.errors import AccessRefusedError
from connectors.live.shopify.credentials import Credentials, check_shop, read_credentials


def test_either_key_is_read():
    assert read_credentials({"SHOPIFY_ADMIN_TOKEN": " t "}) == Credentials(token="t")  # noqa: S106
    of_app = {"SHOPIFY_CLIENT_ID": "i", "SHOPIFY_CLIENT_SECRET": "s"}
    assert read_credentials(of_app) == Credentials(client_id="i", client_secret="s")  # noqa: S106


@pytest.mark.parametrize(
    ("environment", "match"),
    [
        ({}, "No key for Shopify. Set SHOPIFY_CLIENT_ID"),
        ({"SHOPIFY_ADMIN_TOKEN": " "}, "No key"),
        ({"SHOPIFY_CLIENT_ID": "i"}, "SHOPIFY_CLIENT_SECRET is not set"),
        ({"SHOPIFY_CLIENT_SECRET": "s"}, "SHOPIFY_CLIENT_ID is not set"),
        ({"SHOPIFY_ADMIN_TOKEN": "t", "SHOPIFY_CLIENT_ID": "i"}, "Two keys"),
    ],
)
def test_none_half_of_one_and_two_are_refused(environment, match):
    with pytest.raises(AccessRefusedError, match=match):
        read_credentials(environment)


def test_keys_are_not_shown():
    assert "secret" not in repr(Credentials("secret-token", "secret-id", "secret"))


@pytest.mark.parametrize(
    "shop", ["example.com", "a.myshopify.com.evil.com", "https://a.myshopify.com", ""]
)
def test_an_address_that_is_no_shops_is_refused(shop):
    assert check_shop("a-1.myshopify.com") == "a-1.myshopify.com"
    with pytest.raises(AccessRefusedError, match="is no address of a Shopify store"):
        check_shop(shop)
