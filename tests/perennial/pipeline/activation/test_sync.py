"""A sync against the double: what is sent, what is believed, what is refused, and what survives a kill."""

import json
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta

import pytest

from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.errors import SyncRefusedError, UnavailableError
from connectors.klaviyo.manifest import Manifest
from connectors.klaviyo.payloads import Profile
from connectors.klaviyo.synced_profiles import SyncedProfiles
from perennial.pipeline.activation.sync import one_sync
from perennial.pipeline.runtime.context import home_context
from tests.klaviyo_double import SCOPES, Fault
from tests.klaviyo_store import DAY, Shop, change, dying, store_settings

IMPORT = "POST /api/profile-bulk-import-jobs"


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def test_a_dry_run_writes_what_would_be_sent_and_only_reads(shop):
    outcome = shop.sync(apply=False)
    assert outcome.counts.to_send == 60
    assert {name.split()[0] for name in shop.double.received} == {"GET"}
    lines = shop.places.would_send.read_bytes().splitlines()
    assert len([Profile.model_validate_json(line) for line in lines]) == 60
    plan = json.loads(shop.places.plan.read_text())
    assert plan["counts"] == asdict(outcome.counts)
    assert len(plan["sample"]) == 3
    assert "c0000000" not in json.dumps(plan["sample"])
    assert not shop.places.open.exists()


def test_after_a_sync_klaviyo_holds_what_is_published(shop):
    outcome = shop.sync()
    assert shop.is_right()
    assert (outcome.sent, outcome.confirmed, outcome.rejected) == (60, 60, 0)
    assert set(shop.double.consents().values()) == {"SUBSCRIBED"}
    again = shop.sync()
    assert again.counts.to_send == 0
    assert shop.double.received[IMPORT] == 1


def test_people_unknown_to_klaviyo_are_skipped_and_said(tmp_path):
    shop = Shop(tmp_path, past=50)
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.counts.unknown_profile) == (50, 10)
    assert len(shop.double.profiles) == 50
    assert set(shop.rejects()["code"]) == {"unknown_profile"}


def test_people_are_made_only_when_asked_and_few_at_once(tmp_path):
    shop = Shop(tmp_path, past=50, most_created=9)
    with pytest.raises(SyncRefusedError, match="most_created"):
        shop.sync(create_missing=True)
    assert IMPORT not in shop.double.received
    shop.settings = store_settings(tmp_path, most_created=10)
    assert shop.sync(create_missing=True).counts.created == 10
    assert shop.is_right()
    assert shop.double.created_profiles == 10


def test_rows_that_klaviyo_rejects_are_not_believed(shop):
    shop.double.page = 3
    shop.double.bad_keys = set(shop.scores["customer_id"][:10])
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.rejected) == (50, 10)
    rejects = shop.rejects()
    assert set(rejects["customer_id"]) == shop.double.bad_keys
    assert set(rejects["code"]) == {"invalid"}
    assert set(rejects["field"]) == {"email"}
    assert rejects["hint"].str.len().min() > 10
    shop.double.bad_keys = set()
    assert shop.sync().confirmed == 10
    assert shop.is_right()


def test_a_rejection_without_its_row_is_matched_by_where_it_points(shop):
    shop.double.hides_payload = True
    shop.double.bad_keys = {"c0000004", "c0000017"}
    shop.sync()
    assert set(shop.rejects()["customer_id"]) == shop.double.bad_keys


def test_a_row_alone_that_klaviyo_says_nothing_of_is_not_believed(tmp_path):
    shop = Shop(tmp_path, customers=1)
    shop.double.bad_keys = {"c0000000"}
    shop.double._import_errors = lambda *_: (200, {"data": [], "links": {}})
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.rejected) == (0, 1)
    assert set(shop.rejects()["code"]) == {"unclear"}
    assert SyncedProfiles(shop.places.confirmed).read()["row_hash"].eq(0).all()
    del shop.double._import_errors
    shop.double.bad_keys = set()
    assert shop.sync().confirmed == 1


def test_a_refused_job_is_sent_without_the_rows_that_klaviyo_points_at(shop):
    shop.double.refuses_at_once = True
    shop.double.bad_keys = {"c0000004", "c0000017"}
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.rejected) == (58, 2)
    assert shop.double.received[IMPORT] == 3


def test_a_canceled_job_is_sent_again_and_in_the_end_given_up(shop):
    left = [True, True]
    shop.double.cancels = lambda: bool(left) and left.pop()
    assert shop.sync().confirmed == 60
    assert shop.is_right()
    shop.publish(change(shop.scores, 0.5, 1), "r2")
    shop.double.cancels = lambda: True
    with pytest.raises(UnavailableError, match="canceled or forgot"):
        shop.sync()


