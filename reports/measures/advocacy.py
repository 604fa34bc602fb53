"""Referrals, recommendations, reviews and the loyalty program."""

from collections.abc import Mapping
from datetime import date
from math import fsum

import numpy as np
import pandas as pd

from features.window import YEAR_DAYS
from reports.measures.rates import days_of, missing, rate
from reports.records.kpis import (
    Advocacy,
    Loyalty,
    NpsMonth,
    OriginGroup,
    PromoterRates,
)

NORMAL_95 = 1.96
YEAR = pd.Timedelta(days=YEAR_DAYS)


def referral_section(
    referring: int | None,
    origins: pd.DataFrame | None,
    costs: Mapping[str, pd.DataFrame | None],
    customers: int,
    as_of: date,
    least: int,
) -> Advocacy:
    """Say who refers and who was referred, and how they compare with customers who were paid for.

    What reviews and scores bring is added by others.

    Parameters
    ----------
    referring
        Customers who brought somebody within a year; None = no table of referrals.
    origins
        What :func:`features.advocacy.origins` counted; None = no table of customers.
    costs
        ``date, amount`` of what was paid to win the ``referred`` (rewards) and the ``paid``
        (marketing spend); None = no such table.
    customers
        All of them.
    as_of
        Last day that is known.
    least
        Customers below whom nothing is said.
    """
    referral_rate = (
        missing("referrals", "Referral rate")
        if referring is None
        else rate(referring, customers, least)
    )
    if origins is None:
        lacking = missing("customers", "Referred against paid customers")
        return Advocacy(
            referral_rate_12m=referral_rate,
            share_of_new_referred=missing("customers", "New customers who were referred"),
            referred=lacking,
            paid=lacking,
        )
    new = origins[days_of(origins["date"]) > pd.Timestamp(as_of) - YEAR]
    new_referred = new[new["origin"] == "referred"]["customers"].sum()
    referred = _group("referred", origins, costs["referred"], as_of, least)
    paid = None
    if costs["paid"] is not None:
        paid = _group("paid", origins, costs["paid"], as_of, least)
    return Advocacy(
        referral_rate_12m=referral_rate,
        share_of_new_referred=rate(new_referred, new["customers"].sum(), least),
        referred=referred,
        paid=paid or missing("marketing_spend", "Customers who were paid for"),
        ratio=_ratio(referred.value_90d, None if paid is None else paid.value_90d),
    )


def _ratio(value: float | None, other: float | None) -> float | None:
    return value / other if value is not None and other else None


def _group(
    origin: str, origins: pd.DataFrame, costs: pd.DataFrame | None, as_of: date, least: int
) -> OriginGroup:
    """Say what customers of an origin bring in 90 days, and what one of them costs."""
    of = origins[origins["origin"] == origin]
    seen = of["seen"].sum()
    value = float(fsum(of["value_90d"]) / seen) if seen >= least else None
    cost = _cost(of, costs, as_of, least)
    return OriginGroup(
        customers=int(of["customers"].sum()),
        seen=int(seen),
        value_90d=value,
        cac=cost,
        value_per_cost=_ratio(value, cost),
        cost_needs=_lacking(costs, origin),
    )


def _lacking(costs: pd.DataFrame | None, origin: str) -> str | None:
    """Name the table or column that would bring what a customer costs; None = it is there."""
    table, column = {
        "referred": ("referrals", "reward_amount"),
        "paid": ("marketing_spend", "amount"),
    }[origin]
    if costs is None:
        return table
    return None if costs["amount"].notna().any() else f"{table}.{column}"


def _cost(of: pd.DataFrame, costs: pd.DataFrame | None, as_of: date, least: int) -> float | None:
    """Return what was paid per new customer in the last year, or since anything was paid."""
    paid = None if costs is None else costs[costs["amount"].notna()]
    if paid is None or paid.empty:
        return None
    paid_on = days_of(paid["date"])
    since = max(pd.Timestamp(as_of) - YEAR + pd.Timedelta(days=1), paid_on.min())
    n = of["customers"][days_of(of["date"]) >= since].sum()
    return float(fsum(paid["amount"][paid_on >= since]) / n) if n >= least else None


def promoter_rates(counts: pd.DataFrame, least: int) -> PromoterRates:
    """Say how many refer, by what they answered.

    Parameters
    ----------
    counts
        What :func:`features.advocacy.promoters_who_refer` counted.
    least
        Customers below whom it is not said.
    """
    by = counts.set_index("kind")[["referring", "customers"]]
    whole = by.reindex(["nines_and_tens", "sevens_and_eights"], fill_value=0)
    high, middle = (
        rate(float(referring), float(n), least) for _, referring, n in whole.itertuples()
    )
    return PromoterRates(nines_and_tens=high, sevens_and_eights=middle)


def nps_trend(months: pd.DataFrame, least: int) -> tuple[NpsMonth, ...]:
    """Return the net promoter score of each month, -100 to 100, with its 95 % interval.

    Parameters
    ----------
    months
        What :func:`features.advocacy.scores_by_month` counted.
    least
        Answers below which it is not said.

    Notes
    -----
    Promoters less detractors, in percent; the variance of a mean of 1, 0 and -1.
    """
    rows = []
    for row in months.sort_values("month").to_dict("records"):
        n = int(row["answers"])
        up, down = row["promoters"] / n, row["detractors"] / n
        score = up - down
        half = NORMAL_95 * float(np.sqrt(max(up + down - score**2, 0.0) / n))
        month = days_of(pd.Series([row["month"]]))[0].strftime("%Y-%m")
        score, low, high = (
            100 * value if n >= least else None for value in (score, score - half, score + half)
        )
        rows.append(NpsMonth(month=month, score=score, low=low, high=high, n=n))
    return tuple(rows)


def loyalty_section(members: pd.DataFrame, customers: int, floor: float, least: int) -> Loyalty:
    """Say how many take part in the loyalty program.

    Parameters
    ----------
    members
        What :func:`features.advocacy.members` counted.
    customers
        All of them.
    floor
        Share of active members below which the program is flagged.
    least
        Customers below whom nothing is said.
    """
    enrolled, active, risen = (
        int(members[n].iloc[0] or 0) for n in ("enrolled", "active", "risen")
    )
    share = rate(active, enrolled, least)
    return Loyalty(
        enrolled=rate(enrolled, customers, least),
        active_quarter=share,
        is_low=share.value is not None and share.value < floor,
        ascension=rate(risen, enrolled, least),
    )
