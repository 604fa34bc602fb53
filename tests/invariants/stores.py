"""Small stores that are unlike the usual one, a few lines of NumPy each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from tests.shops import SETTINGS

AS_OF = date(2024, 6, 30)
Draw = Callable[[np.random.Generator], float]


@dataclass(frozen=True)
class Pace:
    """How customers buy: from when on they are watched, how often they buy and how soon they leave.

    Attributes
    ----------
    customers, days
        How many, and the length of the history.
    gap_days
        Mean days between two orders of the usual customer.
    leaving
        Mean chance of leaving for good after an order.
    """

    customers: int = 200
    days: int = 540
    gap_days: float = 40.0
    leaving: float = 0.25


def usual_price(rng: np.random.Generator) -> float:
    return round(float(np.exp(rng.normal(3.6, 0.5))), 2)


def orders_at(pace: Pace, price: Draw, seed: int) -> pd.DataFrame:
    """Orders at random of customers who leave at random: ``customer_id, ordered_at, net_amount``."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(pace.customers):
        day = float(rng.integers(0, pace.days))
        rate = rng.gamma(1.5, 1 / (1.5 * pace.gap_days))
        chance = rng.beta(1, 1 / pace.leaving - 1)
        while day < pace.days:
            rows.append(
                (f"c{customer:03}", AS_OF - timedelta(pace.days - 1 - int(day)), price(rng))
            )
            if rng.random() < chance:
                break
            day += 1 + rng.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["customer_id", "ordered_at", "net_amount"])


def refunds_beyond_purchases() -> pd.DataFrame:
    """Twenty customers give back everything that they ever bought and 50.00 more, on a later day."""
    orders = orders_at(Pace(customers=300), usual_price, 1)
    bought = orders.groupby("customer_id")["net_amount"].sum().head(20)
    refunds = pd.DataFrame(
        {
            "customer_id": bought.index,
            "ordered_at": AS_OF - timedelta(10),
            "net_amount": -(bought.to_numpy() + 50).round(2),
        }
    )
    return pd.concat([orders, refunds], ignore_index=True)


def wholesale_giant() -> pd.DataFrame:
    """One customer's orders are worth a thousand times as much as the others'."""
    orders = orders_at(Pace(customers=300), usual_price, 2)
    giant = orders["customer_id"] == orders["customer_id"].value_counts().index[0]
    orders.loc[giant, "net_amount"] = (1000 * orders.loc[giant, "net_amount"]).round(2)
    return orders


def one_time_buyers() -> pd.DataFrame:
    """Nearly everybody buys once."""
    return orders_at(Pace(customers=400, leaving=0.96), usual_price, 3)


def one_price() -> pd.DataFrame:
    """Every order is worth the same."""
    return orders_at(Pace(), lambda _: 25.0, 4)


def short_and_daily() -> pd.DataFrame:
    """Ten weeks of history, of customers who buy every day or two."""
    return orders_at(Pace(days=70, gap_days=1.5, leaving=0.05), usual_price, 5)


def free_orders() -> pd.DataFrame:
    """A third of the orders are samples that cost nothing, and count as purchases."""
    return orders_at(Pace(), lambda rng: usual_price(rng) if rng.random() > 1 / 3 else 0.0, 6)


@dataclass(frozen=True)
class OddStore:
    """A store's orders, and the settings that read them."""

    orders: Callable[[], pd.DataFrame]
    settings: str = SETTINGS


FREE_COUNT = SETTINGS.replace("[orders]", "[orders]\nkeep_zero_amount = true")
ODD_STORES = {
    "refunds_beyond_purchases": OddStore(refunds_beyond_purchases),
    "wholesale_giant": OddStore(wholesale_giant),
    "one_time_buyers": OddStore(one_time_buyers),
    "one_price": OddStore(one_price),
    "short_and_daily": OddStore(short_and_daily),
    "free_orders": OddStore(free_orders, FREE_COUNT),
}
