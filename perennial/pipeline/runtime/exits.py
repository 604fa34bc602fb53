"""How commands end: the exit codes, and which expected errors end a command with which of them."""

from dataclasses import dataclass
from enum import IntEnum

from connectors.engine import EngineError
from connectors.klaviyo.errors import KeyRefusedError, KlaviyoError, UnavailableError
from connectors.live.errors import AccessRefusedError, LiveError, PlatformDownError
from connectors.sources import SourceError
from connectors.tracking import TrackingError
from features.tables import DataError
from models.purchases import FitError
from perennial.pipeline.runtime.disk import FullDiskError
from perennial.pipeline.runtime.prefect_api import ServerError
from perennial.pipeline.settings.store import SettingsError


class ExitCode(IntEnum):
    """An exit code with its name and its meaning."""

    title: str
    meaning: str

    def __new__(cls, code: int, title: str, meaning: str) -> "ExitCode":
        """Make a code that has a title and a meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.title = title
        member.meaning = meaning
        return member

    DONE = 0, "done", "The command did what it was asked to do."
    DEFECT = 1, "a defect", "An unexpected error, with a Python traceback. Please report it."
    WRONG_USAGE = (
        2,
        "wrong usage or settings",
        "An option, a setting, a file or Klaviyo's key is wrong. Correct it and run the command again.",
    )
    NOTHING_TO_DO = 10, "nothing to do", "The day is already published, from the same orders."
    REFUSED = (
        20,
        "refused",
        "A check, the gate or a guard refused, or a required resource is missing.",
    )
    TRY_AGAIN = (
        30,
        "try again later",
        "The source of orders is late, or Klaviyo or a receiver of messages is unavailable.",
    )


@dataclass(frozen=True, kw_only=True)
class ExpectedError:
    """An error that is no defect.

    Attributes
    ----------
    error
        Its class; of several that fit, the most specific one counts.
    code
        Exit code of a command that it ends.
    is_refusal
        Whether a run that it ends was refused, rather than failed.
    is_ours
        Whether its message is ours and names no person, so that alerts may have it.
    has_cause
        Whether its message gives the cause; if not, the disk and the files are examined for one.
    """

    error: type[Exception]
    code: ExitCode
    is_refusal: bool = False
    is_ours: bool = True
    has_cause: bool = True


EXPECTED_ERRORS = (
    ExpectedError(error=SettingsError, code=ExitCode.WRONG_USAGE),
    ExpectedError(error=SourceError, code=ExitCode.WRONG_USAGE),
    ExpectedError(error=EngineError, code=ExitCode.WRONG_USAGE),
    ExpectedError(error=OSError, code=ExitCode.WRONG_USAGE, is_ours=False),
    ExpectedError(error=KeyRefusedError, code=ExitCode.WRONG_USAGE, is_refusal=True),
    ExpectedError(error=DataError, code=ExitCode.REFUSED, is_refusal=True),
    ExpectedError(error=FitError, code=ExitCode.REFUSED, is_refusal=True),
    ExpectedError(error=KlaviyoError, code=ExitCode.REFUSED, is_refusal=True),
    ExpectedError(error=UnavailableError, code=ExitCode.TRY_AGAIN, is_refusal=True),
    ExpectedError(error=LiveError, code=ExitCode.REFUSED, is_refusal=True),
    ExpectedError(error=AccessRefusedError, code=ExitCode.WRONG_USAGE, is_refusal=True),
    ExpectedError(error=PlatformDownError, code=ExitCode.TRY_AGAIN, is_refusal=True),
    ExpectedError(error=FullDiskError, code=ExitCode.REFUSED, is_ours=False),
    ExpectedError(error=ServerError, code=ExitCode.REFUSED, is_ours=False, has_cause=False),
    ExpectedError(error=TrackingError, code=ExitCode.REFUSED, has_cause=False),
)
_BY_CLASS = {one.error: one for one in EXPECTED_ERRORS}


def expected_error(error: BaseException) -> ExpectedError | None:
    """Return the row of an error; None where it is not expected."""
    rows = (_BY_CLASS[one] for one in type(error).__mro__ if one in _BY_CLASS)
    return next(rows, None)


def exit_code(error: BaseException) -> ExitCode:
    """Return the exit code of an error; a day whose orders are late is tried again."""
    row = expected_error(error)
    if row is None:
        return ExitCode.DEFECT
    return ExitCode.TRY_AGAIN if getattr(error, "is_late", False) else row.code
