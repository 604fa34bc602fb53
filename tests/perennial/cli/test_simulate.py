"""A simulated store on disk, and the whole way on it."""

import hashlib
import json
import shutil
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from perennial.cli import simulate as simulate_module
from perennial.cli.simulate import CONFIG, RECORD, Simulation, write_simulation
from perennial.pipeline.settings.store import build_settings
from perennial.simulation import simulate
from perennial.simulation.forms import FORMS
from tests.invariants.published import PublishedFigures, violations
from tests.perennial.cli.test_demo import demo
from tests.reports.browser import look_at, needs_browser

SMALL = ("--customers", "300", "--start", "2024-01-01", "--end", "2025-03-01", "--seed", "7")
PUBLIC = Simulation("coffee", 300, date(2024, 1, 1), date(2025, 3, 1), 7)


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "perennial.toml"  # which names its own path
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory, perennial):
    folder = tmp_path_factory.mktemp("simulated") / "store"
    result = perennial("simulate", folder, *SMALL, "--form", "shopify", "--json")
    assert result.code == 0, result.err
    return folder, result.json


def test_the_tables_on_disk_are_the_worlds(store):
    folder, result = store
    world = simulate(300, date(2024, 1, 1), date(2025, 3, 1), 7, "coffee")
    for name, table in world.tables.items():
        assert pq.read_table(folder / f"{name}.parquet").equals(table), name
        assert result["rows"][name] == table.num_rows


def test_the_form_is_beside_them_with_what_must_come_of_it(store):
    folder, result = store
    form = FORMS["shopify"](simulate(300, date(2024, 1, 1), date(2025, 3, 1), 7, "coffee"))
    for name, frame in form.files.items():
        written = pd.read_csv(folder / "shopify" / name, dtype=str, keep_default_na=False)
        pd.testing.assert_frame_equal(written, frame, check_dtype=False)
    expected = pd.read_parquet(folder / "shopify_expected.parquet")
    assert expected["net_amount"].tolist() == form.expected["net_amount"].tolist()
    assert result["planted"] == {trap.trap: trap.count for trap in form.planted}


def test_the_same_again_writes_the_same_bytes(store, tmp_path, perennial):
    folder, _ = store
    assert perennial("simulate", tmp_path / "b", *SMALL, "--form", "shopify").code == 0
    assert hashes(tmp_path / "b") == hashes(folder)


def test_the_same_into_the_same_folder_writes_nothing(store, perennial):
    folder, first = store
    before = (folder / "orders.parquet").stat().st_mtime_ns
    result = perennial("simulate", folder, *SMALL, "--form", "shopify", "--json")
    assert (result.code, result.json) == (0, first)
    assert (folder / "orders.parquet").stat().st_mtime_ns == before


def test_another_store_is_never_written_over_it(store, perennial):
    folder, _ = store
    before = hashes(folder)
    result = perennial("simulate", folder, "--customers", "10", "--json")
    assert result.code == 2
    assert "a simulation needs a folder of its own" in result.json["error"]
    assert hashes(folder) == before


def test_the_settings_beside_the_tables_read_them(store, perennial):
    folder, _ = store
    settings = build_settings(tomllib.loads((folder / "perennial.toml").read_text()), folder)
    assert (settings.store.currency, settings.store.timezone) == ("USD", "America/New_York")
    result = perennial(
        "check", "--config", folder / "perennial.toml", "--as-of", "2025-02-28", "--json"
    )
    assert result.code == 0, result.err
    orders = pq.read_table(folder / "orders.parquet")
    assert result.json["accounting"] == {
        "rows_in": orders.num_rows,
        "orders": orders.num_rows,
        "merged": {"exact_duplicates": 0, "lines_summed": 0},
        "rejected": {},
    }


def test_cut_into_pieces_the_files_have_the_same_rows(store, tmp_path, monkeypatch):
    monkeypatch.setattr(simulate_module, "PIECE", 50)
    reported = []
    write_simulation(PUBLIC, tmp_path / "cut", lambda done, whole: reported.append((done, whole)))
    assert [done for done, _ in reported] == list(range(1, len(reported) + 1))
    assert len(reported) > 5
    assert reported[-1][0] <= reported[-1][1] + 2
    whole = pd.read_parquet(store[0] / "orders.parquet").sort_values("order_id", ignore_index=True)
    cut = pd.read_parquet(tmp_path / "cut" / "orders.parquet")
    pd.testing.assert_frame_equal(cut.sort_values("order_id", ignore_index=True), whole)


