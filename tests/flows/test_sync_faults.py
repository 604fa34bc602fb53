"""Syncs that would do harm: shared profiles, resumed plans that nobody asked for, late jobs, broken files."""

from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

from connectors.klaviyo.confirmed import Confirmed
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.errors import (
    KlaviyoError,
    RequestRefusedError,
    SyncRefusedError,
    UnavailableError,
)
from flows.forget import forget_person
from flows.terminal import Outcome, show_outcome
from tests.klaviyo_double import Fault
from tests.klaviyo_store import Shop, change, dying, held, store_settings

HELD, TREATED = "c0000007", "c0000003"  # make_scores holds the seventh of each ten out


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def next_day(scores, days=1):
    return scores.assign(as_of=scores["as_of"].iloc[0] + timedelta(days=days))


def share_profile(shop, home, owner, guest):
    """Let Klaviyo know a guest only by the e-mail of the owner's profile."""
    serial = shop.double.by_key["external_id", owner]
    gone = shop.double.by_key.pop(("external_id", guest))
    del shop.double.profiles[gone]
    shop.double.profiles[serial]["email"] = "both@example.com"
    shop.double.by_key["email", "both@example.com"] = serial
    shop.name(home, {"customer_id": [guest], "email": ["both@example.com"]})
    return shop.double.profiles[serial]["properties"]


@pytest.mark.parametrize("guest_changes", [False, True])
def test_a_held_out_customers_profile_is_never_told_of_another_customer(
    tmp_path, shop, guest_changes
):
    """Also not when only the other one changed, and the held-out one need not be sent."""
    said = share_profile(shop, tmp_path, HELD, TREATED)
    shop.sync()
    assert said["Retention Holdout"] is True
    for run in ("r2", "r3"):
        later = next_day(shop.scores)
        if guest_changes:
            later.loc[later["customer_id"] == TREATED, "expected_value"] += 7
        shop.publish(later, run)
        assert shop.sync()["counts"]["shared_key"] == 1
        assert said["Retention Holdout"] is True
        assert said["Retention Tier"] == "Held out"


def test_of_two_customers_of_one_profile_the_one_who_is_told_stays(tmp_path, shop):
    said = share_profile(shop, tmp_path, "c0000002", TREATED)
    shop.sync()
    first = dict(said)
    later = next_day(shop.scores)
    later.loc[later["customer_id"] == TREATED, "expected_value"] += 7
    shop.publish(later, "r2")
    shop.sync()
    assert dict(said) == first


def test_a_held_out_customer_who_comes_to_share_a_profile_takes_it_over(tmp_path, shop):
    shop.sync()
    said = share_profile(shop, tmp_path, "c0000002", HELD)
    shop.publish(next_day(change(shop.scores, 0.0, 1), 7), "r2")  # all are sent again
    shop.sync()
    assert said["Retention Holdout"] is True
    later = next_day(shop.scores)
    later.loc[later["customer_id"] == "c0000002", "expected_value"] += 7
    shop.publish(later, "r3")
    shop.sync()
    assert said["Retention Holdout"] is True


def test_a_profile_that_was_told_of_another_is_told_anew_when_that_one_is_gone(tmp_path, shop):
    """What was confirmed of the first is no longer what the profile says."""
    said = share_profile(shop, tmp_path, "c0000002", HELD)
    everybody = shop.scores
    alone = everybody[everybody["customer_id"] != HELD].reset_index(drop=True)
    shop.publish(alone, "r0")
    shop.sync()
    first = dict(said)
    assert first["Retention Holdout"] is False
    shop.publish(next_day(everybody), "r2")
    shop.sync()
    assert said["Retention Holdout"] is True
    shop.publish(next_day(alone, 2), "r3")
    shop.sync()
    del first["Retention Scored At"], said["Retention Scored At"]
    assert said == first


def test_of_two_unknown_customers_of_one_address_one_is_made(tmp_path):
    shop = Shop(tmp_path, known=50)
    both = ["c0000055", "c0000057"]  # the second is held out
    shop.name(tmp_path, {"customer_id": both, "email": ["both@example.com"] * 2})
    said = shop.sync(create_missing=True)
    assert (said["counts"]["created"], said["counts"]["shared_key"]) == (9, 1)
    serial = shop.double.by_key["email", "both@example.com"]
    assert shop.double.profiles[serial]["external_id"] == "c0000057"


