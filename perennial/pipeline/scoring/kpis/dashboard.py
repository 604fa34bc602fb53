"""The dashboard's rows: every measure that the store's tables allow."""

from collections.abc import Iterator

import pandas as pd

from features import advocacy, bundles, journeys, products
from perennial.pipeline.scoring.kpis.day import Day
from reports.measures.series import Daily, by_date, first_day, lacking, row
from reports.records.kpis import DashboardRow, MissingRow

CAME = "Referred share of new customers"
ATTACHED = "Bundle attach rate"
REDUCED = "Orders with a discount"
TOUCHED = "Touched, and ordered within 7 days"


def dashboard(
    day: Day, first: pd.DataFrame, spend: pd.DataFrame | None
) -> tuple[DashboardRow | MissingRow, ...]:
    """Arrange the measures; those whose table is missing say which one they need.

    Parameters
    ----------
    day
        What they are made of.
    first
        What :func:`features.journeys.first_days` counted.
    spend
        Table :class:`features.tables.MarketingSpend`; None = not given.
    """
    since = first_day(day.as_of)
    sums = day.fetch(journeys.daily(day.journeys, since))
    measures = [
        *_acquisition(day, by_date(first, "customers"), spend),
        *_retention(day, sums),
        *_engagement(day, sums),
        *_program(day),
    ]
    return tuple(row(one, day.as_of) if isinstance(one, Daily) else one for one in measures)


Rows = Iterator[Daily | MissingRow]


def _acquisition(day: Day, new: pd.Series, spend: pd.DataFrame | None) -> Rows:
    yield Daily("acquisition", "New customers", "count", new)
    if spend is None:
        yield lacking("acquisition", "Cost of a new customer", "marketing_spend")
    else:
        amount = by_date(spend, "amount")
        yield Daily("acquisition", "Cost of a new customer", "money", amount, new, day.least)
    referred = _counted(day, "referrals", "occurred_at", "converted")
    if referred is None:
        yield lacking("acquisition", CAME, "referrals")
    else:
        yield Daily("acquisition", CAME, "share", referred, new, day.least)


def _retention(day: Day, sums: pd.DataFrame) -> Rows:
    early = day.fetch(products.first_quarters(day.customers, first_day(day.as_of)))
    over = by_date(early, "customers")
    for measure, unit, column in (
        ("Came back within 90 days", "share", "returned"),
        ("Revenue of a new customer in 90 days", "money", "value_90d"),
    ):
        yield Daily("retention", measure, unit, by_date(early, column), over, day.least)
    orders = by_date(sums, "orders")
    back, reduced = by_date(sums, "repeat_orders"), by_date(sums, "discounted")
    yield Daily("retention", "Orders of returning customers", "share", back, orders, day.least)
    second = day.fetch(journeys.second_gaps(day.journeys, first_day(day.as_of)))
    waited = by_date(second.assign(total=second["days"] * second["customers"]), "total")
    came = by_date(second, "customers")
    yield Daily("retention", "Days to the second order", "days", waited, came, day.least)
    if orders.sum() and not sums["priced"].sum():
        yield lacking("retention", REDUCED, "orders.discount_amount")
    else:
        yield Daily("retention", REDUCED, "share", reduced, orders, day.least)
    if day.lines is None:
        yield lacking("retention", ATTACHED, "order_lines")
    else:
        share = day.fetch(bundles.bundle_share(day.lines, day.orders, day.as_of))
        bundled, listed = by_date(share, "bundled"), by_date(share, "orders")
        yield Daily("retention", ATTACHED, "share", bundled, listed, day.least)


def _engagement(day: Day, sums: pd.DataFrame) -> Rows:
    orders = by_date(sums, "orders")
    yield Daily("engagement", "Orders", "count", orders)
    yield Daily(
        "engagement", "Order value", "money", by_date(sums, "net_amount"), orders, day.least
    )
    reviews = _counted(day, "reviews", "reviewed_at")
    if reviews is None:
        yield lacking("engagement", "Reviews per order", "reviews")
    else:
        yield Daily("engagement", "Reviews per order", "share", reviews, orders, day.least)
    if "touches" not in day.tables:
        yield lacking("engagement", TOUCHED, "touches")
    else:
        since = first_day(day.as_of)
        sent = day.fetch(advocacy.answered_touches(day.tables["touches"], day.journeys, since))
        answered, touched = by_date(sent, "answered"), by_date(sent, "n")
        yield Daily("engagement", TOUCHED, "share", answered, touched, day.least)


def _program(day: Day) -> Rows:
    for measure, table, events in (
        ("Points earned or redeemed", "loyalty_events", ("earned", "redeemed")),
        ("Rose to a higher tier", "loyalty_events", ("tier_reached",)),
        ("Referrals that bought", "referrals", ("converted",)),
    ):
        counted = _counted(day, table, "occurred_at", *events)
        if counted is None:
            yield lacking("program", measure, table)
        else:
            yield Daily("program", measure, "count", counted)
    if "nps" not in day.tables:
        yield lacking("program", "Net promoter score", "nps")
    else:
        scores = day.fetch(advocacy.scores_by_day(day.tables["nps"]))
        balance, answers = by_date(scores, "balance"), by_date(scores, "answers")
        yield Daily("program", "Net promoter score", "score", balance, answers, day.least, 100.0)


def _counted(day: Day, table: str, at: str, *events: str) -> pd.Series | None:
    """Count a table's rows by day, those of some events only; None where it is not given."""
    if table not in day.tables:
        return None
    rows = day.tables[table]
    if events:
        rows = rows.filter(rows.event.isin(events))
    return by_date(day.fetch(advocacy.by_day(rows, at)), "n")
