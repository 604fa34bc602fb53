"""How far figures have moved since a model was trained: the record that monitoring keeps."""

from pydantic import BaseModel, ConfigDict


class MovedFigure(BaseModel):
    """How far one figure has moved.

    Attributes
    ----------
    name
        The figure.
    meaning
        In words.
    psi
        Population stability index; None = too few customers, or not comparable.
    n_then, n_now
        Customers at training and now.
    is_mechanical
        Whether it moves as the base grows older, whatever customers do.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    meaning: str
    psi: float | None
    n_then: int
    n_now: int
    is_mechanical: bool


class Drift(BaseModel):
    """How far inputs and scores have moved since training.

    Attributes
    ----------
    figures
        The figures; none where the model keeps no bins.
    outside_share
        Share of customers beyond what the model was trained on, 0 to 1; None = not measured.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    figures: tuple[MovedFigure, ...] = ()
    outside_share: float | None = None
