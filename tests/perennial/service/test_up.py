"""`perennial up`, as a person starts it: the real command, a real Prefect server, cron, events, signals."""

import json
import os
import signal
import socket
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from perennial.service.server import _free_port
from tests.perennial.pipeline.runtime.test_notify import webhook  # noqa: F401  # a fixture
from tests.perennial.service.serving import (
    PROGRAM,
    Up,
    await_that,
    emit,
    environment,
    move_shop,
    processes_of,
    slot_of,
)
from tests.shops import write_shop

pytestmark = pytest.mark.slow

EVERY_MINUTE = '\n[schedule]\nport = {port}\ndaily = "* * * * *"\ntrain = "0 5 * * sun"\n'


def up_says(config: Path) -> tuple[int, str]:
    done = subprocess.run(
        [PROGRAM, "up", "--config", str(config), "--json"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
    )
    return done.returncode, done.stderr


def await_message(webhook, run: str):  # noqa: F811
    """Wait until people are told of a run; return the message."""

    def of_run():
        return [text for _, text in webhook.got if text["facts"]["run"] == run]

    await_that(lambda: bool(of_run()), f"word of {run}")
    return of_run()[0]


@pytest.fixture(scope="module")
def story(published, tmp_path_factory):
    """Serve a trained shop until its schedule has run, drift was met, and it was stopped."""
    began = time.monotonic()
    took = {}

    def lap(name: str) -> None:
        took[name] = round(time.monotonic() - began - sum(took.values()), 1)

    folder = tmp_path_factory.mktemp("up") / "shop"
    config = move_shop(published[0], folder, EVERY_MINUTE.format(port=_free_port()))
    up = Up.start(config)
    try:
        serving = up.wait_for("serving")
        lap("ready")
        second = up_says(config)
        lap("a second one refused")
        scheduled = up.wait_for_run("daily/nightly", "COMPLETED")
        lap("a scheduled run completed")
        up.ask(f"deployments/{scheduled['deployment_id']}/pause_deployment", {})  # once is enough
        current = json.loads((folder / "exports" / "CURRENT.json").read_text())
        emit(up.api_url, "perennial.drift.confirmed", folder)
        trained = up.wait_for_run("train/on-drift", "COMPLETED")
        lap("a retrain after drift completed")
        artifacts = up.ask("artifacts/filter", {})
        logs = up.ask("logs/filter", {"limit": 200})
        worker = up.children()["perennial.service.worker"]
        os.kill(worker, signal.SIGKILL)
        up.wait_for("restarted")
        lap("a killed worker restarted")
        is_other = up.children()["perennial.service.worker"] != worker
        deployments = {one["name"]: one for one in up.ask("deployments/filter", {})}
        took["stopped"] = round(up.stop(), 1)
        left = processes_of(folder)
        print(f"perennial up: {took}, {time.monotonic() - began:.0f} s in all")  # noqa: T201  # with -s
        yield {
            "serving": serving, "second": second, "scheduled": scheduled, "current": current,
            "trained": trained, "artifacts": artifacts, "logs": logs, "is_other": is_other, "deployments": deployments,
            "code": up.process.returncode, "left": left, "events": up.events, "config": config,
        }  # fmt: skip
    finally:
        up.end()


def test_it_says_where_its_pages_are_and_when_everything_runs(story):
    values = {one["deployment"]: one for one in story["serving"]["deployments"]}
    assert {"daily/nightly", "train/weekly", "train/on-drift"} <= set(values)
    assert values["daily/nightly"]["cron"] == "* * * * *"
    assert values["train/weekly"]["next"][11:16] == "05:00"
    assert values["train/on-drift"]["event"] == "perennial.drift.confirmed"
    assert story["serving"]["ui"].startswith("http://127.0.0.1:")
    assert story["serving"]["timezone"] == "Europe/Berlin"


def test_the_schedule_publishes_the_day_before_its_slot(story):
    run = story["scheduled"]
    assert run["auto_scheduled"] is True
    slot = slot_of(run)
    assert (slot.second, slot.microsecond) == (0, 0)
    day = slot.astimezone(ZoneInfo("Europe/Berlin")).date() - timedelta(days=1)
    assert run["name"] == f"daily {day}"
    assert {"store: Tiny Teas", f"as of: {day}", "trigger: schedule"} <= set(run["tags"])
    assert story["current"]["as_of"] == day.isoformat()


def test_drift_fits_anew_and_shows_the_gate(story):
    run = story["trained"]
    assert run["auto_scheduled"] is False
    assert run["parameters"]["trigger"] == "drift"
    assert run["name"].startswith("train ")
    assert "trigger: drift" in run["tags"]
    [gate] = [one for one in story["artifacts"] if one["key"] == "gate"]
    assert "| check | passed | result | threshold |" in gate["data"]
    assert "MLflow: run" in gate["data"]


def test_prefect_shows_what_our_packages_log(story):
    ours = [one["message"] for one in story["logs"] if one["name"].startswith("flows")]
    assert any(message.startswith("fit models: ") for message in ours)


def test_a_second_one_in_the_same_home_is_refused(story):
    code, record = story["second"]
    assert code == 2
    assert "one `perennial up` serves a home" in record


def test_a_worker_that_was_killed_is_started_again(story):
    [died] = [one for one in story["events"] if one["event"] == "died"]
    assert (died["what"], died["how"]) == ("worker", "signal SIGKILL")
    assert story["is_other"]


def test_what_people_paused_stays_paused_after_a_restart(story):
    assert story["deployments"]["nightly"]["paused"] is True
    assert story["deployments"]["weekly"]["paused"] is False


def test_it_stops_when_asked_and_leaves_no_process(story):
    assert story["code"] == 0
    assert story["events"][-1] == {"event": "stopped"}
    assert story["left"] == []


def test_killed_outright_in_the_middle_of_a_run_it_leaves_no_process_and_the_run_is_done_again(
    story, webhook  # noqa: F811
):  # fmt: skip
    """And of a run that fails, people are told."""
    config = story["config"]
    off = config.read_text().replace('daily = "* * * * *"', 'daily = "0 4 * * *"')
    config.write_text(off + f'\n[notify]\nwebhook = "{webhook.url}"\n')
    up = Up.start(config)
    try:
        up.wait_for("serving")
        train = next(one for one in up.ask("deployments/filter", {}) if one["name"] == "weekly")
        up.ask(f"deployments/{train['id']}/create_flow_run", {})
        up.wait_for_run("train/weekly", "RUNNING")
        up.process.kill()
        up.process.wait()
        await_that(lambda: not processes_of(config.parent), "its processes to leave")
    finally:
        up.end()
    (config.parent / "orders.csv").unlink()
    up = Up.start(config)
    try:
        up.wait_for("serving")
        assert "train/weekly" in [one["deployment"] for one in up.said("again")]
        up.wait_for_run("train/weekly", "CRASHED")
        again = up.wait_for_run("train/weekly", "FAILED")
        assert "again" in again["tags"]
        reported = await_message(webhook, again["name"])
        assert reported["kind"] == "failed"
        assert "nothing is at" in reported["facts"]["what"]
        assert (
            reported["facts"]["details"]
            == f"{up.said('serving')[0]['ui']}/runs/flow-run/{again['id']}"
        )
        up.stop()
        assert processes_of(config.parent) == []
    finally:
        up.end()


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        config = write_shop(tmp_path)
        config.write_text(config.read_text() + f"[schedule]\nport = {port}\n")
        code, result = up_says(config)
    assert code == 2
    assert f"127.0.0.1:{port}" in result
    assert "set schedule.port" in result
    assert not (tmp_path / ".prefect" / "server.log").exists()
