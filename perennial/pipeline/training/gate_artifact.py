"""The gate's table where people look at a training run: an artifact in Prefect's pages."""

import logging

from connectors.addresses import redacted_address
from models.gate import GateVerdict
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import in_prefect
from reports.model_card import gate_table

_log = logging.getLogger(__name__)


def show_gate(run: RunContext, verdict: GateVerdict, *, version: str, run_id: str) -> None:
    """Show the gate's verdict inside a Prefect flow run; outside one do nothing.

    Parameters
    ----------
    run
        The training.
    verdict
        The gate's.
    version
        Of the registered model.
    run_id
        MLflow run that it was trained in.
    """
    if not in_prefect():
        return
    title = f"Version {version} of {run.settings.store.name}, as of {run.as_of}"
    import httpx
    from prefect.artifacts import create_markdown_artifact
    from prefect.exceptions import PrefectException

    try:
        create_markdown_artifact(
            gate_page(verdict, title, run_link(run.settings.tracking_uri, run_id)),
            key="gate",
            description=f"Gate of version {version}, as of {run.as_of}: {verdict.gate}",
        )
    except (httpx.HTTPError, PrefectException) as error:  # the model is what counts
        _log.warning("the gate's table is not shown: %s", type(error).__name__)


def gate_page(verdict: GateVerdict, title: str, link: str) -> str:
    """Return the gate's table as Markdown, with where the training run is in MLflow."""
    parts = [f"# {title}\n", gate_table(verdict)]
    if verdict.reasons:
        parts += ["## Why not\n", *(f"- {reason}" for reason in verdict.reasons)]
    parts.append(f"\nMLflow: {link}\n")
    return "\n".join(parts)


def run_link(tracking_uri: str, run_id: str) -> str:
    """Return a Markdown link to an MLflow run, or its id where no server shows it."""
    uri = redacted_address(tracking_uri)
    if not uri.startswith("http"):
        return f"run `{run_id}` in `{uri}`"
    return f"[run {run_id}]({uri}/#/runs/{run_id})"
