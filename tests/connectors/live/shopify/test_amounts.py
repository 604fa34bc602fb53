"""What lines and refunds are worth, by hand."""

from decimal import Decimal

import pytest

from connectors.live.errors import UnexpectedAnswerError
from connectors.live.shopify.amounts import (
    RefundLineWorth,
    line_worth,
    refund_lines,
    shop_amount,
    subtotals_include_tax,
)


def bag(amount):
    return {"shopMoney": {"amount": str(amount)}}


def line(price=10, quantity=3, current=3, *, now, off=0, tax=0):
    return {
        "id": "gid://shopify/LineItem/1",
        "quantity": quantity,
        "currentQuantity": current,
        "originalUnitPriceSet": bag(price),
        "priceAfterAllDiscountsBeforeTaxesSet": bag(now),
        "discountAllocations": [{"allocatedAmountSet": bag(off)}] if off else [],
        "taxLines": [{"priceSet": bag(tax)}] if tax else [],
    }


def refund(*parts, total=0, adjustment=None):
    nodes = [
        {
            "id": f"gid://shopify/RefundLineItem/{number}",
            "quantity": units,
            "subtotalSet": bag(subtotal),
            "totalTaxSet": bag(tax),
            "lineItem": {"id": "gid://shopify/LineItem/1"},
        }
        for number, (units, subtotal, tax) in enumerate(parts)
    ]
    return {
        "id": "gid://shopify/Refund/1",
        "totalRefundedSet": bag(total),
        "refundLineItems": {"nodes": nodes},
        "orderAdjustments": {
            "nodes": [] if adjustment is None else [{"amountSet": bag(adjustment)}]
        },
        "refundShippingLines": {"nodes": []},
    }


def order(*refunds, taxes_included=True):
    return {"taxesIncluded": taxes_included, "refunds": list(refunds)}


def back(units, net):
    return RefundLineWorth("r", "x", "gid://shopify/LineItem/1", units, Decimal(net))


@pytest.mark.parametrize(
    ("one", "refunded", "taxes_included", "expected"),
    [
        # as ordered; a discount; a unit refunded; a unit edited out; both
        (line(now=30), [], False, (3, 30, 0)),
        (line(now=24, off=6), [], False, (3, 30, 6)),
        (line(current=2, now=16, off=6), [back(1, 8)], False, (3, 30, 6)),
        (line(current=2, now=16, off=6), [], False, (2, 20, 4)),
        (line(current=1, now=8, off=6), [back(1, 8)], False, (2, 20, 4)),
        # 20 % tax in the price: 24 after the discount has 4 of tax in it
        (line(now=20, off=6, tax=4), [], True, (3, 25, 5)),
        (line(current=2, now="13.34", off=6, tax=4), [back(1, "6.66")], True, (3, 25, 5)),
        (line(now=25, tax=5), [], True, (3, 25, 0)),
        # nothing is left, free goods
        (line(current=0, now=0), [], False, (0, 0, 0)),
        (line(now=0, off=30), [], False, (3, 30, 30)),
        (line(price=0, now=0), [], True, (3, 0, 0)),
    ],
)
def test_a_line_is_worth_what_its_units_cost(one, refunded, taxes_included, expected):
    worth = line_worth(one, refunded, taxes_included=taxes_included)
    assert (worth.units, worth.gross, worth.discount) == expected
    now = shop_amount(one["priceAfterAllDiscountsBeforeTaxesSet"])
    assert worth.net == now + sum(each.net for each in refunded)


@pytest.mark.parametrize(
    ("taxes_included", "includes_tax", "net"),
    [(True, True, 10), (True, False, 12), (False, True, 12)],
)
def test_a_refund_is_without_tax(taxes_included, includes_tax, net):
    (worth,) = refund_lines(
        order(refund((1, 12, 2)), taxes_included=taxes_included), includes_tax=includes_tax
    )
    assert (worth.units, worth.net) == (1, net)


def test_refunds_of_units_alone_show_whether_subtotals_include_tax():
    including, excluding = refund((1, 12, 2), total=12), refund((1, 10, 2), total=12)
    silent = [
        refund((1, 10, 2), total=12, adjustment=-5),
        refund((1, 10, 2), total=0),
        refund((1, 10, 2), total=7),
        refund((1, 10, 0), total=10),
        refund(total=5),
    ]
    assert subtotals_include_tax([order(including, *silent)])
    assert not subtotals_include_tax([order(excluding, *silent)])
    assert not subtotals_include_tax([order(excluding), order(excluding, including)])
    assert subtotals_include_tax([order(*silent)])
    assert subtotals_include_tax([order(excluding, taxes_included=False)])


def test_no_more_orders_are_read_than_needed():
    def orders():
        for _ in range(3):
            yield order(refund((1, 10, 2), total=12))
        raise AssertionError("read on")

    assert not subtotals_include_tax(orders(), votes=3)


@pytest.mark.parametrize("bad", [{}, {"shopMoney": {}}, {"shopMoney": {"amount": "x"}}])
def test_an_amount_that_cannot_be_read_is_refused(bad):
    with pytest.raises(UnexpectedAnswerError, match="amount"):
        shop_amount(bad)
