"""The process that runs flows when they are due: ``python -m perennial.service.worker SETTINGS READY [own]``.

It registers the deployments, says so on the pipe READY, and leaves with its parent. It heads a
process group, so that no flow run outlives it.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner
from prefect.states import Crashed

from flows.deployments import list_deployments, to_prefect
from perennial.pipeline.settings.store import read_settings
from perennial.service.events import ServedDeployment
from perennial.service.server import leave_with_parent

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

AT_ONCE = 2  # a retrain may run beside the daily run; they share the home folder's lock
AGAIN = "again"  # tag of a run that replaces one that was cut off
STOPPING = "Runner is shutting down."  # what Prefect says of a run that it stops with itself
LEFT = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
STARTED = [kind for kind in StateType if kind is not StateType.SCHEDULED]


class Stoppable(Runner):
    """A runner that stops from within its own loop when it is told to end."""

    def handle_sigterm(self, *_args: object, **_kwargs: object) -> None:
        """Stop the loop's way: Prefect's own waits for a second loop, inside a signal handler."""
        self.asked_to_stop.set()

    async def serve(self) -> None:
        """Run flows until asked to stop."""
        self.asked_to_stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(self.start())
        await asyncio.sleep(0)  # it sets its own handler first
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.asked_to_stop.set)
        stopping = asyncio.create_task(self.asked_to_stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await self.astop()
        stopping.cancel()
        await running


async def serve(config: Path, ready: int, *, is_own: bool) -> None:
    """Register the deployments, mend what a killed predecessor left, and run flows when due.

    Parameters
    ----------
    config
        The store's settings.
    ready
        Pipe to say on what is served.
    is_own
        Whether nobody else runs flows of this server: only then is what runs surely a dead one's.
    """
    settings = read_settings(config)
    runner = Stoppable(name="perennial", pause_on_shutdown=False, limit=AT_ONCE)
    served = []
    for asked in list_deployments(settings):
        is_paused = await _is_paused(asked.full_name)
        made = await runner.aadd_deployment(
            to_prefect(asked, settings, config, is_paused=is_paused)
        )
        again, given_up = await _mend(made) if is_own else (False, False)
        served.append(
            ServedDeployment(
                deployment=asked.full_name,
                id=str(made),
                again=again,
                given_up=given_up,
                cron=asked.cron,
                event=asked.event,
            )
        )
    with os.fdopen(ready, "w") as pipe:
        json.dump([one.model_dump(mode="json") for one in served], pipe)
    await runner.serve()


async def _is_paused(name: str) -> bool:
    """Tell whether people paused a deployment; registering it anew would resume it."""
    async with get_client() as client:
        try:
            return bool((await client.read_deployment_by_name(name)).paused)
        except ObjectNotFound:
            return False


async def _mend(deployment: "UUID") -> tuple[bool, bool]:
    """End what a killed worker left running, and run once more what was cut off, not a second time.

    Returns
    -------
    tuple of bool
        Whether a run was started again, and whether one was given up.
    """
    async with get_client() as client:
        started = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=STARTED)),
            ),
            sort=FlowRunSort.START_TIME_DESC,
            limit=20,
        )
        left = [run for run in started if run.state is not None and run.state.type in LEFT]
        for run in [*left, *await _runs_within(client, left)]:
            await client.set_flow_run_state(
                run.id, Crashed(message="The process that ran it was killed."), force=True
            )
        last = started[0] if started else None
        is_cut_off = last is not None and (last in left or _is_stopped(last))
        if last is None or not is_cut_off or AGAIN in last.tags:
            return False, is_cut_off
        await client.create_flow_run_from_deployment(
            deployment, parameters=last.parameters, tags=[AGAIN]
        )
        return True, False


async def _runs_within(client: "PrefectClient", runs: "list[FlowRun]") -> "list[FlowRun]":
    """Return the flow runs that still run inside others, at any depth."""
    if not runs:
        return []
    within = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id for run in runs])
        )
    )
    deeper = await _runs_within(client, within)
    return [run for run in [*within, *deeper] if run.state is not None and run.state.type in LEFT]


def _is_stopped(run: "FlowRun") -> bool:
    return run.state is not None and run.state.is_cancelled() and run.state.message == STOPPING


if __name__ == "__main__":
    leave_with_parent()
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), is_own="own" in sys.argv[3:]))
