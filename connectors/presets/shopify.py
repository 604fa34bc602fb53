"""Shopify's ``orders_export.csv``: a row per order line, the order's own columns on its first row only.

An order's value stands on its first row, the others carry 0: then equal rows of overlapping files
merge, and a line that was exported twice adds nothing. What is said of an order is computed over its
rows in all files, and is the same for equal rows whatever file they are in.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from connectors.engine import FILE_COLUMN, Engine
from connectors.order_source import OrderSource
from connectors.presets.headings import (
    UNMATCHED,
    Headings,
    find_headings,
    lacking_column,
    missing_column,
    shown_headings,
    theirs_of,
)
from connectors.presets.preset import Preset, PresetError, SourceRows, Tables
from connectors.presets.renewals import renews
from connectors.presets.shopify_api import NESTED, is_of_api, is_whole, read_api
from connectors.presets.shopify_api import PEOPLE as PEOPLE_OF_API
from connectors.presets.statuses import SHOPIFY as STATUSES
from connectors.presets.statuses import UNKNOWN, plain_status, void_by_status
from connectors.texts import clean_text

HEADINGS: Headings = {  # ours: theirs, in every wording of theirs, Squarespace's too
    "order_id": ("Name", "Order ID"),
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
    "tags": ("Tags",),
    "name": ("Billing Name",),
    "postal_code": ("Billing Zip",),
    "accepts_marketing": ("Accepts Marketing",),
    "discount_code": ("Discount Code",),
    "subtotal": ("Subtotal",),
    "shipping": ("Shipping",),
    "taxes": ("Taxes",),
    "total": ("Total",),
    "duties": ("Duties",),
    "refund_amount": ("Refunded Amount", "Amount Refunded"),
    "quantity": ("Lineitem quantity",),
    "product_name": ("Lineitem name",),
    "unit_price": ("Lineitem price",),
    "product_id": ("Lineitem sku",),
}
REQUIRED = ("order_id", "ordered_at", "subtotal", "quantity", "product_name", "unit_price")
OF_LINE = ("product_name", "product_id", "unit_price", "quantity")  # what tells lines apart
OF_ORDER = tuple(ours for ours in HEADINGS if ours not in (*OF_LINE, "order_id", "shop_id"))
UNPAID = tuple(status for status, rule in STATUSES.items() if rule == "unpaid")
AMOUNTS = ("subtotal", "shipping", "taxes", "total", "duties", "refund_amount", "unit_price")
WITHOUT = {  # a column that is missing: what follows
    "status": "unpaid and voided orders count",
    "canceled_at": "canceled orders count",
    "refund_amount": "amounts are before refunds",
    "taxes": "prices that include tax count with it",
    "total": "prices are read as without tax",
    "email": UNMATCHED,
    "phone": UNMATCHED,
    "billing_phone": UNMATCHED,
}
PEOPLE = ("Email", "Phone", "Billing Phone", "Shipping Phone", "Customer ID", *PEOPLE_OF_API)
READ = "perennial_order"  # the column that holds what was read, beside theirs
MONEY = "decimal(18, 4)"
CENT = 0.005  # amounts that differ by less are equal
ROUNDED = 0.05  # a total may differ by a few cents from the sum of its parts


def read(engine: Engine, tables: Tables, source: OrderSource, as_of: date) -> SourceRows:
    """Read the order export of Shopify's admin, one file or several."""
    (table,) = tables.values()
    names = [name for name in table.columns if name != FILE_COLUMN]
    if is_of_api(names):
        return read_api(engine, table, source, as_of)
    headings = _find_headings(names, source.columns)
    texts = engine.view(_texts(table, headings), "texts")
    priced = engine.keep(_with_prices(_with_order(_with_id(texts))), "priced")
    is_usual = _includes_tax(engine, priced)
    whole = engine.view(_with_values(priced, source, is_usual=is_usual), "valued")
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
    stated = [name for name in TOLD if name in headings]
    columns = {
        name: order[name] for name in ("order_id", "ordered_at", "email", "phone", "void", *stated)
    }
    columns["is_renewal"] = renews(order["tags"], order["channel"])
    notes = (*_notes(table, headings), *_lacking(headings))
    return SourceRows(rows, columns | amounts, True, headings, notes, _lines(whole))


TOLD = (
    "currency",
    "channel",
    "discount_code",
    "status",
    "name",
    "postal_code",
    "accepts_marketing",
)


def recognize(columns: Mapping[str, tuple[str, ...]]) -> bool:
    """Tell whether a table has the headings of Shopify's order export, or the keys of its API."""
    return any(
        set(REQUIRED) <= set(find_headings(names, HEADINGS)) or is_whole(names)
        for names in columns.values()
    )


def _amounts(names: Sequence[str]) -> list[str]:
    return [] if is_of_api(names) else theirs_of(HEADINGS, AMOUNTS)(names)


def _moments(names: Sequence[str]) -> list[str]:
    return [] if is_of_api(names) else theirs_of(HEADINGS, ("ordered_at", "canceled_at"))(names)


SHOPIFY = Preset(
    "shopify", read, recognize, amounts=_amounts, moments=_moments, nested=NESTED, people=PEOPLE
)


