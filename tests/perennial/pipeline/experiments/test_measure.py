"""Whether it paid, on orders that were planted: who was invested in orders .4 times more."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from connectors.programs import COMMITMENTS, Programs, write_table
from connectors.store import Store
from features.tables import Commitments
from perennial.pipeline.experiments.effects import read_effects
from perennial.pipeline.experiments.uplift_targeting import KNOWN, read_uplift_targeting
from perennial.pipeline.settings.store import read_settings
from tests.published import write_required_files
from tests.shops import write_shop

DAY = date(2024, 1, 10)
PLANNED = DAY + timedelta(days=29 + 90)
SETTINGS = """
[store]
currency = "EUR"
timezone = "Europe/Berlin"
margin = 0.5
[orders]
source = "orders.csv"
[holdout]
share = 0.5
programs = { winback = 0.5 }
"""


def plant(folder, *, n=4000, lift=0.4, share=0.5, seed=1):
    """Write a shop that committed itself to n customers; return its settings' file."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"c{i:05}" for i in range(n)])
    held = rng.random(n) < share
    value = rng.gamma(2, 1, n)
    tier = np.where(np.arange(n) % 2 == 0, "heavy", "light")
    segment = np.where(np.arange(n) % 4 < 2, "loyal", "promising")
    extra = np.where(held | (tier == "light"), 0.0, lift)
    count = rng.poisson(0.3 * value + extra)
    buyer = np.repeat(np.arange(n), count)
    after = rng.integers(1, 91, len(buyer))
    rows = [
        (ids[i], DAY + timedelta(days=int(d)), 20.0) for i, d in zip(buyer, after, strict=True)
    ]
    first = [(who, DAY - timedelta(days=40), 10.0) for who in ids]
    late = [(who, DAY + timedelta(days=91), 500.0) for who in ids[~held]]  # after the window
    same = [(who, DAY, 500.0) for who in ids[~held]]  # before the action could work
    orders = pd.DataFrame(
        [*first, *rows, *late, *same], columns=["customer_id", "ordered_at", "net_amount"]
    )
    orders["order_id"] = np.arange(len(orders))
    config = write_shop(folder, orders, SETTINGS)
    programs = Programs(read_settings(config).state, Store(read_settings(config).exports))
    programs.add_assignments(pd.concat([
        pd.DataFrame({"customer_id": ids, "program": name, "is_holdout": arm, "share": 0.5,
                      "salt": name, "assigned_date": DAY})
        for name, arm in (("control", held), ("winback", rng.random(n) < 0.5))
    ]))  # fmt: skip
    commitments = pd.DataFrame(
        {"customer_id": ids, "committed_date": DAY, "investment_tier": tier, "segment": segment,
         "is_holdout": held, "expected_cost": 2.0, "expected_gain": 5.0, "gain_low": 1.0, "gain_high": 12.0, "is_measured": False, "assumed_gain": 2.0,
         "expected_margin": 3.0 * value}
    )  # fmt: skip

    past = pd.DataFrame(dict.fromkeys(KNOWN, value)).assign(customer_id=ids)

    def write(into):
        write_required_files(into)
        past.to_parquet(into / "scores.parquet", index=False)
        write_table(commitments, Commitments, into / COMMITMENTS)

    programs.store.publish(DAY, "r1", write)
    return config


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("measured"))


@pytest.fixture(scope="module")
def result(shop, perennial):
    return perennial("measure", "--config", shop, "--as-of", PLANNED.isoformat(), "--json")


def test_the_planted_lift_is_found(result):
    assert result.code == 0, result.err
    by_name = {group["group"]: group for group in result.json["groups"]}
    assert set(by_name) == {"all", "heavy", "light"}
    heavy, light = by_name["heavy"]["margin"], by_name["light"]["margin"]
    assert heavy["low"] < 4.0 < heavy["high"]
    assert heavy["p_value"] < 0.001
    assert light["low"] < 0 < light["high"]
    assert by_name["heavy"]["orders"]["estimate"] == pytest.approx(0.4, abs=0.08)
    assert by_name["heavy"]["revenue"]["estimate"] == pytest.approx(8.0, abs=1.6)
    assert heavy["variance_left"] < 0.95
    assert 0 < by_name["heavy"]["smallest_margin"] < 4.0


def test_the_return_is_said_in_one_sentence(result):
    assert result.json["sentence"].startswith("Each EUR 1.00 brought back EUR ")
    assert result.json["sentence"].count(". ") == 0
    whole = result.json["groups"][0]
    assert whole["cost"] == pytest.approx(2.0)
    assert result.json["is_early"] is False


def test_measured_effects_replace_the_assumed_ones(shop, result):
    """Heavy brought twice the assumed margin of 2; light nothing."""
    effects = read_effects(read_settings(shop).state, PLANNED)
    assert set(effects) == {(t, s) for t in ("heavy", "light") for s in ("loyal", "promising")}
    for segment in ("loyal", "promising"):
        assert effects["heavy", segment].mean == pytest.approx(2.0, abs=0.35)
        assert effects["light", segment].mean < 0.5
        assert effects["heavy", segment].deviation < 0.5


