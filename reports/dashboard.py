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
    last = [words.unit(row[k][-1]["value"], row["unit"]) if row[k] else "" for k in _SPANS]
    return {
        "measure": row["measure"],
        "missing": None,
        "week": last[0],
        "month": last[1],
        "is_anomaly_week": row["is_anomaly_week"],
        "is_anomaly_month": row["is_anomaly_month"],
        "points": spark(values),
        "told": ", ".join(words.unit(value, row["unit"]) for value in values),
    }


_SPANS = ("weeks", "months")


def spark(values: Sequence[float | None]) -> str:
    """Return the points of a line through the values in a box of 100 by 24; empty for fewer than two."""
    known = [(k, value) for k, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(v for _, v in known), max(v for _, v in known)
    across, down = 100 / (len(values) - 1), 20 / ((high - low) or 1)
    return " ".join(f"{k * across:.1f},{22 - (value - low) * down:.1f}" for k, value in known)
