"""The retention measures of a day, from the orders and whatever optional tables there are."""

import json
from datetime import timedelta
from pathlib import Path

import ibis
import numpy as np
import pandas as pd

from connectors.orders import History
from features import advocacy, bundles, journeys, products
from models.forecaster import Forecaster
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import step
from perennial.pipeline.scoring.kpis.dashboard import dashboard
from perennial.pipeline.scoring.kpis.day import Day, opened
from perennial.pipeline.scoring.score_table import WRITTEN
from perennial.pipeline.training.model_files import load_forecaster
from reports.measures import advocacy as told
from reports.measures import forecast, repeat
from reports.measures import products as bought
from reports.measures.cohorts import cohorts
from reports.measures.rates import Json, days_of, missing, rate
from segments.rhythm import store_cycle_days

KPIS, REFILLS = "kpis.json", "refills.parquet"
SAMPLE = 100_000  # customers whose forecasts stand for all of a larger store


@step
def measure_retention(
    run: RunContext,
    history: History,
    state: Path,
    decided: Path,
    model: Path,
    past_ratios: list[float],
) -> Path:
    """Measure how retention stands; return the JSON file."""
    kpis, as_of, work = run.settings.kpis, run.as_of, run.folder
    known = pd.read_parquet(state)
    columns = (known[name] for name in ("frequency", "recency_days", "age_days"))
    cycle = kpis.natural_cycle_days or store_cycle_days(*columns)
    with opened(run, history) as day:
        gaps = day.fetch(journeys.gaps(day.journeys, as_of))
        returned = day.fetch(journeys.returned(day.journeys, as_of))
        first = day.fetch(journeys.first_days(day.journeys))
        spend = (
            day.fetch(day.tables["marketing_spend"]) if "marketing_spend" in day.tables else None
        )
        cells = day.fetch(journeys.cohort_cells(day.journeys))
        found: Json = {
            "as_of": as_of.isoformat(),
            "least_customers": day.least,
            "natural_cycle_days": cycle,
            "repeat": repeat.repeat(returned, gaps, kpis.repeat_rate_benchmark, day.least),
            "second_order": repeat.second_order(gaps, cycle),
            "steps": repeat.steps(gaps, day.least),
            "cohorts": cohorts(cells, first, spend, as_of, run.settings.store.margin, day.least),
            "cohort_alarm": alarm_measures(day, returned, cycle),
            "discounts": discount_measures(day, decided),
            "advocacy": advocacy_measures(day, len(known)),
            "loyalty": loyalty_measures(day, len(known)),
            "forecast": forecast_measures(
                day, known, load_forecaster(model), past_ratios, first, returned
            ),
        }
        back = found["repeat"]["returned"]["90"]
        found |= {"products": product_measures(day), "bundles": bundle_measures(day, back)}
        write_refills(day, work / REFILLS)
        found["dashboard"] = dashboard(day, first, spend)
    (work / KPIS).write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    return work / KPIS


def alarm_measures(day: Day, returned: pd.DataFrame, cycle: float) -> Json:
    """Compare the newest cohorts with those of a year before: who came back, and what they brought."""
    age = repeat.alarm_age(cycle)
    early = day.fetch(journeys.early_revenue(day.journeys, day.as_of, age))
    return {
        **repeat.cohort_alarm(returned, day.as_of, cycle, day.least),
        "value": repeat.cohort_value_alarm(early, age, day.least),
    }


def discount_measures(day: Day, decided: Path) -> Json:
    """Say how much of the repeat revenue depends on discounts."""
    segments = day.engine.parquet(decided / WRITTEN).select("customer_id", "segment")
    found = day.fetch(journeys.discounted_revenue(day.journeys, segments))
    return bought.discount_section(found, day.least)


def product_measures(day: Day) -> Json:
    """Say when products are bought again, and what the first one leads to."""
    baskets, refills = day.baskets, day.refills
    if day.lines is None or baskets is None or refills is None:
        return missing("order_lines", "Products")
    main = day.engine.keep(products.main_products(baskets, day.journeys), "main_products")
    return bought.product_section(
        day.cycles("product_id"),
        day.cycles("category"),
        day.fetch(products.first_products(main, day.customers)),
        day.fetch(products.next_products(main)),
        day.fetch(products.breadth(baskets, day.customers)),
        day.fetch(products.due(refills)),
        day.names,
        day.least,
    )


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


