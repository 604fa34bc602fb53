"""Columns that some files of a source have and others lack."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from connectors.presets.preset import SourceRows
from connectors.sources import Opened, SourceError

ESSENTIAL = ("order_id", "ordered_at")
WHO = ("customer_id", "email", "phone", "billing_phone")
ALTERNATIVES = re.compile(
    ", else |, "
)  # how presets write several columns that one of ours is read from


def with_file_notes(read: SourceRows, opened: Opened) -> SourceRows:
    """Add notes on how files were read, and on columns that are read and that some files lack.

    Parameters
    ----------
    read
        What the preset made of the source.
    opened
        The source.

    Raises
    ------
    SourceError
        A file lacks the order id, the date or every column of the customer, and others have it.
    """
    lacked: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for file, columns in opened.lacking.items():
        missing = {
            ours: theirs for ours, theirs in read.headings.items() if _lacks(columns, theirs)
        }
        _check_essential(file, missing, read.headings)
        if missing:
            lacked[tuple(missing.values())].append(file)
    notes = tuple(_note(files, columns) for columns, files in lacked.items())
    return replace(read, notes=(*opened.notes, *notes, *read.notes))


def _lacks(columns: tuple[str, ...], theirs: str) -> bool:
    """Tell whether a file lacks every column that one of ours is read from."""
    return theirs in columns or set(ALTERNATIVES.split(theirs)) <= set(columns)


def _check_essential(file: str, missing: Mapping[str, str], read: Mapping[str, str]) -> None:
    essential = [missing[ours] for ours in ESSENTIAL if ours in missing]
    who = [ours for ours in WHO if ours in read]
    if who and all(ours in missing for ours in who):
        essential.append(" or ".join(dict.fromkeys(missing[ours] for ours in who)))
    if essential:
        raise SourceError(
            f"orders.source: {file} lacks {', '.join(essential)}, which other files of the source have. Export the file "
            "with that column, or leave it out of orders.source"
        )


def _note(files: list[str], columns: tuple[str, ...]) -> str:
    others = f" and {len(files) - 1:,} more files lack" if files[1:] else " lacks"
    return f"{files[0]}{others} {', '.join(columns)}: treated as empty"
