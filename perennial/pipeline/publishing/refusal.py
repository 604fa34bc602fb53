"""Why a day was refused, as it is kept until the day is published."""

from datetime import date

from pydantic import BaseModel, ConfigDict

from models.checks import Check


class Refusal(BaseModel):
    """A day that is refused.

    Attributes
    ----------
    as_of
        The day.
    refused_at
        When, ISO 8601 in UTC.
    why
        The message.
    checks
        The checks that refuse it; none where something else does.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    as_of: date
    refused_at: str
    why: str
    checks: tuple[Check, ...] = ()
