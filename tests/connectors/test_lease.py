"""One run at a time: held, renewed, given up, taken over."""

import json
import os
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.lease import Lease, LeaseLostError

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def test_a_lease_names_its_holder_while_it_is_held(tmp_path):
    lease = Lease(tmp_path / "lease.json", Watch())
    assert lease.holder() is None
    with lease.hold() as name:
        assert lease.holder().name == name
        assert lease.holder().pid == os.getpid()
        lease.check(name)
    assert lease.holder() is None


def test_a_second_run_waits_until_the_first_is_done_and_is_told_for_whom(tmp_path):
    lease, order, waited = Lease(tmp_path / "lease.json", Watch()), [], []
    is_held, may_end = threading.Event(), threading.Event()

    def first() -> None:
        with lease.hold():
            is_held.set()
            may_end.wait(10)
            order.append("first")

    worker = threading.Thread(target=first)
    worker.start()
    is_held.wait(10)

    def wait(holder) -> None:
        waited.append(holder.pid)
        may_end.set()

    with lease.hold(wait):
        order.append("second")
    worker.join()
    assert order == ["first", "second"]
    assert waited == [os.getpid()]


def test_the_lease_of_a_killed_process_is_free_at_once(tmp_path):
    path = tmp_path / "lease.json"
    code = (
        "import os, sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from connectors.lease import Lease\n"
        "lease = Lease(Path(sys.argv[1]), lambda: datetime.now(UTC))\n"
        "with lease.hold(): os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert json.loads(path.read_text())["pid"] != os.getpid()
    lease = Lease(path, lambda: datetime.now(UTC))
    assert lease.holder() is None
    with lease.hold() as name:
        lease.check(name)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system shows no /proc")
def test_the_lease_of_a_killed_process_that_nobody_waited_for_is_free(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    held = {"name": "a", "host": socket.gethostname(), "pid": child.pid}
    times = {"since": NOON.isoformat(), "until": (NOON + timedelta(hours=1)).isoformat()}
    path = tmp_path / "lease.json"
    path.write_text(json.dumps({**held, **times}))
    lease = Lease(path, Watch())
    assert lease.holder().pid == child.pid
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    assert lease.holder() is None
    child.wait()


def test_a_holder_elsewhere_is_followed_when_its_lease_is_over_and_not_before(tmp_path):
    watch = Watch()
    lease = Lease(tmp_path / "lease.json", watch, seconds=60)
    values = {
        "name": "other",
        "host": "another machine",
        "pid": 1,
        "since": NOON.isoformat(),
        "until": (NOON + timedelta(seconds=60)).isoformat(),
    }
    lease.path.write_text(json.dumps(values))
    assert lease.holder().host == "another machine"
    watch.now += timedelta(seconds=61)
    assert lease.holder() is None
    with lease.hold():
        pass


def test_who_slept_through_the_lease_may_not_publish(tmp_path):
    watch = Watch()
    path = tmp_path / "lease.json"
    sleeper, next_one = Lease(path, watch, seconds=60), Lease(path, watch, seconds=60)
    with sleeper.hold() as name:
        watch.now += timedelta(seconds=61)
        with next_one.hold() as taken:
            next_one.check(taken)
            with pytest.raises(LeaseLostError, match="one run at a time"):
                sleeper.check(name)


def test_a_living_holder_renews_its_lease(tmp_path):
    lease = Lease(tmp_path / "lease.json", lambda: datetime.now(UTC), seconds=0.6)
    with lease.hold() as name:
        threading.Event().wait(1.5)
        lease.check(name)
        assert lease.holder().name == name


def test_a_lease_that_a_crash_cut_short_is_free(tmp_path):
    path = tmp_path / "lease.json"
    path.write_text('{"name": "ab')
    assert Lease(path, Watch()).holder() is None


@pytest.mark.parametrize(
    "damage",
    [
        {"until": "soon"},
        {"until": "2999-01-01T00:00:00"},
        {"until": 5},
        {"since": None},
        {"pid": "a"},
        {"pid": 0},
        {"pid": -1},
        {"pid": 10**30},
    ],
)
def test_a_damaged_holder_is_nobody(tmp_path, damage):
    path = tmp_path / "lease.json"
    lease = Lease(path, lambda: datetime.now(UTC))
    with lease.hold():
        whole = json.loads(path.read_text())
        assert lease.holder() is not None
    path.write_text(json.dumps({**whole, **damage}))
    assert lease.holder() is None
    with lease.hold() as name:
        lease.check(name)
