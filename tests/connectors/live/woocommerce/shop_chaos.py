"""Pulls of a shop through bad nights, with kills, while the shop changes; then one calm pull.

``python -m tests.connectors.live.woocommerce.shop_chaos --runs 100`` prints a line per seed that fails and the
counts of what went wrong in all. After the calm pull the newest raw rows are the shop's orders and refunds.
"""

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from connectors.live.errors import LiveError
from connectors.live.newest import read_payloads
from connectors.live.options import PullOptions
from connectors.live.raw import RawAccount
from connectors.live.reconcile import Limits
from connectors.live.records import PullKind, PullSummary
from connectors.live.woocommerce.api import ORDER_FIELDS, REFUND_FIELDS
from connectors.live.woocommerce.client import Keys, WooCommerceClient
from connectors.live.woocommerce.puller import WooCommercePuller
from tests.live.double import START, Clock, Faults, Killed, KillSwitch, Server
from tests.live.woocommerce_double import KEY, SECRET, Hosting, WooCommerceDouble
from tests.live.woocommerce_records import Payloads, Shop
from tests.live.woocommerce_store import RARE_WEIGHTS, WEIGHTS, WooCommerceStore

ACCOUNT = "shop.example"
KINDS = ("cut_before", "lost", "cut_in", "cut_after", "truncated", "slow")
STATUSES = ("429", "429_bare", "500", "502", "503")
OF_HOSTING = ("html_200", "html_403", "html_406", "html_503", "bom", "warning", "warning_cut")
MANY = Limits(deleted_few=10_000)


def ignore(line: str) -> None:
    """Drop a line of progress."""


@contextmanager
def puller_of(
    url: str,
    folder: Path,
    clock: Clock,
    *,
    transport: httpx.BaseTransport | None = None,
    options: PullOptions | None = None,
) -> Iterator[WooCommercePuller]:
    """Open a puller of a double; the raw files' clock stands, so that leases do not end."""
    raw = RawAccount(folder, "woocommerce", ACCOUNT, now=lambda: START)
    keys = Keys(KEY, SECRET)
    with WooCommerceClient(
        url, keys, clock=clock, transport=transport or httpx.HTTPTransport()
    ) as client:
        yield WooCommercePuller(raw, client, account=ACCOUNT, now=clock.now, options=options)


def pull(
    double: WooCommerceDouble, url: str, folder: Path, kind: PullKind = PullKind.NIGHT, **how: Any
) -> PullSummary:
    """Pull a double once."""
    with puller_of(url, folder, double.clock, **how) as puller:
        return puller.pull(double.clock.now(), kind, ignore)


def newest(folder: Path, stream: str) -> dict[str, Mapping[str, Any]]:
    """Return the newest payloads of a stream, by key; none twice."""
    raw = RawAccount(folder, "woocommerce", ACCOUNT, now=lambda: START)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "newest"
        count = raw.stream(stream).latest(path)
        rows = {str(payload["id"]): payload for payload in read_payloads(path)}
    assert len(rows) == count
    return rows


def true_orders(store: WooCommerceStore) -> dict[str, Mapping[str, Any]]:
    """Return the orders that are in no trash, as the API writes them."""
    payloads = Payloads(store.shop, 4)
    there = [store.orders[number] for number in store.truths()]
    written = (payloads.order(order, store.refunds_of(order.id)) for order in there)
    return {str(row["id"]): {name: row[name] for name in ORDER_FIELDS} for row in written}


def true_refunds(store: WooCommerceStore) -> dict[str, Mapping[str, Any]]:
    """Return their refunds, as the API writes them."""
    payloads = Payloads(store.shop, 4)
    there = [store.refunds[number] for number in store.refund_truths()]
    written = (payloads.refund(one, with_parent=True) for one in there)
    return {str(row["id"]): {name: row[name] for name in REFUND_FIELDS} for row in written}


def differences(store: WooCommerceStore, folder: Path) -> list[str]:
    """Return what the raw files have otherwise than the shop, one line each.

    The refunds that an order names are compared as rows of their own: deleting one by hand changes no order.
    """
    pairs = {
        "order": (newest(folder, "orders"), true_orders(store)),
        "refund": (newest(folder, "refunds"), true_refunds(store)),
    }
    lines = []
    for what, (ours, theirs) in pairs.items():
        lines += [f"{what} {key} is lost" for key in theirs.keys() - ours.keys()]
        lines += [f"{what} {key} is not in the shop" for key in ours.keys() - theirs.keys()]
        for key in ours.keys() & theirs.keys():
            names = [
                name
                for name in theirs[key]
                if name != "refunds" and ours[key].get(name) != theirs[key][name]
            ]
            lines += [f"{what} {key} differs in {names}"] if names else []
    return lines


