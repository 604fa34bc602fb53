"""The rules that a source row must keep to become part of an order, and what each asks for.

A row is counted under the first rule that it breaks, in the order below. Rows dated after the
as-of day come before every rule but readability: they are not yet known, whatever else they say,
so that what is scored never depends on later orders.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
from pandas import isna

from connectors.engine import FILE_COLUMN, Engine
from connectors.identity import KEYS, clean_email, clean_id, clean_phone
from connectors.order_source import OrderSource
from connectors.presets.preset import OURS, SourceRows
from connectors.texts import clean_text, trim
from features.tables import OrderLines, Orders

MONEY = "decimal(18, 4)"
PARTS = ("gross_amount", "discount_amount", "refund_amount")
AMOUNTS = (
    "net_amount",
    "line_amount",
    "quantity",
    "unit_price",
    *PARTS,
    "cost_amount",
    "line_net_amount",
)
LINE_TEXTS = ("product_id", "product_name", "category", "bundle_id")
MAY_BE_EMPTY = ("discount_amount", "refund_amount", "cost_amount", "line_net_amount")
REDUCING = ("discount_amount", "refund_amount")
TEXTS = ("channel", "discount_code")
OF_WHOM = ("status", "name", "postal_code", "accepts_marketing")

ROW_RULES = {
    "unreadable_row": "a line has as many columns as the header; mend the line",
    "unreadable_date": "ordered_at is a date or a timestamp, ISO 8601 and from 1970 on; set "
    'orders.date_format for another form, for instance "%d/%m/%Y %H:%M"',
    "after_as_of": "dated after the as-of day, so not yet known; nothing to do",
    "test_order": "a test order is no purchase; nothing to do",
    "deleted": "a row that was deleted in the shop is gone; nothing to do",
    "unpaid": "an order that was never paid is no purchase; if it was, name its status in "
    "orders.paid_statuses",
    "canceled": "a canceled or voided order is no purchase; nothing to do",
    "refunded_in_full": "an order that was refunded in full is no purchase; nothing to do",
    "gift_card_only": "a gift card that is sold is no revenue; nothing to do",
    "renewal": "a subscription's renewal is no new decision to buy; it is left out by orders.renewals",
    "unknown_status": "a status says whether an order was paid; name it in orders.paid_statuses or "
    "orders.void_statuses",
    "missing_order_id": "an order has an id; map orders.columns.order_id",
    "missing_customer": "an order has a customer; map orders.columns.customer_id, email or phone",
    "unreadable_amount": "amounts are finite plain numbers below 10^14 with a decimal point",
    "other_currency": "amounts are in the store's currency; convert them",
}
ORDER_RULES = {
    "order_of_two_customers": "an order has one customer; check orders.columns.customer_id",
    "duplicate_order_id": "one row per order; if the rows are its lines, map each line's value as "
    "line_amount instead of net_amount, or quantity and unit_price",
    "negative_amount": 'an order\'s value is not negative; set orders.negative_amounts to "net" to count '
    "it against the customer's other orders",
    "refund_without_order": "a refund is of a customer with an order by then; add older orders",
    "zero_amount": "an order of no value is not a purchase; set orders.keep_zero_amount = true to count it",
}
RULES = ROW_RULES | ORDER_RULES


def judge_rows(
    engine: Engine, source_rows: SourceRows, source: OrderSource, as_of: date
) -> ir.Table:
    """Read each row's values and name the first rule that it breaks.

    Parameters
    ----------
    engine
        Opened in the store's time zone.
    source_rows
        The source's rows, and what our columns are in them.
    source
        How to read it.
    as_of
        Last day that is known.

    Returns
    -------
    ir.Table
        Our columns, ``moment``, ``source``, ``row_hash`` of the source's own columns, ``read_hash`` of
        what was read, and ``rule`` (null = none broken).
    """
    rows, columns = source_rows.rows, source_rows.columns
    amounts = [name for name in AMOUNTS if name in columns]
    read = rows.select(
        order_id=_id(columns["order_id"]),
        moment=engine.moment(columns["ordered_at"], source.date_format, source.timezone),
        **{name: clean(columns[name]) for name, clean in WHO.items() if name in columns},
        **{name: _amount(columns[name]) for name in amounts},
        **{f"no_{name}": _is_empty(columns[name]) for name in amounts if name in MAY_BE_EMPTY},
        **{
            name: clean_text(columns[name])
            for name in ("currency", *TEXTS, *LINE_TEXTS, *OF_WHOM)
            if name in columns
        },
        **(
            {"updated_at": engine.moment(columns["updated_at"], None, source.timezone)}
            if "updated_at" in columns
            else {}
        ),
        is_older=columns.get("is_older", ibis.literal(False)),
        void=columns.get("void", ibis.null("string")),
        is_renewal=columns.get("is_renewal", ibis.literal(False)).fill_null(False),
        source=rows[FILE_COLUMN],
        row_hash=engine.row_hash(rows, their_columns(rows)),
    )
    read = read.mutate(value=_net_amount(read, source_rows))
    values = [name for name in read.columns if name not in ("source", "row_hash", "is_older")]
    read = read.mutate(read_hash=engine.row_hash(read, values))
    return read.mutate(rule=_first_broken(engine, read, source_rows, source, as_of))


def with_rules(
    engine: Engine, judged: ir.Table, source_rows: SourceRows, source: OrderSource, as_of: date
) -> ir.Table:
    """Name the first broken rule again, after something of the rows changed."""
    return judged.mutate(rule=_first_broken(engine, judged, source_rows, source, as_of))


def _first_broken(
    engine: Engine, read: ir.Table, source_rows: SourceRows, source: OrderSource, as_of: date
) -> ir.Column:
    columns = source_rows.columns
    amounts = [name for name in AMOUNTS if name in columns]
    broken = [
        (~_is_in_range(engine, read.moment), "unreadable_date"),
        (engine.is_after(read.moment, as_of), "after_as_of"),
        (read.is_older, OLDER_VERSION),
        *((read.void == rule, rule) for rule in VOID if "void" in columns),
        *([(read.is_renewal, "renewal")] if source.renewals == "exclude" else []),
        (read.order_id.isnull(), "missing_order_id"),
        (
            ibis.coalesce(*(read[k] for k in KEYS if k in read.columns)).isnull(),
            "missing_customer",
        ),
    ]
    for name in amounts:
        may_be_empty = read[f"no_{name}"] if name in MAY_BE_EMPTY else ibis.literal(False)
        broken.append((read[name].isnull() & ~may_be_empty, "unreadable_amount"))
    broken.append((read.value.isnull(), "unreadable_amount"))
    if "currency" in columns:
        same = read.currency.upper() == source.currency.upper()
        broken.append((~same.fill_null(False), "other_currency"))
    return ibis.cases(*broken, else_=ibis.null("string"))


OLDER_VERSION = (
    "older_version"  # of a row that is there as it became: merged with it, not rejected
)
UNWRITTEN = ("after_as_of", OLDER_VERSION)  # nothing is wrong with these rows
VOID = (
    "test_order",
    "deleted",
    "unpaid",
    "canceled",
    "refunded_in_full",
    "gift_card_only",
    "renewal",
    "unknown_status",
)


def their_columns(rows: ir.Table) -> list[str]:
    """Return the source's own columns, without what was added to them."""
    return [name for name in rows.columns if not name.startswith(OURS)]


