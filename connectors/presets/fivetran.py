"""Shopify as Fivetran loads it into a warehouse: its raw tables, or dbt_shopify's orders."""

from collections.abc import Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from connectors.engine import FILE_COLUMN, Engine
from connectors.order_source import OrderSource
from connectors.presets.headings import missing_column, shown_headings
from connectors.presets.preset import OURS, Preset, PresetError, SourceRows, Tables
from connectors.presets.renewals import renews
from connectors.presets.statuses import SHOPIFY, UNKNOWN, plain_status, void_by_status
from connectors.texts import clean_text

TABLES = ("order", "order_line", "refund", "order_line_refund")
MODEL = ("order_adjusted_total", "net_sales")  # dbt_shopify has one of them in all its versions
CREATED = ("created_timestamp", "processed_timestamp", "created_at", "processed_at")
STATUSES = {**SHOPIFY, "voided": None}  # when it was canceled decides
WHO = ("customer_id", "email", "phone")
TEXTS = {  # ours: theirs
    "customer_id": ("customer_id",),
    "email": ("email",),
    "phone": ("phone",),
    "currency": ("currency", "currency_code"),
    "channel": ("source_name",),
    "status": ("financial_status", "display_financial_status"),
    "name": ("billing_address_name",),
    "postal_code": ("billing_address_zip",),
    "accepts_marketing": ("buyer_accepts_marketing", "customer_accepts_marketing"),
}
SUBTOTALS = ("subtotal_price", "subtotal_price_set_shop_amount", "subtotal_price_shop_amount")
AMOUNTS = (
    "subtotal_price",
    "total_price",
    "total_tax",
    "total_discounts",
    "net_sales",
    "refund_subtotal",
    "price",
    "original_unit_price",
    "total_discount",
    "subtotal",
)
MOMENTS = (*CREATED, "cancelled_at", "cancelled_timestamp")
MOST_INFLATED = 0.02  # share of orders above which net_sales is refused
NO_ZONE = r"^\d{4}-\d{2}-\d{2}[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$"
PEOPLE = ("customer_id", "email", "phone", "billing_address_phone", "shipping_address_phone")
NO_LINES = "order_line is missing: amounts are subtotals, in which gift cards sold count"
NO_REFUNDS = "refund or order_line_refund is missing: amounts are before refunds"
OF_MODEL = (
    "dbt_shopify's refunds have no day: they lower their order's value whenever they were made",
    "dbt_shopify's times are read as UTC: leave its variable shopify_timezone as it is",
)


def read(engine: Engine, tables: Tables, source: OrderSource, as_of: date) -> SourceRows:
    """Read Fivetran's tables with refunds up to `as_of`, or the orders of dbt_shopify."""
    order = tables["order"] if "order" in tables else next(iter(tables.values()))
    is_model = _is_model(order.columns) or (
        "id" not in order.columns and "order_id" in order.columns
    )
    order = _with_mapped(order, source.columns, "order_id" if is_model else "id")
    created = [name for name in CREATED if name in order.columns]
    has = {ours: [n for n in names if n in order.columns] for ours, names in TEXTS.items()}
    headings = {ours: names[0] for ours, names in has.items() if names} | dict(source.columns)
    _check_who(order, headings)
    if is_model:
        rows, lines, notes = _model(engine, order, is_valued="net_amount" in source.columns)
    else:
        rows, lines, notes = _raw(engine, order, tables, as_of)
    columns: dict[str, ir.Value] = {
        "order_id": rows[f"{OURS}key"],
        "ordered_at": ibis.coalesce(*(_moment(rows[name]) for name in created)),
        "void": _void(rows, as_of, source),
        "is_renewal": renews(_text(rows, "order_tags", "tags"), _text(rows, "source_name")),
    }
    amounts = ("net_amount", "gross_amount", "discount_amount", "refund_amount")
    columns |= {name: rows[OURS + name] for name in amounts if OURS + name in rows.columns}
    columns |= {ours: rows[theirs] for ours, theirs in headings.items() if ours not in OF_READING}
    return SourceRows(rows, columns, of_lines=False, headings=headings, notes=notes, lines=lines)


OF_READING = ("order_id", "ordered_at")  # read in their own way, whatever their column's name


