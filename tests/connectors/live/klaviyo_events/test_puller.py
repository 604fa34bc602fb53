"""Pulls: nights, late and deleted events, merges, outages; and many pulls with faults and kills."""

import contextlib
import json
import sys
from dataclasses import replace
from datetime import timedelta

import httpx
import pyarrow.parquet as pq
import pytest

from connectors.live import pulls
from connectors.live.errors import PlatformDownError, UnexpectedAnswerError
from connectors.live.klaviyo_events.pages import PageSizes
from connectors.live.klaviyo_events.people import identities_of
from connectors.live.klaviyo_events.puller import Pulling
from connectors.live.klaviyo_events.source import Kind, Stream
from connectors.live.puller import Puller
from connectors.live.records import PullKind
from tests.connectors.live.klaviyo_events.pulled_account import (
    NO_TLS,
    SOURCE,
    PulledAccount,
    chaos,
)
from tests.live.double import Faults, Killed, KillSwitch
from tests.live.klaviyo_events_caller import DAY, HOUR, order_of, sample_store, store_of

ORDERS = replace(SOURCE, has_engagement=False)
PLACED = Stream(Kind.PLACED, "shopify", "SHPlac")
RUNS = 6


@pytest.fixture
def account(tmp_path):
    with PulledAccount(store_of(30), tmp_path, ORDERS) as account:
        yield account


def placed(account):
    return account.latest(PLACED).keys()


def test_a_puller_has_the_protocol(account):
    with account.puller() as puller:
        checked: Puller = puller
    assert checked.preflight


def test_a_first_pull_has_everything_up_to_two_hours_ago(account):
    store = account.store
    store.place_order(order_of(90, store.now() - HOUR))
    now = store.now()
    summary = account.pull()
    assert placed(account) == {e.id for e in store.visible("SHPlac")[:-1]}
    assert summary.horizon == now - 2 * HOUR
    assert summary.streams[0].stream == PLACED.name
    assert summary.streams[0].rows == 30
    assert summary.requests == len(account.double.requests)
    assert summary.warnings == ()


def test_a_night_reads_two_days_again_and_counts_the_rest(account):
    store = account.store
    before = account.pull().horizon
    late = order_of(91, store.now() - timedelta(days=7))
    store.place_order(late, received=store.now() + HOUR)
    store.place_order(order_of(92, store.now() + HOUR))
    store.clock.advance(24 * 3600)
    summary = account.pull()
    assert account.differences() == {}
    night, repaired = account.raw.stream(PLACED.name).manifests()[-2:]
    assert (night.kind, repaired.kind) == (PullKind.NIGHT, PullKind.RECONCILE)
    assert night.window.start == before - 48 * HOUR
    assert night.window.end == summary.horizon
    assert repaired.window.end - repaired.window.start == 24 * HOUR
    assert repaired.rows == 2 - 1  # the day had no order before
    assert summary.warnings == ()


def test_a_deleted_event_gets_a_tombstone(account):
    account.pull()
    store = account.store
    store.delete_event(store.visible("SHPlac")[4].id)
    store.clock.advance(5 * 24 * 3600)
    summary = account.pull()
    assert summary.streams[0].tombstones == 1
    assert account.differences() == {}


def test_an_outage_deletes_nothing(account):
    account.pull()
    store, kept = account.store, placed(account)
    for event in store.visible("SHPlac")[:10]:
        store.delete_event(event.id)
    store.clock.advance(5 * 24 * 3600)
    with pytest.raises(UnexpectedAnswerError, match="outage"):
        account.pull()
    assert placed(account) == kept


def test_a_merge_and_a_deletion_of_a_person_show_after_a_reconciliation(account):
    account.pull()
    store = account.store
    first, second, third = (event.profile_id for event in store.visible("SHPlac")[:3])
    store.merge(first, second)
    store.erase(third)
    store.clock.advance(40 * 24 * 3600)
    account.pull()
    assert account.differences() != {}  # counts do not change
    account.pull(PullKind.RECONCILE)
    assert account.differences() == {}


def test_a_swap_that_counts_do_not_show_is_seen_by_a_reconciliation(account):
    account.pull()
    store = account.store
    gone = store.visible("SHPlac")[4]
    store.delete_event(gone.id)
    store.place_order(order_of(95, gone.happened + HOUR / 2), received=store.now())
    store.clock.advance(40 * 24 * 3600)
    account.pull()
    assert account.differences() != {}
    summary = account.pull(PullKind.RECONCILE)
    assert account.differences() == {}
    assert summary.streams[0].tombstones == 1


def test_counts_ahead_of_lists_are_a_warning(account):
    account.pull()
    store = account.store
    at = store.now() - timedelta(days=7)
    store.place_order(order_of(96, at), received=at, visible=store.now() + timedelta(days=9))
    account.double.counts_ahead = True
    store.clock.advance(24 * 3600)
    summary = account.pull()
    assert any("by the platform" in warning for warning in summary.warnings)


