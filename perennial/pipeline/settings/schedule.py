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
    """The schedule of `perennial up`: minute, hour, day, month and weekday in the store's time zone, or "off"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    daily: Cron = Field(default="0 4 * * *", description="Scores the previous day.")
    train: Cron = Field(
        default="0 5 * * 0", description="Fits new models; the gate decides whether they score."
    )
    monitor: Cron = Field(
        default="0 6 * * *", description="Compares the forecast with what happened."
    )
    catch_up_days: int = Field(
        default=7, ge=0, le=366, description="Recent days that are published if missing, in order."
    )
    late_tries: int = Field(
        default=6,
        ge=0,
        le=100,
        description="Number of retries of a scheduled run whose source is late.",
    )
    late_wait_minutes: float = Field(
        default=30.0, ge=0, le=1440, description="Minutes between these retries."
    )
    port: int = Field(
        default=4200,
        ge=1,
        le=65535,
        description="Port of Prefect's server and its pages, on this machine only.",
    )
    database: (
        Annotated[
            str,
            Field(pattern=r"^(postgresql\+asyncpg|sqlite\+aiosqlite)://"),
            AfterValidator(check_no_secret),
        ]
        | None
    ) = Field(
        default=None,
        description="Prefect's database; if not set, SQLite in .prefect/. The password is in $PGPASSWORD.",
        examples=["postgresql+asyncpg://prefect@db.example/prefect"],
    )
    keep_runs_days: int = Field(
        default=90, ge=1, le=3650, description="Days for which Prefect's runs and logs are kept."
    )
    keep_events_days: int = Field(
        default=7, ge=1, le=365, description="Days for which Prefect's events are kept."
    )
    stale_hours: int = Field(
        default=36,
        ge=1,
        le=8760,
        description="Hours after the end of the current day until an alert that no newer day is published.",
    )
    stale_source_days: int = Field(
        default=2,
        ge=1,
        le=3650,
        description="Days until an alert that the orders are not refreshed: age of the newest file, or of the last pull.",
    )


class NotifySettings(BaseModel):
    """Alerts of refusals, failures, stale scores and retrains; see docs/operating.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    email_to: tuple[Address, ...] = Field(
        default=(), description="E-mail addresses that receive alerts."
    )
    webhook: (
        Annotated[str, Field(pattern=r"^https?://"), AfterValidator(check_no_secret)] | None
    ) = Field(
        default=None,
        description="Address that receives JSON; a secret one belongs in $PERENNIAL_WEBHOOK.",
        examples=["https://chat.example/hooks/retention"],
    )
    smtp_host: Annotated[str, Field(min_length=1), AfterValidator(_host)] = Field(
        default="localhost",
        description="Mail server; its login is in $PERENNIAL_SMTP_USER and $PERENNIAL_SMTP_PASSWORD.",
    )
    smtp_port: int = Field(default=25, ge=1, le=65535, description="Port of the mail server.")
    smtp_starttls: bool = Field(
        default=False,
        description="Whether the connection is encrypted and the server's certificate checked.",
    )
    sender: Address | None = Field(
        default=None,
        description="Sender of the e-mails; required with email_to.",
        examples=["perennial@example.com"],
    )

    @model_validator(mode="after")
    def _check_sender(self) -> "NotifySettings":
        if self.email_to and self.sender is None:
            raise ValueError("e-mail needs a sender: set notify.sender")
        return self
