"""The raw store: whole pulls or none, the newest version, kills, compaction and erasure."""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.lease import LeaseLostError
from connectors.live import pulls as writing
from connectors.live.queries import Memory, StoredCount
from connectors.live.raw import RawAccount, RawStore
from connectors.live.records import Manifest, PlannedPull, PullKind, RawRow, Window
from connectors.live.windows import horizon
from features.tables import DataError
from tests.connectors.live.pulled_store import (
    FINAL,
    FIRST,
    Program,
    day,
    order,
    outcome,
    read,
)

NIGHT = PlannedPull(Window(day(0), day(10)), PullKind.NIGHT)


@pytest.fixture(autouse=True, scope="module")
def fast_disk():
    """Do not wait for the disk: no test here cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def store(tmp_path):
    return RawStore(tmp_path / "orders", now=lambda: day(50))


def pull(store, *rows, planned=NIGHT, deleted=(), count=None):
    one = store.begin(planned, "v1")
    one.add(rows)
    one.delete(deleted)
    return one.finish(count)


def latest(store):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latest.parquet"
        rows = store.latest(path)
        table = read(path)
    assert rows == len(table)
    return {row["key"]: json.loads(row["payload"]) for row in table}


class KilledError(BaseException):
    """Ends a process in a test."""


# --- whole or not at all


def test_a_pull_without_a_manifest_did_not_happen(store):
    one = store.begin(NIGHT, "v1")
    one.add([order("a", 1)])
    one.checkpoint({"page": 2}, force=True)
    assert (latest(store), store.manifests(), store.horizon()) == ({}, [], None)
    assert store.history().unfinished == NIGHT
    one.finish()
    assert list(latest(store)) == ["a"]
    assert store.history().unfinished is None


def test_a_manifest_holds_what_is_needed_to_trust_a_pull(store):
    plan = Window(day(0), day(40))
    planned = PlannedPull(Window(day(0), day(30)), PullKind.BACKFILL, plan)
    rows = [order("a", 1), order("b", 2, updated=5), order("a", 1, updated=9)]
    written = pull(store, *rows, planned=planned, count=2)
    (manifest,) = store.manifests()
    assert manifest == written
    assert (manifest.kind, manifest.window, manifest.plan) == ("backfill", planned.window, plan)
    assert (manifest.api_version, manifest.platform_count) == ("v1", 2)
    assert (manifest.rows, manifest.keys, manifest.tombstones) == (3, 2, 0)
    assert (manifest.min_updated_at, manifest.max_updated_at) == (day(1), day(9))
    assert manifest.horizon == store.horizon() == day(30)
    (part,) = manifest.parts
    path = store.folder / f"pull={manifest.pull}" / part.name
    assert (part.rows, part.size_bytes) == (3, path.stat().st_size)
    assert json.loads((path.parent / "manifest.json").read_text())["window"] == {
        "start": "2026-01-01T00:00:00Z",
        "end": "2026-01-31T00:00:00Z",
    }


def test_an_empty_pull_is_a_pull(store):
    manifest = pull(store)
    assert (manifest.rows, manifest.parts, manifest.min_updated_at) == (0, (), None)
    assert store.horizon() == day(10)
    assert latest(store) == {}


@pytest.mark.parametrize("damage", ["changed", "cut", "missing"])
def test_a_part_that_differs_from_its_manifest_is_refused(store, tmp_path, damage):
    manifest = pull(store, *FIRST)
    path = store.folder / f"pull={manifest.pull}" / manifest.parts[0].name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content if damage == "changed" else content[:-10])
    wrong = "is missing" if damage == "missing" else "SHA-256 differs"
    for use in (
        lambda: store.latest(tmp_path / "latest.parquet"),
        lambda: store.counts("day"),
        lambda: store.forget(["o1"]),
    ):
        with pytest.raises(DataError, match=rf"part-00000.*{wrong}.*[Bb]ring .* pull again"):
            use()
    assert not (tmp_path / "latest.parquet").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "x": 2}'])
def test_a_manifest_that_cannot_be_read_is_refused(store, text):
    manifest = pull(store, *FIRST)
    (store.folder / f"pull={manifest.pull}" / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest.json cannot be read .* pull again"):
        store.manifests()


def test_a_newer_format_is_refused(store):
    manifest = pull(store, *FIRST)
    path = store.folder / f"pull={manifest.pull}" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(DataError, match="has format 2"):
        store.manifests()


def test_later_pulls_have_greater_ids_whatever_the_clock_shows(tmp_path):
    moments = iter([day(9), day(9), day(9), day(2), day(2), day(12)] * 3)
    store = RawStore(tmp_path / "orders", now=lambda: next(moments))
    ids = [pull(store).pull for _ in range(6)]
    assert ids == sorted(set(ids))


# --- the newest version


def test_the_latest_update_counts_then_the_latest_pull_then_the_position(store):
    pull(store, order("a", 1, "new", updated=5), order("b", 1, "old"), order("b", 1, "newer"))
    pull(store, order("a", 1, "stale", updated=4), order("c", 1, "x"))
    pull(store, order("c", 1, "y"))
    states = {key: payload["state"] for key, payload in latest(store).items()}
    assert states == {"a": "new", "b": "newer", "c": "y"}


def test_without_times_of_change_the_latest_pull_counts(store):
    pull(store, RawRow("a", {"n": 1}), RawRow("a", {"n": 2}))
    pull(store, RawRow("a", {"n": 3}))
    assert latest(store) == {"a": {"n": 3}}


def test_a_tombstone_hides_until_the_object_is_read_again(store):
    pull(store, order("a", 1, updated=5), order("b", 1))
    manifest = pull(store, deleted=["a", "never"])
    assert (manifest.rows, manifest.tombstones) == (1, 1)
    assert list(latest(store)) == ["b"]
    assert store.counts("day") == {date(2026, 1, 2): StoredCount(live=1, deleted=1)}
    assert store.keys(Window(day(1), day(2))) == {"b"}
    pull(store, order("a", 1, updated=5))  # unchanged: it was an outage, or came out of the trash
    assert sorted(latest(store)) == ["a", "b"]
    assert store.counts("month") == {date(2026, 1, 1): StoredCount(live=2)}


keys = st.sampled_from(["a", "b", "c", "d"])
row = st.tuples(st.just("row"), keys, st.none() | st.integers(0, 4), st.integers(0, 9))
step = st.lists(row | st.tuples(st.just("delete"), keys), max_size=6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(step, st.booleans()), min_size=1, max_size=5), st.sets(keys, max_size=1))
def test_latest_is_what_a_dict_would_hold(pulled, erased):
    model = {}
    with tempfile.TemporaryDirectory() as folder:
        store = RawStore(Path(folder) / "orders", now=lambda: day(50))
        for steps, is_compacted in pulled:
            whole = {key: version for key, version in model.items() if version[1] is not None}
            one = store.begin(NIGHT, "v1")
            for kind, key, *rest in steps:
                if kind == "row":
                    updated, number = rest
                    moment = None if updated is None else day(updated)
                    one.add([RawRow(key, {"n": number}, moment)])
                    _see(model, key, updated, {"n": number})
                elif key in whole:
                    one.delete([key])
                    _see(model, key, whole[key][0], None)
                else:
                    one.delete([key])
            one.finish()
            if is_compacted:
                store.compact()
            assert latest(store) == {k: v[1] for k, v in model.items() if v[1] is not None}
        store.forget(erased)
        kept = {k: v[1] for k, v in model.items() if v[1] is not None and k not in erased}
        assert latest(store) == kept


def _see(model, key, updated, payload):
    """Let a version replace an older one, or one of the same time."""
    order_of = -1 if updated is None else updated
    if key not in model or order_of >= (-1 if model[key][0] is None else model[key][0]):
        model[key] = (updated, payload)


@pytest.mark.parametrize(
    "payload",
    [
        {"ü": "Ω\u0000\u2028", "n": None, "x": [1, 2.5, {"b": True}]},
        {"id": 2**70, "price": 0.1},
        {},
    ],
)
def test_payloads_come_back_as_they_were(store, payload):
    pull(store, RawRow("a", payload))
    assert latest(store) == {"a": payload}


def test_half_a_surrogate_pair_becomes_a_question_mark(store):
    pull(store, RawRow("a", {"name": "x\ud83d"}))
    assert latest(store) == {"a": {"name": "x?"}}


def test_equal_payloads_have_equal_hashes(store, tmp_path):
    pull(store, RawRow("a", {"x": 1, "y": 2}), RawRow("b", {"y": 2, "x": 1}))
    store.latest(tmp_path / "latest.parquet")
    one, two = read(tmp_path / "latest.parquet")
    assert one["sha256"] == two["sha256"]
    assert list(one) == [
        "key",
        "updated_at",
        "happened_at",
        "pull",
        "position",
        "sha256",
        "payload",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        RawRow("", {}),
        RawRow("a", {"x": float("nan")}),
        RawRow("a", {}, datetime(2026, 1, 1)),  # noqa: DTZ001
        RawRow("a", {}, None, datetime(2026, 1, 1)),  # noqa: DTZ001
    ],
)
def test_a_row_that_is_none_is_refused(store, wrong):
    with pytest.raises(ValueError, match=r"key|time zone|JSON"):
        store.begin(NIGHT, "v1").add([wrong])


# --- kills


def test_a_killed_pull_is_resumed_from_its_last_checkpoint(store):
    one = store.begin(NIGHT, "v1")
    assert (one.cursor, one.is_resumed) == (None, False)
    one.add([order("a", 1), order("b", 1)])
    one.checkpoint({"page": 2}, force=True)
    one.add([order("c", 1)])
    resumed = store.begin(NIGHT, "v1")
    assert (resumed.id, resumed.cursor, resumed.rows) == (one.id, {"page": 2}, 2)
    resumed.add([order("d", 1)])
    assert resumed.finish().rows == 3
    assert sorted(latest(store)) == ["a", "b", "d"]


def test_parts_that_progress_does_not_name_are_dropped(store, monkeypatch):
    monkeypatch.setattr(writing, "PART_ROWS", 2)
    one = store.begin(NIGHT, "v1")
    one.add([order("a", 1), order("b", 1)])
    assert one.checkpoint({"page": 2}) is True
    one.add([order(f"x{number}", 1) for number in range(5)])  # flushes a part by itself
    folder = store.folder / f"pull={one.id}"
    assert len(list(folder.glob("part-*"))) == 2
    resumed = store.begin(NIGHT, "v1")
    assert [path.name for path in folder.glob("part-*")] == ["part-00000.parquet"]
    resumed.finish()
    assert sorted(latest(store)) == ["a", "b"]


def test_a_checkpoint_is_written_with_a_part_only(store):
    one = store.begin(NIGHT, "v1")
    one.add([order("a", 1)])
    assert one.checkpoint({"page": 2}) is False
    assert store.begin(NIGHT, "v1").cursor is None


@pytest.mark.parametrize(
    ("planned", "version"),
    [
        (PlannedPull(NIGHT.window, PullKind.REPAIR), "v1"),
        (PlannedPull(Window(day(0), day(11)), PullKind.NIGHT), "v1"),
        (NIGHT, "v2"),
    ],
)
def test_another_plan_drops_what_is_unfinished(store, planned, version):
    one = store.begin(NIGHT, "v1")
    one.add([order("a", 1)])
    one.checkpoint({"page": 2}, force=True)
    assert store.begin(planned, version).cursor is None
    assert len(list(store.folder.glob("pull=*"))) == 1


def test_a_pull_whose_cursor_is_refused_restarts(store):
    one = store.begin(NIGHT, "v1")
    one.add([order("a", 1)])
    one.checkpoint({"page": 2}, force=True)
    one.add([order("b", 1)])
    one.restart()
    assert (one.cursor, one.rows) == (None, 0)
    one.add([order("c", 1)])
    assert one.finish().rows == 1
    assert list(latest(store)) == ["c"]


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The outcome of a run without kills, and how many writes each stage has."""
    folder = tmp_path_factory.mktemp("calm") / "orders"
    steps = []
    program = Program(folder, steps.append)
    counts = []
    for stage in program.stages():
        before = len(steps)
        stage()
        counts.append(len(steps) - before)
    return outcome(folder), counts


