"""Engines in the settings and in a run: what is refused, part files, and a Spark job that is killed."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from connectors.engine import EngineError, open_engine
from connectors.programs import arrow_schema, empty, write_parts
from connectors.store import PublishedDay, Store
from features.tables import Assignments
from perennial.pipeline.settings.store import SettingsError, build_settings
from tests.perennial.pipeline.ingestion.test_engines import assert_same
from tests.shops import AS_OF
from tests.spark import URL, require_spark


def test_the_settings_name_an_engine_and_its_address(tmp_path):
    def settings_of(**engine: str) -> str:
        values = {"orders": {"source": "o.csv"}, "engine": engine}
        return build_settings(values, tmp_path).engine.backend

    assert settings_of() == "duckdb"
    assert settings_of(backend="spark") == "spark"
    assert settings_of(backend="spark", url="sc://host:15002") == "spark"
    assert settings_of(backend="postgresql", url="postgresql://me@host/shop") == "postgresql"


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ({"url": "local"}, "leave it out"),
        ({"backend": "spark", "url": "http://host"}, "url starts with one of"),
        ({"backend": "postgresql"}, "postgresql://user@host/database"),
        ({"backend": "postgresql", "url": "postgresql://me:secret@host/shop"}, "password"),
        ({"backend": "dask"}, "duckdb"),
    ],
)
def test_an_address_that_does_not_fit_is_refused(engine, message, tmp_path):
    values = {"orders": {"source": "o.csv"}, "engine": engine}
    with pytest.raises(SettingsError, match=message) as error:
        build_settings(values, tmp_path)
    assert "secret" not in str(error.value)


def test_many_part_files_are_one_table_in_order(tmp_path):
    frame = pd.DataFrame({"customer_id": [f"c{i}" for i in range(7)], "program": "all",
                          "is_holdout": [True, False, False, True, False, False, True],
                          "assigned_date": AS_OF})  # fmt: skip
    frame = pd.concat([empty(Assignments), frame])[list(empty(Assignments).columns)]
    whole = pa.Table.from_pandas(frame, arrow_schema(Assignments), preserve_index=False)
    batches = (whole.slice(row, 1) for row in range(7))
    write_parts(batches, Assignments, tmp_path / "parts.parquet", part_rows=3)
    assert len([*(tmp_path / "parts.parquet").iterdir()]) == 3
    read = pd.read_parquet(tmp_path / "parts.parquet")
    assert read["customer_id"].tolist() == [f"c{i}" for i in range(7)]
    with open_engine() as engine:
        table = engine.parquet(tmp_path / "parts.parquet")
        assert engine.frame(table)["customer_id"].tolist() == read["customer_id"].tolist()


def test_without_java_the_error_names_the_fix(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with (
        pytest.raises(EngineError, match="openjdk-17"),
        open_engine(backend="spark", url=URL, scratch=tmp_path),
    ):
        pass


def test_without_its_package_the_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pyspark.errors", None)
    with (
        pytest.raises(EngineError, match=r"perennial\[spark\]"),
        open_engine(backend="spark", url=URL, scratch=tmp_path),
    ):
        pass


def test_a_postgresql_that_does_not_answer_is_told(tmp_path):
    url = "postgresql://nobody@127.0.0.1:1/none"
    with (
        pytest.raises(EngineError, match=r"engine\.url"),
        open_engine(backend="postgresql", url=url, scratch=tmp_path),
    ):
        pass


def test_the_scratch_folder_is_left_empty(tmp_path):
    with open_engine(scratch=tmp_path) as engine:
        assert engine.has_rows(engine.table(pd.DataFrame({"one": [1]}), "one"))
    assert not [*tmp_path.rglob("*")]


WITH_SPARK = f"""
[engine]
backend = "spark"
url = "{URL}"
"""


@pytest.mark.slow
def test_a_spark_job_that_is_killed_publishes_one_whole_day_when_it_is_run_again(
    published, perennial, tmp_path
):
    require_spark()
    day = AS_OF + timedelta(days=1)
    shops = [tmp_path / name / "perennial.toml" for name in ("duckdb", "spark")]
    for shop in shops:
        shutil.copytree(published[0].parent, shop.parent)
    config = shops[1]
    config.write_text(config.read_text() + WITH_SPARK)
    exports = Store(config.parent / "exports")
    for writes in random.Random(5).sample(range(2, 8), 1):
        _kill_while_writing(config, day, writes)
        assert exports.current().as_of == AS_OF
        assert not exports.days(day)
    for shop in shops:
        done = perennial("score", "--config", shop, "--as-of", day.isoformat(), "--json")
        assert done.code == 0, done.err
    (whole,) = exports.days(day)
    assert exports.current() == whole
    assert [path.name for path in whole.file("scores.parquet").iterdir()] == ["part-00000.parquet"]
    assert not [*(config.parent / "scratch").iterdir()]
    assert not [*whole.folder.parent.glob(".stage-*")]
    wanted = Store(shops[0].parent / "exports").current()
    assert_same(*(_scores_of(one) for one in (whole, wanted)))
    assert whole.record()["data_digest"] == wanted.record()["data_digest"]
    again = perennial("score", "--config", config, "--as-of", day.isoformat(), "--json")
    assert again.code == 10, again.err


def _scores_of(day: PublishedDay) -> pd.DataFrame:
    return pd.read_parquet(day.file("scores.parquet")).drop(columns="run_id")


def _kill_while_writing(config: Path, day: date, writes: int) -> None:
    """Kill a run while Spark writes the so-manieth table; Spark's own process follows it."""
    program = [sys.executable, "-m", "perennial.cli.main", "score"]
    process = subprocess.Popen(
        [*program, "--config", config, "--as-of", day.isoformat()],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline, seen = time.monotonic() + 240, set[Path]()
    try:
        while len(seen) < writes:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline, f"{len(seen)} tables were written"
            with suppress(FileNotFoundError):  # gone while we look
                scratch = config.parent / "scratch"
                seen |= {*scratch.glob("run-*/spill/engine-*/*.parquet/_temporary")}
            time.sleep(0.002)
        assert len(_session(process.pid)) > 1, "Spark runs beside it"
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    while _session(process.pid):
        assert time.monotonic() < deadline, "Spark outlived the run"
        time.sleep(0.1)


def _session(leader: int) -> list[int]:
    """Processes that a process started, and itself."""
    listed = subprocess.run(
        [str(shutil.which("ps")), "-eo", "pid=,stat="], capture_output=True, text=True, check=True
    )
    actual = []
    for line in listed.stdout.splitlines():
        pid, state = line.split()
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(pid)) == leader and not state.startswith("Z"):
                actual.append(int(pid))
    return actual
