"""Nights against a live source: every day is published once, from orders that are complete for it."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

import flows.daily
import perennial.pipeline.runtime.context
from connectors.live.errors import AccessRefusedError, LiveError, PlatformDownError
from connectors.live.opening import Surroundings
from connectors.store import Store
from flows.daily import daily
from perennial.pipeline.ingestion import pull as pulling
from perennial.pipeline.ingestion.pull_record import read_pull
from perennial.pipeline.runtime.exits import ExitCode, exit_code
from perennial.pipeline.settings.store import read_settings
from perennial.simulation import simulate
from tests.connectors.live.shopify.direct import URL, DirectTransport
from tests.live.double import FAULT_KINDS, Clock, Faults
from tests.live.shopify_double import LEGACY_TOKEN, ShopifyDouble
from tests.live.shopify_schema import MISSING, SCHEMA
from tests.live.shopify_simulated import WorldFeed
from tests.shops import write_tracking

pytestmark = [pytest.mark.skipif(not SCHEMA.exists(), reason=MISSING), pytest.mark.slow]

FIRST = date(2025, 11, 1)  # day that is published first
NIGHT = 9  # hour in UTC: 4 in the store
SETTINGS = """
[store]
currency = "{currency}"
timezone = "{timezone}"
[orders]
source = "shopify://simulated"
[model]
stacking = false
backtest_cutoffs = 1
"""


class Nights:
    """A simulated store on Shopify's double, and a home that works for it night after night."""

    def __init__(self, folder, monkeypatch, **double):
        world = simulate(300, date(2024, 7, 1), date(2026, 1, 1), 3)
        self.clock = Clock(datetime(2025, 11, 2, NIGHT, tzinfo=UTC))
        self.feed = WorldFeed(world, self.clock)
        self.double = ShopifyDouble(self.feed.store, **double)
        self.config = folder / "perennial.toml"
        store = self.feed.store
        self.config.write_text(SETTINGS.format(currency=store.currency, timezone=store.zone))
        write_tracking(folder)
        self.environment = {"SHOPIFY_ADMIN_TOKEN": LEGACY_TOKEN, "SHOPIFY_API_URL": URL}
        around = Surroundings(self.environment, self.clock, DirectTransport(self.double))
        monkeypatch.setattr(pulling, "Surroundings", lambda _: around)

        class OnClock(datetime):
            @classmethod
            def now(cls, tz=None):
                return self.clock.now().astimezone(tz)

        for module in (flows.daily, perennial.pipeline.runtime.context):
            monkeypatch.setattr(module, "datetime", OnClock)
        self.store = Store(folder / "exports")

    def night(self, number):
        """Let the store's days happen up to a night, and publish the day before."""
        at = datetime.combine(FIRST + timedelta(days=number + 1), datetime.min.time(), UTC)
        ahead = at + timedelta(hours=NIGHT) - self.clock.now()
        self.clock.advance(ahead.total_seconds())
        self.feed.load()
        return daily(self.config, FIRST + timedelta(days=number))

    def record(self):
        settings = read_settings(self.config)
        return read_pull(settings.pulled(settings.orders.live_address))

    def assert_day_is_true(self, number):
        """The day's customers and their value are those of the orders that happened up to its end."""
        day = FIRST + timedelta(days=number)
        (published,) = self.store.days(day)
        record = published.record()
        expected = self.feed.expected()
        expected = expected[expected["order_date"] <= day]
        whole = expected[expected["net_amount"] + expected["refund_amount"] > 0]
        still_paid = whole[whole["net_amount"] > 0.005]
        scores = pd.read_parquet(published.file("scores.parquet"))
        assert record["customers"] == len(scores)
        # an order that was given back by now is no order any more
        assert len(scores) == still_paid["shopify_customer_id"].nunique()


@pytest.fixture
def nights(tmp_path, monkeypatch):
    rates = dict.fromkeys(FAULT_KINDS, 0.02)
    return Nights(tmp_path, monkeypatch, faults=Faults(7, rates=rates))


def test_a_week_of_bad_nights_publishes_every_day_once_from_its_own_orders(nights):
    for number in range(8):
        if number == 4:  # Shopify is down for a night
            down = Faults(1, rates={"503": 1.0}, most_in_row=10_000)
            whole, nights.double.faults = nights.double.faults, down
            with pytest.raises(PlatformDownError) as error:
                nights.night(number)
            assert exit_code(error.value) is ExitCode.TRY_AGAIN
            assert nights.store.current().as_of == FIRST + timedelta(days=3)
            nights.double.faults = whole
            continue
        done = nights.night(number)
        assert done.scored.is_new
        assert done.caught_up == ((FIRST + timedelta(days=4),) if number == 5 else ())
    days = [one.as_of for one in nights.store.published_days(date.min, date.max)]
    assert sorted(days) == [FIRST + timedelta(days=n) for n in range(8)]
    for number in range(8):
        assert len(nights.store.days(FIRST + timedelta(days=number))) == 1
        nights.assert_day_is_true(number)
    assert sum(nights.double.faults.counts.values()) > 20
    pulls = {one.name for one in (nights.config.parent / "state" / "live").rglob("pull=*")}
    assert len(pulls) >= 7


def test_a_key_that_is_revoked_leaves_yesterday(nights):
    nights.night(0)
    before = nights.record()
    revoked = nights.environment["SHOPIFY_ADMIN_TOKEN"] = f"shpat_{'0' * 32}"
    with pytest.raises(AccessRefusedError) as error:
        nights.night(1)
    assert exit_code(error.value) is ExitCode.WRONG_USAGE
    assert revoked not in str(error.value)
    assert nights.store.current().as_of == FIRST
    assert nights.record() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scopes": frozenset(["read_orders", "read_customers"])}, "read_all_orders"),
        (
            {
                "scopes": frozenset(
                    ["read_orders", "read_all_orders", "read_customers", "write_orders"]
                )
            },
            "write_orders",
        ),
    ],
)
def test_a_first_night_is_refused_before_anything_is_pulled(nights, change, message):
    for name, value in change.items():
        setattr(nights.double, name, value)
    with pytest.raises(LiveError, match=message):
        nights.night(0)
    assert nights.store.current() is None
    assert nights.record() is None


def test_settings_of_another_currency_or_shop_are_refused(nights):
    text = nights.config.read_text()
    for old, new, message in (
        (nights.feed.store.currency, "JPY", "currency"),
        ("shopify://simulated", "shopify://another", "another"),
    ):
        nights.config.write_text(text.replace(old, new))
        with pytest.raises(LiveError, match=message):
            nights.night(0)
    assert nights.store.current() is None
