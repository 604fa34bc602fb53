"""What a segment asks of a profile, as Klaviyo's definitions have it. Consent is read, and changed nowhere."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool

from connectors.klaviyo.payloads import Body, Number, Text, Title


class TextIs(Body):
    """A text is one value."""

    type: Literal["string"] = "string"
    operator: Literal["equals"] = "equals"
    value: Text


class TextIn(Body):
    """A text is one of several."""

    type: Literal["string"] = "string"
    operator: Literal["in"] = "in"
    value: Annotated[tuple[Text, ...], Field(min_length=1)]


class NumberIs(Body):
    """A number lies on one side of another."""

    type: Literal["numeric"] = "numeric"
    operator: Literal[
        "equals", "greater-than", "greater-than-or-equal", "less-than", "less-than-or-equal"
    ]
    value: Number


class FlagIs(Body):
    """A flag is set or not."""

    type: Literal["boolean"] = "boolean"
    operator: Literal["equals"] = "equals"
    value: StrictBool


class DateNear(Body):
    """A date lies in the last or the next days."""

    type: Literal["date"] = "date"
    operator: Literal["in-the-last", "in-the-next"]
    unit: Literal["day"] = "day"
    quantity: Annotated[int, Field(ge=1, le=3650)]


class PropertyCondition(Body):
    """What a property of a profile must be."""

    type: Literal["profile-property"] = "profile-property"
    property: Annotated[str, Field(pattern=r"^properties\['[^$'][^']*'\]$")]
    filter: TextIs | TextIn | NumberIs | FlagIs | DateNear


class AnyConsent(Body):
    """However the consent came about."""

    subscription: Literal["any"] = "any"


class EmailConsent(Body):
    """Whether somebody may be written to."""

    channel: Literal["email"] = "email"
    can_receive_marketing: Literal[True] = True
    consent_status: AnyConsent = AnyConsent()


class ConsentCondition(Body):
    """Somebody agreed to marketing; reads consent and changes none."""

    type: Literal["profile-marketing-consent"] = "profile-marketing-consent"
    consent: EmailConsent = EmailConsent()


class ConditionGroup(Body):
    """Conditions of which one must hold."""

    conditions: Annotated[tuple[PropertyCondition | ConsentCondition, ...], Field(min_length=1)]


class SegmentDefinition(Body):
    """Groups that must all hold."""

    condition_groups: Annotated[tuple[ConditionGroup, ...], Field(min_length=1)]


class SegmentAttributes(Body):
    """A segment's name and definition."""

    name: Title
    definition: SegmentDefinition


class Segment(Body):
    """A segment."""

    type: Literal["segment"] = "segment"
    id: str | None = None
    attributes: SegmentAttributes


class SegmentBody(Body):
    """``POST /api/segments``, and with an id ``PATCH /api/segments/{id}``."""

    data: Segment
