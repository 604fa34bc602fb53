"""How fresh a source is: of files, a database and a live account; what is a problem."""

import os
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from connectors.live.errors import AccessRefusedError, PlatformDownError
from connectors.live.records import PullKind
from connectors.store import replace_file
from features.tables import DataError
from perennial.cli.shown.state import show_status
from perennial.pipeline.ingestion.pull_record import (
    PullRecord,
    clear_failure,
    read_failure,
    save_failure,
)
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.settings.store import PULL_RECORD, build_settings, read_settings
from perennial.pipeline.status.records import SourceStatus, Status
from perennial.pipeline.status.source import source_problem, source_status
from perennial.pipeline.status.status import collect_status
from tests.shops import write_shop

PULLED_AT = datetime(2026, 11, 27, 4, 0, tzinfo=UTC)
TWO_DAYS = timedelta(days=2)
SHOP = "shopify://tiny-teas.myshopify.com"


def live_settings(folder):
    return build_settings({"orders": {"source": SHOP}}, folder)


def write_pull(settings, pulled_at=PULLED_AT, **values):
    record = PullRecord(
        source=SHOP, pulled_at=pulled_at, kind=PullKind.NIGHT, folder="orders-1", **values
    )
    folder = settings.pulled(settings.orders.live_address)
    folder.mkdir(parents=True)
    text = record.model_dump_json()
    replace_file(folder / PULL_RECORD, lambda draft: draft.write_text(text))
    return folder


def written(path, moment):
    path.write_text("order_id\n1\n")
    os.utime(path, (moment.timestamp(), moment.timestamp()))


def problem_of(settings, now):
    return source_problem(source_status(settings.source_place), now, TWO_DAYS)


def test_files_are_as_old_as_the_newest_of_them(tmp_path):
    settings = build_settings({"orders": {"source": "orders"}}, tmp_path)
    assert source_status(settings.source_place) == SourceStatus(kind="files")
    (tmp_path / "orders").mkdir()
    written(tmp_path / "orders" / "old.csv", PULLED_AT - TWO_DAYS)
    written(tmp_path / "orders" / "new.csv", PULLED_AT)
    expected = SourceStatus(kind="files", file="new.csv", modified_at=PULLED_AT)
    assert source_status(settings.source_place) == expected
    assert problem_of(settings, PULLED_AT + TWO_DAYS) is None
    problem = problem_of(settings, PULLED_AT + TWO_DAYS + timedelta(seconds=1))
    assert problem.subject == "no new export of orders since 2026-11-27 04:00 UTC"
    assert problem.facts == {"newest file": "new.csv"}
    assert "overlaps the last weeks" in problem.fix
    assert "shopify://" in problem.fix


@pytest.mark.parametrize("source", ["duckdb:///shop.db", "postgresql://user@db.example/shop"])
def test_of_a_database_the_kind_alone_is_shown(tmp_path, source):
    settings = build_settings({"orders": {"source": source, "table": "orders"}}, tmp_path)
    assert source_status(settings.source_place) == SourceStatus(kind="database")
    assert problem_of(settings, PULLED_AT) is None


def test_a_live_source_is_as_old_as_its_last_pull(tmp_path):
    settings = live_settings(tmp_path)
    assert source_status(settings.source_place) == SourceStatus(kind="live", account=SHOP)
    assert problem_of(settings, PULLED_AT) is None  # the first night is to come
    until = PULLED_AT - timedelta(minutes=10)
    write_pull(settings, horizon=until, warnings=("2 orders were deleted",))
    assert source_status(settings.source_place) == SourceStatus(
        kind="live",
        account=SHOP,
        pulled_at=PULLED_AT,
        complete_until=until,
        pull_kind="night",
        warnings=("2 orders were deleted",),
    )
    assert problem_of(settings, PULLED_AT + TWO_DAYS) is None
    problem = problem_of(settings, PULLED_AT + TWO_DAYS + timedelta(seconds=1))
    assert problem.subject == f"{SHOP} was not pulled since 2026-11-27 04:00 UTC"
    assert problem.facts["complete until"] == "2026-11-27 03:50 UTC"
    assert "perennial pull" in problem.fix


