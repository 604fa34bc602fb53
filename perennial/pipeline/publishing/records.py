"""The records of a published day, as this version has them."""

from pydantic import ValidationError

from connectors.published import PublishedFile
from connectors.store import PublishedDay
from features.tables import DataError
from reports.records import KpiReport, RunRecord

UNREADABLE = (
    "a publication's record must be readable: {path} is not. Bring {folder} back from a backup, or "
    "move it away and run the day again"
)


def read_record(day: PublishedDay) -> RunRecord:
    """Return what went into a day and how it was made, from ``run.json``.

    Raises
    ------
    DataError
        The file is not a day's record.
    """
    try:
        return RunRecord.model_validate(day.record())
    except ValidationError as error:
        path = day.file(PublishedFile.RECORD)
        raise DataError(UNREADABLE.format(path=path, folder=day.folder)) from error


def read_kpis(day: PublishedDay) -> KpiReport:
    """Return the measures of a day, from ``kpis.json``.

    Raises
    ------
    DataError
        The file does not hold a day's measures.
    """
    path = day.file(PublishedFile.KPIS)
    try:
        return KpiReport.model_validate_json(path.read_text())
    except ValidationError as error:
        raise DataError(UNREADABLE.format(path=path, folder=day.folder)) from error