def test_a_calm_run_ends_as_planned(calm):
    (states, covered, keys_left), counts = calm
    assert states == FINAL
    assert [window.end for window in covered] == [day(48) - timedelta(hours=1)]
    assert keys_left == sorted([*FINAL, "gone"])
    assert all(counts)


@pytest.mark.parametrize("stage_number", range(6))
def test_a_kill_at_any_write_changes_nothing_in_the_end(calm, tmp_path, stage_number):
    expected, counts = calm
    for fatal in range(counts[stage_number]):
        folder = tmp_path / str(fatal) / "orders"
        folder.parent.mkdir()
        left = [fatal]

        def before_write(step, left=left):
            if left and not left[0]:
                left.clear()
                raise KilledError(step)
            if left:
                left[0] -= 1

        calm_program, program = Program(folder, lambda _: None), Program(folder, before_write)
        for stage in calm_program.stages()[:stage_number]:
            stage()
        with pytest.raises(KilledError):
            program.stages()[stage_number]()
        for stage in program.stages()[stage_number:]:
            stage()
        assert outcome(folder) == expected


@pytest.mark.parametrize("patience", [7, 10])
def test_kill_upon_kill_ends_in_the_same_state(calm, tmp_path, patience):
    """Each process gets a few writes further than the last one did."""
    folder, left = tmp_path / "orders", [0]

    def before_write(step):
        left[0] -= 1
        if left[0] < 0:
            raise KilledError(step)

    for name in [stage.__name__ for stage in Program(folder, before_write).stages()]:
        for attempt in range(40):
            left[0] = patience + attempt
            try:
                getattr(Program(folder, before_write), name)()
                break
            except KilledError:
                continue
        else:
            pytest.fail(f"{name} never ends")
    assert outcome(folder) == calm[0]


