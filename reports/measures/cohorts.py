"""Cohorts by month of the first order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from reports.measures.rates import days_of, rate
from reports.records.kpis import AverageAge, CohortAge, CohortMonth, Cohorts

MOST_AGES = 25


def cohorts(
    cells: pd.DataFrame,
    first: pd.DataFrame,
    spend: pd.DataFrame | None,
    as_of: date,
    margin: float,
    least: int,
) -> Cohorts:
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
    table = cells.assign(month=days_of(cells["first_month"]).dt.to_period("M"))
    active, revenue = (
        table.pivot_table(index="month", columns="age", values=name, aggfunc="sum")
        for name in ("active", "net_amount")
    )
    spent = _by_month(spend, as_of)
    lived = [
        _Lived(
            month=month,
            customers=int(customers[month]),
            paid=float(paid[month]),
            spend=spent.get(str(month)),
            active=active,
            revenue=revenue.loc[month],
            as_of=as_of,
        )
        for month in customers.index
    ]
    rows = tuple(one.row(margin, least) for one in lived)
    brought = {str(one.month): one.brought for one in lived}
    return Cohorts(months=rows, average=tuple(_average(rows, brought, margin)))


@dataclass(frozen=True)
class _Lived:
    """A month's new customers, and what they did until today.

    Attributes
    ----------
    paid, spend
        Amounts: of their first orders, and paid to win them (None = not given).
    active, revenue
        Customers who ordered, by month and age, and amounts by age.
    """

    month: pd.Period
    customers: int
    paid: float
    spend: float | None
    active: pd.DataFrame
    revenue: pd.Series
    as_of: date

    @property
    def last(self) -> int:
        """The age of today, in months."""
        return int((pd.Period(self.as_of, freq="M") - self.month).n)

    @property
    def is_cut(self) -> bool:
        """Whether today's month is not over."""
        return (self.as_of + timedelta(days=1)).day != 1

    @cached_property
    def brought(self) -> pd.Series:
        """Cumulative revenue per customer by age."""
        shown = range(min(self.last, MOST_AGES - 1) + 1)
        summed: pd.Series = self.revenue.reindex(shown).fillna(0.0).cumsum()
        return summed / self.customers

    def row(self, margin: float, least: int) -> CohortMonth:
        """Lay it out; amounts of fewer customers than `least` are left out."""
        is_enough = self.customers >= least
        cost = self.spend / self.customers if is_enough and self.spend is not None else None
        return CohortMonth(
            month=str(self.month),
            customers=self.customers,
            first_order_amount=self.paid / self.customers if is_enough else None,
            spend=self.spend,
            cac=cost,
            payback_month=None if cost is None else _payback(margin * self.brought, cost),
            is_partial=self.last == 0 and self.is_cut,
            ages=tuple(self._age(age, margin, least) for age in self.brought.index),
        )

    def _age(self, age: int, margin: float, least: int) -> CohortAge:
        is_enough, amount = self.customers >= least, float(self.brought[age])
        return CohortAge(
            age=age,
            active=rate(_count(self.active, self.month, age), self.customers, least),
            revenue=amount if is_enough else None,
            margin=margin * amount if is_enough else None,
            is_partial=age == self.last and self.is_cut,
        )


def _count(active: pd.DataFrame, month: pd.Period, age: int) -> float:
    cell = active.reindex(index=[month], columns=[age], fill_value=0.0).to_numpy()[0, 0]
    return 0.0 if np.isnan(cell) else float(cell)


def _payback(margin: pd.Series, cost: float) -> int | None:
    """Return the first age at which the margin covers the cost."""
    paid = [k for k, m in enumerate(margin) if m >= cost]
    return paid[0] if paid else None


def _by_month(spend: pd.DataFrame | None, as_of: date) -> dict[str, float]:
    """Sum the spend by month; nothing where none is given."""
    if spend is None:
        return {}
    days = days_of(spend["date"])
    is_past = days <= pd.Timestamp(as_of)
    months = days[is_past].dt.strftime("%Y-%m")
    return {str(month): float(of.sum()) for month, of in spend["amount"][is_past].groupby(months)}


def _average(
    rows: Sequence[CohortMonth], brought: Mapping[str, pd.Series], margin: float
) -> Iterator[AverageAge]:
    """Weigh cohorts by their customers; each month adds what those that lived it whole brought in it."""
    added = {month: so_far.diff().fillna(so_far) for month, so_far in brought.items()}
    revenue = 0.0
    for age in range(MOST_AGES):
        whole = [row for row in rows if len(row.ages) > age and not row.ages[age].is_partial]
        n = sum(row.customers for row in whole)
        if not n:
            break
        revenue += float(sum(added[row.month][age] * row.customers for row in whole)) / n
        ordered = sum(row.ages[age].active.count for row in whole)
        yield AverageAge(
            age=age, active=ordered / n, revenue=revenue, margin=margin * revenue, n=n
        )
