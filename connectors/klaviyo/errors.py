"""What goes wrong with Klaviyo.

::

    KlaviyoError
    ├── SyncRefusedError     a guard says no, before anything is sent
    ├── KeyRefusedError      the key is wrong, or lacks a scope (401, 403)
    ├── RequestRefusedError  Klaviyo refuses what was asked (any other 4xx); asking again changes nothing
    └── UnavailableError     no usable answer after every try; asking later may help
        ├── BusyError        Klaviyo takes no more of these for now (429): a quota of the day, perhaps
        └── LostAnswerError  a creation got no answer, so that it may have happened

Messages name endpoints, codes and counts: never a key, a body, or what Klaviyo says of a person.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class KlaviyoError(Exception):
    """Klaviyo or a request to it fails: the message has the problem, the fix and the rule."""


class SyncRefusedError(KlaviyoError):
    """A guard says no."""


class KeyRefusedError(KlaviyoError):
    """The key is wrong, or lacks a scope."""


class UnavailableError(KlaviyoError):
    """There was no usable answer."""


class BusyError(UnavailableError):
    """Klaviyo takes no more of these for now."""


class LostAnswerError(UnavailableError):
    """A creation got no answer, so that it may have happened."""


@dataclass(frozen=True)
class Fault:
    """What Klaviyo says is wrong.

    Attributes
    ----------
    code, detail
        As Klaviyo says it; the detail may name a person, so it is for files and never for logs.
    pointer
        Where in the body, as a JSON pointer; empty where it is not said.
    """

    code: str
    detail: str
    pointer: str


class RequestRefusedError(KlaviyoError):
    """Klaviyo refuses what was asked.

    Parameters
    ----------
    message
        For people.
    status
        HTTP status.
    faults
        What Klaviyo says is wrong.
    """

    def __init__(self, message: str, status: int, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.faults = tuple(faults)


@contextmanager
def readable(path: Path, advice: str) -> Iterator[None]:
    """Say what to do where a file of the sync's state is not what was written.

    Parameters
    ----------
    path
        The file.
    advice
        The fix.

    Raises
    ------
    KlaviyoError
        The file is broken.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise KlaviyoError(
            f"what a sync has written is there to be read: {path} cannot be read ({type(error).__name__}). {advice}"
        ) from None
