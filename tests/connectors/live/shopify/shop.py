"""A Shopify store behind its double, and pullers of it that can be killed at any request."""

import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import httpx
import pyarrow.parquet as pq

from connectors.live.raw import RawAccount
from connectors.live.reconcile import Limits
from connectors.live.records import PullKind
from connectors.live.shopify.client import ShopifyClient
from connectors.live.shopify.credentials import Credentials
from connectors.live.shopify.preflight import ExpectedStore
from connectors.live.shopify.puller import ORDERS, ShopifyPuller
from tests.connectors.live.shopify.direct import URL, DirectTransport
from tests.live.double import Clock, Server
from tests.live.shopify_double import (
    CLIENT_ID,
    CLIENT_SECRET,
    LEGACY_TOKEN,
    ShopifyDouble,
)
from tests.live.shopify_store import Store, gid, stock

NOW = datetime(2026, 11, 29, 2, tzinfo=UTC)
LEGACY = Credentials(token=LEGACY_TOKEN)
OF_APP = Credentials(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
LENIENT = Limits(deleted_share=0.5)  # of a small store, one order is much


class Shop:
    """A store behind its double, and the raw files of its pulls.

    Parameters
    ----------
    folder
        Of the raw files.
    store
        The store.
    is_served
        Whether requests go over the network of this machine.
    more
        Of the double.
    """

    def __init__(
        self, folder: Path, store: Store, *, is_served: bool = False, **more: object
    ) -> None:
        self.store, self.clock, self.state = store, store.clock, folder
        self.double = ShopifyDouble(store, **more)
        self.server = Server(self.double) if is_served else None
        self.lines: list[str] = []
        self.clients: list[ShopifyClient] = []

    def close(self) -> None:
        for client in self.clients:
            client.close()
        if self.server is not None:
            self.server.close()

    def transport(self):
        return DirectTransport(self.double) if self.server is None else httpx.HTTPTransport()

    def client(self, credentials=LEGACY, transport=None, shop=None):
        client = ShopifyClient(
            shop or self.store.domain,
            credentials,
            clock=self.clock,
            url=URL if self.server is None else self.server.url,
            transport=transport or self.transport(),
        )
        self.clients.append(client)
        return client

    def account(self):
        return RawAccount(self.state, "shopify", self.store.domain, now=self.clock.now)

    def puller(self, credentials=LEGACY, transport=None, expected=None, **more):
        return ShopifyPuller(
            self.client(credentials, transport),
            self.account(),
            expected or ExpectedStore(self.store.domain, self.store.currency),
            clock=self.clock,
            **more,
        )

    def pull(self, kind=PullKind.NIGHT, credentials=LEGACY, transport=None, **more):
        puller = self.puller(credentials, transport, **more)
        return puller.pull(self.clock.now(), kind, self.lines.append)

    def stream(self):
        return self.account().stream(ORDERS)

    def latest(self):
        """Return the newest payload of each order."""
        path = self.state / "latest.parquet"
        self.stream().latest(path)
        rows = pq.ParquetFile(path).read(["key", "payload"]).to_pylist()
        assert len({row["key"] for row in rows}) == len(rows)
        return {row["key"]: json.loads(row["payload"]) for row in rows}

    def project(self):
        return self.puller().project(self.state / "tables")


def make_store(orders=20, days=300, **more):
    """Make a store with some customers who order every now and then, until now."""
    store = Store(Clock(NOW), **more)
    stock(store)
    rng = random.Random(5)
    start, store.clock.seconds = store.clock.seconds, -86_400.0 * days
    for _ in range(orders):
        store.clock.advance(86_400.0 * days / (orders + 1) * rng.uniform(0.5, 1))
        store._step_order(rng)
    store.clock.seconds = start
    return store


def cents(bag):
    amount = Decimal(bag["shopMoney"]["amount"]) * 100
    assert amount == int(amount)
    return int(amount)


def state_of(order):
    """Return what counts of a pulled order; its customer's own data are not of the order."""
    lines = tuple(
        (
            line["id"],
            line["quantity"],
            line["currentQuantity"],
            cents(line["originalUnitPriceSet"]),
            cents(line["priceAfterAllDiscountsBeforeTaxesSet"]),
            line["product"]["id"],
        )
        for line in order["lineItems"]["nodes"]
    )
    refunds = tuple(
        (
            one["id"],
            one["createdAt"],
            cents(one["totalRefundedSet"]),
            tuple(
                (part["id"], part["lineItem"]["id"], part["quantity"], cents(part["subtotalSet"]))
                for part in one["refundLineItems"]["nodes"]
            ),
            tuple(cents(part["amountSet"]) for part in one["orderAdjustments"]["nodes"]),
            tuple(
                cents(part["subtotalAmountSet"]) for part in one["refundShippingLines"]["nodes"]
            ),
        )
        for one in order["refunds"]
    )
    return (
        order["updatedAt"],
        order["createdAt"],
        order["displayFinancialStatus"],
        order["cancelledAt"],
        order["test"],
        tuple(order["tags"]),
        order["email"],
        lines,
        refunds,
    )


def text(moment):
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def true_state(order):
    """Return the same of the store's own order."""
    lines = tuple(
        (
            gid("LineItem", line.id),
            line.quantity,
            line.current,
            line.price,
            line.untaxed(line.current),
            gid("Product", line.product.id),
        )
        for line in order.lines
    )
    refunds = tuple(
        (
            gid("Refund", one.id),
            text(one.created_at),
            one.total,
            tuple(
                (
                    gid("RefundLineItem", part.id),
                    gid("LineItem", part.line.id),
                    part.quantity,
                    part.subtotal,
                )
                for part in one.lines
            ),
            tuple(part.amount for part in one.adjustments),
            tuple(part.subtotal for part in one.shipping),
        )
        for one in order.refunds
    )
    return (
        text(order.updated_at),
        text(order.created_at),
        order.financial_status,
        text(order.cancelled_at),
        order.test,
        order.tags,
        order.email,
        lines,
        refunds,
    )


def assert_equal_to_store(shop):
    """Compare the newest versions with the store, to the last order, refund and deletion."""
    latest = shop.latest()
    truth = {gid("Order", one.id): true_state(one) for one in shop.store.orders.values()}
    assert latest.keys() == truth.keys()
    differing = [key for key in truth if state_of(latest[key]) != truth[key]]
    assert not differing, (differing[0], state_of(latest[differing[0]]), truth[differing[0]])


def assert_private(shop):
    """Check that neither keys nor addresses of results are on disk, and nothing is left over."""
    folder = shop.account().folder
    assert not list(folder.glob(".scratch*"))
    for path in folder.rglob("*.json"):
        content = path.read_text()
        assert not any(secret in content for secret in (LEGACY_TOKEN, CLIENT_SECRET, "signature"))
    assert not any("example.com" in line for line in shop.lines)