def test_whom_an_action_moves_is_looked_for_and_used_only_where_proved(shop, result):
    """Heavy moves everybody alike, light nobody: there is nothing to rank by."""
    actual = result.json["uplift_targeting"]
    assert set(actual) == {"heavy", "light"}
    for one in actual.values():
        assert one["qini"]["low"] <= one["qini"]["estimate"] <= one["qini"]["high"]
        assert one["is_used"] == (one["qini"]["low"] > 0)
    proved = {tier for tier, one in actual.items() if one["is_used"]}
    assert set(read_uplift_targeting(read_settings(shop).state, PLANNED)) == proved
    heavy = actual["heavy"]
    assert heavy["everybody"]["estimate"] - heavy["nobody"]["estimate"] == pytest.approx(
        4.0 - 2.0, abs=1.0
    )


def test_the_whole_is_logged(shop, result):
    import mlflow

    uri = read_settings(shop).tracking_uri
    client = mlflow.MlflowClient(uri, uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.kind = 'measure'")
    assert [run.info.run_name for run in runs] == [f"measure control {PLANNED}"]
    assert runs[0].data.metrics["lift_margin"] > 0


def test_people_read_a_table(shop, perennial):
    shown = perennial("measure", "--config", shop, "--as-of", PLANNED.isoformat())
    assert shown.code == 0
    for words in ("Each EUR 1.00", "heavy", "held out", "95 %"):
        assert words in shown.out


def test_an_early_look_is_refused(shop, perennial):
    day = (PLANNED - timedelta(days=1)).isoformat()
    refused = perennial("measure", "--config", shop, "--as-of", day, "--json")
    assert refused.code == 20
    assert "planned day" in refused.json["error"]
    assert str(PLANNED) in refused.json["error"]


def test_an_early_look_that_is_asked_for_has_a_wider_interval_and_teaches_nothing(
    shop, result, perennial
):
    day = PLANNED - timedelta(days=1)
    early = perennial("measure", "--config", shop, "--as-of", day.isoformat(), "--early", "--json")
    assert early.code == 0, early.err
    assert early.json["is_early"] is True
    wide, fixed = (one.json["groups"][0]["margin"] for one in (early, result))
    assert wide["estimate"] == pytest.approx(fixed["estimate"])
    assert wide["high"] - wide["low"] > 1.2 * (fixed["high"] - fixed["low"])
    assert read_effects(read_settings(shop).state, day) == {}


def test_who_was_not_watched_for_long_enough_is_not_counted(shop, perennial):
    day = (DAY + timedelta(days=89)).isoformat()
    refused = perennial("measure", "--config", shop, "--as-of", day, "--early", "--json")
    assert refused.code == 20
    assert "watched for 90 days" in refused.json["error"]


def test_a_program_of_its_own_is_measured(shop, perennial):
    result = perennial(
        "measure",
        "--config",
        shop,
        "--as-of",
        PLANNED.isoformat(),
        "--program",
        "winback",
        "--json",
    )
    assert result.code == 0, result.err
    margin = result.json["groups"][0]["margin"]
    assert margin["low"] < 0 < margin["high"]
    assert result.json["program"] == "winback"


def test_an_unknown_program_is_wrong_usage(shop, perennial):
    assert perennial("measure", "--config", shop, "--program", "nothing").code == 2


def test_arms_that_are_not_as_large_as_drawn_stop_the_reading(tmp_path, perennial):
    config = plant(tmp_path, share=0.44)
    refused = perennial("measure", "--config", config, "--as-of", PLANNED.isoformat(), "--json")
    assert refused.code == 20
    assert "as large as they were drawn" in refused.json["error"]


def test_nobody_assigned_is_said(tmp_path, perennial):
    config = write_shop(tmp_path)
    refused = perennial("measure", "--config", config, "--as-of", PLANNED.isoformat(), "--json")
    assert refused.code == 20
    assert "needs customers who were assigned" in refused.json["error"]


def test_held_out_customers_who_were_reached_are_counted(tmp_path, perennial):
    config = plant(tmp_path, n=400)
    sent = pd.DataFrame(
        {"customer_id": [f"c{i:05}" for i in range(400)],
         "sent_at": f"{DAY + timedelta(days=2)}T08:00:00Z", "channel": "email",
         "campaign": "spring", "action": "heavy", "cost_amount": 3.0}
    )  # fmt: skip
    sent.to_csv(tmp_path / "touches.csv", index=False)
    config.write_text(SETTINGS + '[tables]\ntouches = "touches.csv"\n')
    result = perennial("measure", "--config", config, "--as-of", PLANNED.isoformat(), "--json")
    assert result.code == 0, result.err
    assert result.json["held_out_reached"] == result.json["held_out"]
    assert result.json["groups"][0]["cost"] == pytest.approx(3.0)
