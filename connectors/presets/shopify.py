"""Shopify's ``orders_export.csv``: a row per order line, the order's own columns on its first row only.

An order's value stands on its first row, the others carry 0: then equal rows of overlapping files
merge, and a line that was exported twice adds nothing. What is said of an order is computed over its
rows in all files, and is the same for equal rows whatever file they are in.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches

import ibis
import ibis.expr.types as ir

from connectors.engine import FILE_COLUMN, Engine
from connectors.order_source import OrderSource
from connectors.presets.preset import Preset, PresetError, SourceRows, Tables
from connectors.texts import clean_text

HEADINGS = {  # ours: theirs, in every wording of theirs
    "order_id": ("Name",),
    "shop_id": ("Id",),
    "ordered_at": ("Created at",),
    "email": ("Email",),
    "phone": ("Phone",),
    "billing_phone": ("Billing Phone",),
    "status": ("Financial Status",),
    "canceled_at": ("Cancelled at", "Canceled at"),
    "payment": ("Payment Method",),
    "currency": ("Currency",),
    "channel": ("Source",),
    "discount_code": ("Discount Code",),
    "subtotal": ("Subtotal",),
    "shipping": ("Shipping",),
    "taxes": ("Taxes",),
    "total": ("Total",),
    "refund_amount": ("Refunded Amount",),
    "quantity": ("Lineitem quantity",),
    "product_name": ("Lineitem name",),
    "unit_price": ("Lineitem price",),
    "product_id": ("Lineitem sku",),
}
REQUIRED = ("order_id", "ordered_at", "subtotal", "quantity", "product_name", "unit_price")
OF_LINE = ("product_name", "product_id", "unit_price", "quantity")  # what tells lines apart
OF_ORDER = tuple(ours for ours in HEADINGS if ours not in (*OF_LINE, "order_id", "shop_id"))
UNPAID = ("pending", "authorized", "expired")
READ = "perennial_order"  # the column that holds what was read, beside theirs
MONEY = "decimal(18, 4)"
CENT = 0.005  # amounts that differ by less are equal


def read(engine: Engine, tables: Tables, source: OrderSource, as_of: date) -> SourceRows:
    """Read the order export of Shopify's admin, one file or several."""
    mapping = source.columns
    del as_of  # its refunds carry no date
    (table,) = tables.values()
    found = _find_headings([n for n in table.columns if n != FILE_COLUMN], mapping)
    texts = engine.view(_texts(table, found), "texts")
    whole = engine.view(_with_values(_with_order(_with_id(texts))), "valued")
    ours = ("order_id", "void", "carries", "net", "gross", "discount", "refund")
    kept = {name: whole[name] for name in (*ours, *OF_ORDER)}
    rows = whole.select(**{n: whole.raw[n] for n in table.columns}, **{READ: ibis.struct(kept)})
    order = rows[READ]
    # An unreadable order is unreadable on each of its rows; else the others would be one of value 0.
    amounts = {
        f"{name}_amount": ibis.cases(
            (order["net"].isnull(), ibis.null("float64")),
            (order["carries"], order[name]),
            else_=0.0,
        )
        for name in ("net", "gross", "discount", "refund")
    }
    said = [name for name in ("currency", "channel", "discount_code") if name in found]
    names = ("order_id", "ordered_at", "email", "phone", "void", *said)
    columns = {name: order[name] for name in names} | amounts
    return SourceRows(rows, columns, True, found, _notes(table, found), _lines(whole))


def recognize(columns: Mapping[str, tuple[str, ...]]) -> bool:
    """Tell whether a table has the headings that every Shopify order export has."""
    needed = {_plain(HEADINGS[ours][0]) for ours in REQUIRED}
    return any(needed <= {_plain(name) for name in names} for names in columns.values())


SHOPIFY = Preset("shopify", read, recognize)


