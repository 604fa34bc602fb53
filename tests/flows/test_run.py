"""The daily way on a small shop: what is published, and what a rerun does."""

import json
from datetime import date, timedelta
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from connectors.programs import ARROW_TYPES
from features.rfm import customer_state
from features.tables import Scores
from models.forecaster import INPUTS, Forecaster
from models.order_value import OrderValue
from models.purchases import BGNBD, FAMILY
from models.spend import Spend
from perennial.pipeline.ingestion.read import ALIKE, known_customers
from perennial.pipeline.scoring.decide import score_customers
from perennial.pipeline.settings.store import read_settings
from segments.holdout import is_holdout
from tests.invariants.published import PublishedFigures, violations
from tests.shops import AS_OF, PLAIN, make_orders, write_shop


@pytest.fixture(scope="module")
def scores(published):
    return pd.read_parquet(published[1]["files"]["scores"])


def test_scores_have_exactly_the_columns_and_types_of_the_contract(published):
    schema = pq.read_schema(published[1]["files"]["scores"])
    actual = dict(zip(schema.names, schema.types, strict=True))
    assert actual == {name: ARROW_TYPES[kind] for name, kind in Scores.schema().items()}


def test_every_customer_known_that_day_is_scored_once(scores):
    orders = make_orders()
    past = orders[orders["ordered_at"] <= AS_OF.isoformat()]
    assert sorted(scores["customer_id"]) == sorted(set(past["customer_id"]))
    assert set(scores["as_of"]) == {AS_OF}
    in_order = scores.sort_values([*ALIKE, "customer_id"])
    assert in_order["customer_id"].tolist() == scores["customer_id"].tolist()


def test_scores_are_coherent(scores):
    p_order = 1 - scores["churn_probability"]
    once = scores["frequency"] == 0
    for chance in ("p_alive", "p_order_90d", "churn_probability"):
        assert scores[chance].between(0, 1).all()
    assert (p_order >= scores["p_order_90d"] - 1e-12).all()
    assert (scores["expected_orders"] >= p_order - 1e-12).all()
    reported = scores[once]
    assert reported["p_second_order"].tolist() == pytest.approx(reported["p_order_90d"].tolist())
    assert scores.loc[~once, "p_second_order"].isna().all()
    assert scores.loc[~once, "expected_value"].gt(0).all()
    assert scores["expected_margin"].to_numpy() == pytest.approx(0.5 * scores["expected_value"])
    assert (scores["expected_return"].isna() == (scores["investment_tier"] == "none")).all()
    assert scores["reason"].str.len().gt(10).all()
    later = scores["next_order_date"].dropna()
    assert (later > AS_OF).all()


def test_every_published_figure_agrees(published):
    assert violations(PublishedFigures.read(published[0])) == []


def test_the_budget_is_kept_and_the_held_out_cost_nothing(published, scores):
    costs = {"heavy": 6.0, "standard": 2.0, "light": 0.3, "none": 0.0}
    invested = scores[~scores["is_holdout"]]
    spent = invested["investment_tier"].map(costs).sum()
    assert 0 < spent <= 200
    assert sum(tier["cost"] for tier in published[1]["tiers"]) == pytest.approx(spent)
    assert scores["is_holdout"].tolist() == (
        is_holdout(scores["customer_id"], share=0.10, salt="retention").tolist()
    )


def test_marketing_is_not_told_of_the_held_out(published, scores):
    frame = pd.read_csv(published[1]["files"]["segments"], dtype={"External ID": str})
    assert set(frame["External ID"]) == set(scores.loc[~scores["is_holdout"], "customer_id"])
    assert frame["Retention Churn Risk"].between(0, 100).all()
    assert frame["Retention Churn Risk"].max() > 1
    assert set(frame["Retention Scored At"]) == {f"{AS_OF.isoformat()} 12:00:00"}


def test_readers_are_pointed_to_the_day(published):
    current = json.loads(Path(published[1]["files"]["current"]).read_text())
    assert current["as_of"] == AS_OF.isoformat()
    assert current["run_id"] == published[1]["run_id"]


def test_every_source_row_is_accounted_for(published):
    accounting = published[1]["accounting"]
    assert accounting["rows_in"] == len(make_orders())
    assert accounting["rows_in"] == accounting["orders"] + sum(
        [*accounting["merged"].values(), *accounting["rejected"].values()]
    )
    rejects = pd.read_csv(published[1]["files"]["rejects"])
    broken = {k: n for k, n in accounting["rejected"].items() if k != "after_as_of"}
    assert rejects["rule"].value_counts().to_dict() == broken


def test_every_row_is_stamped_with_the_version_and_the_run(published, scores):
    assert set(scores["model_version"]) == {published[1]["model_version"]}
    assert set(scores["run_id"]) == {published[1]["run_id"]}


