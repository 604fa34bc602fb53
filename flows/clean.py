"""Let go of what is old: files of published days, MLflow's runs and models. A dry run says what would go."""

from datetime import date
from pathlib import Path

from perennial.pipeline.publishing.clean import Old, find_old, remove_old
from perennial.pipeline.publishing.mirrored import mirror_exports
from perennial.pipeline.runtime.context import open_run
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import read_settings


@flow
def clean(config: Path, as_of: date, *, apply: bool = False) -> Old:
    """Find what is older than the settings keep, and with `apply` remove it."""
    settings = read_settings(config)
    with open_run(settings, as_of) as run:
        old = find_old(run)
        if apply:
            remove_old(run.tracking, old)
            mirror_exports(settings.exports, run.state, settings.paths.mirror)
    return old
