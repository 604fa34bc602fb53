"""Syncs that would do harm: resumed plans that nobody asked for, late jobs, broken files."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.errors import (
    KlaviyoError,
    SyncRefusedError,
    UnavailableError,
)
from perennial.cli.shown import show_outcome
from perennial.cli.terminal import Outcome
from tests.klaviyo_double import Fault
from tests.klaviyo_store import Shop, change, dying, held, store_settings


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def next_day(scores, days=1):
    return scores.assign(as_of=scores["as_of"].iloc[0] + timedelta(days=days))


def test_a_killed_sync_makes_nobody_whom_its_successor_was_not_asked_to_make(tmp_path):
    shop = Shop(tmp_path, past=50)
    dying(shop.double, 1)
    with pytest.raises(UnavailableError):
        shop.sync(create_missing=True, tries=2)
    shop.double.fault = lambda *_: None
    outcome = shop.sync()
    assert outcome.resumed is False
    assert outcome.counts.unknown_profile == 10
    assert shop.double.created_profiles == 0


def test_a_killed_sync_sends_nothing_that_the_settings_no_longer_say(tmp_path, shop):
    dying(shop.double, 1)
    with pytest.raises(UnavailableError):
        shop.sync(tries=2)
    shop.double.fault = lambda *_: None
    shop.settings = store_settings(tmp_path, properties={"Chance": "p_order_90d"})
    assert shop.sync().confirmed == 60
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
    assert shop.sync().confirmed == 60
    assert shop.is_right()


def test_a_job_that_klaviyo_could_not_finish_is_sent_again_the_same_day(shop):
    shop.double.cancels = lambda: True
    with pytest.raises(UnavailableError):
        shop.sync()
    shop.double.cancels = lambda: False
    assert shop.sync().confirmed == 60


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
    shop.sync_with(lambda context: replace(context, clock=Skewed()))
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
    assert shop.sync().confirmed == 59
    shop.publish(change(shop.scores, 0.5, 1), "r2")
    shop.sync()
    actual = held(shop.settings, shop.double)
    shop.double.run_out()
    after = held(shop.settings, shop.double)
    assert {k: v for k, v in after.items() if k != "c0000003"} == {
        k: v for k, v in actual.items() if k != "c0000003"
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
    assert shop.sync().confirmed == 60


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
    assert shop.sync().confirmed == 60


def test_a_segment_is_put_off_when_klaviyo_says_that_the_day_is_full(tmp_path):
    """Others share the quota; nobody waits until tomorrow within a sync."""
    shop = Shop(tmp_path, segments={"Gone": {"Segment": "lapsed"}})

    def full(method, path):
        is_new = method == "POST" and path == "/api/segments"
        return Fault("status", 429, retry_after=40_000) if is_new else None

    shop.double.fault = full
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.segments.postponed) == (60, ("Retention: Gone",))
    assert shop.double.clock.seconds < 600
    shop.double.fault = lambda *_: None
    assert shop.sync().segments.created == ("Retention: Gone",)


def test_a_sync_says_how_many_rows_klaviyo_rejected_and_where_to_look(shop, capsys):
    shop.double.bad_keys = {"c0000004"}
    show_outcome(Outcome("synced", shop.sync().to_dict()), as_json=False)
    result = " ".join(capsys.readouterr().out.split())
    assert "59 of 60 profiles confirmed, 1 rejected: see Rejects" in result


def test_a_sync_of_one_profile_is_said_in_the_singular(shop, capsys):
    shop.sync()
    later = next_day(shop.scores)
    later.loc[0, "expected_value"] += 7
    shop.publish(later, "r2")
    show_outcome(Outcome("synced", shop.sync(apply=False).to_dict()), as_json=False)
    assert "would send 1 profile in 1 job." in " ".join(capsys.readouterr().out.split())


def test_under_prefect_the_counts_are_an_artifact_that_names_nobody(shop, monkeypatch):
    import prefect.artifacts

    made = []
    monkeypatch.setattr("perennial.pipeline.activation.sync.in_prefect", lambda: True)
    monkeypatch.setattr(
        prefect.artifacts, "create_table_artifact", lambda **values: made.append(values)
    )
    shop.double.bad_keys = {"c0000004"}
    shop.sync()
    (artifact,) = made
    counts = {row["what"]: row["how many"] for row in artifact["table"]}
    assert (counts["to send"], counts["sent"], counts["confirmed"], counts["rejected"]) == (
        60, 60, 59, 1)  # fmt: skip
    assert "c00000" not in str(artifact)
