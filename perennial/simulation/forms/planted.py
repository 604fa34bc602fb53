"""Orders that are no purchases: canceled, refunded in full, free, for a test, without a customer ...

Each is a copy of a purchase with a time of its own, hours to weeks away, and three in ten are of
people who never bought anything: who takes them for purchases gets customers and days wrong.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from perennial.simulation.draws import Array, Draws, Keys
from perennial.simulation.records import contacts, customer_ids

NO_PURCHASE = {  # kind: share of the orders that are copied and planted as such
    "canceled": 0.012,
    "refunded": 0.008,
    "free": 0.004,
    "test": 0.003,
    "no_customer": 0.006,
    "deleted": 0.004,
    "unpaid": 0.02,
}
COMMON = ("canceled", "refunded", "free", "test", "no_customer")  # to every system
WHOLLY_REFUNDED = ("canceled", "refunded")
STRANGERS = 0.3
SOONEST, LATEST = 6 / 24, 42.0  # days away from the purchase
RULES = {
    "canceled": "a canceled order is no purchase",
    "refunded": "an order refunded in full is no purchase",
    "free": "an order of no value is no purchase, unless orders.keep_zero_amount says so",
    "test": "a test order is no purchase",
    "no_customer": "an order without customer, e-mail and phone is a reject",
    "deleted": "a row with _fivetran_deleted is gone from the shop",
    "unpaid": "a failed, pending or draft order is no purchase",
    "guest_other_email": "guest checkout under another e-mail: the phone tells who it is",
    "guest_unknown": "guest checkout under another e-mail and without phone: nobody can tell who it is",
    "email_spelling": "the same e-mail in capitals or with a space is the same customer",
    "gift_card": "a gift card sold is no revenue: its line counts for nothing",
    "partly_refunded": "refunds of goods lower the order's value",
    "refund_not_known": "a refund after the end is not known",
    "duplicate": "an order that is in two files counts once",
}

Span = tuple[pd.Timestamp, pd.Timestamp]


def plant(
    orders: pd.DataFrame, lines: pd.DataFrame, kinds: tuple[str, ...], span: Span, draws: Draws
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return purchases with their lines, and among them orders of `kinds` at moments of the `span`.

    Column ``is_stranger`` tells who ordered without ever having bought anything.
    """
    all_orders, all_lines = [orders.assign(is_stranger=False)], [lines]
    for kind in kinds:
        copies, copied = _copies(orders, lines, kind, draws)
        key = copies["key"].to_numpy()
        copies["ordered_at"] = _moved(copies["ordered_at"], key, span, draws)
        copies["is_stranger"] = draws.uniform("is stranger", key) < STRANGERS
        own = copies["customer_id"]
        stranger = customer_ids(_stranger(key, draws)).to_pandas().to_numpy()
        copies["customer_id"] = own.where(~copies["is_stranger"], stranger)
        all_orders.append(copies)
        all_lines.append(copied)
    return pd.concat(all_orders, ignore_index=True), pd.concat(all_lines, ignore_index=True)


def _copies(
    orders: pd.DataFrame, lines: pd.DataFrame, kind: str, draws: Draws
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Copy some orders and their lines, with what makes them no purchases."""
    is_copied = draws.uniform(f"planted {kind}", orders["key"].to_numpy()) < NO_PURCHASE[kind]
    copies = orders[is_copied].copy()
    key = draws.keys(f"copy {kind}", copies["key"].to_numpy())
    new = pd.Series([f"x{bits:016x}" for bits in key], index=copies["order_id"], dtype=str)
    copied = lines[lines["order_id"].isin(copies["order_id"])].copy()
    copied["order_id"] = copied["order_id"].map(new)
    worth = copied["price"] * copied["quantity"]
    if kind == "free":
        copied["discount"], copied["refund"] = worth, 0
    copied["refund"] = worth - copied["discount"] if kind in WHOLLY_REFUNDED else 0
    copies["order_id"], copies["key"], copies["kind"] = new.to_numpy(), key, kind
    sums = copied.groupby("order_id")[["discount", "refund"]].sum()
    for part in ("discount", "refund"):
        copies[part] = copies["order_id"].map(sums[part]).astype(np.int64)
    return copies, copied


def _moved(at: pd.Series, key: Keys, span: Span, draws: Draws) -> pd.Series:
    """Return moments hours to weeks before or after others, or anywhere in the span where that is outside."""
    start, end = span
    days = SOONEST * (LATEST / SOONEST) ** draws.uniform("moved by", key)
    is_before = draws.uniform("moved back", key) < 0.5
    moved = at + seconds(86_400 * np.where(is_before, -days, days))
    whole = (end - start).total_seconds()
    anywhere = pd.Series(start, index=at.index, dtype=at.dtype)
    anywhere += seconds(whole * draws.uniform("moved anywhere", key))
    return moved.where((moved >= start) & (moved < end), anywhere)


def seconds(length: Array) -> NDArray[np.timedelta64]:
    """Return lengths of time, in whole seconds."""
    return np.trunc(length).astype("timedelta64[s]")


def _stranger(order: Keys, draws: Draws) -> Keys:
    """Return the keys of people of whom nothing is known but one order."""
    return draws.keys("stranger", order)


def address_book(customers: pd.DataFrame, orders: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    """Return the e-mail, phone and number of customers and of strangers, by ``customer_id``."""
    person = _stranger(orders.loc[orders["is_stranger"], "key"].to_numpy(), draws)
    columns = {"customer_id": customer_ids(person), **contacts(person, draws)}
    strangers = pa.table(columns).to_pandas()
    everybody = pd.concat([customers[list(columns)], strangers], ignore_index=True)
    book: pd.DataFrame = everybody.set_index("customer_id")
    return book
