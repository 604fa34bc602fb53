"""What a store sets of the unattended way: when flows run, and who is told when they do not."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from connectors.addresses import check_no_secret
from perennial.pipeline.settings.cron import CRON_FIELDS, CRON_PART

OFF = "off"


def _cron(text: str) -> str:
    """Check a crontab line here: Prefect would say so only when it is served."""
    text = text.strip().lower()
    if text == OFF:
        return text
    parts = text.split()
    if len(parts) != len(CRON_FIELDS):
        raise ValueError(
            f'{text!r} is not minute, hour, day, month and weekday, such as "0 4 * * *", nor "{OFF}"'
        )
    for part, (field, least, most, names) in zip(parts, CRON_FIELDS, strict=True):
        if not all(_is_cron_part(one, least, most, names) for one in part.split(",")):
            raise ValueError(f"the {field} is {least} to {most}, *, a list or steps: not {part!r}")
    return " ".join(parts)


def _is_cron_part(text: str, least: int, most: int, names: dict[str, int]) -> bool:
    match = CRON_PART.fullmatch(text)
    if match is None or match["every"] == "0":
        return False
    ends = [names.get(end, end) for end in (match["first"], match["last"]) if end is not None]
    if not all(str(end).isdecimal() and least <= int(end) <= most for end in ends):
        return False
    return len(ends) < 2 or int(ends[0]) <= int(ends[1])


def _one_line(text: str) -> str:
    if any(not c.isprintable() for c in text):
        raise ValueError("is one line of printable characters")
    return text


def _host(text: str) -> str:
    if "@" in text or "/" in text:
        raise ValueError("is a host name only; $PERENNIAL_SMTP_USER and _PASSWORD log in")
    return _one_line(text)


Cron = Annotated[str, AfterValidator(_cron)]
Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]


class ScheduleSettings(BaseModel):
    """When flows run: crontab lines in the store's time zone, and where Prefect's server is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    daily: Cron = "0 4 * * *"
    train: Cron = "0 5 * * 0"
    monitor: Cron = "0 6 * * *"
    catch_up_days: Annotated[int, Field(ge=0, le=366)] = 7
    late_tries: Annotated[int, Field(ge=0, le=100)] = 6
    late_wait_minutes: Annotated[float, Field(ge=0, le=1440)] = 30.0
    port: Annotated[int, Field(ge=1, le=65535)] = 4200
    database: (
        Annotated[
            str,
            Field(pattern=r"^(postgresql\+asyncpg|sqlite\+aiosqlite)://"),
            AfterValidator(check_no_secret),
        ]
        | None
    ) = None
    keep_runs_days: Annotated[int, Field(ge=1, le=3650)] = 90
    keep_events_days: Annotated[int, Field(ge=1, le=365)] = 7
    stale_hours: Annotated[int, Field(ge=1, le=8760)] = 36


class NotifySettings(BaseModel):
    """Who is told of a refusal, a failure, staleness and a retrain, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook: (
        Annotated[str, Field(pattern=r"^https?://"), AfterValidator(check_no_secret)] | None
    ) = None
    email_to: tuple[Address, ...] = ()
    smtp_host: Annotated[str, Field(min_length=1), AfterValidator(_host)] = "localhost"
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 25
    smtp_starttls: bool = False
    sender: Address | None = None

    @model_validator(mode="after")
    def _check_sender(self) -> "NotifySettings":
        if self.email_to and self.sender is None:
            raise ValueError("e-mail needs a sender: set notify.sender")
        return self