def _is_in_range(engine: Engine, moment: ir.Column) -> ir.Column:
    """Tell the moments of the years that dates are read in; the calendar is only asked at their ends."""
    inside = moment.between(
        ibis.timestamp("1970-01-02T00:00:00Z"), ibis.timestamp("9999-12-30T00:00:00Z")
    )
    day = engine.store_day(moment)
    at_ends = day.between(ibis.date(1970, 1, 1), ibis.date(9999, 12, 31)).fill_null(False)
    return ibis.ifelse(inside, ibis.literal(True), at_ends)


def _is_empty(column: ir.Column) -> ir.BooleanColumn:
    """Tell what is not given; of a text, also white space."""
    return (clean_text(column) if column.type().is_string() else column).isnull()


def _id(column: ir.Column) -> ir.Column:
    """Read an id; 17850.0, from a column that once had gaps, is 17850."""
    if column.type().is_floating():
        finite = ibis.ifelse(column.isnan() | column.isinf(), ibis.null("float64"), column)
        whole = finite.try_cast("int64")
        column = ibis.ifelse(finite == whole, whole.cast("string"), finite.cast("string"))
    text = clean_text(column)
    return ibis.ifelse(text.endswith(".0"), text.re_replace(r"^(\d+)\.0$", r"\1"), text)


def _amount(column: ir.Column) -> ir.Column:
    """Read an exact amount; null where it is empty, no number, not finite or too large."""
    return (trim(column) if column.type().is_string() else column).try_cast(MONEY)


def _customer_id(column: ir.Column) -> ir.Column:
    return clean_id(_id(column))


WHO = {"customer_id": _customer_id, "email": clean_email, "phone": clean_phone}