def test_pages_are_halved_where_they_get_no_answer(account):
    large = 200

    def slow(request):
        is_large = int(request.value("page[size]", "0")) > large // 4
        account.double.faults = Faults(at={"503": [request.number] if is_large else []})

    account.preflight()
    account.double.hooks.append(
        lambda request: slow(request) if "less-than" in request.value("filter") else None
    )
    account.pull()
    sizes = [
        int(request.value("page[size]"))
        for request in account.double.requests
        if "less-than" in request.value("filter") and "SHPlac" in request.value("filter")
    ]
    assert sizes[:7] == [200, 200, 200, 100, 100, 100, 50]
    account.double.hooks.clear()
    assert account.differences() == {}


def test_a_platform_that_is_down_leaves_whole_pulls(account):
    account.pull()
    kept = placed(account)
    account.store.clock.advance(24 * 3600)
    account.double.faults = Faults(rates={"503": 1.0}, most_in_row=10**9)
    with pytest.raises(PlatformDownError):
        account.pull()
    assert placed(account) == kept


def test_cursors_that_keep_expiring_end_a_pull(tmp_path):
    with PulledAccount(store_of(30), tmp_path, ORDERS, Pulling(PageSizes(orders=10))) as account:
        account.double.hooks.append(
            lambda request: (
                account.double.expire_cursors() if "page[cursor]" in request.query else None
            )
        )
        with pytest.raises(UnexpectedAnswerError, match="refused 5 cursors"):
            account.pull()


def test_an_older_history_adds_slices_in_front(account):
    account.pull()
    old = order_of(97, DAY - timedelta(days=100))
    account.store.place_order(old, received=account.store.now())
    account.pull(PullKind.BACKFILL)
    assert account.differences() == {}
    kinds = {one.kind for one in account.raw.stream(PLACED.name).manifests()}
    assert kinds == {PullKind.BACKFILL}


def test_a_person_who_asked_to_be_forgotten_is_never_written(tmp_path):
    def is_erased(payload):
        return "person7@example.com" in identities_of(payload)

    with PulledAccount(store_of(30), tmp_path, ORDERS, Pulling(is_erased=is_erased)) as account:
        account.pull()
        assert len(placed(account)) == 29
        summary = account.pull(PullKind.RECONCILE)
        assert len(placed(account)) == 29
        assert summary.warnings == ()  # Klaviyo still counts the order
    parts = list(tmp_path.rglob("*.parquet"))
    texts = [text for path in parts for text in pq.read_table(path)["payload"].to_pylist()]
    assert any("person8@" in text for text in texts)
    assert not any("person7@" in text for text in texts)


def test_engagement_is_read_for_a_year(tmp_path):
    store = sample_store()
    with PulledAccount(store, tmp_path, replace(SOURCE, engagement_days=5)) as account:
        account.pull()
        streams = {one.kind: len(account.latest(one)) for one in account.streams()}
    assert streams[Kind.PLACED] == 4
    assert streams[Kind.RECEIVED_EMAIL] == 0  # eleven days ago
    with PulledAccount(store, tmp_path, SOURCE) as account:
        account.pull()
        assert account.differences() == {}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("has_expired", [False, True])
def test_a_killed_pull_goes_on_and_reads_each_event_once(tmp_path, when, has_expired, monkeypatch):
    monkeypatch.setattr(pulls, "PART_ROWS", 5)
    store = store_of(30)
    resumed = 0
    for number in range(12, 24):  # the preflight sends about twelve
        state, pulling = tmp_path / str(number), Pulling(PageSizes(orders=10))
        with PulledAccount(store, state, ORDERS, pulling) as account:
            switch = KillSwitch(number, when, httpx.HTTPTransport(verify=NO_TLS))
            with contextlib.suppress(Killed):
                account.pull(PullKind.BACKFILL, switch)
            history = account.raw.stream(PLACED.name).history()
            cursors = [
                json.loads(one.read_text())["cursor"] for one in state.rglob("progress.json")
            ]
            resumed += any(cursors)
            if has_expired:
                account.double.expire_cursors()
            account.pull(PullKind.BACKFILL)  # no counts: nothing repairs what is lost
            assert account.differences() == {}
            made = account.raw.stream(PLACED.name).manifests()
            assert sum(one.rows for one in made) == 30
            assert history.manifests == tuple(made)[: len(history.manifests)]
    assert resumed > 0


def test_seeded_pulls_with_faults_and_kills_lose_and_double_nothing():
    result = chaos(RUNS, seed=3, pulls_each=3)
    sys.stdout.write(f"{result}\n")  # shown by pytest -rP
    assert result.differences == {}
    assert result.pulls == RUNS == result.whole + result.kills + sum(result.refused.values())
    assert result.kills > 0
    assert result.whole > 0
    assert len(result.faults) > 5
    assert result.events > 100
