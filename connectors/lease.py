"""One run at a time, across processes and machines that share a folder.

A lease is a file that names its holder and says until when. Its holder renews it while it lives; a
holder that died is followed by the next at once where both are on one machine, else when the lease
is over. A holder that slept through its lease learns so from :meth:`Lease.check` before it writes.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock

from connectors.store import replace_file

SECONDS = 300.0
POLL_SECONDS = 0.2
MOST_PROCESSES = 2**31  # as the kernel counts them


class LeaseLostError(RuntimeError):
    """Another run took over: what this one has not published it must not publish."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease.

    Attributes
    ----------
    name
        Unique for each holding.
    host, pid
        Where it runs.
    since, until
        ISO 8601: when it was taken, and when it ends unless it is renewed.
    """

    name: str
    host: str
    pid: int
    since: str
    until: str

    @classmethod
    def from_text(cls, text: str) -> "Holder":
        """Read a holder as :class:`Lease` writes it.

        Raises
        ------
        ValueError
            The text names no holder; a TypeError where it has other fields.
        """
        holder = cls(**json.loads(text))
        moments = [datetime.fromisoformat(one) for one in (holder.since, holder.until)]
        if any(one.tzinfo is None for one in moments):
            raise ValueError("a time without its zone")
        if not 0 < holder.pid < MOST_PROCESSES:
            raise ValueError("no process has this id")
        return holder

    def is_over(self, now: datetime) -> bool:
        """Tell whether the lease ended, or its holder is known to be dead."""
        if datetime.fromisoformat(self.until) <= now:
            return True
        return self.host == socket.gethostname() and not _is_alive(self.pid)


class Lease:
    """A lease on a folder.

    Parameters
    ----------
    path
        File that names the holder.
    now
        Tells the time, with its zone.
    seconds
        How long a holder that says nothing keeps it.
    """

    def __init__(self, path: Path, now: Callable[[], datetime], seconds: float = SECONDS) -> None:
        self.path = path
        self._now = now
        self._seconds = seconds

    def holder(self) -> Holder | None:
        """Return who holds it now; None = nobody."""
        holder = self._read()
        return None if holder is None or holder.is_over(self._now()) else holder

    @contextmanager
    def hold(self, on_wait: Callable[[Holder], None] | None = None) -> Iterator[str]:
        """Hold the lease, after waiting until it is free.

        Parameters
        ----------
        on_wait
            Told once of the holder that is waited for.

        Yields
        ------
        str
            Name of this holding, for :meth:`check`.
        """
        name = uuid.uuid4().hex
        other = self._take(name)
        if other is not None and on_wait is not None:
            on_wait(other)
        while other is not None:
            time.sleep(POLL_SECONDS)
            other = self._take(name)
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(name, over), daemon=True)
        keeper.start()
        try:
            yield name
        finally:
            over.set()
            keeper.join()
            self._release(name)

    def check(self, name: str) -> None:
        """Make sure that a holding still holds.

        Raises
        ------
        LeaseLostError
            It was over, and another took it.
        """
        holder = self._read()
        if holder is None or holder.name != name:
            taker = "nobody" if holder is None else f"process {holder.pid} on {holder.host}"
            raise LeaseLostError(
                f"one run at a time writes here: this one was silent for {self._seconds:.0f} s, and {taker} "
                "holds the lease now. Nothing was published; run again"
            )

    def _take(self, name: str) -> Holder | None:
        """Take it if it is free; return who holds it otherwise."""
        with self._lock():
            holder = self._read()
            if holder is not None and holder.name != name and not holder.is_over(self._now()):
                return holder
            self._write(name, self._now())
        return None

    def _keep(self, name: str, over: threading.Event) -> None:
        """Renew it until it is over, or another's."""
        while not over.wait(self._seconds / 3):
            with self._lock():
                holder = self._read()
                if holder is None or holder.name != name:
                    return
                self._write(name, datetime.fromisoformat(holder.since))

    def _release(self, name: str) -> None:
        with self._lock():
            holder = self._read()
            if holder is not None and holder.name == name:
                self.path.unlink()

    def _write(self, name: str, since: datetime) -> None:
        until = self._now() + timedelta(seconds=self._seconds)
        holder = Holder(
            name, socket.gethostname(), os.getpid(), since.isoformat(), until.isoformat()
        )
        text = json.dumps(asdict(holder)) + "\n"
        replace_file(self.path, lambda draft: draft.write_text(text))

    def _read(self) -> Holder | None:
        try:
            return Holder.from_text(self.path.read_text())
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return None  # damaged, or cut short by a crash: it names nobody

    def _lock(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_suffix(".lock"))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _has_ended(pid)


def _has_ended(pid: int) -> bool:
    """Tell whether a process is dead but not waited for by its parent, where the system shows it."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in ("Z", "X")
