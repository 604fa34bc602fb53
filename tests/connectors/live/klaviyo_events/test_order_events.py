"""Orders out of events: net revenue by hand, frozen state by its own days, what is not understood."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.live.klaviyo_events.order_events import (
    EventError,
    is_redacted,
    is_whole_refund,
    read_order,
)
from tests.live.klaviyo_events_caller import DAY, HOUR, order_of, other_store, sample_store
from tests.live.klaviyo_events_records import BEANS, FILTERS, GIFT_CARD, Line, RefundLine
from tests.live.klaviyo_events_store import Store


def properties_of(store, metric="SHPlac", number=0):
    return store.visible(metric)[number].properties


def test_net_is_of_goods_after_discounts():
    order = read_order(properties_of(sample_store()), "shopify")
    assert order.value == Decimal("28.80")  # 2 x 12 - 2.40 + 8 - 0.80
    assert [line.net for line in order.lines] == [Decimal("21.60"), Decimal("7.20")]
    assert (order.order_id, order.currency, order.channel) == ("5000001", "EUR", "web")
    assert (order.customer_id, order.email) == ("8000001", "ada.sample@example.com")
    assert (order.discount_code, order.is_test) == ("WELCOME10", False)


def test_included_tax_and_gift_cards_are_no_revenue():
    order = read_order(properties_of(sample_store(), number=1), "shopify")
    assert order.value == Decimal("10.00")  # 12.00 with 20 % tax in it; the card of 25 is none
    assert [line.is_gift_card for line in order.lines] == [False, True]
    assert order.lines[0].gross == Decimal("10.00")


def test_gross_less_discount_is_net_to_the_last_place():
    store = Store()
    line = Line(BEANS, 3, 333)
    store.place_order(order_of(1, DAY, lines=(line,), tax_rate=0.19, taxes_included=True))
    (read,) = read_order(properties_of(store), "shopify").lines
    assert read.gross - read.discount == read.net == Decimal("27.45")  # 32.67 less 5.22 of tax


def test_a_test_order_is_marked():
    assert read_order(properties_of(sample_store(), number=2), "shopify").is_test


def test_the_value_of_klaviyo_is_never_read():
    content = properties_of(sample_store()) | {"$value": 1e9}
    assert read_order(content, "shopify").value == Decimal("28.80")


def test_a_deleted_person_s_order_has_no_lines_and_nobody():
    content = properties_of(sample_store(), number=3)
    assert is_redacted(content)
    order = read_order(content, "shopify")
    assert (order.lines, order.value, order.email, order.customer_id) == (None,) * 4
    assert order.order_id == "5000004"


def test_redacted_text_identifies_nobody():
    content = properties_of(sample_store())
    content = content | {
        "$extra": content["$extra"] | {"email": "Redacted", "contact_email": None}
    }
    assert read_order(content, "shopify").email is None


def test_refunds_and_cancellations_keep_their_own_days():
    store = Store()
    lines = (Line(BEANS, 2), Line(FILTERS), Line(GIFT_CARD))
    store.place_order(order_of(1, DAY, lines=lines, tax_rate=0.2, taxes_included=True))
    store.refund("5000001", (RefundLine(0, 1, 1200), RefundLine(2, 1, 2500)), DAY + HOUR)
    store.cancel("5000001", DAY + 2 * HOUR)
    order = read_order(properties_of(store, "SHCanc"), "shopify")
    assert order.cancelled_at == DAY + 2 * HOUR
    (back,) = order.refunds  # the gift card that was given back is none
    assert (back.net, back.refunded_at) == (Decimal("10.00"), DAY + HOUR)
    assert back.line_id == order.lines[0].line_id


def test_woocommerce_s_lines_are_without_tax():
    order = read_order(properties_of(other_store("woocommerce"), "WOPlac"), "woocommerce")
    assert order.value == Decimal("29.60")  # 24 - 2.40 + 8
    assert order.lines[0].discount == Decimal("2.40")
    assert (order.discount_code, order.email) == ("w", "ben.sample@example.com")


def test_a_shop_s_own_code_sends_one_discount():
    order = read_order(properties_of(other_store("api"), "APPlac"), "api")
    assert order.value == Decimal("29.60")
    assert [line.discount for line in order.lines] == [Decimal("1.8000"), Decimal("0.6000")]


@pytest.mark.parametrize(
    ("integration", "status", "is_whole"),
    [
        ("shopify", None, True),
        ("api", None, None),
        ("woocommerce", "refunded", True),
        ("woocommerce", "wc-refunded", True),
        ("woocommerce", "processing", False),
    ],
)
def test_a_refund_is_whole_where_the_platform_shows_it(integration, status, is_whole):
    assert is_whole_refund({"$extra": {"Status": status}}, integration) is is_whole


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"$event_id": None}, "$event_id"),
        ({"$extra": None}, "$extra"),
        ({"line_items": None}, "line_items"),
        ({"taxes_included": None}, "taxes_included"),
        ({"line_items": [{"price": "secret", "quantity": 1}]}, "price"),
        ({"line_items": [{"price": "NaN", "quantity": 1}]}, "price"),
        ({"cancelled_at": "2026-11-20T03:00:00"}, "cancelled_at"),
        ({"refunds": [{"id": 1}]}, "refunds.created_at"),
    ],
)
def test_what_is_not_understood_is_named_without_its_value(change, named):
    content = properties_of(sample_store())
    if next(iter(change)).startswith("$"):
        content = content | change
    else:
        content = content | {"$extra": content["$extra"] | change}
    with pytest.raises(EventError, match=named.replace("$", r"\$")) as caught:
        read_order(content, "shopify")
    assert "secret" not in str(caught.value)


def test_an_unknown_integration_is_not_read():
    with pytest.raises(EventError, match="not read"):
        read_order({"$event_id": "1"}, "bigcommerce")


def test_amounts_are_in_the_store_s_currency():
    content = properties_of(sample_store())
    line = content["$extra"]["line_items"][1]
    line |= {"price": "880.00", "discount_allocations": []}  # as shown to the customer
    order = read_order(content, "shopify")
    assert order.lines[1].net == Decimal("8.00")


def test_moments_are_of_utc():
    store = Store()
    store.place_order(order_of(1, DAY))
    store.cancel("5000001", datetime(2026, 11, 21, tzinfo=UTC) + timedelta(hours=3))
    order = read_order(properties_of(store, "SHCanc"), "shopify")
    assert order.cancelled_at.utcoffset() == timedelta(0)
