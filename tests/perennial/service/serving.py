"""What tests of `perennial up` need: a trained shop in a folder of its own, and the real command."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from perennial.service.scheduler import api_client
from tests.shops import AS_OF, make_orders

PROGRAM = Path(sys.executable).with_name("perennial")
LONGEST = 600.0  # seconds that anything awaited here may take on a busy machine
MOVED = {  # columns of MLflow's database that hold places
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "source",
    "logged_model_tags": "tag_value",
}


def move_shop(published: Path, folder: Path, more_settings: str) -> Path:
    """Copy a trained shop, MLflow's absolute places too, and move it in time: it was trained yesterday.

    Returns
    -------
    pathlib.Path
        The settings' file, with `more_settings` added.
    """
    shutil.copytree(published.parent, folder, ignore=shutil.ignore_patterns("exports", "state"))
    yesterday = datetime.now(ZoneInfo("Europe/Berlin")).date() - timedelta(days=1)
    with sqlite3.connect(folder / "mlruns" / "mlflow.db") as database:
        for table, column in MOVED.items():
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",  # noqa: S608  # names from above
                (str(published.parent), str(folder)),
            )
        database.execute(
            "UPDATE model_version_tags SET value = ? WHERE key = 'as_of'", (yesterday.isoformat(),)
        )
    database.close()
    orders = make_orders()
    days = pd.to_datetime(orders["ordered_at"]) + (yesterday - AS_OF)
    orders["ordered_at"] = days.dt.date.astype(str)
    orders.to_csv(folder / "orders.csv", index=False)
    config = folder / published.name
    config.write_text(config.read_text() + more_settings)
    return config


def environment(**more: str) -> dict[str, str]:
    """This process's environment without a Prefect server or an MLflow store of somebody else."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PERENNIAL_"))}
    kept.pop("MLFLOW_TRACKING_URI", None)
    return kept | {"NO_PROXY": "127.0.0.1,localhost"} | more


@dataclass
class Up:
    """A running `perennial up --json`, and what it said."""

    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def start(cls, config: Path, **more: str) -> "Up":
        log = (config.parent / "up.log").open("w")
        process = subprocess.Popen(
            [PROGRAM, "up", "--config", str(config), "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(**more),
        )
        log.close()
        up = cls(process)
        threading.Thread(target=up._listen, daemon=True).start()
        return up

    def _listen(self) -> None:
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def said(self, event: str) -> list[dict[str, Any]]:
        return [one for one in list(self.events) if one.get("event") == event]

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        def heard() -> bool:
            if len(self.said(event)) >= count:
                return True
            assert self.process.poll() is None, self.events
            return False

        await_that(heard, f"{event}; it said {self.events}")
        return self.said(event)[count - 1]

    @property
    def api_url(self) -> str:
        return self.said("serving")[0]["api_url"]

    def children(self) -> dict[str, int]:
        """Process ids of the server and the worker, by module."""
        actual = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
                words = (path / "cmdline").read_text().split("\0")
            except (OSError, IndexError):  # it ended in between
                continue
            if parent == self.process.pid and "-m" in words:
                actual[words[words.index("-m") + 1]] = int(path.name)
        return actual

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """Runs of a deployment that are not only scheduled, oldest first."""
        name, _, of = deployment.partition("/")
        asked = {
            "flows": {"name": {"any_": [name]}},
            "deployments": {"name": {"any_": [of]}},
            "flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}},
            "sort": "EXPECTED_START_TIME_ASC",
        }
        return self.ask("flow_runs/filter", asked)

    def ask(self, path: str, asked: dict[str, Any]) -> Any:
        with api_client(self.api_url) as client:
            answer = client.post(f"{self.api_url}/{path}", json=asked).raise_for_status()
            return answer.json() if answer.content else None

    def wait_for_run(self, deployment: str, state: str, count: int = 1) -> dict[str, Any]:
        """Wait until `count` runs of a deployment are in a state; return the newest of them."""

        def found() -> list[dict[str, Any]]:
            assert self.process.poll() is None, self.events
            runs = self.runs(deployment)
            last = runs[-1]["state_type"] if runs else None
            assert {last, state} != {"FAILED", "COMPLETED"}, [run["state"] for run in runs]
            return [run for run in runs if run["state_type"] == state]

        await_that(
            lambda: len(found()) >= count,
            f"{count} {state} of {deployment}: {[r['state'] for r in self.runs(deployment)]}",
        )
        return found()[-1]

    def stop(self) -> float:
        """Ask it to end; return the seconds that took."""
        started = time.monotonic()
        self.process.terminate()
        self.process.wait(timeout=LONGEST)
        return time.monotonic() - started

    def end(self) -> None:
        """End it whatever happened."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def await_that(is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so; how long is bounded, and never what is asserted."""
    deadline = time.monotonic() + LONGEST
    while not is_so():
        assert time.monotonic() < deadline, f"waited {LONGEST:.0f} s for {what}"
        time.sleep(0.25)


def processes_of(home: Path) -> list[int]:
    """Process ids of whatever was started for a home folder."""
    actual = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            reported = (path / "environ").read_bytes() + (path / "cmdline").read_bytes()
            is_gone = (path / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:  # it ended in between
            continue
        if str(home).encode() in reported and not is_gone:
            actual.append(int(path.name))
    return actual


def emit(api_url: str, event: str, home: Path) -> None:
    """Emit a Prefect event from a process of its own, as monitoring does."""
    code = (
        "import sys; from prefect.events import emit_event\n"
        "emit_event(sys.argv[1], resource={'prefect.resource.id': 'perennial.model.tiny-teas'})"
    )
    subprocess.run(
        [sys.executable, "-c", code, event],
        check=True,
        capture_output=True,
        env=environment(PREFECT_API_URL=api_url, PREFECT_HOME=str(home / "client")),
    )


def slot_of(run: dict[str, Any]) -> datetime:
    """When a run was meant to start."""
    return datetime.fromisoformat(run["expected_start_time"]).astimezone(UTC)
