"""Any table of orders, or of order lines, mapped by the settings: ``ours = "theirs"``."""

from collections.abc import Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from connectors.engine import FILE_COLUMN, Engine
from connectors.order_source import OrderSource
from connectors.presets.headings import close_heading, shown_headings
from connectors.presets.preset import OURS, Preset, PresetError, SourceRows, Tables
from connectors.presets.statuses import plain_status, void_by_status
from connectors.texts import clean_text

REQUIRED = ("order_id", "customer_id", "ordered_at")
PRODUCT = ("product_id", "product_name")
WHOLE = ("gross_amount", "discount_amount", "refund_amount")  # of an order, as its total is
SHARE_OF_LINES = 0.5  # of the orders of several products, with amounts that differ
WHO = ("customer_id", "email", "phone")
OPTIONAL = (
    "net_amount",
    "line_amount",
    "quantity",
    "unit_price",
    "gross_amount",
    "discount_amount",
    "refund_amount",
    "currency",
    "channel",
    "discount_code",
    "email",
    "phone",
    "product_id",
    "product_name",
    "category",
    "bundle_id",
    "cost_amount",
    "updated_at",
    "status",
    "name",
    "postal_code",
    "accepts_marketing",
)
BACK = ("refunded", "refund", "returned", "return", "chargeback", "charged_back", "charge_back")
STATUSES: Mapping[str, str | None] = {  # any other word counts as a purchase
    **dict.fromkeys(("canceled", "cancelled", "cancel", "void", "voided"), "canceled"),
    **dict.fromkeys(("dispute_lost", "lost_dispute", "chargedback"), "refunded_in_full"),
    **dict.fromkeys((*BACK, "fully_refunded", "full_refund", "reversed"), "refunded_in_full"),
    **dict.fromkeys(("failed", "payment_failed", "declined", "rejected", "expired"), "unpaid"),
    **dict.fromkeys(("pending", "pending_payment", "payment_pending", "unpaid"), "unpaid"),
    **dict.fromkeys(("awaiting_payment", "not_paid", "authorized", "abandoned"), "unpaid"),
    **dict.fromkeys(("draft", "checkout_draft", "auto_draft", "incomplete"), "unpaid"),
    **dict.fromkeys(("deleted", "trash", "trashed", "removed"), "deleted"),
    **dict.fromkeys(("test", "test_order"), "test_order"),
}


def read(engine: Engine, tables: Tables, source: OrderSource, as_of: date) -> SourceRows:
    """Read any table of orders, or of order lines, by the settings' names."""
    mapping = source.columns
    (rows,) = tables.values()
    try:
        headings = resolve_columns(mapping, [n for n in rows.columns if n != FILE_COLUMN])
    except ValueError as error:
        raise PresetError(str(error)) from error
    columns: dict[str, ir.Value] = {ours: rows[theirs] for ours, theirs in headings.items()}
    if "status" in columns:
        columns["void"] = _void(columns, source)
    notes: tuple[str, ...] = ()
    of_lines = "net_amount" not in headings and (
        "line_amount" in headings or {"quantity", "unit_price"} <= set(headings)
    )
    if "net_amount" in headings and set(headings) & {*PRODUCT}:
        moment = engine.moment(columns["ordered_at"], source.date_format, source.timezone)
        is_later = engine.is_after(moment, as_of)
        of_lines, columns, notes = _of_lines(engine, rows, headings, columns, is_later)
        if of_lines and "net_amount" in columns:
            columns = _once(engine, rows, columns, moment, is_later)
    return SourceRows(rows, columns, of_lines, headings, notes)


def _of_lines(
    engine: Engine,
    rows: ir.Table,
    headings: Mapping[str, str],
    columns: dict[str, ir.Value],
    is_later: ir.Value,
) -> tuple[bool, dict[str, ir.Value], tuple[str, ...]]:
    """Tell what ``net_amount`` is where an order has a row for each product: a line's value, or the order's.

    Nobody's lines are all worth the same, order after order; an order's total is the same on each.
    """
    name = headings["net_amount"]
    products = ibis.coalesce(
        *(columns[ours].cast("string") for ours in PRODUCT if ours in headings)
    )
    view = rows.select(
        order=columns["order_id"],
        file=rows[FILE_COLUMN],
        amount=columns["net_amount"].cast("string"),
        product=products,
        is_later=is_later.fill_null(False),  # not yet known: it tells nothing
    )
    view = view.filter(~view.is_later)
    by_order = view.group_by("order", "file").aggregate(
        products=view.product.nunique(), amounts=view.amount.nunique()
    )
    several = by_order.filter((by_order.products > 1) & by_order.order.notnull())
    facts = engine.frame(
        several.aggregate(orders=several.count(), differing=(several.amounts > 1).sum())
    ).iloc[0]
    if not facts["orders"]:
        return False, columns, ()
    if facts["differing"] >= SHARE_OF_LINES * facts["orders"]:
        columns["line_amount"] = columns.pop("net_amount")
        note = (
            f"{name} differs between the products of an order: it is read as each line's value, and summed. "
            "Map it as orders.columns.line_amount to say so"
        )
        return True, columns, (note,)
    note = (
        f"{name} is the same on all products of an order: it is read as the order's value, and counts once. "
        "If it is each line's value, map it as orders.columns.line_amount"
    )
    return True, columns, (note,)


