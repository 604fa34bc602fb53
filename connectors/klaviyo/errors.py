"""What goes wrong with Klaviyo.

::

    KlaviyoError
    ├── SyncRefusedError     a guard says no, before anything is sent
    ├── KeyRefusedError      the key is wrong, or lacks a scope (401, 403)
    ├── RequestRefusedError  Klaviyo refuses what was asked (any other 4xx); asking again changes nothing
    └── UnavailableError     no usable answer after every try; asking later may help

Messages name endpoints, codes and counts: never a key, a body, or what Klaviyo says of a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class KlaviyoError(Exception):
    """Something is wrong with Klaviyo or with what it was asked: says rule, finding, next step."""


class SyncRefusedError(KlaviyoError):
    """A guard says no."""


class KeyRefusedError(KlaviyoError):
    """The key is wrong, or lacks a scope."""


class UnavailableError(KlaviyoError):
    """There was no usable answer."""


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
