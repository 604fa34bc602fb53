"""The command line with Klaviyo: plans after a run, exit codes, forgetting, and who is never named."""

import json
import logging
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from connectors.csv import write_csv
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.plan import Audience
from connectors.klaviyo.synced_profiles import SyncedProfiles
from connectors.programs import arrow_schema
from features.tables import Scores
from models.monitoring import Freeze
from perennial.pipeline.activation.forget import forget_person
from perennial.pipeline.ingestion.people import customers_of, name_customers
from perennial.pipeline.publishing.publish import marketing_segments
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.settings.store import Settings, build_settings, read_settings
from tests.klaviyo_double import KEY, SCOPES, Double, Fault, Server, VirtualClock
from tests.klaviyo_store import Shop, make_scores, publish_scores, store_settings
from tests.monitored import REPORT
from tests.shops import AS_OF, SETTINGS, make_orders

DAY = ("--as-of", AS_OF.isoformat())
KLAVIYO = """
[klaviyo]
identifier = "email"
account = "AbC123"
events = true
[klaviyo.segments]
"At risk" = { Segment = "at risk" }
[tables]
customers = "customers.csv"
"""
PRIVATE_KEY = "pk_privacy_fedcba9876543210"


def secret_email(customer: str) -> str:
    return f"secret.{customer}@hush.example"


PATHS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "source",
}


def copy_shop(config: Path, folder: Path) -> Path:
    """Copy a shop with its MLflow store, whose paths are absolute."""
    shutil.copytree(config.parent, folder)
    with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as database, database:
        for table, column in PATHS.items():
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",  # noqa: S608  # ours
                (str(config.parent), str(folder)),
            )
    return folder / config.name


@pytest.fixture(scope="module")
def published_shop(published, tmp_path_factory, perennial):
    """A shop with e-mails whose day is published and planned. Do not change it."""
    config = copy_shop(published[0], tmp_path_factory.mktemp("klaviyo") / "shop")
    config.write_text(SETTINGS + KLAVIYO)
    ids = make_orders()["customer_id"].unique()
    emails = [secret_email(one) if i % 20 else "" for i, one in enumerate(ids)]
    pd.DataFrame({"customer_id": ids, "email": emails}).to_csv(
        config.parent / "customers.csv", index=False
    )
    result = perennial("run", "--config", config, *DAY, "--force", "--json")
    assert result.code == 0, result.err
    return config, result


@pytest.fixture
def shop(published_shop, tmp_path):
    """A copy to change."""
    return copy_shop(published_shop[0], tmp_path / "shop")


@pytest.fixture
def klaviyo(published_shop, monkeypatch):
    """The double, that knows the shop's customers, behind the environment's key and address."""
    double = Double(scopes=SCOPES | {"data-privacy:write"})
    double.queue_seconds = double.work_seconds = 0.0
    double.has_windows = False
    for email in pd.read_csv(published_shop[0].parent / "customers.csv")["email"].dropna():
        double.add_profile(email=email)
    server = Server(double)
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    monkeypatch.setenv("KLAVIYO_API_URL", server.url)
    yield double
    server.close()


@pytest.fixture
def fresh(monkeypatch):
    """Let the published day be yesterday."""
    monkeypatch.setattr(Settings, "yesterday", lambda *_: AS_OF)


def test_a_run_plans_the_sync_without_a_word_to_klaviyo(published_shop):
    planned = published_shop[1].json["sync"]
    assert planned["status"] == "refused"  # the shop's orders are old
    assert "stale" in planned["refused"] or "fresh" in planned["refused"]


def test_a_run_without_an_account_plans_nothing(shop, klaviyo, perennial):
    shop.write_text(shop.read_text().replace('account = "AbC123"', ""))
    result = perennial("run", "--config", shop, *DAY, "--json")
    assert (result.code, result.json["sync"]) == (10, None)


def test_a_run_of_a_fresh_day_says_what_would_be_sent(shop, fresh, klaviyo, perennial):
    result = perennial("run", "--config", shop, *DAY, "--json")
    assert result.json["sync"]["looked_up"] is False
    assert result.json["sync"]["counts"]["to_send"] > 300
    assert klaviyo.received == {}


def test_sync_and_sync_apply(shop, fresh, klaviyo, perennial):
    planned = perennial("sync", "--config", shop, "--json")
    assert (planned.code, planned.json["status"]) == (0, "planned")
    assert not any(name.startswith("POST") for name in klaviyo.received)
    done = perennial("sync", "--config", shop, "--apply", "--json")
    assert (done.code, done.json["confirmed"]) == (0, planned.json["counts"]["to_send"])
    assert done.json["segments"]["created"] == ["Retention: At risk"]
    assert planned.json["counts"]["no_key"] > 10  # customers without an e-mail
    reported = [p for p in klaviyo.profiles.values() if p["properties"]]
    assert len(reported) == done.json["confirmed"]
    assert perennial("sync", "--config", shop).code == 0  # for people, too


