"""MLflow: one database whoever meets it first, aliases, and what scores a day."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.tracking import Tracking

CODE = """
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

class Doubles(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2

set_model(Doubles())
"""


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    home = tmp_path_factory.mktemp("mlruns")
    return Tracking(f"sqlite:///{home}/mlflow.db", home)


def register(tracking: Tracking, folder: Path, as_of: str) -> str:
    code, numbers = folder / "code.py", folder / "numbers.json"
    code.write_text(CODE)
    numbers.write_text("{}")
    with tracking.run("train") as run:
        return tracking.register(
            run,
            code=code,
            artifacts={"numbers": numbers},
            signature={"inputs": {"x": True}, "outputs": {"x": True}, "params": {"days": 1}},
            example={"x": 1.0},
            requirements=["perennial"],
            tags={"as_of": as_of, "training_digest": "shop"},
        )


def test_the_champion_is_the_one_promoted_that_does_not_know_later_orders(tracking, tmp_path):
    assert tracking.champion() is None
    assert tracking.valid_on("2030-01-01", "shop") is None
    january, march = (register(tracking, tmp_path, day) for day in ("2024-01-31", "2024-03-31"))
    tracking.promote(january)
    tracking.promote(march)
    assert tracking.champion() == march
    before = tracking.client.get_model_version_by_alias("perennial", "previous")
    assert str(before.version) == january
    assert (tracking.fetch(march) / "artifacts" / "numbers.json").exists()
    assert tracking.valid_on("2024-03-31", "shop") == march
    assert tracking.valid_on("2024-03-30", "shop") == january
    assert tracking.valid_on("2024-01-30", "shop") is None
    assert tracking.valid_on("2024-03-31", "another shop") is None


def test_a_child_run_belongs_to_its_parent_and_keeps_what_it_logs(tracking):
    with tracking.run("parent") as parent, tracking.run("child", parent=parent) as child:
        child.log(params={"r": 0.25}, metrics={"auc": 0.8, "unknown": None})
        child.log_data("orders", "orders.csv", "digest", "training")
        child.log_json({"a": 1}, "a.json")
        child.log_json({"a": 2}, "pictures/a.json")
    kept = tracking.client.get_run(child.id)
    assert kept.data.tags["mlflow.parentRunId"] == parent.id
    assert kept.data.params == {"r": "0.25"}
    assert kept.data.metrics == {"auc": 0.8}
    assert kept.inputs.dataset_inputs[0].dataset.digest == "digest"
    assert json.loads(tracking.run_artifact(child.id, "a.json").read_text()) == {"a": 1}
    assert json.loads(tracking.run_artifact(child.id, "pictures/a.json").read_text()) == {"a": 2}
    assert tracking.run_artifact(child.id, "b.json") is None
    assert tracking.run_artifact(child.id, "pictures/b.json") is None


def test_two_stores_in_one_process_stay_apart(tracking, tmp_path):
    other = Tracking(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert other.champion() is None
    with tracking.run("mine") as mine:
        pass
    with other.run("theirs") as theirs:
        pass
    assert tracking.client.get_run(mine.id).info.run_name == "mine"
    assert other.client.get_run(theirs.id).info.run_name == "theirs"


def test_a_run_in_which_an_error_passes_is_failed(tracking):
    with pytest.raises(KeyError), tracking.run("broken") as run:
        raise KeyError
    assert tracking.client.get_run(run.id).info.status == "FAILED"


def test_three_processes_may_meet_an_empty_database_at_once(tmp_path):
    """Without the lock most of them fail while migrating it."""
    open_it = (
        "import sys; from pathlib import Path; from connectors.tracking import Tracking;"
        "home = Path(sys.argv[1]); Tracking(f'sqlite:///{home}/mlflow.db', home)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", open_it, str(tmp_path)], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    messages = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], messages
