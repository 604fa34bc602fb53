"""The registered model, under the name by which models that earlier versions logged import it."""

from pathlib import Path

from models.forecaster import OUTPUTS
from models.forecaster import Forecaster as Model
from perennial.pipeline.training.model_files import load_forecaster

__all__ = ["OUTPUTS", "Forecaster"]


class Forecaster:
    """What earlier versions' ``pyfunc.py`` asks of it: to be read from a folder."""

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read a model's folder."""
        return load_forecaster(folder)
