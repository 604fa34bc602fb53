"""What the lines and refunds of an order are worth: goods, after discounts, without tax, in the shop's currency.

::

    now    = priceAfterAllDiscountsBeforeTaxesSet, of the units that are neither refunded nor edited out
    back   = each refund line's subtotal, without its tax where prices include it
    net    = now + all that is given back of it later
    gross  = the list price of the units that were not edited out, without tax
    discount = gross - net

Whether a refund line's subtotal includes the tax that its price includes is not documented. Refunds that gave
back money for units alone show it: what they gave back is known.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from connectors.live.errors import UnexpectedAnswerError
from connectors.live.records import JsonObject

NOTHING, CENT = Decimal(0), Decimal("0.01")
VOTES = 200  # refunds that decide whether subtotals include tax


@dataclass(frozen=True)
class LineWorth:
    """What an order line is worth before refunds.

    Attributes
    ----------
    units
        Ordered, without those that were edited out.
    gross, discount
        Without tax.
    """

    units: int
    gross: Decimal
    discount: Decimal

    @property
    def net(self) -> Decimal:
        """After discounts, before refunds."""
        return self.gross - self.discount


@dataclass(frozen=True)
class RefundLineWorth:
    """What a refund gave back of a line.

    Attributes
    ----------
    id, refund, line
        Ids.
    units
        Given back.
    net
        Without tax.
    """

    id: str
    refund: str
    line: str
    units: int
    net: Decimal


def shop_amount(bag: JsonObject | None) -> Decimal:
    """Return an amount in the shop's currency; 0 where there is none."""
    if bag is None:
        return NOTHING
    try:
        return Decimal(bag["shopMoney"]["amount"])
    except (KeyError, TypeError, InvalidOperation):
        raise UnexpectedAnswerError("An amount of a Shopify order cannot be read") from None


def refund_lines(order: JsonObject, *, includes_tax: bool) -> Iterator[RefundLineWorth]:
    """Yield what was given back of an order's lines.

    Parameters
    ----------
    order
        The payload.
    includes_tax
        Whether a refund line's subtotal includes tax where prices do.
    """
    less_tax = includes_tax and order["taxesIncluded"]
    for refund in order["refunds"]:
        for place, one in enumerate(refund["refundLineItems"]["nodes"]):
            tax = shop_amount(one["totalTaxSet"]) if less_tax else NOTHING
            yield RefundLineWorth(
                id=one["id"] or f"{refund['id']}/{place}",
                refund=refund["id"],
                line=one["lineItem"]["id"],
                units=one["quantity"],
                net=shop_amount(one["subtotalSet"]) - tax,
            )


def line_worth(
    line: JsonObject, back: Iterable[RefundLineWorth], *, taxes_included: bool
) -> LineWorth:
    """Return what a line is worth before the refunds of it."""
    refunded = list(back)
    net = shop_amount(line["priceAfterAllDiscountsBeforeTaxesSet"])
    net += sum((one.net for one in refunded), NOTHING)
    units = line["currentQuantity"] + sum(one.units for one in refunded)
    units = min(max(units, 0), line["quantity"])
    off = sum(
        (shop_amount(one["allocatedAmountSet"]) for one in line["discountAllocations"]), NOTHING
    )
    if not off or not units:
        return LineWorth(units, net, NOTHING)
    gross = shop_amount(line["originalUnitPriceSet"]) * units
    if taxes_included:
        gross *= _untaxed_share(line, off)
    return LineWorth(units, gross, gross - net)


def subtotals_include_tax(orders: Iterable[JsonObject], votes: int = VOTES) -> bool:
    """Tell from refunds of units alone whether a refund line's subtotal includes tax; yes where none shows it."""
    including = excluding = 0
    for order in orders:
        if not order["taxesIncluded"]:
            continue
        for refund in order["refunds"]:
            vote = _vote(refund)
            including += vote is True
            excluding += vote is False
        if including + excluding >= votes:
            break
    return including >= excluding


def _vote(refund: JsonObject) -> bool | None:
    """Return whether a refund's subtotals include tax; None where it does not show."""
    if refund["orderAdjustments"]["nodes"] or refund["refundShippingLines"]["nodes"]:
        return None
    lines = refund["refundLineItems"]["nodes"]
    subtotal = sum((shop_amount(one["subtotalSet"]) for one in lines), NOTHING)
    tax = sum((shop_amount(one["totalTaxSet"]) for one in lines), NOTHING)
    money = shop_amount(refund["totalRefundedSet"])
    if not money or tax <= 2 * CENT:
        return None
    fits, fits_with_tax = abs(money - subtotal) <= CENT, abs(money - subtotal - tax) <= CENT
    return None if fits == fits_with_tax else fits


def _untaxed_share(line: JsonObject, off: Decimal) -> Decimal:
    """Return what is left of a line's price without the tax in it."""
    price = shop_amount(line["originalUnitPriceSet"]) * line["quantity"] - off
    tax = sum((shop_amount(one["priceSet"]) for one in line["taxLines"]), NOTHING)
    return (price - tax) / price if price > 0 else Decimal(1)
