"""Learn from past windows whether the season of a horizon is to be applied."""

from dataclasses import dataclass
from datetime import date, timedelta

import ibis.expr.types as ir
import numpy as np

from connectors.engine import Engine
from features.labels import outcomes
from features.rfm import customer_state, state_cells
from features.window import outcome_window
from models.purchases import PurchaseModel

LEAST_DAYS = 28  # a shorter window tells nothing
YEAR_DAYS = 365
PROOFS = 3  # past windows that a season is tried on
LEAST_GAIN = 0.9  # of the totals' error without it: a season that leaves more is left out
MAX_SEASON = 3.0  # and its inverse: a store that grows or shrinks more has no season to learn


@dataclass(frozen=True)
class Season:
    """What orders within a window are multiplied by, and why.

    Attributes
    ----------
    days
        Length of the window after the training day.
    multiplier
        1 where no season is applied.
    note
        Why; what it was learned from, or why it is left out.
    metrics
        The mean error of past totals (absolute logarithm) ``without`` and ``with_season``; empty where
        none could be tried.
    """

    days: int
    multiplier: float
    note: str
    metrics: dict[str, float]


def learn_season(
    engine: Engine,
    orders: ir.Table,
    first: date,
    as_of: date,
    purchases: PurchaseModel,
    horizon_days: int,
) -> Season:
    """Compare the same window a year before with what the model expects of it.

    Applied where, on past windows, the ratio a year before them brought totals nearer to what came.
    """

    def none(why: str, **metrics: float) -> Season:
        return Season(horizon_days, 1.0, f"no season: {why}", metrics)

    if horizon_days > YEAR_DAYS - LEAST_DAYS:
        return none("a horizon of about a year has every season in it")
    ratios: dict[date, float | None] = {}

    def ratio(day: date) -> float | None:
        if day not in ratios:
            enough = (day - first).days >= horizon_days // 2
            ratios[day] = _ratio(engine, orders, day, purchases, horizon_days) if enough else None
        return ratios[day]

    year = timedelta(days=YEAR_DAYS)
    now = ratio(as_of - year)
    if now is None:
        return none("the history has no such window a year before the day")
    pairs = []
    apart = max(horizon_days // 2, LEAST_DAYS)
    latest = [as_of - timedelta(days=horizon_days + k * apart) for k in range(PROOFS)]
    for day in (*latest, as_of - year):  # the last: the very season, a year earlier
        before = ratio(day - year)
        came = None if before is None else ratio(day)
        if before is not None and came is not None:
            pairs.append((came, before))
    if not pairs:
        return none("the history is too short to try it on a past window")
    without = float(np.mean([abs(np.log(came)) for came, _ in pairs]))
    with_season = float(np.mean([abs(np.log(came / before)) for came, before in pairs]))
    errors = {"without": without, "with_season": with_season, "a_year_before": now}
    if with_season > LEAST_GAIN * without or not 1 / MAX_SEASON < now < MAX_SEASON:
        return none("on past windows it did not lower the error of the total", **errors)
    note = (
        f"season: orders of the next {horizon_days} days are multiplied by {now:.2f}, as the same days a "
        "year before were to what the model expects of them"
    )
    return Season(horizon_days, now, note, errors)


def _ratio(
    engine: Engine, orders: ir.Table, day: date, purchases: PurchaseModel, days: int
) -> float | None:
    """Return orders over those that today's model expects of the customers of `day`; None without any.

    The model knows all of the history, with every season in it: one fitted to what was known on a past
    day takes the season that it had just seen for the customers' own pace.
    """
    table = engine.keep(customer_state(orders, day), "season_state")
    cells = engine.frame(state_cells(table))
    columns = [cells[name].to_numpy(np.float64) for name in cells.columns]
    expected = float((columns[3] * purchases.expected_orders(days, *columns[:3])).sum())
    later = outcomes(orders, table, outcome_window(day, days))
    came = engine.frame(later.aggregate(orders=later.later_orders.sum()))
    total = float(came["orders"].iloc[0] or 0)
    return total / expected if total > 0 and expected > 0 else None
