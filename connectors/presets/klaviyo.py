"""Orders as Klaviyo's events have them: the tables that a pull of Klaviyo writes.

An event is frozen, so an order is what it was at the checkout. It is void from the day on which it was cancelled or
refunded in full; partial refunds are not sent.
"""

from collections.abc import Mapping
from datetime import date

import ibis
import ibis.expr.types as ir

from connectors.engine import FILE_COLUMN, Engine
from connectors.order_source import OrderSource
from connectors.presets.headings import shown_headings
from connectors.presets.preset import OURS, Preset, PresetError, SourceRows, Tables
from connectors.presets.renewals import renews

TABLES = ("placed_orders", "placed_lines", "void_events", "refund_lines")
COLUMNS = {  # of each table, that must be there
    "placed_orders": (
        "klaviyo_event_id",
        "order_id",
        "integration",
        "ordered_at",
        "customer_id",
        "email",
        "phone",
        "gross_amount",
        "discount_amount",
        "is_repeated",
    ),
    "placed_lines": ("order_id", "line_id", "product_id", "quantity", "net_amount"),
    "void_events": ("order_id", "rule", "voided_at", "is_whole"),
    "refund_lines": ("order_id", "line_id", "refunded_at", "net_amount"),
}
OURS_TOO = (
    "customer_id",
    "email",
    "phone",
    "name",
    "postal_code",
    "accepts_marketing",
    "currency",
    "channel",
    "discount_code",
)
CENT = 0.005
PAYMENT = "Klaviyo's events have no payment status: an order that was never paid counts until it is cancelled"


def read(engine: Engine, tables: Tables, source: OrderSource, as_of: date) -> SourceRows:
    """Read placed orders with cancellations and refunds up to `as_of`, each by its own day."""
    _check_tables(tables)
    orders = tables["placed_orders"]
    voids = _by_then(engine, tables["void_events"], "voided_at", as_of)
    refunds = engine.view(
        _by_then(engine, tables["refund_lines"], "refunded_at", as_of), "refunds"
    )
    rows = engine.view(_valued(orders, voids, refunds), "valued")
    rows = engine.view(rows.mutate(**{f"{OURS}void": _void(rows)}), "judged_by_state")
    columns = {
        "order_id": rows["order_id"],
        "ordered_at": rows["ordered_at"],
        "net_amount": rows[f"{OURS}net"],
        "gross_amount": rows["gross_amount"].cast("float64"),
        "discount_amount": rows["discount_amount"].cast("float64"),
        "refund_amount": rows[f"{OURS}back"],
        "void": rows[f"{OURS}void"],
        "is_renewal": renews(rows["tags"], rows["channel"]),
        "is_older": rows["is_repeated"],
    }
    columns |= {name: rows[name] for name in OURS_TOO}
    own = {ours: theirs for ours, theirs in source.columns.items() if ours not in columns}
    _check_own(own, orders)
    columns |= {ours: rows[theirs] for ours, theirs in own.items()}
    headings = {name: name for name in ("order_id", "ordered_at", *OURS_TOO)} | own
    lines = _lines(tables["placed_lines"], refunds)
    notes = (_partial_note(engine, rows, tables["void_events"]), PAYMENT)
    return SourceRows(rows, columns, of_lines=False, headings=headings, notes=notes, lines=lines)


def _by_then(engine: Engine, rows: ir.Table, name: str, as_of: date) -> ir.Table:
    """Return what had happened by the end of a day."""
    return rows.filter(~engine.is_after(rows[name], as_of).fill_null(False))


def _valued(orders: ir.Table, voids: ir.Table, refunds: ir.Table) -> ir.Table:
    """Add the first void, and what was given back, of each order."""
    whole = voids.filter(voids.is_whole)
    first = whole.group_by(void_order=whole.order_id).aggregate(
        **{f"{OURS}rule": whole.rule.argmin(whole.voided_at)}
    )
    back = refunds.group_by(back_order=refunds.order_id).aggregate(
        **{f"{OURS}given": refunds.net_amount.cast("float64").sum()}
    )
    rows = orders.left_join(first, orders.order_id == first.void_order).drop("void_order")
    rows = rows.left_join(back, rows.order_id == back.back_order).drop("back_order")
    goods = rows["gross_amount"].cast("float64") - rows["discount_amount"].cast("float64")
    given = ibis.least(rows[f"{OURS}given"].fill_null(0.0), goods)
    return rows.mutate(**{f"{OURS}net": (goods - given).round(4), f"{OURS}back": given})


