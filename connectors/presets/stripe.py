"""Stripe's payments export: a row per charge, in UTC, with what was refunded and disputed of it."""

from collections.abc import Mapping
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
    theirs_of,
    united,
)
from connectors.presets.preset import OURS, Preset, PresetError, SourceRows, Tables, is_older
from connectors.presets.statuses import UNKNOWN, plain_status, void_by_status
from connectors.texts import clean_text, trim

HEADINGS: Headings = {  # ours: theirs, in all versions of the export; punctuation and case aside
    "order_id": ("id",),
    "ordered_at": ("Created (UTC)", "Created date (UTC)"),
    "amount": ("Amount",),
    "refunded": ("Amount Refunded",),
    "refunded_at": ("Refunded date (UTC)", "Refunded (UTC)"),
    "disputed": ("Disputed Amount",),
    "disputed_at": ("Dispute Date (UTC)", "Disputed date (UTC)"),
    "dispute_status": ("Dispute Status",),
    "currency": ("Currency",),
    "converted": ("Converted Amount",),
    "converted_refunded": ("Converted Amount Refunded",),
    "converted_currency": ("Converted Currency",),
    "tax": ("Tax",),
    "mode": ("Mode",),
    "status": ("Status",),
    "captured": ("Captured",),
    "description": ("Description",),
    "customer_id": ("Customer ID",),
    "email": ("Customer Email",),
    "payment_intent": ("PaymentIntent ID",),
    "invoice": ("Invoice ID",),
    "name": ("Card Name",),
    "postal_code": ("Card Address Zip",),
}
REQUIRED = ("order_id", "ordered_at", "amount", "refunded", "currency", "status")
MONEY = ("amount", "refunded", "converted", "converted_refunded", "tax", "disputed")
MOMENTS = ("ordered_at", "refunded_at", "disputed_at")
STATUSES: Mapping[str, str | None] = {  # of charges, of payment intents, and the dashboard's words
    **dict.fromkeys(("paid", "succeeded", "refunded", "disputed", "dispute_lost", "dispute_won")),
    **dict.fromkeys(("partially_refunded", "partial_refund", "early_fraud_warning", "inquiry")),
    **dict.fromkeys(("needs_response", "under_review")),
    **dict.fromkeys(("failed", "pending", "processing", "incomplete", "blocked"), "unpaid"),
    **dict.fromkeys(("uncaptured", "requires_capture", "requires_action", "unpaid"), "unpaid"),
    **dict.fromkeys(("requires_payment_method", "requires_confirmation", "expired"), "unpaid"),
    **dict.fromkeys(("canceled", "cancelled"), "canceled"),
}
TAKEN = ("lost", "prevented")  # disputes after which the customer has the money
HAS_OFFSET = r"[T ]\d{1,2}:\d{2}.*[+-]\d{2}(:?\d{2})?$"
TOTALS = "Stripe's payments are totals: shipping, tips and gift cards sold are not listed apart and count"
NO_DAYS = (
    "refunds have no day in this export: they lower their order's value from its own day on. Export the "
    "column 'Refunded date (UTC)', or set orders.columns.refunded_at"
)
CURRENCIES = "payments in another currency are not converted to the store's"
WITHOUT = {  # a column that is missing: what follows
    "tax": "amounts include tax",
    "mode": "test payments count",
    "dispute_status": "lost disputes count as revenue",
    "payment_intent": "charges of one payment count as an order each",
    "converted": CURRENCIES,
    "converted_currency": CURRENCIES,
    "captured": "payments that were authorized and never taken may count",
    "customer_id": UNMATCHED,
    "email": UNMATCHED,
}

AT, WORD = f"{OURS}at_", f"{OURS}word_"  # moments, and statuses to compare


