"""What the next days are to bring, from today's customers and from new ones."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reports.records.kpis import ExistingForecast, FivePoints, NewForecast

AHEAD = (30, 90, 365)
RECENT_DAYS = 90  # whose rate of new customers goes on
LEAST_ERROR = 0.05  # of a total: no past says less
EIGHTY_PERCENT = 1.2816
POINTS = 0.05


def existing(
    totals: Mapping[int, tuple[float, float]], ratios: Sequence[float]
) -> tuple[ExistingForecast, ...]:
    """Say what today's customers are to bring.

    Parameters
    ----------
    totals
        Expected orders and revenue by days ahead.
    ratios
        What came over what was expected, of past totals: how far off they were is how far off this
        one may be, 80 %. Empty = not known, and no interval is given.
    """
    logs = np.log([r for r in ratios if r and r > 0])
    error = max(float(np.sqrt(np.mean(logs**2))), LEAST_ERROR) if len(logs) else None
    factor = None if error is None else float(np.exp(EIGHTY_PERCENT * error))
    return tuple(
        ExistingForecast(
            days=days,
            orders=orders,
            revenue=revenue,
            low=None if factor is None else revenue / factor,
            high=None if factor is None else revenue * factor,
        )
        for days, (orders, revenue) in totals.items()
    )


def new_customers(
    by_age: pd.DataFrame, arrivals: pd.Series, ages: pd.Series
) -> tuple[tuple[NewForecast, ...], float]:
    """Say what customers who are still to come are to bring, were they as many and as good as of late.

    Parameters
    ----------
    by_age
        What :func:`features.journeys.by_age` summed.
    arrivals
        New customers of each of the last 90 days.
    ages
        Days since the first purchase of the customers in `by_age`.

    Returns
    -------
    tuple
        What they bring in each time ahead, and new customers per day.
    """
    per_day = float(arrivals.sum()) / RECENT_DAYS
    seen = np.array([(ages >= age).sum() for age in range(max(AHEAD) + 1)], dtype=np.float64)
    table = by_age.set_index("since_days").reindex(range(max(AHEAD) + 1)).fillna(0.0)
    each = {
        name: np.cumsum(table[name].to_numpy() / np.maximum(seen, 1))
        for name in ("orders", "net_amount")
    }
    rows = []
    for days in AHEAD:
        # Who comes on day t of the window has days - t days left in it.
        brought = {name: per_day * float(curve[:days].sum()) for name, curve in each.items()}
        rows.append(
            NewForecast(
                days=days,
                customers=per_day * days,
                orders=brought["orders"],
                revenue=brought["net_amount"],
            )
        )
    return tuple(rows), per_day


def five_points(returners: pd.DataFrame, per_day: float, least: int) -> FivePoints:
    """Say what five more of a hundred new customers who come back would bring in a year.

    Parameters
    ----------
    returners
        What :func:`features.journeys.returners` summed.
    per_day
        New customers per day.
    least
        Returning customers below whom it is not said.
    """
    n = int(returners["customers"].iloc[0] or 0)
    more = POINTS * per_day * 365
    if n < max(least, 1):
        return FivePoints(customers=more, orders=None, revenue=None, n=n)
    return FivePoints(
        customers=more,
        orders=more * float(returners["orders"].iloc[0]) / n,
        revenue=more * float(returners["net_amount"].iloc[0]) / n,
        n=n,
    )