def _with_mapped(order: ir.Table, mapping: Mapping[str, str], key: str) -> ir.Table:
    """Return the orders with the columns that the settings name for an id and a day in their place."""
    names = [name for name in order.columns if name != FILE_COLUMN]
    for ours, theirs in mapping.items():
        if theirs not in names:
            raise PresetError(f"Fivetran's tables: {missing_column(ours, theirs, names)}")
    for ours, place in {"order_id": key, "ordered_at": CREATED[-2]}.items():
        if ours in mapping:
            order = order.mutate(**{place: order[mapping[ours]]})
    day = () if set(CREATED) & {*order.columns} else (("ordered_at", CREATED[-2]),)
    for ours, place in (("order_id", key), *day):
        if place not in order.columns:
            raise PresetError(
                f"Fivetran's tables: {missing_column(ours, place, names)}. It has {shown_headings(names)}"
            )
    return order


def _check_who(order: ir.Table, headings: Mapping[str, str]) -> None:
    if not {*WHO} & {*headings}:
        raise PresetError(
            "orders need a customer: the table has no customer_id, email or phone. Set "
            f"orders.columns.customer_id; it has {shown_headings([n for n in order.columns if n != FILE_COLUMN])}"
        )


def _text(rows: ir.Table, *names: str) -> ir.Value | None:
    texts = [clean_text(rows[name]) for name in names if name in rows.columns]
    return ibis.coalesce(*texts) if texts else None


def _model(
    engine: Engine, order: ir.Table, *, is_valued: bool
) -> tuple[ir.Table, None, tuple[str, ...]]:
    """Name and value the orders of dbt_shopify."""
    key = _key(order.order_id)
    if (
        "source_relation" in order.columns
        and order.source_relation.nunique().to_pyarrow().as_py() > 1
    ):
        key = order.source_relation + ":" + key  # stores count on their own
    subtotals = [name for name in SUBTOTALS if name in order.columns]
    if not is_valued:
        if "net_sales" not in order.columns and not subtotals:
            names = [name for name in order.columns if name != FILE_COLUMN]
            raise PresetError(
                f"dbt_shopify's orders: {missing_column('net_amount', 'net_sales', names)}. It has "
                f"{shown_headings(names)}"
            )
        if "net_sales" in order.columns and subtotals:
            _check_net_sales(engine, order, subtotals[0])
    by_subtotal = (_number(order, "subtotal_price") - _cost(order, "refund_subtotal")) * _untaxed(
        order
    )
    net = ibis.coalesce(_number(order, "net_sales"), by_subtotal)
    return order.mutate(**{f"{OURS}key": key, f"{OURS}net_amount": net}), None, OF_MODEL


def _check_net_sales(engine: Engine, order: ir.Table, subtotal: str) -> None:
    """Refuse net_sales above what the goods cost after discounts: gift cards only lower it.

    Of fivetran/dbt_shopify issue 165. The bound includes tax, since prices may.

    Parameters
    ----------
    engine
        Where the orders are.
    order
        The model's rows.
    subtotal
        Its column of subtotals.

    Raises
    ------
    PresetError
        More than 2 % of the orders are above.
    """
    both = order.select(
        key=_key(order.order_id),
        net=_number(order, "net_sales"),
        most=_number(order, "subtotal_price") - _cost(order, "refund_subtotal"),
    )
    both = both.filter(both.net.notnull() & both.most.notnull())
    excess = both.net - both.most
    is_above = excess > 0.01 + 0.005 * both.most.abs()
    counts = engine.frame(
        both.aggregate(
            orders=both.count(),
            above=is_above.sum().fill_null(0),
            key=both.key.argmax(excess),
            net=both.net.argmax(excess),
            most=both.most.argmax(excess),
        )
    ).iloc[0]
    if counts["above"] > MOST_INFLATED * counts["orders"]:
        raise PresetError(
            f"dbt_shopify's net_sales is above subtotal less refunds in {int(counts['above']):,} of "
            f"{int(counts['orders']):,} orders, for instance order {counts['key']}: "
            f"{counts['net']:,.2f} and {counts['most']:,.2f}. dbt_shopify before 1.10.0 multiplies "
            "quantity twice in its GraphQL models. Upgrade it and run it again, or set "
            f'orders.columns.net_amount = "{subtotal}"'
        )


