"""The format of a published day's record, from the first one on.

A published day is never rewritten: what an older Perennial left out of its record is added when it
is read. A format that is newer than the code is refused.
"""

from collections.abc import Callable
from typing import Any

from features.tables import DataError

FORMAT = 2

Record = dict[str, Any]


def upgraded(record: Record) -> Record:
    """Return a day's record as this code writes it.

    Raises
    ------
    DataError
        A newer Perennial wrote it.
    """
    version = int(record.get("format", 1))
    check_not_newer(version, "a published day")
    for number in range(version, FORMAT):
        record = STEPS[number](record)
    return record


def check_not_newer(version: int, what: str) -> None:
    """Refuse what a newer Perennial wrote.

    Raises
    ------
    DataError
        It has a format that this code does not know.
    """
    if version > FORMAT:
        raise DataError(
            f"what is kept is read by the Perennial that wrote it or a newer one: {what} has format {version}, "
            f"this one knows {FORMAT}. Install the newer one again"
        )


def _record_from_1(record: Record) -> Record:
    """Add checks and purpose; a budget was a number, and tiers could not be split by segment."""
    budget = record.get("budget")
    if not isinstance(budget, dict):
        record["budget"] = {"amount": budget, "period_days": None}
    missing: Record = {
        "checks": [],
        "purpose": "current",
        "notes": [],
        "readouts": [],
        "newcomers": [],
    }
    missing["trained_run_id"] = None
    return {**missing, **record, "format": 2}


STEPS: dict[int, Callable[[Record], Record]] = {1: _record_from_1}
