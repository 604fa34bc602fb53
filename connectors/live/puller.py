"""What every platform's puller does."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from connectors.live.records import AccountFacts, PullKind, PullSummary

OnProgress = Callable[[str], None]  # gets one line for people; no person is named


class Puller(Protocol):
    """Reads an account of a platform into raw files, and those into files that a preset reads."""

    def preflight(self) -> AccountFacts:
        """Return the account's facts, or refuse.

        Raises
        ------
        AccessRefusedError
            The key is wrong, or lacks a permission.
        PlatformDownError
            The platform does not answer.
        UnexpectedAnswerError
            The platform's answer is not understood.
        """

    def pull(self, now: datetime, kind: PullKind, on_progress: OnProgress) -> PullSummary:
        """Pull every stream; resume what a killed pull left.

        Raises
        ------
        LiveError
            As :meth:`preflight`. Whole pulls stay, and the unfinished one is resumed by the next call.
        """

    def project(self, folder: Path) -> Sequence[Path]:
        """Write what the platform's preset reads, from the newest versions; return the files."""