@pytest.mark.parametrize("stage_number", range(6))
def test_a_process_that_is_killed_leaves_what_the_next_one_needs(calm, tmp_path, stage_number):
    expected, counts = calm
    folder = tmp_path / "orders"
    program = Program(folder, lambda _: None)
    for stage in program.stages()[:stage_number]:
        stage()
    name = program.stages()[stage_number].__name__
    module = "tests.connectors.live.pulled_store"
    for share in (0.3, 0.8):
        fatal = str(max(1, int(share * counts[stage_number])))
        command = [sys.executable, "-P", "-m", module, str(folder), name, fatal]
        done = subprocess.run(command, check=False, capture_output=True, env=os.environ)
        assert done.returncode in (-signal.SIGKILL, 0), done.stderr.decode()
        assert share > 0.5 or done.returncode == -signal.SIGKILL
    for stage in program.stages()[stage_number:]:
        stage()
    assert outcome(folder) == expected


# --- compaction


def test_a_compaction_replaces_all_pulls_and_keeps_what_they_covered(store):
    pull(store, *FIRST, planned=PlannedPull(Window(day(0), day(41)), PullKind.BACKFILL))
    pull(store, order("o1", 10, "refunded", 42), planned=PlannedPull(NIGHT.window, NIGHT.kind))
    pull(store, deleted=["gone"], planned=PlannedPull(NIGHT.window, PullKind.RECONCILE))
    before, reached, counts = latest(store), store.horizon(), store.counts("month")
    manifest = store.compact()
    assert store.manifests() == [manifest]
    assert [one.name for one in store.folder.glob("pull=*")] == [f"pull={manifest.pull}"]
    assert (latest(store), store.horizon(), store.counts("month")) == (before, reached, counts)
    assert (manifest.rows, manifest.keys, manifest.tombstones) == (7, 7, 1)
    assert store.compact() is None
    pull(store, order("o1", 10, "stale", 41))
    assert latest(store)["o1"]["state"] == "refunded"


