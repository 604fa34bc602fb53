"""The registered model from code: MLflow runs this file where Perennial is installed."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from flows.forecaster import OUTPUTS, Forecaster


class PerennialModel(PythonModel):
    """Predicts from rows of ``customer_state``."""

    def load_context(self, context: Any) -> None:  # MLflow's own object
        """Read the parameters that were logged with the model."""
        self.forecaster = Forecaster.load(Path(context.artifacts["parameters"]).parent)

    def predict(
        self,
        context: Any,  # MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Predict; ``params`` are ``horizon_days`` and ``annual_discount_rate``."""
        params = params or {}
        return self.forecaster.predict(
            model_input,
            horizon_days=int(params["horizon_days"]),
            annual_discount_rate=float(params["annual_discount_rate"]),
        )[list(OUTPUTS)]


set_model(PerennialModel())
