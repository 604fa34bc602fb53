"""The whole day with MLflow and Prefect on a real PostgreSQL: settings and environment alone differ."""

import json

import mlflow
import pytest

from perennial.service.server import _free_port
from tests.perennial.service.serving import Up, processes_of
from tests.postgresql import COMMAND, PASSWORD, find_binaries, run_postgresql
from tests.requirements import require
from tests.shops import AS_OF, PLAIN, write_shop

SCHEDULE = """
[schedule]
port = {port}
database = "{database}"
train = "off"
"""


@pytest.fixture(scope="module")
def postgresql():
    binaries = find_binaries()
    require(binaries, "a PostgreSQL server with pg_trgm", COMMAND)
    with run_postgresql(binaries, "prefect", "mlflow") as server:
        yield server


@pytest.mark.slow
def test_a_day_is_served_trained_scored_and_published_on_postgresql(
    postgresql, tmp_path, monkeypatch
):
    reported = SCHEDULE.format(port=_free_port(), database=postgresql.url("+asyncpg", "prefect"))
    config = write_shop(tmp_path, settings=PLAIN + reported)
    (tmp_path / "mlruns" / "mlflow.db").unlink()
    tracking_uri = postgresql.url("+psycopg", "mlflow")
    up = Up.start(config, MLFLOW_TRACKING_URI=tracking_uri, PGPASSWORD=PASSWORD)
    try:
        up.wait_for("serving")
        nightly = next(one for one in up.ask("deployments/filter", {}) if one["name"] == "nightly")
        asked = {"parameters": {"config": str(config), "as_of": AS_OF.isoformat()}}
        up.ask(f"deployments/{nightly['id']}/create_flow_run", asked)
        run = up.wait_for_run("daily/nightly", "COMPLETED")
        assert run["name"] == f"daily {AS_OF}"
        up.stop()
        assert up.process.returncode == 0
    finally:
        up.end()
    assert processes_of(tmp_path) == []
    current = json.loads((tmp_path / "exports" / "CURRENT.json").read_text())
    assert current["as_of"] == AS_OF.isoformat()
    assert {"flow_run", "task_run", "deployment", "log", "artifact"} <= postgresql.tables(
        "prefect"
    )
    assert {"runs", "model_versions", "registered_model_aliases"} <= postgresql.tables("mlflow")
    assert not list(tmp_path.rglob("*.db"))
    messages = [path.read_text() for path in (tmp_path / ".prefect").glob("*.log")]
    assert not any(PASSWORD in text for text in messages)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    client = mlflow.MlflowClient(tracking_uri, tracking_uri)
    version = client.get_model_version_by_alias("perennial", "champion")
    place = client.get_run(version.run_id).info.artifact_uri
    assert place.startswith((tmp_path / "mlruns").as_uri())


def test_a_database_that_does_not_answer_ends_in_words(tmp_path):
    reported = SCHEDULE.format(
        port=_free_port(), database=f"postgresql+asyncpg://nobody@127.0.0.1:{_free_port()}/none"
    )
    config = write_shop(tmp_path, settings=PLAIN + reported)
    up = Up.start(config)
    try:
        assert up.process.wait(timeout=200) == 20
        assert "server must start" in (tmp_path / "up.log").read_text()
        assert processes_of(tmp_path) == []
    finally:
        up.end()
