"""Where a flow runs: through Prefect, or in this process without it."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from connectors.addresses import redacted_address
from perennial.cli.facts import PrefectPlace
from perennial.cli.terminal import program, reporter, say
from perennial.pipeline.runtime.prefect_api import configured_api_url
from perennial.pipeline.runtime.steps import collect_timings, with_prefect
from perennial.service.server import TemporaryServer, check_answers, served_api_url

R = TypeVar("R")


class Runner:
    """Runs flows, and knows how long their steps took.

    Parameters
    ----------
    api_url
        Prefect's; None to run in this process.
    server
        Temporary server that is starting behind `api_url`, if it is one.
    """

    def __init__(self, api_url: str | None, server: TemporaryServer | None) -> None:
        self._api_url = api_url
        self._server = server
        self._started = time.perf_counter()
        self.timings: dict[str, float] = {}

    @property
    def where(self) -> PrefectPlace:
        """Where flows run, and how to look at their runs later."""
        if self._api_url is None:
            return PrefectPlace(api_url=None, ui=None)
        if self._server is None:
            shown = redacted_address(self._api_url)
            return PrefectPlace(api_url=shown, ui=shown.removesuffix("/api"))
        return PrefectPlace(
            api_url=self._api_url,
            ui=f"PREFECT_HOME={self._server.home} {program('prefect')} server start",
        )

    @property
    def seconds(self) -> float:
        """Seconds since this runner was made."""
        return round(time.perf_counter() - self._started, 1)

    def run(self, flow: Callable[..., R], **parameters: Any) -> R:  # noqa: ANN401  # the flow's own
        """Run a flow with its parameters by name."""
        with collect_timings(reporter()) as timings:
            try:
                if self._api_url is None:
                    return flow(**parameters)
                return self._run_with_prefect(flow, **parameters)
            finally:
                self.timings = {name: round(seconds, 3) for name, seconds in timings.items()}

    def _run_with_prefect(self, flow: Callable[..., R], **parameters: Any) -> R:  # noqa: ANN401
        if self._server is None:
            check_answers(str(self._api_url))
            return with_prefect(flow)(**parameters)
        say("Waiting for Prefect's temporary server")
        self._server.wait()
        os.environ["PREFECT_API_URL"] = self._server.api_url
        from prefect.settings import (  # reads the environment when imported
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
            temporary_settings,
        )

        # A heartbeat tells a server that outlives the run of its death, and costs a second a flow.
        try:
            with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                return with_prefect(flow)(**parameters)
        finally:
            for name in ("prefect.flow_runs", "prefect.task_runs"):
                for handler in logging.getLogger(name).handlers:
                    handler.flush()  # what is logged reaches the server before it stops


@contextmanager
def choose_runner(home: Path, *, prefect: bool) -> Iterator[Runner]:
    """Run through Prefect where a server is configured or `prefect` asks for it.

    Parameters
    ----------
    home
        The temporary server keeps its database under ``.prefect`` here.
    prefect
        Start a temporary server where none is configured.
    """
    folder = Path(os.environ.get("PREFECT_HOME", home / ".prefect"))
    url = configured_api_url()
    if url is None and prefect:
        url = served_api_url(folder)  # a second server on its database would be one too many
    if url is not None:
        with _environment(PREFECT_API_URL=url):
            yield Runner(url, None)
    elif not prefect:
        say(
            "Running in this process, without Prefect: set PREFECT_API_URL or add --prefect for that"
        )
        yield Runner(None, None)
    else:
        server = TemporaryServer(folder)
        server.start()
        with _environment(PREFECT_HOME=str(server.home), PREFECT_API_URL=server.api_url):
            try:
                yield Runner(server.api_url, server)
            finally:
                server.stop()


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set variables for as long as a flow runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
