"""The retention measures of a day, from the orders and whatever optional tables there are."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypedDict

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from connectors.orders import History
from features import advocacy, bundles, journeys, products
from features.tables import HISTORY
from features.window import YEAR_DAYS
from models.forecaster import Forecaster
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import step
from perennial.pipeline.scoring.kpis.dashboard import dashboard
from perennial.pipeline.scoring.kpis.day import Day, opened
from perennial.pipeline.training.model_files import load_forecaster
from reports.measures import advocacy as programs
from reports.measures import forecast, repeat
from reports.measures import products as bought
from reports.measures.cohorts import cohorts
from reports.measures.rates import days_of, missing, rate
from reports.records.kpis import (
    Advocacy,
    Bundles,
    CohortAlarm,
    Cohorts,
    Discounts,
    Forecast,
    KpiReport,
    Loyalty,
    Missing,
    NewForecast,
    NpsMonth,
    Products,
    PromoterRates,
    Rate,
)
from segments.rhythm import store_cycle_days

SAMPLE = 100_000  # customers whose forecasts stand for all of a larger store


@step
def measure_retention(
    run: RunContext, history: History, model: Path, past_ratios: list[float]
) -> None:
    """Measure how retention stands, and list whom a refill is due for."""
    state = pd.read_parquet(run.files.customer_state)
    with opened(run, history) as day:
        ahead = Ahead(state, load_forecaster(model), tuple(past_ratios))
        report = kpi_report(day, run.files.decided_scores, ahead)
        write_refills(day, run.files.refills)
    text = json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
    run.files.kpis.write_text(text)


@dataclass(frozen=True)
class Ahead:
    """What a forecast is made of.

    Attributes
    ----------
    state
        Table :class:`features.tables.CustomerState`.
    forecaster
        The model.
    ratios
        Actual over expected revenue of past windows.
    """

    state: pd.DataFrame
    forecaster: Forecaster
    ratios: tuple[float, ...]

    def totals(self, as_of: date, days: int) -> tuple[float, float]:
        """Return expected orders and value of all customers; of a large store, from a sample."""
        sample = self.state
        if len(sample) > SAMPLE:
            sample = sample.iloc[np.linspace(0, len(sample) - 1, SAMPLE).astype(int)]
        factor = len(self.state) / max(len(sample), 1)
        expected = self.forecaster.expect(sample, days, as_of=as_of)
        return (
            factor * float(np.sum(expected.expected_orders)),
            factor * float(np.sum(expected.expected_value)),
        )


@dataclass(frozen=True)
class Counts:
    """What several measures are made of.

    Attributes
    ----------
    gaps, returned, first
        What the functions of :mod:`features.journeys` counted.
    spend
        Table :class:`features.tables.MarketingSpend`; None = not given.
    """

    gaps: pd.DataFrame
    returned: pd.DataFrame
    first: pd.DataFrame
    spend: pd.DataFrame | None

    @classmethod
    def of(cls, day: Day) -> "Counts":
        """Count them."""
        spend = day.tables.get("marketing_spend")
        return cls(
            gaps=day.fetch(journeys.gaps(day.journeys, day.as_of)),
            returned=day.fetch(journeys.returned(day.journeys, day.as_of)),
            first=day.fetch(journeys.first_days(day.journeys)),
            spend=None if spend is None else day.fetch(spend),
        )


def kpi_report(day: Day, decided_scores: Path, ahead: Ahead) -> KpiReport:
    """Measure how retention stands.

    Parameters
    ----------
    day
        What the measures are made of.
    decided_scores
        File of the day's scores.
    ahead
        What the forecast is made of.
    """
    counts, least, customers = Counts.of(day), day.least, len(ahead.state)
    columns = (ahead.state[name] for name in HISTORY)
    cycle = day.settings.natural_cycle_days or store_cycle_days(*columns)
    repeated = repeat.repeat(
        counts.returned, counts.gaps, day.settings.repeat_rate_benchmark, least
    )
    return KpiReport(
        as_of=day.as_of,
        least_customers=least,
        natural_cycle_days=cycle,
        repeat=repeated,
        second_order=repeat.second_order(counts.gaps, cycle),
        steps=repeat.steps(counts.gaps, least),
        cohorts=cohort_measures(day, counts),
        cohort_alarm=alarm_measures(day, counts.returned, cycle),
        discounts=discount_measures(day, decided_scores),
        advocacy=advocacy_measures(day, customers),
        loyalty=loyalty_measures(day, customers),
        forecast=forecast_measures(day, counts, ahead),
        products=product_measures(day),
        bundles=bundle_measures(day, repeated.returned["90"]),
        dashboard=dashboard(day, counts.first, counts.spend),
    )


def cohort_measures(day: Day, counts: Counts) -> Cohorts:
    """Follow each month's new customers."""
    cells = day.fetch(journeys.cohort_cells(day.journeys))
    return cohorts(cells, counts.first, counts.spend, day.as_of, day.margin, day.least)


