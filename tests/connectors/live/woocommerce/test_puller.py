"""Pulling a WooCommerce shop: whole through bad nights, its own orders again, and what is refused."""

import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.live.errors import AccessRefusedError, LiveError, UnexpectedAnswerError
from connectors.live.options import PullOptions
from connectors.live.records import PullKind
from connectors.live.woocommerce.client import Keys, WooCommerceClient
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from perennial.simulation import simulate
from tests.connectors.live.woocommerce import shop_chaos
from tests.connectors.live.woocommerce.shop_chaos import (
    differences,
    fast_disk,
    newest,
    pull,
    puller_of,
    true_orders,
)
from tests.live.double import Clock, Killed, KillSwitch, Server
from tests.live.woocommerce_double import KEY, SECRET, WooCommerceDouble
from tests.live.woocommerce_records import Shop
from tests.live.woocommerce_store import Checkout, Item, WooCommerceStore, load

LATE = "given back weeks later"


@pytest.fixture(autouse=True, scope="module")
def no_sync():
    with fast_disk():
        yield


@pytest.fixture
def store():
    return WooCommerceStore(Clock())


@pytest.fixture
def double(store):
    return WooCommerceDouble(store)


@pytest.fixture
def url(double):
    with Server(double) as server:
        yield server.url


def fill(store, count=5):
    made = []
    for _ in range(count):
        made.append(store.place())
        store.clock.advance(86_400)
    return made


def test_nothing_is_lost_through_bad_nights():
    counts = shop_chaos.run_all(12, seconds=5)
    assert counts["runs"] >= 3
    assert counts["kills"] > 0


# What changes between nights


def test_edits_refunds_and_the_trash_arrive_the_next_night(store, double, url, tmp_path):
    first, second, third, *_ = fill(store)
    pull(double, url, tmp_path)
    store.edit(first, note="changed")
    store.refund(second, Decimal("0.5"))
    store.trash(third)
    store.clock.advance(86_400)
    now = store.clock.now()
    summary = pull(double, url, tmp_path)
    assert differences(store, tmp_path) == []
    assert str(third) not in newest(tmp_path, "orders")
    assert summary.streams[0].tombstones == 1
    assert summary.horizon == now - timedelta(minutes=10)


def test_an_order_out_of_the_trash_is_back_with_its_refunds(store, double, url, tmp_path):
    first, *_ = fill(store)
    store.refund(first, Decimal("0.5"))
    pull(double, url, tmp_path)
    for change in (store.trash, store.untrash):
        change(first)
        store.clock.advance(86_400)
        pull(double, url, tmp_path)
        assert differences(store, tmp_path) == []
    assert len(newest(tmp_path, "refunds")) == 1


def test_an_emptied_trash_shows_in_the_months_counts(store, double, url, tmp_path):
    first, *_ = fill(store)
    pull(double, url, tmp_path)
    store.delete(first)
    store.clock.advance(86_400)
    pull(double, url, tmp_path)
    assert differences(store, tmp_path) == [f"order {first} is not in the shop"]
    pull(double, url, tmp_path, PullKind.RECONCILE)
    assert differences(store, tmp_path) == []


def test_a_late_order_with_an_old_date_is_read(store, double, url, tmp_path):
    fill(store)
    pull(double, url, tmp_path)
    store.place(Checkout(created=store.now() - timedelta(days=60)))
    store.clock.advance(86_400)
    pull(double, url, tmp_path)
    assert differences(store, tmp_path) == []


@pytest.mark.parametrize("version", ["10.3.0", "8.9.1"])
def test_a_refund_that_is_deleted_by_hand_goes_at_the_comparison(
    store, double, url, tmp_path, version
):
    store.shop = Shop(version=version)
    first, *_ = fill(store)
    refund = store.refund(first, Decimal("0.5"))
    pull(double, url, tmp_path)
    assert set(newest(tmp_path, "refunds")) == {str(refund)}
    store.delete_refund(refund)
    store.clock.advance(86_400)
    pull(double, url, tmp_path, PullKind.RECONCILE)
    assert newest(tmp_path, "refunds") == {}


def test_more_orders_than_a_page_in_one_second_are_all_read(store, double, url, tmp_path):
    double.has_stable_ties = False
    for _ in range(250):
        store.place()
    store.clock.advance(86_400)
    store.place()
    store.clock.advance(86_400)
    pull(double, url, tmp_path)
    assert differences(store, tmp_path) == []


