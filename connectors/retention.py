"""What MLflow keeps too long: runs that scored old days, and models that nothing counts on."""

import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from connectors.tracking import MODEL, Tracking

if TYPE_CHECKING:
    from mlflow.entities import Run

PAGE = 200


def old_score_runs(tracking: Tracking, since: str) -> list[str]:
    """Return the ids of runs that scored a day before `since`, ISO 8601."""
    runs = _runs(tracking, "tags.kind = 'score'")
    return [run.info.run_id for run in runs if run.data.tags.get("as_of", since) < since]


def old_versions(tracking: Tracking, newest: int, but: Collection[str]) -> list[str]:
    """Return the versions that may go: not the newest ones, no alias's, and none of `but`."""
    client = tracking.client
    if not client.search_registered_models(f"name = '{MODEL}'"):
        return []
    named = set(map(str, client.get_registered_model(MODEL).aliases.values()))
    versions = sorted(int(v.version) for v in client.search_model_versions(f"name = '{MODEL}'"))
    kept = named | set(but) | {str(version) for version in versions[-newest:]}
    return [str(version) for version in versions if str(version) not in kept]


def remove_versions(tracking: Tracking, versions: Sequence[str]) -> list[str]:
    """Remove versions and their files; return the training runs that they came from."""
    client, trained = tracking.client, []
    for version in versions:
        registered = client.get_model_version(MODEL, version)
        client.delete_model_version(MODEL, version)
        if registered.model_id is not None:
            client.delete_logged_model(registered.model_id)
        trained.append(str(registered.run_id))
    return trained


def remove_runs(tracking: Tracking, runs: Sequence[str]) -> None:
    """Remove runs and those under them; of a local store, their files too."""
    gone = list(runs)
    for run in runs:
        gone += [one.info.run_id for one in _runs(tracking, f"tags.mlflow.parentRunId = '{run}'")]
    for one in gone:
        tracking.client.delete_run(one)
    if gone and tracking.is_local:
        where = ["--backend-store-uri", tracking.uri, "--tracking-uri", tracking.uri]
        subprocess.run(  # noqa: S603  # our own environment's MLflow
            [sys.executable, "-P", "-m", "mlflow", "gc", *where, "--run-ids", ",".join(gone)],
            check=True,
            capture_output=True,
        )


def _runs(tracking: Tracking, condition: str) -> "Iterator[Run]":
    token = None
    while True:
        page = tracking.client.search_runs(
            [tracking.experiment_id], condition, max_results=PAGE, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return
