"""What a key can read, and whether that is this store's whole history."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.live.errors import AccessRefusedError, UnexpectedAnswerError
from connectors.live.records import AccountFacts
from connectors.live.shopify.client import FirstOrder, ShopFacts, ShopifyClient
from connectors.live.shopify.errors import WrongStoreError
from connectors.live.shopify.queries import Reach

NEEDED = ("read_orders", "read_all_orders", "read_customers")
USEFUL = ("read_products", "read_inventory")
# without read_all_orders, or where it is not in effect, Shopify shows orders of 60 days, and does not say so
SHOWN_DAYS = (timedelta(days=59), timedelta(days=60, hours=1))
PROTECTED = (
    "In the Dev Dashboard, request access to protected customer data (name, e-mail, phone) for the app. An app "
    "made in the store's admin cannot read it on a Basic plan: use an app of the Dev Dashboard"
)
NO_PRODUCTS = (
    "The key lacks read_products: products are known by SKU, or by title where there is none. Add read_products "
    "to keep them apart when they are renamed"
)
NO_PHONES = "Shopify denies phone numbers: customers are linked by id and e-mail only"


@dataclass(frozen=True)
class ExpectedStore:
    """The store of the settings.

    Attributes
    ----------
    shop
        ``NAME.myshopify.com``.
    currency
        ISO 4217 code; None where the settings have none.
    timezone
        IANA name; None where the settings have none.
    """

    shop: str
    currency: str | None = None
    timezone: str | None = None


def check_account(
    client: ShopifyClient, expected: ExpectedStore, now: datetime
) -> tuple[AccountFacts, Reach]:
    """Return the account's facts and what its key can read, or refuse.

    Raises
    ------
    WrongStoreError
        Another store or currency than the settings have.
    AccessRefusedError
        The key may read too little, or change the store.
    UnexpectedAnswerError
        The store shows no orders.
    """
    shop = client.shop_facts()
    _check_store(shop, expected)
    _check_scopes(shop.scopes)
    first = client.first_order()
    _check_fields(first)
    _check_history(first, now)
    products = "read_products" in shop.scopes
    reach = Reach(
        products=products,
        costs=products and "read_inventory" in shop.scopes,
        phones="phoneNumber" not in first.denied and "phone" not in first.denied,
    )
    facts = AccountFacts(
        platform="shopify",
        account=shop.domain,
        name=shop.name,
        currency=shop.currency,
        timezone=shop.timezone,
        first_order_at=first.created_at,
        permissions=shop.scopes,
        is_test=shop.is_test,
        notes=tuple(_notes(shop, reach, expected)),
    )
    return facts, reach


def _check_store(shop: ShopFacts, expected: ExpectedStore) -> None:
    if shop.domain != expected.shop:
        raise WrongStoreError(
            f"The key is of {shop.domain}, and the settings name {expected.shop}. Use the key of that store, or "
            "correct orders.source",
            200,
        )
    if expected.currency is not None and shop.currency != expected.currency:
        raise WrongStoreError(
            f"The store's currency is {shop.currency}, and the settings have {expected.currency}. Correct the "
            "currency in the settings: amounts are not converted",
            200,
        )


def _check_scopes(scopes: tuple[str, ...]) -> None:
    changing = [one for one in scopes if not one.startswith(("read_", "unauthenticated_read_"))]
    if changing:
        raise AccessRefusedError(
            f"The key may change the store: {', '.join(changing)}. Take these scopes from the app and install it "
            "again: a pull only reads",
            200,
        )
    missing = [one for one in NEEDED if one not in scopes]
    if missing:
        hint = (
            " Without read_all_orders, Shopify shows orders of the last 60 days only, and customers would seem new."
            if "read_all_orders" in missing
            else ""
        )
        raise AccessRefusedError(
            f"The key lacks {', '.join(missing)}.{hint} Add them to the app's scopes (read_all_orders has to be "
            "requested in the app's API access) and install it again",
            200,
        )


def _check_fields(first: FirstOrder) -> None:
    denied = first.denied - {"phone", "phoneNumber", "defaultPhoneNumber"}
    if denied:
        raise AccessRefusedError(
            f"Shopify denies the key protected customer data: {', '.join(sorted(denied))}. {PROTECTED}",
            200,
        )


def _check_history(first: FirstOrder, now: datetime) -> None:
    if first.created_at is None:
        raise UnexpectedAnswerError(
            "The store shows no orders. Pull again when it has some; if it has, look at the store's admin: this "
            "may be an outage, and nothing is deleted for one"
        )
    age = now - first.created_at
    if SHOWN_DAYS[0] <= age <= SHOWN_DAYS[1]:
        raise AccessRefusedError(
            "The first order that the key can read is 60 days old, as if read_all_orders were not in effect. "
            "Request read_all_orders for the app and install it again. If the store did begin then, pull again "
            "in two days",
            200,
        )


def _notes(shop: ShopFacts, reach: Reach, expected: ExpectedStore) -> list[str]:
    unneeded = sorted(set(shop.scopes) - {*NEEDED, *USEFUL})
    notes = []
    if not reach.products:
        notes.append(NO_PRODUCTS)
    if not reach.phones:
        notes.append(NO_PHONES)
    if unneeded:
        notes.append(f"The key has scopes that a pull does not need: {', '.join(unneeded)}")
    if shop.is_test:
        notes.append(
            "This is a development store: its orders are tests, and tests are no purchases"
        )
    if expected.timezone not in (None, shop.timezone):
        notes.append(
            f"The store's days are in {shop.timezone}, and the settings have {expected.timezone}: reports of "
            "the store's admin have other days"
        )
    return notes