def _plain(name: str) -> str:
    """Spell a heading without case, spaces and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _find_headings(available: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return ``{ours: theirs}``; refuse a file that lacks what every export has."""
    theirs = {_plain(name): name for name in reversed(available)}
    found, problems = {}, []
    for ours, wordings in HEADINGS.items():
        wanted = (mapping[ours],) if ours in mapping else wordings
        named = [theirs[_plain(name)] for name in wanted if _plain(name) in theirs]
        if named:
            found[ours] = named[0]
        elif ours in REQUIRED or ours in mapping:
            close = get_close_matches(wanted[0], available, n=1)
            problems.append(f"{wanted[0]!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    problems += [f"anything for orders.columns.{name}" for name in mapping if name not in HEADINGS]
    if not {"email", "phone", "billing_phone"} & set(found):
        problems.append("'Email' or 'Phone'")
    if problems:
        raise PresetError(
            f"a Shopify order export has a row per line item: this has no {', no '.join(problems)}; "
            f'it has {", ".join(available)}. Export under Orders > Export as "CSV for Excel, Numbers" '
            'or "Plain CSV file", or set orders.preset = "plain"'
        )
    return found


def _texts(source: ir.Table, found: Mapping[str, str]) -> ir.Table:
    """Return their columns under our names as text, blank = null, beside the row as it was."""
    columns = {ours: ibis.null("string") for ours in HEADINGS}
    for ours, theirs in found.items():
        is_moment = source[theirs].type().is_temporal()
        text = clean_text(source[theirs])
        columns[ours] = source[theirs] if is_moment and ours == "ordered_at" else text
    names = [name for name in source.columns if name != FILE_COLUMN]
    return source.select(
        raw=ibis.struct({name: source[name] for name in source.columns}),
        file=source[FILE_COLUMN],
        row=ibis.struct({name: source[name] for name in names}).hash(),
        **columns,
    )


def _with_id(rows: ir.Table) -> ir.Table:
    """Name the orders; a name that comes with several ids is of several shops, and they of it."""
    is_id = rows.shop_id.re_search(r"^\d+$")  # Excel leaves 6.87E+12 of all
    rows = rows.mutate(shop_id=ibis.ifelse(is_id, rows.shop_id, ibis.null("string")))
    same_order = (["order_id", "ordered_at"], ["order_id", "file"], ["order_id"])
    filled = (rows.shop_id.max().over(ibis.window(group_by=keys)) for keys in same_order)
    rows = rows.mutate(shop_id=ibis.coalesce(rows.shop_id, *filled))
    by_name = ibis.window(group_by="order_id")
    is_ambiguous = rows.shop_id.min().over(by_name) != rows.shop_id.max().over(by_name)
    whole = rows.order_id + " (" + rows.shop_id + ")"
    return rows.mutate(order_id=ibis.ifelse(is_ambiguous.fill_null(False), whole, rows.order_id))


def _with_order(rows: ir.Table) -> ir.Table:
    """Give each row what its order's first row says: of several, the one that knows of more."""
    refunded = rows.refund_amount.try_cast(MONEY).fill_null(0)
    is_done = rows.canceled_at.notnull() | (rows.status.lower() == "voided")
    versions = ibis.window(
        group_by="order_id",
        order_by=[
            ibis.desc(rows.subtotal.notnull()),
            ibis.desc(refunded),
            ibis.desc(is_done.fill_null(False)),
            rows.status.lower().isin(UNPAID).fill_null(False),
            rows.row,
        ],
        preceding=None,
        following=None,
    )
    order = ibis.window(group_by="order_id")
    line = ["order_id", *OF_LINE]
    rows = rows.mutate(
        **{
            name: ibis.coalesce(rows[name].first().over(versions), rows[name].max().over(order))
            for name in OF_ORDER
        },
        carries=rows.row == rows.row.first().over(versions),
        in_file=rows.count().over(ibis.window(group_by=[*line, "file"])),
    )
    # Two equal lines of one file are two, the same line in two files is one.
    same_line = ibis.window(group_by=line)
    copies = rows.in_file.max().over(same_line)
    return rows.mutate(
        phone=ibis.coalesce(rows.phone, rows.billing_phone),
        copies=copies,
        part=copies / rows.count().over(same_line),
        worth=_money(rows.unit_price) * _money(rows.quantity),
        is_gift_card=rows.product_name.lower().startswith("gift card").fill_null(False),
    )


def _with_values(rows: ir.Table) -> ir.Table:
    """Compute each order's value: goods without gift cards, tax and shipping, less refunds of them."""
    order, worth = ibis.window(group_by="order_id"), rows.worth * rows.part
    rows = rows.mutate(
        gifts=ibis.ifelse(rows.is_gift_card, worth, 0.0).sum().over(order),
        sold=ibis.ifelse(rows.is_gift_card, 0.0, worth).sum().over(order),
        paid=_money(rows.subtotal),
        taxed=_money(rows.taxes, blank=0.0),
        shipped=_money(rows.shipping, blank=0.0),
        refunded=_money(rows.refund_amount, blank=0.0),
    )
    total = ibis.coalesce(_money(rows.total), rows.paid + rows.shipped + rows.taxed)
    is_included = (rows.taxed > 0) & ((total - rows.paid - rows.shipped).abs() < CENT)
    priced = rows.paid - rows.gifts  # what the goods cost, and the tax if it is included
    untaxed = ibis.ifelse(is_included, 1 - rows.taxed / (total - rows.gifts).nullif(0), 1.0)
    goods = priced * untaxed
    of_goods = rows.refunded * goods / (priced + ibis.ifelse(is_included, 0, rows.taxed)).nullif(0)
    exact = ibis.ifelse(rows.taxed > 0, of_goods.round(2), of_goods)  # it was a number of cents
    refund = ibis.cases(
        (rows.refunded.isnull() | rows.taxed.isnull(), ibis.null("float64")),
        (rows.refunded == 0, 0.0),
        (rows.refunded >= total - CENT, goods),
        else_=ibis.least(exact, goods),
    )
    gross = ibis.greatest(rows.sold.fill_null(0) * untaxed, goods)
    status = rows.status.lower().re_replace("[^a-z]+", "_")
    void = ibis.cases(
        (rows.payment.lower().contains("bogus"), "test_order"),
        (rows.canceled_at.notnull() | (status == "voided"), "canceled"),
        (status.isin(UNPAID), "unpaid"),
        (status == "refunded", "refunded_in_full"),
        ((priced <= CENT) & (rows.gifts > 0), "gift_card_only"),
        else_=ibis.null("string"),
    )
    values = {"net": goods - refund, "goods": goods, "refund": refund}
    return rows.mutate(**values, gross=gross, discount=gross - goods, void=void)


def _money(text: ir.Column, blank: float | None = None) -> ir.Column:
    """Read an amount; null where it is no number."""
    amount = text.try_cast(MONEY).cast("float64")
    return amount if blank is None else ibis.ifelse(text.isnull(), blank, amount)


def _lines(rows: ir.Table) -> ir.Table:
    """Return the lines of goods, the order's discount and refunds shared in proportion."""
    goods = rows.filter(~rows.is_gift_card)
    lines = goods.group_by("order_id", *OF_LINE).aggregate(
        **{name: goods[name].max() for name in ("copies", "worth", "net", "sold")}
    )
    return lines.select(
        "order_id",
        "product_name",
        product_id=ibis.coalesce(lines.product_id, lines.product_name),
        quantity=lines.quantity.try_cast(MONEY) * lines.copies,
        net_amount=lines.worth * lines.copies * lines.net / lines.sold.nullif(0),
    )


def _notes(source: ir.Table, found: Mapping[str, str]) -> tuple[str, ...]:
    """Say what the export does not tell of its refunds."""
    if "refund_amount" not in found:
        return ()
    refunded = clean_text(source[found["refund_amount"]]).try_cast(MONEY) > 0
    orders = source.filter(refunded)[found["order_id"]].nunique().to_pyarrow().as_py()
    if not orders:
        return ()
    return (
        f"refunds carry no date in this export: those of {orders:,} orders count from the order's day "
        "on, also where they came later",
    )
