"""WooCommerce's orders, a row each: WebToffee's CSV, or what the REST API gives.

WebToffee's Order Export writes a column per order line (``line_item_1`` and so on) and dates its
refunds in the shop's time; ``/wc/v3/orders`` nests lines and refunds, and dates no refund. A pull adds the
days that ``/wc/v3/refunds`` has, and what of each refund was ``goods``.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

import ibis
import ibis.expr.types as ir

from connectors.engine import FILE_COLUMN, Engine
from connectors.order_source import OrderSource
from connectors.presets.headings import (
    UNMATCHED,
    lacking_column,
    missing_column,
    plain_heading,
    shown_headings,
)
from connectors.presets.preset import OURS, Preset, PresetError, SourceRows, Tables, is_older
from connectors.presets.statuses import UNKNOWN, plain_status, void_by_status
from connectors.texts import clean_text, trim

WEBTOFFEE = {"order_date", "status", "order_subtotal", "order_total"}
REST = {"status", "total", "total_tax"}
REST_DATES = ("date_created_gmt", "date_created")
ANALYTICS = {"Order #", "Net Sales", "Items sold"}
STATUSES: Mapping[str, str | None] = {  # WooCommerce's own; shops and plugins add others
    **dict.fromkeys(("completed", "processing", "refunded")),
    **dict.fromkeys(("pending", "on_hold", "failed", "draft"), "unpaid"),
    **dict.fromkeys(("auto_draft", "checkout_draft"), "unpaid"),
    "cancelled": "canceled",
    "trash": "deleted",
}
NEEDED = {  # the export's column: the key under orders.columns that names another
    "webtoffee": {
        "order_date": "ordered_at",
        "status": "status",
        "order_subtotal": "order_subtotal",
        "order_total": "order_total",
    },
    "rest": {
        "date_created_gmt": "ordered_at",
        "status": "status",
        "total": "total",
        "total_tax": "total_tax",
    },
}
WITHOUT = {  # a column that is missing: what follows
    "webtoffee": {
        "discount_total": "amounts are before discounts",
        "tax_total": "refunds count with their tax",
        "refund_items": "amounts are before refunds",
        "billing_email": UNMATCHED,
    },
    "rest": {
        "shipping_total": "amounts include shipping",
        "line_items": "gift cards that were sold count",
        "refunds": "amounts are before refunds",
    },
}
WHO = {"order_id": "order_id", "customer_id": "customer_id", "email": "billing_email"}
WHO |= {"phone": "billing_phone", "currency": "currency"}
AMOUNTS = (
    "shipping_total",
    "tax_total",
    "discount_total",
    "order_total",
    "order_subtotal",
    "total",
    "total_tax",
    "shipping_tax",
)
MOMENTS = ("order_date", *REST_DATES)
NO_DATES = (
    "the REST API's orders do not say when they were refunded: refunds count from the order's day on, also "
    "where they came later. A pull reads their days too"
)
PEOPLE = (
    "customer_id",
    "customer_user",
    "billing_email",
    "customer_email",
    "billing.email",
    "billing_phone",
    "billing.phone",
    "shipping_phone",
    "shipping.phone",
)
REFUND_DAY, REFUND_GOODS = "date_created_gmt", "goods"  # keys of refunds; a pull writes the second
RENEWAL = "_subscription_renewal"  # a key of meta_data
NESTED = {
    "line_items": "array<struct<name: string, product_id: string, quantity: string, total: string>>",
    "refunds": "array<struct<total: string, date_created_gmt: string, goods: string>>",
    "coupon_lines": "array<struct<code: string>>",
}
MONEY = "decimal(18, 4)"
CENT = 0.005  # amounts that differ by less are equal


def read(engine: Engine, tables: Tables, source: OrderSource, as_of: date) -> SourceRows:
    """Read WooCommerce's orders, whichever of the two exports they are of."""
    mapping = source.columns
    (rows,) = tables.values()
    names = [name for name in rows.columns if name != FILE_COLUMN]
    if set(names) >= ANALYTICS:
        raise PresetError(
            "orders need a customer: WooCommerce's Analytics > Orders export has neither e-mail, phone nor "
            "customer id. Export with WebToffee's Order Export plugin (CSV), or fetch the orders from the "
            "REST API, /wp-json/wc/v3/orders"
        )
    unknown = [f"{ours} = {theirs!r}" for ours, theirs in mapping.items() if theirs not in names]
    if unknown:
        raise PresetError(
            f"orders.columns must name columns of the source: {', '.join(unknown)} is not there; it has "
            f"{shown_headings(names)}. Mend orders.columns"
        )
    form = "webtoffee" if {*names} & (WEBTOFFEE - {"status"}) else "rest"
    rows = _with_mapped(rows, mapping, form)
    _check_columns(rows, form, names)
    if form == "webtoffee":
        source_rows = _read_webtoffee(engine, rows, as_of, source)
    else:
        source_rows = _read_rest(engine, rows, source, as_of)
    rows = source_rows.rows
    evidence = _evidence(rows) | {"status": clean_text(rows.status), "is_renewal": _renews(rows)}
    ours = {one: rows[theirs] for one, theirs in mapping.items() if one not in _places(form)}
    return replace(
        source_rows,
        columns={**source_rows.columns, **evidence, **ours},
        headings={**source_rows.headings, **mapping},
        notes=(*source_rows.notes, *_notes(rows, form, source_rows.columns)),
    )