def test_a_compaction_has_several_parts_where_there_are_many_rows(store, monkeypatch):
    monkeypatch.setattr("connectors.live.raw.COMPACTED_BATCHES", 1)
    pull(store, *(RawRow(f"k{number}", {"n": number}) for number in range(3_000)))
    pull(store, RawRow("k7", {"n": -7}))
    before = latest(store)
    manifest = store.compact()
    assert len(manifest.parts) > 1
    assert sum(part.rows for part in manifest.parts) == manifest.rows == 3_000
    assert latest(store) == before


# --- erasure


def test_an_erased_object_is_gone_from_every_version_and_does_not_come_back(store):
    named = order("e1", 3, email="x@example.com")
    later = order("e1", 3, "refunded", updated=5, email="")
    pull(store, order("a", 1), named)
    untouched = pull(store, order("b", 1))
    pull(store, later)
    assert store.forget(lambda payload: payload["email"] == "x@example.com") == 1
    assert sorted(latest(store)) == ["a", "b"]
    assert [one.rows for one in store.manifests()] == [1, 1, 0]
    assert store.manifests()[1] == untouched
    everything = [row for path in store.folder.rglob("*.parquet") for row in read(path)]
    assert {row["key"] for row in everything} == {"a", "b"}
    pull(store, named, later, order("c", 1))
    assert sorted(latest(store)) == ["a", "b", "c"]
    assert store.erased().count(Window(day(3), day(4))) == 1
    assert "e1" in store.erased()
    assert '"e1"' not in (store.folder / "erased.json").read_text()
    assert store.forget(lambda payload: payload["email"] == "x@example.com") == 0