def test_a_simulation_that_was_stopped_leaves_nothing(tmp_path):
    def stop(done: int, whole: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_simulation(PUBLIC, tmp_path / "stopped", stop)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """An empty folder, and to be in it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_a_store_can_be_written_where_one_is(inside, store, perennial):
    before = inside.stat().st_ino
    result = perennial("simulate", ".", *SMALL, "--form", "shopify", "--json")
    assert result.code == 0, result.err
    assert inside.stat().st_ino == before  # else whoever is in it would be nowhere
    assert hashes(Path()) == hashes(store[0])
    assert list(inside.parent.iterdir()) == [inside]
    assert "--config perennial.toml --as-of" in Path("perennial.toml").read_text()
    again = perennial("simulate", inside, *SMALL, "--form", "shopify", "--json")
    assert (again.code, again.json["rows"]) == (0, result.json["rows"])


@pytest.mark.parametrize("reason", ["is_mount", "access"])
def test_a_folder_that_cannot_be_replaced_is_filled(reason, tmp_path, monkeypatch, store):
    out = tmp_path / "mounted"
    out.mkdir()
    before = out.stat().st_ino
    if reason == "is_mount":
        monkeypatch.setattr(Path, "is_mount", lambda path: path == out)
    else:  # root may write anywhere
        monkeypatch.setattr(simulate_module.os, "access", lambda path, _mode: path != tmp_path)
    write_simulation(replace(PUBLIC, form="shopify"), out)
    assert out.stat().st_ino == before
    assert hashes(out) == hashes(store[0])
    assert list(tmp_path.iterdir()) == [out]


def test_a_store_that_could_not_be_moved_whole_leaves_nothing(inside, monkeypatch):
    moved = []

    def move(file: Path, to: Path) -> None:
        if file.name == RECORD:
            raise OSError("no space left")
        moved.append(file.rename(to))

    monkeypatch.setattr(simulate_module.shutil, "move", move)
    with pytest.raises(OSError, match="no space left"):
        write_simulation(replace(PUBLIC, form="shopify"), Path())
    assert len(moved) > 10  # the record is the last
    assert list(inside.parent.rglob("*")) == [inside]


@pytest.mark.parametrize(
    "gone", ["truth.parquet", "perennial.toml", "shopify/orders_export_2.csv"]
)
def test_a_store_of_which_a_part_is_gone_is_not_taken_for_written(
    gone, store, tmp_path, perennial
):
    folder = shutil.copytree(store[0], tmp_path / "part")
    (folder / gone).unlink()
    result = perennial("simulate", folder, *SMALL, "--form", "shopify", "--json")
    assert result.code == 2
    assert f"1 of 15 files of {folder} are gone, such as {gone}" in result.json["error"]


@pytest.mark.parametrize(
    "record", ["", "{", "[]", "null", "{}", '{"asked": {}, "rows": {}, "planted": []}', "\udcff"]
)
def test_a_broken_record_is_no_store(record, tmp_path, perennial):
    (tmp_path / RECORD).write_bytes(record.encode(errors="surrogateescape"))
    result = perennial("simulate", tmp_path, *SMALL, "--json")
    assert result.code == 2
    assert f"{tmp_path / RECORD} is something else" in result.json["error"]


@pytest.mark.parametrize("form", FORMS)
def test_the_smallest_store_has_every_form(form, tmp_path, perennial):
    least = ("--customers", "1", "--start", "2024-01-01", "--end", "2024-01-02")
    result = perennial("simulate", tmp_path / form, *least, "--form", form, "--json")
    assert result.code == 0, result.err
    assert result.json["rows"]["orders"] == 0
    assert set(result.json["planted"].values()) == {0}
    assert not len(pd.read_parquet(tmp_path / form / f"{form}_expected.parquet"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--customers", "0"), "needs customers: 0"),
        (("--profile", "tea"), "one of coffee"),
        (("--seed", "-1"), "a seed is a whole number"),
        (("--start", "2025-01-01", "--end", "2025-01-01"), "is not after the start"),
    ],
)
def test_bad_arguments_end_in_words(tmp_path, perennial, arguments, words):
    result = perennial("simulate", tmp_path / "out", *arguments, "--json")
    assert result.code == 2
    assert words in result.json["error"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_an_option(form, tmp_path, perennial):
    few = ("--customers", "100", "--start", "2024-01-01", "--end", "2024-12-01")
    result = perennial("simulate", tmp_path / form, *few, "--form", form, "--json")
    assert result.code == 0, result.err
    assert any((tmp_path / form / form).iterdir())


@pytest.fixture(scope="module")
def went(tmp_path_factory):
    """The demo on a simulated store: its folder, and what it said."""
    folder = tmp_path_factory.mktemp("demo")
    asked = ("--data", "store", "--profile", "beauty", "--customers", "400", "--seed", "3")
    done = demo(folder, *asked, "--json")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.slow
@needs_browser
def test_the_page_of_a_store_that_gives_everything_lacks_nothing(went):
    text = look_at(Path(went[1]["files"]["page"]), "store")
    assert "not available" not in text
    for heading in ("Bundles: who reorders", "What the first product leads to", "Net promoter score",
                    "Cumulative margin per customer", "Customers by repeat orders so far"):  # fmt: skip
        assert heading in text, heading
    assert Path(went[1]["files"]["page"]).stat().st_size < 1_000_000


@pytest.mark.slow
def test_the_demo_goes_the_whole_way_on_a_simulated_store(went):
    folder, result = went
    assert (result["status"], result["as_of"]) == ("published", "2026-06-30")
    truth = pq.read_table(folder / "truth.parquet")
    scored = pq.read_table(result["files"]["scores"])
    assert set(scored["customer_id"].to_pylist()) <= set(truth["customer_id"].to_pylist())
    metrics = result["backtest"]["mean"]
    assert metrics["champion"]["gini_value"] > metrics["last_period"]["gini_value"]
    again = demo(folder, "--data", "store", "--profile", "coffee", "--json")
    assert again.returncode == 2
    assert "has something else" in json.loads(again.stdout)["error"]


@pytest.mark.slow
def test_every_published_figure_of_the_simulated_store_agrees(went):
    assert violations(PublishedFigures.read(went[0] / CONFIG)) == []
