"""Publishing: whole days or nothing, whatever moment the process dies at."""

import json
import random
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from connectors.store import REQUIRED_FILES, Store, replace_file
from features.tables import DataError
from tests.published import write_required_files

MONDAY, TUESDAY = date(2024, 1, 1), date(2024, 1, 2)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "exports")


def test_nothing_is_current_before_the_first_day(store):
    assert store.current() is None
    assert store.days(MONDAY) == []


def test_a_published_day_is_current(store):
    day = store.publish(MONDAY, "a", write_required_files)
    assert store.current() == day
    assert day.folder == store.exports / "scores/as_of=2024-01-01/run=a"
    assert json.loads(store.pointer.read_text()) == {
        "as_of": "2024-01-01",
        "run_id": "a",
        "path": "scores/as_of=2024-01-01/run=a",
    }


def test_the_exports_folder_can_be_moved(store, tmp_path):
    store.publish(MONDAY, "a", write_required_files)
    store.exports.rename(tmp_path / "elsewhere")
    assert Store(tmp_path / "elsewhere").current().file("run.json").exists()


def test_an_earlier_day_never_becomes_current(store):
    tuesday = store.publish(TUESDAY, "b", write_required_files)
    monday = store.publish(MONDAY, "a", write_required_files)
    assert store.current() == tuesday
    store.make_current(monday)
    assert store.current() == tuesday
    assert store.days(MONDAY) == [monday]


def test_the_same_day_again_replaces_the_pointer_and_keeps_the_old_run(store):
    store.publish(MONDAY, "a", write_required_files)
    again = store.publish(MONDAY, "b", write_required_files)
    assert store.current() == again
    assert [day.run_id for day in store.days(MONDAY)] == ["a", "b"]


def test_a_day_with_a_file_missing_is_not_published(store):
    def forget_the_page(folder: Path) -> None:
        write_required_files(folder)
        (folder / "report.html").unlink()

    with pytest.raises(DataError, match=r"report\.html was not written"):
        store.publish(MONDAY, "a", forget_the_page)
    assert store.current() is None
    assert store.days(MONDAY) == []


def test_a_file_of_an_earlier_day_is_found_under_its_old_name(store):
    def write_as_before(folder: Path) -> None:
        write_required_files(folder)
        (folder / "moments.csv").write_text("customer_id,moment")

    day = store.publish(MONDAY, "a", write_as_before)
    assert day.file("triggers.csv").name == "triggers.csv"
    (day.folder / "triggers.csv").unlink()
    assert day.file("triggers.csv").read_text() == "customer_id,moment"
    (day.folder / "moments.csv").unlink()
    assert day.file("triggers.csv").name == "triggers.csv"  # of the first format: neither is there


def test_an_error_while_writing_publishes_nothing(store):
    first = store.publish(MONDAY, "a", write_required_files)

    def fail(folder: Path) -> None:
        write_required_files(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.publish(TUESDAY, "b", fail)
    assert store.current() == first
    assert store.days(TUESDAY) == []
    assert not list(store.exports.glob("scores/*/.stage-*"))  # it would keep the space


def test_a_draft_that_could_not_be_written_is_removed(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(draft: Path) -> None:
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(path, fail)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.json", "old")]


def test_a_run_is_published_once(store):
    store.publish(MONDAY, "a", write_required_files)
    with pytest.raises(DataError, match="written once"):
        store.publish(MONDAY, "a", write_required_files)


PUBLISHER = """
import json, sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from connectors.formats import FORMAT
from connectors.store import REQUIRED_FILES, Store

def write(run):
    def files(folder):
        for name in REQUIRED_FILES:
            with (folder / name).open("w") as out:
                for part in range(5):  # a kill may fall between any two writes
                    out.write(json.dumps({"run": run, "part": part}) + "\\n")
                    out.flush()
        record = {"format": FORMAT, "run": run, "published_at": datetime.now(UTC).isoformat()}
        (folder / "run.json").write_text(json.dumps(record))
    return files

store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for n in range(int(sys.argv[2]), 10_000):
    store.publish(date(2024, 1, 1) + timedelta(days=n), f"r{n}", write(f"r{n}"))
"""


def test_a_kill_at_any_moment_leaves_a_whole_day_current(store):
    """A real process that publishes day after day is killed at seeded moments, forty times or more."""
    moments = random.Random(20240101)
    newest, kills = -1, 0
    while kills < 40 or (newest <= 40 and kills < 400):
        kills += 1
        start = newest + 1
        while store.days(MONDAY + timedelta(days=start)):
            start += 1  # killed between the rename and the pointer: that day is there, and whole
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, str(store.exports), str(start)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        current = store.current()
        if current is None:
            continue
        assert current.record()["run"] == current.run_id
        for name in set(REQUIRED_FILES) - {"run.json"}:
            parts = [json.loads(line) for line in current.file(name).read_text().splitlines()]
            assert [part["part"] for part in parts] == list(range(5))
            assert {part["run"] for part in parts} == {current.run_id}
        assert current.run_id == f"r{(current.as_of - MONDAY).days}"
        assert (current.as_of - MONDAY).days >= newest
        newest = (current.as_of - MONDAY).days
    assert newest > 40


@pytest.mark.parametrize("touched", [["a"], ["a", "b"], ["b", "a"], ["c", "a", "b"]])
def test_publications_are_in_their_order_whatever_was_rewritten_since(store, touched):
    for run in "abc":
        store.publish(MONDAY, run, write_required_files)
    for run in touched:
        (store.exports / f"scores/as_of=2024-01-01/run={run}/new").touch()
    assert [day.run_id for day in store.days(MONDAY)] == ["a", "b", "c"]
    assert [day.run_id for day in store.published_days(MONDAY, MONDAY)] == ["c"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"published_at": "soon"}'])
def test_a_publication_whose_record_is_broken_is_named(store, text):
    day = store.publish(MONDAY, "a", write_required_files)
    day.file("run.json").write_text(text)
    with pytest.raises(DataError, match=r"run\.json is not\. Bring .*run=a back from a backup"):
        store.days(MONDAY)
