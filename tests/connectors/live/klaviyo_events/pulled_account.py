"""An account's events pulled through the double, calmly or with faults and kills while it changes."""

import json
import os
import random
import ssl
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import httpx
import pyarrow.parquet as pq

from connectors.live import pulls
from connectors.live.errors import LiveError
from connectors.live.klaviyo_events.client import connect_klaviyo
from connectors.live.klaviyo_events.pages import PageSizes
from connectors.live.klaviyo_events.puller import KlaviyoPuller, Pulling
from connectors.live.klaviyo_events.source import KlaviyoSource, Stream, parse_stream
from connectors.live.raw import RawAccount
from connectors.live.records import PullKind
from tests.live.double import FAULT_KINDS, Faults, Killed, KillSwitch, Server
from tests.live.klaviyo_events_double import KEY, KlaviyoEvents
from tests.live.klaviyo_events_process import random_order, step
from tests.live.klaviyo_events_store import Lag, Store

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SOURCE = KlaviyoSource("ABC123", timezone="Europe/Berlin", currency="EUR")
SMALL = PageSizes(orders=6, engagement=25)
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # http only: no certificates to read


class PulledAccount:
    """An account behind a double, and where its raw files are.

    Parameters
    ----------
    store
        What the double answers from.
    state
        Folder of what outlives a day.
    source
        What is read.
    pulling
        How.
    """

    def __init__(self, store, state, source=SOURCE, pulling=None):
        self.store, self.source = store, source
        self.double = KlaviyoEvents(store)
        self.raw = RawAccount(state, "klaviyo", source.account, now=store.now)
        self.pulling = pulling or Pulling()
        self.server = Server(self.double)
        self.lines = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.close()

    @contextmanager
    def puller(self, transport=None):
        transport = transport or httpx.HTTPTransport(verify=NO_TLS)
        clock = self.store.clock
        with connect_klaviyo(self.server.url, KEY, clock=clock, transport=transport) as client:
            yield KlaviyoPuller(
                client, self.source, self.raw, now=self.store.now, pulling=self.pulling
            )

    def pull(self, kind=PullKind.NIGHT, transport=None):
        with self.puller(transport) as puller:
            return puller.pull(self.store.now(), kind, self.lines.append)

    def preflight(self):
        with self.puller() as puller:
            return puller.preflight()

    def project(self, folder):
        with self.puller() as puller:
            return puller.project(folder)

    def latest(self, stream: Stream):
        """Return the newest payloads of a stream, by event id."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "latest.parquet"
            self.raw.stream(stream.name).latest(path)
            rows = pq.read_table(path).to_pylist()
        keys = [row["key"] for row in rows]
        assert len(keys) == len(set(keys)), "an event is there twice"
        return {row["key"]: json.loads(row["payload"]) for row in rows}

    def streams(self):
        return [parse_stream(name) for name in self.raw.streams()]

    def differences(self):
        """Return the ids of events by which raw files and the store differ, per stream."""
        differences = {}
        for stream in self.streams():
            ours = {key: one["event"] for key, one in self.latest(stream).items()}
            theirs = self.double.documents(stream.metric_id)
            wrong = {key for key in ours.keys() | theirs if ours.get(key) != theirs.get(key)}
            if wrong:
                differences[stream.name] = wrong
        return differences


@dataclass
class Chaos:
    """What happened in seeded pulls."""

    pulls: int = 0
    kills: int = 0
    resumed: int = 0
    whole: int = 0
    refused: Counter = field(default_factory=Counter)
    faults: Counter = field(default_factory=Counter)
    steps: Counter = field(default_factory=Counter)
    after_night: int = 0  # events that differ after a calm night: merges and redactions, mostly
    events: int = 0
    differences: dict = field(default_factory=dict)

    def __str__(self):
        parts = [
            f"{self.pulls} pulls: {self.whole} whole, {self.kills} killed, {self.resumed} pulls of a stream left to resume, refused {dict(self.refused)}",
            f"faults {dict(sorted(self.faults.items()))}",
            f"steps {dict(sorted(self.steps.items()))}",
            f"{self.after_night} events differ after a calm night, {len(self.differences)} streams after a "
            f"calm reconciliation of {self.events} events: {self.differences}",
        ]
        return "\n".join(parts)


@contextmanager
def folder():
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def chaos(runs: int, seed: int = 0, pulls_each: int = 10, on_account=str) -> Chaos:
    """Pull accounts that change at every request, with faults and kills; then calmly, and compare.

    Parameters
    ----------
    runs
        Pulls with faults in all.
    seed
        The same seed gives the same runs.
    pulls_each
        Pulls of one account before it is pulled calmly and compared.
    on_account
        Called after each account.
    """
    result = Chaos()
    usual, pulls.PART_ROWS = pulls.PART_ROWS, 1  # so that pulls resume after their first page
    try:
        return _chaos(runs, seed, pulls_each, on_account, result)
    finally:
        pulls.PART_ROWS = usual


def _chaos(runs, seed, pulls_each, on_account, result):
    for number in range(0, runs, pulls_each):
        _chaos_of_one(random.Random(f"{seed}/{number}"), min(pulls_each, runs - number), result)
        on_account(result)
    return result


def _chaos_of_one(rng: random.Random, count: int, result: Chaos) -> None:
    store = Store(seed=rng.randrange(10**6), lag=Lag(later_share=0.02))
    for _ in range(40):
        at = store.now() - rng.random() * 70 * DAY
        store.place_order(random_order(store, rng, at))
    rates = dict.fromkeys(FAULT_KINDS, 0.012)
    source = replace(SOURCE, has_engagement=rng.random() < 0.4)
    pulling = Pulling(SMALL)
    with folder() as state, PulledAccount(store, state, source, pulling) as account:

        def change(request):
            if rng.random() < 0.25:
                result.steps[step(store, rng)] += 1
            if rng.random() < 0.01:
                account.double.expire_cursors()
                result.steps["expired cursors"] += 1
            if rng.random() < 0.01 and store.events:
                store.delete_event(rng.choice(list(store.events)))
                result.steps["deleted event"] += 1

        account.double.hooks.append(change)
        account.double.binds_page_size = rng.random() < 0.5
        for _ in range(count):
            account.double.faults = Faults(rng.randrange(10**6), rates=rates)
            _pull_once(account, rng, result)
            result.faults += account.double.faults.counts
            for _ in range(10):
                result.steps[step(store, rng)] += 1
                store.clock.advance(rng.choice([0.3, 2, 4]) * 3600)
        account.double.hooks.clear()
        account.double.faults = Faults()
        store.clock.advance(40 * 3600)
        account.pull()
        result.after_night += sum(map(len, account.differences().values()))
        account.pull(PullKind.RECONCILE)
        for name, wrong in account.differences().items():
            result.differences[f"{len(result.differences)} {name}"] = wrong
        result.events += sum(len(account.latest(stream)) for stream in account.streams())


def _pull_once(account: PulledAccount, rng: random.Random, result: Chaos) -> None:
    kinds = [PullKind.NIGHT] * 5 + [PullKind.REPAIR, PullKind.RECONCILE, PullKind.BACKFILL]
    network = httpx.HTTPTransport(verify=NO_TLS)
    is_killed = rng.random() < 0.7
    switch = KillSwitch(
        rng.randint(13, 70) if is_killed else 10**9, rng.choice(["before", "after"]), network
    )
    result.pulls += 1
    try:
        account.pull(rng.choice(kinds), switch)
    except Killed:
        result.kills += 1
        paths = list(account.raw.folder.rglob("progress.json"))
        result.resumed += sum(bool(json.loads(one.read_text())["cursor"]) for one in paths)
    except LiveError as error:
        result.refused[type(error).__name__ + ": " + str(error)[:80]] += 1
    else:
        result.whole += 1


if __name__ == "__main__":
    os.fsync = lambda _: None  # no run cuts the power
    outcome = chaos(
        int(sys.argv[1]),
        int(sys.argv[2]) if len(sys.argv) > 2 else 0,
        on_account=lambda result: sys.stderr.write(f"{result}\n\n"),
    )
    sys.exit(bool(outcome.differences))
