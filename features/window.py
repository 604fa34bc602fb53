"""Days, windows and what is known when.

*As of* a day means: orders up to the end of that day are known, nothing later is. A window is
half-open: orders on ``end`` belong to the next window.

``as_of = 1997-12-31`` with a horizon of 181 days splits a history into

>>> outcome_window(date(1997, 12, 31), 181)
Window(start=datetime.date(1998, 1, 1), end=datetime.date(1998, 7, 1))
"""

from dataclasses import dataclass
from datetime import date, timedelta

YEAR_DAYS, QUARTER_DAYS = 365, 91  # of "within a year", "within a quarter"


@dataclass(frozen=True)
class Window:
    """The days ``[start, end)``: orders on ``end`` are outside.

    Attributes
    ----------
    start
        First day inside.
    end
        First day outside, later than `start`.
    """

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"a window ends after it starts; got {self.start} to {self.end}")

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.end - self.start).days


def outcome_window(as_of: date, horizon_days: int) -> Window:
    """Return the `horizon_days` days after `as_of`: what a forecast made that day is about."""
    start = as_of + timedelta(days=1)
    return Window(start, start + timedelta(days=horizon_days))


def previous_window(as_of: date, horizon_days: int) -> Window:
    """Return the `horizon_days` days up to and with `as_of`: the equal window before."""
    end = as_of + timedelta(days=1)
    return Window(end - timedelta(days=horizon_days), end)