def test_a_job_that_klaviyo_forgot_is_sent_again(shop):
    show = shop.double._show_job
    forgotten = []

    def forget_first(one, query, message):
        if not forgotten:
            forgotten.append(shop.double.jobs.pop(one))
        return show(one, query, message)

    shop.double._show_job = forget_first
    assert shop.sync().confirmed == 60
    assert shop.is_right()


def test_an_unfinished_sync_goes_on_where_it_was(shop):
    dying(shop.double, 2, "GET", "import-jobs/")  # accepted, asked about once
    shop.double.queue_seconds = 30.0
    with pytest.raises(UnavailableError):
        shop.sync(tries=2)
    assert Manifest.open(shop.places.open) is not None
    shop.double.fault = lambda *_: None
    outcome = shop.sync()
    assert (outcome.resumed, outcome.confirmed) == (True, 60)
    assert shop.double.received[IMPORT] == 1
    assert shop.is_right()


def test_a_later_day_confirms_what_was_sent_and_drops_what_was_not(shop):
    dying(shop.double, 1)
    with pytest.raises(UnavailableError):
        shop.sync(tries=2)
    shop.double.fault = lambda *_: None
    shop.publish(change(shop.scores, 0.5, 1), "r2")
    outcome = shop.sync()
    assert (outcome.resumed, outcome.confirmed) == (False, 60)
    assert shop.is_right()


def test_a_job_without_an_answer_never_runs_over_newer_values(shop):
    shop.sync()
    first = shop.scores
    shop.publish(change(first, 0.5, 1), "r2")

    def lose(method, path):
        return Fault("lose") if method == "POST" and "import-jobs" in path else None

    shop.double.fault, shop.double.late_by = lose, 3000.0
    with pytest.raises(UnavailableError):
        shop.sync(tries=1)
    shop.double.fault, shop.double.late_by = lambda *_: None, 0.0
    back = first.assign(as_of=DAY + timedelta(days=2))
    shop.publish(back, "r3")
    outcome = shop.sync()
    assert outcome.counts.to_send > 0  # though all was confirmed once: nobody knows what ran since
    shop.double.run_out()
    assert shop.is_right()


def test_the_kill_switch_stops_a_sync_between_jobs(tmp_path, shop):
    config = tmp_path / "perennial.toml"
    off = '[orders]\nsource = "orders.csv"\n[klaviyo]\naccount = "AbC123"\nenabled = false\n'
    config.write_text(off)
    with pytest.raises(SyncRefusedError, match=r"klaviyo\.enabled"):
        shop.sync(config=config)
    assert IMPORT not in shop.double.received
    config.write_text(off.replace("false", "true"))
    assert shop.sync(config=config).confirmed == 60


def test_the_kill_switch_stops_a_sync_before_it_asks_anything(tmp_path, shop):
    shop.settings = store_settings(tmp_path, enabled=False)
    for apply in (False, True):
        with pytest.raises(SyncRefusedError, match=r"klaviyo\.enabled"):
            shop.sync(apply=apply)
    assert shop.double.received == {}


def test_customers_who_left_the_history_long_ago_do_not_count_as_vanished(tmp_path):
    shop = Shop(tmp_path, least_rows_share=0.7)
    for i, customers in enumerate((45, 34, 25)):
        shop.sync()
        shop.publish(change(shop.scores.head(customers), 0.1, i), f"r{customers}")
    assert shop.sync().counts.customers_before == 34


def test_another_account_is_refused(shop):
    shop.double.account = "ZzZ999"
    with pytest.raises(SyncRefusedError, match="ZzZ999"):
        shop.sync()
    assert IMPORT not in shop.double.received


def test_a_key_that_may_do_more_is_refused_unless_it_is_allowed(tmp_path, shop):
    shop.double.scopes = SCOPES | {"metrics:read", "campaigns:write"}
    with pytest.raises(SyncRefusedError, match="allow_wide_key"):
        shop.sync()
    shop.settings = store_settings(tmp_path, allow_wide_key=True)
    outcome = shop.sync()
    assert outcome.confirmed == 60
    assert outcome.key.to_dict() == {"scopes_checked": False}


def test_a_sync_says_which_scopes_its_key_was_denied_and_which_cannot_be_seen(shop):
    key = shop.sync().key
    assert "subscriptions:read" in key.denied
    assert "data-privacy:write" in key.not_visible
    assert json.loads(shop.places.outcome.read_text())["key"] == key.to_dict()


