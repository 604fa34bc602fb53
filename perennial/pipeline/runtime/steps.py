"""How flows and steps run: as Prefect runs inside a Prefect flow run, as plain calls outside one.

A flow's body is an ordinary function of named steps, so there is one code path and two ways to run
it. Paths, days and version ids travel between steps, never frames.
"""

import functools
import inspect
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

P = ParamSpec("P")
R = TypeVar("R")

PAUSES = [30.0, 120.0]  # before a step is tried again

Reporter = Callable[[str, float | None], None]

_timings: ContextVar[dict[str, float] | None] = ContextVar("timings", default=None)
_reporter: ContextVar[Reporter | None] = ContextVar("reporter", default=None)


def step(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function a named, timed step of a flow.

    Inside a Prefect flow run the call is a task run. Outside, Prefect is not even imported.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        name = function.__name__
        report = _reporter.get()
        if report is not None:
            report(name, None)
        started = time.perf_counter()
        result = (_as_task(function) if _in_flow_run() else function)(*args, **kwargs)
        seconds = time.perf_counter() - started
        timings = _timings.get()
        if timings is not None:
            timings[name] = timings.get(name, 0.0) + seconds
        if report is not None:
            report(name, seconds)
        return result

    return call


def retry_on(*errors: type[Exception]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let Prefect try a step again after these errors; for steps that may be done twice."""

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        function.__dict__["retry_on"] = errors
        return function

    return mark


def in_prefect() -> bool:
    """Tell whether a Prefect flow run is under way."""
    return _in_flow_run()


def flow(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function a named flow.

    Inside a Prefect flow run the call is a subflow run. Outside, Prefect is not even imported;
    :func:`with_prefect` runs it as a flow run of its own.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return (_as_flow(function) if _in_flow_run() else function)(*args, **kwargs)

    return call


def with_prefect(call: Callable[P, R]) -> Callable[P, R]:
    """Return a flow that runs as a Prefect flow run, on the server that the environment names."""
    return _as_flow(inspect.unwrap(call))


def progress(text: str) -> None:
    """Tell who watches the steps how far the current one is."""
    report = _reporter.get()
    if report is not None:
        report(text, None)


@contextmanager
def collect_timings(report: Reporter | None = None) -> Iterator[dict[str, float]]:
    """Collect the seconds of every step inside, and tell `report` of its start (None) and end."""
    timings: dict[str, float] = {}
    outer = _timings.set(timings), _reporter.set(report)
    try:
        yield timings
    finally:
        _timings.reset(outer[0])
        _reporter.reset(outer[1])


def current_timings() -> dict[str, float]:
    """Return the seconds of the steps so far."""
    return dict(_timings.get() or {})


def _in_flow_run() -> bool:
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


def _as_flow(function: Callable[P, R]) -> Callable[P, R]:
    from prefect import flow as prefect_flow

    name = function.__name__
    decorate = prefect_flow(
        name=name,
        flow_run_name=f"{name} {{as_of}}",
        persist_result=False,
        validate_parameters=False,
    )
    return decorate(function)


def _as_task(function: Callable[P, R]) -> Callable[P, R]:
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    errors: tuple[type[Exception], ...] = function.__dict__.get("retry_on", ())
    if not errors:
        return task(cache_policy=NO_CACHE, persist_result=False)(function)

    def is_passing(_task: object, _run: object, state: "State[R]") -> bool:
        result = state.result(raise_on_failure=False)
        return isinstance(result, errors)

    return task(
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=len(PAUSES),
        retry_delay_seconds=PAUSES,
        retry_jitter_factor=0.5,
        retry_condition_fn=is_passing,
    )(function)