def alarm_measures(day: Day, returned: pd.DataFrame, cycle: float) -> CohortAlarm:
    """Compare the newest cohorts with those of a year before: who came back, and what they brought."""
    age = repeat.alarm_age(cycle)
    early = day.fetch(journeys.early_revenue(day.journeys, day.as_of, age))
    alarm = repeat.cohort_alarm(returned, day.as_of, cycle, day.least)
    value = repeat.cohort_value_alarm(early, age, day.least)
    return alarm.model_copy(update={"value": value})


def discount_measures(day: Day, decided_scores: Path) -> Discounts | Missing:
    """Say how much of the repeat revenue depends on discounts."""
    segments = day.engine.parquet(decided_scores).select("customer_id", "segment")
    sums = day.fetch(journeys.discounted_revenue(day.journeys, segments))
    return bought.discount_section(sums, day.least)


def product_measures(day: Day) -> Products | Missing:
    """Say when products are bought again, and what the first one leads to."""
    baskets, refills = day.baskets, day.refills
    if day.lines is None or baskets is None or refills is None:
        return missing("order_lines", "Products")
    main = day.engine.keep(products.main_products(baskets, day.journeys), "main_products")
    counts = bought.ProductCounts(
        by_product=day.cycles("product_id"),
        by_category=day.cycles("category"),
        first=day.fetch(products.first_products(main, day.customers)),
        following=day.fetch(products.next_products(main)),
        breadth=day.fetch(products.breadth(baskets, day.customers)),
        due=day.fetch(products.due(refills)),
        names=day.names,
    )
    return bought.product_section(counts, day.least)


def write_refills(day: Day, path: Path) -> None:
    """Write whom a refill is due for, or soon will be; nothing where there are no order lines."""
    if day.refills is not None and day.lines is not None:
        named = day.refills.left_join(products.names(day.lines), "product_id")
        day.engine.write_parquet(
            named.select(
                "customer_id",
                "last_date",
                product=ibis.coalesce(named.product_name, named.product_id),
                cycle_days="median_days",
            ),
            path,
        )


def bundle_measures(day: Day, overall: Rate) -> Bundles | Missing:
    """Say what bundles do for retention."""
    baskets = day.baskets
    if day.lines is None or baskets is None:
        return missing("order_lines", "Bundles")
    days = day.engine.keep(bundles.bundle_days(baskets, day.journeys), "bundle_days")
    if not day.engine.has_rows(days):
        return missing("bundle_id in order_lines", "Bundles")
    single = day.engine.keep(bundles.singles(baskets, day.journeys), "single_buyers")
    parts = day.fetch(bundles.bundle_parts(baskets))
    usual = day.settings.bundle_refill_days
    windows = bought.refill_windows(parts, day.cycles("product_id"), usual)
    due = bundles.bundle_refills(days, day.engine.table(windows, "bundle_windows"), day.as_of)
    counts = bought.BundleCounts(
        share=day.fetch(bundles.bundle_share(day.lines, day.orders, day.as_of)),
        reorders=day.fetch(bundles.bundle_reorders(days, day.as_of)),
        first=day.fetch(bundles.first_bundles(days, single, day.customers)),
        gateways=day.fetch(bundles.gateways(single, days)),
        parts=parts,
        windows=windows,
        due=day.fetch(due),
        names=day.names,
    )
    return bought.bundle_section(counts, overall, day.least)


def advocacy_measures(day: Day, customers: int) -> Advocacy:
    """Say who refers, recommends and reviews."""
    given = day.tables.get("referrals")
    referrals = None if given is None else advocacy.conversions(given)
    section = _referrals(day, referrals, customers)
    scores: Promotion = {
        "promoters_refer": missing("nps", "Promoters who refer"),
        "nps": missing("nps", "Net promoter score"),
    }
    if "nps" in day.tables:
        scores = _promotion(day, day.tables["nps"], referrals)
    return section.model_copy(update={**scores, "review_rate": _review_rate(day)})


