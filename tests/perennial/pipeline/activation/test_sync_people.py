"""Of whom a profile is told: shared profiles, odd keys, the held-out and the forgotten."""

from datetime import UTC, datetime, time, timedelta

import pandas as pd
import pytest

from connectors.klaviyo.errors import (
    RequestRefusedError,
    UnavailableError,
)
from connectors.klaviyo.synced_profiles import SyncedProfiles
from perennial.pipeline.activation.forget import forget_person
from perennial.pipeline.runtime.context import home_context
from tests.klaviyo_store import Shop, change, dying

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
    result = share_profile(shop, tmp_path, HELD, TREATED)
    shop.sync()
    assert result["Retention Holdout"] is True
    for run in ("r2", "r3"):
        later = next_day(shop.scores)
        if guest_changes:
            later.loc[later["customer_id"] == TREATED, "expected_value"] += 7
        shop.publish(later, run)
        assert shop.sync().counts.shared_key == 1
        assert result["Retention Holdout"] is True
        assert result["Retention Tier"] == "Held out"


def test_of_two_customers_of_one_profile_the_one_who_is_told_stays(tmp_path, shop):
    result = share_profile(shop, tmp_path, "c0000002", TREATED)
    shop.sync()
    first = dict(result)
    later = next_day(shop.scores)
    later.loc[later["customer_id"] == TREATED, "expected_value"] += 7
    shop.publish(later, "r2")
    shop.sync()
    assert dict(result) == first


def test_a_held_out_customer_who_comes_to_share_a_profile_takes_it_over(tmp_path, shop):
    shop.sync()
    result = share_profile(shop, tmp_path, "c0000002", HELD)
    shop.publish(next_day(change(shop.scores, 0.0, 1), 7), "r2")  # all are sent again
    shop.sync()
    assert result["Retention Holdout"] is True
    later = next_day(shop.scores)
    later.loc[later["customer_id"] == "c0000002", "expected_value"] += 7
    shop.publish(later, "r3")
    shop.sync()
    assert result["Retention Holdout"] is True


def test_a_profile_that_was_told_of_another_is_told_anew_when_that_one_is_gone(tmp_path, shop):
    """What was confirmed of the first is no longer what the profile says."""
    result = share_profile(shop, tmp_path, "c0000002", HELD)
    everybody = shop.scores
    alone = everybody[everybody["customer_id"] != HELD].reset_index(drop=True)
    shop.publish(alone, "r0")
    shop.sync()
    first = dict(result)
    assert first["Retention Holdout"] is False
    shop.publish(next_day(everybody), "r2")
    shop.sync()
    assert result["Retention Holdout"] is True
    shop.publish(next_day(alone, 2), "r3")
    shop.sync()
    del first["Retention Scored At"], result["Retention Scored At"]
    assert result == first


def test_of_two_unknown_customers_of_one_address_one_is_made(tmp_path):
    shop = Shop(tmp_path, past=50)
    both = ["c0000055", "c0000057"]  # the second is held out
    shop.name(tmp_path, {"customer_id": both, "email": ["both@example.com"] * 2})
    assert shop.sync().counts.unknown_profile == 10
    outcome = shop.sync(create_missing=True)
    assert (outcome.counts.created, outcome.counts.shared_key) == (9, 1)
    serial = shop.double.by_key["email", "both@example.com"]
    assert shop.double.profiles[serial]["external_id"] == "c0000057"


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
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.counts.unreadable_key) == (60, 60)
    assert max(longest) < 8_000