def read(engine: Engine, tables: Tables, source: OrderSource, as_of: date) -> SourceRows:
    """Read Stripe's payments; charges of one payment, or of one invoice, are one order."""
    (rows,) = tables.values()
    rows, of_years = united(rows, HEADINGS, source.columns)
    names = [name for name in rows.columns if name != FILE_COLUMN]
    has = find_headings(names, HEADINGS, source.columns)
    own = {ours: theirs for ours, theirs in source.columns.items() if ours not in HEADINGS}
    _check_columns(has, own, source, names)
    # Each step is a view of its own: what is read of a text is not spelled out again in the next.
    rows = engine.view(_with_texts(rows, has), "texts")
    rows = engine.view(_with_moments(engine, rows, has), "moments")
    texts = {ours: rows[OURS + ours] for ours in HEADINGS}
    values = _values(texts) | {
        "is_test": (texts["mode"].lower() == "test").fill_null(False),
        "by_status": _by_status(rows, texts, source),
        "is_refund_near": _is_by(engine, rows, "refunded_at", as_of),
        "is_dispute_near": _is_by(engine, rows, "disputed_at", as_of),
    }
    rows = engine.view(rows.mutate(**{OURS + n: value for n, value in values.items()}), "values")
    texts = {ours: rows[OURS + ours] for ours in HEADINGS}
    by_status, back, goods = (rows[OURS + name] for name in ("by_status", "back", "goods"))
    gone = _gone(rows)
    net = (goods * (1 - gone)).round(2)
    is_whole = (gone >= 1) & (rows[f"{OURS}value"] > 0)
    columns = {
        "order_id": ibis.coalesce(texts["payment_intent"], texts["invoice"], texts["order_id"]),
        "ordered_at": _utc(rows[has["ordered_at"]]),
        "net_amount": net,
        "refund_amount": goods - net,
        "currency": rows[f"{OURS}money"],
        "status": texts["status"],
        "is_renewal": _renews(texts["description"]),
        "void": ibis.cases(
            (rows[f"{OURS}is_test"], "test_order"),
            (by_status.notnull(), by_status),
            (is_whole, "refunded_in_full"),
            else_=ibis.null("string"),
        ),
        "is_older": is_older(
            rows, texts["order_id"], [ibis.desc(back.fill_null(0)), ibis.desc(by_status.isnull())]
        ),
    }
    of_whom = ("customer_id", "email", "name", "postal_code")
    columns |= {who: rows[has[who]] for who in of_whom if who in has}
    columns |= {ours: rows[theirs] for ours, theirs in own.items()}
    return SourceRows(
        rows, columns, of_lines=True, headings=_words(has | of_years) | own, notes=_notes(has)
    )


def _with_texts(rows: ir.Table, has: Mapping[str, str]) -> ir.Table:
    """Add their columns under our names as text, blank = null."""
    texts = {OURS + ours: ibis.null("string") for ours in HEADINGS}
    texts |= {OURS + ours: clean_text(rows[theirs]) for ours, theirs in has.items()}
    return rows.mutate(**texts)


def _by_status(rows: ir.Table, texts: Mapping[str, ir.Column], source: OrderSource) -> ir.Value:
    """Name the rule by which a charge's status makes it no purchase; only a captured one is paid."""
    rule = void_by_status(rows[f"{WORD}status"], STATUSES, source, unknown=UNKNOWN)
    is_open = texts["status"].isnull() | (texts["captured"].lower() == "false").fill_null(False)
    return ibis.coalesce(rule, ibis.ifelse(is_open, "unpaid", ibis.null("string")))


def _renews(description: ir.Value) -> ir.Value:
    """Tell payments that renew a subscription: ``Subscription creation`` starts one."""
    low = description.lower().fill_null("")
    return low.startswith("subscription") & ~low.startswith("subscription creation")


def _values(texts: Mapping[str, ir.Column]) -> dict[str, ir.Column]:
    """Return what was paid (``value``), given ``back``, and paid for ``goods``, in which ``money``.

    ``disputed`` is the share of the charge that a dispute is about: its amount is in the charge's
    currency.
    """
    amounts = {name: _amount(texts[name], may_be_empty=name != "amount") for name in MONEY}
    # Converted amounts are in the store's currency, and so is the tax beside them.
    is_converted = texts["converted"].notnull() & texts["converted_currency"].notnull()
    amount = ibis.ifelse(is_converted, amounts["converted"], amounts["amount"])
    rate = amounts["converted"] / amounts["amount"].nullif(0)
    no_share = texts["converted_refunded"].isnull()
    converted = ibis.ifelse(no_share, amounts["refunded"] * rate, amounts["converted_refunded"])
    of_charge = (amounts["disputed"].abs() / amounts["amount"].nullif(0)).fill_null(1.0)
    return {
        "value": amount,
        "back": ibis.ifelse(is_converted, converted, amounts["refunded"]),
        "goods": amount - amounts["tax"],
        "money": ibis.ifelse(is_converted, texts["converted_currency"], texts["currency"]),
        "disputed": ibis.ifelse(texts["disputed"].isnull(), 1.0, of_charge),
    }


