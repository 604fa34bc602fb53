"""What kind of export a file is, told by its columns, before anybody has written settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.engine import FILE_COLUMN, Engine, kind_of
from connectors.orders import PRESETS
from connectors.presets.refused import refusal
from connectors.sources import SourceError, find_files

USUAL_NAMES = {  # ours: what others call it, lower case, letters and digits only
    "order_id": (
        "orderid",
        "invoiceno",
        "invoice",
        "ordernumber",
        "orderno",
        "transactionid",
        "id",
    ),
    "customer_id": ("customerid", "custid", "clientid", "userid", "buyerid", "customer"),
    "email": ("email", "customeremail", "emailaddress", "billingemail"),
    "ordered_at": (
        "orderedat",
        "orderdate",
        "invoicedate",
        "createdat",
        "date",
        "purchasedate",
        "transactiondate",
        "timestamp",
    ),
    "net_amount": ("netamount", "net", "amount", "revenue", "total", "ordertotal", "value"),
    "quantity": ("quantity", "qty", "units"),
    "unit_price": ("unitprice", "price", "itemprice"),
    "product_id": ("productid", "sku", "stockcode", "itemid"),
    "product_name": ("productname", "description", "product", "itemname"),
    "currency": ("currency", "currencycode"),
}


@dataclass(frozen=True)
class Recognized:
    """A platform's preset, and for a plain table which of its columns are which of ours."""

    preset: str
    columns: Mapping[str, str]


def recognize(engine: Engine, location: str) -> Recognized:
    """Look at a file or folder and say how to read it.

    Raises
    ------
    SourceError
        Nothing is there, an export that cannot work, or columns that tell nothing.
    """
    tables = _columns(engine, location)
    why_not = refusal(tables)
    if why_not:
        raise SourceError(why_not)
    for name, preset in PRESETS.items():
        if name != "plain" and preset.recognize(tables):
            return Recognized(name, {})
    if len(tables) > 1:
        raise SourceError(
            f"a folder must be one platform's: {', '.join(sorted(tables))} in {location} are none that is "
            "known. Name one file"
        )
    (columns,) = tables.values()
    return Recognized("plain", _proposed(columns, location))


def _columns(engine: Engine, location: str) -> dict[str, tuple[str, ...]]:
    """Return the column names of each file of a folder, by its name without ending."""
    path = Path(location)
    found: dict[str, tuple[str, ...]] = {}
    for file in find_files(location) if not path.is_dir() else sorted(path.iterdir()):
        if path.is_dir() and not file.is_file():
            continue
        rows = engine.read_rows(find_files(str(file))).rows
        name = file.name.split(".")[0] if path.is_dir() and kind_of(file) else "orders"
        found[name] = tuple(column for column in rows.columns if column != FILE_COLUMN)
    one = set(found.values())
    return {"orders": one.pop()} if len(one) == 1 else found


def _proposed(columns: tuple[str, ...], location: str) -> dict[str, str]:
    """Propose which column is which of ours."""
    plain = {re.sub(r"[^a-z0-9]", "", column.lower()): column for column in reversed(columns)}
    found = {
        ours: next(plain[name] for name in names if name in plain)
        for ours, names in USUAL_NAMES.items()
        if any(name in plain for name in names)
    }
    if {"quantity", "unit_price"} <= set(found):
        found.pop("net_amount", None)  # a file of order lines: they are summed
    if "customer_id" in found:
        found.pop("email", None)
    missing = [ours for ours in ("order_id", "ordered_at") if ours not in found]
    if missing or not {"customer_id", "email"} & set(found):
        raise SourceError(
            f"an order history has order numbers, dates and customers: {location} has "
            f"{', '.join(columns)}. Write perennial.toml with `perennial init` and map them in "
            "[orders.columns]"
        )
    return found
