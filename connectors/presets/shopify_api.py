"""Orders as Shopify's API gives them, in JSON or Parquet: REST or GraphQL, a row per order.

Objects are structures, or flat columns such as ``customer.id``; lines and refunds are lists of
records. Refunds have a day, and count from it on.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from connectors.engine import FILE_COLUMN, Engine
from connectors.order_source import OrderSource
from connectors.presets.headings import missing_column, plain_heading, shown_headings
from connectors.presets.preset import OURS, PresetError, SourceRows, is_older
from connectors.presets.renewals import renews
from connectors.presets.statuses import SHOPIFY, UNKNOWN, plain_status, void_by_status
from connectors.texts import clean_text

KEYS = {  # ours: theirs, the first that is not empty; case and punctuation aside
    "order_id": ("id",),
    "ordered_at": ("created_at", "processed_at"),
    "customer_id": ("customer.id", "customer_id"),
    "email": ("email", "contact_email", "customer.email"),
    "phone": ("phone", "customer.phone", "billing_address.phone"),
    "currency": ("currency", "currency_code", "shop_money.currency_code"),
    "channel": ("source_name",),
    "status": ("financial_status", "display_financial_status"),
    "canceled_at": ("cancelled_at",),
    "updated_at": ("updated_at",),
    "test": ("test",),
    "tags": ("tags",),
    "name": ("billing_address.name",),
    "postal_code": ("billing_address.zip",),
    "accepts_marketing": ("buyer_accepts_marketing", "customer_accepts_marketing"),
    "subtotal": ("subtotal_price", "subtotal_price_set.shop_money.amount"),
    "current": ("current_subtotal_price", "current_subtotal_price_set.shop_money.amount"),
    "taxes": ("total_tax", "total_tax_set.shop_money.amount"),
    "total": ("total_price", "total_price_set.shop_money.amount"),
    "tips": ("total_tip_received", "total_tip_received_set.shop_money.amount"),
    "taxes_included": ("taxes_included",),
}
REQUIRED = ("order_id", "ordered_at", "subtotal")
OURS_TOO = (
    "customer_id",
    "email",
    "phone",
    "currency",
    "channel",
    "status",
    "name",
    "postal_code",
    "accepts_marketing",
)
STATUSES = {**SHOPIFY, "voided": None}  # when it was canceled decides
LINE = (
    "struct<id: string, title: string, name: string, sku: string, product_id: string, quantity: string, "
    "price: string, total_discount: string, gift_card: string>"
)
REFUND = (
    "struct<created_at: string, processed_at: string, refund_line_items: array<struct<subtotal: string, "
    "line_item: struct<gift_card: string>>>>"
)
NESTED = {"line_items": f"array<{LINE}>", "refunds": f"array<{REFUND}>"}
CENT = 0.005
PEOPLE = tuple(theirs for ours in ("customer_id", "email", "phone") for theirs in KEYS[ours])
NO_LINES = "line_items is missing or empty: gift cards that were sold count as goods"
NO_REFUNDS = "refunds is missing: refunds have no day and are read from current_subtotal_price, where it is there"


MARKS = {  # keys of which no other table has two
    "subtotalprice",
    "subtotalpriceset",
    "currentsubtotalprice",
    "displayfinancialstatus",
    "taxesincluded",
    "lineitems",
}


def is_of_api(names: Sequence[str]) -> bool:
    """Tell whether a table has keys of an order of Shopify's API, and is not Fivetran's."""
    is_loaded = any(name.startswith("_fivetran") for name in names)
    return len(MARKS & _tops(names)) > 1 and not is_loaded


def is_whole(names: Sequence[str]) -> bool:
    """Tell whether a table has what every order of Shopify's API has."""
    states = {"financialstatus", "displayfinancialstatus"} & _tops(names)
    return is_of_api(names) and {"id", "createdat"} <= _tops(names) and bool(states)


