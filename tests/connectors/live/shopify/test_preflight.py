"""What is refused before anything is pulled, and what a preflight shows."""

from datetime import timedelta

import pytest

from connectors.live.errors import AccessRefusedError, UnexpectedAnswerError
from connectors.live.records import PullKind
from connectors.live.shopify.errors import WrongStoreError
from connectors.live.shopify.preflight import ExpectedStore
from tests.connectors.live.shopify.shop import LEGACY, OF_APP
from tests.live.shopify_double import PROTECTED, SCOPES
from tests.live.shopify_schema import MISSING, SCHEMA

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)


@pytest.mark.parametrize("credentials", [LEGACY, OF_APP])
def test_a_preflight_shows_the_account(open_shop, credentials):
    shop = open_shop()
    facts = shop.puller(credentials).preflight()
    first = min(shop.store.orders.values(), key=lambda one: one.created_at)
    assert (facts.platform, facts.account) == ("shopify", "example-beans.myshopify.com")
    assert (facts.name, facts.currency, facts.timezone) == (
        "Example Beans",
        "EUR",
        "Europe/Berlin",
    )
    assert facts.first_order_at == first.created_at
    assert set(facts.permissions) == set(SCOPES)
    assert (facts.is_test, facts.notes) == (False, ())


def assert_refused(shop, match, error=AccessRefusedError, expected=None):
    """Check that nothing is pulled, and that the message has no secret and no person."""
    with pytest.raises(error, match=match) as raised:
        shop.puller(expected=expected).pull(shop.clock.now(), PullKind.NIGHT, shop.lines.append)
    assert "shpat_" not in str(raised.value)
    assert "@" not in str(raised.value)
    assert shop.stream().manifests() == []
    return str(raised.value)


@pytest.mark.parametrize("missing", ["read_orders", "read_all_orders", "read_customers"])
def test_a_key_that_reads_too_little_is_refused(open_shop, missing):
    shop = open_shop()
    shop.double.scopes = frozenset(SCOPES) - {missing}
    message = assert_refused(shop, f"lacks {missing}")
    assert ("60 days" in message) == (missing == "read_all_orders")


def test_a_key_that_may_change_the_store_is_refused_with_the_list(open_shop):
    shop = open_shop()
    shop.double.scopes = frozenset([*SCOPES, "write_orders", "write_products"])
    assert_refused(
        shop, "may change the store: .*write_orders, write_products|write_products, write_orders"
    )


def test_a_history_of_just_60_days_is_refused_though_the_scope_is_there(open_shop):
    shop = open_shop(5, {"days": 50})
    (first, *_) = shop.store.orders.values()
    for age, is_refused in ((58, False), (59.9, True), (61, False)):
        first.created_at = shop.clock.now() - timedelta(days=age)
        if is_refused:
            assert_refused(shop, "first order .* is 60 days old, as if read_all_orders")
        else:
            shop.puller().preflight()


def test_a_store_without_orders_is_refused_and_keeps_what_was_pulled(open_shop):
    shop = open_shop()
    shop.pull()
    whole = shop.latest()
    shop.store.orders.clear()
    shop.clock.advance(7200)
    with pytest.raises(UnexpectedAnswerError, match=r"shows no orders.*outage"):
        shop.pull(PullKind.RECONCILE)
    assert shop.latest() == whole
    assert_refused(open_shop(0), "shows no orders", UnexpectedAnswerError)


def test_another_store_than_the_settings_name_is_refused(open_shop):
    expected = ExpectedStore("other-beans.myshopify.com", "EUR")
    assert_refused(
        open_shop(), "is of example-beans.* name other-beans", WrongStoreError, expected
    )


def test_another_currency_than_the_settings_have_is_refused(open_shop):
    expected = ExpectedStore("example-beans.myshopify.com", "USD")
    assert_refused(
        open_shop(), "currency is EUR, and the settings have USD", WrongStoreError, expected
    )


def test_a_key_without_emails_is_refused_and_one_without_phones_is_not(open_shop):
    shop = open_shop()
    shop.double.protected = frozenset(PROTECTED) - {"email"}
    assert_refused(shop, r"denies the key protected customer data: email.*Dev Dashboard")
    shop.double.protected = frozenset(PROTECTED) - {"phone"}
    assert "denies phone numbers" in " ".join(shop.puller().preflight().notes)
    summary = shop.pull(few=0)
    assert "denies phone numbers" in " ".join(summary.warnings)
    assert all("phone" not in order for order in shop.latest().values())
    assert len(shop.latest()) == len(shop.store.orders)


def test_without_read_products_products_go_by_sku_or_title(open_shop):
    shop = open_shop()
    shop.double.scopes = frozenset(SCOPES) - {"read_products"}
    for few in (0, 250):
        assert "lacks read_products" in " ".join(shop.pull(few=few).warnings)
    orders = shop.latest().values()
    assert len(orders) == len(shop.store.orders)
    assert all("product" not in line for order in orders for line in order["lineItems"]["nodes"])


def test_what_a_person_should_know_is_noted(open_shop):
    shop = open_shop(store={"is_development": True})
    shop.double.scopes = frozenset([*SCOPES, "read_themes"])
    expected = ExpectedStore(shop.store.domain, "EUR", "America/New_York")
    facts = shop.puller(expected=expected).preflight()
    assert facts.is_test
    notes = " ".join(facts.notes)
    assert "does not need: read_themes" in notes
    assert "development store" in notes
    assert "days are in Europe/Berlin, and the settings have America/New_York" in notes
