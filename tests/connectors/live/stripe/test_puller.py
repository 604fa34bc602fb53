"""Pulling a Stripe account: whole through bad nights, its own orders again, and what is refused."""

import logging
from dataclasses import replace
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.live.errors import AccessRefusedError, UnexpectedAnswerError
from connectors.live.options import PullOptions
from connectors.live.records import PullKind
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from perennial.simulation import simulate
from tests.connectors.live.stripe import account_chaos
from tests.connectors.live.stripe.account_chaos import (
    ACCOUNT,
    differences,
    fast_disk,
    newest,
    pull,
    puller_of,
)
from tests.live.double import Clock, Killed, KillSwitch, Server
from tests.live.stripe_double import LIVE_KEY, PERMISSIONS, StripeDouble
from tests.live.stripe_records import Account, major
from tests.live.stripe_store import Payment, StripeStore, load

MASKED = LIVE_KEY[-4:]


@pytest.fixture(autouse=True, scope="module")
def no_sync():
    with fast_disk():
        yield


@pytest.fixture
def store():
    return StripeStore(Clock())


@pytest.fixture
def double(store):
    return StripeDouble(store)


@pytest.fixture
def url(double):
    with Server(double) as server:
        yield server.url


def fill(store, count=5):
    made = []
    for _ in range(count):
        made.append(store.pay())
        store.clock.advance(86_400)
    return made


def test_nothing_is_lost_through_bad_nights():
    counts = account_chaos.run_all(12, seconds=5)
    assert counts["runs"] >= 3
    assert counts["kills"] > 0


# What changes between nights


def test_a_late_capture_a_refund_and_its_failure_arrive_the_next_night(
    store, double, url, tmp_path
):
    first, *_ = fill(store)
    late = store.pay(Payment(captured=False))
    refund = store.refund(first, 500, status="pending")
    store.clock.advance(20 * 86_400)
    pull(double, url, tmp_path)
    store.clock.advance(5 * 86_400)
    pull(double, url, tmp_path)
    assert newest(tmp_path, "charges")[late]["captured"] is False
    store.capture(late)
    store.settle_refund(refund, "failed")
    store.clock.advance(5 * 86_400)
    pull(double, url, tmp_path)
    assert newest(tmp_path, "charges")[late]["captured"] is True
    assert newest(tmp_path, "refunds")[refund]["status"] == "failed"


def test_a_dispute_is_followed_until_it_is_lost(store, double, url, tmp_path):
    first, *_ = fill(store)
    dispute = store.dispute(first)
    pull(double, url, tmp_path)
    store.clock.advance(70 * 86_400)
    pull(double, url, tmp_path)
    store.settle_dispute(dispute, is_won=False)
    store.clock.advance(86_400)
    pull(double, url, tmp_path)
    assert newest(tmp_path, "disputes")[dispute]["status"] == "lost"


def test_a_row_that_is_gone_begins_the_window_again(store, double, url, tmp_path):
    made = [store.pay() for _ in range(150)]
    store.clock.advance(86_400)
    gone = []

    def delete(request):
        after = request.value("starting_after")
        if after in store.charges and not gone:
            gone.append(after)
            store.delete_charge(after)

    double.hooks.append(delete)
    pull(double, url, tmp_path)
    assert len(gone) == 1
    assert set(newest(tmp_path, "charges")) == set(made) - set(gone)


def test_charges_that_are_gone_get_tombstones_at_the_listing(store, double, url, tmp_path):
    first, *_ = fill(store)
    pull(double, url, tmp_path)
    store.delete_charge(first)
    store.clock.advance(86_400)
    summary = pull(double, url, tmp_path, PullKind.RECONCILE)
    assert first not in newest(tmp_path, "charges")
    assert sum(one.tombstones for one in summary.streams) == 1
    assert any("balance has 1 charges" in warning for warning in summary.warnings)


def test_a_calm_listing_adds_no_rows(store, double, url, tmp_path):
    fill(store)
    pull(double, url, tmp_path)
    store.clock.advance(86_400)
    night = sum(one.rows for one in pull(double, url, tmp_path).streams)
    summary = pull(double, url, tmp_path, PullKind.RECONCILE)
    assert (night, sum(one.rows for one in summary.streams)) == (0, 0)
    assert summary.warnings == ()


