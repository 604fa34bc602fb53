"""Let go of what is old: files of published days, MLflow's runs and models. A dry run says what would go."""

from datetime import date
from pathlib import Path

from perennial.pipeline.ingestion.read import workspace
from perennial.pipeline.publishing.clean import Old, find_old, remove_old
from perennial.pipeline.publishing.mirrored import mirror_exports
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import read_settings


@flow
def clean(config: Path, as_of: date, *, apply: bool = False) -> Old:
    """Find what is older than the settings keep, and with `apply` remove it."""
    settings = read_settings(config)
    with workspace(settings):
        old = find_old(settings, as_of)
        if apply:
            remove_old(settings, old)
            mirror_exports(settings)
    return old
