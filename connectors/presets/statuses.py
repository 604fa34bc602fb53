"""Order statuses: which mean a purchase, which do not, and which nobody has named."""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from connectors.order_source import OrderSource
from connectors.texts import clean_text

UNKNOWN = "unknown_status"
SHOPIFY: Mapping[str, str | None] = {  # OrderDisplayFinancialStatus, and Squarespace's
    "paid": None,
    "partially_paid": None,
    "partially_refunded": None,
    "refunded": None,
    "voided": "canceled",
    "canceled": "canceled",
    "cancelled": "canceled",
    "pending": "unpaid",
    "authorized": "unpaid",
    "expired": "unpaid",
    "unpaid": "unpaid",
}

# Words of any shop's statuses, without accents.
PAID = frozenset((
    "paid", "complete", "completed", "processing", "shipped", "delivered", "fulfilled", "succeeded",
    "success", "successful", "captured", "settled", "approved", "partially_refunded",
    "partially_paid", "partially_shipped", "partial_refund", "invoiced", "dispatched", "ready",
    "bezahlt", "abgeschlossen", "versendet", "payee", "paye", "expediee", "livree", "livre",
    "expedie", "termine", "terminee", "pagado", "pagada", "enviado", "entregado", "completado",
    "betaald", "pagato", "spedito", "pago", "concluido",
))  # fmt: skip
VOID = frozenset((
    "canceled", "cancelled", "cancel", "voided", "void", "refunded", "fully_refunded", "refund",
    "failed", "failure", "declined", "rejected", "pending", "pending_payment", "awaiting_payment",
    "unpaid", "not_paid", "expired", "on_hold", "draft", "trash", "deleted", "abandoned",
    "incomplete", "authorized", "chargeback", "storniert", "abgebrochen", "erstattet", "offen",
    "unbezahlt", "annulee", "annule", "remboursee", "rembourse", "en_attente", "cancelado",
    "cancelada", "reembolsado", "pendiente", "geannuleerd", "annullato", "rimborsato",
))  # fmt: skip


def plain_status(text: ir.Value) -> ir.Value:
    """Return a status in lower case, its words joined by underscores; null where there is none.

    ``"wc-On Hold"`` is ``on_hold``, as in WooCommerce's database and API alike.
    """
    low = clean_text(text).lower()
    return low.re_replace(r"^wc-", "").re_replace(r"[ _\-]+", "_")


def void_by_status(
    status: ir.Value, rules: Mapping[str, str | None], source: OrderSource, *, unknown: str | None
) -> ir.Value:
    """Name the rule by which an order's status makes it no purchase; null = it is one.

    Parameters
    ----------
    status
        As :func:`plain_status` returns it.
    rules
        The platform's own statuses, each with the rule it breaks; None = it is a purchase.
    source
        Its ``paid_statuses`` and ``void_statuses`` go before `rules`.
    unknown
        The rule of a status that is in none of these; None = it is a purchase.
    """
    own: dict[str, str | None] = {plain_word(word): "unpaid" for word in source.void_statuses}
    own |= {plain_word(word): None for word in source.paid_statuses}
    words: dict[str | None, list[str]] = {}
    for word, rule in {**rules, **own}.items():
        words.setdefault(rule, []).append(word)
    cases = [
        (status.isin(of_rule), ibis.null("string") if rule is None else ibis.literal(rule))
        for rule, of_rule in words.items()
    ]
    otherwise = ibis.null("string") if unknown is None else ibis.literal(unknown)
    # An empty status says nothing: the order's amounts decide.
    return ibis.cases((status.isnull(), ibis.null("string")), *cases, else_=otherwise)


def plain_word(word: str) -> str:
    """Return a status of the settings as :func:`plain_status` returns those of a source."""
    return "_".join(
        word.strip().lower().removeprefix("wc-").replace("-", " ").replace("_", " ").split()
    )
