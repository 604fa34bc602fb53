"""WooCommerce orders as the WebToffee plugin exports them: a row per order, a column per order line."""

import numpy as np
import pandas as pd

from features.synthetic.forms.ledger import Form, Ledger, Planted, keep_ledger, money
from features.synthetic.world import World

LOCAL = "%Y-%m-%d %H:%M:%S"
STATUS = {"canceled": "cancelled", "refunded": "refunded", "test": "trash"}
UNPAID = ("failed", "pending", "checkout-draft")


def woocommerce(world: World) -> Form:
    """Return a world's orders as WebToffee's CSV, in the shop's local time without an offset."""
    ledger = keep_ledger(world)
    orders = ledger.orders
    attempts = _attempts(ledger)
    frame = pd.concat([_order_columns(ledger), attempts], ignore_index=True)
    lines = _line_columns(ledger)
    frame = frame.join(lines, on="order_id").fillna("")
    unpaid = Planted("unpaid", len(attempts), "a failed, pending or draft order is no purchase")
    expected = ledger.expected(orders["number"].astype(str))
    return Form("woocommerce", {"wt_orders.csv": frame}, ledger.counted(unpaid), expected)


def _attempts(ledger: Ledger) -> pd.DataFrame:
    """Return checkouts that were never paid, each just before an order that was."""
    orders = _order_columns(ledger)[ledger.pick("attempt", 0.02)].reset_index(drop=True)
    number = np.arange(len(orders))
    orders["order_id"] = (9_000_000 + number).astype(str)
    orders["order_number"] = orders["order_id"]
    orders["status"] = [UNPAID[i % len(UNPAID)] for i in number]
    orders["paid_date"] = ""
    return orders


def _order_columns(ledger: Ledger) -> pd.DataFrame:
    orders, kind = ledger.orders, ledger.orders["kind"]
    at = ledger.local(orders["ordered_at"], LOCAL)
    goods = orders["items"] - orders["discount"] + orders["gift_card"]
    total = goods + orders["shipping"] + orders["tax"]
    part = orders["refund"].where(kind == "purchase", 0)
    whole = (total - orders["shipping"] - orders["tax"]).where(kind == "refunded", 0)
    refund = part + whole
    later = ledger.local(orders["ordered_at"] + pd.Timedelta(days=4), LOCAL)
    said = "amount:" + money(refund) + "|reason:|date:" + later
    user = orders["external_id"].where(~orders["is_guest"], "0").fillna("0")
    status = kind.map(STATUS).fillna("completed")
    number = orders["number"].astype(str)
    return pd.DataFrame(
        {
            "order_id": number,
            "order_number": number,
            "order_date": at,
            "paid_date": at,
            "status": status,
            "shipping_total": money(orders["shipping"]),
            "shipping_tax_total": "0.00",
            "fee_total": "0.00",
            "fee_tax_total": "0.00",
            "tax_total": money(orders["tax"]),
            "cart_discount": money(orders["discount"]),
            "order_discount": money(orders["discount"]),
            "discount_total": money(orders["discount"]),
            "order_total": money(total),
            "order_subtotal": money(orders["items"] + orders["gift_card"]),
            "order_currency": orders["currency"],
            "payment_method": np.where(kind == "test", "cod", "stripe"),
            "customer_id": user,
            "customer_user": user,
            "customer_email": orders["email"].where(~orders["is_guest"], "").fillna(""),
            "billing_email": orders["email"].fillna(""),
            "billing_phone": orders["phone"].fillna(""),
            "billing_country": "US",
            "coupon_items": ("code:" + orders["discount_code"]).fillna(""),
            "refund_items": said.where(refund > 0, ""),
        }
    )


def _line_columns(ledger: Ledger) -> pd.DataFrame:
    """Return ``line_item_1`` to ``line_item_n`` of each order."""
    lines = ledger.lines
    worth = lines["price"] * lines["quantity"]
    text = (
        "name:"
        + lines["name"]
        + "|product_id:"
        + lines["sku"].str.slice(1).str.lstrip("0")
        + "|sku:"
        + lines["sku"]
        + "|quantity:"
        + lines["quantity"].astype(str)
        + "|total:"
        + money(worth - lines["discount"])
        + "|sub_total:"
        + money(worth)
    )
    gifts = ledger.orders[ledger.orders["gift_card"] > 0]
    price = money(gifts["gift_card"])
    card = "name:Gift Card|product_id:999|sku:|quantity:1|total:" + price + "|sub_total:" + price
    rows = pd.DataFrame(
        {
            "number": np.r_[lines["number"], gifts["number"]],
            "text": np.r_[text.to_numpy(), card.to_numpy()],
        }
    ).sort_values("number", kind="stable")
    rows["turn"] = rows.groupby("number").cumcount() + 1
    wide = rows.pivot_table(index="number", columns="turn", values="text", aggfunc="first")
    wide.columns = [f"line_item_{turn}" for turn in wide.columns]
    wide.index = wide.index.astype(str)
    return wide
