"""Orders are pulled before a run, and a day is only read from orders that are complete for it."""

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from connectors.klaviyo.erasure import Erasures
from connectors.live.errors import AccessRefusedError, PlatformDownError
from connectors.live.queries import Memory
from connectors.live.raw import RawAccount
from connectors.live.records import (
    AccountFacts,
    PlannedPull,
    PullKind,
    PullSummary,
    RawRow,
    StreamSummary,
    Window,
)
from perennial.pipeline.ingestion import pull as pulling
from perennial.pipeline.ingestion.pull import (
    NotPulledError,
    PullRecord,
    check_pulled,
    covers,
    due_kind,
    forget_pulled,
    pull_orders,
)
from perennial.pipeline.ingestion.pull_record import read_pull
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.runtime.exits import ExitCode, exit_code
from perennial.pipeline.settings.store import SettingsError, build_settings

DAY = date(2026, 11, 28)
NOW = datetime(2026, 11, 29, 4, tzinfo=UTC)
SOURCE = "shopify://shop.myshopify.com"


@dataclass
class Platform:
    """A platform that pulls up to now, and notes how it was asked."""

    error: Exception | None = None
    lag: timedelta = timedelta(minutes=10)
    kinds: list[PullKind] = field(default_factory=list)
    stores: list[pulling.LiveStore] = field(default_factory=list)

    @contextmanager
    def open(self, store, around):
        self.stores.append(store)
        yield self

    def preflight(self):
        return AccountFacts("shopify", "shop.myshopify.com", "A shop")

    def pull(self, now, kind, on_progress):
        if self.error is not None:
            raise self.error
        self.kinds.append(kind)
        stream = StreamSummary("orders", ("1",), 3, 1, now - self.lag)
        return PullSummary("shopify", "shop.myshopify.com", kind, (stream,), 7, ("Look here",))

    def project(self, folder):
        (folder / "order.csv").write_text("id\n1\n")
        return [folder / "order.csv"]


@pytest.fixture
def platform(monkeypatch):
    made = Platform()
    monkeypatch.setattr(pulling, "open_puller", made.open)
    return made


@pytest.fixture
def run(tmp_path):
    return home_context(build_settings({"orders": {"source": SOURCE}}, tmp_path), DAY, now=NOW)


def record(**changes):
    whole = PullRecord(source=SOURCE, pulled_at=NOW, kind=PullKind.NIGHT, folder="orders-1")
    return whole.model_copy(update=changes)


def test_files_and_databases_are_not_pulled(tmp_path, platform):
    run = home_context(
        build_settings({"orders": {"source": "orders.csv"}}, tmp_path), DAY, now=NOW
    )
    assert pull_orders(run) is None
    check_pulled(run)
    assert platform.stores == []


def test_what_was_pulled_is_what_orders_are_read_from(run, platform):
    done = pull_orders(run)
    assert done == read_pull(run.settings.pulled(run.settings.orders.live_address))
    assert (done.rows, done.deleted, done.requests, done.warnings) == (3, 1, 7, ("Look here",))
    source = run.settings.order_source
    assert source.preset == "fivetran"
    assert source.location.endswith(f"/{done.folder}")
    assert (
        run.settings.pulled(run.settings.orders.live_address) / done.folder / "order.csv"
    ).exists()
    check_pulled(run)


def test_the_projection_before_stays_for_who_still_reads_it_and_older_ones_go(run, platform):
    records = [pull_orders(replace(run, now=NOW + timedelta(hours=n))) for n in range(4)]
    folder = run.settings.pulled(run.settings.orders.live_address)
    assert {one.name for one in folder.glob("orders-*")} == {one.folder for one in records[-2:]}


def test_a_day_that_is_not_complete_is_not_read(run, platform):
    with pytest.raises(NotPulledError, match="No orders are pulled from shopify://shop"):
        check_pulled(run)
    platform.lag = timedelta(hours=5)  # 23:00 of the day
    pull_orders(run)
    with pytest.raises(
        NotPulledError, match=r"2026-11-28 are not complete.* until 2026-11-28 23:00 UTC"
    ) as error:
        check_pulled(run)
    assert exit_code(error.value) is ExitCode.TRY_AGAIN
    check_pulled(run.on(DAY - timedelta(days=1)))


def test_a_day_ends_where_the_store_is():
    ends = record(horizon=datetime(2026, 11, 29, 5, tzinfo=UTC))
    assert covers(ends, DAY, "America/New_York")
    assert not covers(ends, DAY, "America/Chicago")
    assert not covers(record(), DAY, "UTC")


def test_a_platform_that_is_down_stops_a_run_whose_day_is_not_pulled(run, platform):
    platform.error = PlatformDownError("Shopify does not answer")
    with pytest.raises(PlatformDownError) as error:
        pull_orders(run)
    assert exit_code(error.value) is ExitCode.TRY_AGAIN


def test_a_platform_that_is_down_stops_no_run_whose_day_is_pulled(run, platform):
    before = pull_orders(run)
    platform.error = PlatformDownError("Shopify does not answer")
    assert pull_orders(replace(run, now=NOW + timedelta(hours=3))) == before
    with pytest.raises(PlatformDownError):
        pull_orders(replace(run.on(DAY + timedelta(days=1)), now=NOW + timedelta(days=1)))