def test_a_killed_backfill_is_resumed(store, double, url, tmp_path):
    fill(store, 150)
    with pytest.raises(Killed):
        pull(double, url, tmp_path, transport=KillSwitch(45))
    store.clock.advance(86_400)
    pull(double, url, tmp_path)
    assert differences(store, tmp_path) == []


# What is refused


def refusal(error, double, url, folder, **how):
    with pytest.raises(error) as caught:
        pull(double, url, folder, **how)
    assert MASKED not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["charges", "refunds", "disputes"])
def test_a_key_without_a_permission_is_refused_by_its_name(store, double, url, tmp_path, name):
    fill(store)
    double.permissions.discard(PERMISSIONS[name])
    assert PERMISSIONS[name] in refusal(AccessRefusedError, double, url, tmp_path)


def test_what_is_optional_is_told(store, double, url, tmp_path):
    fill(store)
    for name in ("account", "customers", "balance_transactions"):
        double.permissions.discard(PERMISSIONS[name])
    with puller_of(url, tmp_path, store.clock) as puller:
        facts = puller.preflight()
    assert (facts.name, facts.currency, facts.timezone) == ("", None, None)
    assert len(facts.notes) == 4
    pull(double, url, tmp_path, PullKind.RECONCILE)
    assert differences(store, tmp_path) == []


def test_a_preflight_shows_the_account(store, double, url, tmp_path):
    (first, *_) = fill(store)
    with puller_of(url, tmp_path, store.clock) as puller:
        facts = puller.preflight()
    assert (facts.account, facts.name, facts.currency) == (ACCOUNT, "Example Shop", "EUR")
    assert facts.timezone == "Europe/Berlin"
    assert facts.first_order_at == datetime.fromtimestamp(store.charges[first].created, UTC)
    assert facts.notes == ()


def test_an_empty_account_is_refused(double, url, tmp_path):
    assert "shows no payment" in refusal(UnexpectedAnswerError, double, url, tmp_path)


def test_an_account_that_is_empty_one_day_loses_nothing(store, double, url, tmp_path):
    made = fill(store)
    pull(double, url, tmp_path)
    for charge in made[:-1]:
        store.delete_charge(charge)
    store.clock.advance(86_400)
    message = refusal(UnexpectedAnswerError, double, url, tmp_path, kind=PullKind.RECONCILE)
    assert "Nothing is deleted" in message
    assert len(newest(tmp_path, "charges")) == 5


def test_another_currency_is_refused(store, double, url, tmp_path):
    fill(store)
    options = PullOptions(currency="USD")
    assert "EUR" in refusal(UnexpectedAnswerError, double, url, tmp_path, options=options)


def test_another_account_is_refused(store, double, url, tmp_path):
    fill(store)
    store.account = replace(store.account, id="acct_OTHER")
    assert "another account" in refusal(AccessRefusedError, double, url, tmp_path)
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_key_that_was_revoked_in_the_middle_is_refused(store, double, url, tmp_path):
    for _ in range(150):
        store.pay()
    store.clock.advance(86_400)

    def revoke(request):
        if request.value("starting_after"):
            double.live_key = "rk_live_other"

    double.hooks.append(revoke)
    assert "revoked" in refusal(AccessRefusedError, double, url, tmp_path)
    double.hooks.clear()
    double.live_key = LIVE_KEY
    store.clock.advance(86_400)
    pull(double, url, tmp_path)
    assert differences(store, tmp_path) == []


def test_rows_of_test_mode_are_refused(store, double, url, tmp_path):
    fill(store)
    store.pay(Payment(livemode=False, customer=None))
    double.mixes_modes = True
    assert "test mode" in refusal(UnexpectedAnswerError, double, url, tmp_path)


