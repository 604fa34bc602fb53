"""Referrals, recommendations, reviews and the loyalty program."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from reports.measures.rates import Json, days_of, missing, rate

NORMAL_95 = 1.96
YEAR = pd.Timedelta(days=365)


def referral_section(
    referring: int | None,
    origins: pd.DataFrame | None,
    costs: Mapping[str, pd.DataFrame | None],
    customers: int,
    as_of: date,
    least: int,
) -> Json:
    """Say who refers and who was referred, and how they compare with customers who were paid for.

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
    found: Json = {
        "referral_rate_12m": missing("referrals", "Referral rate")
        if referring is None
        else rate(referring, customers, least)
    }
    if origins is None:
        lacking = missing("customers", "Referred against paid customers")
        return {
            **found, "share_of_new_referred": missing("customers", "New customers who were referred"),
            "referred": lacking, "paid": lacking, "ratio": None,
        }  # fmt: skip
    new = origins[days_of(origins["date"]) > pd.Timestamp(as_of) - YEAR]
    referred = new[new["origin"] == "referred"]["customers"].sum()
    found["share_of_new_referred"] = rate(referred, new["customers"].sum(), least)
    for origin in ("referred", "paid"):
        of = origins[origins["origin"] == origin]
        found[origin] = _group(of, costs[origin], as_of, least)
        found[origin]["cost_needs"] = _lacking(costs[origin], origin)
    if costs["paid"] is None:
        found["paid"] = missing("marketing_spend", "Customers who were paid for")
    values = [found[origin].get("value_90d") for origin in ("referred", "paid")]
    is_known = values[0] is not None and values[1]
    found["ratio"] = values[0] / values[1] if is_known else None
    return found


def _group(of: pd.DataFrame, costs: pd.DataFrame | None, as_of: date, least: int) -> Json:
    """Say what customers of an origin bring in 90 days, and what one of them costs."""
    seen = of["seen"].sum()
    value = float(of["value_90d"].sum() / seen) if seen >= least else None
    cost = _cost(of, costs, as_of, least)
    return {
        "customers": int(of["customers"].sum()),
        "seen": int(seen),
        "value_90d": value,
        "cac": cost,
        "value_per_cost": value / cost if value is not None and cost else None,
    }


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
    known = None if costs is None else costs[costs["amount"].notna()]
    if known is None or known.empty:
        return None
    paid_on = days_of(known["date"])
    since = max(pd.Timestamp(as_of) - YEAR + pd.Timedelta(days=1), paid_on.min())
    n = of["customers"][days_of(of["date"]) >= since].sum()
    return float(known["amount"][paid_on >= since].sum() / n) if n >= least else None


def promoter_rates(found: pd.DataFrame, least: int) -> Json:
    """Say how many refer, by what they answered.

    Parameters
    ----------
    found
        What :func:`features.advocacy.promoters_who_refer` counted.
    least
        Customers below whom it is not said.
    """
    by = found.set_index("kind")[["referring", "customers"]]
    whole = by.reindex(["nines_and_tens", "sevens_and_eights"], fill_value=0)
    return {
        str(kind): rate(float(referring), float(n), least)
        for kind, referring, n in whole.itertuples()
    }


def nps_trend(months: pd.DataFrame, least: int) -> list[Json]:
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
        said = {"score": 100 * score, "low": 100 * (score - half), "high": 100 * (score + half)}
        month = days_of(pd.Series([row["month"]]))[0].strftime("%Y-%m")
        known = said if n >= least else dict.fromkeys(said)
        rows.append({"month": month, **known, "n": n})
    return rows


def loyalty_section(members: pd.DataFrame, customers: int, floor: float, least: int) -> Json:
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
    return {
        "enrolled": rate(enrolled, customers, least),
        "active_quarter": share,
        "is_low": share["value"] is not None and share["value"] < floor,
        "ascension": rate(risen, enrolled, least),
    }
