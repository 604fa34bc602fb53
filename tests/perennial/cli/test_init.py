"""From an export to settings that read it, and a check that says what would come of it."""

import gzip
import tomllib
from pathlib import Path

import pytest

from connectors.proposal import Recognized
from perennial.cli.commands import fill_template
from perennial.pipeline.settings.store import SettingsError, build_settings, read_settings
from perennial.pipeline.settings.template import write_template
from perennial.simulation import simulate
from perennial.simulation.forms import FORMS
from tests.perennial.simulation.conftest import END, START

LINES = (
    "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID\n1,a,2,2024-01-05,3.5,17850\n"
)
MORE = "2,a,1,2024-02-05,3.5,17850\n3,b,1,2024-02-06,1.5,17851\n"


@pytest.fixture(scope="module")
def world():
    return simulate(150, START, END, 1, "coffee")


def test_the_template_is_good_settings():
    settings = build_settings(tomllib.loads(write_template()), Path())
    assert settings.orders.preset == "plain"


@pytest.mark.parametrize("name", FORMS)
def test_a_platforms_export_is_recognized_and_can_be_checked(name, world, tmp_path, perennial):
    form = FORMS[name](world)
    folder = tmp_path / "export"
    folder.mkdir()
    for file, frame in form.files.items():
        frame.to_csv(folder / file, index=False) if file.endswith("csv") else frame.to_parquet(
            folder / file
        )
    config = tmp_path / "perennial.toml"
    result = perennial("init", "--from", folder, "--config", config, "--json")
    assert result.code == 0, result.err
    assert result.json["preset"] == name
    identifier = "email" if name == "shopify" else "external_id"  # whose export has no other name
    assert read_settings(config).klaviyo.identifier == identifier
    text = config.read_text().replace('timezone = "UTC"', 'timezone = "America/New_York"')
    config.write_text(text)
    checked = perennial("check", "--config", config, "--as-of", "2025-06-30", "--json")
    assert checked.code == 0, checked.err
    assert checked.json["accounting"]["orders"] == len(form.expected)


@pytest.mark.parametrize("name", ["shopify", "woocommerce", "stripe"])
def test_the_currency_of_a_platforms_export_is_the_stores(name, world, tmp_path, perennial):
    folder = tmp_path / "export"
    folder.mkdir()
    for file, frame in FORMS[name](world).files.items():
        in_euros = frame.replace({"EUR": "CHF", "eur": "chf"}).replace(
            {"USD": "EUR", "usd": "eur"}
        )
        in_euros.to_csv(folder / file, index=False)
    config = tmp_path / "perennial.toml"
    perennial("init", "--from", folder, "--config", config)
    assert read_settings(config).store.currency == "EUR"


def test_a_plain_table_gets_a_mapping_to_look_at(tmp_path, perennial):
    (tmp_path / "lines.csv").write_text(LINES + MORE)
    config = tmp_path / "perennial.toml"
    result = perennial("init", "--from", tmp_path / "lines.csv", "--config", config, "--json")
    assert result.json["preset"] == "plain"
    assert result.json["columns"] == {
        "order_id": "InvoiceNo",
        "customer_id": "CustomerID",
        "ordered_at": "InvoiceDate",
        "quantity": "Quantity",
        "unit_price": "UnitPrice",
        "product_id": "StockCode",
    }
    checked = perennial("check", "--config", config, "--as-of", "2024-06-30", "--json")
    assert checked.json["accounting"]["orders"] == 3


def test_a_packed_file_is_looked_at_too(tmp_path, perennial):
    with gzip.open(tmp_path / "lines.csv.gz", "wt") as out:
        out.write(LINES + MORE)
    result = perennial(
        "init", "--from", tmp_path / "lines.csv.gz", "--config", tmp_path / "p.toml", "--json"
    )
    assert result.json["preset"] == "plain"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("amazon-order-id,purchase-date,sku,item-price", "names no buyer"),
        ("Date,Order #,N. Revenue (formatted),Status,Customer,Customer type,Product(s),Items sold,"
         "Coupon(s),Net Sales,Attribution", "neither e-mail nor customer id"),
        ("color,shape", "Map them under [orders.columns]"),
    ],
)  # fmt: skip
def test_an_export_that_cannot_work_is_refused_with_what_to_do(header, words, tmp_path, perennial):
    (tmp_path / "export.csv").write_text(f"{header}\n{',' * header.count(',')}\n")
    config = tmp_path / "perennial.toml"
    result = perennial("init", "--from", tmp_path / "export.csv", "--config", config, "--json")
    assert result.code == 2
    assert words in result.json["error"]
    assert not config.exists()


def test_names_with_quotes_are_written_as_toml(tmp_path):
    columns = {
        "order_id": 'the "no"',
        "customer_id": "who\\is",
        "ordered_at": "日",
        "net_amount": "a",
    }
    record = tomllib.loads(fill_template('or"ders.csv', Recognized("plain", columns)))
    assert record["orders"]["columns"] == columns
    assert record["orders"]["source"] == 'or"ders.csv'


def test_a_password_in_the_settings_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="never in the settings") as error:
        build_settings({"orders": {"source": "postgresql://ann:hush@db/shop"}}, tmp_path)
    assert "hush" not in str(error.value)


def test_keep_duplicates_is_refused_where_a_preset_knows_its_own(tmp_path):
    orders = {"source": "orders.csv", "preset": "shopify", "keep_duplicates": True}
    with pytest.raises(SettingsError, match="shopify knows its own duplicates"):
        build_settings({"orders": orders}, tmp_path)


@pytest.mark.parametrize(
    ("monitoring", "words"),
    [
        ({"tolerance": 0.3}, "freeze must not be below tolerance, 0.3"),
        ({"peaks": [["2026-12-31", "2026-11-23"]]}, "mend their order"),
        ({"cooldown_days": -1}, "monitoring.cooldown_days"),
    ],
)
def test_monitoring_that_cannot_work_is_refused(monitoring, words, tmp_path):
    with pytest.raises(SettingsError, match=words):
        build_settings({"orders": {"source": "o.csv"}, "monitoring": monitoring}, tmp_path)


def test_how_forecasts_are_watched_changes_no_score(tmp_path):
    orders = {"source": "o.csv"}
    plain, watched = (
        build_settings({"orders": orders, **more}, tmp_path)
        for more in (
            {},
            {"monitoring": {"tolerance": 0.2, "peaks": [["2026-11-23", "2026-12-31"]]}},
        )
    )
    assert plain.digest == watched.digest


def test_optional_tables_are_checked_with_the_orders(tmp_path, perennial):
    (tmp_path / "lines.csv").write_text(LINES + MORE)
    (tmp_path / "nps.csv").write_text(
        "customer_id,answered_at,score\n17850,2024-02-01,9\n,2024-02-01,9\n"
    )
    config = tmp_path / "perennial.toml"
    perennial("init", "--from", tmp_path / "lines.csv", "--config", config)
    config.write_text(
        config.read_text().replace('# order_lines = "lines.parquet"', 'nps = "nps.csv"')
    )
    result = perennial("check", "--config", config, "--as-of", "2024-06-30", "--json")
    assert result.code == 0, result.err
    assert result.json["tables"]["nps"] == {
        "rows_in": 2, "rows": 1, "merged": 0, "rejected": {"missing_value": 1},
    }  # fmt: skip
