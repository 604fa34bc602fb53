"""Cohorts by month of the first order."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from reports.measures.rates import Json, days_of, rate

MOST_AGES = 25


def cohorts(
    cells: pd.DataFrame,
    first: pd.DataFrame,
    spend: pd.DataFrame | None,
    as_of: date,
    margin: float,
    least: int,
) -> Json:
    """Follow each month's new customers.

    Parameters
    ----------
    cells
        What :func:`features.journeys.cohort_cells` counted.
    first
        What :func:`features.journeys.first_days` counted.
    spend
        Table :class:`features.tables.MarketingSpend`; None = not given.
    as_of
        Last day whose orders are known.
    margin
        Kept from net revenue.
    least
        Customers below whom a rate is not said.
    """
    days = days_of(first["date"])
    by_month = first.groupby(days.dt.to_period("M"))
    customers, paid = by_month["customers"].sum(), by_month["net_amount"].sum()
    months = days_of(cells["first_month"]).dt.to_period("M")
    table = cells.assign(month=months)
    active, revenue = (
        table.pivot_table(index="month", columns="age", values=name, aggfunc="sum")
        for name in ("active", "net_amount")
    )
    now = pd.Period(as_of, freq="M")
    is_whole = (as_of + timedelta(days=1)).day == 1
    spent = _by_month(spend, as_of)
    rows, whole = [], {}
    for month in customers.index:
        n = int(customers[month])
        last = (now - month).n
        shown = range(min(last, MOST_AGES - 1) + 1)
        brought = revenue.loc[month].reindex(shown).fillna(0.0).cumsum() / n
        cost = spent.get(str(month))
        each, is_told = margin * brought, n >= least
        whole[str(month)] = brought
        rows.append(
            {
                "month": str(month),
                "customers": n,
                "first_order_amount": float(paid[month]) / n if is_told else None,
                "spend": cost,
                "cac": cost / n if is_told and cost is not None else None,
                "payback_month": _payback(each, cost / n)
                if is_told and cost is not None
                else None,
                "is_partial": month == now and not is_whole,
                "ages": [
                    {
                        "age": age,
                        "active": rate(_count(active, month, age), n, least),
                        "revenue": float(brought[age]) if is_told else None,
                        "margin": float(each[age]) if is_told else None,
                        "is_partial": age == last and not is_whole,
                    }
                    for age in shown
                ],
            }
        )
    return {"months": rows, "average": _average(rows, whole, margin)}


def _count(active: pd.DataFrame, month: pd.Period, age: int) -> float:
    found = active.reindex(index=[month], columns=[age], fill_value=0.0).to_numpy()[0, 0]
    return 0.0 if np.isnan(found) else float(found)


def _payback(margin: pd.Series, cost: float) -> int | None:
    """Return the first age at which the margin covers the cost."""
    paid = [k for k, m in enumerate(margin) if m >= cost]
    return paid[0] if paid else None


def _by_month(spend: pd.DataFrame | None, as_of: date) -> dict[str, float]:
    """Sum the spend by month; nothing where none is given."""
    if spend is None:
        return {}
    days = days_of(spend["date"])
    known = days <= pd.Timestamp(as_of)
    months = days[known].dt.strftime("%Y-%m")
    return {str(month): float(of.sum()) for month, of in spend["amount"][known].groupby(months)}


def _average(rows: list[Json], brought: dict[str, pd.Series], margin: float) -> list[Json]:
    """Weigh cohorts by their customers; each month adds what those that lived it whole brought in it."""
    added = {month: so_far.diff().fillna(so_far) for month, so_far in brought.items()}
    found: list[Json] = []
    revenue = 0.0
    for age in range(MOST_AGES):
        whole = [r for r in rows if len(r["ages"]) > age and not r["ages"][age]["is_partial"]]
        n = sum(r["customers"] for r in whole)
        if not n:
            break
        revenue += float(sum(added[r["month"]][age] * r["customers"] for r in whole)) / n
        came = sum(r["ages"][age]["active"]["count"] for r in whole)
        found.append(
            {
                "age": age,
                "active": came / n,
                "revenue": revenue,
                "margin": margin * revenue,
                "n": n,
            }
        )
    return found
