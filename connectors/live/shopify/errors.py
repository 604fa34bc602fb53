"""What Shopify refuses inside of an answer, beyond what every platform does."""

from connectors.live.errors import AccessRefusedError, UnexpectedAnswerError


class WrongStoreError(AccessRefusedError):
    """The key works, and the store is not the one that the settings describe."""


class TooDearError(UnexpectedAnswerError):
    """A query costs more than any query may."""


class StaleCursorError(UnexpectedAnswerError):
    """A page's cursor is not accepted any more: the pages begin again."""


class BulkRefusedError(UnexpectedAnswerError):
    """No bulk operation may be started.

    Parameters
    ----------
    message
        For people.
    is_busy
        Whether other operations have to end first.
    """

    def __init__(self, message: str, *, is_busy: bool) -> None:
        super().__init__(message)
        self.is_busy = is_busy


class BulkFailedError(UnexpectedAnswerError):
    """A bulk operation ended without its result: nothing of it is used."""
