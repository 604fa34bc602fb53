"""Let go of what is old: files of published days, MLflow's runs and models. A dry run says what would go."""

import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from connectors.published import PublishedFile
from connectors.retention import old_score_runs, old_versions, remove_runs, remove_versions
from connectors.store import PublishedDay
from connectors.tracking import Tracking
from perennial.pipeline.publishing.records import read_record
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import step

KEPT = (
    PublishedFile.RECORD,
    PublishedFile.COMMITMENTS,
    PublishedFile.KPIS,
    PublishedFile.EXPECTED,
)


@dataclass(frozen=True)
class Old:
    """What is older than the settings keep.

    Attributes
    ----------
    files
        Of days that are too old: all but what was decided and measured, which names nobody's values.
    folders
        Publications that a later one of the same day replaced.
    runs
        MLflow runs that scored days that are too old.
    versions
        Model versions that nothing counts on.
    """

    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    runs: tuple[str, ...]
    versions: tuple[str, ...]


@step
def find_old(run: RunContext) -> Old:
    """Find what may go: never of the day that readers see, nor what a budget or a read-out needs."""
    store, tracking, keep = run.store, run.tracking, run.settings.keep
    current = store.current()
    seen = None if current is None else current.folder
    since = run.as_of - timedelta(days=keep.days)
    days = store.published_days(date.min, date.max)
    thin = [day for day in days if day.as_of < since and day.folder != seen]
    replaced = [
        run.folder for day in days for run in store.days(day.as_of)[:-1] if run.folder != seen
    ]
    used = {read_record(day).model_version for day in days if day not in thin}
    return Old(
        tuple(path for day in thin for path in _large(day)),
        tuple(replaced),
        tuple(old_score_runs(tracking, since.isoformat())),
        tuple(old_versions(tracking, keep.models, but=used)),
    )


@step
def remove_old(tracking: Tracking, old: Old) -> None:
    """Remove it."""
    for path in old.files:
        if path.is_dir():  # of part files
            shutil.rmtree(path)
        else:
            path.unlink()
    for folder in old.folders:
        shutil.rmtree(folder)
    trained = remove_versions(tracking, old.versions)
    remove_runs(tracking, [*old.runs, *trained])


def _large(day: PublishedDay) -> list[Path]:
    return [path for path in sorted(day.folder.iterdir()) if path.name not in KEPT]
