"""Pulls of an account through bad nights, with kills, while the account changes; then one calm pull.

``python -m tests.connectors.live.stripe.account_chaos --runs 100`` prints the counts of what went wrong in all, and
stops at a seed that fails. After the calm pull the newest raw rows are the account's charges, refunds and disputes.
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
from connectors.live.stripe.client import StripeClient, StripeKey
from connectors.live.stripe.puller import StripePuller
from tests.live.double import START, Clock, Faults, Killed, KillSwitch, Server
from tests.live.stripe_double import LIVE_KEY, PERMISSIONS, StripeDouble
from tests.live.stripe_store import RARE_WEIGHTS, WEIGHTS, StripeStore

ACCOUNT = "acct_SYNTHETIC0001"
KINDS = ("cut_before", "lost", "cut_in", "cut_after", "truncated", "slow")
STATUSES = ("429", "429_bare", "500", "502", "503")
OPTIONAL = ("account", "balance_transactions", "customers", "events")
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
    account: str = ACCOUNT,
) -> Iterator[StripePuller]:
    """Open a puller of a double; the raw files' clock stands, so that leases do not end."""
    raw = RawAccount(folder, "stripe", account, now=lambda: START)
    key, transport = StripeKey(LIVE_KEY), transport or httpx.HTTPTransport()
    with StripeClient(key, clock=clock, url=url, transport=transport) as client:
        yield StripePuller(raw, client, account=account, now=clock.now, options=options)


def pull(
    double: StripeDouble, url: str, folder: Path, kind: PullKind = PullKind.NIGHT, **how: Any
) -> PullSummary:
    """Pull a double once."""
    with puller_of(url, folder, double.clock, **how) as puller:
        return puller.pull(double.clock.now(), kind, ignore)


def newest(folder: Path, stream: str) -> dict[str, Mapping[str, Any]]:
    """Return the newest payloads of a stream, by key; none twice."""
    raw = RawAccount(folder, "stripe", ACCOUNT, now=lambda: START)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "newest"
        count = raw.stream(stream).latest(path)
        rows = {str(payload["id"]): payload for payload in read_payloads(path)}
    assert len(rows) == count
    return rows


def bare(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with ids in place of the objects that it refers to."""
    names = ("customer", "balance_transaction")
    return {k: v["id"] if k in names and isinstance(v, dict) else v for k, v in row.items()}


def differences(store: StripeStore, folder: Path) -> list[str]:
    """Return what the raw files have otherwise than the account, one line each."""
    truth = {"charges": store.charges, "refunds": store.refunds, "disputes": store.disputes}
    lines = []
    for name, objects in truth.items():
        ours = {key: bare(row) for key, row in newest(folder, name).items()}
        theirs = {key: one.json() for key, one in objects.items() if one.livemode}
        lines += [f"{key} is lost" for key in theirs.keys() - ours.keys()]
        lines += [f"{key} is not in the account" for key in ours.keys() - theirs.keys()]
        for key in ours.keys() & theirs.keys():
            names = [n for n in theirs[key] if ours[key].get(n) != theirs[key][n]]
            lines += [f"{key} differs in {names}"] if names else []
    return lines


def planned_double(rng: random.Random, seed: int) -> StripeDouble:
    """Return an account with a past."""
    clock = Clock()
    store = StripeStore(clock)
    weights = rng.choice([WEIGHTS, RARE_WEIGHTS])
    for _ in range(rng.randint(20, 400)):
        store.step(rng, weights)
        clock.advance(rng.choice([0, 1, 3_600, 40_000]))
    store.pay()
    faults = Faults(
        seed,
        rates={**dict.fromkeys(KINDS, 0.01), **dict.fromkeys(STATUSES, 0.01)},
        slow_seconds=5,
    )
    double = StripeDouble(store, faults)
    for name in OPTIONAL:
        if rng.random() < 0.2:
            double.permissions.discard(PERMISSIONS[name])
    double.has_rate_limit = rng.random() < 0.5
    double.shows_invoice = True
    share = rng.choice([0.05, 0.3])

    def live(request: Any) -> None:
        if rng.random() < share:
            store.step(rng, weights)
            clock.advance(rng.choice([0, 0, 1, 5]))

    double.hooks.append(live)
    return double


def bad_nights(double: StripeDouble, url: str, folder: Path, rng: random.Random) -> Counter:
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
        counts += double.faults.counts + Counter({"429 by rate": double.limited})
        double.hooks.clear()
        double.faults = Faults()
        double.clock.advance(86_400)
        options = PullOptions("EUR", MANY)
        pull(double, server.url, folder, PullKind.RECONCILE, options=options)
        return counts, differences(double.store, folder)


def run_all(runs: int, first_seed: int = 0, *, seconds: float | None = None) -> Counter:
    """Run seeds one after another, within a time; return the counts.

    Raises
    ------
    AssertionError
        Something is lost, doubled or otherwise than in the account.
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
