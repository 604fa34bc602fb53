"""Days that are missed, late, refused, accepted and looked at again, on a small trained shop."""

import json
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from connectors.formats import FORMAT
from connectors.programs import COMMITMENTS
from connectors.state import bring_up_to_date
from connectors.store import Store
from features.tables import DataError
from flows.daily import daily
from perennial.pipeline.publishing.checks import DayRefusedError, refusals
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.runtime.exits import exit_code
from perennial.pipeline.runtime.slot import slot_day
from perennial.pipeline.settings.store import read_settings
from perennial.pipeline.status.status import collect_status, read_limit
from tests.perennial.pipeline.runtime.test_notify import Webhook
from tests.shops import AS_OF, make_orders

FIRST_FORMAT = Path(__file__).parent / "first_format"


def after(days: int) -> date:
    return AS_OF + timedelta(days=days)


@pytest.fixture
def shop(published, tmp_path) -> Path:
    """A copy of the shop whose day is published; its trained model is read where it was made."""
    config = tmp_path / "shop" / "perennial.toml"
    shutil.copytree(published[0].parent, config.parent)
    return config


def store_of(config: Path) -> Store:
    return Store(read_settings(config).exports)


def double(config: Path) -> None:
    """Let every order come twice, the second time under another name."""
    orders = make_orders()
    both = pd.concat([orders, orders.assign(order_id="again-" + orders["order_id"])])
    both.to_csv(config.parent / "orders.csv", index=False)


def test_missed_days_are_filled_in_in_order_and_readers_see_the_newest(shop):
    done = daily(shop, after(3))
    assert done.caught_up == (after(1), after(2))
    store = store_of(shop)
    assert store.current().as_of == after(3)
    days = store.published_days(after(0), after(3))
    assert [day.as_of for day in days] == [after(n) for n in range(4)]
    purposes = [day.record()["purpose"] for day in days]
    assert purposes == ["current", "missed", "missed", "current"]
    stamps = [day.record()["published_at"] for day in days]
    assert stamps == sorted(stamps)


def test_a_run_that_comes_late_fills_its_day_in_and_moves_nobody_back(shop, perennial):
    assert perennial("run", "--config", shop, "--as-of", after(2).isoformat()).code == 0
    late = daily(shop, after(1))
    assert late.scored.is_new
    assert late.scored.sync is None
    assert store_of(shop).current().as_of == after(2)


def test_the_same_slot_again_publishes_nothing(shop):
    assert daily(shop, after(1)).scored.is_new
    again = daily(shop, after(1))
    assert (again.scored.is_new, again.caught_up) == (False, ())
    assert len(store_of(shop).days(after(1))) == 1


def test_a_doubled_source_is_refused_remembered_and_mended_by_the_next_night(shop, perennial):
    double(shop)
    day = ("--config", shop, "--as-of", after(1).isoformat())
    result = perennial("run", *day, "--json")
    assert result.code == 20
    assert "orders of past days stay as they were" in result.json["error"]
    assert "--accept history_stays" in result.json["error"]
    settings = read_settings(shop)
    (refused,) = refusals(settings.state)
    assert [check.name for check in refused.checks] == ["history_stays"]
    assert store_of(shop).current().as_of == AS_OF
    shown = perennial("status", "--config", shop)
    assert f"Refused {after(1)}" in shown.out
    make_orders().to_csv(shop.parent / "orders.csv", index=False)
    assert daily(shop, after(2)).caught_up == (after(1),)
    assert refusals(settings.state) == []


def test_what_a_person_accepts_is_published_with_the_reason(shop, perennial):
    double(shop)
    day = ("--config", shop, "--as-of", after(1).isoformat())
    names = [
        "history_stays", "value_is_steady", "segments_are_steady", "customers_stay_put",
        "orders_of_the_day",
    ]  # fmt: skip
    accepts = [part for name in names for part in ("--accept", name)]
    result = perennial("run", *day, *accepts, "--because", "two shops became one", "--json")
    assert result.code == 0, result.err
    checks = {c["name"]: c for c in store_of(shop).current().record()["checks"]}
    assert checks["history_stays"]["verdict"] == "accepted"
    assert checks["history_stays"]["because"] == "two shops became one"
    assert any("two shops became one" in note for note in result.json["notes"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--accept", "nothing"), "orders_are_fresh"),
        (("--accept", "history_stays"), "--because"),
    ],
)
def test_a_check_is_accepted_by_its_name_and_for_a_reason(shop, perennial, arguments, words):
    result = perennial("run", "--config", shop, *arguments, "--json")
    assert result.code == 2
    assert words in result.json["error"]


