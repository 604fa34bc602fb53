"""A child process that is started again when it dies, and leaves with its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LONGEST_LOG = 5_000_000  # bytes; then the log is begun anew, and one old one is kept
LONGEST_PAUSE = 60.0  # seconds before a child that keeps dying is started again
STEADY = 300.0  # seconds after which a child counts as well


class Child:
    """One of our modules in a process group of its own, its standard input a pipe to here.

    The pipe closes when this process ends, however it ends: then the child leaves.

    Parameters
    ----------
    name
        For people.
    module
        What it runs.
    log
        File of what it says.
    environment
        Added to this process's.
    clock
        Seconds, for pauses.
    defaults
        Variables that this process's environment may set otherwise.
    """

    def __init__(
        self,
        name: str,
        module: str,
        log: Path,
        environment: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        *,
        defaults: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.deaths = 0  # since it was last steady
        self._module = module
        self._environment = environment
        self._defaults = defaults or {}
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._again_at: float | None = None
        self._is_clear = True

    def start(self, *arguments: str, pipes: Sequence[int] = ()) -> None:
        """Start it; `pipes` are handles that it inherits."""
        self._clear()
        _rotate(self.log)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                [sys.executable, "-P", "-m", self._module, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **self._defaults,
                    **os.environ,
                    **self._environment,
                    "PYTHONSAFEPATH": "1",
                },  # no code from the folder
                pass_fds=pipes,
                start_new_session=True,
            )
        self._started, self._again_at, self._is_clear = self._clock(), None, False

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None or not self.is_alive() else self._process.pid

    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.poll() is None

    def is_due(self) -> bool:
        """Tell whether it died and its pause is over; the first look after a death starts the pause."""
        if self.is_alive():
            return False
        if self._again_at is None:
            self._clear()
            is_steady = self._clock() - self._started > STEADY
            self.deaths = 1 if is_steady else self.deaths + 1
            self._again_at = self._clock() + self.pause
            return False
        return self._clock() >= self._again_at

    @property
    def pause(self) -> float:
        """Seconds before it is started again: 1, 2, 4, …, 60."""
        return float(min(2.0 ** (self.deaths - 1), LONGEST_PAUSE))

    @property
    def ended_with(self) -> str:
        """Return how it ended, in words."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return "it runs"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def last_words(self) -> str:
        """Return the last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"

    def stop(self, within_seconds: float = 10.0) -> None:
        """Ask it to end, and end its whole group when it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=within_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._clear()

    def _clear(self) -> None:
        """End what it started, once: later its group's number may be another's."""
        if self._process is None or self._is_clear:
            return
        self._is_clear = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LONGEST_LOG:
        log.replace(log.with_name(log.name + ".1"))