def _referrals(day: Day, referrals: ir.Table | None, customers: int) -> Advocacy:
    """Say who refers, and compare who was referred with who was paid for."""
    costs: dict[str, pd.DataFrame | None] = {"referred": None, "paid": None}
    referring = None
    if referrals is not None:
        costs["referred"] = day.fetch(advocacy.rewards(referrals))
        counted = day.fetch(advocacy.referrers(referrals, day.as_of))
        referring = int(counted["customers"].iloc[0])
    origins = None
    if "customers" in day.tables:
        paid = day.tables.get("marketing_spend")
        channels = day.engine.table(pd.DataFrame({"channel": pd.Series(dtype=str)}), "no_channels")
        spent_on = channels if paid is None else paid
        costs["paid"] = None if paid is None else day.fetch(paid)
        origins = day.fetch(advocacy.origins(day.customers, day.tables["customers"], spent_on))
    return programs.referral_section(referring, origins, costs, customers, day.as_of, day.least)


class Promotion(TypedDict):
    """The measures that answers bring."""

    promoters_refer: PromoterRates | Missing
    nps: tuple[NpsMonth, ...] | Missing


def _promotion(day: Day, answers: ir.Table, referrals: ir.Table | None) -> Promotion:
    """Say who recommends, and who then refers."""
    kinds = day.fetch(advocacy.promoters_who_refer(answers, referrals))
    months = day.fetch(advocacy.scores_by_month(answers))
    return {
        "promoters_refer": missing("referrals", "Promoters who refer")
        if referrals is None
        else programs.promoter_rates(kinds, day.least),
        "nps": programs.nps_trend(months, day.least),
    }


def _review_rate(day: Day) -> Rate | Missing:
    if "reviews" not in day.tables:
        return missing("reviews", "Review rate")
    reviews = day.tables["reviews"]
    since = day.as_of - timedelta(days=YEAR_DAYS)
    placed = day.orders.order_date
    orders = day.orders.filter(
        (placed > since) & (placed <= day.as_of) & (day.orders.net_amount >= 0)
    )
    reviewed = orders.semi_join(reviews, "order_id")
    count, n = (int(day.fetch(t.aggregate(n=t.count()))["n"].iloc[0]) for t in (reviewed, orders))
    return rate(count, n, day.least)


def loyalty_measures(day: Day, customers: int) -> Loyalty | Missing:
    """Say who takes part in the loyalty program."""
    if "loyalty_events" not in day.tables:
        return missing("loyalty_events", "Loyalty program")
    members = day.fetch(advocacy.members(day.tables["loyalty_events"], day.as_of))
    floor = day.settings.loyalty_active_floor
    return programs.loyalty_section(members, customers, floor, day.least)


def forecast_measures(day: Day, counts: Counts, ahead: Ahead) -> Forecast:
    """Say what the next days are to bring."""
    totals = {days: ahead.totals(day.as_of, days) for days in forecast.AHEAD}
    time, pace = ahead.forecaster.time(day.as_of), ahead.forecaster.pace
    new, per_day = _new_customers(day, counts)
    returners = day.fetch(journeys.returners(day.journeys, day.as_of))
    return Forecast(
        existing=forecast.existing(totals, ahead.ratios),
        season=tuple(pace.weeks) if pace is not None and pace.has_season else None,
        operational_days={str(days): float(time.after(days)) for days in forecast.AHEAD},
        new=new,
        five_points=forecast.five_points(returners, per_day, day.least),
    )


def _new_customers(day: Day, counts: Counts) -> tuple[tuple[NewForecast, ...], float]:
    """Say what new customers are to bring, and how many come per day."""
    first, returned = counts.first, counts.returned
    recent = pd.Timestamp(day.as_of) - pd.Timedelta(days=forecast.RECENT_DAYS)
    arrivals = first["customers"][days_of(first["date"]) > recent]
    ages = returned[returned["age_days"] < journeys.ARRIVALS_DAYS]
    by_age = day.fetch(journeys.by_age(day.journeys, day.as_of))
    customers_ages = pd.Series(np.repeat(ages["age_days"], ages["customers"]))
    return forecast.new_customers(by_age, arrivals, customers_ages)
