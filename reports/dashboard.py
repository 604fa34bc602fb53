"""The four quadrants: acquisition, retention, engagement and the program, by week and by month."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.words import Words

QUADRANTS = {  # and whether it is read by the week
    "acquisition": ("Acquisition", True),
    "retention": ("Retention", False),
    "engagement": ("Engagement", True),
    "program": ("Program", False),
}


def quadrants(rows: Sequence[Mapping[str, Any]], words: Words) -> list[dict[str, Any]]:
    """Arrange the measures by quadrant.

    Parameters
    ----------
    rows
        The section ``dashboard`` of ``kpis.json``.
    words
        How figures are written.
    """
    return [
        {
            "title": title,
            "along": "Weeks" if is_weekly else "Months",
            "rows": [
                _row(row, "weeks" if is_weekly else "months", words)
                for row in rows
                if row["quadrant"] == name
            ],
        }
        for name, (title, is_weekly) in QUADRANTS.items()
    ]


def _row(row: Mapping[str, Any], along: str, words: Words) -> dict[str, Any]:
    if row.get("missing"):
        return {"measure": row["measure"], "missing": row["missing"]}
    values = [point["value"] for point in row[along]]
    last = [_last(row, span, words) for span in _SPANS]
    return {
        "measure": row["measure"],
        "missing": None,
        "last": last,
        "points": spark(values),
        "told": ", ".join(words.unit(value, row["unit"]) for value in values),
    }


_SPANS = {"weeks": "is_anomaly_week", "months": "is_anomaly_month"}


def _last(row: Mapping[str, Any], span: str, words: Words) -> dict[str, Any]:
    """Write the last value, and of how many it is."""
    point: Mapping[str, Any] = row[span][-1] if row[span] else {"value": None, "n": 0}
    return {
        "text": words.unit(point["value"], row["unit"]),
        "n": "" if row["unit"] == "count" else words.count(point["n"]),
        "is_odd": row[_SPANS[span]],
    }


def spark(values: Sequence[float | None]) -> str:
    """Return the points of a line through the values in a box of 100 by 24; empty for fewer than two."""
    known = [(k, value) for k, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(v for _, v in known), max(v for _, v in known)
    across, down = 100 / (len(values) - 1), 20 / ((high - low) or 1)
    return " ".join(f"{k * across:.1f},{22 - (value - low) * down:.1f}" for k, value in known)