def _places(form: str) -> dict[str, str]:
    """Return the export's column for each key under ``orders.columns`` that stands in for one."""
    places = {ours: theirs for theirs, ours in NEEDED[form].items()}
    return {**WHO, **{name: name for name in WITHOUT[form]}, **places}


def _with_mapped(rows: ir.Table, mapping: Mapping[str, str], form: str) -> ir.Table:
    """Return the rows with the columns that the settings name in the place of the export's own."""
    places = {
        place: rows[mapping[ours]] for ours, place in _places(form).items() if ours in mapping
    }
    return rows.mutate(**places) if places else rows


def _check_columns(rows: ir.Table, form: str, names: list[str]) -> None:
    there = {*rows.columns} | ({"date_created_gmt"} if "date_created" in rows.columns else set())
    missing = [
        missing_column(ours, theirs, names)
        for theirs, ours in NEEDED[form].items()
        if theirs not in there
    ]
    if missing:
        raise PresetError(
            f"WooCommerce's orders have {', '.join(sorted(WEBTOFFEE))} (WebToffee's Order Export) or "
            f"{', '.join(sorted(REST))} and date_created_gmt (REST API): this has {'; '.join(missing)}; it "
            f'has {shown_headings(names)}. Export again, or set orders.preset = "plain"'
        )


def _notes(rows: ir.Table, form: str, has: Collection[str]) -> tuple[str, ...]:
    """Say what the export lacks, and how to add it."""
    lacking = [
        lacking_column(name, name, so)
        for name, so in WITHOUT[form].items()
        if name not in rows.columns
    ]
    who = [
        lacking_column(ours, WHO[ours], UNMATCHED)
        for ours in ("customer_id", "email", "phone")
        if ours not in has and WHO[ours] not in WITHOUT[form]
    ]
    return (*lacking, *who)


def _evidence(rows: ir.Table) -> dict[str, ir.Value]:
    """Return the name and postal code of who was billed, as far as they are there."""
    columns, _ = _named(
        rows,
        order_id=("order_id", "order_number", "id", "number"),
        customer_id=("customer_id", "customer_user"),
        email=("billing_email", "customer_email", "billing.email"),
        phone=("billing_phone", "billing.phone"),
        first=("billing_first_name", "billing.first_name"),
        last=("billing_last_name", "billing.last_name"),
        postal_code=("billing_postcode", "billing.postcode"),
    )
    names = [columns[name].fill_null("") for name in ("first", "last") if name in columns]
    evidence = {"postal_code": columns["postal_code"]} if "postal_code" in columns else {}
    if names:
        evidence["name"] = clean_text(names[0] if len(names) == 1 else names[0] + " " + names[1])
    return evidence


