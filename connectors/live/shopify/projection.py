"""The newest versions of a store's orders as the four tables that the `fivetran` preset reads.

Amounts are without tax already, exact to the cent, and `taxes_included` is false: the preset would take each
order's share of tax off every line, which is close only. `shop_taxes_included` is the order's own.

Columns that Fivetran does not have, for a later step to map:

- `order`: `discount_code` (the first one), `discount_codes`, `email_marketing_state` and
  `email_marketing_updated_at` (the customer's consent when the order was read), `presentment_currency`,
  `cancel_reason`, `is_edited`, `shop_taxes_included`;
- `order_line`: `unit_cost` and `unit_cost_currency`, the merchant's cost of a unit when the order was read;
- `refund`: `total_amount`, `adjustment_amount` and `shipping_amount`, tax included, which are no goods.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.live.errors import UnexpectedAnswerError
from connectors.live.parts import read_batches
from connectors.live.raw import RawStore
from connectors.live.records import JsonObject
from connectors.live.shopify.amounts import (
    LineWorth,
    RefundLineWorth,
    line_worth,
    refund_lines,
    shop_amount,
    subtotals_include_tax,
)
from connectors.live.shopify.client import moment
from connectors.store import replace_file

Row = dict[str, Any]
MOMENT = pa.timestamp("us", tz="UTC")
GROUP_ROWS = 20_000
STATED = pa.field("_fivetran_deleted", pa.bool_())
ORDER = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("name", pa.string()),
        pa.field("created_at", MOMENT),
        pa.field("processed_at", MOMENT),
        pa.field("updated_at", MOMENT),
        pa.field("cancelled_at", MOMENT),
        pa.field("cancel_reason", pa.string()),
        pa.field("test", pa.bool_()),
        pa.field("is_edited", pa.bool_()),
        pa.field("financial_status", pa.string()),
        pa.field("currency", pa.string()),
        pa.field("presentment_currency", pa.string()),
        pa.field("taxes_included", pa.bool_()),
        pa.field("shop_taxes_included", pa.bool_()),
        pa.field("subtotal_price", pa.float64()),  # of all lines, gift cards too, before refunds
        pa.field("total_discounts", pa.float64()),  # of all lines
        pa.field("total_tax", pa.float64()),
        pa.field("total_price", pa.float64()),
        pa.field("customer_id", pa.string()),
        pa.field("email", pa.string()),
        pa.field("phone", pa.string()),
        pa.field("source_name", pa.string()),
        pa.field("tags", pa.string()),
        pa.field("discount_code", pa.string()),
        pa.field("discount_codes", pa.string()),
        pa.field("buyer_accepts_marketing", pa.bool_()),
        pa.field("email_marketing_state", pa.string()),
        pa.field("email_marketing_updated_at", MOMENT),
        STATED,
    ]
)
ORDER_LINE = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("order_id", pa.string()),
        pa.field("product_id", pa.string()),  # else the SKU, else the title
        pa.field("variant_id", pa.string()),
        pa.field("sku", pa.string()),
        pa.field("title", pa.string()),
        pa.field("variant_title", pa.string()),
        pa.field("quantity", pa.int64()),  # without units that were edited out
        pa.field("price", pa.float64()),  # of a unit, before discounts
        pa.field("total_discount", pa.float64()),
        pa.field("gift_card", pa.bool_()),
        pa.field("unit_cost", pa.float64()),
        pa.field("unit_cost_currency", pa.string()),
        STATED,
    ]
)
REFUND = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("order_id", pa.string()),
        pa.field("created_at", MOMENT),
        pa.field("processed_at", MOMENT),
        pa.field("total_amount", pa.float64()),
        pa.field("adjustment_amount", pa.float64()),
        pa.field("shipping_amount", pa.float64()),
        STATED,
    ]
)
ORDER_LINE_REFUND = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("refund_id", pa.string()),
        pa.field("order_line_id", pa.string()),
        pa.field("quantity", pa.int64()),
        pa.field("subtotal", pa.float64()),
        STATED,
    ]
)
SCHEMAS = {
    "order": ORDER,
    "order_line": ORDER_LINE,
    "refund": REFUND,
    "order_line_refund": ORDER_LINE_REFUND,
}


def project_orders(stream: RawStore, folder: Path, scratch: Path) -> list[Path]:
    """Write the four tables into a folder and return their files.

    Parameters
    ----------
    stream
        The orders' raw rows.
    folder
        Of the tables.
    scratch
        Folder for what is written meanwhile; its owner's only.
    """
    latest = scratch / "latest.parquet"
    stream.latest(latest)
    includes_tax = subtotals_include_tax(_payloads(latest))
    drafts = {name: scratch / f"{name}.parquet" for name in SCHEMAS}
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(TableWriter(drafts[name], schema))
            for name, schema in SCHEMAS.items()
        }
        for order in _payloads(latest):
            for name, rows in order_rows(order, includes_tax=includes_tax).items():
                tables[name].add(rows)
    latest.unlink()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = []
    for draft in drafts.values():
        path = folder / draft.name
        replace_file(path, draft.rename)
        paths.append(path)
    return paths


class TableWriter:
    """Writes rows of a table to a Parquet file, in groups that fit into memory anywhere.

    Parameters
    ----------
    path
        The file; only its owner may read it.
    schema
        The table's.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.touch(mode=0o600)
        self._file = pq.ParquetWriter(path, schema, compression="zstd")
        self._schema = schema
        self._rows: list[Row] = []

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._rows.extend(rows)
        if len(self._rows) >= GROUP_ROWS:
            self._write()

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._write()
        self._file.close()

    def _write(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows = []


def order_rows(order: JsonObject, *, includes_tax: bool) -> Mapping[str, list[Row]]:
    """Return the rows of an order in each table.

    Parameters
    ----------
    order
        The payload.
    includes_tax
        Whether a refund line's subtotal includes tax where prices do.

    Raises
    ------
    UnexpectedAnswerError
        The payload is not what an order is.
    """
    try:
        back = list(refund_lines(order, includes_tax=includes_tax))
        worths = {
            line["id"]: line_worth(
                line,
                [one for one in back if one.line == line["id"]],
                taxes_included=order["taxesIncluded"],
            )
            for line in order["lineItems"]["nodes"]
        }
        return {
            "order": [_order(order, list(worths.values()))],
            "order_line": [
                _line(order, line, worths[line["id"]]) for line in order["lineItems"]["nodes"]
            ],
            "refund": [_refund(order, one) for one in order["refunds"]],
            "order_line_refund": [_refund_line(one) for one in back],
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UnexpectedAnswerError(
            f"A Shopify order lacks what its tables need ({type(error).__name__}). Pull it again: its payload "
            "is of another version"
        ) from None


def number(gid: str | None) -> str | None:
    """Return the number of an id such as ``gid://shopify/Order/123``."""
    return None if gid is None else gid.rpartition("/")[2].partition("?")[0]


def _order(order: JsonObject, worths: Sequence[LineWorth]) -> Row:
    customer = order["customer"] or {}
    address = customer.get("defaultEmailAddress") or {}
    phone = customer.get("defaultPhoneNumber") or {}
    state = address.get("marketingState")
    return {
        "id": number(order["id"]),
        "name": order["name"],
        "created_at": moment(order["createdAt"]),
        "processed_at": _moment(order["processedAt"]),
        "updated_at": moment(order["updatedAt"]),
        "cancelled_at": _moment(order["cancelledAt"]),
        "cancel_reason": order["cancelReason"],
        "test": order["test"],
        "is_edited": order["edited"],
        "financial_status": (order["displayFinancialStatus"] or "").lower() or None,
        "currency": order["currencyCode"],
        "presentment_currency": order["presentmentCurrencyCode"],
        "taxes_included": False,
        "shop_taxes_included": order["taxesIncluded"],
        "subtotal_price": float(sum((one.net for one in worths), Decimal(0))),
        "total_discounts": float(sum((one.discount for one in worths), Decimal(0))),
        "total_tax": float(shop_amount(order["totalTaxSet"])),
        "total_price": float(shop_amount(order["totalPriceSet"])),
        "customer_id": number(customer.get("id")),
        "email": order["email"] or address.get("emailAddress"),
        "phone": order.get("phone") or phone.get("phoneNumber"),
        "source_name": order["sourceName"],
        "tags": ",".join(order["tags"]),
        "discount_code": next(iter(order["discountCodes"]), None),
        "discount_codes": ",".join(order["discountCodes"]) or None,
        "buyer_accepts_marketing": None if state is None else state == "SUBSCRIBED",
        "email_marketing_state": state,
        "email_marketing_updated_at": _moment(address.get("marketingUpdatedAt")),
        "_fivetran_deleted": False,
    }


def _line(order: JsonObject, line: JsonObject, worth: LineWorth) -> Row:
    variant = line.get("variant") or {}
    cost = (variant.get("inventoryItem") or {}).get("unitCost") or {}
    units = worth.units or 1  # a line that was edited out whole is worth nothing
    product = number((line.get("product") or {}).get("id"))
    return {
        "id": number(line["id"]),
        "order_id": number(order["id"]),
        "product_id": product or line["sku"] or line["title"],
        "variant_id": number(variant.get("id")),
        "sku": line["sku"],
        "title": line["title"],
        "variant_title": line["variantTitle"],
        "quantity": units if worth.gross else worth.units,
        "price": float(worth.gross / units),
        "total_discount": float(worth.discount),
        "gift_card": line["isGiftCard"],
        "unit_cost": float(cost["amount"]) if cost else None,
        "unit_cost_currency": cost.get("currencyCode"),
        "_fivetran_deleted": False,
    }


def _refund(order: JsonObject, refund: JsonObject) -> Row:
    adjustments = (shop_amount(one["amountSet"]) + shop_amount(one["taxAmountSet"])
                   for one in refund["orderAdjustments"]["nodes"])  # fmt: skip
    shipping = (shop_amount(one["subtotalAmountSet"]) + shop_amount(one["taxAmountSet"])
                for one in refund["refundShippingLines"]["nodes"])  # fmt: skip
    return {
        "id": number(refund["id"]),
        "order_id": number(order["id"]),
        "created_at": _moment(refund["createdAt"]),
        "processed_at": _moment(refund["processedAt"]),
        "total_amount": float(shop_amount(refund["totalRefundedSet"])),
        "adjustment_amount": float(sum(adjustments, Decimal(0))),
        "shipping_amount": float(sum(shipping, Decimal(0))),
        "_fivetran_deleted": False,
    }


def _refund_line(worth: RefundLineWorth) -> Row:
    return {
        "id": number(worth.id),
        "refund_id": number(worth.refund),
        "order_line_id": number(worth.line),
        "quantity": worth.units,
        "subtotal": float(worth.net),
        "_fivetran_deleted": False,
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


def _payloads(latest: Path) -> Iterator[JsonObject]:
    for batch in read_batches(latest):
        yield from map(json.loads, batch["payload"].to_pylist())