def bundle_measures(day: Day, overall: Json) -> Json:
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
    return bought.bundle_section(
        day.fetch(bundles.bundle_share(day.lines, day.orders, day.as_of)),
        day.fetch(bundles.bundle_reorders(days, day.as_of)),
        day.fetch(bundles.first_bundles(days, single, day.customers)),
        day.fetch(bundles.gateways(single, days)),
        parts,
        windows,
        day.fetch(due),
        day.names,
        overall,
        day.least,
    )


def advocacy_measures(day: Day, customers: int) -> Json:
    """Say who refers, recommends and reviews."""
    tables, least = day.tables, day.least
    won = advocacy.conversions(tables["referrals"]) if "referrals" in tables else None
    costs: dict[str, pd.DataFrame | None] = {"referred": None, "paid": None}
    referring = None
    if won is not None:
        costs["referred"] = day.fetch(advocacy.rewards(won))
        referring = int(day.fetch(advocacy.referrers(won, day.as_of))["customers"].iloc[0])
    origins = None
    if "customers" in tables:
        paid = tables.get("marketing_spend")
        channels = day.engine.table(pd.DataFrame({"channel": pd.Series(dtype=str)}), "no_channels")
        spent_on = channels if paid is None else paid
        costs["paid"] = None if paid is None else day.fetch(paid)
        origins = day.fetch(advocacy.origins(day.customers, tables["customers"], spent_on))
    found = told.referral_section(referring, origins, costs, customers, day.as_of, least)
    if "nps" in tables:
        kinds = day.fetch(advocacy.promoters_who_refer(tables["nps"], won))
        found["promoters_refer"] = (
            missing("referrals", "Promoters who refer")
            if won is None
            else told.promoter_rates(kinds, least)
        )
        found["nps"] = told.nps_trend(day.fetch(advocacy.scores_by_month(tables["nps"])), least)
    else:
        found |= {"promoters_refer": missing("nps", "Promoters who refer"),
                  "nps": missing("nps", "Net promoter score")}  # fmt: skip
    found["review_rate"] = _review_rate(day)
    return found


def _review_rate(day: Day) -> Json:
    if "reviews" not in day.tables:
        return missing("reviews", "Review rate")
    reviews = day.tables["reviews"]
    since = day.as_of - timedelta(days=advocacy.YEAR_DAYS)
    placed = day.orders.order_date
    orders = day.orders.filter(
        (placed > since) & (placed <= day.as_of) & (day.orders.net_amount >= 0)
    )
    reviewed = orders.semi_join(reviews, "order_id")
    count, n = (int(day.fetch(t.aggregate(n=t.count()))["n"].iloc[0]) for t in (reviewed, orders))
    return rate(count, n, day.least)


def loyalty_measures(day: Day, customers: int) -> Json:
    """Say who takes part in the loyalty program."""
    if "loyalty_events" not in day.tables:
        return missing("loyalty_events", "Loyalty program")
    members = day.fetch(advocacy.members(day.tables["loyalty_events"], day.as_of))
    floor = day.settings.loyalty_active_floor
    return told.loyalty_section(members, customers, floor, day.least)


def forecast_measures(
    day: Day,
    state: pd.DataFrame,
    forecaster: Forecaster,
    ratios: list[float],
    first: pd.DataFrame,
    returned: pd.DataFrame,
) -> Json:
    """Say what the next days are to bring."""
    chosen = state
    if len(state) > SAMPLE:
        chosen = state.iloc[np.linspace(0, len(state) - 1, SAMPLE).astype(int)]
    factor = len(state) / max(len(chosen), 1)
    totals, time = {}, forecaster.time(day.as_of)
    for days in forecast.AHEAD:
        f = forecaster.expect(chosen, days, as_of=day.as_of)
        totals[days] = (
            factor * float(np.sum(f.expected_orders)),
            factor * float(np.sum(f.expected_value)),
        )
    arrived = days_of(first["date"])
    late = arrived > pd.Timestamp(day.as_of) - pd.Timedelta(days=forecast.RECENT_DAYS)
    ages = returned[returned["age_days"] < journeys.ARRIVALS_DAYS]
    new, per_day = forecast.new_customers(
        day.fetch(journeys.by_age(day.journeys, day.as_of)),
        first["customers"][late],
        pd.Series(np.repeat(ages["age_days"], ages["customers"])),
    )
    more = day.fetch(journeys.returners(day.journeys, day.as_of))
    pace = forecaster.pace
    return {
        "existing": forecast.existing(totals, ratios),
        "season": list(pace.weeks) if pace is not None and pace.has_season else None,
        "operational_days": {days: float(time.after(days)) for days in forecast.AHEAD},
        "new": new,
        "five_points": forecast.five_points(more, per_day, day.least),
    }
