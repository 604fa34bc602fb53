"""The newest orders as the preset ``woocommerce`` reads them: the REST API's own columns, refunds with their days."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.live.newest import read_payloads
from connectors.live.parts import write_rows
from connectors.live.raw import RawStore
from connectors.live.records import JsonObject
from connectors.store import replace_file

FILE = "orders.parquet"
ROWS = 1_000  # in memory at once
RENEWAL = "_subscription_renewal"
TEXT = pa.string()
PLAIN = (
    "id",
    "number",
    "status",
    "currency",
    "date_created_gmt",
    "date_modified_gmt",
    "discount_total",
    "shipping_total",
    "shipping_tax",
    "total",
    "total_tax",
    "customer_id",
    "created_via",
)
BILLING = ("email", "phone", "first_name", "last_name", "postcode")
LINE = ("name", "product_id", "quantity", "total")
REFUND = ("id", "total", "date_created_gmt", "goods")


def _records(names: Sequence[str]) -> pa.DataType:
    return pa.list_(pa.struct([pa.field(name, TEXT) for name in names]))


SCHEMA = pa.schema(
    [
        *(pa.field(name, TEXT) for name in PLAIN),
        *(pa.field(f"billing_{name}", TEXT) for name in BILLING),
        pa.field("line_items", _records(LINE)),
        pa.field("coupon_lines", _records(("code",))),
        pa.field("meta_data", _records(("key",))),
        pa.field("refunds", _records(REFUND)),
    ]
)
Refund = dict[str, str | None]


def write_orders(orders: RawStore, refunds: RawStore, folder: Path) -> Path:
    """Write the newest orders with their refunds as one Parquet file, readable by its owner only; return it.

    A refund's ``goods`` is what its lines give back, tax and gift cards left out; null where an amount was typed: the
    preset then takes the share of goods in the order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with tempfile.TemporaryDirectory(dir=folder, prefix=".newest-") as scratch:
        of_orders, of_refunds = Path(scratch) / "orders", Path(scratch) / "refunds"
        orders.latest(of_orders)
        refunds.latest(of_refunds)
        by_order = _refunds_by_order(of_refunds)

        def write(draft: Path) -> None:
            write_rows(draft, SCHEMA, _batches(of_orders, by_order))

        replace_file(path, write)
    return path


def _batches(newest: Path, refunds: Mapping[str, Sequence[Refund]]) -> Iterator[pa.RecordBatch]:
    rows = (_order(payload, refunds) for payload in read_payloads(newest))
    while some := list(islice(rows, ROWS)):
        yield pa.RecordBatch.from_pylist(some, schema=SCHEMA)


def _order(payload: JsonObject, refunds: Mapping[str, Sequence[Refund]]) -> dict[str, Any]:
    billing = payload.get("billing") or {}
    meta = payload.get("meta_data") or ()
    return {
        **{name: _text(payload.get(name)) for name in PLAIN},
        **{f"billing_{name}": _text(billing.get(name)) for name in BILLING},
        "line_items": [_part(line, LINE) for line in payload.get("line_items") or ()],
        "coupon_lines": [_part(line, ("code",)) for line in payload.get("coupon_lines") or ()],
        "meta_data": [{"key": RENEWAL} for one in meta if one.get("key") == RENEWAL],
        "refunds": refunds.get(str(payload["id"]), ()),
    }


def _refunds_by_order(newest: Path) -> dict[str, list[Refund]]:
    by_order: dict[str, list[Refund]] = {}
    for payload in read_payloads(newest):
        by_order.setdefault(str(payload["parent_id"]), []).append(_refund(payload))
    return by_order


def _refund(payload: JsonObject) -> Refund:
    amount = _text(payload.get("amount"))
    return {
        "id": _text(payload["id"]),
        "total": None if amount is None else f"-{amount.lstrip('-')}",
        "date_created_gmt": _text(payload.get("date_created_gmt")),
        "goods": _goods(payload),
    }


def _goods(payload: JsonObject) -> str | None:
    """Return what a refund's lines give back of goods; None where it has no line of any kind.

    Fees are goods, as in the preset.
    """
    lines = [*(payload.get("line_items") or ()), *(payload.get("fee_lines") or ())]
    if not any(payload.get(name) for name in ("line_items", "shipping_lines", "fee_lines")):
        return None
    try:
        goods = [abs(Decimal(str(one["total"]))) for one in lines if not _is_gift_card(one)]
    except (InvalidOperation, KeyError):
        return None
    return str(sum(goods, Decimal(0)))


def _is_gift_card(line: Mapping[str, Any]) -> bool:
    return str(line.get("name") or "").strip().lower().startswith("gift card")


def _part(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, str | None]:
    return {name: _text(record.get(name)) for name in names}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