def test_a_pull_that_was_refused_is_a_problem_until_one_succeeds(tmp_path):
    settings = live_settings(tmp_path)
    folder = write_pull(settings)
    later = PULLED_AT + timedelta(hours=24)
    save_failure(folder, later, AccessRefusedError("The key lacks read_all_orders", 200))
    problem = problem_of(settings, later)
    assert problem.subject == f"the last pull of {SHOP} failed"
    assert problem.facts == {
        "last pull": "2026-11-27 04:00 UTC",
        "failed": "2026-11-28 04:00 UTC",
        "error": "The key lacks read_all_orders",
    }
    assert "The key lacks read_all_orders" in str(problem)
    clear_failure(folder)
    assert read_failure(folder) is None
    assert problem_of(settings, later) is None


def test_a_platform_out_of_reach_is_a_problem_once_the_last_pull_is_old(tmp_path):
    settings = live_settings(tmp_path)
    folder = write_pull(settings)
    save_failure(folder, PULLED_AT + TWO_DAYS, PlatformDownError("Shopify does not answer"))
    status = source_status(settings.source_place)
    assert status.error == "Shopify does not answer"
    assert problem_of(settings, PULLED_AT + TWO_DAYS) is None
    problem = problem_of(settings, PULLED_AT + TWO_DAYS + timedelta(minutes=1))
    assert problem.facts["error"] == "Shopify does not answer"


@pytest.mark.parametrize("name", ["pull.json", "failure.json"])
def test_a_broken_record_of_a_pull_is_named_with_the_way_back(tmp_path, name):
    settings = live_settings(tmp_path)
    folder = write_pull(settings)
    (folder / name).write_text("{")
    with pytest.raises(DataError, match=rf"{name} cannot be read. Delete it"):
        source_status(settings.source_place)


def test_addresses_of_an_error_are_kept_without_their_passwords(tmp_path):
    error = PlatformDownError("No answer from https://user:secret@shop.example/wp-json")
    save_failure(tmp_path / "new", PULLED_AT, error)
    assert "secret" not in read_failure(tmp_path / "new").error


def test_the_status_of_a_store_has_its_source(tmp_path):
    settings = read_settings(write_shop(tmp_path))
    moment = datetime(2024, 7, 1, 3, tzinfo=UTC)
    os.utime(tmp_path / "orders.csv", (moment.timestamp(), moment.timestamp()))
    fresh = collect_status(home_context(settings, now=moment + TWO_DAYS)).source
    assert (fresh.kind, fresh.file, fresh.modified_at) == ("files", "orders.csv", moment)
    assert fresh.problem is None
    old = collect_status(home_context(settings, now=moment + timedelta(days=2.1))).source
    assert old.problem.startswith("no new export of orders since 2024-07-01 03:00 UTC")


def test_a_status_of_before_is_read_without_a_source():
    facts = {"current": None, "refused": [], "missing": [], "at_work": None, "is_stale": False}
    assert Status.model_validate(facts).source is None


def lines_of(recorded, source):
    facts = {"current": None, "refused": [], "missing": [], "at_work": None, "is_stale": False}
    show_status(recorded, {**facts, "source": source.model_dump(mode="json")})
    return recorded.export_text()


@pytest.fixture
def recorded():
    return Console(record=True, width=200, file=StringIO())


def test_a_live_source_is_shown_with_its_warnings(recorded):
    source = SourceStatus(
        kind="live",
        account=SHOP,
        pulled_at=PULLED_AT,
        complete_until=PULLED_AT,
        pull_kind="night",
        warnings=("2 orders were deleted",),
        newest_order=date(2026, 11, 26),
        problem="the last pull failed",
    )
    text = lines_of(recorded, source)
    assert (
        f"{SHOP}; pulled 2026-11-27 04:00 UTC (night); complete until 2026-11-27 04:00 UTC; newest order 2026-11-26"
        in text
    )
    assert "2 orders were deleted" in text
    assert "the last pull failed" in text


def test_files_and_databases_are_shown_in_one_line(recorded):
    source = SourceStatus(kind="files", file="new.csv", modified_at=PULLED_AT)
    assert "files; newest file new.csv, written 2026-11-27 04:00 UTC" in lines_of(recorded, source)
    assert "Source    database\n" in lines_of(recorded, SourceStatus(kind="database"))
