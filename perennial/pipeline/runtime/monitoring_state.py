"""The report of monitoring under ``state/``: the matured weeks, and the request to train again."""

import json
from datetime import date
from pathlib import Path
from typing import TypeVar

from connectors.kept import checked, with_digest
from connectors.store import replace_file
from features.tables import DataError
from models.monitoring import MonitoringReport, RetrainRequest
from models.records import Record

MONITORING, RETRAIN = "monitoring.json", "retrain.json"
SCHEMA = 1  # of both files; a change of meaning raises it
SHOWN_WEEKS = 26  # on the page

Kept = TypeVar("Kept", bound=Record)


def read_monitoring(state: Path) -> MonitoringReport | None:
    """Return the last report; None before the first."""
    return _read(state / MONITORING, MonitoringReport)


def read_request(state: Path) -> RetrainRequest | None:
    """Return the last request to train again; None before the first."""
    return _read(state / RETRAIN, RetrainRequest)


def frozen_because(state: Path) -> str | None:
    """Say why nothing should be sent to marketing; None where nothing speaks against it."""
    report = read_monitoring(state)
    return None if report is None else report.frozen.because


def monitoring_known_by(state: Path, as_of: date) -> MonitoringReport | None:
    """Return what a page of a day shows: the newest weeks counted by then; None without any."""
    report = read_monitoring(state)
    if report is None or report.as_of > as_of:
        return None
    return report.model_copy(update={"weeks": report.weeks[-SHOWN_WEEKS:]})


def save_monitoring(state: Path, report: MonitoringReport) -> bool:
    """Keep a report in place of that of an earlier day; tell whether it is new.

    The report of a later day stays.
    """
    before = read_monitoring(state)
    if before is not None and before.as_of > report.as_of:
        return False
    return _replace(state / MONITORING, report)


def save_request(state: Path, request: RetrainRequest) -> bool:
    """Keep a request to train again; tell whether it is new."""
    return _replace(state / RETRAIN, request)


def _replace(path: Path, record: Record) -> bool:
    text = json.dumps(with_digest(record.to_json()), indent=1, allow_nan=False) + "\n"
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda draft: draft.write_text(text))
    return True


def _read(path: Path, kind: type[Kept]) -> Kept | None:
    if not path.exists():
        return None
    try:
        values = checked(json.loads(path.read_text()))
        schema = int(values["schema"])
        # the values of a newer schema may have another form
        record = kind.model_validate(values) if schema <= SCHEMA else None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"what monitoring keeps is JSON with a schema: {path} cannot be read. Remove it: weeks whose "
            "days are still published are counted again"
        ) from error
    if record is None:
        raise DataError(
            f"this version reads {path.name} up to schema {SCHEMA}: found {schema}, written by a newer "
            "one. Use that version"
        )
    return record
