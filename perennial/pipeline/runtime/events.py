"""Tell Prefect of what happened, so that deployments and people can answer it."""

from typing import Any

from perennial.pipeline.runtime.prefect_api import configured_api_url
from perennial.pipeline.runtime.steps import in_prefect

RESOURCE = "perennial.store"
DRIFT_CONFIRMED = "drift.confirmed"


def announce(kind: str, facts: dict[str, Any]) -> bool:
    """Emit the event ``perennial.KIND`` where Prefect runs, and tell whether it was emitted.

    Parameters
    ----------
    kind
        What happened, such as ``drift.confirmed``.
    facts
        JSON values that go with it.
    """
    if not in_prefect() and configured_api_url() is None:
        return False
    from prefect.events import emit_event  # costs a second

    emitted = emit_event(
        event=f"perennial.{kind}",
        resource={"prefect.resource.id": RESOURCE, "prefect.resource.name": "the store"},
        payload=facts,
    )
    return emitted is not None