def _raw(
    engine: Engine, order: ir.Table, tables: Tables, known_by: date
) -> tuple[ir.Table, ir.Table | None, tuple[str, ...]]:
    """Value the orders by their lines and refunds, and return them with the lines."""
    if "order_line" not in tables and not {*SUBTOTALS} & {*order.columns}:
        names = [name for name in order.columns if name != FILE_COLUMN]
        raise PresetError(
            "orders need a value: there is no table order_line, and order has "
            f"{missing_column('net_amount', SUBTOTALS[0], names)}, or add order_line"
        )
    order = order.mutate(**{f"{OURS}key": _key(order.id)})
    lines, refunds = _lines(tables), _refunds(tables, known_by)
    if lines is not None:
        lines = engine.view(lines, "lines")
    if refunds is not None:
        if lines is not None:  # a gift card given back is no refund of goods
            refunds = refunds.anti_join(lines.filter(lines.is_gift), "line_key")
        refunds = engine.view(refunds, "refunds")
        order = _with(order, refunds, refunds=refunds.count(), refund=_sum(refunds.back))
    if "refund" in tables:
        made = _there(tables["refund"])
        made = made.select(order_key=_key(made.order_id), day=_refund_day(made))
        order = _with(order, made, refunded_on=made.day.max())
    if lines is not None:
        sold = lines.filter(~lines.is_gift)
        order = _with(order, sold, goods=sold.count(), worth=_sum(sold.worth), off=_sum(sold.off))
        order = _with(
            order, lines, lines=lines.count(), asked=lines.worth.sum(), less=lines.off.sum()
        )
    order = engine.view(_valued(order), "valued")
    if lines is not None:
        lines = _shared_out(lines, refunds, order)
    notes = (NO_LINES,) * (lines is None) + (NO_REFUNDS,) * (refunds is None)
    return order, lines, notes


def _lines(tables: Tables) -> ir.Table | None:
    """Return the order lines: what they are, their worth before discounts, and the discount."""
    if "order_line" not in tables:
        return None
    line = _there(tables["order_line"])
    _check_columns(line, "id", "order_id", "quantity")
    texts = [clean_text(line[name]) for name in ("title", "name") if name in line.columns]
    products = [_key(line[name]) for name in ("product_id", "sku") if name in line.columns]
    return line.select(
        line_key=_key(line.id),
        order_key=_key(line.order_id),
        is_gift=_is(line, "gift_card", "is_gift_card"),
        product_id=ibis.coalesce(*products, ibis.null("string")),
        product_name=ibis.coalesce(*texts, ibis.null("string")),
        quantity=_number(line, "quantity"),
        worth=_number(line, "price", "original_unit_price") * _number(line, "quantity"),
        off=_cost(line, "total_discount"),
    )


def _refunds(tables: Tables, known_by: date) -> ir.Table | None:
    """Return the refunds of lines that were made by a day; one without a day is known."""
    if not {"refund", "order_line_refund"} <= set(tables):
        return None
    made, each = _there(tables["refund"]), _there(tables["order_line_refund"])
    _check_columns(made, "id", "order_id")
    _check_columns(each, "refund_id", "order_line_id")
    made = made.select(made=_key(made.id), order_key=_key(made.order_id), day=_refund_day(made))
    each = each.select(
        made=_key(each.refund_id), line_key=_key(each.order_line_id), back=_cost(each, "subtotal")
    )
    both = each.inner_join(made, "made")
    return both.filter((both.day <= ibis.date(known_by)).fill_null(True))


def _valued(order: ir.Table) -> ir.Table:
    """Add the orders' amounts, by their lines or, where there are none, by their subtotals."""
    subtotal, untaxed = _number(order, "subtotal_price"), _untaxed(order)
    has_lines, refund = ibis.literal(False), ibis.literal(0.0)
    worth, off = ibis.null("float64"), ibis.literal(0.0)
    if f"{OURS}refunds" in order.columns:
        refund = ibis.ifelse(order[f"{OURS}refunds"].isnull(), 0.0, order[f"{OURS}refund"])
    if f"{OURS}lines" in order.columns:
        has_lines, no_goods = order[f"{OURS}lines"].notnull(), order[f"{OURS}goods"].isnull()
        worth, off = (ibis.ifelse(no_goods, 0.0, order[OURS + name]) for name in ("worth", "off"))
        # A discount on the whole order may be on none of its lines: then it is in total_discounts,
        # as a discount on shipping is, and has lowered the subtotal, which shipping does not.
        priced = order[f"{OURS}asked"] - order[f"{OURS}less"]
        whole = _cost(order, "total_discounts") - order[f"{OURS}less"]
        whole = ibis.least(whole, (priced - subtotal).fill_null(whole))
        off = off + ibis.greatest(whole, 0.0)
    gross = ibis.ifelse(has_lines, worth, subtotal)
    off = ibis.ifelse(has_lines, off, 0.0)
    parts = {"gross_amount": gross, "discount_amount": off, "refund_amount": refund}
    parts["net_amount"] = gross - off - refund
    return order.mutate(**{OURS + name: value * untaxed for name, value in parts.items()})


