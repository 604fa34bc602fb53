"""The flows as Prefect serves them: named, tagged, logged, and told of when they fail.

Deployments name these by module (``flows.deployed:daily``), so that the flows themselves need no
Prefect. What a flow does is imported when it runs: who only registers it stays small.
"""

import inspect
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow as prefect_flow
from prefect.client.orchestration import get_client
from prefect.exceptions import CrashedRun, FailedRun, MissingResult
from prefect.runtime import flow_run as current
from prefect.settings import PREFECT_UI_URL
from prefect.states import Completed

from models.gate import FAILED as GATE_FAILED
from perennial.pipeline.runtime.damage import describe_damage
from perennial.pipeline.runtime.disk import disk_error
from perennial.pipeline.runtime.exits import expected_error
from perennial.pipeline.runtime.notifications import FAILED, REFUSED, RETRAIN, notify
from perennial.pipeline.runtime.prefect_api import SERVED_SETTINGS
from perennial.pipeline.runtime.slot import slot_day, wait_until_over
from perennial.pipeline.runtime.steps import collect_timings
from perennial.pipeline.settings.folders import home_folders
from perennial.pipeline.settings.store import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

    from perennial.pipeline.training.steps import Trained

OUR_LOGGERS = ("flows", "connectors", "reports")
BY_DRIFT, BY_SCHEDULE, BY_HAND = "drift", "schedule", "by hand"

_log = logging.getLogger(__name__)


def read_served(config: Path) -> Settings:
    """Read the settings of a run; a worker of `perennial up` reads the served file and no other.

    Raises
    ------
    SettingsError
        Another file was asked for, or the file is wrong.
    """
    served = _served()
    if served is not None and config.resolve() != served:
        raise SettingsError(
            f"this server runs {served} and no other settings. Leave the run's config parameter as the "
            "deployment has it, or start `perennial up --config` with the other file"
        )
    return read_settings(config)


def _served() -> Path | None:
    """Return the settings file that this process's worker serves; None = one of a work pool."""
    served = os.environ.get(SERVED_SETTINGS)
    return Path(served) if served else None


def named() -> str:
    """Return the current run's name: its flow and its day."""
    name, asked = current.flow_name, current.parameters
    try:
        settings = read_served(Path(asked["config"]))
        day = asked.get("as_of") or slot_day(settings, cron=_cron_of(settings, str(name)))
    except (SettingsError, OSError):  # the run itself will say so
        return str(name)
    return f"{name} {day}"


def _cron_of(settings: Settings, flow: str) -> str:
    return str(getattr(settings.schedule, flow))


def _own_day(settings: Settings, flow: str) -> date:
    """Return the day of the run's slot, once it is over."""
    day = slot_day(settings, cron=_cron_of(settings, flow))
    wait_until_over(settings, day)
    return day


def tell(flow: "Flow[..., Any]", flow_run: "FlowRun", state: "State[Any]") -> None:  # noqa: ARG001  # Prefect's names
    """Tell people that a run failed or was refused, unless the flow has told of the refusal."""
    config = _served() or Path(flow_run.parameters["config"])
    try:
        settings = read_settings(config)
    except (SettingsError, OSError) as error:
        _log.error("nobody is told of %s: %s", flow_run.name, error)  # in one line
        return
    failure = _error_of(state)
    row = None if failure is None else expected_error(failure)
    kind = REFUSED if row is not None and row.is_refusal else FAILED
    if kind == REFUSED and getattr(failure, "was_notified", False):
        return
    facts = {
        "run": flow_run.name,
        "what": _in_words(failure, state, config),
        "details": _page_of(flow_run),
    }
    notify(settings, kind, f"{flow_run.name} {kind}", facts)


def _page_of(flow_run: "FlowRun") -> str:
    return f"{PREFECT_UI_URL.value()}/runs/flow-run/{flow_run.id}"