def test_a_day_that_is_not_over_is_refused(shop):
    with pytest.raises(DataError, match="once it is over"):
        daily(shop, date(2999, 1, 1))


def test_a_missed_day_that_is_refused_holds_nobody_up(shop, monkeypatch):
    from flows import daily as module

    real = module.score

    def score(config, as_of, *args, **kwargs):
        if as_of == after(1):
            raise DataError("this day is no good")
        return real(config, as_of, *args, **kwargs)

    monkeypatch.setattr(module, "score", score)
    done = daily(shop, after(2))
    assert done.refused == {after(1): "this day is no good"}
    assert store_of(shop).current().as_of == after(2)
    assert [one.why for one in refusals(read_settings(shop).state)] == ["this day is no good"]


def test_readers_see_the_newest_missed_day_where_the_day_itself_is_refused(shop, monkeypatch):
    from flows import daily as module

    real = module.score

    def score(config, as_of, *args, **kwargs):
        if as_of == after(2):
            raise DayRefusedError("late", is_late=True)
        return real(config, as_of, *args, **kwargs)

    monkeypatch.setattr(module, "score", score)
    with pytest.raises(DayRefusedError) as error:
        daily(shop, after(2))
    assert exit_code(error.value) == 30
    assert store_of(shop).current().as_of == after(1)


@pytest.mark.slow
def test_history_is_published_for_itself(shop, perennial):
    before = (shop.parent / "exports" / "CURRENT.json").read_bytes()
    reported = ("--config", shop, "--from", after(-3).isoformat(), "--to", after(1).isoformat())
    result = perennial("backfill", *reported, "--json")
    assert result.code == 0, result.err
    assert result.json["already_published"] == [AS_OF.isoformat()]
    wanted = [after(n).isoformat() for n in (-3, -2, -1, 1)]
    assert result.json["published"] == wanted
    assert (shop.parent / "exports" / "CURRENT.json").read_bytes() == before
    for day in store_of(shop).published_days(after(-3), after(-1)):
        assert pd.read_parquet(day.file(COMMITMENTS)).empty
        assert day.record()["purpose"] == "history"
    again = perennial("backfill", *reported, "--json")
    assert (again.code, again.json["published"]) == (10, [])


def test_each_day_of_history_has_the_model_that_was_valid_then(shop):
    trained = {
        day.as_of: day.record()["model_version"]
        for day in store_of(shop).published_days(date.min, date.max)
    }
    assert set(trained) == {AS_OF}


def test_a_backfill_goes_forward(shop, perennial):
    result = perennial("backfill", "--config", shop, "--from", "2024-06-02", "--to", "2024-06-01")
    assert result.code == 2


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2024, 7, 1, 2, tzinfo=UTC), date(2024, 6, 30)),
        (datetime(2024, 7, 1, 21, 59, tzinfo=UTC), date(2024, 6, 30)),
        (datetime(2024, 7, 1, 22, 0, tzinfo=UTC), date(2024, 7, 1)),  # midnight in Berlin
    ],
)
def test_the_day_is_the_last_that_was_over_at_the_slot_in_the_stores_zone(published, moment, day):
    assert slot_day(read_settings(published[0]), moment) == day


def test_status_says_what_is_missing_and_how_old_what_is_there_is(shop):
    settings = read_settings(shop)
    published_at = datetime.fromisoformat(store_of(shop).current().record()["published_at"])
    now = datetime(2024, 7, 4, 3, tzinfo=UTC)  # 2024-07-03 is over
    stands = collect_status(home_context(settings, now=now))
    assert stands.missing == tuple(after(n) for n in (1, 2, 3))
    assert stands.current.days_behind == 3
    assert stands.model.trained_as_of == AS_OF
    assert collect_status(home_context(settings, now=now), read_limit("26h")).is_stale
    fresh = datetime(2024, 7, 2, 3, tzinfo=UTC)
    assert fresh < published_at  # the shop's days are long over
    assert not collect_status(home_context(settings, now=fresh), read_limit("26h")).is_stale


def test_status_fails_where_nothing_is_published_and_that_is_asked(tmp_path, perennial):
    (tmp_path / "perennial.toml").write_text('[orders]\nsource = "orders.csv"\n')
    config = tmp_path / "perennial.toml"
    assert perennial("status", "--config", config, "--fail-if-stale", "26h").code == 20
    assert perennial("status", "--config", config, "--fail-if-stale", "soon").code == 2