def planned_double(rng: random.Random, seed: int) -> WooCommerceDouble:
    """Return a shop with a past, behind a host with its own faults."""
    clock = Clock()
    version = rng.choice(["10.3.0", "10.3.0", "9.0.0", "8.9.1"])
    store = WooCommerceStore(clock, Shop(version=version))
    weights = rng.choice([WEIGHTS, RARE_WEIGHTS])
    for _ in range(rng.randint(20, 160)):
        store.step(rng, weights)
        clock.advance(rng.choice([0, 1, 3_600, 86_400]))
    store.place()
    faults = Faults(
        seed,
        rates={**dict.fromkeys(KINDS, 0.01), **dict.fromkeys(STATUSES, 0.008)},
        most_in_row=2,
        slow_seconds=5,
    )
    rates = dict.fromkeys(OF_HOSTING, 0.008) | {"critical": 0.01}
    hosting = Hosting(seed, rates, most_in_row=2, most_rows=rng.choice([None, None, 15, 60]))
    hosting.most_per_minute = rng.choice([None, None, 150])
    hosting.strips_authorization = rng.random() < 0.2
    hosting.stripped_message = rng.choice([None, "Consumer key is missing."])
    hosting.cache_seconds = rng.choice([0, 0, 300])
    if rng.random() < 0.2:
        hosting.broken_orders = {rng.choice(sorted(store.truths()))}
    double = WooCommerceDouble(store, faults, hosting)
    double.past_end = rng.choice(["empty", "400"])
    double.has_stable_ties = rng.random() < 0.5
    double.offsets = rng.choice(["ignored", "local"])
    double.hides_refunds_of_trash = rng.random() < 0.7
    double.has_orderby_modified = version != "8.9.1" or rng.random() < 0.5
    share = rng.choice([0.05, 0.3])

    def live(request: Any) -> None:
        if rng.random() < share:
            store.step(rng, weights)
            clock.advance(rng.choice([0, 0, 1, 5]))

    double.hooks.append(live)
    return double


def bad_nights(double: WooCommerceDouble, url: str, folder: Path, rng: random.Random) -> Counter:
    """Pull some nights, most of which fail; return what happened."""
    counts: Counter = Counter()
    kinds = [PullKind.NIGHT] * 4 + [PullKind.REPAIR, PullKind.RECONCILE]
    for _ in range(rng.randint(2, 5)):
        kill = KillSwitch(rng.randint(1, 90), rng.choice(["before", "after"]))
        how = {"transport": kill, "options": PullOptions("EUR", MANY)}
        try:
            pull(double, url, folder, rng.choice(kinds), **how)
            counts["pulls that ended well"] += 1
        except Killed:
            counts["kills"] += 1
        except LiveError as error:
            counts[f"pulls that ended with {type(error).__name__}"] += 1
        double.clock.advance(rng.choice([700, 40_000, 86_400]))
    return counts


@contextmanager
def fast_disk():
    """Do not wait for the disk: nothing here cuts the power."""
    fsync, os.fsync = os.fsync, lambda _: None
    try:
        yield
    finally:
        os.fsync = fsync


def run(seed: int, folder: Path) -> tuple[Counter, list[str]]:
    """Run one seed; return what happened, and what differs at the end."""
    rng = random.Random(seed)
    double = planned_double(rng, seed)
    with fast_disk(), Server(double) as server:
        counts = bad_nights(double, server.url, folder, rng)
        counts += double.faults.counts + double.hosting.counts
        double.hooks.clear()
        double.faults, double.hosting = Faults(), Hosting()
        double.clock.advance(86_400)
        options = PullOptions("EUR", MANY)
        pull(double, server.url, folder, PullKind.RECONCILE, options=options)
        return counts, differences(double.store, folder)


def run_all(runs: int, first_seed: int = 0, *, seconds: float | None = None) -> Counter:
    """Run seeds one after another, within a time; return the counts.

    Raises
    ------
    AssertionError
        Something is lost, doubled or otherwise than in the shop.
    """
    counts, begun = Counter(), time.monotonic()
    for seed in range(first_seed, first_seed + runs):
        if seconds is not None and time.monotonic() - begun > seconds and counts["runs"] > 2:
            break
        with tempfile.TemporaryDirectory() as folder:
            happened, lines = run(seed, Path(folder))
        counts += happened + Counter(runs=1)
        if lines:
            raise AssertionError(f"seed {seed}: {'; '.join(lines[:10])}")
    return counts


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    begun = time.monotonic()
    counts = run_all(arguments.runs, arguments.first_seed)
    for name, count in sorted(counts.items()):
        print(f"{name:40} {count:6}")  # noqa: T201  # a program
    print(f"{time.monotonic() - begun:.0f} s")  # noqa: T201


if __name__ == "__main__":
    main()