def _shared_out(lines: ir.Table, refunds: ir.Table | None, order: ir.Table) -> ir.Table:
    """Return the goods' lines, of which each bears its part of what is taken off the whole order."""
    gross = order[f"{OURS}gross_amount"]
    before = order.mutate(before=gross - order[f"{OURS}discount_amount"], untaxed=_untaxed(order))
    by_order = before.group_by(order_key=f"{OURS}key").aggregate(
        before=before.before.max(), untaxed=before.untaxed.max()
    )
    goods = lines.filter(~lines.is_gift).join(by_order, "order_key")
    left = (goods.worth - goods.off) * goods.untaxed
    of_all = left.sum().over(group_by=goods.order_key)
    goods = goods.mutate(
        left=ibis.ifelse(of_all == 0, left, left * goods.before / of_all.nullif(0))
    )
    back: ir.Value = ibis.literal(0.0)
    if refunds is not None:
        by_line = refunds.group_by("line_key").aggregate(back=refunds.back.sum())
        goods = goods.left_join(by_line, "line_key").drop("line_key_right")
        back = goods.back.fill_null(0.0) * goods.untaxed
    return goods.select(
        "product_id",
        "product_name",
        "quantity",
        order_id="order_key",
        net_amount=(goods.left - back).round(4),
    )


def _void(rows: ir.Table, known_by: date, source: OrderSource) -> ir.Column:
    """Name the rule by which an order is no purchase, as known at the end of a day."""
    mapped = [source.columns["status"]] if "status" in source.columns else []
    names = [n for n in (*mapped, *TEXTS["status"]) if n in rows.columns]
    status = ibis.coalesce(*(plain_status(rows[n]) for n in names), ibis.null("string"))
    by_status = void_by_status(status, STATUSES, source, unknown=UNKNOWN)
    called_off = [n for n in ("cancelled_timestamp", "cancelled_at") if n in rows.columns]
    canceled_on = ibis.coalesce(*(_day(rows[n]) for n in called_off), ibis.null("date"))
    is_canceled = ibis.coalesce(
        *(clean_text(rows[n]) for n in called_off), ibis.null("string")
    ).notnull()
    refunded_on = _added(rows, "refunded_on", "date")
    by_then, today = ibis.literal(True), ibis.date(known_by)
    return ibis.cases(
        (_is(rows, "_fivetran_deleted", "is_deleted"), "deleted"),
        (_is(rows, "test", "is_test_order"), "test_order"),
        (by_status == "unpaid", "unpaid"),
        ((canceled_on <= today).fill_null(is_canceled | (status == "voided")), "canceled"),
        (by_status.notnull(), by_status),
        ((status == "refunded") & (refunded_on <= today).fill_null(by_then), "refunded_in_full"),
        (
            _added(rows, "lines", "int64").notnull() & _added(rows, "goods", "int64").isnull(),
            "gift_card_only",
        ),
        else_=ibis.null("string"),
    )


def _with(order: ir.Table, of_orders: ir.Table, **sums: ir.Value) -> ir.Table:
    """Add sums over the rows of each order."""
    named = of_orders.group_by("order_key").aggregate(**{OURS + n: s for n, s in sums.items()})
    return order.left_join(named, order[f"{OURS}key"] == named.order_key).drop("order_key")


def _added(rows: ir.Table, name: str, kind: str) -> ir.Column:
    return rows[OURS + name] if OURS + name in rows.columns else ibis.null(kind)


def _there(table: ir.Table) -> ir.Table:
    """Leave out rows that are gone from the shop."""
    return table.filter(~_is(table, "_fivetran_deleted"))


