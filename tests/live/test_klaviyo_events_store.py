"""The store sends what a shop sends, keeps what Klaviyo keeps, and its truth is what events show."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from perennial.simulation import simulate
from perennial.simulation.forms.ledger import save_ledger
from tests.live.double import Clock
from tests.live.klaviyo_events_caller import DAY, HOUR, order_of, sample_store, store_of
from tests.live.klaviyo_events_double import KlaviyoEvents
from tests.live.klaviyo_events_process import MACHINE_NAMES, STEPS, step
from tests.live.klaviyo_events_records import (
    BEANS,
    FILTERS,
    GIFT_CARD,
    Contact,
    Line,
    Refund,
    RefundLine,
)
from tests.live.klaviyo_events_store import Lag, Store
from tests.live.klaviyo_events_world import Connection, load_world

YEARS = timedelta(days=800)


def net_of(extra: dict[str, Any]) -> int:
    """Net revenue of an order as its `$extra` has it, in cents."""
    net = Decimal()
    for line in extra["line_items"]:
        if line["gift_card"]:
            continue
        net += Decimal(line["price"]) * line["quantity"]
        net -= sum(Decimal(part["amount"]) for part in line["discount_allocations"])
        if extra["taxes_included"]:
            net -= sum(Decimal(tax["price"]) for tax in line["tax_lines"])
    return int(net * 100)


def read_orders(store: Store) -> dict[str, tuple[Any, ...]]:
    """Orders by id as somebody reads them from events alone: moment, net, test, void."""
    voids: dict[str, list[str]] = {}
    for metric in ("SHCanc", "SHRefu"):
        for event in store.visible(metric):
            voids.setdefault(event.key, []).append(event.happened.isoformat())
    orders = {}
    for event in store.visible("SHPlac"):
        extra = event.properties.get("$extra")
        net, is_test = (net_of(extra), extra["test"]) if extra else (None, None)
        void = min(voids.get(event.key, [""]))
        orders[event.key] = event.happened.isoformat(), net, is_test, void
    return orders


def true_orders(store: Store) -> dict[str, tuple[Any, ...]]:
    return {
        one.order_id: (
            one.ordered_at.isoformat(),
            one.net,
            None if one.net is None else one.is_test,
            one.void_at.isoformat() if one.void_at else "",
        )
        for one in store.true_orders()
    }


def kinds_unseen(store: Store, integration: str = "shopify") -> Counter[str]:
    return Counter(one.kind for one in store.unseen(integration))


# orders


def test_an_order_is_one_event_and_one_more_per_unit():
    store = sample_store()
    assert len(store.visible("SHPlac")) == 4
    units = [event for event in store.visible("SHProd") if event.key.startswith("5000001")]
    assert sorted(event.key for event in units) == [
        "5000001:201:1",
        "5000001:201:2",
        "5000001:202:3",
    ]
    assert sum(event.properties["$value"] for event in units) == 32  # without the discounts


def test_only_the_refund_that_makes_it_whole_is_an_event():
    store = Store()
    store.place_order(order_of(1, DAY, lines=(Line(BEANS, 2), Line(FILTERS))))
    store.refund("5000001", (RefundLine(0, 1, 1200),), DAY + HOUR)
    assert store.visible("SHRefu") == []
    assert kinds_unseen(store) == {"partial_refund": 1}
    assert store.unseen()[0].cents == 1200
    store.refund("5000001", at=DAY + 2 * HOUR)
    (event,) = store.visible("SHRefu")
    assert event.happened == DAY + 2 * HOUR
    assert len(event.properties["$extra"]["refunds"]) == 2
    assert event.properties["$extra"]["financial_status"] == "refunded"
    assert kinds_unseen(store) == {}
    assert (store.true_orders()[0].void, store.true_orders()[0].net) == ("refunded", 3200)


def test_an_event_is_frozen():
    store = Store()
    store.place_order(order_of(1, DAY, lines=(Line(BEANS, 2), Line(FILTERS))))
    before = KlaviyoEvents(store).documents("SHPlac")
    store.edit("5000001", 0, 1, DAY + HOUR)
    store.fulfill("5000001", DAY + HOUR)
    store.cancel("5000001", DAY + 2 * HOUR)
    assert KlaviyoEvents(store).documents("SHPlac") == before
    (cancelled,) = store.visible("SHCanc")
    extra = cancelled.properties["$extra"]
    assert extra["cancelled_at"] == "2026-11-20T03:00:00+01:00"  # of the shop's zone
    assert extra["line_items"][0]["current_quantity"] == 1
    assert extra["fulfillment_status"] == "fulfilled"


def test_a_state_has_nothing_that_happens_after_it():
    order = order_of(1, DAY, lines=(Line(BEANS, 2), Line(FILTERS)))
    order.cancelled_at = DAY + 5 * HOUR
    order.refunds = [
        Refund(1, DAY + HOUR, (RefundLine(0, 1, 1200),)),
        Refund(2, DAY + 5 * HOUR, (RefundLine(0, 1, 1200), RefundLine(1, 1, 800))),
    ]
    store = Store()
    store.place_order(order, received=DAY + 3 * HOUR, state_at=DAY + 3 * HOUR)
    (event,) = store.visible("SHPlac")
    extra = event.properties["$extra"]
    assert extra["cancelled_at"] is None
    assert [refund["id"] for refund in extra["refunds"]] == [1]
    assert extra["financial_status"] == "partially_refunded"
    assert extra["updated_at"] == "2026-11-20T02:00:00+01:00"


@pytest.mark.parametrize(("formula", "value"), [("total", 39.56), ("before_tax", 33.8)])
def test_the_value_is_by_either_formula(formula, value):
    store = Store(formula=formula)
    lines = (Line(BEANS, 2, 240), Line(FILTERS, 1, 80))
    store.place_order(order_of(1, DAY, lines=lines, shipping=500, tax_rate=0.2))
    assert store.visible("SHPlac")[0].properties["$value"] == value


def test_net_is_without_gift_cards_and_included_tax():
    store = Store()
    lines = (Line(BEANS), Line(GIFT_CARD))
    store.place_order(order_of(1, DAY, lines=lines, tax_rate=0.2, taxes_included=True))
    assert store.true_orders()[0].net == 1000
    assert read_orders(store) == true_orders(store)


def test_two_integrations_send_an_order_twice():
    store = store_of(3, sends_to=("shopify", "api"))
    assert [event.key for event in store.visible("SHPlac")] == ["5000001", "5000002", "5000003"]
    assert [event.key for event in store.visible("APPlac")] == ["WEB-1001", "WEB-1002", "WEB-1003"]
    store.cancel("5000002", DAY + 9 * HOUR)
    assert [one.void for one in store.true_orders("shopify")] == [None, "cancelled", None]
    assert [one.void for one in store.true_orders("api")] == [None, None, None]
    assert [one.kind for one in store.unseen("api")] == ["unsent_void"]


def test_an_event_is_stored_once_per_key():
    store = store_of(1)
    event = store.visible("SHPlac")[0]
    again = store.record(
        event.metric, str(event.profile_id), DAY + 5 * HOUR, properties=event.properties
    )
    assert again is event
    assert len(store.events) == 2


def test_orders_without_an_email_are_not_synced_unless_the_store_says_so():
    phone, nobody = Contact(None, "+15005550001"), Contact()
    store = Store()
    store.place_order(order_of(1, DAY, contact=phone))
    store.place_order(order_of(2, DAY, contact=nobody))
    assert store.events == {}
    assert kinds_unseen(store) == {"no_profile": 2}
    store = Store()
    store.syncs_phone_only = True
    store.place_order(order_of(1, DAY, contact=phone))
    store.place_order(order_of(2, DAY, contact=nobody))
    assert [one.order_id for one in store.true_orders()] == ["5000001"]


# other integrations


def woocommerce_net(properties: dict[str, Any]) -> int:
    return int(sum(Decimal(line["LineTotal"]) for line in properties["$extra"]["Items"]) * 100)


def api_net(properties: dict[str, Any]) -> int:
    total = sum(line["RowTotal"] for line in properties["Items"])
    return round((total - properties["DiscountValue"]) * 100)


@pytest.mark.parametrize(
    ("integration", "metric", "net"),
    [("woocommerce", "WOPlac", woocommerce_net), ("api", "APPlac", api_net)],
)
def test_a_right_reading_of_another_integration_gives_its_truth(integration, metric, net):
    store, rng = Store(sends_to=(integration,)), random.Random(7)
    for _ in range(200):
        store.clock.advance(600)
        step(store, rng)
    read = {
        event.key: None if event.is_redacted else net(event.properties)
        for event in store.visible(metric)
    }
    assert read == {one.order_id: one.net for one in store.true_orders(integration)}
    assert len(read) > 50
    voids = {one.order_id for one in store.true_orders(integration) if one.void}
    refunded = {event.key for event in store.visible("WORefu")}
    assert voids == refunded
    assert kinds_unseen(store, integration)["unsent_void"] > 0  # cancellations


# people


def test_an_email_in_capitals_is_the_same_person():
    store = Store()
    for number, email in enumerate(("ada@example.com", "ADA@example.com "), 1):
        store.place_order(order_of(number, DAY, contact=Contact(email)))
    assert len(store.profiles) == 1


def test_a_phone_is_one_person_s_only():
    store = Store()
    first = store.add_profile("ada@example.com", "+15005550006")
    second = store.add_profile("eve@example.com", "+15005550006")
    assert (first.phone_number, second.phone_number) == ("+15005550006", None)


def test_a_merge_moves_events_and_deletes_a_profile():
    store = store_of(2)
    survivor, other = store.profiles
    store.change_profile(other, phone_number="+15005550006")
    store.merge(survivor, other)
    assert list(store.profiles) == [survivor]
    assert {event.profile_id for event in store.events.values()} == {survivor}
    assert store.profiles[survivor].email == "person1@example.com"
    assert store.profiles[survivor].phone_number == "+15005550006"
    assert store.survivors == {other: survivor}


def test_an_erased_person_leaves_redacted_events():
    store = store_of(2)
    erased = next(iter(store.profiles))
    store.erase(erased)
    first, second = store.true_orders()
    assert (first.profile_id, first.email, first.net, first.units) == (None, None, None, None)
    assert second.net == 1200
    text = str([event.properties for event in store.visible("SHPlac")])
    assert "person1" not in text
    assert "person2" in text
    store.place_order(order_of(3, DAY + 9 * HOUR, contact=Contact("person1@example.com")))
    assert store.true_orders()[2].profile_id not in {None, erased}


def test_an_erased_person_s_events_may_keep_the_id():
    store = store_of(1)
    store.keeps_id_of_erased = True
    erased = next(iter(store.profiles))
    store.erase(erased)
    assert store.true_orders()[0].profile_id == erased


# time


def test_lags_are_short_late_or_later_still():
    lag, rng = Lag(usual_minutes=2, late_share=0.2, later_share=0.01), random.Random(1)
    waits = [lag.draw(rng) / timedelta(minutes=1) for _ in range(5000)]
    assert 0.01 / 2 < sum(wait > 110 for wait in waits) / 5000 < 0.02
    assert 0.1 < sum(20 < wait <= 110 for wait in waits) / 5000 < 0.2
    assert sorted(waits)[2500] < 5
    assert max(waits) > 12 * 60


def test_truth_is_as_of_its_visibility():
    store = Store(Clock(DAY))
    store.place_order(order_of(1, DAY), visible=DAY + HOUR)
    store.cancel("5000001", DAY, visible=DAY + 3 * HOUR)
    voids = [
        [one.void for one in store.true_orders(at=DAY + hours * HOUR)] for hours in (0, 1, 2, 3)
    ]
    assert voids == [[], [None], [None], ["cancelled"]]


# at random


@pytest.mark.parametrize("seed", range(5))
def test_a_right_reading_of_events_gives_the_truth_whatever_happens(seed):
    store, rng = Store(seed=seed, lag=Lag(later_share=0.01)), random.Random(seed)
    steps = Counter(step(store, rng) for _ in range(400) if store.clock.advance(600) is None)
    assert steps.keys() == STEPS.keys()
    for _ in range(2):
        assert read_orders(store) == true_orders(store)
        store.clock.advance(3 * 86_400)
    unseen = kinds_unseen(store)
    assert {"partial_refund", "edit", "no_profile"} <= unseen.keys()
    seen = {one.order_id for one in store.true_orders()}
    lost = {one.order_id for one in store.unseen() if one.kind == "no_profile"}
    assert seen.isdisjoint(lost)
    assert seen | lost == store.orders.keys()


def test_the_same_seed_gives_the_same_account():
    accounts = []
    for _ in range(2):
        store, rng = Store(seed=3, lag=Lag()), random.Random(3)
        for _ in range(100):
            store.clock.advance(600)
            step(store, rng)
        accounts.append(KlaviyoEvents(store).documents())
    assert accounts[0] == accounts[1]
    assert len(accounts[0]) > 100


def test_every_kind_of_engagement_happens():
    store, rng = Store(), random.Random(2)
    for _ in range(300):
        store.clock.advance(600)
        step(store, rng)
    store.clock.advance(86_400)
    assert all(
        store.visible(metric)
        for metric in ("KLRecv", "KLOpen", "KLClik", "KLUnsu", "APActv", "APView")
    )
    emails = [event for event in store.visible() if not event.is_redacted]
    opens = {
        is_machine
        for event in emails
        if event.metric.id == "KLOpen"
        for name in MACHINE_NAMES
        if (is_machine := event.properties.get(name)) is not None
    }
    clicks = {e.properties["Bot Click"] for e in emails if e.metric.id == "KLClik"}
    assert opens == clicks == {True, False}


# a simulated store


@pytest.fixture(scope="module")
def world():
    return simulate(150, date(2025, 1, 1), date(2026, 11, 1), 3)


def test_a_simulated_store_is_in_the_account(world):
    store = load_world(world)
    ledger = save_ledger(world, has_dates=True)
    orders = ledger.orders.assign(
        id=(5_000_000_000_000 + ledger.orders["number"] * 32_768).astype(str)
    ).set_index("id")
    true = {one.order_id: one for one in store.true_orders()}
    with_email = orders[orders["email"].notna()]
    assert true.keys() == set(with_email.index)
    for name, row in with_email.iterrows():
        assert true[name].net == row["items"] - row["discount"]
        assert true[name].is_test == (row["kind"] == "test")
        assert (true[name].void == "cancelled") == (row["kind"] == "canceled")
    refunds = [one.cents for one in store.unseen() if one.kind == "partial_refund"]
    partial = orders[(orders["kind"] == "purchase") & (orders["refund"] > 0)]
    whole = orders[orders["refund"] == orders["items"] + orders["gift_card"] - orders["discount"]]
    assert sorted(refunds) == sorted(partial.loc[partial.index.difference(whole.index), "refund"])
    assert len(refunds) > 0
    never_paid = orders.index[ledger.is_void.to_numpy()]
    refunded = whole[(whole["refund"] > 0) & whole["email"].notna()].index.difference(never_paid)
    assert sorted(event.key for event in store.visible("SHRefu")) == sorted(refunded)
    assert len(never_paid) > 0
    assert kinds_unseen(store)["no_profile"] == int(orders["email"].isna().sum())
    assert read_orders(store) == true_orders(store)


def test_a_simulated_store_goes_on_as_the_clock_does(world):
    clock = Clock(datetime(2026, 1, 1, tzinfo=UTC))
    store = load_world(world, clock=clock)
    early = store.true_orders()
    assert 0 < len(early) < len(store.placed)
    assert max(one.ordered_at for one in early) <= clock.now()
    clock.advance(YEARS.total_seconds())
    assert len(store.true_orders()) == len(store.placed)


def test_a_past_arrives_in_two_waves(world):
    connected = datetime(2026, 10, 1, tzinfo=UTC)
    store = load_world(world, connection=Connection(connected, days=2))
    wave = connected + HOUR
    assert store.visible(at=connected) == []
    first = [one.ordered_at for one in store.true_orders(at=wave + HOUR / 60)]
    assert min(first) >= connected - timedelta(days=91)
    half, whole = (len(store.true_orders(at=wave + timedelta(days=days))) for days in (1, 2))
    assert len(first) < half < whole


@pytest.mark.parametrize("has_later_state", [False, True])
def test_a_past_order_may_have_the_state_of_its_arrival(world, has_later_state):
    connection = Connection(
        datetime(2026, 10, 1, tzinfo=UTC), has_later_state=has_later_state, sends_voids=False
    )
    store = load_world(world, connection=connection)
    store.clock.advance(YEARS.total_seconds())
    past = [e for e in store.visible("SHPlac") if e.happened < connection.at]
    has_refunds = any(event.properties["$extra"]["refunds"] for event in past)
    is_cancelled = any(event.properties["$extra"]["cancelled_at"] for event in past)
    assert has_refunds == is_cancelled == has_later_state
    assert kinds_unseen(store)["unsent_void"] > 0
    assert all(event.happened >= connection.at for event in store.visible("SHCanc"))


def test_messages_of_a_simulated_store_are_events(world):
    store = load_world(world, has_messages=True)
    touches = world.touches.to_pandas()
    assert 0 < len(store.visible("KLRecv")) <= int((touches["channel"] == "email").sum())
    campaigns = {event.properties["Campaign Name"] for event in store.visible("KLRecv")}
    assert campaigns == set(touches.loc[touches["channel"] == "email", "campaign"])