def test_the_same_day_again_publishes_nothing_and_exits_10(published, perennial):
    config, first = published
    before = sorted(config.parent.rglob("run=*"))
    again = perennial("run", "--config", config, "--as-of", AS_OF.isoformat(), "--json")
    assert again.code == 10
    assert again.json["status"] == "already_published"
    assert again.json["run_id"] == first["run_id"]
    assert sorted(config.parent.rglob("run=*")) == before
    assert perennial("score", "--config", config, "--as-of", AS_OF.isoformat()).code == 10


def test_other_orders_do_not_rewrite_a_published_day_unless_asked(tmp_path, perennial):
    orders = make_orders(150)
    config = write_shop(tmp_path, orders, PLAIN)
    day = ("--config", config, "--as-of", AS_OF.isoformat(), "--json")
    first = perennial("run", *day).json
    orders.loc[0, "net_amount"] += 1
    orders.to_csv(tmp_path / "orders.csv", index=False)
    refused = perennial("run", *day)
    assert refused.code == 20
    assert "--force" in refused.json["error"]
    forced = perennial("run", *day, "--force")
    assert forced.code == 0
    assert forced.json["run_id"] != first["run_id"]
    assert Path(first["files"]["scores"]).exists()


def test_later_orders_leave_a_published_day_as_it_is(tmp_path, perennial):
    orders = make_orders(150)
    config = write_shop(tmp_path, orders[orders["ordered_at"] <= AS_OF.isoformat()], PLAIN)
    day = ("--config", config, "--as-of", AS_OF.isoformat(), "--json")
    assert perennial("run", *day).code == 0
    orders.to_csv(tmp_path / "orders.csv", index=False)
    assert perennial("run", *day).code == 10


def test_a_day_killed_before_the_pointer_moved_is_found_and_made_current(tmp_path, perennial):
    config = write_shop(tmp_path, make_orders(150), PLAIN)
    day = ("--config", config, "--as-of", AS_OF.isoformat(), "--json")
    first = perennial("run", *day).json
    (tmp_path / "exports" / "CURRENT.json").unlink()
    assert perennial("run", *day).code == 10
    current = json.loads((tmp_path / "exports" / "CURRENT.json").read_text())
    assert current["run_id"] == first["run_id"]


@pytest.mark.slow
def test_an_older_day_gets_a_model_of_its_own_and_does_not_become_current(tmp_path, perennial):
    config = write_shop(tmp_path, make_orders(150), PLAIN)
    newest = perennial("run", "--config", config, "--as-of", AS_OF.isoformat(), "--json").json
    older = perennial("run", "--config", config, "--as-of", "2024-03-31", "--json")
    assert older.code == 0
    assert older.json["model_version"] != newest["model_version"]
    current = json.loads((tmp_path / "exports" / "CURRENT.json").read_text())
    assert current["as_of"] == AS_OF.isoformat()
    again = perennial("run", "--config", config, "--as-of", "2024-07-01", "--json").json
    assert again["model_version"] == newest["model_version"]


def test_training_is_logged_as_a_parent_with_a_child_per_part(published):
    record = published[1]
    uri = record["mlflow"]["tracking_uri"]
    client = mlflow.MlflowClient(uri, uri)
    version = client.get_model_version_by_alias("perennial", "champion")
    assert str(version.version) == record["model_version"]
    parent = client.get_run(version.run_id)
    assert parent.data.params["horizon_days"] == "365"
    assert parent.inputs.dataset_inputs[0].dataset.digest == parent.data.tags["data_digest"]
    children = client.search_runs(
        [parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    )
    by_name = {child.info.run_name: child for child in children}
    assert {"purchases", "spend", "stacking", "second_purchase"} <= set(by_name)
    purchases = by_name["purchases"].data.params
    assert set(purchases) == {"model", *FAMILY[purchases["model"]].free}
    tried = {child.data.tags.get("candidate") for child in children}
    assert {
        "champion",
        "bg_nbd_gamma_gamma",
        "rule_recency",
        "last_period",
        "total_past",
    } <= tried
    ginis = set(by_name["stacking"].data.metrics)
    assert {"gini.plain", "gini.stacked", "gini.rule_recency"} <= ginis
    kept = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"gate.json", "gate.md", "model_card.md", "backtest.json", "fits.json"} <= kept
    pictures = {item.path for item in client.list_artifacts(parent.info.run_id, "pictures")}
    names = {
        "value_by_decile", "orders_by_week", "orders_cumulative", "gain", "coverage_by_decile",
        "frequency_fit", "p_alive_matrix", "expected_orders_matrix",
    }  # fmt: skip
    assert pictures == {f"pictures/{n}.{kind}" for n in names for kind in ("png", "json")}
    assert version.tags["gate"] == "passed"
    assert version.tags["decision"] == "promoted"