def _once(
    engine: Engine,
    rows: ir.Table,
    columns: Mapping[str, ir.Value],
    moment: ir.Value,
    is_later: ir.Value,
) -> dict[str, ir.Value]:
    """Leave an order's total on one of its rows, its copies included: a good one of the newest file."""
    is_known = ~is_later.fill_null(True)
    named = [clean_text(columns[who].cast("string")) for who in WHO if who in columns]
    is_good = is_known & ibis.coalesce(*named).notnull()
    if "void" in columns:
        is_good = is_good & columns["void"].isnull()
    view = rows.select(file=rows[FILE_COLUMN], moment=moment).filter(is_known)
    files = engine.frame(view.group_by("file").aggregate(last=view.moment.max()))
    newest = files.sort_values(["last", "file"], ascending=False)["file"]
    place = ibis.cases(
        (rows[FILE_COLUMN].isnull(), len(newest)),
        *((rows[FILE_COLUMN] == file, place) for place, file in enumerate(newest)),
        else_=len(newest),
    )
    theirs = [column for column in rows.columns if not column.startswith(OURS)]
    row = ibis.struct({column: rows[column] for column in theirs}).hash()
    of_order = ibis.window(group_by=columns["order_id"], order_by=[ibis.desc(is_good), place, row])
    is_first = row == row.first().over(of_order)
    totals = {
        ours: ibis.ifelse(is_first, columns[ours].cast("string"), "0")
        for ours in (*WHOLE, "net_amount")
        if ours in columns
    }
    return {**columns, **totals}


def _void(columns: Mapping[str, ir.Value], source: OrderSource) -> ir.Value:
    """Name the rule by which a status makes a row no purchase.

    A row of negative value whose status is a refund is the refund itself, which counts.
    """
    status = plain_status(columns["status"])
    rule = void_by_status(status, STATUSES, source, unknown=None)
    values = [n for n in ("net_amount", "line_amount", "gross_amount", "quantity") if n in columns]
    value = clean_text(columns[values[0]])  # maybe not yet a plain number
    is_negative = value.re_search("^\\(|[-\u2212]").fill_null(False)
    is_refund = status.isin(BACK).fill_null(False) & is_negative
    return ibis.ifelse(is_refund & (rule == "refunded_in_full"), ibis.null("string"), rule)


def resolve_columns(mapping: Mapping[str, str], available: Sequence[str]) -> dict[str, str]:
    """Find the source's column for each of ours.

    Parameters
    ----------
    mapping
        ``{ours: theirs}``; a column of ours that is not named is looked for under our own name.
    available
        The source's columns.

    Returns
    -------
    dict
        ``{ours: theirs}`` of every column that the source has.

    Raises
    ------
    ValueError
        Every problem at once: columns that are mapped and missing, required and not mapped.
    """
    problems = [_unmapped(ours) for ours in mapping if ours not in REQUIRED + OPTIONAL]
    headings = {}
    for ours in REQUIRED + OPTIONAL:
        theirs = mapping.get(ours, ours)
        if theirs in available:
            headings[ours] = theirs
        elif ours in mapping:
            problems.append(_missing(ours, theirs, available))
        elif ours in REQUIRED and not (ours in WHO and _has_any(WHO, mapping, available)):
            problems.append(_missing(ours, ours, available))
    has_value = (
        "net_amount" in headings
        or "line_amount" in headings
        or "gross_amount" in headings
        or {"quantity", "unit_price"} <= set(headings)
    )
    if not problems and not has_value:
        problems.append(
            "orders need a value: map orders.columns.net_amount, or for a file of order lines line_amount, or "
            f"quantity and unit_price. The source has {shown_headings(available)}"
        )
    if problems:
        raise ValueError(" ".join("; ".join(problems).split()))
    return headings


def _has_any(ours: Sequence[str], mapping: Mapping[str, str], available: Sequence[str]) -> bool:
    return any(mapping.get(name, name) in available for name in ours)


PLAIN = Preset(
    "plain",
    read,
    recognize=lambda columns: set(REQUIRED) <= set(*columns.values()),
)


def _unmapped(ours: str) -> str:
    return f"orders.columns.{ours} is not a column of ours; known are {', '.join(REQUIRED + OPTIONAL)}"


def _missing(ours: str, theirs: str, available: Sequence[str]) -> str:
    close = close_heading(theirs, available)
    hint = f"did you mean {close!r}?" if close else f"it has {shown_headings(available)}."
    return (
        f"orders need {ours}: the source has no column {theirs!r}; {hint} "
        f'Set orders.columns.{ours} = "…"'
    )
