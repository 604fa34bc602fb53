"""Pull changing stores with faults and kills: ``python -m tests.connectors.live.shopify.faults RUNS``."""

import os
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from connectors.live.errors import PlatformDownError
from connectors.live.records import PullKind
from connectors.live.shopify.slices import FEW
from tests.connectors.live.shopify.shop import (
    LEGACY,
    LENIENT,
    OF_APP,
    Shop,
    assert_equal_to_store,
    assert_private,
    make_store,
)
from tests.live.double import FAULT_KINDS, Faults, Killed, KillSwitch
from tests.live.shopify_bulk import OUTCOMES
from tests.live.shopify_double import GraphQLFaults

RATES = {
    kind: 0.03 if kind in ("cut_before", "lost", "cut_in", "truncated") else 0.02
    for kind in FAULT_KINDS
}
ERRORS = {"INTERNAL_SERVER_ERROR": 0.03, "THROTTLED": 0.03, "PARTIAL": 0.05}
BULKS = ["completed"] * 5 + [one for one in OUTCOMES if one != "completed"]
KILLED_PULLS = 6  # tries of a pull that may be killed; later ones run through


def pull_stores(runs: int, folder: Path, first: int = 0) -> Counter:
    """Pull as many seeded stores, compare each with its store, and count what happened.

    Raises
    ------
    AssertionError
        An order, refund or deletion differs from the store.
    """
    happened: Counter = Counter()
    for seed in range(first, first + runs):
        (folder / str(seed)).mkdir()
        happened += pull_with_faults(folder / str(seed), seed)
        happened["runs"] += 1
    return happened


def pull_with_faults(folder: Path, seed: int, *, is_served: bool = False) -> Counter:
    """Pull a store that changes, with faults and kills at random requests; then once in peace."""
    rng = random.Random(seed)
    store = make_store(
        orders=rng.randint(25, 60), days=rng.choice([40, 200, 400]), lag=rng.choice([0, 5, 60])
    )
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
        _calm(shop)
        shop.pull(PullKind.RECONCILE, OF_APP, limits=LENIENT)
        assert_equal_to_store(shop)
        assert_private(shop)
        assert shop.double.leaked_tokens == 0
    finally:
        shop.close()
    happened["orders at the end"] += len(store.orders)
    happened["refunds at the end"] += sum(len(one.refunds) for one in store.orders.values())
    happened["orders deleted"] += len(store.deleted)
    return happened


def _calm(shop: Shop) -> None:
    shop.double.hooks.clear()
    shop.double.faults, shop.double.errors = Faults(), GraphQLFaults()
    shop.double.bulk_outcomes.clear()
    shop.clock.advance(3600)


def _pull_nights(shop: Shop, rng: random.Random, happened: Counter) -> None:
    """Pull some nights, each of which is killed some times and run again; the store changes all along."""
    faults, errors = shop.double.faults, shop.double.errors
    change = rng.choice([0.05, 0.3])

    def step(request: object) -> None:
        if rng.random() < change:
            happened[f"step {shop.store.step(rng)}"] += 1
        if rng.random() < 0.01:
            shop.double.revoke_tokens()
            happened["tokens revoked"] += 1
        while len(shop.double.bulk_outcomes) < 2:
            shop.double.bulk_outcomes.append(rng.choice(BULKS))

    shop.double.hooks.append(step)
    for _ in range(rng.randint(2, 4)):
        kinds = [PullKind.NIGHT, PullKind.REPAIR, PullKind.RECONCILE]
        _pull_until_whole(shop, rng.choices(kinds, [3, 1, 2])[0], rng, happened)
        for _ in range(rng.randint(5, 20)):
            shop.clock.advance(rng.uniform(60, 9000))
            happened[f"step {shop.store.step(rng)}"] += 1
    counts = faults.counts + errors.counts
    happened.update({f"fault {kind}": number for kind, number in counts.items()})
    happened.update(f"bulk {one.outcome}" for one in shop.double.bulks.values())


def _pull_until_whole(shop: Shop, kind: PullKind, rng: random.Random, happened: Counter) -> None:
    few = rng.choice([0, 0, 10, FEW])
    for attempt in range(2 * KILLED_PULLS):
        at = rng.randint(1, 60) if attempt < KILLED_PULLS and rng.random() < 0.8 else 10**9
        switch = KillSwitch(at, rng.choice(["before", "after"]), shop.transport())
        try:
            shop.pull(kind, rng.choice([LEGACY, OF_APP]), switch, limits=LENIENT, few=few)
        except Killed:
            happened["kills"] += 1
            if rng.random() < 0.3:  # the next try is later: a result may have expired
                shop.clock.advance(rng.choice([60, 7200, 86_400 * 8]))
        except PlatformDownError:  # more faults in a row than tries
            happened["gave up"] += 1
        else:
            happened["pulls"] += 1
            return
    raise AssertionError("no pull became whole")


def main(runs: str = "100", first: str = "0") -> None:
    """Run, and print what happened."""
    os.fsync = lambda _: None  # nobody cuts the power
    with tempfile.TemporaryDirectory() as folder:
        happened = pull_stores(int(runs), Path(folder), int(first))
    for name, number in sorted(happened.items()):
        sys.stdout.write(f"{name:30} {number:6,}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
