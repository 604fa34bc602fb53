"""Every body that Perennial sends to Klaviyo: nothing else can be written, and no null.

The models hold Klaviyo's documented limits. Unknown keys are forbidden, since Klaviyo's own client
drops them silently; values are not told in errors, since they may name a person.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from connectors.klaviyo.api import MOST_EVENTS, MOST_MEMBERS, MOST_PROFILE_BYTES, MOST_ROWS
from connectors.klaviyo.printable import CONTROL

# Spaces are spelled out, and digits too: what the short forms mean differs from engine to engine, and
# a key that the plan lets pass must be one that a body takes.
_SPACES = r"\x00-\x20\x7f-\xa0" + (
    "\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb"
)
_PRINTABLE = CONTROL.replace("[", "^[^", 1) + "*$"
_NEVER = r"@\"\\,:;<>()\[\]." + _SPACES
_ATOM = rf"[^'{_NEVER}][^{_NEVER}]*"  # an apostrophe inside, as in o'brien; one in front is a spreadsheet's
_LABEL = rf"[^'!#$%&*+/=?^`{{|}}~{_NEVER}]"
EMAIL = rf"^{_ATOM}(?:\.[^{_NEVER}]+)*@(?:{_LABEL}+\.)+{_LABEL}{{2,}}$"
LONGEST_KEY = 254
PHONE = r"^\+[1-9][0-9]{6,14}$"


class Body(BaseModel):
    """A part of a body."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    def to_json(self) -> bytes:
        """Return the body as it is sent: UTF-8, without what is not given."""
        return self.model_dump_json(exclude_none=True).encode()


_FIRST, _NEXT = CONTROL.replace("[", "[^$'", 1), CONTROL.replace("[", "[^'", 1)
PropertyName = Annotated[str, Field(pattern=f"^{_FIRST}{_NEXT}*$", max_length=100)]
Text = Annotated[str, Field(strict=True, pattern=_PRINTABLE, max_length=1_000)]
Title = Annotated[str, Field(pattern=_PRINTABLE, min_length=1, max_length=255)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Value = Text | StrictBool | StrictInt | Number
Key = Annotated[str, Field(pattern=_PRINTABLE, min_length=1, max_length=LONGEST_KEY)]


class ProfileAttributes(Body):
    """A person, and what is said of them. Consent is no part of it."""

    email: Annotated[str, Field(pattern=EMAIL, max_length=LONGEST_KEY)] | None = None
    phone_number: Annotated[str, Field(pattern=PHONE)] | None = None
    external_id: Key | None = None
    properties: Annotated[dict[PropertyName, Value], Field(max_length=50)] | None = None

    @model_validator(mode="after")
    def _check_key(self) -> "ProfileAttributes":
        if self.email is None and self.phone_number is None and self.external_id is None:
            raise ValueError("a profile has an e-mail, a phone number or an external id")
        return self


class Profile(Body):
    """One row of an import job."""

    type: Literal["profile"] = "profile"
    attributes: ProfileAttributes

    def to_json(self) -> bytes:
        """Return the row as it is sent; a row over Klaviyo's 100 KB is refused."""
        row = super().to_json()
        if len(row) > MOST_PROFILE_BYTES:
            raise ValueError(f"a profile has at most {MOST_PROFILE_BYTES:,} bytes: {len(row):,}")
        return row


class Profiles(Body):
    """The rows of an import job."""

    data: Annotated[tuple[Profile, ...], Field(min_length=1, max_length=MOST_ROWS)]


class ImportAttributes(Body):
    """What an import job is made of."""

    profiles: Profiles


class ImportJob(Body):
    """An import job."""

    type: Literal["profile-bulk-import-job"] = "profile-bulk-import-job"
    attributes: ImportAttributes


class ImportBody(Body):
    """``POST /api/profile-bulk-import-jobs``."""

    data: ImportJob


class MetricName(Body):
    """What an event is called."""

    name: Annotated[str, Field(pattern=_PRINTABLE, min_length=1, max_length=127)]


class Metric(Body):
    """A kind of event."""

    type: Literal["metric"] = "metric"
    attributes: MetricName


class MetricData(Body):
    """A kind of event, as a relation."""

    data: Metric


class EventAttributes(Body):
    """What happened, once for each ``unique_id``."""

    properties: dict[PropertyName, Value]
    time: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
    unique_id: Title
    backfill: StrictBool
    metric: MetricData


class Event(Body):
    """An event."""

    type: Literal["event"] = "event"
    attributes: EventAttributes


class Events(Body):
    """The events of a person."""

    data: Annotated[tuple[Event, ...], Field(min_length=1)]


class ProfileData(Body):
    """A person, as a relation."""

    data: Profile


class PersonEventsAttributes(Body):
    """A person and their events."""

    profile: ProfileData
    events: Events


class PersonEvents(Body):
    """The events of one person in a bulk job."""

    type: Literal["event-bulk-create"] = "event-bulk-create"
    attributes: PersonEventsAttributes


class PersonEventsList(Body):
    """The people of a bulk job."""

    data: Annotated[tuple[PersonEvents, ...], Field(min_length=1, max_length=MOST_EVENTS)]


class EventJobAttributes(Body):
    """What a bulk job of events is made of."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    people: Annotated[PersonEventsList, Field(alias="events-bulk-create")]


class EventJob(Body):
    """A bulk job of events."""

    type: Literal["event-bulk-create-job"] = "event-bulk-create-job"
    attributes: EventJobAttributes


class EventsBody(Body):
    """``POST /api/event-bulk-create-jobs``."""

    data: EventJob


class ListAttributes(Body):
    """A list's name."""

    name: Title


class List(Body):
    """A list."""

    type: Literal["list"] = "list"
    attributes: ListAttributes


class ListBody(Body):
    """``POST /api/lists``."""

    data: List


class Member(Body):
    """A member of a list, by Klaviyo's own id."""

    type: Literal["profile"] = "profile"
    id: Key


class MembersBody(Body):
    """``POST`` and ``DELETE /api/lists/{id}/relationships/profiles``; no consent changes by it."""

    data: Annotated[tuple[Member, ...], Field(min_length=1, max_length=MOST_MEMBERS)]


class DeletedAttributes(Body):
    """Who is to be deleted: exactly one of e-mail and phone."""

    email: Annotated[str, Field(pattern=EMAIL)] | None = None
    phone_number: Annotated[str, Field(pattern=PHONE)] | None = None


class DeletedProfile(Body):
    """Who is to be deleted: by Klaviyo's id, or by one attribute; the attributes are there all the same."""

    type: Literal["profile"] = "profile"
    id: Key | None = None
    attributes: DeletedAttributes = DeletedAttributes()

    @model_validator(mode="after")
    def _check_one(self) -> "DeletedProfile":
        given = [self.id, self.attributes.email, self.attributes.phone_number]
        if sum(value is not None for value in given) != 1:
            raise ValueError("a person is deleted by exactly one of id, e-mail and phone number")
        return self


class DeletedData(Body):
    """Who is to be deleted, as a relation."""

    data: DeletedProfile


class DeletionAttributes(Body):
    """What a deletion is made of."""

    profile: DeletedData


class Deletion(Body):
    """A deletion."""

    type: Literal["data-privacy-deletion-job"] = "data-privacy-deletion-job"
    attributes: DeletionAttributes


class DeletionBody(Body):
    """``POST /api/data-privacy-deletion-jobs``."""

    data: Deletion
