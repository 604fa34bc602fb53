"""Pictures of numbers, for MLflow and the page: labeled directly, without a legend."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ACTUAL, EXPECTED = "#0f766e", "#94a3b8"  # teal = what happened, grey = what was expected
OTHERS = ("#0f766e", "#94a3b8", "#b45309", "#6d28d9")

Rows = Sequence[Mapping[str, Any]]


def pairs_chart(rows: Rows, along: str, title: str) -> Figure:
    """Draw what was expected and what happened.

    Parameters
    ----------
    rows
        ``expected``, ``actual`` and the column `along`.
    along
        Column of the horizontal axis, numbers or words.
    title
        Of the picture.

    Returns
    -------
    Figure
        Two lines.
    """
    return _lines(rows, along, title, {"expected": EXPECTED, "actual": ACTUAL})


def curves_chart(rows: Rows, along: str, title: str) -> Figure:
    """Draw every column but `along` as a line.

    Parameters
    ----------
    rows
        Numbers by column; the first row names the columns.
    along
        Column of the horizontal axis.
    title
        Of the picture.

    Returns
    -------
    Figure
        One line per column, up to four.
    """
    names = [name for name in rows[0] if name != along]
    return _lines(rows, along, title, dict(zip(names, OTHERS, strict=False)))


def matrix_chart(
    values: np.ndarray[Any, Any], recency: np.ndarray[Any, Any], title: str
) -> Figure:
    """Draw a model's answer by repeat orders and days to the last.

    Parameters
    ----------
    values
        Shape (recencies, repeat orders from 0 on).
    recency
        Shape (recencies,): days from the first to the last order.
    title
        Of the picture.

    Returns
    -------
    Figure
        A colored matrix with its scale.
    """
    figure, axes = _axes(title, "repeat orders")
    ends = (-0.5, values.shape[1] - 0.5, float(recency[0]), float(recency[-1]))
    shown = axes.imshow(values, origin="lower", aspect="auto", extent=ends, cmap="viridis")
    figure.colorbar(shown)
    axes.set_ylabel("days from first to last order")
    return figure


def _lines(rows: Rows, along: str, title: str, colors: Mapping[str, str]) -> Figure:
    figure, axes = _axes(title, along.replace("_", " "))
    places = [row[along] for row in rows]
    for name, color in colors.items():
        values = [np.nan if row[name] is None else row[name] for row in rows]
        marker = "o" if len(rows) <= 30 and color == ACTUAL else None
        axes.plot(places, values, color=color, linewidth=2, marker=marker)
    _name_lines(axes, rows, along, colors)
    axes.margins(x=0.12)
    return figure


def _name_lines(axes: Axes, rows: Rows, along: str, colors: Mapping[str, str]) -> None:
    """Write each line's name at its higher end, the names apart from each other."""
    first, last = rows[0], rows[-1]
    name = next(iter(colors))
    at = first if (first[name] or 0) > (last[name] or 0) and len(rows) <= 10 else last
    ranked = sorted(colors, key=lambda one: at[one] or 0)
    for place, one in enumerate(ranked):
        axes.annotate(
            one.replace("_", " "),
            (at[along], at[one] or 0),
            xytext=(6, 11 * (place - (len(ranked) - 1) / 2)),
            textcoords="offset points",
            color=colors[one],
        )


def _axes(title: str, below: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left")
    axes.set_xlabel(below)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
