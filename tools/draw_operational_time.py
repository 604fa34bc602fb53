"""Draw ``docs/operational-time.svg``: a season, and how it measures a year: ``python -m tools.draw_operational_time``."""

from datetime import date
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from models.operational_time import WEEKS, OperationalTime, PaceIndex

DAY = date(2025, 6, 30)
USUAL, SEASON, INK = "#94a3b8", "#0f766e", "#475569"
MONTHS = {"Jul": 0, "Oct": 92, "Jan": 184, "Apr": 274, "Jul ": 365}


def gift_season() -> tuple[float, ...]:
    """Return the pace of a store whose customers order at 2.2 times their usual pace before Christmas."""
    pace = np.where((np.arange(WEEKS) >= 45) & (np.arange(WEEKS) < 51), 2.2, 1.0)
    return tuple((pace / pace.mean()).tolist())


def draw(path: Path) -> None:
    """Write the picture."""
    time = OperationalTime(DAY, PaceIndex(DAY, gift_season()))
    days = np.arange(366)
    operational = time.after(days)
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    pace, clock = figure.subplots(1, 2)
    pace.stairs(np.diff(operational), days, baseline=None, color=SEASON, linewidth=2)
    pace.axhline(1, color=USUAL, linewidth=1)
    pace.set(ylim=(0, 2.4), ylabel="pace of orders, 1 = usual")
    clock.plot(days, days, color=USUAL, linewidth=1, linestyle="--")
    clock.plot(days, operational, color=SEASON, linewidth=2)
    clock.set(ylabel="operational days", ylim=(0, 380))
    for begin in (0, 92):
        end = begin + 90
        low, high = operational[begin], operational[end]
        clock.plot([begin, end, end], [low, low, high], color=INK, linewidth=1)
        text = f"90 days count as {high - low:.0f}"
        clock.annotate(text, (end + 6, (low + high) / 2 - 8), color=INK, fontsize=9)
    for axes in (pace, clock):
        axes.set_xticks(list(MONTHS.values()), list(MONTHS), ha="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0, 366)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "perennial"  # the same file each time
    draw(Path("docs/operational-time.svg"))
