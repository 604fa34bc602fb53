"""Shopify as Fivetran loads it into a warehouse: typed tables, refunds with their dates."""

import numpy as np
import pandas as pd

from perennial.simulation.forms.ledger import Form, Ledger, save_ledger
from perennial.simulation.forms.planted import COMMON, WHOLLY_REFUNDED
from perennial.simulation.world import World


def fivetran(world: World) -> Form:
    """Return a world's orders as the tables order, order_line, refund and order_line_refund.

    A refund made after the world's end is not known yet: it is in no table, and the expected
    amounts are without it.
    """
    ledger = save_ledger(world, (*COMMON, "deleted"), has_dates=True)
    refunds = _refunds(ledger)
    files = {
        "order.parquet": _orders(ledger),
        "order_line.parquet": _lines(ledger),
        "refund.parquet": refunds[["id", "order_id", "created_at", "processed_at"]],
        "order_line_refund.parquet": _line_refunds(ledger, refunds),
    }
    expected = ledger.expected(_ids(ledger.orders["number"]).astype(str))
    return Form("fivetran", files, ledger.counted(ledger.late()), expected)


def _ids(number: pd.Series) -> pd.Series:
    return 5_000_000_000_000 + number * 32_768


def _amount(cents: pd.Series) -> pd.Series:
    return cents / 100


def _orders(ledger: Ledger) -> pd.DataFrame:
    orders, kind = ledger.orders, ledger.orders["kind"]
    goods = orders["items"] - orders["discount"] + orders["gift_card"]
    part = (orders["refund"] > 0) & (kind == "purchase")
    status = np.select(
        [ledger.is_void, ledger.is_whole, part],
        ["voided", "refunded", "partially_refunded"],
        "paid",
    )
    processed = orders["ordered_at"] + pd.Timedelta(seconds=2)
    events = pd.concat([processed, orders["canceled_at"], orders["refunded_at"]], axis=1)
    user = pd.to_numeric(orders["external_id"]).where(~orders["is_guest"]).astype("Int64")
    return pd.DataFrame(
        {
            "id": _ids(orders["number"]),
            "name": "#" + orders["number"].astype(str),
            "order_number": orders["number"],
            "customer_id": user,
            "email": orders["email"],
            "phone": orders["phone"],
            "created_at": orders["ordered_at"],
            "processed_at": processed,
            "updated_at": events.max(axis=1),
            "cancelled_at": orders["canceled_at"],
            "cancel_reason": pd.Series("customer", index=orders.index).where(kind == "canceled"),
            "test": kind == "test",
            "currency": orders["currency"],
            "financial_status": status,
            "source_name": orders["channel"].map({"web": "web", "app": "580111", "store": "pos"}),
            "taxes_included": False,
            "total_line_items_price": _amount(orders["items"] + orders["gift_card"]),
            "total_discounts": _amount(orders["discount"]),
            "subtotal_price": _amount(goods),
            "total_tax": _amount(orders["tax"]),
            "total_price": _amount(goods + orders["shipping"] + orders["tax"]),
            "_fivetran_deleted": kind == "deleted",
        }
    )


def _lines(ledger: Ledger) -> pd.DataFrame:
    lines = ledger.lines
    gifts = ledger.orders[ledger.orders["gift_card"] > 0]
    sold = pd.DataFrame(
        {"number": gifts["number"], "sku": None, "name": "Gift Card", "quantity": 1}
        | {"price": gifts["gift_card"], "discount": 0}
    )
    rows = pd.concat([lines.drop(columns=["order_id", "refund"]), sold], ignore_index=True)
    return pd.DataFrame(
        {
            "id": 9_000_000_000_000 + np.arange(len(rows)),
            "order_id": _ids(rows["number"]),
            "sku": rows["sku"].astype(str),
            "title": rows["name"],
            "quantity": rows["quantity"],
            "price": _amount(rows["price"]),
            "total_discount": _amount(rows["discount"]),
            "gift_card": rows["sku"].isna(),
        }
    )


def _refunds(ledger: Ledger) -> pd.DataFrame:
    """Return the refunds that were made before the end; what was never paid is not refunded."""
    orders = ledger.orders[(ledger.orders["refund"] > 0) & ~ledger.is_void]
    return pd.DataFrame(
        {
            "id": 8_000_000_000_000 + orders["number"],
            "order_id": _ids(orders["number"]),
            "number": orders["number"],
            "created_at": orders["refunded_at"],
            "processed_at": orders["refunded_at"],
        }
    ).reset_index(drop=True)


def _line_refunds(ledger: Ledger, refunds: pd.DataFrame) -> pd.DataFrame:
    lines = ledger.lines.assign(line_id=9_000_000_000_000 + np.arange(len(ledger.lines)))
    lines = lines[lines["refund"] > 0].merge(refunds, on="number")
    orders = ledger.orders.set_index("number").loc[lines["number"]]
    goods = (orders["items"] - orders["discount"]).clip(lower=1)
    tax = (orders["tax"] * lines["refund"].to_numpy() / goods).round().to_numpy()
    is_whole = orders["kind"].isin(WHOLLY_REFUNDED).to_numpy()
    return pd.DataFrame(
        {
            "id": 7_000_000_000_000 + np.arange(len(lines)),
            "refund_id": lines["id"],
            "order_line_id": lines["line_id"],
            "quantity": lines["quantity"].where(is_whole, 1),
            "subtotal": _amount(lines["refund"]),
            "total_tax": tax / 100,
            "restock_type": "return",
        }
    )
