"""`perennial up`: a Prefect server and a worker, kept alive until asked to stop.

This process imports no Prefect and does no work: what can die are its children. It looks after
them, and after what nobody else would miss: a schedule that creates no runs, a day that is old, and orders
that nobody refreshes.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import FrameType
from zoneinfo import ZoneInfo

import httpx
from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from connectors.addresses import redacted_address
from connectors.store import Store
from features.tables import DataError
from perennial.pipeline.runtime.notifications import FAILED, STALE, notify
from perennial.pipeline.runtime.prefect_api import SERVED_SETTINGS, ServerError, configured_api_url
from perennial.pipeline.settings.store import Settings, SettingsError
from perennial.pipeline.status.source import source_problem, source_status
from perennial.service.child import Child
from perennial.service.events import (
    ChildDied,
    ChildRestarted,
    ComingRun,
    Complaint,
    Event,
    RunAgain,
    ServedDeployment,
    ServerUnanswered,
    Serving,
    Stopped,
)
from perennial.service.scheduler import (
    api_client,
    check_port,
    find_api_url,
    next_slots,
    prefect_home,
    server_environment,
)
from perennial.service.server import (
    UP_LOCK,
    check_answers,
    forget_serving,
    say_serving,
)

STARTUP_SECONDS = 300.0  # a first start migrates an empty database
LOOK_SECONDS = 0.5  # between looks at the children
CHECK_SECONDS = 60.0  # between looks at schedules and at the current day
FIRST_RUNS_SECONDS = 30  # the scheduler looks for new deployments every five seconds
PATIENCE_SECONDS = 150.0  # that the scheduler may take to create the first runs
DEATHS_TO_TELL, UNANSWERED_TO_RESTART = 3, 5
WORKER_STOPS_SECONDS, SERVER_STOPS_SECONDS = 15.0, 6.0

SERVED = TypeAdapter(tuple[ServedDeployment, ...])

Tell = Callable[[Event], None]


class Supervisor:
    """Serves a store until asked to stop.

    Parameters
    ----------
    settings
        The store's.
    config
        Their file.
    tell
        Gets every event.
    """

    def __init__(self, settings: Settings, config: Path, tell: Tell) -> None:
        self.settings = settings
        self.config = config.resolve()
        self.api_url = find_api_url(settings)
        self.tell = tell
        self.stopping = threading.Event()
        home, environment = prefect_home(settings), server_environment(settings)
        self._lock = FileLock(home / UP_LOCK, timeout=2)  # another command may look at it
        served = {**environment, SERVED_SETTINGS: str(self.config)}
        self._worker = Child("worker", "perennial.service.worker", home / "worker.log", served)
        self._server: Child | None = None
        if configured_api_url() is None:
            self._server = Child(
                "server", "perennial.service.server", home / "server.log", environment
            )
        self._served: tuple[ServedDeployment, ...] = ()
        self._ready_at = 0.0
        self._unanswered = 0
        self._complained: set[tuple[str, date | None]] = set()

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP.

        Raises
        ------
        SettingsError
            Another one serves this home, or the port is taken.
        ServerError
            Prefect's server or the worker does not start.
        """
        with self._alone(), _signals(self.stopping):
            try:
                self._start()
                self._watch()
            finally:
                self._stop()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        folder = Path(self._lock.lock_file).parent
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise SettingsError(
                f"one `perennial up` serves a home: another one runs in {self.settings.home}. Stop it first"
            ) from None
        try:
            if self._server is not None:
                check_port(self.settings.schedule.port)
            yield
        finally:
            self._lock.release()

    def _start(self) -> None:
        if self._server is None:
            check_answers(self.api_url)
        else:
            self._server.start(str(self.settings.schedule.port), "--ui")
            self._await_server(self._server)
        if not self.stopping.is_set():
            self._start_worker()
            if not self._served and not self.stopping.is_set():
                raise ServerError(self._did_not_start(self._worker))
        if not self.stopping.is_set():
            if self._server is not None:
                say_serving(prefect_home(self.settings), self.api_url)
            self.tell(self._serving())

    def _await_server(self, server: Child) -> None:
        deadline = time.monotonic() + STARTUP_SECONDS
        with api_client(self.api_url) as client:
            while not self.stopping.wait(0.2):
                if not server.is_alive() or time.monotonic() > deadline:
                    raise ServerError(self._did_not_start(server))
                try:
                    if client.get(f"{self.api_url}/health").is_success:
                        return
                except httpx.TransportError:
                    continue

    def _did_not_start(self, child: Child) -> str:
        return f"Prefect's {child.name} must start: {child.ended_with}: {child.last_words()}. See {child.log}"

    def _start_worker(self) -> None:
        """Start the worker and wait until it has registered the deployments."""
        ready, answer = os.pipe()
        try:
            own = [] if self._server is None else ["own"]
            self._worker.start(str(self.config), str(answer), *own, pipes=[answer])
        finally:
            os.close(answer)
        try:
            message = self._read(ready)
        finally:
            os.close(ready)
        if not message:
            self._worker.stop(1)  # it hangs, or is dead already: it is due again
            return
        self._served = SERVED.validate_json(message)
        self._ready_at = time.monotonic()
        for one in self._served:
            if one.again:
                self.tell(RunAgain(one.deployment))
            if one.given_up:
                subject = f"{one.deployment} was cut off twice, and waits for its next slot"
                self._complain(FAILED, subject, {"fix": "see its log in Prefect's pages"})

    def _read(self, pipe: int) -> bytes:
        """Return what comes until the other end closes; nothing where that takes too long."""
        message, deadline = b"", time.monotonic() + STARTUP_SECONDS
        while not self.stopping.is_set() and time.monotonic() < deadline:
            if not select.select([pipe], [], [], LOOK_SECONDS)[0]:
                continue
            part = os.read(pipe, 65_536)
            if not part:
                return message
            message += part
        return b""

    def _serving(self) -> Serving:
        coming = self._coming_runs()
        shown = redacted_address(self.api_url)
        return Serving(
            ui=shown.removesuffix("/api"),
            api_url=shown,
            home=str(prefect_home(self.settings)),
            timezone=self.settings.store.timezone,
            deployments=tuple(
                ComingRun(one.deployment, one.cron, one.event, coming.get(one.id))
                for one in self._served
            ),
        )

    def _coming_runs(self) -> dict[str, str]:
        """Return the slot of each scheduled deployment's next run, as the server has it."""
        wanted = {one.id for one in self._served if one.cron}
        coming: dict[str, str] = {}
        for _ in range(FIRST_RUNS_SECONDS):
            with suppress(httpx.HTTPError):
                coming = self._next_slots()
            if wanted <= set(coming) or self.stopping.wait(1):
                break
        return coming

    def _next_slots(self) -> dict[str, str]:
        ids = [one.id for one in self._served]
        return next_slots(self.api_url, ids, self.settings.store.timezone)

    def _watch(self) -> None:
        checked = time.monotonic()
        while not self.stopping.wait(LOOK_SECONDS):
            for child in filter(None, (self._server, self._worker)):
                self._look_after(child)
            if time.monotonic() - checked >= CHECK_SECONDS:
                checked = time.monotonic()
                self._check_schedules()
                self._check_age(datetime.now(UTC))
                self._check_source(datetime.now(UTC))

    def _look_after(self, child: Child) -> None:
        deaths, how = child.deaths, child.ended_with
        if child.is_due():
            self._restart(child)
        elif child.deaths > deaths:
            last_words = child.last_words()
            self.tell(ChildDied(child.name, how, last_words, child.pause, str(child.log)))
            if child.deaths == DEATHS_TO_TELL:
                subject = f"the schedule's {child.name} keeps dying"
                self._notify(FAILED, subject, {"how": how, "said": last_words})

    def _restart(self, child: Child) -> None:
        if child is self._worker:
            self._start_worker()
        else:
            child.start(str(self.settings.schedule.port), "--ui")
        if child.is_alive():
            self.tell(ChildRestarted(child.name))

    def _check_schedules(self) -> None:
        """Say when a schedule creates no runs: nothing else would."""
        if time.monotonic() - self._ready_at < PATIENCE_SECONDS or not self._worker.is_alive():
            return
        try:
            coming = self._next_slots()
        except httpx.HTTPError as error:
            self.tell(ServerUnanswered(redacted_address(self.api_url), type(error).__name__))
            self._unanswered += 1
            if self._unanswered >= UNANSWERED_TO_RESTART and self._server is not None:
                self._unanswered = 0
                self._server.stop(SERVER_STOPS_SECONDS)  # it hangs: it is due again
            return
        self._unanswered = 0
        for one in self._served:
            if one.cron and one.id not in coming:
                self._complain(
                    FAILED,
                    f"{one.deployment} has no coming run",
                    {
                        "cron": one.cron,
                        "fix": "resume it on its page, or see the server's log",
                    },
                )

    def _check_age(self, now: datetime) -> None:
        """Say when the current day is older than people may expect."""
        try:
            day = Store(self.settings.exports).current()
        except DataError as error:
            self._complain(FAILED, "the current day cannot be read", {"what": str(error)})
            return
        if day is None:
            return
        zone = ZoneInfo(self.settings.store.timezone)
        ended = datetime.combine(day.as_of + timedelta(days=1), datetime.min.time(), zone)
        hours = (now - ended) / timedelta(hours=1)
        if hours > self.settings.schedule.stale_hours:
            subject = f"no day after {day.as_of} is published"
            self._complain(STALE, subject, {"current": day.as_of, "hours old": round(hours)})

    def _check_source(self, now: datetime) -> None:
        """Warn once a day when nobody refreshes the orders."""
        limit = timedelta(days=self.settings.schedule.stale_source_days)
        try:
            problem = source_problem(source_status(self.settings.source_place), now, limit)
        except (DataError, OSError) as error:
            self._complain(FAILED, "the age of the orders cannot be read", {"what": str(error)})
            return
        if problem is not None:
            day = now.astimezone(ZoneInfo(self.settings.store.timezone)).date()
            facts = {**problem.facts, "fix": problem.fix}
            self._complain(STALE, problem.subject, facts, day=day)

    def _complain(
        self, kind: str, subject: str, facts: Mapping[str, object], *, day: date | None = None
    ) -> None:
        """Say something once, or once on each `day`; people are told again after a restart."""
        if (subject, day) in self._complained:
            return
        self._complained.add((subject, day))
        self.tell(Complaint(subject, {name: str(value) for name, value in facts.items()}))
        self._notify(kind, subject, facts)

    def _notify(self, kind: str, subject: str, facts: Mapping[str, object]) -> None:
        """Tell people, without waiting for receivers that do not answer."""
        threading.Thread(
            target=notify, args=(self.settings, kind, subject, facts), daemon=True
        ).start()

    def _stop(self) -> None:
        self._worker.stop(WORKER_STOPS_SECONDS)
        if self._server is not None:
            self._server.stop(SERVER_STOPS_SECONDS)
            forget_serving(prefect_home(self.settings))
        self.tell(Stopped())


@contextmanager
def _signals(stopping: threading.Event) -> Iterator[None]:
    """Let SIGTERM, SIGINT and SIGHUP ask for the end."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
