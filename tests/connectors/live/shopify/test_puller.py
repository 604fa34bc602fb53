"""A history in slices, then nights: what changed is read again, and nothing twice."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.live.puller import Puller
from connectors.live.records import AccountFacts, PullKind
from connectors.live.shopify.puller import history_start, scratch_folder, whole_second
from tests.connectors.live.shopify.shop import assert_equal_to_store, assert_private
from tests.live.double import Killed, KillSwitch
from tests.live.shopify_schema import MISSING, SCHEMA

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING)


def kinds_of(shop):
    return [one.kind for one in shop.stream().manifests()]


def test_a_history_is_read_in_slices_of_30_days_up_to_10_minutes_ago(open_shop):
    shop = open_shop(20)
    began = shop.clock.now()
    puller: Puller = shop.puller()
    summary = puller.pull(began, PullKind.NIGHT, shop.lines.append)
    windows = [one.window for one in shop.stream().manifests()]
    assert summary.horizon == windows[-1].end == began - timedelta(minutes=10)
    assert all((one.end - one.start) <= timedelta(days=30) for one in windows)
    assert windows[0].start == history_start(puller.preflight())
    assert set(kinds_of(shop)) == {PullKind.BACKFILL}
    stream = summary.streams[0]
    assert (stream.stream, stream.rows, stream.tombstones) == ("orders", 20, 0)
    assert summary.requests == len(shop.double.requests) - 2
    assert (summary.platform, summary.account) == ("shopify", shop.store.domain)
    assert_equal_to_store(shop)
    assert_private(shop)


def test_a_night_reads_what_changed_since_with_an_hour_of_overlap(open_shop):
    shop = open_shop(20)
    shop.pull()
    horizon = shop.stream().horizon()
    first, *_ = [one for one in shop.store.orders.values() if one.payment == "PAID"]
    shop.clock.advance(86_400)
    shop.store.refund_all(first)
    shop.clock.advance(3600)
    summary = shop.pull()
    (_, *_, night) = shop.stream().manifests()
    assert night.kind is PullKind.NIGHT
    assert night.window.start == horizon - timedelta(hours=1)
    assert summary.streams[0].rows == 1
    assert_equal_to_store(shop)


def test_a_repair_reads_35_days(open_shop):
    shop = open_shop(20)
    shop.pull()
    shop.clock.advance(86_400)
    shop.pull(PullKind.REPAIR)
    window = shop.stream().manifests()[-1].window
    assert window.end - window.start >= timedelta(days=35)


def test_a_backfill_ends_with_the_history(open_shop):
    shop = open_shop(5)
    shop.pull(PullKind.BACKFILL)
    shop.clock.advance(86_400)
    assert shop.pull(PullKind.BACKFILL).streams[0].pulls == ()


def test_an_order_that_the_search_shows_late_is_read_the_next_night(open_shop):
    shop = open_shop(10, {"lag": 1800})
    shop.pull()
    shop.clock.advance(7200)
    shop.store.add_order([])
    shop.clock.advance(900)
    shop.pull()
    assert len(shop.latest()) == 10
    shop.clock.advance(86_400)
    shop.pull()
    assert_equal_to_store(shop)


def test_a_killed_pull_leaves_no_copy_of_its_orders(open_shop):
    shop = open_shop(10)
    with pytest.raises(Killed):
        shop.pull(few=0, transport=KillSwitch(12, transport=shop.transport()))
    left = shop.account().folder / ".scratch-left"
    left.mkdir()
    (left / "bulk.jsonl").write_text("{}")
    shop.pull(few=0)
    assert_private(shop)
    assert_equal_to_store(shop)


def test_people_who_are_forgotten_are_not_written(open_shop):
    shop = open_shop(10)
    gone = [one for one in shop.store.orders.values() if one.email]
    shop.pull(is_erased=lambda payload: payload["email"] == gone[0].email)
    assert all(one["email"] != gone[0].email for one in shop.latest().values())
    assert len(shop.latest()) == 10 - sum(one.email == gone[0].email for one in gone)


def test_a_history_begins_with_a_month():
    first = datetime(2025, 3, 31, 23, 30, tzinfo=UTC)
    facts = AccountFacts("shopify", "x", "X", first_order_at=first)
    assert history_start(facts) == datetime(2025, 3, 1, tzinfo=UTC)


def test_moments_are_whole_seconds():
    assert whole_second(datetime(2026, 1, 1, 2, 3, 4, 5, tzinfo=UTC)).microsecond == 0


def fail_in_scratch(parent):
    with scratch_folder(parent) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "x").write_text("x")
        raise KeyError


def test_scratch_is_private_and_gone_afterwards(tmp_path):
    with pytest.raises(KeyError):
        fail_in_scratch(tmp_path / "a")
    assert list((tmp_path / "a").iterdir()) == []
