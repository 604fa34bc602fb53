"""An average of purchase models in training: its parts, and how it is fitted again."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from features.rfm import customer_state, state_cells
from models.forecaster import Forecaster
from models.gate import Evidence, judge
from models.order_value import OrderValue
from models.purchases import MBGCNBD, MBGNBD, Averaged, BetaGeometric, ParetoNBD
from models.spend import Spend
from perennial.pipeline.scoring.incremental_value import _ways
from perennial.pipeline.training.pictures import frequency_fit, matrices
from perennial.pipeline.training.recipe import fit_recipe
from perennial.pipeline.training.stacking import _fitted_again
from tests.shops import AS_OF, make_orders

AVERAGE = Averaged(
    (MBGNBD(0.9, 45.0, 0.5, 1.5), ParetoNBD(0.7, 40.0, 0.6, 120.0), MBGCNBD(1.2, 12, 0.5, 1.5, 3)),
    (0.5, 0.3, 0.2),
)
ORDER_VALUE = OrderValue(Spend(6.0, 4.0, 15.0))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A shop of 150 customers: its fits, and counted histories."""
    folder = tmp_path_factory.mktemp("small")
    make_orders(150, seed=3).to_csv(folder / "orders.csv", index=False)
    with open_engine("Europe/Berlin") as engine:
        source = OrderSource(str(folder / "orders.csv"), currency="EUR")
        read = read_orders(engine, source, date(2024, 12, 31), folder / "read")
        orders = engine.parquet(read.orders)
        fits = fit_recipe(engine, orders, None, AS_OF, 90, 90)
        cells = engine.frame(state_cells(customer_state(orders, AS_OF)))
    return fits, cells


def test_a_small_shop_is_forecast_by_an_average(trained):
    fits, _ = trained
    assert isinstance(fits.purchases[0].model, Averaged)
    assert any("clearly the best" in note for note in fits.notes)


def test_an_action_is_judged_by_single_models(trained):
    forecaster = trained[0].forecaster
    assert isinstance(forecaster.dropout_model, BetaGeometric)
    assert not isinstance(forecaster.alternative_model, BetaGeometric | Averaged)
    assert 0 < forecaster.dropout_weight < 1
    assert sum(weight for _, weight in _ways(forecaster)) == pytest.approx(1)
    assert not any(isinstance(model, Averaged) for model, _ in _ways(forecaster))


def test_the_parts_of_an_average_are_numbers_by_member(trained):
    fits, _ = trained
    report = fits.report()
    part = report.parts["purchases"]
    assert part.params["model"] == "average"
    weights = [value for name, value in part.params.items() if name.endswith(".weight")]
    assert sum(weights) == pytest.approx(1)
    best = fits.purchases[1]
    assert part.metrics["aic.average"] == part.metrics[f"aic.{best.title}"]
    assert f"se.{best.title}.r" in part.metrics
    json.dumps(report.model_dump(mode="json"), allow_nan=False)


def test_the_gate_reads_the_parameters_of_every_member():
    parameters = AVERAGE.to_dict()
    assert judge(Evidence(parameters=parameters, mean_order_value=30.0)).gate == "passed"
    wrong = parameters | {"pareto_nbd.s": float("nan")}
    assert judge(Evidence(parameters=wrong, mean_order_value=30.0)).gate == "failed"


def test_an_average_has_pictures():
    x, T, n = (
        np.array([0.0, 1.0, 4.0]),
        np.array([90.0, 300.0, 500.0]),
        np.array([50.0, 20.0, 5.0]),
    )
    _, numbers = frequency_fit(AVERAGE, x, T, n)
    assert sum(row["expected"] for row in numbers) == pytest.approx(75)
    assert matrices(AVERAGE, 500.0)


def test_each_member_is_fitted_again_to_an_earlier_day(trained):
    fits, cells = trained
    average = fits.purchases[0].model
    again = _fitted_again(average, cells)
    assert again.weights == pytest.approx(average.weights)
    for fitted, member in zip(again.members, average.members, strict=True):
        assert fitted.to_dict() == pytest.approx(member.to_dict(), rel=1e-3)


def test_one_time_buyers_and_regulars_are_scored_by_an_average():
    state = pd.DataFrame(
        {
            "frequency": [0.0, 5.0],
            "recency_days": [0.0, 200.0],
            "age_days": [40.0, 210.0],
            "monetary_value": [0.0, 30.0],
            "first_amount": [30.0, 25.0],
            "revenue": [30.0, 175.0],
        }
    )
    forecaster = Forecaster.plain(AVERAGE, ORDER_VALUE)
    scores = forecaster.predict(state, horizon_days=365, annual_discount_rate=0.1)
    assert (scores["expected_orders"] > 0).all()
    assert (scores["value_high"] >= scores["value_low"]).all()
    assert np.isfinite(scores.drop(columns=["p_second_order", "median_days"])).all(axis=None)
