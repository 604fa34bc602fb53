"""The newest charges as the preset ``stripe`` reads them: the columns of the dashboard's payments export.

The export has one day for all refunds of a charge. Here a charge with several refunds or disputes is as many rows of
one payment, each with its own day. They make one order again.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.live.newest import read_payloads
from connectors.live.parts import write_rows
from connectors.live.raw import RawStore
from connectors.live.records import JsonObject
from connectors.live.stripe.api import decimals
from connectors.store import replace_file

FILE = "payments.parquet"
ROWS = 1_000  # in memory at once
NOT_BACK = ("failed", "canceled")  # statuses of refunds after which the money is here
LOST = ("lost", "prevented")  # of disputes, after which it is not
COLUMNS = (
    "id",
    "Created (UTC)",
    "Amount",
    "Amount Refunded",
    "Refunded date (UTC)",
    "Currency",
    "Converted Amount",
    "Converted Amount Refunded",
    "Converted Currency",
    "Disputed Amount",
    "Dispute Date (UTC)",
    "Dispute Status",
    "Mode",
    "Status",
    "Captured",
    "Description",
    "Customer ID",
    "Customer Email",
    "PaymentIntent ID",
    "Invoice ID",
    "Card Name",
    "Card Address Zip",
)
SCHEMA = pa.schema([pa.field(name, pa.string()) for name in COLUMNS])
Row = dict[str, str | None]


@dataclass(frozen=True)
class _Change:
    """A refund or a dispute of a charge."""

    id: str
    created: int
    amount: int
    dispute_status: str | None = None


@dataclass(frozen=True)
class _Part:
    """A part of a charge's amount, and what of it was given back."""

    amount: int
    change: _Change | None
    back: int


def write_payments(stores: Mapping[str, RawStore], folder: Path) -> Path:
    """Write the newest charges as one Parquet file, readable by its owner only; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with tempfile.TemporaryDirectory(dir=folder, prefix=".newest-") as scratch:
        newest = {name: Path(scratch) / name for name in stores}
        for name, store in stores.items():
            store.latest(newest[name])
        changes = _changes(newest["refunds"], newest["disputes"])

        def write(draft: Path) -> None:
            rows = (
                row
                for charge in read_payloads(newest["charges"])
                for row in _rows(charge, changes.get(str(charge["id"]), ()))
            )
            write_rows(draft, SCHEMA, _batches(rows))

        replace_file(path, write)
    return path


def _batches(rows: Iterator[Row]) -> Iterator[pa.RecordBatch]:
    while some := list(islice(rows, ROWS)):
        yield pa.RecordBatch.from_pylist(some, schema=SCHEMA)


def _changes(refunds: Path, disputes: Path) -> dict[str, list[_Change]]:
    """Return what took money back, by charge, oldest first."""
    changes: dict[str, list[_Change]] = {}
    for one in read_payloads(refunds):
        if one.get("status") not in NOT_BACK and one.get("charge"):
            change = _Change(str(one["id"]), one["created"], one["amount"])
            changes.setdefault(_id(one["charge"]), []).append(change)
    for one in read_payloads(disputes):
        if one.get("status") in LOST and one.get("charge"):
            change = _Change(str(one["id"]), one["created"], one["amount"], str(one["status"]))
            changes.setdefault(_id(one["charge"]), []).append(change)
    for some in changes.values():
        some.sort(key=lambda change: (change.created, change.id))
    return changes


def _rows(charge: JsonObject, changes: Sequence[_Change]) -> Iterator[Row]:
    """Yield a charge's rows: one, or one for each change."""
    is_taken = charge["status"] == "succeeded" and charge.get("captured") is not False
    whole = int(
        charge.get("amount_captured") or charge["amount"] if is_taken else charge["amount"]
    )
    common, settled = _common(charge), _settled(charge) if is_taken else None
    parts = _parts(whole, changes if is_taken else ())
    before = 0
    for number, part in enumerate(parts):
        key = str(charge["id"]) if not number else f"{charge['id']}/{number}"
        converted = _share(settled, part.amount, whole, before)
        before += part.amount
        row = common | _money(charge, key, part.amount, converted)
        yield row if part.change is None else row | _back(charge, part.change, part.back)


