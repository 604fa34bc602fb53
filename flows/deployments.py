"""What is served: which flow, when, and after which event.

``prefect.yaml``, the same for work pools, is generated from here by ``make docs``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perennial.pipeline.runtime.events import DRIFT_CONFIRMED
from perennial.pipeline.settings.schedule import OFF
from perennial.pipeline.settings.store import Settings

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

DRIFT = f"perennial.{DRIFT_CONFIRMED}"  # event
AT_ONCE, COLLISION = 1, "ENQUEUE"  # runs of a deployment; others wait


@dataclass(frozen=True)
class Deployment:
    """A flow that is served.

    Attributes
    ----------
    flow, name
        Prefect shows ``flow/name``.
    cron
        Crontab line in the store's time zone; None = no schedule.
    event
        Event after which it runs; None = none.
    parameters
        Beside the settings' path.
    """

    flow: str
    name: str
    cron: str | None = None
    event: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Return how Prefect names it."""
        return f"{self.flow}/{self.name}"

    @property
    def trigger(self) -> str | None:
        """Return how Prefect names what starts it after its event."""
        return None if self.event is None else f"{self.full_name} after {self.event}"

    @property
    def entrypoint(self) -> str:
        """Return where its flow is."""
        return f"flows.deployed:{self.flow}"


def list_deployments(settings: Settings) -> list[Deployment]:
    """Return what a store's settings ask to be served."""
    schedule = settings.schedule
    return [
        Deployment("daily", "nightly", _cron(schedule.daily)),
        Deployment("train", "weekly", _cron(schedule.train)),
        Deployment("train", "on-drift", event=DRIFT, parameters={"trigger": "drift"}),
        Deployment("monitor", "daily", _cron(schedule.monitor)),
    ]


def _cron(line: str) -> str | None:
    return None if line == OFF else line


def to_prefect(
    asked: Deployment, settings: Settings, config: Path, *, is_paused: bool = False
) -> "RunnerDeployment":
    """Make what Prefect serves: one run at a time, the others wait; who paused it resumes it."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.deployments.runner import RunnerDeployment
    from prefect.events import DeploymentEventTrigger, DeploymentTriggerTypes, TriggerTypes
    from prefect.schedules import Cron

    schedules = [] if asked.cron is None else [Cron(asked.cron, timezone=settings.store.timezone)]
    triggers: list[TriggerTypes | DeploymentTriggerTypes] = []
    if asked.event is not None:
        triggers = [DeploymentEventTrigger(name=asked.trigger, expect={asked.event})]
    return RunnerDeployment.from_entrypoint(
        asked.entrypoint,
        name=asked.name,
        schedules=schedules,
        paused=is_paused,
        concurrency_limit=ConcurrencyLimitConfig(
            limit=AT_ONCE, collision_strategy=ConcurrencyLimitStrategy(COLLISION)
        ),
        parameters={"config": str(config), **asked.parameters},
        triggers=triggers,
        tags=[f"store: {settings.store.name}"],
    )
