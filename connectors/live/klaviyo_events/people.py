"""Whom an event is about."""

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.live.errors import Json
from connectors.live.klaviyo_events.order_events import text
from connectors.live.records import JsonObject


@dataclass(frozen=True)
class Person:
    """A profile, as far as it identifies somebody.

    Attributes
    ----------
    profile_id
        Klaviyo's; None of a deleted person.
    email, phone, external_id
        As Klaviyo had them when the event was read; "redacted" is None.
    """

    profile_id: str | None = None
    email: str | None = None
    phone: str | None = None
    external_id: str | None = None


def person_of(payload: JsonObject) -> Person:
    """Return the profile of a stored event."""
    relations = payload["event"].get("relationships") or {}
    profile_id = ((relations.get("profile") or {}).get("data") or {}).get("id")
    profile = payload.get("profile") or {}
    email = text(profile.get("email"))
    return Person(
        profile_id=text(profile_id),
        email=email.lower() if email else None,
        phone=text(profile.get("phone_number")),
        external_id=text(profile.get("external_id")),
    )


def identities_of(payload: JsonObject) -> frozenset[str]:
    """Return every id, e-mail (lower case) and phone number in a stored event, to find a person's rows by."""
    person = person_of(payload)
    values = [person.profile_id, person.email, person.phone, person.external_id]
    properties = (payload["event"].get("attributes") or {}).get("event_properties") or {}
    parts = [one for one in (properties, properties.get("$extra")) if isinstance(one, dict)]
    values += [text(one) for part in parts for one in _contacts(part)]
    return frozenset(one.lower() for one in values if one)


def _contacts(part: JsonObject) -> Iterator[Json]:
    for name in ("email", "contact_email", "phone", "Email", "Phone"):
        yield part.get(name)
    for name in (
        "customer",
        "billing_address",
        "shipping_address",
        "BillingAddress",
        "ShippingAddress",
    ):
        inner = part.get(name)
        if isinstance(inner, dict):
            names = ("email", "phone", "Email", "Phone")
            yield from (
                inner.get(one) for one in (("id", *names) if name == "customer" else names)
            )