def test_objects_can_be_erased_by_key_even_before_they_are_pulled(store):
    pull(store, *FIRST)
    assert store.forget(["o1", "future"]) == 2
    pull(store, order("future", 1), order("o1", 10, "refunded", 40))
    assert sorted(latest(store)) == ["e1", "gone", "o0", "o2", "o3", "o4"]


def test_an_erasure_drops_what_is_unfinished(store):
    pull(store, *FIRST)
    one = store.begin(NIGHT, "v1")
    one.add([order("e1", 3)])
    one.checkpoint({"page": 2}, force=True)
    store.forget(["e1"])
    assert store.history().unfinished is None
    assert len(list(store.folder.glob("pull=*"))) == 1


def test_the_erasure_list_filters_a_pull_before_it_is_written(tmp_path):
    def is_erased(payload):
        return payload["email"] == "b@example.com"

    store = RawStore(tmp_path / "orders", now=lambda: day(50), is_erased=is_erased)
    one = store.begin(NIGHT, "v1")
    one.add([order("a", 1), order("e", 2, email="b@example.com")])
    one.checkpoint({"page": 2}, force=True)
    one.add([order("e", 2, email="")])  # a later version without the name is the same object
    manifest = one.finish()
    assert (manifest.rows, one.rows) == (1, 3)
    assert list(latest(store)) == ["a"]
    assert store.erased().count(Window(day(2), day(3))) == 1


def test_a_broken_erasure_list_is_refused(store):
    pull(store, *FIRST)
    store.forget(["o1"])
    (store.folder / "erased.json").write_text("{")
    with pytest.raises(DataError, match="backup"):
        store.begin(NIGHT, "v1")


# --- privacy and the lease