def _gone(rows: ir.Table) -> ir.Value:
    """Return the share of a charge that the customer has back, as known on the day.

    Goods and their tax are given back in the same proportion.
    """
    amount, back = rows[f"{OURS}value"], rows[f"{OURS}back"]
    refunded = ibis.ifelse(amount == 0, 0.0, back / amount.nullif(0))
    says_whole = rows[f"{WORD}status"] == "refunded"
    refunded = ibis.ifelse((says_whole & (back == 0)).fill_null(False), 1.0, refunded)
    is_taken = rows[f"{WORD}dispute_status"].isin(TAKEN).fill_null(False)
    disputed = ibis.ifelse(is_taken & rows[f"{OURS}is_dispute_near"], rows[f"{OURS}disputed"], 0.0)
    of_refunds = ibis.ifelse(rows[f"{OURS}is_refund_near"], refunded, refunded * 0.0)
    return ibis.ifelse(of_refunds + disputed >= 1, 1.0, of_refunds + disputed)


def _with_moments(engine: Engine, rows: ir.Table, has: Mapping[str, str]) -> ir.Table:
    """Add when things happened, and the statuses as words to compare."""
    moments = {
        f"{AT}{ours}": engine.moment(_utc(rows[has[ours]]))
        for ours in ("refunded_at", "disputed_at")
        if ours in has
    }
    words = {f"{WORD}{n}": plain_status(rows[OURS + n]) for n in ("status", "dispute_status")}
    return rows.mutate(**moments, **words)


def _is_by(engine: Engine, rows: ir.Table, ours: str, as_of: date) -> ir.Value:
    """Tell what had happened by the end of a day; what has no day had."""
    if f"{AT}{ours}" not in rows.columns:
        return ibis.literal(True)
    return ~engine.is_after(rows[f"{AT}{ours}"], as_of).fill_null(False)


def _check_columns(
    has: Mapping[str, str], own: Mapping[str, str], source: OrderSource, names: list[str]
) -> None:
    wanted = {name: HEADINGS[name][0] for name in REQUIRED if name not in has}
    wanted |= {ours: theirs for ours, theirs in own.items() if theirs not in names}
    wanted |= {n: source.columns[n] for n in HEADINGS if n in source.columns and n not in has}
    if wanted:
        missing = "; ".join(missing_column(ours, theirs, names) for ours, theirs in wanted.items())
        raise PresetError(
            f"Stripe's payments export: {missing}. Or export it again from Payments > Export with "
            "all columns"
        )
    if not {"customer_id", "email"} & {*has, *own}:
        raise PresetError(
            "orders need a customer: the export has neither Customer ID nor Customer Email. Export "
            "it again from Payments > Export with all columns, or set orders.columns.email"
        )


def _notes(has: Mapping[str, str]) -> tuple[str, ...]:
    """Say what the export lacks, and how to add it."""
    missing = [
        lacking_column(ours, HEADINGS[ours][0], so)
        for ours, so in WITHOUT.items()
        if ours not in has
    ]
    return (TOTALS, *([] if "refunded_at" in has else [NO_DAYS]), *missing)


def _amount(text: ir.Column, *, may_be_empty: bool) -> ir.Column:
    """Read an amount; null where it is no number."""
    number = text.try_cast("float64")
    return ibis.ifelse(text.isnull(), 0.0, number) if may_be_empty else number


def _utc(column: ir.Column) -> ir.Column:
    """Mark a time as UTC, which the export's times are without naming it."""
    kind = column.type()
    if kind.is_timestamp() and kind.timezone:
        return column
    text = trim(column).re_replace(r"\s*(Z|UTC)$", "")
    text = ibis.ifelse(text.re_search(r"^\d{4}-\d{2}-\d{2}$"), text + " 00:00", text)
    return ibis.ifelse(text.re_search(HAS_OFFSET), text, text + "Z")


def _words(has: Mapping[str, str]) -> dict[str, str]:
    names = {
        "order_id": ("payment_intent", "invoice", "order_id"),
        "ordered_at": ("ordered_at",),
        "net_amount": ("converted", "amount", "converted_refunded", "refunded", "tax", "disputed"),
        "currency": ("converted_currency", "currency"),
        "customer_id": ("customer_id",),
        "email": ("email",),
        "status": ("status",),
        "void": ("mode", "status", "captured", "dispute_status"),
        "is_renewal": ("description",),
    }
    columns = {
        ours: ", ".join(has[n] for n in theirs if n in has) for ours, theirs in names.items()
    }
    return {ours: theirs for ours, theirs in columns.items() if theirs}


def _recognize(columns: Mapping[str, tuple[str, ...]]) -> bool:
    if len(columns) != 1:
        return False
    (names,) = columns.values()
    return set(REQUIRED) <= set(find_headings(names, HEADINGS))


STRIPE = Preset(
    "stripe",
    read,
    _recognize,
    amounts=theirs_of(HEADINGS, MONEY),
    moments=theirs_of(HEADINGS, MOMENTS),
    people=(*HEADINGS["customer_id"], *HEADINGS["email"], "Customer Phone"),
)
