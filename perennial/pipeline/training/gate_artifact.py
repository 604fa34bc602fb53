"""The gate's table where people look at a training run: an artifact in Prefect's pages."""

import logging
from collections.abc import Mapping
from datetime import date
from typing import Any

from connectors.addresses import redacted_address
from perennial.pipeline.runtime.steps import in_prefect
from perennial.pipeline.settings.store import Settings
from reports.model_card import gate_table

_log = logging.getLogger(__name__)


def show_gate(
    settings: Settings, gate: Mapping[str, Any], as_of: date, version: str, run_id: str
) -> None:
    """Show what the gate found, inside a Prefect flow run; outside one do nothing.

    Parameters
    ----------
    settings
        The store's.
    gate
        The verdict: ``gate``, ``checks`` and ``reasons``.
    as_of
        Last day whose orders the model knows.
    version
        Of the registered model.
    run_id
        MLflow run that it was trained in.
    """
    if not in_prefect():
        return
    import httpx
    from prefect.artifacts import create_markdown_artifact
    from prefect.exceptions import PrefectException

    try:
        create_markdown_artifact(
            gate_page(settings, gate, as_of, version, run_id),
            key="gate",
            description=f"Gate of version {version}, as of {as_of}: {gate['gate']}",
        )
    except (httpx.HTTPError, PrefectException) as error:  # the model is what counts
        _log.warning("the gate's table is not shown: %s", type(error).__name__)


def gate_page(
    settings: Settings, gate: Mapping[str, Any], as_of: date, version: str, run_id: str
) -> str:
    """Return the gate's table as Markdown, with where the training run is in MLflow."""
    parts = [f"# Version {version} of {settings.store.name}, as of {as_of}\n", gate_table(gate)]
    if gate["reasons"]:
        parts += ["## Why not\n", *(f"- {reason}" for reason in gate["reasons"])]
    parts.append(f"\nMLflow: {run_link(settings, run_id)}\n")
    return "\n".join(parts)


def run_link(settings: Settings, run_id: str) -> str:
    """Return a Markdown link to an MLflow run, or its id where no server shows it."""
    uri = redacted_address(settings.tracking_uri)
    if not uri.startswith("http"):
        return f"run `{run_id}` in `{uri}`"
    return f"[run {run_id}]({uri}/#/runs/{run_id})"