def test_a_killed_sync_makes_nobody_whom_its_successor_was_not_asked_to_make(tmp_path):
    shop = Shop(tmp_path, known=50)
    dying(shop.double, 1)
    with pytest.raises(UnavailableError):
        shop.sync(create_missing=True, tries=2)
    shop.double.fault = lambda *_: None
    said = shop.sync()
    assert said["resumed"] is False
    assert said["counts"]["unknown_profile"] == 10
    assert shop.double.created_profiles == 0


def test_a_killed_sync_sends_nothing_that_the_settings_no_longer_say(tmp_path, shop):
    dying(shop.double, 1)
    with pytest.raises(UnavailableError):
        shop.sync(tries=2)
    shop.double.fault = lambda *_: None
    shop.settings = store_settings(tmp_path, properties={"Chance": "p_order_90d"})
    assert shop.sync()["confirmed"] == 60
    assert set(shop.double.properties()["c0000000"]) == {
        "Retention Chance", "Retention Holdout", "Retention Scored At"}  # fmt: skip


def test_a_killed_sync_is_held_to_guards_that_were_tightened_since(tmp_path, shop):
    shop.sync()
    shop.publish(change(shop.scores, 0.9, 1), "r2")
    dying(shop.double, 1)
    with pytest.raises(UnavailableError):
        shop.sync(tries=2)
    shop.double.fault = lambda *_: None
    shop.settings = store_settings(tmp_path, most_changed_share=0.1)
    with pytest.raises(SyncRefusedError, match="change segment"):
        shop.sync()
    assert len(shop.double.jobs) == 1


def test_a_job_that_klaviyo_cannot_finish_holds_up_neither_the_next_try_nor_the_next_day(shop):
    shop.double.cancels = lambda: True
    for _ in range(2):
        with pytest.raises(UnavailableError, match="canceled or forgot"):
            shop.sync()
    shop.publish(change(shop.scores, 0.5, 1), "r2")
    shop.double.cancels = lambda: False
    assert shop.sync()["confirmed"] == 60
    assert shop.is_right()


def test_a_job_that_klaviyo_could_not_finish_is_sent_again_the_same_day(shop):
    shop.double.cancels = lambda: True
    with pytest.raises(UnavailableError):
        shop.sync()
    shop.double.cancels = lambda: False
    assert shop.sync()["confirmed"] == 60


@pytest.mark.parametrize("skew", [-7200.0, 7200.0])
def test_a_lost_job_is_waited_for_whatever_this_machines_clock_says(shop, skew):
    class Skewed:
        def now(self):
            return shop.double.clock.now() + timedelta(seconds=skew)

        def monotonic(self):
            return shop.double.clock.monotonic()

        def sleep(self, seconds):
            shop.double.clock.sleep(seconds)

    lost = []

    def lose_first(method, path):
        is_first = method == "POST" and "import-jobs" in path and not lost
        if is_first:
            lost.append(path)
        shop.double.late_by = 900.0 if is_first else 0.0
        return Fault("lose") if is_first else None

    shop.double.fault = lose_first
    shop.sync_with(lambda hands: replace(hands, clock=Skewed()))
    assert all(
        job.is_done or job.ends <= shop.double.clock.seconds for job in shop.double.jobs.values()
    )


def test_a_lost_job_is_waited_for_though_fewer_rows_were_sent_after_it(shop):
    """Somebody was forgotten meanwhile; the lost job must not run over the next day's values."""

    def lose(method, path):
        return Fault("lose") if method == "POST" and "import-jobs" in path else None

    shop.double.fault, shop.double.late_by = lose, 3000.0
    with pytest.raises(UnavailableError):
        shop.sync(tries=1)
    shop.double.fault, shop.double.late_by = lambda *_: None, 0.0
    Erasures(shop.settings.state).add(["c0000003"])
    assert shop.sync()["confirmed"] == 59
    shop.publish(change(shop.scores, 0.5, 1), "r2")
    shop.sync()
    found = held(shop.settings, shop.double)
    shop.double.run_out()
    after = held(shop.settings, shop.double)
    assert {k: v for k, v in after.items() if k != "c0000003"} == {
        k: v for k, v in found.items() if k != "c0000003"
    }


