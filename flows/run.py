"""The daily way: train if no model fits the day, then score and publish."""

from datetime import date
from pathlib import Path

from flows.prepare import workspace
from flows.score import Scored, find_model, score
from flows.settings import read_settings
from flows.steps import flow
from flows.train import train


@flow
def run(config: Path, as_of: date, *, force: bool = False) -> Scored:
    """Train if need be, score, publish; the orders are read once."""
    settings = read_settings(config)
    with workspace(settings) as work:
        if find_model(settings, as_of) is None:
            train(config, as_of, work)
        return score(config, as_of, work, force=force)