def test_orders_that_change_while_they_are_read_are_not_skipped(store, double, url, tmp_path):
    made = []
    for _ in range(300):
        made.append(store.place())
        store.clock.advance(1)

    def live(request):
        if request.path.endswith("/orders") and request.number % 3 == 0 and made:
            store.edit(made.pop(), note="changed")
            store.edit(made.pop(0), note="changed")

    double.hooks.append(live)
    store.clock.advance(86_400)
    pull(double, url, tmp_path)
    assert len(made) < 296
    assert set(newest(tmp_path, "orders")) == set(true_orders(store))


def test_a_killed_backfill_goes_on_without_what_it_has(store, double, url, tmp_path):
    for _ in range(6):
        fill(store, 20)
        store.clock.advance(20 * 86_400)
    with pytest.raises(Killed):
        pull(double, url, tmp_path, transport=KillSwitch(14))
    before = len(double.requests)
    pull(double, url, tmp_path)
    resumed = len(double.requests) - before
    pull(double, url, tmp_path / "fresh")
    assert differences(store, tmp_path) == []
    assert resumed < len(double.requests) - before - resumed


# What is refused


def refusal(error, double, url, folder, **how):
    with pytest.raises(error) as caught:
        pull(double, url, folder, **how)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_an_empty_shop_is_refused(double, url, tmp_path):
    assert "shows no order" in refusal(UnexpectedAnswerError, double, url, tmp_path)


def test_a_shop_that_is_empty_one_day_loses_nothing(store, double, url, tmp_path):
    fill(store)
    pull(double, url, tmp_path)
    for number in list(store.orders)[:-1]:
        store.delete(number)
    store.clock.advance(86_400)
    message = refusal(UnexpectedAnswerError, double, url, tmp_path, kind=PullKind.RECONCILE)
    assert "Nothing is deleted" in message
    assert len(newest(tmp_path, "orders")) == 5


def test_another_currency_is_refused(store, double, url, tmp_path):
    fill(store)
    message = refusal(
        UnexpectedAnswerError, double, url, tmp_path, options=PullOptions(currency="USD")
    )
    assert "EUR" in message
    assert "USD" in message


def test_another_shop_is_refused(store, double, url, tmp_path):
    fill(store)
    store.shop = replace(store.shop, url="https://other.example")
    assert "other.example" in refusal(AccessRefusedError, double, url, tmp_path)
    assert not (tmp_path / "live" / "woocommerce" / "shop.example" / "orders").exists()


def test_a_key_that_was_revoked_in_the_middle_is_refused(store, double, url, tmp_path):
    fill(store, 150)

    def revoke(request):
        if request.number == 12:
            double.key = "ck_other"

    double.hooks.append(revoke)
    assert "revoked" in refusal(AccessRefusedError, double, url, tmp_path)
    double.key = KEY
    store.clock.advance(86_400)
    pull(double, url, tmp_path)
    assert differences(store, tmp_path) == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"permissions": "write"}, "may not read"),
        ({"sees_orders": False}, "shop manager"),
        ({"secret": "cs_other"}, "does not belong to the key"),
        ({"key": "ck_other"}, "does not accept the key"),
    ],
)
def test_a_key_that_does_not_do_is_refused_with_the_way_to_fix_it(
    store, double, url, tmp_path, change, part
):
    fill(store)
    vars(double).update(change)
    assert part in refusal(AccessRefusedError, double, url, tmp_path)


def test_plain_http_is_refused_before_anything_is_sent(store, double):
    with pytest.raises(AccessRefusedError, match="https"):
        WooCommerceClient("http://shop.example", Keys(KEY, SECRET), clock=store.clock)
    assert double.requests == []


def test_no_key_is_in_what_is_logged_or_raised(store, double, url, tmp_path, caplog):
    fill(store)
    caplog.set_level(logging.DEBUG)
    double.hosting.strips_authorization = True
    summary = pull(double, url, tmp_path)
    assert any("consumer_secret" in request.query for request in double.requests)
    assert any("Authorization" in warning for warning in summary.warnings)
    double.hosting.rates = {}
    double.permissions = "write"
    store.clock.advance(86_400)
    with pytest.raises(LiveError) as caught:
        pull(double, url, tmp_path)
    raised = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    written = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert SECRET not in caplog.text + raised + written + repr(summary)
    assert KEY not in caplog.text + raised + written + repr(summary)