@dataclass(frozen=True)
class Counts:
    """What one look at the judged rows tells.

    Attributes
    ----------
    by_rule
        Rows by the rule that they break; None = none broken.
    is_one_each
        Whether no two good rows have the same order id: nothing is there twice, nothing is to be summed.
    has_reductions
        Whether some good row is worth less than nothing.
    worthless
        Good rows that are worth nothing.
    """

    by_rule: Mapping[str | None, int]
    is_one_each: bool
    has_reductions: bool
    worthless: int


ONE_EACH = Counts({}, is_one_each=True, has_reductions=False, worthless=0)


def count_rows(engine: Engine, judged: ir.Table) -> Counts:
    """Look once at all rows; order ids are compared by hash, which may only find too many alike."""
    hashed = judged.mutate(order_hash=engine.row_hash(judged, ["order_id"]))
    counts = engine.frame(
        hashed.group_by("rule").aggregate(
            rows=hashed.count(),
            orders=hashed.order_hash.nunique(where=hashed.rule.isnull()),
            least=hashed.value.min().cast("float64"),
            worthless=(hashed.value == 0).sum(),
        )
    )
    good = counts[counts["rule"].isna()]
    return Counts(
        {
            None if isna(rule) else rule: int(rows)
            for rule, rows in zip(counts["rule"], counts["rows"], strict=True)
        },
        bool((good["rows"] == good["orders"]).all()),
        bool((good["least"] < 0).any()),
        int(good["worthless"].sum()),
    )


def good_rows(judged: ir.Table) -> ir.Table:
    """Return the rows that break no rule, as one copy each."""
    kept = [
        name
        for name in judged.columns
        if not name.startswith("no_") and name not in ("void", "is_older", "rule", "own_id")
    ]
    good = judged.filter(judged.rule.isnull()).select(*kept)
    return good.mutate(copies=ibis.literal(1, "int64"))


def distinct_rows(engine: Engine, good: ir.Table, *, of_lines: bool) -> ir.Table:
    """Return the good rows, equal ones once, with how often each was there, ``copies``.

    Lines of an order are equal if all of the source's columns are; orders, if what is read of them
    is. Few rows are there twice. They are compared by hashes alone.
    """
    alike = "row_hash" if of_lines else "read_hash"
    keys = ["order_hash", alike]
    hashed = good.mutate(order_hash=engine.row_hash(good, ["order_id"]))
    counts = hashed.group_by(*keys).aggregate(copies=hashed.count())
    repeated = engine.keep(counts.filter(counts.copies > 1).select(*keys), "repeated")
    if not engine.has_rows(repeated):
        return good
    once = hashed.anti_join(repeated, keys).select(*good.columns)
    several = hashed.semi_join(repeated, keys)
    values = [name for name in good.columns if name not in ("order_id", alike, "copies")]
    merged = several.group_by("order_id", alike).aggregate(
        copies=several.count(), **{name: several[name].min() for name in values}
    )
    return once.union(merged.select(*once.columns))


def merge_to_orders(
    engine: Engine, lines: ir.Table, source_rows: SourceRows, source: OrderSource, counts: Counts
) -> ir.Table:
    """Merge the rows of each order, and name the first rule that the order breaks.

    Parameters
    ----------
    engine
        Opened in the store's time zone.
    lines
        What :func:`distinct_rows` returns, customers linked.
    source_rows
        The source's rows, and what our columns are in them.
    source
        How to read it.
    counts
        What a look at the rows told: where each is an order, none are summed.

    Returns
    -------
    ir.Table
        The columns of :class:`features.tables.Orders`, ``rows`` and ``lines`` (distinct rows) that
        the order came of, ``is_refund`` (it lowers the value of others), and ``rule`` (null = none
        broken).
    """
    orders, absent = _by_order(lines, source_rows, counts)
    orders = orders.mutate(
        order_date=engine.store_day(orders.moment),
        is_refund=(orders.net_amount < 0) & (source.negative_amounts == "net"),
        **absent,
    )
    is_of_two = orders.customer_id != orders.last_customer
    is_there_twice = (orders.lines > 1) & (not source_rows.of_lines)
    orders = orders.mutate(is_of_two=is_of_two, is_there_twice=is_there_twice)
    orders = _with_first_bought(orders, counts)
    rule = ibis.cases(
        (orders.is_of_two, "order_of_two_customers"),
        (orders.is_there_twice, "duplicate_order_id"),
        ((orders.net_amount < 0) & ~orders.is_refund, "negative_amount"),
        (
            orders.is_refund & (orders.first_bought > orders.order_date).fill_null(True),
            "refund_without_order",
        ),
        ((orders.net_amount == 0) & (not source.keep_zero_amount), "zero_amount"),
        else_=ibis.null("string"),
    )
    whole = orders.mutate(
        ordered_at=engine.utc(orders.moment),
        refund_amount=ibis.ifelse(orders.is_refund, -orders.net_amount, orders.refund_amount),
        gross_amount=ibis.ifelse(orders.is_refund, 0, orders.gross_amount),
        currency=ibis.literal(source.currency),
    )
    typed = {name: whole[name].cast(kind) for name, kind in Orders.schema().items()}
    sizes = {"rows": whole.rows.cast("int64"), "lines": whole.lines}
    return whole.select(**typed, **sizes, is_refund=whole.is_refund, rule=rule)


