"""Shopify's ``orders_export.csv``: a row per order line, the order's own columns on its first row only."""

import numpy as np
import pandas as pd
from pandas.util import hash_array

from perennial.simulation.forms.ledger import Form, Ledger, Planted, money, save_ledger
from perennial.simulation.forms.planted import RULES
from perennial.simulation.world import World

COLUMNS = [
    "Name",
    "Email",
    "Financial Status",
    "Paid at",
    "Fulfillment Status",
    "Fulfilled at",
    "Accepts Marketing",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Discount Code",
    "Discount Amount",
    "Shipping Method",
    "Created at",
    "Lineitem quantity",
    "Lineitem name",
    "Lineitem price",
    "Lineitem compare at price",
    "Lineitem sku",
    "Lineitem requires shipping",
    "Lineitem taxable",
    "Lineitem fulfillment status",
    "Billing Name",
    "Billing Street",
    "Billing Address1",
    "Billing Address2",
    "Billing Company",
    "Billing City",
    "Billing Zip",
    "Billing Province",
    "Billing Country",
    "Billing Phone",
    "Shipping Name",
    "Shipping Street",
    "Shipping Address1",
    "Shipping Address2",
    "Shipping Company",
    "Shipping City",
    "Shipping Zip",
    "Shipping Province",
    "Shipping Country",
    "Shipping Phone",
    "Notes",
    "Note Attributes",
    "Cancelled at",
    "Payment Method",
    "Payment Reference",
    "Refunded Amount",
    "Vendor",
    "Outstanding Balance",
    "Employee",
    "Location",
    "Device ID",
    "Id",
    "Tags",
    "Risk Level",
    "Source",
    "Lineitem discount",
    "Tax 1 Name",
    "Tax 1 Value",
    "Tax 2 Name",
    "Tax 2 Value",
    "Tax 3 Name",
    "Tax 3 Value",
    "Tax 4 Name",
    "Tax 4 Value",
    "Tax 5 Name",
    "Tax 5 Value",
    "Phone",
    "Receipt Number",
    "Duties",
    "Billing Province Name",
    "Shipping Province Name",
    "Payment ID",
    "Payment Terms Name",
    "Next Payment Due At",
    "Payment References",
]
MOMENT = "%Y-%m-%d %H:%M:%S %z"
CUT, OVERLAP = 0.6, 0.02  # where the export was cut into two files, and what is in both


def shopify(world: World) -> Form:
    """Return a world's orders as Shopify exports them, in two files that overlap."""
    ledger = save_ledger(world)
    orders = ledger.orders
    rows = _line_rows(ledger)
    whole = _order_columns(ledger)
    first = ~rows["Name"].duplicated()
    frame = pd.DataFrame("", index=rows.index, columns=COLUMNS)
    frame[rows.columns] = rows
    by_name = whole.set_index("Name").reindex(rows["Name"])
    for column in by_name.columns:
        kept = first if column not in ("Email", "Created at") else np.ones(len(rows), dtype=bool)
        frame[column] = np.where(kept, by_name[column].to_numpy(), "")
    frame = frame.astype(str)
    until, since = (orders["number"].quantile(q) for q in (CUT, CUT - OVERLAP))
    number = frame["Name"].str.slice(1).astype(np.int64)
    both = int(((orders["number"] <= until) & (orders["number"] >= since)).sum())
    files = {
        "orders_export_1.csv": frame[number <= until].reset_index(drop=True),
        "orders_export_2.csv": frame[number >= since].reset_index(drop=True),
    }
    planted = ledger.counted(Planted("duplicate", both, RULES["duplicate"]))
    return Form("shopify", files, planted, ledger.expected("#" + orders["number"].astype(str)))


def _line_rows(ledger: Ledger) -> pd.DataFrame:
    """Return the columns that every line has, gift cards as lines of their own."""
    lines = ledger.lines
    gifts = ledger.orders[ledger.orders["gift_card"] > 0]
    sold = pd.DataFrame(
        {
            "number": gifts["number"],
            "sku": "",
            "name": "Gift Card",
            "quantity": 1,
            "price": gifts["gift_card"],
        }
    )
    lines = pd.concat([lines, sold]).sort_values("number", kind="stable", ignore_index=True)
    goods = np.where(lines["sku"] == "", "false", "true")
    return pd.DataFrame(
        {
            "Name": "#" + lines["number"].astype(str),
            "Lineitem quantity": lines["quantity"].astype(str),
            "Lineitem name": lines["name"],
            "Lineitem price": money(lines["price"]),
            "Lineitem sku": lines["sku"],
            "Lineitem requires shipping": goods,
            "Lineitem taxable": goods,
            "Lineitem fulfillment status": "fulfilled",
            "Lineitem discount": "0.00",
            "Vendor": ledger.world.profile.name.title(),
        }
    )


def _order_columns(ledger: Ledger) -> pd.DataFrame:
    """Return the columns of an order, one row each."""
    orders = ledger.orders
    kind = orders["kind"]
    goods = orders["items"] - orders["discount"]
    subtotal = goods + orders["gift_card"]
    total = subtotal + orders["shipping"] + orders["tax"]
    refunded = ledger.given_back(total).where(~ledger.is_void, 0)
    status = np.select(
        [ledger.is_void, ledger.is_whole, refunded > 0],
        ["voided", "refunded", "partially_refunded"],
        "paid",
    )
    created = ledger.local(orders["ordered_at"], MOMENT)
    source = orders["channel"].map({"web": "web", "app": "580111", "store": "pos"})
    phone = orders["phone"].fillna("")
    number = orders["number"]
    return pd.DataFrame(
        {
            "Name": "#" + number.astype(str),
            "Email": orders["email"].fillna(""),
            "Financial Status": status,
            "Paid at": created.where(~ledger.is_void, ""),
            "Fulfillment Status": np.where(kind == "canceled", "unfulfilled", "fulfilled"),
            "Accepts Marketing": "no",
            "Currency": orders["currency"],
            "Subtotal": money(subtotal),
            "Shipping": money(orders["shipping"]),
            "Taxes": money(orders["tax"]),
            "Total": money(total),
            "Discount Code": orders["discount_code"].fillna(""),
            "Discount Amount": money(orders["discount"]),
            "Created at": created,
            "Billing Zip": "'0" + _postal_codes(orders["email"].fillna("")),
            "Billing Country": "US",
            "Billing Phone": phone,
            "Cancelled at": ledger.local(orders["canceled_at"], MOMENT).fillna(""),
            "Payment Method": np.where(kind == "test", "bogus", "Shopify Payments"),
            "Refunded Amount": money(refunded),
            "Outstanding Balance": "0.00",
            "Id": (5_000_000_000_000 + number * 32_768).astype(str),
            "Risk Level": "Low",
            "Source": source.where(kind != "no_customer", "pos"),
            "Tax 1 Name": "State Tax 8%",
            "Tax 1 Value": money(orders["tax"]),
            "Phone": phone,
        }
    )


def _postal_codes(emails: pd.Series) -> pd.Series:
    """Return four digits, the same wherever a customer's e-mail is."""
    plain = emails.astype("str").str.strip().str.lower()
    digits = hash_array(plain.to_numpy(dtype="object")) % 9000 + 1000
    return pd.Series(digits, index=emails.index).astype(str)
