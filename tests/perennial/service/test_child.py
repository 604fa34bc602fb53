"""Children that die are started again, ever more slowly, and take what they started with them."""

import os
import signal
import time
from pathlib import Path

import pytest
from filelock import FileLock

from perennial.cli.facts import PrefectPlace
from perennial.cli.operate import in_words
from perennial.cli.runner import choose_runner
from perennial.pipeline.settings.store import build_settings
from perennial.service.child import LONGEST_LOG, Child
from perennial.service.events import ChildDied, ComingRun, Serving, Stopped
from perennial.service.scheduler import server_environment
from perennial.service.server import UP_LOCK, forget_serving, say_serving, served_api_url

CODE = """
import subprocess, sys, time
from perennial.service.server import leave_with_parent
leave_with_parent(within_seconds=0.5)
if "with a child" in sys.argv:
    print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
if "deaf" in sys.argv:
    import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("it runs", flush=True)
time.sleep(0 if "short" in sys.argv else 600)
print("it ended", flush=True)
"""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def child(tmp_path, monkeypatch):
    """A child whose module is written here, and its clock."""
    (tmp_path / "a_child_of_a_test.py").write_text(CODE)
    clock = Clock()
    made = Child(
        "child", "a_child_of_a_test", tmp_path / "log", {"PYTHONPATH": str(tmp_path)}, clock
    )
    yield made, clock
    made.stop(0.1)


def until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def output(child):
    return child.log.read_text().split("\n") if child.log.exists() else []


def test_pauses_between_deaths_double_up_to_a_minute(child):
    child, clock = child
    pauses = []
    for _ in range(8):
        child.start("short")
        child._process.wait(timeout=60)
        assert not child.is_due()  # the pause begins
        pauses.append(child.pause)
        clock.now += child.pause - 0.1
        assert not child.is_due()
        clock.now += 0.2
        assert child.is_due()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert child.deaths == 8
    clock.now += 1
    child.start("short")
    child._process.wait(timeout=60)
    clock.now += 301  # it was well for five minutes
    assert not child.is_due()
    assert (child.deaths, child.pause) == (1, 1)


def test_a_childs_end_and_last_words_are_known(child):
    child, _ = child
    assert not child.is_alive()
    child.start("short")
    child._process.wait(timeout=60)
    assert child.ended_with == "exit code 0"
    assert child.last_words() == "it ended"
    child.start()
    until(lambda: output(child).count("it runs") == 2)
    assert child.ended_with == "it runs"
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not child.is_alive())
    assert child.ended_with == "signal SIGKILL"
    assert child.pid is None


def test_a_child_that_does_not_listen_is_ended_with_all_that_it_started(child):
    child, _ = child
    child.start("deaf", "with a child")
    until(lambda: "it runs" in output(child))
    grandchild = int(output(child)[0])
    child.stop(0.2)
    assert child.ended_with == "signal SIGKILL"
    until(lambda: is_gone(grandchild))


def test_what_a_dead_child_started_is_ended_before_it_starts_again(child):
    child, _ = child
    child.start("with a child")
    until(lambda: "it runs" in output(child))
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not child.is_alive())
    assert not child.is_due()
    until(lambda: is_gone(int(output(child)[0])))


def test_a_child_and_all_that_it_started_leave_when_the_pipe_closes(child):
    child, _ = child
    child.start("deaf", "with a child")
    until(lambda: "it runs" in output(child))
    child._process.stdin.close()
    until(lambda: not child.is_alive())
    until(lambda: is_gone(int(output(child)[0])))


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_a_long_log_is_begun_anew_and_one_old_one_is_kept(child):
    child, _ = child
    child.log.write_bytes(b"x" * (LONGEST_LOG + 1))
    child.start("short")
    child._process.wait(timeout=60)
    assert output(child)[0] == "it runs"
    assert child.log.with_name("log.1").stat().st_size == LONGEST_LOG + 1


def test_a_child_runs_no_code_of_the_folder_that_it_is_started_in(tmp_path, monkeypatch):
    """A store's folder may hold a file named like a module."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flows.py").write_text("raise SystemExit(3)")
    child = Child("child", "flows", tmp_path / "log", {})
    child.start()
    child._process.wait(timeout=60)
    assert "flows" in child.last_words()
    assert child.ended_with == "exit code 1"  # our package cannot be run as a module
    child.stop(0.1)


def test_prefects_server_is_told_what_the_settings_say_and_the_environment_wins(
    tmp_path, monkeypatch
):
    for name in list(os.environ):
        if name.startswith("PREFECT_"):
            monkeypatch.delenv(name)
    settings = build_settings(
        {
            "orders": {"source": "a.csv"},
            "schedule": {
                "port": 4300,
                "keep_runs_days": 30,
                "keep_events_days": 3,
                "database": "postgresql+asyncpg://db/prefect",
            },
        },
        tmp_path,
    )
    reported = server_environment(settings)
    assert reported["PREFECT_HOME"] == str(tmp_path / ".prefect")
    assert reported["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"
    assert reported["PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"] == "events,flow_runs"
    assert reported["PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD"] == "2592000"
    assert reported["PREFECT_SERVER_EVENTS_RETENTION_PERIOD"] == "P3D"
    assert reported["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://db/prefect"
    monkeypatch.setenv("PREFECT_SERVER_EVENTS_RETENTION_PERIOD", "P1D")
    assert server_environment(settings)["PREFECT_SERVER_EVENTS_RETENTION_PERIOD"] == "P1D"


def test_events_are_told_in_words():
    deployments = (
        ComingRun("daily/nightly", cron="0 4 * * *", event=None, next="2026-11-28T04:00+01:00"),
        ComingRun("train/on-drift", cron=None, event="drift", next=None),
        ComingRun("train/weekly", cron=None, event=None, next=None),
    )
    lines = in_words(Serving("U", "A", home="H", timezone="Z", deployments=deployments))
    assert lines[1:4] == [
        "daily/nightly: 2026-11-28T04:00+01:00 (0 4 * * *, Z)",
        "train/on-drift: after drift",
        "train/weekly: by hand",
    ]
    died = ChildDied(
        "worker", how="exit code 1", last_words="no space left", again_in=1.0, log="L"
    )
    assert in_words(died) == [
        "died: what: worker, how: exit code 1, said: no space left, again in: 1.0, log: L"
    ]
    assert in_words(Stopped()) == ["stopped"]


def test_other_commands_in_the_home_find_the_server_while_it_is_served(tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    url = "http://127.0.0.1:4300/api"
    assert served_api_url(tmp_path) is None
    say_serving(tmp_path, url)
    assert served_api_url(tmp_path) is None  # word of one that was killed
    with FileLock(tmp_path / UP_LOCK):
        assert served_api_url(tmp_path) == url
        with choose_runner(tmp_path, prefect=True) as runner:
            assert runner.where == PrefectPlace(api_url=url, ui="http://127.0.0.1:4300")
            assert os.environ["PREFECT_API_URL"] == url
        assert "PREFECT_API_URL" not in os.environ
        with choose_runner(tmp_path, prefect=False) as runner:
            assert runner.where.api_url is None
    forget_serving(tmp_path)
    assert served_api_url(tmp_path) is None
