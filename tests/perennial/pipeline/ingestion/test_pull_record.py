"""What is remembered of pulls that fail and of those that succeed."""

from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest

from connectors.live.errors import AccessRefusedError, PlatformDownError
from connectors.live.records import PullKind, PullSummary, StreamSummary
from perennial.pipeline.ingestion import pull
from perennial.pipeline.ingestion.pull_record import read_failure, read_pull
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.settings.store import build_settings

NOW = datetime(2026, 11, 28, 4, tzinfo=UTC)
DAY = date(2026, 11, 27)


class FakePuller:
    """A platform that answers, or fails with an error."""

    def __init__(self):
        self.error = None

    def pull(self, now, kind, _on_progress):
        if self.error is not None:
            raise self.error
        stream = StreamSummary("orders", horizon=now - timedelta(minutes=10))
        return PullSummary("shopify", "tiny-teas.myshopify.com", kind, (stream,))

    def project(self, _folder):
        return []


@pytest.fixture
def puller(monkeypatch):
    fake = FakePuller()

    @contextmanager
    def opened(*_arguments):
        yield fake

    monkeypatch.setattr(pull, "open_puller", opened)
    return fake


@pytest.fixture
def settings(tmp_path):
    return build_settings({"orders": {"source": "shopify://tiny-teas"}}, tmp_path)


def pull_at(settings, now):
    run = home_context(settings, now=now).on(DAY)
    return pull.pull_orders(run)


def folder_of(settings):
    return settings.pulled(settings.orders.live_address)


def test_a_refused_pull_is_remembered_until_one_succeeds(settings, puller):
    puller.error = AccessRefusedError("The key lacks read_orders", 200)
    with pytest.raises(AccessRefusedError):
        pull_at(settings, NOW)
    failure = read_failure(folder_of(settings))
    assert (failure.failed_at, failure.error) == (NOW, "The key lacks read_orders")
    assert not failure.is_late
    puller.error = None
    later = NOW + timedelta(hours=1)
    assert pull_at(settings, later).kind is PullKind.NIGHT
    assert read_failure(folder_of(settings)) is None
    assert read_pull(folder_of(settings)).pulled_at == later


def test_a_platform_that_is_down_is_remembered_also_where_the_run_goes_on(settings, puller):
    assert pull_at(settings, NOW).pulled_at == NOW
    puller.error = PlatformDownError("Shopify does not answer")
    later = NOW + timedelta(hours=1)
    assert pull_at(settings, later).pulled_at == NOW  # the day is covered by the pull before
    failure = read_failure(folder_of(settings))
    assert (failure.failed_at, failure.is_late) == (later, True)
