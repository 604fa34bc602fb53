"""The pictures of a model that MLflow keeps, each with its numbers beside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from connectors.orders import History
from features.rfm import customer_state, state_cells
from models.evaluation import BacktestReport, CutoffReport, NotBacktested
from models.operational_time import PaceIndex
from models.purchases import PurchaseModel
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.training.model_files import load_forecaster
from perennial.pipeline.training.season import timed
from reports.charts import curves_chart, matrix_chart, pairs_chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ORDERS = 7  # of the frequency fit: as many and more are one
MATRIX = 20  # repeat orders of the matrices
DAYS = 90  # ahead, of the matrix of expected orders

Pictures = dict[str, tuple["Figure", Any]]


def draw_all(
    run: RunContext, history: History, model: Path, backtest: BacktestReport | NotBacktested
) -> Pictures:
    """Draw a model, and how its recipe did at the last cutoff; return pictures and numbers by name."""
    forecaster = load_forecaster(model)
    purchases, time = forecaster.purchases, forecaster.time(run.as_of)
    with run.engine() as engine:
        state = customer_state(engine.parquet(history.orders), run.as_of)
        cells = timed(engine.frame(state_cells(state)), time)
    x, _, T, n = (cells[name].to_numpy(np.float64) for name in cells.columns)
    pictures = {"frequency_fit": frequency_fit(purchases, x, T, n)}
    pictures |= matrices(purchases, float(T.max()))
    if forecaster.pace is not None and forecaster.pace.has_season:
        pictures |= season(forecaster.pace)
    if isinstance(backtest, BacktestReport):
        pictures |= draw_cutoff(backtest.cutoffs[-1])
    return pictures


def season(pace: PaceIndex) -> Pictures:
    """Draw the pace of orders by week of the year; the numbers are all of the index."""
    weeks = [{"week": week, "pace": value} for week, value in enumerate(pace.weeks, 1)]
    title = "Pace of orders by week of the year, 1 = usual"
    return {"season": (curves_chart(weeks, "week", title), pace.to_dict())}


def frequency_fit(
    purchases: PurchaseModel,
    x: np.ndarray[Any, Any],
    T: np.ndarray[Any, Any],
    n: Any,  # noqa: ANN401  # an array
) -> tuple["Figure", Any]:
    """Count customers by repeat orders, beside what the model expects of as many new ones.

    Parameters
    ----------
    purchases
        A fitted model.
    x, T, n
        Shape (cells,): repeat purchases, days observed, and how many customers have them.

    Returns
    -------
    tuple
        The picture, and its numbers.
    """
    ages, where = np.unique(T, return_inverse=True)
    customers = np.bincount(where, weights=n)
    none = np.zeros(len(ages))
    chances = purchases.distribution(ages, none, none, none, MOST_ORDERS - 1)
    expected = (customers[:, None] * chances).sum(axis=0)
    expected = np.append(expected, customers.sum() - expected.sum())
    actual = np.bincount(
        np.minimum(x, MOST_ORDERS).astype(int), weights=n, minlength=MOST_ORDERS + 1
    )
    labels = [*(str(k) for k in range(MOST_ORDERS)), f"{MOST_ORDERS}+"]
    numbers = [
        {"repeat_orders": label, "expected": float(e), "actual": float(a)}
        for label, e, a in zip(labels, expected, actual, strict=True)
    ]
    chart = pairs_chart(numbers, "repeat_orders", "Customers by repeat orders so far")
    return chart, numbers


def matrices(purchases: PurchaseModel, oldest: float) -> Pictures:
    """Show chances of being active and expected orders by frequency and recency.

    Parameters
    ----------
    purchases
        A fitted model.
    oldest
        Days since the first order of the customers shown.

    Returns
    -------
    dict
        ``p_alive_matrix`` and ``expected_orders_matrix``: picture and numbers.
    """
    recency = np.linspace(0, oldest, MATRIX + 1)
    x, t_x = np.meshgrid(np.arange(MATRIX + 1.0), recency)
    t_x = np.where(x == 0, 0.0, t_x)
    T = np.full(x.shape, oldest)
    alive = purchases.p_alive(x, t_x, T)
    orders = purchases.expected_orders(DAYS, x, t_x, T)
    titles = {
        "p_alive": (alive, "Chance of being active"),
        "expected_orders": (orders, f"Expected orders within {DAYS} days"),
    }
    return {
        f"{name}_matrix": (
            matrix_chart(values, recency, title),
            {
                "recency_days": recency.tolist(),
                "frequency": list(range(MATRIX + 1)),
                "values": values.tolist(),
            },
        )
        for name, (values, title) in titles.items()
    }


def draw_cutoff(cutoff: CutoffReport) -> Pictures:
    """Draw a cutoff of a backtest, see :func:`flows.backtest.backtest`.

    Parameters
    ----------
    cutoff
        The cutoff.

    Returns
    -------
    dict
        ``value_by_decile``, ``orders_by_week``, ``orders_cumulative``, ``gain`` and
        ``coverage_by_decile``: picture and numbers.
    """
    day, curves = cutoff.as_of, cutoff.curves
    deciles, weekly, coverage = (
        [row.model_dump() for row in rows]
        for rows in (cutoff.deciles, curves.weekly, curves.coverage)
    )
    cumulative, expected, actual = [], 0.0, 0.0
    for row in curves.weekly:
        expected, actual = expected + row.expected, actual + row.actual
        cumulative.append({"week": row.week, "expected": expected, "actual": actual})
    value = "Later value per customer by decile of prediction, 10 = highest"
    return {
        "value_by_decile": (pairs_chart(deciles, "decile", value), deciles),
        "orders_by_week": (pairs_chart(weekly, "week", f"Orders by week after {day}"), weekly),
        "orders_cumulative": (
            pairs_chart(cumulative, "week", f"Orders since {day}, cumulative"),
            cumulative,
        ),
        "gain": (
            curves_chart(
                curves.gain,
                "share_of_customers",
                "Share of later value by share of customers, best first",
            ),
            list(curves.gain),
        ),
        "coverage_by_decile": (
            curves_chart(
                coverage,
                "decile",
                "Share of outcomes in the 80 % interval, by decile of expected value",
            ),
            coverage,
        ),
    }
