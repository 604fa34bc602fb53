"""What goes wrong with a pull.

::

    LiveError
    ├── PlatformDownError         no usable answer after every try: try again later (exit code 30)
    ├── AccessRefusedError        the key is wrong, or lacks a permission (exit code 2)
    └── UnexpectedAnswerError     an answer that is not understood: nothing is written (exit code 20)
        └── RequestRefusedError   a status of 300 to 499 that is none of the above

Messages name endpoints, statuses and counts: never a key, a query, a body or a person. An answer's JSON
is an attribute, for the platform's own client; it is not part of the message.
"""

from typing import Any, TypeAlias

from features.tables import DataError

Json: TypeAlias = Any  # a platform's JSON, as it sent it


class LiveError(DataError):
    """A pull cannot go on."""


class PlatformDownError(LiveError):
    """The platform gave no usable answer within all tries.

    Parameters
    ----------
    message
        For people.
    status
        HTTP status of the last try; None where there was no answer.
    asks_to_wait
        Whether the platform asks to wait for longer than a pull waits.
    """

    def __init__(
        self, message: str, status: int | None = None, *, asks_to_wait: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.asks_to_wait = status, asks_to_wait

    is_late = True  # a scheduled run waits and tries again


class UnexpectedAnswerError(LiveError):
    """The platform answered, and the answer is not understood."""


class RequestRefusedError(UnexpectedAnswerError):
    """The platform refused a request; another try changes nothing.

    Parameters
    ----------
    message
        For people.
    status
        HTTP status.
    payload
        The answer's JSON; None where it has none. It may name people: never log it.
    location
        Of a redirect: scheme, host and path of where it leads.
    """

    def __init__(
        self, message: str, status: int, payload: Json = None, *, location: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.payload, self.location = status, payload, location


class AccessRefusedError(LiveError):
    """The key is wrong, or lacks a permission.

    Parameters
    ----------
    message
        For people.
    status
        HTTP status, 401 or 403; 200 where the platform refuses inside of an answer.
    payload
        The answer's JSON; None where it has none. It may name people: never log it.
    """

    def __init__(self, message: str, status: int, payload: Json = None) -> None:
        super().__init__(message)
        self.status, self.payload = status, payload
