"""Pictures of numbers, for MLflow and the page."""

import pandas as pd
from matplotlib.figure import Figure

ACTUAL, EXPECTED = "#0f766e", "#94a3b8"  # teal = what happened, grey = what was expected


def decile_chart(deciles: pd.DataFrame) -> Figure:
    """Draw what was expected of each tenth of the customers, and what they did.

    Parameters
    ----------
    deciles
        ``decile`` (10 = highest prediction), ``expected``, ``actual``: means per customer.

    Returns
    -------
    Figure
        Labeled directly, without a legend.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(deciles["decile"], deciles["expected"], color=EXPECTED, linewidth=2)
    axes.plot(deciles["decile"], deciles["actual"], color=ACTUAL, linewidth=2, marker="o")
    top = deciles.iloc[0]
    for name, color in (("expected", EXPECTED), ("actual", ACTUAL)):
        axes.annotate(
            name,
            (top["decile"], top[name]),
            xytext=(6, 0),
            textcoords="offset points",
            color=color,
        )
    axes.set_title("Later value per customer by decile of prediction", loc="left")
    axes.set_xlabel("decile, 10 = highest prediction")
    axes.set_xticks(deciles["decile"])
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    return figure
