"""Fit the model of order value to customer states."""

from typing import NamedTuple

import ibis.expr.types as ir
import numpy as np

from connectors.engine import Engine
from features.rfm import MONEY, spend_cells
from models.order_value import OrderValue, shrunk
from models.spend import SpendFit, fit_spend


class OrderValueFit(NamedTuple):
    """A model of order value, and how its Gamma-Gamma fits."""

    model: OrderValue
    spend: SpendFit


def fit_order_value(engine: Engine, state: ir.Table) -> OrderValueFit:
    """Fit Gamma-Gamma to repeat customers, and measure the levels beside it.

    Parameters
    ----------
    engine
        Computes the tables.
    state
        Table :class:`features.tables.CustomerState`.

    Raises
    ------
    FitError
        Fewer than two repeat customers, or values that are not positive.
    """
    cells = engine.frame(spend_cells(state))
    spend = fit_spend(*(cells[name] for name in cells.columns))
    again = state.frequency > 0
    log_first = (state.first_amount > 0).ifelse(state.first_amount, 1.0).ln()
    sums = {
        "first": state.first_amount.cast(MONEY).sum(where=again),
        "later": state.monetary_value.cast(MONEY).sum(where=again),
        "bought": (state.first_amount + state.frequency * state.monetary_value).cast(MONEY).sum(),
        "revenue": state.revenue.cast(MONEY).sum(),
    }
    for name, group in (("once", ~again), ("again", again)):
        paid = group & (state.first_amount > 0)
        sums[f"{name}_count"] = paid.sum()
        sums[f"{name}_log"] = log_first.cast(MONEY).sum(where=paid)
        sums[f"{name}_square"] = (log_first * log_first).cast(MONEY).sum(where=paid)
    row = engine.frame(state.aggregate(**sums)).iloc[0]
    total = {name: float(row[name] or 0) for name in sums}
    return OrderValueFit(
        OrderValue(
            spend.model,
            first_level=_ratio(total["later"], total["first"]),
            once_level=_once_level(total),
            net_share=round(min(_ratio(total["revenue"], total["bought"]), 1.0), 6),
        ),
        spend,
    )


def _ratio(amount: float, other: float) -> float:
    return amount / other if amount > 0 and other > 0 else 1.0


def _once_level(total: dict[str, float]) -> float:
    """Compare the logarithms of first orders of one-time buyers and of repeat customers."""
    means, variances = [], []
    for name in ("once", "again"):
        count = total[f"{name}_count"]
        if count < 2:
            return 1.0
        mean = total[f"{name}_log"] / count
        means.append(mean)
        variances.append(max(total[f"{name}_square"] / count - mean**2, 0.0) / count)
    return float(np.exp(shrunk(means[0] - means[1], sum(variances))))
