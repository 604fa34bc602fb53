"""Stripe's payments export: a row per charge, in UTC, with totals only."""

from collections.abc import Iterable, Mapping
from datetime import date

import ibis
import ibis.expr.types as ir

from connectors.engine import FILE_COLUMN, Engine
from connectors.order_source import OrderSource
from connectors.presets.preset import OURS, Preset, PresetError, SourceRows, Tables, is_older
from connectors.texts import clean_text, trim

HEADERS = {  # ours: theirs, in all versions of the export; punctuation and case aside
    "id": ("id",),
    "created": ("Created (UTC)", "Created date (UTC)"),
    "amount": ("Amount",),
    "refunded": ("Amount Refunded",),
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
}
REQUIRED = ("id", "created", "amount", "refunded", "currency", "status")
MONEY = ("amount", "refunded", "converted", "converted_refunded", "tax")
PAID = (
    "paid",
    "succeeded",
    "refunded",
    "partially refunded",
    "partially_refunded",
    "partial refund",
)
DECIMAL_COMMA = r"^-?(\d{1,3}(\.\d{3})+|\d+)(,\d{1,2})?$"  # 1.234,56 and 12,50 and 7
RENEWALS = 0.2  # share of the paid charges from which on a history is one of subscriptions
NOTES = (
    "Stripe knows totals only: shipping, tips and gift cards cannot be told from goods, and count",
    "Stripe's refunds have no day: they lower their order's value whenever they were made",
)


def read(engine: Engine, tables: Tables, source: OrderSource, as_of: date) -> SourceRows:
    """Read Stripe's payments; charges of one payment, or of one invoice, are one order."""
    mapping = source.columns
    del as_of  # neither charges nor refunds change on a day that the export tells
    (rows,) = tables.values()
    has = _find(rows.columns)
    _check_columns(has, mapping, rows)
    rows = engine.view(_with_texts(rows, has), "texts")
    texts = {ours: rows[OURS + ours] for ours in HEADERS}
    status, captured = texts["status"].lower(), texts["captured"].lower()
    is_test = (texts["mode"].lower() == "test").fill_null(False)
    is_paid = status.isin(PAID).fill_null(False) & (captured != "false").fill_null(True)
    pays_contract = texts["description"].lower().startswith("subscription").fill_null(False)
    pays_contract = pays_contract | texts["invoice"].notnull()
    facts = _look(rows, has, is_paid & ~is_test, pays_contract)
    values = _values(texts, facts) | {"is_test": is_test, "is_paid": is_paid, "state": status}
    rows = engine.view(rows.mutate(**{OURS + n: value for n, value in values.items()}), "values")
    texts = {ours: rows[OURS + ours] for ours in HEADERS}
    is_test, is_paid, status = (rows[OURS + name] for name in ("is_test", "is_paid", "state"))
    amount, refunded, goods = (rows[OURS + name] for name in ("value", "back", "goods"))
    # A refund gives back goods and their tax in the same proportion.
    kept = ibis.ifelse(amount == 0, 1.0, 1 - refunded / amount.nullif(0))
    is_whole = ((refunded >= amount) & (amount > 0)) | ((status == "refunded") & (refunded == 0))
    net = (goods * kept).round(2)
    columns = {
        "order_id": ibis.coalesce(texts["payment_intent"], texts["invoice"], texts["id"]),
        "ordered_at": _utc(rows[has["created"]]),
        "net_amount": net,
        "refund_amount": goods - net,
        "currency": rows[f"{OURS}money"],
        "void": ibis.cases(
            (is_test, "test_order"),
            (~is_paid, "unpaid"),
            (is_whole, "refunded_in_full"),
            else_=ibis.null("string"),
        ),
    }
    newest_first = [ibis.desc(refunded.fill_null(0)), ibis.desc(is_paid)]
    columns["is_older"] = is_older(rows, texts["id"], newest_first)
    columns |= {who: rows[has[who]] for who in ("customer_id", "email") if who in has}
    columns |= {ours: rows[theirs] for ours, theirs in mapping.items()}
    return SourceRows(
        rows, columns, of_lines=True, found=_words(has) | dict(mapping), notes=_notes(facts)
    )


def _with_texts(rows: ir.Table, has: Mapping[str, str]) -> ir.Table:
    """Add their columns under our names as text, blank = null."""
    texts = {OURS + ours: ibis.null("string") for ours in HEADERS}
    texts |= {OURS + ours: clean_text(rows[theirs]) for ours, theirs in has.items()}
    return rows.mutate(**texts)