def test_many_changes_at_once_are_refused_and_written_down(tmp_path):
    shop = Shop(tmp_path, most_changed_share=0.1)
    shop.sync()
    shop.publish(change(shop.scores, 0.9, 1), "r2")
    with pytest.raises(SyncRefusedError, match="change segment"):
        shop.sync()
    assert "change segment" in json.loads(shop.places.plan.read_text())["refused"]
    assert shop.double.received[IMPORT] == 1


def test_only_customers_who_are_sent_count_as_moved(tmp_path, shop):
    """Neither the held-out nor those whom Klaviyo does not know, day after day."""
    shop.sync()
    before = shop.scores
    shop.publish(before.assign(segment="elsewhere"), "r2")
    gone = before["customer_id"][:5]
    for customer in gone:
        shop.double.by_key.pop(("external_id", customer))
    expected = (~before["is_holdout"] & ~before["customer_id"].isin(gone)).sum()
    assert shop.sync().counts.moved == expected
    assert shop.sync().counts.moved == 0


def test_vanished_customers_are_refused(shop):
    shop.sync()
    shop.publish(change(shop.scores.head(20), 0.1, 1), "r2")
    with pytest.raises(SyncRefusedError, match="vanish"):
        shop.sync()


HOLDER = """
import sys, time
from pathlib import Path
from perennial.pipeline.activation.sync import one_sync
from perennial.pipeline.runtime.context import home_context
from tests.klaviyo_store import store_settings
with one_sync(home_context(store_settings(Path(sys.argv[1])))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_sync_at_a_time_and_a_killed_one_holds_nobody_up(tmp_path):
    settings = store_settings(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLDER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(SyncRefusedError, match="one sync at a time"),
        one_sync(home_context(settings)),
    ):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with one_sync(home_context(settings)):
        pass


def test_segments_are_made_once_and_changed_only_with_their_definition(tmp_path):
    shop = Shop(
        tmp_path,
        segments={"Gone": {"Segment": "lapsed"}, "Big": {"Expected Value": {"above": 50}}},
    )
    assert shop.sync().segments.created == ("Retention: Gone", "Retention: Big")
    assert shop.sync().segments.unchanged == ("Retention: Gone", "Retention: Big")
    shop.settings = store_settings(tmp_path, segments={"Gone": {"Segment": ["lapsed", "loyal"]}})
    assert shop.sync().segments.updated == ("Retention: Gone",)
    gone = next(s for s in shop.double.segments.values() if s["name"] == "Retention: Gone")
    groups = [group["conditions"][0] for group in gone["definition"]["condition_groups"]]
    assert groups[0]["filter"]["value"] == ["lapsed", "loyal"]
    assert groups[1] == {
        "type": "profile-property",
        "property": "properties['Retention Holdout']",
        "filter": {"type": "boolean", "operator": "equals", "value": False},
    }
    assert groups[2]["filter"] == {
        "type": "date", "operator": "in-the-last", "unit": "day", "quantity": 14}  # fmt: skip
    assert groups[3]["consent"]["can_receive_marketing"] is True


def test_a_segment_whose_answer_is_lost_is_not_made_twice(tmp_path):
    shop = Shop(
        tmp_path, segments={"Gone": {"Segment": "lapsed"}}, lists={"Heavy": {"Tier": "heavy"}}
    )
    made = Counter()

    def lose_first(method, path):
        made[path] += method == "POST"
        is_first = method == "POST" and made[path] == 1 and path in ("/api/segments", "/api/lists")
        return Fault("lose") if is_first else None

    shop.double.fault = lose_first
    shop.sync()
    assert (len(shop.double.segments), len(shop.double.lists)) == (1, 1)


def test_somebody_elses_segment_is_left_alone(tmp_path):
    shop = Shop(tmp_path, segments={"Gone": {"Segment": "lapsed"}})
    theirs = {"name": "Retention: Gone", "definition": {"condition_groups": []}}
    shop.double.segments["S9"] = theirs
    assert shop.sync().segments.foreign == ("Retention: Gone",)
    assert shop.double.segments == {"S9": theirs}


def test_a_segment_beyond_the_days_quota_waits_for_tomorrow(tmp_path):
    shop = Shop(tmp_path, segments={"Gone": {"Segment": "lapsed"}})
    used = {
        "made": {},
        "day": shop.double.clock.now().date().isoformat(),
        "used": {"created": 100},
    }
    shop.places.segments.parent.mkdir(parents=True)
    shop.places.segments.write_text(json.dumps(used))
    assert shop.sync().segments.postponed == ("Retention: Gone",)
    shop.double.clock.sleep(86_400)
    assert shop.sync().segments.created == ("Retention: Gone",)


def test_each_change_of_segment_is_one_event_and_the_held_out_have_none(tmp_path):
    shop = Shop(tmp_path, events=True)
    shop.sync()
    assert not shop.double.events  # the first time nobody changes
    before = shop.scores
    shop.publish(change(before, 0.6, 1), "r2")

    def lose_once(method, path):
        return Fault("lose") if "event" in path and not shop.double.events else None

    shop.double.fault = lose_once
    shop.sync()
    moved = (before["segment"] != shop.scores["segment"]) & ~before["is_holdout"]
    reported = {
        shop.double.profiles[key[0]]["external_id"]: e for key, e in shop.double.events.items()
    }
    assert set(reported) == set(before["customer_id"][moved])
    assert len(shop.double.events) == moved.sum()
    assert max(shop.double.event_posts.values()) == 2  # sent twice, counted once
    one = shop.scores[moved].iloc[0]
    event = reported[one["customer_id"]]
    assert event["properties"]["To"] == one["segment"].replace("_", " ")
    assert event["backfill"] is False


def test_lists_hold_who_belongs_on_them(tmp_path):
    shop = Shop(tmp_path, lists={"Heavy": {"Tier": "heavy"}})
    shop.sync()

    def members():
        (row,) = shop.double.lists.values()
        return {shop.double.profiles[serial]["external_id"] for serial in row["members"]}

    for run in ("r2", "r3"):
        heavy = (shop.scores["investment_tier"] == "heavy") & ~shop.scores["is_holdout"]
        assert members() == set(shop.scores["customer_id"][heavy])
        later = change(shop.scores, 0.0, 1)
        later.loc[:20, "investment_tier"] = "light"
        later.loc[20:30, "investment_tier"] = "heavy"
        shop.publish(later, run)
        shop.sync()
    assert shop.double.consent_calls == 0


def test_somebody_elses_list_is_left_alone(tmp_path):
    shop = Shop(tmp_path, lists={"Heavy": {"Tier": "heavy"}})
    shop.double.lists["L9"] = {"name": "Retention: Heavy", "members": {"P0000001"}}
    assert shop.sync().lists["Retention: Heavy"].is_foreign
    assert shop.double.lists["L9"]["members"] == {"P0000001"}


def test_the_forgotten_are_left_out_even_of_a_sync_under_way(shop):
    dying(shop.double, 1)
    with pytest.raises(UnavailableError):
        shop.sync(tries=2)
    Erasures(shop.settings.state).add(["c0000003"])
    shop.double.fault = lambda *_: None
    outcome = shop.sync()
    assert outcome.confirmed == 59
    assert shop.double.properties()["c0000003"] == {}
    assert "c0000003" not in shop.places.rejects.read_text()
    assert shop.sync().counts.erased == 1


@contextmanager
def known_by_email(shop, customer, email):
    """Let Klaviyo know somebody by their e-mail only."""
    serial = shop.double.by_key.pop(("external_id", customer))
    shop.double.profiles[serial] = {"email": email, "properties": {}, "consent": "SUBSCRIBED"}
    shop.double.by_key["email", email] = serial
    yield


def test_who_is_known_by_e_mail_only_is_told_by_it_and_gets_no_second_identifier(tmp_path):
    shop = Shop(tmp_path, customers=5)
    shop.name(tmp_path, {"customer_id": ["c0000002"], "email": ["Ann@Example.com"]})
    with known_by_email(shop, "c0000002", "ann@example.com"):
        assert shop.sync().confirmed == 5
    ann = next(p for p in shop.double.profiles.values() if p.get("email") == "ann@example.com")
    assert ann["properties"]["Retention Holdout"] is False
    assert "external_id" not in ann
    assert shop.double.created_profiles == 0


def test_a_short_chaos_ends_as_published():
    """A few seeds of ``make chaos``, with few profiles."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.klaviyo_chaos", "--runs", "2", "--profiles", "200"],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_chaos_sees_a_sync_that_forgets_what_was_confirmed():
    """The check of the chaos runs catches a planted fault."""
    planted = (
        "import connectors.klaviyo.synced_profiles as c, tests.klaviyo_chaos as k\n"
        "c.SyncedProfiles.add = lambda self, rows: None\n"
        "found = [k.one_run(seed, 60, kills=False) for seed in (1,)]\n"
        "assert any('sent again' in ' '.join(one['problems']) for one in found), found\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", planted],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