def _renews(rows: ir.Table) -> ir.Value:
    """Tell the orders that WooCommerce Subscriptions made: ``_subscription_renewal`` names of what."""
    renews: ir.Value = ibis.literal(False)
    for name in rows.columns:
        plain = plain_heading(name)
        if plain in ("createdvia", "metacreatedvia"):
            renews = renews | (clean_text(rows[name]).lower() == "subscription").fill_null(False)
        elif plain in ("subscriptionrenewal", "metasubscriptionrenewal"):
            renews = renews | clean_text(rows[name]).notnull()
        elif plain == "metadata" and rows[name].type().is_string():
            renews = renews | rows[name].contains(RENEWAL).fill_null(False)
    data = _structs(rows, "meta_data")
    if data is not None and "key" in data.type().value_type.names:
        of_renewal = data.filter(lambda one: one["key"].cast("string") == RENEWAL)
        renews = renews | (of_renewal.length() > 0).fill_null(False)
    return renews


def recognize(columns: Mapping[str, tuple[str, ...]]) -> bool:
    """Tell whether a table is one of WooCommerce's exports, the one without customers too."""
    return any(
        set(names) >= WEBTOFFEE
        or set(names) >= ANALYTICS
        or (set(names) >= REST and bool(set(names) & set(REST_DATES)))
        for names in columns.values()
    )


