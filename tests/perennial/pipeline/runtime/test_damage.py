"""A file under the home that cannot be read is named, with the way back."""

import json
import shutil
import sqlite3

import pandas as pd
import pyarrow.parquet as pq
import pytest

from perennial.pipeline.runtime.damage import describe_damage, find_damage
from perennial.pipeline.settings.folders import home_folders

ORDERS = "order_id,customer_id,ordered_at,net_amount\n1,a,2026-01-01,5\n2,b,2026-01-02,6\n"


@pytest.fixture
def home(tmp_path):
    """A home with a file of each kind, all whole."""
    (tmp_path / "orders.csv").write_text(ORDERS)
    config = tmp_path / "perennial.toml"
    config.write_text('[orders]\nsource = "orders.csv"\n')
    day = tmp_path / "exports/scores/as_of=2026-01-02/run=a"
    for folder in (tmp_path / "state/klaviyo/AbC123", day, tmp_path / "mlruns/artifacts/x"):
        folder.mkdir(parents=True)
    frame = pd.DataFrame({"customer_id": ["a", "b"]})
    for path in (
        tmp_path / "state/assignments.parquet",
        tmp_path / "state/contacts.parquet",
        tmp_path / "state/klaviyo/AbC123/confirmed.parquet",
        day / "scores.parquet",
    ):
        frame.to_parquet(path)
    for path in (
        tmp_path / "state/format.json",
        tmp_path / "exports/CURRENT.json",
        day / "run.json",
        tmp_path / "mlruns/artifacts/x/parameters.json",
    ):
        path.write_text(json.dumps({"format": 2}))
    with sqlite3.connect(tmp_path / "mlruns/mlflow.db") as database:
        database.execute("create table runs (id text)")
        database.executemany("insert into runs values (?)", [("x" * 500,)] * 100)
    return tmp_path


def test_a_whole_home_has_no_damage(home):
    assert list(find_damage([home])) == []
    assert describe_damage(home_folders(home / "perennial.toml")) is None


def test_what_a_write_left_that_was_cut_short_is_no_damage(home):
    stage = home / "exports/scores/as_of=2026-01-02/.stage-b"
    stage.mkdir()
    for path in (stage / "kpis.json", home / "state/.format.json.draft.json"):
        path.write_text('{"format": ')
    assert describe_damage(home_folders(home / "perennial.toml")) is None


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("state/assignments.parquet", "Bring it back from a backup"),
        ("state/contacts.parquet", "Remove it: the next run writes it again"),
        ("state/format.json", "Bring it back from a backup"),
        ("state/klaviyo/AbC123/confirmed.parquet", "the next sync asks Klaviyo again"),
        ("exports/CURRENT.json", "Remove it and run the newest day again"),
        ("exports/scores/as_of=2026-01-02/run=a/run.json", "run the day again"),
        ("exports/scores/as_of=2026-01-02/run=a/scores.parquet", "run the day again"),
        ("mlruns/artifacts/x/parameters.json", "perennial train"),
        ("mlruns/mlflow.db", "perennial train"),
    ],
)
def test_each_kind_of_file_is_named_with_its_way_back(home, name, advice):
    path = home / name
    whole = path.read_bytes()
    broken = [whole[: len(whole) // 2], b"garbage" * 99]
    if path.suffix != ".db":  # an empty file is an empty database, which MLflow fills
        broken.append(b"")
    for content in broken:
        path.write_bytes(content)
        words = describe_damage(home_folders(home / "perennial.toml"))
        assert f"{path} cannot be read (" in words
        assert advice in words
        assert words.count("cannot be read") == 1


def test_parquet_whose_description_broke_is_named(home):
    """Its pages are whole; the types that pandas reads beside them are not."""
    path = home / "state/assignments.parquet"
    table = pq.read_table(path)
    described = table.schema.metadata[b"pandas"].replace(b'"numpy_type"', b'"numpy_tYpe"')
    pq.write_table(table.replace_schema_metadata({b"pandas": described}), path)
    assert f"{path} cannot be read" in describe_damage(home_folders(home / "perennial.toml"))


@pytest.mark.parametrize("text", ["", "{", '{"format": "two"}', "\x00\x00"])
def test_a_command_that_meets_a_broken_file_ends_in_words(home, text, perennial):
    shutil.rmtree(home / "mlruns")
    (home / "state/format.json").write_text(text)
    ended = perennial("run", "--config", home / "perennial.toml", "--as-of", "2026-01-02")
    assert ended.code == 20
    assert "format.json" in ended.err
    assert "Traceback" not in ended.err
