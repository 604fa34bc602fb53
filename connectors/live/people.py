"""Which people a platform's object names: for erasure."""

from collections.abc import Iterator
from typing import Any

from connectors.mentions import forms

# Keys of e-mails, phone numbers and customers' ids, in Shopify's, WooCommerce's, Stripe's and Klaviyo's objects.
NAMES = frozenset((
    "email", "emailAddress", "receipt_email", "$email", "contact_email",
    "phone", "phoneNumber", "phone_number", "$phone_number",
    "customer_id", "external_id", "$external_id",
))  # fmt: skip
PEOPLE = frozenset(("customer", "profile"))  # objects, or ids, of people
IDS = ("id", "legacyResourceId")


def names_in(payload: Any, *, is_person: bool = False) -> Iterator[str]:  # noqa: ANN401  # JSON
    """Give every e-mail, phone number and customer id in an object, in the forms in which they are compared.

    Parameters
    ----------
    payload
        JSON of a platform.
    is_person
        Whether the object itself is a person, whose id counts.
    """
    if isinstance(payload, list):
        for one in payload:
            yield from names_in(one, is_person=is_person)
    elif isinstance(payload, dict):
        for key, value in payload.items():
            if isinstance(value, dict | list):
                # JSON:API wraps an object: {"profile": {"data": {"id": …}}}
                yield from names_in(
                    value, is_person=key in PEOPLE or (is_person and key == "data")
                )
            elif key in NAMES or key in PEOPLE or (is_person and key in IDS):
                yield from _forms(value)


def _forms(value: Any) -> Iterator[str]:  # noqa: ANN401  # JSON
    if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
        text = str(value)
        yield from forms(text)
        if text.startswith("gid://"):
            yield text.rpartition("/")[2]
