"""Shopify as Fivetran loads it into a warehouse: typed tables, refunds with their dates."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from features.synthetic.forms.ledger import Form, Ledger, Planted, keep_ledger
from features.synthetic.world import World

REFUND_DAYS = 9.0  # mean, after the order


def fivetran(world: World) -> Form:
    """Return a world's orders as the tables order, order_line, refund and order_line_refund.

    A refund made after the world's end is not known yet: it is in no table, and the expected
    amounts are without it.
    """
    ledger = keep_ledger(world)
    orders = ledger.orders
    refunds = _refunds(ledger)
    known = set(refunds["order_id"])
    deleted = _deleted(ledger, known)
    expected = ledger.expected(_ids(orders["number"]).astype(str))
    number = _ids(orders.loc[orders["kind"] == "purchase", "number"]).reset_index(drop=True)
    late = orders.loc[orders["kind"] == "purchase", "refund"].reset_index(drop=True)
    late = late.where(~number.isin(known), 0)
    expected["net_amount"] = (expected["net_amount"] + late / 100).round(2)
    files = {
        "order.parquet": pd.concat([_orders(ledger, known), deleted], ignore_index=True),
        "order_line.parquet": _lines(ledger),
        "refund.parquet": refunds[["id", "order_id", "created_at", "processed_at"]],
        "order_line_refund.parquet": _line_refunds(ledger, refunds),
    }
    planted = ledger.counted(
        Planted("deleted", len(deleted), "a row with _fivetran_deleted is gone from the shop"),
        Planted("refund_not_known", int((late > 0).sum()), "a refund after the end is not known"),
    )
    return Form("fivetran", files, planted, expected)


def _ids(number: pd.Series) -> pd.Series:
    return 5_000_000_000_000 + number * 32_768


def _amount(cents: pd.Series) -> pd.Series:
    return cents / 100


def _orders(ledger: Ledger, known: set[int]) -> pd.DataFrame:
    orders, kind = ledger.orders, ledger.orders["kind"]
    goods = orders["items"] - orders["discount"] + orders["gift_card"]
    is_void = (kind == "canceled") & (orders["number"] % 2 == 0)
    is_whole = kind.isin(["canceled", "refunded"]) & ~is_void
    part = _ids(orders["number"]).isin(known) & (kind == "purchase")
    status = np.select(
        [is_void, is_whole, part], ["voided", "refunded", "partially_refunded"], "paid"
    )
    hour = pd.Timedelta(hours=2)
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
            "processed_at": orders["ordered_at"] + pd.Timedelta(seconds=2),
            "updated_at": orders["ordered_at"] + hour,
            "cancelled_at": (orders["ordered_at"] + hour).where(kind == "canceled"),
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
            "_fivetran_deleted": False,
        }
    )


def _deleted(ledger: Ledger, known: set[int]) -> pd.DataFrame:
    """Return orders that a person deleted in the shop."""
    gone = _orders(ledger, known)[ledger.pick("deleted", 0.004)].copy()
    gone["id"] += 7
    return gone.assign(_fivetran_deleted=True)


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
            "sku": rows["sku"],
            "title": rows["name"],
            "quantity": rows["quantity"],
            "price": _amount(rows["price"]),
            "total_discount": _amount(rows["discount"]),
            "gift_card": rows["sku"].isna(),
        }
    )


def _refunds(ledger: Ledger) -> pd.DataFrame:
    """Return the refunds that were made before the end."""
    orders = ledger.orders
    orders = orders[
        (orders["refund"] > 0) & ~((orders["kind"] == "canceled") & (orders["number"] % 2 == 0))
    ]
    wait = REFUND_DAYS * ledger.draws.exponential("refund wait", orders["key"].to_numpy())
    wait = np.where(
        orders["kind"] == "purchase", 1 + wait, 0.0
    )  # what is no purchase is known as such
    at = (orders["ordered_at"] + pd.to_timedelta(wait, unit="D")).dt.floor("s")
    end = datetime.combine(
        ledger.world.end, datetime.min.time(), ZoneInfo(ledger.world.profile.timezone)
    )
    is_known = at < pd.Timestamp(end)
    made = pd.DataFrame(
        {
            "id": 8_000_000_000_000 + orders["number"],
            "order_id": _ids(orders["number"]),
            "number": orders["number"],
            "created_at": at,
            "processed_at": at,
        }
    )
    known: pd.DataFrame = made.loc[is_known.to_numpy()].reset_index(drop=True)
    return known


def _line_refunds(ledger: Ledger, refunds: pd.DataFrame) -> pd.DataFrame:
    lines = ledger.lines.assign(line_id=9_000_000_000_000 + np.arange(len(ledger.lines)))
    lines = lines[lines["refund"] > 0].merge(refunds, on="number")
    orders = ledger.orders.set_index("number").loc[lines["number"]]
    goods = (orders["items"] - orders["discount"]).clip(lower=1)
    tax = (orders["tax"] * lines["refund"].to_numpy() / goods).round().to_numpy()
    return pd.DataFrame(
        {
            "id": 7_000_000_000_000 + np.arange(len(lines)),
            "refund_id": lines["id"],
            "order_line_id": lines["line_id"],
            "quantity": 1,
            "subtotal": _amount(lines["refund"]),
            "total_tax": tax / 100,
            "restock_type": "return",
        }
    )
