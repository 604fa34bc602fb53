"""What must be true of a Stripe account before its payments are pulled."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.live.errors import AccessRefusedError, UnexpectedAnswerError
from connectors.live.records import AccountFacts, JsonObject
from connectors.live.stripe.api import BALANCE, CHARGES, DISPUTES, REFUNDS
from connectors.live.stripe.client import EXPANDS, Range, StripeClient

PLATFORM = "stripe"
FIRST = datetime(2010, 1, 1, tzinfo=UTC)  # before any account
SECOND = timedelta(seconds=1)
NO_ACCOUNT = (
    "The key may not read the account: that it belongs to the source's account is not checked, and neither name nor "
    "time zone are shown"
)
WITHOUT = {
    "customer": "E-mails are those of the payments: customers' own are not shown. Add Customers: Read to the key",
    "balance_transaction": (
        "Payments in another currency are not converted to the account's. Add Balance: Read to the key"
    ),
}
NO_BALANCE = "Payments are not compared with the balance. Add Balance: Read to the key"


@dataclass(frozen=True)
class Payments:
    """An account that passed.

    Attributes
    ----------
    facts
        For people and settings.
    expands
        What charges are listed with.
    has_balance
        Whether balance transactions are readable.
    """

    facts: AccountFacts
    expands: tuple[str, ...]
    has_balance: bool


def check_account(
    client: StripeClient, account: str, now: datetime, currency: str | None = None
) -> Payments:
    """Return an account's facts, or refuse it.

    Parameters
    ----------
    client
        Stripe's.
    account
        The account's id in the source: ``acct_…``.
    now
        The moment.
    currency
        The store's by the settings; None = any.

    Raises
    ------
    AccessRefusedError
        The key lacks a permission, or is of another account.
    UnexpectedAnswerError
        The account has another currency.
    """
    profile = client.account()
    if profile is not None and profile.get("id") != account:
        raise AccessRefusedError(
            f"The key is of another account than {account}, which the source names. Correct the source, or make a "
            "key in that account: two accounts are never mixed",
            0,
        )
    for endpoint in (CHARGES, REFUNDS, DISPUTES):
        client.page(endpoint, Range(), most=1)
    expands = tuple(name for name in EXPANDS if client.may_expand(name))
    has_balance = client.may_list(BALANCE)
    used = _currency(client, profile, has_balance=has_balance)
    if used is not None and currency is not None and used != currency.upper():
        raise UnexpectedAnswerError(
            f"The account's currency is {used}, and the settings have {currency.upper()}. Correct the settings, or "
            "pull another account: amounts are never converted by us"
        )
    first = first_charge(client, now)
    dashboard = _inner(_inner(profile or {}, "settings"), "dashboard")
    facts = AccountFacts(
        platform=PLATFORM,
        account=account,
        name=str(dashboard.get("display_name") or ""),
        currency=used,
        timezone=dashboard.get("timezone"),
        first_order_at=first,
        permissions=_permissions(expands, has_balance=has_balance),
        notes=_notes(profile, expands, first, has_balance=has_balance),
    )
    return Payments(facts, expands, has_balance)


def first_charge(client: StripeClient, now: datetime) -> datetime | None:
    """Return when the oldest charge was made; lists begin with the newest, so the range is halved."""
    low, high = FIRST, now.replace(microsecond=0) + timedelta(days=1)
    if not client.page(CHARGES, Range(end=high), most=1).rows:
        return None
    while high - low > SECOND:
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if client.page(CHARGES, Range(end=middle), most=1).rows:
            high = middle
        else:
            low = middle
    return low


def _currency(
    client: StripeClient, profile: JsonObject | None, *, has_balance: bool
) -> str | None:
    shown = (profile or {}).get("default_currency")
    if shown is None and has_balance:
        rows = client.page(BALANCE, Range(), most=1).rows
        shown = rows[0].get("currency") if rows else None
    return None if shown is None else str(shown).upper()


def _permissions(expands: tuple[str, ...], *, has_balance: bool) -> tuple[str, ...]:
    readable = ["charges: read", "refunds: read", "disputes: read"]
    readable += ["customers: read"] if "customer" in expands else []
    return (*readable, *(["balance: read"] if has_balance else []))


def _notes(
    profile: JsonObject | None,
    expands: tuple[str, ...],
    first: datetime | None,
    *,
    has_balance: bool,
) -> tuple[str, ...]:
    return (
        *([NO_ACCOUNT] if profile is None else []),
        *(text for name, text in WITHOUT.items() if name not in expands),
        *([] if has_balance else [NO_BALANCE]),
        *(["The account shows no payment to this key"] if first is None else []),
    )


def _inner(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload.get(name)
    return value if isinstance(value, dict) else {}
