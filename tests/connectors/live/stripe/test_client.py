"""Stripe's client and what it refuses; how a charge becomes rows."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.live.errors import AccessRefusedError, PlatformDownError
from connectors.live.stripe.api import CHARGES, decimals
from connectors.live.stripe.client import Range, StripeClient, StripeKey
from connectors.live.stripe.projection import _Change, _parts, _rows
from tests.live.double import Clock, Faults, Server
from tests.live.stripe_double import LIVE_KEY, TEST_KEY, StripeDouble
from tests.live.stripe_store import Payment, StripeStore

KEYS = {
    TEST_KEY: "test mode",
    "sk_test_0123": "test mode",
    "sk_live_0123": "everything",
    "pk_live_0123": "no restricted key",
    "": "no restricted key",
}


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_is_no_restricted_one_of_live_mode_is_refused(key):
    with pytest.raises(AccessRefusedError, match=KEYS[key]) as caught:
        StripeClient(StripeKey(key), clock=Clock())
    assert not key or key not in str(caught.value)


def test_a_key_is_not_shown():
    assert LIVE_KEY not in repr(StripeKey(LIVE_KEY))


def test_plain_http_is_refused():
    with pytest.raises(AccessRefusedError, match="https"):
        StripeClient(StripeKey(LIVE_KEY), clock=Clock(), url="http://api.stripe.example")


def test_a_range_has_the_second_that_its_end_begins():
    start = datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    end = datetime(2026, 1, 2, 0, 0, 0, 1, tzinfo=UTC)
    bounds = {name: int(text) for name, text in Range(start, end).query().items()}
    assert bounds["created[gte]"] == int(start.timestamp())
    assert bounds["created[lt]"] == int(end.timestamp()) + 1


def test_limits_are_waited_for_and_an_outage_is_named():
    clock = Clock()
    store = StripeStore(clock)
    store.pay()
    double = StripeDouble(store, Faults(at={"429": [1], "429_bare": [2], "500": [3]}))
    with (
        Server(double) as server,
        StripeClient(StripeKey(LIVE_KEY), clock=clock, url=server.url) as client,
    ):
        assert len(client.page(CHARGES, Range()).rows) == 1
        double.faults = Faults(rates={"503": 1}, most_in_row=1_000)
        with pytest.raises(PlatformDownError, match="503"):
            client.page(CHARGES, Range())
    assert clock.seconds > double.faults.retry_after


# Charges as rows


def change(amount, number=0, status=None):
    return _Change(f"re_{number}", 1_000 + number, amount, status)


def test_one_refund_is_one_row_as_in_the_export():
    (part,) = _parts(5_000, [change(1_200)])
    assert (part.amount, part.back) == (5_000, 1_200)


def test_a_refund_of_more_than_is_left_takes_what_is_left():
    parts = _parts(1_000, [change(600), change(700, 1)])
    assert [(part.amount, part.back) for part in parts] == [(600, 600), (400, 400)]


@given(st.integers(1, 100_000), st.lists(st.integers(1, 50_000), max_size=6))
def test_parts_add_up_and_keep_something_where_something_is_left(whole, amounts):
    parts = _parts(whole, [change(amount, number) for number, amount in enumerate(amounts)])
    back = min(sum(amounts), whole)
    assert sum(part.amount for part in parts) == whole
    assert sum(part.back for part in parts) == back
    assert all(0 <= part.back <= part.amount for part in parts)
    if whole - back >= len(parts):
        assert all(part.back < part.amount for part in parts)


def test_a_settled_amount_is_shared_to_the_last_cent():
    store = StripeStore(Clock())
    charge = store.charges[store.pay(Payment(9_000, "jpy"))].json()
    balance = store.balances[charge["balance_transaction"]].json()
    settled = charge | {"balance_transaction": balance}
    rows = list(_rows(settled, [change(1_000), change(2_345, 1)]))
    assert sum(Decimal(row["Converted Amount"]) for row in rows) == Decimal("54.00")
    assert {row["Converted Currency"] for row in rows} == {"eur"}
    assert sum(Decimal(row["Amount"]) for row in rows) == 9_000


@pytest.mark.parametrize(("currency", "count"), [("EUR", 2), ("jpy", 0), ("kwd", 3)])
def test_currencies_have_their_decimals(currency, count):
    assert decimals(currency) == count
