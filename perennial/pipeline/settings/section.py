"""What every section of the settings shares: its rules, and the types that several sections use."""

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from connectors.addresses import check_no_secret


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def check_timezone(name: str) -> str:
    """Return the name of a time zone that exists."""
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not an IANA time zone such as 'America/New_York'")
    return name


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
TimeZone = Annotated[str, AfterValidator(check_timezone)]
Address = Annotated[str, Field(min_length=1), AfterValidator(check_no_secret)]
