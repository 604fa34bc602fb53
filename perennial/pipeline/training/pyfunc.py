"""The registered model from code: MLflow runs this file where Perennial is installed."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from models.forecaster import OUTPUTS
from perennial.pipeline.training.model_files import load_forecaster


class PerennialModel(PythonModel):
    """Predicts from rows of ``customer_state``."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401  # MLflow's own object
        """Read the parameters that were logged with the model."""
        self.forecaster = load_forecaster(Path(context.artifacts["parameters"]).parent)

    def predict(
        self,
        context: Any,  # noqa: ANN401, ARG002  # MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Predict; ``params`` are ``horizon_days``, ``annual_discount_rate`` and ``as_of``, the rows' day."""
        params = params or {}
        return self.forecaster.predict(
            model_input,
            horizon_days=int(params["horizon_days"]),
            annual_discount_rate=float(params["annual_discount_rate"]),
            as_of=date.fromisoformat(params["as_of"]) if params.get("as_of") else None,
        )[list(OUTPUTS)]


set_model(PerennialModel())
