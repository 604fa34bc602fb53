"""What Klaviyo answers: read strictly, and told without naming anybody."""

from datetime import datetime
from typing import Any, Literal, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from connectors.klaviyo import api
from connectors.klaviyo.api import Endpoint
from connectors.klaviyo.errors import (
    Fault,
    KeyRefusedError,
    KlaviyoError,
    RequestRefusedError,
    UnavailableError,
)


class Answer(BaseModel):
    """A resource of an answer."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


A = TypeVar("A", bound=Answer)


class Account(Answer):
    """The account that a key belongs to."""

    id: str


class KeyScopes(Answer):
    """What reads show of a key's scopes, beyond those that a sync needs.

    Attributes
    ----------
    granted
        Scopes whose read Klaviyo answered.
    denied
        Scopes whose read Klaviyo refused for want of the scope.
    unclear
        Scopes whose read Klaviyo refused for another reason.
    """

    granted: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


class FoundProfile(Answer):
    """A person whom Klaviyo knows."""

    id: str
    email: str | None = None
    phone_number: str | None = None
    external_id: str | None = None


class Job(Answer):
    """An import job."""

    id: str
    status: Literal["queued", "processing", "complete", "cancelled"]
    total_count: int
    created_at: datetime
    completed_count: int | None = None
    failed_count: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ("complete", "cancelled")


class ImportFault(Answer):
    """Why a row was not imported."""

    code: str = ""
    title: str = ""
    detail: str = ""
    source: dict[str, Any] | None = None
    original_payload: dict[str, Any] | None = None

    @property
    def pointer(self) -> str:
        """Where in the body, as a JSON pointer."""
        return str((self.source or {}).get("pointer") or "")


class Named(Answer):
    """A segment or a list."""

    id: str
    name: str | None = None
    created: datetime | None = None
    definition: dict[str, Any] | None = None


class TryAgainError(Exception):
    """A try failed in a way that another may not."""

    def __init__(
        self,
        problem: str,
        seconds: float | None = None,
        *,
        is_busy: bool = False,
        is_unsent: bool = False,
    ) -> None:
        super().__init__(problem)
        self.seconds, self.is_busy, self.is_unsent = seconds, is_busy, is_unsent

    @property
    def may_be_done(self) -> bool:
        """Whether Klaviyo may have done what was asked."""
        return not (self.is_busy or self.is_unsent)


def read_object(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer."""
    if answer.status_code == httpx.codes.NO_CONTENT or not answer.content:
        return {}
    try:
        payload = answer.json()
    except ValueError:
        raise TryAgainError("an answer that is not JSON") from None
    if not isinstance(payload, dict):
        raise TryAgainError("an answer that is no JSON object")
    return payload


def refusal(endpoint: Endpoint, answer: httpx.Response) -> KlaviyoError:
    """Return the error of an answer that says no."""
    status = answer.status_code
    if status == httpx.codes.UNAUTHORIZED:
        return KeyRefusedError(
            f"the key opens the account: Klaviyo does not know it ({endpoint}, 401). Set a private API key "
            "of the account in the environment"
        )
    if status == httpx.codes.FORBIDDEN:
        return KeyRefusedError(
            f"{endpoint} needs a key with {' '.join(endpoint.scopes)}: this one may not (403). Give the key "
            "these scopes in Klaviyo, or leave out what needs them"
        )
    faults = _faults(answer)
    codes = ", ".join(sorted({fault.code for fault in faults if fault.code})) or "no code"
    return RequestRefusedError(
        f"Klaviyo takes what is asked: {endpoint} was refused with {status} ({codes}, {len(faults)} faults). "
        "Nothing of this request was done; see docs/klaviyo.md",
        status,
        faults,
    )


def _faults(answer: httpx.Response) -> list[Fault]:
    try:
        errors = read_object(answer).get("errors")
    except TryAgainError:
        return []
    rows = errors if isinstance(errors, list) else []
    return [
        Fault(
            str(row.get("code", "")),
            str(row.get("detail", "")),
            str((row.get("source") or {}).get("pointer", "")),
        )
        for row in rows
        if isinstance(row, dict)
    ]


def read_one(kind: type[A], page: dict[str, Any]) -> A:
    """Read the one resource of an answer."""
    return read_many(kind, {"data": [page.get("data")]})[0]


def read_many(kind: type[A], page: dict[str, Any]) -> list[A]:
    """Read the resources of an answer."""
    try:
        rows = [{"id": row.get("id", ""), **(row.get("attributes") or {})} for row in page["data"]]
        return TypeAdapter(list[kind]).validate_python(rows)  # type: ignore[valid-type]
    except (KeyError, TypeError, AttributeError, ValidationError):
        raise UnavailableError(
            f"Klaviyo's answers have the form of revision {api.REVISION}: one has not. Try again later, or "
            "look whether Klaviyo has retired that revision"
        ) from None