def read_api(engine: Engine, rows: ir.Table, source: OrderSource, as_of: date) -> SourceRows:
    """Read orders of the API, with refunds and cancellations up to a day."""
    names = [name for name in rows.columns if name != FILE_COLUMN]
    leaves = dict(_leaves(rows))
    headings, texts = _texts(rows, leaves, source.columns, names)
    items, refunds = _records(rows, "line_items"), _records(rows, "refunds")
    amounts = {
        "gifts": _gifts(items),
        "back": _back(engine, refunds, as_of),
        "late": _late(engine, refunds, as_of),
    }
    added = texts | amounts
    rows = engine.view(rows.mutate(**{OURS + n: value for n, value in added.items()}), "orders")
    texts = {name: rows[OURS + name] for name in texts}
    values = _values(rows, texts, has_refunds=refunds is not None)
    rows = engine.view(rows.mutate(**{OURS + n: value for n, value in values.items()}), "valued")
    texts = {name: rows[OURS + name] for name in texts}
    goods, refund = rows[f"{OURS}goods"], rows[f"{OURS}refund"]
    changed = [ibis.desc(texts["updated_at"].fill_null("")), ibis.desc(refund.fill_null(0))]
    columns = {
        "order_id": _id(texts["order_id"]),
        "ordered_at": texts["ordered_at"],
        "net_amount": goods - refund,
        "refund_amount": refund,
        "void": _void(engine, rows, texts, source, as_of),
        "is_renewal": renews(texts["tags"], texts["channel"]),
        "is_older": is_older(rows, texts["order_id"], changed),
    }
    columns |= {name: texts[name] for name in OURS_TOO if name in headings}
    if "customer_id" in columns:
        columns["customer_id"] = _id(columns["customer_id"])
    own = {ours: theirs for ours, theirs in source.columns.items() if ours not in KEYS}
    columns |= {ours: rows[theirs] for ours, theirs in own.items()}
    notes = (
        *([NO_LINES] if items is None else []),
        *([NO_REFUNDS] if "refunds" not in _tops(names) else []),
    )
    newest = rows.filter(~columns["is_older"])
    items = _records(newest, "line_items")
    lines = None if items is None else _lines(newest, items, columns["order_id"])
    return SourceRows(rows, columns, False, headings | own, notes, lines)


def _tops(names: Sequence[str]) -> set[str]:
    return {plain_heading(name.split(".")[0]) for name in names}


def _leaves(rows: ir.Table) -> Iterator[tuple[str, ir.Value]]:
    """Yield each column and each field of a structure, by its path in plain spelling."""
    for name in rows.columns:
        if name != FILE_COLUMN:
            path = ".".join(plain_heading(part) for part in name.split("."))
            yield from _fields(path, rows[name])


def _fields(path: str, value: ir.Value) -> Iterator[tuple[str, ir.Value]]:
    kind = value.type()
    if kind.is_struct():
        for name in kind.names:
            yield from _fields(f"{path}.{plain_heading(name)}", value[name])
    elif not kind.is_array():
        yield path, value