def _values(texts: Mapping[str, ir.Column], facts: Mapping[str, int]) -> dict[str, ir.Column]:
    """Return what was paid (``value``), given ``back``, and paid for ``goods``, in which ``money``."""
    amounts = {
        name: _amount(texts[name], with_comma=bool(facts.get(name)), may_be_empty=name != "amount")
        for name in MONEY
    }
    # Converted amounts are in the store's currency, and so is the tax beside them.
    is_converted = texts["converted"].notnull() & texts["converted_currency"].notnull()
    amount = ibis.ifelse(is_converted, amounts["converted"], amounts["amount"])
    return {
        "value": amount,
        "back": ibis.ifelse(is_converted, amounts["converted_refunded"], amounts["refunded"]),
        "goods": amount - amounts["tax"],
        "money": ibis.ifelse(is_converted, texts["converted_currency"], texts["currency"]),
    }


def _find(names: Iterable[str]) -> dict[str, str]:
    """Return ``{ours: theirs}`` of the columns that an export has."""
    plain = {_plain(name): name for name in names if name != FILE_COLUMN}
    found = {
        ours: [plain[_plain(name)] for name in headers if _plain(name) in plain]
        for ours, headers in HEADERS.items()
    }
    return {ours: theirs[0] for ours, theirs in found.items() if theirs}


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _check_columns(has: Mapping[str, str], mapping: Mapping[str, str], rows: ir.Table) -> None:
    missing = [HEADERS[name][0] for name in REQUIRED if name not in has]
    missing += [theirs for theirs in mapping.values() if theirs not in rows.columns]
    if missing:
        raise PresetError(
            f"a payments export of Stripe has all its columns: this one has no {', '.join(missing)}. "
            "Export it again from Payments > Export with all columns, or mend orders.columns"
        )
    if not {"customer_id", "email"} & {*has, *mapping}:
        raise PresetError(
            "orders need a customer: the export has neither Customer ID nor Customer Email. Export "
            "it again from Payments > Export with all columns, or set orders.columns.email"
        )


def _look(
    rows: ir.Table, has: Mapping[str, str], counts: ir.Column, pays_contract: ir.Column
) -> Mapping[str, int]:
    """Tell what only the whole export says, and refuse one of subscriptions.

    Returns
    -------
    Mapping
        For each of :data:`MONEY`, whether its amounts have a decimal comma; ``paid``, live charges
        that were; ``contract``, those among them that pay an invoice or renew a subscription.

    Raises
    ------
    PresetError
        More than a fifth of the paid charges belong to a contract.
    """
    commas = {}
    for name in has.keys() & MONEY:
        text = rows[OURS + name]
        # One comma in a column tells, if no amount contradicts it: 1.234 alone may be either.
        commas[name] = text.re_search(DECIMAL_COMMA).all() & text.contains(",").any()
    paid, contract = (is_one.sum() for is_one in (counts, counts & pays_contract))
    looked = rows.aggregate(paid=paid, contract=contract, **commas).to_pyarrow().to_pylist()[0]
    facts = {name: int(value or 0) for name, value in looked.items()}
    if facts["contract"] > RENEWALS * facts["paid"]:
        raise PresetError(
            "purchase models are for customers who may come back or not: "
            f"{facts['contract']:,} of {facts['paid']:,} paid charges renew a subscription or pay an "
            "invoice, and a contract ends by cancellation. Export one-time payments only"
        )
    return facts


def _notes(facts: Mapping[str, int]) -> tuple[str, ...]:
    if not facts["contract"]:
        return NOTES
    some = f"{facts['contract']:,} of {facts['paid']:,} paid charges"
    return (*NOTES, f"{some} renew a subscription or pay an invoice, and count as purchases")


def _amount(text: ir.Column, *, with_comma: bool, may_be_empty: bool) -> ir.Column:
    """Read an amount; null where it is no number."""
    plain = text.replace(".", "").replace(",", ".") if with_comma else text
    number = plain.try_cast("float64")
    return ibis.ifelse(text.isnull(), 0.0, number) if may_be_empty else number


def _utc(column: ir.Column) -> ir.Column:
    """Mark a time as UTC, which the export's times are without saying so."""
    kind = column.type()
    if kind.is_timestamp() and kind.timezone:
        return column
    return trim(column).re_replace(r"\s*(Z|UTC)$", "") + "Z"


def _words(has: Mapping[str, str]) -> dict[str, str]:
    names = {
        "order_id": ("payment_intent", "invoice", "id"),
        "ordered_at": ("created",),
        "net_amount": ("converted", "amount", "converted_refunded", "refunded", "tax"),
        "currency": ("converted_currency", "currency"),
        "customer_id": ("customer_id",),
        "email": ("email",),
        "void": ("mode", "status", "captured"),
    }
    found = {ours: ", ".join(has[n] for n in theirs if n in has) for ours, theirs in names.items()}
    return {ours: theirs for ours, theirs in found.items() if theirs}


def _recognize(columns: Mapping[str, tuple[str, ...]]) -> bool:
    return len(columns) == 1 and set(REQUIRED) <= set(_find(*columns.values()))


STRIPE = Preset("stripe", read, _recognize)
