"""Pictures of numbers, for MLflow and notebooks: labeled directly, without a legend."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ACTUAL, EXPECTED = "#0f766e", "#94a3b8"  # teal = what happened, grey = what was expected
OTHERS = ("#0f766e", "#94a3b8", "#b45309", "#6d28d9")

Rows = Sequence[Mapping[str, Any]]


class Chart(Figure):
    """A figure that a notebook shows as SVG, the same each time, with its title as the SVG's."""

    def _repr_svg_(self) -> str:
        title = self.axes[0].get_title(loc="left")
        drawn = io.StringIO()
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
            self.savefig(
                drawn, format="svg", metadata={"Creator": None, "Date": None, "Title": title}
            )
        return drawn.getvalue()


def pairs_chart(rows: Rows, along: str, title: str) -> Chart:
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
    Chart
        Two lines.
    """
    return _lines(rows, along, title, {"expected": EXPECTED, "actual": ACTUAL})


def curves_chart(rows: Rows, along: str, title: str) -> Chart:
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
    Chart
        One line per column, up to four.
    """
    names = [name for name in rows[0] if name != along]
    return _lines(rows, along, title, dict(zip(names, OTHERS, strict=False)))


def matrix_chart(values: np.ndarray[Any, Any], recency: np.ndarray[Any, Any], title: str) -> Chart:
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
    Chart
        A colored matrix with its scale.
    """
    figure, axes = _axes(title, "repeat orders")
    ends = (-0.5, values.shape[1] - 0.5, float(recency[0]), float(recency[-1]))
    shown = axes.imshow(values, origin="lower", aspect="auto", extent=ends, cmap="viridis")
    figure.colorbar(shown)
    axes.set_ylabel("days from first to last order")
    return figure


def spans_chart(rows: Rows, along: str, title: str, below: str) -> Chart:
    """Draw estimates with their intervals, and beside them what came true where that is known.

    Parameters
    ----------
    rows
        ``estimate, low, high``, if known ``actual``, and the column `along`; the first is drawn on top.
    along
        Column that names the rows.
    title
        Of the picture.
    below
        What the horizontal axis is.

    Returns
    -------
    Chart
        A line with a point for each row; a diamond for what came true.
    """
    figure, axes = _axes(title, below)
    places = list(range(len(rows), 0, -1))
    estimates = [row["estimate"] for row in rows]
    axes.hlines(places, [r["low"] for r in rows], [r["high"] for r in rows], EXPECTED, linewidth=3)
    axes.plot(estimates, places, "o", color=EXPECTED, markersize=8)
    axes.set_yticks(places, [str(row[along]).replace("_", " ") for row in rows])
    axes.tick_params(axis="y", length=0)
    came_true = [row.get("actual", np.nan) for row in rows]
    axes.plot(came_true, places, "D", color=ACTUAL)
    _name_marks(axes, rows[0], places[0])
    axes.set_ylim(0.4, len(rows) + 0.9)
    return figure


def bars_chart(rows: Rows, along: str, of: str, title: str) -> Chart:
    """Draw one count or amount for each name.

    Parameters
    ----------
    rows
        Columns `along` and `of`; the first is drawn on top.
    along
        Column that names the rows.
    of
        Column of the numbers.
    title
        Of the picture.

    Returns
    -------
    Chart
        Horizontal bars with their numbers.
    """
    figure, axes = _axes(title, of.replace("_", " "))
    places = list(range(len(rows), 0, -1))
    bars = axes.barh(places, [row[of] for row in rows], color=ACTUAL, height=0.6)
    axes.bar_label(bars, fmt="{:,.0f}", padding=4, color=ACTUAL)
    axes.set_yticks(places, [str(row[along]).replace("_", " ") for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.12)
    return figure


def _name_marks(axes: Axes, row: Mapping[str, Any], place: int) -> None:
    """Say once, at the first row, which mark is what."""
    marks = {"estimate": EXPECTED} | ({"actual": ACTUAL} if "actual" in row else {})
    ranked = sorted(marks, key=lambda name: row[name])
    for side, name in zip(
        ("right", "left") if len(ranked) > 1 else ("center",), ranked, strict=True
    ):
        axes.annotate(
            name,
            (row[name], place),
            xytext=(0, 9),
            textcoords="offset points",
            color=marks[name],
            ha=side,
        )


def _lines(rows: Rows, along: str, title: str, colors: Mapping[str, str]) -> Chart:
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


def _axes(title: str, below: str) -> tuple[Chart, Axes]:
    figure = Chart(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left")
    axes.set_xlabel(below)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