@prefect_flow(flow_run_name=named, on_failure=[tell], on_crashed=[tell], persist_result=False)
def daily(config: Path, as_of: date | None = None, force: bool = False) -> None:
    """Score every customer as of the day before the run's slot, and publish."""
    from flows.daily import daily as work

    settings = read_served(config)
    with _shown(settings, as_of or _own_day(settings, "daily"), _trigger()):
        inspect.unwrap(work)(config, as_of, force=force)


@prefect_flow(flow_run_name=named, on_failure=[tell], on_crashed=[tell], persist_result=False)
def train(
    config: Path, as_of: date | None = None, trigger: str | None = None
) -> "State[None] | None":
    """Fit the models anew; the gate decides whether they score. A refusal ends the run as such."""
    from flows.train import train as work

    settings = read_served(config)
    day = as_of or _own_day(settings, "train")
    trigger = trigger or _trigger()
    with _shown(settings, day, trigger):
        trained = inspect.unwrap(work)(config, day, None, trigger)
    return _say_trained(settings, trained, day, trigger)


@prefect_flow(flow_run_name=named, on_failure=[tell], on_crashed=[tell], persist_result=False)
def monitor(config: Path, as_of: date | None = None) -> None:
    """Compare what was predicted with what happened, and ask for a retrain where that helps."""
    from flows.monitor import monitor as work

    settings = read_served(config)
    day = as_of or _own_day(settings, "monitor")
    with _shown(settings, day, _trigger()):
        inspect.unwrap(work)(config, day)


def _say_trained(
    settings: Settings, trained: "Trained", as_of: date, trigger: str
) -> "State[None] | None":
    """Tell people where the gate refused, or where drift had asked; return the run's state if special."""
    version = trained.model_version
    facts = {"as_of": as_of, "version": version, "gate": trained.gate, "reasons": trained.reasons}
    if trained.gate == GATE_FAILED:
        fix = f'perennial promote {version} --because "…", to use it all the same'
        subject = f"the gate refused version {version}; the champion goes on"
        notify(settings, REFUSED, subject, {**facts, "fix": fix})
        return Completed(name="Refused", message=f"{subject}: {'; '.join(trained.reasons)}")
    if trigger == BY_DRIFT:
        scores = "scores from now on" if trained.is_champion else "is kept, the champion goes on"
        notify(settings, RETRAIN, f"fitted anew after drift: version {version} {scores}", facts)
    return None


def _trigger() -> str:
    run = _current_run()
    return BY_SCHEDULE if run.auto_scheduled else BY_HAND


def _current_run() -> "FlowRun":
    with get_client(sync_client=True) as client:
        return client.read_flow_run(current.id)


@contextmanager
def _shown(settings: Settings, as_of: date, trigger: str) -> Iterator[None]:
    """Tag the run, and let Prefect show our packages' logs and each step's seconds."""
    tags = {f"store: {settings.store.name}", f"as of: {as_of}", f"trigger: {trigger}"}
    with get_client(sync_client=True) as client:
        client.update_flow_run(current.id, tags=tags | set(_current_run().tags))
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)
    with collect_timings(_log_step):
        yield


def _log_step(message: str, seconds: float | None) -> None:
    if seconds is not None:
        _log.info("%s: %.1f s", message.replace("_", " "), seconds)
    elif " " in message:  # how far a step is; a step's start is its name, and Prefect logs it
        _log.info("%s", message)


def _error_of(state: "State[Any]") -> BaseException | None:
    try:
        result = state.result(raise_on_failure=False)
    except MissingResult:  # the process died, and the runner only knows how
        return None
    if isinstance(result, CrashedRun | FailedRun) or not isinstance(result, BaseException):
        return None
    return result


def _in_words(error: BaseException | None, state: "State[Any]", config: Path) -> str:
    if error is None:
        return state.message or state.name or "it ended"
    row = expected_error(error)
    if row is not None and row.is_ours:
        return str(error)
    folders = home_folders(config)
    reason = disk_error(error, folders) or describe_damage(folders)
    return str(reason or f"{type(error).__name__}; the run's log says more")
