"""What `perennial up` looks after: schedules without runs, days and orders that are old, servers that hang."""

import json
import os
import threading
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors.live.errors import AccessRefusedError, PlatformDownError
from perennial.pipeline.ingestion.pull_record import clear_failure, save_failure
from perennial.pipeline.settings.store import read_settings
from perennial.service import supervise
from perennial.service.events import RunAgain, ServedDeployment
from perennial.service.supervise import Supervisor
from tests.shops import AS_OF, write_shop

SERVED = (
    ServedDeployment(deployment="daily/nightly", id="1", cron="0 4 * * *", event=None),
    ServedDeployment(deployment="train/on-drift", id="2", cron=None, event="drift"),
)


class Watched:
    """A supervisor that starts nothing, and what it told."""

    def __init__(self, config, monkeypatch):
        self.events, self.notified = [], []
        self.before = set(threading.enumerate())
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
        monkeypatch.setattr(
            supervise, "notify", lambda _settings, *values: self.notified.append(values)
        )
        monkeypatch.setattr(supervise, "PATIENCE_SECONDS", 0.0)
        self.it = Supervisor(read_settings(config), config, self.events.append)
        self.it._served = SERVED

    def kinds(self):
        """What people were told, once every thread has told it."""
        for thread in set(threading.enumerate()) - self.before:
            thread.join(10)
        return [(kind, subject) for kind, subject, _ in self.notified]


class Alive:
    """A child that runs, and counts how often it was stopped."""

    def __init__(self):
        self.stops = 0

    def is_alive(self):
        return True

    def stop(self, _seconds):
        self.stops += 1


def berlin(text):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))


def test_a_day_that_is_old_is_told_of_once(published, monkeypatch):
    """The day of the 30th ended at midnight; 36 hours later is noon of the 2nd."""
    assert AS_OF.isoformat() == "2024-06-30"
    watched = Watched(published[0], monkeypatch)
    watched.it._check_age(berlin("2024-07-02 12:00"))
    assert watched.kinds() == []
    watched.it._check_age(berlin("2024-07-02 12:01"))
    watched.it._check_age(berlin("2024-07-09 12:00"))
    assert watched.kinds() == [("stale", "no day after 2024-06-30 is published")]
    assert [event.name for event in watched.events] == ["warning"]


def test_a_pointer_that_cannot_be_read_is_told_of(tmp_path, monkeypatch):
    config = write_shop(tmp_path)
    watched = Watched(config, monkeypatch)
    watched.it._check_age(berlin("2024-07-02 12:01"))
    assert watched.kinds() == []  # nothing was ever published: failures tell of themselves
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "CURRENT.json").write_text("{")
    watched.it._check_age(berlin("2024-07-02 12:01"))
    assert watched.kinds() == [("failed", "the current day cannot be read")]


def test_files_that_nobody_refreshes_are_told_of_once_a_day(tmp_path, monkeypatch):
    config = write_shop(tmp_path)
    written_at = berlin("2024-07-01 23:00")
    os.utime(tmp_path / "orders.csv", (written_at.timestamp(), written_at.timestamp()))
    watched = Watched(config, monkeypatch)
    watched.it._check_source(berlin("2024-07-03 23:00"))
    assert watched.events == []
    complaint = ("stale", "no new export of orders since 2024-07-01 21:00 UTC")
    for moment in ("2024-07-03 23:01", "2024-07-03 23:59"):
        watched.it._check_source(berlin(moment))
        assert watched.kinds() == [complaint]
    for moment in ("2024-07-04 00:00", "2024-07-04 23:01"):
        watched.it._check_source(berlin(moment))
        assert watched.kinds() == [complaint] * 2
    assert [event.name for event in watched.events] == ["warning"] * 2
    facts = watched.events[0].to_dict()
    assert facts["newest file"] == "orders.csv"
    assert "overlaps the last weeks" in facts["fix"]
    os.utime(tmp_path / "orders.csv")
    watched.it._check_source(datetime.now(ZoneInfo("Europe/Berlin")))
    assert len(watched.events) == 2


def test_how_old_files_may_be_is_a_setting(tmp_path, monkeypatch):
    config = write_shop(tmp_path)
    config.write_text(config.read_text() + "[schedule]\nstale_source_days = 8\n")
    written_at = berlin("2024-07-01 12:00")
    os.utime(tmp_path / "orders.csv", (written_at.timestamp(), written_at.timestamp()))
    watched = Watched(config, monkeypatch)
    watched.it._check_source(berlin("2024-07-09 12:00"))
    assert watched.kinds() == []
    watched.it._check_source(berlin("2024-07-09 12:01"))
    assert len(watched.kinds()) == 1


