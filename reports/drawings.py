"""The page's pictures: SVG inside the page, in its colors, dark mode included."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from reports.records.kpis import AverageAge, CohortAge, CurvePoint, NpsMonth
from reports.records.run import BudgetCurve

# Colors by meaning; the page's style says what they are by day and by night.
VALUE, COST, CONTEXT, INK = "#0f766e", "#b45309", "#94a3b8", "#475569"
GROUND = "#f8fafc"  # around dots, so that they stand out from bars
STYLES = {VALUE: "value", COST: "cost", CONTEXT: "context", INK: "soft", GROUND: "card"}
SIZE = (4.4, 2.6)  # inches, so that text can be read on a phone

Rows = Sequence[Mapping[str, Any]]
Line = tuple[Sequence[float], Sequence[float]]  # x and y
Number = Callable[[float], str]  # as the store's people write it


def second_order_curve(
    points: Sequence[CurvePoint], median: float | None, name: str, number: Number
) -> Markup:
    """Draw the share of customers who came back, by days since the first order, with its interval.

    Parameters
    ----------
    points
        Of the curve, by day.
    median
        Days; None where fewer than half come back.
    name
        Alternative text.
    number
        Writes what the vertical axis shows.
    """
    axes, figure = _axes(number)
    day, share, low, high = np.array([(p.day, p.share, p.low, p.high) for p in points], float).T
    axes.fill_between(day, low, high, step="post", color=VALUE, alpha=0.2, linewidth=0)
    axes.plot(day, share, color=VALUE, linewidth=2, drawstyle="steps-post")
    top = max(float(np.nanmax(high)), 0.02)
    for mark in (30, 60, 90):
        if mark <= day[-1]:
            k = int(np.searchsorted(day, mark, side="right")) - 1
            axes.plot([mark, mark], [0, share[k]], color=CONTEXT, linewidth=1)
            _label(axes, f"{mark} d\n{number(share[k])}", (mark, float(high[k])), (-3, 4), INK, -1)
    if median is not None and median <= day[-1]:
        axes.axvline(median, color=INK, linewidth=1, linestyle="--")
        _label(axes, f"half after {median:.0f} d", (median, 0), (4, 6), INK)
    axes.set_ylim(0, top * 1.12)
    return inline(figure, name, "days since the first order")


def margins(ages: Sequence[CohortAge | AverageAge]) -> Line:
    """Return months and margin per customer, NaN where it is not available."""
    return [float(age.age) for age in ages], [
        np.nan if age.margin is None else age.margin for age in ages
    ]


def cohort_lines(
    cohorts: Sequence[Line], average: Line, cost: float | None, name: str, number: Number
) -> Markup:
    """Draw cumulative margin per customer: each cohort in grey, the average in color, the cost as a line.

    Parameters
    ----------
    cohorts, average
        Months and margin per customer, of each cohort and of all.
    cost
        Acquisition cost per customer; None where it is not known.
    name
        Alternative text.
    number
        Writes what the vertical axis shows.
    """
    axes, figure = _axes(number)
    for line in cohorts:
        axes.plot(*line, color=CONTEXT, linewidth=0.8, alpha=0.6)
    x, y = average
    axes.plot(x, y, color=VALUE, linewidth=2.4)
    _label(axes, "all", (x[-1], y[-1]), (4, 0), VALUE)
    if cost is not None:
        axes.axhline(cost, color=COST, linewidth=1.2)
        shift = (0, -11) if cost < y[-1] else (0, 4)
        _label(axes, "cost of a new customer", (x[-1], cost), shift, COST, -1)
    axes.set_ylim(bottom=0)
    return inline(figure, name, "months since the first order")


def pairs(rows: Rows, along: str, below: str, name: str, number: Number) -> Markup:
    """Draw what was expected (dots) and what happened (bars).

    Parameters
    ----------
    rows
        ``expected``, ``actual`` and the column `along`.
    along
        Column of the horizontal axis.
    below
        What it is, in words.
    name
        Alternative text.
    number
        Writes what the vertical axis shows.
    """
    axes, figure = _axes(number)
    places = np.arange(len(rows))
    actual, expected = ([float(r[k] or 0) for r in rows] for k in ("actual", "expected"))
    axes.bar(places, actual, color=VALUE, width=0.65)
    axes.plot(places, expected, "o", color=INK, markeredgecolor=GROUND, markersize=7)
    axes.set_xticks(places, [str(row[along]) for row in rows])
    is_rising = int(np.argmax(expected)) > len(rows) / 2
    for line, (word, color) in enumerate((("dots: expected", INK), ("bars: what came", VALUE))):
        axes.text(
            0.03 if is_rising else 0.97,
            0.95 - 0.09 * line,
            word,
            color=color,
            ha="left" if is_rising else "right",
            transform=axes.transAxes,
            fontsize=9,
        )
    return inline(figure, name, below)


def tracking(rows: Rows, name: str, number: Number) -> Markup:
    """Draw orders by week after a forecast: expected as a line, actual as dots.

    Parameters
    ----------
    rows
        ``week, expected, actual``.
    name
        Alternative text.
    number
        Writes what the vertical axis shows.
    """
    axes, figure = _axes(number)
    for column, color, style in (("expected", INK, "-"), ("actual", VALUE, "o-")):
        x, y = _xy(rows, "week", column)
        axes.plot(x, y, style, color=color, linewidth=1.6, markersize=3)
    ends = [(float(rows[-1][c] or 0), word, color) for c, word, color in _ENDS]
    for place, (y_end, word, color) in enumerate(sorted(ends)):
        _label(axes, word, (x[-1], y_end), (5, 12 * place - 6), color)
    axes.set_ylim(bottom=0)
    axes.margins(x=0.14)
    return inline(figure, name, "weeks after the forecast")


def trend(months: Sequence[NpsMonth], name: str, number: Number) -> Markup:
    """Draw a score by month, with its interval.

    Parameters
    ----------
    months
        Whose score is known.
    name
        Alternative text.
    number
        Writes what the vertical axis shows.
    """
    axes, figure = _axes(number)
    places = np.arange(len(months))
    score, low, high = np.array([(m.score, m.low, m.high) for m in months], float).T
    axes.fill_between(places, low, high, color=VALUE, alpha=0.2, linewidth=0)
    axes.plot(places, score, "o-", color=VALUE, linewidth=1.6, markersize=3)
    shown = places[:: max(len(months) // 4, 1)]
    axes.set_xticks(shown, [months[k].month for k in shown])
    _label(axes, number(score[-1]), (places[-1], score[-1]), (5, -3), VALUE)
    axes.margins(x=0.08)
    return inline(figure, name, "month")


def season(weeks: Sequence[float], as_of: int, name: str, number: Number) -> Markup:
    """Draw the pace of orders over the year, 1 = usual.

    Parameters
    ----------
    weeks
        Pace by week of the year.
    as_of
        Week of the page's day.
    name
        Alternative text.
    number
        Writes what the vertical axis shows.
    """
    axes, figure = _axes(number)
    edges = np.arange(len(weeks) + 1)
    axes.axhline(1, color=CONTEXT, linewidth=1)
    axes.stairs(weeks, edges, baseline=None, color=VALUE, linewidth=2)
    axes.axvline(as_of + 0.5, color=INK, linewidth=1, linestyle="--")
    top = max(*weeks, 1.0)
    side = 1 if as_of < len(weeks) / 2 else -1
    _label(axes, "this page", (as_of + 0.5, top), (4 * side, 6), INK, side)
    starts = np.array([0, 90, 181, 273]) / 365 * len(weeks)
    axes.set_xticks(starts, ["January", "April", "July", "October"], ha="left")
    axes.set_ylim(0, 1.15 * top)
    axes.yaxis.set_major_locator(MultipleLocator(0.5))
    return inline(figure, name, "week of the year")


_ENDS = (("expected", "expected", INK), ("actual", "came", VALUE))


def weekly_ratios(rows: Rows, tolerance: float, name: str) -> Markup:
    """Draw actual over expected by week: dots within the band that luck explains.

    Parameters
    ----------
    rows
        ``as_of, ratio, low, high``.
    tolerance
        Share by which a week may be off, drawn as lines.
    name
        Alternative text.
    """
    axes, figure = _axes()
    places = np.arange(len(rows))
    ratio, low, high = (np.array([r[k] for r in rows], float) for k in ("ratio", "low", "high"))
    axes.vlines(places, low, high, color=CONTEXT, linewidth=7, alpha=0.5)
    axes.axhline(1.0, color=CONTEXT, linewidth=1)
    for end in (1 - tolerance, 1 + tolerance):
        axes.axhline(end, color=COST, linewidth=0.8, linestyle="--")
    axes.plot(places, ratio, "o", color=VALUE, markersize=5)
    _label(axes, "what came", (places[-1], ratio[-1]), (6, 0), VALUE)
    right = len(rows) + max(0.2 * len(rows), 0.6)
    side = -1 if ratio[-1] > 1 else 1  # away from the last dot's label
    _label(axes, "tolerance", (right, 1 + side * tolerance), (0, 8 * side - 4), COST, -1)
    axes.set_xlim(-0.6, right)
    every = max(1, -(-len(rows) // 6))
    axes.set_xticks(places[::every], [str(r["as_of"])[5:] for r in rows][::every])
    return inline(figure, name, "week after the day")


def budget_curve(curve: BudgetCurve, name: str, number: Number) -> Markup:
    """Draw what budgets would gain net of cost, and where today's is.

    Parameters
    ----------
    curve
        The gain by budget, and what is spent today.
    name
        Alternative text.
    number
        Writes what the vertical axis shows.
    """
    axes, figure = _axes(number)
    axes.plot(curve.budget, curve.gain, color=VALUE, linewidth=2.2)
    at = float(np.interp(curve.spent, curve.budget, curve.gain))
    axes.plot([curve.spent], [at], "o", color=COST)
    _label(axes, "this budget", (curve.spent, at), (7, -11), COST)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda value, _: number(value))
    return inline(figure, name, "budget")


def inline(figure: Figure, name: str, below: str) -> Markup:
    """Return a figure as SVG that stands in a page.

    Parameters
    ----------
    figure
        Drawn in this module's colors.
    name
        Alternative text.
    below
        What the horizontal axis is.
    """
    figure.axes[0].set_xlabel(below, color=INK)
    drawn = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(drawn, format="svg", transparent=True, metadata=metadata)
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r"<style.*?</style>|<title>.*?</title>", "", svg, flags=re.DOTALL)
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # names repeat from one picture to the next
    for color, meaning in STYLES.items():
        svg = svg.replace(color, f"var(--{meaning})")
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(name)}"', 1))  # noqa: S704  # ours


def _axes(number: Number | None = None) -> tuple[Axes, Figure]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(CONTEXT)
    axes.tick_params(colors=INK, length=0)
    axes.grid(axis="y", color=CONTEXT, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    if number is not None:
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
    return axes, figure


def _xy(rows: Rows, x: str, y: str) -> tuple[list[float], list[float]]:
    return [float(r[x]) for r in rows], [np.nan if r[y] is None else float(r[y]) for r in rows]


def _label(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    shift: tuple[float, float],
    color: str,
    side: int = 1,
) -> None:
    aligned = {1: "left", 0: "center", -1: "right"}[side]
    axes.annotate(
        text, at, xytext=shift, textcoords="offset points", color=color, ha=aligned, fontsize=9
    )
