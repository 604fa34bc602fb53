"""Open the puller of a live source, with the keys of the environment."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from connectors.klaviyo.clock import Clock, SystemClock
from connectors.live.address import LiveAddress
from connectors.live.errors import AccessRefusedError
from connectors.live.klaviyo_events.client import KEY as KLAVIYO_KEY
from connectors.live.klaviyo_events.client import connect_klaviyo
from connectors.live.klaviyo_events.preflight import check_keys
from connectors.live.klaviyo_events.puller import KlaviyoPuller, Pulling
from connectors.live.klaviyo_events.source import KlaviyoSource, Range
from connectors.live.options import PullOptions
from connectors.live.puller import Puller
from connectors.live.queries import Memory
from connectors.live.raw import RawAccount, nobody
from connectors.live.records import JsonObject
from connectors.live.shopify.client import ShopifyClient
from connectors.live.shopify.credentials import read_credentials
from connectors.live.shopify.preflight import ExpectedStore
from connectors.live.shopify.puller import ShopifyPuller
from connectors.live.stripe.api import HOST as STRIPE
from connectors.live.stripe.client import StripeClient, StripeKey
from connectors.live.stripe.puller import StripePuller
from connectors.live.woocommerce.client import Keys, WooCommerceClient
from connectors.live.woocommerce.puller import WooCommercePuller

KLAVIYO, SYNC_KEY = "https://a.klaviyo.com", "KLAVIYO_API_KEY"


@dataclass(frozen=True)
class LiveStore:
    """What a puller needs to know of a store.

    Attributes
    ----------
    address
        The account.
    state
        Folder of what outlives a day; raw files are under it.
    currency, timezone
        The store's; None where they are not set yet: then they are not compared with the account's.
    integration
        Of Klaviyo: the key of the integration that sends orders; None = the only one.
    memory
        What DuckDB may use.
    is_erased
        Tells whether an object is of a person who was forgotten.
    """

    address: LiveAddress
    state: Path
    currency: str | None = None
    timezone: str | None = None
    integration: str | None = None
    memory: Memory | None = None
    is_erased: Callable[[JsonObject], bool] = field(default=nobody)


@dataclass(frozen=True)
class Surroundings:
    """The keys, the clock and the network that a puller uses.

    Attributes
    ----------
    environment
        Variables with the platform's keys, and ``SHOPIFY_API_URL`` and the like for a server of tests.
    clock
        Tells the time and waits.
    transport
        How requests travel; None = the network.
    """

    environment: Mapping[str, str]
    clock: Clock = field(default_factory=SystemClock)
    transport: httpx.BaseTransport | None = None

    def key(self, name: str) -> str:
        """Return a key.

        Raises
        ------
        AccessRefusedError
            It is not set.
        """
        text = self.environment.get(name, "").strip()
        if not text:
            raise AccessRefusedError(
                f"{name} is not set. Set it in the environment of this command", 0
            )
        return text

    def url(self, platform: str) -> str | None:
        """Return the address of a server that stands for a platform's."""
        return self.environment.get(f"{platform.upper()}_API_URL") or None


@contextmanager
def open_puller(store: LiveStore, around: Surroundings) -> Iterator[Puller]:
    """Open the puller of a store's platform; its connection is closed at the end.

    Raises
    ------
    AccessRefusedError
        A key is not set, or cannot be one.
    """
    address = store.address
    account = RawAccount(
        store.state, address.platform, address.account, now=around.clock.now, memory=store.memory
    )
    with OPENERS[address.platform](store, account, around) as puller:
        yield puller


@contextmanager
def _shopify(store: LiveStore, account: RawAccount, around: Surroundings) -> Iterator[Puller]:
    shop = store.address.account
    client = ShopifyClient(
        shop,
        read_credentials(around.environment),
        clock=around.clock,
        url=around.url("shopify"),
        transport=around.transport,
    )
    try:
        expected = ExpectedStore(shop, store.currency, store.timezone)
        yield ShopifyPuller(
            client, account, expected, clock=around.clock, is_erased=store.is_erased
        )
    finally:
        client.close()


@contextmanager
def _woocommerce(store: LiveStore, account: RawAccount, around: Surroundings) -> Iterator[Puller]:
    shop = store.address.account
    keys = Keys(around.key("WOOCOMMERCE_KEY"), around.key("WOOCOMMERCE_SECRET"))
    url = around.url("woocommerce") or f"https://{shop}"
    client = WooCommerceClient(url, keys, clock=around.clock, transport=around.transport)
    try:
        yield WooCommercePuller(
            account, client, account=shop, now=around.clock.now, options=_options(store)
        )
    finally:
        client.close()


@contextmanager
def _stripe(store: LiveStore, account: RawAccount, around: Surroundings) -> Iterator[Puller]:
    client = StripeClient(
        StripeKey(around.key("STRIPE_KEY")),
        clock=around.clock,
        url=around.url("stripe") or STRIPE,
        transport=around.transport,
    )
    try:
        yield StripePuller(
            account,
            client,
            account=store.address.account,
            now=around.clock.now,
            options=_options(store),
        )
    finally:
        client.close()


@contextmanager
def _klaviyo(store: LiveStore, account: RawAccount, around: Surroundings) -> Iterator[Puller]:
    key = around.key(KLAVIYO_KEY)
    check_keys(key, around.environment.get(SYNC_KEY, ""))
    client = connect_klaviyo(
        around.url("klaviyo") or KLAVIYO,
        key,
        clock=around.clock,
        transport=around.transport,
    )
    source = KlaviyoSource(
        store.address.account,
        timezone=store.timezone,
        currency=store.currency,
        ranges=() if store.integration is None else (Range(store.integration),),
    )
    try:
        yield KlaviyoPuller(
            client,
            source,
            account,
            now=around.clock.now,
            pulling=Pulling(is_erased=store.is_erased, memory=store.memory),
        )
    finally:
        client.close()


def _options(store: LiveStore) -> PullOptions:
    return PullOptions(currency=store.currency, is_erased=store.is_erased, memory=store.memory)


OPENERS = {
    "shopify": _shopify,
    "woocommerce": _woocommerce,
    "stripe": _stripe,
    "klaviyo": _klaviyo,
}
