"""Crontab lines: which times on the wall they name."""

import re
from datetime import datetime

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
CRON_FIELDS: tuple[
    tuple[str, int, int, dict[str, int]], ...
] = (  # of a crontab line: name, least, most, names that stand for numbers
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: i for i, name in enumerate(MONTHS, start=1)}),
    ("day of the week", 0, 7, {name: i for i, name in enumerate(WEEKDAYS)}),
)
CRON_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<every>\d+))?")


def fires_at(line: str, wall: datetime) -> bool:
    """Tell whether a checked crontab line names a time on the wall; ``off`` names none.

    Where both day of the month and day of the week are restricted, one of them is enough.
    """
    parts = line.split()
    if len(parts) != len(CRON_FIELDS) or wall.second or wall.microsecond:
        return False
    values = (wall.minute, wall.hour, wall.day, wall.month, wall.isoweekday() % 7)
    minute, hour, day, month, weekday = (
        value in _numbers(part, *field[1:])
        for value, part, field in zip(values, parts, CRON_FIELDS, strict=True)
    )
    is_either = "*" not in (parts[2], parts[4])
    return minute and hour and month and (day or weekday if is_either else day and weekday)


def _numbers(part: str, least: int, most: int, names: dict[str, int]) -> set[int]:
    """Return the numbers that a field names; the seventh day of the week is Sunday too."""
    numbers: set[int] = set()
    for one in part.split(","):
        read = CRON_PART.fullmatch(one)
        if read is None:
            continue
        first, last = (
            None if end is None else int(names.get(end, end))
            for end in read.group("first", "last")
        )
        every = read["every"]
        start = least if first is None else first
        end = last if last is not None else (most if first is None or every else first)
        numbers |= set(range(start, end + 1, int(every or 1)))
    return {number % 7 for number in numbers} if most == 7 else numbers
