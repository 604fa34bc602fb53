"""How far a stream's pulls are, in one line for people."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from connectors.live.puller import OnProgress
from connectors.live.records import PlannedPull

SHORT = timedelta(seconds=90)


class StreamProgress:
    """Counts what was read, and estimates how long the rest takes.

    Parameters
    ----------
    what
        What is read, in the plural: ``orders``.
    planned
        The pulls of the stream, in order.
    on_progress
        Gets the lines.
    seconds
        Tells seconds that never go back.
    """

    def __init__(
        self,
        what: str,
        planned: Sequence[PlannedPull],
        on_progress: OnProgress,
        *,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._on_progress, self._seconds = what, on_progress, seconds
        self._planned, self._began = list(planned), seconds()
        self._rows = self._done = 0

    def add(self, rows: int) -> None:
        """Tell of a pull that became whole.

        Parameters
        ----------
        rows
            Its rows.
        """
        self._rows, self._done = self._rows + rows, self._done + 1
        until = self._planned[self._done - 1].window.end
        line = f"{self._rows:,} {self._what} read, until {until:%Y-%m-%d}"
        self._on_progress(line + self._left())

    def _left(self) -> str:
        """Return the rest of the line: how much is left of several pulls, by the time that they span."""
        left = _span(self._planned[self._done :])
        if not left:
            return ""
        spent = timedelta(seconds=self._seconds() - self._began)
        estimate = spent * (left / _span(self._planned[: self._done]))
        return f"; {self._done} of {len(self._planned)} parts, {in_words(estimate)} left"


def in_words(length: timedelta) -> str:
    """Return a length of time as people say it, roughly.

    Parameters
    ----------
    length
        Not negative.
    """
    if length < SHORT:
        return f"about {max(2, round(length.total_seconds()))} seconds"
    minutes = round(length / timedelta(minutes=1))
    if minutes < 90:
        return f"about {minutes} minutes"
    return f"about {round(length / timedelta(hours=1))} hours"


def _span(planned: Sequence[PlannedPull]) -> float:
    return sum((one.window.end - one.window.start).total_seconds() for one in planned)
