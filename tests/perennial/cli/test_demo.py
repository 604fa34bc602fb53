"""The demo, as a person runs it: a real process, a real temporary Prefect server, MLflow, CDNOW."""

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from perennial.pipeline.runtime.prefect_api import ServerError, configured_api_url
from perennial.service.server import TemporaryServer
from tests.invariants.published import PublishedFigures, violations
from tests.reports.browser import look_at, needs_browser


def demo(home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("perennial")
    return subprocess.run(
        [program, "demo", "--home", str(home), *more], capture_output=True, text=True
    )


def readable(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:  # the process ended in between
        return False


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    home = tmp_path_factory.mktemp("demo")
    done = demo(home, "--json")
    assert done.returncode == 0, done.stderr
    return home, json.loads(done.stdout), done.stderr


@pytest.mark.slow
def test_cdnow_is_published_through_prefect(first):
    home, result, _ = first
    assert (result["status"], result["as_of"]) == ("published", "1998-06-30")
    assert result["customers"] == 23_502
    assert result["accounting"]["rows_in"] == 69_659
    assert result["accounting"]["rejected"] == {"zero_amount": 80}
    assert "do not count" in result["zero_amount"]
    runs = sqlite3.connect(home / ".prefect" / "prefect.db")
    flows = dict(runs.execute("SELECT name, state_name FROM flow_run"))
    assert flows == dict.fromkeys(
        [f"{n} 1998-06-30" for n in ("run", "train", "score")], "Completed"
    )
    tasks = runs.execute("SELECT name, state_name FROM task_run").fetchall()
    assert {state for _, state in tasks} == {"Completed"}
    assert {name.rsplit("-", 1)[0] for name, _ in tasks} >= {
        "read_orders",
        "fit_models",
        "publish",
    }
    artifacts = dict(runs.execute("SELECT key, data FROM artifact WHERE key LIKE 'retention-%'"))
    runs.close()
    assert set(artifacts) == {"retention-page", "retention-segments"}
    assert result["files"]["page"] in json.loads(artifacts["retention-page"])
    segments = json.loads(json.loads(artifacts["retention-segments"]))
    assert [row["segment"] for row in segments] == [
        row["segment"].replace("_", " ") for row in result["segments"]
    ]


@pytest.mark.slow
def test_the_holdout_is_the_real_one_beside_both_baselines(first):
    backtest = first[1]["backtest"]
    assert backtest["horizon_days"] == 181
    assert len(backtest["cutoffs"]) == 3
    cutoff = backtest["cutoffs"][-1]
    assert (cutoff["as_of"], cutoff["customers"]) == ("1997-12-31", 23_502)
    assert set(cutoff["models"]) >= {"champion", "last_period", "rfm"}
    plain, champion = (cutoff["models"][name] for name in ("bg_nbd_gamma_gamma", "champion"))
    assert plain["mae_orders"] == pytest.approx(0.542, abs=0.002)
    assert plain["auc_active"] == pytest.approx(0.7882, abs=0.001)
    assert champion["value_ratio"] == pytest.approx(1.0, abs=0.1)
    assert champion["gini_value"] > plain["gini_value"]


@pytest.mark.slow
@needs_browser
def test_the_page_says_what_is_not_available(first):
    text = " ".join(look_at(Path(first[1]["files"]["page"]), "cdnow").split())
    for needs in ("marketing_spend", "referrals", "order_lines", "reviews", "touches", "loyalty_events",
                  "nps", "customers", "orders.discount_amount"):  # fmt: skip
        assert f"not available: needs {needs}" in text, needs
    assert "Customers by repeat orders so far" in text


@pytest.mark.slow
def test_success_leaves_no_traceback_and_no_process(first):
    home, _, err = first
    assert "Traceback" not in err
    assert "Error" not in err
    running = [
        path.read_bytes() for path in Path("/proc").glob("[0-9]*/environ") if readable(path)
    ]
    assert not any(str(home).encode() in environment for environment in running)


@pytest.mark.slow
def test_the_demo_again_exits_0_and_shows_the_day(first):
    home, result, _ = first
    again = demo(home)
    assert again.returncode == 0, again.stderr
    assert "1998-06-30 is already published" in again.stdout
    for words in (
        "Where customers stand",
        "Holdout: the 181 days after 1997-12-31",
        "prefect server",
    ):
        assert words in again.stdout
    assert "Traceback" not in again.stderr
    current = json.loads((home / "exports" / "CURRENT.json").read_text())
    assert current["run_id"] == result["run_id"]


def test_the_demo_does_not_replace_another_stores_page(published, tmp_path):
    done = demo(published[0].parent, "--json")
    assert done.returncode == 20
    assert "another store's days" in json.loads(done.stdout)["error"]


@pytest.mark.slow
def test_the_scores_are_readable_by_anybody(first):
    scores = pd.read_parquet(first[1]["files"]["scores"])
    assert len(scores) == 23_502
    assert scores["expected_value"].gt(0).all()


@pytest.mark.slow
def test_every_published_figure_agrees(first):
    config = first[0] / "demo" / "cdnow" / "perennial.toml"
    assert violations(PublishedFigures.read(config)) == []


def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch):
    server = TemporaryServer(tmp_path / "home")
    monkeypatch.setenv(
        "PREFECT_API_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////no/such/folder/x.db"
    )
    server.start()
    with pytest.raises(ServerError, match="did not start"):
        server.wait()


def test_a_server_leaves_when_its_parent_is_killed(tmp_path):
    """However a command ends, nothing of it stays behind."""
    code = (
        "import sys, time; from pathlib import Path; from perennial.service.server import TemporaryServer;"
        "server = TemporaryServer(Path(sys.argv[1])); server.start();"
        "print(server._process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()


def test_a_profiles_server_is_used(tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert configured_api_url() is None
    profiles = 'active = "shop"\n[profiles.shop]\nPREFECT_API_URL = "http://127.0.0.1:4200/api"\n'
    (tmp_path / "profiles.toml").write_text(profiles)
    assert configured_api_url() == "http://127.0.0.1:4200/api"
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert configured_api_url() == "http://127.0.0.1:1/api"
