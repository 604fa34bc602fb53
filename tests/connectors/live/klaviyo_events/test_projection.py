"""From raw events to canonical orders: a simulated store, people, ranges, engagement."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.live.errors import UnexpectedAnswerError
from connectors.live.klaviyo_events.engagement import (
    campaign_of,
    is_meant,
    write_engagement,
    write_touches,
)
from connectors.live.klaviyo_events.source import Kind, KlaviyoSource, Range
from connectors.live.records import PullKind
from connectors.optional import read_table
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from features.tables import DataError
from perennial.simulation import simulate
from perennial.simulation.forms.ledger import save_ledger
from tests.connectors.live.klaviyo_events.pulled_account import SOURCE, PulledAccount
from tests.live.klaviyo_events_caller import DAY, HOUR, order_of, sample_store, store_of
from tests.live.klaviyo_events_process import click_email, open_email, receive_email, visit
from tests.live.klaviyo_events_records import BEANS, FILTERS, Contact, Line, RefundLine
from tests.live.klaviyo_events_store import Store
from tests.live.klaviyo_events_world import load_world

AS_OF = date(2026, 11, 28)
ORDERS = replace(SOURCE, has_engagement=False)


class Projected:
    """A store that was pulled, projected and read."""

    def __init__(self, store, folder, source=ORDERS, as_of=AS_OF):
        self.folder = folder / "tables"
        with PulledAccount(store, folder / "state", source) as account:
            account.pull()
            account.project(self.folder)
            self.account = account
        self.read(source, as_of)

    def read(self, source, as_of):
        where = OrderSource(str(self.folder), preset="klaviyo", currency=source.currency)
        with open_engine(source.timezone) as engine:
            self.history = read_orders(engine, where, as_of, self.folder.parent / "out")
        self.orders = pd.read_parquet(self.history.orders).set_index("order_id")
        self.rejected = self.history.accounting.rejected

    def table(self, name):
        return pd.read_parquet(self.folder / f"{name}.parquet")


# a simulated store


@pytest.fixture(scope="module")
def world():
    return simulate(500, date(2025, 1, 1), date(2026, 1, 1), 3)


@pytest.fixture(scope="module")
def simulated(world, tmp_path_factory):
    store = load_world(world, has_messages=True)
    source = KlaviyoSource(
        "ABC123",
        timezone=store.account.timezone,
        currency=store.account.currency,
        engagement_days=60,
    )
    projected = Projected(
        store, tmp_path_factory.mktemp("world"), source, as_of=date(2025, 12, 31)
    )
    return store, projected


def test_a_simulated_store_has_the_orders_of_its_clean_tables(world, simulated):
    store, projected = simulated
    ledger = save_ledger(world, has_dates=True)
    ids = (5_000_000_000_000 + ledger.orders["number"] * 32_768).astype(str)
    expected = ledger.expected(ids).set_index("order_id")
    unseen = defaultdict(lambda: defaultdict(int))
    for one in store.unseen():
        unseen[one.kind][one.order_id] += one.cents
    assert set(unseen) == {"partial_refund", "no_profile"}
    lost = expected.index.intersection(list(unseen["no_profile"]))
    assert sorted(projected.orders.index) == sorted(expected.index.difference(lost))
    both = expected.join(projected.orders, rsuffix="_read", how="inner")
    assert len(both) > 1_000
    assert list(both["order_date"]) == list(pd.to_datetime(both["order_date_read"]).dt.date)
    excess = (both["net_amount_read"] - both["net_amount"]).round(4)
    partial = {key: cents / 100 for key, cents in unseen["partial_refund"].items()}
    assert excess[excess != 0].to_dict() == pytest.approx(partial)
    assert len(partial) > 0
    # the same people: each of ours is one of theirs
    assert both.groupby("customer_id_read")["known_as"].nunique().max() == 1
    assert both.groupby("known_as")["customer_id_read"].nunique().max() == 1


def test_lines_add_up_to_their_orders(simulated):
    _, projected = simulated
    lines = pd.read_parquet(projected.history.order_lines)
    sums = lines.groupby("order_id")["net_amount"].sum()
    assert sums.to_dict() == pytest.approx(projected.orders["net_amount"].to_dict())


def test_what_partial_refunds_cost_is_stated(simulated):
    _, projected = simulated
    (note,) = [one for one in projected.history.quality.warnings if "full refunds only" in one]
    kept = len(projected.orders) + projected.rejected.get("zero_amount", 0)
    assert f"{kept:,} orders may have a partial refund" in note
    assert "net revenue is too high" in note


def test_messages_become_touches_of_the_same_customers(world, simulated, tmp_path):
    _, projected = simulated
    write_touches(
        projected.folder / "messages.parquet",
        projected.history.contacts,
        tmp_path / "touches.parquet",
    )
    with open_engine("UTC") as engine:
        path = str(tmp_path / "touches.parquet")
        read = read_table(engine, "touches", path, date(2025, 12, 31), tmp_path)
    touches = pd.read_parquet(read.path)
    assert set(touches["customer_id"]) <= set(projected.orders["customer_id"])
    assert set(touches["channel"]) == {"email", "sms"}
    assert set(touches["campaign"]) <= set(world.touches.to_pandas()["campaign"])
    assert len(touches) > 50
    assert touches["action"].isna().all()


# orders by hand


def test_a_void_counts_from_its_own_day(tmp_path):
    store = sample_store()
    projected = Projected(store, tmp_path, as_of=date(2026, 11, 24))
    assert projected.orders["net_amount"].to_dict() == {"5000001": 28.8}
    assert projected.rejected == {"test_order": 1, "canceled": 1, "missing_customer": 1}
    projected.read(ORDERS, date(2026, 11, 21))
    assert projected.orders["net_amount"].to_dict() == {"5000001": 28.8, "5000002": 10.0}
    with pytest.raises(DataError, match="refunded_in_full"):  # of four orders none is left
        projected.read(ORDERS, date(2026, 11, 25))


def test_refunds_that_events_have_count_from_their_own_day(tmp_path):
    store = store_of(3)
    lines = (Line(BEANS, 2), Line(FILTERS))
    store.place_order(order_of(9, DAY, lines=lines))
    store.refund("5000009", (RefundLine(0, 1, 1200),), DAY + 48 * HOUR)
    store.cancel("5000009", DAY + 96 * HOUR)
    projected = Projected(store, tmp_path, as_of=date(2026, 11, 23))
    assert projected.orders.loc["5000009", "net_amount"] == 20
    assert projected.orders.loc["5000009", "refund_amount"] == 12
    assert any("1 orders, 12.00 in all" in one for one in projected.history.quality.warnings)
    back = pd.read_parquet(projected.history.order_lines).set_index("order_id")
    assert sorted(back.loc["5000009", "net_amount"]) == [8, 12]
    projected.read(ORDERS, date(2026, 11, 21))
    assert projected.orders.loc["5000009", "net_amount"] == 32
    projected.read(ORDERS, date(2026, 11, 24))
    assert projected.rejected == {"canceled": 1}


def test_a_merged_person_is_one_customer_after_all_events_were_read_again(tmp_path):
    store = store_of(2)
    with PulledAccount(store, tmp_path / "state", ORDERS) as account:
        account.pull()
        first, second = (event.profile_id for event in store.visible("SHPlac"))
        store.merge(first, second)
        account.pull(PullKind.RECONCILE)
        account.project(tmp_path / "tables")
    orders = pd.read_parquet(tmp_path / "tables" / "placed_orders.parquet")
    assert set(orders["email"]) == {"person1@example.com"}


def test_a_profile_is_what_its_newest_event_has(tmp_path):
    store = store_of(1)
    with PulledAccount(store, tmp_path / "state", ORDERS) as account:
        account.pull()
        (profile,) = store.profiles
        store.change_profile(profile, email="new@example.com")
        store.clock.advance(9 * 24 * 3600)
        later = order_of(2, store.now() - 9 * HOUR, contact=Contact("new@example.com"))
        store.place_order(later)
        account.pull()
        account.project(tmp_path / "tables")
    orders = pd.read_parquet(tmp_path / "tables" / "placed_orders.parquet")
    assert list(orders["email"]) == ["new@example.com"] * 2


def test_redacted_orders_are_linked_to_nobody(tmp_path):
    store = store_of(4)
    store.keeps_id_of_erased = True
    for event in store.visible("SHPlac")[:2]:
        store.erase(event.profile_id)
    projected = Projected(store, tmp_path)
    assert projected.rejected == {"missing_customer": 2}
    assert projected.orders["customer_id"].nunique() == 2


def test_an_order_that_two_profiles_have_counts_once(tmp_path):
    store = store_of(1)
    event = store.visible("SHPlac")[0]
    other = store.add_profile("other@example.com")
    again = store.record(
        event.metric, other.id, event.happened + HOUR, properties=event.properties
    )
    assert again.id != event.id
    projected = Projected(store, tmp_path)
    assert projected.orders["net_amount"].to_dict() == {"5000001": 12}
    assert projected.history.accounting.merged["older_versions"] == 1
    assert pd.read_parquet(projected.history.order_lines)["net_amount"].tolist() == [12]


def test_each_range_of_days_has_its_own_integration(tmp_path):
    store = Store(sends_to=("shopify", "woocommerce"))
    for number in range(6):
        store.place_order(order_of(number, DAY + number * 24 * HOUR + 12 * HOUR))
    ranges = (
        Range("woocommerce", end=date(2026, 11, 22)),
        Range("shopify", start=date(2026, 11, 22)),
    )
    projected = Projected(store, tmp_path, replace(ORDERS, ranges=ranges))
    assert sorted(projected.orders.index) == [
        *(f"500000{number}" for number in range(2, 6)),
        "woocommerce:5000000",
        "woocommerce:5000001",
    ]
    placed = projected.table("placed_orders")
    assert dict(placed["integration"].value_counts()) == {"shopify": 4, "woocommerce": 2}


def test_stored_orders_of_two_integrations_need_ranges(tmp_path):
    store = Store(sends_to=("shopify", "woocommerce"))
    store.place_order(order_of(1, DAY))
    both = replace(ORDERS, ranges=(Range("shopify"),))
    for key in ("shopify", "woocommerce"):
        source = replace(ORDERS, ranges=(Range(key),))
        with PulledAccount(store, tmp_path / "state", source) as account:
            account.pull()
    with PulledAccount(store, tmp_path / "state", ORDERS) as account:
        with pytest.raises(UnexpectedAnswerError, match=r"shopify \(SHPlac\), woocommerce"):
            account.project(tmp_path / "tables")
        account.source = both
        account.project(tmp_path / "tables")


def test_files_are_for_their_owner_only(tmp_path):
    files = list(Projected(store_of(1), tmp_path).folder.glob("*.parquet"))
    assert len(files) == 6
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


# engagement


def test_engagement_is_of_people_and_dated(tmp_path):
    store = store_of(1)
    (profile,) = store.profiles.values()
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)  # the 22nd in Berlin
    receive_email(store, profile, "Beans", late)
    open_email(store, profile, "Beans", late, is_machine=True)
    open_email(store, profile, "Beans", late + HOUR, names=("Apple Privacy Open",))
    open_email(store, profile, "Beans", late + 2 * HOUR, names=("machine_open",))
    click_email(store, profile, "Beans", late + HOUR, is_bot=True)
    click_email(store, profile, "Beans", late + HOUR * 2, url="https://x.example/unsubscribe?a")
    click_email(store, profile, "Beans", late + HOUR * 3)
    visit(store, profile, late + HOUR)
    visit(store, profile, late + HOUR * 2, BEANS)
    projected = Projected(store, tmp_path, SOURCE)
    path = tmp_path / "engagement.parquet"
    write_engagement(projected.folder / "engagement.parquet", projected.history.contacts, path)
    rows = pd.read_parquet(path).set_index("metric")
    assert rows["events"].to_dict() == {
        "clicked_email": 1,
        "opened_email": 2,
        "received_email": 1,
        "visited_site": 2,
    }
    assert {str(day)[:10] for day in rows["day"]} == {"2026-11-22"}
    assert rows.loc["clicked_email", "last_at"] == late + 3 * HOUR
    assert set(rows["customer_id"]) == set(projected.orders["customer_id"])


@pytest.mark.parametrize("value", [True, "true", "True", 1])
@pytest.mark.parametrize("name", ["machine_open", "Machine Open", "Apple Privacy Open"])
def test_a_machine_s_open_is_none_however_it_is_spelled(name, value):
    assert not is_meant({name: value}, Kind.OPENED_EMAIL)
    assert is_meant({name: False}, Kind.OPENED_EMAIL)
    assert is_meant({name: value}, Kind.RECEIVED_EMAIL)


def test_a_message_is_of_its_campaign_else_of_its_flow():
    assert campaign_of({"Campaign Name": "Beans", "$flow": "F1"}) == "Beans"
    assert campaign_of({"$flow": "F1", "$message": "M1"}) == "flow F1"
    assert campaign_of({"$message": "M1"}) == "message M1"
    assert campaign_of({}) is None


def test_attribution_is_in_no_table(tmp_path):
    store = store_of(1)
    (profile,) = store.profiles.values()
    receive_email(store, profile, "B", DAY + timedelta(days=1), **{"$attribution": {"$x": "y"}})
    projected = Projected(store, tmp_path, SOURCE)
    for name in ("messages", "engagement"):
        assert not any("attribution" in column for column in projected.table(name).columns)
