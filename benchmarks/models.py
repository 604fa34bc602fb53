"""Fits and forecasts of many customers beside lifetimes' on the raw rows: ``python -m benchmarks.models [CUSTOMERS]``.

Customers buy and leave by MBG/NBD, are known by the day, and spend by Gamma-Gamma. Both sides start
from the same arrays in the same process, in turn; lifetimes' import is not counted.
"""

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from models.history import CustomerHistory
from models.intervals import Levels
from models.purchases import BGNBD, FAMILY, MBGCNBD, fit_purchases
from models.spend import fit_spend
from models.value import forecast

CUSTOMERS, HORIZON_DAYS = 1_000_000, 365
Array = np.ndarray[Any, np.dtype[np.float64]]


def histories(customers: int) -> tuple[Array, Array, Array, Array]:
    """Return frequency, recency, age (days) and mean repeat value of simulated customers."""
    rng = np.random.default_rng(0)
    rate, leave = rng.gamma(0.6, 1 / 56, customers), rng.beta(0.7, 1.6, customers)
    T = rng.integers(1, 731, customers).astype(float)
    x, last, now = (np.zeros(customers) for _ in range(3))
    who = np.flatnonzero(rng.random(customers) >= leave)
    while len(who):
        now[who] += 1 + rng.exponential(1 / rate[who])
        who = who[now[who] < T[who]]
        x[who] += 1
        last[who] = np.floor(now[who])
        who = who[rng.random(len(who)) >= leave[who]]
    money = rng.gamma(3.74, 1 / 15.44, customers)
    m = rng.gamma(np.maximum(6.25 * x, 1e-9), 1 / money) / np.maximum(x, 1)
    return x, last, T, np.where(x > 0, np.maximum(m, 0.01), 0.0)


def timed(what: str, work: Callable[[], Any]) -> tuple[Any, float]:
    """Run and print how long it took."""
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    print(f"  {what:<58}{seconds:8.2f} s", flush=True)
    return result, seconds


def main() -> int:
    """Print both sides and their ratios."""
    import lifetimes

    warnings.simplefilter("ignore")
    customers = int(sys.argv[1]) if sys.argv[1:] else CUSTOMERS
    x, t_x, T, m = histories(customers)
    repeat = x > 0
    print(f"{customers:,} customers, {int(repeat.sum()):,} of them with repeat purchases")

    print("lifetimes, raw rows")
    columns = [pd.Series(column) for column in (x, t_x, T, m)]
    theirs, fit_theirs = timed("BG/NBD fit", lambda: lifetimes.BetaGeoFitter().fit(x, t_x, T))
    spends, _ = timed(
        "Gamma-Gamma fit", lambda: lifetimes.GammaGammaFitter().fit(x[repeat], m[repeat])
    )
    _, score_theirs = timed(
        "expected orders, P(alive), value",
        lambda: (
            theirs.conditional_expected_number_of_purchases_up_to_time(HORIZON_DAYS, x, t_x, T),
            theirs.conditional_probability_alive(x, t_x, T),
            spends.customer_lifetime_value(
                theirs, *columns, time=12, discount_rate=0.008, freq="D"
            ),
        ),
    )

    print("Perennial")
    ours, fit_ours = timed("BG/NBD fit", lambda: fit_purchases(x, t_x, T))
    for model in FAMILY.values():
        if model is not BGNBD:
            k = 2 if model is MBGCNBD else None
            timed(
                f"{model.title} fit",
                lambda model=model, k=k: fit_purchases(x, t_x, T, model=model, k=k),
            )
    spend, _ = timed("Gamma-Gamma fit", lambda: fit_spend(x[repeat], m[repeat]))

    def score(levels: Levels | None) -> Any:  # noqa: ANN401  # a forecast
        return forecast(
            ours.model, spend.model, CustomerHistory.of(x, t_x, T, m),
            horizon_days=HORIZON_DAYS, annual_discount_rate=0.10, levels=levels,
        )  # fmt: skip

    _, score_ours = timed(
        "expected orders, P(alive), value, and three figures more", lambda: score(None)
    )
    timed("the same with the interval of value", lambda: score(Levels()))

    params = [float(theirs.params_[name]) for name in ("r", "alpha", "a", "b")]
    reached = float(BGNBD(*params).log_likelihood(x, t_x, T).sum())
    print(f"log-likelihood: lifetimes {reached:,.2f}, ours {ours.log_likelihood:,.2f}")
    print(f"BG/NBD fit: lifetimes / ours {fit_theirs / fit_ours:.1f}")
    print(f"forecast: lifetimes / ours {score_theirs / score_ours:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