def test_a_customer_called_na_is_named_in_the_rejects(shop):
    shop.publish(shop.scores.assign(customer_id=["NA", *shop.scores["customer_id"][1:]]), "r2")
    shop.double.add_profile(external_id="NA")
    shop.double.bad_keys = {"NA", "c0000004"}
    shop.sync()
    assert "NA" in set(shop.rejects()["customer_id"])


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
    reported = {shop.double.profiles[serial]["external_id"] for serial, _, _ in shop.double.events}
    assert len(reported) == 1000
    forget_person(home_context(shop.settings), next(one for one in moved if one in reported))
    shop.sync()
    reported = {shop.double.profiles[serial]["external_id"] for serial, _, _ in shop.double.events}
    assert reported == set(moved)


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
    result = forget_person(home_context(shop.settings), "ANN@example.com")
    assert "sync --apply" in result.advice  # Klaviyo may have got the lost request
    assert result.removed.state >= 1
    assert "Ann@Example.com" not in set(
        SyncedProfiles(shop.places.confirmed).read()["customer_id"]
    )
    rows = pd.read_parquet(shop.places.open / "rows-0001.parquet")
    assert "Ann@Example.com" not in set(rows["customer_id"])


def test_the_held_out_have_no_event_when_all_are_sent_again(tmp_path):
    """Their row is sent for its day alone; that their segment changed meanwhile is nobody's business."""
    shop = Shop(tmp_path, events=True)
    shop.sync()
    before = shop.scores
    shop.publish(next_day(change(before, 1.0, 1), 6), "r2")
    assert shop.sync().sent == 60
    reported = {shop.double.profiles[serial]["external_id"] for serial, _, _ in shop.double.events}
    moved = before["segment"] != shop.scores["segment"]
    assert (moved & before["is_holdout"]).any()
    assert reported == set(before["customer_id"][moved & ~before["is_holdout"]])


def test_no_list_can_be_made_of_the_held_out(tmp_path):
    shop = Shop(tmp_path, lists={"Control": {"Tier": "Held out"}})
    shop.sync()
    assert [row["members"] for row in shop.double.lists.values()] == [set()]


def test_a_key_that_klaviyo_refuses_to_look_for_stops_nobody_else(shop):
    shop.double.refused_keys = {"c0000004", "c0000039"}
    outcome = shop.sync(create_missing=True)
    assert (outcome.confirmed, outcome.counts.unreadable_key) == (58, 2)
    assert outcome.counts.created == 0
    rejects = shop.rejects()
    assert set(rejects["customer_id"][rejects["code"] == "unreadable_key"]) == (
        shop.double.refused_keys
    )


def test_look_ups_that_klaviyo_refuses_throughout_are_no_accident(shop):
    shop.double.refused_keys = set(shop.scores["customer_id"])
    with pytest.raises(RequestRefusedError, match="GET /api/profiles"):
        shop.sync()
    assert shop.double.received["GET /api/profiles"] < 60


@pytest.mark.parametrize(("days", "is_late"), [(2, False), (3, True)])
def test_a_change_that_is_days_old_starts_no_flow(tmp_path, days, is_late):
    shop = Shop(tmp_path, events=True)
    shop.sync()
    shop.publish(change(shop.scores, 0.9, 1), "r2")
    midnight = datetime.combine(shop.day.as_of, time(), UTC)
    shop.double.clock.sleep((midnight - shop.double.clock.now()).total_seconds() + days * 86_400)
    shop.sync()
    assert {event["backfill"] for event in shop.double.events.values()} == {is_late}


def test_who_is_known_by_their_id_is_told_by_it_alone(tmp_path, shop):
    """An e-mail beside it could be that of another profile, and merge the two."""
    shop.name(tmp_path, {"customer_id": ["c0000002"], "email": ["ann@example.com"]})
    shop.sync()
    (job,) = shop.double.jobs.values()
    assert {tuple(row["attributes"]) for row in job.rows} == {("external_id", "properties")}


def test_of_a_row_that_klaviyo_rejected_no_event_is_told(tmp_path):
    shop = Shop(tmp_path, events=True)
    shop.sync()
    before = shop.scores
    shop.publish(change(before, 1.0, 1), "r2")
    moved = before["customer_id"][
        (before["segment"] != shop.scores["segment"]) & ~before["is_holdout"]
    ]
    shop.double.bad_keys = set(moved[:2])
    shop.sync()
    reported = {shop.double.profiles[serial]["external_id"] for serial, _, _ in shop.double.events}
    assert reported == set(moved[2:])