def test_stripe_s_own_words_are_not_logged(store, double, url, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    fill(store)
    double.permissions.discard(PERMISSIONS["charges"])
    message = refusal(AccessRefusedError, double, url, tmp_path)
    assert LIVE_KEY not in caplog.text + message
    assert store.account.id not in message


# A simulated store


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Return a simulated store, and what comes of pulling it from an account."""
    folder = tmp_path_factory.mktemp("simulated")
    world = simulate(300, date(2025, 1, 1), date(2026, 1, 1), 3)
    profile = world.profile
    clock = Clock(datetime(2026, 3, 1, tzinfo=UTC))
    account = Account(currency=profile.currency.lower(), zone=profile.timezone)
    store = StripeStore(clock, account)
    intents = load(store, world)
    add_oddities(store)
    double = StripeDouble(store)
    with Server(double) as server:
        pull(double, server.url, folder)
        with puller_of(server.url, folder, clock) as puller:
            (file,) = puller.project(folder / "export")
    ours = {
        as_of: read(file, folder / str(as_of), as_of, profile)
        for as_of in (date(2026, 3, 1), date(2025, 9, 1))
    }
    return world, store, intents, ours


def add_oddities(store):
    """Add what the simulation has not: partial captures, several refunds, disputes, other currencies."""
    at = int(datetime(2025, 8, 1, tzinfo=UTC).timestamp())
    later = at + 60 * 86_400
    part = store.pay(Payment(4000, captured=False, created=at))
    store.capture(part, 2500)
    twice = store.pay(Payment(9000, created=at, tries=3))
    store.refund(twice, 1000, created=at + 86_400)
    store.refund(twice, 2000, created=later)
    store.refund(twice, 500, created=at, status="failed")
    store.pay(Payment(captured=False, created=at))
    store.pay(Payment(succeeds=False, created=at))
    lost = store.pay(Payment(7000, created=at))
    store.refund(lost, 1000, created=at + 86_400)
    store.settle_dispute(store.dispute(lost), is_won=False)
    won = store.pay(Payment(7000, created=at))
    store.settle_dispute(store.dispute(won), is_won=True)
    yen = store.pay(Payment(9000, "jpy", created=at))
    store.refund(yen, 3333, created=at + 86_400)


def read(file, folder, as_of, profile):
    source = OrderSource(location=str(file), preset="stripe", currency=profile.currency)
    with open_engine(profile.timezone) as engine:
        return read_orders(engine, source, as_of, folder)


def test_a_simulated_stores_orders_come_back(simulated):
    world, _, intents, ours = simulated
    got = pd.read_parquet(ours[date(2026, 3, 1)].orders).set_index("order_id")
    true = world.orders.to_pandas()
    # nothing is charged for a free order
    true = true[true["order_id"].isin(list(intents))]
    true["order_id"] = true["order_id"].map(intents)
    true = true.set_index("order_id")
    both = got.join(true, rsuffix="_true", how="inner")
    left = true.drop(both.index)
    assert (left["net_amount"] <= 0).all()
    assert len(both) > 300
    # a payment has neither prices before discounts, nor codes, channels or lines
    for name in ("refund_amount", "net_amount"):
        assert (both[name] - both[f"{name}_true"]).abs().max() < 0.0101, name
    assert (pd.to_datetime(both["order_date"]) == pd.to_datetime(both["order_date_true"])).all()
    assert both.groupby("customer_id")["customer_id_true"].nunique().eq(1).all()
    assert both.groupby("customer_id_true")["customer_id"].nunique().eq(1).all()


@pytest.mark.parametrize("as_of", [date(2026, 3, 1), date(2025, 9, 1)])
def test_refunds_and_lost_disputes_count_from_their_own_day_on(simulated, as_of):
    _, store, _, ours = simulated
    got = pd.read_parquet(ours[as_of].orders).set_index("order_id")["net_amount"]
    currency = store.account.currency
    truths = {
        key: one
        for key, one in store.truths().items()
        if one.is_paid and one.day <= as_of and one.net(as_of) > 0
    }
    assert set(got.index) == set(truths)
    for key, net in got.items():
        true = truths[key]
        share = true.net(as_of) / true.captured
        expected = float(major(true.settled, currency)) * share
        assert net == pytest.approx(expected, abs=0.0101)
    changed = [one for one in truths.values() if one.net(as_of) != one.net()]
    assert len(changed) > 2 or as_of == date(2026, 3, 1)