def _parts(whole: int, changes: Sequence[_Change]) -> list[_Part]:
    """Divide an amount among its changes.

    A part that is given back whole is no purchase, and its refund is not counted: where something is left, every
    part keeps some of it.
    """
    parts, left = [], whole
    for change in changes:
        back = min(change.amount, left)
        if back:
            parts.append(_Part(back, change, back))
            left -= back
    for number, part in enumerate(parts):
        extra = left if number == len(parts) - 1 else min(1, max(left - 1, 0))
        parts[number] = replace(part, amount=part.amount + extra)
        left -= extra
    return parts or [_Part(whole, None, 0)]


def _common(charge: JsonObject) -> Row:
    billing = charge.get("billing_details") or {}
    customer = charge.get("customer")
    details = customer if isinstance(customer, dict) else {}
    address = billing.get("address") or {}
    return {
        "Created (UTC)": _moment(charge["created"]),
        "Currency": str(charge["currency"]),
        "Mode": "Live" if charge.get("livemode", True) else "Test",
        "Status": str(charge["status"]),
        "Captured": "false" if charge.get("captured") is False else "true",
        "Description": charge.get("description"),
        "Customer ID": _id(customer) if customer else None,
        "Customer Email": details.get("email")
        or billing.get("email")
        or charge.get("receipt_email"),
        "PaymentIntent ID": _id(charge["payment_intent"])
        if charge.get("payment_intent")
        else None,
        "Invoice ID": _id(charge["invoice"]) if charge.get("invoice") else None,
        "Card Name": billing.get("name"),
        "Card Address Zip": address.get("postal_code"),
    }


def _money(charge: JsonObject, key: str, amount: int, converted: Decimal | None) -> Row:
    balance = charge.get("balance_transaction")
    currency = balance["currency"] if isinstance(balance, dict) else None
    return {
        "id": key,
        "Amount": _major(amount, charge["currency"]),
        "Amount Refunded": "0",
        "Converted Amount": None if converted is None else f"{converted:f}",
        "Converted Currency": None if converted is None else str(currency),
    }


def _back(charge: JsonObject, change: _Change, amount: int) -> Row:
    text = _major(amount, charge["currency"])
    if change.dispute_status is None:
        return {"Amount Refunded": text, "Refunded date (UTC)": _moment(change.created)}
    return {
        "Disputed Amount": text,
        "Dispute Date (UTC)": _moment(change.created),
        "Dispute Status": change.dispute_status,
    }


def _settled(charge: JsonObject) -> Decimal | None:
    """Return what a charge is in the account's currency; None where that is its own, or is not shown."""
    balance = charge.get("balance_transaction")
    if not isinstance(balance, dict) or balance["currency"] == charge["currency"]:
        return None
    return Decimal(_major(balance["amount"], balance["currency"]))


def _share(settled: Decimal | None, amount: int, whole: int, before: int) -> Decimal | None:
    """Return a part's share of a settled amount, so that all parts add up to it."""
    if settled is None or not whole:
        return settled
    smallest = Decimal(1).scaleb(settled.as_tuple().exponent)  # type: ignore[arg-type]
    upto, until = (
        (settled * part / whole).quantize(smallest) for part in (before, before + amount)
    )
    return until - upto


def _major(amount: int, currency: str) -> str:
    return f"{Decimal(amount).scaleb(-decimals(currency)):f}"


def _moment(created: int) -> str:
    return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _id(value: Any) -> str:  # noqa: ANN401  # an id, or the object
    return str(value["id"]) if isinstance(value, dict) else str(value)