def _void(rows: ir.Table) -> ir.Value:
    """Name the rule by which an order is no purchase."""
    is_back = (rows[f"{OURS}back"] > 0) & (rows[f"{OURS}net"] <= CENT)
    has_goods = rows["gross_amount"] > 0
    is_card = ~has_goods & (rows["gift_card_amount"] > 0)
    return ibis.cases(
        (rows["is_test"].fill_null(False), "test_order"),
        (rows[f"{OURS}rule"].notnull(), rows[f"{OURS}rule"]),
        (is_back.fill_null(False), "refunded_in_full"),
        (is_card.fill_null(False), "gift_card_only"),
        else_=ibis.null("string"),
    )


def _lines(lines: ir.Table, refunds: ir.Table) -> ir.Table:
    """Return the lines of goods after what was given back of each."""
    back = refunds.group_by(back_order=refunds.order_id, back_line=refunds.line_id).aggregate(
        back=refunds.net_amount.cast("float64").sum()
    )
    both = lines.left_join(
        back, [lines.order_id == back.back_order, lines.line_id == back.back_line]
    )
    net = both["net_amount"].cast("float64") - both["back"].fill_null(0.0)
    return both.select(
        "order_id", "product_id", "product_name", "quantity", net_amount=net.round(4)
    )


def _partial_note(engine: Engine, rows: ir.Table, voids: ir.Table) -> str:
    """State what partial refunds cost: how many orders may have one, and how many are seen."""
    kept = rows.filter(rows[f"{OURS}void"].isnull(), ~rows["is_repeated"])
    seen = kept[f"{OURS}back"] > 0
    counts = engine.frame(
        kept.aggregate(
            orders=kept.count(),
            seen=seen.sum().fill_null(0),
            back=kept[f"{OURS}back"].sum().fill_null(0.0),
        )
    ).iloc[0]
    partial = voids.filter(~voids.is_whole)
    sent = int(engine.frame(partial.aggregate(n=partial.order_id.nunique()))["n"].iloc[0])
    note = (
        f"Klaviyo has full refunds only: {int(counts['orders'] - counts['seen']):,} orders may have a partial refund or an "
        "edit that is missing, and net revenue is too high by them. Compare it with the shop's own report"
    )
    if counts["seen"]:
        note += f". Partial refunds that events have: {int(counts['seen']):,} orders, {counts['back']:,.2f} in all"
    if sent:
        note += f". Refunds of unclear size that are not subtracted: {sent:,} orders"
    return note


def _check_tables(tables: Tables) -> None:
    for name, wanted in COLUMNS.items():
        if name not in tables:
            raise PresetError(
                f"Klaviyo's tables are {', '.join(TABLES)}: {name} is missing. Pull the account again"
            )
        names = [one for one in tables[name].columns if one != FILE_COLUMN]
        missing = [one for one in wanted if one not in names]
        if missing:
            raise PresetError(
                f"Klaviyo's table {name} has no {', '.join(missing)}; it has {shown_headings(names)}. Pull the "
                "account again"
            )


def _check_own(own: Mapping[str, str], orders: ir.Table) -> None:
    missing = [theirs for theirs in own.values() if theirs not in orders.columns]
    if missing:
        raise PresetError(
            f"Klaviyo's orders have no {', '.join(missing)}: set orders.columns to columns of {TABLES[0]}"
        )


def _recognize(columns: Mapping[str, tuple[str, ...]]) -> bool:
    return set(COLUMNS[TABLES[0]]) <= {*columns.get(TABLES[0], ())}


KLAVIYO = Preset("klaviyo", read, _recognize, TABLES)