@pytest.mark.parametrize(
    ("break_it", "code", "message"),
    [
        (lambda _, env: env.delenv("KLAVIYO_API_KEY"), 2, "KLAVIYO_API_KEY"),
        (lambda _, env: env.setenv("KLAVIYO_API_KEY", "pk_wrong"), 2, "401"),
        (lambda _, env: env.setenv("KLAVIYO_API_KEY", f"{KEY}\u2003x"), 2, "copying"),
        (lambda _, env: env.setenv("KLAVIYO_API_URL", "http://a.example"), 2, "https"),
        (lambda double, _: setattr(double, "account", "Other9"), 20, "Other9"),
        (lambda double, _: setattr(double, "most_bytes", 9), 20, "413"),
    ],
    ids=[
        "no key",
        "wrong key",
        "a key with a space",
        "no encryption",
        "another account",
        "refused",
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(
    shop, fresh, klaviyo, perennial, monkeypatch, break_it, code, message
):
    break_it(klaviyo, monkeypatch)
    result = perennial("sync", "--config", shop, "--apply", "--json")
    assert result.code == code
    assert message in result.json["error"]
    assert KEY not in result.err + result.out


def test_a_klaviyo_out_of_reach_is_tried_later(shop, fresh, klaviyo, perennial, monkeypatch):
    monkeypatch.setattr("perennial.pipeline.activation.account.SystemClock", VirtualClock)
    klaviyo.fault = lambda *_: Fault("drop")
    assert perennial("sync", "--config", shop, "--apply", "--json").code == 30


def test_stale_scores_are_not_sent(shop, klaviyo, perennial):
    result = perennial("sync", "--config", shop, "--apply", "--json")
    assert result.code == 20
    assert "fresh" in result.json["error"]
    assert klaviyo.received == {}


def test_scores_that_no_longer_come_true_are_not_sent(shop, fresh, klaviyo, perennial):
    why = "orders of the week after 2024-06-20 were 61 % of the expected"
    frozen = Freeze(is_frozen=True, because=why)
    report = REPORT.model_copy(update={"as_of": AS_OF, "frozen": frozen})
    (read_settings(shop).state / "monitoring.json").write_text(json.dumps(report.to_json()))
    result = perennial("sync", "--config", shop, "--apply", "--json")
    assert result.code == 20
    assert "come true" in result.json["error"]
    assert "61 %" in result.json["error"]
    assert klaviyo.received == {}


def test_scores_of_a_model_that_the_gate_refused_are_not_sent(shop, fresh, klaviyo, perennial):
    from perennial.pipeline.runtime.context import open_tracking

    settings = read_settings(shop)
    tracking = open_tracking(settings)
    version = json.loads(next(settings.exports.glob("scores/*/*/run.json")).read_text())[
        "model_version"
    ]
    gate = tracking.tags(version)["gate"]
    tracking.note(version, {"gate": "failed"})
    result = perennial("sync", "--config", shop, "--apply", "--json")
    tracking.note(version, {"gate": gate})
    assert result.code == 20
    assert "refused version" in result.json["error"]
    assert klaviyo.received == {}


def test_without_an_account_a_sync_says_what_to_set(shop, klaviyo, perennial):
    shop.write_text(shop.read_text().replace('account = "AbC123"', ""))
    result = perennial("sync", "--config", shop, "--json")
    assert result.code == 2
    assert "klaviyo.account" in result.json["error"]


def everything_under(*folders: Path) -> bytes:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return b"\n".join(path.read_bytes() for path in files)


def test_a_forgotten_person_is_gone_and_stays_gone(shop, fresh, klaviyo, perennial, monkeypatch):
    assert perennial("sync", "--config", shop, "--apply").code == 0
    settings, customer = read_settings(shop), "c0007"
    confirmed = SyncedProfiles(settings.state / "klaviyo" / "AbC123" / "confirmed.parquet")
    assert customer in set(confirmed.read()["customer_id"])
    klaviyo.key = PRIVATE_KEY
    monkeypatch.setenv("KLAVIYO_PRIVACY_KEY", PRIVATE_KEY)
    result = perennial("forget", secret_email(customer), "--config", shop, "--json")
    assert result.code == 0
    assert klaviyo.deletions == [
        {"type": "profile", "attributes": {"email": secret_email(customer)}}
    ]
    assert result.json["removed"]["exports"] >= 2
    for path in (settings.exports, settings.state, settings.home / "klaviyo"):
        for file in path.rglob("*.parquet"):
            frame = pd.read_parquet(file)
            assert customer not in set(frame.get("customer_id", [])), file
        text = b"".join(
            f.read_bytes() for f in path.rglob("*") if f.suffix != ".parquet" and f.is_file()
        )
        assert customer.encode() not in text
        assert secret_email(customer).encode() not in text
    assert perennial("forget", "nobody@example.com", "--config", shop, "--json").code == 2
    klaviyo.key = KEY
    orders = pd.read_csv(settings.home / "orders.csv")
    bad = orders.head(2).assign(
        customer_id=[customer, "c0008"], order_id=["bad1", "bad2"], ordered_at="some day"
    )
    pd.concat([orders, bad]).to_csv(settings.home / "orders.csv", index=False)
    tomorrow = AS_OF + timedelta(days=1)
    monkeypatch.setattr(Settings, "yesterday", lambda *_: tomorrow)
    again = perennial("run", "--config", shop, "--as-of", tomorrow.isoformat(), "--json")
    assert again.code == 0, again.err
    scores = pd.read_parquet(again.json["files"]["scores"])
    assert customer not in set(scores["customer_id"])
    assert customer not in set(
        pd.read_parquet(settings.state / "assignments.parquet")["customer_id"]
    )
    rejects = [settings.home / "rejects.csv", Path(again.json["files"]["rejects"])]
    for path in rejects:
        text = path.read_text()
        assert "c0008" in text  # others' rejected rows are there
        assert customer not in text, path
    assert secret_email(customer) not in Path(again.json["files"]["segments"]).read_text()


def test_forgetting_without_the_separate_key_says_what_to_do(shop, perennial, monkeypatch):
    monkeypatch.delenv("KLAVIYO_PRIVACY_KEY", raising=False)
    result = perennial("forget", "c0009", "--config", shop, "--json")
    assert result.code == 0
    assert "KLAVIYO_PRIVACY_KEY" in result.json["klaviyo"]
    assert len(Erasures(read_settings(shop).state)) >= 1


def test_a_key_that_deletes_is_of_the_account_in_the_settings_and_travels_encrypted(
    shop, klaviyo, perennial, monkeypatch
):
    monkeypatch.setenv("KLAVIYO_PRIVACY_KEY", KEY)
    klaviyo.account = "Other9"
    result = perennial("forget", secret_email("c0007"), "--config", shop, "--json")
    assert (result.code, klaviyo.deletions) == (20, [])
    assert "Other9" in result.json["error"]
    monkeypatch.setenv("KLAVIYO_API_URL", "http://klaviyo.example")
    result = perennial("forget", secret_email("c0007"), "--config", shop, "--json")
    assert result.code == 2
    assert "https" in result.json["error"]


def test_who_is_forgotten_by_an_id_is_deleted_under_an_address_that_the_shop_no_longer_has(
    tmp_path, klaviyo, monkeypatch
):
    monkeypatch.setenv("KLAVIYO_PRIVACY_KEY", KEY)
    shop = Shop(tmp_path)
    shop.name(
        tmp_path, {"customer_id": ["c0000003", "c0000004"], "email": ["a@new.io", "b@new.io"]}
    )
    serial = klaviyo.add_profile(external_id="c0000003", email="a@old.io")
    klaviyo.add_profile(external_id="c0000004", email="B@new.io")
    assert "2 profiles" in forget_person(home_context(shop.settings), "c0000003").klaviyo
    assert klaviyo.deletions == [
        {"type": "profile", "attributes": {"email": "a@new.io"}},
        {"type": "profile", "id": serial, "attributes": {}},
    ]
    assert "1 profile" in forget_person(home_context(shop.settings), "c0000004").klaviyo


def test_a_customer_id_that_is_a_common_value_takes_nobody_else_along(tmp_path):
    settings, scores = store_settings(tmp_path), make_scores(20)
    scores.loc[:1, "customer_id"] = ["555", "silver"]  # an RFM score, a loyalty tier
    day = publish_scores(settings, scores, "r1")
    for name in ("555", "silver"):
        forget_person(home_context(settings), name)
    after = pd.read_parquet(day.file("scores.parquet"))
    assert set(scores["customer_id"]) - set(after["customer_id"]) == {"555", "silver"}
    assert pq.read_schema(day.file("scores.parquet")).equals(arrow_schema(Scores))


def test_segments_csv_is_what_klaviyo_imports(published_shop):
    path = published_shop[1].json["files"]["segments"]
    rows = pd.read_csv(path, dtype="str", keep_default_na=False)
    sent = [one.name for one in read_settings(published_shop[0]).klaviyo.all_properties]
    assert list(rows.columns) == ["Email", *sent]
    assert (rows != "").all(axis=None)
    assert set(rows["Retention Holdout"]) == {"False"}
    assert rows["Email"].str.startswith("secret.").all()
    assert rows["Email"].is_unique
    record = json.loads(Path(published_shop[1].json["files"]["record"]).read_text())
    result = record["segments_csv"]
    assert result["no_key"] > 10
    assert len(rows) == result["rows"] <= record["customers"] - result["no_key"]
    assert any("no known email" in note for note in record["notes"])


def test_segments_csv_has_the_e_mail_beside_the_id(tmp_path):
    settings = store_settings(tmp_path)
    scores = make_scores(3)
    emails = pd.Series(["a@example.com", None, "c@example.com"])
    reported = marketing_segments(
        Audience(scores, scores["customer_id"], emails, "external_id"),
        settings.klaviyo.all_properties,
        Erasures(tmp_path),
    )
    assert list(reported.columns[:2]) == ["External ID", "Email"]
    assert reported["Email"].tolist() == ["a@example.com", "", "c@example.com"]


def test_segments_csv_leaves_out_who_was_forgotten_by_any_name(tmp_path):
    Erasures(tmp_path).add(["A@example.com"])
    scores = make_scores(3)
    emails = pd.Series(["a@example.com", None, "c@example.com"])
    reported = marketing_segments(
        Audience(scores, scores["customer_id"], emails, "external_id"),
        store_settings(tmp_path).klaviyo.all_properties,
        Erasures(tmp_path),
    )
    assert reported["External ID"].tolist() == ["c0000001", "c0000002"]


def test_segments_csv_names_nobody_who_would_be_another_in_it(tmp_path):
    """A spreadsheet would take these for formulas, and what keeps it from that changes the name."""
    settings = store_settings(tmp_path)
    scores = make_scores(5)
    ids = pd.Series(["=a", "+4915112345678", "-b", "d", 'e,"f" g'])
    emails = pd.Series(["x@example.com", None, None, "=1+1@example.com", "ü@example.com"])
    reported = marketing_segments(
        Audience(scores, ids, emails, "external_id"),
        settings.klaviyo.all_properties,
        Erasures(tmp_path),
    )
    write_csv(reported, tmp_path / "segments.csv")
    read = pd.read_csv(tmp_path / "segments.csv", dtype="str", keep_default_na=False)
    assert read["External ID"].tolist() == ["+4915112345678", "d", 'e,"f" g']
    assert read["Email"].tolist() == ["", "", "ü@example.com"]


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("external_id", ["S1", "c2", "bob@example.com", "c4"]),
        ("email", ["ann@example.com", None, "bob@example.com", None]),
        ("phone_number", ["+15005550006", None, None, None]),
    ],
)
def test_an_identifier_stands_in_the_table_of_customers_or_is_the_customer_id(
    tmp_path, identifier, expected
):
    (tmp_path / "customers.csv").write_text(
        "customer_id,email,phone,external_id\nc1,Ann@Example.com ,+15005550006,S1\nc2,,,\n"
    )
    settings = build_settings(
        {
            "orders": {"source": "orders.csv"},
            "tables": {"customers": "customers.csv"},
            "klaviyo": {"identifier": identifier},
        },
        tmp_path,
    )
    customers = pd.Series(["c1", "c2", "bob@example.com", "c4"], index=[5, 6, 7, 8])
    table = customers_of(home_context(settings), AS_OF)
    names = name_customers(customers, table, None, identifier)
    assert names.key.index.tolist() == [5, 6, 7, 8]
    assert [None if pd.isna(key) else key for key in names.key] == expected


def test_keys_people_and_bodies_are_in_no_log_no_error_no_mlflow_and_no_prefect(
    shop, fresh, klaviyo, perennial, monkeypatch, tmp_path, caplog
):
    """Through a real Prefect server: a sync whose rows are partly rejected, then one that fails."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    klaviyo.bad_keys = {secret_email("c0007"), secret_email("c0011")}
    klaviyo.scopes = SCOPES - {"segments:read"}
    result = perennial("sync", "--config", shop, "--apply", "--prefect", "--json")
    assert result.code == 2, result.err
    assert "segments:read" in result.json["error"]
    assert klaviyo.received["POST /api/profile-bulk-import-jobs"] == 1
    places = everything_under(tmp_path / "prefect", read_settings(shop).mlruns)
    message = "".join((result.out, result.err, caplog.text)).encode()
    for secret in (b"hush.example", b"secret.c0", KEY.encode(), b"Retention Tier"):
        assert secret not in places, secret
        assert secret not in message, secret
    assert b"klaviyo" in places  # the search would find what is there
    assert b"hush.example" in read_settings(shop).home.joinpath("klaviyo/rejects.csv").read_bytes()
    assert os.environ["PREFECT_HOME"] == str(tmp_path / "prefect")