def _spelled(wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    return [name for name in names if name in wanted]


WOOCOMMERCE = Preset(
    "woocommerce",
    read,
    recognize,
    nested=NESTED,
    amounts=lambda names: _spelled(AMOUNTS, names),
    moments=lambda names: _spelled(MOMENTS, names),
    people=PEOPLE,
)


def _read_webtoffee(
    engine: Engine, rows: ir.Table, known_by: date, source: OrderSource
) -> SourceRows:
    """Read WebToffee's CSV: refunds are dated, and lines say what of them was refunded."""
    columns, headings = _named(
        rows,
        order_id=("order_id", "order_number"),
        customer_id=("customer_id", "customer_user"),
        email=("billing_email", "customer_email"),
        phone=("billing_phone",),
        currency=("order_currency",),
        discount_code=("coupon_items",),
    )
    if "discount_code" in columns:
        columns["discount_code"] = columns["discount_code"].re_extract(r"code:([^|;]*)", 1)
    names = sorted((n for n in rows.columns if re.fullmatch(r"line_item_\d+", n)), key=_turn)
    is_card = {name: _is_gift_card(_said(rows[name], "name")) for name in names}
    gifts = _sum(ibis.ifelse(is_card[n], _said_money(rows[n], "total"), 0.0) for n in names)
    by_line = _sum(ibis.ifelse(is_card[n], 0.0, _said_money(rows[n], "refunded")) for n in names)
    refunded, dated = _dated_refunds(rows, known_by)
    rows, columns, amounts = _staged(
        engine,
        rows,
        columns,
        gifts=gifts,
        by_line=by_line,
        discount=_money(rows, "discount_total", blank=0.0),
        subtotal=_money(rows, "order_subtotal"),
        refunded=refunded,
        known=dated,
        tax=_money(rows, "tax_total", blank=0.0),
        total=_money(rows, "order_total"),
    )
    gifts, by_line, discount, subtotal, refunded, dated, tax, total = amounts
    goods = subtotal - discount - gifts
    share = ibis.ifelse(refunded > 0, dated / refunded.nullif(0), 1.0)
    of_known = _of_goods(dated, goods, tax, total)
    refund = ibis.ifelse(by_line > 0, ibis.least(by_line * share, goods), of_known)
    # An order that was refunded in full later was a purchase until then.
    is_known = dated >= refunded - CENT
    columns |= _values(goods, discount, refund) | {
        "ordered_at": rows.order_date,
        "void": _void(rows, source, goods, gifts, is_known),
        "is_older": _is_older(rows, columns["order_id"], refunded),
    }
    left = _left(goods, refund)
    whole = (
        rows.filter(~columns["is_older"])
        .select(
            order_id=columns["order_id"],
            by_line=by_line,
            share=share,
            left=left,
            **{n: rows[n].cast("string") for n in names},
        )
        .distinct()
    )
    lines = None
    if names:
        long = whole.pivot_longer(names, names_to="turn", values_to="said")
        total, back = _said_money(long.said, "total"), _said_money(long.said, "refunded")
        by_share = ibis.ifelse(long.by_line > 0, total - back * long.share, total * long.left)
        lines = long.select(
            "order_id",
            product_id=_said(long.said, "product_id"),
            product_name=_said(long.said, "name"),
            quantity=_said(long.said, "quantity"),
            net_amount=by_share,
        )
        lines = lines.filter(lines.product_name.notnull() & ~_is_gift_card(lines.product_name))
    return SourceRows(rows, columns, False, headings | {"ordered_at": "order_date"}, (), lines)


def _read_rest(engine: Engine, rows: ir.Table, source: OrderSource, as_of: date) -> SourceRows:
    """Read what the REST API gives: lines and refunds are nested, the day is in UTC."""
    columns, headings = _named(
        rows,
        order_id=("id", "number"),
        customer_id=("customer_id",),
        email=("billing_email", "billing.email"),
        phone=("billing_phone", "billing.phone"),
        currency=("currency",),
        channel=("created_via",),
    )
    items, refunds = _structs(rows, "line_items"), _structs(rows, "refunds")
    coupons, gifts = _structs(rows, "coupon_lines"), ibis.literal(0.0)
    if coupons is not None:
        code = ibis.ifelse(coupons.length() > 0, coupons[0]["code"], ibis.null("string"))
        columns["discount_code"], headings["discount_code"] = clean_text(code), "coupon_lines"
    if items is not None:
        cards = items.filter(lambda item: _is_gift_card(item["name"]))
        gifts = cards.map(lambda item: _number(item["total"])).sums().fill_null(0.0)
    refunded, dated, exact, typed = _nested_refunds(engine, refunds, as_of)
    rows, columns, amounts = _staged(
        engine,
        rows,
        columns,
        gifts=gifts,
        refunded=refunded,
        known=dated,
        exact=exact,
        typed=typed,
        tax=_money(rows, "total_tax", blank=0.0),
        of_shipping=_money(rows, "shipping_tax", blank=0.0),
        shipping=_money(rows, "shipping_total", blank=0.0),
        discount=_money(rows, "discount_total", blank=0.0),
        total=_money(rows, "total"),
    )
    gifts, refunded, dated, exact, typed, tax, of_shipping, shipping, discount, total = amounts
    goods = total - tax - shipping - gifts
    part = exact + _of_goods(typed, goods, tax - of_shipping, total)
    refund = ibis.ifelse(_is_whole(dated, total), goods, ibis.least(part, goods))
    columns |= _values(goods, discount, refund)
    columns["ordered_at"], headings["ordered_at"] = _moment(rows)
    # An order that was refunded in full later was a purchase until then.
    columns["void"] = _void(rows, source, goods, gifts, dated >= refunded - CENT)
    columns["is_older"] = _is_older(rows, columns["order_id"], refunded)
    lines = None
    if items is not None:
        newest = rows.filter(~columns["is_older"])
        whole = newest.select(
            order_id=columns["order_id"], items=rows.line_items, left=_left(goods, refund)
        )
        long = whole.distinct().mutate(item=lambda t: t["items"].unnest())
        sold = long.filter(~_is_gift_card(long.item["name"]))
        lines = sold.select(
            "order_id",
            product_id=sold.item["product_id"].cast("string"),
            product_name=sold.item["name"],
            quantity=sold.item["quantity"],
            net_amount=_number(sold.item["total"]) * sold.left,
        )
    is_undated = refunds is not None and engine.has_rows(rows.filter(_undated(rows.refunds) > 0))
    return SourceRows(rows, columns, False, headings, (NO_DATES,) if is_undated else (), lines)


def _nested_refunds(
    engine: Engine, refunds: ir.Column | None, as_of: date
) -> tuple[ir.Value, ir.Value, ir.Value, ir.Value]:
    """Return what was refunded, tax included: in all, by the end of a day, and of that by lines or typed.

    The third is goods without tax. A refund without a day counts from the order's day on.
    """
    none = ibis.literal(0.0)
    if refunds is None:
        return none, none, none, none
    names = refunds.type().value_type.names
    past = refunds
    if REFUND_DAY in names:
        past = refunds.filter(lambda one: ~_is_late(engine, one, as_of))
    refunded, dated = _refunds_total(refunds), _refunds_total(past)
    if REFUND_GOODS not in names:
        return refunded, dated, none, dated
    lines = past.filter(lambda one: one[REFUND_GOODS].notnull())
    exact = lines.map(lambda one: _number(one[REFUND_GOODS]).fill_null(0.0)).sums()
    typed = past.filter(lambda one: one[REFUND_GOODS].isnull())
    return refunded, dated, exact.fill_null(0.0), _refunds_total(typed)


def _refunds_total(refunds: ir.Value) -> ir.Value:
    return refunds.map(lambda one: _number(one["total"]).abs()).sums().fill_null(0.0)


def _is_late(engine: Engine, refund: ir.Value, as_of: date) -> ir.Value:
    """Tell whether a refund was made after a day."""
    text = clean_text(refund[REFUND_DAY].cast("string")).re_replace("Z$", "") + "Z"
    return engine.is_after(engine.moment(text), as_of).fill_null(False)


def _undated(refunds: ir.Column) -> ir.Value:
    """Count the refunds without a day."""
    if REFUND_DAY not in refunds.type().value_type.names:
        return refunds.length()
    return refunds.filter(lambda one: one[REFUND_DAY].isnull()).length().fill_null(0)


def _named(rows: ir.Table, **names: tuple[str, ...]) -> tuple[dict[str, ir.Value], dict[str, str]]:
    """Return our columns as the first of theirs that is not blank, and ``{ours: theirs}``."""
    available = {name: rows[name] for name in rows.columns}
    if "billing" in available and available["billing"].type().is_struct():
        inside = rows.billing.type().names
        available |= {f"billing.{name}": rows.billing[name] for name in inside}
    there = {ours: [n for n in theirs if n in available] for ours, theirs in names.items()}
    headings = {ours: ", else ".join(theirs) for ours, theirs in there.items() if theirs}
    if "order_id" not in headings or not {"customer_id", "email", "phone"} & set(headings):
        raise PresetError(
            "orders need an id and a customer: of the columns "
            f"{', '.join(name for theirs in names.values() for name in theirs)} the source has only "
            f"{', '.join(headings.values()) or 'none'}. Export the others too"
        )
    columns = {
        ours: ibis.coalesce(*(clean_text(available[n]) for n in there[ours])) for ours in headings
    }
    if "customer_id" in columns:
        is_guest = columns["customer_id"].re_search(r"^0(\.0)?$")
        columns["customer_id"] = ibis.ifelse(is_guest, ibis.null("string"), columns["customer_id"])
    return columns, headings


def _staged(
    engine: Engine, rows: ir.Table, columns: Mapping[str, ir.Value], **amounts: ir.Value
) -> tuple[ir.Table, dict[str, ir.Value], list[ir.Column]]:
    """Add what was read to the rows, so that what is made of it does not spell it out each time."""
    values = {OURS + name: value for name, value in (dict(columns) | amounts).items()}
    rows = engine.view(rows.mutate(**values), "amounts")
    return (
        rows,
        {name: rows[OURS + name] for name in columns},
        [rows[OURS + name] for name in amounts],
    )


def _number(column: ir.Value) -> ir.Value:
    return clean_text(column).try_cast(MONEY).cast("float64")


def _money(rows: ir.Table, name: str, blank: float | None = None) -> ir.Value:
    """Read a column of amounts; null where it is no number."""
    if name not in rows.columns:
        return ibis.literal(blank, "float64")
    return ibis.ifelse(clean_text(rows[name]).isnull(), blank, _number(rows[name]))


def _turn(name: str) -> int:
    return int(name.rsplit("_", 1)[1])


def _said(text: ir.Column, name: str) -> ir.Column:
    """Return what ``name:Beans|product_id:7|quantity:2`` says of a name."""
    match = text.cast("string").re_extract(rf"(?:^|\|){name}:\s*([^|]*)", 1)
    return clean_text(match)


def _said_money(text: ir.Column, name: str) -> ir.Column:
    return _number(_said(text, name)).fill_null(0.0)


def _is_gift_card(name: ir.Column) -> ir.Column:
    return trim(name).lower().startswith("gift card").fill_null(False)


def _sum(amounts: Iterable[ir.Column]) -> ir.Value:
    return sum(amounts, start=ibis.literal(0.0))


def _dated_refunds(rows: ir.Table, known_by: date) -> tuple[ir.Value, ir.Value]:
    """Return what was refunded, tax included, in all and by the end of a day."""
    if "refund_items" not in rows.columns:
        return ibis.literal(0.0), ibis.literal(0.0)
    # amount:5.00|reason:…|date:2025-01-31 10:00:00;amount:…, where a reason may have any character.
    each = clean_text(rows["refund_items"]).fill_null("").split("amount:")
    dated = each.filter(
        lambda one: one.re_extract(r"\|date:\s*(\d{4}-\d{2}-\d{2})", 1) <= known_by.isoformat()
    )
    amounts = (
        some.map(
            lambda one: _number(one.re_extract(r"^\s*-?([\d.]+)", 1).nullif("")).fill_null(0.0)
        )
        for some in (each, dated)
    )
    refunded, by_then = (some.sums().fill_null(0.0) for some in amounts)
    return refunded, by_then


def _of_goods(refunded: ir.Value, goods: ir.Value, tax: ir.Value, total: ir.Value) -> ir.Value:
    """Return a refund's goods: of less than the order, without the tax on them."""
    part = (refunded * goods / (goods + tax).nullif(0)).fill_null(0.0)
    exact = ibis.ifelse(tax > 0, part.round(2), part)  # it was a number of cents
    return ibis.ifelse(_is_whole(refunded, total), goods, ibis.least(exact, goods))


def _is_whole(refunded: ir.Value, total: ir.Value) -> ir.Value:
    """Tell orders that were refunded in full."""
    return (refunded > 0) & (refunded >= total - CENT)


def _left(goods: ir.Value, refund: ir.Value) -> ir.Value:
    """Return the share of the goods that was not refunded."""
    return (1 - refund / goods.nullif(0)).fill_null(0.0)


def _values(goods: ir.Value, discount: ir.Value, refund: ir.Value) -> dict[str, ir.Value]:
    return {
        "net_amount": goods - refund,
        "gross_amount": goods + discount,
        "discount_amount": discount,
        "refund_amount": refund,
    }


def _void(
    rows: ir.Table, source: OrderSource, goods: ir.Value, gifts: ir.Value, is_known: ir.Value
) -> ir.Value:
    """Name the rule by which an order is no purchase; only what was paid may be one."""
    status = plain_status(rows.status)
    by_status = void_by_status(status, STATUSES, source, unknown=UNKNOWN)
    return ibis.cases(
        (status.isnull(), "unpaid"),
        (by_status.notnull(), by_status),
        (((status == "refunded") & is_known).fill_null(False), "refunded_in_full"),
        ((goods <= CENT) & (gifts > 0), "gift_card_only"),
        else_=ibis.null("string"),
    )


def _is_older(rows: ir.Table, order_id: ir.Value, refunded: ir.Value) -> ir.Value:
    """Tell an order's older versions: statuses go from pending over paid to called off."""
    status = _status(rows)
    stage = ibis.cases(
        (status.isin(("cancelled", "refunded", "trash")), 3),
        (status == "completed", 2),
        (status == "processing", 1),
        else_=0,
    )
    changed = [name for name in ("date_modified_gmt", "date_modified") if name in rows.columns]
    return is_older(
        rows,
        order_id,
        [
            *(ibis.desc(rows[name].cast("string").fill_null("")) for name in changed),
            ibis.desc(refunded.fill_null(0)),
            ibis.desc(stage),
        ],
    )


def _status(rows: ir.Table) -> ir.Value:
    return clean_text(rows.status).lower().re_replace("^wc-", "").fill_null("")


def _structs(rows: ir.Table, name: str) -> ir.Column | None:
    """Return a column of lists of records, if there is one with records in it."""
    if name not in rows.columns:
        return None
    kind = rows[name].type()
    return rows[name] if kind.is_array() and kind.value_type.is_struct() else None


def _moment(rows: ir.Table) -> tuple[ir.Value, str]:
    """Return when an order was placed: ``date_created_gmt`` is in UTC without saying so."""
    local, utc = ("date_created", "date_created_gmt")
    if utc not in rows.columns:
        return rows[local], local
    value = rows[utc]
    if value.type().is_timestamp():
        if value.type().timezone is not None:
            return value, utc
        value = value.strftime("%Y-%m-%dT%H:%M:%S")
    text = clean_text(value)
    is_bare = ~text.re_search(r"(Z|[+-]\d{2}:?\d{2})$")
    return ibis.ifelse(is_bare, text + "Z", text), utc
