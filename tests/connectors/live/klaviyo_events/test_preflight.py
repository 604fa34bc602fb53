"""What is refused before a pull: keys, accounts, several sources of orders, orders that are not understood."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from connectors.live.errors import AccessRefusedError, UnexpectedAnswerError
from connectors.live.klaviyo_events.preflight import check_keys
from connectors.live.klaviyo_events.source import KlaviyoSource, Range
from tests.connectors.live.klaviyo_events.pulled_account import SOURCE, PulledAccount
from tests.live.klaviyo_events_caller import DAY, HOUR, order_of, other_store, store_of
from tests.live.klaviyo_events_double import SCOPES
from tests.live.klaviyo_events_records import PLACED, Integration, Metric
from tests.live.klaviyo_events_store import Account, Store

RANGES = (Range("woocommerce", end=date(2026, 11, 20)), Range("shopify", start=date(2026, 11, 20)))


@pytest.fixture
def checked(tmp_path):
    """Return a function from a store and a source to the facts of the account."""

    def check(store, source=SOURCE, **attributes):
        with PulledAccount(store, tmp_path, source) as account:
            for name, value in attributes.items():
                setattr(account.double, name, value)
            return account.preflight()

    return check


def test_an_account_has_its_facts(checked):
    facts = checked(store_of(3))
    assert (facts.platform, facts.account, facts.name) == ("klaviyo", "ABC123", "Example Beans")
    assert (facts.currency, facts.timezone, facts.is_test) == ("EUR", "Europe/Berlin", False)
    assert facts.first_order_at == DAY + HOUR
    assert any("partial refunds" in note for note in facts.notes)


def test_the_sync_s_key_is_refused_and_not_shown():
    check_keys("pk_a", None)
    check_keys("pk_a", "pk_b")
    with pytest.raises(AccessRefusedError, match="KLAVIYO_READ_KEY") as caught:
        check_keys("pk_a", "pk_a")
    assert "pk_a" not in str(caught.value)


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_a_key_without_a_scope_is_refused(checked, scope):
    with pytest.raises(AccessRefusedError, match=scope):
        checked(store_of(1), scopes=SCOPES - {scope})


def test_another_account_is_refused(checked):
    with pytest.raises(AccessRefusedError, match=r"ABC123.*XYZ789"):
        checked(store_of(1), replace(SOURCE, account="XYZ789"))


def test_another_currency_is_refused(checked):
    with pytest.raises(UnexpectedAnswerError, match="EUR, the store's USD"):
        checked(store_of(1), replace(SOURCE, currency="USD"))


def test_another_time_zone_is_refused_and_another_name_of_it_is_not(checked):
    with pytest.raises(UnexpectedAnswerError, match="Europe/Berlin, the store's America"):
        checked(store_of(1), replace(SOURCE, timezone="America/New_York"))
    assert checked(store_of(1), replace(SOURCE, timezone="Europe/Paris")).account == "ABC123"


def test_an_account_without_orders_is_refused(checked):
    with pytest.raises(UnexpectedAnswerError, match="No integration has sent a Placed Order"):
        checked(Store())


def test_two_integrations_with_orders_are_refused_with_their_counts_and_days(checked):
    store = store_of(3, sends_to=("shopify", "woocommerce"))
    with pytest.raises(UnexpectedAnswerError) as caught:
        checked(store)
    text = str(caught.value)
    assert '"shopify" (SHPlac): 3 in 90 days, 2026-11-20 to 2026-11-20' in text
    assert '"woocommerce" (WOPlac): 3 in 90 days' in text
    assert "twice" in text


def test_one_of_two_integrations_may_be_named(checked):
    store = store_of(3, sends_to=("shopify", "woocommerce"))
    facts = checked(store, replace(SOURCE, ranges=(Range("shopify"),)))
    assert any('"woocommerce" (WOPlac): 3' in note for note in facts.notes)
    assert checked(store, replace(SOURCE, ranges=RANGES)).account == "ABC123"


def test_an_integration_that_stopped_is_noted_and_not_read(checked):
    store = Store(sends_to=("woocommerce",))
    store.place_order(order_of(1, DAY - timedelta(days=200)))
    store.sends_to = ("shopify",)
    store.place_order(order_of(2, DAY))
    facts = checked(store)
    assert facts.first_order_at == DAY
    assert any("range of days" in note and "WOPlac" in note for note in facts.notes)


def test_an_integration_that_is_not_there_is_refused(checked):
    with pytest.raises(UnexpectedAnswerError, match='no Placed Order of "magento_two"'):
        checked(store_of(1), replace(SOURCE, ranges=(Range("magento_two"),)))


def test_two_metrics_of_one_key_are_named_by_id(checked):
    store = store_of(1)
    store.add_metric(PLACED, store.metric(PLACED).integration)
    with pytest.raises(UnexpectedAnswerError, match="Name the id of one"):
        checked(store, replace(SOURCE, ranges=(Range("shopify"),)))
    assert checked(store, replace(SOURCE, ranges=(Range("SHPlac"),))).account == "ABC123"


def test_ranges_that_overlap_are_refused():
    with pytest.raises(ValueError, match="overlap"):
        KlaviyoSource("ABC123", ranges=(Range("shopify"), RANGES[0]))
    with pytest.raises(ValueError, match="ends after its start"):
        KlaviyoSource("ABC123", ranges=(Range("api", date(2026, 1, 2), date(2026, 1, 2)),))


@pytest.mark.parametrize("integration", ["woocommerce", "api"])
def test_orders_of_another_integration_are_read_where_they_are_understood(checked, integration):
    assert checked(other_store(integration)).first_order_at == DAY + 18 * HOUR


@pytest.mark.parametrize(
    ("integration", "metric", "name", "finding"),
    [
        ("woocommerce", "WOPlac", "$extra", "extra is missing"),
        ("woocommerce", "WOPlac", "$event_id", "event_id is missing"),
        ("api", "APPlac", "Items", "Items is no list of objects"),
    ],
)
def test_orders_that_are_not_understood_are_refused_with_the_properties(
    checked, integration, metric, name, finding
):
    store = other_store(integration)
    (event,) = store.visible(metric)
    event.properties = {key: value for key, value in event.properties.items() if key != name}
    with pytest.raises(UnexpectedAnswerError, match=finding) as caught:
        checked(store)
    assert "ItemNames" in str(caught.value)
    assert "ben.sample" not in str(caught.value)


def test_orders_of_a_platform_that_nobody_attested_are_refused(checked):
    store = Store()
    metric = Metric("BCPlac", PLACED, Integration("0x", "bigcommerce", "BigCommerce", "eCommerce"))
    store.metrics[metric.id] = metric
    profile = store.add_profile("ada@example.com")
    content = {"$event_id": "1", "$extra": {"line_items": []}, "ChannelID": 1}
    store.record(metric, profile.id, DAY, properties=content)
    with pytest.raises(
        UnexpectedAnswerError, match=r'"bigcommerce" are not understood.*ChannelID'
    ):
        checked(store)


def test_a_few_odd_orders_do_not_stop_a_pull(checked):
    store = store_of(40)
    store.visible("SHPlac")[3].properties["$extra"] = {}
    assert checked(store).account == "ABC123"


# a history that still arrives


def new_store(count=5, days=2):
    """A store that was connected some days ago."""
    store = store_of(count)
    created = store.now() - timedelta(days=days)
    store.metrics["SHPlac"] = replace(store.metrics["SHPlac"], created=created)
    for event in store.events.values():
        if event.metric.id == "SHPlac":
            event.metric = store.metrics["SHPlac"]
    return store


def test_a_new_history_waits_until_two_daily_counts_agree(checked):
    store = new_store()
    for hours in (0, 1, 18):
        store.clock.advance(hours * 3600)
        with pytest.raises(UnexpectedAnswerError, match="shopify may still be arriving"):
            checked(store)
    store.clock.advance(2 * 3600)
    assert checked(store).first_order_at == DAY + HOUR
    assert checked(store).first_order_at == DAY + HOUR  # also an hour later


def test_a_history_that_grew_waits_on(checked):
    store = new_store()
    for number in range(3):
        with pytest.raises(UnexpectedAnswerError, match="two daily counts"):
            checked(store)
        old = order_of(100 + number, DAY - timedelta(days=100 + number))
        store.place_order(old, received=store.now())
        store.clock.advance(24 * 3600)
    with pytest.raises(UnexpectedAnswerError, match="two daily counts"):
        checked(store)
    store.clock.advance(24 * 3600)
    assert checked(store).first_order_at == DAY - timedelta(days=102)


def test_new_orders_are_no_growth_of_the_history(checked):
    store = new_store()
    with pytest.raises(UnexpectedAnswerError):
        checked(store)
    store.place_order(order_of(50, store.now()))
    store.clock.advance(24 * 3600)
    assert checked(store).account == "ABC123"


def test_an_integration_of_long_ago_does_not_wait(checked):
    assert checked(new_store(days=15)).account == "ABC123"


def test_a_test_account_is_marked(checked):
    store = store_of(1)
    store.account = Account(is_test=True)
    assert checked(store).is_test
