"""The four quadrants: acquisition, retention, engagement and the program, by week and by month."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.records.kpis import DashboardRow, MissingRow, Need, Point
from reports.words import Words

QUADRANTS = {  # and whether it is read by the week
    "acquisition": ("Acquisition", True),
    "retention": ("Retention", False),
    "engagement": ("Engagement", True),
    "program": ("Program", False),
}


@dataclass(frozen=True)
class LastValue:
    """The last value of a measure in words, of how many it is, and whether it is unusual."""

    text: str
    n: str
    is_odd: bool


@dataclass(frozen=True)
class QuadrantRow:
    """A measure in words.

    Attributes
    ----------
    missing
        The table that it needs; None = it is there.
    last
        Of the weeks and of the months.
    points
        Of a line through its values.
    values
        The values, for who cannot see the line.
    """

    measure: str
    missing: Need | None
    last: tuple[LastValue, ...] = ()
    points: str = ""
    values: str = ""


@dataclass(frozen=True)
class Quadrant:
    """A quadrant, and whether its lines go along weeks or months."""

    title: str
    along: str
    rows: tuple[QuadrantRow, ...]


def quadrants(rows: Sequence[DashboardRow | MissingRow], words: Words) -> list[Quadrant]:
    """Arrange the measures by quadrant.

    Parameters
    ----------
    rows
        The section ``dashboard`` of ``kpis.json``.
    words
        How figures are written.
    """
    return [
        Quadrant(
            title,
            "Weeks" if is_weekly else "Months",
            tuple(_row(row, words, is_weekly=is_weekly) for row in rows if row.quadrant == name),
        )
        for name, (title, is_weekly) in QUADRANTS.items()
    ]


def _row(row: DashboardRow | MissingRow, words: Words, *, is_weekly: bool) -> QuadrantRow:
    if isinstance(row, MissingRow):
        return QuadrantRow(row.measure, row.missing)
    values = [point.value for point in (row.weeks if is_weekly else row.months)]
    return QuadrantRow(
        row.measure,
        None,
        (
            _last(row.weeks, row.unit, words, is_odd=row.is_anomaly_week),
            _last(row.months, row.unit, words, is_odd=row.is_anomaly_month),
        ),
        spark(values),
        ", ".join(words.unit(value, row.unit) for value in values),
    )


def _last(points: Sequence[Point], unit: str, words: Words, *, is_odd: bool) -> LastValue:
    """Write the last value, and of how many it is."""
    value, n = (points[-1].value, points[-1].n) if points else (None, 0)
    return LastValue(words.unit(value, unit), "" if unit == "count" else words.count(n), is_odd)


def spark(values: Sequence[float | None]) -> str:
    """Return the points of a line through the values in a box of 100 by 24; empty for fewer than two."""
    points = [(k, value) for k, value in enumerate(values) if value is not None]
    if len(points) < 2:
        return ""
    low, high = min(v for _, v in points), max(v for _, v in points)
    across, down = 100 / (len(values) - 1), 20 / ((high - low) or 1)
    return " ".join(f"{k * across:.1f},{22 - (value - low) * down:.1f}" for k, value in points)
