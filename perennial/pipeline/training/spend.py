"""Fit the model of order value to customer states, and the price level that it takes amounts at."""

from datetime import date
from typing import NamedTuple

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from connectors.engine import Engine
from features.price_changes import PERIOD_DAYS, price_changes, shared_periods
from features.rfm import MONEY, spend_cells
from models.order_value import OrderValue, mean_price_factor, return_prior, shrunk
from models.price_evidence import PriceSums
from models.price_level import PriceLevel, PriceLevelFit, fit_price_level
from models.spend import SpendFit, fit_spend

SHARE = "decimal(18, 12)"  # sums of floats differ in their last digits from run to run


OF_RETURNS = ("customers", "inverse_orders", "shares", "squares")


class OrderValueFit(NamedTuple):
    """A model of order value, and how its Gamma-Gamma fits."""

    model: OrderValue
    spend: SpendFit


def learn_price_level(engine: Engine, orders: ir.Table, as_of: date) -> PriceLevelFit:
    """Estimate the price level from orders of the same customers.

    Parameters
    ----------
    engine
        Computes the tables.
    orders
        Table :class:`features.tables.Orders`; orders after `as_of` are not looked at.
    as_of
        Last day whose orders are known.
    """
    changes = engine.frame(price_changes(orders, as_of))
    sums = PriceSums.of(changes, engine.frame(shared_periods(orders, as_of)))
    return fit_price_level(sums, as_of, PERIOD_DAYS)


def fit_order_value(
    engine: Engine,
    state: ir.Table,
    price: PriceLevel | None = None,
    window: tuple[date, date] | None = None,
) -> OrderValueFit:
    """Fit Gamma-Gamma to repeat customers, and measure the levels beside it.

    Parameters
    ----------
    engine
        Computes the tables.
    state
        Table :class:`features.tables.CustomerState`.
    price
        Price level of past days; None = it is steady.
    window
        First and last day whose mean level amounts are taken at; None = the level of today.

    Raises
    ------
    FitError
        Fewer than two repeat customers, or values that are not positive.
    """
    price = price or PriceLevel.steady()
    base = 1.0
    if window is not None:
        base = float(price.mean_factor(*(day.toordinal() for day in window)))
    kept = engine.frame(_kept_sums(state)).iloc[0].fillna(0).astype(float).to_dict()
    net_share = round(min(_ratio(kept["revenue"], kept["bought"]), 1.0), 6)
    if not price.is_steady:
        state = engine.keep(_at_level(engine, state, price, base), "state_at_price_level")
    cells = engine.frame(spend_cells(state))
    spend = fit_spend(*(cells[name] for name in cells.columns))
    again = state.frequency > 0
    log_first = (state.first_amount > 0).ifelse(state.first_amount, 1.0).ln()
    sums = {
        "first": state.first_amount.cast(MONEY).sum(where=again),
        "later": state.monetary_value.cast(MONEY).sum(where=again),
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
            net_share=net_share,
            return_prior=round(
                return_prior(net_share, **{name: kept[name] for name in OF_RETURNS}), 6
            ),
            price=price,
            price_base=base,
        ),
        spend,
    )


def _kept_sums(state: ir.Table) -> ir.Table:
    """Sum what was bought and kept, and the kept shares of customers with two purchase days and more."""
    bought = state.first_amount + state.frequency * state.monetary_value
    share = (state.revenue / (bought > 0).ifelse(bought, 1.0)).clip(0.0, 1.0)
    again = (state.frequency > 0) & (bought > 0)
    return state.aggregate(
        bought=bought.cast(MONEY).sum(),
        revenue=state.revenue.cast(MONEY).sum(),
        customers=again.sum(),
        inverse_orders=(1.0 / (state.frequency + 1)).cast(SHARE).sum(where=again),
        shares=share.cast(SHARE).sum(where=again),
        squares=(share * share).cast(SHARE).sum(where=again),
    )


def _at_level(engine: Engine, state: ir.Table, price: PriceLevel, base: float) -> ir.Table:
    """Take the amounts of states at a price level, customers of equal days and counts at once."""
    by = ("first_order_date", "last_order_date", "frequency")
    spans = engine.frame(state.select(*by).distinct().order_by(*by))
    first, last = (
        np.array([day.toordinal() for day in pd.to_datetime(spans[name])], dtype=np.int64)
        for name in by[:2]
    )
    x = spans["frequency"].to_numpy(np.float64)
    for name in by[:2]:
        spans[name] = pd.to_datetime(spans[name]).dt.date
    spans["of_first"] = price.factor(first) / base
    spans["of_later"] = mean_price_factor(price, x, first, last) / base
    both = state.join(engine.table(spans, "price_factors"), by)
    return both.mutate(
        first_amount=both.first_amount * both.of_first,
        monetary_value=both.monetary_value * both.of_later,
    ).drop("of_first", "of_later")


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