def _untaxed(order: ir.Table) -> ir.Column:
    """Return what is left of an amount without tax: prices include it in some shops."""
    included = _is(order, "taxes_included", "has_taxes_included")
    share = _number(order, "total_tax") / _number(order, "total_price").nullif(0)
    return ibis.ifelse(included, 1 - share.fill_null(0.0), 1.0)


def _sum(column: ir.Column) -> ir.Column:
    """Sum amounts; null where one of them cannot be read."""
    return ibis.ifelse(column.isnull().any(), ibis.null("float64"), column.sum())


def _number(table: ir.Table, *names: str) -> ir.Column:
    """Read the first of some amounts that is there; null where there is none, or no number."""
    forms = [name + end for name in names for end in ("", "_set_shop_amount", "_shop_amount")]
    read = [clean_text(table[name]).try_cast("float64") for name in forms if name in table.columns]
    return ibis.coalesce(*read, ibis.null("float64"))


def _cost(table: ir.Table, name: str) -> ir.Column:
    """Read what is taken off an amount; nothing where it is empty."""
    forms = [name + end for end in ("", "_set_shop_amount", "_shop_amount")]
    texts = [clean_text(table[form]) for form in forms if form in table.columns]
    is_empty = ibis.coalesce(*texts, ibis.null("string")).isnull()
    return ibis.ifelse(is_empty, 0.0, _number(table, name))


def _is(table: ir.Table, *names: str) -> ir.Column:
    """Read whether something is so, of any type; it is not where it is not said."""
    texts = [clean_text(table[name]).lower() for name in names if name in table.columns]
    return ibis.coalesce(*texts, "false").isin(("true", "t", "1", "yes"))


def _key(column: ir.Column) -> ir.Column:
    """Read an id: the same whether it is a number in one table and a text in another."""
    whole = column.try_cast("int64") if column.type().is_floating() else column
    return clean_text(whole).re_replace(r"^(\d+)\.0+$", r"\1")


def _moment(column: ir.Column) -> ir.Column:
    """Read a time; one without a zone is UTC, in which Fivetran writes."""
    kind = column.type()
    if kind.is_timestamp() and kind.timezone:
        return column.cast("timestamp('UTC')")
    text = clean_text(column)
    text = ibis.ifelse(text.re_search(r"^\d{4}-\d{2}-\d{2}[T ]"), text, ibis.null("string"))
    return ibis.ifelse(text.re_search(NO_ZONE), text + "Z", text).try_cast("timestamp('UTC')")


def _day(column: ir.Column) -> ir.Column:
    """Return the day of a time in the store's zone, which is the engine's."""
    return _moment(column).cast("date")


def _refund_day(refund: ir.Table) -> ir.Column:
    days = [
        _day(refund[name]) for name in ("created_at", "processed_at") if name in refund.columns
    ]
    return ibis.coalesce(*days, ibis.null("date"))


def _check_columns(table: ir.Table, *names: str) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise PresetError(
            f"Fivetran's tables have their own columns: one has no {', '.join(missing)}, only "
            f"{shown_headings([n for n in table.columns if n != FILE_COLUMN])}. Copy it as it is, or mend "
            "orders.columns"
        )


def _is_model(names: tuple[str, ...]) -> bool:
    return "is_test_order" in names and "created_timestamp" in names and bool({*MODEL} & {*names})


def _recognize(columns: Mapping[str, tuple[str, ...]]) -> bool:
    """Tell Fivetran's `order`, or dbt_shopify's orders in its place."""
    names = columns.get("order", ())
    is_loaded = {"_fivetran_deleted", "_fivetran_synced"} & {*names}
    return _is_model(names) or bool(is_loaded and {"id", "created_at"} <= {*names})


def _recognize_model(columns: Mapping[str, tuple[str, ...]]) -> bool:
    return len(columns) == 1 and "order" not in columns and _is_model(*columns.values())


def _amounts(names: Sequence[str]) -> list[str]:
    ends = ("", "_set_shop_amount", "_shop_amount")
    wanted = {name + end for name in AMOUNTS for end in ends}
    return [name for name in names if name in wanted]


def _moments(names: Sequence[str]) -> list[str]:
    return [name for name in names if name in MOMENTS]


FIVETRAN = Preset(
    "fivetran", read, _recognize, TABLES, amounts=_amounts, moments=_moments, people=PEOPLE
)
DBT_SHOPIFY = Preset(
    "dbt_shopify", read, _recognize_model, amounts=_amounts, moments=_moments, people=PEOPLE
)