def _by_order(
    lines: ir.Table, source_rows: SourceRows, counts: Counts
) -> tuple[ir.Table, dict[str, ir.Value]]:
    """Return one row per order, and the columns that the source does not have, as nulls."""
    texts = {name: kind for name, kind in Orders.schema().items() if name in TEXTS}
    amounts = {name: kind for name, kind in Orders.schema().items() if name in PARTS}
    absent = {
        name: ibis.null(kind)
        for name, kind in (texts | amounts).items()
        if name not in source_rows.columns
    }
    sums = {"net_amount": "value"} | {name: name for name in amounts if name not in absent}
    firsts = ["customer_id", "moment", "source", *(name for name in texts if name not in absent)]
    if counts.is_one_each:
        orders = lines.select(
            "order_id",
            *firsts,
            rows=lines.copies,
            lines=lines.copies,
            last_customer=lines.customer_id,
            **{ours: lines[theirs] for ours, theirs in sums.items()},
        )
    else:
        orders = lines.group_by("order_id").aggregate(
            rows=lines.copies.sum(),
            lines=lines.count(),
            last_customer=lines.customer_id.max(),
            **{name: lines[name].min() for name in firsts},
            **{ours: lines[theirs].sum() for ours, theirs in sums.items()},
        )
    return orders, absent


def _with_first_bought(orders: ir.Table, counts: Counts) -> ir.Table:
    """Add when the customer first bought, where that matters: refunds are of earlier orders."""
    if not counts.has_reductions:
        return orders.mutate(first_bought=ibis.null("date"))
    bought = orders.filter(orders.net_amount > 0, ~orders.is_of_two, ~orders.is_there_twice)
    first = bought.group_by(buyer="customer_id").aggregate(
        first_bought=lambda t: t.order_date.min()
    )
    return orders.left_join(first, orders.customer_id == first.buyer)


def order_lines(rows: ir.Table, source_rows: SourceRows) -> ir.Table | None:
    """Return the order lines, :class:`features.tables.OrderLines`, of distinct rows; None = there are none."""
    if source_rows.lines is not None:
        lines, has = source_rows.lines, set(source_rows.lines.columns)
    elif source_rows.of_lines and set(source_rows.columns) & set(LINE_TEXTS):
        own = rows.line_net_amount if "line_net_amount" in rows.columns else rows.value
        lines, has = rows.mutate(net_amount=own), {*source_rows.columns, "net_amount"}
    else:
        return None
    return lines.select(
        **{
            name: lines[name].try_cast(kind) if name in has else ibis.null(kind)
            for name, kind in OrderLines.schema().items()
        }
    )


def _net_amount(read: ir.Table, source_rows: SourceRows) -> ir.Column:
    """Net value of a row: as given, else quantity x price or gross, less discounts and refunds.

    Computed as floats, which round to the exact amount below 10^10, and null from 10^14 on, where
    exact decimals would end the whole reading.
    """
    columns = source_rows.columns
    for name in ("net_amount", "line_amount"):
        if name in columns:
            return read[name]
    if {"quantity", "unit_price"} <= set(columns):
        items = read.quantity.cast("float64") * read.unit_price.cast("float64")
    else:
        items = read.gross_amount.cast("float64")
    for name in REDUCING:
        if name in columns:
            items = items - _reduction(read[name], items, name)
    return items.try_cast(MONEY)


def _reduction(column: ir.Column, items: ir.Value, name: str) -> ir.Value:
    """Return what is taken off: some shops write it as a negative amount, and a discount on a return as positive."""
    amount = column.cast("float64").fill_null(0.0)
    of_return = -amount.abs() if name == "discount_amount" else amount
    return ibis.ifelse(items < 0, of_return, amount.abs())
