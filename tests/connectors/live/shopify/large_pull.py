"""Pull a large store and a night of changes: ``python -m tests.connectors.live.shopify.large_pull ORDERS``.

The store is in a process of its own, so that seconds and memory are the puller's. Waits pass at once.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import numpy as np

from connectors.live.queries import Memory
from connectors.live.raw import RawAccount
from connectors.live.records import PullKind
from connectors.live.shopify.client import ShopifyClient
from connectors.live.shopify.credentials import Credentials
from connectors.live.shopify.preflight import ExpectedStore
from connectors.live.shopify.puller import ShopifyPuller
from tests.live.double import Answer, Clock, Request, Server
from tests.live.shopify_double import LEGACY_TOKEN, ShopifyDouble
from tests.live.shopify_large import LargeStore

CHANGED = 500
T = TypeVar("T")


class TimedDouble(ShopifyDouble):
    """A double that counts the seconds in which it works."""

    seconds = 0.0

    def handle(self, request: Request) -> Answer:
        """Answer, and count the time."""
        began = time.process_time()
        try:
            return super().handle(request)
        finally:
            self.seconds += time.process_time() - began


def serve(orders: int, folder: str, pipe: Connection) -> None:
    """Serve a store until told to stop; change orders when told to."""
    clock = Clock()
    store = LargeStore(orders, clock)
    double = TimedDouble(store, folder=Path(folder), restore_rate=1e6, bulk_seconds=0.0)
    with Server(double) as server:
        pipe.send((server.url, store.domain, store.currency))
        while (seconds := pipe.recv()) is not None:
            with double.lock:
                clock.advance(seconds)
                places = np.linspace(0, orders - 1, CHANGED).astype(int)
                store.refunded_at[places] = int(clock.now().timestamp()) - 7200
                store.__dict__.pop("updated", None)
            pipe.send(double.seconds)


def timed(what: str, work: Callable[[], T]) -> tuple[T, float]:
    """Do something, and print how long it took and how much memory this process has had."""
    began = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{what:34} {seconds:8.1f} s   peak {peak:6,.0f} MB\n")
    return result, seconds


def quiet(_: str) -> None:
    """Show no progress."""


def main(orders: str = "1000000") -> None:
    """Pull, project, and pull a night."""
    count = int(orders)
    here, there = multiprocessing.get_context("spawn").Pipe()
    with tempfile.TemporaryDirectory() as folder:
        server = multiprocessing.get_context("spawn").Process(
            target=serve, args=(count, folder, there)
        )
        server.start()
        url, shop, currency = here.recv()
        clock = Clock()
        account = RawAccount(
            Path(folder) / "state", "shopify", shop, now=clock.now, memory=Memory("1GB")
        )
        client = ShopifyClient(shop, Credentials(token=LEGACY_TOKEN), clock=clock, url=url)
        expected = ExpectedStore(shop, currency)
        puller = ShopifyPuller(client, account, expected, clock=clock)
        summary, seconds = timed(
            "pull of the whole history", lambda: puller.pull(clock.now(), PullKind.NIGHT, quiet)
        )
        sys.stdout.write(f"  {count / seconds:,.0f} orders a second\n")
        _, seconds = timed("projection", lambda: puller.project(Path(folder) / "tables"))
        sys.stdout.write(f"  {count / seconds:,.0f} orders a second\n")
        day = timedelta(days=1).total_seconds()
        clock.advance(day)
        here.send(clock.seconds)
        double_seconds = here.recv()
        sys.stdout.write(f"  the double alone: {count / double_seconds:,.0f} orders a second\n")
        summary, _ = timed(
            f"night of {CHANGED} changed orders",
            lambda: puller.pull(clock.now(), PullKind.NIGHT, quiet),
        )
        sys.stdout.write(f"  {sum(one.rows for one in summary.streams):,} orders read\n")
        client.close()
        here.send(None)
        server.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