@pytest.mark.parametrize("name", ["sync.json", "job-0001.json", "rows-0001.parquet"])
def test_a_broken_file_of_a_sync_under_way_is_refused_and_said(shop, name):
    dying(shop.double, 2, "GET", "import-jobs/")
    with pytest.raises(UnavailableError):
        shop.sync(tries=2)
    shop.double.fault = lambda *_: None
    whole = (shop.places.open / name).read_bytes()
    for broken in (
        b"",
        b"{",
        b"[]",
        b'{"as_of": "yesterday"}',
        b"\x00\xff",
        whole[: len(whole) // 2],
    ):
        (shop.places.open / name).write_bytes(broken)
        with pytest.raises(KlaviyoError, match="cannot be read") as caught:
            shop.sync()
        assert "hour" in str(caught.value)  # what to do
    (shop.places.open / name).write_bytes(whole)
    assert shop.sync()["confirmed"] == 60


def test_what_was_confirmed_and_cannot_be_read_is_refused_and_said(shop):
    shop.sync()
    shop.places.confirmed.write_bytes(b"PAR1")
    with pytest.raises(KlaviyoError, match="cannot be read"):
        shop.sync()


def test_what_names_people_is_for_its_owner_only(shop):
    dying(shop.double, 2, "GET", "import-jobs/")
    with pytest.raises(UnavailableError):
        shop.sync(tries=2)
    Erasures(shop.settings.state).add(["c0000003"])
    private = [shop.places.state, shop.places.out, shop.places.state.parent]
    assert [oct(path.stat().st_mode)[-3:] for path in private] == ["700"] * 3
    assert oct((shop.settings.state / "erasures.json").stat().st_mode)[-3:] == "600"


def test_types_are_remembered_of_what_was_sent_and_not_of_a_refused_plan(tmp_path, shop):
    shop.sync()
    shop.publish(change(shop.scores, 0.9, 1), "r2")
    shop.settings = store_settings(
        tmp_path, most_changed_share=0.1, properties={"Mistake": "segment"}
    )
    with pytest.raises(SyncRefusedError, match="change segment"):
        shop.sync()
    shop.settings = store_settings(
        tmp_path, most_changed_share=1.0, properties={"Mistake": "p_order_90d"}
    )
    assert shop.sync()["confirmed"] == 60


def test_long_and_foreign_keys_are_looked_up_in_addresses_that_servers_take(tmp_path):
    shop = Shop(tmp_path, customers=120)
    ids = [f"{i:03}-" + "名" * 240 for i in range(60)] + [f"{i:03}" + "x" * 300 for i in range(60)]
    for one in ids[:60]:
        shop.double.add_profile(external_id=one)
    longest = []
    answer = shop.double.answer

    def measure(method, target, headers, body):
        longest.append(len(target))
        return answer(method, target, headers, body)

    shop.double.answer = measure
    shop.publish(shop.scores.assign(customer_id=ids), "r2")
    said = shop.sync()
    assert (said["confirmed"], said["counts"]["unreadable_key"]) == (60, 60)
    assert max(longest) < 8_000


def test_a_customer_called_na_is_named_in_the_rejects(shop):
    shop.publish(shop.scores.assign(customer_id=["NA", *shop.scores["customer_id"][1:]]), "r2")
    shop.double.add_profile(external_id="NA")
    shop.double.bad_keys = {"NA", "c0000004"}
    shop.sync()
    assert "NA" in set(shop.rejects()["customer_id"])


def test_a_segment_is_put_off_when_klaviyo_says_that_the_day_is_full(tmp_path):
    """Others share the quota; nobody waits until tomorrow within a sync."""
    shop = Shop(tmp_path, segments={"Gone": {"Segment": "lapsed"}})

    def full(method, path):
        is_new = method == "POST" and path == "/api/segments"
        return Fault("status", 429, retry_after=40_000) if is_new else None

    shop.double.fault = full
    said = shop.sync()
    assert (said["confirmed"], said["segments"]["postponed"]) == (60, ["Retention: Gone"])
    assert shop.double.clock.seconds < 600
    shop.double.fault = lambda *_: None
    assert shop.sync()["segments"]["created"] == ["Retention: Gone"]


def test_events_are_told_once_each_though_somebody_was_forgotten_between(tmp_path):
    shop = Shop(tmp_path, customers=2600, events=True)
    shop.sync()
    before = shop.scores
    shop.publish(change(before, 1.0, 1), "r2")
    dying(shop.double, 2, "POST", "event-bulk")
    with pytest.raises(UnavailableError):
        shop.sync(tries=2)
    shop.double.fault = lambda *_: None
    moved = before["customer_id"][
        (before["segment"] != shop.scores["segment"]) & ~before["is_holdout"]
    ]
    told = {shop.double.profiles[serial]["external_id"] for serial, _, _ in shop.double.events}
    assert len(told) == 1000
    forget_person(shop.settings, next(one for one in moved if one in told))
    shop.sync()
    told = {shop.double.profiles[serial]["external_id"] for serial, _, _ in shop.double.events}
    assert told == set(moved)


def test_a_person_is_forgotten_in_any_case_of_their_address(tmp_path):
    shop = Shop(tmp_path)
    shop.publish(
        shop.scores.assign(customer_id=["Ann@Example.com", *shop.scores["customer_id"][1:]]), "r2"
    )
    shop.double.add_profile(external_id="Ann@Example.com")
    shop.sync()
    later = next_day(shop.scores, 8)
    shop.publish(later, "r3")
    dying(shop.double, 1)
    with pytest.raises(UnavailableError):
        shop.sync(tries=2)
    said = forget_person(shop.settings, "ANN@example.com")
    assert "sync --apply" in said["next"]  # Klaviyo may have got the lost request
    assert said["removed"]["state"] >= 1
    assert "Ann@Example.com" not in set(Confirmed(shop.places.confirmed).read()["customer_id"])
    rows = pd.read_parquet(shop.places.open / "rows-0001.parquet")
    assert "Ann@Example.com" not in set(rows["customer_id"])


def test_a_sync_says_how_many_rows_klaviyo_rejected_and_where_to_look(shop, capsys):
    shop.double.bad_keys = {"c0000004"}
    show_outcome(Outcome("synced", shop.sync()), as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "59 of 60 profiles confirmed, 1 rejected: see Rejects" in said


def test_a_sync_of_one_profile_is_said_in_the_singular(shop, capsys):
    shop.sync()
    later = next_day(shop.scores)
    later.loc[0, "expected_value"] += 7
    shop.publish(later, "r2")
    show_outcome(Outcome("synced", shop.sync(apply=False)), as_json=False)
    assert "would send 1 profile in 1 job." in " ".join(capsys.readouterr().out.split())


def test_the_held_out_have_no_event_when_all_are_sent_again(tmp_path):
    """Their row is sent for its day alone; that their segment changed meanwhile is nobody's business."""
    shop = Shop(tmp_path, events=True)
    shop.sync()
    before = shop.scores
    shop.publish(next_day(change(before, 1.0, 1), 6), "r2")
    assert shop.sync()["sent"] == 60
    told = {shop.double.profiles[serial]["external_id"] for serial, _, _ in shop.double.events}
    moved = before["segment"] != shop.scores["segment"]
    assert (moved & before["is_holdout"]).any()
    assert told == set(before["customer_id"][moved & ~before["is_holdout"]])


def test_no_list_can_be_made_of_the_held_out(tmp_path):
    shop = Shop(tmp_path, lists={"Control": {"Tier": "Held out"}})
    shop.sync()
    assert [row["members"] for row in shop.double.lists.values()] == [set()]


def test_a_key_that_klaviyo_refuses_to_look_for_stops_nobody_else(shop):
    shop.double.refused_keys = {"c0000004", "c0000039"}
    said = shop.sync(create_missing=True)
    assert (said["confirmed"], said["counts"]["unreadable_key"]) == (58, 2)
    assert said["counts"]["created"] == 0
    rejects = shop.rejects()
    assert set(rejects["customer_id"][rejects["code"] == "unreadable_key"]) == (
        shop.double.refused_keys
    )


def test_look_ups_that_klaviyo_refuses_throughout_are_no_accident(shop):
    shop.double.refused_keys = set(shop.scores["customer_id"])
    with pytest.raises(RequestRefusedError, match="GET /api/profiles"):
        shop.sync()
    assert shop.double.received["GET /api/profiles"] < 60