@pytest.mark.slow
def test_days_of_the_first_format_are_read_compared_with_and_left_as_they_are(tmp_path, perennial):
    folder = tmp_path / "old"
    shutil.copytree(FIRST_FORMAT, folder)
    config = folder / "perennial.toml"
    store = store_of(config)
    old = store.current()
    before = old.file("run.json").read_bytes()
    assert old.record()["format"] == FORMAT
    assert perennial("status", "--config", config, "--json").json["as_of"] == AS_OF.isoformat()
    page = tmp_path / "page.html"
    assert perennial("report", "--config", config, "--out", page).code == 0
    assert page.read_text() == old.file("report.html").read_text()
    result = perennial("run", "--config", config, "--as-of", after(1).isoformat(), "--json")
    assert result.code == 0, result.err
    checks = {c["name"] for c in store.current().record()["checks"]}
    assert {"customers_stay", "history_stays", "value_is_steady"} <= checks
    assert old.file("run.json").read_bytes() == before
    scores = [pd.read_parquet(d.file("scores.parquet")) for d in (old, store.current())]
    both = scores[0].merge(scores[1], on="customer_id")
    assert both["is_holdout_x"].equals(both["is_holdout_y"])


def test_what_a_newer_perennial_wrote_is_refused(tmp_path):
    (tmp_path / "format.json").write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(DataError, match="newer"):
        bring_up_to_date(tmp_path)


def test_clean_says_what_is_old_and_removes_it_only_when_asked(shop, perennial):
    text = shop.read_text() + "[keep]\ndays = 1\nmodels = 1\n"
    shop.write_text(text)
    daily(shop, after(1))
    scores = store_of(shop).days(AS_OF)[-1].file("scores.parquet")
    result = perennial("clean", "--config", shop, "--json")
    assert result.code == 0, result.err
    assert result.json["files_of_old_days"] > 0
    assert result.json["mlflow_runs"] == 2
    assert scores.exists()
    assert perennial("clean", "--config", shop, "--apply", "--json").code == 0
    left = {path.name for path in scores.parent.iterdir()}
    assert left == {"run.json", "kpis.json", "expected.parquet", COMMITMENTS}
    current = store_of(shop).current()
    assert current.as_of == after(1)
    assert current.file("scores.parquet").exists()
    assert perennial("clean", "--config", shop, "--json").json["mlflow_runs"] == 0
    assert perennial("run", "--config", shop, "--as-of", after(2).isoformat()).code == 0


def test_a_day_is_mirrored_with_its_pointer_and_who_is_forgotten_is_gone_there_too(
    shop, perennial, tmp_path
):
    there = tmp_path / "bucket"
    shop.write_text(f'{shop.read_text()}[paths]\nmirror = "file://{there}"\n')
    daily(shop, after(1))
    here = store_of(shop)
    assert json.loads((there / "CURRENT.json").read_text())["as_of"] == after(1).isoformat()
    scores = here.current().file("scores.parquet")
    copy = there / scores.relative_to(here.exports)
    assert copy.read_bytes() == scores.read_bytes()
    customer = pd.read_parquet(scores)["customer_id"].iloc[0]
    assert perennial("forget", customer, "--config", shop).code == 0
    assert customer not in set(pd.read_parquet(copy)["customer_id"])


def test_a_refused_night_is_told_by_event_artifact_and_webhook(shop, perennial):
    """Through a real Prefect server: the shop's source has been silent since 2024."""
    webhook = Webhook()
    threading.Thread(target=webhook.serve_forever, daemon=True).start()
    shop.write_text(
        f'{shop.read_text()}[checks]\noldest_model_days = 3650\n[schedule]\nlate_tries = 0\ncatch_up_days = 0\n[notify]\nwebhook = "{webhook.url}"\n'
    )
    result = perennial("run", "--config", shop, "--prefect", "--json")
    webhook.shutdown()
    webhook.server_close()
    assert result.code == 30, result.err
    assert "orders reach up to the day" in result.json["error"]
    (reported,) = [body for _, body in webhook.got]
    assert reported["kind"] == "refused"
    assert "orders reach up to the day" in json.dumps(reported)
    with closing(sqlite3.connect(shop.parent / ".prefect" / "prefect.db")) as database:
        artifacts = database.execute(
            "SELECT key, data FROM artifact WHERE key IS NOT NULL"
        ).fetchall()
    assert [key for key, _ in artifacts] == ["day-refused"]
    assert "is not published" in artifacts[0][1]
    assert store_of(shop).current().as_of == AS_OF
