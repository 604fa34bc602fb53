"""The daily way: train if no model fits the day, then score and publish."""

from datetime import date
from pathlib import Path

from features.tables import DataError
from flows.prepare import workspace
from flows.score import Scored, find_model, score
from flows.settings import read_settings
from flows.steps import flow
from flows.train import train
from models.gate import FAILED


@flow
def run(config: Path, as_of: date, *, force: bool = False) -> Scored:
    """Train if need be, score, publish; the orders are read once."""
    settings = read_settings(config)
    with workspace(settings) as work:
        if find_model(settings, as_of) is None:
            trained = train(config, as_of, work, "daily run")
            if trained.gate == FAILED:
                raise DataError(
                    f"no model may score {as_of}: the gate refused version {trained.model_version}: "
                    f"{'; '.join(trained.reasons)}. To use it all the same: `perennial promote "
                    f'{trained.model_version} --because "…"`'
                )
        return score(config, as_of, work, force=force)
