"""What was fitted in a training: the record ``fits.json`` that MLflow keeps with the model."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

Parameter = bool | int | float | str | None


class PartReport(BaseModel):
    """A part of a fitted recipe.

    Attributes
    ----------
    params
        Parameters and settings by name.
    metrics
        How it fits, by name; sizes are customers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    params: Mapping[str, Parameter] = {}
    metrics: Mapping[str, int | float | None] = {}


class FitReport(BaseModel):
    """What was fitted.

    Attributes
    ----------
    parts
        The parts by name.
    notes
        What a reader must know of the model.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    parts: Mapping[str, PartReport] = {}
    notes: tuple[str, ...] = ()

    def noting(self, *notes: str) -> "FitReport":
        """Return the report with more notes after its own."""
        return self.model_copy(update={"notes": (*self.notes, *notes)})