def _texts(
    rows: ir.Table,
    leaves: Mapping[str, ir.Value],
    mapping: Mapping[str, str],
    names: Sequence[str],
) -> tuple[dict[str, str], dict[str, ir.Value]]:
    """Return ``{ours: theirs}``, and each of :data:`KEYS` as text."""
    headings, texts = {}, {}
    wanted = KEYS | {ours: (theirs,) for ours, theirs in mapping.items() if ours in KEYS}
    for ours, theirs in wanted.items():
        paths = {name: ".".join(map(plain_heading, name.split("."))) for name in theirs}
        there = {name: leaves[path] for name, path in paths.items() if path in leaves}
        if there:
            headings[ours] = ", else ".join(there)
        # The tags of GraphQL are a list.
        lists = [rows[n] for n in names if plain_heading(n) == ours and rows[n].type().is_array()]
        read = [_text(value) for value in there.values()] or [
            one.map(lambda tag: tag.cast("string")).join(",") for one in lists
        ]
        texts[ours] = ibis.coalesce(*read, ibis.null("string"))
    problems = [
        missing_column(ours, KEYS[ours][0], names) for ours in REQUIRED if ours not in headings
    ]
    problems += [
        missing_column(ours, theirs, names)
        for ours, theirs in mapping.items()
        if (ours in KEYS and ours not in headings) or (ours not in KEYS and theirs not in names)
    ]
    if not {"customer_id", "email", "phone"} & {*headings, *mapping}:
        problems.append("no customer.id, email or phone: set orders.columns.customer_id")
    if problems:
        raise PresetError(
            f"orders of Shopify's API: {'; '.join(problems)}. Fetch the orders with all their fields; "
            f"these have {shown_headings(names)}"
        )
    return headings, texts


def _text(value: ir.Value) -> ir.Value:
    """Read a value as text; JSON writes texts in quotes, and nothing as null."""
    text = clean_text(value.cast("string"))
    return text.re_replace('^"(.*)"$', r"\1").nullif("null") if value.type().is_json() else text


def _id(text: ir.Value) -> ir.Value:
    """Read an id: GraphQL's is ``gid://shopify/Order/123``."""
    return text.re_replace(r"^gid://shopify/[A-Za-z]+/", "").re_replace(r"^(\d+)\.0+$", r"\1")


def _records(rows: ir.Table, name: str) -> ir.Value | None:
    """Return a list of records, also in GraphQL's ``nodes``; None = there are none."""
    for column in rows.columns:
        if plain_heading(column) in (plain_heading(name), plain_heading(name) + "nodes"):
            value = rows[column]
            kind = value.type()
            if kind.is_struct() and "nodes" in kind.names:
                value, kind = value["nodes"], kind["nodes"]
            if kind.is_array() and kind.value_type.is_struct():
                return value
    return None


def _field(record: ir.Value, *names: str) -> ir.Value:
    """Return the first of some fields of a record as text; null where there is none."""
    plain = {plain_heading(name): name for name in record.type().names}
    there = [record[plain[plain_heading(name)]] for name in names if plain_heading(name) in plain]
    return ibis.coalesce(*(_text(one) for one in there), ibis.null("string"))


def _number(text: ir.Value) -> ir.Value:
    return text.try_cast("float64")


def _is(text: ir.Value) -> ir.Value:
    return text.lower().isin(("true", "t", "1", "yes")).fill_null(False)


def _price(line: ir.Value) -> ir.Value:
    """Return what a line costs after its own discount."""
    off = _number(_field(line, "total_discount")).fill_null(0.0)
    return _number(_field(line, "price")) * _number(_field(line, "quantity")) - off


def _is_gift(line: ir.Value) -> ir.Value:
    return _is(_field(line, "gift_card", "is_gift_card"))


def _gifts(items: ir.Value | None) -> ir.Value:
    """Return what an order's gift cards cost; null where one cannot be read."""
    if items is None:
        return ibis.literal(0.0)
    cards = items.filter(_is_gift).map(_price)
    return ibis.ifelse(cards.length() > 0, cards.sums(), 0.0).fill_null(0.0)


def _is_late(engine: Engine, refund: ir.Value, as_of: date) -> ir.Value:
    moment = engine.moment(_field(refund, "created_at", "processed_at"))
    return engine.is_after(moment, as_of).fill_null(False)


