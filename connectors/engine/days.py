"""The day of a moment in a time zone, told by arithmetic wherever the clocks stay as they are.

DuckDB's calendar takes seven times as long. It is asked once for each day, and again only for the
moments of days on which the clocks change, and of years that are not expected.
"""

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import Any

import ibis
import ibis.expr.types as ir

YEARS = (2000, 2040)
MICROSECONDS = 86_400_000_000  # of a day
Run = tuple[
    int, int | None
]  # first day since 1970, microseconds ahead of UTC; None = ask the calendar

_SHIFTS = """
SELECT day, CASE WHEN lead(shift) OVER (ORDER BY day) = shift THEN shift END
FROM (SELECT day, epoch_us(to_timestamp(day * 86400)::TIMESTAMP) - day * {microseconds} AS shift
      FROM (SELECT unnest(range({first}, {last})) AS day))
ORDER BY day
"""
_DAY = """
CREATE OR REPLACE TEMP MACRO perennial_store_day(moment) AS
coalesce(make_timestamp(epoch_us(moment) + {shift})::DATE, moment::DATE)
"""


@ibis.udf.scalar.builtin(name="perennial_store_day", signature=(("timestamp('UTC')",), "date"))
def day_of(moment: ir.Column) -> ir.Column:
    """Day of a moment in the time zone that the connection was in at :func:`learn_days`."""


def learn_days(connection: Any) -> None:  # noqa: ANN401  # DuckDB's, or what stands for it
    """Teach a connection :func:`day_of` for its time zone."""
    first, last = ((date(year, 1, 1) - date(1970, 1, 1)).days for year in YEARS)
    asked = _SHIFTS.format(first=first, last=last, microseconds=MICROSECONDS)
    days = groupby(connection.execute(asked).fetchall(), key=lambda day: day[1])
    runs = [(next(same)[0], shift) for shift, same in days]
    connection.execute(_DAY.format(shift=_shift([(first - 1, None), *runs])))


def _shift(runs: Sequence[Run]) -> str:
    """Return the SQL that finds the run of a moment, halving them."""
    if len(runs) == 1:
        shift = runs[0][1]
        return "NULL::BIGINT" if shift is None else str(shift)
    middle = len(runs) // 2
    earlier, later = _shift(runs[:middle]), _shift(runs[middle:])
    start = runs[middle][0] * MICROSECONDS
    return f"CASE WHEN epoch_us(moment) >= {start} THEN {later} ELSE {earlier} END"