def test_only_the_owner_can_read_anything(tmp_path):
    previous = os.umask(0)
    try:
        account = RawAccount(tmp_path, "shopify", "shop.example", now=lambda: datetime.now(UTC))
        with account.hold():
            store = account.stream("orders")
            one = store.begin(NIGHT, "v1")
            one.add(FIRST)
            one.checkpoint({"page": 2}, force=True)
            one.finish()
            pull(store, *FIRST)
            store.compact()
            store.forget(["o1"])
            store.begin(NIGHT, "v1").checkpoint({"page": 2}, force=True)
            store.latest(store.folder / "latest.parquet")
            below = list((tmp_path / "live").rglob("*"))
            modes = {
                path: path.stat().st_mode & 0o777 for path in below if ".spill" not in str(path)
            }
    finally:
        os.umask(previous)
    private = {path: mode for path, mode in modes.items() if "lease" not in path.name}
    assert {path.name for path in private} >= {"manifest.json", "progress.json", "erased.json"}
    assert {mode for path, mode in private.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in private.items() if path.is_file()} == {0o600}
    assert (tmp_path / "live").stat().st_mode & 0o777 == 0o700


def test_an_account_has_a_folder_per_stream_whatever_its_name(tmp_path):
    account = RawAccount(
        tmp_path, "woocommerce", "shop.example/sub", now=lambda: datetime.now(UTC)
    )
    assert account.streams() == []
    with account.hold():
        for name in ("orders", "Placed Order/X"):
            pull(account.stream(name), order("a", 1))
    assert account.streams() == ["Placed Order/X", "orders"]
    assert account.folder == tmp_path / "live" / "woocommerce" / "shop.example%2Fsub"
    with pytest.raises(ValueError, match="names no folder"):
        account.stream("..")


def test_nothing_is_written_without_the_lease(tmp_path):
    account = RawAccount(tmp_path, "stripe", "acct", now=lambda: datetime.now(UTC))
    with pytest.raises(LeaseLostError, match="not held"):
        pull(account.stream("charges"), order("a", 1))
    with account.hold():
        one = account.stream("charges").begin(NIGHT, "v1")
        one.add([order("a", 1)])
        lease = account.folder / "lease.json"
        lease.write_text(lease.read_text().replace('"name": "', '"name": "0'))
        with pytest.raises(LeaseLostError, match="one run at a time"):
            one.finish()
    assert account.stream("charges").manifests() == []


def test_nothing_of_a_payload_is_logged_or_shown(store, caplog):
    caplog.set_level(logging.DEBUG)
    pull(store, order("a", 1, email="ada@example.com"))
    with pytest.raises(DataError) as refused:
        _damage(store)
    shown = [repr(order("a", 1, email="ada@example.com")), str(refused.value), caplog.text]
    assert not any("ada@example.com" in text for text in shown)


def _damage(store):
    (path,) = store.folder.rglob("*.parquet")
    path.write_bytes(b"x")
    store.counts("day")


def test_duckdb_keeps_to_its_memory(tmp_path):
    """The payloads are twice the limit."""
    memory = Memory("150MB", tmp_path / "spill")
    store = RawStore(tmp_path / "orders", now=lambda: day(50), memory=memory)
    for half in range(2):
        texts = (os.urandom(3_500).hex() for _ in range(20_000))
        rows = (
            RawRow(f"k{number}", {"half": half, "x": text}, day(half))
            for number, text in enumerate(texts)
        )
        pull(store, *rows)
    path = tmp_path / "latest.parquet"
    assert store.latest(path) == 20_000
    with pq.ParquetFile(path) as file:
        halves = {
            json.loads(payload)["half"]
            for batch in file.iter_batches(batch_size=1_000, columns=["payload"])
            for payload in batch["payload"].to_pylist()
        }
    assert halves == {1}


def test_a_manifest_leads_the_horizon(store):
    for number in range(3):
        window = Window(day(number), day(number + 1))
        manifest = pull(store, planned=PlannedPull(window, PullKind.NIGHT))
        assert isinstance(manifest, Manifest)
        assert manifest.horizon == horizon(store.manifests()) == day(number + 1)