def test_a_live_source_whose_pull_was_refused_is_told_of(tmp_path, monkeypatch):
    config = tmp_path / "perennial.toml"
    config.write_text('[orders]\nsource = "shopify://tiny-teas"\n')
    watched = Watched(config, monkeypatch)
    now = berlin("2024-07-02 04:00")
    watched.it._check_source(now)
    settings = watched.it.settings
    folder = settings.pulled(settings.orders.live_address)
    save_failure(folder, now, PlatformDownError("no answer"))
    watched.it._check_source(now)
    assert watched.kinds() == []  # the run tries again by itself
    save_failure(folder, now, AccessRefusedError("The key lacks read_orders", 200))
    for minutes in (1, 2):
        watched.it._check_source(now + timedelta(minutes=minutes))
    subject = "the last pull of shopify://tiny-teas.myshopify.com failed"
    assert watched.kinds() == [("stale", subject)]
    assert watched.events[0].to_dict()["error"] == "The key lacks read_orders"
    clear_failure(folder)
    watched.it._check_source(now + timedelta(days=1))
    assert len(watched.events) == 1


def test_a_record_of_a_pull_that_cannot_be_read_is_told_of(tmp_path, monkeypatch):
    config = tmp_path / "perennial.toml"
    config.write_text('[orders]\nsource = "shopify://tiny-teas"\n')
    watched = Watched(config, monkeypatch)
    settings = watched.it.settings
    folder = settings.pulled(settings.orders.live_address)
    folder.mkdir(parents=True)
    (folder / "pull.json").write_text("{")
    watched.it._check_source(berlin("2024-07-02 04:00"))
    assert watched.kinds() == [("failed", "the age of the orders cannot be read")]


def test_a_schedule_without_a_coming_run_is_told_of(tmp_path, monkeypatch):
    watched = Watched(write_shop(tmp_path), monkeypatch)
    watched.it._worker = Alive()
    slots = {"1": "2026-11-28T04:00+01:00"}
    monkeypatch.setattr(watched.it, "_next_slots", lambda: slots)
    watched.it._check_schedules()
    assert watched.kinds() == []
    slots.clear()
    watched.it._check_schedules()
    watched.it._check_schedules()
    assert watched.kinds() == [("failed", "daily/nightly has no coming run")]


def test_a_server_that_hangs_is_started_again(tmp_path, monkeypatch):
    watched = Watched(write_shop(tmp_path), monkeypatch)
    watched.it._worker, watched.it._server = Alive(), Alive()

    def hang():
        raise httpx.ReadTimeout("no answer")

    monkeypatch.setattr(watched.it, "_next_slots", hang)
    for _ in range(4):
        watched.it._check_schedules()
    assert watched.it._server.stops == 0
    watched.it._check_schedules()
    assert watched.it._server.stops == 1
    assert [event.name for event in watched.events] == ["unanswered"] * 5


@pytest.mark.parametrize("url", ["http://prefect.example/api"])
def test_with_a_configured_server_none_is_started(tmp_path, monkeypatch, url):
    watched = Watched(write_shop(tmp_path), monkeypatch)
    assert watched.it._server is not None
    assert watched.it.api_url == "http://127.0.0.1:4200/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    other = Supervisor(watched.it.settings, watched.it.config, watched.it.tell)
    assert other._server is None
    assert other.api_url == url


class Dying:
    """A child that is found dead at every look."""

    name, pause, log = "worker", 1.0, "worker.log"
    ended_with = "exit code 1"

    def __init__(self):
        self.deaths = 0

    def is_due(self):
        self.deaths += 1
        return False

    def last_words(self):
        return "no space left"


def test_each_death_is_said_and_people_are_told_of_the_third(tmp_path, monkeypatch):
    watched = Watched(write_shop(tmp_path), monkeypatch)
    child = Dying()
    for deaths in range(1, 5):
        watched.it._look_after(child)
        assert len(watched.events) == deaths
        assert len(watched.kinds()) == (deaths >= 3)
    event = watched.events[0]
    assert (event.name, event.what, event.how) == ("died", "worker", "exit code 1")
    assert watched.notified[0][2] == {"how": "exit code 1", "said": "no space left"}


def test_a_run_that_was_cut_off_twice_is_told_of(tmp_path, monkeypatch):
    watched = Watched(write_shop(tmp_path), monkeypatch)
    result = (
        SERVED[0].model_copy(update={"given_up": True}),
        SERVED[1].model_copy(update={"again": True}),
    )

    class Started:
        def start(self, *_arguments, pipes):
            os.write(pipes[0], json.dumps([one.model_dump() for one in result]).encode())

    watched.it._worker = Started()
    watched.it._start_worker()
    assert watched.it._served == result
    assert RunAgain("train/on-drift") in watched.events
    [(kind, subject)] = watched.kinds()
    assert (kind, subject.split(" was ")[0]) == ("failed", "daily/nightly")