def test_a_key_that_is_refused_stops_every_run_and_leaves_what_was_pulled(run, platform):
    before = pull_orders(run)
    platform.error = AccessRefusedError("The key was revoked", 401)
    with pytest.raises(AccessRefusedError) as error:
        pull_orders(run)
    assert exit_code(error.value) is ExitCode.WRONG_USAGE
    assert read_pull(run.settings.pulled(run.settings.orders.live_address)) == before


def test_recent_weeks_are_read_again_weekly_and_counts_compared_every_four_weeks(run, platform):
    for day in range(60):
        pull_orders(replace(run, now=NOW + timedelta(days=day)))
    kinds = platform.kinds
    repairs = [day for day, kind in enumerate(kinds) if kind is PullKind.REPAIR]
    assert repairs == [7, 14, 21, 35, 42, 49]
    assert [day for day, kind in enumerate(kinds) if kind is PullKind.RECONCILE] == [28, 56]
    assert due_kind(None, NOW) is PullKind.NIGHT


def test_a_pull_that_was_asked_for_goes_before_what_is_due(run, platform):
    pull_orders(run, PullKind.RECONCILE)
    assert platform.kinds == [PullKind.RECONCILE]


def test_a_puller_gets_what_the_settings_have(tmp_path, platform):
    given = {
        "store": {"currency": "EUR", "timezone": "Europe/Berlin"},
        "orders": {"source": SOURCE},
        "engine": {"memory_limit": "1GB"},
    }
    run = home_context(build_settings(given, tmp_path), DAY, now=NOW)
    pull_orders(run)
    (store,) = platform.stores
    assert (store.currency, store.timezone) == ("EUR", "Europe/Berlin")
    assert isinstance(store.memory, Memory)
    assert store.memory.limit == "1GB"
    assert not store.is_erased({"email": "ann@example.com"})


def test_who_was_forgotten_is_not_pulled_again(run, platform):
    Erasures(run.state).add(["Ann@example.com", "+49 170 1234567"])
    pull_orders(run)
    is_erased = platform.stores[0].is_erased
    assert is_erased({"email": "ann@example.com"})
    assert is_erased({"customer": {"phone": "+491701234567"}})
    assert not is_erased({"note": "ann@example.com", "email": "bob@example.com"})


def test_a_person_is_forgotten_in_what_was_pulled(run, platform):
    pull_orders(run)
    account = RawAccount(run.state, "shopify", "shop.myshopify.com", now=lambda: NOW)
    window = Window(NOW - timedelta(days=1), NOW)
    with account.hold():
        pull = account.stream("orders").begin(PlannedPull(window, PullKind.NIGHT), "1")
        pull.add(
            [
                RawRow("1", {"id": 1, "email": "ann@example.com"}, NOW, NOW),
                RawRow("2", {"id": 2, "email": "bob@example.com"}, NOW, NOW),
            ]
        )
        pull.finish()
    assert forget_pulled(run, {"ann@example.com"}) == 1
    assert account.stream("orders").keys(Window(window.start, NOW + timedelta(days=1))) == {"2"}
    with pytest.raises(NotPulledError):  # what was written for the preset named them too
        check_pulled(run)
    assert forget_pulled(run, {"ann@example.com"}) == 0


def test_a_person_is_forgotten_in_written_orders_though_the_raw_files_have_them_no_more(
    run, platform
):
    """As after an erasure that was stopped between the two."""
    before = pull_orders(run)
    folder = run.settings.pulled(run.settings.orders.live_address)
    killed = (
        folder.with_name("another") / "orders-1"
    )  # of a first pull that was killed: there is no record
    killed.mkdir(parents=True)
    assert forget_pulled(run, {"ann@example.com"}) == 0
    assert not [*folder.parent.glob("*/orders-*")]
    with pytest.raises(NotPulledError):
        check_pulled(run)
    again = pull_orders(replace(run, now=NOW + timedelta(hours=1)))
    assert again.reconciled_at == before.reconciled_at  # which was no comparison of counts
    check_pulled(run)


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ({"source": "shopify://"}, "names no shopify account"),
        ({"source": "shopify://shop.example"}, "names no shopify account"),
        ({"source": "woocommerce://shop example"}, "names no woocommerce account"),
        ({"source": SOURCE, "preset": "shopify"}, "preset is for files"),
        ({"source": SOURCE, "columns": {"email": "Mail"}}, "columns is for files"),
    ],
)
def test_settings_that_do_not_fit_a_live_source_are_refused(tmp_path, orders, message):
    with pytest.raises(SettingsError, match=message):
        build_settings({"orders": orders}, tmp_path)


@pytest.mark.parametrize(
    ("source", "account"),
    [
        ("shopify://Shop", "shop.myshopify.com"),
        ("woocommerce://Shop.example/store/", "shop.example/store"),
        ("klaviyo://AbC123", "AbC123"),
    ],
)
def test_an_account_is_named_in_one_way(tmp_path, source, account):
    settings = build_settings({"orders": {"source": source}}, tmp_path)
    assert settings.orders.live_address.account == account
