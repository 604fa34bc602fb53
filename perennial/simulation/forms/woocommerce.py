"""WooCommerce orders as the WebToffee plugin exports them: a row per order, a column per order line."""

import numpy as np
import pandas as pd

from perennial.simulation.forms.ledger import Form, Ledger, money, save_ledger
from perennial.simulation.forms.planted import COMMON
from perennial.simulation.world import World

LOCAL = "%Y-%m-%d %H:%M:%S"
STATUS = {"canceled": "cancelled", "refunded": "refunded", "test": "trash"}
UNPAID = ("failed", "pending", "checkout-draft")


COLUMNS = [
    "order_id",
    "order_number",
    "order_date",
    "paid_date",
    "status",
    "shipping_total",
    "shipping_tax_total",
    "fee_total",
    "fee_tax_total",
    "tax_total",
    "cart_discount",
    "order_discount",
    "discount_total",
    "order_total",
    "order_subtotal",
    "order_currency",
    "payment_method",
    "payment_method_title",
    "transaction_id",
    "customer_ip_address",
    "customer_user_agent",
    "shipping_method",
    "customer_id",
    "customer_user",
    "customer_email",
    "billing_first_name",
    "billing_last_name",
    "billing_company",
    "billing_email",
    "billing_phone",
    "billing_address_1",
    "billing_address_2",
    "billing_postcode",
    "billing_city",
    "billing_state",
    "billing_country",
    "shipping_first_name",
    "shipping_last_name",
    "shipping_company",
    "shipping_phone",
    "shipping_address_1",
    "shipping_address_2",
    "shipping_postcode",
    "shipping_city",
    "shipping_state",
    "shipping_country",
    "customer_note",
    "wt_import_key",
    "shipping_items",
    "fee_items",
    "tax_items",
    "coupon_items",
    "refund_items",
    "order_notes",
    "download_permissions",
]


def woocommerce(world: World) -> Form:
    """Return a world's orders as WebToffee's CSV, in the shop's local time without an offset.

    A refund made after the world's end is not known yet: it is not in the file, and the expected
    amounts are without it.
    """
    ledger = save_ledger(world, (*COMMON, "unpaid"), has_dates=True)
    orders = _order_columns(ledger).reindex(columns=COLUMNS, fill_value="")
    frame = orders.join(_line_columns(ledger), on="order_id").fillna("").astype(str)
    expected = ledger.expected(frame["order_id"])
    return Form("woocommerce", {"wt_orders.csv": frame}, ledger.counted(ledger.late()), expected)


def _order_columns(ledger: Ledger) -> pd.DataFrame:
    orders, kind = ledger.orders, ledger.orders["kind"]
    at = ledger.local(orders["ordered_at"], LOCAL)
    goods = orders["items"] - orders["discount"] + orders["gift_card"]
    total = goods + orders["shipping"] + orders["tax"]
    refund = ledger.given_back(total).where(kind != "canceled", 0)
    items = (
        "amount:" + money(refund) + "|reason:|date:" + ledger.local(orders["refunded_at"], LOCAL)
    )
    user = orders["external_id"].where(~orders["is_guest"], "0").fillna("0")
    unpaid = np.array(UNPAID)[orders["number"] % len(UNPAID)]
    status = np.where(kind == "unpaid", unpaid, kind.map(STATUS).fillna("completed"))
    number = orders["number"].astype(str)
    return pd.DataFrame(
        {
            "order_id": number,
            "order_number": number,
            "order_date": at,
            "paid_date": at.where(kind != "unpaid", ""),
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
            "wt_import_key": number,
            "coupon_items": ("code:" + orders["discount_code"]).fillna(""),
            "refund_items": items.where(refund > 0, ""),
        }
    )


def _line_columns(ledger: Ledger) -> pd.DataFrame:
    """Return ``line_item_1`` to ``line_item_n`` of each order; what was given back of a line, if anything."""
    lines, orders = ledger.lines, ledger.orders
    worth = lines["price"] * lines["quantity"]
    canceled = lines["number"].isin(orders.loc[orders["kind"] == "canceled", "number"])
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
    refunded = "|refunded:" + money(lines["refund"])
    text += refunded.where((lines["refund"] > 0) & ~canceled, "")
    gifts = orders[orders["gift_card"] > 0]
    price = money(gifts["gift_card"])
    card = "name:Gift Card|product_id:999|sku:|quantity:1|total:" + price + "|sub_total:" + price
    numbers = pd.concat([lines["number"], gifts["number"]], ignore_index=True)
    rows = pd.DataFrame({"number": numbers, "text": pd.concat([text, card], ignore_index=True)})
    rows = rows.sort_values("number", kind="stable")
    rows["turn"] = rows.groupby("number").cumcount() + 1
    wide = rows.pivot_table(index="number", columns="turn", values="text", aggfunc="first")
    wide.columns = [f"line_item_{turn}" for turn in wide.columns]
    wide.index = wide.index.astype(str)
    return wide
