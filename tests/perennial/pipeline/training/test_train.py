"""Training: the gate decides, people may overrule it, and the same snapshot gives the same model."""

import json
from pathlib import Path

import mlflow
import pytest

from tests.shops import make_orders, write_shop

DAY, LATER = "2024-03-31", "2024-06-30"


@pytest.fixture(scope="module")
def twice(tmp_path_factory, perennial):
    """A shop that was trained twice on the same day and orders: its settings, and what was said."""
    config = write_shop(tmp_path_factory.mktemp("twice"), make_orders(1_500))
    messages = [perennial("train", "--config", config, "--as-of", DAY, "--json") for _ in range(2)]
    return config, messages


def registry(config: Path) -> mlflow.MlflowClient:
    uri = f"sqlite:///{config.parent / 'mlruns' / 'mlflow.db'}"
    return mlflow.MlflowClient(uri, uri)


def parameters(config: Path, version: str) -> dict[str, object]:
    client = registry(config)
    source = client.get_model_version("perennial", version)
    folder = mlflow.artifacts.download_artifacts(source.source, tracking_uri=client.tracking_uri)
    record: dict[str, object] = json.loads(
        (Path(folder) / "artifacts" / "parameters.json").read_text()
    )
    return record


def stacking(config: Path, version: str) -> dict[str, dict[str, object]]:
    """Return how corrections were fitted and chosen, as training logged it."""
    client = registry(config)
    run = client.get_model_version("perennial", version).run_id
    path = mlflow.artifacts.download_artifacts(
        run_id=run, artifact_path="fits.json", tracking_uri=client.tracking_uri
    )
    part: dict[str, dict[str, object]] = json.loads(Path(path).read_text())["parts"]["stacking"]
    return part


@pytest.mark.slow
def test_the_same_snapshot_gives_the_same_model_to_the_last_digit(twice):
    config, (first, again) = twice
    one, two = (parameters(config, text.json["model_version"]) for text in (first, again))
    assert one == two
    fitted = [stacking(config, text.json["model_version"]) for text in (first, again)]
    assert fitted[0] == fitted[1]
    assert {"gini.plain", "gini.stacked", "weight.orders_trees"} <= set(fitted[0]["metrics"])
    assert (one["correction"] is None) == (fitted[0]["params"]["choice"] == "plain")


def test_a_tie_keeps_the_champion_and_says_so(twice):
    config, (first, again) = twice
    assert (first.json["gate"], first.json["is_champion"], first.code) == ("passed", True, 0)
    assert (again.json["gate"], again.json["is_champion"], again.code) == ("tie", False, 0)
    assert "a tie" in again.json["reasons"][0]
    client = registry(config)
    aliases = {
        alias: str(client.get_model_version_by_alias("perennial", alias).version)
        for alias in ("champion", "challenger")
    }
    assert aliases == {
        "champion": first.json["model_version"],
        "challenger": again.json["model_version"],
    }
    tags = client.get_model_version("perennial", again.json["model_version"]).tags
    assert (tags["gate"], tags["decision"], tags["decided_by"]) == ("tie", "kept", "gate")
    assert tags["data_digest"]
    assert tags["code_version"]


def test_people_promote_with_a_reason_and_go_back(twice, perennial):
    config, (first, again) = twice
    old, new = (text.json["model_version"] for text in (first, again))
    text = perennial("promote", new, "--because", "fresher", "--config", config, "--json")
    assert (text.code, text.json["champion"], text.json["before"]) == (0, new, old)
    tags = registry(config).get_model_version("perennial", new).tags
    assert (tags["gate"], tags["because"], tags["decision"]) == ("waived", "fresher", "promoted")
    back = perennial("rollback", "--because", "oops", "--config", config, "--json")
    assert (back.code, back.json["champion"]) == (0, old)


@pytest.mark.parametrize(
    ("version", "because", "actual"),
    [("99", "why not", "there is no version 99"), ("1", " ", "--because is empty")],
)
def test_a_promotion_needs_a_version_and_a_reason(twice, perennial, version, because, actual):
    result = perennial("promote", version, "--because", because, "--config", twice[0], "--json")
    assert result.code == 20
    assert actual in result.err


def test_going_back_needs_a_version_before(tmp_path, perennial):
    config = write_shop(tmp_path, make_orders(5))
    result = perennial("rollback", "--config", config, "--json")
    assert result.code == 20
    assert "there is none" in result.err


@pytest.mark.slow
def test_amounts_in_cents_from_one_day_to_the_next_are_refused(tmp_path, perennial):
    orders = make_orders(500)
    config = write_shop(tmp_path, orders)
    assert perennial("train", "--config", config, "--as-of", DAY, "--json").code == 0
    orders.assign(net_amount=orders["net_amount"] * 100).to_csv(
        tmp_path / "orders.csv", index=False
    )
    result = perennial("train", "--config", config, "--as-of", LATER, "--json")
    assert (result.code, result.json["gate"], result.json["is_champion"]) == (20, "failed", False)
    assert any(reason.startswith("spend_scale") for reason in result.json["reasons"])
    old = ("--accept", "model_is_young", "--because", "91 days are one too many")
    scored = perennial("score", "--config", config, "--as-of", LATER, *old, "--json")
    assert scored.json["model_version"] == "1"