def test_the_registered_model_predicts_what_was_published(published, scores, monkeypatch):
    """Loaded by MLflow alone, from code and JSON: the same numbers, from rows of doubles."""
    config, result = published
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it for good
    mlflow.set_tracking_uri(result["mlflow"]["tracking_uri"])
    mlflow.set_registry_uri(result["mlflow"]["tracking_uri"])
    model = mlflow.pyfunc.load_model("models:/perennial@champion")
    with open_engine("Europe/Berlin") as engine:
        source = OrderSource(str(config.parent / "orders.csv"), currency="EUR")
        history = read_orders(engine, source, AS_OF, config.parent / "again")
        orders = engine.parquet(history.orders)
        customers = known_customers(orders, None, AS_OF, window_days=90)
        rows = engine.frame(customers.order_by(*ALIKE, "customer_id"))[list(INPUTS)].astype(float)
    predictions = model.predict(rows)
    for name in ("p_alive", "p_order_90d", "churn_probability", "expected_value"):
        assert predictions[name].tolist() == pytest.approx(scores[name].tolist(), rel=1e-12)
    near = model.predict(rows.assign(first_amount=1.0), params={"horizon_days": 1})
    assert (near["expected_orders"] < predictions["expected_orders"]).all()
    assert {str(kind) for kind in model.metadata.signature.inputs.input_types()} == {
        "DataType.double"
    }


def test_what_is_known_of_customers_does_not_move_with_the_future(tmp_path):
    """Whatever comes after the day, more orders, other amounts or none: the same features, exactly."""
    frame = make_orders(80)
    days = pd.to_datetime(frame["ordered_at"])
    is_later = days > pd.Timestamp(AS_OF)
    assert is_later.any()
    futures = [
        frame,
        frame[~is_later],
        frame.assign(net_amount=frame["net_amount"].where(~is_later, 9_999.0)),
        frame.assign(ordered_at=days.where(~is_later, days + pd.Timedelta(days=40)).dt.date),
    ]
    actual = []
    for number, future in enumerate(futures):
        folder = tmp_path / str(number)
        folder.mkdir()
        future.astype({"ordered_at": str}).to_csv(folder / "orders.csv", index=False)
        with open_engine("Europe/Berlin") as engine:
            source = OrderSource(str(folder / "orders.csv"), currency="EUR")
            everything = read_orders(engine, source, date(2025, 12, 31), folder / "read")
            customers = known_customers(engine.parquet(everything.orders), None, AS_OF, 90)
            actual.append(engine.frame(customers.order_by("customer_id")))
    for other in actual[1:]:
        pd.testing.assert_frame_equal(actual[0], other, check_exact=True)


def test_nothing_in_mlflow_names_a_customer(published, scores):
    config, _ = published
    stored = [
        path
        for path in (config.parent / "mlruns").rglob("*")
        if path.is_file() and path.suffix not in (".png", ".html")
    ]
    assert {".db", ".json"} <= {path.suffix for path in stored}
    assert "c0001" in set(scores["customer_id"])
    for path in stored:
        assert b"c0001" not in path.read_bytes(), path


FORECASTER = Forecaster(
    purchases=BGNBD(0.6, 40.0, 0.8, 2.5),
    order_value=OrderValue(Spend(6.0, 4.0, 15.0)),
    classifier=None,
    second_purchase_days=90,
    trained_as_of=date(2023, 1, 1),
)
orders_of_days = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 60), st.integers(1, 9999)),
    min_size=1,
    max_size=25,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(orders_of_days, orders_of_days)
def test_scores_of_a_day_do_not_change_with_later_orders_in_the_source(
    tmp_path_factory, rows, others
):
    """From the file to the scores, columns and all: what comes after the day is not seen."""
    as_of = date(2024, 3, 1)
    folder = tmp_path_factory.mktemp("later")
    config = read_settings(write_shop(folder, make_orders(3)))

    def scores_of(lines):
        frame = pd.DataFrame(lines, columns=["customer_id", "day", "cents"])
        frame["ordered_at"] = [(as_of + timedelta(days=int(d))).isoformat() for d in frame["day"]]
        frame["net_amount"] = frame["cents"] / 100
        frame["order_id"] = np.arange(len(frame))
        frame.to_csv(folder / "orders.csv", index=False)
        with open_engine("Europe/Berlin") as engine:
            history = read_orders(engine, config.order_source, as_of, folder)
            state = customer_state(engine.parquet(history.orders), as_of).order_by("customer_id")
            return history.digest, score_customers(
                config.policy, engine.frame(state), FORECASTER, as_of
            ).scores

    past = [(who, -day, cents) for who, day, cents in rows]
    later = [(who, day + 1, cents) for who, day, cents in others]
    digest, before = scores_of(past)
    digest_after, after = scores_of(past + later)
    assert digest == digest_after
    pd.testing.assert_frame_equal(before, after, check_exact=True)
