"""A Shopify store behind its double, and pullers of it that can be killed at any request."""

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
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
from tests.live.double import Clock, Faults, Killed, KillSwitch, Server
from tests.live.shopify_double import (
    CLIENT_ID,
    CLIENT_SECRET,
    LEGACY_TOKEN,
    GraphQLFaults,
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

    def __init__(self, folder: Path, store: Store, *, is_served: bool = False, **more: object) -> None:
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
            tuple(cents(part["subtotalAmountSet"]) for part in one["refundShippingLines"]["nodes"]),
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


RATES = {
    "cut_before": 0.03,
    "lost": 0.03,
    "cut_in": 0.03,
    "cut_after": 0.02,
    "truncated": 0.03,
    "429": 0.02,
    "429_bare": 0.02,
    "500": 0.02,
    "502": 0.02,
    "503": 0.02,
    "slow": 0.02,
}
ERRORS = {"INTERNAL_SERVER_ERROR": 0.03, "THROTTLED": 0.03, "PARTIAL": 0.05}
BULKS = ["completed"] * 5 + ["failed", "timeout", "failed_bare", "stuck"]


def pull_with_faults(folder: Path, seed: int, *, is_served: bool = False) -> Counter:
    """Pull a store that changes, with faults and kills at random requests; then once in peace.

    Returns
    -------
    Counter
        What happened: faults per kind, kills, pulls, steps of the store per kind.
    """
    rng = random.Random(seed)
    store = make_store(orders=rng.randint(25, 60), days=rng.choice([40, 200, 400]), lag=rng.choice([0, 5, 60]))
    shop = Shop(
        folder,
        store,
        is_served=is_served,
        faults=Faults(seed, rates=RATES),
        errors=GraphQLFaults(seed + 10**6, rates=ERRORS),
        seed=seed,
        bulk_seconds=rng.choice([20, 185]),
    )
    happened: Counter = Counter()
    try:
        _pull_nights(shop, rng, happened)
        shop.double.hooks.clear()
        shop.double.faults, shop.double.errors = Faults(), GraphQLFaults()
        shop.double.bulk_outcomes.clear()
        shop.clock.advance(3600)
        shop.pull(PullKind.RECONCILE, OF_APP, limits=LENIENT)
        assert_equal_to_store(shop)
        assert shop.double.leaked_tokens == 0
        assert_private(shop)
    finally:
        shop.close()
    happened["orders"] += len(store.orders)
    happened["refunds"] += sum(len(one.refunds) for one in store.orders.values())
    happened["deleted"] += len(store.deleted)
    return happened


def _pull_nights(shop, rng, happened):
    """Pull some nights; each is killed some times, and run again."""
    faults, errors = shop.double.faults, shop.double.errors
    change = rng.choice([0.05, 0.3])

    def step(request):
        if rng.random() < change:
            happened[f"step {shop.store.step(rng)}"] += 1
        if rng.random() < 0.01:
            shop.double.revoke_tokens()
            happened["tokens revoked"] += 1
        while len(shop.double.bulk_outcomes) < 2:
            shop.double.bulk_outcomes.append(rng.choice(BULKS))

    shop.double.hooks.append(step)
    for _ in range(rng.randint(2, 4)):
        kind = rng.choices([PullKind.NIGHT, PullKind.REPAIR, PullKind.RECONCILE], [3, 1, 2])[0]
        _pull_until_whole(shop, kind, rng, happened)
        for _ in range(rng.randint(5, 20)):
            with shop.double.lock:
                shop.clock.advance(rng.uniform(60, 9000))
                happened[f"step {shop.store.step(rng)}"] += 1
    happened.update({f"fault {kind}": count for kind, count in (faults.counts + errors.counts).items()})
    happened.update(f"bulk {one.outcome}" for one in shop.double.bulks.values())


def _pull_until_whole(shop, kind, rng, happened):
    few = rng.choice([0, 0, 10, 250])
    for attempt in range(12):
        at = rng.randint(1, 60) if attempt < 6 and rng.random() < 0.8 else 10**9
        switch = KillSwitch(at, rng.choice(["before", "after"]), shop.transport())
        try:
            shop.pull(kind, rng.choice([LEGACY, OF_APP]), switch, limits=LENIENT, few=few)
        except Killed:
            happened["kills"] += 1
            if rng.random() < 0.3:
                shop.clock.advance(rng.choice([60, 7200, 86_400 * 8]))
        else:
            happened["pulls"] += 1
            return
    raise AssertionError("no pull became whole")


def assert_private(shop):
    """Check that neither keys nor addresses of results are on disk, and nothing is left over."""
    folder = shop.account().folder
    assert not list(folder.glob(".scratch*"))
    for path in folder.rglob("*.json"):
        content = path.read_text()
        assert not any(secret in content for secret in (LEGACY_TOKEN, CLIENT_SECRET, "signature"))
    assert not any("example.com" in line for line in shop.lines)