def _find_headings(available: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return ``{ours: theirs}``; refuse a file that lacks what every export has."""
    headings = find_headings(available, HEADINGS, mapping)
    problems = [
        missing_column(ours, mapping.get(ours, HEADINGS[ours][0]), available)
        for ours in HEADINGS
        if ours not in headings and (ours in REQUIRED or ours in mapping)
    ]
    problems += [f"no use for orders.columns.{name}" for name in mapping if name not in HEADINGS]
    if not {"email", "phone", "billing_phone"} & set(headings):
        problems.append("no column 'Email' or 'Phone': set orders.columns.email or phone")
    if problems:
        raise PresetError(
            f"a Shopify order export has a row per line item: this has {'; '.join(problems)}; "
            f'it has {shown_headings(available)}. Export under Orders > Export as "CSV for Excel, Numbers" '
            'or "Plain CSV file", or set orders.preset = "plain"'
        )
    return headings


def _lacking(headings: Mapping[str, str]) -> list[str]:
    """Say what the export lacks, and how to add it."""
    return [
        lacking_column(ours, HEADINGS[ours][0], so)
        for ours, so in WITHOUT.items()
        if ours not in headings
    ]


def _texts(source: ir.Table, headings: Mapping[str, str]) -> ir.Table:
    """Return their columns under our names as text, blank = null, beside the row as it was."""
    columns = {ours: ibis.null("string") for ours in HEADINGS}
    for ours, theirs in headings.items():
        is_moment = source[theirs].type().is_temporal()
        text = clean_text(source[theirs])
        columns[ours] = source[theirs] if is_moment and ours == "ordered_at" else text
    # Shopify writes an apostrophe before a postal code, lest a spreadsheet reads it as a number.
    columns["postal_code"] = columns["postal_code"].re_replace("^'", "").nullif("")
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


def _with_prices(rows: ir.Table) -> ir.Table:
    """Add each order's amounts, and ``rest``: what its total has beyond goods, shipping and duties."""
    order, worth = ibis.window(group_by="order_id"), rows.worth * rows.part
    rows = rows.mutate(
        gifts=ibis.ifelse(rows.is_gift_card, worth, 0.0).sum().over(order),
        sold=ibis.ifelse(rows.is_gift_card, 0.0, worth).sum().over(order),
        paid=_money(rows.subtotal),
        taxed=_money(rows.taxes, blank=0.0),
        shipped=_money(rows.shipping, blank=0.0),
        dutied=_money(rows.duties, blank=0.0),
        refunded=_money(rows.refund_amount, blank=0.0),
    )
    parts = rows.paid + rows.shipped + rows.dutied
    rows = rows.mutate(full=ibis.coalesce(_money(rows.total), parts + rows.taxed))
    return rows.mutate(rest=rows.full - parts)


def _includes_tax(engine: Engine, rows: ir.Table) -> bool:
    """Tell whether a store's prices include tax, by the orders in which only one reading is right.

    ``rest`` is a tip where prices include tax, else tax and a tip: there is no column of tips.
    """
    firsts = rows.filter(rows.carries & (rows.taxed > 2 * ROUNDED))
    includes = _includes(firsts)
    counts = (
        engine.frame(firsts.aggregate(with_tax=includes.sum(), without=(~includes).sum()))
        .fillna(0)
        .iloc[0]
    )
    return bool(counts["with_tax"] > counts["without"])


def _includes(rows: ir.Table) -> ir.BooleanValue:
    """Tell whether an order's prices include tax; null where its total does not tell."""
    by_rest, by_taxed = rows.rest.abs(), (rows.rest - rows.taxed).abs()
    return ibis.cases(
        (ibis.least(by_rest, by_taxed) <= ROUNDED, by_rest < by_taxed),
        (rows.rest.between(0, rows.taxed), ibis.literal(True)),  # a tip
        else_=ibis.null("boolean"),
    )


def _with_values(rows: ir.Table, source: OrderSource, *, is_usual: bool) -> ir.Table:
    """Compute each order's value: goods without gift cards, tax and shipping, less refunds of them."""
    # A total above goods, shipping and tax has a tip, which does not tell whether tax is included.
    is_included = (rows.taxed > 0) & _includes(rows).fill_null(is_usual)
    tip = rows.rest - ibis.ifelse(is_included, 0.0, rows.taxed)
    tip = ibis.ifelse((tip > ROUNDED).fill_null(False), tip, 0.0)
    priced = rows.paid - rows.gifts  # what the goods cost, and the tax if it is included
    taxable = rows.full - tip - rows.dutied - rows.gifts
    untaxed = ibis.ifelse(is_included, 1 - rows.taxed / taxable.nullif(0), 1.0)
    goods = priced * untaxed
    of_goods = rows.refunded * goods / (priced + ibis.ifelse(is_included, 0, rows.taxed)).nullif(0)
    exact = ibis.ifelse(rows.taxed > 0, of_goods.round(2), of_goods)  # it was a number of cents
    refund = ibis.cases(
        (rows.refunded.isnull() | rows.taxed.isnull(), ibis.null("float64")),
        (rows.refunded == 0, 0.0),
        (rows.refunded >= rows.full - CENT, goods),
        else_=ibis.least(exact, goods),
    )
    gross = ibis.greatest(rows.sold.fill_null(0) * untaxed, goods)
    status = plain_status(rows.status)
    by_status = void_by_status(status, STATUSES, source, unknown=UNKNOWN)
    void = ibis.cases(
        (rows.payment.lower().contains("bogus"), "test_order"),
        (rows.canceled_at.notnull() | (by_status == "canceled"), "canceled"),
        (by_status.notnull(), by_status),
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


def _notes(source: ir.Table, headings: Mapping[str, str]) -> tuple[str, ...]:
    """Say what the export does not tell of its refunds."""
    if "refund_amount" not in headings:
        return ()
    refunded = clean_text(source[headings["refund_amount"]]).try_cast(MONEY) > 0
    orders = source.filter(refunded)[headings["order_id"]].nunique().to_pyarrow().as_py()
    if not orders:
        return ()
    return (
        f"refunds carry no date in this export: those of {orders:,} orders count from the order's day "
        "on, also where they came later",
    )
