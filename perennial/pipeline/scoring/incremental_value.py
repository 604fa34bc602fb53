"""What there is to win of each customer: orders by the purchase models, money by the spend model."""

from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.cells import distinct
from models.forecaster import Forecaster
from models.purchases import PurchaseModel
from models.purchases.response import Response, response
from perennial.pipeline.settings.store import DecisionPolicy
from segments.investment import IncrementalValue

Array = NDArray[np.float64]

LARGEST_FACTOR = 2.0  # by which what was learned moves what there is to win
SOON_DAYS, NEARLY_SURE = 90, 0.999
HARDLY = 1e-3  # a weight below which a model is not asked


def incremental_value(
    policy: DecisionPolicy,
    state: pd.DataFrame,
    predicted: pd.DataFrame,
    forecaster: Forecaster,
    segment: NDArray[np.object_] | None,
    days: int,
    as_of: date | None = None,
) -> IncrementalValue:
    """Say what there is to win of each customer in the next `days` days.

    Parameters
    ----------
    policy
        What the store decides by.
    state
        Table :class:`features.tables.CustomerState`, n customers.
    predicted
        What `forecaster` predicts of them.
    forecaster
        The model.
    segment
        Shape (n,): the customers' segments; None where they are not named yet.
    days
        Orders of so many days count.
    as_of
        The day whose end the states are known at; None = the day that the model was trained on.
    """
    time = forecaster.time(as_of)
    history = (
        state["frequency"].to_numpy(dtype=np.float64),
        *time.since_first(state["recency_days"], state["age_days"]),
    )
    investment = policy.investment
    margin = predicted["expected_order_value"].to_numpy() * policy.margin
    low = margin * _caution(state, forecaster, investment.caution, time.as_of)
    orders, own = _mixed(
        forecaster,
        history,
        float(time.after(days)),
        float(time.after(policy.model.horizon_days)),
        float(time.after(investment.works_days)),
        investment.reach_gaps,
    )
    learned = predicted["expected_orders"].to_numpy() / np.maximum(own, 1e-9)
    factor = np.clip(learned, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    chance = predicted["p_order_90d"].clip(upper=NEARLY_SURE).to_numpy()
    return IncrementalValue(
        margin_per_order=margin,
        faster=orders.faster * factor,
        kept=orders.kept * factor,
        orders_soon=-np.log1p(-chance) * time.after(investment.works_days) / time.after(SOON_DAYS),
        segment=segment,
        low_margin_per_order=low,
    )


def _caution(state: pd.DataFrame, forecaster: Forecaster, deviations: float, as_of: date) -> Array:
    """Return the low order value over the expected one: the fewer orders are known, the lower."""
    orders, mean = forecaster.order_value.observed(state, as_of)
    low = forecaster.spend.low_order_value(orders, mean, deviations)
    return np.asarray(low / forecaster.spend.expected_order_value(orders, mean))


def _mixed(
    forecaster: Forecaster,
    history: tuple[Array, ...],
    days: float,
    horizon_days: float,
    works_days: float,
    reach_gaps: float,
) -> tuple[Response, Array]:
    """Return what can be won, and the orders of the horizon, by both ways of leaving as far as each is likely."""
    (x, t_x, T), where = distinct(*history)
    faster, kept, orders = (np.zeros(len(x)) for _ in range(3))
    for model, weight in _ways(forecaster):
        won = response(
            model, x, t_x, T, horizon_days=days, works_days=works_days, reach_gaps=reach_gaps
        )
        faster += weight * won.faster
        kept += weight * won.kept
        orders += weight * model.expected_orders(horizon_days, x, t_x, T)
    return Response(faster[where], kept[where]), orders[where]


def _ways(forecaster: Forecaster) -> list[tuple[PurchaseModel, float]]:
    ways = [
        (forecaster.dropout_model, forecaster.dropout_weight),
        (forecaster.alternative_model, 1 - forecaster.dropout_weight),
    ]
    weighted = [(model, weight) for model, weight in ways if model is not None and weight > HARDLY]
    return weighted or [(forecaster.purchases, 1.0)]
