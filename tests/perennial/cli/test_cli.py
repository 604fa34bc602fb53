"""The command line: every bad input is one line that has problem, fix and rule."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from models.purchases import FAMILY
from perennial.pipeline.settings.store import build_settings
from perennial.pipeline.settings.template import write_template
from tests.shops import AS_OF, PLAIN, SETTINGS, make_orders, write_shop, write_tracking

GOOD = "order_id,customer_id,ordered_at,net_amount\n1,a,2024-01-01,10\n2,a,2024-02-01,25\n"
DAY = ("--as-of", AS_OF.isoformat())


def bad(tmp_path, perennial, orders: str | bytes | None = GOOD, settings: str = SETTINGS):
    """Run the daily way on a bad shop; it must end in one line."""
    write_tracking(tmp_path)
    config = tmp_path / "perennial.toml"
    config.write_text(settings)
    if orders is not None:
        text = orders if isinstance(orders, bytes) else orders.encode()
        (tmp_path / "orders.csv").write_bytes(text)
    result = perennial("run", "--config", config, *DAY, "--json")
    error = result.json["error"]
    assert result.json["exit_code"] == result.code
    assert "\n" not in error
    assert f"perennial: {error}" in result.err.replace("\n", " ") or error in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "exports" / "CURRENT.json").exists()
    return result.code, error


@pytest.mark.parametrize(
    ("orders", "code", "message"),
    [
        (None, 2, "nothing is at"),
        ("", 20, "is empty"),
        ("order_id,customer_id,ordered_at,net_amount\n", 20, "has a header and no rows"),
        ("order_id,who,ordered_at,net_amount\n1,a,2024-01-01,1\n", 2, "no column 'customer_id'"),
        ("order_id,customer_id,ordered_at\n1,a,2024-01-01\n", 2, "orders need a value"),
        (GOOD.replace("2024", "24/"), 20, "unreadable_date"),
        (GOOD.replace(",10", ",ten").replace(",25", ",inf"), 20, "unreadable_amount"),
        (GOOD.replace(",a,", ",,"), 20, "missing_customer"),
        (GOOD.replace("2,a", "1,a"), 20, "duplicate_order_id"),
        (GOOD.replace(",10", ",-10").replace(",25", ",-1"), 20, "refund_without_order"),
        (GOOD.replace(",10", ",0").replace(",25", ",0.00"), 20, "zero_amount"),
        (GOOD.replace("2024", "2034"), 20, "after_as_of"),
        (GOOD.replace("2,a", "2,b"), 20, "nobody has a second purchase day"),
        (GOOD, 20, "needs repeat customers: 1"),
        ("order_id,customer_id,ordered_at,net_amount\n1,a,2024-06-30,10\n", 20, "first day"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else None,
)
def test_bad_orders_end_in_words(tmp_path, perennial, orders, code, message):
    actual, error = bad(tmp_path, perennial, orders)
    assert message in error
    assert actual == code


def test_two_currencies_are_refused_and_can_be_left_out(tmp_path, perennial):
    orders = make_orders(120).assign(currency="EUR")
    orders.loc[:4, "currency"] = "USD"
    text = orders.to_csv(index=False)
    code, error = bad(tmp_path, perennial, text)
    assert code == 20
    assert "5 in USD" in error
    assert 'orders.other_currencies = "reject"' in error
    leave_out = PLAIN.replace("[orders]", '[orders]\nother_currencies = "reject"')
    (tmp_path / "perennial.toml").write_text(leave_out)
    result = perennial("run", "--config", tmp_path / "perennial.toml", *DAY, "--json")
    assert result.code == 0
    assert result.json["accounting"]["rejected"]["other_currency"] == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[orders]\nsource = 5", "orders.source: input should be a valid string; found 5"),
        ("", "orders must be set"),
        ("[orders]\nsource = 'a.csv'\n[model]\nhorizon = 3", "model.horizon is not a setting"),
        ("[orders]\nsource = 'a.csv'\n[stroe]\n", "stroe is not a setting"),
        ("[orders]\nsource = 'a.csv'\n[store]\ntimezone = 'Mars/Base'", "not an IANA time zone"),
        ("[orders]\nsource = 'a.csv'\n[store]\ncurrency = 'dollars'", "store.currency"),
        ("[orders]\nsource = 'a.csv'\n[holdout]\nshare = 1.5", "holdout.share"),
        ("[orders]\nsource = 'a.csv'\n[investment]\nbudget = -1", "investment.budget"),
        ("[orders]\nsource = 'a.csv'\npreset = 'etsy'", "orders.preset"),
        ("[orders\n", "settings must be TOML"),
        ("folder = '/'\n[orders]\nsource = 'a.csv'", "folder is not a setting"),
    ],
)
def test_wrong_settings_exit_2_in_words(tmp_path, perennial, settings, message):
    code, error = bad(tmp_path, perennial, None, settings)
    assert code == 2
    assert message in error


def test_every_wrong_setting_is_said_at_once(tmp_path, perennial):
    text = "[orders]\nsource = 'a.csv'\n[store]\nmargin = 7\n[model]\nhorizon_days = 0\n[x]\n"
    _, error = bad(tmp_path, perennial, None, text)
    assert "store.margin" in error
    assert "model.horizon_days" in error
    assert "x is not a setting" in error


def test_missing_settings_name_the_command_that_writes_them(tmp_path, perennial):
    result = perennial("run", "--config", tmp_path / "no.toml", "--json")
    assert result.code == 2
    assert "perennial init" in result.json["error"]


def test_the_settings_that_init_writes_are_the_defaults(tmp_path, perennial):
    path = tmp_path / "perennial.toml"
    assert perennial("init", "--config", path).code == 0
    written = build_settings(tomllib.loads(path.read_text()), tmp_path)
    default = build_settings({"orders": {"source": "orders.csv"}}, tmp_path)
    columns = {"orders": {"columns"}}
    assert written.model_dump(exclude=columns) == default.model_dump(exclude=columns)
    assert path.read_text() == write_template()


def test_init_never_writes_over_a_file(tmp_path, perennial):
    path = tmp_path / "perennial.toml"
    path.write_text("mine")
    assert perennial("init", "--config", path, "--json").code == 2
    assert path.read_text() == "mine"


def test_check_counts_the_rows_and_writes_nothing(tmp_path, perennial):
    config = write_shop(tmp_path)
    result = perennial("check", "--config", config, *DAY, "--json")
    assert result.code == 0
    assert result.json["accounting"]["orders"] > 0
    assert {p.name for p in tmp_path.iterdir()} == {"mlruns", "orders.csv", "perennial.toml"}


def test_status_says_what_is_current(published, perennial):
    config, first = published
    result = perennial("status", "--config", config, "--json").json
    assert (result["as_of"], result["run_id"]) == (AS_OF.isoformat(), first["run_id"])


def test_status_of_nothing_says_what_to_run(tmp_path, perennial):
    result = perennial("status", "--config", write_shop(tmp_path), "--json")
    assert result.code == 20
    assert "perennial run" in result.json["error"]


def test_the_page_can_be_written_again(published, perennial, tmp_path):
    config, first = published
    out = tmp_path / "again.html"
    assert perennial("report", "--config", config, "--out", out).code == 0
    assert out.read_text() == Path(first["files"]["page"]).read_text()


def test_scoring_without_a_model_says_how_to_get_one(tmp_path, perennial):
    result = perennial("score", "--config", write_shop(tmp_path), *DAY, "--json")
    assert result.code == 20
    assert f"perennial train --as-of {AS_OF}" in result.json["error"]


def test_train_then_score(tmp_path, perennial):
    config = write_shop(tmp_path, settings=PLAIN)
    trained = perennial("train", "--config", config, *DAY, "--json")
    assert (trained.code, trained.json["is_champion"]) == (0, True)
    scored = perennial("score", "--config", config, *DAY, "--json")
    assert scored.json["model_version"] == trained.json["model_version"]


def test_backtest_prints_the_contracts_json(published, perennial):
    config, _ = published
    result = perennial(
        "backtest", "--config", config, "--as-of", "2024-03-31", "--horizon-days", "90",
        "--cutoffs", "2", "--json",
    )  # fmt: skip
    assert result.code == 0
    actual = result.json
    assert set(actual) == {"horizon_days", "cutoffs", "mean"}
    assert [cutoff["as_of"] for cutoff in actual["cutoffs"]] == ["2024-01-01", "2024-03-31"]
    at_random = [name for name, model in FAMILY.items() if not model.is_regular]
    kinds = (*at_random, "average")  # so few customers decide for none
    family = {f"{name}_gamma_gamma" for name in kinds}
    rules = {"last_period", "total_past", "rfm", "hiatus"}
    corrections = {"rule_total_past", "rule_last_period", "rule_recency"}
    models = {"champion"} | corrections | rules | family
    first, second = actual["cutoffs"]
    assert set(actual["mean"]) == set(first["models"]) == models
    assert any(note.startswith("no stacked model: trees need 100") for note in first["notes"])
    assert set(second["models"]) == models | {
        "stacked"
    }  # a quarter of a year later there are enough
    assert set(actual["mean"]["champion"]) >= {
        "orders_ratio", "mae_orders", "rmse_orders", "value_ratio", "mae_value", "gini_value",
        "capture_top20", "auc_active", "logloss_active", "brier_active", "coverage_80",
    }  # fmt: skip
    assert actual["mean"]["last_period"]["auc_active"] is None


def test_a_backtest_whose_horizon_is_not_over_is_refused(published, perennial):
    result = perennial("backtest", "--config", published[0], "--as-of", "2024-12-01", "--json")
    assert result.code == 20
    assert "needs orders up to 2025-12-01" in result.json["error"]


def test_a_backtest_before_the_first_order_is_refused(published, perennial):
    result = perennial("backtest", "--config", published[0], "--as-of", "2022-06-01", "--json")
    assert result.code == 20
    assert "needs orders before that day" in result.json["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--as-of", "yesterday"),
        ("fly",),
        ("backtest", "--cutoffs", "0"),
        ("run", "--fast"),
        ("demo", "--data", "nothing"),
    ],
)
def test_wrong_usage_exits_2(perennial, arguments):
    assert perennial(*arguments).code == 2


def test_results_for_people_say_where_things_are(published, perennial):
    result = perennial("run", "--config", published[0], *DAY)
    assert result.code == 10
    for words in (
        "Where customers stand",
        "Who gets the budget",
        "Holdout",
        "report.html",
        "mlflow",
    ):
        assert words in result.out


def test_help_does_not_import_what_is_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from perennial.cli.main import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "print(sorted({'mlflow', 'prefect', 'pandas', 'numpy', 'ibis', 'sklearn'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_run_in_process_says_so_and_does_not_import_prefect(tmp_path):
    config = write_shop(tmp_path, make_orders(120), PLAIN)
    code = (
        "import sys; sys.argv = ['perennial', *sys.argv[1:]]\n"
        "from perennial.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n"
        "    print('prefect' in sys.modules, file=sys.stderr); sys.exit(end.code)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, "run", "--config", str(config), *DAY, "--json"],
        capture_output=True,
        text=True,
    )
    assert out.returncode == 0, out.stderr
    assert out.stderr.splitlines()[0].startswith("Running in this process, without Prefect")
    assert out.stderr.splitlines()[-1] == "False"
    assert json.loads(out.stdout)["prefect"]["api_url"] is None
