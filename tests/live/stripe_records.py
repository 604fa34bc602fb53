"""Stripe's objects, and the JSON that its API makes of them.

Amounts are whole numbers of the currency's smallest unit; times are whole seconds in UTC.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

API_VERSION = "2026-10-28.endive"
NO_DECIMALS = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf"]
)
THREE_DECIMALS = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
NOT_BACK = frozenset(["failed", "canceled"])  # statuses of refunds after which the money is here
LOST = frozenset(["lost", "prevented"])  # disputes after which the customer has the money


def decimals(currency: str) -> int:
    """Return how many decimals a currency has."""
    return 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2


def major(amount: int, currency: str) -> Decimal:
    """Return an amount in the currency's unit."""
    return Decimal(amount).scaleb(-decimals(currency))


@dataclass(frozen=True)
class Account:
    """Whose account it is; `zone` is the dashboard's."""

    id: str = "acct_SYNTHETIC0001"
    name: str = "Example Shop"
    currency: str = "eur"
    country: str = "DE"
    zone: str = "Europe/Berlin"

    def day(self, created: int) -> date:
        """Return the day of a moment in the account's zone."""
        return datetime.fromtimestamp(created, UTC).astimezone(ZoneInfo(self.zone)).date()

    def json(self) -> dict[str, Any]:
        """Return the account [inferred: a selection of fields]."""
        return {
            "id": self.id,
            "object": "account",
            "business_profile": {"name": self.name, "url": "https://shop.example"},
            "charges_enabled": True,
            "country": self.country,
            "created": 1_600_000_000,
            "default_currency": self.currency,
            "email": None,
            "settings": {"dashboard": {"display_name": self.name, "timezone": self.zone}},
            "type": "standard",
        }


@dataclass(frozen=True)
class Customer:
    """A customer; one that is deleted keeps its id alone."""

    id: str
    created: int
    email: str | None
    name: str | None
    phone: str | None = None
    livemode: bool = True
    deleted: bool = False

    def json(self) -> dict[str, Any]:
        if self.deleted:
            return {"id": self.id, "object": "customer", "deleted": True}
        return {
            "id": self.id,
            "object": "customer",
            "email": self.email,
            "name": self.name,
            "phone": self.phone,
            "created": self.created,
            "livemode": self.livemode,
            "deleted": False,
        }


@dataclass(frozen=True)
class Balance:
    """A balance transaction, in the account's currency."""

    id: str
    created: int
    amount: int
    currency: str
    fee: int
    type: str
    reporting_category: str
    source: str
    exchange_rate: float | None = None
    livemode: bool = True

    def json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "currency": self.currency,
            "exchange_rate": self.exchange_rate,
            "fee": self.fee,
            "net": self.amount - self.fee,
            "type": self.type,
            "reporting_category": self.reporting_category,
            "source": self.source,
            "created": self.created,
            "status": "available",
        }


@dataclass(frozen=True)
class Charge:
    """A charge; those of one payment share `payment_intent`."""

    id: str
    created: int
    amount: int
    currency: str
    payment_intent: str
    status: str = "succeeded"
    captured: bool = True
    amount_captured: int = 0
    amount_refunded: int = 0
    balance_transaction: str | None = None
    customer: str | None = None
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    description: str | None = None
    invoice: str | None = None
    disputed: bool = False
    failure_code: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    livemode: bool = True

    @property
    def is_paid(self) -> bool:
        """Whether money was taken, not only reserved."""
        return self.status == "succeeded" and self.captured

    def json(self) -> dict[str, Any]:
        is_failed = self.status == "failed"
        return {
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.amount_captured,
            "amount_refunded": self.amount_refunded,
            "balance_transaction": self.balance_transaction,
            "billing_details": {
                "email": self.email,
                "name": self.name,
                "phone": self.phone,
                "address": None,
            },
            "captured": self.captured,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "description": self.description,
            "disputed": self.disputed,
            "failure_code": self.failure_code,
            "invoice": self.invoice,
            "livemode": self.livemode,
            "metadata": dict(self.metadata),
            "outcome": {"type": "issuer_declined" if is_failed else "authorized"},
            "paid": self.status == "succeeded",
            "payment_intent": self.payment_intent,
            "receipt_email": None,
            "refunded": 0 < self.amount <= self.amount_refunded,
            "status": self.status,
        }


@dataclass(frozen=True)
class Refund:
    """A refund; its status changes, its `created` does not."""

    id: str
    created: int
    amount: int
    currency: str
    charge: str
    payment_intent: str
    status: str = "succeeded"
    reason: str | None = "requested_by_customer"
    balance_transaction: str | None = None
    failure_balance_transaction: str | None = None
    livemode: bool = True

    def json(self) -> dict[str, Any]:
        failure = {
            "failure_balance_transaction": self.failure_balance_transaction,
            "failure_reason": "expired_or_canceled_card",
        }
        return {
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "metadata": {},
            "payment_intent": self.payment_intent,
            "reason": self.reason,
            "status": self.status,
            **(failure if self.status == "failed" else {}),
        }


@dataclass(frozen=True)
class Dispute:
    """A dispute of a charge [inferred: a selection of fields]."""

    id: str
    created: int
    amount: int
    currency: str
    charge: str
    payment_intent: str
    status: str = "needs_response"
    reason: str = "fraudulent"
    balance_transactions: tuple[str, ...] = ()
    livemode: bool = True

    def json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": list(self.balance_transactions),
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "is_charge_refundable": False,
            "livemode": self.livemode,
            "metadata": {},
            "payment_intent": self.payment_intent,
            "reason": self.reason,
            "status": self.status,
        }


@dataclass(frozen=True)
class Event:
    """Something that happened, with the object as it was then."""

    id: str
    created: int
    type: str
    object: dict[str, Any]
    previous: dict[str, Any] = field(default_factory=dict)
    livemode: bool = True

    def json(self) -> dict[str, Any]:
        previous = {"previous_attributes": self.previous} if self.previous else {}
        return {
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.created,
            "type": self.type,
            "livemode": self.livemode,
            "data": {"object": self.object, **previous},
        }


@dataclass(frozen=True)
class RefundTruth:
    """A refund that happened; `is_back` is false where it failed or was canceled."""

    refund_id: str
    order_id: str
    created: int
    day: date
    amount: int
    status: str

    @property
    def is_back(self) -> bool:
        return self.status not in NOT_BACK


@dataclass(frozen=True)
class DisputeTruth:
    """A dispute, on the day it was opened."""

    dispute_id: str
    day: date
    amount: int
    status: str


@dataclass(frozen=True)
class OrderTruth:
    """A payment: its charge that was taken, or its last that was tried; amounts in minor units.

    ``settled`` is the balance transaction's amount, in the account's currency, without refunds.
    """

    order_id: str
    charge_id: str
    tries: int
    created: int
    day: date
    customer: str | None
    email: str | None
    currency: str
    captured: int
    settled: int
    settled_currency: str
    is_paid: bool
    is_renewal: bool
    refunds: tuple[RefundTruth, ...]
    disputes: tuple[DisputeTruth, ...]

    def net(self, as_of: date | None = None) -> int:
        """Return what was taken, less refunds and lost disputes up to a day, that day included."""
        back = sum(one.amount for one in self.refunds if one.is_back and _is_by(one.day, as_of))
        lost = sum(
            one.amount for one in self.disputes if one.status in LOST and _is_by(one.day, as_of)
        )
        return max(self.captured - back - lost, 0)


def _is_by(day: date, as_of: date | None) -> bool:
    return as_of is None or day <= as_of
