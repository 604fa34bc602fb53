"""What a simulated store looks like from its tables alone, beside what such stores look like.

Everybody counts whose first recorded order is at least as old as the window: younger customers
have not had the time.
"""

from datetime import timedelta

import numpy as np
import pandas as pd

from perennial.simulation.draws import Array
from perennial.simulation.world import World

YEAR = 365
PAID = ("paid_search", "paid_social", "influencer")


def purchase_days(world: World) -> pd.DataFrame:
    """Return one row per customer and purchase day: ``customer_id, day, nth`` (0 = first), ``first``, ``value``."""
    orders = world.orders.select(["customer_id", "order_date", "net_amount"]).to_pandas()
    orders["day"] = pd.to_datetime(orders["order_date"])
    days = orders.groupby(["customer_id", "day"], as_index=False, sort=True)["net_amount"].sum()
    by_customer = days.groupby("customer_id", sort=False)
    days["nth"] = by_customer.cumcount()
    days["first"] = by_customer["day"].transform("first")
    named: pd.DataFrame = days.rename(columns={"net_amount": "value"})
    return named


def _observed(world: World, days: pd.DataFrame, window: int) -> pd.DataFrame:
    """Return the rows of the customers who were watched for `window` days and more."""
    return days[days["first"] <= pd.Timestamp(world.end - timedelta(days=window))]


def repeat_rate(world: World, window: int = YEAR) -> float:
    """Return the share of customers who came back on another day within `window` days."""
    days = _observed(world, purchase_days(world), window)
    since = (days["day"] - days["first"]).dt.days
    back = days[(days["nth"] == 1) & (since <= window)]
    return len(back) / int((days["nth"] == 0).sum())


def second_purchase_steps(world: World, step: int = 90, window: int = YEAR) -> Array:
    """Return the shares of customers whose second purchase fell into each `step` days after the first."""
    days = _observed(world, purchase_days(world), window)
    second = days[days["nth"] == 1]
    since = (second["day"] - second["first"]).dt.days
    counts, _ = np.histogram(since, bins=np.arange(0, window + step, step) + 0.5)
    return np.asarray(counts[: window // step] / int((days["nth"] == 0).sum()))


def return_rates(world: World, window: int = YEAR, steps: int = 4) -> Array:
    """Return the shares who go on from their first to a second order, from there to a third, ... within `window` days each."""
    days = purchase_days(world)
    following = days.groupby("customer_id", sort=False)["day"].shift(-1)
    days["wait"] = (following - days["day"]).dt.days
    days = days[days["day"] <= pd.Timestamp(world.end - timedelta(days=window))]
    went_on = (days["wait"] <= window).astype(float)
    return np.asarray(went_on.groupby(days["nth"]).mean().head(steps), dtype=np.float64)


def first_year_value(world: World) -> pd.Series:
    """Return each customer's net revenue in the year from the first order on, by id."""
    days = _observed(world, purchase_days(world), YEAR)
    early = days[(days["day"] - days["first"]).dt.days < YEAR]
    return early.groupby("customer_id")["value"].sum()


def referred_over_paid(world: World) -> float:
    """Return a referred customer's mean value in the first year over that of customers won by paid channels."""
    value = first_year_value(world)
    via = world.customers.select(["customer_id", "acquired_via"]).to_pandas()
    via = via.set_index("customer_id")["acquired_via"].reindex(value.index)
    return float(value[via == "referral"].mean() / value[via.isin(PAID)].mean())


def top_fifth_share(world: World) -> float:
    """Return the share of first-year value that the fifth of customers worth most brought."""
    value = first_year_value(world).sort_values(ascending=False)
    return float(value.iloc[: len(value) // 5].sum() / value.sum())


def arrivals_ratio(world: World, customers: int) -> float:
    """Return the new customers of the first 365 days over the number asked for."""
    first = purchase_days(world).query("nth == 0")["day"]
    return float((first < pd.Timestamp(world.start + timedelta(days=YEAR))).sum() / customers)