# A simulated store


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Return a simulated store's own orders and what comes of pulling it from a shop."""
    folder = tmp_path_factory.mktemp("simulated")
    world = simulate(300, date(2025, 1, 1), date(2026, 1, 1), 3)
    profile = world.profile
    clock = Clock(datetime(2026, 3, 1, tzinfo=UTC))
    shop = Shop(currency=profile.currency, zone=profile.timezone)
    store = WooCommerceStore(clock, shop)
    ids = load(store, world)
    refund_late(store)
    double = WooCommerceDouble(store)
    with Server(double) as server:
        pull(double, server.url, folder)
        with puller_of(server.url, folder, clock) as puller:
            (file,) = puller.project(folder / "export")
    ours = {
        as_of: read(file, folder / str(as_of), as_of, profile)
        for as_of in (date(2026, 3, 1), date(2025, 9, 1))
    }
    return world, store, ids, ours


def refund_late(store):
    """Give back some orders of August in September: parts of lines, amounts and whole orders."""
    august = [
        order
        for order in store.orders.values()
        if order.created.month == 8 and not store.refunds_of(order.id)
    ]
    at = datetime(2025, 9, 20, tzinfo=UTC)
    for number, order in enumerate(august[:12]):
        share = Decimal(1) if number % 3 == 0 else Decimal("0.5")
        store.refund(order.id, share, by_amount=number % 3 == 1, created=at, reason=LATE)


def read(file, folder, as_of, profile):
    source = OrderSource(location=str(file), preset="woocommerce", currency=profile.currency)
    with open_engine(profile.timezone) as engine:
        return read_orders(engine, source, as_of, folder)


def test_a_simulated_stores_orders_come_back(simulated):
    world, store, ids, ours = simulated
    got = pd.read_parquet(ours[date(2026, 3, 1)].orders).set_index("order_id")
    true = world.orders.to_pandas()
    true["order_id"] = true["order_id"].map(ids).astype(str)
    true = true.set_index("order_id")
    both = got.join(true, rsuffix="_true")
    late = {str(one.order_id) for one in store.refunds.values() if one.reason == LATE}
    both = both[~both.index.isin(late)]
    left = true.drop(got.index).drop(late, errors="ignore")
    # the platform shows no free order as a purchase, nor one that was given back whole
    assert (left["net_amount"] <= 0).all()
    for name in ("gross_amount", "discount_amount", "refund_amount", "net_amount"):
        assert (both[name] - both[f"{name}_true"]).abs().max() < 0.0101, name
    assert (pd.to_datetime(both["order_date"]) == pd.to_datetime(both["order_date_true"])).all()
    codes = both["discount_code_true"].str.lower()
    assert (both["discount_code"].fillna("") == codes.fillna("")).all()
    people = both.groupby("customer_id")["customer_id_true"].nunique()
    assert people.eq(1).all()
    assert both.groupby("customer_id_true")["customer_id"].nunique().eq(1).all()
    # the channel is the shop's word for it: an app is a checkout as any other
    assert set(zip(both["channel"], both["channel_true"], strict=True)) <= {
        ("pos", "store"),
        ("checkout", "web"),
        ("checkout", "app"),
    }


def test_refunds_count_from_their_own_day_on(simulated):
    _, store, _, ours = simulated
    as_of = date(2025, 9, 1)
    history = ours[as_of]
    assert not any("refunded" in warning for warning in history.quality.warnings)
    got = pd.read_parquet(history.orders).set_index("order_id")["net_amount"]
    truths = {str(one.order_id): one for one in store.truths().values() if one.day <= as_of}
    later = [one for one in truths.values() if one.net(as_of) != one.net()]
    assert len(later) > 10
    for key, net in got.items():
        assert net == pytest.approx(float(truths[key].net(as_of)), abs=0.0101)
    assert set(got.index) == {key for key, one in truths.items() if one.net(as_of) > 0}


def test_a_gift_card_given_back_is_no_refund_of_goods(store, double, url, tmp_path):
    items = (Item("House Beans", Decimal(12), 1, 11), Item("Gift Card 25", Decimal(25), 1, 99))
    order = store.place(Checkout(items, customer_id=7, status="completed"))
    store.refund(order, Decimal("0.5"))
    store.clock.advance(86_400)
    pull(double, url, tmp_path)
    with puller_of(url, tmp_path, store.clock) as puller:
        (file,) = puller.project(tmp_path / "export")
    (refunds,) = pd.read_parquet(file)["refunds"]
    assert [float(one["goods"]) for one in refunds] == [6.0]