def _back(engine: Engine, refunds: ir.Value | None, as_of: date) -> ir.Value:
    """Return what goods were refunded by a day, tax as in their prices."""
    if refunds is None or "refund_line_items" not in refunds.type().value_type.names:
        return ibis.literal(0.0)
    kind = refunds.type().value_type["refund_line_items"]
    if not (kind.is_array() and kind.value_type.is_struct()):
        return ibis.literal(0.0)

    def goods(refund: ir.Value) -> ir.Value:
        each = refund["refund_line_items"]
        if "line_item" in kind.value_type.names and kind.value_type["line_item"].is_struct():
            each = each.filter(lambda one: ~_is_gift(one["line_item"]))
        return each.map(lambda one: _number(_field(one, "subtotal")).fill_null(0.0)).sums()

    dated = refunds.filter(lambda one: ~_is_late(engine, one, as_of))
    return dated.map(lambda one: goods(one).fill_null(0.0)).sums().fill_null(0.0)


def _late(engine: Engine, refunds: ir.Value | None, as_of: date) -> ir.Value:
    """Count the refunds that were made after a day."""
    if refunds is None:
        return ibis.literal(0)
    return refunds.filter(lambda one: _is_late(engine, one, as_of)).length().fill_null(0)


def _values(
    rows: ir.Table, texts: Mapping[str, ir.Value], *, has_refunds: bool
) -> dict[str, ir.Value]:
    """Return an order's ``goods`` without tax and gift cards, and the ``refund`` of them."""
    gifts, tips = rows[f"{OURS}gifts"], _number(texts["tips"]).fill_null(0.0)
    subtotal = _number(texts["subtotal"])
    base = _number(texts["total"]) - tips - gifts
    share = (_number(texts["taxes"]) / base.nullif(0)).fill_null(0.0)
    untaxed = ibis.ifelse(_is(texts["taxes_included"]), 1 - share, 1.0)
    goods = (subtotal - gifts) * untaxed
    back = rows[f"{OURS}back"]
    if not has_refunds:
        lowered = (subtotal - _number(texts["current"])).fill_null(0.0)
        back = ibis.greatest(lowered, 0.0)
    return {"goods": goods, "refund": ibis.least(back * untaxed, goods)}


def _void(
    engine: Engine,
    rows: ir.Table,
    texts: Mapping[str, ir.Value],
    source: OrderSource,
    as_of: date,
) -> ir.Value:
    """Name the rule by which an order is no purchase, as known at the end of a day."""
    status = plain_status(texts["status"])
    by_status = void_by_status(status, STATUSES, source, unknown=UNKNOWN)
    canceled_at = texts["canceled_at"]
    is_later = engine.is_after(engine.moment(canceled_at), as_of)
    is_canceled = canceled_at.notnull() | (status == "voided").fill_null(False)
    all_known = rows[f"{OURS}late"] == 0
    return ibis.cases(
        (_is(texts["test"]), "test_order"),
        (by_status == "unpaid", "unpaid"),
        (is_canceled & ~is_later.fill_null(False), "canceled"),
        (by_status.notnull(), by_status),
        (((status == "refunded") & all_known).fill_null(False), "refunded_in_full"),
        (
            (rows[f"{OURS}goods"].abs() <= CENT) & (rows[f"{OURS}gifts"] > 0),
            "gift_card_only",
        ),
        else_=ibis.null("string"),
    )


def _lines(newest: ir.Table, items: ir.Value, order_id: ir.Value) -> ir.Table:
    """Return the lines of goods; each bears its part of what is taken off the whole order."""
    whole = newest.select(
        order_id=order_id,
        items=items,
        net=newest[f"{OURS}goods"] - newest[f"{OURS}refund"],
        sold=items.filter(lambda one: ~_is_gift(one)).map(_price).sums(),
    )
    long = whole.distinct().mutate(item=lambda table: table["items"].unnest())
    goods = long.filter(~_is_gift(long["item"]))
    item = goods["item"]
    return goods.select(
        "order_id",
        product_id=ibis.coalesce(_field(item, "product_id"), _field(item, "sku", "title", "name")),
        product_name=_field(item, "title", "name"),
        quantity=_field(item, "quantity", "current_quantity"),
        net_amount=(_price(item) * goods["net"] / goods["sold"].nullif(0)).round(4),
    )
