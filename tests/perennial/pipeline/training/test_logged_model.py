"""A model that an earlier version logged still loads and serves; its files lie beside this one."""

from datetime import date
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from models.forecaster import OUTPUTS
from perennial.pipeline.training.model_files import load_forecaster

LOGGED = Path(__file__).with_name("logged_model")
ROWS = pd.DataFrame(
    {
        "frequency": [0.0, 2.0, 7.0],
        "recency_days": [0.0, 60.0, 300.0],
        "age_days": [20.0, 100.0, 330.0],
        "monetary_value": [0.0, 35.0, 22.5],
        "first_amount": [18.0, 30.0, 40.0],
    }
)
YEAR = {"horizon_days": 365, "annual_discount_rate": 0.1}
# as the version that logged it predicted them; order value was defined in another way then
PREDICTED = {
    "p_alive": [0.4294334624854264, 0.49415739790967067, 0.8181349026437879],
    "p_order_90d": [0.3344113326524667, 0.4571473081361169, 0.7640697274867024],
    "churn_probability": [0.5859582860349746, 0.5062844700125283, 0.1819184381227832],
    "expected_orders": [1.3956505241552928, 2.385812523493944, 4.8549671334483095],
}


@pytest.mark.filterwarnings("ignore")  # of MLflow, about its own formats
def test_mlflow_serves_it():
    predicted = mlflow.pyfunc.load_model(str(LOGGED)).predict(ROWS, params=YEAR)
    assert set(predicted.columns) == set(OUTPUTS)
    for name, values in PREDICTED.items():
        assert predicted[name].to_numpy() == pytest.approx(values, rel=1e-9)
    value = predicted["expected_orders"] * predicted["expected_order_value"]
    assert predicted["expected_value"].to_numpy() == pytest.approx(
        (value * predicted["discount_factor"]).to_numpy()
    )


def test_scoring_reads_it():
    forecaster = load_forecaster(LOGGED / "artifacts")
    assert forecaster.trained_as_of == date(2025, 6, 30)
    predicted = forecaster.predict(ROWS, **YEAR)
    assert np.isfinite(predicted[list(PREDICTED)].to_numpy()).all()
    for name, values in PREDICTED.items():
        assert predicted[name].to_numpy() == pytest.approx(values, rel=1e-9)
